//! The screen feed: decides when to take pictures and turns them into messages.
//!
//! The first change after quiet is captured at once, further ones at the frame rate. Frames are skipped before they
//! are compared, never after, so the chain of deltas is never broken: damage that was not captured waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use praxis_bundle::Track;
use praxis_bundle::limits::MAX_TOTAL_PIXELS;
use praxis_bundle::manifest::Lossy;
use praxis_bundle::messages::{GapReason, GeometryMessage, Mask, MaskReason, Rect};
use praxis_bundle::screen::{Encoder, Snapshot, Times};

use super::{Context, Notice};
use crate::sources::{ScreenSource, SourceError, Stop, Wake};

/// Longest wait without looking at the stop switch.
const LOOK: Duration = Duration::from_millis(200);
/// A full compare repairs what was not announced.
const REPAIR_NANOS: u64 = 2_000_000_000;
const PING_NANOS: u64 = 1_000_000_000;
/// So many changes that were not announced, and announcements are not to be relied on.
const MAX_MISSED: u64 = 3;
/// What has not changed for so long has settled.
const SETTLED_NANOS: u64 = 200_000_000;
/// Another snapshot costs as much as so many pixels more in one.
const SNAPSHOT_PIXELS: u64 = 60_000;
/// Most snapshots for one picture.
const MAX_SNAPSHOTS: usize = 8;
/// Failed grabs in a row after which the display counts as gone.
const MAX_FAILURES: u32 = 3;

/// Which displays are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayChoice {
    /// Every one.
    All,
    /// Those with these numbers or names.
    Named(Vec<String>),
}

impl DisplayChoice {
    fn includes(&self, number: u8, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(chosen) => chosen.iter().any(|chosen| names(chosen, number, name)),
        }
    }

    /// The first name or number that no display has.
    pub(super) fn unknown_in(&self, geometry: &GeometryMessage) -> Option<&str> {
        let Self::Named(chosen) = self else { return None };
        let is_there = |chosen: &&String| geometry.displays.iter().any(|d| names(chosen, d.number, &d.name));
        chosen.iter().find(|chosen| !is_there(chosen)).map(String::as_str)
    }
}

fn names(chosen: &str, number: u8, name: &str) -> bool {
    chosen == name || chosen.parse() == Ok(number)
}

/// The displays as they are now, with what is recorded marked.
///
/// # Errors
/// `Lost`, or `Unavailable` if the chosen display does not exist or is too large.
pub fn geometry_of(
    source: &mut dyn ScreenSource,
    choice: &DisplayChoice,
) -> Result<GeometryMessage, SourceError> {
    let mut geometry = source.geometry()?;
    for display in &mut geometry.displays {
        display.is_recorded = choice.includes(display.number, &display.name);
    }
    Ok(geometry)
}

/// One display's encoder.
struct Lane {
    number: u8,
    rect: Rect,
    encoder: Encoder,
    needs_key: bool,
    /// What its last picture does not show, as the geometry track says.
    masks: Vec<Mask>,
}

/// Feeds the screen and geometry tracks.
pub(super) struct ScreenFeed {
    source: Box<dyn ScreenSource>,
    context: Context,
    choice: DisplayChoice,
    frame_nanos: u64,
    lossy: Lossy,
    lanes: Vec<Lane>,
    /// Shared with the input feed, which names the display of each pointer event.
    geometry: Arc<RwLock<GeometryMessage>>,
    missed_damage: Arc<AtomicU64>,
    first_damage: Option<u64>,
    last_capture: u64,
    /// When pixels were last found changed.
    last_change: u64,
    failures: u32,
    /// Whether pictures are compared at the frame rate, whatever is announced.
    is_polling: bool,
}

impl ScreenFeed {
    pub(super) fn new(
        source: Box<dyn ScreenSource>,
        context: Context,
        choice: DisplayChoice,
        max_fps: f64,
        lossy: Lossy,
        geometry: Arc<RwLock<GeometryMessage>>,
        missed_damage: Arc<AtomicU64>,
    ) -> Self {
        Self {
            source,
            context,
            choice,
            frame_nanos: (1e9 / max_fps) as u64,
            lossy,
            lanes: Vec::new(),
            geometry,
            missed_damage,
            first_damage: None,
            last_capture: 0,
            last_change: 0,
            failures: 0,
            is_polling: false,
        }
    }

    /// Takes the first picture of every display.
    pub(super) fn start(&mut self) -> Result<(), SourceError> {
        self.follow_geometry()?;
        self.capture(true)
    }

    /// Takes pictures until told to stop.
    pub(super) fn run(&mut self, stop: &Stop) -> Result<(), SourceError> {
        let (mut next_ping, mut next_repair) = (0, REPAIR_NANOS);
        let mut was_paused = false;
        while !stop.is_stopped() {
            let now = self.context.clock.now_nanos();
            if now >= next_ping {
                self.source.ping()?;
                self.alive();
                next_ping = now + PING_NANOS;
            }
            if self.context.queues.is_paused() {
                was_paused = true;
                std::thread::sleep(LOOK / 4);
                continue;
            }
            if std::mem::take(&mut was_paused) {
                self.follow_geometry()?;
                self.lanes.iter_mut().for_each(|lane| lane.needs_key = true);
                self.try_capture(true)?;
            }
            if now >= next_repair {
                self.try_capture(true)?;
                let wait = if self.is_polling { self.frame_nanos } else { REPAIR_NANOS };
                next_repair = self.context.clock.now_nanos() + wait;
            }
            let until_repair = Duration::from_nanos(next_repair.saturating_sub(now));
            match self.source.wait(LOOK.min(until_repair))? {
                Wake::Quiet if now.saturating_sub(self.last_change) >= SETTLED_NANOS => self.make_exact(),
                Wake::Quiet => {}
                Wake::GeometryChanged => {
                    self.follow_geometry()?;
                    self.try_capture(true)?;
                }
                Wake::Damaged => self.on_damage()?,
            }
        }
        Ok(())
    }

    fn on_damage(&mut self) -> Result<(), SourceError> {
        let now = self.context.clock.now_nanos();
        self.first_damage.get_or_insert(now);
        let due = self.last_capture + self.frame_nanos;
        std::thread::sleep(Duration::from_nanos(due.saturating_sub(now)));
        if self.lanes.iter().any(|lane| !self.context.queues.has_room(Track::Screen(lane.number))) {
            // The writer is behind: this frame is skipped, its damage is kept for the next.
            for lane in &self.lanes {
                self.context.queues.count_drops(Track::Screen(lane.number), 1);
            }
            self.last_capture = self.context.clock.now_nanos();
            return Ok(());
        }
        self.try_capture(false)
    }

    /// Captures; a failure that the display survives (it was just resized) is repaired.
    fn try_capture(&mut self, is_full: bool) -> Result<(), SourceError> {
        match self.capture(is_full) {
            Ok(()) => self.failures = 0,
            Err(error) => {
                self.failures += 1;
                if self.failures >= MAX_FAILURES || self.source.ping().is_err() {
                    return Err(error);
                }
                tracing::warn!(%error, "a picture could not be taken; asking for the displays again");
                self.follow_geometry()?;
                self.lanes.iter_mut().for_each(|lane| lane.needs_key = true);
            }
        }
        Ok(())
    }

    /// Takes what changed (or everything) on each display and sends it.
    fn capture(&mut self, is_full: bool) -> Result<(), SourceError> {
        let clock = self.context.clock.clone();
        let damage = self.source.take_damage()?;
        let now = clock.now_nanos();
        let first_damage = self.first_damage.take();
        // Together on all displays: a player that seeks then reads one stretch of the file for all of them.
        if self.lanes.iter().any(|lane| lane.encoder.is_key_due(now)) {
            self.lanes.iter_mut().for_each(|lane| lane.needs_key |= lane.encoder.has_changed_since_key());
        }
        for at in 0..self.lanes.len() {
            self.capture_lane(at, is_full, &damage, first_damage)?;
        }
        // A look that found nothing is no reason to let the next change wait.
        if !is_full || self.last_change >= now {
            self.last_capture = now;
        }
        self.alive();
        Ok(())
    }

    fn capture_lane(
        &mut self,
        at: usize,
        is_full: bool,
        damage: &[Rect],
        first_damage: Option<u64>,
    ) -> Result<(), SourceError> {
        let clock = self.context.clock.clone();
        let lane = &mut self.lanes[at];
        let mut areas = if is_full || lane.needs_key { vec![lane.rect] } else { areas_of(damage, lane.rect) };
        if areas.is_empty() {
            return Ok(());
        }
        let mut start = clock.now_nanos();
        self.source.grab(&areas)?;
        let mut masks = masks_on(&*self.source, lane.rect);
        if areas != [lane.rect] && (masks != lane.masks || self.source.is_damaged()?) {
            // Something was painted in between, perhaps partly outside the areas, or other places are covered than in
            // the picture before: only the whole display is one moment.
            areas = vec![lane.rect];
            start = clock.now_nanos();
            self.source.grab(&areas)?;
            masks = masks_on(&*self.source, lane.rect);
        }
        let end = clock.now_nanos();
        let are_masks_new = masks != lane.masks;
        lane.masks = masks;
        let snapshots = areas.iter().enumerate().map(|(at, area)| Snapshot {
            x_px: (area.x_px - lane.rect.x_px) as u32,
            y_px: (area.y_px - lane.rect.y_px) as u32,
            width_px: area.width_px,
            height_px: area.height_px,
            pixels: self.source.pixels(at),
        });
        let num_changed = lane.encoder.update(&snapshots.collect::<Vec<_>>());
        if num_changed > 0 {
            self.last_change = end;
        }
        let is_unannounced = is_full && num_changed > 0 && !lane.needs_key && damage.is_empty();
        if is_unannounced && !are_masks_new && !self.source.is_damaged()? {
            let num_missed = self.missed_damage.fetch_add(1, Ordering::Relaxed) + 1;
            if num_missed >= MAX_MISSED && !self.is_polling {
                self.is_polling = true;
                let why = "the display does not announce all that changes on it: every picture is compared as a whole from now on";
                tracing::warn!(num_missed, "{why}");
                let _ = self.context.notices.send(Notice::Warning(format!("screen: {why}")));
            }
        }
        if are_masks_new {
            // After the picture before and before this one, so it holds for this one.
            self.declare_masks(start);
        }
        let times =
            Times { first_damage: first_damage.unwrap_or(start), capture_start: start, capture_end: end };
        self.lanes[at].send(&self.context, times);
        Ok(())
    }

    /// Nothing has happened for a moment: what was lossy and has settled is sent exactly.
    fn make_exact(&mut self) {
        let now = self.context.clock.now_nanos();
        for lane in self.lanes.iter_mut().filter(|lane| lane.encoder.is_dirty()) {
            lane.send(&self.context, Times { first_damage: now, capture_start: now, capture_end: now });
        }
    }

    /// Says on the geometry track what the pictures do not show from now on.
    fn declare_masks(&self, nanos: u64) {
        if let Ok(mut geometry) = self.geometry.write() {
            geometry.masks = self.masks();
            self.context.queues.send_json(Track::Geometry, nanos, &*geometry);
        }
    }

    /// What the last pictures of all displays do not show.
    fn masks(&self) -> Vec<Mask> {
        self.lanes.iter().flat_map(|lane| lane.masks.iter().copied()).collect()
    }

    fn alive(&self) {
        let now = self.context.clock.now_nanos();
        for lane in &self.lanes {
            self.context.queues.alive(Track::Screen(lane.number), now);
        }
        self.context.queues.alive(Track::Geometry, now);
    }

    /// Makes the lanes fit the displays, and says so on the geometry and markers tracks.
    fn follow_geometry(&mut self) -> Result<(), SourceError> {
        let mut geometry = geometry_of(&mut *self.source, &self.choice)?;
        geometry.masks = self.masks();
        let now = self.context.clock.now_nanos();
        let known = self.geometry.read().map(|known| known.clone()).ok();
        let is_first = self.lanes.is_empty();
        if known.as_ref() == Some(&geometry) && !is_first {
            return Ok(());
        }
        let recorded: Vec<_> = geometry.displays.iter().filter(|display| display.is_recorded).collect();
        let context = &self.context;
        self.lanes.retain(|lane| {
            let is_there = recorded.iter().any(|display| display.number == lane.number);
            if !is_there {
                context.lose(&[Track::Screen(lane.number)], GapReason::SourceLost, "the display was removed");
            }
            is_there
        });
        let pixels = recorded.iter().map(|display| pixels_of(display.rect)).sum::<u64>();
        if is_first && pixels > MAX_TOTAL_PIXELS {
            return Err(SourceError::Unavailable(format!(
                "the displays have {pixels} pixels together, more than the {MAX_TOTAL_PIXELS} that a bundle can hold: record some of them, with --display"
            )));
        }
        for display in recorded {
            let (number, rect) = (display.number, display.rect);
            let position = self.lanes.iter().position(|lane| lane.number == number);
            if position.is_some_and(|at| self.lanes[at].rect == rect) {
                continue;
            }
            let encoder = match Encoder::new(rect.width_px, rect.height_px) {
                Ok(encoder) if self.lossy == Lossy::Auto => encoder.with_governor(),
                Ok(encoder) => encoder,
                Err(error) if is_first => {
                    let why = format!(
                        "display {} cannot be recorded ({error}): record another one with --display, or give it fewer pixels",
                        display.name
                    );
                    return Err(SourceError::Unavailable(why));
                }
                Err(error) => {
                    self.context.lose(&[Track::Screen(number)], GapReason::SourceLost, &error.to_string());
                    self.lanes.retain(|lane| lane.number != number);
                    continue;
                }
            };
            let lane = Lane { number, rect, encoder, needs_key: true, masks: Vec::new() };
            match position {
                Some(at) => self.lanes[at] = lane,
                None => {
                    self.context.queues.open(Track::Screen(number), now);
                    if !is_first {
                        self.context.regain(Track::Screen(number));
                    }
                    self.lanes.push(lane);
                }
            }
        }
        geometry.masks = self.masks();
        self.context.queues.send_json(Track::Geometry, now, &geometry);
        if let Ok(mut shared) = self.geometry.write() {
            *shared = geometry;
        }
        Ok(())
    }
}

impl Lane {
    /// Sends the change since the last message, if there is one, as a delta or, where one is needed, as a keyframe.
    fn send(&mut self, context: &Context, times: Times) {
        if !self.encoder.is_dirty() && !self.needs_key {
            return;
        }
        let track = Track::Screen(self.number);
        let (channel, data) = match track.key_channel().filter(|_| self.needs_key) {
            Some(key) => (key, self.encoder.keyframe(times)),
            None => match self.encoder.delta(times) {
                Some(data) => (track.channel(), data),
                None => return,
            },
        };
        // A refused picture breaks the chain: the next one must stand alone.
        self.needs_key = !context.queues.send(channel, times.capture_end, data);
    }
}

/// Rectangles inside `display` that together hold all damage and do not overlap: few, and little besides the damage.
fn areas_of(damage: &[Rect], display: Rect) -> Vec<Rect> {
    let mut areas: Vec<Rect> = Vec::new();
    for rect in damage.iter().map(|rect| rect.clip(display)).filter(|rect| !rect.is_empty()) {
        let mut area = rect;
        // What it joins may make it meet another one.
        while let Some(at) = areas.iter().position(|other| belong_together(area, *other)) {
            area = area.around(areas.swap_remove(at));
        }
        areas.push(area);
    }
    if areas.len() > MAX_SNAPSHOTS {
        return areas.into_iter().reduce(|a, b| a.around(b)).into_iter().collect();
    }
    areas
}

fn belong_together(a: Rect, b: Rect) -> bool {
    !a.clip(b).is_empty() || pixels_of(a.around(b)) <= pixels_of(a) + pixels_of(b) + SNAPSHOT_PIXELS
}

fn pixels_of(rect: Rect) -> u64 {
    u64::from(rect.width_px) * u64::from(rect.height_px)
}

/// What the last grab does not show of a display.
fn masks_on(source: &dyn ScreenSource, display: Rect) -> Vec<Mask> {
    let inside = source.masks().iter().map(|rect| rect.clip(display)).filter(|rect| !rect.is_empty());
    inside.map(|rect| Mask { rect, reason: MaskReason::OwnWindow }).collect()
}
