//! A WAV file heard in real time, as if it were a microphone.

use std::path::Path;
use std::time::Duration;

use praxis_bundle::manifest::Backend;
use praxis_bundle::narration::RATES_HZ;

use crate::clock::SharedTime;
use crate::sources::{AudioEvent, AudioSource, SourceError, Stop};

/// Samples handed over at once, in parts of a second.
const RUNS_PER_SECOND: u32 = 50;

/// A WAV file.
pub struct Wav {
    time: SharedTime,
    reader: hound::WavReader<std::io::BufReader<std::fs::File>>,
}

impl Wav {
    /// Opens a WAV file of PCM or float samples with any number of channels.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read or is no such file.
    pub fn open(time: SharedTime, path: &Path) -> Result<Self, SourceError> {
        let reader = hound::WavReader::open(path).map_err(|error| {
            SourceError::Unavailable(format!(
                "{} cannot be read as WAV ({error}): give a PCM or float WAV file",
                path.display()
            ))
        })?;
        let rate = reader.spec().sample_rate;
        if !RATES_HZ.contains(&rate) {
            return Err(SourceError::Unavailable(format!(
                "{} has {rate} samples per second: give a file of 8,000 to 192,000",
                path.display()
            )));
        }
        Ok(Self { time, reader })
    }

    /// The next run, mono; shorter, or empty, at the end of the file or where it breaks off.
    fn next_run(&mut self) -> (Vec<i16>, Option<hound::Error>) {
        let spec = self.reader.spec();
        let channels = usize::from(spec.channels.max(1));
        let count = (spec.sample_rate / RUNS_PER_SECOND) as usize * channels;
        let mut broken = None;
        let mut keep = |sample: Result<f32, hound::Error>| sample.map_err(|error| broken = Some(error)).ok();
        let scaled: Vec<f32> = match spec.sample_format {
            hound::SampleFormat::Float => {
                self.reader.samples::<f32>().take(count).map_while(&mut keep).collect()
            }
            hound::SampleFormat::Int => {
                let scale = 1.0 / (1u64 << (spec.bits_per_sample - 1)) as f32;
                let samples = self.reader.samples::<i32>().take(count);
                samples
                    .map(|sample| sample.map(|sample| sample as f32 * scale))
                    .map_while(&mut keep)
                    .collect()
            }
        };
        let mono = |part: &[f32]| part.iter().sum::<f32>() / channels as f32 * 32_768.0;
        (scaled.chunks_exact(channels).map(|part| mono(part).round() as i16).collect(), broken)
    }
}

impl AudioSource for Wav {
    fn backend(&self) -> Backend {
        Backend { tracks: vec!["narration".into()], name: "wav".into(), cannot: Vec::new() }
    }

    fn device(&self) -> String {
        "file".into()
    }

    fn rate_hz(&self) -> u32 {
        self.reader.spec().sample_rate
    }

    fn run(&mut self, sink: &mut dyn FnMut(AudioEvent<'_>), stop: &Stop) -> Result<(), SourceError> {
        let (start, rate_hz) = (self.time.boot_nanos(), u64::from(self.rate_hz()));
        let time_of = |position: u64| start + position * 1_000_000_000 / rate_hz;
        let mut position = 0;
        while !stop.is_stopped() {
            let (samples, broken) = self.next_run();
            if samples.is_empty() && broken.is_none() {
                return Ok(());
            }
            // A microphone hands samples over when the last of them was recorded.
            let due = time_of(position + samples.len() as u64);
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(self.time.boot_nanos())));
            sink(AudioEvent::Samples { position, samples: &samples, recorded_at_nanos: time_of(position) });
            position += samples.len() as u64;
            if let Some(error) = broken {
                return Err(SourceError::Lost(format!("the WAV file broke off: {error}")));
            }
        }
        Ok(())
    }
}
