//! The keyboard's half of the reduction: text is typed, keys without text are pressed, keys with modifiers are hotkeys.

use praxis_bundle::messages::{KeyKind, KeyMessage, Modifier};

use crate::names::{KeyClass, class_of, is_command, modifier_names, name_of};
use crate::{Action, Kind, Parameters, WindowName};

/// Typing is cut into two actions when its text is this long.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Most modifiers that are followed while they are down; there are no more on any keyboard.
const MAX_HELD: usize = 32;
const MILLI: u64 = 1_000_000;

/// What the keyboard is in the middle of.
#[derive(Debug, Default)]
pub(crate) struct Keyboard {
    /// Modifiers that are down.
    held: Vec<HeldModifier>,
    open: Option<Open>,
    /// The next key makes a character together with the last.
    is_composing: bool,
}

#[derive(Debug)]
struct HeldModifier {
    keycode: u32,
    nanos: u64,
    is_meta: bool,
    /// Something was done while it was down.
    is_used: bool,
}

/// Typing, or a key that may be pressed again.
#[derive(Debug)]
struct Open {
    action: Action,
    /// The window it is in.
    window_id: Option<u64>,
}

/// The window that is active.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ActiveWindow {
    pub(crate) id: Option<u64>,
    pub(crate) name: Option<WindowName>,
}

impl Keyboard {
    /// A key. Returns how many modifiers turn out to have been pressed for nothing.
    pub(crate) fn key(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &KeyMessage,
        window: &ActiveWindow,
        out: &mut Vec<Action>,
    ) -> u64 {
        let class = class_of(&message.keysym);
        match (message.kind, class) {
            (KeyKind::Press, KeyClass::Modifier { is_meta }) => self.hold(nanos, message.keycode, is_meta),
            (KeyKind::Press, class) => {
                self.use_modifiers();
                self.press(parameters, nanos, message, class, window, out);
                0
            }
            (KeyKind::Release, _) => self.let_go(parameters, nanos, message, window, out),
        }
    }

    /// Whether a message is the press of something else than a modifier.
    pub(crate) fn is_input(message: &KeyMessage) -> bool {
        message.kind == KeyKind::Press && !matches!(class_of(&message.keysym), KeyClass::Modifier { .. })
    }

    /// The pointer was used: what is held was held for it.
    pub(crate) fn use_modifiers(&mut self) {
        self.held.iter_mut().for_each(|modifier| modifier.is_used = true);
    }

    /// Something else was done: typing does not go on after it.
    pub(crate) fn interrupt(&mut self, out: &mut Vec<Action>) {
        out.extend(self.open.take().map(|open| open.action));
        self.is_composing = false;
    }

    /// Gives out what cannot go on any more at this time.
    pub(crate) fn settle(&mut self, parameters: &Parameters, nanos: u64, out: &mut Vec<Action>) {
        let is_over =
            |open: &mut Open| nanos - open.action.end_nanos > longest_rest(parameters, open.action.kind);
        if let Some(open) = self.open.take_if(is_over) {
            out.push(open.action);
            self.is_composing = false;
        }
    }

    /// A gap begins, or the recording ends. Returns how many modifiers were pressed for nothing.
    pub(crate) fn cut(&mut self, out: &mut Vec<Action>) -> u64 {
        self.interrupt(out);
        let held = std::mem::take(&mut self.held);
        held.iter().filter(|modifier| !modifier.is_used).count() as u64
    }

    fn hold(&mut self, nanos: u64, keycode: u32, is_meta: bool) -> u64 {
        // A repeat, or its release was missed.
        if self.held.iter().any(|modifier| modifier.keycode == keycode) {
            return 0;
        }
        let forgotten = (self.held.len() == MAX_HELD).then(|| self.held.remove(0));
        self.held.push(HeldModifier { keycode, nanos, is_meta, is_used: false });
        u64::from(forgotten.is_some_and(|modifier| !modifier.is_used))
    }

    fn let_go(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &KeyMessage,
        window: &ActiveWindow,
        out: &mut Vec<Action>,
    ) -> u64 {
        let Some(at) = self.held.iter().position(|modifier| modifier.keycode == message.keycode) else {
            return 0;
        };
        let modifier = self.held.remove(at);
        if modifier.is_used {
            return 0;
        }
        let is_tap = nanos - modifier.nanos <= u64::from(parameters.modifier_tap_millis) * MILLI;
        if !(modifier.is_meta && is_tap) {
            return 1;
        }
        self.interrupt(out);
        let mut action = Action::at(Kind::Press, modifier.nanos, window.name.clone());
        action.end_nanos = nanos;
        (action.keys, action.count) = (Some(vec!["meta".into()]), Some(1));
        out.push(action);
        0
    }

    /// The press of anything but a modifier.
    fn press(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &KeyMessage,
        class: KeyClass,
        window: &ActiveWindow,
        out: &mut Vec<Action>,
    ) {
        let is_composing = std::mem::take(&mut self.is_composing);
        let is_shifted = message.modifiers.contains(&Modifier::Shift);
        let is_line_end = matches!(message.text.as_deref(), Some("\n" | "\r" | "\t"));
        let is_typing = self
            .open
            .as_ref()
            .is_some_and(|open| open.action.kind == Kind::Type && goes_on(parameters, open, nanos, window));
        let is_back_tab = message.keysym == "ISO_Left_Tab";
        if is_command(&message.modifiers) || is_back_tab {
            return self.hotkey(parameters, nanos, message, window, out);
        }
        match (class, message.text.as_deref()) {
            (KeyClass::Backspace, _) if is_typing => {
                self.edit(
                    nanos,
                    |text| text.truncate(text.floor_char_boundary(text.len().saturating_sub(1))),
                    true,
                );
            }
            (_, Some(text)) if is_line_end && is_typing => {
                self.edit(nanos, |typed| typed.push_str(text), false);
                self.interrupt(out);
            }
            (_, Some(text)) if !is_line_end && class != KeyClass::Backspace => {
                self.begin_typing(is_typing, nanos, window, out);
                self.edit(nanos, |typed| typed.push_str(text), false);
                if self.typed_bytes() >= MAX_TEXT_BYTES {
                    self.interrupt(out);
                }
            }
            (KeyClass::Composing, None) | (KeyClass::Other, None)
                if class == KeyClass::Composing || is_composing =>
            {
                self.begin_typing(is_typing, nanos, window, out);
                self.edit(nanos, |_| {}, false);
                self.is_composing = true;
            }
            _ if is_shifted && !is_line_end && class != KeyClass::Backspace => {
                self.hotkey(parameters, nanos, message, window, out);
            }
            _ => self.repeat(parameters, nanos, Kind::Press, vec![name_of(&message.keysym)], window, out),
        }
    }

    fn hotkey(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &KeyMessage,
        window: &ActiveWindow,
        out: &mut Vec<Action>,
    ) {
        let mut keys = modifier_names(&message.modifiers);
        if message.keysym == "ISO_Left_Tab" && !keys.iter().any(|key| key == "shift") {
            let at = keys.iter().position(|key| key == "meta").unwrap_or(keys.len());
            keys.insert(at, "shift".into());
        }
        keys.push(name_of(&message.keysym).to_lowercase());
        self.repeat(parameters, nanos, Kind::Hotkey, keys, window, out);
    }

    /// Goes on with the same keys, or begins with them.
    fn repeat(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        kind: Kind,
        keys: Vec<String>,
        window: &ActiveWindow,
        out: &mut Vec<Action>,
    ) {
        if let Some(open) = &mut self.open
            && open.action.kind == kind
            && open.action.keys.as_ref() == Some(&keys)
            && goes_on(parameters, open, nanos, window)
        {
            open.action.end_nanos = nanos;
            open.action.count = open.action.count.map(|count| count + 1);
            return;
        }
        self.interrupt(out);
        let mut action = Action::at(kind, nanos, window.name.clone());
        (action.keys, action.count) = (Some(keys), Some(1));
        self.open = Some(Open { action, window_id: window.id });
    }

    fn begin_typing(&mut self, is_typing: bool, nanos: u64, window: &ActiveWindow, out: &mut Vec<Action>) {
        if is_typing {
            return;
        }
        self.interrupt(out);
        let mut action = Action::at(Kind::Type, nanos, window.name.clone());
        (action.text, action.keystrokes, action.corrections) = (Some(String::new()), Some(0), Some(0));
        self.open = Some(Open { action, window_id: window.id });
    }

    fn edit(&mut self, nanos: u64, change: impl FnOnce(&mut String), is_correction: bool) {
        let Some(Open { action, .. }) = &mut self.open else { return };
        action.end_nanos = nanos;
        change(action.text.get_or_insert_default());
        *action.keystrokes.get_or_insert_default() += 1;
        *action.corrections.get_or_insert_default() += u64::from(is_correction);
    }

    fn typed_bytes(&self) -> usize {
        self.open.as_ref().and_then(|open| open.action.text.as_ref()).map_or(0, String::len)
    }
}

/// Whether an open action may go on now, in this window.
fn goes_on(parameters: &Parameters, open: &Open, nanos: u64, window: &ActiveWindow) -> bool {
    open.window_id == window.id && nanos - open.action.end_nanos <= longest_rest(parameters, open.action.kind)
}

fn longest_rest(parameters: &Parameters, kind: Kind) -> u64 {
    let millis = if kind == Kind::Type { parameters.type_gap_millis } else { parameters.press_gap_millis };
    u64::from(millis) * MILLI
}
