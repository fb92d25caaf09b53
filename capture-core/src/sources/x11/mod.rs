//! The X11 backend: pictures, pointer and keys, geometry and the active window of an X server.
//!
//! Every source has connections of its own, so none waits for another. A server that is gone is an error of the
//! source, never of the process.

mod beside;
mod clipboard;
mod cursor;
mod devices;
mod displays;
mod elements;
mod events;
mod flash;
mod input;
mod keymap;
mod own;
mod own_input;
mod screen;
mod server_time;
mod settings;
mod shm;
mod stir;
mod windows;

pub use beside::Beside;
pub use elements::Elements;
pub use flash::FlashWindow;
pub use input::Input;
pub use screen::Screen;
pub use stir::stir_input;
pub use windows::Windows;

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use x11rb::connection::Connection;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{Atom, ConnectionExt, GetPropertyReply, Window};
use x11rb::rust_connection::RustConnection;

use super::SourceError;

/// Connects to a display, by default the one that DISPLAY names; returns the number of its default screen too.
fn connect(display: Option<&str>) -> Result<(RustConnection, usize), SourceError> {
    x11rb::connect(display).map_err(|error| unreachable_display(display, &error))
}

/// Whether a display answers, by default the one that DISPLAY names.
///
/// # Errors
/// `Unavailable` with what to do.
pub fn reach(display: Option<&str>) -> Result<(), SourceError> {
    connect(display).map(drop)
}

fn unreachable_display(display: Option<&str>, error: &ConnectError) -> SourceError {
    let name = display.map_or_else(|| std::env::var("DISPLAY").unwrap_or_default(), str::to_owned);
    SourceError::Unavailable(format!(
        "the X display {name:?} cannot be reached ({error}): check that DISPLAY names a running X server and that you may use it"
    ))
}

/// A server that stopped answering, or a request it refused for good.
struct X11Error(String);

impl From<X11Error> for SourceError {
    fn from(error: X11Error) -> Self {
        Self::Lost(error.0)
    }
}

impl From<ConnectionError> for X11Error {
    fn from(error: ConnectionError) -> Self {
        Self(format!("the X display is gone ({error})"))
    }
}

impl From<ReplyError> for X11Error {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) => Self(format!(
                "the X server refused {} ({:?})",
                error.request_name.unwrap_or("a request"),
                error.error_kind
            )),
        }
    }
}

impl From<ReplyOrIdError> for X11Error {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(error) => error.into(),
            ReplyOrIdError::X11Error(error) => ReplyError::X11Error(error).into(),
            ReplyOrIdError::IdsExhausted => Self("the X server has no free resource ids".into()),
        }
    }
}

/// The next event, waiting for it at most `timeout`.
fn next_event(connection: &RustConnection, timeout: Duration) -> Result<Option<Event>, X11Error> {
    connection.flush()?;
    if let Some(event) = connection.poll_for_event()? {
        return Ok(Some(event));
    }
    wait_readable(connection, timeout)?;
    Ok(connection.poll_for_event()?)
}

/// Waits until the server has sent something, at most `timeout`.
fn wait_readable(connection: &RustConnection, timeout: Duration) -> Result<(), X11Error> {
    connection.flush()?;
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    let mut fds = [PollFd::from_borrowed_fd(connection.stream().as_fd(), PollFlags::IN)];
    // Interrupted by a signal counts as a timeout: callers loop.
    let _ = poll(&mut fds, Some(&timeout));
    Ok(())
}

fn atom(connection: &RustConnection, name: &str) -> Result<Atom, X11Error> {
    Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
}

/// A property of a window; `None` if the window is gone or has no such property.
fn property(
    connection: &RustConnection,
    window: Window,
    name: Atom,
) -> Result<Option<GetPropertyReply>, X11Error> {
    match connection.get_property(false, window, name, 0u32, 0, 1 << 16)?.reply() {
        Ok(reply) if reply.type_ == 0 => Ok(None),
        Ok(reply) => Ok(Some(reply)),
        Err(ReplyError::X11Error(_)) => Ok(None),
        Err(ReplyError::ConnectionError(error)) => Err(error.into()),
    }
}
