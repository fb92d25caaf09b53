//! The terminal while recording: single keys in, one status line out.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};

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
        write(&format!("\r\x1b[2K{line}"));
    }
}

/// Shows how far sealing is, from 0 to 1.
pub(crate) fn show_sealing(part: f64) {
    show_status(&format!("sealing … {:.0} %", part * 100.0));
}

/// Says something that stays.
pub(crate) fn say(line: &str) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    write(&format!("{clear}{line}\n"));
}

/// Prints a result on stdout. It fails when the reader has seen enough and is gone, which `main` takes for success.
pub(crate) fn print(line: &str) -> std::io::Result<()> {
    writeln!(stdout(), "{line}")
}

/// A terminal that was closed, or a reader that went away, is no reason to end a recording: `eprint!` panics then.
fn write(text: &str) {
    let _ = stderr().write_all(text.as_bytes()).and_then(|()| stderr().flush());
}
