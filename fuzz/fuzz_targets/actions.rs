//! The reduction to actions, of any bytes: in order of time, numbered, and readable once written.
#![no_main]

use praxis_actions::{Answer, actions_of};
use praxis_fuzz::mended;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for bytes in [data.to_vec(), mended(data)] {
        let Ok(reading) = actions_of(&bytes[..]) else { continue };
        let actions = &reading.answer.actions;
        assert!(actions.iter().zip(0..).all(|(action, id)| action.id == id), "actions are numbered");
        assert!(actions.iter().all(|action| action.start_nanos <= action.end_nanos), "an action ends before it begins");
        assert!(actions.is_sorted_by_key(|action| action.start_nanos), "actions are in order");
        let json = serde_json::to_vec(&reading.answer).expect("an answer can be written");
        let read: Answer = serde_json::from_slice(&json).expect("what was written can be read");
        assert_eq!(read.actions.len(), actions.len());
    }
});
