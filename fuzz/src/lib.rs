//! What must hold for any bytes: called by the fuzz targets, and by the ordinary tests on small cases.
//!
//! Each function panics if its promise is broken. Checksums would stop a fuzzer at the door, so most bytes are tried
//! twice: as they are, and with every checksum set right.

use praxis_bundle::check::check;
use praxis_bundle::info::info;
use praxis_bundle::manifest::{CRC_KEY, Ending, JSON_KEY, Seal};
use praxis_bundle::messages::{
    ClockMessage, GeometryMessage, HealthMessage, KeyMessage, MarkersMessage, PointerMessage, WindowsMessage,
};
use praxis_bundle::narration::{self, encode_flac, encode_pcm};
use praxis_bundle::record::{Chunk, Fields, RECORD_HEADER_BYTES, Records, op};
use praxis_bundle::scan::{Item, messages};
use praxis_bundle::screen::{Decoder, HEADER_BYTES, MAX_PIXELS};
use praxis_bundle::{Channel, Manifest, Profile, Recovery, Track, file, rewrite};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Every byte of the file is in exactly one item, and no reader panics.
pub fn scan(data: &[u8]) {
    for bytes in [data.to_vec(), mended(data)] {
        let mut at = 8;
        let result = praxis_bundle::scan::scan(&bytes[..], |item| {
            let (start, end) = match item {
                Item::Chunk { offset, record, .. } => (offset, offset + record.len() as u64),
                Item::Record { offset, content, .. } => {
                    (offset, offset + (RECORD_HEADER_BYTES + content.len()) as u64)
                }
                Item::Complete { offset } => (offset, offset + 8),
                Item::Damage { start, end, .. } => (start, end),
            };
            assert!(start == at || (start == 0 && at == 8), "an item at {start}, expected at {at}");
            assert!(end >= start, "an item ends before it begins");
            at = end;
            Ok(())
        });
        assert!(result.is_err() || at == bytes.len() as u64, "{at} of {} bytes accounted for", bytes.len());
        let _ = info(&bytes[..]);
        let _ = check(&bytes[..]);
    }
}

/// A message: channel, time, payload.
type Row = (u16, u64, Vec<u8>);

fn rows(bytes: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    let result = praxis_bundle::scan::scan(bytes, |item| {
        if let Item::Chunk { records, .. } = item {
            rows.extend(messages(&records).map(|(_, m)| (m.channel, m.log_time, m.data.to_vec())));
        }
        Ok(())
    });
    drop(result);
    rows
}

fn is_picture(row: &Row) -> bool {
    Channel::from_id(row.0).is_some_and(|channel| matches!(channel.track, Track::Screen(_)))
}

/// What is recovered is whole, holds every readable message but pictures without their base, and nothing else.
pub fn recover(data: &[u8]) {
    for bytes in [data.to_vec(), mended(data)] {
        let mut out = Vec::new();
        if let Ok(rewritten) = rewrite(&bytes[..], &mut out, Profile::Recover) {
            let mut is_complete = false;
            praxis_bundle::scan::scan(&out[..], |item| {
                assert!(!matches!(item, Item::Damage { .. }), "a recovered file is damaged: {item:?}");
                is_complete |= matches!(item, Item::Complete { .. });
                Ok(())
            })
            .expect("a recovered file is a bundle");
            assert!(is_complete, "a recovered file ends as a bundle does");
            let readable = rows(&bytes);
            let known = |row: &&Row| Channel::from_id(row.0).is_some();
            let kept = rows(&out);
            let (pictures, others): (Vec<_>, Vec<_>) = kept.iter().partition(|row| is_picture(row));
            let expected: Vec<_> = readable.iter().filter(known).filter(|row| !is_picture(row)).collect();
            assert_eq!(others, expected, "every message but pictures is kept as it was");
            let mut candidates = readable.iter().filter(|row| is_picture(row));
            for picture in &pictures {
                assert!(candidates.any(|row| row == *picture), "a picture that was not there");
            }
            let num_pictures = readable.iter().filter(|row| is_picture(row)).count();
            let is_named = rewritten.recovery.is_some_and(|recovery| recovery.lost_pictures > 0);
            assert!(pictures.len() == num_pictures || is_named, "pictures are lost, which nothing says");
            look_at(&out);
        }
        look_at(&bytes);
        let _ = rewrite(&bytes[..], Vec::new(), Profile::Seal);
    }
}

/// Asks a file for pictures.
fn look_at(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("x.mcap");
    if std::fs::write(&path, bytes).is_ok() {
        for at_nanos in [0, 300_000_000, 521_000_000, u64::MAX] {
            if let Ok(picture) = file::picture_at(&path, 0, at_nanos) {
                assert_eq!(picture.bgr.len(), (picture.width_px * picture.height_px * 3) as usize);
            }
        }
    }
}

/// Whatever messages come, a shown picture has all its pixels, and after an error none is shown. The first byte of
/// each message says whether it is taken as it is or gets a sound header of the size of the picture held.
pub fn picture(data: &[u8]) {
    let mut decoder = Decoder::new(0);
    let mut rest = data;
    let mut sequence = 0;
    while let Some((head, after)) = rest.split_at_checked(3) {
        let wanted = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let (body, next) = after.split_at(wanted.min(after.len()));
        rest = next;
        let message = if head[0] & 1 == 0 { body.to_vec() } else { headed(&decoder, head[0], body) };
        sequence += u32::from(head[0] & 0x80 == 0);
        let is_shown = decoder.apply(sequence, &message).is_ok();
        assert_eq!(
            decoder.picture().is_some(),
            is_shown,
            "a picture is shown after an error, or none without"
        );
        if let Some(picture) = decoder.picture() {
            let pixels = u64::from(picture.width_px) * u64::from(picture.height_px);
            assert!(pixels <= MAX_PIXELS && picture.bgr.len() as u64 == pixels * 3, "{pixels} pixels");
        }
    }
}

/// A message of the size of the picture held: number of operations in the first bytes of the body.
fn headed(decoder: &Decoder, head: u8, body: &[u8]) -> Vec<u8> {
    let (width, height) =
        decoder.picture().map_or((40, 33), |picture| (picture.width_px as u16, picture.height_px as u16));
    let mut message = vec![0; HEADER_BYTES];
    (message[0], message[1]) = (1, u8::from(head & 2 == 0));
    message[2..4].copy_from_slice(&width.to_le_bytes());
    message[4..6].copy_from_slice(&height.to_le_bytes());
    message[32] = head >> 2 & 0x1f;
    message.extend_from_slice(body);
    message
}

/// A message that parses can be written, and parses again.
pub fn json_tracks(data: &[u8]) {
    fn try_type<T: DeserializeOwned + Serialize>(data: &[u8]) {
        if let Ok(value) = serde_json::from_slice::<T>(data) {
            let text = serde_json::to_vec(&value).expect("what was parsed can be written");
            serde_json::from_slice::<T>(&text).expect("what was written can be parsed");
        }
    }
    try_type::<PointerMessage>(data);
    try_type::<KeyMessage>(data);
    try_type::<WindowsMessage>(data);
    try_type::<MarkersMessage>(data);
    try_type::<GeometryMessage>(data);
    try_type::<ClockMessage>(data);
    try_type::<HealthMessage>(data);
    try_type::<Manifest>(data);
    try_type::<Ending>(data);
    try_type::<Recovery>(data);
    try_type::<Seal>(data);
}

/// Samples that decode come back from both codings.
pub fn narration(data: &[u8]) {
    let Ok(block) = narration::decode(data) else { return };
    assert_eq!(narration::decode(&encode_pcm(&block)).ok().as_ref(), Some(&block));
    if block.samples.len() <= 4096 {
        let flac = encode_flac(&block).expect("samples that decode can be coded");
        assert_eq!(narration::decode(&flac).ok().as_ref(), Some(&block));
    }
}

/// The file with every checksum and every length beside it set right.
pub fn mended(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    let mut at = 8;
    while let Some(header) = data.get(at..at + RECORD_HEADER_BYTES) {
        let length = u64::from_le_bytes(header[1..].try_into().unwrap_or_default());
        let start = at + RECORD_HEADER_BYTES;
        let Some(end) = usize::try_from(length).ok().and_then(|length| start.checked_add(length)) else {
            break;
        };
        let Some(content) = out.get_mut(start..end) else { break };
        match header[0] {
            op::CHUNK => mend_chunk(content),
            op::METADATA => drop(mend_metadata(content)),
            _ => {}
        }
        at = end;
    }
    out
}

fn mend_chunk(content: &mut [u8]) {
    let Ok(chunk) = Chunk::parse(content) else { return };
    let records = match chunk.compression {
        "" => chunk.records.to_vec(),
        _ => match zstd_or_nothing(chunk.records) {
            Some(records) => records,
            None => return,
        },
    };
    let crc = crc32(&records);
    content[16..24].copy_from_slice(&(records.len() as u64).to_le_bytes());
    content[24..28].copy_from_slice(&crc.to_le_bytes());
}

/// At most a MiB: more would only be slow.
fn zstd_or_nothing(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(bytes, 1 << 20).ok()
}

fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn mend_metadata(content: &mut [u8]) -> praxis_bundle::Result<()> {
    let mut fields = Fields::of("metadata", content);
    let name = fields.text()?;
    fields.u32()?;
    let (mut json, mut crc_at) = ("", None);
    while !fields.rest().is_empty() {
        let key = fields.text()?;
        let value = fields.text()?;
        if key == JSON_KEY {
            json = value;
        } else if key == CRC_KEY && value.len() == 8 {
            crc_at = Some(content.len() - fields.rest().len() - 8);
        }
    }
    let crc = format!("{:08x}", crc32(format!("{name}{json}").as_bytes()));
    if let Some(at) = crc_at {
        content[at..at + 8].copy_from_slice(crc.as_bytes());
    }
    Ok(())
}

/// The file with every chunk stored without compression, so that a fuzzer can reach into it.
pub fn unpacked(data: &[u8]) -> Vec<u8> {
    let mut out = Records(data[..8].to_vec());
    let result = praxis_bundle::scan::scan(data, |item| {
        match item {
            Item::Chunk { record, records, .. } => {
                let chunk = Chunk::parse(&record[RECORD_HEADER_BYTES..])?;
                out.push(op::CHUNK, |content| {
                    content.u64(chunk.start_time).u64(chunk.end_time).u64(records.len() as u64);
                    content.u32(crc32(&records)).text("").u64(records.len() as u64).bytes(&records).end();
                });
            }
            Item::Record { opcode, content, .. } => out.push(opcode, |fields| fields.bytes(&content).end()),
            Item::Complete { .. } => out.0.extend_from_slice(&data[..8]),
            Item::Damage { .. } => {}
        }
        Ok(())
    });
    drop(result);
    out.0
}
