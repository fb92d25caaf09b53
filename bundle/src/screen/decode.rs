//! The decoder: rebuilds pictures, and refuses to show one whose base is lost.

use super::{Header, OP_TILE_BGR, TILE_PX, Times};
use crate::record::Fields;
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
    /// When it was taken.
    pub times: Times,
}

/// Decodes the pictures of one display in the order they were written.
#[derive(Debug, Default)]
pub struct Decoder {
    picture: Picture,
    /// Sequence number of the picture held; `None` before a keyframe or after an error.
    held: Option<u32>,
    display: u8,
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
        let (header, ops) = Header::parse(message)?;
        if header.is_key {
            self.start_key(&header, ops)?;
        } else if held != Some(sequence.wrapping_sub(1)) {
            let needed = sequence.wrapping_sub(1);
            return Err(Error::LostPicture { display: self.display, found: sequence, needed });
        }
        if (header.width_px, header.height_px) != (self.picture.width_px, self.picture.height_px) {
            return Err(Error::malformed("picture", 0, "a delta of another size than its keyframe"));
        }
        self.run(&header, ops)?;
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
    fn start_key(&mut self, header: &Header, ops: &[u8]) -> Result<()> {
        let num_tiles = header.width_px.div_ceil(TILE_PX) * header.height_px.div_ceil(TILE_PX);
        let bytes = (header.width_px * header.height_px * 3) as usize;
        if header.num_ops != num_tiles || ops.len() != bytes + 5 * num_tiles as usize {
            return Err(Error::malformed("picture", 0, "a keyframe that does not cover its display exactly"));
        }
        self.picture.bgr.resize(bytes, 0);
        (self.picture.width_px, self.picture.height_px) = (header.width_px, header.height_px);
        Ok(())
    }

    /// Runs the operations. Tiles must come in raster order, each at most once, so a keyframe's fill the picture.
    fn run(&mut self, header: &Header, ops: &[u8]) -> Result<()> {
        let mut fields = Fields::of("picture", ops);
        let tiles_across = header.width_px.div_ceil(TILE_PX);
        let mut next_tile = 0;
        for _ in 0..header.num_ops {
            let code = fields.u8()?;
            if code != OP_TILE_BGR {
                return Err(fields.malformed(format!("unknown operation {code:#04x}")));
            }
            let (tile_x, tile_y) = (u32::from(fields.u16()?), u32::from(fields.u16()?));
            let (left, top) = (tile_x * TILE_PX, tile_y * TILE_PX);
            let tile = tile_y * tiles_across + tile_x;
            if left >= header.width_px || top >= header.height_px || tile < next_tile {
                return Err(fields.malformed(format!("tile {tile_x},{tile_y} outside or out of order")));
            }
            next_tile = tile + 1;
            let row_bytes = (TILE_PX.min(header.width_px - left) * 3) as usize;
            for y in top..header.height_px.min(top + TILE_PX) {
                let start = ((y * header.width_px + left) * 3) as usize;
                self.picture.bgr[start..start + row_bytes].copy_from_slice(fields.take(row_bytes)?);
            }
        }
        fields.end()
    }
}
