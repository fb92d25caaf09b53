//! Audio sources: a microphone through cpal, a WAV file in real time.
