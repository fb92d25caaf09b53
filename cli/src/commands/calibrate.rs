//! `praxis calibrate`.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use praxis_bundle::manifest::{Offset, Sync};
use praxis_capture_core::calibration;
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::sources::audio::Microphone;

use super::library_folder;
use crate::Done;
use crate::args::Calibrate;
use crate::system::stop_when_told;
use crate::terminal::say;

pub(crate) fn run(arguments: &Calibrate) -> Result<Done> {
    let time: SharedTime = Arc::new(SystemTime);
    // Beside the sessions, where there is room, but none of them.
    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => library_folder(None)?.join("calibration"),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
    let microphone = match arguments.mic.as_str() {
        "none" => None,
        "default" => Some(Microphone::open(time.clone(), None, 48_000)?),
        name => Some(Microphone::open(time.clone(), Some(name), 48_000)?),
    };
    say(&format!(
        "a square flashes{} {} times: leave mouse and keyboard alone for {} seconds",
        if microphone.is_some() { " and beeps" } else { "" },
        arguments.instants,
        2 + arguments.instants * 33 / 100
    ));
    // So that its recording is not left behind.
    let stop = stop_when_told()?;
    let measured = calibration::measure(&time, &folder, arguments.instants, microphone, &stop);
    if arguments.out.is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    let (sync, path) = measured?;
    calibration::keep(&sync)?;
    if arguments.out.is_some() {
        say(&format!("the recording is {}", path.display()));
    }
    for line in lines_of(&sync) {
        println!("{line}");
    }
    say("kept: bundles that are recorded from now on carry these figures");
    Ok(Done::Fine)
}

/// The figures for people.
pub(crate) fn lines_of(sync: &Sync) -> Vec<String> {
    let line = |what: &str, offset: &Offset| {
        let millis = |nanos: f64| nanos / 1e6;
        format!(
            "{what}  {:+6.1} ms in the median, 95 of 100 within {:.1} ms",
            millis(offset.median_nanos as f64),
            millis(offset.p95_nanos as f64)
        )
    };
    let mut lines = vec![line("screen after key       ", &sync.screen_after_key)];
    lines.extend(sync.narration_after_key.as_ref().map(|it| line("narration after key    ", it)));
    lines.extend(sync.narration_after_screen.as_ref().map(|it| line("narration after screen ", it)));
    lines
}
