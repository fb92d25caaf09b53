//! The encoder: keeps the newest picture and turns snapshots of changed areas into messages.
//!
//! A snapshot is compared with the newest picture row by row; unchanged pixels are read once and written never. What
//! changed is explained by copies where it can be ([`super::motion`]), else sent as exact tiles, unless that costs too
//! much for too long ([`super::governor`]).

use super::governor::Governor;
use super::motion::{Changed, Motion, Part};
use super::operation::{Area, Copy, write_copy, write_lossy, write_tile_start};
use super::tile::{Bgrx, num_changes, pack_bgr, pack_planar};
use super::{HEADER_BYTES, Header, TILE_PX, Times, check_size, lossy};
use crate::Result;

/// A keyframe at least so often, if anything changed.
const KEY_NANOS: u64 = 60_000_000_000;
/// A keyframe when decoding the changes since the last one takes the work of so many pictures.
const KEY_PICTURES: f64 = 4.0;
/// What a pixel of a copy costs to decode, in parts of a pixel that must be decompressed too.
const COPY_COST: f64 = 0.25;

/// What an area of the display shows: B, G, R, X bytes, top row first, no padding.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Left edge in the display's pixels.
    pub x_px: u32,
    /// Upper edge in the display's pixels.
    pub y_px: u32,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// The pixels.
    pub pixels: &'a [u8],
}

/// Encodes the pictures of one display.
pub struct Encoder {
    width_px: u32,
    height_px: u32,
    /// The newest picture, BGRX.
    pixels: Vec<u8>,
    /// Tiles that changed since the last message and that no copy explains.
    is_changed: Vec<bool>,
    num_changed: usize,
    /// Rectangles that the next message copies out of the picture of the last one.
    copies: Vec<Copy>,
    /// Tiles that decoders do not have exactly.
    is_lossy: Vec<bool>,
    motion: Motion,
    /// Where pictures may be lossy under load.
    governor: Option<Governor>,
    /// Bytes of pixels to decode since the last keyframe.
    cost_since_key: f64,
    last_key_nanos: u64,
}

impl Encoder {
    /// An encoder for a display of that size; its first message must be a keyframe. Every picture is exact.
    ///
    /// # Errors
    /// `TooLarge` if a keyframe of it could not be stored.
    pub fn new(width_px: u32, height_px: u32) -> Result<Self> {
        check_size(width_px, height_px)?;
        let num_tiles = (width_px.div_ceil(TILE_PX) * height_px.div_ceil(TILE_PX)) as usize;
        Ok(Self {
            width_px,
            height_px,
            pixels: vec![0; (width_px * height_px * 4) as usize],
            is_changed: vec![false; num_tiles],
            num_changed: 0,
            copies: Vec::new(),
            is_lossy: vec![false; num_tiles],
            motion: Motion::default(),
            governor: None,
            cost_since_key: 0.0,
            last_key_nanos: 0,
        })
    }

    /// The same, but what moves too much for too long may become lossy until it settles.
    #[must_use]
    pub fn with_governor(mut self) -> Self {
        self.governor = Some(Governor::new(self.is_changed.len()));
        self
    }

    /// Takes over snapshots of areas, all of one moment, which must lie inside the display and not overlap. Returns how
    /// many tiles differ from the picture before.
    pub fn update(&mut self, snapshots: &[Snapshot<'_>]) -> usize {
        // Copies are out of the picture of the last message: with something on top of it they would be wrong.
        let may_copy = self.num_changed == 0 && self.copies.is_empty();
        let tiles_across = self.width_px.div_ceil(TILE_PX);
        let mut all = Vec::new();
        for snapshot in snapshots {
            let part = self.part_of(snapshot);
            let mut changed = self.compare(&part);
            all.push((part, changed.clone()));
            if may_copy {
                let is_exact = |area: Area| area.tiles(tiles_across).all(|tile| !self.is_lossy[tile]);
                let before = Bgrx { width: self.width_px, bytes: &self.pixels };
                let copies = self.motion.explain(before, self.height_px, &part, &mut changed, &is_exact);
                self.copies.extend(copies);
            }
            for tile in changed {
                let is_changed = &mut self.is_changed[tile.tile as usize];
                self.num_changed += usize::from(!*is_changed);
                *is_changed = true;
            }
        }
        let num_tiles = all.iter().map(|(_, changed)| changed.len()).sum();
        for (part, changed) in all {
            changed.iter().for_each(|tile| self.take_over(&part, tile));
        }
        num_tiles
    }

    /// Whether anything differs from the last message, or is to be made exact.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.num_changed > 0
            || !self.copies.is_empty()
            || self.governor.is_some() && self.is_lossy.contains(&true)
    }

    /// Whether there was a change since the last keyframe.
    #[must_use]
    pub fn has_changed_since_key(&self) -> bool {
        self.cost_since_key > 0.0
    }

    /// Whether the next message should stand alone, so that seeking stays quick.
    #[must_use]
    pub fn is_key_due(&self, now_nanos: u64) -> bool {
        let picture_bytes = (self.pixels.len() / 4 * 3) as f64;
        self.cost_since_key > KEY_PICTURES * picture_bytes
            || self.has_changed_since_key() && now_nanos.saturating_sub(self.last_key_nanos) > KEY_NANOS
    }

    /// A picture that is decodable alone; every pixel is exact.
    pub fn keyframe(&mut self, times: Times) -> Vec<u8> {
        self.copies.clear();
        self.is_changed.fill(true);
        self.num_changed = self.is_changed.len();
        (self.cost_since_key, self.last_key_nanos) = (0.0, times.capture_end);
        let tiles: Vec<usize> = (0..self.is_changed.len()).collect();
        let mut out = self.start(true, times, tiles.len());
        let bytes = self.write_tiles(&tiles, &mut out);
        if let Some(governor) = &mut self.governor {
            tiles.iter().for_each(|tile| governor.refreshed(*tile));
            governor.spend(bytes);
        }
        self.sent(&tiles);
        out
    }

    /// The change since the last message; `None` if there is none to be sent now.
    pub fn delta(&mut self, times: Times) -> Option<Vec<u8>> {
        let now = times.capture_end;
        let changed: Vec<usize> = (0..self.is_changed.len()).filter(|tile| self.is_changed[*tile]).collect();
        let (mut tiles, rectangles) = match self.governor.take() {
            None => (changed, Vec::new()),
            Some(mut governor) => {
                let planned = self.plan(&mut governor, now, &changed);
                self.governor = Some(governor);
                planned
            }
        };
        // As a decoder does: copies first, then what lies over them.
        let copies = std::mem::take(&mut self.copies);
        copies.iter().for_each(|copy| self.copied_over(copy.to));
        let mut jpegs = Vec::new();
        for rectangle in rectangles {
            match self.jpeg(rectangle) {
                Ok(jpeg) => jpegs.push((rectangle, jpeg)),
                // Never seen; but what is not sent one way is sent the other.
                Err(_) => tiles.extend(self.tiles_of(rectangle)),
            }
        }
        tiles.sort_unstable();
        let num_ops = copies.len() + jpegs.len() + tiles.len();
        if num_ops == 0 {
            self.forget_changes();
            return None;
        }
        let mut out = self.start(false, times, num_ops);
        copies.iter().for_each(|copy| write_copy(&mut out, copy));
        jpegs.iter().for_each(|(tiles, jpeg)| write_lossy(&mut out, *tiles, jpeg));
        self.write_tiles(&tiles, &mut out);
        let copied: u64 = copies.iter().map(|copy| copy.to.num_pixels()).sum();
        self.cost_since_key += out.len() as f64 + copied as f64 * 3.0 * COPY_COST;
        if let Some(governor) = &mut self.governor {
            governor.spend(jpegs.iter().map(|(_, jpeg)| jpeg.len() as f64).sum());
        }
        self.sent(&tiles);
        Some(out)
    }

    /// The rows of a snapshot that differ from the newest picture, by tile.
    fn compare(&self, part: &Part<'_>) -> Vec<Changed> {
        let before = Bgrx { width: self.width_px, bytes: &self.pixels };
        let tiles_across = self.width_px.div_ceil(TILE_PX);
        let Area { x, width, .. } = part.area;
        let (first_column, last_column) = (x / TILE_PX, (part.area.right() - 1) / TILE_PX);
        let mut all = Vec::new();
        // Place in `all` of each column's tile in the present row of tiles.
        let mut found: Vec<Option<usize>> = vec![None; (last_column - first_column + 1) as usize];
        for y in part.area.y..part.area.bottom() {
            if y % TILE_PX == 0 {
                found.fill(None);
            }
            if before.run(x, y, width) == part.pixels.run(0, y - part.area.y, width) {
                continue;
            }
            for column in first_column..=last_column {
                let left = (column * TILE_PX).max(x);
                let width = ((column + 1) * TILE_PX).min(part.area.right()) - left;
                if before.run(left, y, width) == part.pixels.run(left - x, y - part.area.y, width) {
                    continue;
                }
                match found[(column - first_column) as usize] {
                    Some(at) => {
                        let changed: &mut Changed = &mut all[at];
                        changed.last_row = y;
                    }
                    None => {
                        found[(column - first_column) as usize] = Some(all.len());
                        let row = y / TILE_PX;
                        let area = Area::of_tile(column, row, self.width_px, self.height_px);
                        all.push(Changed {
                            tile: row * tiles_across + column,
                            area,
                            first_row: y,
                            last_row: y,
                        });
                    }
                }
            }
        }
        all.sort_unstable_by_key(|changed| changed.tile);
        all
    }

    /// Writes the changed rows of a tile into the newest picture.
    fn take_over(&mut self, part: &Part<'_>, changed: &Changed) {
        let left = changed.area.x.max(part.area.x);
        let width = changed.area.right().min(part.area.right()) - left;
        for y in changed.first_row..=changed.last_row {
            let start = (y as usize * self.width_px as usize + left as usize) * 4;
            let new = part.pixels.run(left - part.area.x, y - part.area.y, width);
            self.pixels[start..start + new.len()].copy_from_slice(new);
        }
    }

    /// What of the changed tiles is sent exactly, and which rectangles of tiles are sent lossy.
    fn plan(&self, governor: &mut Governor, now: u64, changed: &[usize]) -> (Vec<usize>, Vec<Area>) {
        let picture = Bgrx { width: self.width_px, bytes: &self.pixels };
        let costs: Vec<_> = changed
            .iter()
            .map(|tile| (*tile, estimated_bytes(num_changes(picture, self.area_of(*tile)))))
            .collect();
        // A tile that a copy made exact is neither stale nor to be refreshed.
        let copied = self.copies.iter().flat_map(|copy| self.tiles_covered_by(copy.to));
        copied.for_each(|tile| governor.refreshed(tile));
        let mut exact = governor.note(now, &costs);
        let settled = governor.settle(now);
        exact.extend(settled.into_iter().filter(|tile| self.is_lossy[*tile] || self.is_changed[*tile]));
        exact.sort_unstable();
        exact.dedup();
        let rectangles = if governor.take_lossy_due(now, &self.is_lossy) {
            self.lossy_rectangles(governor)
        } else {
            Vec::new()
        };
        (exact, rectangles)
    }

    /// Rectangles around the governed tiles, as far as any of them is stale.
    fn lossy_rectangles(&self, governor: &mut Governor) -> Vec<Area> {
        let (columns, rows) = (self.width_px.div_ceil(TILE_PX), self.height_px.div_ceil(TILE_PX));
        let mut rectangles: Vec<Area> = Vec::new();
        for row in 0..rows {
            let mut column = 0;
            while column < columns {
                let is_governed = |column: u32| governor.is_governed((row * columns + column) as usize);
                let width = (column..columns).take_while(|column| is_governed(*column)).count() as u32;
                if width > 0 {
                    let above =
                        |area: &&mut Area| (area.x, area.width, area.bottom()) == (column, width, row);
                    match rectangles.iter_mut().find(above) {
                        Some(area) => area.height += 1,
                        None => rectangles.push(Area { x: column, y: row, width, height: 1 }),
                    }
                }
                column += width.max(1);
            }
        }
        rectangles.retain(|area| self.tiles_of(*area).into_iter().any(|tile| governor.is_stale(tile)));
        rectangles.iter().flat_map(|area| self.tiles_of(*area)).for_each(|tile| governor.refreshed(tile));
        rectangles
    }

    /// The JPEG of a rectangle of tiles, which are lossy from now on.
    fn jpeg(&mut self, rectangle: Area) -> Result<Vec<u8>> {
        let tiles = self.tiles_of(rectangle);
        let (first, last) = (self.area_of(tiles[0]), self.area_of(tiles[tiles.len() - 1]));
        let area =
            Area { x: first.x, y: first.y, width: last.right() - first.x, height: last.bottom() - first.y };
        let jpeg = lossy::encode(Bgrx { width: self.width_px, bytes: &self.pixels }, area)?;
        tiles.into_iter().for_each(|tile| self.is_lossy[tile] = true);
        Ok(jpeg)
    }

    fn start(&self, is_key: bool, times: Times, num_ops: usize) -> Vec<u8> {
        let tile_bytes = (TILE_PX * TILE_PX * 3 + 5) as usize;
        let mut out = Vec::with_capacity(HEADER_BYTES + num_ops * tile_bytes);
        let (width_px, height_px) = (self.width_px, self.height_px);
        Header { is_key, width_px, height_px, times, num_ops: num_ops as u32 }.write(&mut out);
        out
    }

    /// Appends tiles, each in the form that compresses better; returns the estimate of their compressed bytes.
    fn write_tiles(&self, tiles: &[usize], out: &mut Vec<u8>) -> f64 {
        let picture = Bgrx { width: self.width_px, bytes: &self.pixels };
        let tiles_across = self.width_px.div_ceil(TILE_PX);
        let mut bytes = 0.0;
        for tile in tiles {
            let area = self.area_of(*tile);
            let num_changes = num_changes(picture, area);
            let is_planar = u64::from(num_changes) * 2 > area.num_pixels();
            write_tile_start(out, *tile as u32 % tiles_across, *tile as u32 / tiles_across, is_planar);
            if is_planar {
                pack_planar(picture, area, out);
            } else {
                pack_bgr(picture, area, out);
            }
            bytes += estimated_bytes(num_changes);
        }
        bytes
    }

    /// The message is out: these tiles are exact in every decoder.
    fn sent(&mut self, tiles: &[usize]) {
        tiles.iter().for_each(|tile| self.is_lossy[*tile] = false);
        self.forget_changes();
    }

    /// What changed in governed tiles waits for the next lossy rectangle; the governor knows it.
    fn forget_changes(&mut self) {
        self.is_changed.fill(false);
        self.num_changed = 0;
    }

    fn copied_over(&mut self, area: Area) {
        for tile in self.tiles_covered_by(area).collect::<Vec<_>>() {
            self.is_lossy[tile] = false;
        }
    }

    fn part_of<'a>(&self, snapshot: &Snapshot<'a>) -> Part<'a> {
        let Snapshot { x_px, y_px, width_px, height_px, pixels } = *snapshot;
        let area = Area { x: x_px, y: y_px, width: width_px, height: height_px };
        assert!(area.is_inside(self.width_px, self.height_px), "area outside the display");
        assert_eq!(pixels.len(), (width_px * height_px * 4) as usize, "snapshot size");
        Part { area, pixels: Bgrx { width: width_px, bytes: pixels } }
    }

    /// Numbers of the tiles of a rectangle that is given in tiles.
    fn tiles_of(&self, rectangle: Area) -> Vec<usize> {
        let across = self.width_px.div_ceil(TILE_PX);
        let columns = rectangle.x..rectangle.right();
        let row = |row: u32| columns.clone().map(move |column| (row * across + column) as usize);
        (rectangle.y..rectangle.bottom()).flat_map(row).collect()
    }

    fn area_of(&self, tile: usize) -> Area {
        let across = self.width_px.div_ceil(TILE_PX);
        Area::of_tile(tile as u32 % across, tile as u32 / across, self.width_px, self.height_px)
    }

    /// Searches the next picture for motion, however fruitless the searches before it were.
    #[cfg(test)]
    pub(super) fn search_again(&mut self) {
        self.motion = Motion::default();
    }

    /// Numbers of the tiles that lie wholly inside an area.
    fn tiles_covered_by(&self, area: Area) -> impl Iterator<Item = usize> + '_ {
        area.tiles(self.width_px.div_ceil(TILE_PX)).filter(move |tile| self.area_of(*tile).is_within(area))
    }
}

/// What a tile is taken to cost in the file, by the number of pixels that differ from their left neighbour: in text zstd finds
/// most of them again, in photographs hardly any.
fn estimated_bytes(num_changes: u32) -> f64 {
    let factor = if num_changes > TILE_PX * TILE_PX / 2 { 2.0 } else { 0.8 };
    20.0 + factor * f64::from(num_changes)
}
