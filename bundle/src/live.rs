//! The live writer: appends messages to a file that is readable after a crash at any instant.
//!
//! It writes header, manifest, schemas and channels when made, then one chunk per [`LiveWriter::close_chunk`], each
//! in a single write. Flushed bytes are never touched again. It keeps one open chunk in memory and nothing that
//! grows with the session. It does not sync (the owner of the file does) and reads no clock (the caller times the
//! chunks).

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::limits::MAX_CHUNK_BYTES;
use crate::manifest::{ENDING_NAME, Ending, MANIFEST_NAME, Manifest, PROFILE};
use crate::record::{MAGIC, Records, op};
use crate::{Channel, Error, Result, Track};

/// Name and version in the MCAP header.
pub(crate) const LIBRARY: &str = concat!("praxis ", env!("CARGO_PKG_VERSION"));
/// A chunk with this much in it is closed without waiting for its time.
const FULL_CHUNK_BYTES: usize = 16 << 20;
const LIVE_ZSTD_LEVEL: i32 = 1;

/// Writes a live file.
pub struct LiveWriter<W> {
    out: Option<W>,
    epoch_wall_nanos: u64,
    channels: Vec<Channel>,
    chunk: OpenChunk,
    zstd: zstd::bulk::Compressor<'static>,
    sequences: BTreeMap<Track, u32>,
    bytes_written: u64,
    /// CRC-32 of all that was written.
    data_crc: crc32fast::Hasher,
}

impl<W: Write> LiveWriter<W> {
    /// Writes everything up to the first chunk: magic, header, manifest, schemas and channels of `tracks`, the manifest
    /// again.
    ///
    /// # Errors
    /// `Io` if `out` fails.
    pub fn new(out: W, manifest: &Manifest, tracks: &[Track]) -> Result<Self> {
        let zstd = zstd::bulk::Compressor::new(LIVE_ZSTD_LEVEL).map_err(Error::io("starting zstd"))?;
        let channels = channels_of(tracks);
        let mut writer = Self {
            out: Some(out),
            epoch_wall_nanos: manifest.epoch_wall_nanos,
            channels: channels.clone(),
            chunk: OpenChunk::default(),
            zstd,
            sequences: BTreeMap::new(),
            bytes_written: 0,
            data_crc: crc32fast::Hasher::new(),
        };
        let mut start = Records(MAGIC.to_vec());
        start.header(PROFILE, LIBRARY);
        let manifest = to_json(MANIFEST_NAME, manifest)?;
        start.json_metadata(MANIFEST_NAME, &manifest);
        declare(&mut start, &channels);
        // Without it no message has a time: it must survive a bad page.
        start.json_metadata(MANIFEST_NAME, &manifest);
        writer.write(&start.0)?;
        Ok(writer)
    }

    /// Adds a message to the open chunk.
    ///
    /// # Errors
    /// `Io` if the chunk was full and writing it failed; `TooLarge` if the message fits into no chunk.
    pub fn push(&mut self, channel: Channel, session_time_nanos: u64, data: &[u8]) -> Result<()> {
        let found = data.len() as u64;
        if found > MAX_CHUNK_BYTES - 1024 {
            return Err(Error::TooLarge { what: "bytes of a message", found, limit: MAX_CHUNK_BYTES - 1024 });
        }
        if !self.channels.contains(&channel) {
            self.close_chunk()?;
            let mut records = Records::default();
            records.schema_and_channel(channel);
            self.write(&records.0)?;
            self.channels.push(channel);
        }
        if !self.chunk.is_empty() && self.chunk.records.0.len() + data.len() > FULL_CHUNK_BYTES {
            self.close_chunk()?;
        }
        let sequence = self.sequences.entry(channel.track).or_default();
        self.chunk.add(channel.id(), *sequence, self.epoch_wall_nanos + session_time_nanos, data);
        *sequence = sequence.wrapping_add(1);
        Ok(())
    }

    /// Writes the open chunk, if anything is in it.
    ///
    /// # Errors
    /// `Io` if `out` fails.
    pub fn close_chunk(&mut self) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let record = self.chunk.close(&mut self.zstd)?;
        self.write(&record)
    }

    /// Ends the file and gives `out` back.
    ///
    /// # Errors
    /// `Io` if `out` fails.
    pub fn end(mut self, ending: &Ending) -> Result<W> {
        self.close_chunk()?;
        let mut records = Records::default();
        records.json_metadata(ENDING_NAME, &to_json(ENDING_NAME, ending)?);
        self.write(&records.0)?;
        let (mut records, data_crc) = (Records::default(), self.data_crc.clone().finalize());
        records.push(op::DATA_END, |content| content.u32(data_crc).end());
        records.push(op::FOOTER, |content| content.u64(0).u64(0).u32(0).end());
        records.0.extend_from_slice(&MAGIC);
        self.write(&records.0)?;
        self.out.take().ok_or(Error::WriterFailed)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Messages of that track so far.
    #[must_use]
    pub fn num_messages(&self, track: Track) -> u64 {
        self.sequences.get(&track).copied().unwrap_or_default().into()
    }

    /// After a failed write the file may end in half a record: the writer drops `out` and takes nothing more.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let out = self.out.as_mut().ok_or(Error::WriterFailed)?;
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            self.out = None;
            return Err(Error::io("writing the bundle")(error));
        }
        self.bytes_written += bytes.len() as u64;
        self.data_crc.update(bytes);
        Ok(())
    }
}

/// The chunk that is being filled.
#[derive(Default)]
pub(crate) struct OpenChunk {
    pub(crate) records: Records,
    /// Oldest and newest `log_time`.
    pub(crate) times: Option<(u64, u64)>,
}

impl OpenChunk {
    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_none()
    }

    /// Adds a message; returns its byte position in the chunk.
    pub(crate) fn add(&mut self, channel: u16, sequence: u32, log_time: u64, data: &[u8]) -> u64 {
        let offset = self.records.0.len() as u64;
        self.records.message(channel, sequence, log_time, data);
        let (start, end) = self.times.unwrap_or((log_time, log_time));
        self.times = Some((start.min(log_time), end.max(log_time)));
        offset
    }

    /// The bytes of the chunk record; the chunk is empty again.
    pub(crate) fn close(&mut self, zstd: &mut zstd::bulk::Compressor<'_>) -> Result<Vec<u8>> {
        let (start, end) = self.times.take().unwrap_or_default();
        let compressed = zstd.compress(&self.records.0).map_err(Error::io("compressing a chunk"))?;
        let mut record = Records(Vec::with_capacity(compressed.len() + 64));
        record.push(op::CHUNK, |content| {
            content.u64(start).u64(end).u64(self.records.0.len() as u64);
            content.u32(crc32fast::hash(&self.records.0)).text("zstd");
            content.u64(compressed.len() as u64).bytes(&compressed).end();
        });
        self.records.0.clear();
        self.records.0.shrink_to(FULL_CHUNK_BYTES);
        Ok(record.0)
    }
}

/// All channels of some tracks, by id.
pub(crate) fn channels_of(tracks: &[Track]) -> Vec<Channel> {
    let mut channels: Vec<Channel> =
        tracks.iter().flat_map(|track| [Some(track.channel()), track.key_channel()]).flatten().collect();
    channels.sort_by_key(|channel| channel.id());
    channels
}

/// Schemas first, each once, then channels.
pub(crate) fn declare(records: &mut Records, channels: &[Channel]) {
    let mut schemas: Vec<_> = channels.iter().map(|channel| channel.schema()).collect();
    schemas.sort();
    schemas.dedup();
    for schema in schemas {
        records.schema(schema);
    }
    for channel in channels {
        records.channel(*channel);
    }
}

pub(crate) fn to_json(what: &str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::json(what))
}
