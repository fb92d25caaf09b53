//! Recovery, sealing and pictures by time, of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| praxis_fuzz::recover(data));
