//! What `praxis` prints, held by snapshots: programs and people rely on it. A change of a snapshot is a change of the
//! interface, and belongs into the changelog.

use std::path::Path;

use anyhow::Result;
use praxis_tests::fixture;
use praxis_tests::praxis::{ok, path, run};

/// What a command printed, with the folder and what depends on the version of zstd left out.
fn printed(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = run(arguments)?;
    let mut text = String::new();
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let said = String::from_utf8_lossy(bytes).replace(path(folder), "FOLDER");
        if !said.is_empty() {
            text += &format!("{name}:\n{said}\n");
        }
    }
    let code = output.status.code().unwrap_or(-1);
    let is_volatile = |line: &&str| {
        let line = line.trim_start();
        ["\"sha256\"", "\"bytes\"", "size  "].iter().any(|start| line.starts_with(start))
    };
    let hide = |line: &str| if is_volatile(&line) { "…" } else { line }.to_owned();
    Ok(text.lines().map(hide).chain([format!("code {code}\n")]).collect::<Vec<_>>().join("\n"))
}

#[test]
fn help_of_every_command_is_as_it_was() -> Result<()> {
    let help = ok(&["help"])?;
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| {
        line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   "))
    });
    let mut all = help.clone();
    for name in names.filter(|name| *name != "help") {
        all += &format!("\n――― praxis {name} ―――\n\n{}", ok(&[name, "--help"])?);
    }
    insta::assert_snapshot!("help", all);
    Ok(())
}

#[test]
fn json_and_messages_of_every_command_are_as_they_were() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let live = folder.path().join("0192.live.mcap");
    fixture::write_live(&live)?;
    let cut = folder.path().join("cut.live.mcap");
    let bytes = std::fs::read(&live)?;
    std::fs::write(&cut, &bytes[..bytes.len() - 400])?;
    let mended = folder.path().join("mended.mcap");
    let sealed = folder.path().join("0192.mcap");
    let (live, cut, mended, sealed) = (path(&live), path(&cut), path(&mended), path(&sealed));
    let check = |name: &str, arguments: &[&str]| -> Result<()> {
        let printed = printed(folder.path(), arguments)?;
        insta::assert_snapshot!(name, printed);
        Ok(())
    };
    check("check of a live file", &["check", live, "--json"])?;
    check("info of a live file", &["info", live])?;
    check("check of a cut file", &["check", cut, "--json"])?;
    check("info of a cut file", &["info", cut, "--json"])?;
    check("events of a cut file", &["events", cut, "--track", "markers"])?;
    check("recover", &["recover", cut, "-o", mended])?;
    check("info of a recovered file", &["info", mended])?;
    std::fs::remove_file(cut)?;
    std::fs::remove_file(mended)?;
    check("seal", &["seal", live])?;
    check("info", &["info", sealed, "--json"])?;
    check("check", &["check", sealed, "--json"])?;
    check("events", &["events", sealed])?;
    check("events of a track", &["events", sealed, "--track", "keys"])?;
    check("actions", &["actions", sealed])?;
    check("actions json", &["actions", sealed, "--json"])?;
    check("list json", &["list", "--out", path(folder.path()), "--json"])?;
    let png = folder.path().join("x.png");
    check("frame in a gap", &["frame", sealed, "--at", "1.1", "-o", path(&png)])?;
    check("frame of no display", &["frame", sealed, "--at", "1", "--display", "3", "-o", path(&png)])?;
    check("unknown track", &["events", sealed, "--track", "smell"])?;
    check("delete", &["delete", sealed])?;
    check("delete again", &["delete", sealed])?;
    check("seal of nothing", &["seal", sealed])?;
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    left.sort();
    assert_eq!(left, ["x.png"], "delete takes the digest too");
    Ok(())
}

#[test]
fn no_command_takes_the_place_of_a_recording_or_removes_what_is_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fixture::write_live(&at("a.live.mcap"))?;
    fixture::write_live(&at("b.live.mcap"))?;
    std::os::unix::fs::symlink(at("a.live.mcap"), at("link.mcap"))?;
    std::fs::write(at("letter.txt"), "Dear reader")?;
    let bytes = std::fs::read(at("a.live.mcap"))?;
    let (a, letter) = (at("a.live.mcap"), at("letter.txt"));
    let refuse = |arguments: &[&str], says: &str| -> Result<()> {
        let output = run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "praxis {arguments:?}: {said}");
        assert!(said.contains(says), "praxis {arguments:?}: {said}");
        Ok(())
    };
    let dotted = folder.path().join(".").join("a.live.mcap");
    for output in [&a, &dotted, &at("b.live.mcap"), &at("link.mcap")] {
        refuse(&["frame", path(&a), "--at", "1", "-o", path(output)], "is a recording")?;
        refuse(&["narration", path(&a), "-o", path(output)], "is a recording")?;
        refuse(&["recover", path(&a), "-o", path(output)], "is there already")?;
    }
    refuse(&["recover", path(&a), "-o", path(&letter)], "is there already")?;
    refuse(&["delete", path(&letter)], "not a bundle")?;
    assert_eq!(std::fs::read(&a)?, bytes);

    // Another session's bundle has the name that sealing would give.
    let mut other = bytes.clone();
    let id = b"01920000-0000-7000-8000-000000000001";
    let places: Vec<_> = (0..bytes.len() - id.len()).filter(|at| bytes[*at..].starts_with(id)).collect();
    assert!(!places.is_empty(), "no session id");
    places.iter().for_each(|at| other[at + 35] = b'7');
    std::fs::write(at("a.mcap"), &other)?;
    refuse(&["seal", path(&a)], "holds another session")?;
    assert_eq!(std::fs::read(at("a.mcap"))?, other);
    std::fs::remove_file(at("a.mcap"))?;

    // What a crash and a repair leave goes with its session; what nobody holds is cleared away.
    std::fs::write(at("a.mcap.part"), "half")?;
    std::fs::write(at("a.live.mcap.damaged"), &bytes)?;
    std::fs::write(at("c.mcap.part"), "half")?;
    ok(&["list", "--out", path(folder.path())])?;
    assert!(!at("c.mcap.part").exists() && !at("a.mcap.part").exists());
    ok(&["seal", path(&a)])?;
    ok(&["recover", path(&at("a.mcap")), "-o", path(&at("a.recovered.mcap"))])?;
    ok(&["delete", path(&at("a.mcap"))])?;
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    left.sort();
    assert_eq!(left, ["b.live.mcap", "letter.txt", "link.mcap"]);
    Ok(())
}

#[test]
fn a_picture_that_may_be_old_is_never_shown_as_what_was_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let live = folder.path().join("a.live.mcap");
    fixture::write_live(&live)?;
    // The chunk from 300 to 600 ms, with the picture of 520 ms.
    fixture::damage(&live)?;
    let png = folder.path().join("x.png");
    let frame = |file: &Path, at: &str| -> Result<(Option<i32>, String)> {
        let output = run(&["frame", path(file), "--at", at, "-o", path(&png)])?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    assert_eq!(frame(&live, "0.001")?.0, Some(0), "before the damage all is well");
    let (code, said) = frame(&live, "0.55")?;
    assert!(code == Some(1) && said.contains("cannot be told"), "{said}");
    let output = run(&["seal", path(&live)])?;
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join("a.live.mcap.damaged").exists(), "the damaged file is kept");
    let sealed = folder.path().join("a.mcap");
    let (code, said) = frame(&sealed, "0.55")?;
    assert!(code == Some(1) && said.contains("cannot be told"), "{said}");
    assert_eq!(run(&["seal", path(&sealed)])?.status.code(), Some(0), "sealed already: nothing more is lost");
    Ok(())
}

#[test]
fn completions_and_manual_page_are_made() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        assert!(ok(&["completions", shell])?.contains("keep-free"), "{shell}");
    }
    assert!(ok(&["man"])?.contains(".TH praxis"));
    Ok(())
}
