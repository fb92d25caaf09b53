//! What an action was done to: the right window for every action over several real programs, and the right element in a form.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::messages::Element;
use praxis_capture_core::sources::x11;
use praxis_tests::contract;
use praxis_tests::desktop::{VirtualDesktop, inside_desktop, let_pass, wait_until};
use praxis_tests::form::{Form, PYTHON};
use praxis_tests::praxis::{Recording, events, info, ok, path};
use praxis_tests::processes::Ended;
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

/// A click as a hand makes it, and time to the next one, so that no two are a double click.
fn click_at(desktop: &VirtualDesktop, [x, y]: &[String; 2]) -> Result<()> {
    desktop.xdotool(&["mousemove", x, y, "mousedown", "1", "sleep", "0.12", "mouseup", "1"])?;
    let_pass(Duration::from_millis(700));
    Ok(())
}

#[test]
fn elements_of_gtk_keep_the_contract() -> Result<()> {
    inside_desktop("elements_of_gtk_keep_the_contract", || {
        let mut bus = Command::new("/usr/libexec/at-spi-bus-launcher");
        bus.arg("--launch-immediately").stdout(Stdio::null()).stderr(Stdio::null());
        let _bus = Ended(bus.spawn().context("at-spi2-core: run scripts/setup")?);
        let form = Form::start(Command::new(PYTHON), "form.py")?;
        let mut source = x11::Elements::open(None)?;
        let (role, name, rect) = ("button".into(), "Save".into(), form.rects["save"]);
        let save = Element { role, name, value: None, rect };
        contract::elements(&mut source, &save, (639, 479))
    })
}

#[test]
fn a_display_that_is_gone_leaves_a_gap_of_elements() -> Result<()> {
    let mut desktop = VirtualDesktop::start(320, 240)?;
    desktop.start_accessibility()?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    desktop.kill_display();
    // Nothing is left to record, though the accessibility bus lives.
    let (bundle, code) = recording.wait()?;
    assert_eq!(code, Some(3), "data was lost, and that is said");
    let info = info(&bundle)?;
    let gaps = info["gaps"].as_array().context("no gaps")?;
    ensure!(gaps.iter().any(|gap| gap["track"] == "elements" && gap["reason"] == "source_lost"), "{gaps:?}");
    Ok(())
}

#[test]
fn clicks_in_a_form_name_what_was_clicked_and_say_where_that_is_not_known() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1000, 700)?;
    desktop.start_accessibility()?;
    let mut form = Form::start(desktop.command(PYTHON), "form.py")?;
    desktop.terminal(560, 360, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    let click = |place: &[String; 2]| click_at(&desktop, place);
    for widget in ["name", "password", "agree", "save"] {
        click(&form.middle_of(widget)?)?;
    }
    assert_eq!([form.happens()?, form.happens()?], ["agreed", "saved"]);
    click(&form.middle_of("file")?)?;
    form.learn()?;
    // As a hand does it: the menu is there as long as the button is down.
    let open = form.middle_of("open")?;
    desktop.xdotool(&["mousemove", &open[0], &open[1], "mousedown", "1", "sleep", "0.2", "mouseup", "1"])?;
    assert_eq!(form.happens()?, "opened");
    let_pass(Duration::from_millis(700));
    // As no hand does it: the menu may be gone when it is asked for; what was beneath it was not clicked.
    click(&form.middle_of("file")?)?;
    assert!(form.happens()?["open"].is_object());
    desktop.xdotool(&["mousemove", &open[0], &open[1], "click", "1"])?;
    assert_eq!(form.happens()?, "opened");
    let_pass(Duration::from_millis(700));
    // Whoever types is not disturbed.
    click(&form.middle_of("name")?)?;
    let save = form.middle_of("save")?;
    desktop.xdotool(&["key", "x", "mousemove", &save[0], &save[1], "click", "1"])?;
    assert_eq!(form.happens()?, "saved");
    let_pass(Duration::from_millis(700));
    // A program that tells nothing, and the bare desktop.
    click(&["800".into(), "560".into()])?;
    click(&["990".into(), "10".into()])?;
    // A menu that hangs below nothing: what it covers was not clicked.
    desktop.xdotool(&["mousemove", &save[0], &save[1], "mousedown", "3", "sleep", "0.12", "mouseup", "3"])?;
    form.learn()?;
    let cut = form.middle_of("cut")?;
    desktop.xdotool(&["mousemove", &cut[0], &cut[1], "mousedown", "1", "sleep", "0.2", "mouseup", "1"])?;
    assert_eq!(form.happens()?, "cut out");
    let_pass(Duration::from_millis(700));
    // A program that hangs: every click is answered for.
    let sleep = form.middle_of("sleep")?;
    desktop.xdotool(&["mousemove", &sleep[0], &sleep[1], "click", "1"])?;
    assert_eq!(form.happens()?, "sleeps");
    for _ in 0..5 {
        desktop.xdotool(&["click", "1"])?;
    }
    let_pass(Duration::from_millis(1000));
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "exit code {code:?}");
    ok(&["check", path(&bundle)])?;

    let presses: Vec<Value> =
        events(&bundle, &["pointer"])?.into_iter().filter(|event| event["kind"] == "press").collect();
    let told = events(&bundle, &["elements"])?;
    let time = |event: &Value, field: &str| event[field].as_u64().unwrap();
    let pressed: Vec<_> = presses.iter().map(|press| time(press, "session_time_nanos")).collect();
    assert_eq!(told.iter().map(|told| time(told, "press_nanos")).collect::<Vec<_>>(), pressed, "one each");
    let known: Vec<_> = told.iter().map(|told| told["element"].clone()).collect();
    let element = |role: &str, name: &str, value: Option<&str>, widget: &str| -> Result<Value> {
        let (role, name, value, rect) =
            (role.into(), name.into(), value.map(str::to_owned), form.rects[widget]);
        Ok(serde_json::to_value(Element { role, name, value, rect })?)
    };
    let expected = [
        element("text", "Name", Some("Zoë"), "name")?,
        element("password text", "", None, "password")?,
        element("check box", "I agree", None, "agree")?,
        element("button", "Save", None, "save")?,
        element("menu", "File", None, "file")?,
        element("menu item", "Open recent", None, "open")?,
        element("menu", "File", None, "file")?,
    ];
    assert_eq!(known[..7], expected);
    ensure!(known[7].is_null() || known[7] == known[5], "beneath the menu: {}", known[7]);
    assert_eq!(known[8], expected[0]);
    let absent: Vec<_> = told[9..].iter().map(|told| told["absent"].as_str().unwrap_or("known")).collect();
    assert_eq!(absent[..4], ["typing", "not_told", "not_told", "known"]);
    assert_eq!(known[12], expected[3]);
    let cut = element("menu item", "Cut out a part of it", None, "cut")?;
    assert_eq!(known[13], cut, "{told:?}");
    assert_eq!(absent[5..], ["late"; 6], "{absent:?}");
    ensure!(!ok(&["events", path(&bundle)])?.contains("correct horse"), "a password is in the bundle");
    let answer: Value = serde_json::from_str(&ok(&["actions", path(&bundle), "--json"])?)?;
    let save = answer["actions"].as_array().context("no actions")?.iter();
    let save: Vec<_> = save.filter(|action| action["element"]["name"] == "Save").collect();
    assert_eq!((save.len(), &save[0]["kind"]), (2, &"click".into()));
    ensure!(ok(&["actions", path(&bundle)])?.contains(", button Save"));
    Ok(())
}

#[test]
fn what_lies_on_top_was_clicked_and_not_what_it_covers() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1000, 700)?;
    desktop.start_accessibility()?;
    let mut layers = Form::start(desktop.command(PYTHON), "layers.py")?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    let click = |place: &[String; 2]| click_at(&desktop, place);
    click(&layers.middle_of("page")?)?;
    click(&layers.middle_of("above")?)?;
    assert_eq!([layers.happens()?, layers.happens()?], ["On the page", "Above"]);
    click(&layers.middle_of("more")?)?;
    layers.learn()?;
    click(&layers.middle_of("inside")?)?;
    assert_eq!(layers.happens()?, "Inside");
    // The press opens its list, which is another thing.
    click(&layers.middle_of("fruit")?)?;
    assert_eq!(layers.happens()?, "fruits");
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "exit code {code:?}");
    let told = events(&bundle, &["elements"])?;
    let known = |told: &Value| {
        let element = &told["element"];
        (element["role"].clone(), element["name"].clone(), element["rect"].clone())
    };
    let is = |role: &str, name: &str, widget: &str| -> Result<(Value, Value, Value)> {
        Ok((role.into(), name.into(), serde_json::to_value(layers.rects[widget])?))
    };
    let expected = [
        is("button", "On the page", "page")?,
        is("button", "Above", "above")?,
        is("toggle button", "More", "more")?,
        is("button", "Inside", "inside")?,
        is("combo box", "cherry", "fruit")?,
    ];
    assert_eq!(told.iter().map(known).collect::<Vec<_>>(), expected);
    Ok(())
}
