//! Leaves out what the person does to the recorder itself: clicks on its windows, keys into them, and its hotkeys.
//!
//! RECORD tells of input a little after it happened, and by then its window may be closed or the focus elsewhere. So a
//! connection of its own follows the own windows all the time: an event counts for where it went, not for what is there now.
//!
//! A press is left out with its release and repeats. Moves stay, also over own windows and while dragging in them. A dead
//! key that went to an own window does not change what is typed elsewhere.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_bundle::messages::Modifier;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, InputFocus, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, KeyPressEvent, Window,
};
use x11rb::rust_connection::RustConnection;

use super::keymap::{Keymap, modifiers};
use super::own::{OwnWindows, outermost_around};
use super::{X11Error, connect, wait_readable};
use crate::clock::SharedTime;
use crate::sources::SourceError;
use crate::sources::own::{Hotkey, Own};

/// The server's stamps are of whole milliseconds, and mapped to our clock they are off by as much again. What seems to have
/// happened so shortly after an own window left, or before it came, counts as its own.
const STAMP_NANOS: u64 = 3_000_000;
/// Wheel steps: X sends them as presses of these buttons.
const WHEEL: std::ops::RangeInclusive<u8> = 4..=7;

/// Follows the own windows, to say whether input went to them.
pub(super) struct Watcher {
    time: SharedTime,
    connection: RustConnection,
    root: Window,
    /// Answers and events are received under the lock only, and events are noted before it is given back. So nobody who waits
    /// for an event looks for one in vain, again and again, while somebody else waits for an answer.
    windows: Mutex<OwnWindows>,
}

impl Watcher {
    pub(super) fn open(time: SharedTime, display: Option<&str>) -> Result<Self, SourceError> {
        let (connection, screen) = connect(display)?;
        let root = connection.setup().roots[screen].root;
        let windows = Mutex::new(OwnWindows::open(&connection, root)?);
        Ok(Self { time, connection, root, windows })
    }

    /// Follows what happens until `timeout` is over, or for a moment.
    pub(super) fn follow(&self, timeout: Duration) -> Result<(), X11Error> {
        wait_readable(&self.connection, timeout)?;
        self.note_events(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, OwnWindows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_events(&self, windows: &mut OwnWindows) -> Result<(), X11Error> {
        while let Some(event) = self.connection.poll_for_event()? {
            windows.note(&event, self.time.boot_nanos());
        }
        windows.settle(&self.connection, self.time.boot_nanos())
    }

    /// Whether a click at that place and time went to an own window, or to its frame.
    pub(super) fn is_at(&self, x: i16, y: i16, nanos: u64) -> Result<bool, X11Error> {
        self.has_click(&mut self.lock(), x, y, nanos)
    }

    fn has_click(&self, windows: &mut OwnWindows, x: i16, y: i16, nanos: u64) -> Result<bool, X11Error> {
        // The server knows about windows that let clicks through.
        let child = self.connection.translate_coordinates(self.root, self.root, x, y)?.reply()?.child;
        self.note_events(windows)?;
        Ok(windows.has(child) || windows.left_since(x.into(), y.into(), nanos.saturating_sub(STAMP_NANOS)))
    }

    /// Whether a key that was pressed at that time, the pointer being there, went to an own window.
    fn has_focus(&self, x: i16, y: i16, nanos: u64) -> Result<bool, X11Error> {
        let mut windows = self.lock();
        let focus = self.connection.get_input_focus()?.reply()?.focus;
        let top = match focus {
            0 => None,
            focus if focus == u32::from(InputFocus::POINTER_ROOT) || focus == self.root => {
                return self.has_click(&mut windows, x, y, nanos);
            }
            focus => outermost_around(&self.connection, self.root, focus)?,
        };
        self.note_events(&mut windows)?;
        let (got_nanos, lost_nanos) = windows.focus_nanos();
        let had_it = got_nanos <= nanos + STAMP_NANOS;
        let has_it = top.is_some_and(|top| windows.has(top));
        Ok(had_it && (has_it || lost_nanos + STAMP_NANOS >= nanos))
    }
}

/// What is left out, and what of it is still held.
pub(super) struct LeftOut<'a> {
    hotkeys: &'a [Hotkey],
    watcher: Option<&'a Watcher>,
    keys: HashSet<u8>,
    buttons: HashSet<u8>,
}

impl<'a> LeftOut<'a> {
    pub(super) fn new(own: &'a Own, watcher: Option<&'a Watcher>) -> Self {
        Self { hotkeys: &own.hotkeys, watcher, keys: HashSet::new(), buttons: HashSet::new() }
    }

    /// Whether an event is none of the session's; `was_held` is whether the key was down before it.
    pub(super) fn has(
        &mut self,
        event: &KeyPressEvent,
        nanos: u64,
        was_held: bool,
        keymap: &mut Keymap,
    ) -> Result<bool, X11Error> {
        let (x, y) = (event.root_x, event.root_y);
        match (event.response_type & 0x7f, event.detail) {
            (KEY_PRESS_EVENT, keycode) if was_held && self.keys.contains(&keycode) => Ok(true),
            (KEY_PRESS_EVENT, keycode) => {
                // A new press, whatever became of the release of the one before.
                self.keys.remove(&keycode);
                let is_own = self.is_hotkey(keycode, event.state.into(), keymap)
                    || self.ask(|watcher| watcher.has_focus(x, y, nanos))?;
                if is_own && !was_held {
                    self.keys.insert(keycode);
                }
                Ok(is_own)
            }
            (KEY_RELEASE_EVENT, keycode) => Ok(self.keys.remove(&keycode)),
            (BUTTON_PRESS_EVENT, button) => {
                let is_own = self.ask(|watcher| watcher.is_at(x, y, nanos))?;
                if is_own && !WHEEL.contains(&button) {
                    self.buttons.insert(button);
                }
                Ok(is_own)
            }
            (BUTTON_RELEASE_EVENT, button) => Ok(self.buttons.remove(&button)),
            _ => Ok(false),
        }
    }

    fn ask(&self, question: impl FnOnce(&Watcher) -> Result<bool, X11Error>) -> Result<bool, X11Error> {
        self.watcher.map_or(Ok(false), question)
    }

    fn is_hotkey(&self, keycode: u8, state: u16, keymap: &mut Keymap) -> bool {
        if self.hotkeys.is_empty() {
            return false;
        }
        let locks = [Modifier::CapsLock, Modifier::NumLock];
        let mut held = modifiers(state);
        held.retain(|modifier| !locks.contains(modifier));
        held.sort();
        let mut candidates = self.hotkeys.iter().filter(|hotkey| hotkey.modifiers() == held);
        candidates.any(|hotkey| keymap.gives(keycode, hotkey.keysym()))
    }
}
