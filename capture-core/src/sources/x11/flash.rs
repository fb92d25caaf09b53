//! A window that flashes while a key is pressed, to measure how far apart both are recorded.

use praxis_bundle::messages::Rect;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    Window, WindowClass,
};
use x11rb::protocol::xtest::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

use super::stir::idle_key;
use super::{X11Error, connect};
use crate::sources::{Flash, SourceError};

/// A window above all others.
pub struct FlashWindow {
    connection: RustConnection,
    root: Window,
    window: Window,
    colours: [u32; 2],
    keycode: u8,
    num_flashes: usize,
}

impl FlashWindow {
    /// Shows the window at that place, dark.
    ///
    /// # Errors
    /// `Unavailable` if the display cannot be reached, lacks XTEST, or has a meaning for every key.
    pub fn open(display: Option<&str>, rect: Rect) -> Result<Self, SourceError> {
        let (connection, screen) = connect(display)?;
        if connection.extension_information(xtest::X11_EXTENSION_NAME).map_err(X11Error::from)?.is_none() {
            return Err(SourceError::Unavailable("the X server lacks the XTEST extension".into()));
        }
        let keycode = idle_key(&connection)?
            .ok_or_else(|| SourceError::Unavailable("every key of the keyboard has a meaning".into()))?;
        Ok(Self::show(connection, screen, rect, keycode)?)
    }

    fn show(connection: RustConnection, screen: usize, rect: Rect, keycode: u8) -> Result<Self, X11Error> {
        let screen = &connection.setup().roots[screen];
        let (root, colours) = (screen.root, [screen.black_pixel, screen.white_pixel]);
        let window = connection.generate_id()?;
        // No window manager moves or decorates it.
        let attributes = CreateWindowAux::new().override_redirect(1).background_pixel(colours[0]);
        let (x, y) = (rect.x_px as i16, rect.y_px as i16);
        let (width, height) = (rect.width_px as u16, rect.height_px as u16);
        let class = WindowClass::INPUT_OUTPUT;
        connection.create_window(0, window, root, x, y, width, height, 0, class, 0, &attributes)?;
        connection.map_window(window)?;
        connection.get_input_focus()?.reply()?;
        Ok(Self { connection, root, window, colours, keycode, num_flashes: 0 })
    }

    fn change(&mut self) -> Result<(), X11Error> {
        self.num_flashes += 1;
        let colour = ChangeWindowAttributesAux::new().background_pixel(self.colours[self.num_flashes % 2]);
        self.connection.change_window_attributes(self.window, &colour)?;
        self.connection.clear_area(false, self.window, 0, 0, 0, 0)?;
        for kind in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            self.connection.xtest_fake_input(kind, self.keycode, 0, self.root, 0, 0, 0)?;
        }
        Ok(self.connection.flush()?)
    }
}

impl Flash for FlashWindow {
    fn keycode(&self) -> u32 {
        self.keycode.into()
    }

    fn flash(&mut self) -> Result<(), SourceError> {
        Ok(self.change()?)
    }
}
