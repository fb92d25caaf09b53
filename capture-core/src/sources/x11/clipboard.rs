//! That something was copied, by XFixes: as what it is offered and how much text it is; the text only if that is asked for.

use std::time::Duration;

use praxis_bundle::messages::ClipboardMessage;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{self, ConnectionExt as _, SelectionEventMask, SelectionNotifyEvent};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, GetPropertyReply, Property, Window,
    WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, atom, connect, next_event};
use crate::clock::SharedTime;
use crate::sources::SourceError;

/// Longest to wait for the program that owns the clipboard.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A longer text is not recorded, only how long it is.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// What password managers offer beside a secret.
const SECRET: &str = "x-kde-passwordManagerHint";

/// The clipboard of an X server.
pub(super) struct Clipboard {
    connection: RustConnection,
    /// A window of ours that the clipboard is given to.
    window: Window,
    names: Names,
    has_text: bool,
    /// A copy that was announced while the one before was looked at.
    waiting: Option<SelectionNotifyEvent>,
    time: SharedTime,
}

struct Names {
    clipboard: Atom,
    targets: Atom,
    utf8: Atom,
    incr: Atom,
    /// Where programs put what we ask for.
    place: Atom,
}

impl Clipboard {
    /// Opens a display; `None` if the server lacks XFixes. `has_text`: whether the text is to be told.
    pub(super) fn open(
        time: SharedTime,
        display: Option<&str>,
        has_text: bool,
    ) -> Result<Option<Self>, SourceError> {
        let (connection, screen) = connect(display)?;
        let root = connection.setup().roots[screen].root;
        Ok(Self::set_up(time, connection, root, has_text)?)
    }

    fn set_up(
        time: SharedTime,
        connection: RustConnection,
        root: Window,
        has_text: bool,
    ) -> Result<Option<Self>, X11Error> {
        if connection.extension_information(xfixes::X11_EXTENSION_NAME)?.is_none() {
            return Ok(None);
        }
        connection.xfixes_query_version(5, 0)?.reply()?;
        let window = connection.generate_id()?;
        let attributes = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection
            .create_window(0, window, root, -1, -1, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &attributes)?
            .check()?;
        let names = Names {
            clipboard: atom(&connection, "CLIPBOARD")?,
            targets: atom(&connection, "TARGETS")?,
            utf8: atom(&connection, "UTF8_STRING")?,
            incr: atom(&connection, "INCR")?,
            place: atom(&connection, "PRAXIS_CLIPBOARD")?,
        };
        let all = SelectionEventMask::SET_SELECTION_OWNER
            | SelectionEventMask::SELECTION_WINDOW_DESTROY
            | SelectionEventMask::SELECTION_CLIENT_CLOSE;
        connection.xfixes_select_selection_input(root, names.clipboard, all)?.check()?;
        Ok(Some(Self { connection, window, names, has_text, waiting: None, time }))
    }

    /// Waits at most `timeout` for a copy; says when it was, too.
    pub(super) fn next(&mut self, timeout: Duration) -> Result<Option<(u64, ClipboardMessage)>, X11Error> {
        let notice = match self.waiting.take() {
            Some(notice) => notice,
            None => match next_event(&self.connection, timeout)? {
                Some(Event::XfixesSelectionNotify(notice)) => notice,
                _ => return Ok(None),
            },
        };
        let nanos = self.time.boot_nanos();
        Ok(Some((nanos, self.look(&notice)?)))
    }

    /// What the new owner offers.
    fn look(&mut self, notice: &SelectionNotifyEvent) -> Result<ClipboardMessage, X11Error> {
        let nothing = ClipboardMessage { types: Vec::new(), text_bytes: None, text: None };
        if notice.owner == x11rb::NONE {
            return Ok(nothing);
        }
        let Some(targets) = self.ask(self.names.targets)? else { return Ok(nothing) };
        let atoms: Vec<Atom> = targets.value32().into_iter().flatten().collect();
        let mut types = Vec::new();
        for atom in &atoms {
            if let Ok(name) = self.connection.get_atom_name(*atom)?.reply() {
                types.push(String::from_utf8_lossy(&name.name).into_owned());
            }
        }
        let is_secret = types.iter().any(|name| name == SECRET);
        let (mut text_bytes, mut text) = (None, None);
        if atoms.contains(&self.names.utf8)
            && !is_secret
            && let Some(reply) = self.ask(self.names.utf8)?
        {
            (text_bytes, text) = self.text_of(reply)?;
        }
        Ok(ClipboardMessage { types, text_bytes, text: text.filter(|_| self.has_text) })
    }

    /// How long a text is, and itself if it came in one piece or in pieces that are not too many.
    fn text_of(&mut self, first: GetPropertyReply) -> Result<(Option<u64>, Option<String>), X11Error> {
        if first.type_ != self.names.incr {
            let length = first.value.len() as u64;
            let text = (length <= MAX_TEXT_BYTES).then(|| String::from_utf8(first.value).ok()).flatten();
            return Ok((Some(length), text));
        }
        // It comes in pieces, each when the one before was taken away; an empty one is the end.
        let mut bytes = Vec::new();
        let mut length = 0;
        loop {
            if !self.await_property()? {
                return Ok((None, None));
            }
            let piece = self.take_property()?;
            length += piece.value.len() as u64;
            if piece.value.is_empty() {
                let text = (length <= MAX_TEXT_BYTES).then(|| String::from_utf8(bytes).ok()).flatten();
                return Ok((Some(length), text));
            }
            if length <= MAX_TEXT_BYTES {
                bytes.extend_from_slice(&piece.value);
            }
        }
    }

    /// Asks the owner for the clipboard as something; `None` if it does not give it.
    fn ask(&mut self, target: Atom) -> Result<Option<GetPropertyReply>, X11Error> {
        let Names { clipboard, place, .. } = self.names;
        self.connection.convert_selection(self.window, clipboard, target, place, x11rb::CURRENT_TIME)?;
        let answer = self.wait_for(|event| match event {
            Event::SelectionNotify(answer) if answer.target == target => Some(answer.property),
            _ => None,
        })?;
        match answer {
            Some(property) if property != x11rb::NONE => self.take_property().map(Some),
            _ => Ok(None),
        }
    }

    fn await_property(&mut self) -> Result<bool, X11Error> {
        let place = self.names.place;
        let put = self.wait_for(|event| match event {
            Event::PropertyNotify(put) => {
                (put.atom == place && put.state == Property::NEW_VALUE).then_some(())
            }
            _ => None,
        })?;
        Ok(put.is_some())
    }

    /// Waits for an event of the program that owns the clipboard.
    fn wait_for<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> Result<Option<T>, X11Error> {
        let deadline = self.time.boot_nanos() + ANSWER_WITHIN.as_nanos() as u64;
        while let Some(left) = deadline.checked_sub(self.time.boot_nanos()) {
            match next_event(&self.connection, Duration::from_nanos(left))? {
                Some(Event::XfixesSelectionNotify(notice)) => self.waiting = Some(notice),
                Some(event) => {
                    if let Some(found) = wanted(&event) {
                        return Ok(Some(found));
                    }
                }
                None => {}
            }
        }
        Ok(None)
    }

    fn take_property(&self) -> Result<GetPropertyReply, X11Error> {
        let all = u32::MAX / 4;
        let place = self.names.place;
        Ok(self.connection.get_property(true, self.window, place, AtomEnum::ANY, 0, all)?.reply()?)
    }
}
