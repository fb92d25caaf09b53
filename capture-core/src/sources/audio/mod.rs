//! Audio sources: a microphone through cpal, a WAV file in real time.

mod microphone;
mod wav;

pub use microphone::{Microphone, microphones};
pub use wav::Wav;
