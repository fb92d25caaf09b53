//! The reader: any bytes, with and without right checksums.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| praxis_fuzz::scan(data));
