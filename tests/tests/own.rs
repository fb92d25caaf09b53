//! What is the recorder's own is not recorded: its windows are covered and declared, its clicks, keys and hotkeys left out.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::manifest::{EndReason, Lossy};
use praxis_bundle::messages::{GeometryMessage, KeyKind, Modifier, PointerKind, Rect};
use praxis_bundle::screen::{Decoder, MASK_BGR};
use praxis_bundle::{Track, file};
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::recorder::{
    DEFAULT_RESERVE_BYTES, DisplayChoice, Plan, RecordError, Recorder, Voice,
};
use praxis_capture_core::sources::synthetic::Stage;
use praxis_capture_core::sources::{InputEvent, Own, ScreenSource, Wake, x11};
use praxis_tests::contract;
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::fingers::Fingers;
use praxis_tests::own_window::OwnWindow;

/// A colour that nothing else has.
const SECRET: [u8; 3] = [0x12, 0xfe, 0x34];

fn time() -> SharedTime {
    Arc::new(SystemTime)
}

fn rect(x_px: i32, y_px: i32, width_px: u32, height_px: u32) -> Rect {
    Rect { x_px, y_px, width_px, height_px }
}

fn hides_windows() -> Own {
    Own { hides_windows: true, ..Own::default() }
}

fn plan(folder: &Path, stage: &Stage, screen: Box<dyn ScreenSource>) -> Plan {
    Plan {
        storage: Arc::new(praxis_bundle::storage::Disk),
        folder: folder.to_owned(),
        displays: DisplayChoice::All,
        max_fps: 60.0,
        lossy: Lossy::Never,
        title: None,
        project: None,
        sound: Voice::None,
        clipboard_text: false,
        sync: None,
        reserve_bytes: DEFAULT_RESERVE_BYTES,
        screen,
        input: Box::new(stage.input()),
        windows: Box::new(stage.windows()),
        elements: None,
        voice: Voice::None,
    }
}

/// What a bundle's pictures show and what it says of them.
#[derive(Debug, Default)]
struct Seen {
    pictures: usize,
    covered_pictures: usize,
    secret_pixels: usize,
    /// Declared as covered, and not.
    open_pixels: usize,
    /// Covered, and not declared.
    undeclared_pixels: usize,
}

/// Compares every picture with the newest geometry message that is not younger.
fn look_at(bundle: &Path) -> Result<Seen> {
    let mut geometries: Vec<(u64, GeometryMessage)> = Vec::new();
    file::for_each_message(bundle, |channel, _, nanos, data| {
        if channel.track == Track::Geometry {
            geometries.push((nanos, serde_json::from_slice(data).unwrap()));
        }
        Ok(())
    })?;
    assert!(geometries.is_sorted_by_key(|(nanos, _)| *nanos));
    let (mut seen, mut decoders) = (Seen::default(), [Decoder::new(0), Decoder::new(1)]);
    file::for_each_message(bundle, |channel, sequence, nanos, data| {
        let Track::Screen(number) = channel.track else { return Ok(()) };
        let picture = decoders[usize::from(number)].apply(sequence, data)?;
        let known = geometries.iter().rfind(|(at, _)| *at <= nanos);
        let geometry = &known.expect("the displays are told first").1;
        let display = geometry.displays.iter().find(|display| display.number == number).unwrap().rect;
        let masks: Vec<Rect> = geometry.masks.iter().map(|mask| mask.rect.clip(display)).collect();
        seen.pictures += 1;
        seen.covered_pictures += usize::from(masks.iter().any(|mask| !mask.is_empty()));
        for (at, pixel) in picture.bgr.chunks_exact(3).enumerate() {
            let (x, y) = (at as u32 % picture.width_px, at as u32 / picture.width_px);
            let (x, y) = (display.x_px + x as i32, display.y_px + y as i32);
            let is_declared = masks.iter().any(|mask| mask.contains(x, y));
            seen.secret_pixels += usize::from(pixel == SECRET);
            seen.open_pixels += usize::from(is_declared && pixel != MASK_BGR);
            seen.undeclared_pixels += usize::from(!is_declared && pixel == MASK_BGR);
        }
        Ok(())
    })?;
    Ok(seen)
}

fn assert_covered(seen: &Seen) {
    assert!(seen.covered_pictures > 3, "{seen:?}");
    assert_eq!((seen.secret_pixels, seen.open_pixels, seen.undeclared_pixels), (0, 0, 0), "{seen:?}");
}

/// Whether the newest picture of a file that is being written has no mask; its end may be half written when it is read.
fn is_open(live: &Path) -> bool {
    let picture = file::picture_at(live, 0, u64::MAX);
    picture.is_ok_and(|picture| !picture.bgr.chunks_exact(3).any(|pixel| pixel == MASK_BGR))
}

#[test]
fn every_picture_has_exactly_the_masks_that_were_declared_before_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(200, 120), (100, 160)]);
    let recorder = Recorder::start(time(), plan(folder.path(), &stage, Box::new(stage.screen())))?;
    let path = recorder.path().to_owned();
    let num_covered = || -> Result<usize> { Ok(look_at(&path)?.covered_pictures) };
    // The first is on both displays; the last ones change where something else is painted at the same time.
    let places = [
        vec![rect(180, 10, 40, 40)],
        vec![rect(10, 10, 30, 30), rect(15, 15, 5, 5), rect(250, 100, 20, 200)],
        vec![rect(11, 10, 30, 30)],
        vec![rect(-20, -20, 60, 60)],
    ];
    for (round, own) in places.iter().enumerate() {
        let before = num_covered()?;
        stage.own(own);
        own.iter().for_each(|rect| {
            stage.paint(rect.clip(Rect { x_px: 0, y_px: 0, width_px: 300, height_px: 120 }), SECRET);
        });
        stage.paint(rect(100, 100, 10, 10), [round as u8, 1, 2]);
        wait_until("a covered picture", || Ok(num_covered()? > before))?;
        stage.paint(rect(120, 100, 10, 10), [round as u8, 3, 4]);
        // What is left behind is painted over before it is shown again.
        own.iter().for_each(|rect| {
            stage.paint(rect.clip(Rect { x_px: 0, y_px: 0, width_px: 300, height_px: 120 }), [9, 9, 9]);
        });
    }
    stage.own(&[]);
    wait_until("a picture without masks", || Ok(is_open(&path)))?;
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let seen = look_at(&recorded.path)?;
    assert_covered(&seen);
    let report = file::check_file(&recorded.path)?;
    assert!(report.is_sound(), "{:?}", report.findings);
    Ok(())
}

#[test]
fn displays_are_chosen_by_names_and_numbers_and_an_unknown_one_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(64, 64), (32, 64), (96, 64)]);
    let mut chosen = plan(folder.path(), &stage, Box::new(stage.screen()));
    chosen.displays = DisplayChoice::Named(vec!["stage-2".into(), "0".into()]);
    let recorder = Recorder::start(time(), chosen)?;
    let tracks = recorder.status().tracks.into_iter().map(|track| track.track);
    let screens: Vec<_> = tracks.filter(|track| track.starts_with("screen")).collect();
    assert_eq!(screens, ["screen/0", "screen/2"]);
    recorder.stop(EndReason::Stopped, None, None)?;
    let mut unknown = plan(folder.path(), &stage, Box::new(stage.screen()));
    unknown.displays = DisplayChoice::Named(vec!["0".into(), "stage-7".into()]);
    let refused = Recorder::start(time(), unknown).err().context("it records what is not there")?;
    assert!(matches!(refused, RecordError::Source(_)));
    let says = "there is no display \"stage-7\"; there are: 0 (stage-0), 1 (stage-1), 2 (stage-2)";
    assert_eq!(refused.to_string(), says);
    Ok(())
}

#[test]
fn own_windows_are_never_in_a_picture_wherever_they_move() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    let display = desktop.display.clone();
    ensure!(desktop.command("xsetroot").args(["-solid", "#203040"]).status()?.success(), "xsetroot");
    // Something else changes all the time.
    desktop.spawn("xterm", &["-geometry", "40x10+0+0", "-e", "while true; do date +%N; done"])?;
    // One is there before the recorder, and none of its events is seen.
    let early = OwnWindow::open(&display, rect(300, 20, 60, 60), SECRET, true)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(8, 8)]);
    let screen = x11::Screen::open(time(), Some(&display), &hides_windows())?;
    let recorder = Recorder::start(time(), plan(folder.path(), &stage, Box::new(screen)))?;
    let framed = OwnWindow::open(&display, rect(100, 100, 120, 90), SECRET, true)?;
    let menu = OwnWindow::open(&display, rect(400, 300, 50, 70), SECRET, false)?;
    for step in 0..50 {
        framed.place(rect(100 + step * 5, 100 + step * 3, 120 + step as u32, 90))?;
        menu.place(rect(400 - step * 7, 300 - step * 5, 50, 70 + step as u32))?;
        let popup = OwnWindow::open(&display, rect(step * 12, 400, 40, 40), SECRET, false)?;
        if step % 3 == 0 {
            menu.show(step % 2 == 0)?;
            framed.show(step % 2 == 1)?;
        }
        if step % 2 == 0 {
            let_pass(Duration::from_millis(15));
        }
        drop(popup);
    }
    drop((early, menu, framed));
    wait_until("a picture without masks", || Ok(is_open(recorder.path())))?;
    let backends = file::info_of(recorder.path())?.manifest.backends;
    assert!(backends[0].cannot[0].contains("own windows"), "{backends:?}");
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let seen = look_at(&recorded.path)?;
    assert_covered(&seen);
    Ok(())
}

#[test]
fn what_happens_beneath_a_mask_is_no_damage_and_its_end_is() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let display = desktop.display.clone();
    let mut screen = x11::Screen::open(time(), Some(&display), &hides_windows())?;
    let whole = rect(0, 0, 320, 240);
    screen.grab(&[whole])?;
    assert!(screen.masks().is_empty());
    let place = rect(50, 60, 70, 80);
    let window = OwnWindow::open(&display, place, SECRET, false)?;
    assert_eq!(screen.wait(Duration::from_secs(20))?, Wake::Damaged);
    assert!(screen.take_damage()?.contains(&place));
    screen.grab(&[whole])?;
    assert_eq!(screen.masks(), [place]);
    // Its own paint is beneath the mask.
    let inside = OwnWindow::open(&display, rect(60, 70, 10, 10), [1, 2, 3], false)?;
    let _ = screen.wait(Duration::from_millis(500))?;
    assert_eq!(screen.take_damage()?, [], "painted beneath a mask");
    assert!(desktop.screenshot((320, 240))?.chunks_exact(3).any(|pixel| pixel == SECRET));
    drop((inside, window));
    let mut damage = Vec::new();
    wait_until("the end of the mask", || {
        screen.wait(Duration::from_millis(100))?;
        damage.extend(screen.take_damage()?);
        screen.grab(&[whole])?;
        Ok(screen.masks().is_empty() && damage.contains(&place))
    })?;
    assert!(!screen.pixels(0).chunks_exact(4).any(|pixel| pixel[..3] == MASK_BGR || pixel[..3] == SECRET));
    // Nothing is covered for who did not ask for it.
    let _window = OwnWindow::open(&display, place, SECRET, false)?;
    let mut plain = x11::Screen::open(time(), Some(&display), &Own::default())?;
    plain.grab(&[place])?;
    assert!(plain.masks().is_empty() && plain.pixels(0).chunks_exact(4).all(|pixel| pixel[..3] == SECRET));
    Ok(())
}

/// What an input source said, shortly: `+a` and `-a` for keys, `1+@x,y` and `1-@x,y` for buttons, `~` for the wheel.
fn in_short(events: &[InputEvent]) -> Vec<String> {
    let short = |event: &InputEvent| match event {
        InputEvent::Key(_, key) => {
            Some(format!("{}{}", if key.kind == KeyKind::Press { '+' } else { '-' }, key.keysym))
        }
        InputEvent::Pointer(_, pointer) => {
            let at = format!("@{},{}", pointer.x_px, pointer.y_px);
            let button = pointer.button.unwrap_or_default();
            match pointer.kind {
                PointerKind::Move => None,
                PointerKind::Press => Some(format!("{button}+{at}")),
                PointerKind::Release => Some(format!("{button}-{at}")),
                PointerKind::Scroll => Some(format!("~{at}")),
            }
        }
        _ => None,
    };
    events.iter().filter_map(short).collect()
}

fn text_of(events: &[InputEvent]) -> String {
    let text = |event: &InputEvent| match event {
        InputEvent::Key(_, key) => key.text.clone(),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[test]
fn clicks_on_own_windows_are_left_out_and_all_others_kept() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let display = desktop.display.clone();
    let mut input = x11::Input::open(time(), Some(&display), &hides_windows())?;
    let framed = OwnWindow::open(&display, rect(480, 100, 100, 100), SECRET, true)?;
    let id = framed.id().to_string();
    wait_until("its frame", || {
        let tree = desktop.command("xwininfo").args(["-id", &id, "-tree"]).output()?;
        Ok(!String::from_utf8_lossy(&tree.stdout).contains("(the root window)\n  Parent window id"))
    })?;
    wait_until("its place", || Ok(desktop.xdotool(&["getwindowgeometry", "--shell", &id])?.contains("Y=")))?;
    let geometry = desktop.xdotool(&["getwindowgeometry", "--shell", &id])?;
    let field = |name: &str| -> Result<i32> {
        let line = geometry.lines().find_map(|line| line.strip_prefix(name)).context("no geometry")?;
        Ok(line.parse()?)
    };
    let (x, y) = (field("X=")?, field("Y=")?);
    let click = |x: i32, y: i32, button: &str| -> Result<()> {
        desktop.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", button])?;
        Ok(())
    };
    let events = contract::seen(&mut input, &|| {
        click(30, 60, "1")?;
        click(x + 50, y + 50, "1")?;
        // The title bar of its frame.
        click(x + 50, y - 8, "1")?;
        click(x + 50, y + 50, "4")?;
        click(30, 62, "5")?;
        let menu = OwnWindow::open(&display, rect(200, 100, 60, 60), SECRET, false)?;
        click(230, 130, "3")?;
        // Pressed in it, dragged out of it.
        desktop.xdotool(&[
            "mousemove",
            "231",
            "131",
            "mousedown",
            "1",
            "mousemove",
            "30",
            "64",
            "mouseup",
            "1",
        ])?;
        desktop.xdotool(&[
            "mousemove",
            "30",
            "66",
            "mousedown",
            "1",
            "mousemove",
            "232",
            "132",
            "mouseup",
            "1",
        ])?;
        menu.click_and_close(233, 133)?;
        let_pass(Duration::from_millis(100));
        click(234, 134, "1")
    })?;
    let expected = ["1+@30,60", "1-@30,60", "~@30,62", "1+@30,66", "1-@232,132", "1+@234,134", "1-@234,134"];
    assert_eq!(in_short(&events), expected);
    let moves = events.iter().filter(
        |event| matches!(event, InputEvent::Pointer(_, pointer) if pointer.kind == PointerKind::Move),
    );
    assert!(moves.count() > 8, "moves stay");
    Ok(())
}

#[test]
fn keys_into_own_windows_and_hotkeys_are_left_out_and_the_text_around_them_is_right() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    ensure!(desktop.command("setxkbmap").arg("de").status()?.success(), "setxkbmap");
    desktop.terminal(10, 10, &["cat"])?;
    let terminal: u32 = desktop.xdotool(&["getwindowfocus"])?.trim().parse()?;
    let display = desktop.display.clone();
    let own = Own { hides_windows: true, hotkeys: vec!["Ctrl+Alt+R".parse()?, "F9".parse()?] };
    let mut input = x11::Input::open(time(), Some(&display), &own)?;
    let window = OwnWindow::open(&display, rect(480, 300, 100, 100), SECRET, true)?;
    let focus = |id: u32| -> Result<()> {
        // Keys and focus are never of the same few milliseconds with a person.
        let_pass(Duration::from_millis(50));
        wait_until("the focus", || {
            desktop.xdotool(&["windowfocus", &id.to_string()])?;
            Ok(desktop.xdotool(&["getwindowfocus"])?.trim() == id.to_string())
        })?;
        let_pass(Duration::from_millis(50));
        Ok(())
    };
    let fingers = Fingers::new(&display)?;
    let type_text = |text: &str| desktop.xdotool(&["type", "--delay", "2", text]).map(drop);
    let check = |input: &mut x11::Input, act: &dyn Fn() -> Result<()>, text: &str| -> Result<Vec<String>> {
        focus(terminal)?;
        let events = contract::seen(input, act)?;
        ensure!(text_of(&events) == text, "read {:?}, not {text:?}: {events:?}", text_of(&events));
        Ok(in_short(&events))
    };
    let keys = check(
        &mut input,
        &|| {
            type_text("before ")?;
            focus(window.id())?;
            type_text("secret ÄÖ€漢")?;
            focus(terminal)?;
            type_text("äfter")
        },
        "before äfter",
    )?;
    assert_eq!(keys.len(), 2 * "before äfter".chars().count(), "{keys:?}");
    // Shift goes down in the own window and is held into the other.
    let keys = check(
        &mut input,
        &|| {
            focus(window.id())?;
            desktop.xdotool(&["keydown", "shift"])?;
            fingers.press(&[38])?;
            focus(terminal)?;
            fingers.press(&[38])?;
            desktop.xdotool(&["keyup", "shift"])?;
            fingers.press(&[38])
        },
        "Aa",
    )?;
    assert_eq!(keys, ["+A", "-A", "+a", "-a"]);
    // Shift goes down in the other window and comes up in the own one; 21 is a dead acute, 26 an e.
    let keys = check(
        &mut input,
        &|| {
            desktop.xdotool(&["keydown", "shift"])?;
            focus(window.id())?;
            fingers.press(&[38])?;
            desktop.xdotool(&["keyup", "shift"])?;
            fingers.press(&[21])?;
            focus(terminal)?;
            fingers.press(&[26, 21])?;
            focus(window.id())?;
            fingers.press(&[26])?;
            // It gives the focus away at once when it gets this key.
            window.press_and_leave(38, terminal)?;
            let_pass(Duration::from_millis(50));
            fingers.press(&[26])
        },
        "eé",
    )?;
    assert_eq!(keys, ["+Shift_L", "-Shift_L", "+e", "-e", "+dead_acute", "-dead_acute", "+e", "-e"]);
    // Hotkeys, also with Caps Lock, held until they repeat, and with their modifiers let go first. 27 is r, 28 is t.
    let keys = check(
        &mut input,
        &|| {
            desktop.xdotool(&[
                "key",
                "ctrl+alt+r",
                "key",
                "ctrl+alt+t",
                "key",
                "ctrl+r",
                "key",
                "ctrl+alt+shift+r",
            ])?;
            desktop.xdotool(&["key", "F9", "key", "Caps_Lock", "key", "F9", "key", "Caps_Lock"])?;
            desktop.xdotool(&["keydown", "F9"])?;
            let_pass(Duration::from_millis(900));
            desktop.xdotool(&["keyup", "F9", "key", "F8"])?;
            desktop.xdotool(&[
                "keydown", "ctrl", "keydown", "alt", "keydown", "r", "keyup", "ctrl", "keyup", "alt",
            ])?;
            desktop.xdotool(&["keyup", "r"])?;
            fingers.press(&[27])
        },
        "r",
    )?;
    let letters: Vec<_> = keys.iter().filter(|key| key.len() == 2 || key.contains("F")).cloned().collect();
    assert_eq!(letters, ["+t", "-t", "+r", "-r", "+R", "-r", "+F8", "-F8", "+r", "-r"], "{keys:?}");
    let num_control = keys.iter().filter(|key| *key == "+Control_L").count();
    assert_eq!(num_control, 5, "modifiers before a hotkey stay: {keys:?}");
    assert_eq!(own.hotkeys[0].modifiers(), [Modifier::Control, Modifier::Alt]);
    Ok(())
}
