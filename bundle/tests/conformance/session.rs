//! A session of three seconds with every track and every kind of message, on two displays.

use praxis_bundle::Track;
use praxis_bundle::manifest::{
    Backend, CaptureSettings, EndReason, Ending, FORMAT_VERSION, Keyboard, Lossy, Manifest, Offset, Outcome,
    PointerSettings, Sync, System,
};
use praxis_bundle::messages::{
    ClipboardMessage, ClockMessage, CursorMessage, Display, Element, ElementAbsence, ElementsMessage,
    GapReason, GeometryMessage, HealthMessage, KeyKind, KeyMessage, Life, MarkersMessage, Mask, MaskReason,
    Modifier, PointerKind, PointerMessage, Rect, TrackHealth, Window, WindowsMessage,
};
use praxis_bundle::narration::Block;
use uuid::Uuid;

use crate::picture::{Painter, mask, noise, shade, text};
use crate::story::{Story, Told};

const MILLI: u64 = 1_000_000;
/// Number of the live chunk that is damaged in some fixtures, and of the first after it that has a keyframe.
pub(crate) const DAMAGED_CHUNK: usize = 2;
pub(crate) const NEW_SIZE_CHUNK: usize = 5;
/// Number of the live chunk in the middle of which some fixtures are cut.
pub(crate) const CUT_CHUNK: usize = 6;
/// Its last chunk begins with a keyframe of display 1.
pub(crate) const LAST_CHUNK: usize = 7;

pub(crate) fn manifest() -> Manifest {
    Manifest {
        format_version: FORMAT_VERSION,
        session_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        bundle_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0002),
        app_version: "0.1.0".into(),
        // One more than a double can hold.
        epoch_wall_nanos: 1_760_000_000_123_456_789,
        epoch_boottime_nanos: 9_007_199_254_740_993,
        system: System {
            os: "linux".into(),
            name: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            window_system: "x11".into(),
        },
        displays: geometry(100, 70).displays,
        keyboard: Keyboard { layouts: vec!["German".into(), "Ελληνικά".into()] },
        pointer: PointerSettings { double_click_millis: Some(400), drag_distance_px: None },
        title: Some("Fit a \"model\": {\"wall_nanos\":1760000000123456789}".into()),
        project: Some("protein-folding".into()),
        task: None,
        expert: Some("expert-17".into()),
        consent_version: None,
        capture: CaptureSettings {
            max_fps: 12.5,
            microphone: Some("Built-in".into()),
            narration_rate_hz: Some(8_000),
            system_sound: Some("Monitor of Built-in".into()),
            system_sound_rate_hz: Some(16_000),
            lossy: Lossy::Auto,
            clipboard_text: true,
            sync: Some(Sync {
                wall_nanos: 1_759_000_000_000_000_000,
                instants: 198,
                screen_after_key: Offset { median_nanos: 2_100_000, p95_nanos: 9_000_000 },
                narration_after_key: Some(Offset { median_nanos: -1_200_000, p95_nanos: 4_000_000 }),
                narration_after_screen: Some(Offset { median_nanos: -3_300_000, p95_nanos: 11_000_000 }),
            }),
        },
        backends: vec![Backend {
            tracks: vec!["pointer".into(), "keys".into()],
            name: "x11".into(),
            cannot: vec!["smooth scrolling: wheel steps are whole".into()],
        }],
    }
}

fn geometry(width_px: u32, height_px: u32) -> GeometryMessage {
    let display = |number: u8, name: &str, x_px: i32, width_px, height_px| Display {
        number,
        name: name.into(),
        rect: Rect { x_px, y_px: 0, width_px, height_px },
        width_mm: 527 * u32::from(number),
        height_mm: 296 * u32::from(number),
        scale: 1.0 + 0.25 * f64::from(number),
        is_primary: number == 0,
        is_recorded: true,
    };
    let displays = vec![
        display(0, "eDP-1", 0, width_px, height_px),
        display(1, "HDMI-1", width_px as i32, 64, 40),
        Display { is_recorded: false, ..display(2, "DP-3", width_px as i32 + 64, 800, 600) },
    ];
    GeometryMessage { root_width_px: width_px + 864, root_height_px: 600, displays, masks: vec![] }
}

fn pointer(kind: PointerKind) -> PointerMessage {
    PointerMessage { source_millis: Some(u32::MAX), ..PointerMessage::at(kind, -3, 30) }
}

fn key(kind: KeyKind, text: Option<&str>, keysym: &str) -> KeyMessage {
    KeyMessage {
        kind,
        text: text.map(str::to_owned),
        keysym: keysym.into(),
        keycode: 34,
        modifiers: vec![],
        repeat: false,
        layout: 1,
        injected: None,
        source_millis: None,
    }
}

/// A picture of three by two pixels.
const SHAPE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAYAAACddGYaAAAAFElEQVR4nGP4z8DwHwgbGEAAmQMAajsG+7LFExsAAAAASUVORK5CYII=";

fn cursor(name: Option<&str>, png: Option<&str>) -> CursorMessage {
    let (width_px, height_px) = if png.is_some() { (3, 2) } else { (0, 0) };
    let (name, png) = (name.map(str::to_owned), png.map(str::to_owned));
    CursorMessage { name, width_px, height_px, hot_x_px: width_px / 2, hot_y_px: 0, png }
}

fn copied(types: &[&str], text: Option<&str>) -> ClipboardMessage {
    ClipboardMessage {
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        text_bytes: text.map(|text| text.len() as u64),
        text: text.map(str::to_owned),
    }
}

fn pressed(press_nanos: u64, value: Option<&str>) -> ElementsMessage {
    let rect = Rect { x_px: 10, y_px: 20, width_px: 30, height_px: 12 };
    let (role, name, value) = ("entry".into(), "Name".into(), value.map(str::to_owned));
    ElementsMessage { press_nanos, element: Some(Element { role, name, value, rect }), absent: None }
}

fn health(life: Life, peak: Option<f32>) -> HealthMessage {
    let track = |track: &str, last_message_nanos, drops, life| TrackHealth {
        track: track.into(),
        last_message_nanos,
        messages: 7,
        drops,
        queue_bytes: 1_000,
        life,
    };
    HealthMessage {
        tracks: vec![
            track("screen/1", Some(520 * MILLI), 2, life),
            track("keys", None, 0, Life::Alive),
            track("narration", None, 0, Life::Unknown),
        ],
        narration_peak_dbfs: peak,
        narration_drift_ppm: Some(-41.5),
        disk_free_bytes: 80_000_000_000,
        missed_damage: 3,
    }
}

/// Samples that a FLAC encoder codes in one way each: constant, as they are, by fixed and by fitted prediction.
fn samples(kind: usize, count: i32) -> Vec<i16> {
    let mixed = |n: i32| (n.wrapping_mul(-1_640_531_527) >> 16) as i16;
    let wave = |n: i32| {
        let x = f64::from(n) / 8_000.0 * std::f64::consts::TAU;
        ((x * 180.0).sin() * 9_000.0 + (x * 410.0).sin() * 4_000.0).round() as i16 + mixed(n) / 600
    };
    let sample = |n: i32| match kind {
        0 => -5,
        1 => mixed(n),
        2 => (n * 13 % 5_000 - 2_500) as i16,
        _ => wave(n),
    };
    (0..count).map(sample).collect()
}

#[expect(clippy::too_many_lines, reason = "one session, told from its begin to its end")]
pub(crate) fn told() -> Told {
    let tracks: Vec<Track> = [Track::Screen(0), Track::Screen(1)].into_iter().chain(Track::SINGLE).collect();
    let mut story = Story::new(&manifest(), &tracks);
    let (mut left, mut right) = (Painter::new(100, 70), Painter::new(64, 40));
    let at = |millis: u64| millis * MILLI + 1;

    left.all(text);
    right.all(shade);
    story
        .json(Track::Geometry, at(1), &geometry(100, 70))
        .json(
            Track::Clock,
            at(1),
            &ClockMessage::System { wall_nanos: 1_760_000_000_123_456_791, monotonic_nanos: u64::MAX },
        )
        .json(Track::Clock, at(2), &ClockMessage::XServer { server_millis: 70, uncertainty_nanos: 40_001 })
        .json(Track::Clock, at(1), &ClockMessage::Narration { sample_position: 1 << 40, rate_hz: 8_000 })
        .picture(0, at(3), true, &mut left)
        .picture(1, at(3), true, &mut right)
        .json(Track::Health, at(4), &health(Life::Alive, None))
        .close_chunk();

    let window = Window {
        id: 9_007_199_254_740_993,
        title: "model.py – „Mousepad“ \u{1F9EC}".into(),
        class: "Mousepad".into(),
        pid: None,
        executable: Some("mousepad".into()),
        rect: Rect { x_px: -7, y_px: 5, width_px: 90, height_px: 60 },
    };
    let menu = Window {
        id: 7,
        title: String::new(),
        class: "Mousepad".into(),
        pid: Some(42),
        executable: None,
        rect: Rect { x_px: 10, y_px: 20, width_px: 30, height_px: 40 },
    };
    left.tile((1, 1), false, noise).tile((3, 1), true, shade).tile((3, 2), true, noise);
    story
        .json(
            Track::Windows,
            at(250),
            &WindowsMessage { active: Some(window.clone()), shown: vec![menu, window] },
        )
        .json(Track::Cursor, at(255), &cursor(Some("text"), Some(SHAPE)))
        .json(
            Track::Pointer,
            at(260),
            &PointerMessage {
                raw_dx: Some(-1.25),
                raw_dy: Some(0.0),
                injected: Some(false),
                ..pointer(PointerKind::Move)
            },
        )
        .json(
            Track::Pointer,
            at(261),
            &PointerMessage {
                button: Some(1),
                display: Some(1),
                modifiers: vec![Modifier::Shift, Modifier::Control],
                ..pointer(PointerKind::Press)
            },
        )
        .json(Track::Pointer, at(262), &PointerMessage { button: Some(9), ..pointer(PointerKind::Release) })
        .json(
            Track::Pointer,
            at(262),
            &PointerMessage { dx: Some(0.5), dy: Some(-1.0), ..pointer(PointerKind::Scroll) },
        )
        .json(Track::Keys, at(300), &key(KeyKind::Press, Some("é"), "eacute"))
        .json(
            Track::Keys,
            at(301),
            &KeyMessage {
                repeat: true,
                modifiers: vec![Modifier::AltGr],
                ..key(KeyKind::Press, Some("\n"), "Return")
            },
        )
        .json(
            Track::Keys,
            at(302),
            &KeyMessage { injected: Some(true), ..key(KeyKind::Release, None, "eacute") },
        )
        .picture(0, at(310), false, &mut left)
        .voice(at(320), Block { rate_hz: 8_000, position: 0, samples: samples(3, 700) })
        .voice(at(407), Block { rate_hz: 8_000, position: 700, samples: samples(0, 500) })
        .sound(at(410), Block { rate_hz: 16_000, position: 40, samples: samples(2, 900) })
        .json(Track::Clock, at(411), &ClockMessage::Sound { sample_position: 940, rate_hz: 16_000 })
        .json(Track::Clipboard, at(430), &copied(&["TARGETS", "UTF8_STRING"], Some("naïve")))
        .json(Track::Elements, at(440), &pressed(at(430), Some("Zoë")))
        .json(
            Track::Elements,
            at(441),
            &ElementsMessage { press_nanos: at(435), element: None, absent: Some(ElementAbsence::Late) },
        )
        .json(Track::Markers, at(450), &MarkersMessage::Marker { label: String::new() })
        .close_chunk();

    left.copy((10, 12, 50, 40), (13, 20)).tile((0, 0), false, text);
    right.lossy((0, 0, 2, 2), noise);
    story
        .picture(0, at(500), false, &mut left)
        .picture(1, at(501), false, &mut right)
        .voice(at(510), Block { rate_hz: 8_000, position: 4_000, samples: samples(1, 600) })
        .json(
            Track::Markers,
            at(520),
            &MarkersMessage::Label { marker_nanos: at(450), label: "it converges".into() },
        )
        .close_chunk();

    let covered = |x_px, y_px, width_px, height_px| Mask {
        rect: Rect { x_px, y_px, width_px, height_px },
        reason: MaskReason::OwnWindow,
    };
    let masks = vec![covered(32, 32, 64, 32), covered(100, 0, 32, 32)];
    left.tile((1, 1), false, mask).tile((2, 1), true, mask);
    right.tile((0, 0), true, mask);
    story
        .json(Track::Geometry, at(750) - 700_001, &GeometryMessage { masks, ..geometry(100, 70) })
        .picture(0, at(750), false, &mut left)
        .picture(1, at(750), false, &mut right)
        .voice(at(760), Block { rate_hz: 8_000, position: 6_000, samples: samples(2, 500) })
        .voice(at(800), Block { rate_hz: 48_000, position: 50_000, samples: samples(3, 10) })
        .voice(at(801), Block { rate_hz: 192_000, position: 200_000, samples: samples(3, 100) })
        .close_chunk();

    let paused = |track: &str| MarkersMessage::GapBegin {
        track: track.into(),
        reason: GapReason::Pause,
        detail: String::new(),
    };
    let goes_on = |track: &str| MarkersMessage::GapEnd { track: track.into() };
    story
        .json(Track::Markers, at(1_000), &paused("screen/0"))
        .json(Track::Markers, at(1_000), &paused("keys"))
        .json(Track::Markers, at(2_000), &goes_on("screen/0"))
        .json(Track::Markers, at(2_000), &goes_on("keys"))
        .close_chunk();

    // The first display is smaller from here on; the second has moved.
    let mut left = Painter::new(65, 33);
    left.all(noise);
    right.tile((1, 0), false, text);
    story
        .picture(0, at(2_010), true, &mut left)
        .json(Track::Geometry, at(2_009), &geometry(65, 33))
        .picture(1, at(2_020), false, &mut right)
        .json(Track::Markers, at(2_100), &MarkersMessage::Marker { label: "again".into() })
        .close_chunk();

    left.copy((1, 1, 64, 32), (0, 0));
    right.tile((0, 1), true, text);
    let shortcut = KeyMessage { modifiers: vec![Modifier::Control], ..key(KeyKind::Press, None, "s") };
    story
        .json(Track::Keys, at(2_250), &shortcut)
        .picture(0, at(2_260), false, &mut left)
        .picture(1, at(2_260), false, &mut right)
        .close_chunk();

    let gone = |track: &str, reason, detail: &str| MarkersMessage::GapBegin {
        track: track.into(),
        reason,
        detail: detail.into(),
    };
    right.all(text);
    left.tile((2, 1), false, shade);
    story
        .picture(1, at(2_500), true, &mut right)
        .picture(0, at(2_510), false, &mut left)
        .json(Track::Windows, at(2_520), &WindowsMessage { active: None, shown: Vec::new() })
        .json(Track::Cursor, at(2_530), &cursor(None, None))
        .json(Track::Clipboard, at(2_540), &copied(&[], None))
        .json(Track::Markers, at(2_600), &gone("screen/1", GapReason::SourceLost, "the display is off"))
        .json(Track::Markers, at(2_600), &gone("narration", GapReason::SourceEnded, ""))
        .json(Track::Markers, at(2_601), &gone("windows", GapReason::NoSource, ""))
        .json(Track::Health, at(2_700), &health(Life::Lost, Some(-16.5)))
        .close_chunk();
    story.end(&Ending {
        session_time_nanos: at(3_000),
        reason: EndReason::Stopped,
        outcome: Some(Outcome::Success),
        note: Some("it converged".into()),
    })
}
