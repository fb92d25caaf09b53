//! What goes wrong while recording: a full disk, a file that cannot grow, a terminal that is closed, a display that
//! freezes or changes. The session goes on or ends well, says so, and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::file;
use praxis_bundle::messages::Rect;
use praxis_tests::desktop::{MICROPHONE, VirtualDesktop, boot_nanos, let_pass, wait_until};
use praxis_tests::painter::Brush;
use praxis_tests::praxis::{Recording, events, info, live_file, ok, path, program};
use rustix::process::Signal;
use serde_json::Value;

fn log_says(folder: &Path, text: &str) -> Result<()> {
    wait_until(text, || Ok(std::fs::read_to_string(folder.join("log"))?.contains(text)))
}

#[test]
fn a_disk_that_fills_up_ends_the_recording_while_there_is_room_for_its_end() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    // Of its own: other recordings on the same disk keep room for themselves.
    let disk = SmallDisk::new(300)?;
    let folder = &disk.folder;
    let free_mib = disk.free_bytes()? >> 20;
    let too_much = free_mib.to_string();
    let mut command = desktop.command(program("praxis")?);
    let refused = command.args(["record", "--mic", "none", "--keep-free", &too_much, "--out", path(folder)]);
    let refused = refused.output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1) && said.contains("are needed to record"), "{said}");
    assert_eq!(std::fs::read_dir(folder)?.count(), 0, "a refused recording leaves nothing");

    let keep_free = (free_mib - 60).to_string();
    let arguments = ["--mic", "none", "--keep-free", &keep_free];
    let mut recording = Recording::start(&desktop, folder, &arguments)?;
    desktop.xdotool(&["type", "--delay", "5", "before"])?;
    let mut filler = File::create(folder.join("filler"))?;
    filler.write_all(&vec![7; 80 << 20])?;
    wait_until("the end of the recording", || Ok(recording.child.try_wait()?.is_some()))?;
    log_says(folder, "the recording ends before it is full")?;
    std::fs::remove_file(folder.join("filler"))?;
    let (bundle, code) = recording.wait()?;
    assert_eq!(code, Some(3));
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    assert_eq!(facts["ending"]["reason"], "disk_full");
    let text: String = events(&bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(text, "before");
    Ok(())
}

/// A small disk of its own, seen through the process that holds it.
struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    fn new(mib: u32) -> Result<Self> {
        // Anybody may mount a file system in a name space of their own.
        let script = format!(
            "mount -t tmpfs -o size={mib}m tmpfs /mnt && mkdir /mnt/sessions && echo there && exec cat"
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().context("no stdout")?).read_line(&mut line)?;
        ensure!(line == "there\n", "no small disk: {line}");
        let folder = Path::new("/proc").join(holder.id().to_string()).join("root").join("mnt/sessions");
        Ok(Self { holder, folder })
    }

    fn free_bytes(&self) -> Result<u64> {
        Ok(rustix::fs::statvfs(&self.folder).map(|stat| stat.f_bavail * stat.f_frsize)?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_recording_has_room_for_its_end_when_other_programs_fill_the_disk_to_the_last_byte() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let disk = SmallDisk::new(200)?;
    let brush = Brush::new(&desktop.display)?;
    let mut recording = Recording::start(&desktop, &disk.folder, &["--mic", "none"])?;
    let live = recording.live.metadata()?;
    assert!(live.blocks() * 512 >= 64 << 20, "room is kept for its end: {} blocks", live.blocks());
    desktop.xdotool(&["type", "--delay", "5", "before"])?;
    let mut filler = File::create(disk.folder.join("filler"))?;
    let full = loop {
        if let Err(error) = filler.write_all(&[7; 4096]) {
            break error;
        }
    };
    assert_eq!((full.kind(), disk.free_bytes()?), (ErrorKind::StorageFull, 0));
    // What happens from here on is written on a full disk.
    wait_until("the end of the recording", || {
        brush.paint(
            Rect { x_px: 300, y_px: 200, width_px: 90, height_px: 70 },
            [boot_nanos() as u8, 3, 200],
        )?;
        Ok(recording.child.try_wait()?.is_some())
    })?;
    log_says(&disk.folder, "MiB are free on the disk: the recording ends before it is full")?;
    let (bundle, code) = recording.wait()?;
    assert_eq!(code, Some(3), "{}", std::fs::read_to_string(disk.folder.join("log"))?);
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    assert_eq!(facts["ending"]["reason"], "disk_full");
    assert_eq!((&facts["recovery"], facts["sealed"].as_bool()), (&Value::Null, Some(true)), "{facts}");
    let text: String = events(&bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(text, "before");
    let files = std::fs::read_dir(&disk.folder)?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let names: Vec<_> = files.map(|name| name.to_string_lossy().into_owned()).collect();
    assert_eq!(names.len(), 4, "log, filler, bundle, digest: {names:?}");
    assert!(disk.free_bytes()? > 60 << 20, "what was kept is given back");
    Ok(())
}

#[test]
fn a_file_that_can_grow_no_more_ends_the_session_loudly_and_keeps_what_was_recorded() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    // The file may have 64 KiB; what comes after is refused by the system, as on a disk that is full at once.
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec '{}' record --mic none --out '{}'",
        program("praxis")?.display(),
        folder.path().display()
    );
    let mut child = desktop.command("bash").args(["-c", &script]).stderr(Stdio::piped()).spawn()?;
    wait_until("a live file", || {
        Ok(live_file(folder.path()).is_some_and(|f| f.metadata().is_ok_and(|m| m.len() > 0)))
    })?;
    desktop.xdotool(&["type", "--delay", "5", "kept"])?;
    let brush = Brush::new(&desktop.display)?;
    let mut seed = 1u32;
    wait_until("the end of the recording", || {
        for _ in 0..200 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let rect = Rect {
                x_px: (seed >> 23) as i32,
                y_px: (seed >> 8 & 0x1ff) as i32,
                width_px: 9,
                height_px: 7,
            };
            brush.paint(rect, [(seed >> 24) as u8, (seed >> 16) as u8, seed as u8])?;
        }
        Ok(child.try_wait()?.is_some())
    })?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("what was recorded is kept in"), "{said}");
    let listed: Value = serde_json::from_str(&ok(&["list", "--out", path(folder.path()), "--json"])?)?;
    assert_eq!(listed[0]["state"], "recovered", "{listed}");
    let bundle = PathBuf::from(listed[0]["path"].as_str().context("no path")?);
    ok(&["check", path(&bundle)])?;
    let text: String = events(&bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(text, "kept");
    Ok(())
}

#[test]
fn a_terminal_gives_single_keys_and_may_be_closed() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let folder = tempfile::tempdir()?;
    use rustix::pty::OpenptFlags;
    // The recorder must not inherit the end of the terminal that is closed.
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ptsname(&master, Vec::new())?.into_string()?;
    let slave = File::options().read(true).write(true).open(slave)?;
    let mut command = desktop.command("setsid");
    command.args([
        "--ctty",
        path(&program("praxis")?),
        "record",
        "--mic",
        "none",
        "--out",
        path(folder.path()),
    ]);
    command.stdin(slave.try_clone()?).stderr(slave).stdout(Stdio::piped());
    let child = command.spawn()?;
    drop(command);
    let mut screen = File::from(master.try_clone()?);
    let mut keys = File::from(master);
    let mut seen = Vec::new();
    let mut until = |text: &str| -> Result<()> {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = std::io::Read::read(&mut screen, &mut buffer)?;
            ensure!(count > 0, "the terminal ended: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
        seen.clear();
        Ok(())
    };
    until("screen/0 ok")?;
    keys.write_all(b"m")?;
    until("marked 0:")?;
    keys.write_all(b"p")?;
    until("paused: nothing is recorded")?;
    keys.write_all(b"p")?;
    until("recording again")?;
    // Closing the window of a terminal takes both ends away.
    drop((keys, screen));
    let output = child.wait_with_output()?;
    let printed = String::from_utf8(output.stdout)?;
    let bundle = PathBuf::from(printed.lines().last().context("no path")?);
    assert_eq!(output.status.code(), Some(0));
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    assert_eq!(facts["ending"]["reason"], "stopped");
    assert_eq!(facts["markers"].as_array().map(Vec::len), Some(1));
    let gap = &facts["gaps"][0];
    assert!(gap["reason"] == "pause" && gap["end"].is_u64(), "{gap}");
    Ok(())
}

#[test]
fn a_reader_of_the_messages_may_go_away() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    let folder = tempfile::tempdir()?;
    let mut command = desktop.command(program("praxis")?);
    command.args(["record", "--mic", "none", "--out", path(folder.path())]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stderr.take().context("no stderr")?).read_line(&mut line)?;
    assert!(line.starts_with("recording "), "{line}");
    let live = live_file(folder.path()).context("no live file")?;
    let pid = rustix::process::Pid::from_raw(child.id() as i32).context("no process")?;
    let has_marker = || -> Result<bool> { Ok(!file::info_of(&live)?.markers.is_empty()) };
    rustix::process::kill_process(pid, Signal::USR2)?;
    wait_until("a marker", has_marker)?;
    drop(child.stdout.take());
    rustix::process::kill_process(pid, Signal::INT)?;
    assert_eq!(child.wait()?.code(), Some(0));
    let bundle = live.with_file_name(live.file_name().unwrap().to_string_lossy().replace(".live", ""));
    ok(&["check", path(&bundle)])?;
    let head = format!("'{}' events '{}' | head -n 1", program("praxis")?.display(), bundle.display());
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &head]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn a_frozen_display_is_said_loudly_and_its_return_too() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    desktop.signal_display(Signal::STOP);
    let tracks = ["screen/0", "keys", "pointer", "windows"];
    // Each is looked at on its own: one that was seen alive a little later is lost a second later.
    let say_lost =
        |track: &&str| log_says(folder.path(), &format!("{track} has shown no life for 3 seconds"));
    let lost = tracks.iter().try_for_each(say_lost);
    desktop.signal_display(Signal::CONT);
    lost?;
    for track in tracks {
        log_says(folder.path(), &format!("{track} is back"))?;
    }
    desktop.xdotool(&["type", "--delay", "5", "after"])?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(3), "it may have missed something");
    ok(&["check", path(&bundle)])?;
    let lives = events(&bundle, &["health"])?;
    let life = |event: &Value| {
        let tracks = event["tracks"].as_array().unwrap();
        tracks.iter().find(|track| track["track"] == "screen/0").unwrap()["life"].as_str().unwrap().to_owned()
    };
    let mut lives: Vec<_> = lives.iter().map(life).collect();
    lives.dedup();
    assert_eq!(lives, ["alive", "lost", "alive"]);
    let text: String = events(&bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(text, "after");
    Ok(())
}

#[test]
fn a_display_that_changes_its_size_is_exact_again_and_one_of_two_can_be_chosen() -> Result<()> {
    let mut desktop = VirtualDesktop::start(800, 600)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    let_pass(Duration::from_millis(300));
    let (before, large) = (recording.now_nanos(), desktop.screenshot((800, 600))?);
    desktop.resize(640, 480)?;
    desktop.xdotool(&["type", "--delay", "5", "smaller"])?;
    let_pass(Duration::from_millis(700));
    let (after, small) = (recording.now_nanos(), desktop.screenshot((640, 480))?);
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "exit code {code:?}: {}", std::fs::read_to_string(folder.path().join("log"))?);
    ok(&["check", path(&bundle)])?;
    for (at, expected, size) in [(before, large, (800, 600)), (after, small, (640, 480))] {
        let picture = file::picture_at(&bundle, 0, at)?;
        assert_eq!((picture.width_px, picture.height_px), size);
        assert!(picture.bgr == expected, "the picture of {size:?} is not the screenshot");
    }
    let widths: Vec<_> = events(&bundle, &["geometry"])?
        .iter()
        .map(|event| event["root_width_px"].as_u64().unwrap())
        .collect();
    assert_eq!(widths.first().zip(widths.last()), Some((&800, &640)));

    for (name, place, output) in
        [("left", "300/80x480/120+0+0", "screen"), ("right", "340/90x480/120+300+0", "none")]
    {
        let xrandr = desktop.command("xrandr").args(["--setmonitor", name, place, output]).status()?;
        ensure!(xrandr.success(), "xrandr");
    }
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none", "--display", "right"])?;
    desktop.xdotool(&["mousemove", "100", "100", "click", "1", "mousemove", "400", "100", "click", "1"])?;
    let (bundle, _) = recording.stop(Signal::INT)?;
    let facts = info(&bundle)?;
    let names: Vec<_> = facts["tracks"].as_array().unwrap().iter().map(|track| &track["name"]).collect();
    assert!(names.contains(&&"screen/1".into()) && !names.contains(&&"screen/0".into()), "{names:?}");
    let picture = file::picture_at(&bundle, 1, u64::MAX)?;
    assert_eq!((picture.width_px, picture.height_px), (340, 480));
    let clicks = events(&bundle, &["pointer"])?;
    let displays: Vec<_> = clicks
        .iter()
        .filter(|event| event["kind"] == "press")
        .map(|event| event["display"].clone())
        .collect();
    assert_eq!(displays, [Value::Null, 1.into()]);
    Ok(())
}

#[test]
fn however_it_ends_no_child_no_shared_memory_and_no_temporary_file_is_left() -> Result<()> {
    let desktop = VirtualDesktop::start(320, 240)?;
    for (signal, left_files) in [(Signal::KILL, 2), (Signal::TERM, 3), (Signal::HUP, 3), (Signal::INT, 3)] {
        let (folder, temporary) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let variables = [("TMPDIR", path(temporary.path()))];
        let recording = Recording::start_with(&desktop, folder.path(), &[], &variables)?;
        let pid = recording.child.id();
        assert_eq!(
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?,
            "",
            "it has no child"
        );
        // Memory with a name, or of System V, outlives a process; it uses none, so none can be left.
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
        assert!(maps.contains("memfd:praxis-screen"), "{maps}");
        assert!(!maps.contains("/SYSV") && !maps.contains("/dev/shm/"), "{maps}");
        recording.signal(signal)?;
        recording.child.wait_with_output()?;
        assert_eq!(std::fs::read_dir(temporary.path())?.count(), 0, "{signal:?}: temporary files");
        // The log of this test, and the live file or the bundle and its digest.
        assert_eq!(std::fs::read_dir(folder.path())?.count(), left_files, "{signal:?}");
    }
    Ok(())
}

#[test]
fn another_microphone_is_said_when_the_person_chooses_it() -> Result<()> {
    let desktop = VirtualDesktop::start(640, 480)?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &[])?;
    let other = ["module-remap-source", "master=mic_sink.monitor", "source_name=other"];
    desktop
        .pactl(&[&["load-module"], &other[..], &["source_properties=device.description=Headset"]].concat())?;
    desktop.pactl(&["set-default-source", "other"])?;
    log_says(folder.path(), "the system is set to \"Headset\" now")?;
    log_says(folder.path(), "the voice is recorded again, from Headset")?;
    // Without any microphone what is played is none.
    desktop.pactl(&["unload-module", "module-remap-source"])?;
    log_says(folder.path(), "\"Headset\" is gone")?;
    let_pass(Duration::from_secs(2));
    let log = std::fs::read_to_string(folder.path().join("log"))?;
    ensure!(!log.contains("from Monitor"), "a loudspeaker is recorded as the voice: {log}");
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(3), "something of the voice is lost");
    ok(&["check", path(&bundle)])?;
    Ok(())
}

#[test]
fn a_microphone_that_goes_comes_back_with_a_gap_that_says_so() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let name = "Remapped Monitor of Null Output";
    let recording = Recording::start(&desktop, folder.path(), &["--mic", name])?;
    let log = || std::fs::read_to_string(folder.path().join("log"));
    let mut times = Vec::new();
    // The sound server crashes and is started again, twice; then the microphone is pulled out and put back in.
    for round in 1..=3 {
        desktop.speak("one two")?;
        times.push(recording.now_nanos());
        match round {
            1 | 2 => desktop.kill_sound(),
            _ => desktop.pactl(&["unload-module", "module-remap-source"])?,
        }
        wait_until(&format!("the loss to be said, {round}"), || {
            Ok(log()?.matches("the recording goes on without").count() == round)
        })?;
        times.push(recording.now_nanos());
        match round {
            1 | 2 => desktop.start_sound()?,
            _ => {
                // What another microphone hears meanwhile is not recorded.
                desktop.speak("not to be heard")?;
                desktop.pactl(&MICROPHONE)?;
            }
        }
        wait_until("its return to be said", || {
            Ok(log()?.matches("the voice is recorded again").count() == round)
        })?;
        times.push(recording.now_nanos());
    }
    desktop.speak("three four")?;
    let end = recording.now_nanos();
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(3), "something of the voice is lost");
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    let gaps: Vec<_> = facts["gaps"]
        .as_array()
        .context("no gaps")?
        .iter()
        .filter(|gap| gap["track"] == "narration")
        .collect();
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    for (gap, time) in gaps.iter().zip(times.chunks(3)) {
        assert_eq!(gap["reason"], "source_lost");
        let (start, until) = (gap["start"].as_u64().unwrap(), gap["end"].as_u64().unwrap());
        // It begins with the last sample that came.
        let last_sample = time[0].saturating_sub(200_000_000);
        assert!(
            start >= last_sample && start <= time[1] && until >= time[1] && until <= time[2],
            "{gap} {time:?}"
        );
    }
    // What was said is where it was said, and nothing is where nothing was recorded.
    let wav = folder.path().join("voice.wav");
    ok(&["narration", path(&bundle), "-o", path(&wav)])?;
    let mut reader = hound::WavReader::open(&wav)?;
    let rate = u64::from(reader.spec().sample_rate);
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>()?;
    let loudest = |from: u64, to: u64| {
        let at = |nanos: u64| ((nanos * rate / 1_000_000_000) as usize).min(samples.len());
        samples[at(from)..at(to)].iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default()
    };
    for (from, to) in [(0, times[0]), (times[2], times[3]), (times[5], times[6]), (times[8], end)] {
        assert!(loudest(from, to) > 2000, "the speech from {from} to {to} is not heard");
    }
    for gap in gaps {
        // Stamps of samples waver by as much at both ends; a server is back sooner than that now and then.
        let (start, until) = (gap["start"].as_u64().unwrap(), gap["end"].as_u64().unwrap());
        let (from, to) = (start + 200_000_000, until.saturating_sub(200_000_000));
        assert!(from >= to || loudest(from, to) == 0, "{gap}");
    }
    Ok(())
}
