//! `praxis`: record a session, look into its bundle, check, recover, seal.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 finished but data
//! was lost.

mod args;
mod commands;
mod system;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use praxis_capture_core::sources::portable;
use tracing_subscriber::EnvFilter;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// All is well.
    Fine,
    /// The command's answer is no: findings, for example. It has said why.
    No,
    /// It finished, but data was lost. It has said which.
    DataLost,
}

fn main() -> ExitCode {
    // Before anything else: the process that hears input for another one.
    if std::env::args_os().nth(1).is_some_and(|first| first == portable::HELPER) {
        return portable::help();
    }
    let filter = EnvFilter::try_from_env("PRAXIS_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let arguments = args::Arguments::parse();
    match commands::run(arguments.command) {
        Ok(Done::Fine) => ExitCode::SUCCESS,
        Ok(Done::No) => ExitCode::FAILURE,
        Ok(Done::DataLost) => ExitCode::from(3),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&format!("praxis: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The reader of our output has seen enough (`praxis events … | head`).
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kinds =
        error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
