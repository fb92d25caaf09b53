//! The reduction itself: messages in order of time go in, actions come out when they have ended.

use praxis_bundle::messages::{
    GapReason, KeyMessage, MarkersMessage, PointerKind, PointerMessage, Rect, Window, WindowsMessage,
};

use crate::keyboard::{ActiveWindow, Keyboard};
use crate::names::cut;
use crate::pointer::Pointer;
use crate::rest::Rest;
use crate::{Action, LeftOut, Parameters, WindowName};

/// Longest title and class that go into an action.
const MAX_WINDOW_CHARS: usize = 500;
/// Most windows that are remembered as shown.
const MAX_SHOWN: usize = 256;

/// A message that has to do with actions.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Of `pointer`.
    Pointer(PointerMessage),
    /// Of `keys`.
    Key(KeyMessage),
    /// Of `windows`: the active window from now on, and those that are shown.
    Window {
        /// Its id and name.
        active: Option<(u64, WindowName)>,
        /// From the top down.
        shown: Vec<Shown>,
    },
    /// These places of the root window changed on the screen.
    Changed(Vec<Rect>),
    /// A block of `narration`, as it is in the bundle.
    Voice(Vec<u8>),
    /// Input is not recorded from here on: nothing goes on across it.
    Cut,
    /// Input is recorded again.
    Back,
}

/// A window that is shown, above those that follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Where it is.
    pub rect: Rect,
    /// What people know it as.
    pub name: WindowName,
    /// Its process.
    pub pid: Option<u32>,
}

impl Input {
    /// Of a message of `windows`.
    #[must_use]
    pub fn window(message: WindowsMessage) -> Self {
        let cut = |text: &str| cut(text, MAX_WINDOW_CHARS);
        let name = |window: &Window| WindowName { title: cut(&window.title), class: cut(&window.class) };
        let shown = |window: &Window| Shown { rect: window.rect, name: name(window), pid: window.pid };
        Self::Window {
            active: message.active.as_ref().map(|window| (window.id, name(window))),
            shown: message.shown.iter().take(MAX_SHOWN).map(shown).collect(),
        }
    }

    /// Of a message of `markers`: a pause, or a gap of the input itself, cuts, and its end is where it goes on. `None` for what
    /// has nothing to do with input.
    #[must_use]
    pub fn marker(message: &MarkersMessage) -> Option<Self> {
        let is_input = |track: &str| track == "pointer" || track == "keys";
        match message {
            MarkersMessage::GapBegin { track, reason, .. } => {
                (*reason == GapReason::Pause || is_input(track)).then_some(Self::Cut)
            }
            MarkersMessage::GapEnd { track } => is_input(track).then_some(Self::Back),
            MarkersMessage::Marker { .. } | MarkersMessage::Label { .. } => None,
        }
    }
}

/// Reduces messages to actions. It holds what is open, no more: a button that is down (with at most 4096 points of its
/// way), one click, one scroll, one run of typing, one rest (with at most 12 MiB of narration that nobody has listened to).
#[derive(Debug, Default)]
pub struct Reducer {
    parameters: Parameters,
    pointer: Pointer,
    keyboard: Keyboard,
    rest: Rest,
    window: ActiveWindow,
    shown: Vec<Shown>,
    left_out: LeftOut,
    now_nanos: u64,
}

impl Reducer {
    /// With these thresholds.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// Takes the next message and gives out the actions that have ended, in the order in which they did. A message that
    /// is older than the last counts as of its time.
    pub fn push(&mut self, nanos: u64, input: &Input, out: &mut Vec<Action>) {
        self.now_nanos = self.now_nanos.max(nanos);
        let nanos = self.now_nanos;
        self.pointer.settle(&self.parameters, nanos, out);
        self.keyboard.settle(&self.parameters, nanos, out);
        self.rest.settle(&self.parameters, nanos, out);
        if matches!(input, Input::Pointer(_) | Input::Key(_)) {
            self.rest.input(&self.parameters, nanos, self.window.name.as_ref(), out);
        }
        match input {
            Input::Pointer(message) => self.pointer(nanos, message, out),
            Input::Key(message) => {
                if Keyboard::is_input(message) {
                    self.pointer.interrupt(out);
                    self.rest.leave(&self.parameters, nanos);
                }
                self.left_out.lone_modifiers +=
                    self.keyboard.key(&self.parameters, nanos, message, &self.window, out);
            }
            Input::Window { active, shown } => {
                self.shown.clone_from(shown);
                let (id, name) = active.clone().unzip();
                let active = ActiveWindow { id, name };
                if active != self.window {
                    self.rest.window_changes(self.window.name.as_ref());
                    self.window = active;
                }
            }
            Input::Changed(areas) => self.rest.changed(&self.parameters, nanos, areas),
            Input::Voice(block) => self.rest.voice(&self.parameters, nanos, block),
            Input::Cut => self.cut(nanos, out),
            Input::Back => {
                self.cut(nanos, out);
                self.rest.back(nanos);
            }
        }
    }

    /// Ends at a session time: what is open is closed there.
    pub fn end(mut self, nanos: u64, out: &mut Vec<Action>) -> LeftOut {
        self.cut(nanos.max(self.now_nanos), out);
        self.left_out
    }

    fn pointer(&mut self, nanos: u64, message: &PointerMessage, out: &mut Vec<Action>) {
        match message.kind {
            PointerKind::Press => {
                self.keyboard.interrupt(out);
                self.keyboard.use_modifiers();
                self.pointer.end_scroll(out);
                self.rest.use_pointer();
            }
            PointerKind::Scroll => {
                self.keyboard.interrupt(out);
                self.keyboard.use_modifiers();
                self.pointer.end_click(out);
                self.rest.use_pointer();
            }
            PointerKind::Move if !self.pointer.is_held() => {
                self.rest.moved(&self.parameters, nanos, message, self.window.name.as_ref());
            }
            PointerKind::Move | PointerKind::Release => {}
        }
        let window = self.window_at(message.x_px, message.y_px).cloned();
        let window = window.as_ref();
        if !self.pointer.button(&self.parameters, nanos, message, window, out) {
            self.left_out.lone_releases += 1;
        }
        if message.kind == PointerKind::Scroll {
            self.pointer.scroll(&self.parameters, nanos, message, window, out);
        }
    }

    /// The window that a click at a place goes to: the topmost there; a menu counts for the window that it is of; on the
    /// bare desktop there is none. Where it is not known which windows are shown, the active one.
    fn window_at(&self, x_px: i32, y_px: i32) -> Option<&WindowName> {
        if self.shown.is_empty() {
            return self.window.name.as_ref();
        }
        let top = self.shown.iter().find(|shown| shown.rect.contains(x_px, y_px))?;
        let is_menu = top.name.title.is_empty();
        let owner = self.shown.iter().find(|shown| {
            is_menu && !shown.name.title.is_empty() && shown.pid.is_some() && shown.pid == top.pid
        });
        Some(&owner.unwrap_or(top).name)
    }

    fn cut(&mut self, nanos: u64, out: &mut Vec<Action>) {
        self.pointer.cut(&self.parameters, nanos, out);
        self.rest.cut(&self.parameters, nanos, self.window.name.as_ref(), out);
        self.left_out.lone_modifiers += self.keyboard.cut(out);
    }
}
