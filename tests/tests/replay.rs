//! What a reviewer sees: `praxis open` on the own machine, the collector from elsewhere, and the actions of both.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::process::Command;

use anyhow::{Context, Result, ensure};
use praxis_tests::collector::{Answer, Collector, Expert, Http};
use praxis_tests::desktop::VirtualDesktop;
use praxis_tests::fixture::{write_large, write_live};
use praxis_tests::praxis::{Opened, Recording, ok, path, program};
use rustix::process::Signal;
use serde_json::{Value, json};

/// What answers at the address of a running `praxis open`; the address without its secret; the secret.
fn parts_of(opened: &Opened) -> Result<(Http, String, String)> {
    let address = opened.url.trim_end_matches('/');
    let (root, secret) = address.rsplit_once('/').context("no secret")?;
    Ok((Http::new(address, None), root.to_owned(), secret.to_owned()))
}

fn read(answer: &mut Answer) -> Result<Vec<u8>> {
    Ok(answer.body_mut().with_config().limit(1 << 30).read_to_vec()?)
}

#[test]
fn a_recording_is_opened_on_this_machine_for_whoever_knows_the_address() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let recording = Recording::start(&desktop, folder.path(), &["--mic", "none"])?;
    desktop.xdotool(&["type", "--delay", "5", "what was typed"])?;
    desktop.xdotool(&["mousemove", "600", "400", "click", "--repeat", "2", "--delay", "60", "3"])?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(0));
    let bytes = std::fs::read(&bundle)?;
    let mut opened = Opened::start(&bundle)?;
    let (http, root, secret) = parts_of(&opened)?;
    assert_eq!(secret.len(), 43, "256 bits");

    let name = bundle.file_name().unwrap().to_str().unwrap();
    assert_eq!(http.json("/host.json")?, json!({"kind": "file", "name": name}));
    let mut page = http.ask("GET", "/", &[], &[])?;
    assert!(read(&mut page)?.starts_with(b"<!doctype html>"));
    let policy = page.headers()["content-security-policy"].to_str()?;
    assert!(
        policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(page.headers()["cache-control"], "no-store");

    let mut whole = http.ask("GET", "/content", &[], &[])?;
    assert!(whole.status() == 200 && read(&mut whole)? == bytes);
    for (range, expected) in [
        ("bytes=0-7", &bytes[..8]),
        ("bytes=100-299", &bytes[100..300]),
        ("bytes=-37", &bytes[bytes.len() - 37..]),
    ] {
        let mut part = http.ask("GET", "/content", &[("range", range)], &[])?;
        assert_eq!(part.status(), 206);
        let stated = part.headers()["content-range"].to_str()?.to_owned();
        assert!(stated.ends_with(&format!("/{}", bytes.len())), "{stated}");
        assert!(read(&mut part)? == expected, "{range}");
    }
    let outside = http.ask("GET", "/content", &[("range", "bytes=999999999-")], &[])?;
    assert_eq!(
        (outside.status().as_u16(), outside.headers()["content-range"].to_str()?),
        (416, &*format!("bytes */{}", bytes.len()))
    );

    let printed: Value = serde_json::from_str(&ok(&["actions", path(&bundle), "--json"])?)?;
    assert_eq!(http.json("/actions")?, printed);
    let actions = printed["actions"].as_array().context("no actions")?;
    let typed = actions.iter().find(|action| action["kind"] == "type").context("nothing was typed")?;
    assert_eq!((&typed["text"], &typed["keystrokes"]), (&json!("what was typed"), &json!(14)));
    let click = actions.iter().find(|action| action["kind"] == "click").context("nothing was clicked")?;
    assert_eq!((&click["clicks"], &click["button"], &click["x_px"]), (&json!(2), &json!(3), &json!(600)));

    // Whoever does not know the secret, or comes by another name, gets nothing.
    let port = root.rsplit_once(':').unwrap().1.to_owned();
    let (root, other) = (Http::new(&root, None), "A".repeat(43));
    for at in [
        "/",
        "/host.json",
        "/content",
        &format!("/{other}/"),
        &format!("/{other}/content"),
        &format!("/{secret}x/content"),
    ] {
        assert_eq!(root.ask("GET", at, &[], &[])?.status(), 404, "{at}");
    }
    assert_eq!(root.ask("POST", &format!("/{other}/quit"), &[], &[])?.status(), 404);
    for (host, status) in [
        ("evil.example", 403),
        (&*format!("evil.example:{port}"), 403),
        ("127.0.0.1", 403),
        (&*format!("localhost:{port}"), 200),
    ] {
        assert_eq!(http.ask("GET", "/content", &[("host", host)], &[])?.status().as_u16(), status, "{host}");
    }
    assert_eq!(http.ask("GET", "/../../etc/passwd", &[], &[])?.status(), 404);
    assert_eq!(http.ask("POST", "/content", &[], &[])?.status(), 405);

    assert_eq!(http.ask("POST", "/quit", &[], &[])?.status(), 204);
    assert!(opened.child.wait()?.success());
    Ok(())
}

#[test]
fn a_file_that_is_live_or_damaged_is_opened_as_it_is_and_no_bundle_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let live = folder.path().join("a.live.mcap");
    write_live(&live)?;
    let bytes = std::fs::read(&live)?;
    std::fs::write(&live, &bytes[..bytes.len() - 400])?;
    let opened = Opened::start(&live)?;
    let (http, ..) = parts_of(&opened)?;
    // It grows on, and goes; what was opened stays.
    std::fs::write(folder.path().join("b"), &bytes)?;
    std::io::Write::write_all(&mut std::fs::File::options().append(true).open(&live)?, b"more")?;
    std::fs::remove_file(&live)?;
    let mut whole = http.ask("GET", "/content", &[], &[])?;
    assert!(read(&mut whole)? == bytes[..bytes.len() - 400]);
    assert!(!http.json("/actions")?["actions"].as_array().unwrap().is_empty());

    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "Dear reader")?;
    let output = Command::new(program("praxis")?).args(["open", path(&letter), "--no-browser"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("not a bundle"), "{said}");
    Ok(())
}

/// Sends a sealed bundle of that many megabytes.
fn send(expert: &Expert, megabytes: u32) -> Result<String> {
    let bundle = expert.home.path().join(format!("{megabytes}.mcap"));
    write_large(&bundle, megabytes)?;
    expert.ok(&["approve", path(&bundle)])?;
    ensure!(expert.ok(&["upload", path(&bundle), "--wait"])? == "verified", "not verified");
    Ok(praxis_bundle::file::info_of(&bundle)?.manifest.bundle_id.to_string())
}

#[test]
fn reviewers_find_sessions_and_see_what_was_done_in_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("collector");
    let collector = Collector::start(&data)?;
    let folding = Expert::enrolled(&collector, "protein <folding>", "expert-17")?;
    let proofs = Expert::enrolled(&collector, "proofs_100%", "expert-18")?;
    let ids = [send(&folding, 2)?, send(&folding, 1)?, send(&proofs, 3)?];
    let live = proofs.home.path().join("a.live.mcap");
    write_live(&live)?;
    proofs.ok(&["seal", path(&live)])?;
    let small = proofs.home.path().join("a.mcap");
    proofs.ok(&["approve", path(&small)])?;
    proofs.ok(&["upload", path(&small), "--wait"])?;
    let small_id = praxis_bundle::file::info_of(&small)?.manifest.bundle_id.to_string();
    let token = collector.command(&["token", "new", "--role", "reviewer"])?;
    let reviewer = Http::new(&collector.url, Some(&token));
    let names = [("2", &ids[0]), ("1", &ids[1]), ("3", &ids[2]), ("small", &small_id)];
    let listed = |http: &Http, query: &str| -> Result<(String, u64)> {
        let answer = http.json(&format!("/api/v1/bundles?{query}"))?;
        let rows = answer["bundles"].as_array().context("no list")?.clone();
        let name = |row: &Value| {
            names.iter().find(|(_, id)| row["bundle_id"] == ***id).map_or("?", |(name, _)| *name)
        };
        Ok((rows.iter().map(name).collect::<Vec<_>>().join(" "), answer["total"].as_u64().unwrap()))
    };
    let check = |query: &str, expected: &str, total: u64| -> Result<()> {
        assert_eq!(listed(&reviewer, query)?, (expected.to_owned(), total), "{query}");
        Ok(())
    };
    check("", "small 3 1 2", 4)?;
    check("order=asc", "2 1 3 small", 4)?;
    check("sort=bytes&order=asc", "small 1 2 3", 4)?;
    check("sort=bytes&limit=1&skip=1", "2", 4)?;
    check("sort=length&order=desc&expert=expert-17", "2 1", 2)?;
    check("sort=length&order=asc&expert=expert-17&project=", "1 2", 2)?;
    check("project=protein%20%3Cfolding%3E", "1 2", 2)?;
    check("search=%3CFOLD", "1 2", 2)?;
    check("search=_100%25", "small 3", 2)?;
    check("search=%25", "small 3", 2)?;
    check(&format!("search={}", &ids[2][20..]), "3", 1)?;
    check("state=verified", "small 3 1 2", 4)?;
    check("state=rejected", "", 0)?;
    check("sort=title&limit=0", "", 4)?;
    for odd in ["state=lost", "sort=colour", "order=up", "limit=-1"] {
        assert_eq!(reviewer.ask("GET", &format!("/api/v1/bundles?{odd}"), &[], &[])?.status(), 400, "{odd}");
    }
    let expert = Http::new(&collector.url, Some(&folding.token()?));
    assert_eq!(listed(&expert, "project=proofs_100%25")?, (String::new(), 0), "an expert sees their own");
    assert_eq!(listed(&expert, "")?, ("1 2".into(), 2));

    // What was done, as on the expert's own machine; also of a bundle that was verified by a collector without actions.
    let at = |what: &str| format!("/api/v1/bundles/{small_id}/{what}");
    let printed: Value = serde_json::from_str(&ok(&["actions", path(&small), "--json"])?)?;
    let strip = praxis_bundle::file::preview_of(&small)?.context("no strip")?;
    for round in ["derived by verification", "derived when asked for"] {
        assert_eq!(reviewer.json(&at("actions"))?, printed, "{round}");
        let mut preview = reviewer.ask("GET", &at("preview"), &[], &[])?;
        assert_eq!(preview.headers()["content-type"], "image/jpeg", "{round}");
        assert!(read(&mut preview)? == strip, "{round}");
        let forget = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('delete from derived'); db.commit()";
        let forgotten =
            Command::new("python3").args(["-c", forget, path(&data.join("collector.sqlite"))]).status()?;
        ensure!(forgotten.success(), "the rows are still there");
    }
    assert_eq!(expert.ask("GET", &at("actions"), &[], &[])?.status(), 404, "another expert's");
    let nobody = Http::new(&collector.url, None);
    for route in ["/host.json", "/api/v1/bundles", &at("actions"), &at("preview"), &at("content")] {
        let mut answer = nobody.ask("GET", route, &[], &[])?;
        assert_eq!(answer.status(), 401, "{route}");
        assert_eq!(serde_json::from_slice::<Value>(&read(&mut answer)?)?["code"], "unauthorized", "{route}");
    }

    // The way in by the page.
    assert!(read(&mut nobody.ask("GET", "/", &[], &[])?)?.starts_with(b"<!doctype html>"));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let wrong = nobody.ask("POST", "/login", &form, b"token=praxis_wrong")?;
    assert_eq!((wrong.status().as_u16(), wrong.headers()["location"].to_str()?), (303, "./?wrong=1"));
    assert!(!wrong.headers().contains_key("set-cookie"));
    let right = nobody.ask("POST", "/login", &form, format!("token={token}").as_bytes())?;
    assert_eq!((right.status().as_u16(), right.headers()["location"].to_str()?), (303, "/"));
    let cookie = right.headers()["set-cookie"].to_str()?;
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let mut host = nobody.ask("GET", "/host.json", &[("cookie", cookie)], &[])?;
    assert_eq!(host.headers()["cache-control"], "no-store");
    let host: Value = serde_json::from_slice(&read(&mut host)?)?;
    assert_eq!(host, json!({"kind": "collector", "role": "reviewer"}));
    collector.stop()
}
