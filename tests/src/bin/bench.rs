//! Benches: `bench record`, `bench upload`, `bench grabs`, `bench latency`, `bench player`, `bench export`. Prints figures and ratios of paired runs; asserts nothing about time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::patch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use praxis_bundle::messages::Rect;
use praxis_capture_core::clock::SystemTime;
use praxis_capture_core::sources::{Own, ScreenSource as _, x11};
use praxis_tests::collector::{Collector, Expert, Http};
use praxis_tests::desktop::{VirtualDesktop, boot_nanos, let_pass};
use praxis_tests::own_window::OwnWindow;
use praxis_tests::{export_bench, latency_bench, player_bench, processes, record_bench};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

const CHUNK_BYTES: usize = 8 << 20;
const ROUNDS: usize = 7;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["record", ref plan @ ..] => record_bench::run(&record_bench::Plan::parse(plan)?),
        ["upload"] => upload(),
        ["grabs"] => grabs(),
        ["latency"] => latency_bench::run(),
        ["player", hour, flashes] => player_bench::run(hour.as_ref(), flashes.as_ref()),
        ["export", hour, minute] => export_bench::run(hour.as_ref(), minute.as_ref()),
        _ => bail!(
            "usage: bench record [--seconds N] [--phase NAME]… [--json FILE] | upload | grabs | latency | player HOUR FLASHES | export HOUR MINUTE"
        ),
    }
}

/// Pictures of 1920×1080 and of a part of it, with nothing to cover, with covering asked for and no window, and with a
/// window of 600×400: wall time and our own processor time of each.
fn grabs() -> Result<()> {
    const COUNT: u32 = 500;
    let desktop = VirtualDesktop::start(1920, 1080)?;
    let hides = Own { hides_windows: true, ..Own::default() };
    let place = |x_px, y_px, width_px, height_px| Rect { x_px, y_px, width_px, height_px };
    let cpu_nanos = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    let measure = |what: &str, own: &Own| -> Result<()> {
        let mut screen = x11::Screen::open(Arc::new(SystemTime), Some(&desktop.display), own)?;
        for (part, rect) in [("whole", place(0, 0, 1920, 1080)), ("part", place(700, 500, 200, 100))] {
            screen.grab(&[rect])?;
            let (wall, cpu) = (boot_nanos(), cpu_nanos());
            (0..COUNT).try_for_each(|_| screen.grab(&[rect]))?;
            let micros = |nanos: u64| nanos as f64 / 1e3 / f64::from(COUNT);
            let (wall, cpu) = (micros(boot_nanos() - wall), micros(cpu_nanos() - cpu));
            println!("{what}, {part}: {wall:.1} µs a picture, {cpu:.1} µs of it ours");
        }
        Ok(())
    };
    for _ in 0..3 {
        measure("nothing hidden", &Own::default())?;
        measure("no window", &hides)?;
        let window = OwnWindow::open(&desktop.display, place(500, 400, 600, 400), [1, 2, 3], false)?;
        measure("a window of 600×400", &hides)?;
        drop(window);
    }
    Ok(())
}

/// The collector against a bare server that does the same with each request: SHA-256, write, one fdatasync.
fn upload() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sink_url = start_sink(folder.path().join("sink"))?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "bench", "expert-1")?;
    let sink = Http::new(&sink_url, None);
    let http = Http::new(&collector.url, Some(&expert.token()?));
    let chunk: Vec<u8> = {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        };
        (0..CHUNK_BYTES).map(|_| next()).collect()
    };
    let checksum = format!("sha256 {}", STANDARD.encode(Sha256::digest(&chunk)));
    let send = |http: &Http, at: &str, chunks: u64| -> Result<f64> {
        let before = boot_nanos();
        for n in 0..chunks {
            let offset = (n * CHUNK_BYTES as u64).to_string();
            let headers = [
                ("tus-resumable", "1.0.0"),
                ("content-type", "application/offset+octet-stream"),
                ("upload-offset", &offset),
                ("upload-checksum", &checksum),
            ];
            let answer = http.ask("PATCH", at, &headers, &chunk)?;
            ensure!(answer.status() == StatusCode::NO_CONTENT.as_u16(), "chunk {n}: {}", answer.status());
        }
        let seconds = (boot_nanos() - before) as f64 / 1e9;
        Ok((chunks * CHUNK_BYTES as u64) as f64 / 1048576.0 / seconds)
    };
    let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // One chunk more is announced than is sent, so that verification does not run beside the next round.
        let at = announce(&http, round, 33)?;
        let pair = if round % 2 == 0 {
            (send(&sink, "/", 32)?, send(&http, &at, 32)?)
        } else {
            let ours = send(&http, &at, 32)?;
            (send(&sink, "/", 32)?, ours)
        };
        bare.push(pair.0);
        ours.push(pair.1);
        ratios.push(pair.1 / pair.0);
    }
    println!(
        "upload of 256 MiB in chunks of 8 MiB with SHA-256, {ROUNDS} paired rounds, MiB/s (median, least, most)"
    );
    println!("  bare sink {}", summary(&mut bare));
    println!("  collector {}", summary(&mut ours));
    println!("  ratio     {}", summary(&mut ratios));
    for (round, chunks) in [(90, 8), (91, 128)] {
        let at = announce(&http, round, chunks + 1)?;
        send(&http, &at, chunks)?;
        let_pass(Duration::from_millis(200));
        println!(
            "  memory of the collector after {} MiB: {:.1} MiB",
            chunks * 8,
            processes::resident_mib(collector.pid())?
        );
    }
    collector.stop()
}

fn announce(http: &Http, round: usize, chunks: u64) -> Result<String> {
    let (id, digest) = (format!("01920000-0000-7000-8000-0000000000{round:02}"), "a".repeat(64));
    let approval = serde_json::json!({"bundle_id": id, "sha256": digest, "approved_at_millis": 1, "statement_version": "1"});
    let body =
        serde_json::json!({"bytes": chunks * CHUNK_BYTES as u64, "sha256": digest, "approval": approval});
    let json = [("content-type", "application/json")];
    let mut answer = http.ask("PUT", &format!("/api/v1/bundles/{id}"), &json, body.to_string().as_bytes())?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body_mut().read_to_vec()?)?;
    Ok(answer["upload_url"].as_str().context("no upload")?.to_owned())
}

/// Median, least and most.
fn summary(figures: &mut [f64]) -> String {
    figures.sort_by(f64::total_cmp);
    let median = figures[figures.len() / 2];
    format!("{median:8.2} {:8.2} {:8.2}", figures[0], figures[figures.len() - 1])
}

/// A server with nothing but the work itself.
fn start_sink(path: std::path::PathBuf) -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async move {
            let take = move |body: Body| {
                let path = path.clone();
                async move { sink(&path, body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR) }
            };
            let router = Router::new().route("/", patch(take));
            Ok(axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await?)
        })
    });
    Ok(url)
}

async fn sink(path: &std::path::Path, body: Body) -> Result<StatusCode> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await?;
    let (mut stream, mut digest) = (body.into_data_stream(), Sha256::new());
    let mut buffer = Vec::with_capacity(1 << 20);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        digest.update(&bytes);
        buffer.extend_from_slice(&bytes);
        if buffer.len() >= 1 << 20 {
            file.write_all(&buffer).await?;
            buffer.clear();
        }
    }
    file.write_all(&buffer).await?;
    file.flush().await?;
    file.sync_data().await?;
    ensure!(!digest.finalize().is_empty());
    Ok(StatusCode::NO_CONTENT)
}
