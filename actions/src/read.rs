//! The actions of a bundle: reads its input tracks, puts them in order of time, reduces them.

use std::collections::BTreeMap;
use std::path::Path;

use praxis_bundle::limits::OUT_OF_ORDER_NANOS;
use praxis_bundle::manifest::Manifest;
use praxis_bundle::messages::{Display, Element, ElementsMessage, GeometryMessage, Rect};
use praxis_bundle::scan::{Bytes, Facts, Item, messages, scan};
use praxis_bundle::screen::{Area, Header, Operation, TILE_PX, operations};
use praxis_bundle::{Channel, Error, Result, Track, file};
use serde::de::DeserializeOwned;

use crate::{Action, Answer, Input, Kind, Parameters, REDUCER_VERSION, Reducer};

/// Most actions of a bundle: twelve in each second of eleven hours.
pub const MAX_ACTIONS: u64 = 500_000;
/// Most messages that wait for older ones; no person and no device gives so many in half a second.
const MAX_WAITING: usize = 100_000;
/// Most bytes of these messages.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// Most places of one picture that are told apart. Of more the smallest rectangle around all is one.
const MAX_AREAS: usize = 64;

/// What reading has found.
#[derive(Debug)]
pub struct Reading {
    /// The actions.
    pub answer: Answer,
    /// Bytes of the file that cannot be read: what they held is missing.
    pub unreadable_bytes: u64,
}

/// The actions of a bundle file, whole, live or damaged.
///
/// # Errors
/// As [`actions_of`].
pub fn actions_of_file(path: &Path) -> Result<Reading> {
    actions_of(&file::open(path)?)
}

/// The actions of a bundle. Memory grows with the number of actions, not with the length of the file.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NewerFormat`, `NoManifest` or `Io`; `Json` if a message is not as its track's are; `TooLarge`
/// if there are more than [`MAX_ACTIONS`].
pub fn actions_of(source: &(impl Bytes + ?Sized)) -> Result<Reading> {
    let (mut facts, mut unreadable_bytes) = (Facts::default(), 0);
    let mut work = None;
    scan(source, |item| {
        facts.note(&item)?;
        if let Item::Damage { start, end, .. } = item {
            unreadable_bytes += end - start;
        }
        let Item::Chunk { records, .. } = item else { return Ok(()) };
        let manifest = facts.manifest()?;
        let work = work.get_or_insert_with(|| Gatherer::new(manifest));
        for (_, message) in messages(&records) {
            // A keyframe has every pixel: which of them have changed it does not say.
            if let Some(channel) = Channel::from_id(message.channel).filter(|channel| !channel.is_key) {
                let nanos = message.log_time.saturating_sub(manifest.epoch_wall_nanos);
                work.message(channel.track, nanos, message.data)?;
            }
        }
        Ok(())
    })?;
    let manifest = facts.manifest()?;
    let work = work.unwrap_or_else(|| Gatherer::new(manifest));
    let ended_nanos = facts.ending.as_ref().map_or(0, |ending| ending.session_time_nanos);
    Ok(Reading { answer: work.end(ended_nanos)?, unreadable_bytes })
}

/// Gathers the actions from the messages of a bundle, which are given in the order of the file. It holds those that wait for
/// older ones, and the actions.
#[derive(Debug)]
pub struct Gatherer {
    parameters: Parameters,
    reducer: Reducer,
    actions: Vec<Action>,
    /// By time, then by place in the file; with the bytes of the message.
    waiting: BTreeMap<(u64, u64), (Input, usize)>,
    waiting_bytes: usize,
    /// What was pressed, by the time of the press.
    elements: BTreeMap<u64, Element>,
    num_messages: u64,
    newest_nanos: u64,
    /// Where the displays are.
    corners: BTreeMap<u8, (i32, i32)>,
}

impl Gatherer {
    /// With the thresholds that a manifest names.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Self {
        let parameters = Parameters::of(&manifest.pointer);
        Self {
            parameters,
            reducer: Reducer::new(parameters),
            actions: Vec::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            elements: BTreeMap::new(),
            num_messages: 0,
            newest_nanos: 0,
            corners: corners_of(&manifest.displays),
        }
    }

    /// Takes a message, keyframes left out: which pixels they change they do not say.
    ///
    /// # Errors
    /// `Json` if it is not as its track's are; `TooLarge` if there are more than [`MAX_ACTIONS`].
    pub fn message(&mut self, track: Track, nanos: u64, data: &[u8]) -> Result<()> {
        self.newest_nanos = self.newest_nanos.max(nanos);
        if track == Track::Geometry {
            self.corners = corners_of(&parse::<GeometryMessage>(track, data)?.displays);
        }
        if track == Track::Elements {
            let ElementsMessage { press_nanos, element, .. } = parse(track, data)?;
            // Of as many as there can be actions; a press has one.
            if self.elements.len() < MAX_ACTIONS as usize {
                self.elements.extend(element.map(|element| (press_nanos, element)));
            }
        }
        if let Some(input) = self.input_of(track, data)? {
            self.num_messages += 1;
            self.waiting.insert((nanos, self.num_messages), (input, data.len()));
            self.waiting_bytes += data.len();
        }
        let until = self.newest_nanos.saturating_sub(OUT_OF_ORDER_NANOS);
        let is_too_much =
            |work: &Self| work.waiting.len() > MAX_WAITING || work.waiting_bytes > MAX_WAITING_BYTES;
        while let Some(((nanos, _), _)) = self.waiting.first_key_value()
            && (*nanos < until || is_too_much(self))
        {
            self.reduce_first()?;
        }
        Ok(())
    }

    /// What a message has to do with actions.
    fn input_of(&self, track: Track, data: &[u8]) -> Result<Option<Input>> {
        Ok(match track {
            Track::Pointer => Some(Input::Pointer(parse(track, data)?)),
            Track::Keys => Some(Input::Key(parse(track, data)?)),
            Track::Windows => Some(Input::window(parse(track, data)?)),
            Track::Markers => Input::marker(&parse(track, data)?),
            Track::Narration => Some(Input::Voice(data.to_vec())),
            Track::Screen(display) => {
                let (x_px, y_px) = self.corners.get(&display).copied().unwrap_or_default();
                let root = |area: Area| Rect {
                    x_px: x_px.saturating_add_unsigned(area.x),
                    y_px: y_px.saturating_add_unsigned(area.y),
                    width_px: area.width,
                    height_px: area.height,
                };
                Some(Input::Changed(changed(data).into_iter().map(root).collect()))
            }
            _ => None,
        })
    }

    fn reduce_first(&mut self) -> Result<()> {
        if let Some(((nanos, _), (input, bytes))) = self.waiting.pop_first() {
            self.waiting_bytes -= bytes;
            self.reducer.push(nanos, &input, &mut self.actions);
        }
        let found = self.actions.len() as u64;
        if found > MAX_ACTIONS {
            return Err(Error::TooLarge { what: "actions", found, limit: MAX_ACTIONS });
        }
        Ok(())
    }

    /// All actions of a session that ended at a time, or with its last message.
    ///
    /// # Errors
    /// As [`Gatherer::message`].
    pub fn end(mut self, ended_nanos: u64) -> Result<Answer> {
        while !self.waiting.is_empty() {
            self.reduce_first()?;
        }
        let mut actions = self.actions;
        let left_out = self.reducer.end(ended_nanos.max(self.newest_nanos), &mut actions);
        for action in &mut actions {
            if matches!(action.kind, Kind::Click | Kind::Drag) {
                action.element = self.elements.remove(&action.start_nanos);
            }
        }
        // A drag ends after what was done meanwhile. The sort is stable, so that the same input gives the same order.
        actions.sort_by_key(|action| action.start_nanos);
        actions.iter_mut().zip(0..).for_each(|(action, id)| action.id = id);
        Ok(Answer { reducer_version: REDUCER_VERSION, parameters: self.parameters, actions, left_out })
    }
}

fn corners_of(displays: &[Display]) -> BTreeMap<u8, (i32, i32)> {
    displays.iter().map(|display| (display.number, (display.rect.x_px, display.rect.y_px))).collect()
}

/// Where a picture differs from the one before, in pixels of the display. A malformed message tells what it tells before.
fn changed(message: &[u8]) -> Vec<Area> {
    let Ok((header, bytes)) = Header::parse(message) else { return Vec::new() };
    let mut areas: Vec<Area> = Vec::new();
    for operation in operations(&header, bytes).map_while(Result::ok) {
        let area = match operation {
            Operation::Tile { column, row, .. } => {
                Area { x: column * TILE_PX, y: row * TILE_PX, width: TILE_PX, height: TILE_PX }
            }
            Operation::Copy(copy) => copy.to,
            Operation::Lossy { area, .. } => area,
        };
        let is_full = areas.len() == MAX_AREAS;
        match areas.last_mut() {
            // Tiles come in rows.
            Some(last) if (last.y, last.height, last.right()) == (area.y, area.height, area.x) => {
                last.width += area.width;
            }
            Some(last) if is_full => *last = around(*last, area),
            _ => areas.push(area),
        }
    }
    areas
}

fn around(one: Area, other: Area) -> Area {
    let (x, y) = (one.x.min(other.x), one.y.min(other.y));
    let (right, bottom) = (one.right().max(other.right()), one.bottom().max(other.bottom()));
    Area { x, y, width: right - x, height: bottom - y }
}

fn parse<T: DeserializeOwned>(track: Track, data: &[u8]) -> Result<T> {
    serde_json::from_slice(data).map_err(|source| Error::Json { what: track.name(), source })
}
