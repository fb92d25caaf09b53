//! The icon in the tray, where the desktop has one: the same acts as the hotkeys, and the way back to the window.

use praxis_capture_core::studio::Phase;
use tauri::AppHandle;
use tauri::menu::{Menu, MenuBuilder, MenuItemBuilder};
use tauri::tray::TrayIconBuilder;

use crate::act::{self, Act};

const ID: &str = "praxis";
const ACTS: [(&str, Act); 6] = [
    ("record", Act::Record),
    ("pause", Act::Pause),
    ("mark", Act::Mark),
    ("stop", Act::Stop),
    ("show", Act::Show),
    ("quit", Act::Quit),
];

/// Makes it.
pub(crate) fn open(app: &AppHandle) -> tauri::Result<()> {
    let mut tray = TrayIconBuilder::with_id(ID).menu(&menu(app, None)?);
    if let Some(icon) = app.default_window_icon() {
        tray = tray.icon(icon.clone());
    }
    tray.on_menu_event(|app, event| {
        if let Some((_, act)) = ACTS.iter().find(|(id, _)| event.id() == id) {
            act::run(app, *act);
        }
    })
    .build(app)?;
    Ok(())
}

/// Makes its menu, and the word beside it, what the recording wants them to be. (Linux shows no tooltip of a tray icon.)
pub(crate) fn fit(app: &AppHandle, phase: Option<Phase>) {
    let Some(tray) = app.tray_by_id(ID) else { return };
    let says = match phase {
        Some(Phase::Starting | Phase::Recording) => Some("Recording"),
        Some(Phase::Paused) => Some("Paused"),
        _ => None,
    };
    let fitted =
        tray.set_title(says).and_then(|()| menu(app, phase)).and_then(|menu| tray.set_menu(Some(menu)));
    if let Err(error) = fitted {
        tracing::warn!(%error, "the tray did not follow");
    }
}

/// Only what can be done in this phase.
fn menu(app: &AppHandle, phase: Option<Phase>) -> tauri::Result<Menu<tauri::Wry>> {
    let acts: &[(&str, &str)] = match phase {
        None => &[("record", "Start recording")],
        Some(Phase::Recording) => &[("pause", "Pause"), ("mark", "Set a marker"), ("stop", "Stop")],
        Some(Phase::Paused) => &[("pause", "Resume"), ("stop", "Stop")],
        Some(Phase::Starting | Phase::Stopped | Phase::Sealing) => &[],
    };
    let item = |id: &str, text: &str| MenuItemBuilder::with_id(id, text).build(app);
    let mut menu = MenuBuilder::new(app);
    for (id, text) in acts {
        menu = menu.item(&item(id, text)?);
    }
    if !acts.is_empty() {
        menu = menu.separator();
    }
    menu.items(&[&item("show", "Show Praxis")?, &item("quit", "Quit")?]).build()
}
