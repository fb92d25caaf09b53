//! Files made to hurt: each costs a reader little memory, and never a crash.
//!
//! Each file is read by a process of its own, whose largest memory is measured. Processor time is printed.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::process::Command;

use praxis_bundle::check::check;
use praxis_bundle::info::info;
use praxis_bundle::record::{MAGIC, Records, op};
use praxis_bundle::screen::{HEADER_BYTES, TILE_PX};
use praxis_bundle::{Profile, Result, Track, file, rewrite};

#[allow(dead_code, unreachable_pub, reason = "the end-to-end tests use more of it")]
#[path = "../../tests/src/fixture.rs"]
mod fixture;

const MAX_MEMORY_KIB: u64 = 256 << 10;
const MIB: usize = 1 << 20;
/// Wall clock at the epoch of the fixture.
const EPOCH: u64 = 1_760_000_000_000_000_000;

/// The fixture up to its first chunk: all that makes messages readable.
fn beginning() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mcap");
    fixture::write_live(&path).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let chunk = bytes.windows(8).position(|window| window == b"\x04\0\0\0zstd").unwrap();
    bytes.truncate(chunk - 37);
    bytes
}

/// A zstd frame of so many zeros that says so, four bytes for each 128 KiB.
fn zeros(count: u64) -> Vec<u8> {
    const BLOCK: u64 = 128 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend_from_slice(&count.to_le_bytes());
    for n in 0..count.div_ceil(BLOCK) {
        let length = (count - n * BLOCK).min(BLOCK) as u32;
        let is_last = u32::from((n + 1) * BLOCK >= count);
        frame.extend_from_slice(&(length << 3 | 0b010 | is_last).to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

fn chunk(file: &mut Records, uncompressed_bytes: u64, crc: u32, compressed: &[u8]) {
    file.push(op::CHUNK, |content| {
        content.u64(EPOCH).u64(EPOCH).u64(uncompressed_bytes).u32(crc).text("zstd");
        content.u64(compressed.len() as u64).bytes(compressed).end();
    });
}

/// A chunk of these records, as often as it fits into a MiB.
fn filled_with(records: &Records) -> Vec<u8> {
    let compressed = zstd::bulk::compress(&records.0, 3).unwrap();
    let mut file = Records(beginning());
    let crc = crc32fast::hash(&records.0);
    while file.0.len() + compressed.len() + 100 < MIB {
        chunk(&mut file, records.0.len() as u64, crc, &compressed);
    }
    file.0
}

/// As many copies of a message as a chunk takes.
fn many(track: Track, data: &[u8]) -> Records {
    let mut records = Records::default();
    let most = ((64 << 20) / (data.len() + 31)).min(1 << 19);
    for _ in 0..most {
        records.message(track.channel().id(), 0, EPOCH, data);
    }
    records
}

/// A keyframe of one colour.
fn keyframe(width: u16, height: u16) -> Vec<u8> {
    let (columns, rows) = (u32::from(width).div_ceil(TILE_PX), u32::from(height).div_ceil(TILE_PX));
    let mut message = vec![0; HEADER_BYTES];
    message[0] = 1;
    message[2..4].copy_from_slice(&width.to_le_bytes());
    message[4..6].copy_from_slice(&height.to_le_bytes());
    message[32..36].copy_from_slice(&(columns * rows).to_le_bytes());
    for row in 0..rows {
        for column in 0..columns {
            message.push(1);
            message.extend_from_slice(&(column as u16).to_le_bytes());
            message.extend_from_slice(&(row as u16).to_le_bytes());
            let (w, h) = (
                TILE_PX.min(u32::from(width) - column * TILE_PX),
                TILE_PX.min(u32::from(height) - row * TILE_PX),
            );
            message.resize(message.len() + (w * h * 3) as usize, 9);
        }
    }
    message
}

/// Blocks of a million samples made of nothing: a FLAC stream of constant frames.
fn narration_bomb() -> Vec<u8> {
    let block = praxis_bundle::narration::Block { rate_hz: 48_000, position: 0, samples: vec![0; 1 << 20] };
    praxis_bundle::narration::encode_flac(&block).unwrap()
}

fn hostile_files() -> Vec<(&'static str, Vec<u8>)> {
    let with = |fill: &dyn Fn(&mut Records)| {
        let mut file = Records(beginning());
        fill(&mut file);
        file.0
    };
    let giant = {
        // One message that fills a chunk.
        let mut records = Records::default();
        records.message(Track::Screen(0).channel().id(), 0, EPOCH, &vec![0; (64 << 20) - 31]);
        records
    };
    let big = keyframe(5100, 4100);
    let displays_file = with(&|file| {
        for display in 0..32u8 {
            let mut displays = Records::default();
            let channel = Track::Screen(display).key_channel().unwrap();
            displays.message(channel.id(), 0, EPOCH, &big);
            let compressed = zstd::bulk::compress(&displays.0, 3).unwrap();
            chunk(file, displays.0.len() as u64, crc32fast::hash(&displays.0), &compressed);
        }
    });
    let nested = {
        // Every 60 bytes a chunk seems to begin that holds all the rest.
        let mut file = beginning();
        while file.len() < MIB - 100 {
            let rest = (MIB - file.len() - 9) as u64;
            let mut record = Records::default();
            chunk(&mut record, 1 << 20, 0, &[]);
            record.0[1..9].copy_from_slice(&rest.to_le_bytes());
            record.0[45..53].copy_from_slice(&(rest - 44).to_le_bytes());
            file.extend_from_slice(&record.0);
        }
        file.resize(MIB, 0);
        file
    };
    let marker = br#"{"kind":"marker","label":""}"#;
    let gap = br#"{"kind":"gap_begin","track":"keys","reason":"pause","detail":""}"#;
    let gap_end = br#"{"kind":"gap_end","track":"nothing"}"#;
    let health = br#"{"tracks":[],"narration_peak_dbfs":null,"disk_free_bytes":0,"missed_damage":0}"#;
    let long = format!(r#"{{"kind":"{}"}}"#, "x".repeat(60 << 20));
    vec![
        ("a chunk of 2 GiB in 65 KB that says so", with(&|file| chunk(file, 2 << 30, 0, &zeros(2 << 30)))),
        (
            "a chunk of 2 GiB in 65 KB that says 64 MiB",
            with(&|file| chunk(file, 64 << 20, 0, &zeros(2 << 30))),
        ),
        ("a chunk of 2 GiB in 65 KB that says 100 bytes", with(&|file| chunk(file, 100, 0, &zeros(2 << 30)))),
        ("a chunk of 10 bytes that says 64 MiB", with(&|file| chunk(file, 64 << 20, 0, &zeros(10)))),
        ("a MiB of wrong chunks of 64 MiB", {
            let mut file = Records(beginning());
            while file.0.len() < MIB - 3000 {
                chunk(&mut file, 64 << 20, 0, &zeros(64 << 20));
            }
            file.0
        }),
        ("a MiB of right chunks of 64 MiB, one message each", filled_with(&giant)),
        ("a MiB of chunks full of empty deltas", filled_with(&many(Track::Screen(0), &[0; 40]))),
        ("a MiB of chunks full of empty messages", filled_with(&many(Track::Screen(0), &[]))),
        ("a MiB of chunks full of markers", filled_with(&many(Track::Markers, marker))),
        ("a MiB of chunks full of gaps", filled_with(&many(Track::Markers, gap))),
        ("a MiB of chunks full of ends of gaps", filled_with(&many(Track::Markers, gap_end))),
        ("a MiB of chunks full of health", filled_with(&many(Track::Health, health))),
        ("a MiB of chunks of one long text", filled_with(&many(Track::Markers, long.as_bytes()))),
        (
            "a MiB of chunks full of narration out of nothing",
            filled_with(&many(Track::Narration, &narration_bomb())),
        ),
        ("32 displays of 21 million pixels", displays_file),
        ("a MiB of keyframes of 21 million pixels", {
            let mut records = Records::default();
            records.message(Track::Screen(0).key_channel().unwrap().id(), 0, EPOCH, &big);
            filled_with(&records)
        }),
        ("chunks in chunks", nested),
        (
            "a MiB of manifests",
            with(&|file| {
                let json = format!("[{}]", vec!["[]"; 300_000].join(","));
                file.json_metadata("praxis.ending", &json);
            }),
        ),
        ("a manifest of two million texts", {
            let mut file = Records(MAGIC.to_vec());
            file.header("praxis", "");
            let texts = vec!["\"\""; 1_300_000].join(",");
            let mut facts = praxis_bundle::scan::Facts::default();
            praxis_bundle::scan::scan(&beginning()[..], |item| facts.note(&item)).unwrap();
            let json = serde_json::to_string(facts.manifest().unwrap()).unwrap();
            let json = json.replace("\"German\"", &texts);
            file.json_metadata("praxis.manifest", &json);
            file.0
        }),
    ]
}

/// Largest resident memory of this process since the last call, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Processor time of this process, in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Reads a file in every way there is.
fn read(path: &Path) {
    let open = || file::open(path);
    let mut ticks = cpu_ticks();
    let mut each = |what: &str, result: Result<String>| {
        let kib = peak_kib();
        let said = result.unwrap_or_else(|error| error.to_string());
        println!("  {what}: {} ms, {} MiB, {said}", (cpu_ticks() - ticks) * 10, kib >> 10);
        assert!(kib <= MAX_MEMORY_KIB, "{what} took {kib} KiB");
        ticks = cpu_ticks();
    };
    each("info", open().and_then(|file| info(&file)).map(|info| format!("{} damages", info.damages.len())));
    let checked = open().and_then(|file| check(&file));
    each("check", checked.map(|report| format!("{} findings", report.findings.len())));
    let recovered = open().and_then(|file| rewrite(&file, std::io::sink(), Profile::Recover));
    each("recover", recovered.map(|rewritten| format!("{} messages", rewritten.num_messages)));
    let picture = file::picture_at(path, 0, u64::MAX);
    each("picture", picture.map(|picture| format!("{} bytes", picture.bgr.len())));
    let (mut num_messages, mut num_samples) = (0, 0);
    let heard = file::for_each_message(path, |channel, _, _, data| {
        num_messages += 1;
        if channel.track == Track::Narration {
            num_samples += praxis_bundle::narration::decode(data)?.samples.len();
        }
        Ok(())
    });
    each("narration", heard.map(|_| format!("{num_messages} messages, {num_samples} samples")));
}

#[test]
fn no_small_file_costs_much() {
    const FILE: &str = "PRAXIS_HOSTILE_FILE";
    if let Some(path) = std::env::var_os(FILE) {
        read(Path::new(&path));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in hostile_files() {
        assert!(bytes.len() <= 4 * MIB, "{name} has {} bytes", bytes.len());
        let path = folder.path().join("x.mcap");
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = Command::new(std::env::current_exe().unwrap());
        let reader = reader.args(["--exact", "no_small_file_costs_much", "--nocapture"]).env(FILE, &path);
        let output = reader.output().unwrap();
        println!("{name}, {} bytes\n{}", bytes.len(), String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
