//! The live writer: appends messages to a file that is readable after a crash at any instant.
//!
//! It writes header, manifest, schemas and channels when made, then one chunk per [`LiveWriter::close_chunk`], each
//! in a single write. Flushed bytes are never touched again. It keeps one open chunk in memory and nothing that
//! grows with the session. It does not sync (the owner of the file does) and reads no clock (the caller times the
//! chunks).
//!
//! A full disk may stop a write anywhere. What is left of it then waits, and is written before anything else, so that the
//! file goes on with the very next byte: a record that was begun is completed, never cut and never begun anew. Any other
//! failure is final, since nobody knows what is in the file after it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::limits::MAX_CHUNK_BYTES;
use crate::manifest::{ENDING_NAME, Ending, MANIFEST_NAME, Manifest, PROFILE};
use crate::record::{MAGIC, Records, op};
use crate::storage::is_full;
use crate::{Channel, Error, Result, Track};

/// Name and version in the MCAP header.
pub(crate) const LIBRARY: &str = concat!("praxis ", env!("CARGO_PKG_VERSION"));
/// A chunk with this much in it is closed without waiting for its time.
const FULL_CHUNK_BYTES: usize = 16 << 20;
/// A quarter fewer bytes of text than level 1, for about one percent of a core while a page scrolls.
const LIVE_ZSTD_LEVEL: i32 = 5;

/// Writes a live file.
pub struct LiveWriter<W> {
    out: Option<W>,
    epoch_wall_nanos: u64,
    channels: Vec<Channel>,
    chunk: OpenChunk,
    compressor: ChunkCompressor,
    sequences: BTreeMap<Track, u32>,
    bytes_written: u64,
    /// CRC-32 of all that was written.
    data_crc: crc32fast::Hasher,
    /// What found no room yet.
    waiting: Vec<u8>,
}

impl<W: Write> LiveWriter<W> {
    /// Writes everything up to the first chunk: magic, header, manifest, schemas and channels of `tracks`, the manifest
    /// again.
    ///
    /// # Errors
    /// `Io` if `out` fails.
    pub fn new(out: W, manifest: &Manifest, tracks: &[Track]) -> Result<Self> {
        let channels = channels_of(tracks);
        let mut writer = Self {
            out: Some(out),
            epoch_wall_nanos: manifest.epoch_wall_nanos,
            channels: channels.clone(),
            chunk: OpenChunk::default(),
            compressor: ChunkCompressor::new(LIVE_ZSTD_LEVEL)?,
            sequences: BTreeMap::new(),
            bytes_written: 0,
            data_crc: crc32fast::Hasher::new(),
            waiting: Vec::new(),
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
    /// `Io` if the chunk was full and `out` fails; `TooLarge` if the message fits into no chunk.
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
        let record = self.chunk.close(&mut self.compressor)?;
        self.write(&record)
    }

    /// Ends the file and gives `out` back.
    ///
    /// # Errors
    /// `Io` if `out` fails, or has no room for what waits and the end.
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
        match self.waiting.is_empty() {
            true => self.out.take().ok_or(Error::WriterFailed),
            false => Err(Error::io("writing the end of the bundle")(ErrorKind::StorageFull.into())),
        }
    }

    /// Tries to write what found no room. Returns how many bytes still wait.
    ///
    /// # Errors
    /// `Io` if `out` fails, but not if it is full.
    pub fn retry(&mut self) -> Result<usize> {
        self.write(&[])?;
        Ok(self.waiting.len())
    }

    /// Bytes that found no room and wait in memory; who fills them up has to look at this.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.len()
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

    /// Writes what waits, then `bytes`. What finds no room waits; after any other failure the writer drops `out` and takes
    /// nothing more.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let out = self.out.as_mut().ok_or(Error::WriterFailed)?;
        let mut all = Cow::Borrowed(bytes);
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            all = Cow::Owned([&waiting, bytes].concat());
        }
        self.data_crc.update(bytes);
        let mut left = &all[..];
        let result = write_as_much_as_fits(out, &mut left);
        self.bytes_written += (all.len() - left.len()) as u64;
        self.waiting = left.to_vec();
        result.map_err(|error| {
            self.out = None;
            Error::io("writing the bundle")(error)
        })
    }
}

/// Shortens `left` by what is written. A full disk is not an error.
fn write_as_much_as_fits(out: &mut impl Write, left: &mut &[u8]) -> std::io::Result<()> {
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *left = &left[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_full(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    out.flush()
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
    pub(crate) fn close(&mut self, compressor: &mut ChunkCompressor) -> Result<Vec<u8>> {
        let (start, end) = self.times.unwrap_or_default();
        let compressed = compressor.compress(&self.records.0)?;
        let mut record = Records(Vec::with_capacity(compressed.len() + 64));
        record.push(op::CHUNK, |content| {
            content.u64(start).u64(end).u64(self.records.0.len() as u64);
            content.u32(crc32fast::hash(&self.records.0)).text("zstd");
            content.u64(compressed.len() as u64).bytes(compressed).end();
        });
        self.clear();
        Ok(record.0)
    }

    pub(crate) fn clear(&mut self) {
        self.times = None;
        self.records.0.clear();
        self.records.0.shrink_to(FULL_CHUNK_BYTES);
    }
}

/// Compresses one chunk after another.
///
/// What it compresses into is kept: it has room for the worst case, and made anew for each chunk it would wander through
/// the memory of the process, which would keep every page that was once touched.
pub(crate) struct ChunkCompressor {
    zstd: zstd::bulk::Compressor<'static>,
    compressed: Vec<u8>,
}

impl ChunkCompressor {
    pub(crate) fn new(level: i32) -> Result<Self> {
        let zstd = zstd::bulk::Compressor::new(level).map_err(Error::io("starting zstd"))?;
        Ok(Self { zstd, compressed: Vec::new() })
    }

    fn compress(&mut self, records: &[u8]) -> Result<&[u8]> {
        self.compressed.clear();
        self.compressed.shrink_to(zstd::zstd_safe::compress_bound(FULL_CHUNK_BYTES));
        self.compressed.reserve_exact(zstd::zstd_safe::compress_bound(records.len()));
        self.zstd
            .compress_to_buffer(records, &mut self.compressed)
            .map_err(Error::io("compressing a chunk"))?;
        Ok(&self.compressed)
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
