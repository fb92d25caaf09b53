//! How fast a microphone's clock runs, by the pairs of the `clock` track.
//!
//! A line is fitted to what the sample count is behind the session clock, by least squares. A break (the device was opened anew, samples were lost
//! unseen) begins another stretch with an offset of its own; the slope is that of all stretches together.

/// A pair that is so far from the one before is of another stretch.
const BREAK_NANOS: i64 = 20_000_000;
/// The drift of less is not known: the stamps of samples waver by some milliseconds.
const LEAST_SECONDS: f64 = 30.0;

/// The drift of a microphone, from the pairs seen so far.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    stretch: Stretch,
    last_offset_nanos: Option<i64>,
    seconds: f64,
    covariance: f64,
    variance: f64,
}

/// Running means of nominal time (seconds) and offset (nanoseconds), with the sums around them.
#[derive(Debug, Clone, Default)]
struct Stretch {
    count: f64,
    first: f64,
    last: f64,
    mean_time: f64,
    mean_offset: f64,
    covariance: f64,
    variance: f64,
}

impl Drift {
    /// Takes a pair: the sample at `position` was recorded at that session time.
    pub fn note(&mut self, position: u64, rate_hz: u32, session_nanos: u64) {
        let rate_hz = u64::from(rate_hz.max(1));
        let nominal_nanos = (u128::from(position) * 1_000_000_000 / u128::from(rate_hz)) as i64;
        let offset_nanos = (session_nanos as i64).saturating_sub(nominal_nanos);
        if self.last_offset_nanos.is_some_and(|last| last.abs_diff(offset_nanos) > BREAK_NANOS as u64) {
            self.close();
        }
        self.last_offset_nanos = Some(offset_nanos);
        self.stretch.take(position as f64 / rate_hz as f64, offset_nanos as f64);
    }

    /// Parts per million by which the microphone's clock is fast (it gives more samples than it says); `None` if there is too
    /// little to tell.
    #[must_use]
    pub fn ppm(&self) -> Option<f64> {
        let seconds = self.seconds + self.stretch.last - self.stretch.first;
        let variance = self.variance + self.stretch.variance;
        let slope = (self.covariance + self.stretch.covariance) / variance;
        (seconds >= LEAST_SECONDS && variance > 0.0).then_some(-slope / 1e9 * 1e6)
    }

    fn close(&mut self) {
        let stretch = std::mem::take(&mut self.stretch);
        self.seconds += stretch.last - stretch.first;
        self.covariance += stretch.covariance;
        self.variance += stretch.variance;
    }
}

impl Stretch {
    fn take(&mut self, time: f64, offset: f64) {
        if self.count == 0.0 {
            self.first = time;
        }
        self.last = time;
        self.count += 1.0;
        let before = time - self.mean_time;
        self.mean_time += before / self.count;
        self.mean_offset += (offset - self.mean_offset) / self.count;
        self.covariance += before * (offset - self.mean_offset);
        self.variance += before * (time - self.mean_time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a pair each second from a clock that is fast by `ppm`, with stamps that waver by some milliseconds.
    fn feed(drift: &mut Drift, ppm: f64, from: u64, seconds: u64, jump_nanos: f64) {
        for second in from..from + seconds {
            let truth = second as f64 * 1e9 / (1.0 + ppm * 1e-6) + jump_nanos;
            let wavers = second.wrapping_mul(2_654_435_761) % 4_000_000;
            drift.note(second * 48_000, 48_000, truth as u64 + wavers);
        }
    }

    #[test]
    fn the_drift_is_found_across_breaks_and_said_only_if_there_is_enough_to_tell() {
        for ppm in [-500.0, -50.0, 0.0, 50.0, 500.0] {
            let mut drift = Drift::default();
            feed(&mut drift, ppm, 0, 20, 1e9);
            assert_eq!(drift.ppm(), None);
            feed(&mut drift, ppm, 20, 1_000, 1e9);
            feed(&mut drift, ppm, 5_000, 2_000, 9e9);
            let found = drift.ppm().unwrap();
            assert!((found - ppm).abs() < 1.0, "{ppm}: {found}");
        }
    }
}
