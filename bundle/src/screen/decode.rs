//! The decoder: rebuilds pictures, and refuses to show one whose base is lost.

use super::operation::{Area, Copy, Operation, TILE_OVERHEAD_BYTES, impossible, operations};
use super::{Header, TILE_PX, Times, lossy, tile};
use crate::{Error, Result};

/// A decoded picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// Pixels as B, G, R, top row first, no padding.
    pub bgr: Vec<u8>,
    /// For each tile in raster order, whether its pixels are only near to what was on the screen.
    pub is_lossy: Vec<bool>,
    /// When it was taken.
    pub times: Times,
}

impl Picture {
    /// How many tiles are not exact.
    #[must_use]
    pub fn num_lossy_tiles(&self) -> usize {
        self.is_lossy.iter().filter(|is_lossy| **is_lossy).count()
    }

    fn tiles_across(&self) -> u32 {
        self.width_px.div_ceil(TILE_PX)
    }

    fn row(&self, x: u32, y: u32, width: u32) -> std::ops::Range<usize> {
        let start = (y as usize * self.width_px as usize + x as usize) * 3;
        start..start + width as usize * 3
    }
}

/// Decodes the pictures of one display in the order they were written.
#[derive(Debug, Default)]
pub struct Decoder {
    picture: Picture,
    /// Sequence number of the picture held; `None` before a keyframe or after an error.
    held: Option<u32>,
    display: u8,
    /// Pixels on their way, while copies are carried out.
    moved: Vec<u8>,
}

impl Decoder {
    /// A decoder that holds no picture yet. The number is for messages to people.
    #[must_use]
    pub fn new(display: u8) -> Self {
        Self { display, ..Self::default() }
    }

    /// Applies a picture message with its sequence number and shows the result.
    ///
    /// # Errors
    /// `LostPicture` if it builds on a picture that is not held; `Malformed` or `TooLarge` if it breaks the layout.
    /// After an error nothing is held until the next keyframe.
    pub fn apply(&mut self, sequence: u32, message: &[u8]) -> Result<&Picture> {
        let held = self.held.take();
        let (header, bytes) = Header::parse(message)?;
        if header.is_key {
            self.start_key(&header, bytes)?;
        } else if held != Some(sequence.wrapping_sub(1)) {
            let needed = sequence.wrapping_sub(1);
            return Err(Error::LostPicture { display: self.display, found: sequence, needed });
        }
        if (header.width_px, header.height_px) != (self.picture.width_px, self.picture.height_px) {
            return Err(impossible("a delta of another size than its keyframe"));
        }
        self.run(&header, bytes)?;
        self.picture.times = header.times;
        self.held = Some(sequence);
        Ok(&self.picture)
    }

    /// The picture held, if any.
    #[must_use]
    pub fn picture(&self) -> Option<&Picture> {
        self.held.map(|_| &self.picture)
    }

    /// Makes room for a keyframe, but only if its tiles are really there to fill it.
    fn start_key(&mut self, header: &Header, bytes: &[u8]) -> Result<()> {
        let num_tiles = header.width_px.div_ceil(TILE_PX) * header.height_px.div_ceil(TILE_PX);
        let pixel_bytes = header.width_px as usize * header.height_px as usize * 3;
        if header.num_ops != num_tiles
            || bytes.len() != pixel_bytes + TILE_OVERHEAD_BYTES * num_tiles as usize
        {
            return Err(impossible("a keyframe that does not cover its display exactly"));
        }
        self.picture.bgr.resize(pixel_bytes, 0);
        self.picture.is_lossy.resize(num_tiles as usize, false);
        (self.picture.width_px, self.picture.height_px) = (header.width_px, header.height_px);
        Ok(())
    }

    /// Carries out the operations. Copies are read before anything is written.
    fn run(&mut self, header: &Header, bytes: &[u8]) -> Result<()> {
        let mut copies = Vec::new();
        for operation in operations(header, bytes) {
            let operation = operation?;
            if let Operation::Copy(copy) = operation {
                self.lift(&copy)?;
                copies.push(copy);
                continue;
            }
            self.put_down(&std::mem::take(&mut copies));
            match operation {
                Operation::Tile { column, row, is_planar, data } => {
                    let area = Area::of_tile(column, row, header.width_px, header.height_px);
                    tile::unpack(data, is_planar, area, &mut self.picture.bgr, header.width_px);
                    let number = row * self.picture.tiles_across() + column;
                    self.picture.is_lossy[number as usize] = false;
                }
                Operation::Lossy { area, jpeg } => {
                    let pixels = lossy::decode(jpeg, area.width, area.height)?;
                    let rows = pixels.chunks_exact(area.width as usize * 3);
                    for (y, row) in (area.y..area.bottom()).zip(rows) {
                        let at = self.picture.row(area.x, y, area.width);
                        self.picture.bgr[at].copy_from_slice(row);
                    }
                    area.tiles(self.picture.tiles_across())
                        .for_each(|tile| self.picture.is_lossy[tile] = true);
                }
                Operation::Copy(_) => {}
            }
        }
        self.put_down(&copies);
        Ok(())
    }

    /// Reads the pixels of a copy, which must be exact: two decoders need not agree on others.
    fn lift(&mut self, copy: &Copy) -> Result<()> {
        let from = Area { x: copy.from_x, y: copy.from_y, ..copy.to };
        if from.tiles(self.picture.tiles_across()).any(|tile| self.picture.is_lossy[tile]) {
            return Err(impossible("a copy from pixels that are not exact"));
        }
        for y in from.y..from.bottom() {
            let at = self.picture.row(from.x, y, from.width);
            self.moved.extend_from_slice(&self.picture.bgr[at]);
        }
        Ok(())
    }

    fn put_down(&mut self, copies: &[Copy]) {
        let mut moved = std::mem::take(&mut self.moved);
        let mut rest = &moved[..];
        for Copy { to, .. } in copies {
            for y in to.y..to.bottom() {
                let at = self.picture.row(to.x, y, to.width);
                let (row, after) = rest.split_at(at.len());
                self.picture.bgr[at].copy_from_slice(row);
                rest = after;
            }
            let Picture { width_px, height_px, .. } = self.picture;
            let across = self.picture.tiles_across();
            for tile in to.tiles(across) {
                let area = Area::of_tile(tile as u32 % across, tile as u32 / across, width_px, height_px);
                self.picture.is_lossy[tile] &= !area.is_within(*to);
            }
        }
        moved.clear();
        self.moved = moved;
    }
}
