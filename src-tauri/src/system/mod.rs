//! What the window asks of the operating system: a page that comes back after a crash, and how a program is told to end.
//!
//! One file per system has the same functions; here alone is chosen among them.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod here;
#[cfg(unix)]
mod signals;

pub(crate) use here::{look_after_page, look_after_pages, told_to_end};
