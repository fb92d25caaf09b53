//! Pointer and keys by `rdev`, which listens in a process of its own ([`super::helper`]).
//!
//! It tells neither where a button was pressed nor which modifiers are held: the place is that of the newest move, and held
//! keys are counted here. Times are those at which the helper heard of an event, a little after it happened.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use praxis_bundle::manifest::{Backend, Keyboard, PointerSettings};
use praxis_bundle::messages::{KeyKind, KeyMessage, Modifier, PointerKind, PointerMessage};

use super::Beside;
use super::helper::{HELPER, Heard, What};
use super::keys::Key;
use crate::clock::SharedTime;
use crate::sources::{InputEvent, InputSource, SourceError, Stop};

/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(50);
const ALIVE_EVERY_NANOS: u64 = 1_000_000_000;
/// How often a helper that does not hear yet is asked again.
const EARLY_LOOK: Duration = Duration::from_millis(5);
/// A helper that has said nothing for so long hangs: it says twice a second that it runs.
const HANGS_AFTER_NANOS: u64 = 1_500_000_000;
/// Longest that a helper may take to end before it is killed.
const END_WITHIN_NANOS: u64 = 200_000_000;
/// Modifiers by the symbols of their keys.
const MODIFIERS: [(Modifier, &[&str]); 5] = [
    (Modifier::Shift, &["Shift_L", "Shift_R"]),
    (Modifier::Control, &["Control_L", "Control_R"]),
    (Modifier::Alt, &["Alt_L"]),
    (Modifier::Super, &["Super_L", "Super_R"]),
    (Modifier::AltGr, &["ISO_Level3_Shift"]),
];
/// With these held a key makes no text.
const SHORTCUT: [Modifier; 3] = [Modifier::Control, Modifier::Alt, Modifier::Super];

/// The pointer and the keys of this desktop.
pub struct Input {
    time: SharedTime,
    program: PathBuf,
    settings: (Keyboard, PointerSettings),
    beside: Option<Mutex<Box<dyn Beside>>>,
}

impl Input {
    /// With the program whose `main` calls [`super::help`], and the settings for the manifest, as far as they are known.
    #[must_use]
    pub fn new(
        time: SharedTime,
        program: &Path,
        settings: (Keyboard, PointerSettings),
        beside: Option<Box<dyn Beside>>,
    ) -> Self {
        Self { time, program: program.to_owned(), settings, beside: beside.map(Mutex::new) }
    }

    fn beside<T>(
        &self,
        ask: impl FnOnce(&mut dyn Beside) -> Result<T, SourceError>,
    ) -> Result<Option<T>, SourceError> {
        let Some(beside) = &self.beside else { return Ok(None) };
        ask(&mut **beside.lock().unwrap_or_else(PoisonError::into_inner)).map(Some)
    }

    fn start(&self) -> Result<Helper, SourceError> {
        let mut command = Command::new(&self.program);
        command.arg(HELPER).stdin(Stdio::piped()).stdout(Stdio::piped());
        let cannot = |why: &dyn std::fmt::Display| SourceError::Lost(format!("input cannot be heard: {why}"));
        let mut child = command.spawn().map_err(|error| cannot(&error))?;
        let stdin = Mutex::new(child.stdin.take());
        Ok(Helper { time: self.time.clone(), child: Mutex::new(child), stdin, said_nanos: AtomicU64::new(0) })
    }

    /// Proves life and, when told to stop, has the helper end.
    fn control(
        &self,
        helper: &Helper,
        sink: &(dyn Fn(InputEvent) + Sync),
        stop: &Stop,
        is_over: &AtomicBool,
    ) -> Result<(), SourceError> {
        let pid = helper.pid();
        let says_so =
            |now: u64| now.saturating_sub(helper.said_nanos.load(Ordering::SeqCst)) < HANGS_AFTER_NANOS;
        let (mut next_alive, mut is_heard) = (0, false);
        while !stop.is_stopped() && !is_over.load(Ordering::SeqCst) {
            let now = self.time.boot_nanos();
            if now >= next_alive {
                is_heard = says_so(now) && self.beside(|beside| beside.hears(pid))?.unwrap_or(true);
                if is_heard {
                    sink(InputEvent::Alive);
                    next_alive = now + ALIVE_EVERY_NANOS;
                }
            }
            sleep(if is_heard { STOP_LOOK } else { EARLY_LOOK });
        }
        // After this round trip the helper has been sent everything that happened before the stop.
        self.beside(|beside| beside.pointer())?;
        helper.end();
        Ok(())
    }
}

/// The running helper. It ends with this.
struct Helper {
    time: SharedTime,
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    /// When it spoke last, by the boot clock.
    said_nanos: AtomicU64,
}

impl Helper {
    fn pid(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Has it end in good order; kills it if it does not.
    fn end(&self) {
        drop(self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take());
        let begun = self.time.boot_nanos();
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        while matches!(child.try_wait(), Ok(None)) {
            if self.time.boot_nanos() - begun > END_WITHIN_NANOS {
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
            }
            sleep(EARLY_LOOK);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

impl InputSource for Input {
    fn backend(&self) -> Backend {
        let cannot = [
            "when exactly an event happened: its time is when it was heard of",
            "text of AltGr, of dead keys and of other layouts than the first",
            "symbols of the layout: keys are named as on a US keyboard",
            "modifiers that were held when the recording began, Caps Lock and Num Lock",
            "raw motion, parts of wheel steps, and whether a program made an event",
            "the shape of the pointer, and what is copied",
        ];
        let mut cannot: Vec<String> = cannot.map(str::to_owned).into();
        if self.beside.is_none() {
            cannot
                .push("proof that all input is heard, and clicks before the pointer has first moved".into());
        }
        Backend { tracks: vec!["pointer".into(), "keys".into()], name: "rdev".into(), cannot }
    }

    fn settings(&self) -> (Keyboard, PointerSettings) {
        self.settings.clone()
    }

    fn run(&mut self, sink: &(dyn Fn(InputEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        let mut hand = Hand::default();
        if let Some((x_px, y_px)) = self.beside(|beside| beside.pointer())? {
            hand.place = Some((x_px, y_px));
            let place = PointerMessage::at(PointerKind::Move, x_px, y_px);
            sink(InputEvent::Place(self.time.boot_nanos(), place));
        }
        let helper = self.start()?;
        let output = helper.child.lock().unwrap_or_else(PoisonError::into_inner).stdout.take();
        let lines = output.map(|output| BufReader::new(output).lines()).into_iter().flatten();
        let (this, helper, is_over) = (&*self, &helper, &AtomicBool::new(false));
        let controlled = std::thread::scope(|scope| {
            let control = scope.spawn(move || this.control(helper, sink, stop, is_over));
            // What is no event is a word of the library's own.
            for heard in
                lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Heard>(&line).ok())
            {
                helper.said_nanos.store(this.time.boot_nanos(), Ordering::SeqCst);
                let nanos = heard.boot_nanos.min(this.time.boot_nanos());
                hand.hear(heard.what).into_iter().for_each(|event| sink(event(nanos)));
            }
            is_over.store(true, Ordering::SeqCst);
            control.join()
        });
        controlled.map_err(|_| SourceError::Lost("the input thread failed".into()))??;
        match stop.is_stopped() {
            true => Ok(()),
            false => Err(SourceError::Lost(
                "the process that hears input has ended: stop, and begin another recording".into(),
            )),
        }
    }
}

/// Where the pointer is and what is held down.
#[derive(Default)]
struct Hand {
    place: Option<(i32, i32)>,
    held: HashSet<Key>,
}

impl Hand {
    fn modifiers(&self) -> Vec<Modifier> {
        let is_held = |names: &[&str]| self.held.iter().any(|key| names.contains(&key.keysym.as_str()));
        MODIFIERS.iter().filter(|(_, names)| is_held(names)).map(|(modifier, _)| *modifier).collect()
    }

    /// An event as ours, once it has a time.
    fn hear(&mut self, what: What) -> Option<impl FnOnce(u64) -> InputEvent + use<>> {
        let message = match what {
            What::Alive => return None,
            What::Moved { x, y } => {
                self.place = Some((x as i32, y as i32));
                Message::Pointer(self.pointer(PointerKind::Move)?)
            }
            What::Pressed(button) => {
                Message::Pointer(PointerMessage { button: Some(button), ..self.pointer(PointerKind::Press)? })
            }
            What::Released(button) => Message::Pointer(PointerMessage {
                button: Some(button),
                ..self.pointer(PointerKind::Release)?
            }),
            What::Scrolled(dx, dy) => Message::Pointer(PointerMessage {
                dx: Some(dx),
                dy: Some(dy),
                ..self.pointer(PointerKind::Scroll)?
            }),
            What::KeyPressed { key, name } => {
                let modifiers = self.modifiers();
                let text =
                    text_of(&key, name).filter(|_| !modifiers.iter().any(|held| SHORTCUT.contains(held)));
                let repeat = !self.held.insert(key.clone());
                Message::Key(KeyMessage { text, repeat, ..key_message(KeyKind::Press, key, modifiers) })
            }
            What::KeyReleased(key) => {
                let modifiers = self.modifiers();
                self.held.remove(&key);
                Message::Key(key_message(KeyKind::Release, key, modifiers))
            }
        };
        Some(move |nanos| match message {
            Message::Pointer(message) => InputEvent::Pointer(nanos, message),
            Message::Key(message) => InputEvent::Key(nanos, message),
        })
    }

    /// A pointer event where the pointer is; `None` as long as that is not known.
    fn pointer(&self, kind: PointerKind) -> Option<PointerMessage> {
        let (x_px, y_px) = self.place?;
        Some(PointerMessage { modifiers: self.modifiers(), ..PointerMessage::at(kind, x_px, y_px) })
    }
}

enum Message {
    Pointer(PointerMessage),
    Key(KeyMessage),
}

fn key_message(kind: KeyKind, key: Key, modifiers: Vec<Modifier>) -> KeyMessage {
    KeyMessage {
        kind,
        text: None,
        keysym: key.keysym,
        keycode: key.keycode,
        modifiers,
        repeat: false,
        layout: 0,
        injected: None,
        source_millis: None,
    }
}

/// The text that a press made.
fn text_of(key: &Key, name: Option<String>) -> Option<String> {
    match key.keysym.as_str() {
        "Return" | "KP_Enter" => Some("\n".into()),
        "Tab" => Some("\t".into()),
        _ => name.filter(|name| !name.is_empty() && !name.chars().any(char::is_control)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(keysym: &str) -> Key {
        Key { keysym: keysym.into(), keycode: 1 }
    }

    fn press(keysym: &str, name: &str) -> What {
        What::KeyPressed { key: key(keysym), name: Some(name.into()) }
    }

    #[test]
    fn clicks_are_where_the_pointer_is_and_nowhere_before_that_is_known() {
        let mut hand = Hand::default();
        assert!(hand.hear(What::Pressed(1)).is_none());
        assert!(hand.hear(What::Moved { x: 31.0, y: 7.0 }).is_some());
        let Some(InputEvent::Pointer(5, message)) = hand.hear(What::Pressed(3)).map(|event| event(5)) else {
            panic!("no press");
        };
        assert_eq!(
            (message.kind, message.button, message.x_px, message.y_px),
            (PointerKind::Press, Some(3), 31, 7)
        );
    }

    #[test]
    fn shortcuts_make_no_text_and_held_keys_repeat() {
        let mut hand = Hand::default();
        let mut typed = |what| match hand.hear(what).map(|event| event(0)) {
            Some(InputEvent::Key(_, message)) => (message.text, message.repeat, message.modifiers),
            other => panic!("{other:?}"),
        };
        assert_eq!(typed(press("a", "a")), (Some("a".into()), false, vec![]));
        assert_eq!(typed(press("a", "a")), (Some("a".into()), true, vec![]));
        assert_eq!(typed(What::KeyReleased(key("a"))), (None, false, vec![]));
        assert_eq!(typed(press("Return", "\r")), (Some("\n".into()), false, vec![]));
        assert_eq!(typed(press("Escape", "\u{1b}")), (None, false, vec![]));
        assert_eq!(typed(press("Control_L", "")), (None, false, vec![]), "before the event it was not held");
        assert_eq!(typed(press("s", "s")), (None, false, vec![Modifier::Control]));
    }
}
