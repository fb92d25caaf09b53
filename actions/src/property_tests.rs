//! What holds for any input: every press is in one action, nothing goes on across a cut, and the same gives the same.

use praxis_bundle::messages::{KeyKind, Modifier, PointerKind, Rect};
use proptest::prelude::*;

use crate::tests::{button, key, pointer, reduce, voice, wheel, window};
use crate::{Action, Input, Kind};

const KEYSYMS: [&str; 14] = [
    "a",
    "é",
    "space",
    "Return",
    "Tab",
    "BackSpace",
    "Escape",
    "Left",
    "dead_acute",
    "Multi_key",
    "eacute",
    "Shift_L",
    "Control_L",
    "Super_L",
];

fn input() -> impl Strategy<Value = Input> {
    let modifiers =
        || proptest::sample::subsequence(vec![Modifier::Shift, Modifier::Control, Modifier::AltGr], 0..=3);
    let kind = prop_oneof![3 => Just(KeyKind::Press), 1 => Just(KeyKind::Release)];
    prop_oneof![
        6 => (kind, proptest::sample::select(&KEYSYMS[..]), modifiers()).prop_map(|(kind, keysym, held)| key(kind, keysym, &held)),
        3 => (any::<bool>(), 1..4u8, 0..12i32).prop_map(|(is_press, number, x)| {
            button(if is_press { PointerKind::Press } else { PointerKind::Release }, number, x, 0)
        }),
        2 => (0..12i32).prop_map(|x| Input::Pointer(pointer(PointerKind::Move, x, x))),
        1 => (-1..2i32, -1..2i32).prop_map(|(dx, dy)| wheel(dx.into(), dy.into(), 0)),
        1 => (0..3u64).prop_map(window),
        1 => Just(Input::Cut),
        1 => Just(Input::Back),
        2 => (0..12i32).prop_map(|x_px| Input::Changed(vec![Rect { x_px, y_px: 0, width_px: 9, height_px: 9 }])),
        1 => any::<bool>().prop_map(voice),
    ]
}

fn inputs() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let rest = prop_oneof![8 => 0..400u64, 1 => 400..7000u64];
    proptest::collection::vec((rest, input()), 0..80).prop_map(|rests| {
        let mut millis = 0;
        let at = |(rest, input)| {
            millis += rest;
            (millis * 1_000_000, input)
        };
        rests.into_iter().map(at).collect()
    })
}

/// How many presses an action has taken in.
fn presses(action: &Action) -> u64 {
    match action.kind {
        Kind::Click => action.clicks.unwrap().into(),
        Kind::Drag => 1,
        Kind::Scroll | Kind::Hover | Kind::Wait => 0,
        Kind::Type => action.keystrokes.unwrap(),
        Kind::Press if action.keys.as_deref() == Some(&["meta".to_owned()]) => 0,
        Kind::Press | Kind::Hotkey => action.count.unwrap(),
    }
}

fn is_press(input: &Input) -> bool {
    match input {
        Input::Pointer(message) => message.kind == PointerKind::Press,
        Input::Key(message) => crate::keyboard::Keyboard::is_input(message),
        _ => false,
    }
}

proptest! {
    #[test]
    fn every_press_is_in_exactly_one_action(inputs in inputs()) {
        let pressed = inputs.iter().filter(|(_, input)| is_press(input)).count() as u64;
        let (actions, left_out) = reduce(&inputs);
        prop_assert_eq!(actions.iter().map(presses).sum::<u64>(), pressed);
        let releases = inputs.iter().filter(|(_, input)| matches!(input, Input::Pointer(message) if message.kind == PointerKind::Release));
        prop_assert!(left_out.lone_releases <= releases.count() as u64);
    }

    #[test]
    fn times_are_in_order_and_the_same_input_gives_the_same_actions(inputs in inputs()) {
        let (actions, left_out) = reduce(&inputs);
        prop_assert!(actions.iter().all(|action| action.start_nanos <= action.end_nanos));
        prop_assert_eq!((actions, left_out), reduce(&inputs));
    }

    #[test]
    fn no_action_reaches_across_a_cut(before in inputs(), after in inputs()) {
        let cut_at = before.last().map_or(0, |(nanos, _)| *nanos) + 1;
        let mut all = before.clone();
        all.push((cut_at, Input::Cut));
        all.extend(after.iter().map(|(nanos, input)| (nanos + cut_at + 1, input.clone())));
        let (actions, _) = reduce(&all);
        prop_assert!(actions.iter().all(|action| action.end_nanos <= cut_at || action.start_nanos > cut_at));
    }

    #[test]
    fn backspaces_take_away_what_was_typed_before_them(keys in proptest::collection::vec(any::<bool>(), 1..60)) {
        let mut expected = String::new();
        let mut inputs = vec![(0, key(KeyKind::Press, "a", &[]))];
        expected.push('a');
        for (n, is_letter) in keys.iter().enumerate() {
            if *is_letter { expected.push('é') } else { expected.pop().map_or((), |_| ()) }
            inputs.push((n as u64 + 1, key(KeyKind::Press, if *is_letter { "é" } else { "BackSpace" }, &[])));
        }
        let (actions, _) = reduce(&inputs);
        prop_assert_eq!(actions.len(), 1);
        prop_assert_eq!(actions[0].text.as_ref(), Some(&expected));
        prop_assert_eq!(actions[0].keystrokes, Some(keys.len() as u64 + 1));
        prop_assert_eq!(actions[0].corrections, Some(keys.iter().filter(|is_letter| !**is_letter).count() as u64));
    }
}
