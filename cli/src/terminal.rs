//! What is said to the person: one status line that is replaced, lines that stay, results.

use std::io::{IsTerminal, Write, stderr, stdout};

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
