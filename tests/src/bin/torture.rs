//! The long tests: `torture kills --rounds N` (a real desktop), `torture stage-kills --rounds N` (synthetic sources) and
//! `torture memory --minutes N`, `torture upload-kills --kills N`, `torture power-cuts --cuts N` (a simulated disk), `torture
//! damage --flips N --pages N`, `torture full-disk`. Prints figures; exit 1 on failure.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::Track;
use praxis_tests::damage;
use praxis_tests::desktop::{VirtualDesktop, boot_nanos, let_pass};
use praxis_tests::full_disk::exports_onto_a_full_disk;
use praxis_tests::kills::{Random, Victim, round};
use praxis_tests::painter::Painter;
use praxis_tests::power::Take;
use praxis_tests::praxis::{Recording, info, ok, path};
use praxis_tests::sim_disk::SimDisk;
use praxis_tests::upload_kills::upload_under_kills;
use rustix::process::Signal;

/// Growth that a recorder may show while its queues and the allocator's pools still fill: a leak of every picture's size
/// shows as hundreds of MiB.
const WARMING_UP_MIB_PER_MINUTE: f64 = 4.0;
/// From so many minutes on it has warmed up in the first quarter, and may grow by no more than this.
const LONG_MINUTES: u64 = 30;
const MAX_MIB_PER_HOUR: f64 = 1.0;
/// Most that may be lost of a track while other programs take the processor.
const MAX_DROPS: f64 = 0.001;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["kills", "--rounds", count] => count.parse().context("--rounds N").and_then(desktop_kills),
        ["stage-kills", "--rounds", count] => {
            count.parse().context("--rounds N").and_then(|rounds| kills(Victim::Stage, rounds))
        }
        ["upload-kills", "--kills", count] => count.parse().context("--kills N").and_then(upload_kills),
        ["power-cuts", "--cuts", count] => count.parse().context("--cuts N").and_then(power_cuts),
        ["damage", "--flips", flips, "--pages", pages] => flips
            .parse()
            .and_then(|flips| Ok((flips, pages.parse()?)))
            .context("--flips N --pages N")
            .and_then(|(flips, pages)| damage(flips, pages)),
        ["full-disk"] => exports_onto_a_full_disk(),
        ["memory", "--minutes", count] => count.parse().context("--minutes N").and_then(memory),
        _ => Err(anyhow::anyhow!(
            "usage: torture kills --rounds N | torture stage-kills --rounds N | torture memory --minutes N | torture upload-kills --kills N | torture power-cuts --cuts N | torture damage --flips N --pages N | torture full-disk"
        )),
    };
    match result {
        Ok(num_passed) => {
            println!("torture: {num_passed} passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}\ntorture: 0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn desktop_kills(rounds: u32) -> Result<u32> {
    let mut desktop = VirtualDesktop::start(1280, 800)?;
    desktop.terminal(20, 20, &["cat"])?;
    let _painter = Painter::start(&desktop.display, 900, 400, 20)?;
    kills(Victim::Praxis(&desktop), rounds)
}

fn kills(victim: Victim<'_>, rounds: u32) -> Result<u32> {
    let seed = boot_nanos();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut losses = Vec::new();
    for n in 1..=rounds {
        let done = round(victim, Duration::from_millis(random.below(4000)))?;
        losses.push(done.loss_nanos / 1_000_000);
        println!(
            "kill {n} at {} ms: {} messages accepted, oldest lost {} ms before",
            done.killed_nanos / 1_000_000,
            done.num_accepted,
            done.loss_nanos / 1_000_000
        );
    }
    losses.sort_unstable();
    let at = |percent: usize| losses.get((losses.len() * percent / 100).min(losses.len().saturating_sub(1)));
    println!("loss in ms: median {:?}, 99th percentile {:?}, largest {:?}", at(50), at(99), losses.last());
    Ok(rounds)
}

/// Cuts the power of many recordings, each a hundred times.
fn power_cuts(num_cuts: u32) -> Result<u32> {
    const CUTS_PER_TAKE: u32 = 100;
    let seed = boot_nanos();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut losses = Vec::new();
    for _ in 0..num_cuts.div_ceil(CUTS_PER_TAKE) {
        let take_seed = random.0;
        let (take, done) = Take::record(SimDisk::default(), take_seed, 4_000_000_000);
        done?;
        for _ in 0..CUTS_PER_TAKE {
            let at = random.below(take.num_events() as u64 + 1) as usize;
            let said = || format!("recording of seed {take_seed}, cut after {at} of {}", take.num_events());
            losses.push(take.cut(at, &mut random).with_context(said)? / 1_000_000);
        }
    }
    losses.sort_unstable();
    let at = |percent: usize| losses.get((losses.len() * percent / 100).min(losses.len().saturating_sub(1)));
    println!(
        "{} power cuts: oldest lost message in ms before the cut: median {:?}, 99th percentile {:?}, largest {:?}",
        losses.len(),
        at(50),
        at(99),
        losses.last()
    );
    Ok(1)
}

/// So many flipped bits and zeroed pages, a third each in a live, a recovered and a sealed file.
fn damage(num_flips: u32, num_pages: u32) -> Result<u32> {
    let seed = boot_nanos();
    println!("seed {seed}");
    let mut random = Random(seed);
    let originals = damage::originals()?;
    let num_files = originals.len() as u32;
    for (n, (name, original)) in originals.iter().enumerate() {
        let share = |count: u32| count / num_files + u32::from(count % num_files > n as u32);
        let tally = original.damage(share(num_flips), share(num_pages), &mut random)?;
        println!(
            "{name}: {} damages, {} of them harmless; at worst {} of {} messages lost, {} ms for all readers; pictures: {} \
             compared and right, {} refused as lost",
            tally.num_damages,
            tally.num_harmless,
            tally.worst_loss,
            tally.num_messages,
            tally.worst_time.as_millis(),
            tally.num_shown,
            tally.num_refused,
        );
    }
    Ok(num_flips + num_pages)
}

fn upload_kills(num_kills: u32) -> Result<u32> {
    let seed = boot_nanos();
    println!("seed {seed}");
    let (resent, num_killed) = upload_under_kills(num_kills, &mut Random(seed))?;
    let per_kill = resent as f64 / f64::from(num_killed.max(1)) / 1e6;
    println!(
        "{num_killed} kills of uploader and collector: {per_kill:.2} MB sent again per kill, every digest equal"
    );
    Ok(1)
}

fn memory(minutes: u64) -> Result<u32> {
    let mut desktop = VirtualDesktop::start(1920, 1080)?;
    desktop.terminal(20, 20, &["sh", "-c", "while true; do date; sleep 0.2; done"])?;
    let _painter = Painter::start(&desktop.display, 1200, 400, 10)?;
    let folder = tempfile::tempdir()?;
    let segments_before = segments()?;
    let recording = Recording::start(&desktop, folder.path(), &["--no-seal"])?;
    let status = format!("/proc/{}/status", recording.child.id());
    let files = format!("/proc/{}/fd", recording.child.id());
    let num_files = || Ok::<_, anyhow::Error>(std::fs::read_dir(&files)?.count());
    let (mut samples, mut files_before) = (Vec::new(), 0);
    for second in 0..minutes * 60 {
        let_pass(Duration::from_secs(1));
        let text = std::fs::read_to_string(&status).context("the recorder is gone")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        samples.push((second as f64 / 60.0, kib / 1024.0));
        if second == minutes * 15 {
            files_before = num_files()?;
        }
        if second % 15 == 14 {
            // A steady load: the window is dragged, text is typed, something is said.
            desktop.xdotool(&["getactivewindow", "windowmove", &(second % 200).to_string(), "60"])?;
            desktop.speak("and so on")?;
        }
    }
    // The first part fills queues and the allocator's pools.
    let settled = &samples[samples.len() / 4..];
    let slope = slope(settled);
    let largest = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
    let files_after = num_files()?;
    let (bundle, code) = recording.stop(Signal::TERM)?;
    println!(
        "memory over {minutes} min at 1920×1080: largest {largest:.1} MiB, slope after the first quarter {slope:+.3} MiB a minute ({:+.2} an hour)",
        slope * 60.0
    );
    let log = std::fs::read_to_string(folder.path().join("log"))?;
    ok(&["check", path(&bundle)])?;
    let facts = info(&bundle)?;
    let tracks = facts["tracks"].as_array().context("no tracks")?;
    let drops_of = |track: &serde_json::Value| track["drops"].as_u64().unwrap_or_default();
    let is_lossy = tracks.iter().any(|track| drops_of(track) > 0);
    // Other programs may have had the processor: what is lost then is said.
    ensure!(code == Some(if is_lossy { 3 } else { 0 }), "exit code {code:?}: {log}");
    let (mut next, mut num_samples, mut num_missing) = (None, 0, 0);
    praxis_bundle::file::for_each_message(&bundle, |channel, _, _, data| {
        if channel.track == Track::Narration {
            let block = praxis_bundle::narration::decode(data)?;
            num_samples += block.samples.len() as u64;
            num_missing += block.position - next.unwrap_or(block.position);
            next = Some(block.position + block.samples.len() as u64);
        }
        Ok(())
    })?;
    for track in tracks {
        let (name, drops) = (track["name"].as_str().unwrap_or_default(), drops_of(track));
        let is_voice = name == "narration";
        ensure!(
            !is_voice || (num_samples > 0 && num_missing == drops),
            "{num_missing} samples of the voice are missing, {drops} are counted"
        );
        let taken = if is_voice { num_samples } else { track["messages"].as_u64().unwrap_or_default() };
        ensure!(drops as f64 <= MAX_DROPS * (taken + drops) as f64, "{name}: {drops} of {taken} lost");
        if drops > 0 {
            println!("{name}: {drops} lost, {taken} recorded");
        }
    }
    ensure!(files_after <= files_before, "{files_before} open files became {files_after}");
    let most = if minutes < LONG_MINUTES { WARMING_UP_MIB_PER_MINUTE } else { MAX_MIB_PER_HOUR / 60.0 };
    ensure!(slope <= most, "memory grows by {slope:.3} MiB a minute, more than {most:.3}");
    ensure!(segments()? == segments_before, "shared memory is left behind");
    let left: Vec<_> =
        std::fs::read_dir(folder.path())?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    ensure!(left.len() == 2, "left behind: {left:?}");
    Ok(1)
}

/// System V shared memory segments on this machine.
fn segments() -> Result<usize> {
    Ok(std::fs::read_to_string("/proc/sysvipc/shm")?.lines().count())
}

/// Least-squares slope.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let (mean_x, mean_y) =
        (samples.iter().map(|s| s.0).sum::<f64>() / count, samples.iter().map(|s| s.1).sum::<f64>() / count);
    let covariance: f64 = samples.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    covariance / samples.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>()
}
