//! The displays of an X server: where RandR says that each is, and under which number it is known here.

use praxis_bundle::messages::{Display, GeometryMessage, Rect};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::randr::{self, ConnectionExt as _, NotifyMask};
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, ImageOrder, Window};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, property};
use crate::sources::SourceError;

/// The root window of a screen whose pictures have 24 bits in four bytes, blue first.
///
/// # Errors
/// `Unavailable` for other pictures.
pub(super) fn true_colour_root(connection: &RustConnection, screen: usize) -> Result<Window, SourceError> {
    let setup = connection.setup();
    let (root, depth) = (setup.roots[screen].root, setup.roots[screen].root_depth);
    let format = setup.pixmap_formats.iter().find(|format| format.depth == depth);
    let is_bgrx = depth == 24
        && format.is_some_and(|format| format.bits_per_pixel == 32)
        && setup.image_byte_order == ImageOrder::LSB_FIRST;
    if !is_bgrx {
        return Err(SourceError::Unavailable(format!(
            "the X display has a depth of {depth} bits; Praxis records displays of 24 bits: change the depth in the display settings"
        )));
    }
    Ok(root)
}

/// The displays of one screen.
pub(super) struct Displays {
    root: Window,
    has_randr: bool,
    /// Names of the displays; the position is the number.
    names: Vec<String>,
}

impl Displays {
    /// Asks for the events that tell of their changes, where the server has them.
    pub(super) fn follow(connection: &RustConnection, root: Window) -> Result<Self, X11Error> {
        let has_randr = connection.extension_information(randr::X11_EXTENSION_NAME)?.is_some()
            && connection
                .randr_query_version(1, 5)?
                .reply()
                .is_ok_and(|v| (v.major_version, v.minor_version) >= (1, 5));
        if has_randr {
            let mask = NotifyMask::SCREEN_CHANGE | NotifyMask::CRTC_CHANGE;
            connection.randr_select_input(root, mask)?.check()?;
        }
        Ok(Self { root, has_randr, names: Vec::new() })
    }

    /// Where they are now, in the order in which the server lists them.
    pub(super) fn as_listed(&mut self, connection: &RustConnection) -> Result<GeometryMessage, X11Error> {
        let root = connection.get_geometry(self.root)?.reply()?;
        let (root_width_px, root_height_px) = (u32::from(root.width), u32::from(root.height));
        let scale = self.scale(connection)?;
        let whole = Rect { x_px: 0, y_px: 0, width_px: root_width_px, height_px: root_height_px };
        let mut displays = Vec::new();
        if self.has_randr {
            let monitors = connection.randr_get_monitors(self.root, true)?.reply()?.monitors;
            for monitor in monitors {
                let name = connection.get_atom_name(monitor.name)?.reply()?.name;
                let rect = Rect {
                    x_px: monitor.x.into(),
                    y_px: monitor.y.into(),
                    width_px: monitor.width.into(),
                    height_px: monitor.height.into(),
                };
                displays.push(Display {
                    number: self.number_of(&String::from_utf8_lossy(&name)),
                    name: String::from_utf8_lossy(&name).into_owned(),
                    rect: rect.clip(whole),
                    width_mm: monitor.width_in_millimeters,
                    height_mm: monitor.height_in_millimeters,
                    scale,
                    is_primary: monitor.primary,
                    is_recorded: true,
                });
            }
        }
        displays.retain(|display| display.rect.width_px > 0 && display.rect.height_px > 0);
        if displays.is_empty() {
            let number = self.number_of("screen");
            let (width_mm, height_mm) = (0, 0);
            let name = "screen".into();
            displays.push(Display {
                number,
                name,
                rect: whole,
                width_mm,
                height_mm,
                scale,
                is_primary: true,
                is_recorded: true,
            });
        }
        Ok(GeometryMessage { root_width_px, root_height_px, displays, masks: Vec::new() })
    }

    /// Where they are now, by their numbers.
    pub(super) fn now(&mut self, connection: &RustConnection) -> Result<GeometryMessage, X11Error> {
        let mut geometry = self.as_listed(connection)?;
        geometry.displays.sort_by_key(|display| display.number);
        Ok(geometry)
    }

    fn number_of(&mut self, name: &str) -> u8 {
        let known = self.names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        }) as u8
    }

    /// Pixels per logical pixel by the `Xft.dpi` resource, which desktops set for scaling.
    fn scale(&self, connection: &RustConnection) -> Result<f64, X11Error> {
        let resources = property(connection, self.root, AtomEnum::RESOURCE_MANAGER.into())?;
        let resources =
            resources.map(|reply| String::from_utf8_lossy(&reply.value).into_owned()).unwrap_or_default();
        let dpi =
            resources.lines().find_map(|line| line.strip_prefix("Xft.dpi:")?.trim().parse::<f64>().ok());
        Ok(dpi.filter(|dpi| *dpi > 0.0).map_or(1.0, |dpi| dpi / 96.0))
    }
}
