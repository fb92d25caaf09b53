//! Uploads that are killed on either side at random instants, again and again, until they are verified all the same.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::collector::{Collector, Expert, Http};
use crate::desktop::let_pass;
use crate::fixture::write_large;
use crate::kills::Random;
use crate::praxis::path;
use crate::proxy::Proxy;

/// Size of the bundle: several chunks.
const MEGABYTES: u32 = 40;
/// What may be sent again after a cut: a chunk and its headers, and the few requests that find out where to go on.
const RESENT_PER_CUT: u64 = (8 << 20) + (64 << 10);

/// Uploads bundles until `num_kills` kills have happened; returns the bytes that were sent twice, and the kills.
///
/// # Errors
/// If a bundle is not verified in the end, differs, or too much was sent again.
pub fn upload_under_kills(num_kills: u32, random: &mut Random) -> Result<(u64, u32)> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("collector");
    let mut collector = Collector::start(&data)?;
    let address = collector.address().to_owned();
    let proxy = Proxy::start(&address, Vec::new())?;
    let expert = Expert::new()?;
    expert.enrol(&proxy.url, &collector.command(&["code", "new", "--project", "P", "--expert", "E"])?)?;
    let reviewer = collector.command(&["token", "new", "--role", "reviewer"])?;
    let (mut killed, mut resent) = (0, 0);
    let mut num_bundles = 0;
    while killed < num_kills {
        num_bundles += 1;
        let bundle = expert.home.path().join(format!("{num_bundles}.mcap"));
        write_large(&bundle, MEGABYTES)?;
        expert.ok(&["approve", path(&bundle)])?;
        let bytes = std::fs::metadata(&bundle)?.len();
        let (before, killed_before) = (proxy.from_clients(), killed);
        loop {
            let mut command = expert.command(&["upload", path(&bundle), "--wait"])?;
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            let_pass(Duration::from_millis(random.below(500)));
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the upload ended with {status}");
                break;
            }
            killed += 1;
            if random.below(2) == 0 {
                child.kill()?;
                child.wait()?;
                continue;
            }
            collector.kill()?;
            let_pass(Duration::from_millis(random.below(100)));
            collector = Collector::start_at(&data, &address)?;
            // The uploader goes on by itself, or is killed in the next turn.
            let_pass(Duration::from_millis(random.below(300)));
            child.kill()?;
            child.wait()?;
            killed += 1;
        }
        let id = praxis_bundle::file::info_of(&bundle)?.manifest.bundle_id;
        let http = Http::new(&collector.url, Some(&reviewer));
        let facts = http.json(&format!("/api/v1/bundles/{id}"))?;
        let digest = praxis_bundle::file::sha256(&bundle)?;
        ensure!(facts["state"] == "verified" && facts["sha256"] == digest.as_str(), "{facts}");
        let mut answer = http.ask("GET", &format!("/api/v1/bundles/{id}/content"), &[], &[])?;
        let fetched = answer.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        ensure!(fetched == std::fs::read(&bundle)?, "what is stored is not what was sent");
        let again = (proxy.from_clients() - before).saturating_sub(bytes);
        let cuts = u64::from(killed - killed_before);
        ensure!(again <= cuts * RESENT_PER_CUT + (1 << 16), "{again} bytes were sent twice in {cuts} kills");
        resent += again;
        std::fs::remove_file(&bundle).context("removing a sent bundle")?;
    }
    Ok((resent, killed))
}
