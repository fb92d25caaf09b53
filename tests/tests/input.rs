//! Input as programs get it: text in every layout, what devices report, the pointer's shape, copies.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use praxis_bundle::messages::{ClipboardMessage, CursorMessage, KeyMessage, PointerKind, PointerMessage};
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::sources::{InputEvent, InputSource, Own, x11};
use praxis_tests::contract;
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::device_server::DeviceServer;
use praxis_tests::fingers::Fingers;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, CreateWindowAux, PropMode, WindowClass};
use x11rb::wrapper::ConnectionExt as _;

fn time() -> SharedTime {
    Arc::new(SystemTime)
}

/// A text field of another program, and the text it has.
struct Field {
    program: Child,
    text: Arc<Mutex<Option<String>>>,
}

impl Field {
    fn start(desktop: &VirtualDesktop) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/text_field.py");
        let mut command = desktop.command("/usr/bin/python3");
        // As most programs are set where no other input method is chosen.
        command.arg(script).env("GTK_IM_MODULE", "gtk-im-context-simple").stdout(Stdio::piped());
        let mut program = command.spawn()?;
        let (text, lines) = (Arc::new(Mutex::new(None)), program.stdout.take().context("no output")?);
        let told = text.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                *told.lock().unwrap() = serde_json::from_str(&line).ok();
            }
        });
        let field = Self { program, text };
        wait_until("a text field", || Ok(field.text.lock().unwrap().is_some()))?;
        Ok(field)
    }

    /// Waits until the text ends so; says what it is if it never does.
    fn ends_with(&self, what: &str, expected: &str) -> Result<()> {
        let text = || self.text.lock().unwrap().clone().unwrap_or_default();
        wait_until(what, || Ok(text().ends_with(expected)))
            .with_context(|| format!("{what}: the field has {:?}, not {expected:?}", text()))
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn text_is_what_a_text_field_gets_in_every_layout_and_for_characters_that_no_layout_has() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let field = Field::start(&desktop)?;
    let read = |what: &str, keys: &dyn Fn() -> Result<()>, expected: &str| -> Result<()> {
        let mut input = x11::Input::open(time(), Some(&desktop.display), &Own::default())?;
        let typed = contract::typed(&mut input, keys)?;
        ensure!(typed == expected, "{what}: typed {expected:?}, read {typed:?}");
        Ok(())
    };
    let check = |what: &str, keys: &dyn Fn() -> Result<()>, expected: &str| -> Result<()> {
        read(what, keys, expected)?;
        field.ends_with(what, expected.trim_end_matches(['\n', '\t']))
    };
    let layout = |arguments: &[&str]| -> Result<()> {
        ensure!(desktop.command("setxkbmap").args(arguments).status()?.success(), "setxkbmap {arguments:?}");
        Ok(())
    };
    let fingers = Fingers::new(&desktop.display)?;
    // 24 is the key right of Tab, 38 that right of Caps Lock, 50 Shift, 66 Caps Lock, 108 AltGr or, by the option
    // grp:toggle, the switch to the next layout.
    let press = |keys: &[u8]| fingers.press(keys);
    let held = |held: u8, keys: &[u8]| fingers.press_with(held, keys);
    check("US", &|| press(&[24, 38, 65, 36, 23]), "qa \n\t")?;
    check("Shift", &|| held(50, &[24, 10, 38]), "Q!A")?;
    check("Caps Lock", &|| press(&[66, 24, 10, 66, 24]), "Q1q")?;
    check("Control", &|| held(37, &[24, 38]), "")?;
    layout(&["de"])?;
    check("German", &|| press(&[29, 34, 47, 20]), "züöß")?;
    check("AltGr", &|| held(108, &[24, 26, 16, 58]), "@€{µ")?;
    // dead_acute, then e; dead_circumflex, then o; dead_acute, then x, which has none: there programs differ.
    check("dead keys", &|| press(&[21, 26, 49, 32]), "éô")?;
    read("a dead key without a letter", &|| press(&[21, 53]), "")?;
    layout(&["fr"])?;
    check("French", &|| press(&[24, 16, 11, 47]), "aèém")?;
    check("French dead keys", &|| press(&[34, 26, 34, 31]), "êî")?;
    check("French, two signs above one letter", &|| held(50, &[34]).and_then(|()| press(&[26])), "ë")?;
    layout(&["gr"])?;
    check("Greek", &|| press(&[38, 56]), "αβ")?;
    layout(&["us,ru", "-option", "grp:toggle"])?;
    let both = || {
        press(&[24])?;
        press(&[108, 24])?;
        press(&[108, 24])
    };
    check("layout switch while recording", &both, "qйq")?;
    layout(&["us", "-option", ""])?;
    // At the speed of a person: the keymap is fetched when the server says that another one is there.
    let mut input = x11::Input::open(time(), Some(&desktop.display), &Own::default())?;
    let load = |name: &str| layout(&[name]).and_then(|()| press(&[29]));
    let typed = contract::typed_in_turns(&mut input, &[&|| press(&[29]), &|| load("de"), &|| load("us")])?;
    drop(input);
    ensure!(typed == "yzy", "another keymap loaded while recording: read {typed:?}");
    field.ends_with("another keymap loaded while recording", "yzy")?;
    // No layout has these: each is put on a spare key for a moment. A program that is late reads what the key means by then.
    let text = "€ß→é∀ж漢😀 Łódź naïve a";
    read("spare keys", &|| desktop.xdotool(&["type", "--delay", "2", text]).map(drop), text)?;
    read("spare keys at full speed", &|| desktop.xdotool(&["type", "--delay", "0", text]).map(drop), text)
}

fn pointers(events: &[InputEvent]) -> Vec<&PointerMessage> {
    let mut found = Vec::new();
    for event in events {
        if let InputEvent::Pointer(_, message) = event {
            found.push(message);
        }
    }
    found
}

fn keys(events: &[InputEvent]) -> Vec<&KeyMessage> {
    let mut found = Vec::new();
    for event in events {
        if let InputEvent::Key(_, message) = event {
            found.push(message);
        }
    }
    found
}

#[test]
fn what_devices_report_is_told_beside_what_programs_get() -> Result<()> {
    let server = Mutex::new(DeviceServer::start()?);
    let display = server.lock().unwrap().display.clone();
    let mut input = x11::Input::open(time(), Some(&display), &Own::default())?;
    assert!(input.backend().cannot.is_empty(), "{:?}", input.backend().cannot);
    let fingers = Fingers::new(&display)?;
    let events = contract::seen(&mut input, &|| {
        let DeviceServer { mouse, keyboard, .. } = &mut *server.lock().unwrap();
        for (dx, dy) in [(30.0, -10.0), (-7.5, 0.0), (2.25, 4.0)] {
            mouse.turn(&[(0, dx), (1, dy)])?;
        }
        // A third of a step down, twice; then a whole one up, and a quarter to the right.
        for turn in [(3, 40.0), (3, 40.0), (3, -120.0), (2, 30.0)] {
            mouse.turn(&[turn])?;
        }
        for button in [1, 8, 9] {
            mouse.button(button, true)?;
            mouse.button(button, false)?;
        }
        keyboard.key(38, true)?;
        keyboard.key(38, false)?;
        fingers.press(&[39])
    })?;
    let (pointers, keys) = (pointers(&events), keys(&events));
    let of = |kind| pointers.iter().filter(move |message| message.kind == kind);
    let raw: (f64, f64) = of(PointerKind::Move).fold((0.0, 0.0), |(x, y), message| {
        (x + message.raw_dx.unwrap_or_default(), y + message.raw_dy.unwrap_or_default())
    });
    // What came last may wait for a move that never was.
    ensure!(raw == (24.75, -6.0) || raw == (22.5, -10.0), "raw motion of {raw:?} in {pointers:?}");
    let scrolls: Vec<_> =
        of(PointerKind::Scroll).map(|message| (message.dx.unwrap(), message.dy.unwrap())).collect();
    let third = -40.0 / 120.0;
    assert_eq!(scrolls, [(0.0, third), (0.0, third), (0.0, 1.0), (0.25, 0.0)]);
    let place = |message: &&&PointerMessage| (message.x_px, message.y_px);
    let (last_move, scroll) = (of(PointerKind::Move).next_back(), of(PointerKind::Scroll).next());
    assert_eq!(last_move.as_ref().map(place), scroll.as_ref().map(place));
    let buttons: Vec<_> = of(PointerKind::Press).map(|message| message.button).collect();
    assert_eq!(buttons, [Some(1), Some(8), Some(9)]);
    assert!(pointers.iter().all(|message| message.injected != Some(true)), "{pointers:?}");
    assert!(of(PointerKind::Press).all(|message| message.injected == Some(false)), "{pointers:?}");
    let keys: Vec<_> = keys.iter().map(|key| (key.keycode, key.injected)).collect();
    assert_eq!(keys, [(38, Some(false)), (38, Some(false)), (39, Some(true)), (39, Some(true))]);
    Ok(())
}

#[test]
fn the_pointer_has_the_shape_that_programs_give_it() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let place = |x: &str, y: &str| desktop.xdotool(&["mousemove", x, y]).map(drop);
    place("600", "450")?;
    let mut input = x11::Input::open(time(), Some(&desktop.display), &Own::default())?;
    let seen = contract::seen(&mut input, &|| {
        // The shape of the start is there; now that of the terminal, and back.
        place("100", "100")?;
        wait_until_shape(&desktop)?;
        // Shapes that change faster are told less often.
        let_pass(Duration::from_millis(300));
        place("600", "450")?;
        wait_until_shape(&desktop)
    })?;
    let mut shapes: Vec<&CursorMessage> = Vec::new();
    for event in &seen {
        if let InputEvent::Cursor(_, message) = event {
            shapes.push(message);
        }
    }
    // The first may have been told before the source was ready, which is when `seen` begins to listen.
    assert!((2..=3).contains(&shapes.len()), "{shapes:?}");
    let [of_terminal, of_root] = shapes[shapes.len() - 2..] else { unreachable!() };
    assert_ne!(of_terminal.png, of_root.png);
    for shape in shapes {
        let file = base64::engine::general_purpose::STANDARD.decode(shape.png.as_ref().unwrap())?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().context("no size")?];
        let frame = reader.next_frame(&mut pixels)?;
        assert_eq!((frame.width, frame.height), (shape.width_px, shape.height_px));
        assert!(shape.hot_x_px < shape.width_px && shape.hot_y_px < shape.height_px, "{shape:?}");
        assert!(pixels.chunks(4).any(|pixel| pixel[3] == 255), "nothing is seen of it");
    }
    Ok(())
}

/// Waits for a round trip of the server and the window manager: then a shape that was to change has changed.
fn wait_until_shape(desktop: &VirtualDesktop) -> Result<()> {
    desktop.xdotool(&["getmouselocation"])?;
    desktop.xdotool(&["getactivewindow"]).map(drop)
}

/// What is told of a copy.
fn copied(has_text: bool, content: &[u8], target: Option<&str>) -> Result<ClipboardMessage> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let mut input = x11::Input::open_with(time(), Some(&desktop.display), &Own::default(), has_text)?;
    let told = Mutex::new(None);
    let stop = praxis_capture_core::sources::Stop::default();
    let sink = |event| {
        if let InputEvent::Clipboard(_, message) = event {
            *told.lock().unwrap() = Some(message);
        }
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| input.run(&sink, &stop));
        let copy = || -> Result<()> {
            let mut command = desktop.command("xclip");
            command.args(["-selection", "clipboard"]).stdin(Stdio::piped());
            command.args(target.iter().flat_map(|target| ["-t", *target]));
            let mut program = command.spawn().context("xclip cannot be started: run scripts/setup")?;
            program.stdin.take().context("no input")?.write_all(content)?;
            ensure!(program.wait()?.success(), "xclip");
            wait_until("the copy to be told", || Ok(told.lock().unwrap().is_some()))
        };
        let result = copy();
        stop.stop();
        running.join().unwrap()?;
        result
    })?;
    Ok(told.into_inner().unwrap().unwrap())
}

#[test]
fn a_copy_is_told_with_its_text_only_if_that_is_asked_for() -> Result<()> {
    let told = copied(false, "naïve".as_bytes(), None)?;
    assert!(told.types.iter().any(|name| name == "UTF8_STRING"), "{told:?}");
    assert_eq!((told.text_bytes, told.text), (Some(6), None));
    let told = copied(true, "naïve".as_bytes(), None)?;
    assert_eq!((told.text_bytes, told.text.as_deref()), (Some(6), Some("naïve")));
    // It comes in pieces, and is too long to be kept.
    let long = "0123456789".repeat(300_000);
    let told = copied(true, long.as_bytes(), None)?;
    assert_eq!((told.text_bytes, told.text), (Some(3_000_000), None));
    let told = copied(true, b"\x89PNG", Some("image/png"))?;
    assert!(told.types.iter().any(|name| name == "image/png"), "{told:?}");
    assert_eq!((told.text_bytes, told.text), (None, None));
    Ok(())
}

#[test]
fn an_input_method_whose_text_cannot_be_known_is_named() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let cannot = || -> Result<Vec<String>> {
        Ok(x11::Input::open(time(), Some(&desktop.display), &Own::default())?.backend().cannot)
    };
    assert_eq!(cannot()?, [""; 0]);
    let (connection, screen) = x11rb::connect(Some(&desktop.display))?;
    let root = connection.setup().roots[screen].root;
    let atom =
        |name: &str| -> Result<u32> { Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom) };
    // As the servers of input methods do.
    let (servers, name) = (atom("XIM_SERVERS")?, atom("@server=ibus")?);
    connection.change_property32(PropMode::REPLACE, root, servers, AtomEnum::ATOM, &[name])?.check()?;
    assert_eq!(cannot()?, [""; 0], "one that was named and is gone");
    let window = connection.generate_id()?;
    let attributes = CreateWindowAux::new();
    connection.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &attributes)?;
    connection.set_selection_owner(window, name, x11rb::CURRENT_TIME)?.check()?;
    let found = cannot()?;
    assert!(found.len() == 1 && found[0].contains("the input method ibus composes"), "{found:?}");
    Ok(())
}
