//! What files need of Windows.
//!
//! A file is as private as its folder: those of the user's profile are open to nobody else. Names cannot be synced; NTFS
//! keeps a journal of them, so that after a power cut they are those of some moment shortly before. Room after the end of
//! a file is not kept: it takes the right to write anywhere in it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::windows::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;

use same_file::Handle;
use windows_sys::Wdk::Storage::FileSystem::{FileFsFullSizeInformation, NtQueryVolumeInformationFile};
use windows_sys::Wdk::System::SystemServices::FILE_FS_FULL_SIZE_INFORMATION;
use windows_sys::Win32::Foundation::{ERROR_LOCK_VIOLATION, RtlNtStatusToDosError};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
};
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, OVERLAPPED};

use super::Room;

pub(super) fn private_options() -> OpenOptions {
    OpenOptions::new()
}

pub(super) fn read_exact_at(file: &File, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match file.seek_read(into, offset) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                into = &mut into[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    // Who may not write may not sync here.
    OpenOptions::new().write(true).open(path)?.sync_all()
}

pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn allocate(_: &File, _: Range<u64>) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[expect(unsafe_code, reason = "std cannot ask for room, and Windows answers for a handle only here")]
pub(super) fn room_of(file: &File) -> io::Result<Room> {
    let mut status = IO_STATUS_BLOCK::default();
    let mut size = FILE_FS_FULL_SIZE_INFORMATION::default();
    // SAFETY: the handle is open as long as `file`, and both structures outlive the call, which is synchronous.
    let failure = unsafe {
        NtQueryVolumeInformationFile(
            file.as_raw_handle(),
            &raw mut status,
            (&raw mut size).cast(),
            size_of::<FILE_FS_FULL_SIZE_INFORMATION>() as u32,
            FileFsFullSizeInformation,
        )
    };
    if failure < 0 {
        // SAFETY: it translates a number.
        let code = unsafe { RtlNtStatusToDosError(failure) };
        return Err(io::Error::from_raw_os_error(code as i32));
    }
    let unit_bytes = u64::from(size.SectorsPerAllocationUnit) * u64::from(size.BytesPerSector);
    Ok(Room {
        free_bytes: size.CallerAvailableAllocationUnits as u64 * unit_bytes,
        total_bytes: size.TotalAllocationUnits as u64 * unit_bytes,
    })
}

pub(super) fn room_at(path: &Path) -> io::Result<Room> {
    // Folders are opened with this flag alone.
    room_of(&OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?)
}

pub(super) fn try_lock(file: &File) -> io::Result<()> {
    lock(file, LOCKFILE_EXCLUSIVE_LOCK)
}

pub(super) fn is_locked(file: &File) -> bool {
    lock(file, 0).is_err()
}

/// Locks a byte that no file reaches: what is locked on Windows cannot be read by others, and a live file is read.
#[expect(unsafe_code, reason = "std locks all bytes of a file")]
fn lock(file: &File, exclusive: u32) -> io::Result<()> {
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.Offset = u32::MAX - 1;
    place.Anonymous.Anonymous.OffsetHigh = i32::MAX as u32;
    let flags = LOCKFILE_FAIL_IMMEDIATELY | exclusive;
    // SAFETY: the handle is open as long as `file`, and `place` outlives the call, which does not wait.
    let is_locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) };
    if is_locked != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(ERROR_LOCK_VIOLATION as i32) {
        return Err(ErrorKind::WouldBlock.into());
    }
    Err(error)
}

pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let ours = file.try_clone().and_then(Handle::from_file);
    ours.is_ok_and(|ours| Handle::from_path(path).is_ok_and(|there| there == ours))
}
