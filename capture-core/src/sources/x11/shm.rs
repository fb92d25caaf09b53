//! Memory shared with the X server: an anonymous file that both map.
//!
//! It has no name and belongs to no one but the two processes, so nothing can be read by others and nothing is left
//! behind, however the process ends.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapped segment. The server writes into it only while it answers a request of ours, and we only in between.
pub(super) struct Segment {
    memory: *mut u8,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone and is valid on every thread until it is dropped.
#[expect(unsafe_code, reason = "a mapping is not bound to a thread")]
unsafe impl Send for Segment {}

impl Segment {
    /// Makes a segment and the file descriptor to hand to the server.
    #[expect(unsafe_code, reason = "mapping memory is unsafe in Rust")]
    pub(super) fn new(bytes: usize) -> std::io::Result<(Self, OwnedFd)> {
        let file = memfd_create("praxis-screen", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, bytes as u64)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing; it has `bytes` bytes of a
        // file of that length that only we and the server hold.
        let memory = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)?
                .cast::<u8>()
        };
        Ok((Self { memory, bytes }, file))
    }

    pub(super) fn num_bytes(&self) -> usize {
        self.bytes
    }

    /// The first `bytes` bytes. Call only when no request that fills the segment is unanswered.
    #[expect(unsafe_code, reason = "the kernel's mapping seen as a slice")]
    pub(super) fn read(&self, bytes: usize) -> &[u8] {
        assert!(bytes <= self.bytes, "read beyond the segment");
        // SAFETY: the mapping is `self.bytes` long and lives as long as `self`; the server, the only other writer, writes
        // only between a grab request and its reply, and the caller holds no slice then (`&mut self` in `grab`).
        unsafe { std::slice::from_raw_parts(self.memory, bytes) }
    }

    /// The same, to change it. Call only when no request that fills the segment is unanswered.
    #[expect(unsafe_code, reason = "the kernel's mapping seen as a slice")]
    pub(super) fn write(&mut self, bytes: usize) -> &mut [u8] {
        assert!(bytes <= self.bytes, "write beyond the segment");
        // SAFETY: as in `read`; and `&mut self` makes this the only slice of the mapping.
        unsafe { std::slice::from_raw_parts_mut(self.memory, bytes) }
    }
}

impl Drop for Segment {
    #[expect(unsafe_code, reason = "unmapping memory is unsafe in Rust")]
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new` with this address and length, and no slice of it outlives `self`.
        // Failing to unmap leaks address space only.
        let _ = unsafe { munmap(self.memory.cast(), self.bytes) };
    }
}
