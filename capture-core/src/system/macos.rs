//! What the recorder asks of macOS.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

pub(super) const WINDOW_SYSTEM: &str = "quartz";

/// Why there is no folder of this user's data.
pub const NO_DATA_FOLDER: &str = "this user has no home folder";
/// Why there is no folder of this user's settings.
pub const NO_SETTINGS_FOLDER: &str = NO_DATA_FOLDER;

/// Since the start of the machine, sleep included. The clock that is called monotonic here follows corrections of the
/// wall clock's rate; this one does not.
pub(crate) fn boot_nanos() -> u64 {
    read(libc::CLOCK_MONOTONIC_RAW)
}

/// The same without sleep.
pub(crate) fn monotonic_nanos() -> u64 {
    read(libc::CLOCK_UPTIME_RAW)
}

/// Since 1970-01-01 UTC.
pub(crate) fn wall_nanos() -> u64 {
    read(libc::CLOCK_REALTIME)
}

#[expect(unsafe_code, reason = "no safe call reads the clocks that macOS alone has")]
fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call, which fails only for clocks that are not there; these three are.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

/// Lets everybody else go first from now on: for this thread alone. The class is that of long work whose progress is shown.
#[expect(unsafe_code, reason = "no safe call changes the class of a thread")]
pub(crate) fn lower_priority() {
    // SAFETY: it is about the calling thread and takes no pointers. A machine that refuses works a little less politely.
    let _ = unsafe { libc::pthread_set_qos_class_self_np(libc::qos_class_t::QOS_CLASS_UTILITY, 0) };
}

/// Nothing announces sleep here: what was recorded is on the disk half a second later by itself.
pub(crate) struct BeforeSleep;

impl BeforeSleep {
    pub(crate) fn listen(_: impl Fn() + Send + 'static) -> Self {
        Self
    }
}

/// Makes folders that only this user may look into.
pub(crate) fn private_folder_builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

pub(super) fn name() -> String {
    let facts = std::fs::read_to_string("/System/Library/CoreServices/SystemVersion.plist");
    let facts = facts.unwrap_or_default();
    let after =
        facts.split_once("<key>ProductVersion</key>").and_then(|(_, rest)| rest.split_once("<string>"));
    let version = after.and_then(|(_, rest)| rest.split_once("</string>")).map_or("", |(version, _)| version);
    format!("macOS {version}").trim_end().into()
}

pub(super) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

pub(super) fn data() -> Option<PathBuf> {
    dirs::data_local_dir()
}

pub(super) fn settings() -> Option<PathBuf> {
    dirs::config_local_dir()
}
