//! What a key means: key symbol, text, modifiers, by the keymap that the X server has at that moment.
//!
//! The state that X sends with each event (modifiers and layout in force just before it) is used as it is: it is
//! exact for that event whatever has happened since, so no state is tracked here and none can go wrong. The keymap is
//! fetched again when the server says that it changed; a round trip before each translation makes sure of that.
//!
//! Programs that type for a person (on-screen keyboards, xdotool) put a character on a spare key, press it, and put
//! the key back at once: what the server says afterwards comes too late. Their requests are recorded among the events
//! and replayed here in that order ([`Keymap::follow_requests`]), so each press is read by the key's symbols of its moment.

use std::collections::HashMap;
use std::ffi::CString;

use praxis_bundle::messages::Modifier;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::record::{ExtRange, Range8, Range16};
use x11rb::protocol::xkb::{
    self as protocol, ConnectionExt as _, EventType, GET_KBD_BY_NAME_REQUEST, ID, MapPart, SET_MAP_REQUEST,
    SelectEventsAux,
};
use x11rb::protocol::xproto::{CHANGE_KEYBOARD_MAPPING_REQUEST, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;
use x11rb::xcb_ffi::XCBConnection;
use xkbcommon::xkb;

use super::X11Error;
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
const SHIFT: u16 = 0x01;
const CAPS_LOCK: u16 = 0x02;
const ALT_GR: u16 = 0x80;

/// The requests of the XKB extension that load another keymap, for RECORD.
pub(super) fn keymap_requests(connection: &RustConnection) -> Result<ExtRange, X11Error> {
    let Some(extension) = connection.extension_information(protocol::X11_EXTENSION_NAME)? else {
        return Ok(ExtRange::default());
    };
    let major = Range8 { first: extension.major_opcode, last: extension.major_opcode };
    let minor = Range16 { first: SET_MAP_REQUEST.into(), last: GET_KBD_BY_NAME_REQUEST.into() };
    Ok(ExtRange { major, minor })
}

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
    /// Symbols that programs put on keys since the keymap was loaded, by keycode: those of each layout in turn.
    reassigned: HashMap<u8, Vec<xkb::Keysym>>,
}

impl Keymap {
    /// Fetches the keymap of a display, by default the one that DISPLAY names.
    pub(super) fn open(display: Option<&str>) -> Result<Self, SourceError> {
        let unavailable =
            |why: String| SourceError::Unavailable(format!("the keyboard cannot be read: {why}"));
        let display =
            display.map(CString::new).transpose().map_err(|error| unavailable(error.to_string()))?;
        let (connection, _) =
            XCBConnection::connect(display.as_deref()).map_err(|error| unavailable(error.to_string()))?;
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
        Ok(Self { connection, context, state, compose, reassigned: HashMap::new() })
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
        let reassigned = self.reassigned.get(&keycode).and_then(|symbols| pick(symbols, state));
        let keysym = reassigned.unwrap_or_else(|| self.state.key_get_one_sym(key));
        let name = xkb::keysym_get_name(keysym);
        let plain = || match reassigned {
            Some(keysym) => xkb::keysym_to_utf8(keysym).trim_end_matches('\0').to_owned(),
            None => self.state.key_get_utf8(key),
        };
        let text = if is_press { text(&mut self.compose, keysym, state, plain) } else { None };
        Meaning { keysym: name, text }
    }

    /// Whether a key gives that symbol without modifiers, in any layout: so programs find the key of a hotkey.
    pub(super) fn gives(&mut self, keycode: u8, keysym: &str) -> bool {
        self.follow_changes();
        let keymap = self.state.get_keymap();
        let key = xkb::Keycode::new(keycode.into());
        let mut symbols = (0..keymap.num_layouts_for_key(key))
            .flat_map(|layout| keymap.key_get_syms_by_level(key, layout, 0).iter());
        symbols.any(|symbol| xkb::keysym_get_name(*symbol) == keysym)
    }

    /// Follows requests of other programs, as recorded, to the X server: core requests that put symbols on keys, and
    /// requests that load another keymap.
    pub(super) fn follow_requests(&mut self, mut requests: &[u8]) {
        while let Some((request, rest)) = split_request(requests) {
            requests = rest;
            match request {
                [CHANGE_KEYBOARD_MAPPING_REQUEST, count, _, _, first, per_key, _, _, symbols @ ..]
                    if *per_key > 0 =>
                {
                    let symbols: Vec<xkb::Keysym> = symbols
                        .chunks_exact(4)
                        .map(|raw| u32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]).into())
                        .collect();
                    let keys = symbols.chunks_exact((*per_key).into()).take((*count).into());
                    self.reassigned.extend((*first..).zip(keys.map(<[_]>::to_vec)));
                }
                [CHANGE_KEYBOARD_MAPPING_REQUEST, ..] => {}
                [_, SET_MAP_REQUEST | GET_KBD_BY_NAME_REQUEST, ..] => self.reassigned.clear(),
                _ => {}
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
            // What is still as it was reassigned is better told by the keymap, which knows all levels.
            let keymap = state.get_keymap();
            let symbols = |keycode: u8| keymap.key_get_syms_by_level(xkb::Keycode::new(keycode.into()), 0, 0);
            self.reassigned.retain(|keycode, reassigned| symbols(*keycode).first() != reassigned.first());
            self.state = state;
        }
    }
}

/// The first request of a run of requests in our byte order, and the rest.
fn split_request(requests: &[u8]) -> Option<(&[u8], &[u8])> {
    let units = u16::from_ne_bytes([*requests.get(2)?, *requests.get(3)?]);
    // Zero announces a request of over 256 KiB, which no keyboard mapping is.
    (units > 0).then(|| requests.split_at_checked(usize::from(units) * 4))?
}

/// The symbol of a key that was reassigned, by the core protocol's order: two symbols of the first layout, two of the
/// second, then the AltGr symbols of each.
fn pick(symbols: &[xkb::Keysym], state: u16) -> Option<xkb::Keysym> {
    let is_there = |keysym: &&xkb::Keysym| keysym.raw() != 0;
    let symbol = |at: usize| symbols.get(at).filter(is_there).copied();
    let layout = usize::from(state >> 13 & 3).min(1);
    let first = match state & ALT_GR {
        0 => layout * 2,
        _ => 4 + layout * 2,
    };
    let is_upper = state & SHIFT != 0;
    let plain = symbol(first).or_else(|| symbol(0))?;
    if is_upper && let Some(upper) = symbol(first + 1) {
        return Some(upper);
    }
    // A letter that stands alone has both cases.
    let is_upper = is_upper != (state & CAPS_LOCK != 0);
    Some(if is_upper { uppercase(plain) } else { plain })
}

fn uppercase(keysym: xkb::Keysym) -> xkb::Keysym {
    let upper = keysym.key_char().map(|letter| letter.to_uppercase().collect::<Vec<_>>());
    match upper.as_deref() {
        Some([letter]) => xkb::Keysym::from_char(*letter),
        _ => keysym,
    }
}

/// The text of a press, dead keys and compose applied; `plain` is what the key gives by itself.
fn text(
    compose: &mut Option<xkb::compose::State>,
    keysym: xkb::Keysym,
    state: u16,
    plain: impl Fn() -> String,
) -> Option<String> {
    use xkb::compose::{FeedResult, Status};
    if state & SHORTCUT_MODIFIERS != 0 {
        return None;
    }
    let Some(compose) = compose else { return printable(plain()) };
    if compose.feed(keysym) == FeedResult::Ignored {
        return printable(plain());
    }
    match compose.status() {
        Status::Nothing => printable(plain()),
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
