//! `agentnet`: a trajectory as OpenCUA's AgentNet publishes them: a line of JSON with its steps as pyautogui code, and the pictures.
//!
//! Places are shares of the picture's sides with four decimals. What the code cannot say (modifiers held while clicking, a long
//! press, the path of a drag) is in `action` in words.

use std::fmt::Write;
use std::path::Path;

use praxis_actions::{Action, Kind};
use praxis_bundle::manifest::Outcome;
use serde_json::{Value, json};

use super::row::{Point, places};
use super::{Bundle, Format, Written, put_image};
use crate::{Error, Result};

pub(super) struct Agentnet;

impl Format for Agentnet {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let folder = folder.join(bundle.split).join(bundle.id());
        let failed = || Error::io(format!("writing {}", folder.display()));
        std::fs::create_dir_all(folder.join("images")).map_err(failed())?;
        let ending = bundle.options.pictures.coding.ending();
        let (mut traj, mut written) = (Vec::new(), Written::default());
        let mut last_image = None;
        bundle.for_each_step(false, |whole| {
            let Some((before, image)) = whole.step.before.zip(whole.before.as_ref()) else {
                written.left_out += 1;
                return Ok(());
            };
            let name = format!("images/{}-{:015}.{ending}", whole.step.display, before.captured_nanos);
            put_image(&folder, &name, image)?;
            let (from, to) = places(whole.step, Some(image));
            let action = &whole.step.action;
            traj.push(step(
                traj.len(),
                &name,
                &code(action, from, to),
                &words(action),
                &thought(&whole.step.narration),
            ));
            written.steps += 1;
            last_image = match whole.step.after.zip(whole.after) {
                Some((after, image)) => {
                    let name = format!("images/{}-{:015}.{ending}", whole.step.display, after.captured_nanos);
                    Some((name, image))
                }
                None => Some((name, image.clone())),
            };
            Ok(())
        })?;
        let outcome = bundle.session.ending.as_ref().and_then(|ending| ending.outcome);
        if let Some((name, image)) = last_image.filter(|_| outcome.is_some()) {
            put_image(&folder, &name, &image)?;
            let status = if outcome == Some(Outcome::Success) { "success" } else { "failure" };
            let code = format!("computer.terminate(status='{status}')");
            traj.push(step(traj.len(), &name, &code, "End the task", ""));
        }
        let row = json!({
            "task_id": bundle.id(), "instruction": bundle.instruction(),
            "natural_language_task": bundle.instruction(), "actual_task": bundle.instruction(),
            "task_completed": outcome.map(|outcome| outcome == Outcome::Success), "traj": traj,
        });
        std::fs::write(folder.join("trajectory.jsonl"), format!("{row}\n")).map_err(failed())?;
        Ok(written)
    }
}

fn step(index: usize, image: &str, code: &str, action: &str, thought: &str) -> Value {
    json!({ "index": index, "image": image, "value": { "code": code, "thought": thought, "action": action } })
}

/// What was said, as far as a transcript says so.
fn thought(said: &[crate::transcript::Span]) -> String {
    said.iter().filter_map(|span| span.text.as_deref()).collect::<Vec<_>>().join(" ")
}

/// An action as AgentNet's code.
fn code(action: &Action, from: Option<Point>, to: Option<Point>) -> String {
    let place = |point: Option<Point>| {
        point.map_or_else(String::new, |point| format!("x={:.4}, y={:.4}", point.x, point.y))
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

/// A key as pyautogui calls it: X11 calls some otherwise.
fn pyautogui(key: &str) -> String {
    let lower = key.to_lowercase();
    match &lower[..] {
        "meta" => "win".into(),
        "return" => "enter".into(),
        "escape" => "esc".into(),
        "page_up" | "prior" => "pageup".into(),
        "page_down" | "next" => "pagedown".into(),
        "caps_lock" => "capslock".into(),
        "num_lock" => "numlock".into(),
        "scroll_lock" => "scrolllock".into(),
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

/// An action in words.
fn words(action: &Action) -> String {
    if let Some(label) = &action.label {
        return label.clone();
    }
    let held: String = action.modifiers.iter().map(|name| format!("{name}+")).collect();
    let inside = action.window.as_ref().map_or_else(String::new, |window| format!(" in {:?}", window.title));
    let done = match (action.kind, action.clicks) {
        (Kind::Click, _) if action.is_long => "long click".into(),
        (Kind::Click, Some(2)) => "double click".into(),
        (Kind::Click, Some(3)) => "triple click".into(),
        (Kind::Click, _) => "click".into(),
        (Kind::Drag, _) => "drag".into(),
        (Kind::Scroll, _) => "scroll".into(),
        (Kind::Type, _) => format!("type {:?}", action.text.as_deref().unwrap_or_default()),
        (Kind::Press | Kind::Hotkey, _) => {
            format!("press {}", action.keys.as_deref().unwrap_or_default().join("+"))
        }
        (Kind::Hover, _) => "hover".into(),
        (Kind::Wait, _) => format!("wait {} s", (action.end_nanos - action.start_nanos) / 1_000_000_000),
    };
    format!("{held}{done}{inside}")
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
        assert_eq!(code(&action, point, None), "pyautogui.moveTo(x=0.2500, y=1.0000)\npyautogui.scroll(-3)");
        let mut action = at(Kind::Type);
        action.text = Some("it's \\ü\n\u{1b}".into());
        assert_eq!(code(&action, None, None), r"pyautogui.write(message='it\'s \\ü\n\x1b')");
        let mut action = at(Kind::Hotkey);
        (action.keys, action.count) = (Some(vec!["ctrl".into(), "Page_Up".into()]), Some(2));
        assert_eq!(
            code(&action, None, None),
            "pyautogui.hotkey(keys=['ctrl', 'pageup'])\npyautogui.hotkey(keys=['ctrl', 'pageup'])"
        );
        let mut action = at(Kind::Drag);
        action.button = Some(3);
        let expected =
            "pyautogui.moveTo(x=0.2500, y=1.0000)\npyautogui.dragTo(x=0.2500, y=1.0000, button='right')";
        assert_eq!(code(&action, point, point), expected);
    }
}
