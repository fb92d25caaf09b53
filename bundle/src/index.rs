//! The summary of a finished file: where each chunk is, so that a picture is found without reading the rest.
//!
//! Does no I/O: [`Index::tail_range`] and [`Index::summary_range`] say what to read, [`Index::parse`] reads it.

use crate::limits::MAX_SUMMARY_BYTES;
use crate::manifest::RECOVERY_NAME;
use crate::record::{Fields, MAGIC, iterate, op};
use crate::rewrite::PREVIEW_NAME;
use crate::{Channel, Error, Result};

/// Footer record and closing magic.
pub const TAIL_BYTES: u64 = 9 + 20 + 8;

/// Where one chunk is and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Byte position of its record.
    pub offset: u64,
    /// Length of its record.
    pub bytes: u64,
    /// Oldest `log_time`.
    pub start_time: u64,
    /// Newest `log_time`.
    pub end_time: u64,
    /// Ids of the channels that have messages in it.
    pub channels: Vec<u16>,
}

/// The chunks of a finished file, in file order.
#[derive(Debug, Default)]
pub struct Index {
    /// The chunks.
    pub chunks: Vec<ChunkEntry>,
    /// Byte position and length of the record that says what recovery left out, if there is one.
    pub recovery: Option<(u64, u64)>,
    /// Byte position and length of the record with the strip of small pictures, if there is one.
    pub preview: Option<(u64, u64)>,
}

impl Index {
    /// The bytes to read first; `None` if the file is too short to be finished.
    #[must_use]
    pub fn tail_range(file_bytes: u64) -> Option<(u64, usize)> {
        Some((file_bytes.checked_sub(TAIL_BYTES)?, TAIL_BYTES as usize))
    }

    /// The bytes of the summary, as the tail says; `None` if there is no sound one.
    #[must_use]
    pub fn summary_range(file_bytes: u64, tail: &[u8]) -> Option<(u64, usize)> {
        let mut fields = Fields::of("footer", tail);
        let (opcode, length) = (fields.u8().ok()?, fields.u64().ok()?);
        let summary_start = fields.u64().ok()?;
        let end = file_bytes.checked_sub(TAIL_BYTES)?;
        let is_sound = opcode == op::FOOTER && length == 20 && tail.ends_with(&MAGIC) && summary_start > 0;
        let bytes = end.checked_sub(summary_start)?;
        (is_sound && bytes <= MAX_SUMMARY_BYTES).then_some((summary_start, bytes as usize))
    }

    /// Parses the summary; its CRC (in the tail) must hold.
    ///
    /// # Errors
    /// `Checksum` or `Malformed`.
    pub fn parse(file_bytes: u64, summary: &[u8], tail: &[u8]) -> Result<Self> {
        let (covered, rest) = tail.split_at_checked(25).ok_or(Error::NotMcap)?;
        let expected = Fields::of("footer", rest).u32()?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(summary);
        crc.update(covered);
        let found = crc.finalize();
        if found != expected {
            return Err(Error::Checksum { what: "summary", found, expected });
        }
        let (mut chunks, mut recovery, mut preview) = (Vec::new(), None, None);
        for record in iterate(summary) {
            let record = record?;
            if record.opcode == op::CHUNK_INDEX {
                let chunk = parse_chunk_index(record.content)?;
                if chunk.offset.checked_add(chunk.bytes).is_none_or(|end| end > file_bytes) {
                    return Err(Error::malformed("chunk index", chunk.offset, "a chunk outside the file"));
                }
                chunks.push(chunk);
            }
            if record.opcode == op::METADATA_INDEX {
                let mut fields = Fields::of("metadata index", record.content);
                let (offset, bytes, name) = (fields.u64()?, fields.u64()?, fields.text()?);
                // The last one is the full one.
                recovery = (name == RECOVERY_NAME).then_some((offset, bytes)).or(recovery);
            }
            if record.opcode == op::ATTACHMENT_INDEX {
                let mut fields = Fields::of("attachment index", record.content);
                let (offset, bytes) = (fields.u64()?, fields.u64()?);
                let (_log_time, _create_time, _data_bytes) = (fields.u64()?, fields.u64()?, fields.u64()?);
                preview = preview.or((fields.text()? == PREVIEW_NAME).then_some((offset, bytes)));
            }
        }
        Ok(Self { chunks, recovery, preview })
    }

    /// Chunks that may hold the newest keyframe at or before `log_time`, newest first, by their place in the file.
    pub fn keyframe_candidates(&self, key: Channel, log_time: u64) -> impl Iterator<Item = usize> {
        let has_key =
            move |chunk: &ChunkEntry| chunk.start_time <= log_time && chunk.channels.contains(&key.id());
        (0..self.chunks.len()).rev().filter(move |at| has_key(&self.chunks[*at]))
    }
}

pub(crate) fn parse_chunk_index(content: &[u8]) -> Result<ChunkEntry> {
    let mut fields = Fields::of("chunk index", content);
    let (start_time, end_time, offset, bytes) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
    let map_bytes = fields.u32()? as usize;
    let mut map = Fields::of("chunk index", fields.take(map_bytes)?);
    let mut channels = Vec::new();
    while !map.rest().is_empty() {
        channels.push(map.u16()?);
        map.u64()?;
    }
    Ok(ChunkEntry { offset, bytes, start_time, end_time, channels })
}
