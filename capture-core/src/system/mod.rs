//! What the recorder asks of the operating system besides its sources: clocks, folders, a low priority, what it is called.
//!
//! One file per system has the same functions; here alone is chosen among them. What only this user may read is made so
//! where a file says it; on Windows the folders of the user's profile are open to nobody else.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod here;
#[cfg(target_os = "linux")]
mod logind;
mod permissions;

use std::path::PathBuf;

use praxis_bundle::manifest::System;

pub(crate) use here::{
    BeforeSleep, boot_nanos, lower_priority, monotonic_nanos, private_folder_builder, return_large_buffers,
    wall_nanos,
};
pub use here::{NO_DATA_FOLDER, NO_SETTINGS_FOLDER};
pub(crate) use permissions::allowed;
pub use permissions::{NeededFor, Permission, permissions};

/// The operating system this program runs on, as the manifest has it: never its name, its user or a path.
#[must_use]
pub fn describe() -> System {
    System {
        os: std::env::consts::OS.into(),
        name: here::name(),
        kernel: here::kernel(),
        arch: std::env::consts::ARCH.into(),
        window_system: here::WINDOW_SYSTEM.into(),
    }
}

/// The folder of this user's data: sessions and what waits to be sent; `None` says [`NO_DATA_FOLDER`].
#[must_use]
pub fn data_folder() -> Option<PathBuf> {
    here::data().map(|data| data.join("praxis"))
}

/// The folder of this user's settings; `None` says [`NO_SETTINGS_FOLDER`].
#[must_use]
pub fn settings_folder() -> Option<PathBuf> {
    here::settings().map(|settings| settings.join("praxis"))
}
