//! An MCAP file of foreign messages: what `owamcap` and `foxglove` are written into.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use mcap::records::MessageHeader;

use super::create;
use crate::{Error, Result};

/// Bytes of a chunk before compression.
const CHUNK_BYTES: u64 = 1 << 20;

pub(super) struct Tape {
    path: PathBuf,
    writer: mcap::Writer<BufWriter<File>>,
    /// Wall time of session time zero.
    epoch_nanos: u64,
    /// Messages of each channel so far.
    sequences: BTreeMap<u16, u32>,
}

impl Tape {
    pub(super) fn create(path: &Path, profile: &str, epoch_nanos: u64) -> Result<Self> {
        let library = format!("praxis {}", env!("CARGO_PKG_VERSION"));
        let options = mcap::WriteOptions::new()
            .profile(profile)
            .library(library)
            .compression(Some(mcap::Compression::Zstd))
            .compression_level(1)
            .chunk_size(Some(CHUNK_BYTES));
        let writer = options.create(BufWriter::new(create(path)?)).map_err(|error| failed(path, error))?;
        Ok(Self { path: path.to_owned(), writer, epoch_nanos, sequences: BTreeMap::new() })
    }

    /// Adds a channel: its topic, its schema (name, encoding, definition), and how its messages are encoded.
    pub(super) fn channel(
        &mut self,
        topic: &str,
        (name, encoding, definition): (&str, &str, &[u8]),
        messages: &str,
    ) -> Result<u16> {
        let schema = self.writer.add_schema(name, encoding, definition);
        schema
            .and_then(|schema| self.writer.add_channel(schema, topic, messages, &BTreeMap::new()))
            .map_err(|error| failed(&self.path, error))
    }

    /// Session time as wall time.
    pub(super) fn wall_nanos(&self, nanos: u64) -> u64 {
        self.epoch_nanos.saturating_add(nanos)
    }

    pub(super) fn write(&mut self, channel_id: u16, nanos: u64, message: &[u8]) -> Result<()> {
        let log_time = self.wall_nanos(nanos);
        let next = self.sequences.entry(channel_id).or_default();
        let header = MessageHeader { channel_id, sequence: *next, log_time, publish_time: log_time };
        *next = next.wrapping_add(1);
        self.writer.write_to_known_channel(&header, message).map_err(|error| failed(&self.path, error))
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(|error| failed(&self.path, error))?;
        self.writer.into_inner().flush().map_err(Error::io(format!("writing {}", self.path.display())))
    }
}

fn failed(path: &Path, error: mcap::McapError) -> Error {
    match error {
        mcap::McapError::Io(source) => Error::io(format!("writing {}", path.display()))(source),
        other => Error::coding("an MCAP file")(&other),
    }
}
