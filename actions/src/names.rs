//! Names of keys and modifiers, from those of X key symbols, and what kind of key one is.

use praxis_bundle::messages::Modifier;

/// Longest name of a key that is passed on.
const MAX_NAME_CHARS: usize = 40;
/// Keys that do something and write nothing, besides function and media keys and those of the keypad.
const FUNCTION_KEYS: [&str; 28] = [
    "BackSpace",
    "Tab",
    "ISO_Left_Tab",
    "Linefeed",
    "Clear",
    "Return",
    "Pause",
    "Scroll_Lock",
    "Sys_Req",
    "Escape",
    "Delete",
    "Home",
    "Left",
    "Up",
    "Right",
    "Down",
    "Prior",
    "Next",
    "Page_Up",
    "Page_Down",
    "End",
    "Begin",
    "Insert",
    "Menu",
    "Print",
    "Caps_Lock",
    "Num_Lock",
    "Cancel",
];

/// What a key is, apart from the text it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyClass {
    /// Held while something else is done. True for the logo key.
    Modifier { is_meta: bool },
    /// Waits for the next key to make a character together.
    Composing,
    /// Removes the character before.
    Backspace,
    /// Does something and writes nothing.
    Function,
    /// Everything else.
    Other,
}

pub(crate) fn class_of(keysym: &str) -> KeyClass {
    match keysym {
        "Super_L" | "Super_R" => KeyClass::Modifier { is_meta: true },
        "Shift_L" | "Shift_R" | "Control_L" | "Control_R" | "Alt_L" | "Alt_R" | "Meta_L" | "Meta_R"
        | "Hyper_L" | "Hyper_R" | "ISO_Level3_Shift" | "ISO_Level5_Shift" | "ISO_Level2_Latch"
        | "ISO_Level3_Latch" | "Mode_switch" | "Shift_Lock" => KeyClass::Modifier { is_meta: false },
        "BackSpace" => KeyClass::Backspace,
        "Multi_key" => KeyClass::Composing,
        _ if keysym.starts_with("dead_") => KeyClass::Composing,
        _ if FUNCTION_KEYS.contains(&keysym) || keysym.starts_with("XF86") => KeyClass::Function,
        _ if is_numbered_function_key(keysym) => KeyClass::Function,
        _ => KeyClass::Other,
    }
}

fn is_numbered_function_key(keysym: &str) -> bool {
    keysym.strip_prefix('F').is_some_and(|number| number.parse::<u8>().is_ok())
}

/// The name by which people know a key.
pub(crate) fn name_of(keysym: &str) -> String {
    let name = match keysym {
        "Return" | "KP_Enter" => "Enter",
        "BackSpace" => "Backspace",
        "ISO_Left_Tab" => "Tab",
        "Prior" | "Page_Up" | "KP_Prior" | "KP_Page_Up" => "PageUp",
        "Next" | "Page_Down" | "KP_Next" | "KP_Page_Down" => "PageDown",
        "Caps_Lock" => "CapsLock",
        "Num_Lock" => "NumLock",
        "Scroll_Lock" => "ScrollLock",
        "space" => "Space",
        "plus" => "+",
        "minus" => "-",
        "equal" => "=",
        "comma" => ",",
        "period" => ".",
        "slash" => "/",
        "backslash" => "\\",
        "bracketleft" => "[",
        "bracketright" => "]",
        "semicolon" => ";",
        "apostrophe" => "'",
        "grave" => "`",
        other => other.strip_prefix("KP_").filter(|rest| rest.len() > 1).unwrap_or(other),
    };
    cut(name, MAX_NAME_CHARS)
}

/// Control, Alt, Shift and logo of a list, by name, in the order in which people say them.
pub(crate) fn modifier_names(held: &[Modifier]) -> Vec<String> {
    let order = [
        (Modifier::Control, "ctrl"),
        (Modifier::Alt, "alt"),
        (Modifier::Shift, "shift"),
        (Modifier::Super, "meta"),
    ];
    order.iter().filter(|(modifier, _)| held.contains(modifier)).map(|(_, name)| (*name).to_owned()).collect()
}

/// Whether a key with these modifiers is a command, whatever text it would give.
pub(crate) fn is_command(held: &[Modifier]) -> bool {
    [Modifier::Control, Modifier::Alt, Modifier::Super].iter().any(|modifier| held.contains(modifier))
}

/// The beginning of a text: names come from a file and may have any length.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}
