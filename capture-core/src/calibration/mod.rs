//! Measures how far the tracks of this machine are apart, and keeps the figure for the bundles to come.
//!
//! A window flashes, a key is pressed and the loudspeaker beeps at the same instants, while all of it is recorded as any
//! session is. Then the stamps of the bundle are compared ([`found`]); the instants themselves only say where to look.

mod found;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use praxis_bundle::file;
use praxis_bundle::manifest::{EndReason, Lossy, Sync};
use praxis_bundle::messages::Rect;
use praxis_bundle::storage::Disk;

use crate::clock::SharedTime;
use crate::recorder::{DEFAULT_RESERVE_BYTES, DisplayChoice, Notice, Plan, RecordError, Recorder, Voice};
use crate::sources::audio::{Beeper, Microphone};
use crate::sources::native::{self, Choice};
use crate::sources::{SourceError, Stop};
use crate::system::settings_folder;

const FILE: &str = "sync.json";
/// Wait before the first instant, while windows and loudspeaker settle.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Between two instants: long enough that a beep ends and that the screen is quiet before the next.
const BETWEEN_NANOS: u64 = 280_000_000;
/// And up to so much more, so that no rhythm of the recorder's own falls in with it.
const SPREAD_MILLIS: u64 = 97;
/// Side of the window that flashes.
const SIDE_PX: u32 = 160;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// Something to record or to flash with is not there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The recording failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It was asked to stop.
    #[error("stopped before it was done: nothing was measured")]
    Stopped,
    /// The recording ended by itself.
    #[error("the recording ended by itself: {0}")]
    Ended(String),
    /// The recording cannot be read.
    #[error("reading the recording")]
    Read(#[from] praxis_bundle::Error),
    /// Too few instants are on every track.
    #[error("only {found} of {instants} instants are on every track: {why}")]
    NotFound {
        /// On every track.
        found: usize,
        /// There were.
        instants: usize,
        /// What to do.
        why: &'static str,
    },
    /// The result cannot be kept.
    #[error("keeping the result in {path}")]
    Keep {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The machine's figure, as it was measured last.
#[must_use]
pub fn last() -> Option<Sync> {
    let text = std::fs::read_to_string(settings_folder()?.join(FILE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Measures `instants` of them in a recording in `folder`, which is left there; `voice` is the microphone, if one is to hear the beeps.
///
/// # Errors
/// As [`CalibrateError`] says.
pub fn measure(
    time: &SharedTime,
    folder: &Path,
    instants: u32,
    microphone: Option<Microphone>,
    stop: &Stop,
) -> Result<(Sync, PathBuf), CalibrateError> {
    let desktop = native::open_desktop(time, &Choice::default())?;
    let has_voice = microphone.is_some();
    let beeper = if has_voice { Some(Beeper::open(time.clone())?) } else { None };
    let plan = Plan {
        storage: Arc::new(Disk),
        folder: folder.to_owned(),
        displays: DisplayChoice::All,
        max_fps: 12.0,
        lossy: Lossy::Never,
        clipboard_text: false,
        sync: None,
        title: Some("Calibration".into()),
        project: None,
        reserve_bytes: DEFAULT_RESERVE_BYTES,
        screen: desktop.screen,
        input: desktop.input,
        windows: desktop.windows,
        elements: None,
        sound: Voice::None,
        voice: microphone.map_or(Voice::None, |microphone| Voice::Source(Box::new(microphone))),
    };
    let recorder = Recorder::start(time.clone(), plan)?;
    let rect = middle_of(file::manifest_of(&file::open(recorder.path())?)?.displays.first().map(|d| d.rect));
    let mut flash = native::open_flash(rect)?;
    std::thread::sleep(SETTLE);
    let mut fired = Vec::new();
    let mut next_nanos = time.boot_nanos() + BETWEEN_NANOS;
    for n in 0..u64::from(instants) {
        if let Some(beeper) = &beeper {
            beeper.beep_at(next_nanos);
        }
        std::thread::sleep(Duration::from_nanos(next_nanos.saturating_sub(time.boot_nanos())));
        if stop.is_stopped() {
            return Err(CalibrateError::Stopped);
        }
        fired.push(time.boot_nanos());
        flash.flash()?;
        next_nanos = time.boot_nanos() + BETWEEN_NANOS + n * 37 % SPREAD_MILLIS * 1_000_000;
    }
    std::thread::sleep(Duration::from_nanos(BETWEEN_NANOS * 2));
    for notice in recorder.notices.try_iter() {
        if let Notice::MustStop(_, why) = notice {
            return Err(CalibrateError::Ended(why));
        }
    }
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let tracks = found::read(&recorded.path, rect, flash.keycode(), &fired)?;
    let sync = tracks.compare(has_voice, time.wall_nanos())?;
    Ok((sync, recorded.path))
}

/// Keeps the figure for the bundles to come.
///
/// # Errors
/// `Keep`.
pub fn keep(sync: &Sync) -> Result<(), CalibrateError> {
    let Some(folder) = settings_folder() else { return Ok(()) };
    let path = folder.join(FILE);
    let text = serde_json::to_vec_pretty(sync).unwrap_or_default();
    let temporary = file::with_suffix(&path, ".part");
    let kept = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&temporary, text))
        .and_then(|()| std::fs::rename(&temporary, &path));
    kept.map_err(|source| CalibrateError::Keep { path: path.display().to_string(), source })
}

/// A square in the middle of a display.
fn middle_of(display: Option<Rect>) -> Rect {
    let display = display.unwrap_or(Rect { x_px: 0, y_px: 0, width_px: SIDE_PX, height_px: SIDE_PX });
    Rect {
        x_px: display.x_px + (display.width_px.saturating_sub(SIDE_PX) / 2) as i32,
        y_px: display.y_px + (display.height_px.saturating_sub(SIDE_PX) / 2) as i32,
        width_px: SIDE_PX,
        height_px: SIDE_PX,
    }
}
