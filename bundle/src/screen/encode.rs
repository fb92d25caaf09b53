//! The encoder: keeps the picture as it was last written and turns snapshots of changed areas into messages.
//!
//! One pass compares each tile row with the reference and copies what differs, so unchanged pixels are read once
//! and written never.

use super::{Header, OP_TILE_BGR, TILE_PX, Times, check_size};
use crate::Result;

/// Encodes the pictures of one display.
pub struct Encoder {
    width_px: u32,
    height_px: u32,
    /// The newest picture, BGRX.
    pixels: Vec<u8>,
    /// Tiles that differ from the last message, in raster order.
    is_dirty: Vec<bool>,
    num_dirty: u32,
}

impl Encoder {
    /// An encoder for a display of that size; its first message must be a keyframe.
    ///
    /// # Errors
    /// `TooLarge` if a keyframe of it could not be stored.
    pub fn new(width_px: u32, height_px: u32) -> Result<Self> {
        check_size(width_px, height_px)?;
        let num_tiles = width_px.div_ceil(TILE_PX) * height_px.div_ceil(TILE_PX);
        Ok(Self {
            width_px,
            height_px,
            pixels: vec![0; (width_px * height_px * 4) as usize],
            is_dirty: vec![false; num_tiles as usize],
            num_dirty: 0,
        })
    }

    /// Takes over a snapshot of an area (BGRX, no padding); returns how many tiles newly differ.
    /// The area must lie inside the display.
    pub fn update(&mut self, x_px: u32, y_px: u32, width_px: u32, height_px: u32, snapshot: &[u8]) -> u32 {
        assert!(
            x_px + width_px <= self.width_px && y_px + height_px <= self.height_px,
            "area outside the display"
        );
        assert_eq!(snapshot.len(), (width_px * height_px * 4) as usize, "snapshot size");
        let before = self.num_dirty;
        let tiles_across = self.width_px.div_ceil(TILE_PX);
        for row in 0..height_px {
            let y = y_px + row;
            let new_row = &snapshot[(row * width_px * 4) as usize..((row + 1) * width_px * 4) as usize];
            let start = ((y * self.width_px + x_px) * 4) as usize;
            let old_row = &mut self.pixels[start..start + new_row.len()];
            if old_row == new_row {
                continue;
            }
            let mut x = x_px;
            while x < x_px + width_px {
                let tile_end = ((x / TILE_PX + 1) * TILE_PX).min(x_px + width_px);
                let span = ((x - x_px) * 4) as usize..((tile_end - x_px) * 4) as usize;
                if old_row[span.clone()] != new_row[span.clone()] {
                    old_row[span.clone()].copy_from_slice(&new_row[span]);
                    let dirty = &mut self.is_dirty[(y / TILE_PX * tiles_across + x / TILE_PX) as usize];
                    self.num_dirty += u32::from(!*dirty);
                    *dirty = true;
                }
                x = tile_end;
            }
        }
        self.num_dirty - before
    }

    /// Whether anything differs from the last message.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.num_dirty > 0
    }

    /// Bytes of a keyframe before compression.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        (self.width_px * self.height_px * 3) as usize
    }

    /// A picture that is decodable alone.
    pub fn keyframe(&mut self, times: Times) -> Vec<u8> {
        self.is_dirty.fill(true);
        self.num_dirty = self.is_dirty.len() as u32;
        self.message(true, times)
    }

    /// The change since the last message.
    pub fn delta(&mut self, times: Times) -> Vec<u8> {
        self.message(false, times)
    }

    fn message(&mut self, is_key: bool, times: Times) -> Vec<u8> {
        let tile_bytes = (TILE_PX * TILE_PX * 3 + 5) as usize;
        let mut out = Vec::with_capacity(super::HEADER_BYTES + self.num_dirty as usize * tile_bytes);
        let (width_px, height_px) = (self.width_px, self.height_px);
        Header { is_key, width_px, height_px, times, num_ops: self.num_dirty }.write(&mut out);
        let tiles_across = width_px.div_ceil(TILE_PX);
        for (at, _) in self.is_dirty.iter().enumerate().filter(|(_, is_dirty)| **is_dirty) {
            let (tile_x, tile_y) = (at as u32 % tiles_across, at as u32 / tiles_across);
            out.push(OP_TILE_BGR);
            out.extend_from_slice(&(tile_x as u16).to_le_bytes());
            out.extend_from_slice(&(tile_y as u16).to_le_bytes());
            let (left, top) = (tile_x * TILE_PX, tile_y * TILE_PX);
            let tile_width = TILE_PX.min(width_px - left);
            for y in top..height_px.min(top + TILE_PX) {
                let start = ((y * width_px + left) * 4) as usize;
                let row = &self.pixels[start..start + (tile_width * 4) as usize];
                out.extend(row.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
            }
        }
        self.is_dirty.fill(false);
        self.num_dirty = 0;
        out
    }
}
