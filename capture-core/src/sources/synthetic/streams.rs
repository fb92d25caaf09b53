//! The stage's input, voice and windows: what is played arrives over a line. Its elements are asked for.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use praxis_bundle::manifest::{Backend, Keyboard, PointerSettings};
use praxis_bundle::messages::{Element, ElementAbsence, WindowsMessage};

use super::{RATE_HZ, Shown};
use crate::clock::SharedTime;
use crate::sources::{
    AudioEvent, AudioSource, ElementSource, InputEvent, InputSource, SourceError, Stop, WindowEvent,
    WindowSource,
};

/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// How often whoever waits for a program that hangs is asked whether to go on.
const HUNG_LOOK: Duration = Duration::from_millis(5);
const ALIVE_EVERY_NANOS: u64 = 1_000_000_000;

fn backend(tracks: &[&str]) -> Backend {
    let tracks = tracks.iter().map(|track| (*track).to_owned()).collect();
    Backend { tracks, name: "synthetic".into(), cannot: Vec::new() }
}

/// Hands on what the line brings until told to stop, with what it still holds then; `look` is called in between.
fn listen<T>(
    line: Option<&Receiver<T>>,
    stop: &Stop,
    mut look: impl FnMut(),
    mut take: impl FnMut(T),
) -> Result<(), SourceError> {
    let lost = || SourceError::Lost("the stage is gone".into());
    let line = line.ok_or_else(lost)?;
    while !stop.is_stopped() {
        look();
        match line.recv_timeout(STOP_LOOK) {
            Ok(item) => take(item),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(lost()),
        }
    }
    line.try_iter().for_each(take);
    Ok(())
}

/// Calls `alive` at once and then each second.
fn each_second(time: &SharedTime, alive: impl Fn()) -> impl FnMut() {
    let mut next = 0;
    move || {
        let now = time.boot_nanos();
        if now >= next {
            next = now + ALIVE_EVERY_NANOS;
            alive();
        }
    }
}

/// Records what is typed and pointed at.
pub struct Input {
    time: SharedTime,
    line: Option<Receiver<InputEvent>>,
}

impl Input {
    pub(super) fn new(time: SharedTime, line: Option<Receiver<InputEvent>>) -> Self {
        Self { time, line }
    }
}

impl InputSource for Input {
    fn backend(&self) -> Backend {
        backend(&["pointer", "keys"])
    }

    fn settings(&self) -> (Keyboard, PointerSettings) {
        (Keyboard { layouts: vec!["stage".into()] }, PointerSettings::default())
    }

    fn run(&mut self, sink: &(dyn Fn(InputEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        let look = each_second(&self.time, || sink(InputEvent::Alive));
        listen(self.line.as_ref(), stop, look, sink)
    }
}

/// Records what is said.
pub struct Audio {
    line: Option<Receiver<(u64, Vec<i16>)>>,
}

impl Audio {
    pub(super) fn new(line: Option<Receiver<(u64, Vec<i16>)>>) -> Self {
        Self { line }
    }
}

impl AudioSource for Audio {
    fn backend(&self) -> Backend {
        backend(&["narration"])
    }

    fn device(&self) -> String {
        "stage".into()
    }

    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn run(&mut self, sink: &mut dyn FnMut(AudioEvent<'_>), stop: &Stop) -> Result<(), SourceError> {
        let mut position = 0;
        let take = |(recorded_at_nanos, samples): (u64, Vec<i16>)| {
            sink(AudioEvent::Samples { position, samples: &samples, recorded_at_nanos });
            position += samples.len() as u64;
        };
        listen(self.line.as_ref(), stop, || {}, take)
    }
}

/// Records which window is active.
pub struct Windows {
    time: SharedTime,
    opened_nanos: u64,
    line: Option<Receiver<WindowEvent>>,
}

impl Windows {
    pub(super) fn new(time: SharedTime, line: Option<Receiver<WindowEvent>>) -> Self {
        Self { opened_nanos: time.boot_nanos(), time, line }
    }
}

impl WindowSource for Windows {
    fn backend(&self) -> Backend {
        backend(&["windows"])
    }

    fn run(&mut self, sink: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        if self.line.is_some() {
            let none = WindowsMessage { active: None, shown: Vec::new() };
            sink(WindowEvent::Changed(self.opened_nanos, none));
        }
        let look = each_second(&self.time, || sink(WindowEvent::Alive));
        listen(self.line.as_ref(), stop, look, sink)
    }
}

/// Tells what is shown at a place.
pub struct Elements(Arc<Mutex<Shown>>);

impl Elements {
    pub(super) fn new(shown: Arc<Mutex<Shown>>) -> Self {
        Self(shown)
    }
}

impl ElementSource for Elements {
    fn backend(&self) -> Backend {
        backend(&["elements"])
    }

    fn at(
        &mut self,
        x_px: i32,
        y_px: i32,
        _: Option<u64>,
        give_up: &dyn Fn() -> Option<ElementAbsence>,
    ) -> Result<Element, ElementAbsence> {
        loop {
            if let Some(why) = give_up() {
                return Err(why);
            }
            let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !shown.is_hung {
                let found = shown.elements.iter().rfind(|element| element.rect.contains(x_px, y_px));
                return found.cloned().ok_or(ElementAbsence::NotTold);
            }
            drop(shown);
            sleep(HUNG_LOOK);
        }
    }

    fn ping(&mut self) -> Result<(), SourceError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).is_lost {
            true => Err(SourceError::Lost("the stage is gone".into())),
            false => Ok(()),
        }
    }
}
