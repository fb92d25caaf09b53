//! Lossy rectangles: JPEG without colour subsampling, for what moves too much to be kept exactly.

use jpeg_encoder::{ColorType, SamplingFactor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::operation::{Area, impossible};
use super::tile::Bgrx;
use crate::{Error, Result};

/// JPEG quality, of 100.
const QUALITY: u8 = 80;
/// Two decoders may differ by so much in each of B, G and R of a lossy pixel: JPEG leaves rounding to them.
pub const MAX_DECODER_DIFFERENCE: u8 = 4;

/// A JPEG of an area of a picture.
pub(super) fn encode(picture: Bgrx<'_>, area: Area) -> Result<Vec<u8>> {
    let mut pixels = Vec::with_capacity(area.num_pixels() as usize * 4);
    (area.y..area.bottom()).for_each(|y| pixels.extend_from_slice(picture.run(area.x, y, area.width)));
    let mut jpeg = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder
        .encode(&pixels, area.width as u16, area.height as u16, ColorType::Bgra)
        .map_err(|error| Error::malformed("picture", 0, format!("JPEG: {error}")))?;
    Ok(jpeg)
}

/// The pixels of a JPEG as packed BGR; it must have exactly this size.
pub(super) fn decode(jpeg: &[u8], width: u32, height: u32) -> Result<Vec<u8>> {
    let refused = |error| Error::malformed("picture", 0, format!("JPEG: {error}"));
    // The size is known before anything is allocated for it.
    let options = DecoderOptions::default()
        .set_max_width(width as usize)
        .set_max_height(height as usize)
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::BGR);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(refused)?;
    if decoder.dimensions() != Some((width as usize, height as usize)) {
        return Err(impossible("a JPEG of another size than its rectangle"));
    }
    let pixels = decoder.decode().map_err(refused)?;
    if pixels.len() != width as usize * height as usize * 3 {
        return Err(impossible("a JPEG that is not in colour"));
    }
    Ok(pixels)
}
