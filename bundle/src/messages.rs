//! The JSON messages of a bundle, one type per track.
//!
//! Times are not in here: they are the MCAP message's `log_time`. Positions are root pixels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointerKind {
    /// It moved.
    Move,
    /// A button went down.
    Press,
    /// A button came up.
    Release,
    /// The wheel turned.
    Scroll,
}

/// One message of the `pointer` track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointerMessage {
    /// What happened.
    pub kind: PointerKind,
    /// Position from the left edge of the root window, in pixels.
    pub x_px: i32,
    /// Position from the top edge of the root window, in pixels.
    pub y_px: i32,
    /// Number N of the display (`screen/N`) that contains the position; null outside all recorded displays.
    pub display: Option<u8>,
    /// Button of a press or release: 1 left, 2 middle, 3 right, 8 back, 9 forward.
    pub button: Option<u8>,
    /// Horizontal wheel steps of a scroll, positive to the right.
    pub dx: Option<f64>,
    /// Vertical wheel steps of a scroll, positive up (away from the person).
    pub dy: Option<f64>,
    /// What the device itself reported for a move, to the right, before the system's acceleration: the sum since the move
    /// before, in the device's units. Missing if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_dx: Option<f64>,
    /// The same, downwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_dy: Option<f64>,
    /// Whether a program made the event, not a device. Missing if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<bool>,
    /// Modifiers held when it happened.
    pub modifiers: Vec<Modifier>,
    /// The source's own stamp: X server time in milliseconds (wraps at 2^32).
    pub source_millis: Option<u32>,
}

impl PointerMessage {
    /// One at a place, of which nothing else is known.
    #[must_use]
    pub fn at(kind: PointerKind, x_px: i32, y_px: i32) -> Self {
        Self {
            kind,
            x_px,
            y_px,
            display: None,
            button: None,
            dx: None,
            dy: None,
            raw_dx: None,
            raw_dy: None,
            injected: None,
            modifiers: Vec::new(),
            source_millis: None,
        }
    }
}

/// Press or release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// The key went down, or repeated while held.
    Press,
    /// The key came up.
    Release,
}

/// A modifier, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Modifier {
    /// Shift.
    Shift,
    /// Caps Lock is on.
    CapsLock,
    /// Control.
    Control,
    /// Alt.
    Alt,
    /// Num Lock is on.
    NumLock,
    /// Super (the logo key).
    Super,
    /// AltGr (the third shift level).
    AltGr,
}

/// One message of the `keys` track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyMessage {
    /// Press or release.
    pub kind: KeyKind,
    /// Text the press produced, with layout, AltGr and dead keys applied; `"\n"` for Return, `"\t"` for Tab; null
    /// when it produced none (shortcuts, modifiers, dead keys, releases).
    pub text: Option<String>,
    /// Name of the key symbol: `a`, `Return`, `dead_acute`; `0x…` for one without a name.
    pub keysym: String,
    /// The keyboard's code of the physical key (X11 keycode).
    pub keycode: u32,
    /// Modifiers in force just before the event.
    pub modifiers: Vec<Modifier>,
    /// True on a press that the system repeated while the key was held.
    pub repeat: bool,
    /// Index of the keyboard layout (XKB group) in force.
    pub layout: u8,
    /// Whether a program made the event, not a device. Missing if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<bool>,
    /// The source's own stamp: X server time in milliseconds (wraps at 2^32).
    pub source_millis: Option<u32>,
}

/// One message of the `cursor` track: how the pointer looks from this time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorMessage {
    /// The system's name for the shape: `left_ptr`, `text`; null if it has none.
    pub name: Option<String>,
    /// Width of the picture; zero if nothing is shown.
    pub width_px: u32,
    /// Height of the picture; zero if nothing is shown.
    pub height_px: u32,
    /// The point of the picture that is at the pointer's position: from its left edge.
    pub hot_x_px: u32,
    /// The same, from its top edge.
    pub hot_y_px: u32,
    /// The picture: a PNG of 8 bit RGBA in base64; null if nothing is shown, or if it is larger than 512 pixels.
    pub png: Option<String>,
}

/// One message of the `clipboard` track: something was copied, or the clipboard was emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClipboardMessage {
    /// What the program offers it as, by the names it gives: `text/plain;charset=utf-8`, `image/png`. Empty if the clipboard is
    /// empty, or if the program does not say.
    pub types: Vec<String>,
    /// Bytes of its text in UTF-8; null if it has none, or if it is not known.
    pub text_bytes: Option<u64>,
    /// Its text, in a session whose manifest says that it is recorded; null otherwise, and for what the program calls secret.
    pub text: Option<String>,
}

/// One message of the `elements` track: what a press of a pointer button went to, as its program tells assistive technology. It
/// comes a little after the press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ElementsMessage {
    /// Session time of the press on `pointer`.
    pub press_nanos: u64,
    /// What was there; null if it is not known.
    pub element: Option<Element>,
    /// Why it is not known. Missing if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<ElementAbsence>,
}

/// Something that a program shows and a person clicks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Element {
    /// What it is, by its AT-SPI name: `button`, `check menu item`, `entry`.
    pub role: String,
    /// What it is called: its own name, or that of its label. Empty if it has none.
    pub name: String,
    /// What it holds: the text of a field, the number of a slider. Missing for what holds nothing, for more than 200 characters,
    /// and always for passwords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it is, in root pixels.
    pub rect: Rect,
}

/// Why it is not known what was clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElementAbsence {
    /// The program tells nothing about what is there.
    NotTold,
    /// The person was typing: nothing was asked.
    Typing,
    /// The program did not answer in time.
    Late,
}

/// One message of the `windows` track: which window is active from this time on, and which are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowsMessage {
    /// The active window; null when there is none.
    pub active: Option<Window>,
    /// All windows that are shown, the topmost first, with menus and others that no window manager knows; missing if it is not known.
    /// Each is drawn above those that follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Window>,
}

/// A window, by what its program says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The window system's id.
    pub id: u64,
    /// Its title.
    pub title: String,
    /// Program class, as `WM_CLASS` gives it.
    pub class: String,
    /// Process id, if the system knows it or the program states one.
    pub pid: Option<u32>,
    /// Name of the program's file, without its folder; missing if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Where it is, frame included.
    pub rect: Rect,
}

/// A rectangle in root pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rect {
    /// Left edge.
    pub x_px: i32,
    /// Top edge.
    pub y_px: i32,
    /// Width.
    pub width_px: u32,
    /// Height.
    pub height_px: u32,
}

impl Rect {
    /// Whether the point is inside.
    #[must_use]
    pub fn contains(&self, x_px: i32, y_px: i32) -> bool {
        let (dx, dy) = (i64::from(x_px) - i64::from(self.x_px), i64::from(y_px) - i64::from(self.y_px));
        dx >= 0 && dy >= 0 && dx < i64::from(self.width_px) && dy < i64::from(self.height_px)
    }

    /// The part of it inside `whole`; its size is zero if there is none.
    #[must_use]
    pub fn clip(&self, whole: Self) -> Self {
        let (left, top) = (self.x_px.max(whole.x_px), self.y_px.max(whole.y_px));
        let right = self.right().min(whole.right()).max(left.into());
        let bottom = self.bottom().min(whole.bottom()).max(top.into());
        let (width_px, height_px) = ((right - i64::from(left)) as u32, (bottom - i64::from(top)) as u32);
        Self { x_px: left, y_px: top, width_px, height_px }
    }

    /// The smallest rectangle around both.
    #[must_use]
    pub fn around(&self, other: Self) -> Self {
        let (x_px, y_px) = (self.x_px.min(other.x_px), self.y_px.min(other.y_px));
        let width_px = (self.right().max(other.right()) - i64::from(x_px)) as u32;
        let height_px = (self.bottom().max(other.bottom()) - i64::from(y_px)) as u32;
        Self { x_px, y_px, width_px, height_px }
    }

    /// Whether it has no pixel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.width_px == 0 || self.height_px == 0
    }

    fn right(&self) -> i64 {
        i64::from(self.x_px) + i64::from(self.width_px)
    }

    fn bottom(&self) -> i64 {
        i64::from(self.y_px) + i64::from(self.height_px)
    }
}

/// Why a stretch was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The expert paused.
    Pause,
    /// The source was never there: no microphone, for example.
    NoSource,
    /// The source failed while recording: device unplugged, display gone.
    SourceLost,
    /// The source came to its end: a narration file was over.
    SourceEnded,
    /// The computer slept: for the whole gap, which is as long as its sleep.
    Suspend,
    /// The bytes were damaged and left out by recovery.
    Damaged,
}

impl std::fmt::Display for GapReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::NoSource => "no_source",
            Self::SourceLost => "source_lost",
            Self::SourceEnded => "source_ended",
            Self::Suspend => "suspend",
            Self::Damaged => "damaged",
        })
    }
}

/// One message of the `markers` track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MarkersMessage {
    /// An instant the expert marked.
    Marker {
        /// What it is called; empty if the expert gave no name.
        label: String,
    },
    /// The name of a marker that was set before: the expert named it while the session went on.
    Label {
        /// Session time of the marker.
        marker_nanos: u64,
        /// What it is called.
        label: String,
    },
    /// From here on the track is not recorded.
    GapBegin {
        /// The track's name.
        track: String,
        /// Why.
        reason: GapReason,
        /// More about it, for people; empty if there is nothing to say.
        detail: String,
    },
    /// From here on the track is recorded again. A gap without an end lasts to the end of the session.
    GapEnd {
        /// The track's name.
        track: String,
    },
}

/// One display.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Display {
    /// N of its track `screen/N`; stays the same while the session lasts.
    pub number: u8,
    /// The system's name for it: `HDMI-1`.
    pub name: String,
    /// Where it is.
    pub rect: Rect,
    /// Size of the panel in millimetres; zero if unknown.
    pub width_mm: u32,
    /// Size of the panel in millimetres; zero if unknown.
    pub height_mm: u32,
    /// Pixels per logical pixel, as the desktop is set; 1 if unknown.
    pub scale: f64,
    /// Whether it is the primary one.
    pub is_primary: bool,
    /// Whether its pictures are recorded in this session.
    pub is_recorded: bool,
}

/// Why a rectangle was covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaskReason {
    /// A window of the recorder itself is, or just was, there.
    OwnWindow,
}

/// A rectangle that the pictures do not show: every pixel in it has the one colour of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mask {
    /// Where it is, inside one display.
    pub rect: Rect,
    /// Why.
    pub reason: MaskReason,
}

/// One message of the `geometry` track: the displays and masks from this time on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeometryMessage {
    /// Width of the root window.
    pub root_width_px: u32,
    /// Height of the root window.
    pub root_height_px: u32,
    /// All displays, by number.
    pub displays: Vec<Display>,
    /// What is covered in the pictures of the recorded displays from this time on; missing if nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
}

/// One message of the `clock` track: two clocks read at one instant (`log_time`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum ClockMessage {
    /// The system's wall clock and its monotonic clock without suspend.
    System {
        /// Nanoseconds since 1970-01-01 UTC.
        wall_nanos: u64,
        /// CLOCK_MONOTONIC in nanoseconds.
        monotonic_nanos: u64,
    },
    /// The X server's time.
    XServer {
        /// Server time in milliseconds (wraps at 2^32).
        server_millis: u32,
        /// Half of the round trip in which it was read.
        uncertainty_nanos: u64,
    },
    /// The microphone's sample count.
    Narration {
        /// Index of the sample that was recorded at `log_time`.
        sample_position: u64,
        /// Nominal samples per second.
        rate_hz: u32,
    },
    /// The sample count of the system's sound.
    Sound {
        /// Index of the sample that sounded at `log_time`.
        sample_position: u64,
        /// Nominal samples per second.
        rate_hz: u32,
    },
}

/// Whether a source is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It gave proof of life within three seconds.
    Alive,
    /// It gave none for three seconds.
    Lost,
    /// It is not supposed to give any now: paused, ended, or the system cannot tell.
    Unknown,
}

/// State of one track in a `health` message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrackHealth {
    /// The track's name.
    pub track: String,
    /// Session time of its newest message; null before the first.
    pub last_message_nanos: Option<u64>,
    /// Messages written so far.
    pub messages: u64,
    /// Samples lost under load so far (frames, events, or audio samples).
    pub drops: u64,
    /// Bytes waiting in its queue.
    pub queue_bytes: u64,
    /// Whether its source lives.
    pub life: Life,
}

/// One message of the `health` track, each second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthMessage {
    /// Every track that this session records from a source.
    pub tracks: Vec<TrackHealth>,
    /// Loudest sample of the narration since the last message, in dB relative to full scale; null if none came.
    pub narration_peak_dbfs: Option<f32>,
    /// Parts per million by which the microphone's clock is fast, by all of the session so far; missing if there is too little to
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narration_drift_ppm: Option<f64>,
    /// Bytes free where the bundle is written.
    pub disk_free_bytes: u64,
    /// Screen changes found by the full compare that the display had not announced, so far.
    pub missed_damage: u64,
}
