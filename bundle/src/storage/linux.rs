//! What files need of Linux.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{FallocateFlags, fallocate};

pub(super) use super::unix::{
    is_at, is_locked, private_options, read_exact_at, room_at, room_of, sync_file, sync_folder, try_lock,
};

pub(super) fn allocate(file: &File, range: Range<u64>) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::KEEP_SIZE, range.start, range.end - range.start)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::{Disk, Storage as _};

    #[test]
    fn blocks_kept_for_a_file_do_not_show_in_its_length_and_are_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = Disk.create_new(&path).unwrap();
        let blocks = || std::fs::metadata(&path).unwrap().blocks() * 512;
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(file.append(&[7; 5000]).unwrap(), 5000);
        file.allocate(5000..8 << 20).unwrap();
        assert_eq!(file.num_bytes().unwrap(), 5000);
        assert!(blocks() >= 8 << 20, "{}", blocks());
        assert_eq!(file.append(&[8; 100]).unwrap(), 100);
        file.give_back().unwrap();
        assert_eq!(file.num_bytes().unwrap(), 5100);
        assert!(blocks() < 1 << 20, "{}", blocks());
        let mut end = [0; 101];
        file.fill(4999, &mut end).unwrap();
        assert!(end[0] == 7 && end[1..] == [8; 100]);
    }
}
