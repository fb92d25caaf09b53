//! Exports of what a collector holds: asked for by a lead and made there, or made elsewhere of what is fetched from it.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use praxis_tests::collector::{Answer, Collector, Expert, Http};
use praxis_tests::desktop::wait_until;
use praxis_tests::praxis::{ok, path, program};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A collector with two bundles of one expert in two projects, who has another name, and none, in the bundles; and its lead.
struct House {
    folder: TempDir,
    collector: Collector,
    lead: Http,
    token: String,
    bundles: Vec<PathBuf>,
}

impl House {
    fn new(minutes: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let collector = Collector::start(&folder.path().join("collector"))?;
        let token = collector.command(&["token", "new", "--role", "lead"])?;
        let lead = Http::new(&collector.url, Some(&token));
        let mut bundles = Vec::new();
        let long = folder.path().join("long.mcap");
        let made =
            Command::new(program("examples/long_bundle")?).arg(&long).args([minutes, "input"]).status()?;
        ensure!(made.success(), "long_bundle: {made}");
        let short = folder.path().join("short.mcap");
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/conformance/sealed.mcap"), &short)?;
        for (bundle, name, project) in [(long, "heron-7", "olympus"), (short, "heron-7", "delphi")] {
            let expert = Expert::enrolled(&collector, project, name)?;
            expert.ok(&["approve", path(&bundle)])?;
            ensure!(expert.ok(&["upload", path(&bundle), "--wait"])?.contains("verified"), "not verified");
            bundles.push(bundle);
        }
        Ok(Self { folder, collector, lead, token, bundles })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks for an export; returns its address.
    fn ask(&self, request: &Value) -> Result<String> {
        let (status, answer) = post(&self.lead, request)?;
        ensure!(status == 201, "{status}: {answer}");
        Ok(format!("/api/v1/exports/{}", answer["export_id"].as_str().context("no id")?))
    }

    /// Exports what the collector has, from elsewhere.
    fn export(&self, out: &Path, more: &[&str]) -> Result<()> {
        let file = self.at("token");
        std::fs::write(&file, format!("{}\n", self.token))?;
        let from = ["export", "--from", &self.collector.url, "--token-file", path(&file), "--out", path(out)];
        ok(&[&from[..], more].concat()).map(drop)
    }

    /// Waits until an export is made, or is known not to be.
    fn made(&self, at: &str) -> Result<Value> {
        let is_made = || {
            let state = self.lead.json(at)?["state"].clone();
            Ok(state != "waiting" && state != "running")
        };
        // Three minutes of work in one format: on a busy machine that takes longer than a wait may.
        wait_until("the export", is_made).or_else(|_| wait_until("the export", is_made))?;
        self.lead.json(at)
    }
}

fn post(http: &Http, request: &Value) -> Result<(u16, Value)> {
    let body = request.to_string();
    let mut answer =
        http.ask("POST", "/api/v1/exports", &[("content-type", "application/json")], body.as_bytes())?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_str(&answer.body_mut().read_to_string()?)?))
}

fn bytes(answer: &mut Answer) -> Result<Vec<u8>> {
    Ok(answer.body_mut().with_config().limit(1 << 30).read_to_vec()?)
}

/// The digest of each file of an export, but for what sums it up.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>> {
    let export: Value = serde_json::from_slice(&std::fs::read(folder.join("export.json"))?)?;
    let mut found = BTreeMap::new();
    for source in export["sources"].as_array().context("no sources")? {
        for file in source["files"].as_array().context("no files")? {
            let name = file["path"].as_str().context("no path")?;
            let sha256 = file["sha256"].as_str().context("no digest")?;
            assert_eq!(hex(&std::fs::read(folder.join(name))?), sha256, "{name}");
            found.insert(name.to_owned(), sha256.to_owned());
        }
    }
    ensure!(!found.is_empty(), "an empty export");
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unpacked(archive: &[u8], into: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(into)?;
    let tar = into.join("archive.tar");
    std::fs::write(&tar, archive)?;
    let status = Command::new("tar").args(["-xf", path(&tar), "-C", path(into)]).status()?;
    ensure!(status.success(), "tar: {status}");
    let mut folders =
        std::fs::read_dir(into)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    folders.next().context("no folder in the archive")
}

#[test]
fn a_lead_gets_an_export_and_the_ledger_knows_what_went_out() -> Result<()> {
    let house = House::new("1")?;
    let at = house.ask(&json!({
        "recipient": "Lab of minds", "filter": {"project": "olympus"}, "wish": {"format": "jsonl", "most_px": [640, 640]},
    }))?;
    let export = house.made(&at)?;
    assert_eq!(export["state"], "ready", "{export}");
    assert_eq!(export["part"], 1.0);
    let sources = export["sources"].as_array().context("no sources")?;
    assert_eq!(sources.len(), 1, "of one project");
    assert_eq!(sources[0]["sha256"], hex(&std::fs::read(&house.bundles[0])?));
    assert_eq!(export["steps"], sources[0]["steps"]);

    // All of it at once, and in two parts.
    let content = format!("{at}/content");
    let mut answer = house.lead.ask("GET", &content, &[], &[])?;
    assert_eq!(answer.status(), 200);
    let whole = bytes(&mut answer)?;
    assert_eq!(export["sha256"], hex(&whole));
    assert_eq!(answer.headers()["etag"].to_str()?, format!("\"{}\"", hex(&whole)));
    let mut first = house.lead.ask("GET", &content, &[("range", "bytes=0-99999")], &[])?;
    assert_eq!(first.status(), 206);
    let mut both = bytes(&mut first)?;
    both.extend(bytes(&mut house.lead.ask("GET", &content, &[("range", "bytes=100000-")], &[])?)?);
    ensure!(both == whole, "the parts are not the whole");
    // What was handed over is noted when the connection is done with it.
    wait_until("what went out to be noted", || {
        Ok(house.lead.json(&at)?["delivered_bytes"] == 2 * whole.len())
    })?;
    let deliveries = house.lead.json(&at)?["deliveries"].clone();
    let of = |delivery: &Value| (delivery["start"].as_u64().unwrap(), delivery["bytes"].as_u64().unwrap());
    let noted: Vec<_> = deliveries.as_array().context("no deliveries")?.iter().map(of).collect();
    let all = whole.len() as u64;
    assert_eq!(noted, [(0, all), (0, 100_000), (100_000, all - 100_000)]);

    // The same as whoever fetches the bundle makes of it.
    let here = house.at("here");
    house.export(&here, &["--project", "olympus", "--format", "jsonl", "--most-px", "640x640"])?;
    assert_eq!(digests(&unpacked(&whole, &house.at("there"))?)?, digests(&here)?);

    // What is removed stays in the ledger.
    assert_eq!(house.lead.ask("DELETE", &at, &[], &[])?.status(), 204);
    assert_eq!(house.lead.ask("GET", &content, &[], &[])?.status(), 409);
    let listed = house.lead.json("/api/v1/exports")?;
    assert_eq!((&listed["total"], &listed["exports"][0]["state"]), (&json!(1), &json!("removed")));
    assert_eq!(listed["exports"][0]["delivered_bytes"], 2 * all);
    assert_eq!(house.lead.json(&at)?["deliveries"], deliveries);
    assert_eq!(
        house.collector.data.join("exports").read_dir()?.count(),
        0,
        "the archive is still on the disk"
    );
    fits_its_description(&house, &at, &listed)
}

/// The answers are what the description of the API says.
fn fits_its_description(house: &House, at: &str, listed: &Value) -> Result<()> {
    let description = house.at("openapi.json");
    std::fs::write(&description, house.lead.json("/api/v1/openapi.json")?.to_string())?;
    let bundles = house.lead.json("/api/v1/bundles")?;
    let bundle = format!("/api/v1/bundles/{}", bundles["bundles"][0]["bundle_id"].as_str().context("no id")?);
    let (status, refused) = post(&house.lead, &json!({"recipient": "", "wish": {"format": "jsonl"}}))?;
    let answers = json!([
        ["listExports", 200, listed],
        ["getExport", 200, house.lead.json(at)?],
        ["newExport", status, refused],
        ["listBundles", 200, bundles],
        ["getBundle", 200, house.lead.json(&bundle)?],
        ["getActions", 200, house.lead.json(&format!("{bundle}/actions"))?],
    ]);
    let file = house.at("answers.json");
    std::fs::write(&file, answers.to_string())?;
    let test = std::env::current_exe()?;
    let target =
        test.ancestors().find(|folder| folder.join("venv").is_dir()).context("no venv: run scripts/setup")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/fits_openapi.py");
    let output = Command::new(target.join("venv/bin/python"))
        .args([script, path(&description), path(&file)])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn an_export_goes_on_after_the_collector_was_killed() -> Result<()> {
    let mut house = House::new("3")?;
    let at = house.ask(&json!({"recipient": "Lab", "filter": {}, "wish": {"format": "parquet"}}))?;
    wait_until("the export to be under way", || {
        Ok(house.lead.json(&at)?["part"].as_f64().is_some_and(|part| part > 0.05))
    })?;
    ensure!(house.lead.json(&at)?["state"] == "running", "it was over too soon to be cut");
    let address = house.collector.address().to_owned();
    house.collector.kill()?;
    house.collector = Collector::start_at(&house.folder.path().join("collector"), &address)?;
    let export = house.made(&at)?;
    assert_eq!(export["state"], "ready", "{export}");
    let archive = bytes(&mut house.lead.ask("GET", &format!("{at}/content"), &[], &[])?)?;
    assert_eq!(export["sha256"], hex(&archive));
    let here = house.at("here");
    house.export(&here, &["--format", "parquet"])?;
    assert_eq!(digests(&unpacked(&archive, &house.at("there"))?)?, digests(&here)?);
    ensure!(archive.len() > 16 << 20, "{} bytes may all be in buffers when a download is cut", archive.len());
    // A download that is cut is not said to have gone out.
    let cut = house.lead.ask("GET", &format!("{at}/content"), &[], &[])?;
    assert_eq!(cut.status(), 200);
    let mut begin = [0; 1 << 16];
    cut.into_body().into_reader().read_exact(&mut begin)?;
    let sent = || Ok::<_, anyhow::Error>(house.lead.json(&at)?["deliveries"][1]["sent_bytes"].as_u64());
    wait_until("the cut download to be noted", || Ok(sent()?.is_some_and(|sent| sent > 0)))?;
    let sent = sent()?.context("no delivery")?;
    ensure!(sent < archive.len() as u64, "{sent} of {} bytes went out", archive.len());
    // One that is taken away while it is made leaves nothing behind.
    let at = house.ask(&json!({"recipient": "Lab", "filter": {}, "wish": {"format": "jsonl"}}))?;
    wait_until("the next one to be under way", || Ok(house.lead.json(&at)?["state"] != "waiting"))?;
    assert_eq!(house.lead.ask("DELETE", &at, &[], &[])?.status(), 204);
    wait_until("its folder to go", || Ok(house.collector.data.join("exports").read_dir()?.count() == 1))?;
    assert_eq!(house.lead.json(&at)?["state"], "removed");
    Ok(())
}

#[test]
fn only_leads_export_and_nonsense_is_named() -> Result<()> {
    let house = House::new("1")?;
    let reviewer = Http::new(
        &house.collector.url,
        Some(&house.collector.command(&["token", "new", "--role", "reviewer"])?),
    );
    let nobody = Http::new(&house.collector.url, None);
    let fine = json!({"recipient": "Lab", "filter": {}, "wish": {"format": "csv"}});
    let at = house.ask(&fine)?;
    house.made(&at)?;
    for (http, status) in [(&reviewer, 403), (&nobody, 401)] {
        assert_eq!(post(http, &fine)?.0, status);
        for (method, at) in
            [("GET", "/api/v1/exports"), ("GET", &at), ("GET", &format!("{at}/content")), ("DELETE", &at)]
        {
            assert_eq!(http.ask(method, at, &[], &[])?.status(), status, "{method} {at}");
        }
    }
    // A browser sends the cookie for anyone; what only our page sends must be beside it.
    let cookie = format!("praxis_token={}", house.token);
    assert_eq!(nobody.ask("DELETE", &at, &[("cookie", &cookie)], &[])?.status(), 401);
    assert_eq!(nobody.ask("DELETE", &at, &[("cookie", &cookie), ("x-praxis-page", "1")], &[])?.status(), 204);

    let id = "0196b2f0-0000-7000-8000-000000000000";
    for (request, status, said) in [
        (json!({"recipient": " ", "filter": {}, "wish": {"format": "csv"}}), 400, "recipient"),
        (json!({"recipient": "Lab", "filter": {}, "wish": {"format": "docx"}}), 400, "choose one of jsonl"),
        (
            json!({"recipient": "Lab", "filter": {}, "wish": {"format": "csv", "most_px": [1, 1]}}),
            400,
            "16 to 16384",
        ),
        (
            json!({"recipient": "Lab", "filter": {}, "wish": {"format": "csv", "splits": [["../x", 1]]}}),
            400,
            "letters",
        ),
        (
            json!({"recipient": "Lab", "filter": {}, "wish": {"format": "csv", "splits": [["all", 1]]}}),
            400,
            "not all",
        ),
        (json!({"recipient": "Lab", "filter": {}, "wish": {"format": "vtt"}}), 400, "no transcripts"),
        (json!({"recipient": "Lab", "filter": {}, "wish": {"format": "csv", "colour": 1}}), 400, "colour"),
        (
            json!({"recipient": "Lab", "bundles": [id], "filter": {}, "wish": {"format": "csv"}}),
            400,
            "not both",
        ),
        (json!({"recipient": "Lab", "wish": {"format": "csv"}}), 400, "no verified bundle"),
        (
            json!({"recipient": "Lab", "filter": {"project": "none"}, "wish": {"format": "csv"}}),
            400,
            "no verified bundle",
        ),
        (json!({"recipient": "Lab", "bundles": [id], "wish": {"format": "csv"}}), 404, "bundle"),
    ] {
        let (found, answer) = post(&house.lead, &request)?;
        assert_eq!(found, status, "{request}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(said), "{answer}");
    }
    // The disk of the server has changed a bundle: it is named, and the other one is in the archive; nothing says where it was.
    let blobs = house.collector.data.join("blobs").read_dir()?.filter_map(|entry| Some(entry.ok()?.path()));
    let blob =
        blobs.max_by_key(|path| std::fs::metadata(path).map_or(0, |file| file.len())).context("no blob")?;
    let mut bytes = std::fs::read(&blob)?;
    let last = bytes.len() / 2;
    bytes[last] ^= 1;
    std::fs::write(&blob, bytes)?;
    let at = house.ask(&json!({"recipient": "Lab", "filter": {}, "wish": {"format": "csv"}}))?;
    let export = house.made(&at)?;
    assert_eq!((&export["state"], &export["num_problems"]), (&json!("ready"), &json!(1)), "{export}");
    assert!(export["sources"].to_string().contains("is the disk damaged"), "{export}");
    ensure!(!export.to_string().contains("blobs"), "a path of the server: {export}");
    // Of an export that fails each bundle says why.
    let changed = export["sources"]
        .as_array()
        .context("no sources")?
        .iter()
        .find(|source| source["problem"].is_string());
    let changed = &changed.context("no problem")?["bundle_id"];
    let at_failed =
        house.ask(&json!({"recipient": "Lab", "bundles": [changed], "wish": {"format": "csv"}}))?;
    let failed = house.made(&at_failed)?;
    assert_eq!(failed["state"], "failed");
    assert!(failed["sources"][0]["problem"].as_str().unwrap().contains("is the disk damaged"), "{failed}");
    std::fs::remove_file(
        house.collector.data.join("exports").join(format!("{}.tar", &at["/api/v1/exports/".len()..])),
    )?;
    assert_eq!(house.lead.ask("GET", &format!("{at}/content"), &[], &[])?.status(), 409);
    assert_eq!(house.collector.data.join("exports").read_dir()?.count(), 0);
    Ok(())
}

#[test]
fn bundles_are_exported_straight_from_a_collector() -> Result<()> {
    let house = House::new("1")?;
    let out = house.at("out");
    let export = |token: Option<&str>, more: &[&str]| -> Result<Output> {
        let mut command = Command::new(program("praxis")?);
        command
            .args(["export", "--from", &house.collector.url, "--format", "jsonl", "--out", path(&out)])
            .args(more);
        command.env_remove("PRAXIS_TOKEN").envs(token.map(|token| ("PRAXIS_TOKEN", token)));
        Ok(command.output()?)
    };
    let said = |output: &Output| {
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
    };
    let refused = export(None, &[])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("PRAXIS_TOKEN"), "{}", said(&refused));
    assert!(said(&export(Some("praxis_wrong"), &[])?).contains("401"));
    assert!(said(&export(Some(&house.token), &["--project", "none"])?).contains("no verified bundle"));

    // An earlier run was cut in the middle of a download.
    std::fs::create_dir_all(&out)?;
    let listed = house.lead.json("/api/v1/bundles?project=delphi")?;
    let id = listed["bundles"][0]["bundle_id"].as_str().context("no id")?;
    let half = std::fs::read(&house.bundles[1])?;
    let part = out.join(format!(".part-fetched-{id}.mcap"));
    std::fs::write(&part, &half[..half.len() / 2])?;
    let output = export(Some(&house.token), &["--project", "delphi"])?;
    ensure!(said(&output).starts_with("1 bundles, "), "{}", said(&output));
    let here = house.at("here");
    ok(&["export", path(&house.bundles[1]), "--format", "jsonl", "--out", path(&here)])?;
    // But for whose it is: the collector knows that.
    let [mut fetched, mut local] = [digests(&out)?, digests(&here)?];
    let name = format!("train/{id}/session.json");
    assert_ne!(
        fetched.remove(&name).context("no session.json")?,
        local.remove(&name).context("no session.json")?
    );
    assert_eq!(fetched, local);
    let session: Value = serde_json::from_slice(&std::fs::read(out.join(name))?)?;
    assert_eq!(
        (&session["manifest"]["expert"], &session["manifest"]["project"]),
        (&json!("heron-7"), &json!("delphi"))
    );
    ensure!(!part.exists(), "what was fetched is left");

    // What is there is not fetched again, what was left out is; another's bytes are not taken.
    let first = house.lead.json("/api/v1/bundles?project=olympus")?;
    let id = first["bundles"][0]["bundle_id"].as_str().context("no id")?;
    let part = out.join(format!(".part-fetched-{id}.mcap"));
    std::fs::write(&part, &half[..1000])?;
    let output = export(Some(&house.token), &[])?;
    assert_eq!(output.status.code(), Some(1));
    ensure!(said(&output).contains("other bytes than the collector has verified"), "{}", said(&output));
    ensure!(said(&output).contains("1 were there already"), "{}", said(&output));
    let file = house.at("token");
    std::fs::write(&file, format!("{}\n", house.token))?;
    let output = export(None, &["--token-file", path(&file)])?;
    ensure!(said(&output).starts_with("1 bundles, "), "{}", said(&output));
    assert_eq!(digests(&out)?.keys().filter(|name| name.ends_with("steps.jsonl")).count(), 2);
    Ok(())
}

#[test]
fn an_expert_is_in_one_split_and_two_runs_do_not_fetch_one_bundle() -> Result<()> {
    let house = House::new("1")?;
    let splits = |sources: &Value| -> Vec<String> {
        let of = |source: &Value| source["split"].to_string();
        sources.as_array().unwrap().iter().map(of).collect()
    };
    let mut all = Vec::new();
    for seed in 0..6 {
        let out = house.at(&format!("seed-{seed}"));
        let (both, seed) = (["--split", "one:1", "--split", "other:1", "--format", "csv"], seed.to_string());
        house.export(&out, &[&both[..], &["--seed", &seed]].concat())?;
        let export: Value = serde_json::from_slice(&std::fs::read(out.join("export.json"))?)?;
        let found = splits(&export["sources"]);
        ensure!(found.len() == 2 && found[0] == found[1], "seed {seed}: {found:?}");
        all.push(found[0].clone());
    }
    // On the collector it is the same part, and seeds matter.
    ensure!(all.iter().any(|split| *split != all[0]), "{all:?}");
    let wish = json!({"format": "csv", "splits": [["one", 1], ["other", 1]], "seed": 3});
    let at = house.ask(&json!({"recipient": "Lab", "filter": {}, "wish": wish}))?;
    house.made(&at)?;
    let archive = bytes(&mut house.lead.ask("GET", &format!("{at}/content"), &[], &[])?)?;
    let folder = unpacked(&archive, &house.at("seed"))?;
    let export: Value = serde_json::from_slice(&std::fs::read(folder.join("export.json"))?)?;
    assert_eq!(splits(&export["sources"]), [all[3].clone(), all[3].clone()]);

    // Another run fetches a bundle at this moment.
    let out = house.at("busy");
    std::fs::create_dir_all(&out)?;
    let id = export["sources"][0]["bundle_id"].as_str().context("no id")?;
    let held = std::fs::File::create(out.join(format!(".part-fetched-{id}.mcap")))?;
    held.lock()?;
    let refused = house.export(&out, &["--format", "csv"]).unwrap_err().to_string();
    ensure!(refused.contains("another run exports this bundle"), "{refused}");
    assert_eq!(digests(&out)?.len(), 1);
    drop(held);
    house.export(&out, &["--format", "csv"])?;
    assert_eq!(digests(&out)?.len(), 2);
    ensure!(
        !out.read_dir()?
            .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".part")))
    );
    Ok(())
}

#[test]
fn a_lead_exports_on_the_page() -> Result<()> {
    let house = House::new("1")?;
    let reviewer = house.collector.command(&["token", "new", "--role", "reviewer"])?;
    let environment = [("COLLECTOR", &house.collector.url), ("TOKEN", &house.token), ("REVIEWER", &reviewer)];
    praxis_tests::praxis::browse("exports.mjs", &environment.map(|(name, value)| (name, &value[..])))
}
