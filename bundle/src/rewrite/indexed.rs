//! Writes a finished MCAP file: chunks with message indexes, summary, statistics and chunk digests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use sha2::{Digest, Sha256};

use super::earlier::Earlier;
use crate::live::{ChunkCompressor, LIBRARY, OpenChunk};
use crate::manifest::PROFILE;
use crate::narration::Block;
use crate::record::{Chunk, MAGIC, RECORD_HEADER_BYTES, Records, op};
use crate::{Channel, Error, Result, Track};

/// Name of the attachment with the SHA-256 of every chunk record, 32 bytes each, in file order.
pub(crate) const CHUNK_DIGESTS_NAME: &str = "praxis.chunk_digests";
const SEALED_ZSTD_LEVEL: i32 = 12;
const RECOVERED_ZSTD_LEVEL: i32 = 1;

/// Something beside the messages.
pub(super) struct Attachment {
    pub(super) log_time: u64,
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) data: Vec<u8>,
}

/// Writes one file from start to end.
pub(super) struct IndexedWriter<'a, W> {
    out: W,
    /// What an earlier attempt has left, as long as this one writes the same.
    earlier: Option<Earlier<'a>>,
    offset: u64,
    /// CRC-32 of the data section so far.
    data_crc: crc32fast::Hasher,
    compressor: ChunkCompressor,
    channels: Vec<Channel>,
    chunk: OpenChunk,
    /// Of the open chunk: per channel, times and positions of its messages.
    index: BTreeMap<u16, Vec<(u64, u64)>>,
    sequences: BTreeMap<Track, u32>,
    counts: BTreeMap<u16, u64>,
    times: Option<(u64, u64)>,
    chunk_indexes: Records,
    num_chunks: u32,
    metadata_indexes: Records,
    attachment_indexes: Records,
    num_attachments: u32,
    /// Attachments that wait for the end of the open chunk.
    waiting: Vec<Attachment>,
    num_metadata: u32,
    /// Digests of the chunks, if wanted.
    digests: Option<Vec<u8>>,
}

impl<'a, W: Write> IndexedWriter<'a, W> {
    pub(super) fn new(out: W, is_sealing: bool, earlier: Option<Earlier<'a>>) -> Result<Self> {
        let level = if is_sealing { SEALED_ZSTD_LEVEL } else { RECOVERED_ZSTD_LEVEL };
        let mut writer = Self {
            out,
            earlier,
            offset: 0,
            data_crc: crc32fast::Hasher::new(),
            compressor: ChunkCompressor::new(level)?,
            channels: Vec::new(),
            chunk: OpenChunk::default(),
            index: BTreeMap::new(),
            sequences: BTreeMap::new(),
            counts: BTreeMap::new(),
            times: None,
            chunk_indexes: Records::default(),
            num_chunks: 0,
            metadata_indexes: Records::default(),
            attachment_indexes: Records::default(),
            num_attachments: 0,
            waiting: Vec::new(),
            num_metadata: 0,
            digests: is_sealing.then(Vec::new),
        };
        let mut start = Records(MAGIC.to_vec());
        start.header(PROFILE, LIBRARY);
        writer.write(&start.0)?;
        Ok(writer)
    }

    /// Bytes in the open chunk.
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunk.records.0.len()
    }

    /// Writes the channel's records, once.
    pub(super) fn declare(&mut self, channel: Channel) -> Result<()> {
        if self.channels.contains(&channel) {
            return Ok(());
        }
        self.close_chunk()?;
        let mut records = Records::default();
        if !self.channels.iter().any(|known| known.schema() == channel.schema()) {
            records.schema(channel.schema());
        }
        records.channel(channel);
        self.channels.push(channel);
        self.write(&records.0)
    }

    pub(super) fn push(&mut self, channel: Channel, log_time: u64, data: &[u8]) -> Result<()> {
        self.declare(channel)?;
        let sequence = self.sequences.entry(channel.track).or_default();
        let position = self.chunk.add(channel.id(), *sequence, log_time, data);
        *sequence = sequence.wrapping_add(1);
        self.index.entry(channel.id()).or_default().push((log_time, position));
        *self.counts.entry(channel.id()).or_default() += 1;
        Ok(())
    }

    /// Leaves out one sequence number of a track.
    pub(super) fn skip(&mut self, track: Track) {
        let sequence = self.sequences.entry(track).or_default();
        *sequence = sequence.wrapping_add(1);
    }

    pub(super) fn close_chunk(&mut self) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let Some(mut earlier) = self.earlier.take() else { return self.close_chunk_like(&[], &[]) };
        let (record, records) = earlier.chunk();
        let is_same = self.chunk.records.0 == records;
        self.close_chunk_like(record, records)?;
        if is_same {
            earlier.advance();
            self.earlier = Some(earlier);
        }
        Ok(())
    }

    /// The coded form of a block of an audio track, if an earlier attempt has left it.
    pub(super) fn known_audio(&self, track: Track, log_time: u64, block: &Block) -> Option<Vec<u8>> {
        self.earlier.as_ref()?.audio(track, log_time, block)
    }

    /// Closes the open chunk. If just the same messages are in a chunk that is compressed already (its record, and its
    /// records decompressed), that one is taken over as it is.
    pub(super) fn close_chunk_like(&mut self, record: &[u8], records: &[u8]) -> Result<()> {
        let Some((start, end)) = self.chunk.times else { return Ok(()) };
        let (first, last) = self.times.unwrap_or((start, end));
        self.times = Some((first.min(start), last.max(end)));
        let uncompressed_bytes = self.chunk.records.0.len() as u64;
        let is_same = self.chunk.records.0 == records
            && Chunk::parse(&record[RECORD_HEADER_BYTES..]).is_ok_and(|chunk| {
                (chunk.start_time, chunk.end_time, chunk.compression) == (start, end, "zstd")
            });
        let record = if is_same {
            self.chunk.clear();
            Cow::Borrowed(record)
        } else {
            Cow::Owned(self.chunk.close(&mut self.compressor)?)
        };
        if let Some(digests) = &mut self.digests {
            digests.extend_from_slice(&Sha256::digest(&record));
        }
        let chunk_offset = self.offset;
        self.write(&record)?;

        let indexes_offset = self.offset;
        let mut positions = Vec::new();
        let mut indexes = Records::default();
        for (channel, entries) in std::mem::take(&mut self.index) {
            positions.push((channel, indexes_offset + indexes.0.len() as u64));
            indexes.push(op::MESSAGE_INDEX, |content| {
                content.u16(channel).u32(entries.len() as u32 * 16);
                for (time, position) in entries {
                    content.u64(time).u64(position);
                }
            });
        }
        self.write(&indexes.0)?;
        let compressed_bytes = record.len() as u64 - crate::scan::CHUNK_FIXED_BYTES;
        self.chunk_indexes.push(op::CHUNK_INDEX, |content| {
            content.u64(start).u64(end).u64(chunk_offset).u64(record.len() as u64);
            content.u32(positions.len() as u32 * 10);
            for (channel, position) in positions {
                content.u16(channel).u64(position);
            }
            content
                .u64(indexes.0.len() as u64)
                .text("zstd")
                .u64(compressed_bytes)
                .u64(uncompressed_bytes)
                .end();
        });
        self.num_chunks += 1;
        self.write_waiting()
    }

    pub(super) fn json_metadata(&mut self, name: &str, json: &str) -> Result<()> {
        let mut record = Records::default();
        record.json_metadata(name, json);
        let offset = self.offset;
        self.metadata_indexes.push(op::METADATA_INDEX, |content| {
            content.u64(offset).u64(record.0.len() as u64).text(name).end();
        });
        self.num_metadata += 1;
        self.write(&record.0)
    }

    /// Writes digests, end of data, summary and footer; returns the number of messages.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.close_chunk()?;
        if let Some(data) = self.digests.take() {
            let log_time = self.times.map_or(0, |(first, _)| first);
            let (name, media_type) = (CHUNK_DIGESTS_NAME.into(), "application/octet-stream");
            self.write_attachment(&Attachment { log_time, name, media_type, data })?;
        }
        let data_crc = self.data_crc.clone().finalize();
        let mut end = Records::default();
        end.push(op::DATA_END, |content| content.u32(data_crc).end());
        self.write(&end.0)?;

        let summary_start = self.offset;
        let (summary, offsets_start) = self.summary();
        let mut tail = summary;
        tail.push(op::FOOTER, |content| content.u64(summary_start).u64(offsets_start).u32(0).end());
        // The CRC covers the summary and the footer up to the CRC itself.
        let crc_at = tail.0.len() - 4;
        let summary_crc = crc32fast::hash(&tail.0[..crc_at]);
        tail.0[crc_at..].copy_from_slice(&summary_crc.to_le_bytes());
        tail.0.extend_from_slice(&MAGIC);
        self.write(&tail.0)?;
        self.out.flush().map_err(Error::io("writing the bundle"))?;
        Ok(self.counts.values().sum())
    }

    /// Adds an attachment, after the open chunk if there is one.
    pub(super) fn attach(&mut self, attachment: Attachment) -> Result<()> {
        self.waiting.push(attachment);
        if self.chunk.is_empty() { self.write_waiting() } else { Ok(()) }
    }

    fn write_waiting(&mut self) -> Result<()> {
        std::mem::take(&mut self.waiting).iter().try_for_each(|attachment| self.write_attachment(attachment))
    }

    fn write_attachment(&mut self, attachment: &Attachment) -> Result<()> {
        let Attachment { log_time: time, name, media_type, data } = attachment;
        let time = *time;
        self.num_attachments += 1;
        let mut record = Records::default();
        record.push(op::ATTACHMENT, |content| {
            content.u64(time).u64(time).text(name).text(media_type).u64(data.len() as u64).bytes(data).end();
        });
        let crc = crc32fast::hash(&record.0[RECORD_HEADER_BYTES..]);
        record.0.extend_from_slice(&crc.to_le_bytes());
        let content_bytes = (record.0.len() - RECORD_HEADER_BYTES) as u64;
        record.0[1..RECORD_HEADER_BYTES].copy_from_slice(&content_bytes.to_le_bytes());
        let (offset, length) = (self.offset, record.0.len() as u64);
        self.attachment_indexes.push(op::ATTACHMENT_INDEX, |content| {
            content.u64(offset).u64(length).u64(time).u64(time).u64(data.len() as u64);
            content.text(name).text(media_type).end();
        });
        self.write(&record.0)
    }

    /// The summary section with its offsets, and where the offsets start in the file.
    fn summary(&mut self) -> (Records, u64) {
        let mut summary = Records::default();
        let mut groups: Vec<(u8, usize)> = vec![(op::SCHEMA, 0)];
        let mut channels = self.channels.clone();
        channels.sort_by_key(|channel| channel.id());
        let mut schemas: Vec<_> = channels.iter().map(|channel| channel.schema()).collect();
        schemas.sort();
        schemas.dedup();
        for schema in &schemas {
            summary.schema(*schema);
        }
        groups.push((op::CHANNEL, summary.0.len()));
        for channel in &channels {
            summary.channel(*channel);
        }
        groups.push((op::STATISTICS, summary.0.len()));
        let (first, last) = self.times.unwrap_or_default();
        summary.push(op::STATISTICS, |content| {
            content.u64(self.counts.values().sum()).u16(schemas.len() as u16).u32(channels.len() as u32);
            content
                .u32(self.num_attachments)
                .u32(self.num_metadata)
                .u32(self.num_chunks)
                .u64(first)
                .u64(last);
            content.u32(self.counts.len() as u32 * 10);
            for (channel, count) in &self.counts {
                content.u16(*channel).u64(*count);
            }
        });
        groups.push((op::CHUNK_INDEX, summary.0.len()));
        summary.0.append(&mut self.chunk_indexes.0);
        groups.push((op::METADATA_INDEX, summary.0.len()));
        summary.0.append(&mut self.metadata_indexes.0);
        groups.push((op::ATTACHMENT_INDEX, summary.0.len()));
        summary.0.append(&mut self.attachment_indexes.0);

        let offsets_start = self.offset + summary.0.len() as u64;
        let ends = groups.iter().skip(1).map(|(_, start)| *start).chain([summary.0.len()]);
        let groups: Vec<_> =
            groups.iter().zip(ends).map(|((opcode, start), end)| (*opcode, *start, end)).collect();
        for (opcode, start, end) in groups.into_iter().filter(|(_, start, end)| start < end) {
            summary.push(op::SUMMARY_OFFSET, |content| {
                content.u8(opcode).u64(self.offset + start as u64).u64((end - start) as u64).end();
            });
        }
        (summary, offsets_start)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::io("writing the bundle"))?;
        self.data_crc.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
