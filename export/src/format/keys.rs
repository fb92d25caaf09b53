//! Names of keys as xdotool has them.

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

#[cfg(test)]
mod tests {
    use super::xdotool;

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
