//! Files cut and damaged everywhere: what comes out is exactly what was readable, and sound.

use uuid::Uuid;

use super::*;
use crate::check::check;
use crate::live::{ChunkCompressor, OpenChunk};
use crate::manifest::{EndReason, Ending, FORMAT_VERSION, Outcome};
use crate::messages::{KeyKind, KeyMessage, MarkersMessage};
use crate::record::{Chunk, RECORD_HEADER_BYTES, Records, iterate};
use crate::screen::{Encoder, Snapshot, Times};
use crate::{LiveWriter, narration::encode_pcm};

const EPOCH: u64 = 1_700_000_000_000_000_000;
const MILLI: u64 = 1_000_000;

fn manifest() -> Manifest {
    Manifest {
        format_version: FORMAT_VERSION,
        session_id: Uuid::from_u128(1),
        bundle_id: Uuid::from_u128(2),
        app_version: "0".into(),
        epoch_wall_nanos: EPOCH,
        epoch_boottime_nanos: 5,
        system: Default::default(),
        displays: Vec::new(),
        keyboard: Default::default(),
        pointer: Default::default(),
        title: None,
        project: None,
        task: None,
        expert: None,
        consent_version: None,
        capture: Default::default(),
        backends: Vec::new(),
    }
}

/// A live file of three seconds with every kind of message.
fn live_file() -> Vec<u8> {
    let screen = Track::Screen(0);
    let tracks = [screen, Track::Keys, Track::Narration, Track::Markers];
    let mut writer = LiveWriter::new(Vec::new(), &manifest(), &tracks).unwrap();
    let mut encoder = Encoder::new(70, 50).unwrap();
    for tick in 0..12u64 {
        let now = tick * 250 * MILLI;
        let times = Times { first_damage: now, capture_start: now, capture_end: now };
        let pixels = [tick as u8; 8];
        encoder.update(&[Snapshot {
            x_px: tick as u32 * 3,
            y_px: 4,
            width_px: 2,
            height_px: 1,
            pixels: &pixels,
        }]);
        if tick % 5 == 0 {
            writer.push(screen.key_channel().unwrap(), now, &encoder.keyframe(times)).unwrap();
        } else {
            writer.push(screen.channel(), now, &encoder.delta(times).unwrap()).unwrap();
        }
        let key = KeyMessage {
            kind: KeyKind::Press,
            text: Some("é".into()),
            keysym: "eacute".into(),
            keycode: 26,
            modifiers: Vec::new(),
            repeat: false,
            layout: 0,
            injected: None,
            source_millis: Some(tick as u32),
        };
        writer.push(Track::Keys.channel(), now + 1, &serde_json::to_vec(&key).unwrap()).unwrap();
        let samples = (0..4000).map(|n| ((n * 37 + tick * 11) % 2000) as i16).collect();
        let block = Block { rate_hz: 16_000, position: tick * 4000, samples };
        writer.push(Track::Narration.channel(), now, &encode_pcm(&block)).unwrap();
        if tick == 6 {
            let marker = serde_json::to_vec(&MarkersMessage::Marker { label: "here".into() }).unwrap();
            writer.push(Track::Markers.channel(), now, &marker).unwrap();
        }
        writer.close_chunk().unwrap();
    }
    let ending = Ending {
        session_time_nanos: 3000 * MILLI,
        reason: EndReason::Stopped,
        outcome: Some(Outcome::Success),
        note: None,
    };
    writer.end(&ending).unwrap()
}

type Row = (u16, u64, Vec<u8>);

fn rows(file: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    scan(file, |item| {
        if let Item::Chunk { records, .. } = item {
            rows.extend(messages(&records).map(|(_, m)| (m.channel, m.log_time, m.data.to_vec())));
        }
        Ok(())
    })
    .unwrap();
    rows
}

fn samples(file: &[u8]) -> Vec<i16> {
    let voice = Track::Narration.channel().id();
    let blocks = rows(file).into_iter().filter(|row| row.0 == voice);
    blocks.flat_map(|row| narration::decode(&row.2).unwrap().samples).collect()
}

fn finished(source: &[u8], profile: Profile) -> (Vec<u8>, Rewritten) {
    let mut out = Vec::new();
    let rewritten = rewrite(source, &mut out, profile).unwrap();
    let report = check(&out[..]).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    (out, rewritten)
}

fn chunks(file: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    scan(file, |item| {
        if let Item::Chunk { record, .. } = item {
            chunks.push(record);
        }
        Ok(())
    })
    .unwrap();
    chunks
}

/// A sealed file in another coding, which can be told from ours: voice as PCM, chunks packed more tightly.
fn coded_otherwise(sealed: &[u8]) -> Vec<u8> {
    let mut compressor = ChunkCompressor::new(19).unwrap();
    let mut out = crate::record::MAGIC.to_vec();
    for chunk in chunks(sealed) {
        let records = Chunk::parse(&chunk[RECORD_HEADER_BYTES..]).unwrap().decompress().unwrap();
        let mut other = OpenChunk::default();
        for (_, message) in messages(&records) {
            let is_voice = message.channel == Track::Narration.channel().id();
            let data = match narration::decode(message.data).ok().filter(|_| is_voice) {
                Some(block) => encode_pcm(&block),
                None => message.data.to_vec(),
            };
            other.add(message.channel, message.sequence, message.log_time, &data);
        }
        out.extend(other.close(&mut compressor).unwrap());
    }
    out
}

/// Byte positions of the top-level records, and the end of the last.
fn record_bounds(file: &[u8]) -> Vec<usize> {
    let body = &file[8..file.len() - 8];
    let starts = iterate(body).map(|record| 8 + record.unwrap().offset);
    starts.chain([file.len() - 8]).collect()
}

#[test]
fn a_live_file_is_sound_and_nothing_is_lost_by_sealing() {
    let live = live_file();
    assert_eq!(check(&live[..]).unwrap().findings, Vec::<String>::new());
    let (sealed, rewritten) = finished(&live, Profile::Seal);
    assert_eq!(rewritten.recovery, None);
    assert_eq!(samples(&sealed), samples(&live));
    let voice = Track::Narration.channel().id();
    let others = |file: &[u8]| {
        let mut rows = rows(file);
        rows.retain(|row| row.0 != voice);
        rows
    };
    assert_eq!(others(&sealed), others(&live));
    let (again, _) = finished(&sealed, Profile::Seal);
    assert_eq!(rows(&again), rows(&sealed), "sealing a sealed bundle changes nothing");
}

#[test]
fn what_a_sealing_that_was_cut_short_has_left_is_not_coded_again() {
    let live = live_file();
    let (sealed, _) = finished(&live, Profile::Seal);
    let left_over = coded_otherwise(&sealed);
    let resumed = |left_over: &[u8]| {
        let mut out = Vec::new();
        rewrite_after(&live[..], Some(&LeftOver(left_over)), &mut out, Profile::Seal).unwrap();
        assert_eq!(check(&out[..]).unwrap().findings, Vec::<String>::new());
        assert_eq!(samples(&out), samples(&live));
        chunks(&out)
    };
    let (anew, other) = (chunks(&sealed), chunks(&left_over));
    assert!(anew.len() > 2 && anew.iter().zip(&other).all(|(anew, other)| anew != other));
    for cut in (0..=left_over.len()).step_by(97).chain([left_over.len()]) {
        let num_left = chunks_before(&left_over, cut);
        let found = resumed(&left_over[..cut]);
        assert!(found[..num_left] == other[..num_left], "cut at {cut}");
        // The voice of a chunk is joined from what came before it.
        assert!(found[num_left..] == anew[num_left..], "cut at {cut}");
    }
    let mut damaged = left_over.clone();
    damaged[other[0].len() + other[1].len()] ^= 1;
    let found = resumed(&damaged);
    assert!(
        found[0] == other[0] && found[1..] == anew[1..],
        "what cannot be read is made anew, and what follows"
    );
}

struct LeftOver<'a>(&'a [u8]);

impl Bytes for LeftOver<'_> {
    fn num_bytes(&self) -> std::io::Result<u64> {
        self.0.num_bytes()
    }
    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.0.fill(offset, into)
    }
}

/// Chunks that end before a byte.
fn chunks_before(file: &[u8], cut: usize) -> usize {
    let ends = chunks(file).into_iter().scan(8, |end, chunk| {
        *end += chunk.len();
        Some(*end)
    });
    ends.filter(|end| *end <= cut).count()
}

#[test]
fn a_cut_at_every_record_boundary_and_inside_every_record_recovers_exactly_the_prefix() {
    let live = live_file();
    let whole = rows(&live);
    let bounds = record_bounds(&live);
    let chunk_ends: Vec<usize> =
        bounds.windows(2).filter(|pair| live[pair[0]] == op::CHUNK).map(|pair| pair[1]).collect();
    let manifest_end = bounds[2];
    let middles = bounds.windows(2).map(|pair| usize::midpoint(pair[0], pair[1]));
    let cuts = bounds.iter().copied().chain(middles).chain(bounds.iter().map(|bound| bound + 1));
    for cut in cuts.filter(|cut| *cut < live.len()) {
        let mut out = Vec::new();
        let result = rewrite(&live[..cut], &mut out, Profile::Recover);
        if cut < manifest_end {
            assert!(matches!(result, Err(Error::NoManifest)), "cut at {cut}");
            continue;
        }
        let rewritten = result.unwrap();
        assert_eq!(check(&out[..]).unwrap().findings, Vec::<String>::new(), "cut at {cut}");
        let survivors = chunk_ends.iter().filter(|end| **end <= cut).count();
        let expected: Vec<Row> =
            rows(&live[..chunk_ends.get(survivors.wrapping_sub(1)).map_or(8, |end| *end)]);
        assert_eq!(rows(&out), expected, "cut at {cut}");
        assert_eq!(rewritten.num_messages as usize, expected.len());
        assert!(rewritten.recovery.is_some(), "cut at {cut}: a cut file says that it was recovered");
        assert!(expected.len() <= whole.len());
    }
}

#[test]
fn a_flipped_bit_in_a_chunk_costs_that_chunk_and_the_pictures_that_need_it() {
    let live = live_file();
    let bounds = record_bounds(&live);
    let chunks: Vec<(usize, usize)> =
        bounds.windows(2).filter(|pair| live[pair[0]] == op::CHUNK).map(|pair| (pair[0], pair[1])).collect();
    for (n, (start, end)) in chunks.iter().enumerate() {
        // In the opcode, in the length, in the fixed fields, in the compressed records.
        for position in [*start, start + 2, start + RECORD_HEADER_BYTES + 17, start + 60, end - 1] {
            let mut damaged = live.clone();
            damaged[position] ^= 0x10;
            let (out, rewritten) = finished(&damaged, Profile::Recover);
            let recovery = rewritten.recovery.unwrap();
            assert!(
                recovery.damages.iter().any(|damage| damage.start_byte == *start as u64),
                "chunk {n} at {position}"
            );
            let keys = |file: &[u8]| {
                rows(file).into_iter().filter(|row| row.0 == Track::Keys.channel().id()).count()
            };
            assert_eq!(keys(&out), 11, "one key message per chunk: chunk {n} at {position}");
            let pictures_to_next_key = (n / 5 * 5 + 5).min(12) - n - 1;
            assert_eq!(recovery.lost_pictures as usize, pictures_to_next_key, "chunk {n} at {position}");
            let gaps: Vec<_> =
                recovery.picture_gaps.iter().map(|gap| (gap.after_nanos, gap.before_nanos)).collect();
            let next_key = Some((n / 5 + 1) as u64 * 1250 * MILLI).filter(|key| *key < 3000 * MILLI);
            // From the newest message before the damage on, or, without one, from the first lost picture.
            let after = if n == 0 { 250 * MILLI } else { (n as u64 - 1) * 250 * MILLI + 1 };
            assert_eq!(gaps, [(after, next_key)], "chunk {n} at {position}");
        }
    }
}

#[test]
fn lost_pictures_at_the_end_stay_known_when_the_record_that_names_them_is_lost() {
    let live = live_file();
    let mut damaged = live.clone();
    let bounds = record_bounds(&live);
    let chunks: Vec<_> = bounds.windows(2).filter(|pair| live[pair[0]] == op::CHUNK).collect();
    // The last keyframe, with one picture after it.
    damaged[chunks[10][1] - 1] ^= 0x10;
    let (recovered, rewritten) = finished(&damaged, Profile::Recover);
    let gap = rewritten.recovery.unwrap().picture_gaps.remove(0);
    assert_eq!((gap.after_nanos, gap.before_nanos), (2250 * MILLI + 1, None));
    // The last record of it, before the index.
    let last_named = |file: &[u8]| {
        let bounds = record_bounds(file);
        let is_it = |start: &usize| {
            file[*start] == op::METADATA && file[start + 13..].starts_with(RECOVERY_NAME.as_bytes())
        };
        bounds.into_iter().rfind(is_it).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mcap");
    let look = |file: &[u8], what: &str| {
        std::fs::write(&path, file).unwrap();
        let at = |nanos| crate::file::picture_at(&path, 0, nanos);
        assert!(at(2250 * MILLI).is_ok(), "{what}");
        for nanos in [2250 * MILLI + 1, 2600 * MILLI, u64::MAX] {
            assert!(matches!(at(nanos), Err(Error::UnreadablePicture { .. })), "{what}: {nanos}");
        }
    };
    for profile in [Profile::Recover, Profile::Seal] {
        let mut file = recovered.clone();
        for round in 0..3 {
            let what = format!("{profile:?}, round {round}");
            look(&file, &what);
            let record = last_named(&file);
            file[record + 60] ^= 1;
            look(&file, &what);
            let (next, rewritten) = finished(&file, profile);
            assert_eq!(rewritten.recovery.unwrap().picture_gaps, std::slice::from_ref(&gap), "{what}");
            assert_eq!(check(&next[..]).unwrap().findings, Vec::<String>::new(), "{what}");
            file = next;
        }
    }
}

#[test]
fn check_finds_a_flipped_bit_anywhere_in_a_sealed_bundle() {
    let (sealed, _) = finished(&live_file(), Profile::Seal);
    let step = (sealed.len() / 1500).max(1);
    let mut seed = 7u32;
    for position in (0..sealed.len()).step_by(step) {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut damaged = sealed.clone();
        damaged[position] ^= 1 << (seed >> 29);
        let is_found = check(&damaged[..]).map_or(true, |report| !report.is_sound());
        assert!(is_found, "bit {} of byte {position} of {}", seed >> 29, sealed.len());
    }
}

#[test]
fn an_ending_that_was_torn_is_damage_and_all_messages_are_kept() {
    let live = live_file();
    let text = b"praxis.ending";
    let at = live.windows(text.len()).position(|window| window == text).unwrap();
    for (start, end) in
        [(at + 50, at + 60), (at + 40, live.len() - 20), (at + 40, live.len()), (at - 9, at + 20)]
    {
        let mut torn = live.clone();
        torn[start..end].fill_with(|| 0);
        let (mended, rewritten) = finished(&torn, Profile::Seal);
        let recovery = rewritten.recovery.expect("the ending is lost, and that is said");
        assert!(!recovery.damages.is_empty(), "{recovery:?}");
        assert_eq!(
            (rows(&mended).len(), samples(&mended)),
            (rows(&finished(&live, Profile::Seal).0).len(), samples(&live))
        );
    }
}

#[test]
fn foreign_files_are_refused_by_name() {
    let refuse = |bytes: &[u8]| rewrite(bytes, Vec::new(), Profile::Recover).err().unwrap().to_string();
    assert!(refuse(b"").contains("MCAP magic"));
    assert!(refuse(b"RIFF....WAVEfmt ").contains("MCAP magic"));
    let mut other = Records(crate::record::MAGIC.to_vec());
    other.header("ros2", "x");
    assert!(refuse(&other.0).contains("\"ros2\""));
}

#[test]
fn the_mcap_crate_reads_a_sealed_bundle() {
    let (sealed, rewritten) = finished(&live_file(), Profile::Seal);
    let summary = mcap::Summary::read(&sealed).unwrap().unwrap();
    let statistics = summary.stats.clone().unwrap();
    assert_eq!(statistics.message_count, rewritten.num_messages);
    let theirs: Vec<Row> = mcap::MessageStream::new(&sealed)
        .unwrap()
        .map(|message| message.map(|m| (m.channel.id, m.log_time, m.data.into_owned())).unwrap())
        .collect();
    assert_eq!(theirs, rows(&sealed));
    for index in &summary.chunk_indexes {
        assert!(!summary.read_message_indexes(&sealed, index).unwrap().is_empty());
    }
}
