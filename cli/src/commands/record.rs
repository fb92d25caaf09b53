//! `praxis record`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use praxis_bundle::manifest::EndReason;
use praxis_bundle::messages::Life;
use praxis_bundle::storage::Disk;
use praxis_capture_core::calibration;
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::library;
use praxis_capture_core::recorder::{DisplayChoice, Notice, Plan, Recorder, Status, Voice};
use praxis_capture_core::session::State;
use praxis_capture_core::sources::audio::{Microphone, Wav};
use praxis_capture_core::sources::native::{self, Choice};
use praxis_capture_core::sources::{Own, SourceError};
use praxis_capture_core::system::settings_folder;
use praxis_capture_core::upload::enrolment;

use super::files::say_what_was_lost;
use super::{clock_text, library_folder, size_text};
use crate::Done;
use crate::args::Record;
use crate::system::{Keys, Signals, Told};
use crate::terminal::{say, show_sealing, show_status};

/// How often notices are looked at, and keys if there is a terminal. A signal is acted on at once.
const LOOK: Duration = Duration::from_millis(250);
const LOOK_WITH_KEYS: Duration = Duration::from_millis(50);
/// How often the status line is shown.
const SHOW_EVERY_NANOS: u64 = 200_000_000;

pub(crate) fn run(arguments: Record) -> Result<Done> {
    let folder = library_folder(arguments.out.as_ref())?;
    let signals = Signals::register()?;
    let recovery = spawn_recovery(folder.clone());
    let time: SharedTime = Arc::new(SystemTime);
    let choice = Choice {
        screen: arguments.screen.into(),
        input: arguments.input.into(),
        own: Own::default(),
        has_clipboard_text: arguments.clipboard_text,
    };
    let desktop = native::open_desktop(&time, &choice)?;
    let voice = open_voice(&arguments, &time)?;
    let sound = open_system_sound(&arguments, &time);
    let plan = Plan {
        storage: Arc::new(Disk),
        folder,
        displays: match arguments.display.iter().any(|name| name == "all") {
            true => DisplayChoice::All,
            false => DisplayChoice::Named(arguments.display.clone()),
        },
        max_fps: arguments.fps.into(),
        lossy: arguments.lossy.into(),
        clipboard_text: arguments.clipboard_text,
        sync: calibration::last(),
        title: arguments.title.clone(),
        project: project(),
        reserve_bytes: arguments.keep_free << 20,
        screen: desktop.screen,
        input: desktop.input,
        windows: desktop.windows,
        elements: desktop.elements,
        voice,
        sound,
    };
    let recorder = Recorder::start(time, plan)?;
    let keys = Keys::take();
    say(&format!("recording {} (typed passwords are recorded, too)", recorder.session_id()));
    let (reason, mut is_lossy) = watch(&recorder, &signals, keys.as_ref(), arguments.seconds);
    drop(keys);
    let tracks = recorder.status().tracks;
    let recorded = recorder.stop(reason, arguments.outcome.map(Into::into), None)?;
    say(&format!("recorded {} in {}", clock_text(recorded.length_nanos), size_text(recorded.bytes)));
    for track in tracks.iter().filter(|track| track.drops > 0) {
        is_lossy = true;
        say(&format!("{}: {} samples lost under load", track.track, track.drops));
    }
    let path = if arguments.no_seal { recorded.path } else { seal_or_keep(&recorded.path) };
    finish_recovery(recovery);
    // Whoever wanted the path may be gone; the recording is as good.
    let _ = writeln!(std::io::stdout(), "{}", path.display());
    Ok(if is_lossy { Done::DataLost } else { Done::Fine })
}

/// Where this machine is enrolled, and under which pseudonym.
fn project() -> Option<(String, String)> {
    let enrolment = enrolment::load(&settings_folder()?).ok()?;
    Some((enrolment.project, enrolment.expert))
}

/// Without room or with any other trouble the live file is as good as the sealed one, only larger.
fn seal_or_keep(live: &Path) -> PathBuf {
    match library::seal_on(&Disk, live, &show_sealing) {
        Ok(sealed) => {
            show_status("");
            sealed.path
        }
        Err(error) => {
            let why = anyhow::Error::new(error);
            say(&format!("not sealed ({why:#}); the whole recording is kept: run praxis seal on it"));
            live.to_owned()
        }
    }
}

/// Sessions that a crash or a power cut ended become whole while the new one is recorded: nobody waits for them.
fn spawn_recovery(folder: PathBuf) -> JoinHandle<library::Recovered> {
    std::thread::spawn(move || library::recover_interrupted(&folder).unwrap_or_default())
}

fn finish_recovery(recovery: JoinHandle<library::Recovered>) {
    if !recovery.is_finished() {
        show_status("recovering an interrupted session …");
    }
    let Ok(recovered) = recovery.join() else { return };
    show_status("");
    for path in &recovered.sealed {
        say(&format!("recovered an interrupted session: {}", path.display()));
    }
    say_what_was_lost(recovered);
}

fn open_voice(arguments: &Record, time: &SharedTime) -> Result<Voice> {
    let name = match arguments.mic.as_str() {
        "none" => return Ok(Voice::None),
        "default" => None,
        file if file.to_lowercase().ends_with(".wav") => {
            let wav = Wav::open(time.clone(), Path::new(file))?;
            return Ok(Voice::Source(Box::new(wav)));
        }
        name => Some(name),
    };
    match Microphone::open(time.clone(), name, arguments.mic_rate) {
        Ok(microphone) => Ok(Voice::Source(Box::new(microphone))),
        // One that was asked for by name: nothing is lost yet, and the name may be mistyped.
        Err(error) if name.is_some() => Err(error.into()),
        // The work goes on without a voice, but not unnoticed.
        Err(SourceError::Unavailable(why) | SourceError::Lost(why)) => Ok(Voice::Missing(why)),
        Err(error) => Err(error.into()),
    }
}

/// What the computer itself sounds, if it is asked for; where it cannot be had the whole session is a gap that says why.
fn open_system_sound(arguments: &Record, time: &SharedTime) -> Voice {
    if !arguments.system_sound {
        return Voice::None;
    }
    match Microphone::open_system_sound(time.clone(), arguments.mic_rate) {
        Ok(sound) => Voice::Source(Box::new(sound)),
        Err(error) => Voice::Missing(error.to_string()),
    }
}

/// Watches signals, keys and notices until the session should end; says why, and whether data was lost.
fn watch(
    recorder: &Recorder,
    signals: &Signals,
    keys: Option<&Keys>,
    seconds: Option<f64>,
) -> (EndReason, bool) {
    let mut is_lossy = false;
    let mut next_shown = 0;
    let look = if keys.is_some() { LOOK_WITH_KEYS } else { LOOK };
    loop {
        let status = recorder.status();
        if status.elapsed_nanos >= next_shown {
            next_shown = status.elapsed_nanos + SHOW_EVERY_NANOS;
            show_status(&status_line(&status));
        }
        let left = seconds.map(|seconds| seconds - status.elapsed_nanos as f64 / 1e9);
        if left.is_some_and(|left| left <= 0.0) {
            return (EndReason::Stopped, is_lossy);
        }
        for key in keys.map(Keys::pressed).unwrap_or_default() {
            match key {
                b'p' => pause_or_resume(recorder),
                b'm' => mark(recorder),
                _ => {}
            }
        }
        while let Ok(notice) = recorder.notices.try_recv() {
            match notice {
                Notice::Warning(warning) => say(&format!("warning: {warning}")),
                Notice::Lost(loss) => {
                    say(&format!("warning: {loss}"));
                    is_lossy = true;
                }
                Notice::MustStop(reason, why) => {
                    say(&format!("stopping: {why}"));
                    return (reason, true);
                }
            }
        }
        // Each signal counts.
        let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
        match signals.wait(left.map_or(look, |left| left.min(look))) {
            Ok(Told::Pause) => pause_or_resume(recorder),
            Ok(Told::Mark) => mark(recorder),
            Ok(Told::Stop) => return (EndReason::Stopped, is_lossy),
            Err(_) => {}
        }
    }
}

fn pause_or_resume(recorder: &Recorder) {
    if recorder.pause() {
        say("paused: nothing is recorded");
    } else if recorder.resume() {
        say("recording again");
    }
}

fn mark(recorder: &Recorder) {
    recorder.mark("");
    say(&format!("marked {}", clock_text(recorder.status().elapsed_nanos)));
}

fn status_line(status: &Status) -> String {
    let state = match status.state {
        State::Paused => "paused   ",
        _ => "recording",
    };
    let tracks = status.tracks.iter().map(|track| {
        let mark = match track.life {
            Life::Alive => "ok",
            Life::Lost => "NO LIFE",
            Life::Unknown => "–",
        };
        let drops = if track.drops > 0 { format!(" ({} lost)", track.drops) } else { String::new() };
        format!("{} {mark}{drops}", track.track)
    });
    let tracks = tracks.collect::<Vec<_>>().join("  ");
    format!("{state} {}  {}  {tracks}", clock_text(status.elapsed_nanos), size_text(status.bytes))
}
