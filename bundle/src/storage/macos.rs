//! What files need of macOS. Room after the end of a file is not kept here: its only call for that is about a file's length, too.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;

pub(super) use super::unix::{
    is_at, is_locked, private_options, read_exact_at, room_at, room_of, sync_file, sync_folder, try_lock,
};

pub(super) fn allocate(_: &File, _: Range<u64>) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
