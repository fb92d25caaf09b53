//! What an action is, and the answer with all actions of a bundle, as JSON has them. Fields that do not apply are missing.

use praxis_bundle::manifest::PointerSettings;
use praxis_bundle::messages::Element;
use serde::{Deserialize, Serialize};

/// All actions of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Which rules made them.
    pub reducer_version: u32,
    /// With which thresholds.
    pub parameters: Parameters,
    /// The actions, in order of their start.
    pub actions: Vec<Action>,
    /// Raw input that is in no action.
    pub left_out: LeftOut,
}

/// The thresholds of the reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Longest time from press to press of a double click.
    pub double_click_millis: u32,
    /// Largest distance of these presses, on each axis.
    pub double_click_px: u32,
    /// A press that moves further than this on an axis is a drag.
    pub drag_px: u32,
    /// Longest rest inside a scroll.
    pub scroll_gap_millis: u32,
    /// Furthest way of the pointer inside a scroll, on each axis.
    pub scroll_drift_px: u32,
    /// Longest rest inside typing.
    pub type_gap_millis: u32,
    /// Longest rest between repeats of a key that are one action.
    pub press_gap_millis: u32,
    /// A click that is held so long is a long one.
    pub long_press_millis: u32,
    /// The logo key alone is a press if it is held no longer.
    pub modifier_tap_millis: u32,
    /// Shortest time without input that is a wait.
    pub wait_millis: u32,
    /// Narration as loud as this, as the root mean square of a tenth of a second, is somebody who speaks.
    pub voice_dbfs: i32,
    /// Shortest rest of the pointer that is a hover, if something near it changes.
    pub hover_millis: u32,
    /// How far it may move meanwhile, on each axis.
    pub hover_px: u32,
    /// Side of the square around the pointer in which something must change.
    pub hover_box_px: u32,
    /// In the first so many milliseconds of the rest.
    pub hover_answer_millis: u32,
    /// Whoever presses a button so soon after the rest did not hover.
    pub hover_press_millis: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            double_click_millis: 500,
            double_click_px: 4,
            drag_px: 5,
            scroll_gap_millis: 1000,
            scroll_drift_px: 50,
            type_gap_millis: 5000,
            press_gap_millis: 1000,
            long_press_millis: 1000,
            modifier_tap_millis: 500,
            wait_millis: 6000,
            voice_dbfs: -40,
            hover_millis: 700,
            hover_px: 5,
            hover_box_px: 300,
            hover_answer_millis: 1500,
            hover_press_millis: 300,
        }
    }
}

impl Parameters {
    /// Those of a desktop, as the manifest has them; defaults where it says nothing.
    #[must_use]
    pub fn of(pointer: &PointerSettings) -> Self {
        let usual = Self::default();
        Self {
            double_click_millis: pointer.double_click_millis.unwrap_or(usual.double_click_millis),
            drag_px: pointer.drag_distance_px.unwrap_or(usual.drag_px),
            ..usual
        }
    }
}

/// Raw input that is in no action, counted by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Buttons that came up without having gone down in the recording, or since the last gap.
    pub lone_releases: u64,
    /// Modifiers that were pressed with nothing done meanwhile.
    pub lone_modifiers: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A button went down and up in one place.
    Click,
    /// A button went down, the pointer moved, the button came up.
    Drag,
    /// The wheel turned.
    Scroll,
    /// Text was typed.
    Type,
    /// A key without text was pressed.
    Press,
    /// A key was pressed together with modifiers.
    Hotkey,
    /// The pointer rested, and something near it changed.
    Hover,
    /// Nothing was done for a while.
    Wait,
}

/// Where the pointer was in a drag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPoint {
    /// Session time.
    pub nanos: u64,
    /// Root pixels from the left.
    pub x_px: i32,
    /// Root pixels from the top.
    pub y_px: i32,
}

/// A window, as people know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowName {
    /// Its title, at most 500 characters of it.
    pub title: String,
    /// Its program's class, at most 500 characters of it.
    pub class: String,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Its position in the answer.
    pub id: u64,
    /// What was done.
    pub kind: Kind,
    /// Session time of its first event.
    pub start_nanos: u64,
    /// Session time of its last event.
    pub end_nanos: u64,
    /// Click, drag, scroll: when the pointer had begun to move there, if it did so since what was done before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_nanos: Option<u64>,
    /// The display under the pointer at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<u8>,
    /// Root pixels from the left, at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_px: Option<i32>,
    /// Root pixels from the top, at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_px: Option<i32>,
    /// Click, drag: 1 left, 2 middle, 3 right, 8 back, 9 forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub button: Option<u8>,
    /// Click: 1, 2 or 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicks: Option<u8>,
    /// Click: it was held.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_long: bool,
    /// Drag: from press to release. One of very many points lacks those that lie near the line between their neighbours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<PathPoint>>,
    /// Scroll: steps to the right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dx_ticks: Option<f64>,
    /// Scroll: steps down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dy_ticks: Option<f64>,
    /// Click, drag, scroll, hover: modifiers held at the start, of `ctrl`, `alt`, `shift`, `meta`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modifiers: Vec<String>,
    /// Type: what was there in the end; an Enter or Tab that ended it is the last character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Type: keys pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keystrokes: Option<u64>,
    /// Type: Backspaces among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<u64>,
    /// Press: the key. Hotkey: modifiers and key, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// Press, hotkey: how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Wait: somebody spoke meanwhile.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_thinking: bool,
    /// The window that a click, drag or scroll went to; of other actions, the one that was active at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowName>,
    /// Click, drag: what was pressed, as its program tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<Element>,
    /// What a person calls it, where one has corrected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Ended by a gap or the end of the recording, not by its release.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_truncated: bool,
}

impl Action {
    /// Something that happened at one instant, without any particulars.
    #[must_use]
    pub fn at(kind: Kind, nanos: u64, window: Option<WindowName>) -> Self {
        Self {
            id: 0,
            kind,
            start_nanos: nanos,
            end_nanos: nanos,
            moved_nanos: None,
            display: None,
            x_px: None,
            y_px: None,
            button: None,
            clicks: None,
            is_long: false,
            path: None,
            dx_ticks: None,
            dy_ticks: None,
            modifiers: Vec::new(),
            text: None,
            keystrokes: None,
            corrections: None,
            keys: None,
            count: None,
            is_thinking: false,
            window,
            element: None,
            label: None,
            is_truncated: false,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(value: &bool) -> bool {
    !value
}
