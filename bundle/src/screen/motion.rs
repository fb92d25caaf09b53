//! Motion: finds what moved from the picture before to this one, as scrolled text and dragged windows do.
//!
//! A few windows of 16 pixels from the changed tiles, eight rows deep, are looked for in every eighth row of the picture
//! before, by a rolling hash: whichever way the content moved, one row of the eight is met. The distances that turn up
//! most often are candidates; every copy is then compared byte for byte, so a wrong candidate costs time and nothing else.

use std::collections::HashMap;

use super::TILE_PX;
use super::operation::{Area, Copy};
use super::tile::Bgrx;

/// Pixels of a window.
const WINDOW: usize = 16;
/// Rows of windows taken from a tile; every so many rows of the picture before are searched.
const ROWS: u32 = 8;
/// Tiles from which windows are taken.
const NUM_PLACES: usize = 64;
/// Fewer changed tiles than this cost less than a search.
const MIN_TILES: usize = 6;
/// Distances tried on every tile.
const MAX_VECTORS: usize = 3;
/// A distance must turn up so often.
const MIN_VOTES: usize = 4;
/// A pattern that is everywhere gives hits without end; so many are enough.
const MAX_HITS: u32 = 50_000;
/// After fruitless searches so many pictures at most go by without one, unless much more changes: a film is not searched
/// all the time, and a scroll bar that fades away hides no scrolling.
const MAX_PAUSE: u32 = 8;
/// Places of one window that are kept.
const MAX_PLACES: usize = 8;
const BASE: u32 = 0x01E3_5A4D;
const FILTER_BITS: u32 = 14;

/// From where to where: what is at (x, y) now was at (x - dx, y - dy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Vector {
    dy: i32,
    dx: i32,
}

/// A tile that changed, and the rows of the picture in which it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) tile: u32,
    pub(super) area: Area,
    pub(super) first_row: u32,
    pub(super) last_row: u32,
}

/// A snapshot of a part of the display.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) area: Area,
    pub(super) pixels: Bgrx<'a>,
}

impl<'a> Part<'a> {
    fn run(&self, x: u32, y: u32, width: u32) -> &'a [u8] {
        self.pixels.run(x - self.area.x, y - self.area.y, width)
    }
}

/// Finds motion, and remembers the last one: what scrolls goes on scrolling.
#[derive(Default)]
pub(super) struct Motion {
    vectors: Vec<Vector>,
    num_fruitless: u32,
    /// Changed tiles of the last search.
    fruitless_tiles: usize,
    pause: u32,
}

impl Motion {
    /// Moves out of `changed` the tiles that copies explain, and returns these. `is_exact` tells of a tile of the picture
    /// before whether it can be copied from.
    pub(super) fn explain(
        &mut self,
        before: Bgrx<'_>,
        height: u32,
        part: &Part<'_>,
        changed: &mut Vec<Changed>,
        is_exact: &dyn Fn(Area) -> bool,
    ) -> Vec<Copy> {
        if changed.len() < MIN_TILES {
            return Vec::new();
        }
        let search = Search { before, height, part, is_exact };
        let num_changed = changed.len();
        let mut copies = search.copies(&self.vectors, changed);
        if changed.len() * 2 > num_changed && self.is_due(changed.len()) {
            let vectors = search.vectors(changed);
            let num_left = changed.len();
            let more = search.copies(&vectors, changed);
            self.num_fruitless = if more.is_empty() { self.num_fruitless + 1 } else { 0 };
            self.fruitless_tiles = num_left;
            self.pause = self.num_fruitless.saturating_sub(2).min(MAX_PAUSE);
            if !more.is_empty() {
                self.vectors = vectors;
            }
            copies.extend(more);
        }
        join(copies)
    }

    fn is_due(&mut self, num_tiles: usize) -> bool {
        let is_due = self.pause == 0 || num_tiles > self.fruitless_tiles * 2;
        self.pause = self.pause.saturating_sub(1);
        is_due
    }
}

struct Search<'a> {
    before: Bgrx<'a>,
    height: u32,
    part: &'a Part<'a>,
    is_exact: &'a dyn Fn(Area) -> bool,
}

impl Search<'_> {
    /// The tiles that one of the distances explains, as copies; the others stay in `changed`.
    fn copies(&self, vectors: &[Vector], changed: &mut Vec<Changed>) -> Vec<Copy> {
        let mut copies = Vec::new();
        if !vectors.is_empty() {
            changed.retain(|tile| {
                let copy = vectors.iter().find_map(|vector| self.copy(*vector, tile));
                copies.extend(copy);
                copy.is_none()
            });
        }
        copies
    }

    /// The copy that explains a tile: all of it, so that it joins its neighbours; else what changed in it.
    fn copy(&self, vector: Vector, changed: &Changed) -> Option<Copy> {
        let inside = &self.part.area;
        let tile = changed.area;
        let is_whole = tile.x >= inside.x
            && tile.y >= inside.y
            && tile.right() <= inside.right()
            && tile.bottom() <= inside.bottom();
        let whole = is_whole.then(|| self.verified(vector, tile)).flatten();
        whole.or_else(|| {
            let area = self.changed_in(changed);
            // The rest of the tile stays as the decoder has it.
            (self.is_exact)(tile).then(|| self.verified(vector, area)).flatten()
        })
    }

    /// The smallest rectangle around the changed pixels of a tile.
    fn changed_in(&self, changed: &Changed) -> Area {
        let (left, right) =
            (changed.area.x.max(self.part.area.x), changed.area.right().min(self.part.area.right()));
        let (mut first, mut last) = (right, left);
        for y in changed.first_row..=changed.last_row {
            // Only beside what is known already.
            let (old, new) = (self.before.run(left, y, first - left), self.part.run(left, y, first - left));
            first = num_equal(old.chunks_exact(4), new.chunks_exact(4)) + left;
            let (old, new) = (self.before.run(last, y, right - last), self.part.run(last, y, right - last));
            last = right - num_equal(old.chunks_exact(4).rev(), new.chunks_exact(4).rev());
        }
        let y = changed.first_row;
        Area { x: first, y, width: last.saturating_sub(first), height: changed.last_row + 1 - y }
    }

    /// The copy of an area by a distance, if it gives exactly what the area shows now.
    fn verified(&self, vector: Vector, to: Area) -> Option<Copy> {
        let from_x = u32::try_from(i64::from(to.x) - i64::from(vector.dx)).ok()?;
        let from_y = u32::try_from(i64::from(to.y) - i64::from(vector.dy)).ok()?;
        let from = Area { x: from_x, y: from_y, ..to };
        if !from.is_inside(self.before.width, self.height) {
            return None;
        }
        let row =
            |n: u32| self.before.run(from_x, from_y + n, to.width) == self.part.run(to.x, to.y + n, to.width);
        ((0..to.height).all(row) && (self.is_exact)(from)).then_some(Copy { to, from_x, from_y })
    }

    /// The most frequent distances by which windows of the changed tiles moved.
    fn vectors(&self, changed: &[Changed]) -> Vec<Vector> {
        let anchors = self.anchors(changed);
        let mut found = Vec::new();
        if !anchors.places.is_empty() {
            self.look_for(&anchors, bounds(changed, &self.part.area), |vector| found.push(vector));
        }
        found.sort_unstable();
        let counted = found.chunk_by(|one, other| one == other).map(|same| (same[0], same.len()));
        let mut votes: Vec<_> = counted.filter(|(_, votes)| *votes >= MIN_VOTES).collect();
        votes.sort_by_key(|(_, votes)| std::cmp::Reverse(*votes));
        votes.into_iter().take(MAX_VECTORS).map(|(vector, _)| vector).collect()
    }

    /// Windows with something in them, from tiles spread evenly over the changed ones.
    fn anchors(&self, changed: &[Changed]) -> Anchors {
        let mut anchors = Anchors::new();
        for tile in changed.iter().step_by(changed.len().div_ceil(NUM_PLACES)) {
            let first = changed_rows_start(tile).max(self.part.area.y);
            let x = tile.area.x.max(self.part.area.x);
            let room = tile.area.right().min(self.part.area.right()).saturating_sub(x);
            for y in first..(first + ROWS).min(tile.area.bottom()).min(self.part.area.bottom()) {
                // Where in the row most happens: of three places in the tile, the one with most changes of colour.
                let places = [0, 8, 16].into_iter().filter(|shift| shift + WINDOW as u32 <= room);
                let windows = places.map(|shift| (x + shift, self.part.run(x + shift, y, WINDOW as u32)));
                let best = windows.max_by_key(|(_, window)| num_edges(window));
                if let Some((x, window)) = best.filter(|(_, window)| num_edges(window) >= 2) {
                    anchors.add(hash(window), (x, y));
                }
            }
        }
        anchors.sort();
        anchors
    }

    /// Rolls a window over every eighth row of the picture before, and tells the distance of each one it knows.
    fn look_for(&self, anchors: &Anchors, bounds: Area, mut found: impl FnMut(Vector)) {
        let mut num_hits = 0;
        let drop = (0..WINDOW).fold(1u32, |power, _| power.wrapping_mul(BASE));
        for y in (bounds.y..bounds.bottom()).filter(|y| y % ROWS == 0) {
            let row = self.before.run(bounds.x, y, bounds.width);
            let pixel =
                |n: usize| u32::from_le_bytes([row[4 * n], row[4 * n + 1], row[4 * n + 2], row[4 * n + 3]]);
            let mut rolling = 0u32;
            for n in 0..bounds.width as usize {
                rolling = rolling.wrapping_mul(BASE).wrapping_add(pixel(n));
                if n >= WINDOW {
                    rolling = rolling.wrapping_sub(pixel(n - WINDOW).wrapping_mul(drop));
                }
                if n + 1 < WINDOW || !anchors.may_have(rolling) {
                    continue;
                }
                let x = bounds.x + (n + 1 - WINDOW) as u32;
                for (to_x, to_y) in anchors.at(rolling) {
                    let vector = Vector { dx: to_x as i32 - x as i32, dy: to_y as i32 - y as i32 };
                    if vector != (Vector { dx: 0, dy: 0 }) {
                        found(vector);
                        num_hits += 1;
                    }
                }
                if num_hits > MAX_HITS {
                    return;
                }
            }
        }
    }
}

/// Where windows of a hash are in the new picture.
struct Anchors {
    /// By hash.
    places: Vec<(u32, (u32, u32))>,
    /// One bit per value of the hash's upper bits: most windows of the picture before are dismissed by it.
    filter: Vec<u64>,
}

impl Anchors {
    fn new() -> Self {
        Self { places: Vec::new(), filter: vec![0; (1 << FILTER_BITS) / 64] }
    }

    fn add(&mut self, hash: u32, place: (u32, u32)) {
        let bit = filter_bit(hash);
        self.filter[bit / 64] |= 1 << (bit % 64);
        self.places.push((hash, place));
    }

    /// To be called when all are added.
    fn sort(&mut self) {
        self.places.sort_by_key(|(hash, _)| *hash);
    }

    /// The places of a hash. What is everywhere tells no distance: a few of them are enough.
    fn at(&self, hash: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let start = self.places.partition_point(|(known, _)| *known < hash);
        let same = self.places[start..].iter().take_while(move |(known, _)| *known == hash);
        same.take(MAX_PLACES).map(|(_, place)| *place)
    }

    fn may_have(&self, hash: u32) -> bool {
        let bit = filter_bit(hash);
        self.filter[bit / 64] >> (bit % 64) & 1 == 1
    }
}

fn filter_bit(hash: u32) -> usize {
    (hash.wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS)) as usize
}

fn hash(window: &[u8]) -> u32 {
    window.chunks_exact(4).fold(0u32, |hash, pixel| {
        hash.wrapping_mul(BASE).wrapping_add(u32::from_le_bytes([pixel[0], pixel[1], pixel[2], pixel[3]]))
    })
}

fn num_edges(window: &[u8]) -> usize {
    window.chunks_exact(4).zip(window[4..].chunks_exact(4)).filter(|(left, right)| left != right).count()
}

/// The first row of a tile from which windows are taken: where it changed, with room for all rows if there is.
fn changed_rows_start(tile: &Changed) -> u32 {
    tile.first_row.min(tile.area.bottom().saturating_sub(ROWS)).max(tile.area.y)
}

/// How many pixels at the beginning are equal.
fn num_equal<'a>(one: impl Iterator<Item = &'a [u8]>, other: impl Iterator<Item = &'a [u8]>) -> u32 {
    one.zip(other).take_while(|(one, other)| one == other).count() as u32
}

/// What can have moved into the changed tiles: the box around them.
fn bounds(changed: &[Changed], part: &Area) -> Area {
    let all = |pick: fn(&Area) -> u32| changed.iter().map(move |tile| pick(&tile.area));
    let x = all(|area| area.x).min().unwrap_or_default();
    let y = all(|area| area.y).min().unwrap_or_default();
    let right = all(|area| area.right()).max().unwrap_or_default().max(part.right());
    let bottom = all(|area| area.bottom()).max().unwrap_or_default().max(part.bottom());
    let (x, y) = (x.min(part.x), y.min(part.y));
    Area { x, y, width: right - x, height: bottom - y }
}

/// Joins copies by the same distance that lie side by side, then those that lie one above the other.
fn join(copies: Vec<Copy>) -> Vec<Copy> {
    let distance = |copy: &Copy| (copy.from_x.wrapping_sub(copy.to.x), copy.from_y.wrapping_sub(copy.to.y));
    let mut runs: Vec<Copy> = Vec::new();
    for copy in copies {
        match runs.last_mut() {
            Some(last)
                if distance(last) == distance(&copy)
                    && (last.to.y, last.to.height, last.to.right())
                        == (copy.to.y, copy.to.height, copy.to.x) =>
            {
                last.to.width += copy.to.width;
            }
            _ => runs.push(copy),
        }
    }
    let mut open: HashMap<(u32, u32, u32), usize> = HashMap::new();
    let mut joined: Vec<Copy> = Vec::new();
    for run in runs {
        let key = (run.to.x, run.to.width, run.to.y);
        match open.remove(&key).filter(|at| distance(&joined[*at]) == distance(&run)) {
            Some(at) => {
                joined[at].to.height += run.to.height;
                open.insert((run.to.x, run.to.width, joined[at].to.bottom()), at);
            }
            None => {
                open.insert((run.to.x, run.to.width, run.to.bottom()), joined.len());
                joined.push(run);
            }
        }
    }
    joined
}

const _: () = assert!(TILE_PX >= ROWS && TILE_PX as usize >= WINDOW);
