//! The process that listens to input with `rdev`: the same program, started with [`HELPER`] as its only argument.
//!
//! `rdev` cannot be stopped, ends its whole process when the X server dies, and on macOS has to be on the main thread. So it
//! has a process of its own. What it hears goes to stdout, a line of JSON for each event, stamped with the boot clock. The process
//! ends when its stdin does: when it is told to, and also when the recorder is killed.

use std::io::{Read, Write};
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use rdev::{Button, Event, EventType};
use serde::{Deserialize, Serialize};

use super::keys::{self, Key};
use crate::clock::{SystemTime, Time};

/// The argument that makes a program the helper: its `main` must call [`help`] then, before anything else.
pub const HELPER: &str = "input-helper";
/// What happened before the end is still told: the process ends when nothing was heard for so long, or after the longest time.
const QUIET_NANOS: u64 = 30_000_000;
const LOOK: Duration = Duration::from_millis(5);
/// How often the helper says that it runs.
const ALIVE_EVERY: Duration = Duration::from_millis(500);
const MAX_LOOKS: usize = 30;

/// What the helper says of one event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Heard {
    /// Boot clock, when it was heard.
    pub(super) boot_nanos: u64,
    pub(super) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum What {
    /// Nothing: the helper runs.
    Alive,
    Moved {
        x: f64,
        y: f64,
    },
    /// By our numbers of buttons.
    Pressed(u8),
    Released(u8),
    /// To the right, up.
    Scrolled(f64, f64),
    KeyPressed {
        key: Key,
        /// What `rdev` calls it: mostly the text that it makes.
        name: Option<String>,
    },
    KeyReleased(Key),
}

/// Listens until stdin ends. Never returns otherwise but with an error.
#[must_use]
pub fn help() -> ExitCode {
    static NEWEST_NANOS: AtomicU64 = AtomicU64::new(0);
    spawn(|| {
        // Nothing is ever written there: this waits for its end.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        for _ in 0..MAX_LOOKS {
            let now = SystemTime.boot_nanos();
            if now.saturating_sub(NEWEST_NANOS.load(Ordering::SeqCst)) > QUIET_NANOS {
                break;
            }
            sleep(LOOK);
        }
        exit(0);
    });
    NEWEST_NANOS.store(SystemTime.boot_nanos(), Ordering::SeqCst);
    spawn(|| {
        loop {
            say(&Heard { boot_nanos: SystemTime.boot_nanos(), what: What::Alive });
            sleep(ALIVE_EVERY);
        }
    });
    let listened = rdev::listen(|event: Event| {
        let boot_nanos = SystemTime.boot_nanos();
        NEWEST_NANOS.store(boot_nanos, Ordering::SeqCst);
        if let Some(what) = what(event) {
            say(&Heard { boot_nanos, what });
        }
    });
    match listened {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("praxis {HELPER}: input cannot be heard ({error:?})");
            ExitCode::FAILURE
        }
    }
}

fn say(heard: &Heard) {
    let Ok(mut line) = serde_json::to_vec(heard) else { return };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(&line).and_then(|()| out.flush()).is_err() {
        // Nobody hears it any more.
        exit(0);
    }
}

/// An event of `rdev` as ours; `None` for what means nothing.
fn what(event: Event) -> Option<What> {
    Some(match event.event_type {
        EventType::MouseMove { x, y } => What::Moved { x, y },
        EventType::ButtonPress(button) => What::Pressed(number_of(button)?),
        EventType::ButtonRelease(button) => What::Released(number_of(button)?),
        EventType::Wheel { delta_x, delta_y } => What::Scrolled(delta_x as f64, delta_y as f64),
        EventType::KeyPress(key) => What::KeyPressed { key: keys::named(key), name: event.name },
        EventType::KeyRelease(key) => What::KeyReleased(keys::named(key)),
    })
}

fn number_of(button: Button) -> Option<u8> {
    match button {
        Button::Left => Some(1),
        Button::Middle => Some(2),
        Button::Right => Some(3),
        // X11: wheel steps, whose releases mean nothing.
        Button::Unknown(4..=7) => None,
        // Windows: the buttons at the side.
        Button::Unknown(1) => Some(8),
        Button::Unknown(2) => Some(9),
        Button::Unknown(other) => Some(other),
    }
}
