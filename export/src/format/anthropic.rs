//! `anthropic`: a conversation of Anthropic's computer use: a message on each line of `messages.jsonl`.
//!
//! Each step is a `screenshot` whose result is the picture before, then the action's calls. Pictures have the size of that tool's
//! screenshots, and places with them. Names and fields are those of `computer_20250124`; modifiers held while clicking are `text`,
//! as later versions have it.

use std::io::{BufWriter, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_actions::{Action, Kind};
use serde_json::{Value, json};

use super::keys::xdotool;
use super::row::{Point, places};
use super::{Bundle, Format, Written, create};
use crate::image::{Coding, Options, Size};
use crate::{Error, Result};

pub(super) struct Anthropic;

/// Pictures of the size that the model is given.
pub(super) fn pictures(options: Options) -> Options {
    Options { size: if options.size == Size::Own { Size::Screenshot } else { options.size }, ..options }
}

pub(super) fn media_type(coding: Coding) -> &'static str {
    match coding {
        Coding::Png => "image/png",
        Coding::WebP => "image/webp",
    }
}

impl Format for Anthropic {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let path = folder.join(bundle.split).join(bundle.id()).join("messages.jsonl");
        let mut out = BufWriter::new(create(&path)?);
        let mut say = |role: &str, content: Value| {
            let line = json!({ "role": role, "content": content });
            writeln!(out, "{line}").map_err(Error::io(format!("writing {}", path.display())))
        };
        let pictures = pictures(bundle.options.pictures);
        say("user", json!([{ "type": "text", "text": bundle.instruction() }]))?;
        let (mut written, mut number) = (Written::default(), 0u64);
        bundle.for_each_step_with(pictures, false, |whole| {
            let (from, to) = places(whole.step, whole.before.as_deref());
            let calls = calls(&whole.step.action, from, to);
            let Some(image) = whole.before.filter(|_| !calls.is_empty()) else {
                written.left_out += 1;
                return Ok(());
            };
            let source = json!({
                "type": "base64", "media_type": media_type(pictures.coding), "data": STANDARD.encode(&image.bytes),
            });
            let shown = json!([{ "type": "image", "source": source }]);
            let mut said: Vec<Value> = Vec::new();
            let spoken: Vec<&str> = whole.step.narration.iter().filter_map(|span| span.text.as_deref()).collect();
            if !spoken.is_empty() {
                said.push(json!({ "type": "text", "text": spoken.join(" ") }));
            }
            let screenshot = (json!({ "action": "screenshot" }), shown);
            let acted = calls.into_iter().map(|input| (input, json!([])));
            for (input, result) in [screenshot].into_iter().chain(acted) {
                let id = format!("toolu_{number:08}");
                number += 1;
                // What was said after the picture was seen stands before the action.
                let mut content = if input["action"] == "screenshot" { Vec::new() } else { std::mem::take(&mut said) };
                content.push(json!({ "type": "tool_use", "id": id, "name": "computer", "input": input }));
                say("assistant", Value::Array(content))?;
                say("user", json!([{ "type": "tool_result", "tool_use_id": id, "content": result }]))?;
            }
            written.steps += 1;
            Ok(())
        })?;
        out.flush().map_err(Error::io(format!("writing {}", path.display())))?;
        Ok(written)
    }
}

/// The calls of an action, none if there is no word for it.
fn calls(action: &Action, from: Option<Point>, to: Option<Point>) -> Vec<Value> {
    let place = |point: Option<Point>| point.map(|point| json!([point.x_px, point.y_px]));
    let held: Vec<String> = action.modifiers.iter().map(|key| xdotool(key)).collect();
    let with_held = |mut call: Value| {
        if !held.is_empty() {
            call["text"] = held.join("+").into();
        }
        call
    };
    let key = || {
        let keys: Vec<String> =
            action.keys.as_deref().unwrap_or_default().iter().map(|key| xdotool(key)).collect();
        let times = action.count.unwrap_or(1).clamp(1, 1000) as usize;
        vec![json!({ "action": "key", "text": keys.join("+") }); times]
    };
    match (action.kind, place(from)) {
        (Kind::Click, Some(at)) if action.is_long && action.button == Some(1) => {
            let seconds = (action.end_nanos - action.start_nanos) as f64 / 1e9;
            vec![
                json!({ "action": "mouse_move", "coordinate": at }),
                json!({ "action": "left_mouse_down" }),
                json!({ "action": "wait", "duration": seconds }),
                json!({ "action": "left_mouse_up" }),
            ]
        }
        (Kind::Click, Some(at)) => {
            let name = match (action.button, action.clicks) {
                (Some(1), Some(2)) => "double_click",
                (Some(1), Some(3)) => "triple_click",
                (Some(1), _) => "left_click",
                (Some(2), _) => "middle_click",
                (Some(3), _) => "right_click",
                _ => return Vec::new(),
            };
            vec![with_held(json!({ "action": name, "coordinate": at }))]
        }
        (Kind::Drag, Some(at)) if action.button == Some(1) => {
            vec![with_held(
                json!({ "action": "left_click_drag", "start_coordinate": at, "coordinate": place(to) }),
            )]
        }
        (Kind::Scroll, Some(at)) => {
            let turns = [(action.dy_ticks, "down", "up"), (action.dx_ticks, "right", "left")];
            let turned = turns.into_iter().filter_map(|(ticks, forth, back)| {
                let ticks = ticks.filter(|ticks| *ticks != 0.0)?;
                let amount = (ticks.abs().round() as u64).max(1);
                let way = if ticks > 0.0 { forth } else { back };
                let call = json!({ "action": "scroll", "coordinate": at, "scroll_direction": way, "scroll_amount": amount });
                Some(with_held(call))
            });
            turned.collect()
        }
        (Kind::Hover, Some(at)) => vec![json!({ "action": "mouse_move", "coordinate": at })],
        (Kind::Type, _) => vec![json!({ "action": "type", "text": action.text })],
        (Kind::Press | Kind::Hotkey, _) => key(),
        (Kind::Wait, _) => {
            vec![
                json!({ "action": "wait", "duration": (action.end_nanos - action.start_nanos) as f64 / 1e9 }),
            ]
        }
        _ => Vec::new(),
    }
}
