//! Pictures as files: made smaller where that is asked for, coded as PNG or lossless WebP.

use fast_image_resize::images::{Image as Pixels, ImageRef};
use fast_image_resize::{PixelType, Resizer};
use praxis_bundle::screen::Picture;

use crate::{Error, Result};

/// How pictures are coded. Both keep every pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coding {
    /// PNG.
    #[default]
    Png,
    /// Lossless WebP.
    WebP,
}

impl Coding {
    /// The ending of a file's name.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }
}

/// How pictures are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// As which kind of file.
    pub coding: Coding,
    /// How large.
    pub size: Size,
}

/// How large pictures are to be. None is made larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// As they were recorded.
    #[default]
    Own,
    /// At most so wide and high, with their sides in proportion.
    Most(u32, u32),
    /// That of the screenshots that Anthropic's models are given: [`SCREENSHOTS_PX`], whichever has the proportion; else their own.
    Screenshot,
}

/// Sizes of screenshots, by proportion: 4:3, 16:10, 16:9. Source: anthropic-quickstarts, `computer.py`.
pub const SCREENSHOTS_PX: [(u32, u32); 3] = [(1024, 768), (1280, 800), (1366, 768)];
/// Proportions that differ by less are the same.
const SAME_PROPORTION: f64 = 0.02;

/// A picture, coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its width.
    pub width_px: u32,
    /// Its height.
    pub height_px: u32,
    /// Tiles of the recorded picture that are near to what was shown, not exact.
    pub num_lossy_tiles: usize,
}

/// The size of a picture in an export.
#[must_use]
pub fn size_of(width_px: u32, height_px: u32, options: Options) -> (u32, u32) {
    let (most_width, most_height) = match options.size {
        Size::Own => return (width_px, height_px),
        Size::Most(width, height) => (width, height),
        Size::Screenshot => {
            let proportion = |(width, height): (u32, u32)| f64::from(width) / f64::from(height);
            let is_it = |size: &(u32, u32)| {
                size.0 < width_px
                    && (proportion(*size) - proportion((width_px, height_px))).abs() < SAME_PROPORTION
            };
            return SCREENSHOTS_PX.into_iter().find(is_it).unwrap_or((width_px, height_px));
        }
    };
    let by_width = f64::from(most_width) / f64::from(width_px);
    let by_height = f64::from(most_height) / f64::from(height_px);
    let scale = by_width.min(by_height).min(1.0);
    let side = |px: u32| ((f64::from(px) * scale).round() as u32).max(1);
    (side(width_px), side(height_px))
}

/// Codes a picture.
///
/// # Errors
/// `Coding`.
pub fn code(picture: &Picture, options: Options) -> Result<Image> {
    let (width_px, height_px) = size_of(picture.width_px, picture.height_px, options);
    let mut rgb = picture.bgr.clone();
    rgb.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    if (width_px, height_px) != (picture.width_px, picture.height_px) {
        let failed = Error::coding("a smaller picture");
        let from = ImageRef::new(picture.width_px, picture.height_px, &rgb, PixelType::U8x3);
        let from = from.map_err(|error| failed(&error))?;
        let mut to = Pixels::new(width_px, height_px, PixelType::U8x3);
        Resizer::new().resize(&from, &mut to, None).map_err(|error| failed(&error))?;
        rgb = to.into_vec();
    }
    let bytes = match options.coding {
        Coding::Png => png(&rgb, width_px, height_px),
        Coding::WebP => webp(&rgb, width_px, height_px),
    }?;
    Ok(Image { bytes, width_px, height_px, num_lossy_tiles: picture.num_lossy_tiles() })
}

fn png(rgb: &[u8], width_px: u32, height_px: u32) -> Result<Vec<u8>> {
    let failed = Error::coding("a PNG");
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width_px, height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    writer.write_image_data(rgb).map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn webp(rgb: &[u8], width_px: u32, height_px: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image_webp::WebPEncoder::new(&mut bytes)
        .encode(rgb, width_px, height_px, image_webp::ColorType::Rgb8)
        .map_err(|error| Error::coding("a WebP")(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width_px: u32, height_px: u32) -> Picture {
        let bgr = (0..width_px * height_px).flat_map(|n| [n as u8, (n / 7) as u8, 200]).collect();
        Picture { width_px, height_px, bgr, ..Picture::default() }
    }

    #[test]
    fn every_pixel_is_kept() {
        let picture = picture(67, 33);
        let expected: Vec<u8> = picture.bgr.chunks(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let image = code(&picture, Options::default()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&image.bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, expected);
        let image = code(&picture, Options { coding: Coding::WebP, size: Size::Own }).unwrap();
        let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&image.bytes)).unwrap();
        let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
        decoder.read_image(&mut pixels).unwrap();
        assert_eq!(pixels, expected);
    }

    #[test]
    fn what_is_too_large_keeps_its_proportions_and_nothing_grows() {
        let most = |width, height| Options { size: Size::Most(width, height), ..Options::default() };
        assert_eq!(size_of(1920, 1080, most(1280, 800)), (1280, 720));
        assert_eq!(size_of(800, 600, most(1280, 800)), (800, 600));
        assert_eq!(size_of(16_384, 2, most(64, 64)), (64, 1));
        let screenshot = Options { size: Size::Screenshot, ..Options::default() };
        for (own, expected) in [
            ((1920, 1080), (1366, 768)),
            ((2560, 1600), (1280, 800)),
            ((800, 600), (800, 600)),
            ((3440, 1440), (3440, 1440)),
        ] {
            assert_eq!(size_of(own.0, own.1, screenshot), expected);
        }
        let image = code(&picture(67, 33), most(20, 20)).unwrap();
        assert_eq!((image.width_px, image.height_px), (20, 10));
    }
}
