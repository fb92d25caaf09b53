//! A recording stays true through what goes on on a desk: displays that change a hundred times, a compositor, pauses in every
//! state of trouble.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use praxis_bundle::file;
use praxis_bundle::messages::Rect;
use praxis_tests::desktop::{MICROPHONE, VirtualDesktop, let_pass, wait_until};
use praxis_tests::painter::Brush;
use praxis_tests::praxis::{Recording, events, info, ok, path};
use rustix::process::Signal;

/// The last picture of a sound bundle is what a screenshot had.
fn assert_last_picture(bundle: &Path, size: (u32, u32), screenshot: &[u8]) -> Result<()> {
    ok(&["check", path(bundle)])?;
    let picture = file::picture_at(bundle, 0, u64::MAX)?;
    assert_eq!((picture.width_px, picture.height_px), size);
    ensure!(picture.bgr == screenshot, "the last picture is not the screenshot");
    Ok(())
}

#[test]
fn a_display_that_changes_a_hundred_times_is_exact_in_the_end() -> Result<()> {
    let mut desktop = VirtualDesktop::start(800, 600)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    let monitor = |arguments: &[&str]| -> Result<()> {
        ensure!(desktop.command("xrandr").args(arguments).status()?.success(), "xrandr {arguments:?}");
        Ok(())
    };
    for n in 0..100 {
        let (width, height) = [(640, 480), (800, 600), (720, 400), (320, 240)][n % 4];
        desktop.resize(width, height)?;
        if n % 10 == 0 {
            // A second display comes and goes.
            monitor(&["--setmonitor", "beside", "100/26x100/26+200+100", "none"])?;
            desktop.xdotool(&["type", "--delay", "1", "x"])?;
            monitor(&["--delmonitor", "beside"])?;
        }
        // Of different length, so that the change falls into every moment of the recorder's.
        let_pass(Duration::from_millis((n as u64 * 7) % 40));
    }
    desktop.resize(640, 480)?;
    desktop.xdotool(&["type", "--delay", "5", "in the end"])?;
    let_pass(Duration::from_secs(1));
    let screenshot = desktop.screenshot((640, 480))?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(matches!(code, Some(0 | 3)), "exit code {code:?}");
    assert_last_picture(&bundle, (640, 480), &screenshot)?;
    let widths: Vec<_> = events(&bundle, &["geometry"])?
        .iter()
        .map(|event| event["root_width_px"].as_u64().unwrap())
        .collect();
    assert!(widths.len() > 50 && widths.last() == Some(&640), "{} geometries", widths.len());
    let text: String =
        events(&bundle, &["keys"])?.iter().filter_map(|key| Some(key["text"].as_str()?.to_owned())).collect();
    assert_eq!(text, "xxxxxxxxxxin the end");
    Ok(())
}

#[test]
fn what_a_compositor_shows_is_recorded_exactly() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.spawn("picom", &["--backend", "xrender", "--config", "/dev/null", "--shadow"])?;
    desktop.terminal(10, 10, &["cat"])?;
    let brush = Brush::new(&desktop.display)?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    for n in 0..30 {
        desktop.xdotool(&["type", "--delay", "1", "a"])?;
        let rect = Rect { x_px: 300 + n * 5, y_px: 40 + n * 11, width_px: 60, height_px: 30 };
        brush.paint(rect, [n as u8 * 8, 80, 160])?;
    }
    // A compositor may paint later than it was told to; two full compares fall into it.
    let_pass(Duration::from_millis(4_500));
    let screenshot = desktop.screenshot((640, 480))?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(0));
    assert_last_picture(&bundle, (640, 480), &screenshot)
}

#[test]
fn a_pause_while_something_is_amiss_shifts_nothing() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "Remapped Monitor of Null Output"])?;
    let log = || std::fs::read_to_string(folder.path().join("log"));
    let says = |text: &str, times: usize| wait_until(text, || Ok(log()?.matches(text).count() >= times));
    let mut typed = 0;
    let mut work = |desktop: &VirtualDesktop| -> Result<()> {
        typed += 1;
        desktop.xdotool(&["type", "--delay", "1", &typed.to_string()]).map(drop)
    };
    let pause = || recording.signal(Signal::USR1);
    work(&desktop)?;
    // Away before the pause, back in it; then away in a pause and back after it; then a display that changes and one that is
    // frozen meanwhile.
    desktop.pactl(&["unload-module", "module-remap-source"])?;
    says("the recording goes on without", 1)?;
    pause()?;
    desktop.pactl(&MICROPHONE)?;
    says("the voice is recorded again", 1)?;
    pause()?;
    let_pass(Duration::from_millis(300));
    work(&desktop)?;
    pause()?;
    desktop.pactl(&["unload-module", "module-remap-source"])?;
    says("the recording goes on without", 2)?;
    pause()?;
    let_pass(Duration::from_millis(300));
    work(&desktop)?;
    desktop.pactl(&MICROPHONE)?;
    says("the voice is recorded again", 2)?;
    pause()?;
    desktop.resize(320, 240)?;
    desktop.signal_display(Signal::STOP);
    let_pass(Duration::from_millis(4_000));
    pause()?;
    desktop.signal_display(Signal::CONT);
    let_pass(Duration::from_millis(500));
    work(&desktop)?;
    let_pass(Duration::from_secs(1));
    let (at, screenshot) = (recording.now_nanos(), desktop.screenshot((320, 240))?);
    let (bundle, _) = recording.stop(Signal::INT)?;
    assert_last_picture(&bundle, (320, 240), &screenshot)?;
    let text: String =
        events(&bundle, &["keys"])?.iter().filter_map(|key| Some(key["text"].as_str()?.to_owned())).collect();
    assert_eq!(text, "1234");
    // Nothing is still away at the end, and no gap ends before it begins.
    for gap in info(&bundle)?["gaps"].as_array().unwrap() {
        let (start, end) = (gap["start"].as_u64().unwrap(), gap["end"].as_u64());
        ensure!(end.is_some_and(|end| start <= end && end <= at), "{gap}");
    }
    Ok(())
}
