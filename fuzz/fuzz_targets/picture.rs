//! The picture decoder: header and operations over a held picture.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| praxis_fuzz::picture(data));
