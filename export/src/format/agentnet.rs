//! `agentnet`: a trajectory as OpenCUA's AgentNet publishes them: a line of JSON with its steps as pyautogui code, and the pictures.
//!
//! Places are shares of the picture's sides with four decimals. What the code cannot say (modifiers held while clicking, a long
//! press, the path of a drag) is in `action` in words.

use std::path::Path;

use praxis_bundle::manifest::Outcome;
use serde_json::{Value, json};

use super::pyautogui::{Places, code};
use super::row::{places, words};
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
                &code(action, from, to, Places::Shares),
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
