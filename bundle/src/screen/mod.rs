//! Screen pictures: exact keyframes, and deltas of copied rectangles, 32-pixel tiles and, under load, lossy rectangles.
//!
//! A picture message is a header and a list of operations on the previous picture ([`Encoder`], [`Decoder`]).
//! Exact operations are stored raw; the chunk's zstd does the rest. The layout is in `docs/bundle-format.md`.

mod decode;
mod decoders;
mod encode;
mod governor;
mod lossy;
mod motion;
mod operation;
mod shrink;
mod tile;

pub use decode::{Decoder, Picture};
pub use decoders::Decoders;
pub use encode::{Encoder, Snapshot};
pub use lossy::MAX_DECODER_DIFFERENCE;
pub(crate) use operation::stated_pixels;
pub use operation::{Area, Copy, Operation, num_lossy_tiles, operations};
pub use shrink::{Small, shrink};

use crate::record::Fields;
use crate::{Error, Result};

/// Edge of a tile in pixels.
pub const TILE_PX: u32 = 32;
/// Largest width or height of a display.
pub const MAX_EDGE_PX: u32 = 16_384;
/// Most pixels of a display: its keyframe must fit into one chunk.
pub const MAX_PIXELS: u64 = 21_000_000;
/// Bytes before the operations.
pub const HEADER_BYTES: usize = 40;
/// The colour of a mask: B, G, R of every pixel that a picture does not show.
pub const MASK_BGR: [u8; 3] = [0x7f; 3];

const VERSION: u8 = 1;

/// When a picture was taken, as session times in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The first change since the picture before was announced.
    pub first_damage: u64,
    /// The snapshot was asked for.
    pub capture_start: u64,
    /// The snapshot was there. This is also the message's time.
    pub capture_end: u64,
}

/// The fixed part of a picture message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// True if it is decodable alone.
    pub is_key: bool,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// When it was taken.
    pub times: Times,
    /// Operations that follow.
    pub num_ops: u32,
}

impl Header {
    /// Parses the header of a picture message; the operations are the rest.
    ///
    /// # Errors
    /// `Malformed` or `TooLarge`.
    pub fn parse(message: &[u8]) -> Result<(Self, &[u8])> {
        let mut fields = Fields::of("picture", message);
        let (version, kind, width, height) = (fields.u8()?, fields.u8()?, fields.u16()?, fields.u16()?);
        if version != VERSION || kind > 1 {
            return Err(fields.malformed(format!("version {version} kind {kind}, expected 1 and 0 or 1")));
        }
        let reserved = fields.u16()?;
        let times =
            Times { first_damage: fields.u64()?, capture_start: fields.u64()?, capture_end: fields.u64()? };
        let num_ops = fields.u32()?;
        let more_reserved = fields.u32()?;
        if reserved != 0 || more_reserved != 0 {
            return Err(fields.malformed("reserved bytes are not zero"));
        }
        let header =
            Self { is_key: kind == 0, width_px: width.into(), height_px: height.into(), times, num_ops };
        check_size(header.width_px, header.height_px)?;
        Ok((header, fields.rest()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, u8::from(!self.is_key)]);
        out.extend_from_slice(&(self.width_px as u16).to_le_bytes());
        out.extend_from_slice(&(self.height_px as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        for time in [self.times.first_damage, self.times.capture_start, self.times.capture_end] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        out.extend_from_slice(&self.num_ops.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
}

/// Whether a display of that size can be recorded.
///
/// # Errors
/// `TooLarge` or `Malformed` (an empty picture).
pub fn check_size(width_px: u32, height_px: u32) -> Result<()> {
    if width_px == 0 || height_px == 0 {
        return Err(Error::malformed("picture", 0, format!("{width_px}×{height_px} pixels")));
    }
    let edge = width_px.max(height_px);
    if edge > MAX_EDGE_PX {
        return Err(Error::TooLarge {
            what: "pixels along an edge of a display",
            found: edge.into(),
            limit: MAX_EDGE_PX.into(),
        });
    }
    let pixels = u64::from(width_px) * u64::from(height_px);
    if pixels > MAX_PIXELS {
        return Err(Error::TooLarge { what: "pixels of a display", found: pixels, limit: MAX_PIXELS });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
