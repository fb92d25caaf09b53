//! What the benches measure on: pictures of typing, scrolling and a video, and a session of them with a voice.

use std::fs::File;
use std::path::Path;

use praxis_bundle::manifest::{
    CaptureSettings, EndReason, FORMAT_VERSION, Keyboard, PointerSettings, System,
};
use praxis_bundle::messages::{Display, Rect};
use praxis_bundle::narration::{Block, encode_pcm};
use praxis_bundle::screen::{self, Encoder, Times};
use praxis_bundle::{Ending, LiveWriter, Manifest, Result, Track};
use uuid::Uuid;

/// Size of the display in pixels.
pub(crate) const WIDTH: u32 = 1920;
/// Size of the display in pixels.
pub(crate) const HEIGHT: u32 = 1080;
const SECOND: u64 = 1_000_000_000;
const GLYPH: (u32, u32) = (9, 18);
const RATE_HZ: u32 = 48_000;

/// An area of the display as it looks at one moment: B, G, R, unused.
pub(crate) struct Snapshot {
    pub(crate) rect: (u32, u32, u32, u32),
    pub(crate) bgrx: Vec<u8>,
}

/// What changes on the screen.
#[derive(Clone, Copy)]
pub(crate) enum Scene {
    /// One letter a picture.
    Typing,
    /// A text of 1296×846 moves up by three lines a picture.
    Scroll,
    /// 1280×720 of a gradient with grain, all of it new in each picture.
    Video,
}

impl Scene {
    pub(crate) const ALL: [(&str, Self); 3] =
        [("typing", Self::Typing), ("scroll", Self::Scroll), ("video", Self::Video)];

    /// The nth picture.
    pub(crate) fn snapshot(self, n: u32) -> Snapshot {
        let rect = match self {
            Self::Typing => (300 + n % 100 * GLYPH.0, 200 + n / 100 % 40 * GLYPH.1, GLYPH.0, GLYPH.1),
            Self::Scroll => (300, 150, 144 * GLYPH.0, 47 * GLYPH.1),
            Self::Video => (320, 180, 1280, 720),
        };
        let pixel = |x: u32, y: u32| match self {
            Self::Typing => ink(n, 0, x, y),
            Self::Scroll => ink(x / GLYPH.0, y / GLYPH.1 + 3 * n, x % GLYPH.0, y % GLYPH.1),
            Self::Video => {
                let grain = (hash(n, x, y) & 7) as u8;
                [(x / 8 + n) as u8 ^ grain, (y / 4 + n) as u8 ^ grain, ((x + y) / 12) as u8 ^ grain, 0]
            }
        };
        let (_, _, width, height) = rect;
        let bgrx = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
        Snapshot { rect, bgrx }
    }
}

/// A pixel of the letter in a column of a line; lines have indents, ends and blanks.
fn ink(column: u32, line: u32, x: u32, y: u32) -> [u8; 4] {
    let letter = hash(column, line, 0) % 64;
    let is_blank = letter < 12 || column > 40 + hash(line, 1, 0) % 90 || column < hash(line, 2, 0) % 3 * 4;
    // Strokes of two pixels, softened at their edges.
    let is_inside = (1..8).contains(&x) && (3..15).contains(&y);
    let stroke = hash(letter, x / 2, y / 3) % 3;
    let grey = if is_blank || !is_inside || stroke == 0 { 255 } else { [40, 130][(stroke - 1) as usize] };
    [grey, grey, grey, 0]
}

fn hash(a: u32, b: u32, c: u32) -> u32 {
    let mixed = (a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca6b) ^ c.wrapping_mul(0xc2b2_ae35))
        .wrapping_mul(0x27d4_eb2f);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x1656_67b1) >> 8
}

/// An encoder whose picture is a white desktop, and its keyframe.
pub(crate) fn desktop() -> Result<(Encoder, Vec<u8>)> {
    let mut encoder = Encoder::new(WIDTH, HEIGHT)?;
    let white = vec![255; (WIDTH * HEIGHT * 4) as usize];
    encoder.update(&[screen::Snapshot {
        x_px: 0,
        y_px: 0,
        width_px: WIDTH,
        height_px: HEIGHT,
        pixels: &white,
    }]);
    let key = encoder.keyframe(times(0));
    Ok((encoder, key))
}

pub(crate) fn times(at: u64) -> Times {
    Times { first_damage: at, capture_start: at, capture_end: at }
}

/// Takes a snapshot over; the message of the change.
pub(crate) fn change(encoder: &mut Encoder, snapshot: &Snapshot, at: u64) -> Vec<u8> {
    let (x_px, y_px, width_px, height_px) = snapshot.rect;
    encoder.update(&[screen::Snapshot { x_px, y_px, width_px, height_px, pixels: &snapshot.bgrx }]);
    // What looks as before is no message; its time is taken all the same.
    encoder.delta(times(at)).unwrap_or_default()
}

/// Writes a live file of office work with a voice: of each minute 35 seconds are typing, 10 scrolling, 15 reading. A
/// keyframe comes every 30 seconds.
pub(crate) fn write_session(path: &Path, seconds: u64) -> Result<()> {
    let screen = Track::Screen(0);
    let file = File::create(path).map_err(praxis_bundle::Error::io("creating the session"))?;
    let mut writer = LiveWriter::new(file, &manifest(), &[screen, Track::Narration])?;
    let (mut encoder, key) = desktop()?;
    let key_channel = screen.key_channel().unwrap_or(screen.channel());
    writer.push(key_channel, 0, &key)?;
    let mut position = 0;
    // A chunk lasts a quarter of a second.
    for quarter in 0..seconds * 4 {
        let start = quarter * SECOND / 4;
        if quarter > 0 && quarter % 120 == 0 {
            writer.push(key_channel, start, &encoder.keyframe(times(start)))?;
        }
        let (scene, count) = match quarter / 4 % 60 {
            0..35 => (Scene::Typing, 2),
            35..45 => (Scene::Scroll, 3),
            _ => (Scene::Typing, 0),
        };
        for n in 0..count {
            let at = start + (n + 1) * SECOND / 16;
            let snapshot = scene.snapshot((quarter * count + n) as u32);
            let delta = change(&mut encoder, &snapshot, at);
            if !delta.is_empty() {
                writer.push(screen.channel(), at, &delta)?;
            }
        }
        let num_samples = u64::from(RATE_HZ) / 4;
        let samples = (position..position + num_samples).map(voice).collect();
        let block = Block { rate_hz: RATE_HZ, position, samples };
        writer.push(Track::Narration.channel(), start, &encode_pcm(&block))?;
        position += num_samples;
        writer.close_chunk()?;
    }
    let ending = Ending {
        session_time_nanos: seconds * SECOND,
        reason: EndReason::Stopped,
        outcome: None,
        note: None,
    };
    writer.end(&ending)?;
    Ok(())
}

/// A voice: a fundamental with overtones that swells and pauses, in the noise of a room.
fn voice(position: u64) -> i16 {
    let t = position as f64 / f64::from(RATE_HZ);
    let loudness = (t * 1.1).sin().max(0.0) * (t * 9.0).sin().abs() * 5000.0;
    let phase = std::f64::consts::TAU * (140.0 * t + 3.0 * (t * 2.0).sin());
    let tone: f64 = (1..12).map(|overtone| (phase * f64::from(overtone)).sin() / f64::from(overtone)).sum();
    let room = f64::from(hash(position as u32, 3, 5) % 60) - 30.0;
    (tone * loudness + room) as i16
}

fn manifest() -> Manifest {
    let display = Display {
        number: 0,
        name: "HDMI-1".into(),
        rect: Rect { x_px: 0, y_px: 0, width_px: WIDTH, height_px: HEIGHT },
        width_mm: 527,
        height_mm: 296,
        scale: 1.0,
        is_primary: true,
        is_recorded: true,
    };
    Manifest {
        format_version: FORMAT_VERSION,
        session_id: Uuid::from_u128(1),
        bundle_id: Uuid::from_u128(2),
        app_version: env!("CARGO_PKG_VERSION").into(),
        epoch_wall_nanos: 1_760_000_000 * SECOND,
        epoch_boottime_nanos: 0,
        system: System::default(),
        displays: vec![display],
        keyboard: Keyboard::default(),
        pointer: PointerSettings::default(),
        title: None,
        project: None,
        task: None,
        expert: None,
        consent_version: None,
        capture: CaptureSettings::default(),
        backends: vec![],
    }
}
