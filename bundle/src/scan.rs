//! The linear reader: goes through any file from its first byte to its last, whole, cut or damaged.
//!
//! It does no I/O: it asks for byte ranges ([`Step::Need`]) and is given them. Every length is checked before its
//! bytes are asked for, every checksum and every record's layout is checked, and after damage it finds the next chunk
//! by itself, so one damaged chunk loses only its own messages. Every byte of the file is in exactly one item. What a
//! file may cost is limited ([`crate::limits`], [`crate::work`]).

use std::collections::BTreeSet;

use crate::layout::check_layout;
use crate::limits::{MAX_CHUNK_MESSAGES, MAX_CHUNKS, max_bytes};
use crate::record::{
    Chunk, Fields, MAGIC, Message, RECORD_HEADER_BYTES, RawRecord, iterate, op, parse_json_metadata,
};
use crate::work::Work;
use crate::{Channel, Error, Result, Track};

/// Bytes looked at once while searching for the next chunk.
const SEARCH_BYTES: usize = 1 << 16;
/// Bytes of a chunk record up to the end of its compression name.
const CHUNK_SIGNATURE_BYTES: usize = RECORD_HEADER_BYTES + 8 + 8 + 8 + 4 + 4 + 4;

/// Bytes of a chunk record besides its compressed records.
pub(crate) const CHUNK_FIXED_BYTES: u64 = (CHUNK_SIGNATURE_BYTES + 8) as u64;

/// What the scanner wants or found.
#[derive(Debug)]
pub enum Step {
    /// Call [`Scanner::supply`] with exactly these bytes, then go on.
    Need {
        /// First byte.
        offset: u64,
        /// How many.
        bytes: usize,
    },
    /// The next part of the file.
    Item(Item),
    /// Nothing follows.
    End,
}

/// One part of a file.
#[derive(Debug)]
pub enum Item {
    /// A chunk whose CRC holds and whose messages all parse.
    Chunk {
        /// Byte position of its record.
        offset: u64,
        /// Its whole record.
        record: Vec<u8>,
        /// Its records, decompressed.
        records: Vec<u8>,
    },
    /// Any other record.
    Record {
        /// Byte position.
        offset: u64,
        /// Opcode.
        opcode: u8,
        /// Content.
        content: Vec<u8>,
    },
    /// Footer and closing magic are there: the file ends as it should.
    Complete {
        /// Byte position of the closing magic.
        offset: u64,
    },
    /// Bytes that cannot be read.
    Damage {
        /// First byte.
        start: u64,
        /// First byte after them.
        end: u64,
        /// What is wrong.
        why: String,
    },
}

#[derive(Debug, Clone)]
enum State {
    Magic,
    Header { at: u64 },
    Body { at: u64, opcode: u8, bytes: usize },
    ClosingMagic { at: u64 },
    Search { damage_start: u64, at: u64, why: String },
    End,
}

/// Goes through a file of known length.
#[derive(Debug)]
pub struct Scanner {
    file_bytes: u64,
    state: State,
    supplied: Option<Vec<u8>>,
    work: Work,
    num_chunks: u64,
}

impl Scanner {
    /// A scanner at the start of a file.
    #[must_use]
    pub fn new(file_bytes: u64) -> Self {
        let work = Work::of_file(file_bytes);
        Self { file_bytes, state: State::Magic, supplied: None, work, num_chunks: 0 }
    }

    /// Gives it the bytes it asked for.
    pub fn supply(&mut self, bytes: Vec<u8>) {
        self.supplied = Some(bytes);
    }

    /// The next thing it wants or found.
    ///
    /// # Errors
    /// `NotMcap` if nothing of a bundle is in the file's beginning; `TooLarge` if the file has too many chunks or costs
    /// too much for its length. Everything else is an [`Item::Damage`].
    pub fn step(&mut self) -> Result<Step> {
        loop {
            let (offset, bytes) = match &self.state {
                State::Magic if self.file_bytes < 8 => return Err(Error::NotMcap),
                State::Magic => (0, 8),
                State::Header { at } if *at == self.file_bytes => {
                    self.state = State::End;
                    continue;
                }
                State::Header { at } if self.file_bytes - at < RECORD_HEADER_BYTES as u64 => {
                    let at = *at;
                    self.search(at, at, "the file ends in the middle of a record");
                    continue;
                }
                State::Header { at } => (*at, RECORD_HEADER_BYTES),
                State::Body { at, bytes, .. } => (*at, RECORD_HEADER_BYTES + *bytes),
                State::ClosingMagic { at } => (*at, (self.file_bytes - at).min(8) as usize),
                State::Search { at, .. } => (*at, (self.file_bytes - at).min(SEARCH_BYTES as u64) as usize),
                State::End => return Ok(Step::End),
            };
            let Some(supplied) = self.supplied.take() else { return Ok(Step::Need { offset, bytes }) };
            self.work.spend(supplied.len() as u64)?;
            if let Some(item) = self.digest(supplied)? {
                return Ok(Step::Item(item));
            }
        }
    }

    /// Works on the bytes asked for in the present state.
    fn digest(&mut self, bytes: Vec<u8>) -> Result<Option<Item>> {
        match self.state.clone() {
            State::Magic if bytes != MAGIC => self.search(0, 0, "no MCAP magic bytes at the beginning"),
            State::Magic => self.state = State::Header { at: 8 },
            State::Header { at } => match self.check_header(at, &bytes) {
                Ok(body) => self.state = body,
                Err(why) => self.search(at, at + 1, why),
            },
            State::Body { at, opcode, bytes: count } => {
                let end = at + (RECORD_HEADER_BYTES + count) as u64;
                self.state = if opcode == op::FOOTER {
                    State::ClosingMagic { at: end }
                } else {
                    State::Header { at: end }
                };
                if opcode == op::CHUNK {
                    return self.read_chunk(at, end, bytes);
                }
                let content = &bytes[RECORD_HEADER_BYTES..];
                if opcode == op::METADATA
                    && let Err(error @ Error::Json { .. }) = check_metadata(content)
                {
                    return Ok(Some(Item::Damage { start: at, end, why: error.to_string() }));
                }
                return Ok(match check_layout(opcode, content) {
                    Ok(()) => Some(Item::Record { offset: at, opcode, content: content.to_vec() }),
                    Err(error @ Error::Checksum { .. }) => {
                        Some(Item::Damage { start: at, end, why: error.to_string() })
                    }
                    // The record's own opcode and length cannot be trusted.
                    Err(error) => {
                        self.search(at, at + 1, error.to_string());
                        None
                    }
                });
            }
            State::ClosingMagic { at } => {
                if bytes == MAGIC && at + 8 == self.file_bytes {
                    self.state = State::End;
                    return Ok(Some(Item::Complete { offset: at }));
                }
                self.search(at, at, "no closing magic bytes after the footer");
            }
            State::Search { damage_start, at, why } => {
                return self.look_for_record(damage_start, at, why, &bytes);
            }
            State::End => {}
        }
        Ok(None)
    }

    fn search(&mut self, damage_start: u64, at: u64, why: impl Into<String>) {
        self.state = State::Search { damage_start, at, why: why.into() };
    }

    fn check_header(&self, at: u64, header: &[u8]) -> Result<State, String> {
        let opcode = header[0];
        let mut length = [0; 8];
        length.copy_from_slice(&header[1..]);
        let length = u64::from_le_bytes(length);
        let Some(limit) = max_bytes(opcode) else {
            return Err(format!("no record begins with opcode {opcode:#04x}"));
        };
        if length > limit {
            return Err(format!("a record of {length} bytes is over the limit of {limit}"));
        }
        let room = self.file_bytes - at - RECORD_HEADER_BYTES as u64;
        if length > room {
            return Err(format!(
                "the file ends in the middle of a record: {length} bytes stated, {room} there"
            ));
        }
        Ok(State::Body { at, opcode, bytes: length as usize })
    }

    fn read_chunk(&mut self, at: u64, end: u64, record: Vec<u8>) -> Result<Option<Item>> {
        let chunk = match Chunk::parse(&record[RECORD_HEADER_BYTES..]) {
            Ok(chunk) => chunk,
            Err(error) => {
                // Its lengths contradict each other, so the record's own length cannot be trusted either.
                self.search(at, at + 1, error.to_string());
                return Ok(None);
            }
        };
        self.num_chunks += 1;
        if self.num_chunks > MAX_CHUNKS {
            return Err(Error::TooLarge { what: "chunks", found: self.num_chunks, limit: MAX_CHUNKS });
        }
        self.work.spend(chunk.uncompressed_bytes)?;
        let unpacked = chunk.decompress().and_then(|records| Ok((check_messages(&records)?, records)));
        Ok(Some(match unpacked {
            Ok((work, records)) => {
                self.work.spend(work)?;
                Item::Chunk { offset: at, record, records }
            }
            Err(error) => Item::Damage { start: at, end, why: error.to_string() },
        }))
    }

    fn look_for_record(
        &mut self,
        damage_start: u64,
        at: u64,
        why: String,
        window: &[u8],
    ) -> Result<Option<Item>> {
        let found = (0..window.len()).find(|position| {
            let at = at + *position as u64;
            looks_like_record(&window[*position..], self.file_bytes - at)
        });
        let end = match found {
            Some(position) => at + position as u64,
            // It does not begin as a bundle does, and nothing of one follows soon.
            None if damage_start == 0 => return Err(Error::NotMcap),
            None if at + window.len() as u64 == self.file_bytes => self.file_bytes,
            None => {
                let overlap = CHUNK_SIGNATURE_BYTES as u64;
                self.state = State::Search { damage_start, at: at + window.len() as u64 - overlap, why };
                return Ok(None);
            }
        };
        self.state = State::Header { at: end };
        Ok(Some(Item::Damage { start: damage_start, end, why }))
    }
}

/// Whether a chunk or a metadata record of ours seems to begin here, with `room` bytes left in the file.
fn looks_like_record(window: &[u8], room: u64) -> bool {
    let Some(header) = window.get(..RECORD_HEADER_BYTES) else { return false };
    let mut length = [0; 8];
    length.copy_from_slice(&header[1..]);
    let length = u64::from_le_bytes(length);
    let is_plausible = || {
        max_bytes(header[0]).is_some_and(|limit| length <= limit)
            && RECORD_HEADER_BYTES as u64 + length <= room
    };
    match header[0] {
        op::CHUNK => {
            window.get(CHUNK_SIGNATURE_BYTES - 8..CHUNK_SIGNATURE_BYTES) == Some(b"\x04\0\0\0zstd")
                && is_plausible()
        }
        op::METADATA => window.get(13..20) == Some(b"praxis.") && is_plausible(),
        _ => false,
    }
}

/// A metadata record has no checksum: what does not parse is damage, such as an ending that a power cut has torn.
fn check_metadata(content: &[u8]) -> Result<()> {
    use crate::manifest::{ENDING_NAME, Ending, RECOVERY_NAME, Recovery, SEAL_NAME, Seal};
    let (name, json) = parse_json_metadata(content)?;
    let parsed = match name {
        ENDING_NAME => serde_json::from_str::<Ending>(json).map(drop),
        RECOVERY_NAME => serde_json::from_str::<Recovery>(json).map(drop),
        SEAL_NAME => serde_json::from_str::<Seal>(json).map(drop),
        // A manifest of a newer format may be of another form.
        _ => serde_json::from_str::<serde::de::IgnoredAny>(json).map(drop),
    };
    parsed.map_err(Error::json(name))
}

/// A chunk is only good if every record in it is a message that parses. Returns what they cost.
pub(crate) fn check_messages(records: &[u8]) -> Result<u64> {
    let (mut num_messages, mut work) = (0, 0);
    for record in iterate(records) {
        let RawRecord { opcode, content, offset } = record?;
        let malformed = |why: String| Error::malformed("chunk", offset as u64, why);
        if opcode != op::MESSAGE {
            return Err(malformed(format!("opcode {opcode:#04x} inside a chunk")));
        }
        num_messages += 1;
        if num_messages > MAX_CHUNK_MESSAGES {
            return Err(malformed(format!("more than {MAX_CHUNK_MESSAGES} messages")));
        }
        work += Work::of_message(&Message::parse(content)?);
    }
    Ok(work)
}

/// The messages of an [`Item::Chunk`].
pub fn messages(records: &[u8]) -> impl Iterator<Item = (usize, Message<'_>)> {
    iterate(records)
        .filter_map(Result::ok)
        .filter_map(|record| Message::parse(record.content).ok().map(|message| (record.offset, message)))
}

/// Something that gives bytes by position: a file, a slice.
pub trait Bytes {
    /// Length in bytes.
    ///
    /// # Errors
    /// As the source says.
    fn num_bytes(&self) -> std::io::Result<u64>;
    /// Fills `into` from the bytes at `offset`.
    ///
    /// # Errors
    /// As the source says.
    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()>;
}

impl Bytes for [u8] {
    fn num_bytes(&self) -> std::io::Result<u64> {
        Ok(self.len() as u64)
    }
    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(into.len());
        let bytes = self.get(start..end).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

/// Scans a source from start to end.
///
/// # Errors
/// `NotMcap`, `TooLarge` or `Io`; an error of `each` ends the scan.
pub fn scan(source: &(impl Bytes + ?Sized), mut each: impl FnMut(Item) -> Result<()>) -> Result<()> {
    let mut scanner = Scanner::new(source.num_bytes().map_err(Error::io("reading the bundle's length"))?);
    loop {
        match scanner.step()? {
            Step::Need { offset, bytes } => {
                let mut buffer = vec![0; bytes];
                source.fill(offset, &mut buffer).map_err(Error::io("reading the bundle"))?;
                scanner.supply(buffer);
            }
            Step::Item(item) => each(item)?,
            Step::End => return Ok(()),
        }
    }
}

/// What stands before and after the messages of a bundle, collected while scanning.
#[derive(Debug, Default)]
pub struct Facts {
    /// The manifest.
    pub manifest: Option<crate::Manifest>,
    /// How the session ended; missing after a crash.
    pub ending: Option<crate::Ending>,
    /// What recovery said, if the file was recovered: the last record of it that can be read.
    pub recovery: Option<crate::Recovery>,
    /// Tracks of that record's gaps that have no end yet.
    open_gaps: BTreeSet<Track>,
    /// Present if the file is sealed.
    pub seal: Option<crate::manifest::Seal>,
    /// Whether footer and closing magic were seen.
    pub is_complete: bool,
    /// The profile in the header, if it is another one: a foreign file, or a damaged one if there is a manifest.
    pub foreign_profile: Option<String>,
}

impl Facts {
    /// Takes note of an item.
    ///
    /// # Errors
    /// `NewerFormat`, or a metadata record that does not parse.
    pub fn note(&mut self, item: &Item) -> Result<()> {
        use crate::manifest::{
            ENDING_NAME, FORMAT_VERSION, MANIFEST_NAME, PROFILE, RECOVERY_NAME, SEAL_NAME,
        };
        match item {
            Item::Record { opcode: op::HEADER, content, .. } => {
                let profile = Fields::of("header", content).text()?;
                self.foreign_profile = (profile != PROFILE).then(|| crate::error::short(profile));
            }
            Item::Record { opcode: op::METADATA, content, .. } => {
                let (name, json) = parse_json_metadata(content)?;
                match name {
                    MANIFEST_NAME => {
                        let manifest: crate::Manifest =
                            serde_json::from_str(json).map_err(Error::json(name))?;
                        if manifest.format_version > FORMAT_VERSION {
                            let found = manifest.format_version;
                            return Err(Error::NewerFormat { found, supported: FORMAT_VERSION });
                        }
                        // The second copy is for when the first is damaged.
                        self.manifest.get_or_insert(manifest);
                    }
                    ENDING_NAME => self.ending = Some(serde_json::from_str(json).map_err(Error::json(name))?),
                    RECOVERY_NAME => {
                        let recovery: crate::Recovery =
                            serde_json::from_str(json).map_err(Error::json(name))?;
                        let open = recovery.picture_gaps.iter().filter(|gap| gap.before_nanos.is_none());
                        self.open_gaps = open.filter_map(|gap| Track::from_name(&gap.track)).collect();
                        self.recovery = Some(recovery);
                    }
                    SEAL_NAME => self.seal = Some(serde_json::from_str(json).map_err(Error::json(name))?),
                    _ => {}
                }
            }
            Item::Complete { .. } => self.is_complete = true,
            Item::Chunk { records, .. } => self.end_gaps(records),
            _ => {}
        }
        Ok(())
    }

    /// Recovery writes a loss down where it meets it, before it knows what follows: that gap lasts until the next picture.
    fn end_gaps(&mut self, records: &[u8]) {
        let (Some(recovery), Some(manifest)) = (&mut self.recovery, &self.manifest) else { return };
        if self.open_gaps.is_empty() {
            return;
        }
        for (_, message) in messages(records) {
            let Some(channel) = Channel::from_id(message.channel) else { continue };
            if self.open_gaps.remove(&channel.track) {
                let (name, nanos) =
                    (channel.track.name(), message.log_time.saturating_sub(manifest.epoch_wall_nanos));
                for gap in recovery.picture_gaps.iter_mut().filter(|gap| gap.track == name) {
                    gap.before_nanos.get_or_insert(nanos);
                }
            }
        }
    }

    /// The manifest, which every use of messages needs.
    ///
    /// # Errors
    /// `ForeignProfile` or `NoManifest`.
    pub fn manifest(&self) -> Result<&crate::Manifest> {
        self.manifest.as_ref().ok_or_else(|| match &self.foreign_profile {
            Some(profile) => Error::ForeignProfile { profile: profile.clone() },
            None => Error::NoManifest,
        })
    }
}
