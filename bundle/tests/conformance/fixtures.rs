//! The fixtures: live, cut, damaged, recovered and sealed files, and files that are to be refused.

use std::ops::Range;

use praxis_bundle::manifest::{FORMAT_VERSION, RECOVERY_NAME};
use praxis_bundle::record::{MAGIC, RECORD_HEADER_BYTES, Records, op, parse_json_metadata};
use praxis_bundle::scan::{Item, scan};
use praxis_bundle::{LiveWriter, Manifest, Profile, rewrite};
use serde_json::{Value, json};

use crate::session::{CUT_CHUNK, DAMAGED_CHUNK, LAST_CHUNK, NEW_SIZE_CHUNK};
use crate::story::{Facts, Told};
use crate::{operations, session};

/// A file and its twin.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) file: Vec<u8>,
    pub(crate) twin: Value,
}

pub(crate) fn all() -> Vec<Fixture> {
    let mut all = of_session(&session::told());
    all.extend(of_operations(&operations::told()));
    all.extend(refused());
    all
}

fn fixture(name: &'static str, file: Vec<u8>, mut twin: Value, seeks: Value) -> Fixture {
    twin["seeks"] = seeks;
    Fixture { name, file, twin }
}

fn of_session(told: &Told) -> Vec<Fixture> {
    let all = || 0..told.num_chunks();
    let complete = || Facts { is_complete: true, ..Facts::default() };
    let lost = |facts: Facts| told.twin(all().filter(|n| *n != DAMAGED_CHUNK), true, &facts);
    let damaged_range = told.chunk(DAMAGED_CHUNK);
    let no_picture = json!({"display": 0, "nanos": "1", "error": "no_picture"});
    let seen = json!([
        no_picture,
        {"display": 0, "nanos": "1500000000", "sequence": 3}, {"display": 1, "nanos": "9000000000", "sequence": 5},
        {"display": 7, "nanos": "9000000000", "error": "no_picture"},
    ]);
    // Between the last message before the damage and the first after it nobody can tell; then deltas lack their base.
    let unseen = json!([
        no_picture,
        {"display": 0, "nanos": "310000001", "sequence": 1},
        {"display": 0, "nanos": "440000000", "error": "unreadable_picture"},
        {"display": 0, "nanos": "460000000", "error": "unreadable_picture"},
        {"display": 1, "nanos": "700000000", "error": "unreadable_picture"},
        {"display": 0, "nanos": "800000000", "error": "lost_picture"},
        {"display": 1, "nanos": "2400000000", "error": "lost_picture"},
    ]);

    // One byte of its compressed records; and the record's length and more, so that the next chunk must be searched for.
    let mut flipped = told.file.clone();
    flipped[damaged_range.end - 40] ^= 0x10;
    let mut overwritten = told.file.clone();
    overwritten[damaged_range.start + 1..damaged_range.start + 90].fill(0xab);

    let cut_at = told.chunk(CUT_CHUNK).start + 100;
    let cut = told.file[..cut_at].to_vec();
    let cut_range = told.chunk(CUT_CHUNK).start..cut_at;
    let mut damaged_and_cut = flipped.clone();
    damaged_and_cut.truncate(cut_at);
    let still_lost = json!([
        {"display": 0, "nanos": "2010000001", "sequence": 3},
        {"display": 0, "nanos": "2050000000", "error": "unreadable_picture"},
        {"display": 0, "nanos": "1000000000", "error": "unreadable_picture"},
        {"display": 1, "nanos": "9000000000", "error": "unreadable_picture"},
    ]);
    let (recovered, recovery) = finished(&damaged_and_cut, Profile::Recover);
    // What was written down where the file was cut.
    let still_named = json!({"source_bytes": cut_at, "damages": [], "lost_pictures": 3, "picture_gaps": [
        {"track": "screen/0", "after_nanos": 2_010_000_002u64, "before_nanos": null},
        {"track": "screen/1", "after_nanos": 3_000_002, "before_nanos": null},
    ]});
    let (unnamed, unnamed_range) = damage_last_recovery(&recovered);
    let (sealed, _) = finished(&told.file, Profile::Seal);
    let (sealed_damaged, sealed_range) = damage_third_keyframe(&sealed);

    vec![
        fixture("live", told.file.clone(), told.twin(all(), true, &complete()), seen.clone()),
        fixture(
            "cut",
            cut,
            told.twin(0..CUT_CHUNK, false, &Facts { unreadable: vec![cut_range], ..Facts::default() }),
            json!([
                {"display": 0, "nanos": "2010000001", "sequence": 4},
                {"display": 0, "nanos": "2050000000", "error": "unreadable_picture"},
                {"display": 1, "nanos": "2500000000", "error": "unreadable_picture"},
            ]),
        ),
        fixture(
            "damaged",
            flipped,
            lost(Facts { unreadable: vec![damaged_range.clone()], ..complete() }),
            unseen.clone(),
        ),
        fixture(
            "overwritten",
            overwritten,
            lost(Facts { unreadable: vec![damaged_range], ..complete() }),
            unseen,
        ),
        fixture(
            "recovered",
            recovered,
            told.twin(
                (0..CUT_CHUNK).filter(|n| *n != DAMAGED_CHUNK),
                false,
                &Facts { is_renumbered: true, recovery, ..complete() },
            ),
            still_lost.clone(),
        ),
        fixture(
            "recovered-damaged",
            unnamed,
            told.twin(
                (0..CUT_CHUNK).filter(|n| *n != DAMAGED_CHUNK),
                false,
                &Facts {
                    is_renumbered: true,
                    unreadable: vec![unnamed_range],
                    recovery: still_named,
                    ..complete()
                },
            ),
            still_lost,
        ),
        fixture("sealed", sealed, told.twin(all(), true, &Facts { is_sealed: true, ..complete() }), seen),
        fixture(
            "sealed-damaged",
            sealed_damaged,
            told.twin(
                (0..NEW_SIZE_CHUNK).chain(LAST_CHUNK..told.num_chunks()),
                true,
                &Facts { is_sealed: true, unreadable: vec![sealed_range], ..complete() },
            ),
            json!([
                {"display": 0, "nanos": "1900000000", "sequence": 3},
                {"display": 1, "nanos": "2500000001", "sequence": 5},
            ]),
        ),
    ]
}

fn of_operations(told: &Told) -> Vec<Fixture> {
    let (sealed, _) = finished(&told.file, Profile::Seal);
    let twin = |is_sealed| {
        let facts = Facts { is_complete: true, is_sealed, ..Facts::default() };
        told.twin(0..told.num_chunks(), true, &facts)
    };
    vec![
        fixture("operations", told.file.clone(), twin(false), json!([])),
        fixture("operations-sealed", sealed, twin(true), json!([])),
    ]
}

/// Files that are no bundles, or none that can be read; the twin names the error.
fn refused() -> Vec<Fixture> {
    let refused = |name, file, error: &str| Fixture { name, file, twin: json!({"refused": error}) };
    let mut foreign = Records(MAGIC.to_vec());
    foreign.header("ros2", "another program");
    let newer = Manifest { format_version: FORMAT_VERSION + 1, ..session::manifest() };
    let newer = LiveWriter::new(Vec::new(), &newer, &[]).unwrap();
    let newer = newer.end(&session_ending()).unwrap();
    let mut headless =
        LiveWriter::new(Vec::new(), &session::manifest(), &[]).unwrap().end(&session_ending()).unwrap();
    headless.truncate(200);
    vec![
        refused("not-mcap", b"a text of more than eight bytes".to_vec(), "not_mcap"),
        refused("foreign", foreign.0, "foreign_profile"),
        refused("newer", newer, "newer_format"),
        refused("no-manifest", headless, "no_manifest"),
    ]
}

fn session_ending() -> praxis_bundle::Ending {
    use praxis_bundle::manifest::EndReason;
    praxis_bundle::Ending { session_time_nanos: 0, reason: EndReason::Stopped, outcome: None, note: None }
}

fn finished(source: &[u8], profile: Profile) -> (Vec<u8>, Value) {
    let mut out = Vec::new();
    let rewritten = rewrite(source, &mut out, profile).unwrap();
    (out, json!(rewritten.recovery))
}

/// Flips a byte in the full record of what recovery left out.
fn damage_last_recovery(recovered: &[u8]) -> (Vec<u8>, Range<usize>) {
    let mut range = 0..0;
    scan(recovered, |item| {
        if let Item::Record { offset, opcode: op::METADATA, content } = item
            && parse_json_metadata(&content)?.0 == RECOVERY_NAME
        {
            range = offset as usize..offset as usize + RECORD_HEADER_BYTES + content.len();
        }
        Ok(())
    })
    .unwrap();
    let mut damaged = recovered.to_vec();
    // A digit of its checksum becomes another one.
    let digit = &mut damaged[range.end - 5];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    (damaged, range)
}

/// Flips a byte in the chunk that the third keyframe begins: the first display's new size.
fn damage_third_keyframe(sealed: &[u8]) -> (Vec<u8>, Range<usize>) {
    let mut chunks = Vec::new();
    scan(sealed, |item| {
        if let Item::Chunk { offset, record, .. } = item {
            chunks.push(offset as usize..offset as usize + record.len());
        }
        Ok(())
    })
    .unwrap();
    // The first chunk has what came before the first keyframe.
    let range = chunks[3].clone();
    let mut damaged = sealed.to_vec();
    damaged[range.end - 30] ^= 1;
    (damaged, range)
}
