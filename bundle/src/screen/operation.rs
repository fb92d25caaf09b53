//! The operations of a picture message: how they are laid out, written and parsed.

use super::{Header, TILE_PX};
use crate::record::Fields;
use crate::{Error, Result};

const TILE_BGR: u8 = 0x01;
const TILE_PLANAR: u8 = 0x02;
const COPY: u8 = 0x03;
const LOSSY: u8 = 0x04;
/// Bytes of a tile operation besides its pixels.
pub(super) const TILE_OVERHEAD_BYTES: usize = 5;

/// A rectangle of a display's picture, in its pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Area {
    /// The pixels of the tile at a column and row, cut off by the picture's edge.
    #[must_use]
    pub fn of_tile(column: u32, row: u32, width_px: u32, height_px: u32) -> Self {
        let (x, y) = (column * TILE_PX, row * TILE_PX);
        Self { x, y, width: TILE_PX.min(width_px - x), height: TILE_PX.min(height_px - y) }
    }

    /// First pixel after it, to the right.
    #[must_use]
    pub fn right(self) -> u32 {
        self.x + self.width
    }

    /// First pixel after it, below.
    #[must_use]
    pub fn bottom(self) -> u32 {
        self.y + self.height
    }

    /// Number of pixels.
    #[must_use]
    pub fn num_pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Whether all of it lies in another area.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.x >= other.x
            && self.y >= other.y
            && self.right() <= other.right()
            && self.bottom() <= other.bottom()
    }

    /// Numbers of the tiles that it touches, in a picture so many tiles wide.
    pub fn tiles(self, tiles_across: u32) -> impl Iterator<Item = usize> {
        let columns = self.x / TILE_PX..self.right().div_ceil(TILE_PX);
        let rows = self.y / TILE_PX..self.bottom().div_ceil(TILE_PX);
        rows.flat_map(move |row| columns.clone().map(move |column| (row * tiles_across + column) as usize))
    }

    /// Whether it lies inside a picture and is not empty.
    #[must_use]
    pub fn is_inside(self, width_px: u32, height_px: u32) -> bool {
        self.width > 0 && self.height > 0 && self.right() <= width_px && self.bottom() <= height_px
    }
}

/// A rectangle that is taken over from the picture before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// Where it goes.
    pub to: Area,
    /// Left edge of where it comes from.
    pub from_x: u32,
    /// Upper edge of where it comes from.
    pub from_y: u32,
}

/// One operation on the previous picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A tile, exact.
    Tile {
        /// Column of tiles.
        column: u32,
        /// Row of tiles.
        row: u32,
        /// Planar with the "up" filter; else packed BGR.
        is_planar: bool,
        /// Its bytes.
        data: &'a [u8],
    },
    /// A rectangle of the picture before, exact.
    Copy(Copy),
    /// A rectangle of whole tiles, not exact.
    Lossy {
        /// Its pixels.
        area: Area,
        /// A JPEG of that size.
        jpeg: &'a [u8],
    },
}

/// The operations of a message, whose header is known. Ends after the first error; every place is inside the picture.
///
/// Copies come first; then lossy rectangles and tiles, tiles in raster order, each at most once. Copies together cover
/// at most as many pixels as the picture has, and so do lossy rectangles: the work for a message is bounded.
pub fn operations<'a>(header: &Header, bytes: &'a [u8]) -> impl Iterator<Item = Result<Operation<'a>>> {
    let mut parser = Parser {
        fields: Fields::of("picture", bytes),
        header: *header,
        next_tile: 0,
        may_copy: true,
        copied: 0,
        lossy: 0,
    };
    let mut left = Some(header.num_ops);
    std::iter::from_fn(move || {
        let next = match left? {
            0 => parser.fields.end().err().map(Err),
            _ => Some(parser.next()),
        };
        left = left.filter(|_| matches!(next, Some(Ok(_)))).map(|left| left - 1);
        next
    })
}

/// How many tiles a message sends inexactly; none if it is malformed from there on.
#[must_use]
pub fn num_lossy_tiles(message: &[u8]) -> u64 {
    let Ok((header, bytes)) = Header::parse(message) else { return 0 };
    let tiles_across = header.width_px.div_ceil(TILE_PX);
    let in_operation = |operation: Operation<'_>| match operation {
        Operation::Lossy { area, .. } => area.tiles(tiles_across).count() as u64,
        _ => 0,
    };
    operations(&header, bytes).map_while(Result::ok).map(in_operation).sum()
}

/// How many pixels a message copies, and how many it sends inexactly: a few bytes can ask for that much work.
pub(crate) fn stated_pixels(message: &[u8]) -> (u64, u64) {
    let Ok((header, bytes)) = Header::parse(message) else { return (0, 0) };
    let sound = operations(&header, bytes).map_while(Result::ok);
    sound.fold((0, 0), |(copied, lossy), operation| match operation {
        Operation::Copy(copy) => (copied + copy.to.num_pixels(), lossy),
        Operation::Lossy { area, .. } => (copied, lossy + area.num_pixels()),
        Operation::Tile { .. } => (copied, lossy),
    })
}

struct Parser<'a> {
    fields: Fields<'a>,
    header: Header,
    /// Number of the first tile that may follow.
    next_tile: u32,
    may_copy: bool,
    /// Pixels covered by copies and by lossy rectangles.
    copied: u64,
    lossy: u64,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<Operation<'a>> {
        let code = self.fields.u8()?;
        if code != COPY {
            self.may_copy = false;
        }
        match code {
            TILE_BGR | TILE_PLANAR => self.tile(code == TILE_PLANAR),
            COPY => self.copy(),
            LOSSY => self.lossy(),
            _ => Err(self.fields.malformed(format!("unknown operation {code:#04x}"))),
        }
    }

    fn tile(&mut self, is_planar: bool) -> Result<Operation<'a>> {
        let Header { width_px, height_px, .. } = self.header;
        let (column, row) = (u32::from(self.fields.u16()?), u32::from(self.fields.u16()?));
        let tile = row * width_px.div_ceil(TILE_PX) + column;
        let is_outside = column * TILE_PX >= width_px || row * TILE_PX >= height_px;
        if is_outside || tile < self.next_tile {
            return Err(self.fields.malformed(format!("tile {column},{row} outside or out of order")));
        }
        self.next_tile = tile + 1;
        let area = Area::of_tile(column, row, width_px, height_px);
        let data = self.fields.take(area.num_pixels() as usize * 3)?;
        Ok(Operation::Tile { column, row, is_planar, data })
    }

    fn copy(&mut self) -> Result<Operation<'a>> {
        let Header { width_px, height_px, is_key, .. } = self.header;
        let to = self.area()?;
        let (from_x, from_y) = (u32::from(self.fields.u16()?), u32::from(self.fields.u16()?));
        let from = Area { x: from_x, y: from_y, ..to };
        self.copied += to.num_pixels();
        let is_sound = to.is_inside(width_px, height_px) && from.is_inside(width_px, height_px);
        if !is_sound || is_key || !self.may_copy || self.copied > self.num_pixels() {
            return Err(self.fields.malformed("a copy outside the picture, out of order, or in a keyframe"));
        }
        Ok(Operation::Copy(Copy { to, from_x, from_y }))
    }

    fn lossy(&mut self) -> Result<Operation<'a>> {
        let Header { width_px, height_px, is_key, .. } = self.header;
        let tiles = self.area()?;
        let bytes = self.fields.u32()? as usize;
        let jpeg = self.fields.take(bytes)?;
        let (columns, rows) = (width_px.div_ceil(TILE_PX), height_px.div_ceil(TILE_PX));
        if is_key || !tiles.is_inside(columns, rows) {
            return Err(self.fields.malformed("a lossy rectangle outside the picture or in a keyframe"));
        }
        let (x, y) = (tiles.x * TILE_PX, tiles.y * TILE_PX);
        let (right, bottom) =
            ((tiles.right() * TILE_PX).min(width_px), (tiles.bottom() * TILE_PX).min(height_px));
        let area = Area { x, y, width: right - x, height: bottom - y };
        self.lossy += area.num_pixels();
        if self.lossy > self.num_pixels() {
            return Err(self.fields.malformed("lossy rectangles of more pixels than the picture has"));
        }
        Ok(Operation::Lossy { area, jpeg })
    }

    fn area(&mut self) -> Result<Area> {
        let mut next = || self.fields.u16().map(u32::from);
        Ok(Area { x: next()?, y: next()?, width: next()?, height: next()? })
    }

    fn num_pixels(&self) -> u64 {
        u64::from(self.header.width_px) * u64::from(self.header.height_px)
    }
}

/// Appends the start of a tile operation; its bytes follow.
pub(super) fn write_tile_start(out: &mut Vec<u8>, column: u32, row: u32, is_planar: bool) {
    out.push(if is_planar { TILE_PLANAR } else { TILE_BGR });
    write_u16s(out, [column, row]);
}

/// Appends a copy.
pub(super) fn write_copy(out: &mut Vec<u8>, copy: &Copy) {
    let Copy { to, from_x, from_y } = *copy;
    out.push(COPY);
    write_u16s(out, [to.x, to.y, to.width, to.height, from_x, from_y]);
}

/// Appends a lossy rectangle of whole tiles.
pub(super) fn write_lossy(out: &mut Vec<u8>, tiles: Area, jpeg: &[u8]) {
    out.push(LOSSY);
    write_u16s(out, [tiles.x, tiles.y, tiles.width, tiles.height]);
    out.extend_from_slice(&(jpeg.len() as u32).to_le_bytes());
    out.extend_from_slice(jpeg);
}

fn write_u16s<const N: usize>(out: &mut Vec<u8>, values: [u32; N]) {
    for value in values {
        out.extend_from_slice(&(value as u16).to_le_bytes());
    }
}

/// The error of a message that is laid out well but asks for what cannot be.
pub(super) fn impossible(why: &str) -> Error {
    Error::malformed("picture", 0, why)
}
