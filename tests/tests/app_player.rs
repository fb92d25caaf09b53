//! The player inside the application: a session of the library is opened by its title, sought in, and shows the pictures that
//! `praxis frame` says, pixel for pixel; it plays with its voice, goes back, and plays what is not sealed.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use praxis_tests::app::App;
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::praxis::{Recording, info, ok, path};
use rustix::process::Signal;

const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";
/// Calls back when the player stands still, with the time it stands at and that of the picture it shows.
const STANDS_STILL: &str = "
    const done = arguments[arguments.length - 1];
    let [at, since] = ['', 0];
    requestAnimationFrame(function look() {
        const {state, nanos, at: now} = document.querySelector('.stage')?.dataset ?? {};
        const isStill = (state === 'paused' || state === 'ended') && nanos !== undefined && now === at;
        since = isStill ? since + 1 : 0;
        at = now;
        if (since > 2) done([Number(now), Number(nanos)]);
        else requestAnimationFrame(look);
    });";
/// The picture that is shown: its size, and its pixels as R, G, B, A.
const PIXELS: &str = "
    const canvas = document.querySelector('canvas.picture');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const parts = [];
    for (let at = 0; at < data.length; at += 32768) parts.push(String.fromCharCode(...data.subarray(at, at + 32768)));
    return [canvas.width, canvas.height, btoa(parts.join(''))];";

/// Size and pixels, as R, G, B, A.
#[derive(PartialEq)]
struct Picture {
    size_px: (u32, u32),
    rgba: Vec<u8>,
}

fn shown(app: &App<'_>) -> Result<Picture> {
    let said = app.script(PIXELS)?;
    let side = |at: usize| said[at].as_u64().and_then(|side| u32::try_from(side).ok()).context("no size");
    let rgba = BASE64_STANDARD.decode(said[2].as_str().context("no pixels")?)?;
    Ok(Picture { size_px: (side(0)?, side(1)?), rgba })
}

/// What `praxis frame` makes of the same time.
fn framed(file: &Path, nanos: u64, folder: &Path) -> Result<Picture> {
    let to = folder.join("frame.png");
    let at = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    ok(&["frame", path(file), "--display", "0", "--at", &at, "-o", path(&to)])?;
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&to)?)).read_info()?;
    let mut rgb = vec![0; reader.output_buffer_size().context("too large a picture")?];
    let about = reader.next_frame(&mut rgb)?;
    ensure!(about.color_type == png::ColorType::Rgb, "{:?}", about.color_type);
    let rgba = rgb.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    Ok(Picture { size_px: (about.width, about.height), rgba })
}

/// Waits until the player stands still; returns where, and the time of its picture.
fn stands_still(app: &App<'_>) -> Result<(u64, u64)> {
    let said = app.script_that_calls(STANDS_STILL)?;
    // A time that was clicked has a fraction.
    let at = said[0].as_f64().context("no time")?.floor();
    Ok((at as u64, said[1].as_u64().context("no picture")?))
}

/// Seeks by a key, or in the timeline, and compares the picture there; returns where, and the time of the picture.
fn compare(app: &App<'_>, file: &Path, folder: &Path, seek: &str) -> Result<(u64, u64)> {
    let before = stands_still(app)?;
    match seek.strip_prefix('.') {
        Some(_) if seek.len() > 1 => app.click(seek)?,
        _ => app.type_into("body", seek)?,
    }
    let mut now = before;
    wait_until(&format!("another time than {before:?} by {seek}"), || {
        now = stands_still(app)?;
        Ok(now.0 != before.0)
    })?;
    let (at, of_picture) = now;
    ensure!(of_picture <= at, "a picture of {of_picture} ns at {at} ns");
    let (found, expected) = (shown(app)?, framed(file, at, folder)?);
    assert_eq!(found.size_px, expected.size_px);
    ensure!(found == expected, "{seek}: another picture at {at} ns");
    Ok(now)
}

fn number(app: &App<'_>, attribute: &str) -> Result<f64> {
    let said = app.script(&format!("return Number(document.querySelector('.stage').dataset.{attribute})"))?;
    said.as_f64().context("not there")
}

/// Records some seconds of a terminal that counts, with keys and speech; returns the sealed session, and writes beside it what
/// its live file was in the middle.
fn record(desktop: &VirtualDesktop, library: &Path, live: &Path) -> Result<std::path::PathBuf> {
    std::fs::create_dir_all(library)?;
    let recording = Recording::start(desktop, library, &["--title", "Counting & more"])?;
    desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
    desktop.xdotool(&["type", "--delay", "30", "count"])?;
    desktop.speak("I count upwards, and say what I see on the way.")?;
    desktop.xdotool(&["mousemove", "300", "200", "click", "1"])?;
    let_pass(Duration::from_secs(3));
    std::fs::copy(&recording.live, live)?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "{code:?}");
    std::fs::remove_file(library.join("log"))?;
    Ok(bundle)
}

#[test]
fn a_session_is_replayed_in_the_application_pixel_for_pixel() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1366, 768)?;
    desktop.terminal(40, 300, &["sh", "-c", "while :; do n=$((n + 1)); echo $n; sleep 0.1; done"])?;
    let library = desktop.folder.path().join("data/praxis/sessions");
    let live = desktop.folder.path().join("cut short.live.mcap");
    let bundle = record(&desktop, &library, &live)?;
    let folder = tempfile::tempdir()?;
    let app = App::start(&desktop)?;

    app.click("#nav-library")?;
    app.click("[data-session][data-state=ready] .play")?;
    let opened = stands_still(&app)?;
    ensure!(shown(&app)? == framed(&bundle, opened.0, folder.path())?, "another first picture");
    assert_eq!(app.text("h1")?, "Counting & more");
    app.wait_for_text("[data-action]", "count")?;
    let mut pictures = Vec::new();
    for seek in ["9", "3", RIGHT, "1", "7", ".", ".timeline .body", "4"] {
        pictures.push(compare(&app, &bundle, folder.path(), seek)?.1);
    }
    let duration = info(&bundle)?["duration_nanos"].as_f64().context("no length")?;
    assert!((number(&app, "at")? - 0.4 * duration).abs() < 1.0);
    pictures.sort_unstable();
    pictures.dedup();
    assert!(pictures.len() > 4, "{pictures:?}");
    let other = framed(&bundle, (duration * 0.9) as u64, folder.path())?;
    ensure!(shown(&app)? != other, "the comparison sees no difference where there is one");
    // There is less room than pixels: what is seen is the exact picture made smaller.
    app.find("canvas.small.shown")?;

    // It plays, at the pace of time, with the voice.
    app.type_into("body", "0")?;
    let (start, first) = stands_still(&app)?;
    app.type_into("body", " ")?;
    let began = praxis_tests::desktop::boot_nanos();
    app.find(".stage[data-state=playing]")?;
    wait_until("a second of it", || Ok(number(&app, "at")? - start as f64 > 1e9))?;
    let took = praxis_tests::desktop::boot_nanos() - began;
    assert!(took > 900_000_000, "{took} ns for a second");
    assert!(number(&app, "nanos")? > first as f64 + 0.5e9, "the pictures do not follow");
    app.type_into("body", " ")?;
    let (at, _) = stands_still(&app)?;
    ensure!(shown(&app)? == framed(&bundle, at, folder.path())?, "another picture where it was paused");

    // The map of keys takes the first escape.
    app.type_into("body", "?")?;
    app.find("dialog[open]")?;
    app.type_into("dialog[open]", ESCAPE)?;
    wait_until("a closed map", || Ok(!app.has("dialog[open]")?))?;
    assert!(app.has(".stage")?);
    app.type_into("body", ESCAPE)?;
    app.find("[data-session]")?;

    // What is cut short appears beside it, and plays before it is made whole.
    let cut = library.join("cut short.live.mcap");
    std::fs::rename(&live, &cut)?;
    app.click("[data-session='cut short.live.mcap'] .play")?;
    let opened = stands_still(&app)?;
    ensure!(shown(&app)? == framed(&cut, opened.0, folder.path())?, "another first picture");
    app.wait_for_text(".top", "Not sealed")?;
    for seek in ["6", "2", ".timeline .body", "8"] {
        compare(&app, &cut, folder.path(), seek)?;
    }
    app.click("[aria-label='Back to the sessions']")?;
    app.find("[data-session='cut short.live.mcap'] .seal")?;

    // No other place can be read through the scheme, and nobody but the page may read.
    let ask = |address: &str| {
        app.script_that_calls(&format!(
            "const done = arguments[arguments.length - 1];
             fetch('bundle://localhost/{address}').then(({{status}}) => done(status), (error) => done(String(error)));"
        ))
    };
    assert_eq!(ask("cut%20short.live.mcap/actions")?, 200);
    for address in ["gone.mcap/content", "%2e%2e%2fapp.log/content", "cut%20short.live.mcap/else", ""] {
        assert_eq!(ask(address)?, 404, "{address}");
    }
    Ok(())
}
