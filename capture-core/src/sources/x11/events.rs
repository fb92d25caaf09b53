//! X events as ours: what programs get, joined with what the device said of it.

use praxis_bundle::messages::{KeyKind, KeyMessage, PointerKind, PointerMessage};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, KeyPressEvent,
    MOTION_NOTIFY_EVENT, QueryPointerReply,
};

use super::devices::Scrolled;
use super::keymap::{Keymap, modifiers};
use crate::sources::InputEvent;

/// What a device said of an event.
#[derive(Default)]
pub(super) struct Reported {
    pub(super) is_injected: Option<bool>,
    /// Whether the server made it up, for programs that know no smooth scrolling.
    pub(super) is_emulated: bool,
    /// For a move.
    pub(super) raw: Option<(f64, f64)>,
}

/// An X event as ours. Key, button and motion events share one layout.
pub(super) fn understand(
    event: &KeyPressEvent,
    nanos: u64,
    was_held: bool,
    keymap: &mut Keymap,
    reported: &Reported,
) -> Option<InputEvent> {
    let state = u16::from(event.state);
    let pointer = |kind, button, dx, dy| {
        let message = PointerMessage {
            button,
            dx,
            dy,
            raw_dx: reported.raw.map(|(dx, _)| dx),
            raw_dy: reported.raw.map(|(_, dy)| dy),
            injected: reported.is_injected,
            source_millis: Some(event.time),
            ..at(kind, event.root_x, event.root_y, state)
        };
        Some(InputEvent::Pointer(nanos, message))
    };
    match (event.response_type & 0x7f, event.detail) {
        (kind @ (KEY_PRESS_EVENT | KEY_RELEASE_EVENT), keycode) => {
            let is_press = kind == KEY_PRESS_EVENT;
            let meaning = keymap.meaning(keycode, state, is_press);
            let message = KeyMessage {
                kind: if is_press { KeyKind::Press } else { KeyKind::Release },
                text: meaning.text,
                keysym: meaning.keysym,
                keycode: keycode.into(),
                modifiers: modifiers(state),
                repeat: is_press && was_held,
                layout: (state >> 13 & 3) as u8,
                injected: reported.is_injected,
                source_millis: Some(event.time),
            };
            Some(InputEvent::Key(nanos, message))
        }
        (MOTION_NOTIFY_EVENT, _) => pointer(PointerKind::Move, None, None, None),
        // X sends wheel steps as presses of these buttons; their releases mean nothing.
        (BUTTON_PRESS_EVENT, 4) => pointer(PointerKind::Scroll, None, Some(0.0), Some(1.0)),
        (BUTTON_PRESS_EVENT, 5) => pointer(PointerKind::Scroll, None, Some(0.0), Some(-1.0)),
        (BUTTON_PRESS_EVENT, 6) => pointer(PointerKind::Scroll, None, Some(-1.0), Some(0.0)),
        (BUTTON_PRESS_EVENT, 7) => pointer(PointerKind::Scroll, None, Some(1.0), Some(0.0)),
        (BUTTON_RELEASE_EVENT, 4..=7) => None,
        (BUTTON_PRESS_EVENT, button) => pointer(PointerKind::Press, Some(button), None, None),
        (BUTTON_RELEASE_EVENT, button) => pointer(PointerKind::Release, Some(button), None, None),
        _ => None,
    }
}

/// Where the pointer is before it moves.
pub(super) fn place_of(pointer: &QueryPointerReply) -> PointerMessage {
    at(PointerKind::Move, pointer.root_x, pointer.root_y, pointer.mask.into())
}

/// A smooth step.
pub(super) fn scroll_of(scrolled: &Scrolled) -> PointerMessage {
    let Scrolled { millis, dx, dy, is_injected, pointer } = scrolled;
    PointerMessage {
        dx: Some(*dx),
        dy: Some(*dy),
        injected: Some(*is_injected),
        source_millis: Some(*millis),
        ..at(PointerKind::Scroll, pointer.root_x, pointer.root_y, pointer.mask.into())
    }
}

fn at(kind: PointerKind, x: i16, y: i16, state: u16) -> PointerMessage {
    PointerMessage { modifiers: modifiers(state), ..PointerMessage::at(kind, x.into(), y.into()) }
}
