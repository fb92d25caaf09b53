//! The one window: the page, or a small bar on top of everything while a recording goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use praxis_capture_core::studio::{Phase, Studio};
use tauri::{
    AppHandle, LogicalSize, Manager, PhysicalPosition, PhysicalSize, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder,
};

use crate::{system, tray};

const LABEL: &str = "main";
const PAGE_SIZE: (f64, f64) = (1280.0, 820.0);
const PAGE_SIZE_LEAST: (f64, f64) = (960.0, 600.0);
const HUD_WIDTH: u32 = 452;
const HUD_HEIGHT: u32 = 54;
/// The bar may take this much for a row below it.
const HUD_HEIGHT_MOST: u32 = 220;
/// Longest that a window manager takes to make the window small.
const OBEYS_WITHIN: Duration = Duration::from_secs(1);
/// Distance of the bar from the top of the display.
const HUD_TOP_PX: i32 = 24;

/// What the window shows, and where the page was before the bar took its place.
#[derive(Default)]
pub(crate) struct Shape(Mutex<Shown>);

#[derive(Default)]
struct Shown {
    phase: Option<Phase>,
    is_hud: bool,
    page: Option<Page>,
}

struct Page {
    position: PhysicalPosition<i32>,
    size: PhysicalSize<u32>,
    is_maximized: bool,
}

/// Makes the window.
pub(crate) fn open(app: &AppHandle) -> tauri::Result<()> {
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("Praxis")
        .inner_size(PAGE_SIZE.0, PAGE_SIZE.1)
        .min_inner_size(PAGE_SIZE_LEAST.0, PAGE_SIZE_LEAST.1)
        .center()
        .build()
        .and_then(|window| system::look_after_page(&window))
}

/// Brings the window to the front.
pub(crate) fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL) {
        let shown = window.unminimize().and_then(|()| window.show()).and_then(|()| window.set_focus());
        report(shown);
    }
}

/// Makes the window and the tray what the recording wants them to be.
pub(crate) fn fit(app: &AppHandle) {
    let progress = app.state::<Arc<Studio>>().take.progress();
    fit_to(app, progress.map(|progress| progress.phase));
}

/// The same, before a recording begins: the page is out of the way when its first picture is taken.
pub(crate) fn fit_to(app: &AppHandle, phase: Option<Phase>) {
    let shape = app.state::<Shape>();
    let mut shown = shape.0.lock().unwrap_or_else(PoisonError::into_inner);
    if shown.phase == phase {
        return;
    }
    shown.phase = phase;
    tray::fit(app, phase);
    let is_hud = matches!(phase, Some(Phase::Starting | Phase::Recording | Phase::Paused));
    if is_hud == shown.is_hud {
        return;
    }
    shown.is_hud = is_hud;
    let Some(window) = app.get_webview_window(LABEL) else { return };
    report(if is_hud { to_hud(&window, &mut shown) } else { to_page(&window, &mut shown) });
}

/// The bar's height follows what it shows.
pub(crate) fn set_hud_height(app: &AppHandle, height: u32) {
    let shape = app.state::<Shape>();
    let is_hud = shape.0.lock().unwrap_or_else(PoisonError::into_inner).is_hud;
    if let Some(window) = app.get_webview_window(LABEL).filter(|_| is_hud) {
        report(set_size(&window, height.clamp(HUD_HEIGHT, HUD_HEIGHT_MOST)));
    }
}

fn to_hud(window: &WebviewWindow, shown: &mut Shown) -> tauri::Result<()> {
    let is_maximized = window.is_maximized()?;
    if is_maximized {
        window.unmaximize()?;
    }
    shown.page = Some(Page { position: window.outer_position()?, size: window.inner_size()?, is_maximized });
    window.set_min_size(None::<LogicalSize<f64>>)?;
    window.set_decorations(false)?;
    window.set_always_on_top(true)?;
    window.set_skip_taskbar(true)?;
    set_size(window, HUD_HEIGHT)?;
    if let Some(monitor) = window.current_monitor()?.or(window.primary_monitor()?) {
        let (place, size) = (monitor.position(), monitor.size());
        let width = (f64::from(HUD_WIDTH) * monitor.scale_factor()) as i32;
        window.set_position(PhysicalPosition::new(
            place.x + (size.width as i32 - width) / 2,
            place.y + HUD_TOP_PX,
        ))?;
    }
    hide_unless_small(window.clone());
    Ok(())
}

/// A window manager that keeps the window large (one that tiles) leaves the person little to work on, and the recording
/// little to see: the window goes, and hotkeys and tray remain.
fn hide_unless_small(window: WebviewWindow) {
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(OBEYS_WITHIN).await;
        let is_hud = window.state::<Shape>().0.lock().unwrap_or_else(PoisonError::into_inner).is_hud;
        let most = 2.0 * f64::from(HUD_HEIGHT_MOST) * window.scale_factor().unwrap_or(1.0);
        let is_small = window.outer_size().is_ok_and(|size| f64::from(size.height) <= most);
        if is_hud && !is_small {
            tracing::warn!("the window manager keeps the window large: it is minimized while recording");
            report(window.minimize());
        }
    });
}

fn to_page(window: &WebviewWindow, shown: &mut Shown) -> tauri::Result<()> {
    window.set_always_on_top(false)?;
    window.set_skip_taskbar(false)?;
    window.set_decorations(true)?;
    if let Some(page) = shown.page.take() {
        window.set_size(page.size)?;
        window.set_position(page.position)?;
        if page.is_maximized {
            window.maximize()?;
        }
    }
    window.set_min_size(Some(LogicalSize::new(PAGE_SIZE_LEAST.0, PAGE_SIZE_LEAST.1)))?;
    window.unminimize()?;
    window.set_focus()
}

fn set_size(window: &WebviewWindow, height: u32) -> tauri::Result<()> {
    window.set_size(LogicalSize::new(HUD_WIDTH, height))
}

/// A window manager may refuse; the recording goes on all the same.
fn report(done: tauri::Result<()>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the window did not follow");
    }
}
