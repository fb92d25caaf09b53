//! `bench export`: how fast `praxis export` is against the length of a session, and what memory a long one takes against a short one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::desktop::{boot_nanos, let_pass};
use crate::praxis::{info, path, program};
use crate::processes::peak_mib;

const ROUNDS: usize = 3;
/// How often memory is looked at: its peak is the system's own, so only the last look before the end can miss some.
const LOOK: Duration = Duration::from_millis(5);

/// Exports a short and a long bundle, one after the other, and prints the figures.
///
/// # Errors
/// If an export fails.
pub fn run(long: &Path, short: &Path) -> Result<()> {
    for format in
        ["jsonl", "parquet", "webdataset", "agentnet", "anthropic", "owamcap", "foxglove", "lerobot"]
    {
        for round in 1..=ROUNDS {
            let (_, little) = export(short, format)?;
            let (speed, much) = export(long, format)?;
            let ratio = much / little;
            println!(
                "{format} {round}: {speed:.1} × real time; {much:.1} MiB, {little:.1} MiB of the short one: {ratio:.3}"
            );
        }
    }
    Ok(())
}

/// How many times faster than the session the export was, and the peak of its memory in MiB.
fn export(bundle: &Path, format: &str) -> Result<(f64, f64)> {
    let seconds = info(bundle)?["duration_nanos"].as_f64().context("no length")? / 1e9;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let before = boot_nanos();
    let mut child = Command::new(program("praxis")?)
        .args(["export", path(bundle), "--format", format, "--out", path(&out)])
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let mut peak = 0f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = peak.max(peak_mib(child.id()).unwrap_or_default());
        let_pass(LOOK);
    };
    let took = (boot_nanos() - before) as f64 / 1e9;
    ensure!(status.success(), "praxis export of {} failed", bundle.display());
    Ok((seconds / took, peak))
}
