//! `osworld`: a folder for each bundle as OSWorld writes them: `traj.jsonl`, a picture **after** each action, `result.txt`. The picture
//! before the first action is `step_0.png`.

use std::io::{BufWriter, Write};
use std::path::Path;

use praxis_bundle::manifest::Outcome;
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use super::pyautogui::{Places, code};
use super::row::places;
use super::{Bundle, Format, Written, create, put_image};
use crate::{Error, Result};

pub(super) struct OsWorld;

impl Format for OsWorld {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let folder = folder.join(bundle.split).join(bundle.id());
        let failed = || Error::io(format!("writing {}", folder.display()));
        let mut out = BufWriter::new(create(&folder.join("traj.jsonl"))?);
        let epoch = i128::from(bundle.session.manifest.epoch_wall_nanos);
        let ending = bundle.options.pictures.coding.ending();
        let outcome = bundle.session.ending.as_ref().and_then(|ending| ending.outcome);
        let mut written = Written::default();
        let last = bundle.steps.last().map(|step| step.index);
        bundle.for_each_step(false, |whole| {
            let (Some(before), Some(after)) = (&whole.before, &whole.after) else {
                written.left_out += 1;
                return Ok(());
            };
            if written.steps == 0 {
                put_image(&folder, &format!("step_0.{ending}"), before)?;
            }
            written.steps += 1;
            let action = &whole.step.action;
            let at = stamp(epoch + i128::from(action.start_nanos))?;
            let name = format!("step_{}_{at}.{ending}", written.steps);
            put_image(&folder, &name, after)?;
            let (from, to) = places(whole.step, Some(before));
            let said: Vec<&str> = whole.step.narration.iter().filter_map(|span| span.text.as_deref()).collect();
            let is_last = Some(whole.step.index) == last;
            let line = json!({
                "step_num": written.steps, "action_timestamp": at, "action": code(action, from, to, Places::Pixels),
                "response": said.join(" "), "reward": if is_last { result(outcome).unwrap_or(0.0) } else { 0.0 }, "done": is_last,
                "info": {}, "screenshot_file": name,
            });
            writeln!(out, "{line}").map_err(failed())
        })?;
        out.flush().map_err(failed())?;
        if let Some(result) = result(outcome) {
            std::fs::write(folder.join("result.txt"), format!("{result:.1}\n")).map_err(failed())?;
        }
        Ok(written)
    }
}

/// What the expert said of the outcome, as a reward.
fn result(outcome: Option<Outcome>) -> Option<f64> {
    outcome.map(|outcome| if outcome == Outcome::Success { 1.0 } else { 0.0 })
}

/// Wall time, in UTC.
fn stamp(unix_nanos: i128) -> Result<String> {
    let format = format_description!("[year][month][day]@[hour][minute][second]");
    OffsetDateTime::from_unix_timestamp_nanos(unix_nanos)
        .map_err(|error| Error::coding("a time")(&error))
        .and_then(|time| time.format(format).map_err(|error| Error::coding("a time")(&error)))
}
