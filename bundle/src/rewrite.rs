//! Turns any readable file, cut or damaged as it may be, into a finished bundle: sealing and recovery.
//!
//! One streaming pass. Every readable message is carried over in order; only pictures whose base is lost are left
//! out, and everything left out is named in the `praxis.recovery` record; a loss of pictures also where it is met, so
//! that it stays known if the end of the file is lost. Memory is one chunk, one
//! of what an earlier attempt has left, and the index.
//! Syncing, checking and renaming are the caller's ([`crate::file`]).

mod earlier;
mod indexed;
mod named;
mod thumbnails;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use earlier::Earlier;
pub(crate) use indexed::CHUNK_DIGESTS_NAME;
use indexed::{Attachment, IndexedWriter};
pub(crate) use named::uncertain_since;
use named::{add_damage, add_gap};
pub(crate) use thumbnails::PREVIEW_NAME;
use thumbnails::{MEDIA_TYPE, THUMBNAIL_NAME, Thumbnails};

use crate::layout::parse_channel;
use crate::limits::MAX_CHUNK_BYTES;
use crate::manifest::{DamagedRange, ENDING_NAME, MANIFEST_NAME, PictureGap, RECOVERY_NAME, SEAL_NAME, Seal};
use crate::narration::{self, Block};
use crate::record::{Message, op};
use crate::scan::{Bytes, Facts, Item, messages, scan};
use crate::screen::Decoders;
use crate::{Channel, Error, Manifest, Recovery, Result, Track};

/// What the finished bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick: chunks and narration stay as they are; summary and indexes are added.
    Recover,
    /// For keeping and sending: larger chunks, stronger compression, FLAC narration, chunk digests, thumbnails.
    Seal,
}

/// A sealed chunk is closed when it has this much in it.
const SEALED_CHUNK_BYTES: usize = 4 << 20;
/// Narration that ended longer ago is not going on: a pause, a lost microphone.
const FLOWING_VOICE_NANOS: u64 = 2_000_000_000;
/// Bytes of a message record besides its payload.
const MESSAGE_BYTES: usize = 31;

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
    rewrite_after(source, None, sink, profile)
}

/// [`rewrite`], with what an earlier one of the same source and profile has left unfinished: what is in it already is not
/// coded again. The result is the same as without.
///
/// # Errors
/// As [`rewrite`]; an unreadable `earlier` is none.
pub(crate) fn rewrite_after(
    source: &(impl Bytes + ?Sized),
    earlier: Option<&dyn Bytes>,
    sink: impl Write,
    profile: Profile,
) -> Result<Rewritten> {
    let mut rewriter = Rewriter {
        profile,
        source_bytes: source.num_bytes().map_err(Error::io("reading the bundle's length"))?,
        facts: Facts::default(),
        manifest: None,
        declared: Vec::new(),
        has_begun: false,
        out: IndexedWriter::new(sink, profile == Profile::Seal, earlier.map(Earlier::new))?,
        held_pictures: HashMap::new(),
        heard: BTreeMap::new(),
        damages: Vec::new(),
        uncertain_since: BTreeMap::new(),
        picture_gaps: Vec::new(),
        newest_nanos: 0,
        audio_end_nanos: BTreeMap::new(),
        lost_pictures: 0,
        decoders: Decoders::default(),
        thumbnails: Thumbnails::default(),
    };
    scan(source, |item| rewriter.take(item))?;
    rewriter.finish()
}

/// A picture: its sequence number in the source, and its session time.
#[derive(Clone, Copy)]
struct Held {
    sequence: u32,
    nanos: u64,
}

struct Rewriter<'a, W: Write> {
    profile: Profile,
    source_bytes: u64,
    facts: Facts,
    /// The manifest, word for word.
    manifest: Option<String>,
    /// Channels declared in the source before its first chunk.
    declared: Vec<Channel>,
    /// Whether what stands before the first chunk is written.
    has_begun: bool,
    out: IndexedWriter<'a, W>,
    /// Per display, the newest picture that can be decoded.
    held_pictures: HashMap<Track, Held>,
    /// Per audio track what is collected for the next sealed block, and the `log_time` of its first sample.
    heard: BTreeMap<Track, (u64, Block)>,
    damages: Vec<DamagedRange>,
    /// Per display, since when pictures are or may be missing. In order, so that the same file gives the same bytes.
    uncertain_since: BTreeMap<Track, u64>,
    picture_gaps: Vec<PictureGap>,
    newest_nanos: u64,
    /// Session time up to which each audio track was read.
    audio_end_nanos: BTreeMap<Track, u64>,
    lost_pictures: u64,
    /// The pictures as they come by, while sealing.
    decoders: Decoders,
    thumbnails: Thumbnails,
}

impl<W: Write> Rewriter<'_, W> {
    fn take(&mut self, item: Item) -> Result<()> {
        self.facts.note(&item)?;
        match item {
            Item::Record { opcode: op::METADATA, content, .. } => {
                let (name, json) = crate::record::parse_json_metadata(&content)?;
                // The seal and the recovery of the source are replaced by our own at the end.
                if name == MANIFEST_NAME {
                    self.manifest.get_or_insert_with(|| json.to_owned());
                } else if name == ENDING_NAME {
                    self.begin()?;
                    self.emit_all_audio()?;
                    self.out.close_chunk()?;
                    self.out.json_metadata(name, json)?;
                } else if name == RECOVERY_NAME {
                    self.carry_doubts()?;
                }
            }
            Item::Record { opcode: op::CHANNEL, content, .. } => {
                if let Ok(channel) = parse_channel(&content) {
                    if self.has_begun {
                        self.out.declare(channel)?;
                    } else {
                        self.declared.push(channel);
                    }
                }
            }
            Item::Record { .. } | Item::Complete { .. } => {}
            Item::Damage { start, end, why } => {
                self.emit_all_audio()?;
                // A block of samples comes after messages that are younger than its first ones.
                let is_flowing = |end: &u64| self.newest_nanos.saturating_sub(*end) < FLOWING_VOICE_NANOS;
                let audio_end_nanos =
                    self.audio_end_nanos.values().copied().filter(is_flowing).min().unwrap_or(u64::MAX);
                let after_nanos = self.newest_nanos.min(audio_end_nanos);
                let since = |held: &Held| uncertain_since(held.nanos, self.newest_nanos);
                let doubts: Vec<_> =
                    self.held_pictures.iter().map(|(track, held)| (*track, since(held))).collect();
                self.doubt(doubts)?;
                let (start_byte, end_byte) = (start, end);
                let damage = DamagedRange { start_byte, end_byte, after_nanos, before_nanos: None, why };
                add_damage(&mut self.damages, damage);
            }
            Item::Chunk { record, records, .. } => {
                self.begin()?;
                let epoch = self.facts.manifest()?.epoch_wall_nanos;
                for (_, message) in messages(&records) {
                    self.message(&message, epoch)?;
                }
                if self.profile == Profile::Recover {
                    self.out.close_chunk_like(&record, &records)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what stands before the first chunk, once: the manifest, the channels, the manifest again.
    fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        self.facts.manifest()?;
        let manifest = self.manifest.take().ok_or(Error::NoManifest)?;
        self.out.json_metadata(MANIFEST_NAME, &manifest)?;
        for channel in std::mem::take(&mut self.declared) {
            self.out.declare(channel)?;
        }
        self.out.json_metadata(MANIFEST_NAME, &manifest)
    }

    fn message(&mut self, message: &Message<'_>, epoch: u64) -> Result<()> {
        let Some(channel) = Channel::from_id(message.channel) else { return Ok(()) };
        let nanos = message.log_time.saturating_sub(epoch);
        self.newest_nanos = self.newest_nanos.max(nanos);
        let mut end_nanos = nanos;
        if channel.track.is_audio() {
            end_nanos = nanos.saturating_add(narration::stated_nanos(message.data));
            self.audio_end_nanos.insert(channel.track, end_nanos);
        }
        for damage in self.damages.iter_mut().rev().take_while(|damage| damage.before_nanos.is_none()) {
            damage.before_nanos = Some(end_nanos);
        }
        if matches!(channel.track, Track::Screen(_))
            && !self.is_decodable(channel, message.sequence, nanos)?
        {
            self.lost_pictures += 1;
            return Ok(());
        }
        if self.profile == Profile::Recover {
            return self.out.push(channel, message.log_time, message.data);
        }
        if channel.track.is_audio() {
            return self.collect_audio(channel.track, message);
        }
        if let Track::Screen(display) = channel.track
            && !self.look_at(channel.track, display, nanos, message)?
        {
            self.held_pictures.remove(&channel.track);
            self.lost_pictures += 1;
            return self.doubt([(channel.track, nanos)]);
        }
        let is_full = self.out.chunk_bytes() >= SEALED_CHUNK_BYTES
            || self.out.chunk_bytes() + message.data.len() + MESSAGE_BYTES > MAX_CHUNK_BYTES as usize;
        if channel.is_key || is_full {
            self.out.close_chunk()?;
        }
        self.out.push(channel, message.log_time, message.data)
    }

    /// Whether a picture can be shown: it stands alone, or the one before it is there. Keeps account of what is missing.
    fn is_decodable(&mut self, channel: Channel, sequence: u32, nanos: u64) -> Result<bool> {
        let track = channel.track;
        let held = self.held_pictures.get(&track).copied();
        let follows = held.is_some_and(|held| held.sequence.wrapping_add(1) == sequence);
        // If numbers are missing, it is from the picture held on.
        let after_held = held.map(|held| held.nanos.saturating_add(1));
        if !follows && !channel.is_key {
            self.held_pictures.remove(&track);
            self.doubt([(track, after_held.unwrap_or(nanos))])?;
            return Ok(false);
        }
        self.held_pictures.insert(track, Held { sequence, nanos });
        // One that follows shows that nothing was lost in between.
        if let Some(after_nanos) = self.uncertain_since.remove(&track).or(after_held).filter(|_| !follows) {
            let before_nanos = Some(nanos);
            let gap = PictureGap { track: track.name(), after_nanos, before_nanos };
            add_gap(&mut self.picture_gaps, gap);
            // The hole stays visible in the numbers, whatever becomes of the record that names it.
            self.out.skip(track);
        }
        Ok(true)
    }

    /// From these times on pictures are or may be missing. What was not in doubt already is written down at once.
    fn doubt(&mut self, since: impl IntoIterator<Item = (Track, u64)>) -> Result<()> {
        let num_known = self.uncertain_since.len();
        for (track, nanos) in since {
            self.uncertain_since.entry(track).or_insert(nanos);
        }
        if self.uncertain_since.len() == num_known || !self.has_begun {
            return Ok(());
        }
        self.out.close_chunk()?;
        self.write_recovery(&Recovery {
            source_bytes: self.source_bytes,
            lost_pictures: self.lost_pictures,
            picture_gaps: self.open_gaps(),
            ..Recovery::default()
        })
    }

    /// What the source does not know the end of stays in doubt here.
    fn carry_doubts(&mut self) -> Result<()> {
        let gaps = self.facts.recovery.iter().flat_map(|recovery| &recovery.picture_gaps);
        let open = gaps.filter(|gap| gap.before_nanos.is_none());
        let doubts: Vec<_> =
            open.filter_map(|gap| Track::from_name(&gap.track).zip(Some(gap.after_nanos))).collect();
        self.doubt(doubts)
    }

    fn open_gaps(&self) -> Vec<PictureGap> {
        let gap = |(track, after_nanos): (&Track, &u64)| PictureGap {
            track: track.name(),
            after_nanos: *after_nanos,
            before_nanos: None,
        };
        self.uncertain_since.iter().map(gap).collect()
    }

    fn write_recovery(&mut self, recovery: &Recovery) -> Result<()> {
        self.out.json_metadata(RECOVERY_NAME, &crate::live::to_json(RECOVERY_NAME, recovery)?)
    }

    /// Decodes a picture and makes its thumbnail, if one is due. False if it cannot be decoded.
    fn look_at(&mut self, track: Track, display: u8, nanos: u64, message: &Message<'_>) -> Result<bool> {
        let decoded = self.decoders.apply(display, message.sequence, message.data);
        let picture = match decoded {
            Ok(picture) => picture,
            // More than a reader holds is no damage: nothing is left out for it.
            Err(error @ Error::TooLarge { .. }) => return Err(error),
            Err(_) => return Ok(false),
        };
        if let Some(data) = self.thumbnails.take(track, nanos, picture)? {
            let (log_time, name) = (message.log_time, format!("{THUMBNAIL_NAME}{display}"));
            self.out.attach(Attachment { log_time, name, media_type: MEDIA_TYPE, data })?;
        }
        Ok(true)
    }

    /// Joins blocks that follow each other into blocks of one second.
    fn collect_audio(&mut self, track: Track, message: &Message<'_>) -> Result<()> {
        let block = narration::decode(message.data)?;
        let follows = self.heard.get(&track).is_some_and(|(_, held)| {
            let next = held.position.checked_add(held.samples.len() as u64);
            held.rate_hz == block.rate_hz && next == Some(block.position)
        });
        if !follows {
            self.emit_audio(track)?;
        }
        let rate_hz = block.rate_hz as usize;
        let (_, held) = self.heard.entry(track).or_insert_with(|| {
            (
                message.log_time,
                Block { rate_hz: block.rate_hz, position: block.position, samples: Vec::new() },
            )
        });
        held.samples.extend_from_slice(&block.samples);
        if held.samples.len() >= rate_hz {
            self.emit_audio(track)?;
        }
        Ok(())
    }

    fn emit_all_audio(&mut self) -> Result<()> {
        while let Some(track) = self.heard.keys().next().copied() {
            self.emit_audio(track)?;
        }
        Ok(())
    }

    fn emit_audio(&mut self, track: Track) -> Result<()> {
        if let Some((log_time, block)) = self.heard.remove(&track) {
            let data = match self.out.known_audio(track, log_time, &block) {
                Some(data) => data,
                None => narration::encode_flac(&block)?,
            };
            self.out.push(track.channel(), log_time, &data)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Rewritten> {
        self.begin()?;
        self.emit_all_audio()?;
        self.out.close_chunk()?;
        let manifest = self.facts.manifest()?.clone();
        if let Some(data) = std::mem::take(&mut self.thumbnails).strip()? {
            let (log_time, name) = (manifest.epoch_wall_nanos, PREVIEW_NAME.into());
            self.out.attach(Attachment { log_time, name, media_type: MEDIA_TYPE, data })?;
        }
        let has_new_gaps = !self.picture_gaps.is_empty() && self.facts.recovery.is_none();
        let was_whole =
            self.facts.is_complete && self.damages.is_empty() && self.lost_pictures == 0 && !has_new_gaps;
        let is_clean = was_whole && (self.facts.ending.is_some() || self.facts.recovery.is_some());
        let mut recovery = self.facts.recovery.take();
        if !is_clean {
            let recovery = recovery.get_or_insert_default();
            recovery.source_bytes = self.source_bytes;
            self.damages.drain(..).for_each(|damage| add_damage(&mut recovery.damages, damage));
            recovery.lost_pictures = recovery.lost_pictures.saturating_add(self.lost_pictures);
            let open = self.open_gaps();
            let gaps = self.picture_gaps.drain(..).chain(open);
            gaps.for_each(|gap| add_gap(&mut recovery.picture_gaps, gap));
        }
        if let Some(recovery) = &recovery {
            self.write_recovery(recovery)?;
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
