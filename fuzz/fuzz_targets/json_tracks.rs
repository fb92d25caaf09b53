//! Every JSON message, the manifest and the other metadata.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| praxis_fuzz::json_tracks(data));
