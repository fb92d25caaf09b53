//! The writer thread: moves messages from the queues into the live file, and says each second how everything is.
//!
//! A chunk every 250 ms; a second thread syncs the file each second, so a slow disk does not hold up the writing.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use praxis_bundle::manifest::EndReason;
use praxis_bundle::messages::{ClockMessage, HealthMessage, Life, TrackHealth};
use praxis_bundle::{Ending, Error, LiveWriter, Manifest, Track, file};

use super::feeds::Peak;
use super::{Context, Notice, RecordError};
use crate::clock::SessionClock;
use crate::queue::Queues;

/// Reserve on the disk unless told otherwise: a minute of the busiest screen.
pub const DEFAULT_RESERVE_BYTES: u64 = 64 << 20;
/// Room beyond the reserve without which a recording does not begin: a first minute.
pub const FIRST_MINUTE_BYTES: u64 = 16 << 20;
const CHUNK_NANOS: u64 = 250_000_000;
const SECOND_NANOS: u64 = 1_000_000_000;

/// The live file, its header written and synced.
pub(super) struct LiveFile {
    writer: LiveWriter<File>,
    /// The same file, for syncing and for the room on its disk.
    handle: File,
    reserve_bytes: u64,
}

/// Makes the live file in a folder, which is made too if need be.
pub(super) fn create(
    folder: &Path,
    path: &Path,
    manifest: &Manifest,
    tracks: &[Track],
    reserve_bytes: u64,
) -> Result<LiveFile, RecordError> {
    let failed = |doing: String| move |source: std::io::Error| RecordError::Folder { doing, source };
    let cannot = || failed(format!("cannot write into {}", folder.display()));
    std::fs::create_dir_all(folder).map_err(cannot())?;
    let handle = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).map_err(cannot())?;
    let made = || -> Result<LiveFile, RecordError> {
        let free = free_bytes(&handle).map_err(cannot())?;
        let needed = reserve_bytes.saturating_add(FIRST_MINUTE_BYTES);
        if free < needed {
            let folder = folder.display().to_string();
            return Err(RecordError::DiskFull { free_mib: free >> 20, needed_mib: needed >> 20, folder });
        }
        // Held while recording: a live file that nobody holds was interrupted.
        handle.try_lock().map_err(|error| cannot()(error.into()))?;
        let out = handle.try_clone().map_err(cannot())?;
        let writer = LiveWriter::new(out, manifest, tracks)
            .map_err(|source| RecordError::Writer { path: path.display().to_string(), source })?;
        handle.sync_all().map_err(cannot())?;
        // A folder that cannot be synced (some network disks) is no reason not to record.
        let _ = file::sync_folder_of(path);
        Ok(LiveFile { writer, handle: handle.try_clone().map_err(cannot())?, reserve_bytes })
    };
    made().inspect_err(|_| drop(std::fs::remove_file(path)))
}

fn free_bytes(file: &File) -> std::io::Result<u64> {
    let stat = rustix::fs::fstatvfs(file)?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// The writer thread of a session.
pub(super) struct Writer {
    /// Bytes in the live file.
    pub(super) bytes: Arc<AtomicU64>,
    queues: Queues,
    clock: SessionClock,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<LiveFile, Error>>>,
}

impl Writer {
    /// Writes and syncs what already waits, then goes on in a thread.
    pub(super) fn start(
        live: LiveFile,
        context: Context,
        recorded: Vec<Track>,
        missed_damage: Arc<AtomicU64>,
        peak: Peak,
    ) -> Result<Self, Error> {
        let (bytes, is_ending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (queues, clock) = (context.queues.clone(), context.clock.clone());
        let mut work = Work {
            live,
            context,
            recorded,
            missed_damage,
            peak,
            bytes: bytes.clone(),
            lost: Vec::new(),
            is_full: false,
        };
        work.chunk()?;
        work.second()?;
        work.live.handle.sync_data().map_err(io_error)?;
        let ending = is_ending.clone();
        let thread = spawn(move || work.run(&ending));
        Ok(Self { bytes, queues, clock, is_ending, thread: Some(thread) })
    }

    /// Writes and syncs what still waits.
    pub(super) fn end(&mut self) -> Result<EndedFile, Error> {
        self.is_ending.store(true, Ordering::SeqCst);
        self.queues.wake();
        let thread = self.thread.take().ok_or(Error::WriterFailed)?;
        let live = thread.join().map_err(|_| Error::WriterFailed)??;
        live.handle.sync_data().map_err(io_error)?;
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
    /// Ends the file and syncs it. Returns its length; `None` if another file is at its path by now, or none.
    pub(super) fn complete(self, path: &Path, ending: &Ending) -> Result<Option<u64>, Error> {
        let file = self.live.writer.end(ending)?;
        file.sync_all().map_err(io_error)?;
        let ours = file.metadata().map_err(io_error)?;
        let is_there =
            std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        Ok(is_there.then_some(ours.len()))
    }
}

fn io_error(source: std::io::Error) -> Error {
    Error::Io { doing: "syncing the bundle".into(), source }
}

struct Work {
    live: LiveFile,
    context: Context,
    recorded: Vec<Track>,
    missed_damage: Arc<AtomicU64>,
    peak: Peak,
    bytes: Arc<AtomicU64>,
    /// Tracks already reported without life.
    lost: Vec<Track>,
    is_full: bool,
}

impl Work {
    fn run(mut self, is_ending: &AtomicBool) -> Result<LiveFile, Error> {
        let result = self.work(is_ending);
        if let Err(error) = &result {
            tracing::error!(%error, "the bundle cannot be written");
            let _ = self.context.notices.send(Notice::MustStop(
                EndReason::DiskFull,
                format!("the recording cannot be written: {error}"),
            ));
        }
        result.map(|()| self.live)
    }

    fn work(&mut self, is_ending: &AtomicBool) -> Result<(), Error> {
        let (sync, syncer) = start_syncer(&self.live.handle)?;
        let clock = self.context.clock.clone();
        let mut next_chunk = clock.now_nanos() + CHUNK_NANOS;
        let mut next_second = clock.now_nanos() + SECOND_NANOS;
        while !is_ending.load(Ordering::SeqCst) {
            let wait = next_chunk.saturating_sub(clock.now_nanos());
            self.context.queues.wait(Duration::from_nanos(wait));
            self.chunk()?;
            let now = clock.now_nanos();
            if now >= next_chunk {
                next_chunk = now + CHUNK_NANOS;
            }
            if now >= next_second {
                next_second = now + SECOND_NANOS;
                self.second()?;
                // Full means that the sync before is still going on.
                let _ = sync.try_send(());
                if syncer.is_finished() {
                    break;
                }
            }
        }
        drop(sync);
        syncer.join().map_err(|_| Error::WriterFailed)??;
        self.second()?;
        self.chunk()
    }

    /// Moves what waits into one chunk of the file.
    fn chunk(&mut self) -> Result<(), Error> {
        for waiting in self.context.queues.drain() {
            self.live.writer.push(waiting.channel, waiting.nanos, &waiting.data)?;
        }
        self.live.writer.close_chunk()?;
        self.bytes.store(self.live.writer.bytes_written(), Ordering::Relaxed);
        Ok(())
    }

    /// Clock and health messages, and a look at life and disk.
    fn second(&mut self) -> Result<(), Error> {
        let Context { clock, queues, notices } = &self.context;
        let now = clock.now_nanos();
        let time = clock.time();
        let (wall_nanos, monotonic_nanos) = (time.wall_nanos(), time.monotonic_nanos());
        queues.send_json(Track::Clock, now, &ClockMessage::System { wall_nanos, monotonic_nanos });
        let free = free_bytes(&self.live.handle).map_err(io_error)?;
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
        if free < self.live.reserve_bytes && !self.is_full {
            self.is_full = true;
            let why =
                format!("only {} MiB are free on the disk: the recording ends before it is full", free >> 20);
            let _ = notices.send(Notice::MustStop(EndReason::DiskFull, why));
        }
        let message = HealthMessage {
            tracks,
            narration_peak_dbfs: self.peak.take_since_second(),
            disk_free_bytes: free,
            missed_damage: self.missed_damage.load(Ordering::Relaxed),
        };
        queues.send_json(Track::Health, now, &message);
        Ok(())
    }
}

/// A thread that syncs the file whenever it is asked to, until the sender is dropped or a sync fails.
fn start_syncer(file: &File) -> Result<(SyncSender<()>, JoinHandle<Result<(), Error>>), Error> {
    let file = file.try_clone().map_err(io_error)?;
    let (sync, asked) = sync_channel(1);
    let thread = spawn(move || {
        while asked.recv().is_ok() {
            file.sync_data().map_err(io_error)?;
        }
        Ok(())
    });
    Ok((sync, thread))
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
