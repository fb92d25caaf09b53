//! `praxis enroll`, `approve`, `upload` and `uploads`.

use std::path::Path;

use anyhow::{Context as _, Result};
use praxis_capture_core::system::{NO_DATA_FOLDER, NO_SETTINGS_FOLDER, data_folder, settings_folder};
use praxis_capture_core::upload::enrolment::{self, enrol};
use praxis_capture_core::upload::{
    Enrolment, Item, Queue, State, Tuning, Uploader, approval, approve as approve_file,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{printable, size_text};
use crate::Done;
use crate::args::{Enroll, Upload, Uploads};
use crate::terminal::{print, say, show_status};

pub(crate) fn enroll(arguments: &Enroll) -> Result<Done> {
    let is_local = ["http://127.", "http://localhost", "http://[::1]"]
        .iter()
        .any(|local| arguments.url.starts_with(local));
    if arguments.url.starts_with("http://") && !is_local {
        say(
            "warning: this address is not encrypted: whoever is on the way can read the recordings; use https",
        );
    }
    let (enrolment, is_in_keychain) =
        runtime()?.block_on(enrol(&settings()?, &arguments.url, &arguments.code))?;
    say(&format!(
        "enrolled at {} for project {} as {}",
        enrolment.collector,
        printable(&enrolment.project),
        printable(&enrolment.expert)
    ));
    if !is_in_keychain {
        say("this system has no keychain: the token is in a file that only you can read");
    }
    Ok(Done::Fine)
}

pub(crate) fn approve(path: &Path) -> Result<Done> {
    let approved = approve_file(path)?;
    say(&format!("{}\napproved: {} of {}", approval::STATEMENT, path.display(), approved.sha256));
    Ok(Done::Fine)
}

pub(crate) fn upload(arguments: &Upload) -> Result<Done> {
    let folder = queue_folder()?;
    let enrolment = match &arguments.to {
        Some(_) => None,
        None => Some(enrolment::load(&settings()?)?),
    };
    runtime()?.block_on(async {
        let queue = Queue::open(&folder).await?;
        let server = enrolment.as_ref().map(|enrolment| enrolment.collector.as_str());
        let server = arguments.to.as_deref().or(server).context("no server")?;
        let item = queue.add(&arguments.file, server, arguments.to.is_none()).await?;
        let is_enough = |state: State| !arguments.wait && state == State::Received;
        let item = send(&queue, &folder, enrolment, &item.bundle_id, is_enough).await?;
        say_state(&item);
        Ok(done(&item))
    })
}

pub(crate) fn uploads(arguments: &Uploads) -> Result<Done> {
    let folder = queue_folder()?;
    runtime()?.block_on(async {
        let queue = Queue::open(&folder).await?;
        let mut worst = Done::Fine;
        if arguments.resume {
            let is_open = |item: &Item| !item.state.is_final() || item.state == State::Blocked;
            for item in queue.all().await?.into_iter().filter(is_open) {
                queue.reopen(&item.bundle_id).await?;
                let enrolment = if item.is_collector { Some(enrolment::load(&settings()?)?) } else { None };
                let item = send(&queue, &folder, enrolment, &item.bundle_id, |_| false).await?;
                if done(&item) != Done::Fine {
                    worst = Done::No;
                }
            }
        }
        let items = queue.all().await?;
        if arguments.json {
            print(&serde_json::to_string_pretty(&items.iter().map(row).collect::<Vec<_>>())?)?;
            return Ok(worst);
        }
        if items.is_empty() {
            say("nothing was uploaded yet: praxis approve FILE, then praxis upload FILE");
        }
        for item in &items {
            let percent = item.sent * 100 / item.bytes.max(1);
            let reason = item.reason.as_deref().map(printable).unwrap_or_default();
            let (state, size, path) = (item.state.name(), size_text(item.bytes), item.path.display());
            print(&format!("{state:<9} {percent:>3} % {size:>9}  {path}  {reason}"))?;
        }
        Ok(worst)
    })
}

/// Sends one upload and shows how far it is; Ctrl-C leaves it for later.
async fn send(
    queue: &Queue,
    folder: &Path,
    enrolment: Option<Enrolment>,
    bundle_id: &str,
    is_enough: impl Fn(State) -> bool,
) -> Result<Item> {
    let uploader = Uploader::new(queue.clone(), folder, enrolment, Tuning::default());
    let stop = CancellationToken::new();
    let mut progress = uploader.progress();
    let shown = tokio::spawn(async move {
        let mut said = None;
        while progress.changed().await.is_ok() {
            let Some(item) = progress.borrow_and_update().clone() else { continue };
            show_status(&status_line(&item));
            if item.reason.is_some() && item.reason != said && !item.state.is_final() {
                let why = printable(item.reason.as_deref().unwrap_or_default());
                say(&format!("waiting for {}: {why}; it goes on by itself", printable(&item.server)));
            }
            said = item.reason;
        }
    });
    let item = {
        let sending = uploader.send(bundle_id, is_enough, &stop);
        tokio::pin!(sending);
        tokio::select! {
            item = &mut sending => item,
            _ = tokio::signal::ctrl_c() => {
                stop.cancel();
                sending.await
            }
        }
    };
    // Ends the progress display.
    drop(uploader);
    let _ = shown.await;
    show_status("");
    Ok(item?)
}

fn status_line(item: &Item) -> String {
    let percent = item.sent * 100 / item.bytes.max(1);
    format!("{} {percent} %  {} of {}", item.state.name(), size_text(item.sent), size_text(item.bytes))
}

fn say_state(item: &Item) {
    let reason = item.reason.as_deref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
    match item.state {
        State::Verified => {
            say("verified: the collector has checked every byte; the copy here may be deleted");
        }
        State::Complete => say("complete: every byte is at the server, which does not check bundles"),
        State::Received => say(
            "received: every byte is at the collector, which checks it now; praxis uploads --resume tells",
        ),
        State::Rejected => say(&format!("rejected{reason}; the recording here is kept")),
        State::Blocked => say(&format!("not sent{reason}; the recording here is kept")),
        State::Queued | State::Sending => say("stopped: praxis uploads --resume goes on where it is"),
    }
    // Whoever reads stdout wants the state alone.
    let _ = print(item.state.name());
}

fn done(item: &Item) -> Done {
    match item.state {
        State::Verified | State::Complete | State::Received => Done::Fine,
        _ => Done::No,
    }
}

fn row(item: &Item) -> Value {
    json!({
        "bundle_id": item.bundle_id,
        "path": item.path,
        "state": item.state,
        "reason": item.reason,
        "bytes": item.bytes,
        "sent": item.sent,
        "sha256": item.sha256,
        "server": item.server,
    })
}

fn settings() -> Result<std::path::PathBuf> {
    settings_folder().with_context(|| format!("{NO_SETTINGS_FOLDER}: there is no place for the enrolment"))
}

fn queue_folder() -> Result<std::path::PathBuf> {
    data_folder().with_context(|| format!("{NO_DATA_FOLDER}: there is no place for the queue of uploads"))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}
