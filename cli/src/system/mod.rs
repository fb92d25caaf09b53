//! What the commands ask of the operating system: how it tells a program to end, and single keys of the terminal.
//!
//! One file per system has the same items; here alone is chosen among them.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod here;

pub(crate) use here::{Keys, Signals, stop_when_told, told_to_end};

/// What a recording was told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(windows, expect(dead_code, reason = "a console tells a program to end, and nothing else"))]
pub(crate) enum Told {
    /// Pause, or go on.
    Pause,
    /// Set a marker.
    Mark,
    /// End.
    Stop,
}
