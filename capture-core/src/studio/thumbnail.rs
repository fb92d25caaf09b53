//! Small pictures as PNG, for the pages of the application.

use praxis_bundle::screen::shrink;

/// A picture of pixels that begin with blue, green, red and are `N` bytes each, made at most `width_limit_px` wide, as PNG.
/// Empty if there are no pixels.
pub(super) fn png<const N: usize>(
    pixels: &[u8],
    width_px: u32,
    height_px: u32,
    width_limit_px: u32,
) -> Vec<u8> {
    let small = shrink::<N>(pixels, width_px, height_px, width_limit_px);
    small.and_then(|small| encode(&small.rgb, small.width_px, small.height_px).ok()).unwrap_or_default()
}

fn encode(rgb: &[u8], width_px: u32, height_px: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width_px, height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header()?.write_image_data(rgb)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_is_a_png_of_its_colours_and_nothing_is_made_of_nothing() {
        let png = png::<4>(&[30, 20, 10, 0].repeat(8), 4, 2, 2);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((info.width, info.height, rgb), (2, 1, [10, 20, 30].repeat(2)));
        assert!(super::png::<4>(&[], 4, 4, 2).is_empty());
    }
}
