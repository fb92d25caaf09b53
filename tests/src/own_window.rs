//! A window of the testing process itself, in one colour: what a recorder in the same process must keep out.

use anyhow::{Context, Result};
use praxis_bundle::messages::Rect;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConfigureWindowAux, ConnectionExt as _,
    CreateWindowAux, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, PropMode,
    WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// The window. Closed on drop, with its connection.
pub struct OwnWindow {
    connection: RustConnection,
    root: u32,
    window: u32,
}

impl OwnWindow {
    /// Opens it in a colour (B, G, R), in a frame of the window manager or, as a menu is, without; returns when it was
    /// asked for.
    ///
    /// # Errors
    /// If the display cannot be reached.
    pub fn open(display: &str, rect: Rect, [blue, green, red]: [u8; 3], is_framed: bool) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root = connection.setup().roots.get(screen).context("no screen")?.root;
        let window = connection.generate_id()?;
        let colour = u32::from_be_bytes([0, red, green, blue]);
        let attributes =
            CreateWindowAux::new().override_redirect(u32::from(!is_framed)).background_pixel(colour);
        let (x, y, width, height) =
            (rect.x_px as i16, rect.y_px as i16, rect.width_px as u16, rect.height_px as u16);
        let class = WindowClass::INPUT_OUTPUT;
        connection.create_window(24, window, root, x, y, width, height, 0, class, 0, &attributes)?.check()?;
        let (name, text) = (AtomEnum::WM_NAME, AtomEnum::STRING);
        connection.change_property8(PropMode::REPLACE, window, name, text, b"own window")?;
        connection.map_window(window)?;
        connection.sync()?;
        Ok(Self { connection, root, window })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.window
    }

    /// Moves and resizes it.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn place(&self, rect: Rect) -> Result<()> {
        let place =
            ConfigureWindowAux::new().x(rect.x_px).y(rect.y_px).width(rect.width_px).height(rect.height_px);
        self.connection.configure_window(self.window, &place)?;
        Ok(self.connection.sync()?)
    }

    /// Shows or hides it.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn show(&self, is_shown: bool) -> Result<()> {
        match is_shown {
            true => self.connection.map_window(self.window)?,
            false => self.connection.unmap_window(self.window)?,
        };
        Ok(self.connection.sync()?)
    }

    /// Closes it at once after a click at that place: before anybody can look which window was clicked.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn click_and_close(self, x: i16, y: i16) -> Result<()> {
        let send = |kind, detail| self.connection.xtest_fake_input(kind, detail, 0, self.root, x, y, 0);
        send(MOTION_NOTIFY_EVENT, 0)?;
        send(BUTTON_PRESS_EVENT, 1)?;
        send(BUTTON_RELEASE_EVENT, 1)?;
        self.connection.destroy_window(self.window)?;
        Ok(self.connection.sync()?)
    }

    /// Gives the focus to another window at once after a key: before anybody can look where the focus was.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn press_and_leave(&self, keycode: u8, to: u32) -> Result<()> {
        for kind in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            self.connection.xtest_fake_input(kind, keycode, 0, self.root, 0, 0, 0)?;
        }
        self.connection.set_input_focus(InputFocus::PARENT, to, 0u32)?;
        Ok(self.connection.sync()?)
    }
}
