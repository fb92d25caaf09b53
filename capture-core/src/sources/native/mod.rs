//! The sources of the desktop this program runs on. One file per system has the same functions; here is chosen among them.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod here;

use super::{ElementSource, InputBackend, InputSource, Own, ScreenBackend, ScreenSource, WindowSource};

pub use here::{IS_NATIVE, find_desktop, open_desktop, open_flash, open_screen, stir_input};
pub(super) use here::{SCRAP_CANNOT, UNNAMED_KEYS, key_symbol, silence_audio_library};

/// The sources of the desktop this program runs on.
pub struct Desktop {
    /// Its pictures.
    pub screen: Box<dyn ScreenSource>,
    /// Its pointer and keys.
    pub input: Box<dyn InputSource>,
    /// Its windows.
    pub windows: Box<dyn WindowSource>,
    /// What its programs tell of what is clicked.
    pub elements: Option<Box<dyn ElementSource>>,
}

/// What of a desktop is to be recorded, and with what.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What takes the pictures.
    pub screen: ScreenBackend,
    /// What hears the input.
    pub input: InputBackend,
    /// What is the recorder's own is kept out of what the native backends deliver.
    pub own: Own,
    /// Whether the text that is copied is asked for.
    pub has_clipboard_text: bool,
}
