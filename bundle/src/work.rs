//! The budget of work that reading a file may take, by its length: no file keeps a reader busy for longer than it can honestly need.

use crate::limits::{BASE_WORK, WORK_PER_BYTE};
use crate::record::Message;
use crate::{Channel, Error, Result, Track, screen};

/// Looking at a message, whatever is in it.
const MESSAGE_WORK: u64 = 640;
/// Parsing a byte of JSON.
const JSON_BYTE_WORK: u64 = 4;
/// Decoding a pixel of a lossy rectangle. One of a copy counts as a byte.
const LOSSY_PIXEL_WORK: u64 = 10;
/// Decoding a sample, which FLAC may have made of nothing.
const SAMPLE_WORK: u64 = 4;

/// The work that reading a file may take, in bytes read or decompressed and what costs as much.
#[derive(Debug)]
pub struct Work {
    spent: u64,
    limit: u64,
}

impl Work {
    /// What a file of that length may cost.
    #[must_use]
    pub fn of_file(file_bytes: u64) -> Self {
        let beyond = file_bytes.saturating_sub(1 << 20);
        Self { spent: 0, limit: BASE_WORK.saturating_add(beyond.saturating_mul(WORK_PER_BYTE)) }
    }

    /// Takes some of it.
    ///
    /// # Errors
    /// `TooLarge` if too little is left.
    pub fn spend(&mut self, work: u64) -> Result<()> {
        self.spent = self.spent.saturating_add(work);
        if self.spent > self.limit {
            let what = "bytes to unpack and decode, for a file of this length";
            return Err(Error::TooLarge { what, found: self.spent, limit: self.limit });
        }
        Ok(())
    }

    /// What a message takes besides its bytes.
    #[must_use]
    pub fn of_message(message: &Message<'_>) -> u64 {
        let inside = match Channel::from_id(message.channel).map(|channel| channel.track) {
            None => 0,
            Some(Track::Screen(_)) => {
                let (copied, lossy) = screen::stated_pixels(message.data);
                copied + lossy * LOSSY_PIXEL_WORK
            }
            Some(Track::Narration | Track::Sound) => {
                crate::narration::stated_samples(message.data) * SAMPLE_WORK
            }
            Some(_) => message.data.len() as u64 * JSON_BYTE_WORK,
        };
        MESSAGE_WORK + inside
    }
}
