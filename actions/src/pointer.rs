//! The pointer's half of the reduction: presses become clicks or drags, clicks become double clicks, wheel steps scrolls.

use praxis_bundle::messages::{PointerKind, PointerMessage};

use crate::names::modifier_names;
use crate::path::{Path, distance_px};
use crate::{Action, Kind, Parameters, PathPoint, WindowName};

/// Most wheel steps that are told.
const MAX_TICKS: f64 = 1e9;
/// Most clicks of one action.
const MOST_CLICKS: u8 = 3;
const MILLI: u64 = 1_000_000;

/// What the pointer is in the middle of.
#[derive(Debug, Default)]
pub(crate) struct Pointer {
    /// Buttons that are down: there is one for each number at most.
    held: Vec<Held>,
    click: Option<Click>,
    scroll: Option<Scroll>,
    /// When the pointer began to move, if nothing else was done since.
    moved_nanos: Option<u64>,
}

/// A button that is down.
#[derive(Debug)]
struct Held {
    action: Action,
    path: Path,
    /// The click that this press may go on with.
    before: Option<Click>,
    /// Whether nothing else was done since.
    is_alone: bool,
}

/// A click that may become a double or triple one.
#[derive(Debug)]
struct Click {
    action: Action,
    /// Its newest press.
    press: PathPoint,
}

/// A scroll that may go on.
#[derive(Debug)]
struct Scroll {
    action: Action,
    from: PathPoint,
    direction: (i8, i8),
}

impl Pointer {
    /// A press, move or release. Returns false for a release without its press.
    pub(crate) fn button(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &PointerMessage,
        window: Option<&WindowName>,
        out: &mut Vec<Action>,
    ) -> bool {
        let at = PathPoint { nanos, x_px: message.x_px, y_px: message.y_px };
        let number = message.button.unwrap_or_default();
        match message.kind {
            PointerKind::Press => {
                // Its release was missed.
                self.release(parameters, number, at, true, out);
                let mut action = action_at(Kind::Click, at, message, window);
                (action.button, action.moved_nanos) = (Some(number), self.moved_nanos.take());
                let before = self.click.take().and_then(|click| {
                    if continues(parameters, &click, &action, at) {
                        return Some(click);
                    }
                    out.push(click.action);
                    None
                });
                self.held.iter_mut().for_each(|held| held.is_alone = false);
                self.held.push(Held { action, path: Path::new(at), before, is_alone: true });
                true
            }
            PointerKind::Release => self.release(parameters, number, at, false, out),
            PointerKind::Move | PointerKind::Scroll => {
                if message.kind == PointerKind::Move && !self.is_held() {
                    self.moved_nanos.get_or_insert(nanos);
                }
                self.held.iter_mut().for_each(|held| held.path.push(at));
                true
            }
        }
    }

    /// The wheel.
    pub(crate) fn scroll(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &PointerMessage,
        window: Option<&WindowName>,
        out: &mut Vec<Action>,
    ) {
        let at = PathPoint { nanos, x_px: message.x_px, y_px: message.y_px };
        // The message counts up and away from the person as positive.
        let (right, down) = (ticks(message.dx), -ticks(message.dy));
        let direction = (sign(right), sign(down));
        let modifiers = modifier_names(&message.modifiers);
        let goes_on = self.scroll.as_ref().is_some_and(|scroll| {
            scroll.direction == direction
                && scroll.action.modifiers == modifiers
                && nanos - scroll.action.end_nanos <= u64::from(parameters.scroll_gap_millis) * MILLI
                && distance_px(scroll.from, at) <= parameters.scroll_drift_px.into()
        });
        if !goes_on {
            out.extend(self.scroll.take().map(|scroll| scroll.action));
            let mut action = action_at(Kind::Scroll, at, message, window);
            action.moved_nanos = self.moved_nanos;
            (action.dx_ticks, action.dy_ticks) = (Some(0.0), Some(0.0));
            self.scroll = Some(Scroll { action, from: at, direction });
        }
        self.moved_nanos = None;
        if let Some(Scroll { action, .. }) = &mut self.scroll {
            action.end_nanos = nanos;
            // Adding to zero leaves no negative zero.
            let add =
                |sum: Option<f64>, step: f64| Some((sum.unwrap_or(0.0) + step).clamp(-MAX_TICKS, MAX_TICKS));
            action.dx_ticks = add(action.dx_ticks, right);
            action.dy_ticks = add(action.dy_ticks, down);
        }
    }

    /// Whether a button is down.
    pub(crate) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Something else was done: no click or scroll goes on after it.
    pub(crate) fn interrupt(&mut self, out: &mut Vec<Action>) {
        self.moved_nanos = None;
        self.end_click(out);
        self.end_scroll(out);
    }

    /// No click goes on, nor one whose button is still down.
    pub(crate) fn end_click(&mut self, out: &mut Vec<Action>) {
        out.extend(self.click.take().map(|click| click.action));
        self.held.iter_mut().for_each(|held| held.is_alone = false);
    }

    /// No scroll goes on.
    pub(crate) fn end_scroll(&mut self, out: &mut Vec<Action>) {
        out.extend(self.scroll.take().map(|scroll| scroll.action));
    }

    /// Gives out what cannot go on any more at this time.
    pub(crate) fn settle(&mut self, parameters: &Parameters, nanos: u64, out: &mut Vec<Action>) {
        let reach = u64::from(parameters.double_click_millis) * MILLI;
        out.extend(self.click.take_if(|click| nanos - click.press.nanos > reach).map(|click| click.action));
        let rest = u64::from(parameters.scroll_gap_millis) * MILLI;
        let is_over = |scroll: &mut Scroll| nanos - scroll.action.end_nanos > rest;
        out.extend(self.scroll.take_if(is_over).map(|scroll| scroll.action));
    }

    /// A gap begins, or the recording ends: nothing goes on beyond it.
    pub(crate) fn cut(&mut self, parameters: &Parameters, nanos: u64, out: &mut Vec<Action>) {
        for held in std::mem::take(&mut self.held) {
            let at = PathPoint { nanos, ..held.path.last() };
            self.finish(parameters, held, at, true, out);
        }
        self.interrupt(out);
    }

    /// A button came up, or counts as if it had. False if it was not down.
    fn release(
        &mut self,
        parameters: &Parameters,
        number: u8,
        at: PathPoint,
        is_truncated: bool,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(index) = self.held.iter().position(|held| held.action.button == Some(number)) else {
            return false;
        };
        let mut held = self.held.swap_remove(index);
        held.path.push(at);
        self.finish(parameters, held, at, is_truncated, out);
        true
    }

    fn finish(
        &mut self,
        parameters: &Parameters,
        held: Held,
        at: PathPoint,
        is_truncated: bool,
        out: &mut Vec<Action>,
    ) {
        let Held { mut action, path, before, is_alone } = held;
        (action.end_nanos, action.is_truncated) = (at.nanos, is_truncated);
        if path.reach_px > parameters.drag_px.into() {
            out.extend(before.map(|click| click.action));
            (action.kind, action.path) = (Kind::Drag, Some(path.finish(at)));
            out.push(action);
            return;
        }
        let press = path.first();
        action.clicks = Some(1);
        action.is_long = at.nanos - press.nanos >= u64::from(parameters.long_press_millis) * MILLI;
        if action.is_long {
            out.extend(before.map(|click| click.action));
        } else if let Some(before) = before {
            action = Action {
                clicks: before.action.clicks.map(|clicks| clicks + 1),
                end_nanos: at.nanos,
                is_truncated,
                ..before.action
            };
        }
        if action.is_long || is_truncated || !is_alone || action.clicks == Some(MOST_CLICKS) {
            out.push(action);
        } else {
            let before = self.click.replace(Click { action, press });
            out.extend(before.map(|click| click.action));
        }
    }
}

/// Whether a press goes on with a click.
fn continues(parameters: &Parameters, click: &Click, press: &Action, at: PathPoint) -> bool {
    click.action.button == press.button
        && click.action.modifiers == press.modifiers
        && at.nanos - click.press.nanos <= u64::from(parameters.double_click_millis) * MILLI
        && distance_px(click.press, at) <= parameters.double_click_px.into()
}

fn action_at(kind: Kind, at: PathPoint, message: &PointerMessage, window: Option<&WindowName>) -> Action {
    let mut action = Action::at(kind, at.nanos, window.cloned());
    (action.display, action.x_px, action.y_px) = (message.display, Some(at.x_px), Some(at.y_px));
    action.modifiers = modifier_names(&message.modifiers);
    action
}

/// Steps of a message; what is no number is none.
fn ticks(steps: Option<f64>) -> f64 {
    steps.filter(|steps| steps.is_finite()).unwrap_or_default()
}

fn sign(steps: f64) -> i8 {
    i8::from(steps > 0.0) - i8::from(steps < 0.0)
}
