//! Bundles as files of the machine, for those who read: open, sum up, check, show a picture.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::check::{Report, check};
use crate::index::Index;
use crate::info::{Info, info};
use crate::layout::parse_attachment;
use crate::limits::max_bytes;
use crate::manifest::PictureGap;
use crate::record::{Chunk, MAGIC, RECORD_HEADER_BYTES, op};
use crate::rewrite::uncertain_since;
use crate::scan::{Bytes, Facts, Item, Scanner, Step, check_messages, messages, scan};
use crate::screen::{Decoder, Picture};
use crate::storage::open_file;
use crate::work::Work;
use crate::{Channel, Error, Manifest, Result, Track};

/// Ending of a live file's name.
pub const LIVE_SUFFIX: &str = ".live.mcap";
/// Messages of different tracks stand in a file out of order by no more than this.
const LATE_NANOS: u64 = 5_000_000_000;
/// Messages that wait for older ones before the oldest of them go out.
const MAX_WAITING_EVENTS: usize = 20_000;
/// Ending of a temporary file's name.
pub const TEMPORARY_SUFFIX: &str = ".part";

/// Opens a bundle for reading.
///
/// # Errors
/// `Io` naming the path.
pub fn open(path: &Path) -> Result<File> {
    open_file(path).map_err(Error::io(format!("opening {}", path.display())))
}

/// Whether a file begins as a bundle does. What cannot be read does not.
#[must_use]
pub fn is_bundle(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    open(path).and_then(|mut file| file.read_exact(&mut magic).map_err(Error::io("reading"))).is_ok()
        && magic == MAGIC
}

/// Sums up a bundle file.
///
/// # Errors
/// As [`info`].
pub fn info_of(path: &Path) -> Result<Info> {
    info(&open(path)?)
}

/// Checks every byte of a bundle file; the SHA-256 beside it too, if there is one.
///
/// # Errors
/// `Io`, `NotMcap`. What is wrong with the content is in the report.
pub fn check_file(path: &Path) -> Result<Report> {
    let mut report = check(&open(path)?)?;
    if let Ok(stated) = std::fs::read_to_string(digest_path(path)) {
        let stated = stated.split_whitespace().next().unwrap_or_default();
        let found = sha256(path)?;
        if stated != found {
            report
                .findings
                .push(format!("SHA-256 is {found}, {} says {stated}", digest_path(path).display()));
        }
    }
    Ok(report)
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// `Io`.
pub fn sha256(path: &Path) -> Result<String> {
    digest_of(&open(path)?)
}

/// SHA-256 of all bytes of a source, in hexadecimal.
pub(crate) fn digest_of(source: &(impl Bytes + ?Sized)) -> Result<String> {
    let reading = || Error::io("reading the bundle");
    let (mut digest, mut buffer, mut offset) = (Sha256::new(), vec![0; 1 << 20], 0);
    let file_bytes = source.num_bytes().map_err(reading())?;
    while offset < file_bytes {
        let part = &mut buffer[..(file_bytes - offset).min(1 << 20) as usize];
        source.fill(offset, part).map_err(reading())?;
        digest.update(&part);
        offset += part.len() as u64;
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The file that holds the SHA-256 of a sealed bundle, as `sha256sum` writes it.
#[must_use]
pub fn digest_path(path: &Path) -> PathBuf {
    with_suffix(path, ".sha256")
}

/// `path` with something appended to its last part.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Hands out every readable message: channel, sequence number, session time, payload. Returns how many bytes of the file
/// cannot be read.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NewerFormat`, `NoManifest`, `Io`, or what `each` returns.
pub fn for_each_message(
    path: &Path,
    mut each: impl FnMut(Channel, u32, u64, &[u8]) -> Result<()>,
) -> Result<u64> {
    let (mut facts, mut unreadable_bytes) = (Facts::default(), 0);
    scan(&open(path)?, |item| {
        facts.note(&item)?;
        if let Item::Damage { start, end, .. } = item {
            unreadable_bytes += end - start;
        }
        let Item::Chunk { records, .. } = item else { return Ok(()) };
        let epoch = facts.manifest()?.epoch_wall_nanos;
        for (_, message) in messages(&records) {
            if let Some(channel) = Channel::from_id(message.channel) {
                each(channel, message.sequence, message.log_time.saturating_sub(epoch), message.data)?;
            }
        }
        Ok(())
    })?;
    facts.manifest().map(|_| unreadable_bytes)
}

/// Hands out the JSON messages of the tracks that are wanted, in order of time: track, session time, fields. Returns how many bytes
/// of the file cannot be read.
///
/// # Errors
/// As [`for_each_message`]; `Json` if a message is no JSON object.
pub fn for_each_event(
    path: &Path,
    is_wanted: impl Fn(Track) -> bool,
    mut each: impl FnMut(Track, u64, Map<String, Value>) -> Result<()>,
) -> Result<u64> {
    let mut waiting: BTreeMap<(u64, u64), (Track, Map<String, Value>)> = BTreeMap::new();
    let mut number = 0;
    let unreadable_bytes = for_each_message(path, |channel, _, nanos, data| {
        let track = channel.track;
        if matches!(track, Track::Screen(_)) || track.is_audio() || !is_wanted(track) {
            return Ok(());
        }
        let fields = serde_json::from_slice(data).map_err(Error::json(track.name()))?;
        waiting.insert((nanos, number), (track, fields));
        number += 1;
        if waiting.len() > MAX_WAITING_EVENTS {
            // Tracks are out of order by no more than a few seconds: older ones can go out.
            let later = waiting.split_off(&(nanos.saturating_sub(LATE_NANOS), 0));
            let ready = std::mem::replace(&mut waiting, later);
            ready.into_iter().try_for_each(|((nanos, _), (track, fields))| each(track, nanos, fields))?;
        }
        Ok(())
    })?;
    waiting.into_iter().try_for_each(|((nanos, _), (track, fields))| each(track, nanos, fields))?;
    Ok(unreadable_bytes)
}

/// The newest picture of a display at or before a session time. A finished file is read from the keyframe before
/// it on, any other from its start.
///
/// # Errors
/// `NoPicture` if there is none; `LostPicture` if it was there but cannot be decoded; `UnreadablePicture` if a later one
/// was or may have been there but is lost; else as reading fails.
pub fn picture_at(path: &Path, display: u8, at_nanos: u64) -> Result<Picture> {
    let file = open(path)?;
    let epoch = manifest_of(&file)?.epoch_wall_nanos;
    let mut facts = Facts::default();
    let seek = match index_of(&file)?.zip(Track::Screen(display).key_channel()) {
        Some((index, key)) => {
            let noted = index.recovery.map_or(Ok(()), |(offset, bytes)| {
                let content = read_record(&file, op::METADATA, offset, bytes)?;
                facts.note(&Item::Record { offset, opcode: op::METADATA, content })
            });
            match noted.and_then(|()| by_index(&file, &index, key, epoch, at_nanos)) {
                // The scan finds out what else there is.
                Err(Error::Malformed { .. } | Error::Checksum { .. } | Error::TooLarge { .. }) => None,
                seek => seek?,
            }
        }
        None => None,
    };
    let seek = match seek {
        Some(seek) => seek,
        None => {
            let mut seek = Seek::new(Track::Screen(display), epoch, at_nanos);
            scan(&file, |item| {
                facts.note(&item)?;
                match item {
                    Item::Chunk { records, .. } => seek.chunk(&records),
                    Item::Damage { .. } => seek.damage(),
                    _ => {}
                }
                Ok(())
            })?;
            seek
        }
    };
    let name = Track::Screen(display).name();
    let mut gaps = facts.recovery.iter().flat_map(|recovery| &recovery.picture_gaps);
    let is_in = |gap: &PictureGap| {
        let is_before = gap.before_nanos.is_none_or(|before| at_nanos < before);
        gap.track == name && gap.after_nanos <= at_nanos && is_before
    };
    if seek.is_uncertain || gaps.any(is_in) {
        return Err(Error::UnreadablePicture { display });
    }
    match seek.found {
        Some(Ok(())) => seek.decoder.picture().cloned().ok_or(Error::NoPicture { display, at_nanos }),
        Some(Err(error)) => Err(error),
        None => Err(Error::NoPicture { display, at_nanos }),
    }
}

/// Decodes from the newest keyframe that the index offers and that is there; `None` if none is.
fn by_index(file: &File, index: &Index, key: Channel, epoch: u64, at_nanos: u64) -> Result<Option<Seek>> {
    let file_bytes = file.num_bytes().map_err(Error::io("reading the bundle's length"))?;
    let mut work = Work::of_file(file_bytes);
    let until = epoch.saturating_add(at_nanos);
    for first in index.keyframe_candidates(key, until) {
        let mut seek = Seek::new(key.track, epoch, at_nanos);
        for (n, entry) in index.chunks[first..].iter().enumerate() {
            if entry.start_time > until {
                break;
            }
            let content = read_record(file, op::CHUNK, entry.offset, entry.bytes)?;
            let chunk = Chunk::parse(&content)?;
            work.spend(entry.bytes + chunk.uncompressed_bytes)?;
            let records = chunk.decompress()?;
            work.spend(check_messages(&records)?)?;
            seek.chunk(&records);
            // The keyframe is later than asked for: what is before it builds on an earlier one.
            if n == 0 && !matches!(seek.found, Some(Ok(()))) {
                break;
            }
        }
        if matches!(seek.found, Some(Ok(()))) {
            return Ok(Some(seek));
        }
    }
    Ok(None)
}

/// Decodes one display's pictures up to a time.
struct Seek {
    track: Track,
    epoch: u64,
    at_nanos: u64,
    decoder: Decoder,
    /// Newest message of any track so far.
    newest_nanos: u64,
    /// Whether the decoder holds the newest picture so far, or why it cannot be shown.
    found: Option<Result<()>>,
    /// The number of that picture.
    sequence: u32,
    /// Whether the first picture after the time has been seen.
    is_settled: bool,
    /// Whether a picture may be lost between that one and the time.
    is_uncertain: bool,
}

impl Seek {
    fn new(track: Track, epoch: u64, at_nanos: u64) -> Self {
        let display = if let Track::Screen(display) = track { display } else { 0 };
        Self {
            track,
            epoch,
            at_nanos,
            decoder: Decoder::new(display),
            newest_nanos: 0,
            found: None,
            sequence: 0,
            is_settled: false,
            is_uncertain: false,
        }
    }

    fn chunk(&mut self, records: &[u8]) {
        for (_, message) in messages(records) {
            let nanos = message.log_time.saturating_sub(self.epoch);
            self.newest_nanos = self.newest_nanos.max(nanos);
            let is_ours =
                Channel::from_id(message.channel).is_some_and(|channel| channel.track == self.track);
            if is_ours && nanos <= self.at_nanos {
                self.found = Some(self.decoder.apply(message.sequence, message.data).map(|_| ()));
                (self.sequence, self.is_uncertain) = (message.sequence, false);
            } else if is_ours && !self.is_settled {
                // Its number tells whether there was another one in between; at its own time a picture is certain.
                self.is_settled = true;
                let picture = self.decoder.picture();
                let is_its_time = picture.is_some_and(|picture| picture.times.capture_end == self.at_nanos);
                let follows = self.sequence.wrapping_add(1) == message.sequence;
                self.is_uncertain = self.found.is_some() && !follows && !is_its_time;
            }
        }
    }

    /// Pictures may be lost here. The next one tells by its number.
    fn damage(&mut self) {
        let picture = self.decoder.picture().map_or(0, |picture| picture.times.capture_end);
        if uncertain_since(picture, self.newest_nanos) <= self.at_nanos {
            self.is_uncertain |= !self.is_settled;
        }
    }
}

/// What a bundle says of itself, from its first records.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NewerFormat`, `NoManifest` or `Io`.
pub fn manifest_of(file: &File) -> Result<Manifest> {
    let mut facts = Facts::default();
    let mut scanner = Scanner::new(file.num_bytes().map_err(Error::io("reading the bundle's length"))?);
    loop {
        match scanner.step()? {
            Step::Need { offset, bytes } => {
                let mut buffer = vec![0; bytes];
                file.fill(offset, &mut buffer).map_err(Error::io("reading the bundle"))?;
                scanner.supply(buffer);
            }
            Step::Item(item) => {
                facts.note(&item)?;
                if let Some(manifest) = facts.manifest.take() {
                    return Ok(manifest);
                }
            }
            Step::End => return facts.manifest().cloned(),
        }
    }
}

/// The strip of small pictures of a sealed bundle, JPEG; `None` if it has none.
///
/// # Errors
/// `Io`, `Malformed` or `Checksum`.
pub fn preview_of(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = open(path)?;
    let Some((offset, bytes)) = index_of(&file)?.and_then(|index| index.preview) else { return Ok(None) };
    let record = read_record(&file, op::ATTACHMENT, offset, bytes)?;
    parse_attachment(&record).map(|(_, data)| Some(data.to_vec()))
}

fn index_of(file: &File) -> Result<Option<Index>> {
    let read = |(offset, bytes): (u64, usize)| {
        let mut buffer = vec![0; bytes];
        file.fill(offset, &mut buffer).map_err(Error::io("reading the bundle")).map(|()| buffer)
    };
    let file_bytes = file.num_bytes().map_err(Error::io("reading the bundle's length"))?;
    let Some(tail) = Index::tail_range(file_bytes).map(read).transpose()? else { return Ok(None) };
    let Some(summary) = Index::summary_range(file_bytes, &tail).map(read).transpose()? else {
        return Ok(None);
    };
    // A damaged summary is no reason to show nothing: the file is then read from its start.
    Ok(Index::parse(file_bytes, &summary, &tail).ok())
}

/// The content of a record that an index names.
fn read_record(file: &File, opcode: u8, offset: u64, bytes: u64) -> Result<Vec<u8>> {
    let limit = max_bytes(opcode).unwrap_or_default() + RECORD_HEADER_BYTES as u64;
    if bytes > limit {
        return Err(Error::TooLarge { what: "bytes of a record", found: bytes, limit });
    }
    let mut record = vec![0; bytes as usize];
    file.fill(offset, &mut record).map_err(Error::io("reading the bundle"))?;
    if record.len() < RECORD_HEADER_BYTES || record[0] != opcode {
        return Err(Error::malformed("record", offset, "the index names another record"));
    }
    Ok(record.split_off(RECORD_HEADER_BYTES))
}
