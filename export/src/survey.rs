//! Goes through a bundle once, without decoding a picture: its actions, when pictures changed, where displays were, when somebody
//! spoke. What is kept of it grows with the number of pictures and actions by some bytes each.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use praxis_actions::{Action, Answer, Corrections, Gatherer, Parameters, is_speech};
use praxis_bundle::limits::OUT_OF_ORDER_NANOS;
use praxis_bundle::manifest::{Ending, Manifest, PictureGap};
use praxis_bundle::messages::{Display, GeometryMessage, Rect, WindowsMessage};
use praxis_bundle::scan::{Facts, Item, messages, scan};
use praxis_bundle::screen::{Header, Operation, TILE_PX, operations};
use praxis_bundle::{Channel, Track, file, narration};

use crate::transcript::Span;
use crate::{Error, Result};

const MILLI: u64 = 1_000_000;
/// Speech goes on across a rest of so long.
const SPEECH_GAP_NANOS: u64 = 700 * MILLI;
/// Shorter than this is a noise.
const MIN_SPEECH_NANOS: u64 = 200 * MILLI;

/// A picture of a display: when it was there, and how much of the display it changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Session time of `capture_end`.
    pub nanos: u64,
    /// Its number among all picture messages of the file; `None` where it is not known what was shown from here on.
    pub number: Option<u64>,
    /// Share of the display's pixels that it may have changed, 0 to 1.
    pub share: f32,
}

/// What a bundle holds, as far as an export must know it before it begins.
#[derive(Debug)]
pub struct Session {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Its length.
    pub duration_nanos: u64,
    /// Its actions, corrected.
    pub answer: Answer,
    /// Bytes that cannot be read.
    pub unreadable_bytes: u64,
    /// The pictures of each display, in order.
    pub changes: BTreeMap<u8, Vec<Change>>,
    /// The largest width and height of each display's pictures.
    pub sizes: BTreeMap<u8, (u32, u32)>,
    /// Where displays were, from when on.
    pub geometry: Vec<(u64, Vec<Display>)>,
    /// On which display the active window was, from when on.
    pub active: Vec<(u64, u8)>,
    /// When somebody spoke.
    pub speech: Vec<Span>,
    /// Samples per second of the narration, if there is one.
    pub rate_hz: Option<u32>,
}

impl Session {
    /// Goes through a sealed or recovered bundle.
    ///
    /// # Errors
    /// `NotSealed` if it is a recording that has not been made a bundle yet; `Corrections`; `Bundle` as reading fails.
    pub fn of(path: &Path, corrections: Option<&Corrections>) -> Result<Self> {
        let sha256 = file::sha256(path)?;
        let source = file::open(path)?;
        let (mut facts, mut work, mut unreadable_bytes) = (Facts::default(), None, 0);
        scan(&source, |item| {
            facts.note(&item)?;
            match item {
                Item::Damage { start, end, .. } => {
                    unreadable_bytes += end - start;
                    work.iter_mut().for_each(Survey::damage);
                }
                Item::Chunk { records, .. } => {
                    let manifest = facts.manifest()?;
                    let work = work.get_or_insert_with(|| Survey::new(manifest));
                    for (_, message) in messages(&records) {
                        let Some(channel) = Channel::from_id(message.channel) else { continue };
                        let nanos = message.log_time.saturating_sub(manifest.epoch_wall_nanos);
                        work.message(channel, message.sequence, nanos, message.data)?;
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        let manifest = facts.manifest()?.clone();
        if facts.seal.is_none() && facts.recovery.is_none() {
            return Err(Error::NotSealed { path: path.to_owned() });
        }
        let survey = work.unwrap_or_else(|| Survey::new(&manifest));
        let ended_nanos = facts.ending.as_ref().map_or(0, |ending| ending.session_time_nanos);
        let duration_nanos = ended_nanos.max(survey.newest_nanos);
        let gaps = facts.recovery.map(|recovery| recovery.picture_gaps).unwrap_or_default();
        let sizes = survey.changes.iter().map(|(display, seen)| (*display, seen.size)).collect();
        let changes = survey.changes.into_iter().map(|(display, seen)| {
            let name = Track::Screen(display).name();
            let gaps: Vec<&PictureGap> = gaps.iter().filter(|gap| gap.track == name).collect();
            (display, with_gaps(seen.changes, &gaps))
        });
        let changes = changes.collect();
        let mut answer = survey.actions.end(ended_nanos)?;
        if let Some(corrections) = corrections {
            corrections.apply(&mut answer)?;
        }
        Ok(Self {
            path: path.to_owned(),
            sha256,
            manifest,
            ending: facts.ending,
            duration_nanos,
            answer,
            unreadable_bytes,
            changes,
            sizes,
            geometry: survey.geometry,
            active: survey.active,
            speech: survey.speech.spans,
            rate_hz: survey.speech.rate_hz,
        })
    }

    /// The file, to be read.
    ///
    /// # Errors
    /// `Bundle` if it cannot be opened.
    pub fn open(&self) -> Result<File> {
        Ok(file::open(&self.path)?)
    }

    /// Hands out every readable message: channel, sequence number, session time, payload.
    ///
    /// # Errors
    /// As reading fails, or what `each` returns.
    pub fn for_each_message(
        &self,
        mut each: impl FnMut(Channel, u32, u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut failure = None;
        let read = file::for_each_message(&self.path, |channel, sequence, nanos, data| {
            each(channel, sequence, nanos, data).map_err(|error| {
                failure = Some(error);
                praxis_bundle::Error::WriterFailed
            })
        });
        match (failure, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(_)) => Ok(()),
        }
    }

    /// Where a display was at a time, in root pixels; `None` if nothing says so.
    #[must_use]
    pub fn screen(&self, display: u8, nanos: u64) -> Option<Rect> {
        let until = self.geometry.partition_point(|(from, _)| *from <= nanos);
        let displays = self.geometry.get(until.max(1) - 1).map_or(&self.manifest.displays, |(_, each)| each);
        displays.iter().find(|each| each.number == display).map(|each| each.rect)
    }

    /// The display that an action is to be seen on: that of the pointer, else that of the active window, else the first.
    #[must_use]
    pub fn display_of(&self, action: &Action) -> u8 {
        let until = self.active.partition_point(|(from, _)| *from <= action.start_nanos);
        let active = until.checked_sub(1).map(|at| self.active[at].1);
        let first = self.changes.keys().next().copied();
        action.display.or(active).or(first).unwrap_or_default()
    }
}

/// Between the ends of a gap it is not known what was shown.
fn with_gaps(mut changes: Vec<Change>, gaps: &[&PictureGap]) -> Vec<Change> {
    for gap in gaps {
        let unknown = Change { nanos: gap.after_nanos, number: None, share: 1.0 };
        let at = changes.partition_point(|change| change.nanos <= gap.after_nanos);
        changes.insert(at, unknown);
        let is_inside = |change: &Change| gap.before_nanos.is_none_or(|before| change.nanos < before);
        changes[at..]
            .iter_mut()
            .take_while(|change| is_inside(change))
            .for_each(|change| change.number = None);
    }
    changes
}

/// The pictures of a display as they come.
#[derive(Debug, Default)]
struct Seen {
    changes: Vec<Change>,
    /// The number of the last picture that can be decoded.
    held: Option<u32>,
    /// The largest size so far.
    size: (u32, u32),
}

#[derive(Debug)]
struct Survey {
    actions: Gatherer,
    changes: BTreeMap<u8, Seen>,
    num_pictures: u64,
    displays: Vec<Display>,
    geometry: Vec<(u64, Vec<Display>)>,
    active: Vec<(u64, u8)>,
    speech: Speech,
    newest_nanos: u64,
}

impl Survey {
    fn new(manifest: &Manifest) -> Self {
        Self {
            actions: Gatherer::new(manifest),
            changes: BTreeMap::new(),
            num_pictures: 0,
            displays: manifest.displays.clone(),
            geometry: Vec::new(),
            active: Vec::new(),
            speech: Speech { least_dbfs: Parameters::default().voice_dbfs, ..Speech::default() },
            newest_nanos: 0,
        }
    }

    fn message(
        &mut self,
        channel: Channel,
        sequence: u32,
        nanos: u64,
        data: &[u8],
    ) -> praxis_bundle::Result<()> {
        self.newest_nanos = self.newest_nanos.max(nanos);
        if !channel.is_key {
            self.actions.message(channel.track, nanos, data)?;
        }
        let json = |source| praxis_bundle::Error::Json { what: channel.track.name(), source };
        match channel.track {
            Track::Screen(display) => self.picture(display, sequence, nanos, data),
            Track::Geometry => {
                let message: GeometryMessage = serde_json::from_slice(data).map_err(json)?;
                if message.displays != self.displays || self.geometry.is_empty() {
                    self.displays.clone_from(&message.displays);
                    self.geometry.push((nanos, message.displays));
                }
            }
            Track::Windows => {
                let message: WindowsMessage = serde_json::from_slice(data).map_err(json)?;
                let middle = message.active.map(|window| {
                    let Rect { x_px, y_px, width_px, height_px } = window.rect;
                    (x_px.saturating_add_unsigned(width_px / 2), y_px.saturating_add_unsigned(height_px / 2))
                });
                let on = |each: &&Display| {
                    middle.is_some_and(|(x, y)| each.is_recorded && each.rect.contains(x, y))
                };
                if let Some(display) = self.displays.iter().find(on).map(|each| each.number)
                    && self.active.last().is_none_or(|(_, last)| *last != display)
                {
                    self.active.push((nanos, display));
                }
            }
            Track::Narration => self.speech.block(nanos, data),
            _ => {}
        }
        Ok(())
    }

    fn picture(&mut self, display: u8, sequence: u32, nanos: u64, data: &[u8]) {
        let number = self.num_pictures;
        self.num_pictures += 1;
        let seen = self.changes.entry(display).or_default();
        let Ok((header, bytes)) = Header::parse(data) else { return };
        let is_known = header.is_key || seen.held.is_some_and(|held| held.wrapping_add(1) == sequence);
        seen.size = (seen.size.0.max(header.width_px), seen.size.1.max(header.height_px));
        seen.held = is_known.then_some(sequence);
        let share = changed_share(&header, bytes);
        seen.changes.push(Change { nanos, number: is_known.then_some(number), share });
    }

    /// Pictures may be lost here: what is shown is unknown until the next one says that it follows.
    fn damage(&mut self) {
        for seen in self.changes.values_mut() {
            let last = seen.changes.last().map_or(0, |change| change.nanos);
            let nanos = self.newest_nanos.saturating_sub(OUT_OF_ORDER_NANOS).max(last);
            seen.changes.push(Change { nanos, number: None, share: 1.0 });
        }
    }
}

/// Share of a display's pixels that a picture writes to. Some of them may stay as they are; a keyframe writes all.
fn changed_share(header: &Header, bytes: &[u8]) -> f32 {
    let pixels =
        operations(header, bytes).map_while(std::result::Result::ok).map(|operation| match operation {
            Operation::Tile { .. } => u64::from(TILE_PX * TILE_PX),
            Operation::Copy(copy) => u64::from(copy.to.width) * u64::from(copy.to.height),
            Operation::Lossy { area, .. } => u64::from(area.width) * u64::from(area.height),
        });
    let all = u64::from(header.width_px) * u64::from(header.height_px);
    (pixels.sum::<u64>() as f32 / all as f32).min(1.0)
}

/// When somebody speaks, from the blocks of narration.
#[derive(Debug, Default)]
struct Speech {
    spans: Vec<Span>,
    rate_hz: Option<u32>,
    least_dbfs: i32,
}

impl Speech {
    /// What cannot be decoded is silent.
    fn block(&mut self, nanos: u64, data: &[u8]) {
        let Ok(block) = narration::decode(data) else { return };
        self.rate_hz.get_or_insert(block.rate_hz);
        let tenth = (block.rate_hz / 10).max(1) as usize;
        for (samples, n) in block.samples.chunks(tenth).zip(0u64..) {
            if is_speech(samples, self.least_dbfs) {
                let start = nanos + n * 100 * MILLI;
                self.add(start, start + samples.len() as u64 * 1_000_000_000 / u64::from(block.rate_hz));
            }
        }
    }

    fn add(&mut self, start_nanos: u64, end_nanos: u64) {
        match self.spans.last_mut() {
            Some(last) if start_nanos <= last.end_nanos + SPEECH_GAP_NANOS => {
                last.end_nanos = last.end_nanos.max(end_nanos);
            }
            last => {
                if last.is_some_and(|last| last.end_nanos - last.start_nanos < MIN_SPEECH_NANOS) {
                    self.spans.pop();
                }
                self.spans.push(Span { start_nanos, end_nanos, text: None });
            }
        }
    }
}
