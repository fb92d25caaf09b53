//! What the recorder asks of Linux.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use rustix::time::{ClockId, clock_gettime};

use super::Permission;
pub(crate) use super::logind::BeforeSleep;

pub(super) const WINDOW_SYSTEM: &str = "x11";

/// Why there is no folder of this user's data.
pub const NO_DATA_FOLDER: &str = "neither HOME nor XDG_DATA_HOME is set";
/// Why there is no folder of this user's settings.
pub const NO_SETTINGS_FOLDER: &str = "neither HOME nor XDG_CONFIG_HOME is set";

/// A whole picture of 1920×1080 is larger. What changes at once is mostly smaller: to give that back, too, and clear new
/// pages for the next, costs half a percent of a processor at ten pictures a second.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 4 << 20;

/// Since the start of the machine, suspend included.
pub(crate) fn boot_nanos() -> u64 {
    read(ClockId::Boottime)
}

/// The same without suspend.
pub(crate) fn monotonic_nanos() -> u64 {
    read(ClockId::Monotonic)
}

/// Since 1970-01-01 UTC.
pub(crate) fn wall_nanos() -> u64 {
    read(ClockId::Realtime)
}

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

/// Lets everybody else go first from now on: on Linux the priority is the thread's own.
pub(crate) fn lower_priority() {
    // A machine that refuses works a little less politely.
    let _ = rustix::process::nice(10);
}

/// Gives large buffers back to the system as soon as they are dropped.
///
/// Left alone, the allocator of glibc learns from the first picture of the screen to keep buffers of that size among the
/// small ones (mallopt(3), `M_MMAP_THRESHOLD`), and keeps each page they ever touched: memory creeps for hours.
pub(crate) fn return_large_buffers() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "std does not tune the allocator of the system")]
    // SAFETY: takes two numbers, and may be called at any time by any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        // Twice that, as its own rule has it.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE_BYTES);
    }
}

/// Makes folders that only this user may look into.
pub(crate) fn private_folder_builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

pub(super) fn permissions() -> Vec<Permission> {
    Vec::new()
}

pub(super) fn ask_for_desktop() {}

pub(super) fn name() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or_default().trim_matches('"').into()
}

pub(super) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

pub(super) fn data() -> Option<PathBuf> {
    set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")))
}

pub(super) fn settings() -> Option<PathBuf> {
    set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
