//! The active window of an X display, by the EWMH properties that window managers keep.

use std::time::Duration;

use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::{self, Rect};
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, Window,
};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, atom, connect, next_event, property};
use crate::clock::SharedTime;
use crate::sources::{SourceError, Stop, WindowEvent, WindowSource};

/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(200);
const ALIVE_EVERY_NANOS: u64 = 1_000_000_000;

/// The active window of an X server.
pub struct Windows {
    time: SharedTime,
    connection: RustConnection,
    root: Window,
    atoms: Atoms,
    has_window_manager: bool,
}

struct Atoms {
    active_window: Atom,
    name: Atom,
    pid: Atom,
}

impl Windows {
    /// Opens a display, by default the one that DISPLAY names.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached.
    pub fn open(time: SharedTime, display: Option<&str>) -> Result<Self, SourceError> {
        let (connection, screen) = connect(display)?;
        let root = connection.setup().roots[screen].root;
        Ok(Self::set_up(time, connection, root)?)
    }

    fn set_up(time: SharedTime, connection: RustConnection, root: Window) -> Result<Self, X11Error> {
        let atoms = Atoms {
            active_window: atom(&connection, "_NET_ACTIVE_WINDOW")?,
            name: atom(&connection, "_NET_WM_NAME")?,
            pid: atom(&connection, "_NET_WM_PID")?,
        };
        let check = atom(&connection, "_NET_SUPPORTING_WM_CHECK")?;
        let has_window_manager = property(&connection, root, check)?.is_some();
        let windows = Self { time, connection, root, atoms, has_window_manager };
        windows.watch(root, EventMask::PROPERTY_CHANGE)?;
        Ok(windows)
    }

    /// Asks for a window's events. A window that is gone has none.
    fn watch(&self, window: Window, mask: EventMask) -> Result<(), X11Error> {
        let attributes = ChangeWindowAttributesAux::new().event_mask(mask);
        match self.connection.change_window_attributes(window, &attributes)?.check() {
            Ok(()) | Err(ReplyError::X11Error(_)) => Ok(()),
            Err(ReplyError::ConnectionError(error)) => Err(error.into()),
        }
    }

    fn active(&self) -> Result<Option<Window>, X11Error> {
        let reply = property(&self.connection, self.root, self.atoms.active_window)?;
        Ok(reply.and_then(|reply| reply.value32()?.next()).filter(|window| *window != x11rb::NONE))
    }

    /// The outermost window around `window`: the frame that the window manager drew.
    fn frame(&self, window: Window) -> Result<Option<Window>, X11Error> {
        let mut frame = window;
        loop {
            match self.connection.query_tree(frame)?.reply() {
                Ok(tree) if tree.parent == self.root || tree.parent == x11rb::NONE => return Ok(Some(frame)),
                Ok(tree) => frame = tree.parent,
                Err(ReplyError::X11Error(_)) => return Ok(None),
                Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
            }
        }
    }

    fn describe(&self, window: Window, frame: Window) -> Result<Option<messages::Window>, X11Error> {
        let geometry = match self.connection.get_geometry(frame)?.reply() {
            Ok(geometry) => geometry,
            Err(ReplyError::X11Error(_)) => return Ok(None),
            Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
        };
        let text = |name: Atom| -> Result<Option<String>, X11Error> {
            let reply = property(&self.connection, window, name)?;
            Ok(reply.map(|reply| String::from_utf8_lossy(&reply.value).into_owned()))
        };
        let title = match text(self.atoms.name)? {
            Some(title) => title,
            None => text(AtomEnum::WM_NAME.into())?.unwrap_or_default(),
        };
        // Instance and class, each ended by a zero byte.
        let class = text(AtomEnum::WM_CLASS.into())?.unwrap_or_default();
        let class = class.split('\0').nth(1).unwrap_or_default().to_owned();
        let pid =
            property(&self.connection, window, self.atoms.pid)?.and_then(|reply| reply.value32()?.next());
        let border = u32::from(geometry.border_width) * 2;
        let rect = Rect {
            x_px: geometry.x.into(),
            y_px: geometry.y.into(),
            width_px: u32::from(geometry.width) + border,
            height_px: u32::from(geometry.height) + border,
        };
        Ok(Some(messages::Window { id: window.into(), title, class, pid, rect }))
    }

    fn follow(&self, sink: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), X11Error> {
        // The active window and its frame, and what was last said of it.
        let mut watched: Option<(Window, Window)> = None;
        let mut said: Option<Option<messages::Window>> = None;
        let (mut is_changed, mut next_alive) = (true, 0);
        while !stop.is_stopped() {
            if is_changed {
                is_changed = false;
                let active = match self.active()? {
                    Some(window) => self.frame(window)?.map(|frame| (window, frame)),
                    None => None,
                };
                if active != watched {
                    self.change_watch(watched, active)?;
                    watched = active;
                }
                let now = self.time.boot_nanos();
                let window = match active {
                    Some((window, frame)) => self.describe(window, frame)?,
                    None => None,
                };
                if said.as_ref() != Some(&window) {
                    sink(WindowEvent::Active(now, window.clone()));
                    said = Some(window);
                }
            }
            if self.time.boot_nanos() >= next_alive {
                next_alive = self.time.boot_nanos() + ALIVE_EVERY_NANOS;
                self.connection.get_input_focus()?.reply()?;
                sink(WindowEvent::Alive);
            }
            let mut event = next_event(&self.connection, STOP_LOOK)?;
            while let Some(found) = event {
                is_changed |= self.matters(&found);
                event = self.connection.poll_for_event()?;
            }
        }
        Ok(())
    }

    fn change_watch(
        &self,
        old: Option<(Window, Window)>,
        new: Option<(Window, Window)>,
    ) -> Result<(), X11Error> {
        if let Some((window, frame)) = old {
            self.watch(window, EventMask::NO_EVENT)?;
            self.watch(frame, EventMask::NO_EVENT)?;
        }
        if let Some((window, frame)) = new {
            self.watch(frame, EventMask::STRUCTURE_NOTIFY)?;
            self.watch(window, EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY)?;
        }
        Ok(())
    }

    fn matters(&self, event: &Event) -> bool {
        match event {
            Event::PropertyNotify(notice) if notice.window == self.root => {
                notice.atom == self.atoms.active_window
            }
            Event::PropertyNotify(notice) => {
                let names =
                    [self.atoms.name, self.atoms.pid, AtomEnum::WM_NAME.into(), AtomEnum::WM_CLASS.into()];
                names.contains(&notice.atom)
            }
            Event::ConfigureNotify(_) | Event::DestroyNotify(_) | Event::ReparentNotify(_) => true,
            _ => false,
        }
    }
}

impl WindowSource for Windows {
    fn backend(&self) -> Backend {
        let mut cannot = vec!["windows other than the active one".to_owned()];
        if !self.has_window_manager {
            cannot.push("the active window: no EWMH window manager is running".into());
        }
        Backend { tracks: vec!["windows".into()], name: "x11".into(), cannot }
    }

    fn run(&mut self, sink: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        Ok(self.follow(sink, stop)?)
    }
}
