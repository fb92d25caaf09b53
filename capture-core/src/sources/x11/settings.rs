//! What the desktop is set to: what counts as a double click and as a drag, by the XSETTINGS that desktop environments
//! publish, and the input method.
//!
//! A desktop without a settings manager has none; then the values are null, and readers use defaults of their own.

use praxis_bundle::manifest::PointerSettings;
use x11rb::NONE;
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, atom, property};

const INTEGER: u8 = 0;
const STRING: u8 = 1;
const COLOUR: u8 = 2;

/// The settings of the display's settings manager.
pub(super) fn pointer_settings(
    connection: &RustConnection,
    screen: usize,
) -> Result<PointerSettings, X11Error> {
    let selection = atom(connection, &format!("_XSETTINGS_S{screen}"))?;
    let manager = connection.get_selection_owner(selection)?.reply()?.owner;
    if manager == NONE {
        return Ok(PointerSettings::default());
    }
    let name = atom(connection, "_XSETTINGS_SETTINGS")?;
    Ok(property(connection, manager, name)?.map(|reply| parse(&reply.value)).unwrap_or_default())
}

/// Reads the property's value; what is malformed ends it, and the settings before still count.
fn parse(value: &[u8]) -> PointerSettings {
    let mut settings = PointerSettings::default();
    let Some((&order, _)) = value.split_first() else { return settings };
    let mut fields = Fields { rest: value.get(12..).unwrap_or_default(), is_big: order == 1 };
    while let Some((name, value)) = fields.setting() {
        match (name, value) {
            (b"Net/DoubleClickTime", Some(millis)) => settings.double_click_millis = Some(millis),
            (b"Net/DndDragThreshold", Some(pixels)) => settings.drag_distance_px = Some(pixels),
            _ => {}
        }
    }
    settings
}

/// The settings of a property, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
    is_big: bool,
}

impl<'a> Fields<'a> {
    /// Name, and value if it is an integer.
    fn setting(&mut self) -> Option<(&'a [u8], Option<u32>)> {
        let kind = self.take(2)?[0];
        let name_bytes = self.take(2)?;
        let name_bytes = [name_bytes[0], name_bytes[1]];
        let name_bytes =
            if self.is_big { u16::from_be_bytes(name_bytes) } else { u16::from_le_bytes(name_bytes) };
        let name = self.padded(name_bytes.into())?;
        let _serial = self.u32()?;
        let value = match kind {
            INTEGER => Some(self.u32()?),
            STRING => {
                let bytes = self.u32()?;
                self.padded(bytes as usize)?;
                None
            }
            COLOUR => {
                self.take(8)?;
                None
            }
            _ => return None,
        };
        Some((name, value))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Bytes that are filled up to a multiple of four.
    fn padded(&mut self, count: usize) -> Option<&'a [u8]> {
        self.take(count.checked_next_multiple_of(4)?)?.get(..count)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// The name of an input method that programs of this display may use, by the servers that have said so; `None` without one.
pub(super) fn input_method(control: &RustConnection, root: Window) -> Result<Option<String>, X11Error> {
    let servers = atom(control, "XIM_SERVERS")?;
    let Some(list) = property(control, root, servers)? else { return Ok(None) };
    for server in list.value32().into_iter().flatten() {
        // The list may name servers that are gone.
        if control.get_selection_owner(server)?.reply().is_ok_and(|reply| reply.owner != x11rb::NONE) {
            let name = control.get_atom_name(server)?.reply()?.name;
            let name = String::from_utf8_lossy(&name).into_owned();
            return Ok(Some(name.trim_start_matches("@server=").to_owned()));
        }
    }
    Ok(None)
}
