//! Thumbnails of a sealed bundle: one of each display for every ten seconds in which it changed, and a strip of the whole
//! session.

use std::collections::HashMap;

use jpeg_encoder::ColorType;

use crate::screen::{Picture, Small, shrink};
use crate::{Error, Result, Track};

/// Begin of the names of thumbnails; the display's number follows.
pub(crate) const THUMBNAIL_NAME: &str = "praxis.thumbnail/";
/// Name of the strip.
pub(crate) const PREVIEW_NAME: &str = "praxis.preview";
/// Media type of both.
pub(crate) const MEDIA_TYPE: &str = "image/jpeg";
const EVERY_NANOS: u64 = 10_000_000_000;
const THUMBNAIL_WIDTH_PX: u32 = 320;
/// Pictures of the strip are so wide.
const STRIP_WIDTH_PX: u32 = 160;
/// Most pictures of the strip.
const STRIP_PICTURES: usize = 12;
const QUALITY: u8 = 75;

/// Makes thumbnails as pictures come by.
#[derive(Default)]
pub(super) struct Thumbnails {
    /// Per display, the ten seconds of which the next picture is to have a thumbnail.
    next: HashMap<Track, u64>,
    /// The first display that had a picture: the strip shows it.
    first: Option<Track>,
    /// Pictures for the strip, evenly spaced; of twice as many as it needs every other one is dropped.
    strip: Vec<Small>,
    /// Each of how many thumbnails is kept for the strip, and how many have come.
    stride: usize,
    num_seen: usize,
}

impl Thumbnails {
    /// The thumbnail of this picture, as JPEG, if there is to be one.
    pub(super) fn take(&mut self, track: Track, nanos: u64, picture: &Picture) -> Result<Option<Vec<u8>>> {
        let next = self.next.entry(track).or_default();
        if nanos / EVERY_NANOS < *next {
            return Ok(None);
        }
        *next = nanos / EVERY_NANOS + 1;
        let Picture { width_px, height_px, bgr, .. } = picture;
        let small = |limit| shrink::<3>(bgr, *width_px, *height_px, limit);
        let Some(thumbnail) = small(THUMBNAIL_WIDTH_PX) else { return Ok(None) };
        if *self.first.get_or_insert(track) == track {
            self.keep(small(STRIP_WIDTH_PX));
        }
        jpeg(&thumbnail).map(Some)
    }

    /// The strip, as JPEG: pictures of one size side by side, in order; `None` if there was no picture.
    pub(super) fn strip(mut self) -> Result<Option<Vec<u8>>> {
        let Some(first) = self.strip.first() else { return Ok(None) };
        // A display that changed its size keeps the first one's.
        let (width, height) = (first.width_px, first.height_px);
        self.strip.retain(|small| (small.width_px, small.height_px) == (width, height));
        let num = self.strip.len().min(STRIP_PICTURES);
        let chosen: Vec<&Small> = (0..num).map(|n| &self.strip[n * self.strip.len() / num]).collect();
        let row_bytes = width as usize * 3;
        let rows = (0..height as usize).flat_map(|y| {
            let at = y * row_bytes..(y + 1) * row_bytes;
            chosen.iter().map(move |small| &small.rgb[at.clone()])
        });
        let rgb = rows.collect::<Vec<_>>().concat();
        jpeg(&Small { width_px: width * num as u32, height_px: height, rgb }).map(Some)
    }

    fn keep(&mut self, small: Option<Small>) {
        let stride = self.stride.max(1);
        if self.num_seen.is_multiple_of(stride) {
            self.strip.extend(small);
        }
        self.num_seen += 1;
        if self.strip.len() >= 2 * STRIP_PICTURES {
            let mut at = 0;
            self.strip.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride = stride * 2;
        }
    }
}

fn jpeg(small: &Small) -> Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, QUALITY)
        .encode(&small.rgb, small.width_px as u16, small.height_px as u16, ColorType::Rgb)
        .map_err(|error| Error::malformed("thumbnail", 0, format!("JPEG: {error}")))?;
    Ok(jpeg)
}
