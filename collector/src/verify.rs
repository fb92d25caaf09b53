//! Verification: size, digest and every byte of a bundle, in a child process with limits on memory and time.
//!
//! What comes from outside is parsed nowhere else. The child's answer is one JSON object; whatever else happens to it
//! (a crash, no answer in time) rejects the bundle, and the server goes on.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use praxis_bundle::file;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::Collector;
use crate::db::{Bundle, State};

/// Memory that the child may map.
const MAX_MEMORY_BYTES: u64 = 2 << 30;
/// Time for any bundle, and for each of its bytes at a slow machine's speed.
const BASE_SECONDS: u64 = 60;
const BYTES_PER_SECOND: u64 = 2 << 20;
/// Longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// Wait before a verification that could not be started is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// The child's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is as announced; what the bundle says of itself.
    Verified(Value),
    /// Why not.
    Rejected(String),
}

/// Verifies what has been received, one bundle at a time, until cancelled. What was being verified when the server
/// ended is verified again.
pub(crate) async fn run(collector: Collector, cancel: CancellationToken) {
    loop {
        let wait = match verify_waiting(&collector, &cancel).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "verification cannot go on; it is tried again");
                Some(TRY_AGAIN)
            }
        };
        let again = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => collector.verify_wake.notified().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = again => {}
        }
    }
}

async fn verify_waiting(collector: &Collector, cancel: &CancellationToken) -> anyhow::Result<()> {
    let mut failure = None;
    for bundle in collector.db.bundles_in([State::Received, State::Verifying]).await? {
        collector.db.set_state(&bundle.id, State::Verifying, None, None).await?;
        let verdict = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            verdict = ask_child(collector, &bundle) => verdict,
        };
        let verdict = match verdict {
            Ok(verdict) => verdict,
            // The others are verified all the same; this one is tried again.
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        match verdict {
            Verdict::Verified(facts) => {
                collector.db.set_state(&bundle.id, State::Verified, None, Some(&facts.to_string())).await?;
                tracing::info!(bundle = bundle.id, bytes = bundle.bytes, "verified");
            }
            Verdict::Rejected(reason) => {
                collector.db.set_state(&bundle.id, State::Rejected, Some(&reason), None).await?;
                tracing::warn!(bundle = bundle.id, reason, "rejected");
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Runs the child and reads its answer.
///
/// # Errors
/// If it could not be run, or was ended from outside: that says nothing about the bundle.
async fn ask_child(collector: &Collector, bundle: &Bundle) -> anyhow::Result<Verdict> {
    let path = collector.store.local_file(&bundle.upload).await?;
    let seconds = BASE_SECONDS + bundle.bytes / BYTES_PER_SECOND;
    let mut command = Command::new(&*collector.verifier);
    command.arg("verify").arg(&path).args(["--bundle-id", &bundle.id, "--sha256", &bundle.sha256]);
    command.args(["--bytes", &bundle.bytes.to_string(), "--cpu-seconds", &seconds.to_string()]);
    // A group of its own: a Ctrl-C for the server is none for the child.
    command
        .process_group(0)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().context("starting the verifying child process")?;
    let mut stdout = child.stdout.take().context("the child has no output")?.take(MAX_ANSWER_BYTES);
    let work = async {
        let mut answer = Vec::new();
        stdout.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>((answer, child.wait().await?))
    };
    // Twice the processor time: the machine may have other things to do.
    let Ok(done) = tokio::time::timeout(Duration::from_secs(seconds * 2), work).await else {
        return Ok(Verdict::Rejected(format!("checking it took longer than {} seconds", seconds * 2)));
    };
    let (answer, status) = done.context("talking to the verifying child process")?;
    let from_outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
    if status.signal().is_some_and(|signal| from_outside.iter().any(|outside| outside.as_raw() == signal)) {
        bail!("the verifying child process was ended from outside ({status})");
    }
    Ok(match (serde_json::from_slice(&answer), status.signal()) {
        (Ok(verdict), None) => verdict,
        (_, signal) => Verdict::Rejected(format!(
            "it cannot be checked within {} MiB of memory and {seconds} seconds ({})",
            MAX_MEMORY_BYTES >> 20,
            signal.map_or_else(|| status.to_string(), |signal| format!("signal {signal}"))
        )),
    })
}

/// What the child has to find.
#[derive(Debug)]
pub struct Expected {
    /// The bundle's id.
    pub bundle_id: uuid::Uuid,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// The child: limits itself, then checks the file.
///
/// # Errors
/// If the limits cannot be set; a file that is not as expected is no error but the verdict.
pub fn verify_here(path: &Path, expected: &Expected, cpu_seconds: u64) -> anyhow::Result<Verdict> {
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::As, limit(MAX_MEMORY_BYTES)).context("limiting memory")?;
    setrlimit(Resource::Cpu, limit(cpu_seconds)).context("limiting time")?;
    setrlimit(Resource::Core, limit(0)).context("limiting core files")?;
    setrlimit(Resource::Fsize, limit(0)).context("limiting files")?;
    Ok(check(path, expected).unwrap_or_else(|error| {
        let error = anyhow::Error::new(error);
        // The path is nothing to the expert.
        Verdict::Rejected(format!("{error:#}").replace(&path.display().to_string(), "the bundle"))
    }))
}

fn check(path: &Path, expected: &Expected) -> praxis_bundle::Result<Verdict> {
    let rejected = |why: String| Ok(Verdict::Rejected(why));
    let bytes = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    if bytes != expected.bytes {
        return rejected(format!("it has {bytes} bytes, {} were announced", expected.bytes));
    }
    let sha256 = file::sha256(path)?;
    if sha256 != expected.sha256 {
        let (found, announced) = (&sha256[..12], expected.sha256.get(..12).unwrap_or_default());
        return rejected(format!(
            "its SHA-256 is {found}…, {announced}… was announced: it is not the file that was approved"
        ));
    }
    let report = file::check_file(path)?;
    if let Some(finding) = report.findings.first() {
        return rejected(format!("it is damaged: {finding}"));
    }
    let info = file::info_of(path)?;
    if !info.is_sealed {
        return rejected("it is not sealed".into());
    }
    if info.manifest.bundle_id != expected.bundle_id {
        return rejected(format!("it is bundle {}, another was announced", info.manifest.bundle_id));
    }
    let tracks: Vec<String> = info.tracks.keys().map(|track| track.name()).collect();
    Ok(Verdict::Verified(json!({
        "session_id": info.manifest.session_id,
        "title": info.manifest.title,
        "duration_nanos": info.duration_nanos,
        "recorded_at_nanos": info.manifest.epoch_wall_nanos,
        "outcome": info.ending.as_ref().and_then(|ending| ending.outcome),
        "recovered": info.recovery.is_some(),
        "gaps": info.gaps.len(),
        "messages": report.num_messages,
        "tracks": tracks,
    })))
}
