//! The bytes of one tile: packed BGR for text and flat areas, planar with an "up" filter for photographs.
//!
//! zstd finds whole glyphs in packed rows; in photographs there is nothing to find, but neighbouring rows are alike.

use super::TILE_PX;
use super::operation::Area;

const TILE: usize = TILE_PX as usize;
/// One row of a tile; pixels as B, G, R, X in a little-endian number.
type Row = [u32; TILE];

/// A picture of B, G, R, X bytes, or a part of one, without padding between rows.
#[derive(Clone, Copy)]
pub(super) struct Bgrx<'a> {
    pub(super) width: u32,
    pub(super) bytes: &'a [u8],
}

impl<'a> Bgrx<'a> {
    /// The bytes of a run of pixels in one row.
    pub(super) fn run(&self, x: u32, y: u32, width: u32) -> &'a [u8] {
        let start = (y as usize * self.width as usize + x as usize) * 4;
        &self.bytes[start..start + width as usize * 4]
    }

    fn row(&self, x: u32, y: u32, width: u32) -> Row {
        let mut row = [0; TILE];
        for (pixel, bytes) in row.iter_mut().zip(self.run(x, y, width).chunks_exact(4)) {
            *pixel = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        }
        row
    }
}

/// How many pixels of a tile differ from their left neighbour: few in text, most in photographs.
pub(super) fn num_changes(picture: Bgrx<'_>, area: Area) -> u32 {
    let in_row = |y| {
        let row = picture.row(area.x, y, area.width);
        let width = area.width as usize;
        row[1..width].iter().zip(&row[..width - 1]).map(|(pixel, left)| u32::from(pixel != left)).sum::<u32>()
    };
    (area.y..area.bottom()).map(in_row).sum()
}

/// Appends packed BGR.
pub(super) fn pack_bgr(picture: Bgrx<'_>, area: Area, out: &mut Vec<u8>) {
    for y in area.y..area.bottom() {
        let row = picture.run(area.x, y, area.width);
        let start = out.len();
        // Each pixel is written with its X, which the next one covers; the last X is taken off again.
        out.resize(start + area.width as usize * 3 + 1, 0);
        for (n, pixel) in row.chunks_exact(4).enumerate() {
            out[start + n * 3..start + n * 3 + 4].copy_from_slice(pixel);
        }
        out.pop();
    }
}

/// Appends three planes, B, G, R, each row less the one above it.
pub(super) fn pack_planar(picture: Bgrx<'_>, area: Area, out: &mut Vec<u8>) {
    let (width, plane_bytes) = (area.width as usize, area.num_pixels() as usize);
    let start = out.len();
    out.resize(start + 3 * plane_bytes, 0);
    let mut above = [0; TILE];
    for (n, y) in (area.y..area.bottom()).enumerate() {
        let row = picture.row(area.x, y, area.width);
        for plane in 0..3 {
            let at = start + plane * plane_bytes + n * width;
            let values = out[at..at + width].iter_mut().zip(row.iter().zip(&above));
            values.for_each(|(out, (pixel, above))| {
                *out = ((pixel >> (8 * plane)) as u8).wrapping_sub((above >> (8 * plane)) as u8);
            });
        }
        above = row;
    }
}

/// Writes the bytes of a tile into a picture of packed BGR that is `width_px` wide.
pub(super) fn unpack(data: &[u8], is_planar: bool, area: Area, bgr: &mut [u8], width_px: u32) {
    let (width, plane_bytes) = (area.width as usize, area.num_pixels() as usize);
    let mut above = [0u8; 3 * TILE];
    for (n, y) in (area.y..area.bottom()).enumerate() {
        let start = (y as usize * width_px as usize + area.x as usize) * 3;
        let row = &mut bgr[start..start + 3 * width];
        if !is_planar {
            row.copy_from_slice(&data[n * 3 * width..(n + 1) * 3 * width]);
            continue;
        }
        for plane in 0..3 {
            let values = &data[plane * plane_bytes + n * width..][..width];
            let above = above[plane * TILE..].iter_mut();
            for ((value, above), pixel) in values.iter().zip(above).zip(row.chunks_exact_mut(3)) {
                *above = above.wrapping_add(*value);
                pixel[plane] = *above;
            }
        }
    }
}
