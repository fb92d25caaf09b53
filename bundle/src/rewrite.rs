//! Turns any readable file, cut or damaged as it may be, into a finished bundle: sealing and recovery.
//!
//! One streaming pass. Every readable message is carried over in order; only pictures whose base is lost are left
//! out, and everything left out is named in the `praxis.recovery` record. Memory is one chunk and the index.
//! Syncing, checking and renaming are the caller's ([`crate::file`]).

mod indexed;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

pub(crate) use indexed::CHUNK_DIGESTS_NAME;
use indexed::IndexedWriter;

use crate::manifest::{DamagedRange, ENDING_NAME, MANIFEST_NAME, PictureGap, RECOVERY_NAME, SEAL_NAME, Seal};
use crate::narration::{self, Block};
use crate::record::{Fields, Message, op};
use crate::scan::{Bytes, Facts, Item, messages, scan};
use crate::{Channel, Error, Manifest, Recovery, Result, Track};

/// What the finished bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick: chunks and narration stay as they are; summary and indexes are added.
    Recover,
    /// For keeping and sending: larger chunks, stronger compression, FLAC narration, chunk digests.
    Seal,
}

/// A sealed chunk is closed when it has this much in it.
const SEALED_CHUNK_BYTES: usize = 4 << 20;

/// What a rewrite did.
#[derive(Debug)]
pub struct Rewritten {
    /// The session's manifest.
    pub manifest: Manifest,
    /// What was left out, now or by an earlier recovery; `None` if the session ended by itself, unharmed.
    pub recovery: Option<Recovery>,
    /// Messages in the new file.
    pub num_messages: u64,
}

/// Reads `source` and writes a finished bundle to `sink`.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NewerFormat` or `NoManifest` if it is no bundle; `Io`; `Narration` if sealing could
/// not code a block.
pub fn rewrite(source: &(impl Bytes + ?Sized), sink: impl Write, profile: Profile) -> Result<Rewritten> {
    let mut rewriter = Rewriter {
        profile,
        facts: Facts::default(),
        out: IndexedWriter::new(sink, profile == Profile::Seal)?,
        held_pictures: HashMap::new(),
        voice: None,
        damages: Vec::new(),
        uncertain_since: BTreeMap::new(),
        picture_gaps: Vec::new(),
        newest_nanos: 0,
        lost_pictures: 0,
    };
    scan(source, |item| rewriter.take(item))?;
    let source_bytes = source.num_bytes().map_err(Error::io("reading the bundle's length"))?;
    rewriter.finish(source_bytes)
}

struct Rewriter<W: Write> {
    profile: Profile,
    facts: Facts,
    out: IndexedWriter<W>,
    /// Per display, the sequence number (in the source) of the newest picture that can be decoded.
    held_pictures: HashMap<Track, u32>,
    /// Narration collected for the next sealed block, and the `log_time` of its first sample.
    voice: Option<(u64, Block)>,
    damages: Vec<DamagedRange>,
    /// Per display, since when pictures are or may be missing. In order, so that the same file gives the same bytes.
    uncertain_since: BTreeMap<Track, u64>,
    picture_gaps: Vec<PictureGap>,
    newest_nanos: u64,
    lost_pictures: u64,
}

impl<W: Write> Rewriter<W> {
    fn take(&mut self, item: Item) -> Result<()> {
        self.facts.note(&item)?;
        match item {
            Item::Record { opcode: op::METADATA, content, .. } => {
                let (name, json) = crate::record::parse_json_metadata(&content)?;
                // The seal and the recovery of the source are replaced by our own at the end.
                if name == MANIFEST_NAME || name == ENDING_NAME {
                    self.emit_voice()?;
                    self.out.close_chunk()?;
                    self.out.json_metadata(name, json)?;
                }
            }
            Item::Record { opcode: op::CHANNEL, content, .. } => {
                let id = Fields::of("channel", &content).u16()?;
                if let Some(channel) = Channel::from_id(id) {
                    self.out.declare(channel)?;
                }
            }
            Item::Record { .. } | Item::Complete { .. } => {}
            Item::Damage { start, end, why } => {
                self.emit_voice()?;
                let after_nanos = self.newest_nanos;
                for track in self.held_pictures.keys() {
                    self.uncertain_since.entry(*track).or_insert(after_nanos);
                }
                self.damages.push(DamagedRange {
                    start_byte: start,
                    end_byte: end,
                    after_nanos,
                    before_nanos: None,
                    why,
                });
            }
            Item::Chunk { records, .. } => {
                let epoch = self.facts.manifest()?.epoch_wall_nanos;
                for (_, message) in messages(&records) {
                    self.message(&message, epoch)?;
                }
                if self.profile == Profile::Recover {
                    self.out.close_chunk()?;
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, epoch: u64) -> Result<()> {
        let Some(channel) = Channel::from_id(message.channel) else { return Ok(()) };
        let nanos = message.log_time.saturating_sub(epoch);
        self.newest_nanos = self.newest_nanos.max(nanos);
        for damage in self.damages.iter_mut().rev().take_while(|damage| damage.before_nanos.is_none()) {
            damage.before_nanos = Some(nanos);
        }
        if matches!(channel.track, Track::Screen(_)) && !self.is_decodable(channel, message.sequence, nanos) {
            self.lost_pictures += 1;
            return Ok(());
        }
        if self.profile == Profile::Recover {
            return self.out.push(channel, message.log_time, message.data);
        }
        if channel.track == Track::Narration {
            return self.collect_voice(message);
        }
        if channel.is_key || self.out.chunk_bytes() >= SEALED_CHUNK_BYTES {
            self.out.close_chunk()?;
        }
        self.out.push(channel, message.log_time, message.data)
    }

    /// Whether a picture can be shown: it stands alone, or the one before it is there. Keeps account of what is missing.
    fn is_decodable(&mut self, channel: Channel, sequence: u32, nanos: u64) -> bool {
        let track = channel.track;
        let follows = self.held_pictures.get(&track) == Some(&sequence.wrapping_sub(1));
        if !follows && !channel.is_key {
            self.held_pictures.remove(&track);
            self.uncertain_since.entry(track).or_insert(nanos);
            return false;
        }
        self.held_pictures.insert(track, sequence);
        // One that follows shows that nothing was lost in between.
        if let Some(after_nanos) = self.uncertain_since.remove(&track).filter(|_| !follows) {
            let before_nanos = Some(nanos);
            self.picture_gaps.push(PictureGap { track: track.name(), after_nanos, before_nanos });
        }
        true
    }

    /// Joins blocks that follow each other into blocks of one second.
    fn collect_voice(&mut self, message: &Message<'_>) -> Result<()> {
        let block = narration::decode(message.data)?;
        let follows = self.voice.as_ref().is_some_and(|(_, held)| {
            held.rate_hz == block.rate_hz && held.position + held.samples.len() as u64 == block.position
        });
        if !follows {
            self.emit_voice()?;
        }
        let rate_hz = block.rate_hz as usize;
        let (_, held) = self.voice.get_or_insert_with(|| {
            (
                message.log_time,
                Block { rate_hz: block.rate_hz, position: block.position, samples: Vec::new() },
            )
        });
        held.samples.extend_from_slice(&block.samples);
        if held.samples.len() >= rate_hz {
            self.emit_voice()?;
        }
        Ok(())
    }

    fn emit_voice(&mut self) -> Result<()> {
        if let Some((log_time, block)) = self.voice.take() {
            self.out.push(Track::Narration.channel(), log_time, &narration::encode_flac(&block)?)?;
        }
        Ok(())
    }

    fn finish(mut self, source_bytes: u64) -> Result<Rewritten> {
        self.emit_voice()?;
        self.out.close_chunk()?;
        let manifest = self.facts.manifest()?.clone();
        let was_whole = self.facts.is_complete && self.damages.is_empty() && self.lost_pictures == 0;
        let is_clean = was_whole && (self.facts.ending.is_some() || self.facts.recovery.is_some());
        let mut recovery = self.facts.recovery.take();
        if !is_clean {
            let recovery = recovery.get_or_insert_default();
            recovery.source_bytes = source_bytes;
            recovery.damages.append(&mut self.damages);
            recovery.lost_pictures += self.lost_pictures;
            recovery.picture_gaps.append(&mut self.picture_gaps);
            let open = std::mem::take(&mut self.uncertain_since).into_iter().map(|(track, after_nanos)| {
                PictureGap { track: track.name(), after_nanos, before_nanos: None }
            });
            recovery.picture_gaps.extend(open);
        }
        if let Some(recovery) = &recovery {
            self.out.json_metadata(RECOVERY_NAME, &crate::live::to_json(RECOVERY_NAME, recovery)?)?;
        }
        if self.profile == Profile::Seal {
            let seal = Seal { app_version: env!("CARGO_PKG_VERSION").into() };
            self.out.json_metadata(SEAL_NAME, &crate::live::to_json(SEAL_NAME, &seal)?)?;
        }
        let num_messages = self.out.finish()?;
        Ok(Rewritten { manifest, recovery, num_messages })
    }
}

#[cfg(test)]
mod tests;
