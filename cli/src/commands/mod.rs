//! One file per group of commands.

mod doctor;
mod files;
mod look;
mod record;

use std::path::Path;

use anyhow::Result;
use clap::CommandFactory;

use crate::Done;
use crate::args::{Arguments, Command};

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<Done> {
    match command {
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Record(record) => record::run(record),
        Command::List(list) => files::list(&list),
        Command::Info(file) => look::info(&file).map_err(naming(&file.file)),
        Command::Check(file) => look::check(&file).map_err(naming(&file.file)),
        Command::Recover(recover) => files::recover(&recover),
        Command::Seal(file) => files::seal(&file.file),
        Command::Frame(frame) => look::frame(&frame).map_err(naming(&frame.file)),
        Command::Events(events) => look::events(&events).map_err(naming(&events.file)),
        Command::Narration(narration) => look::narration(&narration).map_err(naming(&narration.file)),
        Command::Delete(file) => files::delete(&file.file),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "praxis", &mut std::io::stdout());
            Ok(Done::Fine)
        }
        Command::Man => {
            clap_mangen::Man::new(Arguments::command()).render(&mut std::io::stdout())?;
            Ok(Done::Fine)
        }
    }
}

/// Names the file that an error is about, where the error does not.
fn naming(path: &Path) -> impl FnOnce(anyhow::Error) -> anyhow::Error {
    move |error| match error.downcast_ref::<praxis_bundle::Error>() {
        None | Some(praxis_bundle::Error::Io { .. }) => error,
        Some(_) => error.context(path.display().to_string()),
    }
}

/// `1:02:03.4`, or `2:03.4` under an hour.
fn clock_text(nanos: u64) -> String {
    let tenths = nanos / 100_000_000;
    let (hours, minutes, seconds) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60);
    let rest = format!("{seconds:02}.{}", tenths % 10);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest}") } else { format!("{minutes}:{rest}") }
}

/// `12.3 MB`.
fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
