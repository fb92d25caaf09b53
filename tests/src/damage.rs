//! Damages bundles at random and compares what every reader makes of them with what was written.
//!
//! What is held: no reader panics; no message and no picture comes out that was not recorded; what is lost lies in the
//! damaged chunks (or is a picture that builds on one of them), and the recovery record names it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::manifest::Recovery;
use praxis_bundle::scan::{Item, messages, scan};
use praxis_bundle::screen::{Decoder, Picture};
use praxis_bundle::{Channel, Error, Profile, Track, check, file, info, narration, rewrite};

use crate::desktop::boot_nanos;
use crate::fixture;
use crate::kills::Random;

/// Bytes of a page as disks lose them.
const PAGE_BYTES: usize = 4096;
/// Messages of different tracks may be out of order by this much.
const OUT_OF_ORDER_NANOS: u64 = praxis_bundle::limits::OUT_OF_ORDER_NANOS;

/// What the damages of one file showed.
#[derive(Debug, Default)]
pub struct Tally {
    /// Damages tried.
    pub num_damages: u32,
    /// Of these, the ones that lost nothing.
    pub num_harmless: u32,
    /// Messages of the file.
    pub num_messages: usize,
    /// Most messages that one damage lost, pictures that build on lost ones included.
    pub worst_loss: usize,
    /// Longest time that one damaged file took, through all readers.
    pub worst_time: Duration,
    /// Pictures that were shown and compared, and those that were refused.
    pub num_shown: u64,
    /// Pictures that were refused as lost.
    pub num_refused: u64,
}

/// A message: its track's id, channel, time, and payload.
type Row = (u16, u64, Vec<u8>);

/// A sound file and all that is in it.
pub struct Original {
    bytes: Vec<u8>,
    /// Messages in file order, each with the number of its chunk.
    rows: Vec<(Row, usize)>,
    by_sequence: HashMap<(Track, u32), usize>,
    chunks: Vec<(u64, u64)>,
    /// Per display, every picture by its time.
    pictures: BTreeMap<u8, BTreeMap<u64, Picture>>,
    epoch: u64,
    /// What was lost before.
    recovery: Recovery,
}

/// Writes a session of two displays and reads it back in its three forms: live, recovered from a damaged live file, sealed.
///
/// # Errors
/// If it cannot be written.
pub fn originals() -> Result<Vec<(&'static str, Original)>> {
    let folder = tempfile::tempdir()?;
    let live = folder.path().join("a.live.mcap");
    fixture::write_busy(&live, 20)?;
    let live = std::fs::read(live)?;
    let finished = |source: &[u8], profile| -> Result<Vec<u8>> {
        let mut out = Vec::new();
        rewrite(source, &mut out, profile)?;
        Ok(out)
    };
    let sealed = finished(&live, Profile::Seal)?;
    let live = Original::of(live)?;
    let mut damaged = live.bytes.clone();
    let (start, end) = live.chunks[live.chunks.len() / 3];
    damaged[usize::midpoint(start as usize, end as usize)] ^= 4;
    let recovered = finished(&damaged, Profile::Recover)?;
    Ok(vec![("live", live), ("recovered", Original::of(recovered)?), ("sealed", Original::of(sealed)?)])
}

impl Original {
    /// # Errors
    /// If it is not sound.
    fn of(bytes: Vec<u8>) -> Result<Self> {
        let report = check::check(&bytes[..])?;
        ensure!(report.is_sound(), "the file is not sound before it is damaged: {:?}", report.findings);
        let info = info::info(&bytes[..])?;
        let mut original = Self {
            bytes: Vec::new(),
            rows: Vec::new(),
            by_sequence: HashMap::new(),
            chunks: Vec::new(),
            pictures: BTreeMap::new(),
            epoch: info.manifest.epoch_wall_nanos,
            recovery: info.recovery.unwrap_or_default(),
        };
        let mut decoders: BTreeMap<u8, Decoder> = BTreeMap::new();
        scan(&bytes[..], |item| {
            let Item::Chunk { offset, record, records } = item else { return Ok(()) };
            for (_, message) in messages(&records) {
                let Some(channel) = Channel::from_id(message.channel) else { continue };
                original.by_sequence.insert((channel.track, message.sequence), original.rows.len());
                let row = (message.channel, message.log_time, message.data.to_vec());
                original.rows.push((row, original.chunks.len()));
                if let Track::Screen(display) = channel.track {
                    let decoder = decoders.entry(display).or_insert_with(|| Decoder::new(display));
                    let picture = decoder.apply(message.sequence, message.data)?.clone();
                    let nanos = message.log_time - original.epoch;
                    original.pictures.entry(display).or_default().insert(nanos, picture);
                }
            }
            original.chunks.push((offset, offset + record.len() as u64));
            Ok(())
        })?;
        original.bytes = bytes;
        Ok(original)
    }

    /// Flips so many single bits and zeroes so many pages, each in a fresh copy.
    ///
    /// # Errors
    /// If a promise is broken; says which damage did it.
    pub fn damage(&self, num_flips: u32, num_pages: u32, random: &mut Random) -> Result<Tally> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.mcap");
        let mut tally = Tally { num_messages: self.rows.len(), ..Tally::default() };
        for n in 0..num_flips + num_pages {
            let mut bytes = self.bytes.clone();
            let (start, end) = if n < num_flips {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
                (at, at + 1)
            } else {
                let at = random.below(bytes.len().div_ceil(PAGE_BYTES) as u64) as usize * PAGE_BYTES;
                let end = (at + PAGE_BYTES).min(bytes.len());
                bytes[at..end].fill(0);
                (at, end)
            };
            std::fs::write(&path, &bytes)?;
            let started = boot_nanos();
            let times = [0, 1, 2].map(|_| random.below(21_000) * 1_000_000);
            let one = self.one(&bytes, &path, (start as u64, end as u64), times, &mut tally);
            one.with_context(|| format!("bytes {start} to {end} of {}", bytes.len()))?;
            tally.num_damages += 1;
            tally.worst_time = tally.worst_time.max(Duration::from_nanos(boot_nanos() - started));
        }
        Ok(tally)
    }

    fn one(
        &self,
        bytes: &[u8],
        path: &Path,
        hit: (u64, u64),
        times: [u64; 3],
        tally: &mut Tally,
    ) -> Result<()> {
        self.read(path)?;
        info::info(bytes)?;
        let is_changed = bytes != self.bytes;
        let report = check::check(bytes)?;
        ensure!(!is_changed || !report.is_sound(), "check finds nothing");
        let mut out = Vec::new();
        let rewritten = rewrite(bytes, &mut out, Profile::Recover)?;
        let report = check::check(&out[..])?;
        ensure!(report.is_sound(), "what is recovered is not sound: {:?}", report.findings);
        let lost = self.lost(&out)?;
        let is_hit = |chunk: usize| self.chunks[chunk].0 < hit.1 && hit.0 < self.chunks[chunk].1;
        let recovery = rewritten.recovery.unwrap_or_default();
        for at in &lost {
            let ((channel, log_time, _), chunk) = &self.rows[*at];
            let track = Channel::from_id(*channel).context("a channel of ours")?.track;
            let nanos = log_time - self.epoch;
            let is_picture = matches!(track, Track::Screen(_));
            ensure!(is_picture || is_hit(*chunk), "a message of {track} is lost, but its chunk is whole");
            let in_damage = recovery.damages.iter().any(|damage| {
                damage.after_nanos <= nanos.saturating_add(OUT_OF_ORDER_NANOS)
                    && damage.before_nanos.is_none_or(|before| nanos <= before + OUT_OF_ORDER_NANOS)
            });
            let in_gap = recovery.picture_gaps.iter().any(|gap| {
                gap.track == track.name()
                    && (gap.after_nanos..gap.before_nanos.unwrap_or(u64::MAX)).contains(&nanos)
            });
            ensure!(
                in_gap || (in_damage && (!is_picture || is_hit(*chunk))),
                "{track} at {nanos} is lost, unnamed"
            );
        }
        tally.num_harmless += u32::from(lost.is_empty());
        tally.worst_loss = tally.worst_loss.max(lost.len());
        let mended = path.with_extension("mended");
        std::fs::write(&mended, &out)?;
        for display in self.pictures.keys() {
            for nanos in times {
                for path in [path, &mended] {
                    self.look(path, *display, nanos, tally)?;
                }
            }
        }
        Ok(())
    }

    /// Every message that can be read is the original one of its track and number.
    fn read(&self, path: &Path) -> Result<()> {
        let mut wrong = None;
        file::for_each_message(path, |channel, sequence, nanos, data| {
            let original = self.by_sequence.get(&(channel.track, sequence)).map(|at| &self.rows[*at].0);
            let is_same = original.is_some_and(|(id, log_time, theirs)| {
                *id == channel.id() && log_time - self.epoch == nanos && theirs == data
            });
            if !is_same {
                wrong = Some(format!("message {sequence} of {channel:?} is not the original"));
            }
            if channel.track == Track::Narration {
                narration::decode(data)?;
            }
            Ok(())
        })?;
        wrong.map_or(Ok(()), |wrong| Err(anyhow::anyhow!(wrong)))
    }

    /// Which messages are not in what was recovered; all that is in it must be original, in the original order.
    fn lost(&self, recovered: &[u8]) -> Result<HashSet<usize>> {
        let mut kept: Vec<Row> = Vec::new();
        scan(recovered, |item| {
            if let Item::Chunk { records, .. } = item {
                let rows = messages(&records).map(|(_, m)| (m.channel, m.log_time, m.data.to_vec()));
                kept.extend(rows);
            }
            Ok(())
        })?;
        let mut kept = kept.into_iter().peekable();
        let missing = |(_, (row, _)): &(usize, &(Row, usize))| kept.next_if(|next| next == row).is_none();
        let lost = self.rows.iter().enumerate().filter(missing).map(|(at, _)| at).collect();
        ensure!(kept.next().is_none(), "a message comes out that was not recorded, or not there");
        Ok(lost)
    }

    /// A picture that is shown is the one that was on the display then.
    fn look(&self, path: &Path, display: u8, nanos: u64, tally: &mut Tally) -> Result<()> {
        let was = self.pictures[&display].range(..=nanos).next_back().map(|(_, picture)| picture);
        let name = Track::Screen(display).name();
        let is_old_gap = self.recovery.picture_gaps.iter().any(|gap| {
            gap.track == name && (gap.after_nanos..gap.before_nanos.unwrap_or(u64::MAX)).contains(&nanos)
        });
        match file::picture_at(path, display, nanos) {
            Ok(picture) => {
                ensure!(!is_old_gap, "{name} at {nanos}: shown, though it was lost before");
                ensure!(Some(&picture) == was, "{name} at {nanos}: not the picture that was there");
                tally.num_shown += 1;
            }
            Err(Error::LostPicture { .. } | Error::UnreadablePicture { .. } | Error::NoPicture { .. }) => {
                tally.num_refused += 1;
            }
            Err(error) => return Err(error).with_context(|| format!("{name} at {nanos}")),
        }
        Ok(())
    }
}
