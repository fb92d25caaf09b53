//! Audio sources: a microphone through cpal, a WAV file in real time; and a loudspeaker to measure with.

mod beeper;
mod microphone;
mod wav;

pub use beeper::{BEEP_HZ, BEEP_NANOS, Beeper};
pub use microphone::{Microphone, microphones};
pub use wav::Wav;
