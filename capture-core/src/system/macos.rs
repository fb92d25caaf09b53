//! What the recorder asks of macOS.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use objc2_application_services::AXIsProcessTrusted;
use objc2_av_foundation::{AVAuthorizationStatus, AVCaptureDevice, AVMediaTypeAudio};
use objc2_core_graphics::{
    CGPreflightListenEventAccess, CGPreflightScreenCaptureAccess, CGRequestListenEventAccess,
    CGRequestScreenCaptureAccess,
};

use super::{NeededFor, Permission};

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

/// Nothing is done here, and how much the allocator keeps was not measured.
pub(crate) fn return_large_buffers() {}

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

/// Who started a program in a terminal has to give leave to the terminal.
pub(super) fn permissions() -> Vec<Permission> {
    let may_control = is_trusted();
    vec![
        Permission {
            name: "Screen Recording",
            needed_for: NeededFor::Desktop,
            is_given: Some(CGPreflightScreenCaptureAccess()),
            way: "macOS shows Praxis the bare desktop only: in System Settings, Privacy & Security, Screen & System Audio Recording allow Praxis (or the terminal that started it), then start it again",
        },
        Permission {
            name: "Input Monitoring",
            needed_for: NeededFor::Desktop,
            // Who may control the computer may listen, too.
            is_given: Some(CGPreflightListenEventAccess() || may_control),
            way: "macOS keeps pointer and keys from Praxis: in System Settings, Privacy & Security, Input Monitoring allow Praxis (or the terminal that started it), then start it again",
        },
        Permission {
            name: "Accessibility",
            needed_for: NeededFor::Nothing,
            is_given: Some(may_control),
            way: "Input Monitoring is enough",
        },
        Permission {
            name: "Microphone",
            needed_for: NeededFor::Microphone,
            is_given: may_hear(),
            way: "macOS keeps the microphone from Praxis: in System Settings, Privacy & Security, Microphone allow Praxis (or the terminal that started it), or record without a voice",
        },
    ]
}

/// Shows the system's questions, each once until it is answered.
pub(super) fn ask_for_desktop() {
    // The answers come later, into the settings.
    let _ = CGRequestScreenCaptureAccess();
    let _ = CGRequestListenEventAccess();
}

#[expect(unsafe_code, reason = "the bindings call everything of this framework unsafe")]
fn is_trusted() -> bool {
    // SAFETY: it takes nothing and only reads.
    unsafe { AXIsProcessTrusted() }
}

/// None until the person has been asked, which the first use of a microphone does.
#[expect(unsafe_code, reason = "the bindings call everything of this framework unsafe")]
fn may_hear() -> Option<bool> {
    // SAFETY: the constant is there since macOS 10.7, and audio is one of the two kinds that may be asked for.
    let status = unsafe { AVCaptureDevice::authorizationStatusForMediaType(AVMediaTypeAudio?) };
    match status {
        AVAuthorizationStatus::NotDetermined => None,
        status => Some(status == AVAuthorizationStatus::Authorized),
    }
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
