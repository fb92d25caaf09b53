//! Where the bytes of bundles are. The trait is the seam for other stores; here is the one on the local disk.
//!
//! Names of blobs are made by the server and hold no text of anyone. What [`Blob::sync`] has returned for survives a
//! power cut.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// Free space below which nothing new is taken in.
const RESERVE_BYTES: u64 = 64 << 20;

/// A result of a store.
pub type Result<T> = std::io::Result<T>;

/// Bytes that can be read one part after the other.
pub type Reader = Box<dyn tokio::io::AsyncRead + Send + Unpin>;

/// A store of blobs.
pub trait Store: Send + Sync {
    /// Makes an empty blob that survives a power cut. Making one that exists is no error.
    fn create<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Opens a blob for writing at an offset; everything behind it is cut off. `None` if the blob is shorter, or missing:
    /// then bytes that were durable are lost.
    fn append<'a>(&'a self, id: &'a str, offset: u64) -> BoxFuture<'a, Result<Option<Box<dyn Blob>>>>;

    /// Reads `length` bytes from an offset on.
    fn read<'a>(&'a self, id: &'a str, offset: u64, length: u64) -> BoxFuture<'a, Result<Reader>>;

    /// The blob as a file on this machine, for verification.
    fn local_file<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<PathBuf>>;

    /// Removes a blob. One that does not exist is no error.
    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Whether so many bytes more have room.
    fn has_room<'a>(&'a self, bytes: u64) -> BoxFuture<'a, Result<bool>>;
}

/// A blob that grows.
pub trait Blob: Send {
    /// Adds bytes.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;

    /// Makes everything that was added durable.
    fn sync(&mut self) -> BoxFuture<'_, Result<()>>;
}

/// A folder of files.
pub struct LocalStore {
    folder: PathBuf,
}

impl LocalStore {
    /// The store in a folder, which is made if need be.
    ///
    /// # Errors
    /// As the disk says.
    pub async fn open(folder: &Path) -> Result<Self> {
        tokio::fs::create_dir_all(folder).await?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }
}

impl Store for LocalStore {
    fn create<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut options = OpenOptions::new();
            let file =
                options.write(true).create(true).truncate(false).mode(0o600).open(self.path(id)).await?;
            file.sync_all().await?;
            File::open(&self.folder).await?.sync_all().await
        })
    }

    fn append<'a>(&'a self, id: &'a str, offset: u64) -> BoxFuture<'a, Result<Option<Box<dyn Blob>>>> {
        Box::pin(async move {
            let mut file = match OpenOptions::new().write(true).open(self.path(id)).await {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let length = file.metadata().await?.len();
            if length < offset {
                return Ok(None);
            }
            if length > offset {
                file.set_len(offset).await?;
            }
            file.seek(SeekFrom::Start(offset)).await?;
            let blob: Box<dyn Blob> = Box::new(LocalBlob { file });
            Ok(Some(blob))
        })
    }

    fn read<'a>(&'a self, id: &'a str, offset: u64, length: u64) -> BoxFuture<'a, Result<Reader>> {
        Box::pin(async move {
            let mut file = File::open(self.path(id)).await?;
            file.seek(SeekFrom::Start(offset)).await?;
            let reader: Reader = Box::new(file.take(length));
            Ok(reader)
        })
    }

    fn local_file<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        Box::pin(async move { Ok(self.path(id)) })
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match tokio::fs::remove_file(self.path(id)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
    }

    fn has_room<'a>(&'a self, bytes: u64) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let stat = rustix::fs::statvfs(&self.folder)?;
            Ok(stat.f_bavail * stat.f_frsize >= bytes.saturating_add(RESERVE_BYTES))
        })
    }
}

struct LocalBlob {
    file: File,
}

impl Blob for LocalBlob {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.file.write_all(bytes))
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.file.flush().await?;
            self.file.sync_data().await
        })
    }
}
