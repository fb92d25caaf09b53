//! Power cuts, full and broken disks: simulated at every call of recording, sealing and recovery.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use praxis_bundle::Profile;
use praxis_bundle::file::digest_path;
use praxis_bundle::finish::write_finished;
use praxis_bundle::info::info;
use praxis_bundle::manifest::{EndReason, Lossy};
use praxis_bundle::record::{RECORD_HEADER_BYTES, iterate, op};
use praxis_bundle::storage::Storage;
use praxis_capture_core::clock::SystemTime;
use praxis_capture_core::library::{seal_on, sealed_path};
use praxis_capture_core::recorder::{
    DEFAULT_RESERVE_BYTES, DisplayChoice, Notice, Plan, RecordError, Recorder, Voice,
};
use praxis_capture_core::sources::synthetic::Stage;
use praxis_tests::desktop::{boot_nanos, inside_desktop, wait_until};
use praxis_tests::kills::Random;
use praxis_tests::logind::Logind;
use praxis_tests::power::{Take, in_order, rows};
use praxis_tests::sim_disk::{Fault, Faults, SimDisk};

const SECOND: u64 = 1_000_000_000;
const CUTS: u32 = 5000;

/// A random number generator whose seed is printed.
fn random() -> Random {
    let seed = boot_nanos();
    println!("seed {seed}");
    Random(seed)
}

fn recorded(seed: u64, length_nanos: u64) -> Take {
    let (take, done) = Take::record(SimDisk::default(), seed, length_nanos);
    done.unwrap();
    take
}

#[test]
fn a_power_cut_at_any_moment_takes_nothing_that_was_synced_and_at_most_the_last_second() -> Result<()> {
    let mut random = random();
    for _ in 0..CUTS / 500 {
        let take = recorded(random.0, 3 * SECOND);
        for _ in 0..500 {
            let at = random.below(take.num_events() as u64 + 1) as usize;
            take.cut(at, &mut random).with_context(|| format!("cut after {at} of {}", take.num_events()))?;
        }
    }
    Ok(())
}

/// What sealing is tried on: files, and which of them.
struct Case {
    name: &'static str,
    source: PathBuf,
    bytes: Vec<u8>,
}

/// A live file that ended well, one that was cut, one with damage inside, and a sealed file with damage.
fn cases(random: &mut Random) -> Vec<Case> {
    let take = recorded(random.0, SECOND / 2);
    let whole = take.disk.files()[&take.path].clone();
    let live = |name, bytes| Case { name, source: take.path.clone(), bytes };
    let mut flipped = whole.clone();
    flip_in_a_chunk(&mut flipped);
    let target = sealed_path(&take.path);
    seal_on(&take.disk, &take.path, &|_| {}).unwrap();
    let mut sealed = take.disk.files()[&target].clone();
    flip_in_a_chunk(&mut sealed);
    vec![
        live("whole", whole.clone()),
        live("cut", whole[..whole.len() - 70].to_vec()),
        live("damaged", flipped),
        Case { name: "sealed and damaged", source: target, bytes: sealed },
    ]
}

/// Flips a bit in the first chunk.
fn flip_in_a_chunk(file: &mut [u8]) {
    let body = &file[8..file.len() - 8];
    let chunk = iterate(body).map(Result::unwrap).find(|record| record.opcode == op::CHUNK).unwrap();
    file[8 + chunk.offset + RECORD_HEADER_BYTES + 60] ^= 4;
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What a case becomes when nothing goes wrong.
fn finished(case: &Case) -> Files {
    let disk = SimDisk::with_files([(case.source.clone(), case.bytes.clone())]);
    seal_on(&disk, &case.source, &|_| {}).unwrap();
    disk.files()
}

/// Nothing half-written is under a final name, and the session is in the source or the sealed file, whole.
fn is_safe(case: &Case, files: &Files, finished: &Files) -> Result<()> {
    let target = sealed_path(&case.source);
    let is_whole = |path: &Path| files.get(path) == finished.get(path);
    let source = files.get(&case.source);
    match source {
        Some(bytes) => {
            let is_new = case.source == target && is_whole(&target);
            ensure!(*bytes == case.bytes || is_new, "the source is not what it was");
        }
        None => ensure!(is_whole(&target), "the source is gone, and the sealed file is not whole"),
    }
    let is_done = case.source != target || source != Some(&case.bytes);
    ensure!(!is_done || !files.contains_key(&target) || is_whole(&target), "a half-written sealed file");
    let digest = digest_path(&target);
    ensure!(!files.contains_key(&digest) || is_whole(&digest), "a half-written digest");
    ensure!(source.is_some() || is_whole(&digest), "no digest");
    Ok(())
}

/// Sealing is tried again, on a disk that works, and leaves what it would have left at once.
fn next_attempt(case: &Case, disk: &SimDisk, finished: &Files) -> Result<()> {
    if disk.files().contains_key(&case.source) {
        seal_on(disk, &case.source, &|_| {}).context("the next attempt")?;
    }
    let mut files = disk.files();
    // What an attempt leaves under a temporary name is removed by the next recovery of the folder.
    files.retain(|path, _| !path.to_string_lossy().ends_with(".part"));
    // A damaged file that was to be kept aside is, unless the cut came between sealing and that.
    ensure!(files == *finished, "left: {:?}, not {:?}", files.keys(), finished.keys());
    Ok(())
}

#[test]
fn sealing_cut_at_any_call_leaves_the_live_or_the_sealed_file_and_the_next_attempt_succeeds() -> Result<()> {
    let mut random = random();
    for case in cases(&mut random) {
        let finished = finished(&case);
        let disk = SimDisk::with_files([(case.source.clone(), case.bytes.clone())]);
        seal_on(&disk, &case.source, &|_| {})?;
        for n in 0..120 {
            let at = n % (disk.num_events() + 1);
            let left = disk.after_power_cut(at, &mut random);
            let said = || format!("{}, cut after {at} of {}", case.name, disk.num_events());
            is_safe(&case, &left.files(), &finished).with_context(said)?;
            // Every other time the power goes again during the next attempt.
            if n % 2 == 0 && left.files().contains_key(&case.source) {
                seal_on(&left, &case.source, &|_| {}).with_context(said)?;
                let again = random.below(left.num_events() as u64 + 1) as usize;
                let left = left.after_power_cut(again, &mut random);
                is_safe(&case, &left.files(), &finished).with_context(said)?;
                next_attempt(&case, &left, &finished).with_context(said)?;
            } else {
                next_attempt(&case, &left, &finished).with_context(said)?;
            }
        }
    }
    Ok(())
}

/// Each call fails, only that one or all from there on, for want of room or for no good reason.
fn faults(num_calls: usize) -> impl Iterator<Item = Faults> {
    let kinds = [Fault::Full, Fault::Broken].into_iter().flat_map(|fault| [(fault, false), (fault, true)]);
    kinds.flat_map(move |(fault, is_forever)| {
        (0..num_calls).map(move |from_call| Faults { fault, from_call, is_forever })
    })
}

/// The error says what happened, down to the system's word.
fn says_why(error: &(dyn std::error::Error + 'static)) -> Result<()> {
    let text = anyhow::Chain::new(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let words = ["No space left on device", "no storage space", "Input/output error", "MiB are free"];
    ensure!(words.iter().any(|word| text.contains(word)), "it only says: {text}");
    Ok(())
}

#[test]
fn sealing_and_recovering_on_a_full_or_broken_disk_says_so_and_harms_nothing() -> Result<()> {
    let mut random = random();
    for case in cases(&mut random) {
        let finished = finished(&case);
        let files = [(case.source.clone(), case.bytes.clone())];
        let count = SimDisk::with_files(files.clone());
        seal_on(&count, &case.source, &|_| {})?;
        for faults in faults(count.num_calls()) {
            let disk = SimDisk::with_files(files.clone());
            disk.write_short(random.0);
            disk.set_faults(Some(faults));
            let done = seal_on(&disk, &case.source, &|_| {});
            let said = || format!("{}, {faults:?}", case.name);
            if let Err(error) = &done {
                says_why(error).with_context(said)?;
            }
            is_safe(&case, &disk.files(), &finished).with_context(said)?;
            disk.set_faults(None);
            next_attempt(&case, &disk, &finished).with_context(said)?;
        }
    }
    Ok(())
}

#[test]
fn recovering_on_a_full_or_broken_disk_leaves_the_live_file_as_it_is() -> Result<()> {
    let case = &cases(&mut random())[1];
    let (source, target) = (case.source.as_path(), Path::new("/sessions/mended.mcap"));
    let files = [(case.source.clone(), case.bytes.clone())];
    let count = SimDisk::with_files(files.clone());
    write_finished(&count, source, target, Profile::Recover)?;
    for faults in faults(count.num_calls()) {
        let disk = SimDisk::with_files(files.clone());
        disk.set_faults(Some(faults));
        let done = write_finished(&disk, source, target, Profile::Recover);
        if let Err(error) = &done {
            says_why(error).with_context(|| format!("{faults:?}"))?;
        }
        disk.set_faults(None);
        let left = disk.files();
        ensure!(left[source] == case.bytes, "{faults:?}: the source has changed");
        ensure!(done.is_err() || left.contains_key(target), "{faults:?}: it is not there");
        ensure!(
            left.get(target).is_none_or(|bytes| *bytes == count.files()[target]),
            "{faults:?}: half-written"
        );
        write_finished(&disk, source, target, Profile::Recover).with_context(|| format!("{faults:?}"))?;
        ensure!(disk.files() == count.files(), "{faults:?}: after the next attempt");
    }
    Ok(())
}

#[test]
fn a_recording_on_a_full_or_broken_disk_says_so_and_keeps_what_was_written() -> Result<()> {
    let seed = random().0;
    let count = recorded(seed, 3 * SECOND);
    for faults in faults(count.disk.num_calls()) {
        let disk = SimDisk::default();
        disk.write_short(seed);
        disk.set_faults(Some(faults));
        let (take, done) = Take::record(disk, seed, 3 * SECOND);
        take.disk.set_faults(None);
        keeps_what_was_written(&take, &done, faults).with_context(|| format!("{faults:?}: {done:?}"))?;
    }
    Ok(())
}

fn keeps_what_was_written(take: &Take, done: &Result<u64, RecordError>, faults: Faults) -> Result<()> {
    if let Err(error) = done {
        says_why(error)?;
    }
    let Some(bytes) = take.disk.files().get(&take.path).cloned() else {
        ensure!(done.is_err(), "there is no file");
        return Ok(());
    };
    if done.is_err() && bytes.len() < 1000 {
        // It failed before it began, and could not even be removed.
        return Ok(());
    }
    let target = Path::new("/sessions/mended.mcap");
    write_finished(&take.disk, &take.path, target, Profile::Recover)?;
    let rows = rows(&take.disk, target)?;
    in_order(&rows, &take.accepted)?;
    for (row, (_, accepted)) in rows.iter().zip(&take.accepted) {
        ensure!(row == accepted, "a message before the last one is lost");
    }
    if done.is_ok() {
        ensure!(rows.len() == take.accepted.len(), "{} of {} messages", rows.len(), take.accepted.len());
        let facts = info(&bytes[..])?;
        let reason = facts.ending.context("no ending")?.reason;
        ensure!(facts.is_complete && facts.damages.is_empty(), "{:?}", facts.damages);
        ensure!(faults.fault == Fault::Full || reason == EndReason::Stopped, "{reason:?}");
    }
    Ok(())
}

#[test]
fn what_finds_no_room_waits_and_the_file_goes_on_with_the_very_next_byte() -> Result<()> {
    use praxis_bundle::storage::Appender;
    use praxis_bundle::{LiveWriter, Track};
    let (disk, path) = (SimDisk::default(), Path::new("/sessions/one.live.mcap"));
    let file: Arc<dyn praxis_bundle::storage::StorageFile> = disk.create_new(path)?.into();
    let manifest = praxis_tests::fixture::manifest();
    let mut writer = LiveWriter::new(Appender(file), &manifest, &[Track::Narration])?;
    let mut random = random();
    let mut block = |position| {
        let samples = (0..800).map(|_| random.below(1 << 16) as u16 as i16).collect();
        praxis_bundle::narration::encode_pcm(&praxis_bundle::narration::Block {
            rate_hz: 16_000,
            position,
            samples,
        })
    };
    let start = writer.bytes_written() as usize;
    disk.set_size(start + 1000, 0);
    let mut expected = Vec::new();
    for n in 0..4u64 {
        let data = block(n * 800);
        writer.push(Track::Narration.channel(), n * SECOND, &data)?;
        writer.close_chunk()?;
        expected.push((Track::Narration.channel().id(), manifest.epoch_wall_nanos + n * SECOND, data));
    }
    assert_eq!(disk.files()[path].len(), start + 1000, "the first chunk is torn");
    assert!(writer.waiting_bytes() > 5000 && writer.bytes_written() as usize == start + 1000);
    assert!(info(&disk.files()[path][..])?.damages.len() == 1, "a reader sees a torn end, as after a crash");
    disk.set_size(start + 3000, 0);
    assert!(writer.retry()? > 3000);
    disk.set_size(1 << 20, 0);
    assert_eq!(writer.retry()?, 0);
    assert_eq!(rows(&disk, path)?, expected);
    let ending = praxis_bundle::Ending {
        session_time_nanos: 4 * SECOND,
        reason: EndReason::DiskFull,
        outcome: None,
        note: None,
    };
    disk.fill_up();
    let refused = writer.end(&ending).err().context("it ended without room")?;
    says_why(&refused)?;
    assert_eq!(rows(&disk, path)?, expected);
    Ok(())
}

/// A plan of a session on a simulated disk.
fn plan(disk: &SimDisk, stage: &Stage) -> Plan {
    Plan {
        storage: Arc::new(disk.clone()),
        folder: "/sessions".into(),
        displays: DisplayChoice::All,
        max_fps: 12.0,
        lossy: Lossy::Auto,
        title: None,
        project: None,
        sound: Voice::None,
        clipboard_text: false,
        sync: None,
        reserve_bytes: DEFAULT_RESERVE_BYTES,
        screen: Box::new(stage.screen()),
        input: Box::new(stage.input()),
        windows: Box::new(stage.windows()),
        elements: None,
        voice: Voice::Source(Box::new(stage.audio())),
    }
}

/// Waits until the recorder says that it must stop.
fn must_stop(recorder: &Recorder) -> Result<(EndReason, String)> {
    let mut said = None;
    wait_until("the end of the session", || {
        said = recorder.notices.try_iter().find_map(|notice| match notice {
            Notice::MustStop(reason, why) => Some((reason, why)),
            _ => None,
        });
        Ok(said.is_some())
    })?;
    said.context("nothing was said")
}

#[test]
fn a_session_ends_well_on_a_disk_that_other_programs_have_filled_to_the_last_byte() -> Result<()> {
    let disk = SimDisk::default();
    disk.set_size(200 << 20, 0);
    let stage = Stage::new(Arc::new(SystemTime), &[(320, 200)]);
    let recorder = Recorder::start(Arc::new(SystemTime), plan(&disk, &stage))?;
    let path = recorder.path().to_owned();
    assert!(disk.bytes_kept_for(&path) > 60 << 20, "room is kept for its end");
    let taken = disk.fill_up();
    assert!(taken > 100 << 20);
    let before = recorder.mark("when the disk was full");
    let (reason, why) = must_stop(&recorder)?;
    assert!(reason == EndReason::DiskFull && why.contains("MiB are free on the disk"), "{why}");
    let after = recorder.mark("at the end");
    let recorded = recorder.stop(reason, None, Some("a note".into()))?;
    assert_eq!(disk.bytes_kept_for(&path), 0, "what was kept is given back");
    let facts = info(&disk.files()[&recorded.path][..])?;
    let markers: Vec<u64> = facts.markers.iter().map(|(at, _)| *at).collect();
    assert!(facts.is_complete && facts.damages.is_empty() && markers == [before, after], "{facts:?}");
    let ending = facts.ending.context("no ending")?;
    assert_eq!((ending.reason, ending.note), (EndReason::DiskFull, Some("a note".into())));
    // The room that was kept is enough to seal it, too.
    seal_on(&disk, &recorded.path, &|_| {})?;
    Ok(())
}

#[test]
fn a_recording_that_the_disk_has_no_room_for_is_refused_and_leaves_nothing() -> Result<()> {
    let (disk, stage) = (SimDisk::default(), Stage::new(Arc::new(SystemTime), &[(64, 48)]));
    disk.set_size(79 << 20, 0);
    let refused = Recorder::start(Arc::new(SystemTime), plan(&disk, &stage)).err().context("it began")?;
    assert!(refused.to_string().contains("only 79 MiB are free"), "{refused}");
    assert!(disk.files().is_empty());
    disk.set_size(81 << 20, 0);
    Recorder::start(Arc::new(SystemTime), plan(&disk, &stage))?.stop(EndReason::Stopped, None, None)?;
    Ok(())
}

#[test]
fn a_recorder_on_a_broken_disk_says_so_at_once_and_keeps_what_was_written() -> Result<()> {
    let first = SimDisk::default();
    let stage = Stage::new(Arc::new(SystemTime), &[(64, 48)]);
    drop(Recorder::start(Arc::new(SystemTime), plan(&first, &stage))?.stop(
        EndReason::Stopped,
        None,
        None,
    )?);
    // As many calls as a start makes, and the first turns of the writer.
    let broken = (0..first.num_calls() + 4).map(|from_call| Faults {
        fault: Fault::Broken,
        from_call,
        is_forever: true,
    });
    let tries: Vec<_> = broken.map(|faults| std::thread::spawn(move || try_to_record(faults))).collect();
    for one in tries {
        one.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    }
    Ok(())
}

fn try_to_record(faults: Faults) -> Result<()> {
    let (disk, stage) = (SimDisk::default(), Stage::new(Arc::new(SystemTime), &[(64, 48)]));
    disk.set_faults(Some(faults));
    let said = || format!("{faults:?}");
    let recorder = match Recorder::start(Arc::new(SystemTime), plan(&disk, &stage)) {
        Ok(recorder) => recorder,
        Err(error) => return says_why(&error).with_context(said),
    };
    let (_, why) = must_stop(&recorder).with_context(said)?;
    ensure!(why.contains("Input/output error"), "{faults:?}: it only says {why}");
    let path = recorder.path().to_owned();
    let error = recorder.stop(EndReason::DiskFull, None, None).err().with_context(said)?;
    says_why(&error).with_context(said)?;
    disk.set_faults(None);
    write_finished(&disk, &path, Path::new("/sessions/mended.mcap"), Profile::Recover).with_context(said)?;
    Ok(())
}

#[test]
fn before_the_computer_sleeps_everything_is_on_the_disk() -> Result<()> {
    inside_desktop("before_the_computer_sleeps_everything_is_on_the_disk", || {
        let logind = Logind::start(&std::env::var("DBUS_SYSTEM_BUS_ADDRESS")?)?;
        let (disk, stage) = (SimDisk::default(), Stage::new(Arc::new(SystemTime), &[(64, 64)]));
        let recorder = Recorder::start(Arc::new(SystemTime), plan(&disk, &stage))?;
        let path = recorder.path().to_owned();
        let is_held = || Ok(logind.held()? == [["sleep".to_owned(), "delay".to_owned()]]);
        for round in 0..8 {
            wait_until("a lock that delays sleep", is_held)?;
            let label = format!("the last words before sleep {round}");
            recorder.mark(&label);
            logind.announce(true)?;
            wait_until("sleep", || Ok(logind.held()?.is_empty()))?;
            let left = disk.after_power_cut(disk.num_events(), &mut random());
            let has_label = |data: &[u8]| data.windows(label.len()).any(|bytes| bytes == label.as_bytes());
            let has_it = rows(&left, &path)?.iter().any(|(_, _, data)| has_label(data));
            ensure!(has_it, "{label} is not on the disk");
            logind.announce(false)?;
        }
        wait_until("a lock that delays sleep", is_held)?;
        recorder.stop(EndReason::Stopped, None, None)?;
        wait_until("no lock after the recording", || Ok(logind.held()?.is_empty()))
    })
}
