//! `foxglove`: an MCAP file of Foxglove's own messages, to look at a session in Foxglove or Rerun beside other data: pictures, where
//! the pointer is, actions, voice, transcript, gaps.

use std::path::Path;

use foxglove::Encode;
use foxglove::messages::{
    CircleAnnotation, Color, CompressedImage, ImageAnnotations, Log, Point2, RawAudio, Timestamp, log,
};
use praxis_bundle::messages::{MarkersMessage, PointerKind, PointerMessage};
use praxis_bundle::{Track, narration};

use super::row::words;
use super::tape::Tape;
use super::{Bundle, Format, Written, parsed};
use crate::frames::{Frame, Frames};
use crate::image::{code, size_of};
use crate::{Error, Result};

/// How large the pointer is drawn, in pixels of the picture.
const POINTER_PX: f64 = 12.0;
const PRESSED_PX: f64 = 24.0;
const COLOUR: Color = Color { r: 0.9, g: 0.2, b: 0.1, a: 1.0 };

pub(super) struct Foxglove;

impl Format for Foxglove {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let session = bundle.session;
        let path = folder.join(bundle.split).join(format!("{}.mcap", bundle.id()));
        let mut tape = Tape::create(&path, "", session.manifest.epoch_wall_nanos)?;
        let mut screens = Vec::new();
        for display in session.sizes.keys() {
            let name = format!("screen/{display}");
            screens.push(Screen {
                display: *display,
                frames: Frames::new(session, *display, bundle.options.rate),
                pictures: channel::<CompressedImage>(&mut tape, &name)?,
                pointer: channel::<ImageAnnotations>(&mut tape, &format!("{name}/pointer"))?,
                is_pressed: false,
            });
        }
        let voice = match session.rate_hz {
            Some(_) => Some(channel::<RawAudio>(&mut tape, "narration")?),
            None => None,
        };
        let mut notes = Notes { log: channel::<Log>(&mut tape, "log")?, lines: lines(bundle), next: 0 };
        let all = session.duration_nanos.max(1) as f64;
        session.for_each_message(|channel, sequence, nanos, data| {
            notes.write(&mut tape, nanos)?;
            match channel.track {
                Track::Screen(display) => {
                    let Some(screen) = screens.iter_mut().find(|screen| screen.display == display) else {
                        return Ok(());
                    };
                    (bundle.progress)(nanos as f64 / all);
                    let (channel, frames) = (screen.pictures, &mut screen.frames);
                    frames.take(sequence, nanos, data, |frame| {
                        picture(bundle, &mut tape, channel, display, &frame)
                    })
                }
                Track::Pointer => {
                    let message: PointerMessage = parsed(channel.track, data)?;
                    screens.iter_mut().try_for_each(|screen| screen.point(bundle, &mut tape, nanos, &message))
                }
                Track::Narration => {
                    let (Some(voice), Ok(block)) = (voice, narration::decode(data)) else { return Ok(()) };
                    let samples: Vec<u8> =
                        block.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                    let audio = RawAudio {
                        timestamp: Some(stamp(&tape, nanos)),
                        data: samples.into(),
                        format: "pcm-s16".into(),
                        sample_rate: block.rate_hz,
                        number_of_channels: 1,
                    };
                    put(&mut tape, voice, nanos, &audio)
                }
                Track::Markers => {
                    let message: MarkersMessage = parsed(channel.track, data)?;
                    let line = match message {
                        MarkersMessage::Marker { label } => Line::new(log::Level::Info, "marker", label),
                        MarkersMessage::GapBegin { .. } => {
                            let text = String::from_utf8_lossy(data).into_owned();
                            Line::new(log::Level::Warning, "gap", text)
                        }
                        _ => return Ok(()),
                    };
                    line.write(&mut tape, notes.log, nanos)
                }
                _ => Ok(()),
            }
        })?;
        notes.write(&mut tape, u64::MAX)?;
        for screen in screens {
            let (channel, display) = (screen.pictures, screen.display);
            screen.frames.end(|frame| picture(bundle, &mut tape, channel, display, &frame))?;
        }
        tape.finish()?;
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}

/// A display.
struct Screen {
    display: u8,
    frames: Frames,
    pictures: u16,
    pointer: u16,
    is_pressed: bool,
}

impl Screen {
    /// Draws the pointer, if it is on the display.
    fn point(
        &mut self,
        bundle: &Bundle<'_>,
        tape: &mut Tape,
        nanos: u64,
        message: &PointerMessage,
    ) -> Result<()> {
        match message.kind {
            PointerKind::Press => self.is_pressed = true,
            PointerKind::Release => self.is_pressed = false,
            PointerKind::Move | PointerKind::Scroll => {}
        }
        let screen = bundle.session.screen(self.display, nanos);
        let timestamp = Some(stamp(tape, nanos));
        let circle = screen.filter(|screen| screen.contains(message.x_px, message.y_px)).map(|screen| {
            let (width, height) = size_of(screen.width_px, screen.height_px, bundle.options.pictures);
            let place = |at: i32, start: i32, side: u32, length: u32| {
                (f64::from(at) - f64::from(start)) * f64::from(side) / f64::from(length.max(1))
            };
            CircleAnnotation {
                timestamp,
                position: Some(Point2 {
                    x: place(message.x_px, screen.x_px, width, screen.width_px),
                    y: place(message.y_px, screen.y_px, height, screen.height_px),
                }),
                diameter: if self.is_pressed { PRESSED_PX } else { POINTER_PX },
                thickness: 2.0,
                fill_color: self.is_pressed.then_some(COLOUR),
                outline_color: Some(COLOUR),
                metadata: Vec::new(),
            }
        });
        let drawn =
            ImageAnnotations { timestamp, circles: circle.into_iter().collect(), ..Default::default() };
        put(tape, self.pointer, nanos, &drawn)
    }
}

fn picture(bundle: &Bundle<'_>, tape: &mut Tape, channel: u16, display: u8, frame: &Frame<'_>) -> Result<()> {
    let Some(picture) = frame.picture else { return Ok(()) };
    let image = code(picture, bundle.options.pictures)?;
    let message = CompressedImage {
        timestamp: Some(stamp(tape, frame.nanos)),
        frame_id: format!("screen/{display}"),
        data: image.bytes.into(),
        format: bundle.options.pictures.coding.ending().into(),
    };
    put(tape, channel, frame.nanos, &message)
}

/// What is written into the log when its time has come: actions, and what was said.
struct Notes {
    log: u16,
    lines: Vec<(u64, Line)>,
    next: usize,
}

impl Notes {
    /// Writes what is due until a time.
    fn write(&mut self, tape: &mut Tape, until_nanos: u64) -> Result<()> {
        while let Some((nanos, line)) = self.lines.get(self.next).filter(|(nanos, _)| *nanos <= until_nanos) {
            line.write(tape, self.log, *nanos)?;
            self.next += 1;
        }
        Ok(())
    }
}

struct Line {
    level: log::Level,
    name: &'static str,
    text: String,
}

impl Line {
    fn new(level: log::Level, name: &'static str, text: String) -> Self {
        Self { level, name, text }
    }

    fn write(&self, tape: &mut Tape, channel: u16, nanos: u64) -> Result<()> {
        let message = Log {
            timestamp: Some(stamp(tape, nanos)),
            level: self.level.into(),
            message: self.text.clone(),
            name: self.name.into(),
            file: String::new(),
            line: 0,
        };
        put(tape, channel, nanos, &message)
    }
}

fn lines(bundle: &Bundle<'_>) -> Vec<(u64, Line)> {
    let actions = bundle
        .steps
        .iter()
        .map(|step| (step.action.start_nanos, Line::new(log::Level::Info, "action", words(&step.action))));
    let said = bundle.said.iter().filter_map(|span| {
        Some((span.start_nanos, Line::new(log::Level::Info, "transcript", span.text.clone()?)))
    });
    let mut lines: Vec<_> = actions.chain(said).collect();
    lines.sort_by_key(|(nanos, _)| *nanos);
    lines
}

fn channel<T: Encode>(tape: &mut Tape, topic: &str) -> Result<u16> {
    let schema =
        T::get_schema().ok_or_else(|| Error::coding("an MCAP file")(&"a message without a schema"))?;
    tape.channel(topic, (&schema.name, &schema.encoding, &schema.data), &T::get_message_encoding())
}

fn put(tape: &mut Tape, channel: u16, nanos: u64, message: &impl Encode) -> Result<()> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes).map_err(|error| Error::coding("an MCAP file")(&error))?;
    tape.write(channel, nanos, &bytes)
}

fn stamp(tape: &Tape, nanos: u64) -> Timestamp {
    let wall = tape.wall_nanos(nanos);
    // Seconds since 1970 have 32 bits in this format.
    Timestamp::new((wall / 1_000_000_000) as u32, (wall % 1_000_000_000) as u32)
}
