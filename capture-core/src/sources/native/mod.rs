//! The sources of the desktop this program runs on. One file per system has the same functions; here is chosen among them.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod here;

use super::{InputSource, ScreenSource, WindowSource};

pub use here::{find_desktop, open_desktop, open_flash, open_screen, stir_input};
pub(super) use here::{key_symbol, silence_audio_library};

/// The sources of the desktop this program runs on.
pub struct Desktop {
    /// Its pictures.
    pub screen: Box<dyn ScreenSource>,
    /// Its pointer and keys.
    pub input: Box<dyn InputSource>,
    /// Its windows.
    pub windows: Box<dyn WindowSource>,
}
