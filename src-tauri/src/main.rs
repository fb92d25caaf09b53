//! `praxis-desktop`: windows, tray and hotkeys around the studio of capture-core. Wiring only.

// A program with windows opens no console on Windows; a debug build does, for its log.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod act;
mod commands;
mod convert;
mod dto;
mod hotkeys;
mod protocol;
mod system;
mod tray;
mod window;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use praxis_capture_core::sources::{native, portable};
use praxis_capture_core::studio::{Folders, Phase, Studio};
use praxis_capture_core::system::NO_DATA_FOLDER;
use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tokio_util::sync::CancellationToken;

fn main() -> Result<ExitCode> {
    // Before anything else: the process that hears input for another one.
    if std::env::args_os().nth(1).is_some_and(|first| first == portable::HELPER) {
        return Ok(portable::help());
    }
    if std::env::args().any(|argument| argument == "--version") {
        println!("praxis-desktop {}", env!("CARGO_PKG_VERSION"));
        return Ok(ExitCode::SUCCESS);
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("PRAXIS_LOG"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    native::find_desktop()?;
    let app = system::look_after_pages(tauri::Builder::default())
        .plugin(tauri_plugin_single_instance::init(|app, _, _| window::show(app)))
        .plugin(hotkeys::plugin())
        .plugin(tauri_plugin_dialog::init())
        .register_asynchronous_uri_scheme_protocol(protocol::SCHEME, protocol::handle)
        .invoke_handler(tauri::generate_handler![
            commands::home,
            commands::thumbnail,
            commands::start_recording,
            commands::recording,
            commands::pause_recording,
            commands::resume_recording,
            commands::add_marker,
            commands::label_marker,
            commands::stop_recording,
            commands::finish_recording,
            commands::set_hud_height,
            commands::library,
            commands::session_picture,
            commands::seal_session,
            commands::approve_session,
            commands::retry_upload,
            commands::free_session,
            commands::delete_session,
            commands::export_session,
            commands::enrol,
            commands::leave_project,
            commands::settings,
            commands::save_settings,
        ])
        .setup(|app| {
            // A sentence is all that is needed, and this is no place that lets an error out.
            set_up(app.handle()).unwrap_or_else(|error| {
                eprintln!("praxis-desktop: {error:#}");
                std::process::exit(1);
            });
            Ok(())
        })
        .build(tauri::generate_context!());
    let app = app.map_err(|error| {
        // Another one was called to the front, and ended before it answered.
        let is_race = error.to_string().contains("single-instance");
        anyhow::Error::new(error).context(match is_race {
            true => "another Praxis was just ending: start it again",
            false => "the window system cannot be used: start Praxis inside a desktop session",
        })
    })?;
    app.run(on_event);
    Ok(ExitCode::SUCCESS)
}

fn set_up(app: &AppHandle) -> Result<()> {
    let folders =
        Folders::of_user().with_context(|| format!("{NO_DATA_FOLDER}: there is no place for recordings"))?;
    let studio = tauri::async_runtime::block_on(Studio::open(folders))?;
    app.manage(studio.clone());
    app.manage(window::Shape::default());
    app.manage(hotkeys::Registered::default());
    let stop = CancellationToken::new();
    app.manage(stop.clone());
    let sender = studio.clone();
    tauri::async_runtime::spawn(async move { sender.courier.run(&stop).await });
    studio.look_after_sessions();
    end_on_signals(app.clone());
    window::open(app)?;
    hotkeys::register(app);
    if let Err(error) = tray::open(app) {
        tracing::warn!(%error, "there is no tray");
    }
    Ok(())
}

/// A signal ends the program as its menu does: a recording is complete then.
fn end_on_signals(app: AppHandle) {
    tauri::async_runtime::spawn(async move {
        system::told_to_end().await;
        app.exit(0);
    });
}

fn on_event(app: &AppHandle, event: RunEvent) {
    match event {
        // The bar is no window to close by accident: a recording is ended by its stop.
        RunEvent::WindowEvent { event: WindowEvent::CloseRequested { api, .. }, .. } => {
            let phase = app.state::<Arc<Studio>>().take.progress().map(|progress| progress.phase);
            if matches!(phase, Some(Phase::Starting | Phase::Recording | Phase::Paused | Phase::Sealing)) {
                api.prevent_close();
            }
        }
        RunEvent::Exit => {
            app.state::<CancellationToken>().cancel();
            app.state::<Arc<Studio>>().take.close();
        }
        _ => {}
    }
}
