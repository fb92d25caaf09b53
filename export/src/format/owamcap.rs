//! `owamcap`: an MCAP file for each display as Open World Agents records them: pictures, mouse, keyboard, active window.
//!
//! Pictures are exact, inside the file, at most `rate` a second, each with the time it was taken. Places are pixels of the display as
//! recorded. Keys are Windows virtual keys; the text that they gave is not in this format.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use praxis_bundle::Track;
use praxis_bundle::messages::{KeyKind, KeyMessage, PointerKind, PointerMessage, WindowsMessage};
use serde_json::{Value, json};

use super::keys::virtual_key;
use super::tape::Tape;
use super::{Bundle, Format, Written, parsed};
use crate::Result;
use crate::frames::{Frame, Frames};
use crate::image::code;

pub(super) struct OwaMcap;

impl Format for OwaMcap {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        for display in bundle.session.sizes.keys() {
            let path = folder.join(bundle.split).join(format!("{}-{display}.mcap", bundle.id()));
            write(bundle, *display, &path)?;
        }
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}

/// The channels of a file.
struct Channels {
    screen: u16,
    mouse: u16,
    keyboard: u16,
    window: u16,
}

fn write(bundle: &Bundle<'_>, display: u8, path: &Path) -> Result<()> {
    let session = bundle.session;
    let mut tape = Tape::create(path, "owa", session.manifest.epoch_wall_nanos)?;
    let mut channel = |topic: &str, kind: &str, fields: Value| {
        let schema = json!({ "title": kind, "type": "object", "properties": fields }).to_string();
        tape.channel(topic, (&format!("desktop/{kind}"), "jsonschema", schema.as_bytes()), "json")
    };
    let int = || json!({ "type": ["integer", "null"] });
    let channels = Channels {
        screen: channel(
            "screen",
            "ScreenCaptured",
            json!({ "utc_ns": int(), "source_shape": { "type": "array" }, "shape": { "type": "array" },
                    "media_ref": { "type": "object" } }),
        )?,
        mouse: channel(
            "mouse",
            "MouseEvent",
            json!({ "event_type": { "type": "string" }, "x": int(), "y": int(), "button": { "type": ["string", "null"] },
                    "pressed": { "type": ["boolean", "null"] }, "dx": int(), "dy": int(), "timestamp": int() }),
        )?,
        keyboard: channel(
            "keyboard",
            "KeyboardEvent",
            json!({ "event_type": { "type": "string" }, "vk": int(), "timestamp": int() }),
        )?,
        window: channel(
            "window",
            "WindowInfo",
            json!({ "title": { "type": "string" }, "rect": { "type": "array" }, "hWnd": int() }),
        )?,
    };
    let mut wheel = Wheel::default();
    let mut active = None;
    let mut frames = Frames::new(session, display, bundle.options.rate);
    let all = session.duration_nanos.max(1) as f64;
    session.for_each_message(|track, sequence, nanos, data| {
        let (channel, message) = match track.track {
            Track::Screen(number) if number == display => {
                (bundle.progress)(nanos as f64 / all);
                return frames
                    .take(sequence, nanos, data, |frame| picture(bundle, &mut tape, &channels, &frame));
            }
            Track::Pointer => {
                let message: PointerMessage = parsed(track.track, data)?;
                let timestamp = tape.wall_nanos(nanos);
                let Some(event) = mouse(bundle, display, &message, nanos, timestamp, &mut wheel) else {
                    return Ok(());
                };
                (channels.mouse, event)
            }
            Track::Keys => {
                let key: KeyMessage = parsed(track.track, data)?;
                let Some(vk) = virtual_key(&key.keysym, key.keycode) else { return Ok(()) };
                let kind = if key.kind == KeyKind::Press { "press" } else { "release" };
                (
                    channels.keyboard,
                    json!({ "event_type": kind, "vk": vk, "timestamp": tape.wall_nanos(nanos) }),
                )
            }
            Track::Windows => {
                let message: WindowsMessage = parsed(track.track, data)?;
                let Some(window) = message.active else { return Ok(()) };
                // Others are shown or have moved.
                if active.replace(window.clone()).as_ref() == Some(&window) {
                    return Ok(());
                }
                let (x, y) = corner(bundle, display, nanos);
                let (left, top) = (i64::from(window.rect.x_px) - x, i64::from(window.rect.y_px) - y);
                let right = left + i64::from(window.rect.width_px);
                let bottom = top + i64::from(window.rect.height_px);
                (
                    channels.window,
                    json!({ "title": window.title, "rect": [left, top, right, bottom], "hWnd": window.id }),
                )
            }
            _ => return Ok(()),
        };
        tape.write(channel, nanos, message.to_string().as_bytes())
    })?;
    frames.end(|frame| picture(bundle, &mut tape, &channels, &frame))?;
    tape.finish()
}

/// Where a display begins, in root pixels.
fn corner(bundle: &Bundle<'_>, display: u8, nanos: u64) -> (i64, i64) {
    let screen = bundle.session.screen(display, nanos);
    screen.map_or((0, 0), |screen| (screen.x_px.into(), screen.y_px.into()))
}

/// What is not known is not there: the format has no word for it.
fn picture(bundle: &Bundle<'_>, tape: &mut Tape, channels: &Channels, frame: &Frame<'_>) -> Result<()> {
    let Some(picture) = frame.picture else { return Ok(()) };
    let image = code(picture, bundle.options.pictures)?;
    let kind = bundle.options.pictures.coding.ending();
    let uri = format!("data:image/{kind};base64,{}", STANDARD.encode(&image.bytes));
    let message = json!({
        "utc_ns": tape.wall_nanos(frame.nanos), "source_shape": [picture.width_px, picture.height_px],
        "shape": [image.width_px, image.height_px], "media_ref": { "uri": uri },
    });
    tape.write(channels.screen, frame.nanos, message.to_string().as_bytes())
}

fn mouse(
    bundle: &Bundle<'_>,
    display: u8,
    message: &PointerMessage,
    nanos: u64,
    timestamp: u64,
    wheel: &mut Wheel,
) -> Option<Value> {
    let (left, top) = corner(bundle, display, nanos);
    let (x, y) = (i64::from(message.x_px) - left, i64::from(message.y_px) - top);
    let button = match message.button {
        Some(1) => "left",
        Some(2) => "middle",
        Some(3) => "right",
        Some(8) => "x1",
        Some(9) => "x2",
        _ => "unknown",
    };
    Some(match message.kind {
        PointerKind::Move => json!({ "event_type": "move", "x": x, "y": y, "timestamp": timestamp }),
        PointerKind::Press | PointerKind::Release => json!({
            "event_type": "click", "x": x, "y": y, "button": button, "pressed": message.kind == PointerKind::Press,
            "timestamp": timestamp,
        }),
        PointerKind::Scroll => {
            let (dx, dy) = wheel.turn(message.dx.unwrap_or_default(), message.dy.unwrap_or_default())?;
            json!({ "event_type": "scroll", "x": x, "y": y, "dx": dx, "dy": dy, "timestamp": timestamp })
        }
    })
}

/// A wheel that turns by parts of a step, in whole steps.
#[derive(Default)]
struct Wheel {
    dx: f64,
    dy: f64,
}

impl Wheel {
    /// The whole steps that have come together, if there is one.
    fn turn(&mut self, dx: f64, dy: f64) -> Option<(i64, i64)> {
        (self.dx, self.dy) = (self.dx + dx, self.dy + dy);
        let whole = (self.dx.trunc(), self.dy.trunc());
        (self.dx, self.dy) = (self.dx - whole.0, self.dy - whole.1);
        (whole != (0.0, 0.0)).then_some((whole.0 as i64, whole.1 as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::Wheel;

    #[test]
    fn parts_of_a_step_become_whole_ones() {
        let mut wheel = Wheel::default();
        let turned: Vec<_> = [0.5, 0.25, 0.25, -2.5, -0.5].map(|dy| wheel.turn(0.0, dy)).into();
        assert_eq!(turned, [None, None, Some((0, 1)), Some((0, -2)), Some((0, -1))]);
    }
}
