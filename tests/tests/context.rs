//! What an action was done to: the right window for every action, over several real programs.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::praxis::{Recording, events, ok, path};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn every_action_has_the_window_that_it_went_to() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1000, 700)?;
    desktop.terminal(20, 40, &["cat"])?;
    let notes = desktop.folder.path().join("home/notes.txt");
    std::fs::write(&notes, "what is known\n")?;
    desktop.spawn("mousepad", &["--disable-server", notes.to_str().context("a path")?])?;
    let find = |name: &str| desktop.xdotool(&["search", "--onlyvisible", "--name", name]);
    wait_until("an editor", || Ok(!find("notes.txt").unwrap_or_default().trim().is_empty()))?;
    let editor = find("notes.txt")?.lines().next().context("no editor")?.to_owned();
    desktop.xdotool(&["windowsize", "--sync", &editor, "520", "400"])?;
    desktop.xdotool(&["windowmove", "--sync", &editor, "430", "250"])?;
    desktop.xdotool(&["windowactivate", "--sync", &editor])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    // Each click waits until what came of it is there.
    let click = |x: i32, y: i32, active: &str| -> Result<()> {
        desktop.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"])?;
        wait_until(active, || Ok(desktop.xdotool(&["getactivewindow", "getwindowname"])?.contains(active)))?;
        // So that no two are a double click.
        let_pass(Duration::from_millis(700));
        Ok(())
    };
    click(100, 100, "terminal")?;
    desktop.xdotool(&["type", "--delay", "20", "typed here"])?;
    // A part of the editor that nothing covers: the window is not active yet when it is clicked.
    click(800, 560, "notes.txt")?;
    desktop.xdotool(&["type", "--delay", "20", "and there"])?;
    // The wheel goes to what is under the pointer, active or not.
    desktop.xdotool(&["mousemove", "100", "120", "click", "5"])?;
    let_pass(Duration::from_millis(700));
    // A menu, which reaches beyond its window's edge once that is small.
    desktop.xdotool(&["windowsize", "--sync", &editor, "520", "120"])?;
    let_pass(Duration::from_millis(300));
    let place = desktop.command("xwininfo").args(["-id", &editor]).output()?;
    let place = String::from_utf8(place.stdout)?;
    let number = |name: &str| -> Result<i32> {
        let line = place.lines().find_map(|line| line.trim().strip_prefix(name)).context("no geometry")?;
        Ok(line.trim().parse()?)
    };
    let (left, top) = (number("Absolute upper-left X:")?, number("Absolute upper-left Y:")?);
    click(left + 20, top + 12, "notes.txt")?;
    desktop.xdotool(&["mousemove", &(left + 60).to_string(), &(top + 200).to_string(), "click", "5"])?;
    let_pass(Duration::from_millis(700));
    desktop.xdotool(&["key", "Escape"])?;
    // Minimised, it is no window that a click goes to; nor on another workspace.
    desktop.xdotool(&["windowminimize", "--sync", &editor])?;
    let_pass(Duration::from_millis(500));
    desktop.xdotool(&["mousemove", "700", "400", "click", "1"])?;
    let_pass(Duration::from_millis(500));
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "exit code {code:?}");
    ok(&["check", path(&bundle)])?;
    let answer: Value = serde_json::from_str(&ok(&["actions", path(&bundle), "--json"])?)?;
    let done: Vec<(String, String)> = answer["actions"]
        .as_array()
        .context("no actions")?
        .iter()
        .filter(|action| ["click", "type", "scroll"].contains(&action["kind"].as_str().unwrap_or_default()))
        .map(|action| {
            let class = action["window"]["class"].as_str().unwrap_or("none");
            (action["kind"].as_str().unwrap().to_owned(), class.to_owned())
        })
        .collect();
    let is = |kind: &str, class: &str| (kind.to_owned(), class.to_owned());
    let expected = [
        is("click", "XTerm"),
        is("type", "XTerm"),
        is("click", "Mousepad"),
        is("type", "Mousepad"),
        is("scroll", "XTerm"),
        is("click", "Mousepad"),
        is("scroll", "Mousepad"),
        is("click", "none"),
    ];
    assert_eq!(done[..], expected);
    // Programs are known by their files, and no window is told where it is not.
    let told = events(&bundle, &["windows"])?;
    let executables: Vec<_> =
        told.iter().filter_map(|event| event["active"]["executable"].as_str()).collect();
    assert!(executables.contains(&"xterm") && executables.contains(&"mousepad"), "{executables:?}");
    let last = told.last().context("no windows")?;
    let shown: Vec<_> = last["shown"].as_array().unwrap().iter().map(|window| &window["class"]).collect();
    assert_eq!(shown, ["XTerm"]);
    Ok(())
}
