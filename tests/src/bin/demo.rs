//! The demo: a real session on a virtual desktop, recorded, sealed, checked, approved, uploaded to a collector, verified,
//! listed and fetched again; prints what came out and what to run next. `demo --stay` leaves the collector up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_tests::collector::{Collector, Expert, Http};
use praxis_tests::desktop::{VirtualDesktop, let_pass, wait_until};
use praxis_tests::praxis::{Recording, events, info, ok, path, program};
use rustix::process::Signal;

const TYPED: &str = "seq 1 20 | awk '{ s += $1 } END { print s / NR }'\n";
const LAST: &str = "echo the mean is 10.5 | tee result.txt\n";
const NOTE: &str = "The mean is 10.5, as expected. Now the plot.\n";
const SPOKEN: &str = "I compute the mean of the first twenty numbers, and write down what I find.";

fn main() -> Result<()> {
    let folder = program("praxis")?.ancestors().nth(2).context("no target folder")?.join("demo");
    std::fs::create_dir_all(&folder)?;
    println!("starting a virtual desktop with a window manager and a microphone …");
    let mut desktop = VirtualDesktop::start(1920, 1080)?;
    desktop.terminal(60, 60, &["sh"])?;
    let recording =
        Recording::start(&desktop, &folder, &["--title", "Mean of twenty numbers", "--outcome", "success"])?;
    println!("recording real programs, driven by real events, for about 20 seconds …");
    act(&mut desktop, &recording)?;
    let (bundle, code) = recording.stop(Signal::INT)?;
    ensure!(
        code == Some(0),
        "praxis record ended with {code:?}: {}",
        std::fs::read_to_string(folder.join("log"))?
    );
    let checked = ok(&["check", path(&bundle)])?;
    report(&bundle, &checked)?;
    drop(desktop);
    let collector = send(&folder, &bundle)?;
    if std::env::args().any(|argument| argument == "--stay") {
        println!("\nThe collector stays up until Ctrl-C.");
        wait_for_interrupt()?;
    }
    collector.stop()
}

/// Sends the bundle to a collector of its own, and fetches it again.
fn send(folder: &Path, bundle: &Path) -> Result<Collector> {
    println!("\nstarting a collector, enrolling, approving, uploading …");
    let collector = Collector::start(&folder.join("collector"))?;
    let expert = Expert::enrolled(&collector, "demo", "expert-1")?;
    expert.ok(&["approve", path(bundle)])?;
    let state = expert.ok(&["upload", path(bundle), "--wait"])?;
    ensure!(state == "verified", "the bundle is {state}");
    let token = collector.command(&["token", "new", "--role", "reviewer"])?;
    let reviewer = Http::new(&collector.url, Some(&token));
    let id = praxis_bundle::file::info_of(bundle)?.manifest.bundle_id;
    let facts = reviewer.json(&format!("/api/v1/bundles/{id}"))?;
    let (bytes, mut fetched) = (std::fs::read(bundle)?, Vec::new());
    for start in (0..bytes.len()).step_by(64 << 10) {
        let range = format!("bytes={start}-{}", start + (64 << 10) - 1);
        let mut answer =
            reviewer.ask("GET", &format!("/api/v1/bundles/{id}/content"), &[("range", &range)], &[])?;
        ensure!(answer.status() == 206, "a range is answered with {}", answer.status());
        fetched.extend(answer.body_mut().read_to_vec()?);
    }
    let digest = praxis_bundle::file::sha256(bundle)?;
    ensure!(fetched == bytes && facts["sha256"] == digest.as_str(), "what was fetched is not what was sent");
    println!(
        "\nstate     {}, listed as {}",
        facts["state"].as_str().unwrap_or_default(),
        facts["facts"]["title"]
    );
    println!("sha256    {digest}, fetched by ranges and equal");
    println!("collector {}   sign in with the token {token}", collector.url);
    Ok(collector)
}

fn wait_for_interrupt() -> Result<()> {
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    signals.forever().next();
    Ok(())
}

fn act(desktop: &mut VirtualDesktop, recording: &Recording) -> Result<()> {
    std::thread::scope(|scope| -> Result<()> {
        let shared = &*desktop;
        let speech = scope.spawn(move || shared.speak(SPOKEN));
        shared.xdotool(&["type", "--delay", "130", TYPED])?;
        speech.join().map_err(|_| anyhow::anyhow!("speaking failed"))?
    })?;
    recording.signal(Signal::USR2)?;
    desktop.spawn("mousepad", &[])?;
    wait_until("an editor", || {
        Ok(desktop.xdotool(&["getactivewindow", "getwindowname"])?.contains("Mousepad"))
    })?;
    desktop.xdotool(&["getactivewindow", "windowmove", "900", "300"])?;
    desktop.xdotool(&["type", "--delay", "130", NOTE])?;
    // Drag the terminal by its title bar.
    desktop.xdotool(&["mousemove", "300", "68", "mousedown", "1"])?;
    for step in 1..=40 {
        desktop.xdotool(&["mousemove", &(300 + step * 6).to_string(), &(68 + step * 8).to_string()])?;
        let_pass(Duration::from_millis(25));
    }
    desktop.xdotool(&["mouseup", "1"])?;
    desktop.xdotool(&["type", "--delay", "20", "ls -la /usr/bin | head -400\n"])?;
    let_pass(Duration::from_secs(2));
    // Over the terminal, not its title bar: window managers roll a window up there.
    desktop.xdotool(&["mousemove_relative", "0", "150"])?;
    for _ in 0..20 {
        desktop.xdotool(&["click", "4"])?;
        let_pass(Duration::from_millis(60));
    }
    desktop.xdotool(&["type", "--delay", "130", LAST])?;
    let_pass(Duration::from_secs(1));
    Ok(())
}

fn report(bundle: &Path, checked: &str) -> Result<()> {
    let facts = info(bundle)?;
    let number = |name: &str| facts[name].as_f64().unwrap_or_default();
    let (seconds, megabytes) = (number("duration_nanos") / 1e9, number("bytes") / 1e6);
    println!("\nbundle    {}", bundle.display());
    println!("length    {seconds:.1} s");
    println!(
        "size      {megabytes:.2} MB, {:.1} MB per minute, narration included",
        megabytes / seconds * 60.0
    );
    for track in facts["tracks"].as_array().context("no tracks")? {
        let name = track["name"].as_str().unwrap_or_default();
        println!("          {name:<10} {:>6} messages, {} drops", track["messages"], track["drops"]);
    }
    let typed: String = events(bundle, &["keys"])?.iter().filter_map(|key| key["text"].as_str()).collect();
    let expected = format!("{TYPED}{NOTE}ls -la /usr/bin | head -400\n{LAST}");
    ensure!(typed == expected, "typed {expected:?}, recorded {typed:?}");
    println!("keys      {} characters typed, every one recorded", typed.chars().count());
    println!("check     {}", checked.trim());
    let program = program("praxis")?;
    let (praxis, file) = (program.display(), bundle.display());
    println!("\nnext      {praxis} info {file}");
    println!("          {praxis} frame {file} --at 10 -o frame.png");
    println!("          {praxis} events {file} --track keys | head");
    println!("          {praxis} narration {file} -o voice.wav");
    Ok(())
}
