//! Verification: size, digest and every byte of a bundle, in a child process with limits on memory and time.
//!
//! What comes from outside is parsed nowhere else (`child.rs`). Whatever happens to the child (a crash, no answer in
//! time) rejects the bundle, and the server goes on.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::Collector;
use crate::child::{Answer, MAX_ANSWER_BYTES, MAX_MEMORY_BYTES, Verdict};
use crate::db::{Bundle, State};
use crate::derived::Derived;

/// Time for any bundle, and for each of its bytes at a slow machine's speed.
const BASE_SECONDS: u64 = 60;
const BYTES_PER_SECOND: u64 = 2 << 20;
/// Wait before a verification that could not be started is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

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
        let answer = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            answer = ask_child(collector, &bundle) => answer,
        };
        let Answer { verdict, derived } = match answer {
            Ok(answer) => answer,
            // The others are verified all the same; this one is tried again.
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        match verdict {
            Verdict::Verified(facts) => {
                collector.db.keep_derived(&bundle.id, &derived).await?;
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
async fn ask_child(collector: &Collector, bundle: &Bundle) -> anyhow::Result<Answer> {
    let rejected = |why| Answer { verdict: Verdict::Rejected(why), derived: Derived::default() };
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
        return Ok(rejected(format!("checking it took longer than {} seconds", seconds * 2)));
    };
    let (answer, status) = done.context("talking to the verifying child process")?;
    let from_outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
    if status.signal().is_some_and(|signal| from_outside.iter().any(|outside| outside.as_raw() == signal)) {
        bail!("the verifying child process was ended from outside ({status})");
    }
    Ok(match (Answer::read(&answer), status.signal()) {
        (Some(answer), None) => answer,
        (_, signal) => rejected(format!(
            "it cannot be checked within {} MiB of memory and {seconds} seconds ({})",
            MAX_MEMORY_BYTES >> 20,
            signal.map_or_else(|| status.to_string(), |signal| format!("signal {signal}"))
        )),
    })
}

/// Looks into a verified bundle anew, for what is derived of it.
///
/// # Errors
/// If the child could not be run, or does not find the bundle sound any more: then the disk has changed it.
pub(crate) async fn derive(collector: &Collector, bundle: &Bundle) -> anyhow::Result<Derived> {
    match ask_child(collector, bundle).await? {
        Answer { verdict: Verdict::Verified(_), derived } => Ok(derived),
        Answer { verdict: Verdict::Rejected(reason), .. } => {
            bail!("a verified bundle is not sound any more: is the disk damaged? {reason}")
        }
    }
}
