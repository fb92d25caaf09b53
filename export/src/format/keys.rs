//! Keys as others call them: by xdotool's names, by the numbers of Windows' virtual keys.

/// A key of an action as xdotool calls it: those with a name of their own begin with a capital, as X has them.
pub(super) fn xdotool(key: &str) -> String {
    let named = match &key.to_lowercase()[..] {
        "meta" => "super",
        "enter" => "Return",
        "backspace" => "BackSpace",
        "pageup" => "Page_Up",
        "pagedown" => "Page_Down",
        "capslock" => "Caps_Lock",
        "numlock" => "Num_Lock",
        "scrolllock" => "Scroll_Lock",
        "space" => "space",
        "+" => "plus",
        "-" => "minus",
        "=" => "equal",
        "," => "comma",
        "." => "period",
        "/" => "slash",
        "\\" => "backslash",
        "[" => "bracketleft",
        "]" => "bracketright",
        ";" => "semicolon",
        "'" => "apostrophe",
        "`" => "grave",
        "ctrl" => "ctrl",
        "alt" => "alt",
        "shift" => "shift",
        _ => "",
    };
    let mut letters = key.chars();
    match (named, letters.next(), letters.as_str()) {
        ("", Some(first), rest) if !rest.is_empty() => first.to_uppercase().chain(rest.chars()).collect(),
        ("", ..) => key.to_owned(),
        (named, ..) => named.to_owned(),
    }
}

/// The virtual keys of Windows by where a key is, as X11 counts keys: first code, and the keys from there on.
/// Source: Microsoft, Virtual-Key Codes; Linux, input-event-codes.h (X11 counts from 8 on).
const PLACES: [(u32, &[u8]); 14] = [
    (9, &[0x1b, b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8', b'9', b'0', 0xbd, 0xbb, 0x08, 0x09]),
    (24, b"QWERTYUIOP"),
    (34, &[0xdb, 0xdd, 0x0d, 0xa2]),
    (38, b"ASDFGHJKL"),
    (47, &[0xba, 0xde, 0xc0, 0xa0, 0xdc]),
    (52, b"ZXCVBNM"),
    (59, &[0xbc, 0xbe, 0xbf, 0xa1, 0x6a, 0xa4, 0x20, 0x14]),
    (67, &[0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x90, 0x91]),
    (79, &[0x67, 0x68, 0x69, 0x6d, 0x64, 0x65, 0x66, 0x6b, 0x61, 0x62, 0x63, 0x60, 0x6e]),
    (94, &[0xe2, 0x7a, 0x7b]),
    (104, &[0x0d, 0xa3, 0x6f, 0x2c, 0xa5]),
    (110, &[0x24, 0x26, 0x21, 0x25, 0x27, 0x23, 0x28, 0x22, 0x2d, 0x2e]),
    (127, &[0x13]),
    (133, &[0x5b, 0x5c, 0x5d]),
];

/// The virtual key of Windows: by the letter that a key writes, for letters move from layout to layout, else by where it is. `None` if
/// Windows has none there.
pub(super) fn virtual_key(keysym: &str, keycode: u32) -> Option<u8> {
    if let [letter] = keysym.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        return Some(letter.to_ascii_uppercase());
    }
    let at = |(first, keys): &(u32, &[u8])| keys.get(keycode.checked_sub(*first)? as usize).copied();
    PLACES.iter().find_map(at)
}

#[cfg(test)]
mod tests {
    use super::{virtual_key, xdotool};

    #[test]
    fn virtual_keys_are_those_of_windows() {
        for (keysym, keycode, expected) in [
            ("a", 38, Some(0x41)),
            // On a French keyboard it is where Q is on others.
            ("a", 24, Some(0x41)),
            ("exclam", 10, Some(0x31)),
            ("Return", 36, Some(0x0d)),
            ("Control_L", 37, Some(0xa2)),
            ("Shift_L", 50, Some(0xa0)),
            ("space", 65, Some(0x20)),
            ("F1", 67, Some(0x70)),
            ("F12", 96, Some(0x7b)),
            ("KP_5", 84, Some(0x65)),
            ("KP_Subtract", 82, Some(0x6d)),
            ("ISO_Level3_Shift", 108, Some(0xa5)),
            ("Left", 113, Some(0x25)),
            ("Delete", 119, Some(0x2e)),
            ("Super_L", 133, Some(0x5b)),
            ("udiaeresis", 34, Some(0xdb)),
            ("XF86AudioMute", 121, None),
            ("x-of-nothing", 3, None),
        ] {
            assert_eq!(virtual_key(keysym, keycode), expected, "{keysym}");
        }
    }

    #[test]
    fn names_are_those_of_x() {
        for (ours, theirs) in [
            ("home", "Home"),
            ("f5", "F5"),
            ("s", "s"),
            ("Enter", "Return"),
            ("+", "plus"),
            ("meta", "super"),
            ("é", "é"),
        ] {
            assert_eq!(xdotool(ours), theirs);
        }
    }
}
