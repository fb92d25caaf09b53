//! Small pictures of large ones: each pixel is the mean of a block of pixels.

/// A small picture, R, G, B of each pixel, top row first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// The pixels.
    pub rgb: Vec<u8>,
}

/// Makes a picture of pixels that begin with B, G, R and are `N` bytes each at most `width_limit_px` wide. `None` if there
/// are no pixels, or fewer than its size says.
#[must_use]
pub fn shrink<const N: usize>(
    pixels: &[u8],
    width_px: u32,
    height_px: u32,
    width_limit_px: u32,
) -> Option<Small> {
    let (width, height) = (width_px as usize, height_px as usize);
    if width == 0 || height == 0 || pixels.len() < width * height * N {
        return None;
    }
    let small_width = (width_limit_px as usize).clamp(1, width);
    let small_height = (height * small_width / width).max(1);
    let mut rgb = Vec::with_capacity(small_width * small_height * 3);
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
            rgb.extend(sums.map(|sum| (sum / num_pixels) as u8));
        }
    }
    Some(Small { width_px: small_width as u32, height_px: small_height as u32, rgb })
}

/// The pixels of the large side that one pixel of the small side stands for: at least one.
fn span(at: usize, small: usize, large: usize) -> (usize, usize) {
    let first = at * large / small;
    (first, ((at + 1) * large / small).max(first + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_small_pixel_is_the_mean_of_its_block_and_small_pictures_stay() {
        // Two by two blocks of 2 × 2 pixels; blue, green, red of each pixel.
        let block = |x: usize, y: usize| [10 * (x / 2) as u8, 20 * (y / 2) as u8, (x % 2 * 100) as u8, 0];
        let pixels: Vec<u8> = (0..4).flat_map(|y| (0..4).flat_map(move |x| block(x, y))).collect();
        let small = shrink::<4>(&pixels, 4, 4, 2).unwrap();
        assert_eq!((small.width_px, small.height_px), (2, 2));
        assert_eq!(small.rgb, [[50, 0, 0], [50, 0, 10], [50, 20, 0], [50, 20, 10]].concat());
        let same = shrink::<4>(&pixels, 4, 4, 100).unwrap();
        assert_eq!((same.width_px, same.height_px), (4, 4));
        assert_eq!(&same.rgb[3..6], [100, 0, 0]);
        let odd = shrink::<3>(&[7; 5 * 3 * 3], 5, 3, 2).unwrap();
        assert_eq!((odd.width_px, odd.height_px), (2, 1));
        assert!(shrink::<4>(&[], 4, 4, 2).is_none());
    }
}
