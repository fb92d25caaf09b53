//! What the recorder asks of Windows.

use std::fs::DirBuilder;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;
use windows_sys::Win32::System::Threading::{
    GetCurrentThread, SetThreadPriority, THREAD_MODE_BACKGROUND_BEGIN,
};
use windows_sys::Win32::System::WindowsProgramming::{
    QueryInterruptTimePrecise, QueryUnbiasedInterruptTimePrecise,
};
use winreg::HKEY;
use winreg::RegKey;
use winreg::enums::{HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE};

use super::{NeededFor, Permission};

pub(super) const WINDOW_SYSTEM: &str = "windows";

/// Why there is no folder of this user's data.
pub const NO_DATA_FOLDER: &str = "Windows names no folder for this user's application data";
/// Why there is no folder of this user's settings.
pub const NO_SETTINGS_FOLDER: &str = NO_DATA_FOLDER;

/// Windows counts in units of 100 ns.
const UNIT_NANOS: u64 = 100;
/// Where Windows keeps whom it lets hear a microphone.
const MICROPHONE: &str =
    r"Software\Microsoft\Windows\CurrentVersion\CapabilityAccessManager\ConsentStore\microphone";
/// Builds from this one on are called Windows 11; their version is still 10.
const FIRST_BUILD_OF_11: u32 = 22_000;

/// Since the start of the machine, sleep included.
#[expect(unsafe_code, reason = "no safe call reads the clock that goes on in sleep")]
pub(crate) fn boot_nanos() -> u64 {
    let mut units = 0;
    // SAFETY: the number outlives the call.
    unsafe { QueryInterruptTimePrecise(&raw mut units) };
    units * UNIT_NANOS
}

/// The same without sleep.
#[expect(unsafe_code, reason = "no safe call reads this clock in its own unit")]
pub(crate) fn monotonic_nanos() -> u64 {
    let mut units = 0;
    // SAFETY: the number outlives the call.
    unsafe { QueryUnbiasedInterruptTimePrecise(&raw mut units) };
    units * UNIT_NANOS
}

/// Since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "here the session clock itself reads it")]
pub(crate) fn wall_nanos() -> u64 {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Lets everybody else go first from now on, with processor, disk and memory: for this thread alone.
#[expect(unsafe_code, reason = "std does not change the priority of a thread")]
pub(crate) fn lower_priority() {
    // SAFETY: it is about the calling thread and takes no pointers. A machine that refuses works a little less politely.
    let _ = unsafe { SetThreadPriority(GetCurrentThread(), THREAD_MODE_BACKGROUND_BEGIN) };
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

/// Makes folders; those of the user's profile only this user may look into.
pub(crate) fn private_folder_builder() -> DirBuilder {
    DirBuilder::new()
}

/// Screen and input need no leave here; the microphone can be switched off for the computer, for the user, and for all
/// programs that do not come from the store.
pub(super) fn permissions() -> Vec<Permission> {
    let is_denied = |root: HKEY, path: &str| {
        let key = RegKey::predef(root).open_subkey(path);
        key.and_then(|key| key.get_value::<String, _>("Value")).is_ok_and(|value| value == "Deny")
    };
    let is_given = !is_denied(HKEY_LOCAL_MACHINE, MICROPHONE)
        && !is_denied(HKEY_CURRENT_USER, MICROPHONE)
        && !is_denied(HKEY_CURRENT_USER, &format!(r"{MICROPHONE}\NonPackaged"));
    vec![Permission {
        name: "Microphone",
        needed_for: NeededFor::Microphone,
        is_given: Some(is_given),
        way: "Windows keeps the microphone from programs: in Settings, Privacy & security, Microphone switch on microphone access, and let desktop apps access it; or record without a voice",
    }]
}

pub(super) fn ask_for_desktop() {}

pub(super) fn name() -> String {
    let OSVERSIONINFOW { dwMajorVersion: major, dwBuildNumber: build, .. } = version();
    format!("Windows {}", if build >= FIRST_BUILD_OF_11 { 11 } else { major })
}

pub(super) fn kernel() -> String {
    let OSVERSIONINFOW { dwMajorVersion: major, dwMinorVersion: minor, dwBuildNumber: build, .. } = version();
    format!("{major}.{minor}.{build}")
}

#[expect(unsafe_code, reason = "std does not tell the version of Windows")]
fn version() -> OSVERSIONINFOW {
    let mut version =
        OSVERSIONINFOW { dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32, ..Default::default() };
    // SAFETY: the structure says how large it is and outlives the call, which cannot fail.
    let _ = unsafe { RtlGetVersion(&raw mut version) };
    version
}

pub(super) fn data() -> Option<PathBuf> {
    dirs::data_local_dir()
}

pub(super) fn settings() -> Option<PathBuf> {
    dirs::config_local_dir()
}
