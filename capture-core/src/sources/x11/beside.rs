//! What an X server says beside a portable backend: where displays and pointer are, and whether a process records input.

use praxis_bundle::manifest::{Keyboard, PointerSettings};
use praxis_bundle::messages::GeometryMessage;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::record::ConnectionExt as _;
use x11rb::protocol::res::{self, ClientIdMask, ClientIdSpec, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::displays::{Displays, true_colour_root};
use super::keymap::Keymap;
use super::own::pid_in;
use super::settings::pointer_settings;
use super::{X11Error, connect};
use crate::sources::{SourceError, portable};

/// A program's recording context is among the first resources that it makes.
const MAX_RESOURCES: u32 = 16;

/// A connection of its own to an X server.
pub struct Beside {
    connection: RustConnection,
    root: Window,
    displays: Displays,
    has_pids: bool,
}

impl Beside {
    /// Opens a display, by default the one that DISPLAY names.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached or has an unusual picture format.
    pub fn open(display: Option<&str>) -> Result<Self, SourceError> {
        let (connection, screen) = connect(display)?;
        let root = true_colour_root(&connection, screen)?;
        let displays = Displays::follow(&connection, root)?;
        let has_pids =
            connection.extension_information(res::X11_EXTENSION_NAME).map_err(X11Error::from)?.is_some();
        Ok(Self { connection, root, displays, has_pids })
    }

    /// Keyboard layouts and click settings for the manifest.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn settings(display: Option<&str>) -> Result<(Keyboard, PointerSettings), SourceError> {
        let (connection, screen) = connect(display)?;
        let keyboard = Keyboard { layouts: Keymap::open(display)?.layouts() };
        Ok((keyboard, pointer_settings(&connection, screen)?))
    }

    /// Takes note of what the server tells by itself: nothing that is not asked for again.
    fn forget_events(&self) -> Result<(), X11Error> {
        while self.connection.poll_for_event()?.is_some() {}
        Ok(())
    }

    /// Whether one of a process's recording contexts is enabled.
    fn records(&self, pid: u32) -> Result<bool, X11Error> {
        let all = ClientIdSpec { client: 0, mask: ClientIdMask::LOCAL_CLIENT_PID };
        let clients = self.connection.res_query_client_ids(&[all])?.reply()?.ids;
        for client in clients.iter().filter(|client| pid_in(std::slice::from_ref(client)) == Some(pid)) {
            let mut asked = Vec::new();
            for n in 0..MAX_RESOURCES {
                asked.push(self.connection.record_get_context(client.spec.client + n)?);
            }
            let mut is_enabled = false;
            for context in asked {
                // Most are no context at all.
                is_enabled |= super::own::there(context.reply())?.is_some_and(|context| context.enabled);
            }
            if is_enabled {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl portable::Beside for Beside {
    fn displays(&mut self) -> Result<GeometryMessage, SourceError> {
        self.forget_events()?;
        Ok(self.displays.as_listed(&self.connection)?)
    }

    fn pointer(&mut self) -> Result<(i32, i32), SourceError> {
        let ask = || -> Result<_, X11Error> { Ok(self.connection.query_pointer(self.root)?.reply()?) };
        let pointer = ask()?;
        Ok((pointer.root_x.into(), pointer.root_y.into()))
    }

    fn hears(&mut self, pid: u32) -> Result<bool, SourceError> {
        // Where the server does not say whose connections are whose, an answer is all that can be had.
        match self.has_pids {
            true => Ok(self.records(pid)?),
            false => self.pointer().map(|_| true),
        }
    }
}
