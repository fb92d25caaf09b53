//! What belongs to the recorder itself and is not recorded: its windows and its global hotkeys.
//!
//! A screen source covers the recorder's windows before anybody sees the pixels, and says where
//! ([`super::ScreenSource::masks`]). An input source leaves out clicks on and keys into them, and the hotkeys. Pointer
//! moves stay, and so do modifier keys that were pressed before a hotkey.

use std::str::FromStr;

use praxis_bundle::messages::{Modifier, Rect};
use praxis_bundle::screen::MASK_BGR;

use super::native::key_symbol;

/// What belongs to the recorder. By default nothing does, and nothing is asked of the desktop for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Whether the windows of this process are covered and input into them is left out.
    pub hides_windows: bool,
    /// Key combinations that are the recorder's wherever they are pressed.
    pub hotkeys: Vec<Hotkey>,
}

/// A key with modifiers, as `Ctrl+Alt+R`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hotkey {
    /// Of Shift, Control, Alt and Super those that are held, each once, in this order.
    modifiers: Vec<Modifier>,
    /// Name of the symbol that the key gives without modifiers: `r`, `F9`, `space`.
    keysym: String,
}

/// A hotkey that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no hotkey ({why}): write modifiers and one key joined by +, as in Ctrl+Alt+R; modifiers are Ctrl, Alt, Shift and Super"
)]
pub struct HotkeyError {
    text: String,
    why: String,
}

impl Hotkey {
    /// Of Shift, Control, Alt and Super those that are held, each once, in this order.
    #[must_use]
    pub fn modifiers(&self) -> &[Modifier] {
        &self.modifiers
    }

    /// Name of the symbol that the key gives without modifiers.
    #[must_use]
    pub fn keysym(&self) -> &str {
        &self.keysym
    }
}

impl FromStr for Hotkey {
    type Err = HotkeyError;

    /// Understands `Ctrl+Alt+R`, `CmdOrCtrl+Shift+F9`, `Super+Space`, `Control+Alt+KeyR`; case does not matter.
    fn from_str(text: &str) -> Result<Self, HotkeyError> {
        let error = |why: String| HotkeyError { text: text.to_owned(), why };
        let mut parts: Vec<&str> = text.split('+').map(str::trim).collect();
        // A plus at the end is the key itself: `Ctrl++`.
        if text.trim_end().ends_with("++") || text.trim() == "+" {
            parts.truncate(parts.len() - 2);
            parts.push("plus");
        }
        let key = parts.pop().filter(|key| !key.is_empty()).ok_or_else(|| error("it names no key".into()))?;
        let mut modifiers = Vec::new();
        for part in parts {
            modifiers.push(modifier(part).ok_or_else(|| error(format!("{part:?} is no modifier")))?);
        }
        if modifier(key).is_some() {
            return Err(error("it names no key besides modifiers".into()));
        }
        modifiers.sort();
        modifiers.dedup();
        let keysym = keysym(key).ok_or_else(|| error(format!("{key:?} is no key")))?;
        Ok(Self { modifiers, keysym })
    }
}

impl std::fmt::Display for Hotkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for modifier in &self.modifiers {
            f.write_str(match modifier {
                Modifier::Shift => "Shift+",
                Modifier::Control => "Ctrl+",
                Modifier::Alt => "Alt+",
                _ => "Super+",
            })?;
        }
        f.write_str(&self.keysym)
    }
}

fn modifier(name: &str) -> Option<Modifier> {
    Some(match name.to_ascii_lowercase().as_str() {
        "ctrl" | "control" | "cmdorctrl" | "cmdorcontrol" | "commandorctrl" | "commandorcontrol" => {
            Modifier::Control
        }
        "alt" | "option" => Modifier::Alt,
        "shift" => Modifier::Shift,
        "super" | "meta" | "cmd" | "command" | "win" => Modifier::Super,
        _ => return None,
    })
}

/// Name of a key's symbol without modifiers, by the names of X11 or of web pages (`KeyR`, `Digit1`, `ArrowUp`).
fn keysym(key: &str) -> Option<String> {
    let lower = key.to_ascii_lowercase();
    let stripped = ["key", "digit", "arrow"].iter().find_map(|prefix| lower.strip_prefix(prefix));
    let name = match lower.as_str() {
        "enter" => "Return",
        "esc" => "Escape",
        "pageup" => "Prior",
        "pagedown" => "Next",
        "printscreen" => "Print",
        "capslock" => "Caps_Lock",
        "backquote" => "grave",
        "quote" => "apostrophe",
        _ => stripped.filter(|rest| !rest.is_empty()).unwrap_or(&lower),
    };
    key_symbol(name)
}

/// Covers the parts of a picture (BGRX) of `area` that are in `masks`.
pub(super) fn cover(pixels: &mut [u8], area: Rect, masks: &[Rect]) {
    let [blue, green, red] = MASK_BGR;
    let row_bytes = area.width_px as usize * 4;
    for mask in masks.iter().map(|mask| mask.clip(area)).filter(|mask| !mask.is_empty()) {
        let left = (mask.x_px - area.x_px) as usize * 4;
        let top = (mask.y_px - area.y_px) as usize;
        for row in pixels.chunks_exact_mut(row_bytes).skip(top).take(mask.height_px as usize) {
            let (covered, _) = row[left..left + mask.width_px as usize * 4].as_chunks_mut();
            covered.fill([blue, green, red, 0]);
        }
    }
}

/// The rectangles that are not inside another one, in a fixed order.
pub(super) fn outermost(mut rects: Vec<Rect>) -> Vec<Rect> {
    rects.retain(|rect| !rect.is_empty());
    rects.sort_by_key(|rect| (rect.y_px, rect.x_px, rect.height_px, rect.width_px));
    rects.dedup();
    let is_inner = |rect: &Rect| rects.iter().any(|other| other != rect && rect.clip(*other) == *rect);
    rects.iter().filter(|rect| !is_inner(rect)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hotkeys_are_understood_as_apps_write_them_and_refused_with_what_to_write() {
        let read = |text: &str| text.parse::<Hotkey>().map(|hotkey| hotkey.to_string());
        for (text, means) in [
            ("Ctrl+Alt+R", "Ctrl+Alt+r"),
            ("control + alt + KeyR", "Ctrl+Alt+r"),
            ("CommandOrControl+Shift+F9", "Shift+Ctrl+F9"),
            ("Super+Space", "Super+space"),
            ("Shift+Shift+ArrowUp", "Shift+Up"),
            ("Ctrl+PageDown", "Ctrl+Next"),
            ("Ctrl+Digit1", "Ctrl+1"),
            ("Ctrl++", "Ctrl+plus"),
            ("Ctrl+,", "Ctrl+comma"),
            ("Alt+Ö", "Alt+odiaeresis"),
            ("Pause", "Pause"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(means), "{text}");
        }
        for (text, why) in [
            ("", "no key"),
            ("Ctrl+", "no key"),
            ("Ctrl+Alt", "besides modifiers"),
            ("Hyper+R", "\"Hyper\" is no modifier"),
            ("Ctrl+Nonsense", "\"Nonsense\" is no key"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("as in Ctrl+Alt+R"), "{error}");
        }
    }

    #[test]
    fn exactly_the_masks_are_covered_and_only_inside_the_picture() {
        let rect = |x_px, y_px, width_px, height_px| Rect { x_px, y_px, width_px, height_px };
        let area = rect(10, 20, 6, 5);
        let masks = [rect(0, 0, 12, 22), rect(14, 23, 100, 1), rect(16, 20, 5, 5), rect(-5, -5, 3, 3)];
        let mut pixels = vec![1; 6 * 5 * 4];
        cover(&mut pixels, area, &masks);
        for (at, pixel) in pixels.chunks_exact(4).enumerate() {
            let (x, y) = (10 + at as i32 % 6, 20 + at as i32 / 6);
            let is_covered = masks.iter().any(|mask| mask.contains(x, y));
            assert_eq!(pixel[..3] == MASK_BGR, is_covered, "{x},{y}");
        }
        let kept = outermost(vec![masks[0], rect(1, 1, 2, 2), masks[0], rect(11, 21, 2, 2)]);
        assert_eq!(kept, [masks[0], rect(11, 21, 2, 2)]);
    }
}
