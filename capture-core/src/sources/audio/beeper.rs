//! Beeps at given instants, through the system's default loudspeaker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, SampleFormat, StreamConfig};

use super::microphone::with_hosts;
use crate::clock::SharedTime;
use crate::sources::SourceError;

/// Frequency of a beep.
pub const BEEP_HZ: f64 = 2_000.0;
/// Its length.
pub const BEEP_NANOS: u64 = 30_000_000;
const LOUDNESS: f64 = 12_000.0;
/// Longest to wait for the sound server.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
const CHANNELS: u16 = 2;
const RATE_HZ: u32 = 48_000;

/// A loudspeaker that beeps.
pub struct Beeper {
    /// Boot clock of the next beep.
    at_nanos: Arc<AtomicU64>,
    _stream: cpal::Stream,
}

impl Beeper {
    /// Opens the default loudspeaker, silent.
    ///
    /// # Errors
    /// `Unavailable` without one.
    pub fn open(time: SharedTime) -> Result<Self, SourceError> {
        let device = with_hosts(|hosts| hosts.iter().find_map(|(_, host)| host.default_output_device()));
        let unusable = |why: String| {
            SourceError::Unavailable(format!(
                "no loudspeaker can be opened ({why}): check the sound settings, or measure without a voice"
            ))
        };
        let device = device.ok_or_else(|| unusable("none is there".into()))?;
        let config = StreamConfig {
            channels: CHANNELS,
            sample_rate: RATE_HZ,
            buffer_size: BufferSize::Fixed(RATE_HZ / 100),
        };
        let at_nanos = Arc::new(AtomicU64::new(u64::MAX / 2));
        let next = at_nanos.clone();
        let give = move |data: &mut cpal::Data, info: &cpal::OutputCallbackInfo| {
            let stamp = info.timestamp();
            let ahead = stamp.playback.duration_since(stamp.callback).as_nanos() as u64;
            let (played_at, beep_at) = (time.boot_nanos() + ahead, next.load(Ordering::SeqCst));
            for (frame, samples) in
                data.as_slice_mut::<i16>().unwrap_or_default().chunks_mut(CHANNELS.into()).enumerate()
            {
                let nanos = played_at + (frame as u64 * 1_000_000_000) / u64::from(RATE_HZ);
                let since = nanos.checked_sub(beep_at).filter(|since| *since < BEEP_NANOS);
                let wave = |since: u64| (since as f64 / 1e9 * BEEP_HZ * std::f64::consts::TAU).sin();
                samples.fill(since.map_or(0, |since| (wave(since) * LOUDNESS) as i16));
            }
        };
        let fail = |error: cpal::Error| tracing::warn!(%error, "the loudspeaker");
        let stream = device
            .build_output_stream_raw(config, SampleFormat::I16, give, fail, Some(OPEN_WITHIN))
            .and_then(|stream| stream.play().map(|()| stream))
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { at_nanos, _stream: stream })
    }

    /// Beeps at that time of the boot clock.
    pub fn beep_at(&self, boot_nanos: u64) {
        self.at_nanos.store(boot_nanos, Ordering::SeqCst);
    }
}
