//! `wav`: the narration as one WAV file that is as long as the session, gaps as silence, and a map of its samples to session time.

use std::io::Cursor;
use std::path::Path;

use praxis_bundle::{Track, file, narration};
use serde::Serialize;

use super::{Bundle, Format, Written, create};
use crate::steps::Voice;
use crate::{Error, Result};

/// A voice that is off by more than this is set right at a block's start.
const RESYNC_NANOS: u64 = 20_000_000;

pub(super) struct Wav;

impl Format for Wav {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let session = bundle.session;
        let Some(rate_hz) = session.rate_hz else {
            let instead = "it was recorded without a microphone: leave it out";
            return Err(Error::Lacks { path: session.path.clone(), what: "narration", instead });
        };
        let folder = folder.join(bundle.split);
        let path = folder.join(format!("{}.wav", bundle.id()));
        create(&path)?;
        let (runs, _) = write_audio(&session.path, Track::Narration, rate_hz, session.duration_nanos, &path)?;
        let map = serde_json::json!({ "rate_hz": rate_hz, "runs": runs });
        let path = folder.join(format!("{}.wav.json", bundle.id()));
        std::fs::write(&path, format!("{map}\n"))
            .map_err(Error::io(format!("writing {}", path.display())))?;
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}

/// Samples that follow one another as they were captured; between runs there is silence, or a sample too many was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The first sample's place in the WAV file.
    pub sample: u64,
    /// How many there are.
    pub samples: u64,
    /// The first sample's session time, as it was captured.
    pub nanos: u64,
    /// Its number in the device's count.
    pub position: u64,
}

/// Writes the narration of a bundle as a WAV file whose zero is that of the session. Returns where in it which samples are, and how
/// many bytes of the bundle cannot be read.
///
/// # Errors
/// As reading or writing fails.
pub fn write_audio(
    bundle: &Path,
    track: Track,
    rate_hz: u32,
    duration_nanos: u64,
    to: &Path,
) -> Result<(Vec<Run>, u64)> {
    let failed = |error: hound::Error| match error {
        hound::Error::IoError(source) => Error::io(format!("writing {}", to.display()))(source),
        other => Error::coding("a WAV file")(&other),
    };
    let samples_at = |nanos: u64| (u128::from(nanos) * u128::from(rate_hz) / 1_000_000_000) as u64;
    let mut writer = hound::WavWriter::create(to, spec(rate_hz)).map_err(failed)?;
    let (mut written, mut runs, mut failure) = (0u64, Vec::<Run>::new(), None);
    let unreadable_bytes = file::for_each_message(bundle, |channel, _, nanos, data| {
        if channel.track != track || failure.is_some() {
            return Ok(());
        }
        let block = narration::decode(data)?;
        let due = samples_at(nanos);
        let is_next = |run: &Run| run.position + run.samples == block.position;
        let follows = runs.last().is_some_and(is_next) && due.abs_diff(written) < samples_at(RESYNC_NANOS);
        let mut samples = &block.samples[..];
        let mut write = || -> std::result::Result<(), hound::Error> {
            if !follows {
                silence(&mut writer, &mut written, due)?;
                let late = (written - due).min(samples.len() as u64);
                samples = &samples[late as usize..];
                let position = block.position + late;
                runs.push(Run {
                    sample: written,
                    samples: 0,
                    nanos: nanos + late * 1_000_000_000 / u64::from(rate_hz),
                    position,
                });
            }
            for sample in samples {
                writer.write_sample(*sample)?;
            }
            written += samples.len() as u64;
            runs.iter_mut().last().into_iter().for_each(|run| run.samples += samples.len() as u64);
            Ok(())
        };
        failure = write().err();
        Ok(())
    })?;
    if let Some(error) = failure {
        return Err(failed(error));
    }
    silence(&mut writer, &mut written, samples_at(duration_nanos)).map_err(failed)?;
    writer.finalize().map_err(failed)?;
    Ok((runs, unreadable_bytes))
}

fn silence<W: std::io::Write + std::io::Seek>(
    writer: &mut hound::WavWriter<W>,
    written: &mut u64,
    until: u64,
) -> std::result::Result<(), hound::Error> {
    while *written < until {
        writer.write_sample(0i16)?;
        *written += 1;
    }
    Ok(())
}

/// The voice of a step as a WAV file.
pub(super) fn wav_of(voice: &Voice) -> Result<Vec<u8>> {
    let failed = |error: hound::Error| Error::coding("a WAV file")(&error);
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec(voice.rate_hz)).map_err(failed)?;
    voice.samples.iter().try_for_each(|sample| writer.write_sample(*sample)).map_err(failed)?;
    writer.finalize().map_err(failed)?;
    Ok(bytes.into_inner())
}

fn spec(rate_hz: u32) -> hound::WavSpec {
    let sample_format = hound::SampleFormat::Int;
    hound::WavSpec { channels: 1, sample_rate: rate_hz, bits_per_sample: 16, sample_format }
}
