//! Narration blocks, PCM and FLAC.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| praxis_fuzz::narration(data));
