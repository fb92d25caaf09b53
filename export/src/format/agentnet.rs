//! `agentnet`: a trajectory as OpenCUA's AgentNet publishes them: a line of JSON with its steps as pyautogui code, and the pictures.
//!
//! Places are shares of the picture's sides with four decimals. What the code cannot say (modifiers held while clicking, a long
//! press, the path of a drag) is in `action` in words.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use praxis_bundle::manifest::Outcome;
use serde_json::{Value, json};

use super::pyautogui::{Places, code};
use super::row::{places, words};
use super::{Bundle, Format, Written, create, put_image};
use crate::{Error, Result};

pub(super) struct Agentnet;

impl Format for Agentnet {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let folder = folder.join(bundle.split).join(bundle.id());
        let failed = || Error::io(format!("writing {}", folder.display()));
        std::fs::create_dir_all(folder.join("images")).map_err(failed())?;
        let ending = bundle.options.pictures.coding.ending();
        let path = folder.join("trajectory.jsonl");
        let mut out = BufWriter::new(create(&path)?);
        let outcome = bundle.session.ending.as_ref().and_then(|ending| ending.outcome);
        let instruction = bundle.instruction();
        let about = json!({
            "task_id": bundle.id(), "instruction": instruction, "natural_language_task": instruction,
            "actual_task": instruction, "task_completed": outcome.map(|outcome| outcome == Outcome::Success),
        });
        // Step by step, so that a long session takes no more memory than a short one.
        let about = about.to_string();
        write!(out, "{},\"traj\":[", about.strip_suffix('}').unwrap_or(&about)).map_err(failed())?;
        let mut written = Written::default();
        let put = |out: &mut BufWriter<File>, index: u64, step: &Value| {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{step}").map_err(failed())
        };
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
            let code = code(action, from, to, Places::Shares);
            let step = step(written.steps, &name, &code, &words(action), &thought(&whole.step.narration));
            put(&mut out, written.steps, &step)?;
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
        if let Some((name, image)) = last_image.filter(|_| outcome.is_some()) {
            put_image(&folder, &name, &image)?;
            let status = if outcome == Some(Outcome::Success) { "success" } else { "failure" };
            let code = format!("computer.terminate(status='{status}')");
            put(&mut out, written.steps, &step(written.steps, &name, &code, "End the task", ""))?;
        }
        out.write_all(b"]}\n").and_then(|()| out.flush()).map_err(failed())?;
        Ok(written)
    }
}

fn step(index: u64, image: &str, code: &str, action: &str, thought: &str) -> Value {
    json!({ "index": index, "image": image, "value": { "code": code, "thought": thought, "action": action } })
}

/// What was said, as far as a transcript says so.
fn thought(said: &[crate::transcript::Span]) -> String {
    said.iter().filter_map(|span| span.text.as_deref()).collect::<Vec<_>>().join(" ")
}
