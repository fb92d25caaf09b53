//! Finds keys, flashes and beeps in a bundle, and compares their stamps.

use std::path::Path;

use praxis_bundle::manifest::{Offset, Sync};
use praxis_bundle::messages::{KeyKind, KeyMessage, Rect};
use praxis_bundle::screen::Decoders;
use praxis_bundle::{Track, file, narration};

use super::CalibrateError;
use crate::sources::audio::BEEP_HZ;

/// How far from its instant something is looked for.
const BEFORE_NANOS: u64 = 60_000_000;
const AFTER_NANOS: u64 = 220_000_000;
/// A beep's loudness is measured over so long: two of its periods.
const WINDOW_NANOS: u64 = 1_000_000;
/// A beep is so many times as loud as what is heard between them.
const LOUDER: f64 = 4.0;

/// When an instant is on each track.
struct Instant {
    key: Option<u64>,
    screen: Option<u64>,
    narration: Option<u64>,
}

/// The instants of a recording.
pub(super) struct Instants(Vec<Instant>);

/// Reads what happened in a window and on a key around each of the instants, given in the boot clock.
pub(super) fn read(
    path: &Path,
    window: Rect,
    keycode: u32,
    fired_boot_nanos: &[u64],
) -> Result<Instants, CalibrateError> {
    let manifest = file::manifest_of(&file::open(path)?)?;
    let corner = manifest.displays.first().map_or((0, 0), |display| (display.rect.x_px, display.rect.y_px));
    let (x, y) = (window.x_px - corner.0 + 1, window.y_px - corner.1 + 1);
    let screen = manifest.displays.first().map_or(0, |display| display.number);
    let (mut keys, mut flashes, mut decoders) = (Vec::new(), Vec::new(), Decoders::default());
    let mut sound = Sound::default();
    let mut colour = None;
    file::for_each_message(path, |channel, sequence, nanos, data| {
        match channel.track {
            Track::Keys => {
                let key: Result<KeyMessage, _> = serde_json::from_slice(data);
                if key.is_ok_and(|key| key.kind == KeyKind::Press && key.keycode == keycode) {
                    keys.push(nanos);
                }
            }
            Track::Screen(number) if number == screen => {
                let picture = decoders.apply(number, sequence, data)?;
                let at = (y as usize * picture.width_px as usize + x as usize) * 3;
                let now = picture.bgr.get(at..at + 3).map(<[u8]>::to_vec);
                if colour.is_some() && now != colour {
                    flashes.push(nanos);
                }
                colour = now;
            }
            Track::Narration => sound.take(nanos, &narration::decode(data)?),
            _ => {}
        }
        Ok(())
    })?;
    let instant = |boot: &u64| {
        let at = boot.saturating_sub(manifest.epoch_boottime_nanos);
        let (from, to) = (at.saturating_sub(BEFORE_NANOS), at + AFTER_NANOS);
        let within = |times: &[u64]| times.iter().copied().find(|time| (from..to).contains(time));
        Instant { key: within(&keys), screen: within(&flashes), narration: sound.beep_within(from, to) }
    };
    Ok(Instants(fired_boot_nanos.iter().map(instant).collect()))
}

impl Instants {
    /// Compares the stamps.
    pub(super) fn compare(&self, has_voice: bool, wall_nanos: u64) -> Result<Sync, CalibrateError> {
        let apart = |later: Option<u64>, sooner: Option<u64>| Some(later? as i64 - sooner? as i64);
        let screen: Vec<i64> = self.0.iter().filter_map(|each| apart(each.screen, each.key)).collect();
        let by_key: Vec<i64> = self.0.iter().filter_map(|each| apart(each.narration, each.key)).collect();
        let by_screen: Vec<i64> =
            self.0.iter().filter_map(|each| apart(each.narration, each.screen)).collect();
        let instants = self.0.len();
        let check = |found: &[i64], why: &'static str| match found.len() * 10 >= instants * 9 {
            true => Ok(()),
            false => Err(CalibrateError::NotFound { found: found.len(), instants, why }),
        };
        check(&screen, "leave mouse and keyboard alone while it measures")?;
        if has_voice {
            let why = "the microphone hears too little of the beeps: turn the loudspeaker up and no headphones on, or measure without a voice";
            check(&by_key, why)?;
        }
        let num_found = if has_voice { by_screen.len() } else { screen.len() };
        Ok(Sync {
            wall_nanos,
            instants: num_found as u32,
            screen_after_key: offset_of(screen),
            narration_after_key: has_voice.then(|| offset_of(by_key)),
            narration_after_screen: has_voice.then(|| offset_of(by_screen)),
        })
    }
}

fn offset_of(mut apart: Vec<i64>) -> Offset {
    apart.sort_unstable();
    let median_nanos = apart.get(apart.len() / 2).copied().unwrap_or_default();
    apart.sort_unstable_by_key(|nanos| nanos.unsigned_abs());
    let p95 = apart.get((apart.len() * 95 / 100).min(apart.len().saturating_sub(1)));
    Offset { median_nanos, p95_nanos: p95.map_or(0, |nanos| nanos.unsigned_abs()) }
}

/// The narration, block by block.
#[derive(Default)]
struct Sound {
    rate_hz: u32,
    blocks: Vec<(u64, Vec<i16>)>,
}

impl Sound {
    fn take(&mut self, nanos: u64, block: &narration::Block) {
        self.rate_hz = block.rate_hz;
        self.blocks.push((nanos, block.samples.clone()));
    }

    /// When a beep begins in a stretch of time: where the loudness at its frequency is half of what it becomes.
    fn beep_within(&self, from: u64, to: u64) -> Option<u64> {
        let nanos_per_sample = 1e9 / f64::from(self.rate_hz.max(1));
        let mut samples = Vec::new();
        for (nanos, block) in &self.blocks {
            let end = nanos + (block.len() as f64 * nanos_per_sample) as u64;
            if end > from && *nanos < to {
                let time = |at: usize| nanos + (at as f64 * nanos_per_sample) as u64;
                samples.extend(block.iter().enumerate().map(|(at, sample)| (time(at), *sample)));
            }
        }
        samples.retain(|(nanos, _)| (from..to).contains(nanos));
        let count = (WINDOW_NANOS as f64 / nanos_per_sample) as usize;
        let loudness: Vec<f64> = samples.windows(count.max(1)).map(loudness_of).collect();
        let loudest = loudness.iter().copied().fold(0.0, f64::max);
        let quiet = &loudness[..(loudness.len() / 8).max(1).min(loudness.len())];
        let noise = quiet.iter().copied().fold(0.0, f64::max);
        if loudest < LOUDER * noise.max(30.0) {
            return None;
        }
        let at = loudness.iter().position(|each| *each >= loudest / 2.0)?;
        // Half of the window is in the beep then.
        Some(samples[at].0 + WINDOW_NANOS / 2)
    }
}

/// The strength of the beep's frequency in a window, whatever its phase.
fn loudness_of(window: &[(u64, i16)]) -> f64 {
    let begin = window.first().map_or(0, |(nanos, _)| *nanos);
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (nanos, sample) in window {
        // Where two blocks meet, their times may be a little before one another.
        let angle = (*nanos as f64 - begin as f64) / 1e9 * BEEP_HZ * std::f64::consts::TAU;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    real.hypot(imaginary) * 2.0 / window.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::audio::BEEP_NANOS;

    #[test]
    fn a_beep_is_found_to_a_fraction_of_a_millisecond_in_noise_and_silence_is_none() {
        let rate_hz = 48_000;
        let mut sound = Sound::default();
        let beep_at = 200_300_000.0;
        for n in 0..6u64 {
            let samples = (0..4_800u64)
                .map(|at| {
                    let nanos = (n * 4_800 + at) as f64 * 1e9 / f64::from(rate_hz);
                    let noise = ((n * 4_800 + at).wrapping_mul(2_654_435_761) >> 7) % 400;
                    let since = nanos - beep_at;
                    let is_on = (0.0..BEEP_NANOS as f64).contains(&since);
                    let wave = (since / 1e9 * BEEP_HZ * std::f64::consts::TAU).sin();
                    (noise as i16 - 200) + if is_on { (wave * 5_000.0) as i16 } else { 0 }
                })
                .collect();
            sound.take(n * 100_000_000, &narration::Block { rate_hz, position: n * 4_800, samples });
        }
        let found = sound.beep_within(100_000_000, 400_000_000).unwrap();
        assert!((found as f64 - beep_at).abs() < 200_000.0, "{found}");
        assert_eq!(sound.beep_within(300_000_000, 500_000_000), None);
    }

    #[test]
    fn the_median_has_its_sign_and_the_percentile_is_of_what_is_apart() {
        let apart = (0..100).map(|n| if n < 97 { -2 } else { 50 }).collect();
        assert_eq!(offset_of(apart), Offset { median_nanos: -2, p95_nanos: 2 });
        assert_eq!(offset_of(vec![]), Offset::default());
    }
}
