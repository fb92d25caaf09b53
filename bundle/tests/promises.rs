//! What the fuzz targets try for hours, on every small case that they have found and on bundles damaged at random; and
//! every length of every kind of record, with a lie in it.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeMap;

use praxis_bundle::record::{RECORD_HEADER_BYTES, iterate, op};
use praxis_bundle::scan::{Item, messages, scan};
use praxis_bundle::{Error, Profile, file, rewrite};
use proptest::prelude::*;

#[allow(dead_code, unreachable_pub, reason = "the end-to-end tests use more of it")]
#[path = "../../tests/src/fixture.rs"]
mod fixture;
#[allow(unreachable_pub, reason = "the fuzz targets use it as a crate")]
#[path = "../../fuzz/src/lib.rs"]
mod promises;

fn live() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mcap");
    fixture::write_live(&path).unwrap();
    std::fs::read(path).unwrap()
}

fn sealed() -> Vec<u8> {
    let mut out = Vec::new();
    rewrite(&live()[..], &mut out, Profile::Seal).unwrap();
    out
}

type Row = (u16, u64, Vec<u8>);

/// Byte position of each readable chunk and its messages.
fn chunks(bytes: &[u8]) -> Vec<(usize, Vec<Row>)> {
    let mut chunks = Vec::new();
    let result = scan(bytes, |item| {
        if let Item::Chunk { offset, records, .. } = item {
            let rows = messages(&records).map(|(_, m)| (m.channel, m.log_time, m.data.to_vec()));
            chunks.push((offset as usize, rows.collect()));
        }
        Ok(())
    });
    drop(result);
    chunks
}

/// Where each top-level record begins and ends, and its opcode.
fn records(bytes: &[u8]) -> Vec<(usize, usize, u8)> {
    let records = iterate(&bytes[8..bytes.len() - 8]).map(Result::unwrap);
    records
        .map(|record| {
            let start = 8 + record.offset;
            (start, start + RECORD_HEADER_BYTES + record.content.len(), record.opcode)
        })
        .collect()
}

#[test]
fn a_lie_in_any_length_costs_at_most_the_chunk_it_is_in() {
    for file in [live(), sealed()] {
        let whole = chunks(&file);
        // Two records of each kind: a first and a last one.
        let mut kinds: BTreeMap<u8, Vec<(usize, usize)>> = BTreeMap::new();
        for (start, end, opcode) in records(&file) {
            kinds.entry(opcode).or_default().push((start, end));
        }
        assert!(kinds.len() >= 7, "{:?}", kinds.keys());
        for (start, end) in kinds.values().flat_map(|places| [places[0], places[places.len() - 1]]) {
            let lies = [
                u64::MAX,
                u64::from(u32::MAX),
                file.len() as u64 + 1,
                (file.len() - start) as u64,
                1 << 26,
                0,
            ];
            let inside = (start + 9..end.min(start + 90)).flat_map(|at| [(at, 4), (at, 8)]);
            for (at, width) in
                [(start + 1, 8)].into_iter().chain(inside).filter(|(at, width)| at + width <= end)
            {
                for lie in lies {
                    let mut damaged = file.clone();
                    damaged[at..at + width].copy_from_slice(&lie.to_le_bytes()[..width]);
                    let left = chunks(&damaged);
                    for (offset, rows) in &whole {
                        let is_there = left.iter().any(|(_, theirs)| theirs == rows);
                        assert!(
                            is_there || *offset == start,
                            "{lie:#x} at {at}: the chunk at {offset} is lost"
                        );
                    }
                    assert!(left.len() <= whole.len(), "{lie:#x} at {at}: a chunk that was not there");
                    if file[start] == op::CHUNK && at < start + 45 {
                        assert_a_lost_picture_is_all(&damaged);
                    }
                }
            }
            // The same in a file that ends there, sixty bytes of it or so.
            for lie in lies {
                let mut short = file[..8].to_vec();
                short.extend_from_slice(&file[start..end.min(start + 52)]);
                short[9..17].copy_from_slice(&lie.to_le_bytes());
                promises::scan(&short);
                promises::recover(&short);
            }
        }
    }
}

/// Whichever way a chunk is damaged, a picture of it is refused as lost, or shown.
fn assert_a_lost_picture_is_all(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mcap");
    std::fs::write(&path, bytes).unwrap();
    for at_nanos in [2_000_000, 521_000_000, u64::MAX] {
        let picture = file::picture_at(&path, 0, at_nanos);
        let is_lost = matches!(
            picture,
            Err(Error::NoPicture { .. } | Error::LostPicture { .. } | Error::UnreadablePicture { .. })
        );
        assert!(is_lost || picture.is_ok(), "{:?}", picture.err());
    }
}

#[test]
fn nothing_of_a_bundle_is_lost_with_its_first_page() {
    for file in [live(), sealed()] {
        let mut damaged = file.clone();
        damaged[..4096].fill(0);
        let first_chunk = chunks(&file)[0].0;
        assert!(first_chunk > 4096, "the first chunk begins in the first page");
        assert_eq!(chunks(&damaged), chunks(&file));
        let mut out = Vec::new();
        let rewritten = rewrite(&damaged[..], &mut out, Profile::Recover).unwrap();
        assert_eq!(rewritten.recovery.unwrap().damages.len(), 1);
    }
}

#[test]
fn a_flipped_opcode_or_length_never_swallows_what_follows_unnamed() {
    for file in [live(), sealed()] {
        let records = records(&file);
        for (n, (start, _, opcode)) in records.iter().enumerate() {
            for bit in 0..72 {
                let mut damaged = file.clone();
                damaged[start + bit / 8] ^= 1 << (bit % 8);
                let mut damages = 0;
                scan(&damaged[..], |item| {
                    damages += u32::from(matches!(item, Item::Damage { .. }));
                    Ok(())
                })
                .unwrap();
                assert!(damages > 0, "bit {bit} of record {n}, opcode {opcode:#04x}, goes unnoticed");
                let lost = chunks(&file).len() - chunks(&damaged).len();
                assert!(
                    lost <= usize::from(*opcode == op::CHUNK),
                    "bit {bit} of record {n} loses {lost} chunks"
                );
            }
        }
    }
}

#[test]
fn every_case_that_a_fuzzer_found_stays_mended() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut num_cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        println!("{}", path.display());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let target = name.split('-').next().unwrap_or_default();
        match target {
            "scan" => promises::scan(&bytes),
            "recover" => promises::recover(&bytes),
            "picture" => promises::picture(&bytes),
            "json_tracks" => promises::json_tracks(&bytes),
            "narration" => promises::narration(&bytes),
            other => panic!("{other} is no target"),
        }
        num_cases += 1;
    }
    assert!(num_cases > 0, "no cases in {folder}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_few_changed_bytes_keep_the_promises(
        changes in prop::collection::vec((any::<u32>(), any::<u8>()), 1..5),
        cut in any::<u32>(),
    ) {
        for file in [live(), promises::unpacked(&live())] {
            let mut bytes = file.clone();
            for (at, value) in &changes {
                bytes[*at as usize % file.len()] = *value;
            }
            if cut % 3 == 0 {
                bytes.truncate(cut as usize % file.len());
            }
            promises::scan(&bytes);
            promises::recover(&bytes);
        }
    }

    #[test]
    fn no_bytes_break_pictures_json_or_narration(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        promises::picture(&bytes);
        promises::json_tracks(&bytes);
        promises::narration(&bytes);
    }
}
