#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| { let _ = praxis_bundle::narration::decode(data); });
