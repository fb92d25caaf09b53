//! The sources of Windows and macOS: none yet.

use praxis_bundle::messages::Rect;
use xkeysym::Keysym;

use super::Desktop;
use crate::clock::SharedTime;
use crate::sources::{Flash, Own, ScreenSource, SourceError};

/// Opens the desktop; what is the recorder's own is kept out of what its sources deliver, and the text that is copied
/// unless it is asked for.
///
/// # Errors
/// `Unavailable`: it cannot be recorded here.
pub fn open_desktop(_: &SharedTime, _: &Own, _: bool) -> Result<Desktop, SourceError> {
    Err(not_yet())
}

/// Whether a program with windows can run here at all.
///
/// # Errors
/// None: these systems always have a desktop.
pub fn find_desktop() -> Result<(), SourceError> {
    Ok(())
}

/// Opens only the pictures of the desktop.
///
/// # Errors
/// As [`open_desktop`].
pub fn open_screen(_: &SharedTime) -> Result<Box<dyn ScreenSource>, SourceError> {
    Err(not_yet())
}

/// Shows a window to measure with.
///
/// # Errors
/// As [`open_desktop`].
pub fn open_flash(_: Rect) -> Result<Box<dyn Flash>, SourceError> {
    Err(not_yet())
}

/// Produces a key press without meaning and a pointer move, to prove that the input source sees them. Returns the key's code.
///
/// # Errors
/// As [`open_desktop`].
pub fn stir_input() -> Result<u32, SourceError> {
    Err(not_yet())
}

/// The audio libraries of these systems write nothing to stderr.
pub(in crate::sources) fn silence_audio_library() {}

/// Name of the symbol that a letter, or a name of X11 in any case, stands for.
pub(in crate::sources) fn key_symbol(name: &str) -> Option<String> {
    let mut letters = name.chars();
    let name_of = |symbol: Keysym| symbol.name().and_then(|name| name.strip_prefix("XK_"));
    let symbol = match (letters.next(), letters.next()) {
        // A character stands for itself: `ö`, `,`.
        (Some(letter), None) => name_of(Keysym::from_char(letter.to_lowercase().next()?)),
        // Those of Latin letters, and those of keys that give no letter.
        _ => (0x20..0x100)
            .chain(0xff00..0x1_0000)
            .find_map(|code| name_of(Keysym::new(code)).filter(|known| known.eq_ignore_ascii_case(name))),
    };
    symbol.map(str::to_owned)
}

fn not_yet() -> SourceError {
    SourceError::Unavailable("Praxis cannot record this system yet: it records X11 desktops of Linux".into())
}
