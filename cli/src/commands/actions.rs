//! `praxis actions`: what was done in a session, step by step.

use std::io::{BufWriter, Write};

use anyhow::Result;
use praxis_actions::{Action, Kind, actions_of_file};
use praxis_bundle::messages::Element;

use super::look::done;
use super::{clock_text, printable};
use crate::Done;
use crate::args::JsonFile;

/// Longest text of a column.
const MOST_CHARS: usize = 60;

pub(crate) fn actions(arguments: &JsonFile) -> Result<Done> {
    let reading = actions_of_file(&arguments.file)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if arguments.json {
        serde_json::to_writer(&mut out, &reading.answer)?;
        writeln!(out)?;
    } else {
        for action in &reading.answer.actions {
            let time = clock_text(action.start_nanos);
            let window = action.window.as_ref().map_or_else(String::new, |window| short(&window.title));
            writeln!(out, "{time:>9}  {:<12}  {:<60}  {window}", verb(action), object(action))?;
        }
    }
    out.flush()?;
    Ok(done(reading.unreadable_bytes))
}

fn verb(action: &Action) -> &'static str {
    match (action.kind, action.clicks, action.is_long) {
        (Kind::Click, _, true) => "long click",
        (Kind::Click, Some(2), _) => "double click",
        (Kind::Click, Some(3), _) => "triple click",
        (Kind::Click, ..) => "click",
        (Kind::Drag, ..) => "drag",
        (Kind::Scroll, ..) => "scroll",
        (Kind::Type, ..) => "type",
        (Kind::Press, ..) => "press",
        (Kind::Hotkey, ..) => "hotkey",
        (Kind::Hover, ..) => "hover",
        (Kind::Wait, ..) => "wait",
    }
}

/// What it was done with or to.
fn object(action: &Action) -> String {
    let place = |x: Option<i32>, y: Option<i32>| format!("{}, {}", x.unwrap_or(0), y.unwrap_or(0));
    let held: String = action.modifiers.iter().map(|name| format!("{name}+")).collect();
    let from = place(action.x_px, action.y_px);
    match action.kind {
        Kind::Click => format!("{held}{} at {from}{}", button(action.button), element(action)),
        Kind::Drag => {
            let last = action.path.as_ref().and_then(|path| path.last());
            let to = place(last.map(|point| point.x_px), last.map(|point| point.y_px));
            format!("{held}{} from {from} to {to}{}", button(action.button), element(action))
        }
        Kind::Scroll => {
            let steps = |ticks: Option<f64>, forth: &str, back: &str| {
                let ticks = ticks.filter(|ticks| *ticks != 0.0)?;
                Some(format!("{} {}", ticks.abs(), if ticks > 0.0 { forth } else { back }))
            };
            let (across, along) =
                (steps(action.dx_ticks, "right", "left"), steps(action.dy_ticks, "down", "up"));
            let way: Vec<String> = along.into_iter().chain(across).collect();
            format!("{held}{} at {from}", way.join(", "))
        }
        Kind::Hover => format!("{held}at {from}"),
        Kind::Wait => {
            let seconds = (action.end_nanos - action.start_nanos) / 1_000_000_000;
            format!("{seconds} s{}", if action.is_thinking { ", speaking" } else { "" })
        }
        Kind::Type => short(&printable(action.text.as_deref().unwrap_or_default())),
        Kind::Press | Kind::Hotkey => {
            let keys = short(&printable(&action.keys.as_deref().unwrap_or_default().join("+")));
            match action.count {
                Some(count) if count > 1 => format!("{keys} × {count}"),
                _ => keys,
            }
        }
    }
}

/// What was pressed: a role and a name.
fn element(action: &Action) -> String {
    let told = |element: &Element| short(format!(", {} {}", element.role, element.name).trim_end());
    action.element.as_ref().map_or_else(String::new, told)
}

fn button(number: Option<u8>) -> String {
    match number {
        Some(1) => "left".into(),
        Some(2) => "middle".into(),
        Some(3) => "right".into(),
        Some(8) => "back".into(),
        Some(9) => "forward".into(),
        other => format!("button {}", other.unwrap_or_default()),
    }
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
