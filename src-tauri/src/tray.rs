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
    let mut tray = TrayIconBuilder::with_id(ID).tooltip("Praxis").menu(&menu(app, None)?);
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

/// Makes its menu and its words what the recording wants them to be.
pub(crate) fn fit(app: &AppHandle, phase: Option<Phase>) {
    let Some(tray) = app.tray_by_id(ID) else { return };
    let says = match phase {
        Some(Phase::Starting | Phase::Recording) => "Praxis: recording",
        Some(Phase::Paused) => "Praxis: paused, nothing is recorded",
        _ => "Praxis",
    };
    let fitted = menu(app, phase)
        .and_then(|menu| tray.set_menu(Some(menu)))
        .and_then(|()| tray.set_tooltip(Some(says)));
    if let Err(error) = fitted {
        tracing::warn!(%error, "the tray did not follow");
    }
}

/// Only what can be done in this phase.
fn menu(app: &AppHandle, phase: Option<Phase>) -> tauri::Result<Menu<tauri::Wry>> {
    let item = |id: &str, text: &str| MenuItemBuilder::with_id(id, text).build(app);
    let mut menu = MenuBuilder::new(app);
    match phase {
        None => menu = menu.item(&item("record", "Start recording")?),
        Some(Phase::Recording) => {
            menu = menu.items(&[
                &item("pause", "Pause")?,
                &item("mark", "Set a marker")?,
                &item("stop", "Stop")?,
            ]);
        }
        Some(Phase::Paused) => menu = menu.items(&[&item("pause", "Resume")?, &item("stop", "Stop")?]),
        Some(Phase::Starting | Phase::Stopped | Phase::Sealing) => {}
    }
    menu.separator().items(&[&item("show", "Show Praxis")?, &item("quit", "Quit")?]).build()
}
