//! Exports of a real session: a script of known intents is reduced to exactly those, and each format is loaded by its own tool.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::praxis::{Recording, ok, path, run};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A rest that separates deeds; shorter than one that is a hover, longer than any double click.
const REST: Duration = Duration::from_millis(650);

/// What a person means to do, as xdotool does it, and the action that it is to become.
fn script() -> Vec<(Vec<&'static str>, Value)> {
    let place = ["mousemove", "700", "640"];
    let there = |more: &[&'static str]| [&place[..], more].concat();
    let click = |more: Value| {
        let mut action = json!({"kind": "click", "x_px": 700, "y_px": 640, "button": 1, "clicks": 1});
        action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        action
    };
    let drag = ["mousemove_relative", "60", "0", "mousemove_relative", "60", "20"];
    vec![
        (there(&["click", "1"]), click(json!({}))),
        (there(&["click", "--repeat", "2", "--delay", "60", "1"]), click(json!({"clicks": 2}))),
        (there(&["click", "--repeat", "3", "--delay", "60", "1"]), click(json!({"clicks": 3}))),
        (there(&["click", "2"]), click(json!({"button": 2}))),
        (there(&["click", "3"]), click(json!({"button": 3}))),
        (there(&["click", "8"]), click(json!({"button": 8}))),
        (there(&["mousedown", "1", "sleep", "1.1", "mouseup", "1"]), click(json!({"is_long": true}))),
        (there(&["keydown", "ctrl", "click", "1", "keyup", "ctrl"]), click(json!({"modifiers": ["ctrl"]}))),
        (
            there(&["keydown", "ctrl", "keydown", "shift", "click", "1", "keyup", "shift", "keyup", "ctrl"]),
            click(json!({"modifiers": ["ctrl", "shift"]})),
        ),
        (
            [&there(&["mousedown", "1"])[..], &drag, &["mouseup", "1"]].concat(),
            json!({"kind": "drag", "x_px": 700, "y_px": 640, "button": 1}),
        ),
        (
            [&there(&["mousedown", "3"])[..], &drag, &["mouseup", "3"]].concat(),
            json!({"kind": "drag", "x_px": 700, "y_px": 640, "button": 3}),
        ),
        (
            there(&["click", "--repeat", "4", "--delay", "40", "5"]),
            json!({"kind": "scroll", "dx_ticks": 0.0, "dy_ticks": 4.0}),
        ),
        (there(&["click", "4"]), json!({"kind": "scroll", "dx_ticks": 0.0, "dy_ticks": -1.0})),
        (
            there(&["click", "--repeat", "2", "--delay", "40", "7"]),
            json!({"kind": "scroll", "dx_ticks": 2.0, "dy_ticks": 0.0}),
        ),
        (
            there(&["keydown", "ctrl", "click", "5", "keyup", "ctrl"]),
            json!({"kind": "scroll", "dy_ticks": 1.0, "modifiers": ["ctrl"]}),
        ),
        (
            vec!["type", "--delay", "15", "Mean of 20 (n=3)\n"],
            json!({"kind": "type", "text": "Mean of 20 (n=3)\n", "keystrokes": 17, "corrections": 0}),
        ),
        (
            vec!["key", "--delay", "15", "a", "b", "x", "BackSpace", "c", "Tab"],
            json!({"kind": "type", "text": "abc\t", "keystrokes": 6, "corrections": 1}),
        ),
        (
            vec!["key", "--delay", "30", "Left", "Left", "Left"],
            json!({"kind": "press", "keys": ["Left"], "count": 3}),
        ),
        (vec!["key", "Escape"], json!({"kind": "press", "keys": ["Escape"], "count": 1})),
        (vec!["key", "F5"], json!({"kind": "press", "keys": ["F5"], "count": 1})),
        (vec!["key", "ctrl+s"], json!({"kind": "hotkey", "keys": ["ctrl", "s"], "count": 1})),
        (vec!["key", "ctrl+shift+t"], json!({"kind": "hotkey", "keys": ["ctrl", "shift", "t"], "count": 1})),
        (vec!["key", "shift+Home"], json!({"kind": "hotkey", "keys": ["shift", "home"], "count": 1})),
        (vec!["key", "super"], json!({"kind": "press", "keys": ["meta"], "count": 1})),
        // Over the terminal that counts, then away.
        (
            vec!["mousemove", "820", "120", "sleep", "1.6", "mousemove", "700", "640"],
            json!({"kind": "hover", "x_px": 820, "y_px": 120}),
        ),
        // Nothing for a while, then a click at another place.
        (
            vec!["sleep", "6.6", "mousemove", "640", "660", "click", "1"],
            json!({"kind": "wait", "is_thinking": true}),
        ),
    ]
}

/// The script, played once with real X events and a real voice: the bundle.
static RECORDED: LazyLock<PathBuf> = LazyLock::new(|| record().expect("a session is recorded"));

fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("export")
}

fn record() -> Result<PathBuf> {
    let mut desktop = VirtualDesktop::start(1024, 768)?;
    desktop.spawn(
        "xterm",
        &[
            "-geometry",
            "30x10+740+40",
            "-title",
            "counter",
            "-e",
            "sh",
            "-c",
            "while sleep 0.2; do date +%N; done",
        ],
    )?;
    // The one that comes up last is active: that must be the terminal.
    wait_until("the counter", || {
        Ok(desktop.xdotool(&["getactivewindow", "getwindowname"])?.contains("counter"))
    })?;
    desktop.terminal(30, 30, &["sh", "-c", "stty -echo; exec cat > /dev/null"])?;
    // It outlives every test: nobody removes it but the next run.
    let folder = scratch().join("session");
    let _ = std::fs::remove_dir_all(scratch());
    std::fs::create_dir_all(&folder)?;
    let recording = Recording::start(
        &desktop,
        &folder,
        &["--mic", "default", "--title", "Twenty kinds", "--outcome", "success"],
    )?;
    desktop.xdotool(&["mousemove", "500", "600"])?;
    for (deeds, action) in script() {
        let_pass(REST);
        if action["kind"] == "wait" {
            std::thread::scope(|scope| {
                let said = scope.spawn(|| desktop.speak("Now I think about the variance."));
                desktop.xdotool(&deeds)?;
                said.join().unwrap()
            })?;
        } else {
            desktop.xdotool(&deeds)?;
        }
    }
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(code == Some(0), "exit code {code:?}: {}", std::fs::read_to_string(folder.join("log"))?);
    Ok(bundle)
}

/// An action's fields, as far as the expected one names them.
fn like(found: &Value, expected: &Value) -> Value {
    expected.as_object().unwrap().keys().map(|key| (key.clone(), found[key].clone())).collect()
}

#[test]
fn a_script_of_intents_becomes_exactly_its_actions() -> Result<()> {
    let answer: Value = serde_json::from_str(&ok(&["actions", path(&RECORDED), "--json"])?)?;
    let actions = answer["actions"].as_array().context("no actions")?;
    let mut expected: Vec<Value> = script().into_iter().map(|(_, action)| action).collect();
    expected.push(json!({"kind": "click", "x_px": 640, "y_px": 660}));
    let found: Vec<Value> =
        actions.iter().zip(&expected).map(|(found, expected)| like(found, expected)).collect();
    let listed = ok(&["actions", path(&RECORDED)])?;
    assert_eq!(found, expected, "{listed}");
    assert_eq!(actions.len(), expected.len(), "{listed}");
    let drag = &actions[9]["path"];
    let last = drag.as_array().context("no path")?.last().context("an empty path")?;
    assert_eq!((&last["x_px"], &last["y_px"]), (&json!(820), &json!(660)));
    Ok(())
}

/// Exports the session, and another time, and lets the program look at it that the labs use.
fn exported(format: &str, more: &[&str]) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let arguments = [&["export", path(&RECORDED), "--format", format, "--out", path(&out)], more].concat();
    let said = ok(&arguments)?;
    ensure!(said.starts_with("1 bundles, "), "{said}");
    let again = ok(&arguments)?;
    ensure!(again.contains("1 were there already"), "{again}");
    let hidden = std::fs::read_dir(&out)?.filter_map(|entry| Some(entry.ok()?.file_name()));
    ensure!(
        hidden.into_iter().all(|name| !name.to_string_lossy().starts_with('.')),
        "something half-written is left"
    );
    Ok((folder, out))
}

fn python(arguments: &[&str]) -> Result<()> {
    let test = std::env::current_exe()?;
    let target =
        test.ancestors().find(|folder| folder.join("venv").is_dir()).context("no venv: run scripts/setup")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/load_exports.py");
    let mut command = Command::new(target.join("venv/bin/python"));
    command.arg(script).args(arguments).env("HF_HUB_OFFLINE", "1").env("HF_HOME", scratch().join("hf"));
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The steps and pictures as this project's own commands show them: what the loaders' values are compared with.
fn truth(folder: &Path) -> Result<PathBuf> {
    let bundle: &Path = &RECORDED;
    let actions: Value = serde_json::from_str(&ok(&["actions", path(bundle), "--json"])?)?;
    let info: Value = serde_json::from_str(&ok(&["info", path(bundle), "--json"])?)?;
    ok(&["narration", path(bundle), "-o", path(&folder.join("voice.wav"))])?;
    let truth = json!({ "actions": actions["actions"], "info": info, "voice": folder.join("voice.wav"), "program": program()?, "bundle": bundle });
    let file = folder.join("truth.json");
    std::fs::write(&file, truth.to_string())?;
    Ok(file)
}

fn program() -> Result<PathBuf> {
    praxis_tests::praxis::program("praxis")
}

fn loads(format: &str, more: &[&str]) -> Result<()> {
    let (folder, out) = exported(format, more)?;
    let truth = truth(folder.path())?;
    python(&[format, path(&out), path(&truth)])
}

#[test]
fn jsonl_has_the_pictures_of_the_bundle() -> Result<()> {
    loads("jsonl", &[])
}

#[test]
fn smaller_pictures_have_their_places_in_them() -> Result<()> {
    loads("jsonl", &["--most-px", "640x640", "--webp"])
}

#[test]
fn datasets_loads_parquet() -> Result<()> {
    loads("parquet", &["--split", "train:1"])
}

#[test]
fn webdataset_loads_shards() -> Result<()> {
    loads("webdataset", &["--shard", "1"])
}

#[test]
fn agentnet_keeps_the_rules_of_its_grammar() -> Result<()> {
    loads("agentnet", &[])
}

#[test]
fn tools_of_model_makers_take_their_formats() -> Result<()> {
    loads("anthropic", &[])?;
    loads("openai", &[])?;
    loads("osworld", &[])
}

#[test]
fn foreign_readers_of_mcap_take_their_messages() -> Result<()> {
    loads("owamcap", &[])?;
    loads("foxglove", &[])
}

#[test]
fn rerun_opens_a_data_set_of_lerobot() -> Result<()> {
    loads("lerobot", &[])
}

#[test]
fn ffprobe_and_a_decoded_frame_say_that_the_video_is_one() -> Result<()> {
    loads("mp4", &[])
}

#[test]
fn csv_and_wav_have_every_event_and_sample() -> Result<()> {
    loads("csv", &[])?;
    loads("wav", &[])
}

#[test]
fn a_transcript_beside_the_bundle_becomes_cues_and_thoughts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("copy.mcap");
    std::fs::copy(&*RECORDED, &bundle)?;
    let transcript = json!({"segments": [
        {"start": 1.0, "end": 2.5, "text": " First I look at a < b & c."},
        {"start": 100.25, "end": 101.0, "text": "The end."},
    ]});
    std::fs::write(folder.path().join("copy.mcap.transcript.json"), transcript.to_string())?;
    for format in ["vtt", "srt"] {
        let out = folder.path().join(format);
        ok(&["export", path(&bundle), "--format", format, "--out", path(&out)])?;
        python(&[format, path(&out), path(&folder.path().join("copy.mcap.transcript.json"))])?;
    }
    captions_and_pointer_of_a_video_are_as_asked_for(folder.path())?;
    let out = folder.path().join("jsonl");
    ok(&["export", path(&bundle), "--format", "jsonl", "--out", path(&out)])?;
    let said: Vec<Value> =
        steps(&out)?.iter().flat_map(|step| step["narration"].as_array().unwrap().clone()).collect();
    assert_eq!(said.len(), 2);
    assert_eq!(said[1]["text"], "The end.");
    assert_eq!(said[1]["start_nanos"], 100_250_000_000u64);
    Ok(())
}

fn captions_and_pointer_of_a_video_are_as_asked_for(folder: &Path) -> Result<()> {
    let bundle = &folder.join("marked.mcap");
    std::fs::copy(&*RECORDED, bundle)?;
    // What looks like markup is text.
    let said = json!({"segments": [{"start": 1.0, "end": 2.5, "text": "First I look at a < b & <i>c</i>."}]});
    std::fs::write(folder.join("marked.mcap.transcript.json"), said.to_string())?;
    let video = |name: &str, more: &[&str]| -> Result<PathBuf> {
        let out = folder.join(name);
        ok(&[&["export", path(bundle), "--format", "mp4", "--out", path(&out)], more].concat())?;
        Ok(std::fs::read_dir(out.join("train"))?.next().context("no video")??.path())
    };
    let ffmpeg = |arguments: &[&str]| -> Result<Vec<u8>> {
        let output = Command::new("ffmpeg").args(["-v", "error", "-nostdin"]).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    };
    let with = video("captions", &["--captions"])?;
    let bare = video("bare", &["--no-pointer"])?;
    let text = String::from_utf8(ffmpeg(&["-i", path(&with), "-f", "srt", "-"])?)?;
    assert!(
        text.contains("00:00:01,000 --> 00:00:02,500") && text.contains("First I look at a < b & <i>c</i>."),
        "{text}"
    );
    assert!(
        ffmpeg(&["-i", path(&bare), "-map", "0:s", "-f", "srt", "-"]).is_err(),
        "captions that nobody asked for"
    );
    let frame = |video: &Path| {
        ffmpeg(&["-ss", "3", "-i", path(video), "-frames:v", "1", "-f", "framemd5", "-an", "-sn", "-"])
    };
    assert_ne!(frame(&with)?, frame(&bare)?, "the arrow is there, or not, all the same");
    Ok(())
}

fn steps(out: &Path) -> Result<Vec<Value>> {
    let split = std::fs::read_dir(out.join("train"))?.next().context("no bundle")??.path();
    let text = std::fs::read_to_string(split.join("steps.jsonl"))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[test]
fn corrections_beside_the_bundle_are_applied() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("copy.mcap");
    std::fs::copy(&*RECORDED, &bundle)?;
    let answer: Value = serde_json::from_str(&ok(&["actions", path(&bundle), "--json"])?)?;
    let corrections = json!({"reducer_version": answer["reducer_version"], "changes": [
        {"change": "delete", "id": 0}, {"change": "relabel", "id": 1, "label": "Open the file"},
    ]});
    let beside = folder.path().join("copy.mcap.corrections.json");
    std::fs::write(&beside, corrections.to_string())?;
    let out = folder.path().join("out");
    let export = ["export", path(&bundle), "--format", "jsonl", "--out", path(&out)];
    ok(&export)?;
    let steps = steps(&out)?;
    assert_eq!(steps.len() + 1, answer["actions"].as_array().unwrap().len());
    assert_eq!(steps[0]["action"]["label"], "Open the file");
    // Corrected again, by the deletion of almost all: pictures of what is gone are gone, too.
    let all =
        (1..answer["actions"].as_array().unwrap().len()).map(|id| json!({"change": "delete", "id": id}));
    let corrections =
        json!({"reducer_version": answer["reducer_version"], "changes": all.collect::<Vec<_>>()});
    std::fs::write(&beside, corrections.to_string())?;
    ok(&export)?;
    let sources = files(&out)?;
    let listed =
        sources.as_object().context("no sources")?.values().flat_map(|files| files.as_array().unwrap());
    let mut listed: Vec<PathBuf> = listed.map(|file| out.join(file["path"].as_str().unwrap())).collect();
    let of_bundle = std::fs::read_dir(out.join("train"))?.next().context("no bundle")??.path();
    let mut there = Vec::new();
    for folder in [of_bundle.join("images"), of_bundle] {
        let entries = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        there.extend(entries.filter(|path| path.is_file()));
    }
    listed.sort();
    there.sort();
    assert_eq!(there, listed);
    std::fs::write(&beside, r#"{"reducer_version": 1, "changes": []}"#)?;
    let output = run(&export)?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("correct them anew"));
    Ok(())
}

/// What an export holds: each file with its digest.
fn files(out: &Path) -> Result<Value> {
    let export: Value = serde_json::from_slice(&std::fs::read(out.join("export.json"))?)?;
    let sources = export["sources"].as_array().context("no sources")?.iter();
    Ok(sources
        .map(|source| (source["bundle_id"].as_str().unwrap().to_owned(), source["files"].clone()))
        .collect())
}

#[test]
fn a_run_that_was_killed_goes_on_and_ends_with_the_same_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sealed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance/sealed.mcap");
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let arguments = |out: &Path| -> Vec<String> {
        let all = [
            "export",
            path(&sealed),
            path(&RECORDED),
            "--format",
            "jsonl",
            "--jobs",
            "1",
            "--out",
            path(out),
        ];
        all.map(str::to_owned).into()
    };
    ok(&arguments(&whole).iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut child = Command::new(program()?).args(arguments(&killed)).spawn()?;
    // In the middle of the second bundle.
    wait_until("the first pictures of the second bundle", || {
        let parts =
            std::fs::read_dir(&killed).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut parts = parts.filter(|path| path.to_string_lossy().contains(".part-"));
        let complete = killed.join("sources").read_dir().into_iter().flatten();
        let names = complete.filter_map(|entry| Some(entry.ok()?.path()));
        let is_complete =
            names.filter(|path| path.extension().is_some_and(|ending| ending == "json")).count() == 1;
        Ok(is_complete && parts.next().is_some())
    })?;
    child.kill()?;
    child.wait()?;
    ensure!(killed.join("train").read_dir()?.count() == 1, "something half-written has its final name");
    let said = ok(&arguments(&killed).iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(said.starts_with("1 bundles, ") && said.contains("1 were there already"), "{said}");
    assert_eq!(files(&killed)?, files(&whole)?);
    let left: Vec<_> = killed.read_dir()?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    ensure!(left.len() == 3, "{left:?}");
    Ok(())
}

#[test]
fn runs_that_know_nothing_of_each_other_fill_a_folder_together() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (out, alone) = (folder.path().join("out"), folder.path().join("alone"));
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance").join(name);
    let inputs = [fixture("sealed.mcap"), fixture("operations-sealed.mcap"), RECORDED.clone()];
    let run = |input: &PathBuf, out: &Path| {
        Command::new(program()?)
            .args(["export", path(input), "--format", "jsonl", "--out", path(out)])
            .spawn()
            .context("praxis export")
    };
    let children: Vec<_> = inputs.iter().map(|input| run(input, &out)).collect::<Result<_>>()?;
    for (mut child, input) in children.into_iter().zip(&inputs) {
        ensure!(child.wait()?.success(), "{}", input.display());
    }
    for input in &inputs {
        ensure!(run(input, &alone)?.wait()?.success(), "{}", input.display());
    }
    assert_eq!(files(&out)?, files(&alone)?);
    // The same bundle twice at once: one run does it, the other says so and spoils nothing.
    let both = folder.path().join("both");
    let [one, other] = [0, 1].map(|_| run(&RECORDED, &both));
    let codes = [one?.wait()?.code(), other?.wait()?.code()];
    ensure!(codes == [Some(0); 2] || codes == [Some(0), Some(1)] || codes == [Some(1), Some(0)], "{codes:?}");
    let of_recorded = files(&both)?;
    assert_eq!(of_recorded.as_object().context("no sources")?.len(), 1);
    assert!(
        of_recorded.as_object().unwrap().iter().all(|(id, listed)| files(&alone).unwrap()[id] == *listed)
    );
    Ok(())
}

#[test]
fn all_sessions_of_an_expert_are_in_one_split() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance").join(name);
    let inputs = ["sealed.mcap", "operations-sealed.mcap"].map(fixture);
    let mut splits = Vec::new();
    for seed in 0..8 {
        let (out, seed) = (folder.path().join(seed.to_string()), seed.to_string());
        let mut arguments = vec!["export", "--format", "csv", "--out", path(&out), "--seed", &seed];
        arguments.extend(["--split", "train:50", "--split", "test:50"]);
        arguments.extend(inputs.iter().map(|input| path(input)));
        ok(&arguments)?;
        let export: Value = serde_json::from_slice(&std::fs::read(out.join("export.json"))?)?;
        let sources = export["sources"].as_array().context("no sources")?;
        assert_eq!(sources.len(), 2);
        // Both are of one expert.
        let split = sources[0]["split"].clone();
        assert!(sources.iter().all(|source| source["split"] == split), "{sources:?}");
        splits.push(split);
    }
    assert!(splits.contains(&json!("train")) && splits.contains(&json!("test")), "{splits:?}");
    Ok(())
}

#[test]
fn bad_input_is_named_and_nothing_half_written_is_left() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance").join(name);
    let refused = |inputs: &[&Path], format: &str, out: &Path, code: i32, said: &str| -> Result<()> {
        let mut arguments = vec!["export", "--format", format, "--out", path(out)];
        arguments.extend(inputs.iter().map(|input| path(input)));
        let output = run(&arguments)?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(code), "{code} expected for {inputs:?}: {stderr}");
        ensure!(stderr.contains(said), "{said:?} is not in: {stderr}");
        if out.is_dir() {
            let mut names = std::fs::read_dir(out)?.filter_map(|entry| Some(entry.ok()?.file_name()));
            ensure!(
                names.all(|name| !name.to_string_lossy().starts_with(".part")),
                "something half-written is left"
            );
        }
        Ok(())
    };
    let sealed = fixture("sealed.mcap");
    let copy = at("copy.mcap");
    std::fs::copy(&sealed, &copy)?;
    refused(&[&sealed, &sealed], "jsonl", &at("a"), 1, "listed twice")?;
    refused(&[&sealed, &copy], "jsonl", &at("b"), 1, "listed twice")?;
    refused(&[&sealed], "nonsense", &at("c"), 2, "possible values: jsonl")?;
    refused(&[&fixture("live.mcap")], "jsonl", &at("d"), 1, "praxis seal")?;
    refused(&[&fixture("not-mcap.mcap")], "jsonl", &at("e"), 1, "not-mcap.mcap")?;
    refused(&[&at("missing.mcap")], "jsonl", &at("f"), 1, "missing.mcap")?;
    refused(&[&sealed], "vtt", &at("g"), 1, "has no transcript")?;
    // It is there, and said to be damaged, as often as one asks.
    refused(&[&fixture("sealed-damaged.mcap")], "jsonl", &at("h"), 3, "cannot be read")?;
    refused(&[&fixture("sealed-damaged.mcap")], "jsonl", &at("h"), 3, "cannot be read")?;
    std::fs::create_dir(at("full"))?;
    std::fs::write(at("full/mine.txt"), "mine")?;
    refused(&[&sealed], "jsonl", &at("full"), 1, "choose another folder")?;
    // Beside what cannot be exported, the others are.
    let output = run(&[
        "export",
        path(&fixture("live.mcap")),
        path(&sealed),
        "--format",
        "jsonl",
        "--out",
        path(&at("i")),
    ])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("1 bundles, 4 steps"));
    // Another export does not go into the same folder.
    refused(&[&sealed], "csv", &at("i"), 1, "other options")
}

#[test]
fn a_disk_that_takes_no_more_leaves_nothing_half_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for format in ["jsonl", "parquet", "webdataset", "owamcap", "lerobot", "mp4", "wav"] {
        let out = folder.path().join(format);
        let arguments = ["export", path(&RECORDED), "--format", format, "--out", path(&out)];
        let mut limited = Command::new("bash");
        limited
            .args(["-c", "trap '' XFSZ; ulimit -f 24; exec \"$0\" \"$@\""])
            .arg(program()?)
            .args(arguments);
        let output = limited.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{format}: {said}");
        let says_why = said.to_lowercase();
        assert!(says_why.contains("too large") || says_why.contains("ffmpeg says"), "{format}: {said}");
        let left: Vec<_> = out.read_dir()?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        assert_eq!(left.len(), 2, "{format}: {left:?}");
        assert_eq!(out.join("sources").read_dir()?.count(), 0, "{format}");
        assert!(ok(&arguments)?.starts_with("1 bundles, 27 steps"), "{format}");
    }
    Ok(())
}
