//! The windows of an X display: which one is active, and all that are shown, from the top down.
//!
//! Managed windows are those that the window manager lists (EWMH); their titles and classes are kept and asked for again only when
//! they change. Where everything is, and what lies above what, is asked from the server whenever something moved, was
//! shown or hidden: few round trips, whatever the number of windows. Menus and tips, which no window manager knows, are told, too.

use std::collections::HashMap;
use std::time::Duration;

use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::{self, Rect, WindowsMessage};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::res::{self, ConnectionExt as _};
use x11rb::protocol::shape::{self, ConnectionExt as _, SK};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, MapState, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::own::{outermost_around, pid_in, pid_of, there};
use super::{X11Error, atom, connect, next_event, property};
use crate::clock::SharedTime;
use crate::sources::{SourceError, Stop, WindowEvent, WindowSource};

/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(200);
const ALIVE_EVERY_NANOS: u64 = 1_000_000_000;
/// A window that is dragged is told so often.
const LOOK_EVERY_NANOS: u64 = 80_000_000;
/// Windows on all workspaces say so with this number.
const ALL_DESKTOPS: u32 = u32::MAX;
/// Most windows that are told, and most letters of a title.
const MAX_SHOWN: usize = 64;
const MAX_TITLE: usize = 500;

/// The windows of an X server.
pub struct Windows {
    time: SharedTime,
    connection: RustConnection,
    root: Window,
    atoms: Atoms,
    has_window_manager: bool,
    has_pids: bool,
    has_shapes: bool,
    managed: HashMap<Window, Managed>,
    unmanaged: HashMap<Window, Unmanaged>,
}

struct Atoms {
    active_window: Atom,
    client_list: Atom,
    current_desktop: Atom,
    name: Atom,
    pid: Atom,
    desktop: Atom,
    state: Atom,
    hidden: Atom,
}

/// A window that the window manager lists.
struct Managed {
    /// The child of the root that it is in, or is.
    frame: Window,
    described: messages::Window,
    desktop: u32,
    is_minimised: bool,
    /// Whether any of this may have changed.
    is_stale: bool,
}

/// A menu, a tip, an icon: a child of the root that no window manager knows.
struct Unmanaged {
    described: messages::Window,
    /// A click goes through it to what is below, as through the surface that a compositor paints on.
    is_clear: bool,
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
        let atom = |name: &str| atom(&connection, name);
        let atoms = Atoms {
            active_window: atom("_NET_ACTIVE_WINDOW")?,
            client_list: atom("_NET_CLIENT_LIST")?,
            current_desktop: atom("_NET_CURRENT_DESKTOP")?,
            name: atom("_NET_WM_NAME")?,
            pid: atom("_NET_WM_PID")?,
            desktop: atom("_NET_WM_DESKTOP")?,
            state: atom("_NET_WM_STATE")?,
            hidden: atom("_NET_WM_STATE_HIDDEN")?,
        };
        let check = atom("_NET_SUPPORTING_WM_CHECK")?;
        let has_window_manager = property(&connection, root, check)?.is_some();
        let has_pids = connection.extension_information(res::X11_EXTENSION_NAME)?.is_some()
            && connection
                .res_query_version(1, 2)?
                .reply()
                .is_ok_and(|v| (v.server_major, v.server_minor) >= (1, 2));
        let has_shapes = connection.extension_information(shape::X11_EXTENSION_NAME)?.is_some();
        let (managed, unmanaged) = (HashMap::new(), HashMap::new());
        let windows = Self {
            time,
            connection,
            root,
            atoms,
            has_window_manager,
            has_pids,
            has_shapes,
            managed,
            unmanaged,
        };
        windows.watch(root, EventMask::PROPERTY_CHANGE | EventMask::SUBSTRUCTURE_NOTIFY)?;
        Ok(windows)
    }

    /// Asks for a window's events. A window that is gone has none.
    fn watch(&self, window: Window, mask: EventMask) -> Result<(), X11Error> {
        let attributes = ChangeWindowAttributesAux::new().event_mask(mask);
        there(self.connection.change_window_attributes(window, &attributes)?.check()).map(drop)
    }

    fn numbers(&self, window: Window, name: Atom) -> Result<Vec<u32>, X11Error> {
        let reply = property(&self.connection, window, name)?;
        Ok(reply.and_then(|reply| Some(reply.value32()?.collect())).unwrap_or_default())
    }

    /// What a program says of its window; where it is is not known yet.
    fn describe(&self, window: Window) -> Result<messages::Window, X11Error> {
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
        // What the server knows is true in a container, too; what a program says may be of another machine.
        let known = match self.has_pids {
            true => pid_of(&self.connection, window)?.reply().ok().and_then(|reply| pid_in(&reply.ids)),
            false => None,
        };
        let said = self.numbers(window, self.atoms.pid)?.first().copied();
        let executable = known.and_then(executable_of);
        Ok(messages::Window {
            id: window.into(),
            title: title.chars().take(MAX_TITLE).collect(),
            class: class.split('\0').nth(1).unwrap_or_default().to_owned(),
            pid: known.filter(|pid| *pid != 0).or(said),
            executable,
            rect: Rect { x_px: 0, y_px: 0, width_px: 0, height_px: 0 },
        })
    }

    /// Takes note of the managed windows that came and went, and of what changed of the others.
    fn follow_list(&mut self) -> Result<(), X11Error> {
        let listed = self.numbers(self.root, self.atoms.client_list)?;
        self.managed.retain(|window, _| listed.contains(window));
        for window in listed {
            if self.managed.get(&window).is_some_and(|managed| !managed.is_stale) {
                continue;
            }
            // First, so that nothing which changes meanwhile is missed.
            self.watch(window, EventMask::PROPERTY_CHANGE)?;
            let frame = outermost_around(&self.connection, self.root, window)?;
            let Some(frame) = frame else { continue };
            let described = self.describe(window)?;
            let desktop = self.numbers(window, self.atoms.desktop)?.first().copied().unwrap_or(ALL_DESKTOPS);
            let is_minimised = self.numbers(window, self.atoms.state)?.contains(&self.atoms.hidden);
            let managed = Managed { frame, described, desktop, is_minimised, is_stale: false };
            self.managed.insert(window, managed);
        }
        Ok(())
    }

    /// All windows as they are now.
    fn look(&mut self) -> Result<WindowsMessage, X11Error> {
        self.follow_list()?;
        let active = self.numbers(self.root, self.atoms.active_window)?.first().copied();
        let desktop = self.numbers(self.root, self.atoms.current_desktop)?.first().copied();
        let tops = self.connection.query_tree(self.root)?.reply()?.children;
        let mut asked = Vec::with_capacity(tops.len());
        for top in &tops {
            asked.push((self.connection.get_window_attributes(*top)?, self.connection.get_geometry(*top)?));
        }
        let (mut shown, mut places) = (Vec::new(), HashMap::new());
        let mut seen = Vec::new();
        for (top, (attributes, geometry)) in tops.into_iter().zip(asked) {
            // A window that is gone by now is none.
            let (Some(attributes), Some(geometry)) = (there(attributes.reply())?, there(geometry.reply())?)
            else {
                continue;
            };
            let border = u32::from(geometry.border_width) * 2;
            let rect = Rect {
                x_px: geometry.x.into(),
                y_px: geometry.y.into(),
                width_px: u32::from(geometry.width) + border,
                height_px: u32::from(geometry.height) + border,
            };
            places.insert(top, rect);
            let is_seen =
                attributes.map_state == MapState::VIEWABLE && attributes.class == WindowClass::INPUT_OUTPUT;
            if is_seen && rect.width_px > 1 && rect.height_px > 1 {
                seen.push((top, rect));
            }
        }
        // The server lists from the bottom up.
        for (top, rect) in seen.iter().rev().take(MAX_SHOWN) {
            let managed = self.managed.values().find(|managed| managed.frame == *top);
            let described = match managed {
                Some(managed) => {
                    let is_here =
                        desktop.is_none_or(|desktop| [desktop, ALL_DESKTOPS].contains(&managed.desktop));
                    (is_here && !managed.is_minimised).then(|| managed.described.clone())
                }
                None => self.unmanaged(*top)?,
            };
            shown.extend(described.map(|described| messages::Window { rect: *rect, ..described }));
        }
        self.unmanaged.retain(|window, _| places.contains_key(window));
        let active = active.and_then(|window| self.managed.get(&window)).and_then(|managed| {
            let rect = *places.get(&managed.frame)?;
            Some(messages::Window { rect, ..managed.described.clone() })
        });
        Ok(WindowsMessage { active, shown })
    }

    /// A window that no window manager knows; `None` if clicks go through it.
    fn unmanaged(&mut self, window: Window) -> Result<Option<messages::Window>, X11Error> {
        if !self.unmanaged.contains_key(&window) {
            let is_clear = self.has_shapes
                && there(self.connection.shape_get_rectangles(window, SK::INPUT)?.reply())?
                    .is_none_or(|reply| reply.rectangles.is_empty());
            let described = self.describe(window)?;
            self.unmanaged.insert(window, Unmanaged { described, is_clear });
        }
        let known = self.unmanaged.get(&window);
        Ok(known.filter(|known| !known.is_clear).map(|known| known.described.clone()))
    }

    fn follow(&mut self, sink: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), X11Error> {
        let mut said: Option<WindowsMessage> = None;
        let (mut is_changed, mut next_look, mut next_alive) = (true, 0, 0);
        while !stop.is_stopped() {
            let now = self.time.boot_nanos();
            if is_changed && now >= next_look {
                is_changed = false;
                next_look = now + LOOK_EVERY_NANOS;
                let message = self.look()?;
                if said.as_ref() != Some(&message) {
                    sink(WindowEvent::Changed(now, message.clone()));
                    said = Some(message);
                }
            }
            if now >= next_alive {
                next_alive = now + ALIVE_EVERY_NANOS;
                self.connection.get_input_focus()?.reply()?;
                sink(WindowEvent::Alive);
            }
            let due = Duration::from_nanos(next_look.saturating_sub(self.time.boot_nanos()));
            let wait = if is_changed { due.min(STOP_LOOK) } else { STOP_LOOK };
            let mut event = next_event(&self.connection, wait)?;
            while let Some(found) = event {
                is_changed |= self.note(&found);
                event = self.connection.poll_for_event()?;
            }
        }
        Ok(())
    }

    /// Whether an event changes what is told.
    fn note(&mut self, event: &Event) -> bool {
        let Atoms { active_window, client_list, current_desktop, name, pid, desktop, state, .. } = self.atoms;
        match event {
            Event::PropertyNotify(notice) if notice.window == self.root => {
                [active_window, client_list, current_desktop].contains(&notice.atom)
            }
            Event::PropertyNotify(notice) => {
                let told = [name, pid, desktop, state, AtomEnum::WM_NAME.into(), AtomEnum::WM_CLASS.into()];
                let managed = self.managed.get_mut(&notice.window);
                managed.filter(|_| told.contains(&notice.atom)).is_some_and(|managed| {
                    managed.is_stale = true;
                    true
                })
            }
            // It may get another frame, or none.
            Event::ReparentNotify(notice) => {
                if let Some(managed) = self.managed.get_mut(&notice.window) {
                    managed.is_stale = true;
                }
                true
            }
            Event::UnmapNotify(notice) => {
                // A menu that is shown again may be another one.
                self.unmanaged.remove(&notice.window);
                true
            }
            Event::ConfigureNotify(_)
            | Event::MapNotify(_)
            | Event::DestroyNotify(_)
            | Event::CirculateNotify(_)
            | Event::GravityNotify(_) => true,
            _ => false,
        }
    }
}

/// The name of the program of a process on this machine, without its folder.
fn executable_of(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.file_name()?.to_string_lossy().trim_end_matches(" (deleted)").to_owned())
}

impl WindowSource for Windows {
    fn backend(&self) -> Backend {
        let mut cannot = Vec::new();
        if !self.has_window_manager {
            cannot.push(
                "the active window, and which windows are minimised: no EWMH window manager is running"
                    .into(),
            );
        }
        if !self.has_pids {
            cannot.push("names of programs: the server lacks X-Resource 1.2".into());
        }
        Backend { tracks: vec!["windows".into()], name: "x11".into(), cannot }
    }

    fn run(&mut self, sink: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        Ok(self.follow(sink, stop)?)
    }
}
