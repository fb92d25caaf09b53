//! Small pictures of large ones: the mean of each block of pixels, as PNG.

/// A picture of pixels that begin with blue, green, red and are `N` bytes each, made at most `width_limit_px` wide, as PNG.
/// Empty if there are no pixels.
pub(super) fn png<const N: usize>(
    pixels: &[u8],
    width_px: u32,
    height_px: u32,
    width_limit_px: u32,
) -> Vec<u8> {
    let (width, height) = (width_px as usize, height_px as usize);
    if width == 0 || height == 0 || pixels.len() < width * height * N {
        return Vec::new();
    }
    let small_width = (width_limit_px as usize).clamp(1, width);
    let small_height = (height * small_width / width).max(1);
    let mut small = Vec::with_capacity(small_width * small_height * 3);
    for row in 0..small_height {
        let (top, bottom) = span(row, small_height, height);
        for column in 0..small_width {
            let (left, right) = span(column, small_width, width);
            let mut sums = [0u32; 3];
            for y in top..bottom {
                let line = &pixels[(y * width + left) * N..(y * width + right) * N];
                for pixel in line.chunks_exact(N) {
                    for (sum, value) in sums.iter_mut().zip([pixel[2], pixel[1], pixel[0]]) {
                        *sum += u32::from(value);
                    }
                }
            }
            let num_pixels = ((bottom - top) * (right - left)) as u32;
            small.extend(sums.map(|sum| (sum / num_pixels) as u8));
        }
    }
    encode(&small, small_width as u32, small_height as u32).unwrap_or_default()
}

/// The pixels of the large side that one pixel of the small side stands for: at least one.
fn span(at: usize, small: usize, large: usize) -> (usize, usize) {
    let first = at * large / small;
    (first, ((at + 1) * large / small).max(first + 1))
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

    fn decoded(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    #[test]
    fn each_small_pixel_is_the_mean_of_its_block_and_small_pictures_stay() {
        // Two by two blocks of 2 × 2 pixels; blue, green, red of each pixel.
        let block = |x: usize, y: usize| [10 * (x / 2) as u8, 20 * (y / 2) as u8, (x % 2 * 100) as u8, 0];
        let pixels: Vec<u8> = (0..4).flat_map(|y| (0..4).flat_map(move |x| block(x, y))).collect();
        let (width, height, rgb) = decoded(&png::<4>(&pixels, 4, 4, 2));
        assert_eq!((width, height), (2, 2));
        assert_eq!(rgb, [[50, 0, 0], [50, 0, 10], [50, 20, 0], [50, 20, 10]].concat());
        let (width, height, rgb) = decoded(&png::<4>(&pixels, 4, 4, 100));
        assert_eq!((width, height), (4, 4));
        assert_eq!(&rgb[3..6], [100, 0, 0]);
        let (width, height, _) = decoded(&png::<3>(&[7; 5 * 3 * 3], 5, 3, 2));
        assert_eq!((width, height), (2, 1));
        assert!(png::<4>(&[], 4, 4, 2).is_empty());
    }
}
