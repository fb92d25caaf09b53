//! MCAP records: how they are laid out, written and parsed, with a limit on every length.
//!
//! Only the records that bundles use are here. Layouts are those of the MCAP specification, version 0; all numbers
//! are little-endian. Parsing never allocates more than the bytes it was given.

use crate::limits::MAX_CHUNK_BYTES;
use crate::manifest::{CRC_KEY, JSON_KEY};
use crate::{Error, Result};

/// First and last eight bytes of every MCAP file.
pub const MAGIC: [u8; 8] = *b"\x89MCAP0\r\n";
/// Bytes of opcode and length before each record's content.
pub const RECORD_HEADER_BYTES: usize = 9;

/// Record opcodes.
#[allow(missing_docs, reason = "the names are those of the MCAP specification")]
pub mod op {
    pub const HEADER: u8 = 0x01;
    pub const FOOTER: u8 = 0x02;
    pub const SCHEMA: u8 = 0x03;
    pub const CHANNEL: u8 = 0x04;
    pub const MESSAGE: u8 = 0x05;
    pub const CHUNK: u8 = 0x06;
    pub const MESSAGE_INDEX: u8 = 0x07;
    pub const CHUNK_INDEX: u8 = 0x08;
    pub const ATTACHMENT: u8 = 0x09;
    pub const ATTACHMENT_INDEX: u8 = 0x0A;
    pub const STATISTICS: u8 = 0x0B;
    pub const METADATA: u8 = 0x0C;
    pub const METADATA_INDEX: u8 = 0x0D;
    pub const SUMMARY_OFFSET: u8 = 0x0E;
    pub const DATA_END: u8 = 0x0F;
}

/// Builds the bytes of one record after another.
#[derive(Debug, Default)]
pub struct Records(pub Vec<u8>);

impl Records {
    /// Appends a record whose content `fill` writes.
    pub fn push(&mut self, opcode: u8, fill: impl FnOnce(&mut Content<'_>)) {
        let start = self.0.len();
        self.0.push(opcode);
        self.0.extend_from_slice(&[0; 8]);
        fill(&mut Content(&mut self.0));
        let content_bytes = (self.0.len() - start - RECORD_HEADER_BYTES) as u64;
        self.0[start + 1..start + RECORD_HEADER_BYTES].copy_from_slice(&content_bytes.to_le_bytes());
    }

    /// Appends a header record.
    pub fn header(&mut self, profile: &str, library: &str) {
        self.push(op::HEADER, |content| content.text(profile).text(library).end());
    }

    /// Appends a metadata record with one JSON value and its checksum.
    pub fn json_metadata(&mut self, name: &str, json: &str) {
        let crc = format!("{:08x}", metadata_crc(name, json));
        let entries = [(JSON_KEY, json), (CRC_KEY, &crc)];
        let map_bytes: usize = entries.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
        self.push(op::METADATA, |content| {
            content.text(name).u32(map_bytes as u32);
            for (key, value) in entries {
                content.text(key).text(value);
            }
        });
    }

    /// Appends the schema and channel record of a channel.
    pub fn schema_and_channel(&mut self, channel: crate::Channel) {
        self.schema(channel.schema());
        self.channel(channel);
    }

    /// Appends a schema record.
    pub fn schema(&mut self, schema: crate::track::Schema) {
        self.push(op::SCHEMA, |content| {
            content.u16(schema.id()).text(&schema.name()).text(schema.encoding()).text(&schema.text()).end();
        });
    }

    /// Appends a channel record.
    pub fn channel(&mut self, channel: crate::Channel) {
        let schema = channel.schema();
        self.push(op::CHANNEL, |content| {
            content.u16(channel.id()).u16(schema.id()).text(&channel.topic());
            content.text(schema.message_encoding()).u32(0).end();
        });
    }

    /// Appends a message record.
    pub fn message(&mut self, channel: u16, sequence: u32, log_time: u64, data: &[u8]) {
        self.push(op::MESSAGE, |content| {
            content.u16(channel).u32(sequence).u64(log_time).u64(log_time).bytes(data).end();
        });
    }
}

/// Appends fields to a record.
pub struct Content<'a>(&'a mut Vec<u8>);

#[allow(missing_docs, reason = "one method per field type")]
impl Content<'_> {
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.u32(value.len() as u32).bytes(value.as_bytes())
    }
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }
    /// Ends a chain of fields.
    pub fn end(&mut self) {}
}

/// Takes fields off the front of a record's content; every length is checked against what is there.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    what: &'static str,
    whole: &'a [u8],
    rest: &'a [u8],
}

#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "one method per field type; all fail where bytes lack"
)]
impl<'a> Fields<'a> {
    #[must_use]
    pub fn of(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, whole: bytes, rest: bytes }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let why = format!("{count} bytes wanted, {} left", self.rest.len());
            return Err(self.malformed(why));
        };
        self.rest = rest;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
    pub fn text(&mut self) -> Result<&'a str> {
        let bytes = self.sized()?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("text is not UTF-8"))
    }
    /// Bytes with their length before them, in four bytes.
    pub fn sized(&mut self) -> Result<&'a [u8]> {
        let count = self.u32()? as usize;
        self.take(count)
    }
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.malformed(format!("{} bytes left over", self.rest.len())))
    }
    pub fn malformed(&self, why: impl Into<String>) -> Error {
        Error::malformed(self.what, (self.whole.len() - self.rest.len()) as u64, why)
    }
}

/// A chunk record, still compressed.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// Oldest `log_time` in it.
    pub start_time: u64,
    /// Newest `log_time` in it.
    pub end_time: u64,
    /// Bytes after decompression.
    pub uncompressed_bytes: u64,
    /// CRC-32 of those bytes.
    pub crc: u32,
    /// `zstd`, or empty for none.
    pub compression: &'a str,
    /// The records, compressed.
    pub records: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Parses a chunk record's content.
    ///
    /// # Errors
    /// `Malformed` or `TooLarge`.
    pub fn parse(content: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::of("chunk", content);
        let (start_time, end_time) = (fields.u64()?, fields.u64()?);
        let (uncompressed_bytes, crc, compression) = (fields.u64()?, fields.u32()?, fields.text()?);
        let records_bytes = fields.u64()?;
        let records = fields.rest();
        if records_bytes != records.len() as u64 {
            return Err(
                fields.malformed(format!("{records_bytes} bytes of records, {} there", records.len()))
            );
        }
        if uncompressed_bytes > MAX_CHUNK_BYTES {
            return Err(Error::TooLarge {
                what: "bytes of a chunk",
                found: uncompressed_bytes,
                limit: MAX_CHUNK_BYTES,
            });
        }
        Ok(Self { start_time, end_time, uncompressed_bytes, crc, compression, records })
    }

    /// Decompresses the records and checks their CRC.
    ///
    /// # Errors
    /// `Malformed` or `Checksum`.
    pub fn decompress(&self) -> Result<Vec<u8>> {
        let bytes = match self.compression {
            "zstd" => zstd::bulk::decompress(self.records, self.uncompressed_bytes as usize)
                .map_err(|error| Error::malformed("chunk", 0, format!("zstd: {error}")))?,
            "" => self.records.to_vec(),
            other => {
                let why = format!("unknown compression {:?}", crate::error::short(other));
                return Err(Error::malformed("chunk", 0, why));
            }
        };
        if bytes.len() as u64 != self.uncompressed_bytes {
            let why =
                format!("{} bytes after decompression, {} stated", bytes.len(), self.uncompressed_bytes);
            return Err(Error::malformed("chunk", 0, why));
        }
        let found = crc32fast::hash(&bytes);
        if found != self.crc {
            return Err(Error::Checksum { what: "chunk", found, expected: self.crc });
        }
        Ok(bytes)
    }
}

/// A message record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// MCAP channel id.
    pub channel: u16,
    /// Count of messages of its track before it.
    pub sequence: u32,
    /// Wall clock at the epoch + session time.
    pub log_time: u64,
    /// The payload.
    pub data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses a message record's content.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(content: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::of("message", content);
        let (channel, sequence, log_time, publish_time) =
            (fields.u16()?, fields.u32()?, fields.u64()?, fields.u64()?);
        if publish_time != log_time {
            return Err(fields.malformed(format!("publish_time {publish_time} is not log_time {log_time}")));
        }
        Ok(Self { channel, sequence, log_time, data: fields.rest() })
    }
}

/// One record of a run of records.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// Byte position of its opcode in the run.
    pub offset: usize,
    /// Its opcode.
    pub opcode: u8,
    /// Its content.
    pub content: &'a [u8],
}

/// The records of a decompressed chunk or of a summary section. Ends after the first error.
pub fn iterate(bytes: &[u8]) -> impl Iterator<Item = Result<RawRecord<'_>>> {
    let mut fields = Fields::of("record", bytes);
    let mut is_broken = false;
    std::iter::from_fn(move || {
        if is_broken || fields.rest().is_empty() {
            return None;
        }
        let offset = bytes.len() - fields.rest().len();
        let mut next = || {
            let (opcode, length) = (fields.u8()?, fields.u64()?);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            Ok(RawRecord { offset, opcode, content: fields.take(length)? })
        };
        let record = next();
        is_broken = record.is_err();
        Some(record)
    })
}

/// Parses a metadata record into its name and its JSON. Those of other programs have no JSON: it is then empty.
///
/// # Errors
/// `Malformed`; `Checksum` if name or JSON are not what was written.
pub fn parse_json_metadata(content: &[u8]) -> Result<(&str, &str)> {
    let mut fields = Fields::of("metadata", content);
    let name = fields.text()?;
    let mut map = Fields::of("metadata", fields.sized()?);
    fields.end()?;
    let (mut json, mut crc) = (None, None);
    while !map.rest().is_empty() {
        let (key, value) = (map.text()?, map.text()?);
        match key {
            JSON_KEY => json = Some(value),
            CRC_KEY => crc = Some(value),
            _ => {}
        }
    }
    // A bit of the name may have flipped: what has a checksum is checked, whatever its name.
    if !name.starts_with("praxis.") && crc.is_none() {
        return Ok((name, ""));
    }
    let parsed = json.zip(crc.and_then(|crc| u32::from_str_radix(crc, 16).ok()));
    let (json, expected) =
        parsed.ok_or_else(|| fields.malformed(format!("no {JSON_KEY:?} with its {CRC_KEY:?}")))?;
    let found = metadata_crc(name, json);
    if found != expected {
        return Err(Error::Checksum { what: "metadata", found, expected });
    }
    Ok((name, json))
}

/// CRC-32 of a metadata record: over its name and its JSON.
fn metadata_crc(name: &str, json: &str) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(name.as_bytes());
    crc.update(json.as_bytes());
    crc.finalize()
}
