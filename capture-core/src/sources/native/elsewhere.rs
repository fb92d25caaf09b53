//! The sources of Windows and macOS: the portable ones, and what they do not have is named.

use std::thread::sleep;
use std::time::Duration;

use praxis_bundle::manifest::{Backend, Keyboard, PointerSettings};
use praxis_bundle::messages::Rect;
use xkeysym::Keysym;

use super::{Choice, Desktop};
use crate::clock::SharedTime;
use crate::sources::{Flash, ScreenSource, SourceError, Stop, WindowEvent, WindowSource, portable};
use crate::system::{NeededFor, allowed};

/// How often a source that has nothing to tell looks at the stop switch.
const STOP_LOOK: Duration = Duration::from_millis(200);

/// Whether native code records here: it covers own windows, leaves out own clicks and knows the titles of windows.
pub const IS_NATIVE: bool = false;
pub(in crate::sources) const SCRAP_CANNOT: [&str; 0] = [];
pub(in crate::sources) const UNNAMED_KEYS: [(u32, &str); 0] = [];

/// Opens the desktop. There is one backend of each kind, whatever is chosen.
///
/// # Errors
/// `Unavailable` if the screen cannot be captured, or the system does not allow it, with what to do.
pub fn open_desktop(time: &SharedTime, _: &Choice) -> Result<Desktop, SourceError> {
    allowed(NeededFor::Desktop).map_err(SourceError::Unavailable)?;
    let program = std::env::current_exe()
        .map_err(|error| SourceError::Unavailable(format!("this program does not find itself ({error})")))?;
    let settings = (Keyboard { layouts: Vec::new() }, PointerSettings::default());
    Ok(Desktop {
        screen: Box::new(portable::Screen::open(time.clone(), None)?),
        input: Box::new(portable::Input::new(time.clone(), &program, settings, None)),
        windows: Box::new(NoWindows),
        elements: None,
    })
}

/// Tells of no windows.
struct NoWindows;

impl WindowSource for NoWindows {
    fn backend(&self) -> Backend {
        let cannot = vec!["windows, and what is clicked in them".into()];
        Backend { tracks: Vec::new(), name: "none".into(), cannot }
    }

    fn run(&mut self, _: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        while !stop.is_stopped() {
            sleep(STOP_LOOK);
        }
        Ok(())
    }
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
pub fn open_screen(time: &SharedTime) -> Result<Box<dyn ScreenSource>, SourceError> {
    // Input as well: who looks here is about to record.
    allowed(NeededFor::Desktop).map_err(SourceError::Unavailable)?;
    Ok(Box::new(portable::Screen::open(time.clone(), None)?))
}

/// Shows a window to measure with.
///
/// # Errors
/// As [`open_desktop`].
pub fn open_flash(_: Rect) -> Result<Box<dyn Flash>, SourceError> {
    Err(not_here())
}

/// Produces a key press without meaning and a pointer move, to prove that the input source sees them. Returns the key's code.
///
/// # Errors
/// As [`open_desktop`].
pub fn stir_input() -> Result<u32, SourceError> {
    Err(not_here())
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

fn not_here() -> SourceError {
    SourceError::Unavailable("this is possible on X11 desktops of Linux only".into())
}
