//! The player in a browser: its own tests against a server of the tests, then against the real programs.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::process::Command;

use anyhow::{Result, ensure};
use praxis_tests::collector::{Collector, Expert};
use praxis_tests::desktop::VirtualDesktop;
use praxis_tests::fixture::write_flashes;
use praxis_tests::praxis::{Opened, Recording, browse, path, program};
use rustix::process::Signal;

#[test]
fn the_player_shows_what_is_in_a_bundle_and_does_what_it_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("long.mcap");
    let made = Command::new(program("examples/long_bundle")?).arg(&bundle).status()?;
    ensure!(made.success(), "long_bundle: {made}");
    let flashes = folder.path().join("flashes.mcap");
    write_flashes(&flashes, 12)?;
    browse("player.mjs", &[("BUNDLE", path(&bundle)), ("FLASHES", path(&flashes))])
}

#[test]
fn a_real_session_is_played_by_praxis_open_and_by_the_collector() -> Result<()> {
    let mut desktop = VirtualDesktop::start(800, 600)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--title", "Played by a reviewer"])?;
    desktop.xdotool(&["mousemove", "100", "100"])?;
    desktop.speak("what is said while the work is done")?;
    desktop.xdotool(&["type", "--delay", "60", "typed by the expert\n"])?;
    desktop.xdotool(&["mousemove", "700", "500", "click", "1"])?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(0));

    let opened = Opened::start(&bundle)?;
    let data = folder.path().join("collector");
    let collector = Collector::start(&data)?;
    let expert = Expert::enrolled(&collector, "olympus", "heron-7")?;
    expert.ok(&["approve", path(&bundle)])?;
    ensure!(expert.ok(&["upload", path(&bundle), "--wait"])?.contains("verified"), "not verified");
    let token = collector.command(&["token", "new", "--role", "reviewer"])?;
    browse(
        "served.mjs",
        &[
            ("BUNDLE", path(&bundle)),
            ("OPENED", &opened.url),
            ("COLLECTOR", &collector.url),
            ("TOKEN", token.trim()),
            ("TITLE", "Played by a reviewer"),
        ],
    )
}
