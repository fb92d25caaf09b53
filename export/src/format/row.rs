//! A step as JSON has it: the row that several formats share.

use praxis_actions::{Action, Kind};
use praxis_bundle::messages::Rect;
use serde::Serialize;

use crate::format::Bundle;
use crate::image::Image;
use crate::plan::{Policy, Step};
use crate::steps::Whole;
use crate::transcript::Span;

/// A place on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Point {
    /// Pixels of the picture from its left.
    pub(super) x_px: i64,
    /// Pixels of the picture from its top.
    pub(super) y_px: i64,
    /// Share of the width, 0 to 1.
    pub(super) x: f64,
    /// Share of the height, 0 to 1.
    pub(super) y: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    bundle_id: String,
    index: u64,
    action: &'a Action,
    display: u8,
    /// Where the display was, in root pixels.
    screen: Option<Rect>,
    /// Where the action began.
    from: Option<Point>,
    /// Drag: where it ended.
    to: Option<Point>,
    observation: Option<Observation>,
    after: Option<Outcome>,
    narration: &'a [Span],
}

/// The picture before the action.
#[derive(Debug, Serialize)]
struct Observation {
    image: String,
    width_px: u32,
    height_px: u32,
    captured_nanos: u64,
    at_nanos: u64,
    /// How much older than the action the moment is that the picture shows.
    lag_nanos: u64,
    policy: Policy,
    similarity: f32,
    is_stale: bool,
    is_exact: bool,
}

/// The picture after the action.
#[derive(Debug, Serialize)]
struct Outcome {
    image: String,
    width_px: u32,
    height_px: u32,
    captured_nanos: u64,
    at_nanos: u64,
    is_still: bool,
    is_exact: bool,
}

impl<'a> Row<'a> {
    /// The row of a step; `name` names the file of a picture by its display and when it was taken.
    pub(super) fn of(bundle: &Bundle<'_>, whole: &Whole<'a>, name: impl Fn(Kept) -> String) -> Self {
        let step = whole.step;
        let observation = step.before.zip(whole.before.as_ref()).map(|(before, image)| Observation {
            image: name(Kept::Before(before.captured_nanos)),
            width_px: image.width_px,
            height_px: image.height_px,
            captured_nanos: before.captured_nanos,
            at_nanos: before.at_nanos,
            lag_nanos: step.action.start_nanos - before.at_nanos,
            policy: before.policy,
            similarity: before.similarity,
            is_stale: before.is_stale,
            is_exact: image.num_lossy_tiles == 0,
        });
        let after = step.after.zip(whole.after.as_ref()).map(|(after, image)| Outcome {
            image: name(Kept::After(after.captured_nanos)),
            width_px: image.width_px,
            height_px: image.height_px,
            captured_nanos: after.captured_nanos,
            at_nanos: after.at_nanos,
            is_still: after.is_still,
            is_exact: image.num_lossy_tiles == 0,
        });
        let places = places(step, whole.before.as_deref());
        Self {
            bundle_id: bundle.id(),
            index: step.index,
            action: &step.action,
            display: step.display,
            screen: step.screen,
            from: places.0,
            to: places.1,
            observation,
            after,
            narration: &step.narration,
        }
    }
}

/// Which of a step's pictures, and when it was taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    Before(u64),
    After(u64),
}

/// Where an action began and, if it is a drag, where it ended, on its picture: by where the display was at the time. Without a
/// picture the display's own pixels count.
pub(super) fn places(step: &Step, image: Option<&Image>) -> (Option<Point>, Option<Point>) {
    let Some(screen) = step.screen.filter(|_| step.has_place()) else { return (None, None) };
    let (width, height) =
        image.map_or((screen.width_px, screen.height_px), |image| (image.width_px, image.height_px));
    let point = |x_px: i32, y_px: i32| {
        let share = |at: i32, start: i32, length: u32| {
            ((f64::from(at) - f64::from(start)) / f64::from(length.max(1))).clamp(0.0, 1.0)
        };
        let x = share(x_px, screen.x_px, screen.width_px);
        let y = share(y_px, screen.y_px, screen.height_px);
        let pixel =
            |share: f64, length: u32| ((share * f64::from(length)).floor() as i64).min(i64::from(length) - 1);
        Point { x_px: pixel(x, width), y_px: pixel(y, height), x, y }
    };
    let from = step.action.x_px.zip(step.action.y_px).map(|(x, y)| point(x, y));
    let last = step.action.path.as_ref().and_then(|path| path.last());
    (from, last.map(|last| point(last.x_px, last.y_px)))
}

/// An action in words.
pub(super) fn words(action: &Action) -> String {
    if let Some(label) = &action.label {
        return label.clone();
    }
    let held: String = action.modifiers.iter().map(|name| format!("{name}+")).collect();
    let on = action.element.as_ref().map_or_else(String::new, |element| match element.name.as_str() {
        "" => format!(" {}", element.role),
        name => format!(" {} {name:?}", element.role),
    });
    let inside = action.window.as_ref().map_or_else(String::new, |window| format!(" in {:?}", window.title));
    let done = match (action.kind, action.clicks) {
        (Kind::Click, _) if action.is_long => "long click".into(),
        (Kind::Click, Some(2)) => "double click".into(),
        (Kind::Click, Some(3)) => "triple click".into(),
        (Kind::Click, _) => "click".into(),
        (Kind::Drag, _) => "drag".into(),
        (Kind::Scroll, _) => "scroll".into(),
        (Kind::Type, _) => format!("type {:?}", action.text.as_deref().unwrap_or_default()),
        (Kind::Press | Kind::Hotkey, _) => {
            format!("press {}", action.keys.as_deref().unwrap_or_default().join("+"))
        }
        (Kind::Hover, _) => "hover".into(),
        (Kind::Wait, _) => format!("wait {} s", (action.end_nanos - action.start_nanos) / 1_000_000_000),
    };
    format!("{held}{done}{on}{inside}")
}
