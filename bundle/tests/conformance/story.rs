//! A session in the making: writes a live file and keeps, chunk by chunk, what a reader must find in it.

use std::collections::BTreeMap;
use std::ops::Range;

use praxis_bundle::manifest::{Ending, Manifest};
use praxis_bundle::narration::{Block, encode_pcm};
use praxis_bundle::{LiveWriter, Track};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::picture::{Painter, hex};

/// One message, as a reader must find it.
#[derive(Clone)]
struct Entry {
    track: Track,
    sequence: u32,
    nanos: u64,
    what: What,
}

#[derive(Clone)]
enum What {
    Json(Value),
    Picture { is_key: bool, shown: Value },
    Audio(Block),
}

/// A session that is being written.
pub(crate) struct Story {
    writer: LiveWriter<Vec<u8>>,
    manifest: Value,
    open: Vec<Entry>,
    chunks: Vec<(Range<usize>, Vec<Entry>)>,
    sequences: BTreeMap<Track, u32>,
}

/// A finished live file and what is in it.
pub(crate) struct Told {
    pub(crate) file: Vec<u8>,
    manifest: Value,
    ending: Value,
    chunks: Vec<(Range<usize>, Vec<Entry>)>,
}

/// What a reader must find in a file, besides messages.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) is_complete: bool,
    pub(crate) is_sealed: bool,
    pub(crate) recovery: Value,
    /// Byte ranges that cannot be read.
    pub(crate) unreadable: Vec<Range<usize>>,
    /// Finished files number messages anew, without what is lost.
    pub(crate) is_renumbered: bool,
}

impl Story {
    pub(crate) fn new(manifest: &Manifest, tracks: &[Track]) -> Self {
        let writer = LiveWriter::new(Vec::new(), manifest, tracks).expect("writing to memory");
        let manifest = in_twin(&json!(manifest));
        Self { writer, manifest, open: Vec::new(), chunks: Vec::new(), sequences: BTreeMap::new() }
    }

    pub(crate) fn json(&mut self, track: Track, nanos: u64, message: &impl Serialize) -> &mut Self {
        let data = serde_json::to_vec(message).expect("JSON");
        self.writer.push(track.channel(), nanos, &data).expect("writing to memory");
        self.note(track, nanos, What::Json(in_twin(&json!(message))));
        self
    }

    /// Writes what was painted.
    pub(crate) fn picture(
        &mut self,
        display: u8,
        nanos: u64,
        is_key: bool,
        painter: &mut Painter,
    ) -> &mut Self {
        let track = Track::Screen(display);
        let channel = if is_key { track.key_channel().expect("a screen") } else { track.channel() };
        let times = [nanos.saturating_sub(2_000_003), nanos.saturating_sub(700_001), nanos];
        self.writer.push(channel, nanos, &painter.message(is_key, times)).expect("writing to memory");
        let mut shown = painter.shown();
        shown["first_damage_nanos"] = json!(times[0].to_string());
        shown["capture_start_nanos"] = json!(times[1].to_string());
        self.note(track, nanos, What::Picture { is_key, shown });
        self
    }

    pub(crate) fn voice(&mut self, nanos: u64, block: Block) -> &mut Self {
        self.audio(Track::Narration, nanos, block)
    }

    pub(crate) fn sound(&mut self, nanos: u64, block: Block) -> &mut Self {
        self.audio(Track::Sound, nanos, block)
    }

    fn audio(&mut self, track: Track, nanos: u64, block: Block) -> &mut Self {
        self.writer.push(track.channel(), nanos, &encode_pcm(&block)).expect("writing to memory");
        self.note(track, nanos, What::Audio(block));
        self
    }

    fn note(&mut self, track: Track, nanos: u64, what: What) {
        let sequence = self.sequences.entry(track).or_default();
        self.open.push(Entry { track, sequence: *sequence, nanos, what });
        *sequence += 1;
    }

    pub(crate) fn close_chunk(&mut self) -> &mut Self {
        let start = self.writer.bytes_written() as usize;
        self.writer.close_chunk().expect("writing to memory");
        let end = self.writer.bytes_written() as usize;
        self.chunks.push((start..end, std::mem::take(&mut self.open)));
        self
    }

    pub(crate) fn end(mut self, ending: &Ending) -> Told {
        self.close_chunk();
        let file = self.writer.end(ending).expect("writing to memory");
        Told { file, manifest: self.manifest, ending: in_twin(&json!(ending)), chunks: self.chunks }
    }
}

impl Told {
    /// Where a chunk's record is in the live file.
    pub(crate) fn chunk(&self, number: usize) -> Range<usize> {
        self.chunks[number].0.clone()
    }

    pub(crate) fn num_chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The twin of a file with these chunks of the live file in it.
    pub(crate) fn twin(&self, chunks: impl Iterator<Item = usize>, has_ending: bool, facts: &Facts) -> Value {
        let entries = chunks.flat_map(|chunk| self.chunks[chunk].1.iter());
        let (mut tracks, mut voice, mut sound) = (Map::new(), Voice::default(), Voice::default());
        let mut held: BTreeMap<Track, u32> = BTreeMap::new();
        let mut numbers: BTreeMap<Track, u32> = BTreeMap::new();
        for Entry { track, sequence, nanos, what } in entries {
            let mut found = json!({"nanos": nanos.to_string()});
            let add = |with: Value| {
                for (name, value) in with.as_object().expect("an object") {
                    found[name] = value.clone();
                }
            };
            let mut is_left_out = false;
            match what {
                What::Audio(block) => {
                    if *track == Track::Sound { &mut sound } else { &mut voice }.add(*nanos, block);
                    continue;
                }
                What::Json(message) => found["message"] = message.clone(),
                What::Picture { is_key, shown } => {
                    let follows = held.get(track) == Some(&sequence.wrapping_sub(1));
                    if *is_key || follows {
                        // The hole stays visible in the numbers.
                        let is_after_hole = !follows && numbers.contains_key(track);
                        if is_after_hole && facts.is_renumbered {
                            *numbers.entry(*track).or_default() += 1;
                        }
                        held.insert(*track, *sequence);
                        let mut add = add;
                        add(shown.clone());
                    } else {
                        held.remove(track);
                        is_left_out = facts.is_renumbered;
                        found["is_lost"] = json!(true);
                    }
                    found["is_key"] = json!(is_key);
                }
            }
            if is_left_out {
                continue;
            }
            let number = numbers.entry(*track).or_default();
            found["sequence"] = json!(if facts.is_renumbered { *number } else { *sequence });
            *number += 1;
            let list = tracks.entry(track.name()).or_insert_with(|| json!([]));
            list.as_array_mut().expect("a list").push(found);
        }
        json!({
            "is_complete": facts.is_complete,
            "is_sealed": facts.is_sealed,
            "manifest": self.manifest,
            "ending": if has_ending { self.ending.clone() } else { Value::Null },
            "recovery": in_twin(&facts.recovery),
            "unreadable": facts.unreadable.iter().map(|range| json!([range.start, range.end])).collect::<Vec<_>>(),
            "tracks": tracks,
            "narration": voice.finish(),
            "sound": sound.finish(),
        })
    }
}

/// Narration as stretches of samples that follow each other, however they are divided into blocks.
#[derive(Default)]
pub(crate) struct Voice {
    stretches: Vec<(u64, Block)>,
}

impl Voice {
    pub(crate) fn add(&mut self, nanos: u64, block: &Block) {
        let follows = |held: &Block| {
            held.rate_hz == block.rate_hz && held.position + held.samples.len() as u64 == block.position
        };
        match self.stretches.last_mut().filter(|(_, held)| follows(held)) {
            Some((_, held)) => held.samples.extend(&block.samples),
            None => self.stretches.push((nanos, block.clone())),
        }
    }

    pub(crate) fn finish(self) -> Value {
        let stretch = |(nanos, block): (u64, Block)| {
            let bytes: Vec<u8> = block.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            json!({
                "nanos": nanos.to_string(), "rate_hz": block.rate_hz, "position": block.position,
                "samples": block.samples.len(), "sha256": hex(&bytes),
            })
        };
        self.stretches.into_iter().map(stretch).collect()
    }
}

/// Nanoseconds and window ids as strings: not every JSON reader has integers of 64 bits.
pub(crate) fn in_twin(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| match value {
                    Value::Number(number) if name.ends_with("_nanos") || name == "id" => {
                        (name.clone(), json!(number.to_string()))
                    }
                    other => (name.clone(), in_twin(other)),
                })
                .collect(),
        ),
        Value::Array(values) => values.iter().map(in_twin).collect(),
        other => other.clone(),
    }
}
