//! The portable backends keep the contracts of their traits on a real X server, end with it loudly, and leave no process behind.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use praxis_bundle::manifest::{Keyboard, PointerSettings};
use praxis_bundle::messages::Rect;
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::sources::portable::{Beside, HELPER, Input, Screen};
use praxis_capture_core::sources::x11;
use praxis_tests::contract;
use praxis_tests::desktop::{SERVER_PID, VirtualDesktop, inside_desktop, resize_with, wait_until};
use praxis_tests::painter::Brush;
use praxis_tests::praxis::{Recording, info, ok, path, program};
use praxis_tests::processes;
use rustix::process::{Pid, Signal, kill_process};

fn time() -> SharedTime {
    Arc::new(SystemTime)
}

fn beside() -> Result<Option<Box<dyn Beside>>> {
    Ok(Some(Box::new(x11::Beside::open(None)?)))
}

/// Kills the X server of the desktop that this test is inside of.
fn kill_display() -> Result<()> {
    let pid = Pid::from_raw(std::env::var(SERVER_PID)?.parse()?).context("no process")?;
    kill_process(pid, Signal::KILL)?;
    wait_until("the end of the display", || Ok(x11::reach(None).is_err()))
}

#[test]
fn scrap_keeps_the_contract_of_pictures() -> Result<()> {
    inside_desktop("scrap_keeps_the_contract_of_pictures", || {
        let mut screen = Screen::open(time(), beside()?)?;
        let brush = Brush::new(&std::env::var("DISPLAY")?)?;
        contract::screen(&mut screen, &|rect, colour| brush.paint(rect, colour))?;
        let rearrange = || resize_with(&|| Command::new("xrandr"), 300, 200);
        contract::screen_geometry(&mut screen, (300, 200), &rearrange)?;
        // What is painted over with the same colour is no change.
        brush.paint(Rect { x_px: 0, y_px: 0, width_px: 300, height_px: 200 }, [0; 3])?;
        contract::screen(&mut screen, &|rect, colour| brush.paint(rect, colour))?;
        kill_display()?;
        contract::lost_screen(&mut screen);
        Ok(())
    })
}

#[test]
fn rdev_keeps_the_contract_of_input() -> Result<()> {
    inside_desktop("rdev_keeps_the_contract_of_input", || {
        let settings = x11::Beside::settings(None)?;
        let mut input = Input::new(time(), &program("praxis")?, settings, beside()?);
        // A source can be run again, and misses nothing of the second run either.
        for _ in 0..2 {
            contract::input(&mut input, &|n| {
                let arguments = ["mousemove", &(100 + n).to_string(), "50", "key", "a"];
                ensure!(Command::new("xdotool").args(arguments).status()?.success());
                Ok(())
            })?;
        }
        let mut windows = x11::Windows::open(time(), None)?;
        contract::lost_streams(&mut input, &mut windows, &kill_display)
    })
}

#[test]
fn a_program_that_is_no_helper_is_a_lost_source() -> Result<()> {
    inside_desktop("a_program_that_is_no_helper_is_a_lost_source", || {
        let settings = (Keyboard { layouts: vec!["us".into()] }, PointerSettings::default());
        let mut input = Input::new(time(), "/bin/false".as_ref(), settings, beside()?);
        let ended = contract::ends(&mut input)?;
        ensure!(ended.is_err_and(|error| error.to_string().contains("has ended")));
        Ok(())
    })
}

/// The helpers of a recorder.
fn helpers(recorder: u32) -> Result<Vec<u32>> {
    Ok(processes::tree(recorder)?.into_iter().filter(|pid| is_helper(*pid)).collect())
}

/// Whether a process runs and is a helper; one that has ended has no command line any more.
fn is_helper(pid: u32) -> bool {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split('\0').nth(1) == Some(HELPER)
}

#[test]
fn a_recorder_that_is_killed_leaves_no_helper() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let folder = tempfile::tempdir()?;
    let mut recording = Recording::start(&desktop, folder.path(), &["--mic", "none", "--input", "rdev"])?;
    let mut helper = Vec::new();
    wait_until("a helper", || {
        helper = helpers(recording.child.id())?;
        Ok(!helper.is_empty())
    })?;
    assert_eq!(helper.len(), 1);
    recording.signal(Signal::KILL)?;
    recording.child.wait()?;
    wait_until("the end of the helper", || Ok(!is_helper(helper[0])))
}

#[test]
fn a_helper_that_hangs_or_is_killed_is_said() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none", "--input", "rdev"])?;
    let pid = helpers(recording.child.id())?[0] as i32;
    let helper = Pid::from_raw(pid).context("no process")?;
    let says = |words: &str| {
        wait_until(words, || Ok(std::fs::read_to_string(folder.path().join("log"))?.contains(words)))
    };
    kill_process(helper, Signal::STOP)?;
    says("keys has shown no life for 3 seconds")?;
    kill_process(helper, Signal::KILL)?;
    says("the process that hears input has ended")?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(3), "data was lost, and that is said");
    ok(&["check", path(&bundle)])?;
    let info = info(&bundle)?;
    let gaps = info["gaps"].as_array().context("no gaps")?;
    ensure!(gaps.iter().any(|gap| gap["track"] == "keys" && gap["reason"] == "source_lost"), "{gaps:?}");
    Ok(())
}

#[test]
fn a_display_that_is_gone_ends_the_recording_and_the_file_is_sound() -> Result<()> {
    let mut desktop = VirtualDesktop::start(320, 240)?;
    let folder = tempfile::tempdir()?;
    let arguments = ["--mic", "none", "--screen", "scrap", "--input", "rdev"];
    let recording = Recording::start(&desktop, folder.path(), &arguments)?;
    let helper = helpers(recording.child.id())?;
    desktop.kill_display();
    let (bundle, code) = recording.wait()?;
    assert_eq!(code, Some(3), "data was lost, and that is said");
    ok(&["check", path(&bundle)])?;
    let info = info(&bundle)?;
    let gaps = info["gaps"].as_array().context("no gaps")?;
    for track in ["screen/0", "pointer", "keys"] {
        let is_named = gaps.iter().any(|gap| gap["track"] == track && gap["reason"] == "source_lost");
        ensure!(is_named, "no gap of {track}: {gaps:?}");
    }
    wait_until("the end of the helper", || Ok(!helper.iter().any(|pid| is_helper(*pid))))
}
