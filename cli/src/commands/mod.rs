//! One file per group of commands.

mod actions;
mod calibrate;
mod collected;
mod doctor;
mod export;
mod files;
mod look;
mod open;
mod record;
mod send;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::CommandFactory;
use praxis_bundle::file;
use praxis_bundle::storage::{Disk, Storage as _};
use praxis_capture_core::library;
use praxis_capture_core::system::NO_DATA_FOLDER;

use crate::Done;
use crate::args::{Arguments, Command};

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<Done> {
    match command {
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Calibrate(calibrate) => calibrate::run(&calibrate),
        Command::Record(record) => record::run(record),
        Command::List(list) => files::list(&list),
        Command::Info(file) => look::info(&file).map_err(naming(&file.file)),
        Command::Check(file) => look::check(&file).map_err(naming(&file.file)),
        Command::Recover(recover) => files::recover(&recover),
        Command::Seal(file) => files::seal(&file.file),
        Command::Frame(frame) => look::frame(&frame).map_err(naming(&frame.file)),
        Command::Events(events) => look::events(&events).map_err(naming(&events.file)),
        Command::Narration(narration) => look::narration(&narration).map_err(naming(&narration.file)),
        Command::Actions(file) => actions::actions(&file).map_err(naming(&file.file)),
        Command::Export(export) => export::run(export),
        Command::Open(open) => open::run(&open).map_err(naming(&open.file)),
        Command::Delete(file) => files::delete(&file.file),
        Command::Enroll(enroll) => send::enroll(&enroll),
        Command::Approve(file) => send::approve(&file.file).map_err(naming(&file.file)),
        Command::Upload(upload) => send::upload(&upload),
        Command::Uploads(uploads) => send::uploads(&uploads),
        Command::Completions { shell } => {
            // Into memory first: the generator panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "praxis", &mut script);
            std::io::stdout().write_all(&script)?;
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

/// The folder of the sessions: the one given, or this user's library.
fn library_folder(given: Option<&PathBuf>) -> Result<PathBuf> {
    given
        .cloned()
        .or_else(library::default_folder)
        .with_context(|| format!("{NO_DATA_FOLDER}, so there is no library: give a folder with --out"))
}

/// Refuses an output that would take a recording's place: the input itself under any name, or any bundle.
fn refuse_to_overwrite(output: &Path, input: &Path) -> Result<()> {
    let is_input = Disk.open(input).is_ok_and(|input| input.is_at(output));
    ensure!(
        !is_input && !file::is_bundle(output),
        "{} is a recording: give another file to write to with -o",
        output.display()
    );
    Ok(())
}

/// Text from a bundle as a terminal may show it: control characters are spelt out.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
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
