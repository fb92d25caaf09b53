//! Makes a sealed bundle of office work on one 1920×1080 display, to measure readers with; the same every time. With `input`
//! somebody clicks every two seconds and turns the wheel.
//!
//! `cargo run -p praxis-bundle --example long_bundle -- FILE [MINUTES] [input]`

use std::path::Path;

use praxis_bundle::manifest::{EndReason, Ending, FORMAT_VERSION, Manifest};
use praxis_bundle::messages::{PointerKind, PointerMessage};
use praxis_bundle::screen::{Encoder, Snapshot, Times};
use praxis_bundle::storage::Disk;
use praxis_bundle::{LiveWriter, Profile, Track, file, finish};

const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;
const FRAME_NANOS: u64 = 83_333_333;

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

struct Desktop {
    bgrx: Vec<u8>,
    glyphs: Vec<[u8; 16]>,
}

impl Desktop {
    fn fill(&mut self, (x, y, width, height): (u32, u32, u32, u32), color: [u8; 4]) {
        for row in y..y + height {
            let start = ((row * WIDTH + x) * 4) as usize;
            let pixels = &mut self.bgrx[start..start + (width * 4) as usize];
            pixels.chunks_exact_mut(4).for_each(|pixel| pixel.copy_from_slice(&color));
        }
    }

    fn glyph(&mut self, number: usize, x: u32, y: u32) {
        let glyph = self.glyphs[number];
        for (row, bits) in glyph.iter().enumerate() {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                self.fill((x + column, y + row as u32, 1, 1), [40, 30, 20, 0]);
            }
        }
    }

    fn line(&mut self, y: u32, random: &mut Random) {
        self.fill((300, y, 1300, 18), [250, 250, 250, 0]);
        for column in 0..20 + random.below(120) {
            self.glyph(random.below(60) as usize, 310 + column * 9, y);
        }
    }

    /// Moves the page up by three lines.
    fn scroll(&mut self, random: &mut Random) {
        for y in 60..1020 - 54 {
            let from = (((y + 54) * WIDTH + 300) * 4) as usize;
            self.bgrx.copy_within(from..from + 1300 * 4, ((y * WIDTH + 300) * 4) as usize);
        }
        (0..3).for_each(|line| self.line(1020 - 54 + line * 18, random));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().ok_or("usage: long_bundle FILE [MINUTES] [input]")?;
    let minutes: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let has_input = arguments.next().is_some_and(|word| word == "input");
    let mut random = Random(1);
    let glyphs =
        (0..60).map(|_| [0; 16].map(|_: u8| (random.below(256) & random.below(256)) as u8)).collect();
    let mut desktop = Desktop { bgrx: vec![0; (WIDTH * HEIGHT * 4) as usize], glyphs };
    desktop.fill((0, 0, WIDTH, HEIGHT), [90, 60, 40, 0]);
    (0..53).for_each(|line| desktop.line(60 + line * 18, &mut random));

    let live = file::with_suffix(Path::new(&target), file::LIVE_SUFFIX);
    let screen = Track::Screen(0);
    let mut writer = LiveWriter::new(std::fs::File::create(&live)?, &manifest()?, &[screen, Track::Pointer])?;
    let mut encoder = Encoder::new(WIDTH, HEIGHT)?;
    for frame in 0..minutes * 720 {
        let at = frame * FRAME_NANOS;
        if has_input && frame % 240 < 48 && frame % 4 == 0 {
            input(&mut writer, at, PointerKind::Scroll, (700, 500))?;
        }
        if has_input && frame % 24 == 12 {
            let place = (random.below(WIDTH) as i32, random.below(HEIGHT) as i32);
            for (kind, later) in
                [(PointerKind::Move, 0), (PointerKind::Press, 20), (PointerKind::Release, 90)]
            {
                input(&mut writer, at + later * 1_000_000, kind, place)?;
            }
        }
        match frame {
            0 => {}
            // Reading: the page is scrolled for four seconds of each twenty.
            _ if frame % 240 < 48 && frame % 4 == 0 => desktop.scroll(&mut random),
            // Writing: a few letters a second.
            _ if frame % 240 >= 48 && frame % 3 == 0 => {
                let (x, y) = (310 + random.below(120) * 9, 60 + random.below(53) * 18);
                desktop.glyph(random.below(60) as usize, x, y);
            }
            _ => continue,
        }
        let snapshot =
            Snapshot { x_px: 0, y_px: 0, width_px: WIDTH, height_px: HEIGHT, pixels: &desktop.bgrx };
        encoder.update(&[snapshot]);
        let times = Times { first_damage: at, capture_start: at, capture_end: at };
        if frame == 0 || encoder.is_key_due(at) {
            writer.push(screen.key_channel().ok_or("a screen")?, at, &encoder.keyframe(times))?;
        } else if let Some(delta) = encoder.delta(times) {
            writer.push(screen.channel(), at, &delta)?;
        }
        if frame % 3 == 0 {
            writer.close_chunk()?;
        }
    }
    let session_time_nanos = minutes * 60_000_000_000;
    writer.end(&Ending { session_time_nanos, reason: EndReason::Stopped, outcome: None, note: None })?;
    finish::write_finished(&Disk, &live, Path::new(&target), Profile::Seal)?;
    Ok(std::fs::remove_file(live)?)
}

fn input(
    writer: &mut LiveWriter<std::fs::File>,
    nanos: u64,
    kind: PointerKind,
    (x_px, y_px): (i32, i32),
) -> Result<(), Box<dyn std::error::Error>> {
    let button = matches!(kind, PointerKind::Press | PointerKind::Release).then_some(1);
    let dy = (kind == PointerKind::Scroll).then_some(-1.0);
    let message = PointerMessage {
        display: Some(0),
        button,
        dx: dy.map(|_| 0.0),
        dy,
        ..PointerMessage::at(kind, x_px, y_px)
    };
    Ok(writer.push(Track::Pointer.channel(), nanos, &serde_json::to_vec(&message)?)?)
}

fn manifest() -> Result<Manifest, serde_json::Error> {
    let id = "01920000-0000-7000-8000-000000000004";
    serde_json::from_value(serde_json::json!({
        "format_version": FORMAT_VERSION, "session_id": id, "bundle_id": id, "app_version": env!("CARGO_PKG_VERSION"),
        "epoch_wall_nanos": 1_760_000_000_000_000_000_u64, "epoch_boottime_nanos": 0, "displays": [], "backends": [],
        "system": {"os": "linux", "name": "", "kernel": "", "arch": "", "window_system": "x11"},
        "keyboard": {"layouts": []}, "pointer": {},
        "capture": {"max_fps": 12.0, "lossy": "never"},
    }))
}
