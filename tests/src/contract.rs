//! The contract of the source traits, as suites that every implementation has to pass: synthetic, X11, microphone, WAV.
//!
//! A suite is given the source and a way to make things happen in front of it. It asserts what the traits promise,
//! and nothing about how fast.

#![allow(clippy::unwrap_used, reason = "a suite fails where it unwraps")]
#![allow(clippy::missing_errors_doc, reason = "a suite fails where the source breaks the contract")]

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::messages::{Element, ElementAbsence, KeyKind, PointerKind, Rect};
use praxis_capture_core::sources::{
    AudioEvent, AudioSource, ElementSource, InputEvent, InputSource, ScreenSource, SourceError, Stop, Wake,
    WindowEvent, WindowSource,
};

use crate::desktop::boot_nanos;

/// Longest to wait for something that must come.
const GIVE_UP: Duration = Duration::from_secs(20);
/// Clocks of two processes and server milliseconds may disagree by this much.
const SLACK_NANOS: u64 = 3_000_000;

/// Everything a [`ScreenSource`] promises while it lives. `paint` fills a rectangle with a colour (B, G, R) and returns
/// when it is on the screen; nothing else may change.
pub fn screen(source: &mut dyn ScreenSource, paint: &dyn Fn(Rect, [u8; 3]) -> Result<()>) -> Result<()> {
    let geometry = source.geometry()?;
    let numbers: Vec<_> = geometry.displays.iter().map(|display| display.number).collect();
    assert!(!numbers.is_empty() && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(!source.backend().name.is_empty());
    for display in &geometry.displays {
        let Rect { x_px, y_px, width_px, height_px } = display.rect;
        assert!(x_px >= 0 && y_px >= 0 && display.is_recorded);
        assert!(x_px as u32 + width_px <= geometry.root_width_px, "{display:?}");
        assert!(y_px as u32 + height_px <= geometry.root_height_px, "{display:?}");
    }
    assert_eq!(source.geometry()?, geometry, "asked twice, answered alike");

    let display = geometry.displays[0].rect;
    for round in 1..4u8 {
        until_quiet(source)?;
        assert!(source.take_damage()?.is_empty(), "a quiet screen has no damage left");
        let (x_px, y_px) = (display.x_px + 17 * i32::from(round), display.y_px + 9);
        let rect = Rect { x_px, y_px, width_px: 40, height_px: 21 };
        let colour = [round, 0x80, 0xff - round];
        paint(rect, colour)?;
        assert_eq!(source.wait(GIVE_UP)?, Wake::Damaged);
        assert_eq!(source.wait(Duration::ZERO)?, Wake::Damaged, "until the damage is taken");
        assert!(source.is_damaged()?);
        let damage = source.take_damage()?;
        let corners = [(0, 0), (39, 0), (0, 20), (39, 20)].map(|(x, y)| (rect.x_px + x, rect.y_px + y));
        for (x, y) in corners {
            assert!(damage.iter().any(|rect| rect.contains(x, y)), "{damage:?} lacks {x},{y}");
        }
        source.grab(&[rect])?;
        let pixels = source.pixels(0);
        assert_eq!(pixels.len(), (rect.width_px * rect.height_px * 4) as usize, "no padding");
        assert!(pixels.chunks_exact(4).all(|pixel| pixel[..3] == colour), "round {round}: the new colour");
        let part = pixels.to_vec();
        source.grab(&[display])?;
        let whole = source.pixels(0).to_vec();
        assert_eq!(whole.len(), (display.width_px * display.height_px * 4) as usize);
        for (row, pixels) in part.chunks_exact((rect.width_px * 4) as usize).enumerate() {
            let y = (rect.y_px - display.y_px) as usize + row;
            let start = (y * display.width_px as usize + (rect.x_px - display.x_px) as usize) * 4;
            let same = whole[start..start + pixels.len()].chunks_exact(4).zip(pixels.chunks_exact(4));
            assert!(same.into_iter().all(|(a, b)| a[..3] == b[..3]), "a part is the same part of the whole");
        }
        let upper = Rect { height_px: display.height_px / 3, ..display };
        let y_px = display.y_px + upper.height_px as i32;
        let lower = Rect { y_px, height_px: display.height_px - upper.height_px, ..display };
        source.grab(&[upper, lower])?;
        assert!(
            [source.pixels(0), source.pixels(1)].concat() == whole,
            "two parts in one grab are the whole"
        );
        source.ping()?;
    }
    let outside = Rect { x_px: geometry.root_width_px as i32 - 5, y_px: 0, width_px: 10, height_px: 10 };
    assert!(matches!(source.grab(&[outside]), Err(SourceError::Lost(_))), "outside of the root");
    source.ping().context("a refused grab does not end the source")
}

/// A change of the displays: `rearrange` makes the first display this large.
pub fn screen_geometry(
    source: &mut dyn ScreenSource,
    size: (u32, u32),
    rearrange: &dyn Fn() -> Result<()>,
) -> Result<()> {
    until_quiet(source)?;
    let number = source.geometry()?.displays[0].number;
    rearrange()?;
    while source.wait(GIVE_UP)? != Wake::GeometryChanged {
        source.take_damage()?;
    }
    let display = source.geometry()?.displays[0].clone();
    assert_eq!(display.number, number, "a display keeps its number");
    assert_eq!((display.rect.width_px, display.rect.height_px), size);
    source.grab(&[display.rect])?;
    assert_eq!(source.pixels(0).len(), (size.0 * size.1 * 4) as usize);
    until_quiet(source)
}

/// A source whose server is gone says so on every call, and never shows the last picture again.
pub fn lost_screen(source: &mut dyn ScreenSource) {
    let whole = Rect { x_px: 0, y_px: 0, width_px: 8, height_px: 8 };
    assert!(matches!(source.ping(), Err(SourceError::Lost(_))));
    assert!(matches!(source.grab(&[whole]), Err(SourceError::Lost(_))));
    assert!(matches!(source.wait(Duration::ZERO), Err(SourceError::Lost(_))));
    assert!(matches!(source.geometry(), Err(SourceError::Lost(_))));
}

fn until_quiet(source: &mut dyn ScreenSource) -> Result<()> {
    let give_up = boot_nanos() + GIVE_UP.as_nanos() as u64;
    while source.wait(Duration::from_millis(150))? != Wake::Quiet {
        source.geometry()?;
        source.take_damage()?;
        ensure!(boot_nanos() < give_up, "the screen never becomes quiet");
    }
    Ok(())
}

/// Stops a source also when the suite fails: its thread would hold the test up for ever.
struct StopOnDrop<'a>(&'a Stop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs a source on a thread while `act` is given what it delivers; then stops it and returns how it ended.
fn watch<T: Send>(
    run: impl FnOnce(&(dyn Fn(T) + Sync), &Stop) -> Result<(), SourceError> + Send,
    act: impl FnOnce(&Receiver<T>) -> Result<()>,
) -> Result<(Vec<T>, Result<(), SourceError>)> {
    let (sender, events) = channel();
    let (stop, sender) = (Stop::default(), Mutex::new(sender));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let sink = |event| drop(sender.lock().unwrap().send(event));
            run(&sink, &stop)
        });
        let stop_at_end = StopOnDrop(&stop);
        let acted = act(&events);
        drop(stop_at_end);
        let ended = running.join().map_err(|_| anyhow::anyhow!("the source panicked"))?;
        acted?;
        Ok((events.try_iter().collect(), ended))
    })
}

/// Where a backend says that it does not know when exactly something happened, by this much.
const LATE_NANOS: u64 = 200_000_000;

/// Everything an [`InputSource`] promises. `act(n)` moves the pointer to (100 + n, 50), presses and releases the key
/// that types "a", and returns when all of it has been sent.
pub fn input(source: &mut dyn InputSource, act: &dyn Fn(i32) -> Result<()>) -> Result<()> {
    const ROUNDS: i32 = 12;
    assert!(!source.settings().0.layouts.is_empty());
    let mut span = (0, 0);
    let (events, ended) = watch(
        |sink, stop| source.run(sink, stop),
        |events| {
            while events.recv_timeout(GIVE_UP).context("no proof of life")? != InputEvent::Alive {}
            span.0 = boot_nanos();
            // Stopped right after the last of them: what was sent before is delivered all the same.
            (0..ROUNDS).try_for_each(act)?;
            span.1 = boot_nanos();
            Ok(())
        },
    )?;
    ended?;
    let tracks = source.backend().tracks;
    let is_late = source.backend().cannot.iter().any(|fact| fact.starts_with("when exactly"));
    let late_nanos = if is_late { LATE_NANOS } else { SLACK_NANOS };
    let feeds = |track: &str| tracks.iter().any(|name| name == track);
    let (mut keys, mut places, mut newest) = (Vec::new(), Vec::new(), [0; 2]);
    for event in events {
        let (at, kind) = match event {
            InputEvent::Key(at, key) => {
                let text = if key.kind == KeyKind::Press { Some("a".to_owned()) } else { None };
                assert_eq!((key.keysym.as_str(), key.text, key.repeat), ("a", text, false));
                keys.push(key.kind);
                (at, 0)
            }
            InputEvent::Pointer(at, pointer) => {
                assert_eq!((pointer.kind, pointer.y_px), (PointerKind::Move, 50));
                assert_eq!(pointer.display, None, "the recorder fills it in");
                places.push(pointer.x_px);
                (at, 1)
            }
            // What is no doing of ours may come at any time, from a source that names its track.
            InputEvent::Cursor(..) => {
                assert!(feeds("cursor"));
                continue;
            }
            InputEvent::Clipboard(..) => {
                assert!(feeds("clipboard"));
                continue;
            }
            InputEvent::Place(..) | InputEvent::Clock(..) | InputEvent::Alive => continue,
        };
        assert!(at >= newest[kind], "time goes back");
        assert!(at + SLACK_NANOS >= span.0 && at <= span.1 + late_nanos, "{at} is not in {span:?}");
        newest[kind] = at;
    }
    assert_eq!(keys, [KeyKind::Press, KeyKind::Release].repeat(ROUNDS as usize));
    places.dedup();
    assert_eq!(places, (100..100 + ROUNDS).collect::<Vec<_>>());
    Ok(())
}

/// What an input source delivers while `act` makes things happen in front of it.
pub fn seen(source: &mut dyn InputSource, act: &dyn Fn() -> Result<()>) -> Result<Vec<InputEvent>> {
    let (events, ended) = watch(
        |sink, stop| source.run(sink, stop),
        |events| {
            while events.recv_timeout(GIVE_UP).context("no proof of life")? != InputEvent::Alive {}
            act()
        },
    )?;
    ended?;
    Ok(events)
}

/// The text that an input source reads while `keys` sends them.
pub fn typed(source: &mut dyn InputSource, keys: &dyn Fn() -> Result<()>) -> Result<String> {
    let text = |event| match event {
        InputEvent::Key(_, key) => key.text,
        _ => None,
    };
    Ok(seen(source, keys)?.into_iter().filter_map(text).collect())
}

/// The text that an input source reads of one key after the other, each pressed and released by its turn: a turn begins
/// when the key before has been read, as it is with a person who sees what was typed.
pub fn typed_in_turns(source: &mut dyn InputSource, turns: &[&dyn Fn() -> Result<()>]) -> Result<String> {
    let mut text = String::new();
    let (late, ended) = watch(
        |sink, stop| source.run(sink, stop),
        |events| {
            while events.recv_timeout(GIVE_UP).context("no proof of life")? != InputEvent::Alive {}
            for turn in turns {
                turn()?;
                loop {
                    let event = events.recv_timeout(GIVE_UP).context("the key was not read")?;
                    let InputEvent::Key(_, key) = event else { continue };
                    text.extend(key.text);
                    if key.kind == KeyKind::Release {
                        break;
                    }
                }
            }
            Ok(())
        },
    )?;
    ended?;
    ensure!(!late.iter().any(|event| matches!(event, InputEvent::Key(..))), "more than was typed: {late:?}");
    Ok(text)
}

/// Everything an [`AudioSource`] promises: at least `num_samples` come, one after the other; `say` keeps it fed.
pub fn audio(source: &mut dyn AudioSource, num_samples: u64, say: &(dyn Fn() + Sync)) -> Result<()> {
    let rate_hz = source.rate_hz();
    assert!((8_000..=192_000).contains(&rate_hz));
    assert!(!source.device().is_empty() && !source.device().contains('/'), "{}", source.device());
    let (stop, enough) = (Stop::default(), Mutex::new(0));
    let mut runs: Vec<(u64, usize, u64)> = Vec::new();
    let began = boot_nanos();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            let give_up = boot_nanos() + GIVE_UP.as_nanos() as u64;
            while *enough.lock().unwrap() < num_samples && boot_nanos() < give_up {
                say();
                crate::desktop::let_pass(Duration::from_millis(20));
            }
            stop.stop();
        });
        source.run(
            &mut |AudioEvent::Samples { position, samples, recorded_at_nanos }| {
                *enough.lock().unwrap() += samples.len() as u64;
                assert!(recorded_at_nanos <= boot_nanos(), "recorded in the future");
                runs.push((position, samples.len(), recorded_at_nanos));
            },
            &stop,
        )
    });
    ended?;
    assert!(*enough.lock().unwrap() >= num_samples, "{} samples came", enough.lock().unwrap());
    for pair in runs.windows(2) {
        assert_eq!(pair[0].0 + pair[0].1 as u64, pair[1].0, "no hole in an undisturbed source");
    }
    // The device may have been open before; but not for longer than it takes to open one.
    assert!(runs[0].2 + GIVE_UP.as_nanos() as u64 > began, "the first sample is from long ago");
    Ok(())
}

/// Everything a [`WindowSource`] promises. `activate` shows a window of that title in front and returns when it is active.
pub fn windows(source: &mut dyn WindowSource, activate: &dyn Fn(&str) -> Result<()>) -> Result<()> {
    let mut newest = 0;
    let mut check_time = |at: u64| {
        assert!(at >= newest && at <= boot_nanos(), "time goes back, or is ahead");
        newest = at;
    };
    let (_, ended) = watch(
        |sink, stop| source.run(sink, stop),
        |events| {
            let mut is_said = false;
            for title in ["first", "second", "third"] {
                activate(title)?;
                loop {
                    let event = events.recv_timeout(GIVE_UP).context("the active window is not told")?;
                    let WindowEvent::Changed(at, message) = event else {
                        assert!(is_said, "the active window is told first");
                        continue;
                    };
                    is_said = true;
                    check_time(at);
                    if message.active.as_ref().is_some_and(|window| window.title == title) {
                        assert!(message.shown.contains(message.active.as_ref().unwrap()), "{message:?}");
                        break;
                    }
                }
            }
            while events.recv_timeout(GIVE_UP).context("no proof of life")? != WindowEvent::Alive {}
            Ok(())
        },
    )?;
    Ok(ended?)
}

/// Sources whose server is gone end with a loss, whatever they were doing.
pub fn lost_streams(
    input: &mut dyn InputSource,
    windows: &mut dyn WindowSource,
    lose: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let (sender, ends) = channel();
    let (alive, is_alive) = channel();
    let stop = Stop::default();
    let never = &stop;
    std::thread::scope(|scope| {
        let (to_input, to_windows) = (sender.clone(), sender);
        let (input_alive, windows_alive) = (Mutex::new(alive.clone()), Mutex::new(alive));
        scope.spawn(move || {
            let sink = |event| {
                if event == InputEvent::Alive {
                    let _ = input_alive.lock().unwrap().send("input");
                }
            };
            drop(to_input.send(("input", input.run(&sink, never))));
        });
        scope.spawn(move || {
            let sink = |event| {
                if event == WindowEvent::Alive {
                    let _ = windows_alive.lock().unwrap().send("windows");
                }
            };
            drop(to_windows.send(("windows", windows.run(&sink, never))));
        });
        let _stop_at_end = StopOnDrop(never);
        let mut seen = Vec::new();
        while !(seen.contains(&"input") && seen.contains(&"windows")) {
            seen.push(is_alive.recv_timeout(GIVE_UP).context("no proof of life")?);
        }
        lose()?;
        for _ in 0..2 {
            let (name, ended) = ends.recv_timeout(GIVE_UP).context("a source outlives its server")?;
            ensure!(matches!(ended, Err(SourceError::Lost(_))), "{name} ended with {ended:?}");
        }
        Ok(())
    })
}

/// Everything an [`ElementSource`] promises, of something that is shown at a place and of a place where nothing is.
pub fn elements(source: &mut dyn ElementSource, there: &Element, nothing: (i32, i32)) -> Result<()> {
    assert_eq!(source.backend().tracks, ["elements"]);
    source.ping()?;
    let Rect { x_px, y_px, width_px, height_px } = there.rect;
    let (x, y) = (x_px + width_px as i32 / 2, y_px + height_px as i32 / 2);
    let patient = || None;
    assert_eq!(source.at(x, y, None, &patient).as_ref(), Ok(there));
    assert_eq!(source.at(nothing.0, nothing.1, None, &patient), Err(ElementAbsence::NotTold));
    for why in [ElementAbsence::Typing, ElementAbsence::Late] {
        assert_eq!(source.at(x, y, None, &|| Some(why)), Err(why), "given up at once");
    }
    assert_eq!(source.at(x, y, None, &patient).as_ref(), Ok(there), "asked again, answered alike");
    Ok(())
}

/// How a source of input ends by itself.
pub fn ends(source: &mut dyn InputSource) -> Result<Result<(), SourceError>> {
    let (sender, ended) = channel();
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let never = &stop;
        scope.spawn(move || drop(sender.send(source.run(&|_| {}, never))));
        let _stop_at_end = StopOnDrop(&stop);
        ended.recv_timeout(GIVE_UP).context("it does not end")
    })
}
