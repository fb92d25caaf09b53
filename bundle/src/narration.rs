//! Narration blocks: a run of samples as PCM while recording, as FLAC in a sealed bundle.
//!
//! FLAC is verified by decoding it before it is handed out. Decoding takes any bytes: sizes are checked before
//! anything is allocated.

use flacenc::component::BitRepr;
use flacenc::error::Verify;

use crate::record::Fields;
use crate::{Error, Result};

/// Most samples in one block.
pub const MAX_SAMPLES: usize = 1 << 20;
/// Samples per second that can be stored.
pub const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// The encoder takes no higher rate.
const MAX_FLAC_RATE_HZ: u32 = 96_000;
/// Shortest frame of a FLAC stream.
const MIN_FRAME_SAMPLES: usize = 16;
const VERSION: u8 = 1;
const PCM: u8 = 0;
const FLAC: u8 = 1;

/// A run of mono samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Nominal samples per second.
    pub rate_hz: u32,
    /// Index of the first sample, counted from the source's first.
    pub position: u64,
    /// The samples.
    pub samples: Vec<i16>,
}

/// A block as PCM.
#[must_use]
pub fn encode_pcm(block: &Block) -> Vec<u8> {
    let mut out = header(block, PCM);
    out.extend(block.samples.iter().flat_map(|sample| sample.to_le_bytes()));
    out
}

/// A block as one complete FLAC stream; one too short for a FLAC frame, or above 96 kHz, stays PCM.
///
/// # Errors
/// `Narration` if the encoder fails or its stream does not decode to the same samples.
pub fn encode_flac(block: &Block) -> Result<Vec<u8>> {
    let count = block.samples.len();
    if count < MIN_FRAME_SAMPLES || block.rate_hz > MAX_FLAC_RATE_HZ {
        return Ok(encode_pcm(block));
    }
    // No frame may be shorter than that, nor may the last one that is left over.
    let is_even = |size: &usize| !(1..MIN_FRAME_SAMPLES).contains(&(count % size));
    let frame_samples = (2048..=4096).rev().find(is_even).unwrap_or(4096);
    let failed = |error: &dyn std::fmt::Debug| Error::Narration(format!("{error:?}"));
    let mut config = flacenc::config::Encoder::default();
    // Speech gains under one per cent from the default's search of the quantised predictor's order.
    config.subframe_coding.qlpc.lpc_order = 8;
    let config = config.into_verified().map_err(|(_, error)| failed(&error))?;
    let samples: Vec<i32> = block.samples.iter().map(|sample| i32::from(*sample)).collect();
    let source = flacenc::source::MemSource::from_samples(&samples, 1, 16, block.rate_hz as usize);
    let stream = flacenc::encode_with_fixed_block_size(&config, source, frame_samples)
        .map_err(|error| failed(&error))?;
    let mut sink = flacenc::bitsink::ByteSink::new();
    stream.write(&mut sink).map_err(|error| failed(&error))?;
    let mut out = header(block, FLAC);
    out.extend_from_slice(sink.as_slice());
    if decode(&out)? != *block {
        return Err(Error::Narration("the FLAC stream does not decode to the same samples".into()));
    }
    Ok(out)
}

fn header(block: &Block, coding: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + block.samples.len() * 2);
    out.extend_from_slice(&[VERSION, coding, 0, 0]);
    out.extend_from_slice(&block.rate_hz.to_le_bytes());
    out.extend_from_slice(&block.position.to_le_bytes());
    out.extend_from_slice(&(block.samples.len() as u32).to_le_bytes());
    out
}

/// The samples of a narration message.
///
/// # Errors
/// `Malformed` or `TooLarge` if it breaks the layout, `Narration` if its FLAC does not decode.
pub fn decode(message: &[u8]) -> Result<Block> {
    let mut fields = Fields::of("narration", message);
    let (version, coding, reserved) = (fields.u8()?, fields.u8()?, fields.u16()?);
    let (rate_hz, position, count) = (fields.u32()?, fields.u64()?, fields.u32()? as usize);
    if version != VERSION || reserved != 0 || !RATES_HZ.contains(&rate_hz) {
        return Err(fields.malformed(format!("version {version}, {rate_hz} Hz")));
    }
    if count > MAX_SAMPLES {
        return Err(Error::TooLarge {
            what: "samples of a narration block",
            found: count as u64,
            limit: MAX_SAMPLES as u64,
        });
    }
    let data = fields.rest();
    let samples = match coding {
        PCM if data.len() == count * 2 => {
            data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
        }
        PCM => return Err(fields.malformed(format!("{} bytes for {count} samples", data.len()))),
        FLAC => decode_flac(data, rate_hz, count)?,
        other => return Err(fields.malformed(format!("unknown coding {other}"))),
    };
    Ok(Block { rate_hz, position, samples })
}

/// How many samples a message says it has, no more than it may have.
pub(crate) fn stated_samples(message: &[u8]) -> u64 {
    let stated = message.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    u64::from(stated).min(MAX_SAMPLES as u64)
}

/// How long the samples of a message last, as its header says; nothing if it has none.
pub(crate) fn stated_nanos(message: &[u8]) -> u64 {
    let rate_hz = message.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    (stated_samples(message) * 1_000_000_000).checked_div(rate_hz.into()).unwrap_or_default()
}

fn decode_flac(data: &[u8], rate_hz: u32, count: usize) -> Result<Vec<i16>> {
    let failed = |error: claxon::Error| Error::Narration(error.to_string());
    let mut reader = claxon::FlacReader::new(data).map_err(failed)?;
    let info = reader.streaminfo();
    if (info.channels, info.bits_per_sample, info.sample_rate) != (1, 16, rate_hz) {
        return Err(Error::Narration("the FLAC stream is not mono, 16 bit, at the block's rate".into()));
    }
    let mut samples = Vec::new();
    for sample in reader.samples().take(count + 1) {
        let sample = sample.map_err(failed)?;
        samples.push(i16::try_from(sample).map_err(|_| Error::Narration(format!("sample {sample}")))?);
    }
    if samples.len() != count {
        return Err(Error::Narration(format!("{} samples decoded, {count} stated", samples.len())));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn samples_come_back_exactly(samples in prop::collection::vec(any::<i16>(), 1..6000), position: u64) {
            let block = Block { rate_hz: 48_000, position, samples };
            prop_assert_eq!(decode(&encode_pcm(&block)).unwrap(), block.clone());
            prop_assert_eq!(decode(&encode_flac(&block).unwrap()).unwrap(), block);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), at: u16, flip: u8) {
            let _ = decode(&bytes);
            let samples = (0..500i16).map(|n| n * 40).collect();
            let mut flac = encode_flac(&Block { rate_hz: 16_000, position: 3, samples }).unwrap();
            let at = usize::from(at) % flac.len();
            flac[at] ^= flip;
            let _ = decode(&flac);
            flac.truncate(at);
            prop_assert!(decode(&flac).is_err());
        }
    }

    #[test]
    fn blocks_of_any_length_become_flac_even_those_that_leave_a_few_samples_over() {
        for count in (1..70).chain(2040..2070).chain(4090..4120).chain(8190..8215) {
            let samples = (0..count).map(|n| (n * 91 % 3001) as i16).collect();
            let block = Block { rate_hz: 48_000, position: 7, samples };
            assert_eq!(decode(&encode_flac(&block).unwrap()).unwrap(), block, "{count} samples");
        }
    }

    #[test]
    fn every_rate_that_can_be_recorded_can_be_sealed() {
        for rate_hz in [8_000, 44_100, 96_000, 96_001, 192_000] {
            let block = Block { rate_hz, position: 0, samples: vec![5; 1000] };
            assert_eq!(decode(&encode_flac(&block).unwrap()).unwrap(), block, "{rate_hz} Hz");
        }
    }

    #[test]
    fn a_length_lie_is_refused_before_anything_is_allocated() {
        let mut message = encode_pcm(&Block { rate_hz: 48_000, position: 0, samples: vec![0; 10] });
        message[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode(&message), Err(Error::TooLarge { .. })));
    }
}
