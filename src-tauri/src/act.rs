//! What a hotkey or the tray can do without the page.

use std::sync::Arc;

use praxis_capture_core::studio::Studio;
use tauri::{AppHandle, Emitter as _, Manager};

use crate::window;

/// The page hears this when a recording is asked for: it knows the title and counts down.
const RECORD_ASKED: &str = "record-asked";

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Record,
    /// Pauses, or goes on.
    Pause,
    Mark,
    Stop,
    Show,
    Quit,
}

/// Does it, away from the window's thread.
pub(crate) fn run(app: &AppHandle, act: Act) {
    let app = app.clone();
    tauri::async_runtime::spawn_blocking(move || {
        let studio = app.state::<Arc<Studio>>();
        match act {
            Act::Record if studio.take.progress().is_none() => {
                window::show(&app);
                if let Err(error) = app.emit(RECORD_ASKED, ()) {
                    tracing::warn!(%error, "the page does not answer");
                }
            }
            Act::Record => {}
            Act::Pause => drop(studio.take.pause() || studio.take.resume()),
            Act::Mark => drop(studio.take.mark()),
            Act::Stop => {
                if studio.take.stop() {
                    window::show(&app);
                }
            }
            Act::Show => window::show(&app),
            Act::Quit => app.exit(0),
        }
        window::fit(&app);
    });
}
