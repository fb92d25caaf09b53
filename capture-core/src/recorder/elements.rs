//! Asks what was clicked: on a thread of its own, never while the person types, and not for long.
//!
//! A slow program delays neither input nor the next question by more than [`DEADLINE_NANOS`], counted from the press: what
//! waited for so long is not asked any more, and every press gets its answer or the reason why there is none.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use praxis_bundle::Track;
use praxis_bundle::messages::{
    ElementAbsence, ElementsMessage, GapReason, KeyKind, KeyMessage, PointerKind, PointerMessage, Window,
    WindowsMessage,
};

use super::Context;
use crate::sources::{ElementSource, Stop};

/// Longest from a press to its answer.
const DEADLINE_NANOS: u64 = 400_000_000;
/// So long after it happened a release has been heard of.
const HEARD_WITHIN: Duration = Duration::from_millis(10);
/// Who pressed a key so shortly before is typing.
const TYPING_NANOS: u64 = 500_000_000;
/// How often the stop switch is looked at, and how often whoever answers is asked for proof of life.
const LOOK: Duration = Duration::from_millis(100);
/// So many changes of the windows are remembered: input is told later than it happened, but not by as many.
const MAX_SHOWN: usize = 8;
const PING_NANOS: u64 = 1_000_000_000;

/// A press, with its session time.
struct Press {
    nanos: u64,
    x_px: i32,
    y_px: i32,
    /// The topmost window that was known to be there.
    window: Option<u64>,
}

/// The end of the feeds: hears of all input, and of all windows, in no time.
pub(super) struct Clicks {
    presses: Sender<Press>,
    /// What was shown from which session time on, the newest last; each from the top down.
    shown: Mutex<VecDeque<(u64, Vec<Window>)>>,
    newest: Arc<Newest>,
}

/// What may spoil an answer: session times of the newest of each kind, plus one; zero for none.
#[derive(Default)]
struct Newest {
    key: AtomicU64,
    release: AtomicU64,
}

/// The asking thread's end.
pub(super) struct Asker {
    source: Box<dyn ElementSource>,
    presses: Receiver<Press>,
    newest: Arc<Newest>,
}

/// The two ends of a line from input to a source of elements.
pub(super) fn line(source: Box<dyn ElementSource>) -> (Clicks, Asker) {
    let (sender, presses) = channel();
    let newest: Arc<Newest> = Arc::default();
    let clicks = Clicks { presses: sender, shown: Mutex::default(), newest: newest.clone() };
    (clicks, Asker { source, presses, newest })
}

impl Clicks {
    /// A pointer event of a session time.
    pub(super) fn pointer(&self, nanos: u64, message: &PointerMessage) {
        if message.kind == PointerKind::Release {
            self.newest.release.store(nanos + 1, Ordering::Relaxed);
        }
        if message.kind == PointerKind::Press {
            let (x_px, y_px) = (message.x_px, message.y_px);
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let then = shown.iter().rfind(|(since, _)| *since <= nanos).map(|(_, windows)| windows);
            let window =
                then.and_then(|windows| windows.iter().find(|window| window.rect.contains(x_px, y_px)));
            let window = window.map(|window| window.id);
            // Nobody asks any more when the bus is gone, which a gap says.
            let _ = self.presses.send(Press { nanos, x_px, y_px, window });
        }
    }

    /// The windows as they are from a session time on.
    pub(super) fn windows(&self, nanos: u64, message: &WindowsMessage) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.push_back((nanos, message.shown.clone()));
        if shown.len() > MAX_SHOWN {
            shown.pop_front();
        }
    }

    /// A key event of a session time. Modifiers go with clicks: they are no typing.
    pub(super) fn key(&self, nanos: u64, message: &KeyMessage) {
        if message.kind == KeyKind::Press && !is_modifier(&message.keysym) {
            self.newest.key.store(nanos + 1, Ordering::Relaxed);
        }
    }
}

fn is_modifier(keysym: &str) -> bool {
    const NAMES: [&str; 7] = ["Shift_", "Control_", "Alt_", "Meta_", "Super_", "Hyper_", "ISO_Level"];
    NAMES.iter().any(|name| keysym.starts_with(name)) || ["Caps_Lock", "Num_Lock"].contains(&keysym)
}

impl Asker {
    /// Answers until told to stop, then what was pressed before; a bus that is gone becomes a gap.
    pub(super) fn run(mut self, context: &Context, stop: &Stop) {
        let mut next_ping = 0;
        loop {
            let now = context.clock.now_nanos();
            if now >= next_ping {
                next_ping = now + PING_NANOS;
                if let Err(error) = self.source.ping() {
                    return context.lose(&[Track::Elements], GapReason::SourceLost, &error.to_string());
                }
                context.queues.alive(Track::Elements, now);
            }
            match self.presses.recv_timeout(LOOK) {
                Ok(press) => self.answer(context, &press),
                Err(_) if stop.is_stopped() => return,
                Err(RecvTimeoutError::Timeout) => {}
                // Input and windows are lost.
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "no clicks are heard of any more";
                    return context.lose(&[Track::Elements], GapReason::SourceLost, why);
                }
            }
        }
    }

    fn answer(&mut self, context: &Context, press: &Press) {
        let give_up = || {
            let now = context.clock.now_nanos();
            let typed = self.newest.key.load(Ordering::Relaxed).checked_sub(1);
            match () {
                () if typed.is_some_and(|typed| now.saturating_sub(typed) < TYPING_NANOS) => {
                    Some(ElementAbsence::Typing)
                }
                () if now.saturating_sub(press.nanos) > DEADLINE_NANOS => Some(ElementAbsence::Late),
                // Buttons and menus act when the button comes up: what is there then may be what came of it.
                () if self.newest.release.load(Ordering::Relaxed) > press.nanos => Some(ElementAbsence::Late),
                () => None,
            }
        };
        let found = match give_up() {
            Some(why) => Err(why),
            None => self.source.at(press.x_px, press.y_px, press.window, &give_up),
        };
        let answered = context.clock.now_nanos();
        let found = found.and_then(|element| {
            sleep(HEARD_WITHIN);
            let released = self.newest.release.load(Ordering::Relaxed);
            if (press.nanos + 1..=answered).contains(&released) {
                Err(ElementAbsence::Late)
            } else {
                Ok(element)
            }
        });
        let (element, absent) = match found {
            Ok(element) => (Some(element), None),
            Err(why) => (None, Some(why)),
        };
        let now = context.clock.now_nanos();
        tracing::debug!(after_nanos = now.saturating_sub(press.nanos), ?absent, "a press is answered for");
        let message = ElementsMessage { press_nanos: press.nanos, element, absent };
        context.queues.send_json(Track::Elements, now, &message);
    }
}
