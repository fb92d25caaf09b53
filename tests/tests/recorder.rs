//! End to end: the real program records a real desktop driven by real events, and everything is in the bundle.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::screen::Decoder;
use praxis_bundle::{Track, file};
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::painter::{Painter, counter_in};
use praxis_tests::praxis::{Recording, events, info, ok, path, run};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn every_key_and_click_is_there_in_order_with_text_and_position() -> Result<()> {
    record_a_driven_session(&[]).map(drop)
}

#[test]
fn the_portable_backends_record_the_same_session_and_name_what_they_cannot_give() -> Result<()> {
    let info = record_a_driven_session(&["--screen", "scrap", "--input", "rdev"])?;
    let cannot = |name: &str| -> String {
        let backends = info["manifest"]["backends"].as_array().unwrap().iter();
        backends
            .filter(|backend| backend["name"] == name)
            .map(|backend| backend["cannot"].to_string())
            .collect()
    };
    for missing in ["when exactly", "AltGr", "raw motion", "shape of the pointer", "what is copied"] {
        assert!(cannot("rdev").contains(missing), "{missing}: {}", cannot("rdev"));
    }
    for missing in ["which parts", "at one moment", "other users"] {
        assert!(cannot("scrap").contains(missing), "{missing}: {}", cannot("scrap"));
    }
    Ok(())
}

/// Records with these arguments what a person does, checks that all of it is there, and returns what is known of the bundle.
fn record_a_driven_session(arguments: &[&str]) -> Result<Value> {
    let mut desktop = VirtualDesktop::start(1024, 768)?;
    desktop.terminal(40, 40, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(
        &desktop,
        folder.path(),
        &[&["--mic", "none", "--title", "Typing"], arguments].concat(),
    )?;
    let text = "Hello, World! x = (a + b) * 42; # ~done";
    desktop.xdotool(&["type", "--delay", "8", text])?;
    desktop.xdotool(&["key", "Return", "ctrl+s", "shift+Left"])?;
    let places = [(100, 150), (300, 420), (700, 90), (1000, 700)];
    for (x, y) in places {
        desktop.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"])?;
    }
    desktop.xdotool(&["click", "4", "click", "5"])?;
    // Stopped at once: what was sent before must still be there.
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "exit code {code:?}: {}", std::fs::read_to_string(folder.path().join("log"))?);
    ok(&["check", path(&bundle)])?;

    let keys = events(&bundle, &["keys"])?;
    let typed: String = keys.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(typed, format!("{text}\n"));
    let find = |keysym: &str| keys.iter().find(|key| key["keysym"] == keysym && key["kind"] == "press");
    let save = find("s").filter(|key| key["modifiers"][0] == "control").context("no Ctrl+S")?;
    assert_eq!(save["text"], Value::Null);
    assert_eq!(find("Left").context("no Left")?["modifiers"][0], "shift");

    let pointer = events(&bundle, &["pointer"])?;
    let at = |event: &Value| (event["x_px"].as_i64().unwrap(), event["y_px"].as_i64().unwrap());
    let of_kind = |kind: &str| pointer.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    let presses: Vec<_> = of_kind("press").into_iter().map(at).collect();
    assert_eq!(presses, places);
    assert_eq!(of_kind("release").len(), places.len());
    assert!(pointer.iter().all(|event| event["display"] == 0));
    let scrolls: Vec<_> = of_kind("scroll").iter().map(|event| event["dy"].as_f64().unwrap()).collect();
    assert_eq!(scrolls, [1.0, -1.0]);
    for track in [keys, pointer] {
        let times: Vec<_> = track.iter().map(|event| event["session_time_nanos"].as_u64().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
    let windows = events(&bundle, &["windows"])?;
    assert_eq!(windows[0]["active"]["title"], "terminal");
    assert_eq!(windows[0]["active"]["class"], "XTerm");
    let info = info(&bundle)?;
    assert_eq!(info["sealed"], true);
    assert_eq!(info["recovered"], false);
    assert_eq!(info["gaps"], Value::Array(Vec::new()));
    assert_eq!(info["title"], "Typing");
    let digest = std::fs::read_to_string(file::digest_path(&bundle))?;
    assert!(digest.starts_with(info["sha256"].as_str().unwrap()));
    read_with_python(&bundle)?;
    read_by_the_document(&bundle)?;
    Ok(info)
}

/// A reader that was written from docs/bundle-format.md alone sees the same pictures and events.
fn read_by_the_document(bundle: &Path) -> Result<()> {
    let test = std::env::current_exe()?;
    let target =
        test.ancestors().find(|folder| folder.join("venv").is_dir()).context("no venv: run scripts/setup")?;
    let python = |script: &str, arguments: &[&str]| -> Result<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let output = Command::new(target.join("venv/bin/python")).arg(script).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let reader = |arguments: &[&str]| python("../docs/examples/read_bundle.py", arguments);
    reader(&["self-test"])?;
    let theirs: Vec<Value> =
        reader(&[path(bundle), "events"])?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(theirs == events(bundle, &[])?, "other events");

    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (folder.path().join("ours.png"), folder.path().join("theirs.png"));
    let nanos = info(bundle)?["duration_nanos"].as_u64().context("no length")?;
    for tenth in 1..=10 {
        let at = (nanos as f64 * f64::from(tenth) / 1e10).to_string();
        ok(&["frame", path(bundle), "--at", &at, "-o", path(&ours)])?;
        reader(&[path(bundle), "frame", "--at", &at, "-o", path(&theirs)])?;
        python("python/same_pixels.py", &[path(&ours), path(&theirs)])
            .with_context(|| format!("at {at} s"))?;
    }
    Ok(())
}

/// The official Python reader lists and reads every track.
fn read_with_python(bundle: &Path) -> Result<()> {
    let test = std::env::current_exe()?;
    let target =
        test.ancestors().find(|folder| folder.join("venv").is_dir()).context("no venv: run scripts/setup")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/read_all.py");
    let output = Command::new(target.join("venv/bin/python")).arg(script).arg(bundle).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Value = serde_json::from_slice(&output.stdout)?;
    let ours = info(bundle)?;
    for track in ours["tracks"].as_array().context("no tracks")? {
        let name = track["name"].as_str().context("no name")?;
        let count = |topic: &str| theirs[topic].as_u64().unwrap_or_default();
        assert_eq!(
            count(name) + count(&format!("{name}/key")),
            track["messages"].as_u64().unwrap(),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn still_screens_equal_another_programs_screenshot_and_moving_pictures_are_never_torn() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1000, 700)?;
    desktop.terminal(20, 20, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    let mut stills = Vec::new();
    for n in 0..10 {
        desktop.xdotool(&["type", "--delay", "5", &format!("line {n} of the test\n")])?;
        desktop.xdotool(&[
            "getactivewindow",
            "windowmove",
            &(20 + n * 13).to_string(),
            &(20 + n * 7).to_string(),
        ])?;
        let_pass(Duration::from_millis(300));
        let before = desktop.screenshot((1000, 700))?;
        let at_nanos = recording.now_nanos();
        // A terminal may still have been drawing: only an equal picture before and after was a still screen.
        ensure!(before == desktop.screenshot((1000, 700))?, "the screen was not still");
        stills.push((at_nanos, before));
    }
    let painter = Painter::start(&desktop.display, 600, 300, 30)?;
    let_pass(Duration::from_secs(4));
    // The recording ends first: what is under the window is no picture of it.
    let (bundle, _) = recording.stop(Signal::TERM)?;
    let num_painted = painter.stop()?;
    for (at_nanos, expected) in &stills {
        let picture = file::picture_at(&bundle, 0, *at_nanos)?;
        assert!(picture.bgr == *expected, "the picture at {at_nanos} ns is not the screenshot");
    }
    let png = folder.path().join("x.png");
    ok(&["frame", path(&bundle), "--at", &(stills[3].0 as f64 / 1e9).to_string(), "-o", path(&png)])?;
    assert!(std::fs::read(&png)?.starts_with(b"\x89PNG"));

    let (mut decoder, mut counters, mut num_torn) = (Decoder::new(0), Vec::new(), 0);
    file::for_each_message(&bundle, |channel, sequence, _, data| {
        if channel.track == Track::Screen(0) {
            let picture = decoder.apply(sequence, data)?;
            match counter_in(&picture.bgr, picture.width_px, 600, 300) {
                Some(counter) => counters.push(counter),
                None if counters.is_empty() => {}
                None => num_torn += 1,
            }
        }
        Ok(())
    })?;
    counters.dedup();
    assert!(counters.is_sorted() && counters.len() > 20, "{counters:?} of {num_painted}");
    assert_eq!(num_torn, 0, "pictures that were never painted, among {}", counters.len());
    Ok(())
}

#[test]
fn what_the_computer_sounds_is_a_track_beside_the_voice() -> Result<()> {
    let desktop = VirtualDesktop::start(640, 480)?;
    const SPEAKER: &str = "sink_properties=device.description=Speaker";
    // A loudspeaker that the microphone does not hear.
    desktop.pactl(&["load-module", "module-null-sink", "sink_name=speaker", SPEAKER, "norewinds=1"])?;
    desktop.pactl(&["set-default-sink", "speaker"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--system-sound"])?;
    let start = recording.now_nanos();
    desktop.speak("one two three")?;
    let said = recording.now_nanos();
    let wav = desktop.folder.path().join("speech.wav");
    ensure!(desktop.command("paplay").arg(&wav).status()?.success(), "paplay");
    let_pass(Duration::from_millis(300));
    let end = recording.now_nanos();
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(0));
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    assert_eq!(facts["manifest"]["capture"]["system_sound"], "Monitor of Speaker");
    let heard = |arguments: &[&str], from: u64, to: u64| -> Result<u16> {
        let wav = folder.path().join("heard.wav");
        ok(&[&["narration", path(&bundle), "-o", path(&wav)], arguments].concat())?;
        let mut reader = hound::WavReader::open(&wav)?;
        let rate = u64::from(reader.spec().sample_rate);
        let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>()?;
        let at = |nanos: u64| ((nanos * rate / 1_000_000_000) as usize).min(samples.len());
        Ok(samples[at(from)..at(to)].iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default())
    };
    let (voice, system) = (&[][..], &["--system-sound"][..]);
    // The server hears what is on its way to the loudspeaker, a little before it sounds.
    let (sooner, later) = (said - 150_000_000, said + 200_000_000);
    let loudest = [
        heard(voice, start, said)?,
        heard(system, start, sooner)?,
        heard(voice, later, end)?,
        heard(system, later, end)?,
    ];
    assert!(loudest[0] > 2000 && loudest[1] < 50, "the voice: {loudest:?}");
    assert!(loudest[2] < 50 && loudest[3] > 2000, "the system: {loudest:?}");
    // Sealing joins the blocks of each.
    for track in ["narration", "sound"] {
        let tracks = facts["tracks"].as_array().context("no tracks")?;
        let track = tracks.iter().find(|each| each["name"] == track).context("no track")?;
        let seconds = facts["duration_nanos"].as_u64().context("no duration")? / 1_000_000_000;
        let messages = track["messages"].as_u64().context("no messages")?;
        assert!(messages <= seconds + 2, "{track}");
    }
    Ok(())
}

#[test]
fn speech_is_in_the_wav_at_the_right_time_and_a_pause_is_silence_and_a_gap() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &[])?;
    let silence = recording.now_nanos();
    let_pass(Duration::from_millis(700));
    let before_speech = recording.now_nanos();
    desktop.speak("one two three four five six")?;
    let after_speech = recording.now_nanos();
    let_pass(Duration::from_millis(400));
    recording.signal(Signal::USR2)?;
    recording.signal(Signal::USR1)?;
    wait_until("a pause", || Ok(std::fs::read_to_string(folder.path().join("log"))?.contains("paused")))?;
    let paused = recording.now_nanos();
    desktop.xdotool(&["type", "--delay", "5", "secret"])?;
    desktop.xdotool(&["mousemove", "500", "400", "mousemove", "520", "410"])?;
    desktop.speak("nobody hears this sentence")?;
    let resumed = recording.now_nanos();
    recording.signal(Signal::USR1)?;
    wait_until("an end of the pause", || {
        Ok(std::fs::read_to_string(folder.path().join("log"))?.contains("recording again"))
    })?;
    let again = recording.now_nanos();
    desktop.xdotool(&["type", "--delay", "5", "open"])?;
    let open_typed = recording.now_nanos();
    // Where the pointer went in the pause is told after it, not how.
    let places = || -> Result<Vec<(u64, u64)>> {
        let place = |event: &Value| Some((event["x_px"].as_u64()?, event["y_px"].as_u64()?));
        Ok(events(&recording.live, &["pointer"])?.iter().filter_map(place).collect())
    };
    wait_until("the place of the pointer", || Ok(places()?.last() == Some(&(520, 410))))?;
    assert!(!places()?.contains(&(500, 400)), "a move in the pause is recorded");
    let (bundle, code) = recording.stop(Signal::HUP)?;
    ensure!(code == Some(0), "exit code {code:?}: {}", std::fs::read_to_string(folder.path().join("log"))?);
    ok(&["check", path(&bundle)])?;

    let wav = folder.path().join("voice.wav");
    ok(&["narration", path(&bundle), "-o", path(&wav)])?;
    let mut reader = hound::WavReader::open(&wav)?;
    let rate = u64::from(reader.spec().sample_rate);
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>()?;
    let loudest = |from: u64, to: u64| {
        let at = |nanos: u64| (u128::from(nanos) * u128::from(rate) / 1_000_000_000) as usize;
        samples[at(from)..at(to)].iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default()
    };
    assert!(loudest(silence, before_speech) < 50, "the silence before is silent");
    assert!(loudest(before_speech, after_speech) > 2000, "the speech is heard");
    assert_eq!(loudest(paused, resumed), 0, "the pause is silent");
    let facts = info(&bundle)?;
    let duration = facts["duration_nanos"].as_u64().context("no duration")?;
    let expected = duration as f64 / 1e9 * rate as f64;
    assert!(
        (samples.len() as f64 - expected).abs() < rate as f64 * 0.05,
        "{} samples, {expected}",
        samples.len()
    );

    let gaps = facts["gaps"].as_array().context("no gaps")?;
    for track in ["screen/0", "keys", "pointer", "windows", "narration"] {
        let gap = gaps.iter().find(|gap| gap["track"] == track).context("no gap")?;
        assert_eq!(gap["reason"], "pause");
        assert!(
            gap["start"].as_u64().unwrap() <= paused && gap["end"].as_u64().unwrap() >= resumed,
            "{track}"
        );
        assert!(gap["end"].as_u64().unwrap() <= again, "{track}");
    }
    assert_eq!(facts["markers"].as_array().map(Vec::len), Some(1));
    let keys = events(&bundle, &["keys"])?;
    let text: String = keys.iter().filter_map(|key| key["text"].as_str()).collect();
    assert_eq!(text, "open", "nothing of the pause, everything after it");
    let times = keys.iter().map(|key| key["session_time_nanos"].as_u64().unwrap());
    assert!(
        times.into_iter().all(|nanos| nanos >= again && nanos <= open_typed + 50_000_000),
        "never a shift"
    );
    Ok(())
}

#[test]
fn an_interrupted_session_is_recovered_at_the_next_start_and_the_display_may_die() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let mut killed = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    desktop.xdotool(&["type", "--delay", "5", "kept"])?;
    let held = run(&["delete", path(&killed.live)])?;
    assert_eq!(held.status.code(), Some(1), "a session that is being recorded cannot be deleted");
    let_pass(Duration::from_millis(600));
    killed.child.kill()?;
    killed.child.wait()?;

    let listed = ok(&["list", "--out", path(folder.path()), "--json"])?;
    let rows: Value = serde_json::from_str(&listed)?;
    assert_eq!(rows[0]["state"], "recovered");
    let bundle = rows[0]["path"].as_str().context("no path")?.to_owned();
    let text: String =
        events(Path::new(&bundle), &["keys"])?.iter().filter_map(|k| k["text"].as_str()).collect::<String>();
    assert_eq!(text, "kept");
    ok(&["check", &bundle])?;
    ok(&["delete", &bundle])?;
    assert!(!Path::new(&bundle).exists());

    let recording = Recording::start(&desktop, folder.path(), &[])?;
    desktop.kill_display();
    wait_until("a notice", || {
        Ok(std::fs::read_to_string(folder.path().join("log"))?.contains("pointer, keys, cursor, clipboard: "))
    })?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(3), "finished, but data was lost");
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    let lost: Vec<_> =
        facts["gaps"].as_array().unwrap().iter().filter(|gap| gap["reason"] == "source_lost").collect();
    for track in ["screen/0", "keys", "pointer", "cursor", "clipboard", "windows"] {
        assert!(lost.iter().any(|gap| gap["track"] == track), "{track} has no gap: {lost:?}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())?.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "the bundle, its digest and this test's log, nothing else: {left:?}");
    Ok(())
}

#[test]
fn bad_input_gets_one_sentence_that_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let foreign = folder.path().join("foreign.mcap");
    std::fs::write(&foreign, "RIFF, certainly not MCAP")?;
    let check = |arguments: &[&str], code: i32, says: &str| -> Result<()> {
        let output = run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "praxis {arguments:?}: {said}");
        assert!(said.contains(says), "praxis {arguments:?}: {said}");
        Ok(())
    };
    check(&["record", "--fps", "0"], 2, "--fps")?;
    check(&["nonsense"], 2, "nonsense")?;
    check(&["frame", path(&foreign), "--at", "minus one", "-o", "x"], 2, "12.5")?;
    check(&["record", "--out", path(folder.path())], 1, "DISPLAY")?;
    for command in ["info", "check", "events", "seal", "recover"] {
        check(&[command, path(&foreign)], 1, "MCAP")?;
    }
    check(&["info", "/nowhere.mcap"], 1, "/nowhere.mcap")?;

    let desktop = VirtualDesktop::start(320, 240)?;
    let on_desktop = |arguments: &[&str], variable: (&str, &str)| -> Result<(Option<i32>, String)> {
        let mut command = desktop.command(praxis_tests::praxis::program("praxis")?);
        let output = command.args(arguments).env(variable.0, variable.1).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let nothing = ("LANG", "C.UTF-8");
    let (code, said) = on_desktop(&["record"], ("WAYLAND_DISPLAY", "wayland-0"))?;
    assert!(code == Some(1) && said.contains("X11 (Xorg) session"), "{said}");
    let (code, said) = on_desktop(&["record", "--display", "7", "--mic", "none"], nothing)?;
    assert!(code == Some(1) && said.contains("there is no display \"7\"; there are: 0"), "{said}");
    let (code, said) = on_desktop(&["record", "--mic", "none", "--out", "/proc/nowhere"], nothing)?;
    assert!(code == Some(1) && said.contains("choose another folder"), "{said}");
    let out = path(folder.path());
    let (code, said) = on_desktop(&["record", "--mic", "Nobody", "--seconds", "1", "--out", out], nothing)?;
    assert!(code == Some(1) && said.contains("no microphone is called \"Nobody\"; there are: "), "{said}");
    let (code, said) =
        on_desktop(&["record", "--seconds", "1", "--out", out], ("PULSE_SERVER", "unix:/nowhere"))?;
    assert!(code == Some(0) && said.contains("the recording goes on without"), "{said}");
    let (code, said) = on_desktop(&["doctor", "--out", out], nothing)?;
    assert!(code == Some(0), "doctor on a desktop where all works: {said}");
    Ok(())
}
