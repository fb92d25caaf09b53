//! One recording as a person sees it: begins, pauses, is marked, stops, gets its outcome, is sealed.
//!
//! | phase | means |
//! |---|---|
//! | idle | nothing is recorded |
//! | starting | sources are being opened |
//! | live | recording, or paused |
//! | stopped | nothing is recorded any more; the outcome is asked for |
//! | sealing | the file is being made ready |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;
use std::time::Duration;

use praxis_bundle::manifest::{EndReason, Outcome};
use praxis_bundle::messages::TrackHealth;
use praxis_bundle::storage::Disk;

use super::StudioError;
use crate::clock::SharedTime;
use crate::library;
use crate::recorder::{Notice, Plan, Recorder, Stopped};

/// How often notices are looked at, whether or not somebody watches.
const LOOK: Duration = Duration::from_millis(100);
/// Notices that are kept to be shown.
const MAX_NOTICES: usize = 20;

/// Where a recording is, for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Sources are being opened.
    Starting,
    /// Everything is recorded.
    Recording,
    /// Nothing is recorded, and a gap says so.
    Paused,
    /// Nothing is recorded any more; the outcome is asked for.
    Stopped,
    /// The file is being made ready.
    Sealing,
}

/// Something the person should know, with its session time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Session time.
    pub at_nanos: u64,
    /// Whether something is not recorded any more.
    pub is_loss: bool,
    /// The sentence.
    pub text: String,
}

/// How a recording is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Where it is.
    pub phase: Phase,
    /// Session time.
    pub elapsed_nanos: u64,
    /// How long the present pause lasts.
    pub paused_nanos: u64,
    /// Bytes in the live file.
    pub bytes: u64,
    /// Its tracks.
    pub tracks: Vec<TrackHealth>,
    /// Loudest sample since the last look, in dBFS.
    pub peak_dbfs: Option<f32>,
    /// Markers so far.
    pub num_markers: u32,
    /// Session time of the newest one.
    pub newest_marker_nanos: Option<u64>,
    /// What was said, in order.
    pub said: Vec<Said>,
    /// Why it ended by itself.
    pub ended_because: Option<String>,
    /// How far sealing is, from 0 to 1.
    pub sealed_part: f64,
}

impl Progress {
    fn begin() -> Self {
        Self {
            phase: Phase::Starting,
            elapsed_nanos: 0,
            paused_nanos: 0,
            bytes: 0,
            tracks: Vec::new(),
            peak_dbfs: None,
            num_markers: 0,
            newest_marker_nanos: None,
            said: Vec::new(),
            ended_because: None,
            sealed_part: 0.0,
        }
    }
}

enum Stage {
    Idle,
    Starting,
    Live(Box<Recorder>),
    /// With its file, unless that could not be written to the end.
    Stopped(Option<Box<Stopped>>, EndReason),
    Sealing,
}

struct Inner {
    stage: Stage,
    progress: Progress,
    /// Session time of the present pause.
    paused_at_nanos: Option<u64>,
}

/// The one recording that a program makes at a time.
#[derive(Clone)]
pub struct Take(Arc<Mutex<Inner>>);

impl Default for Take {
    fn default() -> Self {
        let inner = Inner { stage: Stage::Idle, progress: Progress::begin(), paused_at_nanos: None };
        Self(Arc::new(Mutex::new(inner)))
    }
}

impl Take {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts recording; returns when it has begun.
    ///
    /// # Errors
    /// `NotNow` if there is a recording already; else why `plan` or the recorder failed, and nothing has begun.
    pub fn start(
        &self,
        time: SharedTime,
        plan: impl FnOnce() -> Result<Plan, StudioError>,
    ) -> Result<(), StudioError> {
        {
            let mut inner = self.lock();
            if !matches!(inner.stage, Stage::Idle) {
                return Err(StudioError::NotNow("a recording is going on already".into()));
            }
            *inner = Inner { stage: Stage::Starting, progress: Progress::begin(), paused_at_nanos: None };
        }
        let started = plan().and_then(|plan| Ok(Recorder::start(time, plan)?));
        let mut inner = self.lock();
        match started {
            Ok(recorder) => inner.stage = Stage::Live(Box::new(recorder)),
            Err(error) => {
                inner.stage = Stage::Idle;
                return Err(error);
            }
        }
        drop(inner);
        let this = self.clone();
        spawn(move || {
            while this.look() {
                std::thread::sleep(LOOK);
            }
        });
        Ok(())
    }

    /// Hears what the recorder says, and stops when it must. False when there is nothing left to watch.
    fn look(&self) -> bool {
        let mut inner = self.lock();
        let Stage::Live(recorder) = &inner.stage else { return false };
        let at_nanos = recorder.elapsed_nanos();
        let notices: Vec<Notice> = recorder.notices.try_iter().collect();
        for notice in notices {
            let (is_loss, text) = match notice {
                Notice::Warning(text) => (false, text),
                Notice::Lost(text) => (true, text),
                Notice::MustStop(reason, why) => {
                    inner.stop(reason);
                    inner.progress.ended_because.get_or_insert(why);
                    return false;
                }
            };
            let said = &mut inner.progress.said;
            said.push(Said { at_nanos, is_loss, text });
            if said.len() > MAX_NOTICES {
                said.remove(0);
            }
        }
        true
    }

    /// How it is; `None` if nothing is recorded.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let mut inner = self.lock();
        inner.refresh();
        let phase = match &inner.stage {
            Stage::Idle => return None,
            Stage::Starting => Phase::Starting,
            Stage::Live(_) if inner.paused_at_nanos.is_some() => Phase::Paused,
            Stage::Live(_) => Phase::Recording,
            Stage::Stopped(..) => Phase::Stopped,
            Stage::Sealing => Phase::Sealing,
        };
        Some(Progress { phase, ..inner.progress.clone() })
    }

    /// Pauses. False if it is not being recorded.
    pub fn pause(&self) -> bool {
        let mut inner = self.lock();
        let Stage::Live(recorder) = &inner.stage else { return false };
        let (is_paused, paused_at) = (recorder.pause(), recorder.elapsed_nanos());
        if is_paused {
            inner.paused_at_nanos = Some(paused_at);
        }
        is_paused
    }

    /// Goes on after a pause. False if it is not paused.
    pub fn resume(&self) -> bool {
        let mut inner = self.lock();
        let is_resumed = matches!(&inner.stage, Stage::Live(recorder) if recorder.resume());
        if is_resumed {
            inner.paused_at_nanos = None;
        }
        is_resumed
    }

    /// Marks this instant. False if nothing is recorded.
    pub fn mark(&self) -> bool {
        let mut inner = self.lock();
        let Stage::Live(recorder) = &inner.stage else { return false };
        let nanos = recorder.mark("");
        inner.progress.num_markers += 1;
        inner.progress.newest_marker_nanos = Some(nanos);
        true
    }

    /// Names the newest marker. False if there is none.
    pub fn label_marker(&self, label: &str) -> bool {
        let inner = self.lock();
        let (Stage::Live(recorder), Some(nanos)) = (&inner.stage, inner.progress.newest_marker_nanos) else {
            return false;
        };
        recorder.label_marker(nanos, label);
        true
    }

    /// Ends the recording; how it went can be said afterwards. False if nothing is recorded.
    pub fn stop(&self) -> bool {
        let mut inner = self.lock();
        let is_live = matches!(inner.stage, Stage::Live(_));
        if is_live {
            inner.stop(EndReason::Stopped);
        }
        is_live
    }

    /// Says how it went and seals it on a thread of its own, after which `sealed` is told how that went.
    ///
    /// # Errors
    /// `NotNow` if it was not stopped; as completing the file fails: what was recorded is in it all the same.
    pub fn finish(
        &self,
        outcome: Option<Outcome>,
        note: Option<String>,
        sealed: impl FnOnce(praxis_bundle::Result<library::Sealed>) + Send + 'static,
    ) -> Result<(), StudioError> {
        let mut inner = self.lock();
        let (stopped, reason) = match std::mem::replace(&mut inner.stage, Stage::Sealing) {
            Stage::Stopped(stopped, reason) => (stopped, reason),
            other => {
                inner.stage = other;
                return Err(StudioError::NotNow("there is no recording to keep".into()));
            }
        };
        // Without a file there is nothing to seal here: it is recovered as any interrupted session is.
        let completed = stopped.map(|stopped| stopped.finish(reason, outcome, note)).transpose();
        let path = match completed {
            Ok(Some(recorded)) => recorded.path,
            Ok(None) => {
                inner.stage = Stage::Idle;
                return Ok(());
            }
            Err(error) => {
                inner.stage = Stage::Idle;
                return Err(error.into());
            }
        };
        drop(inner);
        let this = self.clone();
        spawn(move || {
            let progress = |part| this.lock().progress.sealed_part = part;
            let result = library::seal_on(&Disk, &path, &progress);
            this.lock().stage = Stage::Idle;
            sealed(result);
        });
        Ok(())
    }

    /// Ends whatever goes on, because the program ends. A recording is complete then; it is sealed the next time.
    pub fn close(&self) {
        self.stop();
        let mut inner = self.lock();
        if let Stage::Stopped(Some(stopped), reason) = std::mem::replace(&mut inner.stage, Stage::Idle)
            && let Err(error) = stopped.finish(reason, None, None)
        {
            tracing::error!(%error, "the recording could not be completed; it is recovered the next time");
        }
    }
}

impl Inner {
    fn refresh(&mut self) {
        if let Stage::Live(recorder) = &self.stage {
            let status = recorder.status();
            let progress = &mut self.progress;
            progress.elapsed_nanos = status.elapsed_nanos;
            progress.bytes = status.bytes;
            progress.tracks = status.tracks;
            progress.peak_dbfs = status.peak_dbfs;
            let paused_at = self.paused_at_nanos.unwrap_or(status.elapsed_nanos);
            progress.paused_nanos = status.elapsed_nanos.saturating_sub(paused_at);
        }
    }

    fn stop(&mut self, reason: EndReason) {
        self.refresh();
        let Stage::Live(recorder) = std::mem::replace(&mut self.stage, Stage::Sealing) else { return };
        let stopped = recorder.cease();
        (self.progress.peak_dbfs, self.paused_at_nanos) = (None, None);
        self.stage = match stopped {
            Ok(stopped) => {
                self.progress.elapsed_nanos = stopped.length_nanos();
                Stage::Stopped(Some(Box::new(stopped)), reason)
            }
            Err(error) => {
                self.progress.ended_because = Some(error.to_string());
                Stage::Stopped(None, reason)
            }
        };
    }
}
