//! `praxis doctor`: captures a little of everything and says what it got.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::Rect;
use praxis_bundle::screen::check_size;
use praxis_bundle::storage::{room_at, sync_file};
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::sources::audio::{Microphone, microphones};
use praxis_capture_core::sources::native::{self, Choice};
use praxis_capture_core::sources::{AudioEvent, AudioSource, InputEvent, InputSource, Stop, WindowEvent};
use praxis_capture_core::sources::{ElementSource, ScreenSource, WindowSource};
use praxis_capture_core::system::{NeededFor, Permission, permissions};

use super::library_folder;
use crate::Done;
use crate::args::Doctor;
use crate::terminal::print;

/// How long each source is listened to.
const LISTEN: Duration = Duration::from_millis(1500);

type Outcome = Result<String, String>;

pub(crate) fn run(arguments: &Doctor) -> Result<Done> {
    let clocks: SharedTime = Arc::new(SystemTime);
    let mut report = Report { is_fine: true };
    for permission in permissions() {
        report.permission(&permission)?;
    }
    match native::open_desktop(&clocks, &Choice::default()) {
        Ok(mut desktop) => {
            report.line("screen", screen(&mut *desktop.screen))?;
            report.line("keys, pointer", input(&mut *desktop.input))?;
            report.line("windows", windows(&mut *desktop.windows))?;
            if let Some(elements) = &mut desktop.elements {
                match elements.backend() {
                    Backend { tracks, cannot, .. } if tracks.is_empty() => {
                        print(&format!("–  {}", cannot.join("; ")))?;
                    }
                    _ => report.line("elements", answering(&mut **elements))?,
                }
            }
        }
        Err(error) => report.line("screen, keys, pointer, windows, elements", Err(error.to_string()))?,
    }
    if arguments.mic == "none" {
        print("–  microphone: not tried")?;
    } else {
        report.line("microphone", microphone(&clocks, &arguments.mic))?;
    }
    let folder = library_folder(arguments.out.as_ref());
    report.line("disk", folder.map_err(|error| error.to_string()).and_then(|folder| disk(&folder)))?;
    report.line("clock", time(&clocks))?;
    Ok(if report.is_fine { Done::Fine } else { Done::No })
}

struct Report {
    is_fine: bool,
}

impl Report {
    fn permission(&mut self, permission: &Permission) -> std::io::Result<()> {
        let Permission { name, needed_for, is_given, way } = *permission;
        match (is_given, needed_for) {
            (Some(true), _) => self.line(name, Ok("allowed".into())),
            (Some(false), NeededFor::Nothing) => print(&format!("–  {name}: not allowed, not needed: {way}")),
            (Some(false), _) => self.line(name, Err(way.into())),
            (None, _) => print(&format!("–  {name}: the system asks at the first use")),
        }
    }

    fn line(&mut self, what: &str, outcome: Outcome) -> std::io::Result<()> {
        match outcome {
            Ok(got) => print(&format!("ok {what}: {got}")),
            Err(why) => {
                self.is_fine = false;
                print(&format!("NO {what}: {why}"))
            }
        }
    }
}

fn screen(source: &mut dyn ScreenSource) -> Outcome {
    let geometry = source.geometry().map_err(|error| error.to_string())?;
    let mut got = Vec::new();
    for display in geometry.displays {
        let Rect { width_px, height_px, .. } = display.rect;
        check_size(width_px, height_px).map_err(|error| {
            format!(
                "display {} cannot be recorded ({error}): record another one with --display",
                display.name
            )
        })?;
        source.grab(&[display.rect]).map_err(|error| error.to_string())?;
        let mut colours: Vec<&[u8]> = source.pixels(0).chunks_exact(4).map(|pixel| &pixel[..3]).collect();
        colours.sort_unstable();
        colours.dedup();
        got.push(format!("{} with {width_px}×{height_px} pixels in {} colours", display.name, colours.len()));
    }
    Ok(got.join("; "))
}

fn answering(source: &mut dyn ElementSource) -> Outcome {
    source.ping().map_err(|error| error.to_string())?;
    Ok("the accessibility bus answers".into())
}

/// Runs a source for a while on a thread of its own.
fn listen(run: impl FnOnce(&Stop) -> Result<(), String> + Send) -> Result<(), String> {
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&stop));
        std::thread::sleep(LISTEN);
        stop.stop();
        running.join().unwrap_or_else(|_| Err("it failed".into()))
    })
}

/// A key without meaning is pressed and the pointer moved by a pixel and back: the source has to see both.
fn input(source: &mut dyn InputSource) -> Outcome {
    let (keyboard, _) = source.settings();
    let (stop, seen) = (Stop::default(), Mutex::new((Vec::new(), None)));
    let (ready, is_ready) = sync_channel(1);
    let sink = |event| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            InputEvent::Alive => drop(ready.try_send(())),
            InputEvent::Key(_, key) => seen.0.push(key.keycode),
            InputEvent::Pointer(_, pointer) => seen.1 = Some((pointer.x_px, pointer.y_px)),
            InputEvent::Place(..)
            | InputEvent::Cursor(..)
            | InputEvent::Clipboard(..)
            | InputEvent::Clock(..) => {}
        }
    };
    let stirred = std::thread::scope(|scope| {
        let running = scope.spawn(|| source.run(&sink, &stop));
        let is_ready = is_ready.recv_timeout(LISTEN);
        let stirred = native::stir_input();
        stop.stop();
        let ended = running.join().map_err(|_| "it failed".to_owned())?;
        ended.map_err(|error| error.to_string())?;
        is_ready.map_err(|_| "the X server has seen input that did not reach Praxis".to_owned())?;
        Ok::<_, String>(stirred)
    })?;
    let (keycodes, place) = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let layouts = keyboard.layouts.join(", ");
    match (stirred, place) {
        (Ok(key), Some((x, y))) if keycodes.ends_with(&[key, key]) => {
            Ok(format!("key {key} pressed and released, pointer moved to {x},{y}; layouts: {layouts}"))
        }
        (Ok(key), _) => Err(format!(
            "key {key} was pressed and the pointer moved, but Praxis saw {keycodes:?} and {place:?}: another program may hold the keyboard; close open menus and try again"
        )),
        // Without a way to prove it, the server's word has to do.
        (Err(why), _) => Ok(format!("alive, but not tried out: {why}; layouts: {layouts}")),
    }
}

fn windows(source: &mut dyn WindowSource) -> Outcome {
    let active = Mutex::new(None);
    let sink = |event| {
        if let (WindowEvent::Changed(_, message), Ok(mut active)) = (event, active.lock()) {
            *active = message.active;
        }
    };
    let cannot = source.backend().cannot.join("; ");
    listen(|stop| source.run(&sink, stop).map_err(|error| error.to_string()))?;
    Ok(match active.into_inner().ok().flatten() {
        Some(window) => format!("the active one is of {}", window.class),
        None => format!("none is active (not given: {cannot})"),
    })
}

fn microphone(clocks: &SharedTime, name: &str) -> Outcome {
    let name = Some(name).filter(|name| *name != "default");
    let mut source = Microphone::open(clocks.clone(), name, 48_000).map_err(|error| error.to_string())?;
    let (device, rate_hz) = (source.device(), source.rate_hz());
    let (mut num_samples, mut peak) = (0, 0);
    let mut sink = |AudioEvent::Samples { samples, .. }: AudioEvent<'_>| {
        num_samples += samples.len();
        peak = samples.iter().map(|sample| sample.unsigned_abs()).fold(peak, u16::max);
    };
    listen(|stop| source.run(&mut sink, stop).map_err(|error| error.to_string()))?;
    let level = if peak == 0 {
        "complete silence: is it muted?".to_owned()
    } else {
        format!("loudest {:.0} dBFS", 20.0 * (f32::from(peak) / 32_768.0).log10())
    };
    let others = microphones().join(", ");
    Ok(format!("{num_samples} samples at {rate_hz} Hz from {device:?}, {level} (there are: {others})"))
}

fn disk(folder: &std::path::Path) -> Outcome {
    let path = folder.join(".praxis-doctor");
    let try_write = || -> std::io::Result<u64> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(&path, [0; 4096])?;
        sync_file(&path)?;
        std::fs::remove_file(&path)?;
        Ok(room_at(folder)?.free_bytes)
    };
    match try_write() {
        Ok(free) => Ok(format!("{} free in {}", super::size_text(free), folder.display())),
        Err(error) => {
            Err(format!("cannot write into {} ({error}): choose another with --out", folder.display()))
        }
    }
}

fn time(clocks: &SharedTime) -> Outcome {
    let mut smallest = u64::MAX;
    let mut last = clocks.boot_nanos();
    for _ in 0..1000 {
        let now = clocks.boot_nanos();
        if now < last {
            return Err("the session clock goes backwards".into());
        }
        if now > last {
            smallest = smallest.min(now - last);
        }
        last = now;
    }
    Ok(format!("the session clock moves in steps of {smallest} ns or less"))
}
