//! The player as a person has it, measured: seeks in the application (WebKitGTK), and how much later than its picture a tone is
//! heard, in the application and in Chromium: by the colour of a pixel of the desktop and a recording of its sound.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::Track;
use praxis_bundle::narration::decode;
use rustix::process::Signal;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};
use x11rb::rust_connection::RustConnection;

use crate::app::App;
use crate::desktop::{VirtualDesktop, boot_nanos, let_pass, wait_until};
use crate::praxis::{Opened, Recording};
use crate::processes;

const DISPLAY_PX: (u16, u16) = (1440, 900);
const SEEKS: usize = 200;
/// How long flashes are watched.
const WATCHED: Duration = Duration::from_secs(20);
/// A tone begins after at least so much silence.
const SILENCE_NANOS: u64 = 300_000_000;
/// What of a tone's picture and its sound may belong together.
const TOGETHER_NANOS: u64 = 400_000_000;
/// Notes the milliseconds from the next press on the timeline to the frame after the one that put its picture up.
const NOTE_TIME_OF_SEEK: &str = "
    globalThis.took = null;
    addEventListener('pointerdown', ({timeStamp}) => {
        requestAnimationFrame(function look() {
            const {state, nanos} = document.querySelector('.stage').dataset;
            if (state !== 'seeking' && nanos) requestAnimationFrame(() => (globalThis.took = performance.now() - timeStamp));
            else requestAnimationFrame(look);
        });
    }, {once: true, capture: true});";
/// Opens the first session and calls back with the milliseconds until its picture is shown.
const TIME_OF_FIRST_PICTURE: &str = "
    const done = arguments[arguments.length - 1];
    const begun = performance.now();
    document.querySelector('[data-session] .play').click();
    requestAnimationFrame(function look() {
        if (document.querySelector('.stage')?.dataset.nanos) requestAnimationFrame(() => done(performance.now() - begun));
        else requestAnimationFrame(look);
    });";

/// Prints the figures of a bundle of an hour and of one of flashes.
///
/// # Errors
/// If a program is missing or something does not come up.
pub fn run(hour: &Path, flashes: &Path) -> Result<()> {
    seeks_in_the_application(hour)?;
    let desktop = desktop_with(flashes)?;
    let app = App::start(&desktop)?;
    app.maximize()?;
    app.click("#nav-library")?;
    app.click("[data-session] .play")?;
    app.find(".stage[data-nanos]")?;
    print_lateness("application", &see_and_hear(&desktop)?);
    app.terminate()?;
    let opened = Opened::start(flashes)?;
    let mut desktop = desktop_with(flashes)?;
    let page = format!("--app={}", opened.url);
    let profile = format!("--user-data-dir={}", desktop.folder.path().join("chromium").display());
    desktop
        .spawn("chromium", &["--no-sandbox", "--no-first-run", &profile, "--window-size=1400,860", &page])?;
    wait_until("a window of Chromium", || {
        Ok(!desktop.xdotool(&["search", "--onlyvisible", "--class", "chromium"])?.is_empty())
    })?;
    print_lateness("Chromium", &see_and_hear(&desktop)?);
    Ok(())
}

/// A desktop whose person has that session in the library.
fn desktop_with(bundle: &Path) -> Result<VirtualDesktop> {
    let desktop = VirtualDesktop::start(u32::from(DISPLAY_PX.0), u32::from(DISPLAY_PX.1))?;
    let library = desktop.folder.path().join("data/praxis/sessions");
    std::fs::create_dir_all(&library)?;
    std::fs::copy(bundle, library.join("session.mcap")).context("the bundle")?;
    Ok(desktop)
}

fn seeks_in_the_application(hour: &Path) -> Result<()> {
    let desktop = desktop_with(hour)?;
    let app = App::start(&desktop)?;
    app.maximize()?;
    app.click("#nav-library")?;
    app.find("[data-session] .play")?;
    let first = app.script_that_calls(TIME_OF_FIRST_PICTURE)?.as_f64().context("no time")?;
    let page = page_of(&app)?;
    // The survey of the whole bundle runs beside; seeks are measured when it is over.
    wait_for_calm(page)?;
    let body = app.script("const r = document.querySelector('.timeline .body').getBoundingClientRect(); return [r.x, r.y, r.width];")?;
    let side = |n: usize| body[n].as_f64().context("no timeline");
    let (left, top, width) = (side(0)?, side(1)?, side(2)?);
    let window = app.window()?;
    let before = processes::resident_mib(page)?;
    let mut seed = 7u32;
    let mut took = Vec::new();
    for _ in 0..SEEKS {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let x = left + 1.0 + f64::from(seed) / 2f64.powi(32) * (width - 2.0);
        app.script(NOTE_TIME_OF_SEEK)?;
        let (x, y) = (format!("{x:.0}"), format!("{:.0}", top + 40.0));
        desktop.xdotool(&["mousemove", "--window", &window, &x, &y, "click", "1"])?;
        wait_until("a picture", || {
            let said = app.script("return globalThis.took")?.as_f64();
            took.extend(said);
            Ok(said.is_some())
        })?;
    }
    let sought = processes::resident_mib(page)?;
    app.type_into("body", "0")?;
    app.script("const speed = document.querySelector('[aria-label=Speed]'); speed.value = 16; speed.dispatchEvent(new Event('change', {bubbles: true}));")?;
    app.type_into("body", " ")?;
    while !app.has(".stage[data-state=ended]")? {
        let_pass(Duration::from_millis(500));
    }
    let played = processes::resident_mib(page)?;
    println!(
        "application, an hour: from the click to the first picture {first:.0} ms; seek {}",
        summary(&mut took)
    );
    println!(
        "  memory of the page: {before:.0} MiB before, {sought:.0} after {SEEKS} seeks, {played:.0} after it was played through at 16 times the speed"
    );
    app.terminate()
}

/// The process of the application's page.
fn page_of(app: &App<'_>) -> Result<u32> {
    let all = processes::tree(app.pid()?.as_raw_nonzero().get() as u32)?;
    let is_page = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| name.starts_with("WebKitWebProces"))
    };
    all.into_iter().find(is_page).context("the application has no page")
}

/// Waits until a process uses less than a twentieth of a core for two seconds.
fn wait_for_calm(pid: u32) -> Result<()> {
    loop {
        let before = processes::cpu_seconds(pid)?;
        let_pass(Duration::from_secs(2));
        if processes::cpu_seconds(pid)? - before < 0.1 {
            return Ok(());
        }
    }
}

/// Plays what the desktop shows by the space bar; returns for each tone how much later than its picture it was heard, in
/// milliseconds.
fn see_and_hear(desktop: &VirtualDesktop) -> Result<Vec<f64>> {
    let (connection, _) = x11rb::connect(Some(&desktop.display))?;
    let mut before = colours(&connection, (0, 0), DISPLAY_PX)?;
    // The page is complete when it is the same for a second.
    wait_until("a page at rest", || {
        let_pass(Duration::from_secs(1));
        let last = std::mem::replace(&mut before, colours(&connection, (0, 0), DISPLAY_PX)?);
        Ok(last == before)
    })?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(desktop, folder.path(), &[])?;
    desktop.xdotool(&["key", "space"])?;
    let place = flashing_place(&connection, &before)?;
    let ended = AtomicBool::new(false);
    let shown = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let watcher = scope.spawn(|| flashes_at(&connection, place, &ended));
        let_pass(WATCHED);
        ended.store(true, Ordering::Relaxed);
        watcher.join().ok().context("the watcher failed")?
    })?;
    let epoch = recording.epoch_boot_nanos;
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "praxis record ended with {code:?}");
    let heard = tones_in(&bundle)?;
    let late = |tone: &u64| {
        let tone = epoch + tone;
        let flash = shown.iter().min_by_key(|flash| flash.abs_diff(tone))?;
        (flash.abs_diff(tone) < TOGETHER_NANOS).then(|| (tone as f64 - *flash as f64) / 1e6)
    };
    let found: Vec<f64> = heard.iter().filter_map(late).collect();
    ensure!(
        found.len() > 10,
        "{} flashes seen, {} tones heard, {} of them together",
        shown.len(),
        heard.len(),
        found.len()
    );
    Ok(found)
}

/// The middle of what was black and is white.
fn flashing_place(connection: &RustConnection, before: &[u8]) -> Result<(u16, u16)> {
    let mut places = Vec::new();
    wait_until("a flash", || {
        let now = colours(connection, (0, 0), DISPLAY_PX)?;
        let pairs = before.chunks_exact(4).zip(now.chunks_exact(4)).enumerate();
        let flashing = pairs.filter(|(_, (was, is))| was[..3] == [0; 3] && is[..3] == [255; 3]);
        places = flashing.map(|(at, _)| at).collect();
        Ok(places.len() > 500)
    })?;
    let middle = places[places.len() / 2];
    let width = usize::from(DISPLAY_PX.0);
    Ok(((middle % width) as u16, (middle / width) as u16))
}

/// When a pixel became white, by the boot clock, looked at every millisecond.
fn flashes_at(connection: &RustConnection, place: (u16, u16), ended: &AtomicBool) -> Result<Vec<u64>> {
    let (mut found, mut was_white) = (Vec::new(), true);
    while !ended.load(Ordering::Relaxed) {
        let is_white = colours(connection, place, (1, 1))?[..3] == [255; 3];
        if is_white && !was_white {
            found.push(boot_nanos());
        }
        was_white = is_white;
        let_pass(Duration::from_millis(1));
    }
    Ok(found)
}

fn colours(connection: &RustConnection, (x, y): (u16, u16), (width, height): (u16, u16)) -> Result<Vec<u8>> {
    let root = connection.setup().roots.first().context("no screen")?.root;
    let asked =
        connection.get_image(ImageFormat::Z_PIXMAP, root, x as i16, y as i16, width, height, u32::MAX)?;
    Ok(asked.reply()?.data)
}

/// When tones began in the narration of a recording, in session time.
fn tones_in(bundle: &Path) -> Result<Vec<u64>> {
    const LOUD: u16 = 2000;
    let (mut found, mut last_loud) = (Vec::new(), 0);
    praxis_bundle::file::for_each_message(bundle, |channel, _, nanos, data| {
        if channel.track != Track::Narration {
            return Ok(());
        }
        let block = decode(data)?;
        for (n, sample) in block.samples.iter().enumerate() {
            if sample.unsigned_abs() < LOUD {
                continue;
            }
            let at = nanos + n as u64 * 1_000_000_000 / u64::from(block.rate_hz);
            if at > last_loud + SILENCE_NANOS {
                found.push(at);
            }
            last_loud = at;
        }
        Ok(())
    })?;
    Ok(found)
}

fn print_lateness(what: &str, late: &[f64]) {
    let mut sorted = late.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (median, least, most) = (sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1]);
    println!(
        "{what}: a tone is heard {median:.0} ms after its flash is seen (least {least:.0}, most {most:.0}, {} tones)",
        sorted.len()
    );
}

fn summary(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((share * times.len() as f64) as usize).min(times.len() - 1)];
    format!(
        "median {:.0}, 95th percentile {:.0}, largest {:.0} ms of {}",
        at(0.5),
        at(0.95),
        at(1.0),
        times.len()
    )
}
