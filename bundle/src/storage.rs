//! The storage seam: all that writing a bundle asks of a file system, and the real one, [`Disk`].
//!
//! The live writer, sealing and recovery change files through [`Storage`] alone, so that tests can cut the power or fill
//! the disk at any call. Trait objects: a recording makes some ten calls a second, and each moves many bytes.
//!
//! What [`Disk`] needs of a system is in a file of `storage/` for each; here alone is chosen among them.

#[cfg_attr(target_os = "linux", path = "storage/linux.rs")]
#[cfg_attr(target_os = "macos", path = "storage/macos.rs")]
#[cfg_attr(windows, path = "storage/windows.rs")]
mod system;
#[cfg(unix)]
mod unix;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::scan::Bytes;

/// A file system. Names survive a power cut once their folder is synced.
pub trait Storage: Send + Sync {
    /// Makes the folder of `path`, if it is not there.
    ///
    /// # Errors
    /// The system's.
    fn create_folder_of(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that only its owner may read and write ([`private_options`]), for appending and reading.
    ///
    /// # Errors
    /// `AlreadyExists`, or the system's.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, or the system's; an error if it is no ordinary file.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Gives a file another name, in place of what has that name now.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `AlreadyExists`, or the system's.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away, and the file if it was its last.
    ///
    /// # Errors
    /// `NotFound`, or the system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in the folder of `path` survive a power cut.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder_of(&self, path: &Path) -> io::Result<()>;
}

/// An open file. Reading is [`Bytes`]; there is no way to write but at the end.
pub trait StorageFile: Bytes + Send + Sync {
    /// Writes at the end; returns how many of the bytes, at least one.
    ///
    /// # Errors
    /// `StorageFull`, `QuotaExceeded`, or the system's; nothing was written then.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes everything that was appended before survive a power cut.
    ///
    /// # Errors
    /// The system's. What was appended since the last sync may be lost then, whatever a later sync says.
    fn sync(&self) -> io::Result<()>;

    /// Gives the file the blocks of a range of bytes after its end; its length stays. Nobody else can have them then.
    ///
    /// # Errors
    /// `StorageFull`, `QuotaExceeded`; `Unsupported` or others where the file system cannot do it.
    fn allocate(&self, range: Range<u64>) -> io::Result<()>;

    /// Gives back the blocks after the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn give_back(&self) -> io::Result<()>;

    /// Bytes free on its disk.
    ///
    /// # Errors
    /// The system's.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Takes the file for oneself, until it is closed or the process ends.
    ///
    /// # Errors
    /// `WouldBlock` if somebody has it.
    fn try_lock(&self) -> io::Result<()>;

    /// Whether this very file is the one at `path`.
    fn is_at(&self, path: &Path) -> bool;
}

/// A file system that several threads write to.
pub type SharedStorage = Arc<dyn Storage>;

/// Whether an error means that there is no room, and that there may be some later.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free for this user.
    pub free_bytes: u64,
    /// Size of the disk.
    pub total_bytes: u64,
}

/// Room on the disk of a folder or file.
///
/// # Errors
/// The system's.
pub fn room_at(path: &Path) -> io::Result<Room> {
    system::room_at(path)
}

/// Makes a file that somebody wrote survive a power cut, all of it.
///
/// # Errors
/// The system's.
pub fn sync_file(path: &Path) -> io::Result<()> {
    system::sync_file(path)
}

/// How a file is opened that only its owner may read and write, if it is made: mode 0600, on Windows that of its folder.
#[must_use]
pub fn private_options() -> OpenOptions {
    system::private_options()
}

/// Whether somebody else has taken a file for oneself. If not, nobody can as long as this handle is open.
#[must_use]
pub fn is_locked(file: &File) -> bool {
    system::is_locked(file)
}

/// The end of a file as a [`Write`].
#[derive(Clone)]
pub struct Appender(pub Arc<dyn StorageFile>);

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create_folder_of(&self, path: &Path) -> io::Result<()> {
        let folder = folder_of(path);
        if !folder.is_dir() {
            std::fs::create_dir_all(folder)?;
            // A folder that cannot be synced (some network disks) is as good until the power goes.
            let _ = self.sync_folder_of(folder);
        }
        Ok(())
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(private_options().read(true).append(true).create_new(true).open(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(open_file(path)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
    fn sync_folder_of(&self, path: &Path) -> io::Result<()> {
        system::sync_folder(folder_of(path))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens an ordinary file for reading.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    // Looked at before it is opened: opening a pipe waits for its other end.
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    File::open(path)
}

impl Bytes for File {
    fn num_bytes(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
    fn fill(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        system::read_exact_at(self, offset, into)
    }
}

impl StorageFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        match { self }.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero.into()),
            written => written,
        }
    }
    fn sync(&self) -> io::Result<()> {
        // Data, and as much of the inode as is needed to read it: its length.
        self.sync_data()
    }
    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        system::allocate(self, range)
    }
    fn give_back(&self) -> io::Result<()> {
        // Cutting a file to the length it has frees what is allocated after its end.
        self.set_len(self.num_bytes()?)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        system::room_of(self).map(|room| room.free_bytes)
    }
    fn try_lock(&self) -> io::Result<()> {
        system::try_lock(self)
    }
    fn is_at(&self, path: &Path) -> bool {
        system::is_at(self, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_by_one_and_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a", "b"].map(|name| folder.path().join(name));
        let file = Disk.create_new(&path).unwrap();
        assert_eq!(Disk.create_new(&path).err().unwrap().kind(), ErrorKind::AlreadyExists);
        file.try_lock().unwrap();
        let again = Disk.open(&path).unwrap();
        assert_eq!(again.try_lock().unwrap_err().kind(), ErrorKind::WouldBlock);
        Disk.hard_link(&path, &other).unwrap();
        assert!(file.is_at(&path) && file.is_at(&other));
        Disk.remove(&path).unwrap();
        assert!(!file.is_at(&path) && again.is_at(&other));
        drop(file);
        again.try_lock().unwrap();
        assert_eq!(Disk.open(folder.path()).err().unwrap().kind(), ErrorKind::IsADirectory);
    }
}
