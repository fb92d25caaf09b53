//! The decoders of all displays, side by side, with a limit on what they hold together.

use std::collections::HashMap;

use super::{Decoder, Header, Picture};
use crate::limits::MAX_TOTAL_PIXELS;
use crate::{Error, Result};

/// Decodes the pictures of every display of a bundle.
#[derive(Debug, Default)]
pub struct Decoders {
    displays: HashMap<u8, Decoder>,
    /// Pixels of each display.
    pixels: HashMap<u8, u64>,
}

impl Decoders {
    /// Applies a picture message of a display and shows the result.
    ///
    /// # Errors
    /// As [`Decoder::apply`]; `TooLarge` if the displays have too many pixels together: then this one holds nothing.
    pub fn apply(&mut self, display: u8, sequence: u32, message: &[u8]) -> Result<&Picture> {
        let (header, _) = Header::parse(message)?;
        self.pixels.insert(display, u64::from(header.width_px) * u64::from(header.height_px));
        let found = self.pixels.values().sum();
        if found > MAX_TOTAL_PIXELS {
            self.pixels.remove(&display);
            self.displays.remove(&display);
            return Err(Error::TooLarge { what: "pixels of all displays", found, limit: MAX_TOTAL_PIXELS });
        }
        let decoder = self.displays.entry(display).or_insert_with(|| Decoder::new(display));
        decoder.apply(sequence, message)
    }
}
