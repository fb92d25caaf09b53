//! The live file of a recording: room for its end is kept for it, so that it ends well on a full disk.
//!
//! The file is always given the blocks after its end, up to [`RESERVE_BYTES`] of them. Nobody else can have them: when other
//! programs fill the disk, what is recorded until the session stops, and its ending, go there. On file systems that cannot
//! do that, a look at the free room each second has to do; what finds no room then waits for some ([`LiveWriter`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use praxis_bundle::storage::{Appender, Storage, StorageFile, is_full};
use praxis_bundle::{Channel, Ending, Error, LiveWriter, Manifest, Track};

use super::RecordError;

/// Room to keep free unless told otherwise.
pub const DEFAULT_RESERVE_BYTES: u64 = RESERVE_BYTES;
/// Room beyond the kept one without which a recording does not begin: a first minute.
pub const FIRST_MINUTE_BYTES: u64 = 16 << 20;
/// Most that is kept for the file itself: a minute of the busiest screen.
const RESERVE_BYTES: u64 = 64 << 20;

const CHUNK_NANOS: u64 = 250_000_000;
const SYNC_NANOS: u64 = 500_000_000;
const SECOND_NANOS: u64 = 1_000_000_000;

/// The live file, its header written and synced.
pub struct LiveFile {
    writer: LiveWriter<Appender>,
    file: Arc<dyn StorageFile>,
    keep_free_bytes: u64,
    /// The file has the blocks up to here.
    allocated_bytes: u64,
    room_bytes: u64,
    is_full: bool,
}

impl LiveFile {
    /// Makes the file, and its folder if need be. The recording is to end while `keep_free_bytes` are still free.
    ///
    /// # Errors
    /// `DiskFull` if there is too little room, `Folder` or `Writer` if it cannot be written; then nothing is left behind.
    pub fn create(
        storage: &dyn Storage,
        path: &Path,
        manifest: &Manifest,
        tracks: &[Track],
        keep_free_bytes: u64,
    ) -> Result<Self, RecordError> {
        let folder = path.parent().unwrap_or(Path::new(".")).display().to_string();
        let cannot = || {
            let doing = format!("cannot write into {folder}");
            move |source: std::io::Error| RecordError::Folder { doing, source }
        };
        storage.create_folder_of(path).map_err(cannot())?;
        let file: Arc<dyn StorageFile> = storage.create_new(path).map_err(cannot())?.into();
        let made = || -> Result<Self, RecordError> {
            let free = file.free_bytes().map_err(cannot())?;
            let needed = keep_free_bytes.saturating_add(FIRST_MINUTE_BYTES);
            if free < needed {
                let folder = folder.clone();
                return Err(RecordError::DiskFull { free_mib: free >> 20, needed_mib: needed >> 20, folder });
            }
            // Held while recording: a live file that nobody holds was interrupted.
            file.try_lock().map_err(cannot())?;
            let failed = |source| RecordError::Writer { path: path.display().to_string(), source };
            let writer = LiveWriter::new(Appender(file.clone()), manifest, tracks).map_err(failed)?;
            let file = file.clone();
            let (allocated_bytes, is_full) = (0, false);
            let mut live = Self { writer, file, keep_free_bytes, allocated_bytes, room_bytes: free, is_full };
            live.keep_room();
            if live.is_full {
                return Err(cannot()(std::io::ErrorKind::StorageFull.into()));
            }
            live.file.sync().map_err(cannot())?;
            // A folder that cannot be synced (some network disks) is no reason not to record.
            let _ = storage.sync_folder_of(path);
            Ok(live)
        };
        made().inspect_err(|_| drop(storage.remove(path)))
    }

    /// Adds a message to the open chunk.
    ///
    /// # Errors
    /// As [`LiveWriter::push`].
    pub fn push(&mut self, channel: Channel, session_time_nanos: u64, data: &[u8]) -> Result<(), Error> {
        self.writer.push(channel, session_time_nanos, data)
    }

    /// Writes the open chunk. What finds no room waits: then the file [is full](Self::is_full).
    ///
    /// # Errors
    /// As [`LiveWriter::close_chunk`].
    pub fn close_chunk(&mut self) -> Result<(), Error> {
        self.writer.close_chunk()?;
        self.is_full |= self.writer.waiting_bytes() > 0;
        Ok(())
    }

    /// Whether nothing waits for room, now that what waited was tried again.
    ///
    /// # Errors
    /// As [`LiveWriter::retry`].
    pub fn has_room(&mut self) -> Result<bool, Error> {
        Ok(self.writer.waiting_bytes() == 0 || self.writer.retry()? == 0)
    }

    /// Gives the file the blocks of its reserve again, as far as they were used, and looks at the room on the disk.
    pub fn keep_room(&mut self) {
        let reserve = self.keep_free_bytes.min(RESERVE_BYTES);
        let wanted = self.bytes() + reserve;
        let missing = self.allocated_bytes.max(self.bytes())..wanted;
        if !missing.is_empty() {
            match self.file.allocate(missing) {
                Ok(()) => self.allocated_bytes = wanted,
                Err(error) if is_full(&error) => self.is_full = true,
                Err(error) => tracing::debug!(%error, "no room can be kept for the end of the recording"),
            }
        }
        // What is kept for the file is free, too. A disk that does not say what is free says it when it is written to.
        let ahead = self.allocated_bytes.saturating_sub(self.bytes());
        self.room_bytes = self.file.free_bytes().map_or(self.room_bytes, |free| free.saturating_add(ahead));
        self.is_full |= self.room_bytes < self.keep_free_bytes;
    }

    /// Whether the recording has to end, for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Bytes that were free when the room was last looked at, with those that are kept for the file.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    /// Bytes in the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.writer.bytes_written()
    }

    /// The file, for those who sync it.
    #[must_use]
    pub fn file(&self) -> Arc<dyn StorageFile> {
        self.file.clone()
    }

    /// Ends the file and syncs it, and gives back what was kept for it. Returns its length; `None` if another file is at
    /// its path by now, or none.
    ///
    /// # Errors
    /// `Io` if it cannot be written to its end; what was written before is in it.
    pub fn end(self, path: &Path, ending: &Ending) -> Result<Option<u64>, Error> {
        self.writer.end(ending)?;
        self.file.sync().map_err(sync_failed)?;
        // What cannot be given back goes with the file, when its sealed form is in its place.
        let _ = self.file.give_back();
        let bytes = self.file.num_bytes().map_err(Error::io("reading the bundle's length"))?;
        Ok(self.file.is_at(path).then_some(bytes))
    }
}

pub(super) fn sync_failed(source: std::io::Error) -> Error {
    Error::Io { doing: "syncing the bundle".into(), source }
}

/// When the writer has something to do, in session time. What is accepted is in a chunk after 250 ms, and a sync of it begins
/// within 500 ms: with a disk that needs no longer than 400 ms for one, a power cut takes at most the last second.
#[derive(Debug, Clone)]
pub struct Schedule {
    chunk_nanos: u64,
    sync_nanos: u64,
    second_nanos: u64,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// A sync of the file.
    pub sync: bool,
    /// The look at everything, each second.
    pub second: bool,
}

impl Schedule {
    /// Begins now.
    #[must_use]
    pub fn from(now_nanos: u64) -> Self {
        let (chunk_nanos, sync_nanos) = (now_nanos + CHUNK_NANOS, now_nanos + SYNC_NANOS);
        Self { chunk_nanos, sync_nanos, second_nanos: now_nanos + SECOND_NANOS }
    }

    /// How long until the next chunk.
    #[must_use]
    pub fn wait(&self, now_nanos: u64) -> Duration {
        Duration::from_nanos(self.chunk_nanos.saturating_sub(now_nanos))
    }

    /// What is to be done after a chunk that was written now.
    pub fn due(&mut self, now_nanos: u64) -> Due {
        let is_due = |at: &mut u64, every: u64| {
            let is_due = now_nanos >= *at;
            if is_due {
                *at = now_nanos + every;
            }
            is_due
        };
        is_due(&mut self.chunk_nanos, CHUNK_NANOS);
        Due {
            sync: is_due(&mut self.sync_nanos, SYNC_NANOS),
            second: is_due(&mut self.second_nanos, SECOND_NANOS),
        }
    }
}
