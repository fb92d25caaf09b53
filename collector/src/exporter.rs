//! Makes the exports that leads ask for, one after the other, each in a child process with limits. One that was being made when the
//! server ended goes on where it was.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Collector;
use crate::db::Bundle;
use crate::error::Error;
use crate::export_child::{DISK_FULL, Failure, Given, Line, Task, Wish};
use crate::ledger::{State, Whole};

/// Wait before one that could not be started is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// A child that says nothing for so long is given up.
const SILENT: Duration = Duration::from_secs(30 * 60);
/// Exports stop when the disk has less than this left: what experts send comes first.
const FLOOR_BYTES: u64 = 1 << 30;

/// Makes what is asked for, until cancelled.
pub(crate) async fn run(collector: Collector, cancel: CancellationToken) {
    if let Err(error) = tidy(&collector).await {
        tracing::error!(error = format!("{error:#}"), "the folder of exports cannot be tidied");
    }
    loop {
        let wait = match make_waiting(&collector, &cancel).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "exports cannot go on; it is tried again");
                Some(TRY_AGAIN)
            }
        };
        let again = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => collector.export_wake.notified().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = again => {}
        }
    }
}

/// Removes what exports have left that were removed or failed while the server ended, or that nobody knows.
async fn tidy(collector: &Collector) -> anyhow::Result<()> {
    crate::make_private(&collector.exports).await.context("making the folder of exports")?;
    let mut entries = tokio::fs::read_dir(&collector.exports).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.split('.').next().unwrap_or_default();
        match collector.db.export(id).await {
            Ok(export) if matches!(export.state, State::Removed | State::Failed) => {
                clear(collector, id).await;
            }
            Ok(_) => {}
            // Of a database that was put back; what has another name is none of ours.
            Err(Error::NotFound(_)) if id.parse::<Uuid>().is_ok() => clear(collector, id).await,
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn make_waiting(collector: &Collector, cancel: &CancellationToken) -> anyhow::Result<()> {
    while let Some(id) = collector.db.next_export().await? {
        let mut stop = collector.export_stop.subscribe();
        let whole = collector.db.whole_export(&id).await?;
        if !collector.db.set_export(&id, State::Running, whole.export.part, None).await? {
            continue;
        }
        let made = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            // The child ends with the answer that is dropped here.
            _ = stop.wait_for(|stopped| *stopped == id) => Ok(()),
            made = make(collector, &whole) => made,
        };
        if made.is_err() || collector.db.export(&id).await?.state != State::Ready {
            clear(collector, &id).await;
        }
        if let Err(error) = made {
            let why = format!("{error:#}");
            tracing::warn!(export = id, why, "an export failed");
            collector.db.set_export(&id, State::Failed, 0.0, Some(&why)).await?;
        }
    }
    Ok(())
}

/// Takes what is there of an export off the disk.
async fn clear(collector: &Collector, id: &str) {
    // What is not there is as good as removed; what cannot be removed is seen when the disk fills.
    let _ = tokio::fs::remove_dir_all(folder(collector, id)).await;
    for path in [collector.archive(id), collector.archive(id).with_extension("tar.part")] {
        let _ = tokio::fs::remove_file(path).await;
    }
}

fn folder(collector: &Collector, id: &str) -> PathBuf {
    collector.exports.join(id)
}

/// Runs the child for an export and notes what it says.
async fn make(collector: &Collector, whole: &Whole) -> anyhow::Result<()> {
    let id = &whole.export.export_id;
    let wish: Wish =
        serde_json::from_value(whole.export.request["wish"].clone()).context("reading the request")?;
    let mut bundles = Vec::new();
    for source in &whole.sources {
        let bundle = collector.db.bundle(&source.bundle_id).await?;
        let Some(bundle) = bundle.filter(|bundle| bundle.sha256 == source.sha256) else {
            bail!("bundle {} is not here any more as it was: ask for a new export", source.bundle_id);
        };
        let path = collector.store.local_file(&bundle.upload).await?;
        let Bundle { id, sha256, expert, project, .. } = bundle;
        bundles.push(Given { id, path, sha256, expert, project });
    }
    let task = Task {
        wish,
        bundles,
        folder: folder(collector, id),
        archive: collector.archive(id),
        name: id.clone(),
    };
    let mut command = Command::new(&*collector.verifier);
    // A group of its own: a Ctrl-C for the server is none for the child. It looks for ffmpeg.
    command
        .arg("export")
        .process_group(0)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().context("starting the exporting child process")?;
    let mut stdin = child.stdin.take().context("the child has no input")?;
    let task = serde_json::to_string(&task)? + "\n";
    stdin.write_all(task.as_bytes()).await.context("talking to the exporting child process")?;
    stdin.flush().await?;
    let mut lines = BufReader::new(child.stdout.take().context("the child has no output")?).lines();
    loop {
        let line =
            tokio::time::timeout(SILENT, lines.next_line()).await.context("the export has come to a halt")?;
        let Some(line) = line.context("talking to the exporting child process")? else {
            let status = child.wait().await?;
            bail!(
                "it took more memory or time than it may, or crashed ({status}): export fewer bundles at once"
            );
        };
        match serde_json::from_str(&line).context("the child talks nonsense")? {
            Line::Part(part) => {
                if !collector.store.has_room(FLOOR_BYTES).await? {
                    bail!(DISK_FULL);
                }
                collector.db.set_export(id, State::Running, part, None).await?;
            }
            Line::Failed(Failure { why, sources }) => {
                if let Err(error) = collector.db.note_sources(id, &sources).await {
                    tracing::error!(
                        export = id,
                        error = format!("{error:#}"),
                        "why of each bundle cannot be noted"
                    );
                }
                bail!(why)
            }
            Line::Done(done) => {
                let (bytes, sources) = (done.bytes, done.sources.len());
                if collector.db.finish_export(id, &done).await? {
                    tracing::info!(export = id, bytes, sources, "an export is ready");
                }
                return Ok(());
            }
        }
    }
}
