//! The desktop application, driven as an expert drives it: enrol, record real programs with speech, pause, mark, stop,
//! approve, upload, verified, leave; by the window and by the tray. Killed in the middle, the session is there at the next
//! start. What cannot go on says so, with the way out.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::file;
use praxis_tests::app::App;
use praxis_tests::bus::{Keychain, files_with};
use praxis_tests::collector::{Collector, Http};
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::fixture::{damage, write_large};
use praxis_tests::praxis::{events, info, ok, path, program};
use praxis_tests::tray::Tray;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn sessions(desktop: &VirtualDesktop) -> Result<Vec<PathBuf>> {
    let folder = desktop.folder.path().join("data/praxis/sessions");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "mcap"));
    paths.sort();
    Ok(paths)
}

/// Starts a recording of that title; returns when it has begun.
fn record(app: &App<'_>, title: &str) -> Result<()> {
    app.click("#nav-record")?;
    app.type_into("#title", title)?;
    app.click("#start")?;
    app.find("#hud-stop")?;
    Ok(())
}

fn enrol(app: &App<'_>, collector: &Collector, expert: &str) -> Result<()> {
    let code = collector.command(&["code", "new", "--project", "Olympus physics", "--expert", expert])?;
    if !app.has("#join-address")? {
        app.click("#join-project")?;
    }
    app.type_into("#join-address", &collector.url)?;
    app.type_into("#join-code", &code)?;
    app.click("#join")?;
    app.wait_for_text("#enrolled", expert)
}

/// What the settings are before it starts.
fn set(desktop: &VirtualDesktop, settings: &Value) -> Result<()> {
    let folder = desktop.folder.path().join("home/.config/praxis");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("settings.json"), settings.to_string())?)
}

/// Asks for a recording past the page, which does not let one begin; returns the sentence that refuses it.
fn refusal(app: &App<'_>) -> Result<String> {
    app.script(
        "window.refusal = null;
         window.__TAURI_INTERNALS__.invoke('start_recording', {title: 'x'})
             .then(() => (window.refusal = 'it began'), (problem) => (window.refusal = problem.message));",
    )?;
    let mut said = Value::Null;
    wait_until("an answer", || {
        said = app.script("return window.refusal")?;
        Ok(!said.is_null())
    })?;
    Ok(said.as_str().context("no sentence")?.to_owned())
}

/// The window of the application is covered in the picture, where the bundle says so.
fn assert_covered(bundle: &Path) -> Result<()> {
    let picture = file::picture_at(bundle, 0, 2_000_000_000)?;
    // What was covered when the picture was taken: before, the bar may have been somewhere else.
    let is_before = |message: &&Value| {
        message["session_time_nanos"].as_u64().is_some_and(|at| at <= picture.times.capture_end)
    };
    let geometry = events(bundle, &["geometry"])?;
    let masks =
        geometry.iter().filter(is_before).filter_map(|message| message["masks"].as_array()).next_back();
    let hud = masks.into_iter().flatten().map(|mask| &mask["rect"]).find(|rect| rect["width_px"] == 452);
    let hud = hud.with_context(|| format!("no mask of the bar in {geometry:?}"))?;
    let side = |name: &str| hud[name].as_u64().unwrap_or_default() as usize;
    let row = (side("y_px") + side("height_px") / 2) * picture.width_px as usize;
    let pixels = (row + side("x_px")) * 3..(row + side("x_px") + side("width_px")) * 3;
    let expected = [praxis_bundle::screen::MASK_BGR; 452].concat();
    assert_eq!(picture.bgr[pixels], expected);
    Ok(())
}

#[test]
fn from_enrolment_to_verified_in_the_application() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let mut desktop = VirtualDesktop::start(1366, 768)?;
    desktop.terminal(40, 500, &["sh"])?;
    let keychain = Keychain::start(&desktop.bus, &desktop.folder.path().join("home"))?;
    let app = App::start(&desktop)?;
    enrol(&app, &collector, "expert-7")?;
    app.wait_for_text("#token", "in the keychain")?;
    let secret = keychain.secret("praxis", &collector.url)?.context("no token in the keychain")?;
    assert_eq!(files_with(desktop.folder.path(), secret.as_bytes())?, [] as [&Path; 0]);

    record(&app, "Sum of a series")?;
    desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
    desktop.xdotool(&["type", "--delay", "40", "echo before"])?;
    desktop.speak("I add the numbers.")?;
    // The marker is set and named in the application: neither its clicks nor its keys belong to the session.
    app.click_by_hand("#hud-marker")?;
    // Keys of the display do not reach a page that is driven; keys into own windows are tested with the sources.
    app.type_into("#marker-note", "the idea\u{e007}")?;
    wait_until("a named marker", || Ok(!app.has("#marker-note")?))?;
    app.click_by_hand("#hud-pause")?;
    app.find("#hud-resume")?;
    desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
    desktop.xdotool(&["type", "--delay", "20", "secret"])?;
    app.click("#hud-resume")?;
    app.find("#hud-pause")?;
    desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
    desktop.xdotool(&["type", "--delay", "40", " after\n"])?;
    let_pass(Duration::from_millis(500));
    desktop.xdotool(&["key", "ctrl+alt+s"])?;
    app.click("#outcome-success")?;
    app.type_into("#note", "As expected")?;
    app.click("#keep")?;
    app.find("[data-session][data-state=ready]")?;

    let [bundle] = &sessions(&desktop)?[..] else { anyhow::bail!("not one session") };
    ok(&["check", path(bundle)])?;
    let facts = info(bundle)?;
    assert_eq!(facts["title"], "Sum of a series");
    let typed: String = events(bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(typed, "echo before after\n");
    let presses = events(bundle, &["pointer"])?.into_iter().filter(|event| event["kind"] == "press");
    assert_eq!(presses.count(), 0, "a click on the application is in the session");
    let keys = events(bundle, &["keys"])?;
    let is_hotkey =
        |key: &Value| key["keysym"] == "s" && key["modifiers"].as_array().is_some_and(|m| m.len() > 1);
    assert!(!keys.iter().any(is_hotkey), "a hotkey is in the session");
    assert_covered(bundle)?;
    let manifest = file::info_of(bundle)?;
    assert_eq!(manifest.manifest.project.as_deref(), Some("Olympus physics"));
    assert_eq!(manifest.manifest.expert.as_deref(), Some("expert-7"));
    assert_eq!(manifest.markers.len(), 1);
    assert_eq!(manifest.markers[0].1, "the idea");
    let ending = manifest.ending.context("no ending")?;
    assert_eq!(ending.note.as_deref(), Some("As expected"));
    ensure!(manifest.gaps.iter().any(|gap| gap.end_nanos.is_some()), "no pause in {:?}", manifest.gaps);

    app.click("[data-session] .approve")?;
    app.click("#approve-confirm")?;
    app.find("[data-session][data-state=verified]")?;
    let token = collector.command(&["token", "new", "--role", "reviewer"])?;
    let listed = Http::new(&collector.url, Some(&token)).json("/api/v1/bundles")?;
    let listed = listed["bundles"].as_array().context("no list")?.clone();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["state"], "verified");
    assert_eq!(listed[0]["sha256"], file::sha256(bundle)?.as_str());

    app.click("[data-session] .free")?;
    app.click("#free-confirm")?;
    wait_until("a freed copy", || Ok(sessions(&desktop)?.is_empty()))?;

    app.click("#nav-enrol")?;
    app.click("#leave")?;
    app.click("#leave-confirm")?;
    app.find("#join-code")?;
    assert_eq!(keychain.secret("praxis", &collector.url)?, None);
    Ok(())
}

#[test]
fn the_tray_says_what_goes_on_and_its_menu_does_what_it_says() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1366, 768)?;
    set(&desktop, &json!({"countdown_seconds": 0, "has_voice": false}))?;
    desktop.terminal(40, 500, &["cat"])?;
    let tray = Tray::start(&desktop.bus)?;
    let app = App::start(&desktop)?;
    let icon = tray.icon()?;
    assert!(icon.is_shown()? && Path::new(&icon.picture()?).is_file(), "{}", icon.picture()?);
    icon.wait_for_words(&["Start recording", "", "Show Praxis", "Quit"])?;
    assert_eq!(icon.label()?, "");
    let window = app.window()?;
    desktop.xdotool(&["windowminimize", &window])?;
    wait_until("a minimized window", || Ok(app.window().is_err()))?;
    icon.choose("Show Praxis")?;
    wait_until("the window", || Ok(app.window().is_ok()))?;

    // The first start shows how to join a project.
    app.find("#join-address")?;
    app.click("#nav-record")?;
    app.find("#start:not([disabled])")?;
    icon.choose("Start recording")?;
    app.find("#hud-stop")?;
    icon.wait_for_words(&["Pause", "Set a marker", "Stop", "", "Show Praxis", "Quit"])?;
    assert_eq!(icon.label()?, "Recording");
    let type_in_terminal = |text: &str| -> Result<()> {
        desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
        desktop.xdotool(&["type", "--delay", "20", text])?;
        Ok(())
    };
    type_in_terminal("before ")?;
    icon.choose("Set a marker")?;
    icon.choose("Pause")?;
    icon.wait_for_words(&["Resume", "Stop", "", "Show Praxis", "Quit"])?;
    assert_eq!(icon.label()?, "Paused");
    type_in_terminal("secret")?;
    icon.choose("Resume")?;
    icon.wait_for_words(&["Pause", "Set a marker", "Stop", "", "Show Praxis", "Quit"])?;
    type_in_terminal("after")?;
    let_pass(Duration::from_millis(300));
    icon.choose("Stop")?;
    icon.wait_for_words(&["Show Praxis", "Quit"])?;
    // The bar grows into a window: a click that comes too early falls beside the button, and a person clicks again.
    wait_until("a session that was kept", || {
        if app.has("#keep:not([disabled])")? {
            app.click("#keep")?;
        }
        app.has("[data-session][data-state=ready]")
    })?;
    icon.wait_for_words(&["Start recording", "", "Show Praxis", "Quit"])?;
    assert_eq!(icon.label()?, "");

    let [bundle] = &sessions(&desktop)?[..] else { anyhow::bail!("not one session") };
    ok(&["check", path(bundle)])?;
    let typed: String = events(bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(typed, "before after");
    let facts = info(bundle)?;
    assert_eq!(facts["markers"].as_array().map(Vec::len), Some(1));
    icon.choose("Quit")?;
    wait_until("the end of the application", || Ok(icon.words().is_err()))
}

#[test]
fn a_full_disk_a_damaged_and_a_rejected_session_are_shown_with_the_way_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let desktop = VirtualDesktop::start(1366, 768)?;
    let library = desktop.folder.path().join("data/praxis/sessions");
    std::fs::create_dir_all(&library)?;
    let free_mib = rustix::fs::statvfs(&library).map(|stat| (stat.f_bavail * stat.f_frsize) >> 20)?;
    // Twice of it: others may make room meanwhile.
    set(&desktop, &json!({"keep_free_mib": 2 * free_mib, "has_voice": false}))?;
    let [damaged, rejected] = ["damaged.mcap", "rejected.mcap"].map(|name| library.join(name));
    for bundle in [&damaged, &rejected] {
        write_large(bundle, 3)?;
        damage(bundle)?;
    }
    // An approval that no program of ours gives.
    let approval = json!({
        "bundle_id": file::info_of(&rejected)?.manifest.bundle_id, "sha256": file::sha256(&rejected)?,
        "approved_at_millis": 1, "statement_version": "1",
    });
    std::fs::write(file::with_suffix(&rejected, ".approval"), approval.to_string())?;
    let app = App::start(&desktop)?;

    app.wait_for_text("#obstacle", "too little room on the disk")?;
    app.find("#start[disabled]")?;
    let why = refusal(&app)?;
    assert!(why.contains("are needed to record"), "{why}");
    assert_eq!(sessions(&desktop)?, [damaged.clone(), rejected.clone()], "nothing is left of it");
    // The page goes back to where one records when it hears that the recording did not begin.
    wait_until("the settings", || {
        app.click("#nav-settings")?;
        app.has("#keepFreeMib")
    })?;
    app.script(
        "const field = document.querySelector('#keepFreeMib');
         field.value = 64;
         field.dispatchEvent(new Event('change', {bubbles: true}));",
    )?;
    app.click("#nav-record")?;
    app.find("#start:not([disabled])")?;

    app.click("#nav-library")?;
    let row = |bundle: &Path| {
        format!("[data-session='{}']", bundle.file_name().unwrap_or_default().to_string_lossy())
    };
    app.wait_for_text(&row(&damaged), "what can be read can be made whole, and the damaged file is kept")?;
    app.click(&format!("{} .seal", row(&damaged)))?;
    app.wait_for_text(&format!("{}[data-state=ready]", row(&damaged)), "Recovered")?;
    ok(&["check", path(&damaged)])?;
    assert!(file::with_suffix(&damaged, ".damaged").exists());

    enrol(&app, &collector, "expert-7")?;
    app.click("#nav-library")?;
    let its_row = format!("{}[data-state=rejected]", row(&rejected));
    app.wait_for_text(&its_row, "Make it whole, then approve it again. Why: it is damaged")?;
    app.click(&format!("{its_row} .seal"))?;
    app.click(&format!("{}[data-state=ready] .approve", row(&rejected)))?;
    app.wait_for_text(".losses", "all tracks from 0:00:00 to 0:00:00: damaged")?;
    app.click("#approve-confirm")?;
    app.find(&format!("{}[data-state=verified]", row(&rejected)))?;
    app.find(&format!("{}[data-state=ready]", row(&damaged)))?;
    Ok(())
}

#[test]
fn a_wayland_session_is_refused_with_one_sentence_and_never_recorded_black() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1366, 768)?;
    let socket = "wayland-of-test";
    let wayland = [("WAYLAND_DISPLAY", socket), ("DISPLAY", ""), ("XDG_SESSION_TYPE", "wayland")];
    let desktop_program = program("praxis-desktop")?;
    let nowhere = desktop.command(&desktop_program).envs(wayland).output()?;
    let says = String::from_utf8_lossy(&nowhere.stderr);
    ensure!(
        nowhere.status.code() == Some(1) && says.contains("no display") && !says.contains("panicked"),
        "{says}"
    );

    let log = desktop.folder.path().join("weston.log");
    let arguments =
        ["--backend=headless-backend.so", "--idle-time=0", "--socket", socket, "--log", path(&log)];
    desktop.spawn("weston", &arguments)?;
    let at = desktop.folder.path().join("run").join(socket);
    wait_until("a compositor", || Ok(std::os::unix::net::UnixStream::connect(&at).is_ok()))?;
    let app = App::start_program(&desktop, &desktop_program, &wayland)?;
    app.find("#join-address")?;
    app.click("#nav-record")?;
    app.wait_for_text("#problem", "this is a Wayland session, which Praxis cannot record yet")?;
    app.wait_for_text("#problem", "log in to an X11 (Xorg) session")?;
    app.find("#start[disabled]")?;
    let why = refusal(&app)?;
    assert!(why.contains("log in to an X11 (Xorg) session"), "{why}");

    // The same where a display of X11 is there, too, which shows some windows only.
    let folder = tempfile::tempdir()?;
    let mut record = desktop.command(program("praxis")?);
    record.args(["record", "--mic", "none", "--out", path(folder.path())]).env("XDG_SESSION_TYPE", "wayland");
    let refused = record.output()?;
    let says = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1) && says.contains("log in to an X11 (Xorg) session"), "{says}");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
    assert_eq!(sessions(&desktop)?, [] as [&Path; 0]);
    Ok(())
}

#[test]
fn make_run_opens_the_application_and_a_collector_that_know_each_other() -> Result<()> {
    let desktop = VirtualDesktop::start(1366, 768)?;
    let programs = program("praxis-desktop")?.parent().context("no folder")?.to_owned();
    let folder = desktop.folder.path().join("run-twice");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/run");
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let mut run = desktop.command("bash");
        run.args([path(&script), path(&programs), path(&folder)]);
        let log = std::fs::File::create(desktop.folder.path().join("run.log"))?;
        let mut run = run.stdout(log.try_clone()?).stderr(log).spawn()?;
        let search = ["search", "--onlyvisible", "--class", "praxis-desktop", "getwindowpid"];
        let mut pid = None;
        // A window is there a little earlier than what it says of its process.
        wait_until("the application", || {
            let says = desktop.xdotool(&search)?;
            pid = says.lines().find_map(|line| Pid::from_raw(line.trim().parse().ok()?));
            Ok(pid.is_some())
        })?;
        let enrolment = std::fs::read_to_string(folder.join("config/praxis/enrolment.json"))?;
        let enrolment: Value = serde_json::from_str(&enrolment)?;
        let url = enrolment["collector"].as_str().context("not enrolled")?.to_owned();
        assert_eq!(Http::new(&url, None).ask("GET", "/healthz", &[], &[])?.status(), 200);
        addresses.push(url.clone());
        kill_process(pid.context("no process")?, Signal::TERM)?;
        ensure!(run.wait()?.success(), "{}", std::fs::read_to_string(desktop.folder.path().join("run.log"))?);
        ensure!(Http::new(&url, None).ask("GET", "/healthz", &[], &[]).is_err(), "the collector is still up");
    }
    assert_eq!(addresses[0], addresses[1], "what waits to be sent must find its collector again");
    Ok(())
}

#[test]
fn a_killed_application_has_the_session_at_its_next_start() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1366, 768)?;
    desktop.terminal(40, 500, &["cat"])?;
    let app = App::start(&desktop)?;
    record(&app, "Interrupted")?;
    desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
    desktop.xdotool(&["type", "--delay", "40", "kept"])?;
    // What is older than half a second is on disk.
    let_pass(Duration::from_millis(700));
    app.kill()?;
    let app = App::start(&desktop)?;
    app.click("#nav-library")?;
    app.wait_for_text("[data-session][data-state=ready]", "Recovered")?;
    let [bundle] = &sessions(&desktop)?[..] else { anyhow::bail!("not one session") };
    ok(&["check", path(bundle)])?;
    let typed: String = events(bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(typed, "kept");

    // A second one is refused even where it does not find the first one's bus: its window would be in the recording.
    let second =
        desktop.command(program("praxis-desktop")?).env("DBUS_SESSION_BUS_ADDRESS", "disabled:").output()?;
    let says = String::from_utf8_lossy(&second.stderr);
    ensure!(second.status.code() == Some(1) && says.contains("is running already"), "{says}");
    let lost = desktop.command(program("praxis-desktop")?).env_remove("DISPLAY").output()?;
    let says = String::from_utf8_lossy(&lost.stderr);
    ensure!(lost.status.code() == Some(1) && says.contains("DISPLAY is not set"), "{says}");

    // A signal in a recording ends it well.
    record(&app, "Ended by the system")?;
    let_pass(Duration::from_millis(500));
    app.terminate()?;
    let app = App::start(&desktop)?;
    app.click("#nav-library")?;
    wait_until("two sealed sessions", || {
        Ok(sessions(&desktop)?.iter().filter(|path| file::info_of(path).is_ok_and(|i| i.is_sealed)).count()
            == 2)
    })?;
    ensure!(file::info_of(&sessions(&desktop)?[1])?.ending.is_some(), "a signal is no crash");
    Ok(())
}
