//! Actions as pyautogui code, in the grammar of AgentNet: what it has no word for (modifiers held while clicking, a long press, the
//! path of a drag) is not in it.

use std::fmt::Write;

use praxis_actions::{Action, Kind};

use super::row::Point;

/// How places are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Places {
    /// As shares of the picture's sides, with four decimals.
    Shares,
    /// In pixels of the picture.
    Pixels,
}

/// An action as code: a call on each line.
pub(super) fn code(action: &Action, from: Option<Point>, to: Option<Point>, places: Places) -> String {
    let place = |point: Option<Point>| match (point, places) {
        (Some(point), Places::Shares) => format!("x={:.4}, y={:.4}", point.x, point.y),
        (Some(point), Places::Pixels) => format!("x={}, y={}", point.x_px, point.y_px),
        (None, _) => String::new(),
    };
    let (from, to) = (place(from), place(to));
    let button = match action.button {
        Some(2) => "middle",
        Some(3) => "right",
        _ => "left",
    };
    match action.kind {
        Kind::Click => match (action.clicks, button) {
            (Some(3), _) => format!("computer.tripleClick({from})"),
            (Some(2), _) => format!("pyautogui.doubleClick({from})"),
            (_, "right") => format!("pyautogui.rightClick({from})"),
            (_, "middle") => format!("pyautogui.middleClick({from})"),
            _ => format!("pyautogui.click({from})"),
        },
        Kind::Drag => format!("pyautogui.moveTo({from})\npyautogui.dragTo({to}, button='{button}')"),
        Kind::Scroll => {
            let mut code = format!("pyautogui.moveTo({from})");
            let steps = |ticks: Option<f64>| ticks.unwrap_or_default().round() as i64;
            let (right, down) = (steps(action.dx_ticks), steps(action.dy_ticks));
            // Writing to a string does not fail.
            if down != 0 || right == 0 {
                let _ = write!(code, "\npyautogui.scroll({})", -down);
            }
            if right != 0 {
                let _ = write!(code, "\npyautogui.hscroll({right})");
            }
            code
        }
        Kind::Type => {
            format!("pyautogui.write(message={})", quoted(action.text.as_deref().unwrap_or_default()))
        }
        Kind::Press => {
            let keys = action.keys.as_deref().unwrap_or_default();
            let times = action.count.unwrap_or(1).clamp(1, 1000) as usize;
            let repeated: Vec<String> =
                keys.iter().cycle().take(keys.len() * times).map(|key| pyautogui(key)).collect();
            format!("pyautogui.press(keys={})", listed(&repeated))
        }
        Kind::Hotkey => {
            let keys: Vec<String> =
                action.keys.as_deref().unwrap_or_default().iter().map(|key| pyautogui(key)).collect();
            let times = action.count.unwrap_or(1).clamp(1, 1000) as usize;
            vec![format!("pyautogui.hotkey(keys={})", listed(&keys)); times].join("\n")
        }
        Kind::Hover => format!("pyautogui.moveTo({from})"),
        Kind::Wait => "computer.wait()".into(),
    }
}

/// A key as pyautogui calls it.
fn pyautogui(key: &str) -> String {
    let lower = key.to_lowercase();
    match &lower[..] {
        "meta" => "win".into(),
        "escape" => "esc".into(),
        "print" => "printscreen".into(),
        _ => lower,
    }
}

/// A list of strings in Python.
fn listed(keys: &[String]) -> String {
    format!("[{}]", keys.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(", "))
}

/// A string in Python.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for letter in text.chars() {
        match letter {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: Kind) -> Action {
        Action::at(kind, 0, None)
    }

    #[test]
    fn code_is_of_the_grammar() {
        let point = Some(Point { x_px: 1, y_px: 2, x: 0.25, y: 1.0 });
        let mut action = at(Kind::Scroll);
        (action.dx_ticks, action.dy_ticks) = (Some(0.0), Some(3.0));
        assert_eq!(
            code(&action, point, None, Places::Shares),
            "pyautogui.moveTo(x=0.2500, y=1.0000)\npyautogui.scroll(-3)"
        );
        let mut action = at(Kind::Type);
        action.text = Some("it's \\ü\n\u{1b}".into());
        assert_eq!(code(&action, None, None, Places::Shares), r"pyautogui.write(message='it\'s \\ü\n\x1b')");
        let mut action = at(Kind::Hotkey);
        (action.keys, action.count) = (Some(vec!["ctrl".into(), "pageup".into()]), Some(2));
        assert_eq!(
            code(&action, None, None, Places::Shares),
            "pyautogui.hotkey(keys=['ctrl', 'pageup'])\npyautogui.hotkey(keys=['ctrl', 'pageup'])"
        );
        let mut action = at(Kind::Drag);
        action.button = Some(3);
        let expected =
            "pyautogui.moveTo(x=0.2500, y=1.0000)\npyautogui.dragTo(x=0.2500, y=1.0000, button='right')";
        assert_eq!(code(&action, point, point, Places::Shares), expected);
    }
}
