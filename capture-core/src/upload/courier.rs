//! Works off the queue as long as the program runs: one upload at a time, the next one's turn when one cannot go on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Item, Queue, Result, State, Tuning, Uploader, client, enrolment};

/// Without anything to send, the queue is looked at so often: another program may add to it.
const LOOK: Duration = Duration::from_secs(5);
/// How often a collector is asked whether it is there.
const ASK: Duration = Duration::from_secs(5);

/// How quickly an upload goes.
#[derive(Debug, Clone, Copy)]
struct Pace {
    sent: u64,
    at: Instant,
    bytes_per_second: Option<f64>,
}

/// Sends whatever is in the queue.
pub struct Courier {
    queue: Queue,
    folder: PathBuf,
    settings_folder: PathBuf,
    tuning: Tuning,
    wake: Notify,
    paces: Mutex<HashMap<String, Pace>>,
    is_reached: Mutex<Option<(String, bool)>>,
}

impl Courier {
    /// For the queue in a folder, and the enrolment in the folder of settings, which may change at any time.
    ///
    /// # Errors
    /// `Io` or `Queue` if the queue cannot be opened.
    pub async fn open(folder: &Path, settings_folder: &Path, tuning: Tuning) -> Result<Self> {
        Ok(Self {
            queue: Queue::open(folder).await?,
            folder: folder.to_owned(),
            settings_folder: settings_folder.to_owned(),
            tuning,
            wake: Notify::new(),
            paces: Mutex::default(),
            is_reached: Mutex::default(),
        })
    }

    /// The queue. After a change to it, [`Self::wake`].
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Says that there is something new to do, or that what kept an upload waiting may have passed.
    pub fn wake(&self) {
        self.wake.notify_waiters();
    }

    /// Bytes per second of an upload on its way, once that is known.
    #[must_use]
    pub fn bytes_per_second(&self, bundle_id: &str) -> Option<f64> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner).get(bundle_id)?.bytes_per_second
    }

    /// Whether the collector at this address answered when it was last asked; `None` if it was not.
    #[must_use]
    pub fn is_reached(&self, collector: &str) -> Option<bool> {
        let known = self.is_reached.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(asked, _)| asked == collector).map(|(_, is_reached)| *is_reached)
    }

    /// Works until `stop`. A database that fails is tried again.
    pub async fn run(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.ask_for_collector() => {}
            () = async {
                loop {
                    if let Err(error) = self.round(stop).await {
                        tracing::error!(error = client::chain(&error), "the queue of uploads failed");
                        tokio::time::sleep(LOOK).await;
                    }
                }
            } => {}
        }
    }

    /// One turn for each upload that is open, or a wait for one.
    async fn round(&self, stop: &CancellationToken) -> Result<()> {
        let open: Vec<Item> =
            self.queue.all().await?.into_iter().filter(|item| !item.state.is_final()).collect();
        if open.is_empty() {
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        for item in open {
            self.turn(&item, stop).await?;
        }
        Ok(())
    }

    /// Sends one upload until it is done, or until it has made no progress for a while.
    async fn turn(&self, item: &Item, stop: &CancellationToken) -> Result<()> {
        let enrolment = enrolment::load(&self.settings_folder).ok();
        let uploader = Uploader::new(self.queue.clone(), &self.folder, enrolment, self.tuning);
        let mut progress = uploader.progress();
        let its_turn = stop.child_token();
        let sending = uploader.send(&item.bundle_id, |_| false, &its_turn);
        tokio::pin!(sending);
        let (mut before, mut since, mut is_waiting) = (None, Instant::now(), false);
        loop {
            tokio::select! {
                sent = &mut sending => {
                    let sent = sent?;
                    if sent.state != State::Sending {
                        self.paces.lock().unwrap_or_else(PoisonError::into_inner).remove(&item.bundle_id);
                    }
                    return Ok(());
                }
                // Something may have passed that kept it waiting: it begins anew, without a pause.
                () = self.wake.notified() => {
                    if is_waiting {
                        its_turn.cancel();
                    }
                }
                changed = progress.changed() => {
                    let now = changed.ok().and_then(|()| progress.borrow_and_update().clone());
                    is_waiting = now.as_ref().is_some_and(|now| now.reason.is_some());
                    if let Some(now) = now && before != Some((now.sent, now.state)) {
                        (before, since) = (Some((now.sent, now.state)), Instant::now());
                        self.note(&now);
                    }
                }
                () = tokio::time::sleep(self.tuning.turn.saturating_sub(since.elapsed())) => {
                    // A chunk on a slow network takes longer than a turn: only one that has failed gives way.
                    if is_waiting {
                        its_turn.cancel();
                    }
                    since = Instant::now();
                }
            }
            if its_turn.is_cancelled() {
                sending.await?;
                return Ok(());
            }
        }
    }

    fn note(&self, item: &Item) {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Pace { sent: item.sent, at: Instant::now(), bytes_per_second: None };
        let Some(before) = paces.insert(item.bundle_id.clone(), now) else { return };
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        if item.sent > before.sent && seconds > 0.0 {
            let fresh = (item.sent - before.sent) as f64 / seconds;
            // Half of it is older: steady to look at, and soon right after a change.
            let bytes_per_second = before.bytes_per_second.map_or(fresh, |old| f64::midpoint(old, fresh));
            paces.insert(item.bundle_id.clone(), Pace { bytes_per_second: Some(bytes_per_second), ..now });
        } else {
            paces.insert(item.bundle_id.clone(), Pace { at: now.at, sent: item.sent, ..before });
        }
    }

    async fn ask_for_collector(&self) {
        loop {
            let enrolment = enrolment::load(&self.settings_folder).ok();
            if let Some(enrolment) = enrolment {
                let is_reached = client::is_reachable(&enrolment.collector).await;
                let known = (enrolment.collector, is_reached);
                *self.is_reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(ASK) => {}
            }
        }
    }
}
