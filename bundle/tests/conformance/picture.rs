//! Pictures as the format document defines them: writes operations, and keeps what a reader must show.
//!
//! Written from the document alone; nothing of the crate's own encoder is in it.

use jpeg_encoder::{ColorType, SamplingFactor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const TILE_PX: u32 = 32;

/// Left, top, width, height; in pixels or in tiles.
pub(crate) type Rectangle = (u32, u32, u32, u32);
/// B, G, R of a pixel by its place in the picture.
pub(crate) type Paint = fn(u32, u32) -> [u8; 3];

pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Flat areas with thin strokes.
pub(crate) fn text(x: u32, y: u32) -> [u8; 3] {
    if (x * 7 + y * 3) % 11 < 2 && y % 16 < 11 { [20, 30, 40] } else { [250, 248, 240] }
}

/// Every pixel differs from its neighbours.
pub(crate) fn noise(x: u32, y: u32) -> [u8; 3] {
    let mixed = (x + 1).wrapping_mul(2_654_435_761).rotate_left(13) ^ (y + 1).wrapping_mul(2_246_822_519);
    let mixed = mixed.wrapping_mul(3_266_489_917);
    [(mixed >> 8) as u8, (mixed >> 16) as u8, (mixed >> 24) as u8]
}

/// Smooth, as in a photograph.
pub(crate) fn shade(x: u32, y: u32) -> [u8; 3] {
    [(40 + x) as u8, (200 - y) as u8, (90 + (x + y) / 2) as u8]
}

/// The colour of a mask.
pub(crate) fn mask(_: u32, _: u32) -> [u8; 3] {
    [0x7f; 3]
}

/// One display's picture and the operations that are to change it next.
pub(crate) struct Painter {
    width: u32,
    height: u32,
    bgr: Vec<u8>,
    is_lossy: Vec<bool>,
    operations: Vec<u8>,
    num_operations: u32,
    /// The picture as it was before these operations.
    base: Vec<u8>,
}

impl Painter {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let bgr = vec![0; (width * height * 3) as usize];
        let is_lossy = vec![false; (width.div_ceil(TILE_PX) * height.div_ceil(TILE_PX)) as usize];
        Self { width, height, base: bgr.clone(), bgr, is_lossy, operations: Vec::new(), num_operations: 0 }
    }

    /// A tile, packed or planar.
    pub(crate) fn tile(&mut self, (column, row): (u32, u32), is_planar: bool, paint: Paint) -> &mut Self {
        let area = self.pixels_of((column, row, 1, 1));
        self.start(if is_planar { 2 } else { 1 }, &[column, row]);
        let value = |x: u32, y: u32, plane: usize| paint(x, y)[plane];
        let (left, top, width, height) = area;
        for y in top..top + height {
            (left..left + width).for_each(|x| self.put(x, y, paint(x, y)));
        }
        if is_planar {
            for plane in 0..3 {
                for y in top..top + height {
                    for x in left..left + width {
                        let above = if y == top { 0 } else { value(x, y - 1, plane) };
                        self.operations.push(value(x, y, plane).wrapping_sub(above));
                    }
                }
            }
        } else {
            for y in top..top + height {
                (left..left + width).for_each(|x| self.operations.extend(paint(x, y)));
            }
        }
        let number = row * self.width.div_ceil(TILE_PX) + column;
        self.is_lossy[number as usize] = false;
        self
    }

    /// Every tile, alternately packed and planar.
    pub(crate) fn all(&mut self, paint: Paint) -> &mut Self {
        for row in 0..self.height.div_ceil(TILE_PX) {
            for column in 0..self.width.div_ceil(TILE_PX) {
                self.tile((column, row), (column + row) % 2 == 1, paint);
            }
        }
        self
    }

    /// A rectangle of the base, moved.
    pub(crate) fn copy(&mut self, to: Rectangle, (from_x, from_y): (u32, u32)) -> &mut Self {
        let (left, top, width, height) = to;
        self.start(3, &[left, top, width, height, from_x, from_y]);
        for y in 0..height {
            for x in 0..width {
                let at = (((from_y + y) * self.width + from_x + x) * 3) as usize;
                let pixel = [self.base[at], self.base[at + 1], self.base[at + 2]];
                self.put(left + x, top + y, pixel);
            }
        }
        let across = self.width.div_ceil(TILE_PX);
        for number in 0..self.is_lossy.len() as u32 {
            let (x, y, w, h) = self.pixels_of((number % across, number / across, 1, 1));
            let is_covered = x >= left && y >= top && x + w <= left + width && y + h <= top + height;
            self.is_lossy[number as usize] &= !is_covered;
        }
        self
    }

    /// A rectangle of tiles as JPEG.
    pub(crate) fn lossy(&mut self, tiles: Rectangle, paint: Paint) -> &mut Self {
        let (left, top, width, height) = self.pixels_of(tiles);
        let rows = top..top + height;
        let pixels: Vec<u8> =
            rows.flat_map(|y| (left..left + width).flat_map(move |x| paint(x, y))).collect();
        let mut jpeg = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.encode(&pixels, width as u16, height as u16, ColorType::Bgr).expect("a JPEG");
        let (column, row, columns, rows) = tiles;
        self.start(4, &[column, row, columns, rows]);
        self.operations.extend((jpeg.len() as u32).to_le_bytes());
        self.operations.extend(&jpeg);
        // What the picture shows is known only nearly; the means are taken from what was coded.
        for (n, pixel) in pixels.chunks_exact(3).enumerate() {
            let (x, y) = (left + n as u32 % width, top + n as u32 / width);
            self.put(x, y, [pixel[0], pixel[1], pixel[2]]);
        }
        for row in row..row + rows {
            for column in column..column + columns {
                self.is_lossy[(row * self.width.div_ceil(TILE_PX) + column) as usize] = true;
            }
        }
        self
    }

    /// The message of all operations since the last one.
    pub(crate) fn message(&mut self, is_key: bool, times: [u64; 3]) -> Vec<u8> {
        let mut message = vec![1, u8::from(!is_key)];
        message.extend((self.width as u16).to_le_bytes());
        message.extend((self.height as u16).to_le_bytes());
        message.extend([0; 2]);
        times.iter().for_each(|time| message.extend(time.to_le_bytes()));
        message.extend(self.num_operations.to_le_bytes());
        message.extend([0; 4]);
        message.append(&mut self.operations);
        self.num_operations = 0;
        self.base.clone_from(&self.bgr);
        message
    }

    /// What a reader must show now, in the words of the twins.
    pub(crate) fn shown(&self) -> Value {
        shown(self.width, self.height, &self.bgr, &self.is_lossy)
    }

    fn put(&mut self, x: u32, y: u32, pixel: [u8; 3]) {
        let at = ((y * self.width + x) * 3) as usize;
        self.bgr[at..at + 3].copy_from_slice(&pixel);
    }

    fn pixels_of(&self, tiles: Rectangle) -> Rectangle {
        pixels_of(self.width, self.height, tiles)
    }

    fn start(&mut self, code: u8, fields: &[u32]) {
        self.operations.push(code);
        fields.iter().for_each(|field| self.operations.extend((*field as u16).to_le_bytes()));
        self.num_operations += 1;
    }
}

fn pixels_of(width: u32, height: u32, (column, row, columns, rows): Rectangle) -> Rectangle {
    let (x, y) = (column * TILE_PX, row * TILE_PX);
    (x, y, (columns * TILE_PX).min(width - x), (rows * TILE_PX).min(height - y))
}

/// Size, digest of the exact pixels (lossy tiles as zeros) and the mean colour of each lossy tile.
pub(crate) fn shown(width: u32, height: u32, bgr: &[u8], is_lossy: &[bool]) -> Value {
    let across = width.div_ceil(TILE_PX);
    let (mut exact, mut lossy) = (bgr.to_vec(), serde_json::Map::new());
    for number in (0..is_lossy.len()).filter(|number| is_lossy[*number]) {
        let (left, top, columns, rows) =
            pixels_of(width, height, (number as u32 % across, number as u32 / across, 1, 1));
        let mut sums = [0.0; 3];
        for y in top..top + rows {
            for x in left..left + columns {
                let at = ((y * width + x) * 3) as usize;
                (0..3).for_each(|plane| sums[plane] += f64::from(bgr[at + plane]));
                exact[at..at + 3].fill(0);
            }
        }
        let mean = sums.map(|sum| (sum / f64::from(columns * rows) * 10.0).round() / 10.0);
        lossy.insert(number.to_string(), json!(mean));
    }
    json!({"width_px": width, "height_px": height, "sha256": hex(&exact), "lossy": lossy})
}
