//! What a key means: key symbol, text, modifiers, by the keymap that the X server has at that moment.
//!
//! The state that X sends with each event (modifiers and layout in force just before it) is used as it is: it is
//! exact for that event whatever has happened since, so no state is tracked here and none can go wrong. The keymap is
//! fetched again when the server says that it changed; a round trip before each translation makes sure of that.

use praxis_bundle::messages::Modifier;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xkb::{ConnectionExt as _, EventType, ID, MapPart, SelectEventsAux};
use x11rb::protocol::xproto::ConnectionExt as _;
use x11rb::xcb_ffi::XCBConnection;
use xkbcommon::xkb;

use crate::sources::SourceError;

/// Core modifiers by their bit.
const MODIFIERS: [(u16, Modifier); 7] = [
    (0x01, Modifier::Shift),
    (0x02, Modifier::CapsLock),
    (0x04, Modifier::Control),
    (0x08, Modifier::Alt),
    (0x10, Modifier::NumLock),
    (0x40, Modifier::Super),
    (0x80, Modifier::AltGr),
];
const SHORTCUT_MODIFIERS: u16 = 0x04 | 0x08 | 0x40;

/// A key, understood.
pub(super) struct Meaning {
    pub(super) keysym: String,
    pub(super) text: Option<String>,
}

/// The keymap of an X server. Used by one thread.
pub(super) struct Keymap {
    connection: XCBConnection,
    context: xkb::Context,
    state: xkb::State,
    compose: Option<xkb::compose::State>,
}

impl Keymap {
    /// Fetches the keymap of the display that DISPLAY names.
    pub(super) fn open() -> Result<Self, SourceError> {
        let unavailable =
            |why: String| SourceError::Unavailable(format!("the keyboard cannot be read: {why}"));
        let (connection, _) = XCBConnection::connect(None).map_err(|error| unavailable(error.to_string()))?;
        let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        let (mut major, mut minor, mut event, mut error) = (0, 0, 0, 0);
        let is_set_up = xkb::x11::setup_xkb_extension(
            &connection,
            xkb::x11::MIN_MAJOR_XKB_VERSION,
            xkb::x11::MIN_MINOR_XKB_VERSION,
            xkb::x11::SetupXkbExtensionFlags::NoFlags,
            &mut major,
            &mut minor,
            &mut event,
            &mut error,
        );
        if !is_set_up {
            return Err(unavailable("the X server lacks the XKB extension".into()));
        }
        let events = EventType::NEW_KEYBOARD_NOTIFY | EventType::MAP_NOTIFY;
        let parts = MapPart::KEY_TYPES | MapPart::KEY_SYMS | MapPart::MODIFIER_MAP | MapPart::VIRTUAL_MODS;
        connection
            .xkb_use_extension(1, 0)
            .map_err(|error| unavailable(error.to_string()))?
            .reply()
            .map_err(|error| unavailable(error.to_string()))?;
        connection
            .xkb_select_events(
                ID::USE_CORE_KBD.into(),
                EventType::from(0u16),
                events,
                parts,
                parts,
                &SelectEventsAux::new(),
            )
            .map_err(|error| unavailable(error.to_string()))?;
        let state =
            fetch(&connection, &context).ok_or_else(|| unavailable("the server gives no keymap".into()))?;
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(std::env::var_os);
        let locale = locale.filter(|locale| locale.to_string_lossy().contains('.'));
        let table = [locale, Some("en_US.UTF-8".into())].into_iter().flatten().find_map(|locale| {
            xkb::compose::Table::new_from_locale(&context, &locale, xkb::compose::COMPILE_NO_FLAGS).ok()
        });
        let compose = table.map(|table| xkb::compose::State::new(&table, xkb::compose::STATE_NO_FLAGS));
        Ok(Self { connection, context, state, compose })
    }

    /// Names of the layouts.
    pub(super) fn layouts(&self) -> Vec<String> {
        self.state.get_keymap().layouts().map(str::to_owned).collect()
    }

    /// What a key means in the state that came with its event. Presses advance dead keys; releases do not.
    pub(super) fn meaning(&mut self, keycode: u8, state: u16, is_press: bool) -> Meaning {
        self.follow_changes();
        let (modifiers, layout) = (u32::from(state & 0xff), u32::from(state >> 13 & 3));
        self.state.update_mask(modifiers, 0, 0, 0, 0, layout);
        let key = xkb::Keycode::new(keycode.into());
        let keysym = self.state.key_get_one_sym(key);
        let name = xkb::keysym_get_name(keysym);
        let text = if is_press { self.text(key, keysym, state) } else { None };
        Meaning { keysym: name, text }
    }

    fn text(&mut self, key: xkb::Keycode, keysym: xkb::Keysym, state: u16) -> Option<String> {
        use xkb::compose::{FeedResult, Status};
        if state & SHORTCUT_MODIFIERS != 0 {
            return None;
        }
        let plain = |state: &xkb::State| printable(state.key_get_utf8(key));
        let Some(compose) = &mut self.compose else { return plain(&self.state) };
        if compose.feed(keysym) == FeedResult::Ignored {
            return plain(&self.state);
        }
        match compose.status() {
            Status::Nothing => plain(&self.state),
            Status::Composing => None,
            Status::Composed => {
                let text = compose.utf8().and_then(printable);
                compose.reset();
                text
            }
            Status::Cancelled => {
                compose.reset();
                None
            }
        }
    }

    /// The round trip makes sure that a change before the event is known; then the keymap is fetched anew.
    fn follow_changes(&mut self) {
        // A server that is gone is noticed by the recording connection; the keymap then stays as it is.
        if let Ok(cookie) = self.connection.get_input_focus() {
            let _ = cookie.reply();
        }
        let mut is_changed = false;
        while let Ok(Some(event)) = self.connection.poll_for_event() {
            is_changed |= matches!(
                event,
                Event::XkbNewKeyboardNotify(_) | Event::XkbMapNotify(_) | Event::MappingNotify(_)
            );
        }
        if is_changed && let Some(state) = fetch(&self.connection, &self.context) {
            self.state = state;
        }
    }
}

fn fetch(connection: &XCBConnection, context: &xkb::Context) -> Option<xkb::State> {
    let device = xkb::x11::get_core_keyboard_device_id(connection);
    if device < 0 {
        return None;
    }
    let keymap = xkb::x11::keymap_new_from_device(context, connection, device, xkb::KEYMAP_COMPILE_NO_FLAGS);
    (!keymap.get_raw_ptr().is_null()).then(|| xkb::State::new(&keymap))
}

/// Text as people see it: Return gives a line feed, Tab a tab, other control characters nothing.
fn printable(text: String) -> Option<String> {
    match text.as_str() {
        "" => None,
        "\r" | "\n" => Some("\n".into()),
        "\t" => Some(text),
        _ if text.chars().any(char::is_control) => None,
        _ => Some(text),
    }
}

/// The modifiers of an event's state.
pub(super) fn modifiers(state: u16) -> Vec<Modifier> {
    MODIFIERS.iter().filter(|(bit, _)| state & bit != 0).map(|(_, modifier)| *modifier).collect()
}
