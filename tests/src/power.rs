//! Recordings on a simulated disk, and what is left of them after a power cut at any moment.
//!
//! Time is simulated as well: the real live file, its schedule and recovery run without threads, so that everything
//! follows from a seed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use praxis_bundle::finish::write_finished;
use praxis_bundle::manifest::{EndReason, Ending};
use praxis_bundle::messages::{KeyKind, KeyMessage};
use praxis_bundle::narration::{Block, encode_pcm};
use praxis_bundle::scan::{Item, messages, scan};
use praxis_bundle::screen::{Encoder, Snapshot, Times};
use praxis_bundle::storage::Storage;
use praxis_bundle::{Error, Profile, Track};
use praxis_capture_core::recorder::{DEFAULT_RESERVE_BYTES, LiveFile, RecordError, Schedule};

use crate::fixture::{key, manifest};
use crate::kills::Random;
use crate::sim_disk::SimDisk;

const MILLI: u64 = 1_000_000;
/// What was accepted longer ago may not be lost.
const LOSS_BOUND_NANOS: u64 = 1_000 * MILLI;
/// A sync takes less than this.
const SLOWEST_SYNC_NANOS: u64 = 400 * MILLI;
/// The writer comes less than this too late.
const LATEST_TURN_NANOS: u64 = 20 * MILLI;
const TRACKS: [Track; 3] = [Track::Screen(0), Track::Keys, Track::Narration];
const WIDTH_PX: u32 = 70;
const HEIGHT_PX: u32 = 50;

/// A message: channel, `log_time`, payload.
pub type Row = (u16, u64, Vec<u8>);

/// Something that makes messages at random times.
struct Play {
    random: Random,
    encoder: Encoder,
    num_made: u32,
    samples: u64,
    has_picture: bool,
}

impl Play {
    fn new(seed: u64) -> Result<Self> {
        let encoder = Encoder::new(WIDTH_PX, HEIGHT_PX)?;
        Ok(Self { random: Random(seed), encoder, num_made: 0, samples: 0, has_picture: false })
    }

    /// The message of this moment: its channel and payload.
    fn message(&mut self, now: u64) -> Result<(praxis_bundle::Channel, Vec<u8>)> {
        self.num_made += 1;
        let n = self.num_made;
        let screen = Track::Screen(0);
        Ok(match self.random.below(3) {
            0 => {
                let pressed =
                    KeyMessage { source_millis: Some(n), ..key(KeyKind::Press, Some("é"), "eacute") };
                (Track::Keys.channel(), serde_json::to_vec(&pressed)?)
            }
            1 => {
                let samples: Vec<i16> = (0..800).map(|_| self.random.below(1 << 16) as u16 as i16).collect();
                let block = Block { rate_hz: 16_000, position: self.samples, samples };
                self.samples += 800;
                (Track::Narration.channel(), encode_pcm(&block))
            }
            _ => {
                let noise: Vec<u8> = (0..32 * 16 * 4).map(|_| self.random.below(256) as u8).collect();
                let x_px = self.random.below(38) as u32;
                self.encoder.update(&[Snapshot {
                    x_px,
                    y_px: 3,
                    width_px: 32,
                    height_px: 16,
                    pixels: &noise,
                }]);
                let times = Times { first_damage: now, capture_start: now, capture_end: now };
                // The first picture has to stand alone; later ones do so now and then.
                let is_key = !self.has_picture || self.random.below(9) == 0;
                self.has_picture = true;
                match is_key {
                    true => (screen.key_channel().context("no channel")?, self.encoder.keyframe(times)),
                    false => (screen.channel(), self.encoder.delta(times).context("nothing has changed")?),
                }
            }
        })
    }
}

/// A recording on a simulated disk.
pub struct Take {
    /// The disk, which remembers everything.
    pub disk: SimDisk,
    /// The live file.
    pub path: PathBuf,
    /// Messages with the session time at which they were accepted, in the order of the file.
    pub accepted: Vec<(u64, Row)>,
    /// The live file was made and durable after so many events of the disk.
    created: usize,
    /// Session time of each event of the disk.
    times: Vec<u64>,
    /// Syncs: events of the disk until it was done, messages before it began.
    synced: Vec<(usize, usize)>,
    /// Session time of the end.
    end_nanos: u64,
}

impl Take {
    /// Records for so long in simulated time, and ends the file.
    ///
    /// # Errors
    /// As recording fails.
    pub fn record(disk: SimDisk, seed: u64, length_nanos: u64) -> (Self, Result<u64, RecordError>) {
        let path = PathBuf::from("/sessions/one.live.mcap");
        let mut take = Self {
            disk,
            path,
            accepted: Vec::new(),
            created: 0,
            times: Vec::new(),
            synced: Vec::new(),
            end_nanos: length_nanos,
        };
        let done = take.run(seed, length_nanos);
        (take, done)
    }

    fn run(&mut self, seed: u64, length_nanos: u64) -> Result<u64, RecordError> {
        let path = self.path.clone();
        let failed = |source| RecordError::Writer { path: path.display().to_string(), source };
        let made = LiveFile::create(&self.disk, &path, &manifest(), &TRACKS, DEFAULT_RESERVE_BYTES);
        let mut live = made?;
        self.created = self.disk.num_events();
        self.note(0);
        let (mut play, mut schedule) = (Play::new(seed).map_err(other).map_err(failed)?, Schedule::from(0));
        let mut turn = schedule.wait(0).as_nanos() as u64;
        let mut now;
        let (mut message, mut reason) = (MILLI, EndReason::Stopped);
        let mut waiting = Vec::new();
        // The sync that goes on: the event it began at, when it will be done, the messages that it is of.
        let mut sync: Option<(usize, u64, usize)> = None;
        let random = &mut Random(seed ^ 0x5a5a);
        loop {
            now = message.min(turn).min(sync.map_or(u64::MAX, |(_, done, _)| done));
            if let Some((begun_at, done, num_messages)) = sync
                && done == now
            {
                self.disk.finish_sync(&path, begun_at);
                self.synced.push((self.disk.num_events(), num_messages));
                sync = None;
            } else if message == now {
                waiting.push((now, play.message(now).map_err(other).map_err(failed)?));
                message = now + (1 + random.below(50)) * MILLI;
            } else {
                for (at, (channel, data)) in waiting.drain(..) {
                    live.push(channel, at, &data).map_err(failed)?;
                    let log_time = manifest().epoch_wall_nanos + at;
                    self.accepted.push((at, (channel.id(), log_time, data)));
                }
                live.close_chunk().map_err(failed)?;
                let due = schedule.due(now);
                if due.second {
                    live.keep_room();
                }
                if due.sync && sync.is_none() {
                    let done = now + 1 + random.below(SLOWEST_SYNC_NANOS);
                    sync = Some((self.disk.num_events(), done, self.accepted.len()));
                }
                if live.is_full() {
                    reason = EndReason::DiskFull;
                }
                self.note(now);
                if now >= length_nanos || live.is_full() {
                    break;
                }
                turn = now + schedule.wait(now).as_nanos() as u64 + random.below(LATEST_TURN_NANOS);
            }
            self.note(now);
        }
        // As the writer does at its end.
        live.file().sync().map_err(Error::io("syncing the bundle")).map_err(failed)?;
        self.synced.push((self.disk.num_events(), self.accepted.len()));
        self.note(now);
        self.end_nanos = now;
        let ending = Ending { session_time_nanos: now, reason, outcome: None, note: None };
        let ended = live.end(&path, &ending).map_err(failed)?;
        self.note(now);
        ended.ok_or(RecordError::Moved { path: path.display().to_string() })
    }

    /// What the disk has done since the last note happened now.
    fn note(&mut self, now: u64) {
        self.times.resize(self.disk.num_events(), now);
    }

    /// Where the power can be cut.
    #[must_use]
    pub fn num_events(&self) -> usize {
        self.disk.num_events()
    }

    /// Cuts the power after so many events, recovers what is left and compares. Returns how much older than the cut the
    /// oldest lost message is, in nanoseconds.
    ///
    /// # Errors
    /// If a message is lost that may not be, or one is there that was never accepted, or in another order.
    pub fn cut(&self, num_events: usize, random: &mut Random) -> Result<u64> {
        let left = self.disk.after_power_cut(num_events, random);
        // The next event did not happen, but all of the time until then may have passed.
        let cut_nanos = self.times.get(num_events).copied().unwrap_or(self.end_nanos);
        let target = Path::new("/sessions/mended.mcap");
        let recovered = write_finished(&left, &self.path, target, Profile::Recover);
        let kept = match recovered {
            Ok(_) => rows(&left, target)?,
            // Nothing was promised before the file was made.
            Err(_) if num_events < self.created => Vec::new(),
            Err(error) => return Err(error).context("the session cannot be recovered"),
        };
        let durable = self.synced.iter().rev().find(|(event, _)| *event <= num_events);
        let num_durable = durable.map_or(0, |(_, num_messages)| *num_messages);
        let kept: HashSet<&Row> = in_order(&kept, &self.accepted)?;
        let mut loss_nanos = 0;
        for (n, (at, row)) in self.accepted.iter().enumerate().filter(|(_, (at, _))| *at <= cut_nanos) {
            if kept.contains(row) {
                continue;
            }
            let age = cut_nanos - at;
            ensure!(n >= num_durable, "message {n} is lost, though {num_durable} were synced");
            ensure!(age <= LOSS_BOUND_NANOS, "message {n} is lost, {} ms before the cut", age / MILLI);
            loss_nanos = loss_nanos.max(age);
        }
        Ok(loss_nanos)
    }
}

/// The messages of a file.
///
/// # Errors
/// If it cannot be read.
pub fn rows(disk: &SimDisk, path: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    scan(&*disk.open(path)?, |item| {
        if let Item::Chunk { records, .. } = item {
            rows.extend(messages(&records).map(|(_, m)| (m.channel, m.log_time, m.data.to_vec())));
        }
        Ok(())
    })?;
    Ok(rows)
}

/// The rows, if each is one of those that were accepted, and in their order.
///
/// # Errors
/// If one is not.
pub fn in_order<'a>(rows: &'a [Row], accepted: &[(u64, Row)]) -> Result<HashSet<&'a Row>> {
    let mut left = accepted.iter();
    for (n, row) in rows.iter().enumerate() {
        ensure!(
            left.any(|(_, accepted)| accepted == row),
            "message {n} was never accepted, or is out of order"
        );
    }
    Ok(rows.iter().collect())
}

fn other(error: anyhow::Error) -> Error {
    Error::io("making a message")(std::io::Error::other(error))
}
