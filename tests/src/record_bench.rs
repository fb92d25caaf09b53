//! `praxis record` against `ffmpeg x11grab + libx264 ultrafast` on the same scripted work, in pairs: for each phase one run of
//! each, one after the other, each with a desktop and programs of its own. What they cost while the phase lasts, and what
//! they wrote.
//!
//! Processor time is counted between the first and the last moment of a phase: starting and stopping are not in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use praxis_bundle::messages::HealthMessage;
use praxis_bundle::screen::{Header, num_lossy_tiles};
use praxis_bundle::{Track, file};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::desktop::{VirtualDesktop, boot_nanos, wait_until};
use crate::praxis::Recording;
use crate::processes::{Ended, cpu_seconds, peak_mib};
use crate::props::Props;
use crate::record_report;
use crate::same_frames::{SameFrames, same_frames};
use crate::workload::{DISPLAY_PX, Phase, Stage};

/// Pictures a second of both recorders.
pub const FPS: u64 = 12;

/// What to run.
pub struct Plan {
    /// Phases, in this order.
    pub phases: Vec<Phase>,
    /// How long each is.
    pub seconds: u64,
    /// Where to write the figures as JSON.
    pub json: Option<PathBuf>,
}

impl Plan {
    /// Reads the arguments after `bench record`.
    ///
    /// # Errors
    /// If they are none we know.
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut plan = Self { phases: vec![], seconds: 60, json: None };
        for pair in arguments.chunks(2) {
            match pair {
                ["--seconds", count] => plan.seconds = count.parse().context("--seconds N")?,
                ["--phase", name] => plan.phases.push(Phase::from_name(name)?),
                ["--json", file] => plan.json = Some(file.into()),
                _ => bail!("usage: bench record [--seconds N] [--phase NAME]… [--json FILE]"),
            }
        }
        ensure!(plan.seconds > 0, "--seconds must be at least 1");
        if plan.phases.is_empty() {
            plan.phases = Phase::ALL.into();
        }
        Ok(plan)
    }
}

/// What a recorder cost in one phase, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Processor time of the recorder and its descendants, in percent of a core.
    pub cpu_percent: f64,
    /// That of the X server in the same time.
    pub server_cpu_percent: f64,
    /// Most memory held, in MiB.
    pub peak_mib: f64,
    /// What it wrote from its start to its end, in bytes.
    pub file_bytes: u64,
    /// Pictures of the phase that differ from the one before.
    pub frames: u64,
    /// Pictures of the phase that it wanted to take and has not.
    pub drops: u64,
}

/// The figures of one phase.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Which.
    pub phase: Phase,
    /// How long it was.
    pub seconds: u64,
    /// `praxis record --mic none --no-seal`.
    pub praxis: Cost,
    /// `ffmpeg -f x11grab … -c:v libx264 -preset ultrafast -crf 23`.
    pub ffmpeg: Cost,
    /// Operations (tiles, copies, lossy rectangles) per picture after the first, on average.
    pub operations_per_picture: f64,
    /// Tiles that were sent lossy during the phase.
    pub lossy_tiles: u64,
    /// The pictures of the bundle in other codings.
    pub same_frames: SameFrames,
}

/// Runs the plan; prints the figures. The JSON is written anew after each phase.
///
/// # Errors
/// If a program fails.
pub fn run(plan: &Plan) -> Result<()> {
    println!("making the texts and the clip of the workload");
    let props = Props::make()?;
    let mut measured = Vec::new();
    for (n, phase) in plan.phases.iter().enumerate() {
        println!("{}: {} seconds for each recorder", phase.name(), plan.seconds);
        measured.push(pair(*phase, &props, plan.seconds, n % 2 == 0)?);
        if let Some(path) = &plan.json {
            std::fs::write(path, serde_json::to_vec_pretty(&measured)?)?;
        }
    }
    print!("{}", record_report::table(&measured));
    Ok(())
}

fn pair(phase: Phase, props: &Props, seconds: u64, is_praxis_first: bool) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let ours = |folder: &Path| by_praxis(&mut Stage::set(phase, props, seconds)?, folder);
    let theirs = |folder: &Path| by_ffmpeg(&mut Stage::set(phase, props, seconds)?, seconds, folder);
    let (recorded, ffmpeg) = if is_praxis_first {
        let recorded = ours(folder.path())?;
        (recorded, theirs(folder.path())?)
    } else {
        let ffmpeg = theirs(folder.path())?;
        (ours(folder.path())?, ffmpeg)
    };
    let same_frames = same_frames(&recorded.bundle, recorded.window.1, folder.path())?;
    let Recorded { cost: praxis, operations_per_picture, lossy_tiles, .. } = recorded;
    Ok(Measured { phase, seconds, praxis, ffmpeg, operations_per_picture, lossy_tiles, same_frames })
}

struct Recorded {
    bundle: PathBuf,
    /// Session times of the phase's first and last moment.
    window: (u64, u64),
    cost: Cost,
    operations_per_picture: f64,
    lossy_tiles: u64,
}

fn by_praxis(stage: &mut Stage, folder: &Path) -> Result<Recorded> {
    let recording = Recording::start(&stage.desktop, folder, &["--mic", "none", "--no-seal"])?;
    let (meter, epoch) = (Meter::start(recording.child.id(), &stage.desktop)?, recording.epoch_boot_nanos);
    stage.play()?;
    let (mut cost, start, end) = meter.read()?;
    let window = (start - epoch, end - epoch);
    let (bundle, code) = recording.stop(Signal::TERM)?;
    // 3 is: finished, but something was dropped; the drops are in the table.
    ensure!(
        matches!(code, Some(0 | 3)),
        "praxis record: {code:?}: {}",
        std::fs::read_to_string(folder.join("log"))?
    );
    let screen = Track::Screen(0);
    let (mut num_deltas, mut num_operations, mut lossy_tiles) = (0u64, 0, 0);
    let mut drops = (0, 0);
    file::for_each_message(&bundle, |channel, _, at, data| {
        if channel.track == screen {
            let (header, _) = Header::parse(data)?;
            if at > window.0 && at <= window.1 {
                cost.frames += 1;
                lossy_tiles += num_lossy_tiles(data);
            }
            if !header.is_key {
                num_deltas += 1;
                num_operations += u64::from(header.num_ops);
            }
        }
        if channel.track == Track::Health
            && let Ok(health) = serde_json::from_slice::<HealthMessage>(data)
        {
            let now = health
                .tracks
                .iter()
                .filter(|track| track.track == screen.name())
                .map(|track| track.drops)
                .sum();
            if at <= window.0 {
                drops.0 = now;
            }
            drops.1 = now;
        }
        Ok(())
    })?;
    cost.drops = drops.1 - drops.0;
    cost.file_bytes = std::fs::metadata(&bundle)?.len();
    let operations_per_picture = num_operations as f64 / num_deltas.max(1) as f64;
    Ok(Recorded { bundle, window, cost, operations_per_picture, lossy_tiles })
}

fn by_ffmpeg(stage: &mut Stage, seconds: u64, folder: &Path) -> Result<Cost> {
    let (video, progress) = (folder.join("x11grab.mkv"), folder.join("progress"));
    let mut command = stage.desktop.command("ffmpeg");
    command.args(["-y", "-loglevel", "error", "-nostdin", "-copyts", "-progress"]).arg(&progress);
    command.args(["-f", "x11grab", "-framerate", &FPS.to_string(), "-draw_mouse", "0"]);
    command.args([
        "-video_size",
        &format!("{}x{}", DISPLAY_PX.0, DISPLAY_PX.1),
        "-i",
        &stage.desktop.display,
    ]);
    command
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-pix_fmt", "yuv420p"])
        .arg(&video);
    let mut ffmpeg = Ended(command.stderr(Stdio::null()).spawn().context("ffmpeg: run scripts/setup")?);
    wait_until("a first picture of ffmpeg", || {
        ensure!(ffmpeg.0.try_wait()?.is_none(), "ffmpeg ended at once");
        let said = std::fs::read_to_string(&progress).unwrap_or_default();
        Ok(said.lines().filter_map(|line| line.strip_prefix("frame=")).any(|count| count.trim() != "0"))
    })?;
    // ffmpeg stamps pictures with the wall clock.
    let wall = clock_gettime(ClockId::Realtime);
    let start = wall.tv_sec as f64 + wall.tv_nsec as f64 / 1e9;
    let meter = Meter::start(ffmpeg.0.id(), &stage.desktop)?;
    stage.play()?;
    let (mut cost, _, _) = meter.read()?;
    kill_process(Pid::from_raw(ffmpeg.0.id() as i32).context("no process")?, Signal::INT)?;
    ffmpeg.0.wait()?;
    let during = |times: Vec<f64>| {
        times.into_iter().filter(|at| *at > start && *at <= start + seconds as f64).count() as u64
    };
    cost.file_bytes = std::fs::metadata(&video)?.len();
    cost.frames = during(picture_times(&video, &["-vf", "mpdecimate"])?);
    cost.drops = (FPS * seconds).saturating_sub(during(picture_times(&video, &["-c", "copy"])?));
    Ok(cost)
}

/// Times of the pictures that are left of a video after a treatment, in seconds.
fn picture_times(video: &Path, treatment: &[&str]) -> Result<Vec<f64>> {
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-nostdin", "-copyts", "-i"]).arg(video).args(treatment);
    let output = command.args(["-fps_mode", "passthrough", "-f", "framecrc", "-"]).output()?;
    ensure!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let unit =
        text.lines().find_map(|line| line.strip_prefix("#tb 0: ")).context("ffmpeg names no time base")?;
    let (above, below) = unit.split_once('/').context("a time base is a fraction")?;
    let unit = above.parse::<f64>()? / below.parse::<f64>()?;
    let pictures = text.lines().filter(|line| !line.starts_with('#'));
    let time = |line: &str| -> Result<f64> {
        Ok(line.split(',').nth(2).context("a picture without a time")?.trim().parse::<f64>()? * unit)
    };
    pictures.map(time).collect()
}

/// Reads what a recorder and the X server have used since it was started.
struct Meter {
    recorder: u32,
    server: u32,
    cpu_seconds: (f64, f64),
    start_nanos: u64,
}

impl Meter {
    fn start(recorder: u32, desktop: &VirtualDesktop) -> Result<Self> {
        let server = desktop.server_pid();
        let cpu_seconds = (cpu_seconds(recorder)?, cpu_seconds(server)?);
        Ok(Self { recorder, server, cpu_seconds, start_nanos: boot_nanos() })
    }

    /// The cost so far, and the boot clock at start and end.
    fn read(self) -> Result<(Cost, u64, u64)> {
        let end_nanos = boot_nanos();
        let seconds = (end_nanos - self.start_nanos) as f64 / 1e9;
        let percent = |pid, before| -> Result<f64> { Ok((cpu_seconds(pid)? - before) / seconds * 100.0) };
        let cost = Cost {
            cpu_percent: percent(self.recorder, self.cpu_seconds.0)?,
            server_cpu_percent: percent(self.server, self.cpu_seconds.1)?,
            peak_mib: peak_mib(self.recorder)?,
            file_bytes: 0,
            frames: 0,
            drops: 0,
        };
        Ok((cost, self.start_nanos, end_nanos))
    }
}
