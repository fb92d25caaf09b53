//! The writer thread: moves messages from the queues into the live file, and says each second how everything is.
//!
//! A chunk every 250 ms; a second thread syncs the file twice a second, so a slow disk does not hold up the writing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{JoinHandle, spawn};

use praxis_bundle::manifest::EndReason;
use praxis_bundle::messages::{ClockMessage, GapReason, HealthMessage, Life, TrackHealth};
use praxis_bundle::storage::StorageFile;
use praxis_bundle::{Ending, Error, Track};

use super::feeds::Heard;
use super::live_file::{LiveFile, Schedule, sync_failed};
use super::{Context, Notice};
use crate::clock::SessionClock;
use crate::queue::Queues;

/// A machine that slept for less was only busy between two looks at its clocks.
const LEAST_SLEEP_NANOS: u64 = 200_000_000;

/// The writer thread of a session.
pub(super) struct Writer {
    /// Bytes in the live file.
    pub(super) bytes: Arc<AtomicU64>,
    queues: Queues,
    clock: SessionClock,
    is_ending: Arc<AtomicBool>,
    flushes: Sender<Sender<()>>,
    thread: Option<JoinHandle<Result<LiveFile, Error>>>,
}

/// Has the writer write and sync.
pub(super) struct Flush {
    flushes: Sender<Sender<()>>,
    queues: Queues,
}

impl Flush {
    /// Writes and syncs what waits; returns when the disk has it, or the writer has ended.
    pub(super) fn run(&self) {
        let (flushed, is_flushed) = channel();
        if self.flushes.send(flushed).is_ok() {
            self.queues.wake();
            // Dropped when it is done, or never will be.
            let _ = is_flushed.recv();
        }
    }
}

impl Writer {
    /// Writes and syncs what already waits, then goes on in a thread.
    pub(super) fn start(
        live: LiveFile,
        context: Context,
        recorded: Vec<Track>,
        missed_damage: Arc<AtomicU64>,
        heard: Heard,
    ) -> Result<Self, Error> {
        let (bytes, is_ending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (queues, clock) = (context.queues.clone(), context.clock.clone());
        let (flushes, asked_flushes) = channel();
        let mut work = Work {
            live,
            context,
            recorded,
            missed_damage,
            heard,
            asked_flushes,
            bytes: bytes.clone(),
            lost: Vec::new(),
            is_told: false,
            slept_nanos: 0,
        };
        work.slept_nanos = work.all_sleep_nanos();
        work.chunk()?;
        work.second();
        work.live.file().sync().map_err(sync_failed)?;
        let ending = is_ending.clone();
        let thread = spawn(move || work.run(&ending));
        Ok(Self { bytes, queues, clock, is_ending, flushes, thread: Some(thread) })
    }

    /// For whoever needs it to be on the disk now.
    pub(super) fn flush(&self) -> Flush {
        Flush { flushes: self.flushes.clone(), queues: self.queues.clone() }
    }

    /// Writes and syncs what still waits.
    pub(super) fn end(&mut self) -> Result<EndedFile, Error> {
        self.is_ending.store(true, Ordering::SeqCst);
        self.queues.wake();
        let thread = self.thread.take().ok_or(Error::WriterFailed)?;
        let live = thread.join().map_err(|_| Error::WriterFailed)??;
        live.file().sync().map_err(sync_failed)?;
        // After the last message: nothing in the file is later than its end.
        Ok(EndedFile { live, length_nanos: self.clock.now_nanos() })
    }
}

/// A live file with all its messages, but without an end.
pub(super) struct EndedFile {
    live: LiveFile,
    pub(super) length_nanos: u64,
}

impl EndedFile {
    /// Ends the file, as [`LiveFile::end`] does.
    pub(super) fn complete(self, path: &Path, ending: &Ending) -> Result<Option<u64>, Error> {
        self.live.end(path, ending)
    }
}

struct Work {
    live: LiveFile,
    context: Context,
    recorded: Vec<Track>,
    missed_damage: Arc<AtomicU64>,
    heard: Heard,
    asked_flushes: Receiver<Sender<()>>,
    bytes: Arc<AtomicU64>,
    /// Tracks already reported without life.
    lost: Vec<Track>,
    /// Whether it was said that there is no room.
    is_told: bool,
    /// How long the machine has slept since it was started, as far as that was noted.
    slept_nanos: u64,
}

impl Work {
    fn run(mut self, is_ending: &AtomicBool) -> Result<LiveFile, Error> {
        let result = self.work(is_ending);
        if let Err(error) = &result {
            tracing::error!(%error, "the bundle cannot be written");
            let _ = self.context.notices.send(Notice::MustStop(
                EndReason::DiskFull,
                format!("the recording cannot be written: {}", with_cause(error)),
            ));
        }
        result.map(|()| self.live)
    }

    fn work(&mut self, is_ending: &AtomicBool) -> Result<(), Error> {
        let (sync, syncer) = start_syncer(self.live.file());
        let clock = self.context.clock.clone();
        let mut schedule = Schedule::from(clock.now_nanos());
        while !is_ending.load(Ordering::SeqCst) {
            self.context.queues.wait(schedule.wait(clock.now_nanos()));
            self.note_sleep();
            // Without room for what was written last the rest stays in the queues, which are bounded and count their losses.
            let asked: Vec<_> = self.asked_flushes.try_iter().collect();
            if self.live.has_room()? {
                self.chunk()?;
            }
            if !asked.is_empty() {
                self.live.file().sync().map_err(sync_failed)?;
                drop(asked);
            }
            let due = schedule.due(clock.now_nanos());
            if due.second {
                self.second();
            }
            if due.sync {
                // Full means that the sync before is still going on.
                let _ = sync.try_send(());
                if syncer.is_finished() {
                    break;
                }
            }
        }
        drop(sync);
        syncer.join().map_err(|_| Error::WriterFailed)??;
        self.second();
        self.chunk()
    }

    /// Moves what waits into one chunk of the file.
    fn chunk(&mut self) -> Result<(), Error> {
        for waiting in self.context.queues.drain() {
            self.live.push(waiting.channel, waiting.nanos, &waiting.data)?;
        }
        self.live.close_chunk()?;
        self.bytes.store(self.live.bytes(), Ordering::Relaxed);
        self.tell_if_full();
        Ok(())
    }

    /// Ends the session when there is no room, once.
    fn tell_if_full(&mut self) {
        if !self.live.is_full() || self.is_told {
            return;
        }
        self.is_told = true;
        let free_mib = self.live.room_bytes() >> 20;
        let why = format!("only {free_mib} MiB are free on the disk: the recording ends before it is full");
        let _ = self.context.notices.send(Notice::MustStop(EndReason::DiskFull, why));
    }

    /// By how much the boot clock, which runs on in sleep, is ahead of the one that does not.
    fn all_sleep_nanos(&self) -> u64 {
        let time = self.context.clock.time();
        let boot_nanos = time.boot_nanos();
        boot_nanos.saturating_sub(time.monotonic_nanos())
    }

    /// Sleep is a gap of its own length on every track, and no silence of the sources.
    fn note_sleep(&mut self) {
        let all_nanos = self.all_sleep_nanos();
        let nanos = all_nanos.saturating_sub(self.slept_nanos);
        if nanos < LEAST_SLEEP_NANOS {
            return;
        }
        self.slept_nanos = all_nanos;
        let now = self.context.clock.now_nanos();
        self.context.queues.woke(now);
        for track in &self.recorded {
            self.context.gap(now.saturating_sub(nanos), *track, GapReason::Suspend, "");
        }
        for track in &self.recorded {
            self.context.end_gap(now, *track);
        }
        tracing::info!(nanos, "the computer has slept");
        let sentence =
            format!("the computer slept for {} s: nothing was recorded meanwhile", nanos / 1_000_000_000);
        let _ = self.context.notices.send(Notice::Warning(sentence));
    }

    /// Clock and health messages, and a look at life and disk.
    fn second(&mut self) {
        self.live.keep_room();
        self.tell_if_full();
        let Context { clock, queues, notices } = &self.context;
        let now = clock.now_nanos();
        let time = clock.time();
        let (wall_nanos, monotonic_nanos) = (time.wall_nanos(), time.monotonic_nanos());
        queues.send_json(Track::Clock, now, &ClockMessage::System { wall_nanos, monotonic_nanos });
        let tracks = health_of(queues, &self.recorded, now);
        for health in &tracks {
            let Some(track) = Track::from_name(&health.track) else { continue };
            let was_lost = self.lost.contains(&track);
            match health.life {
                Life::Lost if !was_lost => {
                    self.lost.push(track);
                    let warning = format!("{track} has shown no life for 3 seconds: it may not be recorded");
                    let _ = notices.send(Notice::Lost(warning));
                }
                Life::Alive if was_lost => {
                    self.lost.retain(|lost| *lost != track);
                    let _ = notices.send(Notice::Warning(format!("{track} is back")));
                }
                _ => {}
            }
        }
        let has_sources = tracks.iter().any(|health| health.life != Life::Unknown) || queues.is_paused();
        if !has_sources {
            let _ =
                notices.send(Notice::MustStop(EndReason::SourcesLost, "no source is left to record".into()));
        }
        let message = HealthMessage {
            tracks,
            narration_peak_dbfs: self.heard.take_since_second(),
            narration_drift_ppm: self.heard.drift_ppm(),
            disk_free_bytes: self.live.room_bytes(),
            missed_damage: self.missed_damage.load(Ordering::Relaxed),
        };
        queues.send_json(Track::Health, now, &message);
    }
}

fn with_cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// A thread that syncs the file whenever it is asked to, until the sender is dropped or a sync fails.
fn start_syncer(file: Arc<dyn StorageFile>) -> (SyncSender<()>, JoinHandle<Result<(), Error>>) {
    let (sync, asked) = sync_channel(1);
    let thread = spawn(move || {
        while asked.recv().is_ok() {
            file.sync().map_err(sync_failed)?;
        }
        Ok(())
    });
    (sync, thread)
}

/// The state of the recorded tracks as health messages say it.
pub(super) fn health_of(queues: &Queues, recorded: &[Track], now_nanos: u64) -> Vec<TrackHealth> {
    let is_paused = queues.is_paused();
    let states = queues.states().into_iter();
    let is_fed = |track: &Track| recorded.contains(track) || matches!(track, Track::Screen(_));
    states
        .filter(|(track, _)| is_fed(track))
        .map(|(track, state)| TrackHealth {
            track: track.name(),
            last_message_nanos: state.newest_nanos,
            messages: state.messages,
            drops: state.drops,
            queue_bytes: state.queue_bytes as u64,
            life: state.life(now_nanos, is_paused),
        })
        .collect()
}
