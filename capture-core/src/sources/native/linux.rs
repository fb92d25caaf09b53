//! The sources of Linux: an X11 session.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use praxis_bundle::messages::Rect;
use xkbcommon::xkb;

use super::{Choice, Desktop};
use crate::clock::SharedTime;
use crate::sources::{
    Flash, InputBackend, InputSource, Own, ScreenBackend, ScreenSource, SourceError, portable, x11,
};

/// Whether native code records here: it covers own windows, leaves out own clicks and knows the titles of windows.
pub const IS_NATIVE: bool = true;
/// What `scrap` cannot give here, besides what it cannot anywhere.
pub(in crate::sources) const SCRAP_CANNOT: [&str; 1] =
    ["privacy on a shared computer: its other users can read the pictures in memory while they are taken"];
/// Keys that `rdev` has no name for, by their codes.
pub(in crate::sources) const UNNAMED_KEYS: [(u32, &str); 1] = [(92, "ISO_Level3_Shift")];

/// Opens the desktop that the environment names.
///
/// # Errors
/// `Unavailable` with what to do: no display, Wayland, a missing extension.
pub fn open_desktop(time: &SharedTime, choice: &Choice) -> Result<Desktop, SourceError> {
    refuse_wayland(|name| std::env::var(name).ok())?;
    let own = &choice.own;
    let screen: Box<dyn ScreenSource> = match choice.screen {
        ScreenBackend::Native => Box::new(x11::Screen::open(time.clone(), None, own)?),
        ScreenBackend::Scrap => {
            Box::new(portable::Screen::open(time.clone(), Some(Box::new(x11::Beside::open(None)?)))?)
        }
    };
    let input: Box<dyn InputSource> = match choice.input {
        InputBackend::Native => {
            Box::new(x11::Input::open_with(time.clone(), None, own, choice.has_clipboard_text)?)
        }
        InputBackend::Rdev => {
            let program = this_program()?;
            let beside = Box::new(x11::Beside::open(None)?);
            let settings = x11::Beside::settings(None)?;
            Box::new(portable::Input::new(time.clone(), &program, settings, Some(beside)))
        }
    };
    Ok(Desktop {
        screen,
        input,
        windows: Box::new(x11::Windows::open(time.clone(), None)?),
        elements: Some(Box::new(x11::Elements::open(None)?)),
    })
}

/// The program that runs, which is its own helper.
fn this_program() -> Result<PathBuf, SourceError> {
    std::env::current_exe()
        .map_err(|error| SourceError::Unavailable(format!("this program does not find itself ({error})")))
}

/// Whether a program with windows can run here at all, on X11 or Wayland.
///
/// # Errors
/// `Unavailable` with what to do.
pub fn find_desktop() -> Result<(), SourceError> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let socket = path("WAYLAND_DISPLAY").and_then(|name| {
        if name.is_absolute() { Some(name) } else { Some(path("XDG_RUNTIME_DIR")?.join(name)) }
    });
    // One that is gone is no display: the window's library would end the program without a sentence.
    if socket.is_some_and(|socket| UnixStream::connect(socket).is_ok()) {
        return Ok(());
    }
    refuse_wayland(|name| std::env::var(name).ok().filter(|_| name == "DISPLAY"))?;
    x11::reach(None)
}

/// Opens only the pictures of the desktop that the environment names.
///
/// # Errors
/// As [`open_desktop`].
pub fn open_screen(time: &SharedTime) -> Result<Box<dyn ScreenSource>, SourceError> {
    refuse_wayland(|name| std::env::var(name).ok())?;
    Ok(Box::new(x11::Screen::open(time.clone(), None, &Own::default())?))
}

/// Shows a window to measure with.
///
/// # Errors
/// As [`open_desktop`].
pub fn open_flash(rect: Rect) -> Result<Box<dyn Flash>, SourceError> {
    refuse_wayland(|name| std::env::var(name).ok())?;
    Ok(Box::new(x11::FlashWindow::open(None, rect)?))
}

/// Produces a key press without meaning and a pointer move, to prove that the input source sees them. Returns the key's code.
///
/// # Errors
/// `Unavailable` where that is not possible.
pub fn stir_input() -> Result<u32, SourceError> {
    x11::stir_input(None)
}

/// Keeps the audio library of the system from writing to stderr on this thread: what goes wrong is in its errors.
pub(in crate::sources) fn silence_audio_library() {
    // Without its consent it goes on writing, which is only ugly.
    let _ = alsa::Output::local_error_handler();
}

/// Name of the symbol that a letter, or a name of X11 in any case, stands for.
pub(in crate::sources) fn key_symbol(name: &str) -> Option<String> {
    let mut letters = name.chars();
    let symbol = match (letters.next(), letters.next()) {
        // A character stands for itself: `ö`, `,`.
        (Some(letter), None) => xkb::utf32_to_keysym(letter.to_lowercase().next()?.into()),
        _ => xkb::keysym_from_name(name, xkb::KEYSYM_CASE_INSENSITIVE),
    };
    (symbol.raw() != 0).then(|| xkb::keysym_get_name(symbol))
}

/// Refuses a Wayland session: through XWayland only some windows would be seen, the rest would be black.
fn refuse_wayland(variable: impl Fn(&str) -> Option<String>) -> Result<(), SourceError> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if variable("XDG_SESSION_TYPE").as_deref() == Some("wayland") || is_set("WAYLAND_DISPLAY") {
        return Err(SourceError::Unavailable(
            "this is a Wayland session, which Praxis cannot record yet: log in to an X11 (Xorg) session"
                .into(),
        ));
    }
    if !is_set("DISPLAY") {
        return Err(SourceError::Unavailable(
            "no display: DISPLAY is not set; start Praxis inside an X11 desktop session, or set DISPLAY"
                .into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wayland_and_no_display_are_refused_with_what_to_do() {
        let check = |set: &[(&str, &str)], says: Option<&str>| {
            let variable =
                |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let found = refuse_wayland(variable).err().map(|error| error.to_string());
            match says {
                Some(says) => {
                    assert!(found.as_deref().is_some_and(|f| f.contains(says)), "{set:?}: {found:?}");
                }
                None => assert_eq!(found, None),
            }
        };
        check(&[("DISPLAY", ":0")], None);
        check(&[("DISPLAY", ":0"), ("XDG_SESSION_TYPE", "x11"), ("WAYLAND_DISPLAY", "")], None);
        check(&[("DISPLAY", ":0"), ("XDG_SESSION_TYPE", "wayland")], Some("X11 (Xorg) session"));
        check(&[("DISPLAY", ":0"), ("WAYLAND_DISPLAY", "wayland-0")], Some("X11 (Xorg) session"));
        check(&[], Some("set DISPLAY"));
        check(&[("DISPLAY", "")], Some("set DISPLAY"));
    }
}
