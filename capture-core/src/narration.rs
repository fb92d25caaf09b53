//! Turns runs of samples into narration blocks and clock pairs. Pure: reads no clock, does no I/O.
//!
//! A block's time comes from the sample count and the recent runs together, never from the stamp of one run: a late
//! callback does not move the voice. Samples lost before they reached us leave a hole in the positions.

use std::collections::VecDeque;

use praxis_bundle::messages::ClockMessage;
use praxis_bundle::narration::Block;

/// Runs remembered for the fit.
const FIT_NANOS: u64 = 10_000_000_000;
/// A later estimate than this is a break in the sample stream, not delay.
const BREAK_NANOS: i64 = 50_000_000;
const SECOND: u64 = 1_000_000_000;

/// What comes out.
#[derive(Debug, PartialEq)]
pub enum Out {
    /// A block, with the session time of its first sample.
    Block(u64, Block),
    /// A pair of sample position and session time.
    Clock(u64, ClockMessage),
    /// So many samples were lost before they reached us, and nobody said so: from here on positions have a hole.
    Lost(u64),
}

/// Collects samples into blocks of 100 ms.
pub struct NarrationBlocks {
    rate_hz: u32,
    block: Block,
    /// Position and offset (session time less nominal time of the position) of recent runs.
    recent: VecDeque<(u64, i64)>,
    /// Samples that were lost unseen so far.
    lost: u64,
    newest_block_nanos: u64,
    next_pair_position: u64,
    peak: Option<u16>,
}

impl NarrationBlocks {
    /// For a source of that nominal rate.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        let block = Block { rate_hz, position: 0, samples: Vec::new() };
        Self {
            rate_hz,
            block,
            recent: VecDeque::new(),
            lost: 0,
            newest_block_nanos: 0,
            next_pair_position: 0,
            peak: None,
        }
    }

    /// Takes a run of samples; `recorded_at_nanos` is the device's word for when the first was recorded.
    pub fn push(
        &mut self,
        position: u64,
        samples: &[i16],
        recorded_at_nanos: u64,
        out: &mut impl FnMut(Out),
    ) {
        let position = position + self.lost;
        let lost = self.fit(position, recorded_at_nanos);
        let position = position + lost;
        if lost > 0 {
            self.lost += lost;
            self.flush(out);
            out(Out::Lost(lost));
        }
        if position >= self.next_pair_position {
            self.next_pair_position = position + u64::from(self.rate_hz);
            let message = ClockMessage::Narration { sample_position: position, rate_hz: self.rate_hz };
            out(Out::Clock(self.time_of(position), message));
        }
        let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
        self.peak = self.peak.max(loudest);
        if self.block.position + self.block.samples.len() as u64 != position {
            self.flush(out);
            self.block.position = position;
        }
        let block_samples = (self.rate_hz / 10) as usize;
        for part in samples.chunks(block_samples) {
            let room = block_samples - self.block.samples.len();
            let (now, later) = part.split_at(room.min(part.len()));
            self.block.samples.extend_from_slice(now);
            if self.block.samples.len() == block_samples {
                self.flush(out);
            }
            self.block.samples.extend_from_slice(later);
        }
    }

    /// Hands out what is left in the last block: at a pause and at the end.
    pub fn flush(&mut self, out: &mut impl FnMut(Out)) {
        if self.block.samples.is_empty() {
            return;
        }
        let nanos = self.time_of(self.block.position).max(self.newest_block_nanos);
        self.newest_block_nanos = nanos;
        let next = self.block.position + self.block.samples.len() as u64;
        let empty = Block { rate_hz: self.rate_hz, position: next, samples: Vec::new() };
        out(Out::Block(nanos, std::mem::replace(&mut self.block, empty)));
    }

    /// Loudest sample since the last call, in dB relative to full scale; `None` if no sample came.
    pub fn take_peak_dbfs(&mut self) -> Option<f32> {
        self.peak.take().map(|peak| 20.0 * (f32::from(peak.max(1)) / 32_768.0).log10())
    }

    fn nominal_nanos(&self, position: u64) -> u64 {
        (u128::from(position) * u128::from(SECOND) / u128::from(self.rate_hz)) as u64
    }

    /// Remembers a run; how many samples before it were lost unseen.
    fn fit(&mut self, position: u64, recorded_at_nanos: u64) -> u64 {
        let offset = recorded_at_nanos as i64 - self.nominal_nanos(position) as i64;
        let oldest_kept = position.saturating_sub(FIT_NANOS / SECOND * u64::from(self.rate_hz));
        self.recent.retain(|(position, _)| *position >= oldest_kept);
        // If every run of the last second is much later than those before usually were, samples were lost unseen. Usually,
        // for the device's word on its latency may be a tenth of a second too large for one run: that is no loss.
        let second_ago = position.saturating_sub(self.rate_hz.into());
        let is_known = self.recent.front().is_some_and(|run| run.0 + u64::from(self.rate_hz) <= second_ago);
        let is_new = |run: &&(u64, i64)| run.0 >= second_ago;
        let before = self.recent.iter().take_while(|run| !is_new(run)).map(|run| run.1);
        let newest = self.recent.iter().filter(is_new).map(|run| run.1).min();
        let late_nanos = match (share(before, 2), newest) {
            (Some(usual), Some(newest)) if is_known => newest.min(offset) - usual,
            _ => 0,
        };
        if late_nanos <= BREAK_NANOS {
            self.recent.push_back((position, offset));
            return 0;
        }
        // With the hole in the positions the fit of before holds again.
        self.recent.retain(|(position, _)| *position < second_ago);
        let lost = (late_nanos as u64 * u64::from(self.rate_hz)) / SECOND;
        self.recent.push_back((position + lost, offset - late_nanos));
        lost
    }

    fn time_of(&self, position: u64) -> u64 {
        // Late callbacks make an offset too large, a wrong word about latency too small: the lower quartile is
        // touched by neither as long as they are few.
        let offset = share(self.recent.iter().map(|run| run.1), 4).unwrap_or_default();
        (self.nominal_nanos(position) as i64 + offset).max(0) as u64
    }
}

/// The offset below which one in so many is; `None` if there is none at all.
fn share(offsets: impl Iterator<Item = i64>, one_in: usize) -> Option<i64> {
    let mut offsets: Vec<i64> = offsets.collect();
    let nth = offsets.len() / one_in;
    (!offsets.is_empty()).then(|| *offsets.select_nth_unstable(nth).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;
    const RUN: u64 = 960;

    /// Feeds `seconds` of runs through a device `ppm` fast with jittering callbacks; checks each block's time.
    fn check_drift(ppm: f64, seconds: u64) {
        let mut blocks = NarrationBlocks::new(RATE);
        let truth = |position: u64| 300e6 + position as f64 * 1e9 / (f64::from(RATE) * (1.0 + ppm * 1e-6));
        let (mut seed, mut num_blocks, mut worst) = (1u64, 0, 0f64);
        for run in 0..seconds * u64::from(RATE) / RUN {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let jitter = (seed >> 40) % 8_000_000;
            let position = run * RUN;
            let at = truth(position) as u64 + jitter;
            blocks.push(position, &[0; RUN as usize], at, &mut |out| {
                if let Out::Block(nanos, block) = out {
                    num_blocks += 1;
                    worst = worst.max((nanos as f64 - truth(block.position)).abs());
                }
            });
        }
        assert_eq!(num_blocks, seconds * 10);
        assert!(worst < 6e6, "{ppm} ppm: a block is {} ms off", worst / 1e6);
    }

    #[test]
    fn block_times_follow_a_drifting_and_jittering_device() {
        for ppm in [-500.0, -50.0, 0.0, 50.0, 500.0] {
            check_drift(ppm, 600);
        }
    }

    #[test]
    fn eight_hours_of_a_drifting_microphone_are_told_to_five_milliseconds_by_the_clock_track() {
        const RATE: u32 = 8_000;
        const RUN: u64 = 800;
        for ppm in [-500.0, 500.0] {
            let mut blocks = NarrationBlocks::new(RATE);
            let mut drift = praxis_bundle::drift::Drift::default();
            let truth = |position: u64| 1e9 + position as f64 * 1e9 / (f64::from(RATE) * (1.0 + ppm * 1e-6));
            let mut pairs: Vec<(u64, u64)> = Vec::new();
            for run in 0..8 * 3_600 * u64::from(RATE) / RUN {
                let late = run.wrapping_mul(2_654_435_761) % 4_000_000;
                let position = run * RUN;
                blocks.push(position, &[0; RUN as usize], truth(position) as u64 + late, &mut |out| {
                    if let Out::Clock(nanos, ClockMessage::Narration { sample_position, rate_hz }) = out {
                        drift.note(sample_position, rate_hz, nanos);
                        pairs.push((sample_position, nanos));
                    }
                });
            }
            assert_eq!(pairs.len(), 8 * 3_600);
            // A reader lays a sample between the two pairs around it.
            let worst = pairs.windows(2).map(|pair| {
                let middle = u64::midpoint(pair[0].0, pair[1].0);
                (u64::midpoint(pair[0].1, pair[1].1) as f64 - truth(middle)).abs()
            });
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < 5e6, "{ppm} ppm: a sample is {} ms off", worst / 1e6);
            let found = drift.ppm().unwrap();
            assert!((found - ppm).abs() < 0.5, "{ppm} ppm: {found}");
        }
    }

    #[test]
    fn samples_that_are_lost_unseen_leave_a_hole_that_is_counted_and_shift_nothing() {
        let mut blocks = NarrationBlocks::new(RATE);
        let (mut lost, mut spans) = (0, Vec::new());
        // Two seconds, then three hundred milliseconds are missing though the device counts on, then three seconds more.
        for run in 0..5 * u64::from(RATE) / RUN {
            let position = run * RUN;
            let away = if run >= 100 { 300_000_000 } else { 0 };
            let at = 1_000_000_000 + position * SECOND / u64::from(RATE) + away;
            blocks.push(position, &[1; RUN as usize], at, &mut |out| match out {
                Out::Lost(samples) => lost += samples,
                Out::Block(nanos, block) => spans.push((nanos, block.position, block.samples.len() as u64)),
                Out::Clock(..) => {}
            });
        }
        let holes: u64 = spans.windows(2).map(|pair| pair[1].1 - pair[0].1 - pair[0].2).sum();
        assert_eq!((lost, holes), (14_400, 14_400));
        let (nanos, position, _) = spans[spans.len() - 1];
        assert!(nanos.abs_diff(1_000_000_000 + position * SECOND / u64::from(RATE)) < 1_000_000);
    }

    #[test]
    fn a_wrong_word_about_latency_is_no_loss() {
        let mut blocks = NarrationBlocks::new(RATE);
        for run in 0..15 * u64::from(RATE) / RUN {
            let position = run * RUN;
            // The first one, and one now and then.
            let early = if run % 120 == 0 { 90_000_000 } else { 0 };
            let at = 1_000_000_000 + position * SECOND / u64::from(RATE) - early;
            blocks.push(position, &[1; RUN as usize], at, &mut |out| match out {
                Out::Lost(samples) => panic!("{samples} samples are not lost at {position}"),
                Out::Block(nanos, block) if block.position > u64::from(RATE) => {
                    assert_eq!(nanos, 1_000_000_000 + block.position * SECOND / u64::from(RATE));
                }
                Out::Block(..) | Out::Clock(..) => {}
            });
        }
    }

    #[test]
    fn a_hole_in_the_positions_stays_a_hole_and_a_flush_shifts_nothing() {
        let mut blocks = NarrationBlocks::new(16_000);
        let mut found = Vec::new();
        let mut push = |blocks: &mut NarrationBlocks, position: u64, count: usize| {
            let at = 1_000_000_000 + position * SECOND / 16_000;
            blocks.push(position, &vec![5; count], at, &mut |out| found.push(out));
        };
        push(&mut blocks, 0, 1000);
        push(&mut blocks, 4000, 1600);
        blocks.flush(&mut |out| assert!(matches!(out, Out::Block(_, _)), "{out:?}"));
        push(&mut blocks, 8000, 1600);
        let spans: Vec<_> = found
            .iter()
            .filter_map(|out| match out {
                Out::Block(nanos, block) => Some((*nanos, block.position, block.samples.len())),
                Out::Clock(..) | Out::Lost(_) => None,
            })
            .collect();
        let at = |position: u64| 1_000_000_000 + position * SECOND / 16_000;
        assert_eq!(spans, [(at(0), 0, 1000), (at(4000), 4000, 1600), (at(8000), 8000, 1600)]);
        assert!((blocks.take_peak_dbfs().unwrap() + 76.3).abs() < 0.1);
        assert_eq!(blocks.take_peak_dbfs(), None);
    }
}
