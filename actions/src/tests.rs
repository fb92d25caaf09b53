//! The rules of the reduction, one row each: what was done, and what it is called.

use praxis_bundle::messages::{
    GapReason, KeyKind, KeyMessage, MarkersMessage, Modifier, PointerKind, PointerMessage, Rect,
};
use praxis_bundle::narration::{Block, encode_pcm};

use crate::{Action, Input, Kind, LeftOut, Parameters, Reducer, Shown, WindowName};

const MILLI: u64 = 1_000_000;

pub(crate) fn pointer(kind: PointerKind, x_px: i32, y_px: i32) -> PointerMessage {
    PointerMessage { display: Some(0), ..PointerMessage::at(kind, x_px, y_px) }
}

pub(crate) fn button(kind: PointerKind, number: u8, x_px: i32, y_px: i32) -> Input {
    Input::Pointer(PointerMessage { button: Some(number), ..pointer(kind, x_px, y_px) })
}

pub(crate) fn wheel(dx: f64, dy: f64, x_px: i32) -> Input {
    Input::Pointer(PointerMessage { dx: Some(dx), dy: Some(dy), ..pointer(PointerKind::Scroll, x_px, 0) })
}

pub(crate) fn key(kind: KeyKind, keysym: &str, modifiers: &[Modifier]) -> Input {
    let is_command = crate::names::is_command(modifiers);
    let text = match keysym {
        "Return" => Some("\n".to_owned()),
        "Tab" => Some("\t".to_owned()),
        "space" => Some(" ".to_owned()),
        one if one.chars().count() == 1 => Some(one.to_owned()),
        _ => None,
    };
    let text = text.filter(|_| kind == KeyKind::Press && !is_command);
    let keycode = keysym.bytes().map(u32::from).sum();
    let (keysym, modifiers) = (keysym.to_owned(), modifiers.to_vec());
    Input::Key(KeyMessage {
        kind,
        text,
        keysym,
        keycode,
        modifiers,
        repeat: false,
        layout: 0,
        injected: None,
        source_millis: None,
    })
}

/// A fifth of a second of somebody who speaks, or of silence.
pub(crate) fn voice(is_loud: bool) -> Input {
    let sample = |n: i16| if is_loud { (n % 40 - 20) * 60 } else { n % 3 };
    Input::Voice(encode_pcm(&Block { rate_hz: 8000, position: 0, samples: (0..1600).map(sample).collect() }))
}

pub(crate) fn window(id: u64) -> Input {
    let name = WindowName { title: format!("window {id}"), class: "App".into() };
    Input::Window { active: Some((id, name)), shown: Vec::new() }
}

pub(crate) fn reduce(inputs: &[(u64, Input)]) -> (Vec<Action>, LeftOut) {
    let (mut reducer, mut actions) = (Reducer::new(Parameters::default()), Vec::new());
    inputs.iter().for_each(|(nanos, input)| reducer.push(*nanos, input, &mut actions));
    let end = inputs.last().map_or(0, |(nanos, _)| *nanos);
    let left_out = reducer.end(end, &mut actions);
    actions.sort_by_key(|action| action.start_nanos);
    (actions, left_out)
}

/// An action in a few words.
fn words(action: &Action) -> String {
    let mut words = match action.kind {
        Kind::Click => format!("click {}", action.clicks.unwrap_or(0)),
        Kind::Drag => format!("drag {} points", action.path.as_ref().map_or(0, Vec::len)),
        Kind::Scroll => format!("scroll {:?} {:?}", action.dx_ticks.unwrap(), action.dy_ticks.unwrap()),
        Kind::Type => format!(
            "type {:?} {} {}",
            action.text.as_ref().unwrap(),
            action.keystrokes.unwrap(),
            action.corrections.unwrap()
        ),
        Kind::Press | Kind::Hotkey => {
            let name = if action.kind == Kind::Press { "press" } else { "hotkey" };
            format!("{name} {} x{}", action.keys.as_ref().unwrap().join("+"), action.count.unwrap())
        }
        Kind::Hover | Kind::Wait => {
            let name = if action.kind == Kind::Hover { "hover" } else { "wait" };
            format!("{name} {}..{}", action.start_nanos / MILLI, action.end_nanos / MILLI)
        }
    };
    words += &action
        .button
        .filter(|button| *button != 1)
        .map_or(String::new(), |button| format!(" button {button}"));
    words += if action.is_long { " long" } else { "" };
    words += if action.is_thinking { " thinking" } else { "" };
    words += &action.modifiers.iter().map(|name| format!(" +{name}")).collect::<String>();
    words + if action.is_truncated { " truncated" } else { "" }
}

/// Milliseconds and what happened then; what it was.
fn check(inputs: &[(u64, Input)], expected: &[&str]) {
    let inputs: Vec<_> = inputs.iter().map(|(millis, input)| (millis * MILLI, input.clone())).collect();
    let (actions, _) = reduce(&inputs);
    assert_eq!(actions.iter().map(words).collect::<Vec<_>>(), expected, "{inputs:#?}");
    assert!(actions.iter().all(|action| action.start_nanos <= action.end_nanos));
}

fn clicks(times: &[(u64, i32)]) -> Vec<(u64, Input)> {
    let click = |(at, x): &(u64, i32)| {
        [(*at, button(PointerKind::Press, 1, *x, 0)), (at + 50, button(PointerKind::Release, 1, *x, 0))]
    };
    times.iter().flat_map(click).collect()
}

fn keys(times: &[(u64, &str)]) -> Vec<(u64, Input)> {
    times.iter().map(|(at, keysym)| (*at, key(KeyKind::Press, keysym, &[]))).collect()
}

#[test]
fn presses_become_clicks_double_clicks_long_clicks_and_drags() {
    use PointerKind::{Press, Release};
    let press = |at: u64, x| (at, button(Press, 1, x, 0));
    let release = |at: u64, x| (at, button(Release, 1, x, 0));
    let moved = |at: u64, x| (at, Input::Pointer(pointer(PointerKind::Move, x, 0)));
    check(&clicks(&[(0, 5)]), &["click 1"]);
    check(&clicks(&[(0, 5), (500, 9)]), &["click 2"]);
    check(&clicks(&[(0, 5), (501, 5)]), &["click 1", "click 1"]);
    check(&clicks(&[(0, 5), (300, 10)]), &["click 1", "click 1"]);
    check(&clicks(&[(0, 5), (200, 5), (400, 5)]), &["click 3"]);
    check(&clicks(&[(0, 5), (200, 5), (400, 5), (600, 5)]), &["click 3", "click 1"]);
    check(&[press(0, 0), release(1000, 0)], &["click 1 long"]);
    check(&[press(0, 0), release(50, 0), press(100, 0), release(1100, 0)], &["click 1", "click 1 long"]);
    check(&[press(0, 0), moved(10, 5), release(20, 0)], &["click 1"]);
    check(&[press(0, 0), moved(10, 6), release(20, 0)], &["drag 3 points"]);
    check(&[press(0, 0), release(20, 6)], &["drag 2 points"]);
    check(
        &[press(0, 0), release(50, 0), press(100, 0), moved(120, 40), release(200, 40)],
        &["click 1", "drag 2 points"],
    );
    check(&[press(0, 0)], &["click 1 truncated"]);
    check(&[press(0, 0), moved(10, 9), (20, Input::Cut), release(30, 9)], &["drag 2 points truncated"]);
    check(&[press(0, 0), press(40, 0), release(50, 0)], &["click 1 truncated", "click 1"]);
    let right = [(0, button(Press, 3, 0, 0)), (10, button(Release, 3, 0, 0))];
    check(&right, &["click 1 button 3"]);
    check(
        &[
            &clicks(&[(0, 5)])[..],
            &[(100, button(Press, 3, 5, 0)), (110, button(Release, 3, 5, 0))],
            &clicks(&[(200, 5)]),
        ]
        .concat(),
        &["click 1", "click 1 button 3", "click 1"],
    );
    check(
        &[&clicks(&[(0, 5)])[..], &keys(&[(100, "Escape")]), &clicks(&[(200, 5)])].concat(),
        &["click 1", "press Escape x1", "click 1"],
    );
    check(
        &[
            press(0, 0),
            (10, button(Press, 3, 0, 0)),
            (20, button(Release, 3, 0, 0)),
            release(30, 0),
            press(40, 0),
            release(50, 0),
        ],
        &["click 1", "click 1 button 3", "click 1"],
    );
    let held = PointerMessage {
        button: Some(1),
        modifiers: vec![Modifier::Shift, Modifier::NumLock, Modifier::Control],
        ..pointer(Press, 0, 0)
    };
    check(&[(0, Input::Pointer(held)), release(10, 0)], &["click 1 +ctrl +shift"]);
}

#[test]
fn wheel_steps_become_scrolls_of_one_direction_and_place() {
    check(&[(0, wheel(0.0, -1.0, 0)), (900, wheel(0.0, -2.0, 50))], &["scroll 0.0 3.0"]);
    check(&[(0, wheel(0.0, 1.0, 0)), (1001, wheel(0.0, 1.0, 0))], &["scroll 0.0 -1.0", "scroll 0.0 -1.0"]);
    check(&[(0, wheel(0.0, 1.0, 0)), (10, wheel(0.0, -1.0, 0))], &["scroll 0.0 -1.0", "scroll 0.0 1.0"]);
    check(&[(0, wheel(1.0, 0.0, 0)), (10, wheel(0.0, -1.0, 0))], &["scroll 1.0 0.0", "scroll 0.0 1.0"]);
    check(&[(0, wheel(0.0, -1.0, 0)), (10, wheel(0.0, -1.0, 51))], &["scroll 0.0 1.0", "scroll 0.0 1.0"]);
    check(
        &[&[(0, wheel(0.0, -1.0, 0))][..], &clicks(&[(5, 0)]), &[(90, wheel(0.0, -1.0, 0))]].concat(),
        &["scroll 0.0 1.0", "click 1", "scroll 0.0 1.0"],
    );
    check(&[(0, wheel(f64::NAN, f64::INFINITY, 0))], &["scroll 0.0 0.0"]);
}

#[test]
fn keys_with_text_become_typing_that_knows_what_was_there_in_the_end() {
    check(&keys(&[(0, "h"), (100, "i")]), &["type \"hi\" 2 0"]);
    check(&keys(&[(0, "h"), (5100, "i")]), &["type \"h\" 1 0", "type \"i\" 1 0"]);
    check(&keys(&[(0, "h"), (10, "o"), (20, "BackSpace"), (30, "i")]), &["type \"hi\" 4 1"]);
    check(&keys(&[(0, "h"), (10, "BackSpace"), (20, "BackSpace"), (30, "i")]), &["type \"i\" 4 2"]);
    check(
        &keys(&[(0, "l"), (10, "s"), (20, "Return"), (30, "c")]),
        &["type \"ls\\n\" 3 0", "type \"c\" 1 0"],
    );
    check(&keys(&[(0, "a"), (10, "Tab"), (20, "Tab")]), &["type \"a\\t\" 2 0", "press Tab x1"]);
    check(&keys(&[(0, "Return"), (10, "Return")]), &["press Enter x2"]);
    check(
        &keys(&[(0, "BackSpace"), (10, "BackSpace"), (2000, "BackSpace")]),
        &["press Backspace x2", "press Backspace x1"],
    );
    check(&keys(&[(0, "Down"), (10, "Down"), (20, "Up")]), &["press Down x2", "press Up x1"]);
    check(
        &[&keys(&[(0, "a")])[..], &clicks(&[(50, 0)]), &keys(&[(200, "b")])].concat(),
        &["type \"a\" 1 0", "click 1", "type \"b\" 1 0"],
    );
    check(
        &[&keys(&[(0, "a")])[..], &[(5, window(2))], &keys(&[(10, "b")])].concat(),
        &["type \"a\" 1 0", "type \"b\" 1 0"],
    );
    check(
        &[&keys(&[(0, "a")])[..], &[(5, Input::Cut)], &keys(&[(10, "b")])].concat(),
        &["type \"a\" 1 0", "type \"b\" 1 0"],
    );
    check(&keys(&[(0, "dead_acute"), (10, "é")]), &["type \"é\" 2 0"]);
    check(&keys(&[(0, "Multi_key"), (10, "eacute"), (20, "x")]), &["type \"x\" 3 0"]);
    check(
        &keys(&[(0, "dead_acute"), (10, "Escape"), (20, "x")]),
        &["type \"\" 1 0", "press Escape x1", "type \"x\" 1 0"],
    );
    let shifted = |at, keysym: &str| (at, key(KeyKind::Press, keysym, &[Modifier::Shift]));
    check(
        &[shifted(0, "A"), (10, key(KeyKind::Press, "@", &[Modifier::AltGr])), shifted(20, "BackSpace")],
        &["type \"A\" 3 1"],
    );
}

#[test]
fn keys_with_modifiers_become_hotkeys_and_lone_modifiers_are_counted() {
    use Modifier::{Alt, Control, Shift, Super};
    let press = |at, keysym: &str, held: &[Modifier]| (at, key(KeyKind::Press, keysym, held));
    let release = |at, keysym: &str| (at, key(KeyKind::Release, keysym, &[]));
    check(&[press(0, "s", &[Control])], &["hotkey ctrl+s x1"]);
    check(&[press(0, "S", &[Shift, Alt, Super, Control])], &["hotkey ctrl+alt+shift+meta+s x1"]);
    check(
        &[press(0, "z", &[Control]), press(300, "z", &[Control]), press(400, "y", &[Control])],
        &["hotkey ctrl+z x2", "hotkey ctrl+y x1"],
    );
    check(&[press(0, "Left", &[Shift])], &["hotkey shift+left x1"]);
    check(&[press(0, "ISO_Left_Tab", &[Shift])], &["hotkey shift+tab x1"]);
    check(&[press(0, "Return", &[Shift])], &["press Enter x1"]);
    check(
        &[press(0, "Control_L", &[]), press(10, "c", &[Control]), release(20, "c"), release(30, "Control_L")],
        &["hotkey ctrl+c x1"],
    );
    check(&[press(0, "Super_L", &[]), release(500, "Super_L")], &["press meta x1"]);
    check(&[press(0, "Super_L", &[]), release(501, "Super_L")], &[]);
    let lone = |inputs: &[(u64, Input)]| {
        let inputs: Vec<_> = inputs.iter().map(|(millis, input)| (millis * MILLI, input.clone())).collect();
        let left_out = reduce(&inputs).1;
        (left_out.lone_modifiers, left_out.lone_releases)
    };
    assert_eq!(lone(&[press(0, "Control_L", &[]), release(10, "Control_L")]), (1, 0));
    assert_eq!(lone(&[press(0, "Alt_L", &[]), (5, Input::Cut), release(10, "Alt_L")]), (1, 0));
    assert_eq!(
        lone(&[&[press(0, "Control_L", &[])][..], &clicks(&[(5, 0)]), &[release(90, "Control_L")]].concat()),
        (0, 0)
    );
    assert_eq!(lone(&[press(0, "Shift_L", &[]), press(5, "A", &[Shift]), release(9, "Shift_L")]), (0, 0));
    assert_eq!(lone(&[(0, button(PointerKind::Release, 1, 0, 0))]), (0, 1));
}

#[test]
fn a_click_names_the_window_that_it_went_to_and_a_menu_counts_for_its_program() {
    let shown = |title: &str, class: &str, x_px, pid| Shown {
        rect: Rect { x_px, y_px: 0, width_px: 100, height_px: 100 },
        name: WindowName { title: title.into(), class: class.into() },
        pid: Some(pid),
    };
    let windows = Input::Window {
        active: Some((1, WindowName { title: "notes".into(), class: "Editor".into() })),
        // A menu of the editor reaches over the browser, which reaches over the editor.
        shown: vec![shown("", "", 150, 7), shown("page", "Browser", 80, 8), shown("notes", "Editor", 0, 7)],
    };
    let mut inputs = vec![(0, windows)];
    for (at, x_px) in [50, 120, 200, 400].into_iter().enumerate() {
        let nanos = (at as u64 + 1) * 5_000_000_000;
        let place = |kind| PointerMessage { button: Some(1), ..pointer(kind, x_px, 50) };
        inputs.push((nanos, Input::Pointer(place(PointerKind::Press))));
        inputs.push((nanos + 50_000_000, Input::Pointer(place(PointerKind::Release))));
    }
    let (actions, _) = reduce(&inputs);
    let clicks = actions.iter().filter(|action| action.kind == Kind::Click);
    let titles: Vec<_> = clicks.map(|click| click.window.as_ref().map(|window| &window.title[..])).collect();
    assert_eq!(titles, [Some("notes"), Some("page"), Some("notes"), None]);
}

#[test]
fn an_action_names_the_window_that_was_active_at_its_start() {
    let inputs =
        [&[(0, window(1))][..], &clicks(&[(5, 0)]), &[(60, window(2))], &keys(&[(90, "a")])].concat();
    let titles: Vec<_> =
        reduce(&inputs).0.iter().map(|action| action.window.clone().unwrap().title).collect();
    assert_eq!(titles, ["window 1", "window 2"]);
}

#[test]
fn pauses_and_gaps_of_the_input_cut_and_nothing_else_does() {
    let begin =
        |track: &str, reason| MarkersMessage::GapBegin { track: track.into(), reason, detail: String::new() };
    let end = |track: &str| MarkersMessage::GapEnd { track: track.into() };
    let is_cut = |message| matches!(Input::marker(&message), Some(Input::Cut | Input::Back));
    assert!(is_cut(begin("screen/0", GapReason::Pause)));
    assert!(is_cut(begin("keys", GapReason::SourceLost)));
    assert_eq!(Input::marker(&end("pointer")), Some(Input::Back));
    assert!(!is_cut(begin("narration", GapReason::SourceLost)) && !is_cut(end("narration")));
    assert!(!is_cut(MarkersMessage::Marker { label: String::new() }));
}

#[test]
fn time_without_input_is_a_wait_and_one_with_a_voice_is_thinking() {
    let a = |at| (at, key(KeyKind::Press, "a", &[]));
    check(&[a(0), a(5999)], &["type \"a\" 1 0", "type \"a\" 1 0"]);
    check(&[a(0), a(6000)], &["type \"a\" 1 0", "wait 0..6000", "type \"a\" 1 0"]);
    check(&[a(7000)], &["wait 0..7000", "type \"a\" 1 0"]);
    check(&[a(0), (9000, voice(false))], &["type \"a\" 1 0", "wait 0..9000"]);
    // The voice is heard before the rest is long enough to be a wait, and after.
    check(
        &[a(0), (100, voice(true)), a(6000)],
        &["type \"a\" 1 0", "wait 0..6000 thinking", "type \"a\" 1 0"],
    );
    check(
        &[a(0), (8000, voice(true)), a(9000)],
        &["type \"a\" 1 0", "wait 0..9000 thinking", "type \"a\" 1 0"],
    );
    check(&[(1, voice(true)), a(2), a(8002)], &["type \"a\" 1 0", "wait 2..8002", "type \"a\" 1 0"]);
    // A pause is none, and it waits on each side of one.
    check(&[a(0), (6500, Input::Cut), (90_000, Input::Back)], &["type \"a\" 1 0", "wait 0..6500"]);
    check(
        &[a(0), (10, Input::Cut), (20_000, Input::Back), a(26_000)],
        &["type \"a\" 1 0", "wait 20000..26000", "type \"a\" 1 0"],
    );
    check(&[(0, window(1)), (100, window(2)), (7000, window(3))], &["wait 0..7000"]);
    let waited =
        reduce(&[(0, window(1)), (1, a(0).1), (100 * MILLI, window(2)), (7000 * MILLI, window(3))]).0;
    assert_eq!(waited[1].window.as_ref().unwrap().title, "window 1");
}

#[test]
fn a_pointer_that_rests_where_something_changes_hovers() {
    let moved = |at: u64, x| (at, Input::Pointer(pointer(PointerKind::Move, x, 0)));
    let changed =
        |at: u64, x_px| (at, Input::Changed(vec![Rect { x_px, y_px: 0, width_px: 32, height_px: 32 }]));
    check(&[moved(100, 500), changed(400, 520), moved(900, 700), moved(2000, 900)], &["hover 100..800"]);
    check(&[moved(100, 500), changed(1400, 520), moved(1900, 700), moved(3000, 900)], &["hover 100..1400"]);
    check(
        &[moved(100, 500), moved(300, 505), changed(400, 520), moved(900, 700), moved(1300, 900)],
        &["hover 100..800"],
    );
    // Too short, too late, too far away, or because something was pressed there.
    check(&[moved(100, 500), changed(400, 520), moved(790, 700), moved(2000, 900)], &[]);
    check(&[moved(100, 500), changed(1700, 520), moved(1900, 700), moved(3000, 900)], &[]);
    check(&[moved(100, 500), changed(400, 700), moved(900, 700), moved(2000, 900)], &[]);
    check(&[&[moved(100, 500), changed(400, 520)][..], &clicks(&[(900, 500)])].concat(), &["click 1"]);
    check(
        &[&[moved(100, 500), changed(400, 520), moved(900, 600)][..], &clicks(&[(1200, 600)])].concat(),
        &["click 1"],
    );
    check(&[moved(100, 500), changed(400, 520), (900, wheel(0.0, -1.0, 500))], &["scroll 0.0 1.0"]);
    // A key ends it; while a button is down nothing is one.
    check(
        &[&[moved(100, 500), changed(400, 520)][..], &keys(&[(900, "a"), (1300, "b")])].concat(),
        &["hover 100..800", "type \"ab\" 2 0"],
    );
    check(
        &[
            (0, button(PointerKind::Press, 1, 0, 0)),
            moved(100, 500),
            changed(400, 520),
            moved(900, 700),
            (2000, button(PointerKind::Release, 1, 700, 0)),
        ],
        &["drag 3 points"],
    );
    check(&[moved(100, 500), changed(400, 520), (900, Input::Cut)], &["hover 100..800"]);
}

#[test]
fn json_has_only_the_fields_that_apply() {
    let (actions, _) = reduce(&clicks(&[(0, 5)]));
    let json = serde_json::to_string(&actions[0]).unwrap();
    let expected = "{\"id\":0,\"kind\":\"click\",\"start_nanos\":0,\"end_nanos\":50,\"display\":0,\"x_px\":5,\"y_px\":0,\
                    \"button\":1,\"clicks\":1}";
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<Action>(&json).unwrap(), actions[0]);
}
