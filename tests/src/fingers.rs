//! Fingers on the keyboard of an X display: key events by keycode, as the hardware gives them. (xdotool sets layout and
//! modifiers itself, so what a layout makes of a key cannot be tested with it.)

use anyhow::Result;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{KEY_PRESS_EVENT, KEY_RELEASE_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// A connection that presses keys.
pub struct Fingers {
    connection: RustConnection,
    root: u32,
}

impl Fingers {
    /// Connects to a display.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn new(display: &str) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root = connection.setup().roots[screen].root;
        Ok(Self { connection, root })
    }

    /// Presses and releases keys one after the other.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn press(&self, keycodes: &[u8]) -> Result<()> {
        for keycode in keycodes {
            self.send(KEY_PRESS_EVENT, *keycode)?;
            self.send(KEY_RELEASE_EVENT, *keycode)?;
        }
        Ok(self.connection.sync()?)
    }

    /// Presses and releases keys while one is held.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn press_with(&self, held: u8, keycodes: &[u8]) -> Result<()> {
        self.send(KEY_PRESS_EVENT, held)?;
        self.press(keycodes)?;
        self.send(KEY_RELEASE_EVENT, held)?;
        Ok(self.connection.sync()?)
    }

    fn send(&self, kind: u8, keycode: u8) -> Result<()> {
        self.connection.xtest_fake_input(kind, keycode, 0, self.root, 0, 0, 0)?;
        Ok(())
    }
}
