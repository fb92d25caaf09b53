//! Proves a file sound: every byte accounted for, every checksum, index, picture, sample and message.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::index::parse_chunk_index;
use crate::layout::{parse_attachment, parse_channel};
use crate::messages as json;
use crate::narration;
use crate::record::{Chunk, Fields, MAGIC, RECORD_HEADER_BYTES, op};
use crate::rewrite::CHUNK_DIGESTS_NAME;
use crate::scan::{Bytes, Facts, Item, messages, scan};
use crate::screen::{Decoders, Header};
use crate::{Channel, Result, Track};

/// Findings listed; more are only counted.
const MAX_FINDINGS: usize = 100;
const MAX_FINDING_CHARS: usize = 400;

/// The result of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, each with where. Empty means sound.
    pub findings: Vec<String>,
    /// Messages seen.
    pub num_messages: u64,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: String) {
        match self.findings.len() {
            // What a parser says may repeat a text of many megabytes.
            0..MAX_FINDINGS => self.findings.push(finding.chars().take(MAX_FINDING_CHARS).collect()),
            MAX_FINDINGS => self.findings.push("and more".into()),
            _ => {}
        }
    }
}

/// Checks every byte of a file.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NoManifest`, `NewerFormat`, `TooLarge` or `Io`: then it is no bundle or cannot be read at all.
pub fn check(source: &(impl Bytes + ?Sized)) -> Result<Report> {
    let mut checker = Checker::default();
    checker.data_crc.update(&MAGIC);
    scan(source, |item| checker.item(&item))?;
    checker.finish()
}

#[derive(Default)]
struct Checker {
    report: Report,
    facts: Facts,
    declared: BTreeSet<u16>,
    /// Next sequence number per track.
    sequences: BTreeMap<Track, u32>,
    /// Displays with a number left out before a keyframe: recovery does so where pictures are lost.
    holes: BTreeSet<Track>,
    newest: BTreeMap<u16, u64>,
    counts: BTreeMap<u16, u64>,
    decoders: Decoders,
    data_crc: crc32fast::Hasher,
    is_in_summary: bool,
    summary_start: u64,
    summary_crc: crc32fast::Hasher,
    /// Contents of the message index records that must follow the last chunk.
    due_indexes: Vec<Vec<u8>>,
    chunks: Vec<(u64, u64, u64, u64)>,
    num_chunk_indexes: usize,
    has_message_indexes: bool,
    digests: Vec<u8>,
}

impl Checker {
    fn item(&mut self, item: &Item) -> Result<()> {
        self.facts.note(item)?;
        match item {
            Item::Damage { start, end, why } => {
                self.report.find(format!("bytes {start} to {end} cannot be read: {why}"));
            }
            Item::Complete { .. } => {}
            Item::Chunk { offset, record, records } => {
                self.facts.manifest()?;
                self.end_indexes(*offset);
                self.cover(record);
                self.digests.extend_from_slice(&Sha256::digest(record));
                self.chunk(*offset, record, records);
            }
            Item::Record { offset, opcode, content } => self.record(*offset, *opcode, content),
        }
        Ok(())
    }

    /// Adds bytes to the checksum of the section they are in.
    fn cover(&mut self, bytes: &[u8]) {
        let crc = if self.is_in_summary { &mut self.summary_crc } else { &mut self.data_crc };
        crc.update(bytes);
    }

    fn record(&mut self, offset: u64, opcode: u8, content: &[u8]) {
        if opcode == op::DATA_END {
            self.end_indexes(offset);
            let found = self.data_crc.clone().finalize();
            let stated = Fields::of("data end", content).u32().unwrap_or_default();
            if stated != 0 && stated != found {
                self.report.find(format!(
                    "byte {offset}: checksum of the data is {found:#010x}, stated {stated:#010x}"
                ));
            }
            self.is_in_summary = true;
            self.summary_start = offset + (RECORD_HEADER_BYTES + content.len()) as u64;
            return;
        }
        let mut header = vec![opcode];
        header.extend_from_slice(&(content.len() as u64).to_le_bytes());
        self.cover(&header);
        if opcode == op::FOOTER {
            self.footer(offset, content);
            return;
        }
        self.cover(content);
        let result = match opcode {
            op::CHANNEL => self.channel(content),
            op::MESSAGE_INDEX => self.message_index(offset, content),
            op::CHUNK_INDEX => self.chunk_index(offset, content),
            op::STATISTICS => self.statistics(offset, content),
            op::ATTACHMENT => self.attachment(offset, content),
            _ => Ok(()),
        };
        if let Err(error) = result {
            self.report.find(format!("byte {offset}: {error}"));
        }
    }

    fn chunk(&mut self, offset: u64, record: &[u8], records: &[u8]) {
        let Ok(chunk) = Chunk::parse(&record[RECORD_HEADER_BYTES..]) else { return };
        let mut indexes: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        let (mut first, mut last) = (u64::MAX, 0);
        for (position, message) in messages(records) {
            (first, last) = (first.min(message.log_time), last.max(message.log_time));
            let entry = indexes.entry(message.channel).or_default();
            entry.extend_from_slice(&message.log_time.to_le_bytes());
            entry.extend_from_slice(&(position as u64).to_le_bytes());
            self.message(offset, &message);
        }
        if (chunk.start_time, chunk.end_time) != (first, last) {
            self.report.find(format!("byte {offset}: the chunk's times are not those of its messages"));
        }
        self.chunks.push((offset, record.len() as u64, first, last));
        self.due_indexes = indexes
            .into_iter()
            .map(|(channel, entries)| {
                let mut content = channel.to_le_bytes().to_vec();
                content.extend_from_slice(&(entries.len() as u32).to_le_bytes());
                content.extend_from_slice(&entries);
                content
            })
            .collect();
    }

    fn message(&mut self, offset: u64, message: &crate::record::Message<'_>) {
        self.report.num_messages += 1;
        *self.counts.entry(message.channel).or_default() += 1;
        let Some(channel) = Channel::from_id(message.channel) else {
            self.report.find(format!("byte {offset}: a message on unknown channel {}", message.channel));
            return;
        };
        let topic = channel.topic();
        if !self.declared.contains(&message.channel) {
            self.report.find(format!("byte {offset}: a message on {topic}, which is not declared before"));
        }
        let expected = self.sequences.entry(channel.track).or_default();
        if channel.is_key && expected.wrapping_add(1) == message.sequence {
            self.holes.insert(channel.track);
        } else if message.sequence != *expected {
            let found = message.sequence;
            self.report.find(format!("byte {offset}: {topic} has message {found}, expected {expected}"));
        }
        *expected = message.sequence.wrapping_add(1);
        let newest = self.newest.entry(message.channel).or_default();
        // Clock pairs come from several sources, each with its own delay.
        if message.log_time < *newest && channel.track != Track::Clock {
            self.report
                .find(format!("byte {offset}: {topic} goes back in time at message {}", message.sequence));
        }
        *newest = message.log_time;
        let epoch = self.facts.manifest.as_ref().map_or(0, |manifest| manifest.epoch_wall_nanos);
        if let Err(error) = self.payload(channel, message, epoch) {
            self.report.find(format!("byte {offset}: {topic} message {}: {error}", message.sequence));
        }
    }

    fn payload(&mut self, channel: Channel, message: &crate::record::Message<'_>, epoch: u64) -> Result<()> {
        fn parses<T: DeserializeOwned>(track: Track, data: &[u8]) -> Result<()> {
            serde_json::from_slice::<T>(data).map(|_| ()).map_err(crate::Error::json(track.name()))
        }
        let data = message.data;
        match channel.track {
            Track::Screen(display) => {
                let (header, _) = Header::parse(data)?;
                if header.is_key != channel.is_key
                    || header.times.capture_end.wrapping_add(epoch) != message.log_time
                {
                    return Err(crate::Error::malformed(
                        "picture",
                        0,
                        "kind or time is not that of its message",
                    ));
                }
                self.decoders.apply(display, message.sequence, data).map(|_| ())
            }
            Track::Narration | Track::Sound => narration::decode(data).map(|_| ()),
            track @ Track::Pointer => parses::<json::PointerMessage>(track, data),
            track @ Track::Keys => parses::<json::KeyMessage>(track, data),
            track @ Track::Windows => parses::<json::WindowsMessage>(track, data),
            track @ Track::Markers => parses::<json::MarkersMessage>(track, data),
            track @ Track::Geometry => parses::<json::GeometryMessage>(track, data),
            track @ Track::Clock => parses::<json::ClockMessage>(track, data),
            track @ Track::Health => parses::<json::HealthMessage>(track, data),
            track @ Track::Cursor => parses::<json::CursorMessage>(track, data),
            track @ Track::Clipboard => parses::<json::ClipboardMessage>(track, data),
            track @ Track::Elements => parses::<json::ElementsMessage>(track, data),
        }
    }

    fn channel(&mut self, content: &[u8]) -> Result<()> {
        self.declared.insert(parse_channel(content)?.id());
        Ok(())
    }

    fn message_index(&mut self, offset: u64, content: &[u8]) -> Result<()> {
        self.has_message_indexes = true;
        match self.due_indexes.iter().position(|due| due == content) {
            Some(at) => {
                self.due_indexes.remove(at);
            }
            None => self.report.find(format!("byte {offset}: a message index that does not fit its chunk")),
        }
        Ok(())
    }

    /// Before the next chunk every message of the one before must have been indexed, in a file with indexes.
    fn end_indexes(&mut self, offset: u64) {
        if self.has_message_indexes && !self.due_indexes.is_empty() {
            self.report.find(format!("byte {offset}: the chunk before lacks message indexes"));
        }
        self.due_indexes.clear();
    }

    fn chunk_index(&mut self, offset: u64, content: &[u8]) -> Result<()> {
        let entry = parse_chunk_index(content)?;
        let stated = (entry.offset, entry.bytes, entry.start_time, entry.end_time);
        if self.chunks.get(self.num_chunk_indexes) != Some(&stated) {
            self.report.find(format!("byte {offset}: a chunk index that fits no chunk"));
        }
        self.num_chunk_indexes += 1;
        Ok(())
    }

    fn statistics(&mut self, offset: u64, content: &[u8]) -> Result<()> {
        let mut fields = Fields::of("statistics", content);
        let (num_messages, _schemas, num_channels) = (fields.u64()?, fields.u16()?, fields.u32()?);
        let (_attachments, _metadata, num_chunks) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (first, last) = (fields.u64()?, fields.u64()?);
        let map_bytes = fields.u32()? as usize;
        let mut map = Fields::of("statistics", fields.take(map_bytes)?);
        let mut counts = BTreeMap::new();
        while !map.rest().is_empty() {
            counts.insert(map.u16()?, map.u64()?);
        }
        let oldest = self.chunks.iter().map(|chunk| chunk.2).min().unwrap_or_default();
        let newest = self.chunks.iter().map(|chunk| chunk.3).max().unwrap_or_default();
        let agree = num_messages == self.report.num_messages
            && num_channels as usize == self.declared.len()
            && num_chunks as usize == self.chunks.len()
            && (first, last) == (oldest, newest)
            && counts == self.counts;
        if !agree {
            self.report.find(format!("byte {offset}: the statistics are not those of the messages"));
        }
        Ok(())
    }

    fn attachment(&mut self, offset: u64, content: &[u8]) -> Result<()> {
        let (name, data) = parse_attachment(content)?;
        if name == CHUNK_DIGESTS_NAME && data != self.digests {
            self.report.find(format!("byte {offset}: the chunk digests are not those of the chunks"));
        }
        Ok(())
    }

    fn footer(&mut self, offset: u64, content: &[u8]) {
        let mut fields = Fields::of("footer", content);
        let (Ok(start), Ok(_offsets), Ok(stated)) = (fields.u64(), fields.u64(), fields.u32()) else {
            self.report.find(format!("byte {offset}: malformed footer"));
            return;
        };
        if start == 0 {
            return;
        }
        self.cover(&content[..16]);
        let found = self.summary_crc.clone().finalize();
        if start != self.summary_start || stated != found {
            self.report.find(format!("byte {offset}: the footer does not fit the summary"));
        }
        if self.num_chunk_indexes != self.chunks.len() {
            let (indexed, chunks) = (self.num_chunk_indexes, self.chunks.len());
            self.report.find(format!("byte {offset}: {indexed} of {chunks} chunks are indexed"));
        }
    }

    fn finish(mut self) -> Result<Report> {
        if !self.facts.is_complete {
            self.report.find("the file does not end as a bundle does: run praxis recover on it".into());
        }
        self.facts.manifest()?;
        if self.facts.foreign_profile.is_some() {
            self.report.find("the header is damaged: it names another profile".into());
        }
        let gaps = self.facts.recovery.iter().flat_map(|recovery| &recovery.picture_gaps);
        let named: BTreeSet<&str> = gaps.map(|gap| gap.track.as_str()).collect();
        for track in self.holes.iter().filter(|track| !named.contains(&*track.name())) {
            self.report.find(format!("{track} lacks pictures that the bundle does not name as lost"));
        }
        if self.facts.seal.is_some() && !self.has_message_indexes && !self.chunks.is_empty() {
            self.report.find("a sealed bundle without message indexes".into());
        }
        Ok(self.report)
    }
}
