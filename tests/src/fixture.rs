//! A small bundle with a message of every kind, the same bytes every time: for tests of what the commands print.

use std::path::Path;

use anyhow::{Context, Result};
use praxis_bundle::manifest::{
    Backend, CaptureSettings, EndReason, Ending, FORMAT_VERSION, Keyboard, Lossy, Manifest, Outcome,
    PointerSettings, System,
};
use praxis_bundle::messages::{
    ClockMessage, Display, GapReason, GeometryMessage, HealthMessage, KeyKind, KeyMessage, Life,
    MarkersMessage, Modifier, PointerKind, PointerMessage, Rect, TrackHealth, Window, WindowsMessage,
};
use praxis_bundle::narration::{Block, encode_pcm};
use praxis_bundle::screen::{Encoder, Snapshot, Times};
use praxis_bundle::storage::Disk;
use praxis_bundle::{LiveWriter, Track};
use serde::Serialize;
use uuid::Uuid;

const MILLI: u64 = 1_000_000;
const DISPLAY: Rect = Rect { x_px: 0, y_px: 0, width_px: 96, height_px: 64 };

/// Writes it as a live file of two seconds.
///
/// # Errors
/// If the file cannot be written.
pub fn write_live(path: &Path) -> Result<()> {
    let screen = Track::Screen(0);
    let tracks: Vec<Track> = [screen].into_iter().chain(Track::SINGLE).collect();
    let mut writer = LiveWriter::new(std::fs::File::create_new(path)?, &manifest(), &tracks)?;
    let json = |writer: &mut LiveWriter<_>, track: Track, millis: u64, message: &dyn Json| -> Result<()> {
        Ok(writer.push(track.channel(), millis * MILLI, &message.bytes()?)?)
    };
    let times = |millis: u64| Times {
        first_damage: millis * MILLI - MILLI,
        capture_start: millis * MILLI,
        capture_end: millis * MILLI,
    };
    let mut encoder = Encoder::new(DISPLAY.width_px, DISPLAY.height_px)?;
    writer.push(screen.key_channel().unwrap_or(screen.channel()), MILLI, &encoder.keyframe(times(1)))?;
    json(&mut writer, Track::Geometry, 1, &geometry())?;
    json(&mut writer, Track::Clock, 1, &ClockMessage::System { wall_nanos: 3, monotonic_nanos: 2 })?;
    let x_server = ClockMessage::XServer { server_millis: 70, uncertainty_nanos: 40_000 };
    json(&mut writer, Track::Clock, 2, &x_server)?;
    json(&mut writer, Track::Windows, 3, &WindowsMessage { active: Some(window()), shown: vec![window()] })?;
    writer.close_chunk()?;
    json(&mut writer, Track::Pointer, 300, &pointer(PointerKind::Move))?;
    json(
        &mut writer,
        Track::Pointer,
        310,
        &PointerMessage { button: Some(1), ..pointer(PointerKind::Press) },
    )?;
    json(
        &mut writer,
        Track::Pointer,
        320,
        &PointerMessage { button: Some(1), ..pointer(PointerKind::Release) },
    )?;
    let wheel = PointerMessage { dx: Some(0.0), dy: Some(-1.0), ..pointer(PointerKind::Scroll) };
    json(&mut writer, Track::Pointer, 330, &wheel)?;
    json(&mut writer, Track::Keys, 400, &key(KeyKind::Press, Some("é"), "eacute"))?;
    json(&mut writer, Track::Keys, 450, &key(KeyKind::Release, None, "eacute"))?;
    let shortcut = KeyMessage { modifiers: vec![Modifier::Control], ..key(KeyKind::Press, None, "s") };
    json(&mut writer, Track::Keys, 500, &shortcut)?;
    let pixels = [9, 8, 7, 0, 6, 5, 4, 0];
    encoder.update(&[Snapshot { x_px: 10, y_px: 10, width_px: 2, height_px: 1, pixels: &pixels }]);
    let delta = encoder.delta(times(520)).context("nothing has changed")?;
    writer.push(screen.channel(), 520 * MILLI, &delta)?;
    let samples = (0..1600).map(|n| (n % 50) * 100).collect();
    let voice = encode_pcm(&Block { rate_hz: 16_000, position: 0, samples });
    writer.push(Track::Narration.channel(), 600 * MILLI, &voice)?;
    writer.close_chunk()?;
    json(&mut writer, Track::Markers, 800, &MarkersMessage::Marker { label: "here".into() })?;
    let track = screen.name();
    let gap =
        MarkersMessage::GapBegin { track: track.clone(), reason: GapReason::Pause, detail: String::new() };
    json(&mut writer, Track::Markers, 900, &gap)?;
    json(&mut writer, Track::Health, 1000, &health())?;
    json(&mut writer, Track::Markers, 1200, &MarkersMessage::GapEnd { track })?;
    json(&mut writer, Track::Windows, 1300, &WindowsMessage { active: None, shown: Vec::new() })?;
    let ending = Ending {
        session_time_nanos: 2000 * MILLI,
        reason: EndReason::Stopped,
        outcome: Some(Outcome::Success),
        note: Some("it converged".into()),
    };
    writer.end(&ending)?;
    Ok(())
}

/// Writes a sealed bundle of about so many megabytes: pictures of noise, which nothing makes smaller.
///
/// # Errors
/// If it cannot be written.
pub fn write_large(path: &Path, megabytes: u32) -> Result<()> {
    const WIDTH: u32 = 1000;
    const HEIGHT: u32 = 350;
    let screen = Track::Screen(0);
    let live = path.with_extension("live.mcap");
    // Another bundle each time: the collector knows bundles by their ids.
    let manifest = Manifest { session_id: Uuid::now_v7(), bundle_id: Uuid::now_v7(), ..manifest() };
    let mut writer = LiveWriter::new(std::fs::File::create_new(&live)?, &manifest, &[screen])?;
    let mut encoder = Encoder::new(WIDTH, HEIGHT)?;
    let mut seed = manifest.bundle_id.as_u64_pair().1;
    for n in 0..u64::from(megabytes) {
        let noise = (0..WIDTH * HEIGHT * 4).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        });
        let pixels: Vec<u8> = noise.collect();
        encoder.update(&[Snapshot { x_px: 0, y_px: 0, width_px: WIDTH, height_px: HEIGHT, pixels: &pixels }]);
        let at = n * 250 * MILLI;
        let times = Times { first_damage: at, capture_start: at, capture_end: at };
        writer.push(screen.key_channel().unwrap_or(screen.channel()), at, &encoder.keyframe(times))?;
        writer.close_chunk()?;
    }
    let ending = Ending {
        session_time_nanos: u64::from(megabytes) * 250 * MILLI,
        reason: EndReason::Stopped,
        outcome: None,
        note: None,
    };
    writer.end(&ending)?.sync_all()?;
    praxis_bundle::finish::write_finished(&Disk, &live, path, praxis_bundle::Profile::Seal)?;
    Ok(std::fs::remove_file(live)?)
}

/// Writes a live file of so many seconds on two displays, with something on every track in each chunk.
///
/// # Errors
/// If it cannot be written.
pub fn write_busy(path: &Path, seconds: u64) -> Result<()> {
    const SIZES: [(u32, u32); 2] = [(320, 200), (200, 150)];
    const TICK_MILLIS: u64 = 250;
    let screens = [Track::Screen(0), Track::Screen(1)];
    let tracks: Vec<Track> = screens.into_iter().chain(Track::SINGLE).collect();
    let mut writer = LiveWriter::new(std::fs::File::create_new(path)?, &manifest(), &tracks)?;
    let mut seed = 1u64;
    let mut random = |limit: u32| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32 % limit
    };
    let mut encoders = [Encoder::new(SIZES[0].0, SIZES[0].1)?, Encoder::new(SIZES[1].0, SIZES[1].1)?];
    let mut position = 0;
    for tick in 0..seconds * 1000 / TICK_MILLIS {
        let base = tick * TICK_MILLIS;
        let push =
            |writer: &mut LiveWriter<_>, track: Track, millis: u64, message: &dyn Json| -> Result<()> {
                Ok(writer.push(track.channel(), millis * MILLI, &message.bytes()?)?)
            };
        for (display, (screen, (width, height))) in screens.into_iter().zip(SIZES).enumerate() {
            let encoder = &mut encoders[display];
            for n in 0..3u64 {
                let (w, h) = (1 + random(60), 1 + random(40));
                let (x, y) = (random(width - w), random(height - h));
                let is_noise = n == 0;
                let flat = random(256) as u8;
                let pixels = (0..w * h * 4).map(|_| if is_noise { random(256) as u8 } else { flat });
                let pixels: Vec<u8> = pixels.collect();
                encoder.update(&[Snapshot { x_px: x, y_px: y, width_px: w, height_px: h, pixels: &pixels }]);
                let now = (base + n * 80 + display as u64 + 1) * MILLI;
                let times = Times { first_damage: now, capture_start: now, capture_end: now };
                let key = screen.key_channel().filter(|_| n == 0 && tick % (20 + display as u64 * 7) == 0);
                let message = match key {
                    Some(key) => Some((key, encoder.keyframe(times))),
                    // What is filled with the colour it has is no change.
                    None => encoder.delta(times).map(|delta| (screen.channel(), delta)),
                };
                if let Some((channel, data)) = message {
                    writer.push(channel, now, &data)?;
                }
            }
        }
        push(&mut writer, Track::Pointer, base + 5, &pointer(PointerKind::Move))?;
        push(&mut writer, Track::Keys, base + 9, &key(KeyKind::Press, Some("é"), "eacute"))?;
        push(
            &mut writer,
            Track::Windows,
            base + 10,
            &WindowsMessage { active: Some(window()), shown: vec![window()] },
        )?;
        let server_millis = base as u32;
        push(
            &mut writer,
            Track::Clock,
            base + 11,
            &ClockMessage::XServer { server_millis, uncertainty_nanos: 9 },
        )?;
        push(&mut writer, Track::Markers, base + 12, &MarkersMessage::Marker { label: tick.to_string() })?;
        push(&mut writer, Track::Geometry, base + 13, &geometry())?;
        push(&mut writer, Track::Health, base + 14, &health())?;
        let samples: Vec<i16> = (0..4000).map(|n| ((n % 97) * 120) as i16 + random(9) as i16).collect();
        let voice = encode_pcm(&Block { rate_hz: 16_000, position, samples });
        position += 4000;
        writer.push(Track::Narration.channel(), base * MILLI, &voice)?;
        writer.close_chunk()?;
    }
    let session_time_nanos = seconds * 1000 * MILLI;
    writer.end(&Ending { session_time_nanos, reason: EndReason::Stopped, outcome: None, note: None })?;
    Ok(())
}

/// Writes a sealed bundle in which the display is white and a tone is heard for a fifth of each second but the first: for
/// what is seen and heard at the same time.
///
/// # Errors
/// If it cannot be written.
pub fn write_flashes(path: &Path, seconds: u32) -> Result<()> {
    const RATE_HZ: u32 = 48_000;
    const FLASH_MILLIS: u64 = 200;
    const HALF_WAVE_SAMPLES: u32 = 24;
    let screen = Track::Screen(0);
    let live = path.with_extension("live.mcap");
    let tracks = [screen, Track::Narration];
    let mut writer = LiveWriter::new(std::fs::File::create_new(&live)?, &manifest(), &tracks)?;
    let (width_px, height_px) = (DISPLAY.width_px, DISPLAY.height_px);
    let mut encoder = Encoder::new(width_px, height_px)?;
    let mut show = |writer: &mut LiveWriter<_>, millis: u64, shade: u8| -> Result<()> {
        let pixels = vec![shade; (width_px * height_px * 4) as usize];
        encoder.update(&[Snapshot { x_px: 0, y_px: 0, width_px, height_px, pixels: &pixels }]);
        let at = millis * MILLI;
        let times = Times { first_damage: at, capture_start: at, capture_end: at };
        let key = screen.key_channel().filter(|_| millis == 0);
        let message = match key {
            Some(_) => encoder.keyframe(times),
            None => encoder.delta(times).context("nothing has changed")?,
        };
        Ok(writer.push(key.unwrap_or(screen.channel()), at, &message)?)
    };
    for second in 0..seconds {
        let millis = u64::from(second) * 1000;
        let is_loud =
            |sample: u32| second > 0 && u64::from(sample) < FLASH_MILLIS * u64::from(RATE_HZ) / 1000;
        let tone = |sample: u32| match (is_loud(sample), sample / HALF_WAVE_SAMPLES % 2) {
            (false, _) => 0,
            (true, 0) => 12_000,
            (true, _) => -12_000,
        };
        let samples = (0..RATE_HZ).map(tone).collect();
        let block = Block { rate_hz: RATE_HZ, position: u64::from(second * RATE_HZ), samples };
        writer.push(Track::Narration.channel(), millis * MILLI, &encode_pcm(&block))?;
        if second == 0 {
            show(&mut writer, 0, 0)?;
        } else {
            show(&mut writer, millis, 255)?;
            show(&mut writer, millis + FLASH_MILLIS, 0)?;
        }
        writer.close_chunk()?;
    }
    let session_time_nanos = u64::from(seconds) * 1000 * MILLI;
    writer.end(&Ending { session_time_nanos, reason: EndReason::Stopped, outcome: None, note: None })?;
    praxis_bundle::finish::write_finished(&Disk, &live, path, praxis_bundle::Profile::Seal)?;
    Ok(std::fs::remove_file(live)?)
}

trait Json {
    fn bytes(&self) -> Result<Vec<u8>>;
}

impl<T: Serialize> Json for T {
    fn bytes(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// What its session is.
#[must_use]
pub fn manifest() -> Manifest {
    Manifest {
        format_version: FORMAT_VERSION,
        session_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        bundle_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0002),
        app_version: "0.1.0".into(),
        epoch_wall_nanos: 1_760_000_000_000_000_000,
        epoch_boottime_nanos: 5_000_000_000,
        system: System {
            os: "linux".into(),
            name: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            window_system: "x11".into(),
        },
        displays: geometry().displays,
        keyboard: Keyboard { layouts: vec!["German".into()] },
        pointer: PointerSettings { double_click_millis: Some(400), drag_distance_px: Some(8) },
        title: Some("Fit a model".into()),
        project: None,
        task: None,
        expert: None,
        consent_version: None,
        capture: CaptureSettings {
            max_fps: 12.0,
            microphone: Some("Built-in".into()),
            narration_rate_hz: Some(16_000),
            system_sound: None,
            system_sound_rate_hz: None,
            lossy: Lossy::Never,
            clipboard_text: false,
            sync: None,
        },
        backends: vec![Backend {
            tracks: vec!["pointer".into(), "keys".into()],
            name: "x11".into(),
            cannot: vec!["smooth scrolling: wheel steps are whole".into()],
        }],
    }
}

fn geometry() -> GeometryMessage {
    let display = Display {
        number: 0,
        name: "HDMI-1".into(),
        rect: DISPLAY,
        width_mm: 527,
        height_mm: 296,
        scale: 1.0,
        is_primary: true,
        is_recorded: true,
    };
    GeometryMessage { root_width_px: 96, root_height_px: 64, displays: vec![display], masks: vec![] }
}

fn window() -> Window {
    let (title, class) = ("model.py - Mousepad".into(), "Mousepad".into());
    Window { id: 0x80_0003, title, class, pid: Some(4242), executable: None, rect: DISPLAY }
}

fn pointer(kind: PointerKind) -> PointerMessage {
    PointerMessage { display: Some(0), source_millis: Some(300), ..PointerMessage::at(kind, 40, 30) }
}

pub(crate) fn key(kind: KeyKind, text: Option<&str>, keysym: &str) -> KeyMessage {
    KeyMessage {
        kind,
        text: text.map(str::to_owned),
        keysym: keysym.into(),
        keycode: 34,
        modifiers: vec![],
        repeat: false,
        layout: 0,
        injected: None,
        source_millis: Some(400),
    }
}

fn health() -> HealthMessage {
    let track = |track: &str, messages, drops, life| TrackHealth {
        track: track.into(),
        last_message_nanos: Some(520 * MILLI),
        messages,
        drops,
        queue_bytes: 0,
        life,
    };
    HealthMessage {
        tracks: vec![track("screen/0", 2, 1, Life::Alive), track("keys", 3, 0, Life::Lost)],
        narration_peak_dbfs: Some(-16.5),
        narration_drift_ppm: None,
        disk_free_bytes: 80_000_000_000,
        missed_damage: 0,
    }
}

/// Flips a bit in the middle chunk of a bundle, as a failing disk does.
///
/// # Errors
/// If it has no chunk, or cannot be written.
pub fn damage(path: &Path) -> Result<()> {
    let mut bytes = std::fs::read(path)?;
    // A chunk of MCAP: its opcode, and after lengths and times the name of its compression.
    let is_chunk = |at: &usize| bytes[*at] == 6 && bytes[at + 37..at + 45] == *b"\x04\0\0\0zstd";
    let chunks: Vec<_> = (0..bytes.len() - 60).filter(is_chunk).collect();
    let middle = chunks.get(chunks.len() / 2).context("no chunk")?;
    bytes[middle + 70] ^= 1;
    Ok(std::fs::write(path, bytes)?)
}
