//! Every source keeps the contract of its trait: on the synthetic stage, on a real X server, with a microphone, from a file.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use praxis_bundle::Track;
use praxis_bundle::manifest::{Backend, EndReason, Lossy};
use praxis_bundle::messages::{
    self, ClockMessage, Element, GapReason, KeyKind, KeyMessage, MarkersMessage, PointerKind, PointerMessage,
    Rect,
};
use praxis_capture_core::clock::{SharedTime, SystemTime, Time};
use praxis_capture_core::recorder::{DEFAULT_RESERVE_BYTES, DisplayChoice, Notice, Plan, Recorder, Voice};
use praxis_capture_core::sources::audio::{Microphone, Wav};
use praxis_capture_core::sources::synthetic::{RATE_HZ, Stage};
use praxis_capture_core::sources::{
    AudioEvent, AudioSource, InputEvent, InputSource, Own, SourceError, Stop, x11,
};
use praxis_tests::contract;
use praxis_tests::desktop::{VirtualDesktop, inside_desktop, let_pass, wait_until};
use praxis_tests::painter::Brush;
use praxis_tests::praxis::events;

fn time() -> SharedTime {
    Arc::new(SystemTime)
}

fn key(kind: KeyKind) -> impl FnOnce(u64) -> InputEvent {
    let text = (kind == KeyKind::Press).then(|| "a".to_owned());
    let keysym = "a".into();
    let message = KeyMessage {
        kind,
        text,
        keysym,
        keycode: 38,
        modifiers: vec![],
        repeat: false,
        layout: 0,
        injected: None,
        source_millis: None,
    };
    move |at| InputEvent::Key(at, message)
}

fn pointer_at(x_px: i32, y_px: i32) -> impl FnOnce(u64) -> InputEvent {
    let message = PointerMessage::at(PointerKind::Move, x_px, y_px);
    move |at| InputEvent::Pointer(at, message)
}

#[test]
fn the_synthetic_stage_keeps_the_contract() -> Result<()> {
    let stage = Stage::new(time(), &[(320, 200), (100, 120)]);
    let mut screen = stage.screen();
    contract::screen(&mut screen, &|rect, colour| {
        stage.paint(rect, colour);
        Ok(())
    })?;
    contract::screen_geometry(&mut screen, (200, 90), &|| {
        stage.rearrange(&[(200, 90)]);
        Ok(())
    })?;
    contract::input(&mut stage.input(), &|n| {
        stage.act(pointer_at(100 + n, 50));
        stage.act(key(KeyKind::Press));
        stage.act(key(KeyKind::Release));
        Ok(())
    })?;
    contract::audio(&mut stage.audio(), u64::from(RATE_HZ), &|| stage.say(vec![7; 320]))?;
    contract::windows(&mut stage.windows(), &|title| {
        let rect = Rect { x_px: 0, y_px: 0, width_px: 10, height_px: 10 };
        let (title, class) = (title.to_owned(), "Stage".to_owned());
        stage.activate(Some(messages::Window { id: 1, title, class, pid: None, executable: None, rect }));
        Ok(())
    })?;
    let stage = Stage::new(time(), &[(64, 64)]);
    let mut screen = stage.screen();
    contract::lost_streams(&mut stage.input(), &mut stage.windows(), &|| {
        stage.end();
        Ok(())
    })?;
    contract::lost_screen(&mut screen);
    Ok(())
}

#[test]
fn the_x11_sources_keep_the_contract() -> Result<()> {
    let mut desktop = VirtualDesktop::start(800, 600)?;
    let display = desktop.display.clone();
    let mut screen = x11::Screen::open(time(), Some(&display), &Own::default())?;
    let brush = Brush::new(&display)?;
    contract::screen(&mut screen, &|rect, colour| brush.paint(rect, colour))?;
    contract::screen_geometry(&mut screen, (640, 480), &|| desktop.resize(640, 480))?;
    let mut input = x11::Input::open(time(), Some(&display), &Own::default())?;
    contract::input(&mut input, &|n| {
        desktop.xdotool(&["mousemove", &(100 + n).to_string(), "50", "key", "a"])?;
        Ok(())
    })?;
    // A source can be run again, and misses nothing of the second run either.
    contract::input(&mut input, &|n| {
        desktop.xdotool(&["mousemove", &(100 + n).to_string(), "50", "key", "a"])?;
        Ok(())
    })?;
    let mut windows = x11::Windows::open(time(), Some(&display))?;
    contract::windows(&mut windows, &|title| {
        desktop.command("xterm").args(["-title", title, "-e", "cat"]).stderr(Stdio::null()).spawn()?;
        wait_until("a window", || Ok(desktop.xdotool(&["getactivewindow", "getwindowname"])?.trim() == title))
    })?;
    let mut windows = x11::Windows::open(time(), Some(&display))?;
    let desktop = std::sync::Mutex::new(&mut desktop);
    contract::lost_streams(&mut input, &mut windows, &|| {
        desktop.lock().unwrap().kill_display();
        Ok(())
    })?;
    contract::lost_screen(&mut screen);
    ensure!(
        x11::Screen::open(time(), Some(&display), &Own::default())
            .err()
            .is_some_and(|e| e.to_string().contains("DISPLAY"))
    );
    Ok(())
}

#[test]
fn the_microphone_keeps_the_contract() -> Result<()> {
    inside_desktop("the_microphone_keeps_the_contract", || {
        for rate_hz in [48_000, 16_000] {
            let mut microphone = Microphone::open(time(), None, rate_hz)?;
            contract::audio(&mut microphone, u64::from(rate_hz), &|| {})?;
        }
        Ok(())
    })
}

#[test]
fn a_wav_file_keeps_the_contract() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("voice.wav");
    let (bits_per_sample, sample_format) = (24, hound::SampleFormat::Int);
    let spec = hound::WavSpec { channels: 2, sample_rate: 22_050, bits_per_sample, sample_format };
    let mut writer = hound::WavWriter::create(&path, spec)?;
    for n in 0..2 * 22_050 * 2 {
        writer.write_sample(n * 50)?;
    }
    writer.finalize()?;
    contract::audio(&mut Wav::open(time(), &path)?, 22_050, &|| {})
}

#[test]
fn what_the_desktop_counts_as_a_double_click_is_read_from_its_settings() -> Result<()> {
    let mut desktop = VirtualDesktop::start(320, 240)?;
    let settings = |desktop: &VirtualDesktop| -> Result<_> {
        let pointer = x11::Input::open(time(), Some(&desktop.display), &Own::default())?.settings().1;
        Ok((pointer.double_click_millis, pointer.drag_distance_px))
    };
    assert_eq!(settings(&desktop)?, (None, None), "no settings manager");
    let config = desktop.folder.path().join("xsettingsd.conf");
    let text = "Gtk/FontName \"Sans 10\"\nNet/DoubleClickTime 350\nXft/Antialias 1\nNet/DndDragThreshold 9\n";
    std::fs::write(&config, text)?;
    desktop.spawn("xsettingsd", &["-c", &config.display().to_string()])?;
    wait_until("a settings manager", || Ok(settings(&desktop)? == (Some(350), Some(9))))
}

/// The machine's clocks, as if it had slept for so long, and as if its wall clock had been set by so much.
#[derive(Default)]
struct Moved {
    slept_nanos: AtomicU64,
    set_nanos: AtomicI64,
}

impl Time for Moved {
    fn boot_nanos(&self) -> u64 {
        SystemTime.boot_nanos() + self.slept_nanos.load(Ordering::SeqCst)
    }
    fn monotonic_nanos(&self) -> u64 {
        SystemTime.monotonic_nanos()
    }
    fn wall_nanos(&self) -> u64 {
        let nanos = SystemTime.wall_nanos() + self.slept_nanos.load(Ordering::SeqCst);
        nanos.saturating_add_signed(self.set_nanos.load(Ordering::SeqCst))
    }
}

#[test]
fn a_wall_clock_that_is_set_moves_no_message_and_is_told_by_the_clock_track() -> Result<()> {
    const HOUR: i64 = 3_600_000_000_000;
    let folder = tempfile::tempdir()?;
    let clocks = Arc::new(Moved::default());
    let time: SharedTime = clocks.clone();
    let stage = Stage::new(time.clone(), &[(64, 64)]);
    let recorder = Recorder::start(time, plan_of(folder.path(), &stage, Voice::None))?;
    let mut acted = Vec::new();
    for (at, set_nanos) in [0, HOUR, -HOUR].into_iter().enumerate() {
        clocks.set_nanos.store(set_nanos, Ordering::SeqCst);
        acted.push(recorder.elapsed_nanos());
        stage.act(pointer_at(at as i32, 1));
        let until = recorder.elapsed_nanos() + 1_500_000_000;
        wait_until("a pair of clocks", || Ok(recorder.elapsed_nanos() > until))?;
    }
    let notices: Vec<_> = recorder.notices.try_iter().collect();
    assert_eq!(notices, []);
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let (mut moves, mut set) = (Vec::new(), Vec::new());
    let epoch = praxis_bundle::file::info_of(&recorded.path)?.manifest.epoch_wall_nanos;
    praxis_bundle::file::for_each_message(&recorded.path, |channel, _, nanos, data| {
        match channel.track {
            Track::Pointer => moves.push(nanos),
            Track::Clock => {
                if let ClockMessage::System { wall_nanos, .. } = serde_json::from_slice(data).unwrap() {
                    let hours = (wall_nanos as i64 - (epoch + nanos) as i64) as f64 / HOUR as f64;
                    set.push(hours.round() as i64);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    assert_eq!(moves.len(), 3);
    for (moved, acted) in moves.iter().zip(&acted) {
        assert!(moved.abs_diff(*acted) < 200_000_000, "{moves:?} {acted:?}");
    }
    set.dedup();
    assert_eq!(set, [0, 1, -1], "hours by which the wall clock was off");
    let info = praxis_bundle::file::info_of(&recorded.path)?;
    assert_eq!((info.gaps.len(), info.damages.len()), (0, 0));
    Ok(())
}

#[test]
fn a_display_that_does_not_announce_its_changes_is_looked_at_all_the_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(64, 64)]);
    let recorder = Recorder::start(time(), plan_of(folder.path(), &stage, Voice::None))?;
    let rect = |n: u32| Rect { x_px: n as i32 * 8, y_px: 8, width_px: 8, height_px: 8 };
    let num_pictures = || {
        let status = recorder.status();
        status.tracks.iter().find(|track| track.track == "screen/0").map_or(0, |track| track.messages)
    };
    let mut notices = Vec::new();
    for n in 0..3 {
        let before = num_pictures();
        stage.paint_unannounced(rect(n), [9, 99, 200]);
        wait_until("a missed change to be found", || Ok(num_pictures() > before))?;
        notices.extend(recorder.notices.try_iter());
        assert_eq!(notices.len(), usize::from(n == 2), "{notices:?}");
    }
    // From here on the wait is that for the next picture, not for the next full compare.
    let mut waits = Vec::new();
    for n in 3..8 {
        let (before, painted) = (num_pictures(), recorder.elapsed_nanos());
        stage.paint_unannounced(rect(n), [9, 99, 200]);
        wait_until("a change to be found", || Ok(num_pictures() > before))?;
        waits.push(recorder.elapsed_nanos() - painted);
    }
    waits.sort_unstable();
    assert!(waits[2] < 1_000_000_000, "the median of {waits:?} ns is that of full compares");
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let info = praxis_bundle::file::info_of(&recorded.path)?;
    assert!(info.missed_damage >= 8, "{}", info.missed_damage);
    let picture = praxis_bundle::file::picture_at(&recorded.path, 0, u64::MAX)?;
    let painted = picture.bgr.chunks(3).filter(|pixel| *pixel == [9, 99, 200]).count();
    assert_eq!(painted, 8 * 64);
    Ok(())
}

#[test]
fn a_computer_that_slept_leaves_a_gap_as_long_as_its_sleep_and_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sleepy = Arc::new(Moved::default());
    let time: SharedTime = sleepy.clone();
    let stage = Stage::new(time.clone(), &[(64, 64)]);
    let recorder = Recorder::start(time, plan_of(folder.path(), &stage, Voice::None))?;
    let asleep = 8 * 3_600_000_000_000;
    stage.act(pointer_at(1, 1));
    sleepy.slept_nanos.fetch_add(asleep, Ordering::SeqCst);
    let mut notices = Vec::new();
    wait_until("the sleep to be said", || {
        notices.extend(recorder.notices.try_iter());
        Ok(!notices.is_empty())
    })?;
    stage.act(pointer_at(2, 2));
    // Long enough for a source that is thought lost to be said.
    let awake = recorder.elapsed_nanos();
    wait_until("some seconds", || Ok(recorder.elapsed_nanos() > awake + 4_500_000_000))?;
    notices.extend(recorder.notices.try_iter());
    assert_eq!(notices.len(), 1, "{notices:?}");
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let (mut begins, mut ends, mut moves) = (Vec::new(), Vec::new(), Vec::new());
    praxis_bundle::file::for_each_message(&recorded.path, |channel, _, nanos, data| {
        if channel.track == Track::Markers {
            match serde_json::from_slice(data).unwrap() {
                MarkersMessage::GapBegin { track, reason: GapReason::Suspend, .. } => {
                    begins.push((track, nanos));
                }
                MarkersMessage::GapEnd { track } => ends.push((track, nanos)),
                other => panic!("{other:?}"),
            }
        }
        if channel.track == Track::Pointer {
            moves.push(nanos);
        }
        Ok(())
    })?;
    assert_eq!(
        begins.iter().map(|(track, _)| &track[..]).collect::<Vec<_>>(),
        ["screen/0", "pointer", "keys", "windows"]
    );
    for ((track, begin), (other, end)) in begins.iter().zip(&ends) {
        assert_eq!(track, other);
        // Two reads of two clocks are apart by as much as another program may come between.
        let length = end - begin;
        assert!(length.abs_diff(asleep) < 200_000_000, "{track}: {length} ns");
        assert!(moves[0] <= *begin && moves[1] >= *end, "{track}: {moves:?} {begin} {end}");
    }
    Ok(())
}

/// A device whose word on its latency varies: its first run is of now, its second seems to be from before the session.
struct Wavering;

impl AudioSource for Wavering {
    fn backend(&self) -> Backend {
        Backend { tracks: vec!["narration".into()], name: "wavering".into(), cannot: Vec::new() }
    }
    fn device(&self) -> String {
        "wavering".into()
    }
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }
    fn run(&mut self, sink: &mut dyn FnMut(AudioEvent<'_>), _: &Stop) -> Result<(), SourceError> {
        let now = SystemTime.boot_nanos();
        for (run, recorded_at_nanos) in [now, now - 10_000_000_000, now, now + 1].into_iter().enumerate() {
            let samples = [run as i16 + 1; 1600];
            sink(AudioEvent::Samples { position: run as u64 * 1600, samples: &samples, recorded_at_nanos });
        }
        Ok(())
    }
}

fn plan_of(folder: &Path, stage: &Stage, voice: Voice) -> Plan {
    Plan {
        storage: Arc::new(praxis_bundle::storage::Disk),
        folder: folder.to_owned(),
        displays: DisplayChoice::All,
        max_fps: 12.0,
        lossy: Lossy::Auto,
        title: None,
        project: None,
        sound: Voice::None,
        clipboard_text: false,
        sync: None,
        reserve_bytes: DEFAULT_RESERVE_BYTES,
        screen: Box::new(stage.screen()),
        input: Box::new(stage.input()),
        windows: Box::new(stage.windows()),
        elements: None,
        voice,
    }
}

#[test]
fn a_microphone_whose_latency_wavers_at_the_start_loses_no_sample() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(64, 64)]);
    let voice = Voice::Source(Box::new(Wavering));
    let recorder = Recorder::start(time(), plan_of(folder.path(), &stage, voice))?;
    let is_over = |notice: Notice| matches!(notice, Notice::Warning(why) if why.contains("is over"));
    wait_until("the end of the voice", || Ok(recorder.notices.try_recv().is_ok_and(is_over)))?;
    let recorded = recorder.stop(EndReason::Stopped, None, None)?;
    let mut samples = Vec::new();
    praxis_bundle::file::for_each_message(&recorded.path, |channel, _, _, data| {
        if channel.track == Track::Narration {
            samples.extend(praxis_bundle::narration::decode(data)?.samples);
        }
        Ok(())
    })?;
    let expected: Vec<i16> = (1..=4).flat_map(|run| [run; 1600]).collect();
    assert!(samples == expected, "{} samples of {}", samples.len(), expected.len());
    let drops = praxis_bundle::file::info_of(&recorded.path)?.tracks[&Track::Narration].drops;
    assert_eq!(drops, 0);
    Ok(())
}

#[test]
fn every_click_is_answered_for_however_slow_its_program_and_nobody_is_asked_who_types() -> Result<()> {
    let stage = Stage::new(time(), &[(64, 64)]);
    let rect = Rect { x_px: 4, y_px: 6, width_px: 20, height_px: 10 };
    let element = Element { role: "button".into(), name: "Save".into(), value: None, rect };
    stage.show(element.clone());
    contract::elements(&mut stage.elements(), &element, (60, 60))?;
    let folder = tempfile::tempdir()?;
    let plan =
        Plan { elements: Some(Box::new(stage.elements())), ..plan_of(folder.path(), &stage, Voice::None) };
    let recorder = Recorder::start(time(), plan)?;
    let click = |x_px: i32| {
        let message = PointerMessage { button: Some(1), ..PointerMessage::at(PointerKind::Press, x_px, 9) };
        stage.act(|at| InputEvent::Pointer(at, message));
    };
    let wait_for = |answers: u64| {
        wait_until("answers", || {
            let tracks = recorder.status().tracks;
            Ok(tracks.iter().any(|track| track.track == "elements" && track.messages == answers))
        })
    };
    stage.hang(true);
    (0..100).for_each(|_| click(9));
    wait_for(100)?;
    stage.hang(false);
    click(9);
    wait_for(101)?;
    click(50);
    wait_for(102)?;
    stage.act(key(KeyKind::Press));
    click(9);
    wait_for(103)?;
    // The hand has rested; a program hangs, and the person begins to type.
    let_pass(Duration::from_millis(600));
    stage.hang(true);
    click(9);
    stage.act(key(KeyKind::Press));
    let bundle = recorder.stop(EndReason::Stopped, None, None)?.path;
    let told = events(&bundle, &["elements"])?;
    let absent: Vec<_> = told.iter().map(|told| told["absent"].as_str().unwrap_or("known")).collect();
    assert_eq!(absent[..100], ["late"; 100]);
    assert_eq!(absent[100..], ["known", "not_told", "typing", "typing"]);
    assert_eq!(told[100]["element"], serde_json::to_value(element)?);
    Ok(())
}
