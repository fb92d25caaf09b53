//! From a recording to `verified`: the expert's program, the collector, and everything that can go wrong between them.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use praxis_bundle::file;
use praxis_capture_core::upload::{Queue, State, Tuning, Uploader, enrolment};
use praxis_tests::bus::{Bus, Keychain, files_with};
use praxis_tests::collector::{Answer, Collector, Expert, Http};
use praxis_tests::desktop::{VirtualDesktop, wait_until};
use praxis_tests::fixture::{write_large, write_live};
use praxis_tests::kills::Random;
use praxis_tests::praxis::{Recording, path};
use praxis_tests::proxy::{Fault, Proxy};
use praxis_tests::upload_kills::upload_under_kills;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// A sealed, approved bundle in an expert's home.
fn approved(expert: &Expert, megabytes: u32) -> Result<PathBuf> {
    let bundle = expert.home.path().join(format!("{megabytes}.mcap"));
    write_large(&bundle, megabytes)?;
    expert.ok(&["approve", path(&bundle)])?;
    Ok(bundle)
}

fn read_all(answer: &mut Answer) -> Result<Vec<u8>> {
    Ok(answer.body_mut().with_config().limit(1 << 30).read_to_vec()?)
}

#[test]
fn a_recording_is_approved_uploaded_verified_listed_and_fetched_by_ranges() -> Result<()> {
    let mut desktop = VirtualDesktop::start(640, 480)?;
    desktop.terminal(10, 10, &["cat"])?;
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "protein <folding>", "expert-17")?;
    let recording = Recording::start(&desktop, expert.home.path(), &["--title", "A <b>bold</b> title"])?;
    desktop.xdotool(&["type", "--delay", "5", "to be sent"])?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    assert_eq!(code, Some(0));

    let why = expert.refused(&["upload", path(&bundle)])?;
    assert!(why.contains("is not approved"), "{why}");
    expert.ok(&["approve", path(&bundle)])?;
    assert_eq!(expert.ok(&["upload", path(&bundle), "--wait"])?, "verified");
    assert_eq!(expert.ok(&["upload", path(&bundle), "--wait"])?, "verified", "sent twice, kept once");

    let reviewer =
        Http::new(&collector.url, Some(&collector.command(&["token", "new", "--role", "reviewer"])?));
    let listed = reviewer.json("/api/v1/bundles")?;
    let rows = listed["bundles"].as_array().context("no list")?;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((&row["state"], &row["expert"]), (&json!("verified"), &json!("expert-17")));
    assert_eq!(row["facts"]["title"], "A <b>bold</b> title");
    let content = format!("/api/v1/bundles/{}/content", row["bundle_id"].as_str().unwrap());
    let bytes = std::fs::read(&bundle)?;
    let mut fetched = Vec::new();
    for start in (0..bytes.len()).step_by(100_000) {
        let range = format!("bytes={start}-{}", start + 99_999);
        let mut answer = reviewer.ask("GET", &content, &[("range", &range)], &[])?;
        assert_eq!(answer.status(), 206);
        fetched.extend(read_all(&mut answer)?);
    }
    assert_eq!(file::sha256(&bundle)?, hex(&Sha256::digest(&fetched)));
    assert!(fetched == bytes);
    let mut whole = reviewer.ask("GET", &content, &[], &[])?;
    assert!(whole.headers()["content-disposition"].to_str()?.starts_with("attachment"));
    assert!(read_all(&mut whole)? == bytes);
    let tail = reviewer.ask("GET", &content, &[("range", "bytes=-10")], &[])?;
    assert_eq!(tail.headers()["content-length"], "10");
    let outside = reviewer.ask("GET", &content, &[("range", "bytes=999999999-")], &[])?;
    assert_eq!(outside.status(), 416);
    let mut page = reviewer.ask("GET", "/", &[], &[])?;
    let page = page.body_mut().read_to_string()?;
    assert!(
        page.starts_with("<!doctype html>") && !page.contains("bold"),
        "the page is the same for everyone"
    );

    let log = collector.log()?;
    for secret in [&expert.token()?, "bold", "to be sent"] {
        assert!(!log.contains(secret), "the log tells what it must not");
    }
    collector.stop()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_must_not_come_in_is_refused_with_a_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let code = collector.command(&["code", "new", "--project", "P", "--expert", "E"])?;
    let expert = Expert::new()?;
    let says = |why: String, what: &str| assert!(why.contains(what), "{why:?} lacks {what:?}");
    let live = expert.home.path().join("a.live.mcap");
    write_live(&live)?;
    says(expert.refused(&["upload", path(&live)])?, "is not enrolled");
    says(expert.refused(&["enroll", &collector.url, "ABCD-EFGH-JKLM-NPQR"])?, "is wrong");
    says(expert.refused(&["enroll", "http://127.0.0.1:1", &code])?, "cannot be reached (connection refused)");
    says(expert.refused(&["enroll", "gopher://x", &code])?, "no http or https address");
    // As a person types it.
    expert.enrol(&collector.url, &code.to_lowercase().replace('-', " "))?;
    says(expert.refused(&["enroll", &collector.url, &code])?, "was used before");
    says(expert.refused(&["approve", path(&live)])?, "is not sealed");
    expert.ok(&["seal", path(&live)])?;
    let bundle = expert.home.path().join("a.mcap");
    says(expert.refused(&["upload", path(&bundle)])?, "is not approved");
    expert.ok(&["approve", path(&bundle)])?;
    let mut bytes = std::fs::read(&bundle)?;
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&bundle, &bytes)?;
    says(expert.refused(&["upload", path(&bundle)])?, "has changed since it was approved");
    says(expert.refused(&["approve", path(&bundle)])?, "is damaged");

    // The collector refuses on its own, whatever the client says.
    let token = expert.token()?;
    let http = Http::new(&collector.url, Some(&token));
    let id = "01920000-0000-7000-8000-00000000000a";
    let digest = "a".repeat(64);
    let announce = |approval: Value, bytes: u64| -> Result<(u16, Value)> {
        let body = json!({"bytes": bytes, "sha256": digest, "approval": approval}).to_string();
        let json = [("content-type", "application/json")];
        let mut answer = http.ask("PUT", &format!("/api/v1/bundles/{id}"), &json, body.as_bytes())?;
        Ok((answer.status().as_u16(), serde_json::from_slice(&read_all(&mut answer)?)?))
    };
    let approval =
        |of: &str| json!({"bundle_id": id, "sha256": of, "approved_at_millis": 1, "statement_version": "1"});
    assert_eq!(announce(Value::Null, 5)?.1["code"], "not_approved");
    assert_eq!(announce(approval(&"b".repeat(64)), 5)?.1["code"], "not_approved");
    assert_eq!(announce(approval(&digest), 1 << 50)?.0, 413);
    assert_eq!(announce(approval(&digest), 5)?.0, 201);
    assert_eq!(announce(approval(&digest), 5)?.0, 200, "announced twice is announced once");
    assert_eq!(announce(approval(&digest), 6)?.1["code"], "conflict");

    // Five bytes that are no bundle: taken in, looked at, rejected, never listed as verified, never handed out.
    let at = announce(approval(&digest), 5)?.1["upload_url"].as_str().unwrap().to_owned();
    let chunk = [
        ("tus-resumable", "1.0.0"),
        ("content-type", "application/offset+octet-stream"),
        ("upload-offset", "0"),
    ];
    assert_eq!(http.ask("PATCH", &at, &chunk, b"12345")?.status(), 204);
    let state = || -> Result<Value> { http.json(&format!("/api/v1/bundles/{id}")) };
    wait_until("a verdict", || Ok(state()?["state"] == "rejected"))?;
    assert!(state()?["reason"].as_str().unwrap().contains("SHA-256"), "{}", state()?);
    assert_eq!(http.ask("GET", &format!("/api/v1/bundles/{id}/content"), &[], &[])?.status(), 409);

    // Strangers learn nothing; a revoked token is worth nothing.
    let other = Expert::enrolled(&collector, "P", "other")?;
    let stranger = Http::new(&collector.url, Some(&other.token()?));
    assert_eq!(stranger.ask("GET", &format!("/api/v1/bundles/{id}"), &[], &[])?.status(), 404);
    assert_eq!(stranger.ask("HEAD", &at, &chunk[..1], &[])?.status(), 404);
    assert_eq!(stranger.json("/api/v1/bundles")?["bundles"], json!([]));
    let nobody = Http::new(&collector.url, None);
    let routes = [
        ("GET", "/api/v1/bundles"),
        ("GET", "/api/v1/bundles/x"),
        ("PUT", "/api/v1/bundles/x"),
        ("GET", "/api/v1/bundles/x/content"),
        ("POST", "/api/v1/uploads"),
        ("OPTIONS", "/api/v1/uploads"),
        ("HEAD", "/api/v1/uploads/x"),
        ("PATCH", "/api/v1/uploads/x"),
        ("DELETE", "/api/v1/uploads/x"),
        ("GET", "/api/v1/bundles/x/actions"),
        ("GET", "/api/v1/bundles/x/preview"),
        ("GET", "/host.json"),
    ];
    for (method, route) in routes {
        assert_eq!(nobody.ask(method, route, &chunk[..1], &[])?.status(), 401, "{method} {route}");
    }
    assert_eq!(nobody.ask("GET", "/healthz", &[], &[])?.status(), 200);
    let reviewer =
        Http::new(&collector.url, Some(&collector.command(&["token", "new", "--role", "reviewer"])?));
    assert_eq!(reviewer.ask("POST", "/api/v1/uploads", &chunk[..1], &[])?.status(), 403);
    let tokens = collector.command(&["token", "list"])?;
    let number =
        tokens.lines().find(|line| line.contains("P / E")).and_then(|line| line.split_whitespace().next());
    collector.command(&["token", "revoke", number.context("no token")?])?;
    assert_eq!(http.ask("GET", "/api/v1/bundles", &[], &[])?.status(), 401);
    expert.ok(&["recover", path(&bundle), "-o", path(&expert.home.path().join("b.mcap"))]).ok();
    let sound = approved(&expert, 1)?;
    says(expert.refused(&["upload", path(&sound), "--wait"])?, "a valid token is needed");

    // Whatever cannot be read is an error of ours, with a code and a sentence.
    let lead = Http::new(&collector.url, Some(&collector.command(&["token", "new", "--role", "lead"])?));
    let other_http = Http::new(&collector.url, Some(&other.token()?));
    let json = [("content-type", "application/json")];
    let odd: [(&Http, &str, &str, &[(&str, &str)], &[u8], u16); 7] = [
        (&other_http, "PUT", "/api/v1/bundles/01920000-0000-7000-8000-00000000000b", &json, b"{", 400),
        (
            &other_http,
            "PUT",
            "/api/v1/bundles/01920000-0000-7000-8000-00000000000b",
            &json,
            b"{\"bytes\": -1}",
            400,
        ),
        (&other_http, "PUT", "/api/v1/bundles/01920000-0000-7000-8000-00000000000b", &[], b"{}", 400),
        (&lead, "GET", "/api/v1/bundles/xyz", &[], b"", 400),
        (&lead, "GET", "/api/v1/bundles?limit=-1", &[], b"", 400),
        (&lead, "DELETE", "/api/v1/bundles", &[], b"", 405),
        (&lead, "GET", "/nowhere", &[], b"", 404),
    ];
    for (http, method, route, headers, body, status) in odd {
        let mut answer = http.ask(method, route, headers, body)?;
        assert_eq!(answer.status().as_u16(), status, "{method} {route}");
        let said: Value = serde_json::from_slice(&read_all(&mut answer)?)?;
        assert!(said["code"].is_string() && said["message"].is_string(), "{said}");
    }
    // The same file under another pseudonym.
    let mine = approved(&other, 2)?;
    other.ok(&["upload", path(&mine), "--wait"])?;
    let third = Expert::enrolled(&collector, "P", "third")?;
    says(third.refused(&["upload", path(&mine), "--wait"])?, "under another expert or project");
    says(
        third.refused(&["upload", path(&mine), "--to", &format!("{}/nope", collector.url)])?,
        "makes no uploads",
    );
    says(third.refused(&["uploads", "--resume"])?, "");

    // Two collectors on one folder.
    let second =
        Collector::start(&folder.path().join("collector")).err().context("a second collector runs")?;
    says(second.to_string(), "another collector uses");
    // Someone who never ends a request does not keep the collector from ending.
    let mut slow = std::net::TcpStream::connect(collector.address())?;
    std::io::Write::write_all(&mut slow, b"GET / HTTP/1.1\r\nHost: x\r\n")?;
    collector.stop()?;
    std::fs::rename(folder.path().join("collector/blobs"), folder.path().join("away"))?;
    let missing =
        Collector::start(&folder.path().join("collector")).err().context("it starts without its blobs")?;
    says(missing.to_string(), "is its disk mounted?");
    Ok(())
}

#[test]
fn a_rejected_bundle_is_said_once_and_sent_anew_only_when_the_expert_asks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "P", "E")?;
    // A bundle that is not sealed, with an approval that no program of ours gives.
    let live = expert.home.path().join("a.live.mcap");
    write_live(&live)?;
    let id = file::info_of(&live)?.manifest.bundle_id;
    let approval = json!({"bundle_id": id, "sha256": file::sha256(&live)?, "approved_at_millis": 1, "statement_version": "1"});
    std::fs::write(file::with_suffix(&live, ".approval"), approval.to_string())?;
    let uploads = || -> Result<Value> { Ok(serde_json::from_str(&expert.ok(&["uploads", "--json"])?)?) };
    let http = Http::new(&collector.url, Some(&expert.token()?));
    let upload_url =
        || -> Result<Value> { Ok(http.json(&format!("/api/v1/bundles/{id}"))?["upload_url"].clone()) };
    let why = expert.refused(&["upload", path(&live), "--wait"])?;
    assert!(why.contains("rejected: it is not sealed"), "{why}");
    let first = upload_url()?;
    assert_eq!(uploads()?[0]["state"], "rejected");
    expert.ok(&["uploads", "--resume"])?;
    assert_eq!(upload_url()?, first, "nothing goes on by itself");
    let why = expert.refused(&["upload", path(&live), "--wait"])?;
    assert!(why.contains("rejected: it is not sealed"), "{why}");
    assert_ne!(upload_url()?, first, "asked again, sent again");
    assert!(live.exists(), "the recording is kept");
    collector.stop()
}

#[test]
fn the_token_is_in_the_keychain_alone_and_a_locked_one_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let new_code = || collector.command(&["code", "new", "--project", "P", "--expert", "E"]);
    let bus = Bus::start()?;
    let mut expert = Expert::new()?;
    expert.bus = Some(bus.address.clone());
    let secrets = tempfile::tempdir()?;
    let keychain = Keychain::start(&bus, secrets.path())?;
    let code = new_code()?;
    let output = expert.praxis(&["enroll", &collector.url, &code])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success() && !said.contains("file"), "{said}");
    let token = keychain.secret("praxis", &collector.url)?.context("no token in the keychain")?;
    let bundle = approved(&expert, 1)?;
    assert_eq!(expert.ok(&["upload", path(&bundle), "--wait"])?, "verified");
    let rows = Http::new(&collector.url, Some(&token)).json("/api/v1/bundles")?;
    assert_eq!(rows["bundles"][0]["state"], "verified", "what is in the keychain is the token");
    for home in [expert.home.path(), secrets.path()] {
        assert_eq!(files_with(home, token.as_bytes())?, [] as [&Path; 0]);
    }

    // Locked, with nobody there to unlock it.
    keychain.lock()?;
    let bundle = approved(&expert, 2)?;
    let why = expert.refused(&["upload", path(&bundle), "--wait"])?;
    assert!(why.contains("not sent: the keychain is locked: unlock it, then try again"), "{why}");
    let code = new_code()?;
    let why = expert.refused(&["enroll", &collector.url, &code])?;
    assert!(why.contains("the keychain is locked: unlock it, then enrol again"), "{why}");
    let settings = expert.home.path().join(".config/praxis");
    let before = std::fs::read(settings.join("enrolment.json"))?;
    drop(keychain);
    let why = expert.refused(&["upload", path(&bundle), "--wait"])?;
    assert!(
        why.contains("cannot be reached (no session bus or no keychain on it): try again inside"),
        "{why}"
    );

    // Unlocked by the next login, it goes on; the code was not spent. Another collector's token takes the place.
    let keychain = Keychain::start(&bus, secrets.path())?;
    assert_eq!(expert.ok(&["upload", path(&bundle), "--wait"])?, "verified");
    assert_eq!(std::fs::read(settings.join("enrolment.json"))?, before);
    expert.enrol(&collector.url, &code)?;
    assert_ne!(keychain.secret("praxis", &collector.url)?, Some(token));
    let other = Collector::start(&folder.path().join("other"))?;
    expert.enrol(&other.url, &other.command(&["code", "new", "--project", "P", "--expert", "E"])?)?;
    assert_eq!(keychain.secret("praxis", &collector.url)?, None);
    assert!(keychain.secret("praxis", &other.url)?.is_some());
    drop(keychain);

    // A service without a keychain in it is none: then the token is in a file, and the file is the user's alone.
    let nothing = tempfile::tempdir()?;
    let keychain = Keychain::start_without_login(&bus, nothing.path())?;
    let output = expert.praxis(&["enroll", &collector.url, &new_code()?])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success() && said.contains("no keychain: the token is in a file"), "{said}");
    let enrolment = settings.join("enrolment.json");
    assert_eq!(std::fs::metadata(&enrolment)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(files_with(expert.home.path(), expert.token()?.as_bytes())?, [enrolment]);
    drop(keychain);
    Ok(())
}

#[test]
fn the_answers_are_those_of_tus() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "P", "E")?;
    let http = Http::new(&collector.url, Some(&expert.token()?));
    let data = b"twenty bytes of data";
    let announce = |n: u8| -> Result<(String, String)> {
        let (id, digest) = (format!("01920000-0000-7000-8000-0000000000{n:02}"), "a".repeat(64));
        let approval =
            json!({"bundle_id": id, "sha256": digest, "approved_at_millis": 1, "statement_version": "1"});
        let body = json!({"bytes": 20, "sha256": digest, "approval": approval}).to_string();
        let json = [("content-type", "application/json")];
        let mut answer = http.ask("PUT", &format!("/api/v1/bundles/{id}"), &json, body.as_bytes())?;
        let answer: Value = serde_json::from_slice(&read_all(&mut answer)?)?;
        Ok((id, answer["upload_url"].as_str().context("no upload")?.to_owned()))
    };
    let version = ("tus-resumable", "1.0.0");
    let kind = ("content-type", "application/offset+octet-stream");
    let status = |method: &str, at: &str, headers: &[(&str, &str)], body: &[u8]| -> Result<u16> {
        let answer = http.ask(method, at, headers, body)?;
        assert_eq!(answer.headers()["tus-resumable"], "1.0.0", "{method} {at}");
        Ok(answer.status().as_u16())
    };
    let offset = |at: &str| -> Result<String> {
        let answer = http.ask("HEAD", at, &[version], &[])?;
        assert_eq!(
            (answer.headers()["cache-control"].to_str()?, answer.headers()["upload-length"].to_str()?),
            ("no-store", "20")
        );
        Ok(answer.headers()["upload-offset"].to_str()?.to_owned())
    };

    let options = http.ask("OPTIONS", "/api/v1/uploads", &[], &[])?;
    assert_eq!(options.headers()["tus-version"], "1.0.0");
    assert_eq!(options.headers()["tus-extension"], "creation,creation-with-upload,checksum,termination");
    assert_eq!(options.headers()["tus-checksum-algorithm"], "sha1,sha256");

    let (id, at) = announce(1)?;
    assert_eq!(status("HEAD", &at, &[], &[])?, 412, "no version");
    assert_eq!(status("PATCH", &at, &[("tus-resumable", "0.2.2"), kind, ("upload-offset", "0")], data)?, 412);
    assert_eq!(offset(&at)?, "0");
    assert_eq!(
        status("PATCH", &at, &[version, ("content-type", "text/plain"), ("upload-offset", "0")], data)?,
        415
    );
    assert_eq!(status("PATCH", &at, &[version, kind], data)?, 400, "no offset");
    assert_eq!(status("PATCH", &at, &[version, kind, ("upload-offset", "3")], data)?, 409);
    assert_eq!(status("PATCH", &at, &[version, kind, ("upload-offset", "0")], &[7; 21])?, 413);
    assert_eq!(offset(&at)?, "0", "what was refused is not kept");
    let sha1 = |bytes: &[u8]| format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(bytes)));
    let sha256 = |bytes: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(bytes)));
    let patch = |at: &str, from: &str, checksum: &str, body: &[u8]| {
        status("PATCH", at, &[version, kind, ("upload-offset", from), ("upload-checksum", checksum)], body)
    };
    assert_eq!(patch(&at, "0", "md5 AAAA", &data[..5])?, 400);
    assert_eq!(patch(&at, "0", &sha1(b"other"), &data[..5])?, 460);
    assert_eq!(patch(&at, "0", &sha256(b"other"), &data[..5])?, 460);
    assert_eq!(offset(&at)?, "0", "a damaged chunk is not kept");
    assert_eq!(patch(&at, "0", &sha1(&data[..5]), &data[..5])?, 204);
    assert_eq!(patch(&at, "5", &sha256(&data[5..9]), &data[5..9])?, 204);
    assert_eq!(
        status(
            "POST",
            &at,
            &[version, kind, ("upload-offset", "9"), ("x-http-method-override", "PATCH")],
            &data[9..12]
        )?,
        204
    );
    assert_eq!(offset(&at)?, "12");
    assert_eq!(status("DELETE", &at, &[version], &[])?, 204);
    assert_eq!(status("HEAD", &at, &[version], &[])?, 404);
    assert_eq!(http.ask("GET", &format!("/api/v1/bundles/{id}"), &[], &[])?.status(), 404);

    let (id, at) = announce(2)?;
    let metadata = format!("filename {},bundle_id {}", STANDARD.encode("a.mcap"), STANDARD.encode(&id));
    let named = ("upload-metadata", metadata.as_str());
    let create = |headers: &[(&str, &str)], body: &[u8]| http.ask("POST", "/api/v1/uploads", headers, body);
    assert_eq!(create(&[version, ("upload-length", "20")], &[])?.status(), 403, "no bundle is named");
    assert_eq!(create(&[version, named], &[])?.status(), 400, "no length");
    assert_eq!(create(&[version, named, ("upload-defer-length", "1")], &[])?.status(), 400);
    assert_eq!(create(&[version, named, ("upload-length", "21")], &[])?.status(), 409);
    let made = create(&[version, named, ("upload-length", "20"), kind], &data[..7])?;
    assert_eq!((made.status().as_u16(), made.headers()["location"].to_str()?), (201, at.as_str()));
    assert_eq!(made.headers()["upload-offset"], "7");
    let answer = http.ask("HEAD", &at, &[version], &[])?;
    assert_eq!(answer.headers()["upload-metadata"], metadata.as_str());
    assert_eq!(offset(&at)?, "7");
    Ok(())
}

#[test]
fn foreign_clients_upload_what_was_announced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "P", "E")?;
    let http = Http::new(&collector.url, Some(&expert.token()?));
    let python = venv(Path::new(&std::env::current_exe()?))?;
    let node = PathBuf::from("node");
    for (megabytes, program, script) in [(3, python, "python/tus_upload.py"), (4, node, "js/tus_upload.js")] {
        let bundle = approved(&expert, megabytes)?;
        let approval = std::fs::read_to_string(file::with_suffix(&bundle, ".approval"))?;
        let approval: Value = serde_json::from_str(&approval)?;
        let (id, bytes) = (approval["bundle_id"].as_str().unwrap(), std::fs::metadata(&bundle)?.len());
        let body = json!({"bytes": bytes, "sha256": approval["sha256"], "approval": approval}).to_string();
        let json = [("content-type", "application/json")];
        assert_eq!(http.ask("PUT", &format!("/api/v1/bundles/{id}"), &json, body.as_bytes())?.status(), 201);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let uploads = format!("{}/api/v1/uploads", collector.url);
        let mut command = std::process::Command::new(program);
        command.args([path(&script), &uploads, path(&bundle), id]).env("PRAXIS_TOKEN", expert.token()?);
        let output = command.output().context("run scripts/setup")?;
        ensure!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
        wait_until("a verdict", || Ok(http.json(&format!("/api/v1/bundles/{id}"))?["state"] == "verified"))?;
    }
    collector.stop()
}

#[test]
fn a_foreign_server_gets_the_bytes_and_verified_is_never_said() -> Result<()> {
    let expert = Expert::new()?;
    let stored = expert.home.path().join("stored");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/tus_server.js");
    let mut command = std::process::Command::new("node");
    command.args([path(&script), path(&stored)]).stdout(std::process::Stdio::piped());
    let mut server = command.spawn().context("run scripts/setup")?;
    let mut url = String::new();
    BufReader::new(server.stdout.take().context("no stdout")?).read_line(&mut url)?;
    let sent = || -> Result<()> {
        let bundle = approved(&expert, 20)?;
        let state = expert.ok(&["upload", path(&bundle), "--to", url.trim(), "--wait"])?;
        assert_eq!(state, "complete");
        let files = std::fs::read_dir(&stored)?.filter_map(|entry| Some(entry.ok()?.path()));
        let bytes = std::fs::read(&bundle)?;
        let is_there = files.into_iter().any(|file| std::fs::read(file).is_ok_and(|stored| stored == bytes));
        ensure!(is_there, "the server does not have the file");
        Ok(())
    };
    let sent = sent();
    server.kill()?;
    server.wait()?;
    sent
}

#[test]
fn a_network_that_breaks_in_every_way_costs_time_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let mut random = Random(praxis_tests::desktop::boot_nanos());
    println!("seed {}", random.0);
    let kinds = [Fault::Reset, Fault::BlackHole, Fault::HalfClose, Fault::FlippedBit, Fault::LostAnswer];
    // Within the first chunks of a connection, so that each is met.
    let faults: Vec<Fault> =
        (0..20).map(|n| kinds[n % kinds.len()](2_000 + random.below(1_500_000))).collect();
    let num_faults = faults.len() as u64;
    let proxy = Proxy::start(collector.address(), faults)?;
    let expert = Expert::new()?;
    expert.enrol(&collector.url, &collector.command(&["code", "new", "--project", "P", "--expert", "E"])?)?;
    expert.move_collector(&collector.url, &proxy.url)?;
    let settings = expert.home.path().join(".config/praxis");
    let bundle = approved(&expert, 24)?;
    let bytes = std::fs::metadata(&bundle)?.len();
    let tuning = Tuning {
        chunk_bytes: 1 << 20,
        least_bytes_per_second: 4 << 20,
        answer_within: Duration::from_millis(800),
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(100),
        turn: Duration::from_secs(20),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let item = runtime.block_on(async {
        let queue = Queue::open(expert.home.path()).await?;
        let item = queue.add(&bundle, &proxy.url, true).await?;
        let enrolment = enrolment::load(&settings)?;
        let uploader = Uploader::new(queue, expert.home.path(), Some(enrolment), tuning);
        uploader.send(&item.bundle_id, |_| false, &CancellationToken::new()).await
    })?;
    assert_eq!((item.state, item.reason), (State::Verified, None));
    assert_eq!(proxy.num_faults_left(), 0, "every fault was met");
    let again = proxy.from_clients() - bytes;
    // A cut costs a chunk at most; so does a flipped bit, which may hit the chunk after the one it was meant for.
    assert!(again <= (num_faults + 2) * ((1 << 20) + (16 << 10)), "{again} bytes were sent again");
    Ok(())
}

#[test]
fn kills_of_either_side_cost_a_chunk_at_most() -> Result<()> {
    let mut random = Random(praxis_tests::desktop::boot_nanos());
    println!("seed {}", random.0);
    upload_under_kills(6, &mut random).map(drop)
}

#[test]
fn a_collector_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("collector");
    // A file of at most 12 MiB: the first chunk fits, the second does not.
    let collector = Collector::start_limited(&data, "127.0.0.1:0", 12 << 10)?;
    let address = collector.address().to_owned();
    let expert = Expert::enrolled(&collector, "P", "E")?;
    let bundle = approved(&expert, 20)?;
    let said = expert.home.path().join("said");
    let mut command = expert.command(&["upload", path(&bundle), "--wait"])?;
    let mut child =
        command.stderr(std::fs::File::create(&said)?).stdout(std::process::Stdio::null()).spawn()?;
    wait_until("a word about the disk", || Ok(std::fs::read_to_string(&said)?.contains("disk is full")))?;
    let http = Http::new(&collector.url, Some(&expert.token()?));
    let row = http.json("/api/v1/bundles")?["bundles"][0].clone();
    assert_eq!((&row["state"], &row["offset"]), (&json!("receiving"), &json!(8 << 20)));
    collector.stop()?;
    let collector = Collector::start_at(&data, &address)?;
    wait_until("the end of the upload", || Ok(child.try_wait()?.is_some()))?;
    assert!(child.wait()?.success(), "{}", std::fs::read_to_string(&said)?);
    collector.stop()
}

fn venv(test: &Path) -> Result<PathBuf> {
    let target = test.ancestors().find(|folder| folder.join("venv").is_dir());
    Ok(target.context("no venv: run scripts/setup")?.join("venv/bin/python"))
}
