//! What a display showed, at most so many times a second: for formats that are not made of steps.

use std::iter::Peekable;
use std::vec::IntoIter;

use praxis_bundle::screen::{Decoder, Picture};

use crate::{Result, Session};

const SECOND: u128 = 1_000_000_000;

/// What a display shows from a tick on.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The first tick at which it is shown; tick `n` is `n / rate` seconds after the session began.
    pub tick: u64,
    /// When it was taken, in session time: never later than its tick.
    pub nanos: u64,
    /// The picture; `None` if it is not known what was shown.
    pub picture: Option<&'a Picture>,
}

/// The first tick that is not before a time.
#[must_use]
pub fn tick_at(nanos: u64, rate: u32) -> u64 {
    (u128::from(nanos) * u128::from(rate)).div_ceil(SECOND) as u64
}

/// The time of a tick.
#[must_use]
pub fn tick_nanos(tick: u64, rate: u32) -> u64 {
    (u128::from(tick) * SECOND / u128::from(rate)) as u64
}

/// Takes the picture messages of a display and hands out what it showed, in order: the last picture before each tick, if it is
/// another one than at the tick before.
#[derive(Debug)]
pub struct Frames {
    decoder: Decoder,
    rate: u32,
    /// When what is there now came, and whether it is known.
    now: Option<(u64, bool)>,
    /// From when on it is not known what was shown.
    doubts: Peekable<IntoIter<u64>>,
}

impl Frames {
    /// Of a display of a session.
    #[must_use]
    pub fn new(session: &Session, display: u8, rate: u32) -> Self {
        let changes = session.changes.get(&display).into_iter().flatten();
        let doubts = changes.filter(|change| change.number.is_none()).map(|change| change.nanos);
        let doubts: Vec<u64> = doubts.collect();
        Self { decoder: Decoder::new(display), rate, now: None, doubts: doubts.into_iter().peekable() }
    }

    /// Takes a picture message.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn take(
        &mut self,
        sequence: u32,
        nanos: u64,
        data: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        while let Some(doubt) = self.doubts.next_if(|doubt| *doubt <= nanos) {
            self.leave(Some(doubt), &mut each)?;
            self.now = Some((doubt, false));
        }
        self.leave(Some(nanos), &mut each)?;
        self.now = Some((nanos, self.decoder.apply(sequence, data).is_ok()));
        Ok(())
    }

    /// Hands out what is left.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn end(mut self, mut each: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        while let Some(doubt) = self.doubts.next() {
            self.leave(Some(doubt), &mut each)?;
            self.now = Some((doubt, false));
        }
        self.leave(None, &mut each)
    }

    /// Hands out what is there now, unless something else comes before its tick.
    fn leave(
        &mut self,
        next_nanos: Option<u64>,
        each: &mut impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let rate = self.rate;
        let is_over = |nanos| next_nanos.is_none_or(|next| tick_at(nanos, rate) < tick_at(next, rate));
        let Some((nanos, is_known)) = self.now.take_if(|(nanos, _)| is_over(*nanos)) else { return Ok(()) };
        let picture = self.decoder.picture().filter(|_| is_known);
        each(Frame { tick: tick_at(nanos, rate), nanos, picture })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_never_before_what_it_shows() {
        let expected = [(0, 5, 0), (1, 5, 1), (200_000_000, 5, 1), (200_000_001, 5, 2), (999_999_999, 3, 3)];
        for (nanos, rate, tick) in expected {
            assert_eq!(tick_at(nanos, rate), tick);
            assert!(tick_nanos(tick, rate) >= nanos);
        }
    }
}
