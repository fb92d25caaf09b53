//! Harmless input through the XTEST extension, to prove that the input source sees what happens.

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT};
use x11rb::protocol::xtest::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, connect};
use crate::sources::SourceError;

/// `detail` of a faked motion: by so much, not to there.
const RELATIVE: u8 = 1;

/// Presses and releases a key that means nothing, and moves the pointer by a pixel and back. Returns the key's code.
///
/// # Errors
/// `Unavailable` if the display cannot be reached, lacks XTEST, or has a meaning for every key.
pub fn stir_input(display: Option<&str>) -> Result<u32, SourceError> {
    let (connection, screen) = connect(display)?;
    if connection.extension_information(xtest::X11_EXTENSION_NAME).map_err(X11Error::from)?.is_none() {
        return Err(SourceError::Unavailable("the X server lacks the XTEST extension".into()));
    }
    let root = connection.setup().roots[screen].root;
    let keycode = idle_key(&connection)?
        .ok_or_else(|| SourceError::Unavailable("every key of the keyboard has a meaning".into()))?;
    Ok(stir(&connection, root, keycode)?)
}

/// The highest key code without a symbol.
pub(super) fn idle_key(connection: &RustConnection) -> Result<Option<u8>, X11Error> {
    let (first, last) = (connection.setup().min_keycode, connection.setup().max_keycode);
    let mapping = connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
    let symbols = mapping.keysyms.chunks_exact(mapping.keysyms_per_keycode.max(1).into());
    let mut idle =
        (first..=last).zip(symbols).filter(|(_, symbols)| symbols.iter().all(|symbol| *symbol == 0));
    Ok(idle.next_back().map(|(keycode, _)| keycode))
}

fn stir(connection: &RustConnection, root: u32, keycode: u8) -> Result<u32, X11Error> {
    let pointer = connection.query_pointer(root)?.reply()?;
    // Away from the right edge, where a move would end.
    let step = if pointer.root_x > 0 { -1 } else { 1 };
    for dx in [step, -step] {
        connection.xtest_fake_input(MOTION_NOTIFY_EVENT, RELATIVE, 0, root, dx, 0, 0)?;
    }
    for kind in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
        connection.xtest_fake_input(kind, keycode, 0, root, 0, 0, 0)?;
    }
    connection.get_input_focus()?.reply()?;
    Ok(keycode.into())
}
