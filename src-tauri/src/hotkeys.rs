//! Global key combinations for record, pause, marker and stop.

use std::sync::{Arc, Mutex, PoisonError};

use praxis_capture_core::studio::{Hotkeys, Studio};
use tauri::{AppHandle, Manager};
use tauri_plugin_global_shortcut::{GlobalShortcutExt as _, Shortcut, ShortcutState};

use crate::act::{self, Act};

/// What is registered, and what could not be.
#[derive(Default)]
pub(crate) struct Registered(Mutex<(Vec<(Shortcut, Act)>, Vec<String>)>);

/// Hears the keys.
pub(crate) fn plugin() -> tauri::plugin::TauriPlugin<tauri::Wry> {
    let heard = |app: &AppHandle, shortcut: &Shortcut, event: tauri_plugin_global_shortcut::ShortcutEvent| {
        if event.state() == ShortcutState::Pressed {
            let registered = app.state::<Registered>();
            let found = registered.lock().0.iter().find(|(known, _)| known == shortcut).map(|(_, act)| *act);
            if let Some(act) = found {
                act::run(app, act);
            }
        }
    };
    tauri_plugin_global_shortcut::Builder::new().with_handler(heard).build()
}

impl Registered {
    fn lock(&self) -> std::sync::MutexGuard<'_, (Vec<(Shortcut, Act)>, Vec<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers what the settings say, in place of what was.
pub(crate) fn register(app: &AppHandle) {
    let shortcuts = app.global_shortcut();
    if let Err(error) = shortcuts.unregister_all() {
        tracing::warn!(%error, "old hotkeys could not be let go");
    }
    let Hotkeys { record, pause, marker, stop } = app.state::<Arc<Studio>>().settings().hotkeys;
    let wanted = [(record, Act::Record), (pause, Act::Pause), (marker, Act::Mark), (stop, Act::Stop)];
    let (mut registered, mut problems) = (Vec::new(), Vec::new());
    for (text, act) in wanted.into_iter().filter(|(text, _)| !text.is_empty()) {
        match text.parse::<Shortcut>() {
            Err(_) => problems.push(format!("{text} is no key combination: choose another one")),
            Ok(shortcut) => match shortcuts.register(shortcut) {
                Ok(()) => registered.push((shortcut, act)),
                Err(_) => problems.push(format!("another program has {text}: choose another one")),
            },
        }
    }
    *app.state::<Registered>().lock() = (registered, problems);
}

/// What could not be registered, one sentence each.
pub(crate) fn problems(app: &AppHandle) -> Vec<String> {
    app.state::<Registered>().lock().1.clone()
}
