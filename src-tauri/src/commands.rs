//! What the page can ask for. A command converts, calls the studio, and converts back.

use std::sync::Arc;

use praxis_capture_core::library;
use praxis_capture_core::sources::native;
use praxis_capture_core::studio::{Phase, Studio, StudioError, Wanted};
use praxis_capture_core::upload::approval::STATEMENT;
use tauri::ipc::Response;
use tauri::{AppHandle, Manager as _, State};
use tauri_plugin_dialog::DialogExt as _;

use crate::dto::{
    DiskDto, DisplayDto, EnrolmentDto, HomeDto, LibraryDto, OutcomeDto, Problem, RecordingDto,
    SessionStateDto, SettingsDto, SettingsPageDto,
};
use crate::{convert, hotkeys, window};

type Answer<T> = Result<T, Problem>;
type Shared<'a> = State<'a, Arc<Studio>>;

/// Runs work that may wait for a display, a disk or a sound server, away from the window's thread.
async fn work<T: Send + 'static>(
    studio: &Shared<'_>,
    work: impl FnOnce(&Arc<Studio>) -> Result<T, StudioError> + Send + 'static,
) -> Answer<T> {
    let studio = studio.inner().clone();
    let done = tauri::async_runtime::spawn_blocking(move || work(&studio)).await;
    done.map_err(Problem::of)?.map_err(Problem::of)
}

fn disk(studio: &Studio) -> Result<DiskDto, StudioError> {
    Ok(studio.room()?.into())
}

fn enrolment(studio: &Studio) -> Option<EnrolmentDto> {
    studio.enrolment().map(|enrolment| convert::enrolment(studio, enrolment))
}

#[tauri::command]
pub(crate) async fn home(studio: Shared<'_>) -> Answer<HomeDto> {
    work(&studio, |studio| {
        let settings = studio.settings();
        let (displays, problem) = match studio.preview.displays() {
            Ok(displays) => (displays, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let displays = displays.into_iter().map(|display| DisplayDto {
            is_chosen: !settings.left_out.contains(&display.name),
            number: display.number,
            name: display.name,
            width_px: display.rect.width_px,
            height_px: display.rect.height_px,
            is_primary: display.is_primary,
        });
        let wanted = Wanted { name: settings.microphone.clone(), rate_hz: settings.narration_rate_hz };
        let hearing = studio.preview.hear(settings.has_voice.then_some(wanted));
        Ok(HomeDto {
            problem,
            displays: displays.collect(),
            is_native: native::IS_NATIVE,
            microphone: convert::microphone(hearing, studio.preview.microphones()),
            disk: disk(studio)?,
            enrolment: enrolment(studio),
            is_recovering: studio.is_recovering(),
            num_sessions: studio.catalogue.list()?.len() as u32,
        })
    })
    .await
}

#[tauri::command]
pub(crate) async fn thumbnail(studio: Shared<'_>, display: u8) -> Answer<Response> {
    work(&studio, move |studio| Ok(Response::new(studio.preview.picture(display)?))).await
}

#[tauri::command]
pub(crate) async fn start_recording(app: AppHandle, studio: Shared<'_>, title: String) -> Answer<()> {
    if studio.take.progress().is_none() {
        window::fit_to(&app, Some(Phase::Starting));
    }
    let started = work(&studio, move |studio| studio.record(&title)).await;
    window::fit(&app);
    started
}

#[tauri::command]
pub(crate) async fn recording(app: AppHandle, studio: Shared<'_>) -> Answer<Option<RecordingDto>> {
    let recording = work(&studio, |studio| {
        let Some(progress) = studio.take.progress() else { return Ok(None) };
        Ok(Some(convert::recording(progress, disk(studio)?)))
    })
    .await;
    // It may have ended by itself.
    window::fit(&app);
    recording
}

#[tauri::command]
pub(crate) async fn pause_recording(app: AppHandle, studio: Shared<'_>) -> Answer<bool> {
    let is_done = work(&studio, |studio| Ok(studio.take.pause())).await;
    window::fit(&app);
    is_done
}

#[tauri::command]
pub(crate) async fn resume_recording(app: AppHandle, studio: Shared<'_>) -> Answer<bool> {
    let is_done = work(&studio, |studio| Ok(studio.take.resume())).await;
    window::fit(&app);
    is_done
}

#[tauri::command]
pub(crate) async fn add_marker(studio: Shared<'_>) -> Answer<bool> {
    work(&studio, |studio| Ok(studio.take.mark())).await
}

#[tauri::command]
pub(crate) async fn label_marker(studio: Shared<'_>, label: String) -> Answer<bool> {
    work(&studio, move |studio| Ok(studio.take.label_marker(label.trim()))).await
}

#[tauri::command]
pub(crate) async fn stop_recording(app: AppHandle, studio: Shared<'_>) -> Answer<bool> {
    let is_done = work(&studio, |studio| Ok(studio.take.stop())).await;
    window::fit(&app);
    is_done
}

#[tauri::command]
pub(crate) async fn finish_recording(
    studio: Shared<'_>,
    outcome: Option<OutcomeDto>,
    note: String,
) -> Answer<()> {
    let note = Some(note.trim().to_owned()).filter(|note| !note.is_empty());
    work(&studio, move |studio| studio.finish(outcome.map(Into::into), note)).await
}

#[tauri::command]
pub(crate) async fn set_hud_height(app: AppHandle, height: u32) -> Answer<()> {
    window::set_hud_height(&app, height);
    Ok(())
}

#[tauri::command]
pub(crate) async fn library(studio: Shared<'_>) -> Answer<LibraryDto> {
    let items = studio.courier.queue().all().await.map_err(Problem::of)?;
    work(&studio, move |studio| {
        let entries = studio.catalogue.list()?;
        let sessions = entries
            .iter()
            .map(|entry| convert::session(studio, entry, items.iter().find(|item| item.is_of(entry))));
        let sessions: Vec<_> = sessions.collect();
        let is_verified =
            |session: &&_| matches!(session, crate::dto::SessionDto { state: SessionStateDto::Verified, .. });
        Ok(LibraryDto {
            bytes: sessions.iter().map(|session| session.bytes).sum(),
            verified_bytes: sessions.iter().filter(is_verified).map(|session| session.bytes).sum(),
            sessions,
            disk: disk(studio)?,
            statement: STATEMENT.into(),
            enrolment: enrolment(studio),
            folder: studio.folders().sessions.display().to_string(),
        })
    })
    .await
}

#[tauri::command]
pub(crate) async fn session_picture(studio: Shared<'_>, id: String) -> Answer<Response> {
    work(&studio, move |studio| {
        let entry = studio.session(&id)?;
        Ok(Response::new(studio.catalogue.picture(&entry).to_vec()))
    })
    .await
}

#[tauri::command]
pub(crate) async fn seal_session(studio: Shared<'_>, id: String) -> Answer<()> {
    work(&studio, move |studio| {
        library::seal(&studio.session(&id)?.path)?;
        Ok(())
    })
    .await
}

#[tauri::command]
pub(crate) async fn approve_session(studio: Shared<'_>, id: String) -> Answer<()> {
    studio.approve(&id).await.map_err(Problem::of)
}

#[tauri::command]
pub(crate) async fn retry_upload(studio: Shared<'_>, id: String) -> Answer<()> {
    studio.retry(&id).await.map_err(Problem::of)
}

#[tauri::command]
pub(crate) async fn free_session(studio: Shared<'_>, id: String) -> Answer<()> {
    studio.free(&id).await.map_err(Problem::of)
}

#[tauri::command]
pub(crate) async fn delete_session(studio: Shared<'_>, id: String) -> Answer<()> {
    studio.delete(&id).await.map_err(Problem::of)
}

#[tauri::command]
pub(crate) async fn export_session(app: AppHandle, studio: Shared<'_>, id: String) -> Answer<Option<String>> {
    work(&studio, move |studio| {
        let entry = studio.session(&id)?;
        let mut dialog = app.dialog().file().set_title("Export to a folder");
        if let Ok(home) = app.path().home_dir() {
            // Without a place to begin at, GTK's dialog does not let a typed folder be chosen.
            dialog = dialog.set_directory(home);
        }
        let chosen = dialog.blocking_pick_folder();
        let Some(folder) = chosen.and_then(|folder| folder.into_path().ok()) else { return Ok(None) };
        Ok(Some(library::export(&entry.path, &folder)?.display().to_string()))
    })
    .await
}

#[tauri::command]
pub(crate) async fn enrol(studio: Shared<'_>, collector: String, code: String) -> Answer<EnrolmentDto> {
    let enrolled = studio.enrol(collector.trim(), code.trim()).await.map_err(Problem::of)?;
    Ok(convert::enrolment(&studio, enrolled))
}

#[tauri::command]
pub(crate) async fn leave_project(studio: Shared<'_>) -> Answer<()> {
    studio.leave().await.map_err(Problem::of)
}

fn page(app: &AppHandle, studio: &Studio) -> SettingsPageDto {
    SettingsPageDto {
        settings: studio.settings().into(),
        folder: studio.folders().sessions.display().to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        hotkey_problems: hotkeys::problems(app),
    }
}

#[tauri::command]
pub(crate) async fn settings(app: AppHandle, studio: Shared<'_>) -> Answer<SettingsPageDto> {
    Ok(page(&app, &studio))
}

#[tauri::command]
pub(crate) async fn save_settings(
    app: AppHandle,
    studio: Shared<'_>,
    settings: SettingsDto,
) -> Answer<SettingsPageDto> {
    let before = studio.settings().hotkeys;
    work(&studio, move |studio| studio.change_settings(settings.into())).await?;
    if studio.settings().hotkeys != before {
        hotkeys::register(&app);
    }
    Ok(page(&app, &studio))
}
