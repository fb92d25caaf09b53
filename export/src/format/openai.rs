//! `openai`: items of OpenAI's computer use, one on each line of `items.jsonl`.
//!
//! Each step is a `screenshot` whose output is the picture before, then the action's calls, whose output is the picture after.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_actions::{Action, Kind};
use serde_json::{Value, json};

use super::anthropic::media_type;
use super::row::{Point, places};
use super::{Bundle, Format, Written, create};
use crate::image::Image;
use crate::{Error, Result};

/// Pixels of one step of the wheel, which has none of its own.
const TICK_PX: f64 = 100.0;

pub(super) struct OpenAi;

impl Format for OpenAi {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let path = folder.join(bundle.split).join(bundle.id()).join("items.jsonl");
        let mut out = BufWriter::new(create(&path)?);
        let mut put =
            |item: Value| writeln!(out, "{item}").map_err(Error::io(format!("writing {}", path.display())));
        let coding = bundle.options.pictures.coding;
        put(
            json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": bundle.instruction() }] }),
        )?;
        let (mut written, mut number) = (Written::default(), 0u64);
        bundle.for_each_step(false, |whole| {
            let (from, to) = places(whole.step, whole.before.as_deref());
            let calls = calls(&whole.step.action, from, to);
            let Some(before) = whole.before.filter(|_| !calls.is_empty()) else {
                written.left_out += 1;
                return Ok(());
            };
            let after = whole.after.unwrap_or_else(|| Arc::clone(&before));
            let seen = |image: &Image| {
                let data = STANDARD.encode(&image.bytes);
                json!({ "type": "computer_screenshot", "image_url": format!("data:{};base64,{data}", media_type(coding)) })
            };
            let screenshot = (json!({ "type": "screenshot" }), seen(&before));
            let acted = calls.into_iter().map(|action| (action, seen(&after)));
            for (action, output) in [screenshot].into_iter().chain(acted) {
                let (id, call_id) = (format!("cu_{number:08}"), format!("call_{number:08}"));
                number += 1;
                put(json!({
                    "type": "computer_call", "id": id, "call_id": call_id, "action": action, "status": "completed",
                    "pending_safety_checks": [],
                }))?;
                put(json!({ "type": "computer_call_output", "call_id": call_id, "output": output }))?;
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
    let place = |point: Point| json!({ "x": point.x_px, "y": point.y_px });
    let with = |mut call: Value, more: Value| {
        for (key, value) in more.as_object().into_iter().flatten() {
            call[key] = value.clone();
        }
        if !action.modifiers.is_empty() {
            call["keys"] = action.modifiers.iter().map(|key| key.to_uppercase()).collect();
        }
        call
    };
    match (action.kind, from) {
        (Kind::Click, Some(at)) => {
            let button = match action.button {
                Some(1) => "left",
                Some(2) => "wheel",
                Some(3) => "right",
                Some(8) => "back",
                Some(9) => "forward",
                _ => return Vec::new(),
            };
            let click = with(json!({ "type": "click", "button": button }), place(at));
            // Of all actions this one must say that no keys are held.
            let double = with(json!({ "type": "double_click", "keys": null }), place(at));
            match (action.clicks, action.button) {
                (Some(2), Some(1)) => vec![double],
                // There is no triple click: the third one follows soon.
                (Some(3), Some(1)) => vec![double, click],
                (Some(clicks), _) => vec![click; clicks.into()],
                (None, _) => vec![click],
            }
        }
        (Kind::Drag, Some(at)) if action.button == Some(1) => {
            let path: Vec<Value> = [Some(at), to].into_iter().flatten().map(place).collect();
            vec![with(json!({ "type": "drag", "path": path }), json!({}))]
        }
        (Kind::Scroll, Some(at)) => {
            let pixels = |ticks: Option<f64>| (ticks.unwrap_or_default() * TICK_PX).round() as i64;
            let way = json!({ "scroll_x": pixels(action.dx_ticks), "scroll_y": pixels(action.dy_ticks) });
            vec![with(with(json!({ "type": "scroll" }), place(at)), way)]
        }
        (Kind::Hover, Some(at)) => vec![with(json!({ "type": "move" }), place(at))],
        (Kind::Type, _) => vec![json!({ "type": "type", "text": action.text })],
        (Kind::Press | Kind::Hotkey, _) => {
            let keys: Vec<String> =
                action.keys.as_deref().unwrap_or_default().iter().map(|key| key.to_uppercase()).collect();
            vec![
                json!({ "type": "keypress", "keys": keys });
                action.count.unwrap_or(1).clamp(1, 1000) as usize
            ]
        }
        (Kind::Wait, _) => vec![json!({ "type": "wait" })],
        _ => Vec::new(),
    }
}
