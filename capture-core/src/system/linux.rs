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
