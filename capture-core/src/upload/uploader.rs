//! Works through the queue: announce, ask for the offset, send chunk after chunk, wait for the verdict.
//!
//! Each step is repeated with growing, jittered pauses until it works. Only an answer that no waiting will change
//! (the server refuses, the file has changed) stops an upload, and says what a person has to do.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use praxis_bundle::scan::Bytes as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::approval::approval_of;
use super::client::{Announced, Server, chain};
use super::{Approval, Enrolment, Item, Queue, Result, State, UploadError};

/// Damaged chunks in a row after which the file here is looked at.
const MAX_DAMAGED: u32 = 3;

/// Sizes and times of uploads.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Bytes per request.
    pub chunk_bytes: u64,
    /// Slowest network on which a chunk still gets through: bytes per second.
    pub least_bytes_per_second: u64,
    /// Longest wait for an answer, beyond the time that a chunk takes on the slowest network.
    pub answer_within: Duration,
    /// First pause after a failure.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// An upload that has failed and makes no progress for so long lets the next one have its turn.
    pub turn: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            chunk_bytes: 8 << 20,
            least_bytes_per_second: 64 << 10,
            answer_within: Duration::from_secs(30),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(60),
            turn: Duration::from_secs(20),
        }
    }
}

/// Sends what is queued. One at a time per user: a second one waits.
pub struct Uploader {
    queue: Queue,
    folder: PathBuf,
    enrolment: Option<Enrolment>,
    tuning: Tuning,
    progress: watch::Sender<Option<Item>>,
}

impl Uploader {
    /// An uploader of the queue in a folder; without an enrolment it can send to plain tus servers only.
    #[must_use]
    pub fn new(queue: Queue, folder: &Path, enrolment: Option<Enrolment>, tuning: Tuning) -> Self {
        Self { queue, folder: folder.to_owned(), enrolment, tuning, progress: watch::Sender::new(None) }
    }

    /// The upload that is worked on, each time something of it changes.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Option<Item>> {
        self.progress.subscribe()
    }

    /// Sends one upload until there is nothing left to do for it, or `is_enough` says so, or `stop`.
    ///
    /// # Errors
    /// `Queue`, `Io`; what goes wrong with the upload itself is in its state.
    pub async fn send(
        &self,
        bundle_id: &str,
        is_enough: impl Fn(State) -> bool,
        stop: &CancellationToken,
    ) -> Result<Item> {
        let mut item = self.queue.get(bundle_id).await?;
        let Some(_turn) = self.turn(&mut item, stop).await? else { return Ok(item) };
        item.reason = None;
        if item.state.is_final() {
            return Ok(item);
        }
        let approval = match approval_of(&item.path) {
            Ok((approval, _)) => approval,
            Err(why) => {
                (item.state, item.reason) = (State::Blocked, Some(chain(&why)));
                self.store(&item).await?;
                return Ok(item);
            }
        };
        let mut pauses = self.pauses();
        let mut num_damaged = 0;
        while !item.state.is_final() && !is_enough(item.state) && !stop.is_cancelled() {
            let before = (item.sent, item.state);
            let step = tokio::select! {
                () = stop.cancelled() => break,
                step = self.step(&mut item, &approval, &is_enough, &mut num_damaged) => step,
            };
            if (item.sent, item.state) != before {
                pauses = self.pauses();
            }
            let pause = match step {
                Ok(()) => Duration::ZERO,
                Err(error) => self.pause_after(&mut item, error, &mut num_damaged, &mut pauses)?,
            };
            self.store(&item).await?;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(item)
    }

    fn pauses(&self) -> ExponentialBackoff {
        let pauses = ExponentialBuilder::default().with_min_delay(self.tuning.first_pause);
        pauses.with_max_delay(self.tuning.longest_pause).without_max_times().with_jitter().build()
    }

    /// Waits until no other process of this user uploads.
    async fn turn(&self, item: &mut Item, stop: &CancellationToken) -> Result<Option<File>> {
        let path = self.folder.join("uploads.lock");
        let doing = || UploadError::io(format!("opening {}", path.display()));
        let lock = File::create(&path).map_err(doing())?;
        while lock.try_lock().is_err() {
            item.reason = Some("another upload of yours is running".into());
            self.progress.send_replace(Some(item.clone()));
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(self.tuning.first_pause) => {}
            }
        }
        Ok(Some(lock))
    }

    async fn store(&self, item: &Item) -> Result<()> {
        self.queue.save(item).await?;
        self.progress.send_replace(Some(item.clone()));
        Ok(())
    }

    /// What a failure means: a pause, as long as the server asked or as we think, or that a person has to act.
    fn pause_after(
        &self,
        item: &mut Item,
        error: UploadError,
        num_damaged: &mut u32,
        pauses: &mut ExponentialBackoff,
    ) -> Result<Duration> {
        let pause = pauses.next().unwrap_or(self.tuning.longest_pause);
        match error {
            UploadError::Elsewhere => {}
            // Announced or made anew; a collector then tells what it has.
            UploadError::Gone => item.upload_url = None,
            UploadError::Damaged => {
                *num_damaged += 1;
                if (*num_damaged).is_multiple_of(MAX_DAMAGED)
                    && let Err(why) = approval_of(&item.path)
                {
                    (item.state, item.reason) = (State::Blocked, Some(chain(&why)));
                }
            }
            UploadError::Later { why, after_seconds } => {
                item.reason = Some(why);
                return Ok(after_seconds.map_or(pause, Duration::from_secs));
            }
            UploadError::Queue(error) => return Err(error.into()),
            refusal => {
                let is_unknown =
                    matches!(&refusal, UploadError::Refused { code, .. } if code == "unauthorized");
                let what_to_do = if is_unknown { ": enrol this computer again" } else { "" };
                (item.state, item.reason) =
                    (State::Blocked, Some(format!("{}{what_to_do}", chain(&refusal))));
            }
        }
        Ok(pause)
    }

    /// From whatever state the upload is in to the next.
    async fn step(
        &self,
        item: &mut Item,
        approval: &Approval,
        is_enough: &impl Fn(State) -> bool,
        num_damaged: &mut u32,
    ) -> Result<()> {
        if item.is_collector {
            let enrolment = self.enrolment.as_ref().filter(|enrolment| enrolment.collector == item.server);
            let enrolment = enrolment.ok_or_else(|| {
                UploadError::NotEnrolled(format!(
                    "this computer is not enrolled at {}: enrol it there with a code from the project lead",
                    item.server
                ))
            })?;
            let server = Server::new(Some(enrolment.token().await?), self.tuning.answer_within)?;
            return self.to_collector(item, &server, approval, is_enough, num_damaged).await;
        }
        let server = Server::new(None, self.tuning.answer_within)?;
        let has_checksum = server.has_checksums(item).await?;
        if item.upload_url.is_none() {
            item.upload_url = Some(server.create(item).await?);
            item.sent = 0;
            self.store(item).await?;
        }
        self.send_bytes(item, &server, has_checksum, num_damaged).await?;
        item.state = State::Complete;
        Ok(())
    }

    async fn to_collector(
        &self,
        item: &mut Item,
        server: &Server,
        approval: &Approval,
        is_enough: &impl Fn(State) -> bool,
        num_damaged: &mut u32,
    ) -> Result<()> {
        let mut pauses = self.pauses();
        loop {
            let announced = server.announce(item, approval).await?;
            self.take_over(item, &announced);
            self.store(item).await?;
            match announced.state.as_str() {
                "created" | "receiving" => self.send_bytes(item, server, true, num_damaged).await?,
                _ if item.state.is_final() || is_enough(item.state) => return Ok(()),
                // It is being checked: a small bundle takes no longer than a look.
                _ => tokio::time::sleep(pauses.next().unwrap_or(self.tuning.longest_pause)).await,
            }
        }
    }

    /// Makes the item what the collector says it is.
    fn take_over(&self, item: &mut Item, announced: &Announced) {
        item.upload_url = Some(announced.upload_url.clone());
        item.sent = announced.offset;
        item.reason = announced.reason.clone();
        item.state = match announced.state.as_str() {
            "created" | "receiving" => State::Sending,
            "verified" => State::Verified,
            "rejected" => State::Rejected,
            _ => State::Received,
        };
    }

    /// Sends what the server does not have yet.
    async fn send_bytes(
        &self,
        item: &mut Item,
        server: &Server,
        has_checksum: bool,
        num_damaged: &mut u32,
    ) -> Result<()> {
        let Some(upload_url) = item.upload_url.clone() else { return Err(UploadError::Gone) };
        let shown = item.path.display().to_string();
        let file = File::open(&item.path).map_err(UploadError::io(format!("opening {shown}")))?;
        item.sent = server.offset(&upload_url).await?;
        item.state = State::Sending;
        while item.sent < item.bytes {
            self.store(item).await?;
            let length = self.tuning.chunk_bytes.min(item.bytes - item.sent);
            if item.sent + length == item.bytes {
                // What is completed by the last chunk must be what was approved.
                approval_of(&item.path)?;
            }
            let mut chunk = vec![0; length as usize];
            file.fill(item.sent, &mut chunk).map_err(UploadError::io(format!("reading {shown}")))?;
            let seconds = length as f64 / self.tuning.least_bytes_per_second as f64;
            let within = self.tuning.answer_within + Duration::from_secs_f64(seconds);
            let at = server.chunk(&upload_url, item.sent, chunk, has_checksum, within).await?;
            if at != item.sent + length {
                return Err(UploadError::Elsewhere);
            }
            *num_damaged = 0;
            (item.sent, item.reason) = (at, None);
        }
        Ok(())
    }
}
