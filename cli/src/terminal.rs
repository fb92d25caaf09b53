//! The terminal while recording: single keys in, one status line out.

use std::io::{IsTerminal, Write, stderr, stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal that hands over single keys; restored when dropped.
pub(crate) struct Keys {
    before: Termios,
}

impl Keys {
    /// Takes the terminal over; `None` if there is none to take.
    pub(crate) fn take() -> Option<Self> {
        if !stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let mut single = before.clone();
        single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &single).ok()?;
        Some(Self { before })
    }

    /// The keys pressed since the last call.
    pub(crate) fn pressed(&self) -> Vec<u8> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut keys = vec![0; 64];
        let is_ready =
            poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], Some(&now)).is_ok_and(|count| count > 0);
        let count = if is_ready { rustix::io::read(stdin(), &mut keys).unwrap_or(0) } else { 0 };
        keys.truncate(count);
        keys
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// Shows a status line in place of the last one. Only on a terminal: logs stay readable.
pub(crate) fn show_status(line: &str) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[2K{line}");
        // A status line that cannot be shown is not worth ending a recording for.
        let _ = stderr().flush();
    }
}

/// Says something that stays.
pub(crate) fn say(line: &str) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[2K");
    }
    eprintln!("{line}");
}
