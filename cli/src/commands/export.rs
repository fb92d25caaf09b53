//! `praxis export`: bundles as steps, in the formats that labs load.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use praxis_bundle::file::LIVE_SUFFIX;
use praxis_capture_core::clock::{SystemTime, Time};
use praxis_export::format::Name;
use praxis_export::image::{Coding, Options as Pictures, Size};
use praxis_export::run::{Became, Filter, Input, Options, Progress, Remote};

use super::collected::{Collector, Listed};
use super::{clock_text, printable};
use crate::Done;
use crate::args::Export;
use crate::terminal::{print, say, show_status};

/// Before that nobody can say how long it takes.
const SOON: Duration = Duration::from_secs(2);

pub(crate) fn run(arguments: Export) -> Result<Done> {
    let paths = inputs(&arguments.inputs)?;
    let format = Name::ALL.into_iter().find(|name| name.as_str() == arguments.format);
    let splits = match arguments.split.is_empty() {
        true => vec![("train".into(), 100)],
        false => arguments.split,
    };
    let mut options = Options {
        format: format.context("there is no such format")?,
        out: arguments.out,
        pictures: Pictures {
            coding: if arguments.webp { Coding::WebP } else { Coding::Png },
            size: arguments.most_px.map_or(Size::Own, |(width, height)| Size::Most(width, height)),
        },
        rate: arguments.rate,
        has_pointer: !arguments.no_pointer,
        has_captions: arguments.captions,
        shard_bytes: arguments.shard << 20,
        splits,
        seed: arguments.seed,
        jobs: arguments.jobs.map_or_else(cores, usize::from),
        filter: Filter {
            project: arguments.project,
            experts: arguments.expert,
            outcome: arguments.outcome.map(Into::into),
            least_nanos: (arguments.min_length * 1e9) as u64,
        },
    };
    options.check().map_err(anyhow::Error::msg)?;
    let collector =
        arguments.from.map(|url| Collector::new(&url, arguments.token_file.as_deref())).transpose()?;
    let (inputs, left_out) = match &collector {
        Some(collector) => collected(collector, &mut options)?,
        None => (paths.into_iter().map(Input::from).collect(), 0),
    };
    let started = SystemTime.monotonic_nanos();
    let became = praxis_export::run::run(&inputs, &options, &|progress| {
        show(progress, inputs.len(), Duration::from_nanos(SystemTime.monotonic_nanos() - started));
    })?;
    show_status("");
    report(&inputs, &became, left_out, &options.out)
}

/// What a collector has of what was asked for; and how many bundles the filter leaves out before they are fetched.
fn collected<'a>(collector: &'a Collector, options: &mut Options) -> Result<(Vec<Input<'a>>, u64)> {
    ensure!(
        !matches!(options.format, Name::Vtt | Name::Srt),
        "a collector has no transcripts: fetch the bundles, put a transcript beside each, and export those"
    );
    // Project and expert are what the collector knows: a bundle says what its expert was told before.
    let filter = std::mem::take(&mut options.filter);
    let listed = collector.bundles(filter.project.as_deref())?;
    ensure!(!listed.is_empty(), "the collector has no verified bundle of that project");
    let (wanted, others): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|bundle| is_wanted(bundle, &filter));
    let input = |bundle: Listed| {
        let path = options.out.join(format!(".part-fetched-{}.mcap", bundle.bundle_id));
        let (expert, project) = (Some(bundle.expert.clone()), Some(bundle.project.clone()));
        let sha256 = Some(bundle.sha256.clone());
        let remote = Remote {
            bundle_id: bundle.bundle_id.clone(),
            bytes: bundle.bytes,
            fetch: Box::new(move |to| {
                let failed = |error: anyhow::Error| praxis_export::Error::Fetch { why: format!("{error:#}") };
                collector.fetch(&bundle, to).map_err(failed)
            }),
        };
        Input { path, expert, project, sha256, remote: Some(remote) }
    };
    Ok((wanted.into_iter().map(input).collect(), others.len() as u64))
}

fn is_wanted(bundle: &Listed, filter: &Filter) -> bool {
    let is_of = filter.experts.is_empty() || filter.experts.contains(&bundle.expert);
    let facts = bundle.facts.as_ref();
    is_of
        && facts.is_none_or(|facts| facts.duration_nanos >= filter.least_nanos)
        && facts.is_none_or(|facts| filter.outcome.is_none() || facts.outcome == filter.outcome)
}

/// The bundles that are meant: a folder stands for all that are in it, and in its folders.
fn inputs(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in given {
        let before = found.len();
        if path.is_dir() {
            bundles_in(path, &mut found).with_context(|| format!("reading {}", path.display()))?;
            ensure!(found.len() > before, "there is no sealed bundle in {}", path.display());
            found[before..].sort();
        } else {
            found.push(path.clone());
        }
    }
    let mut seen = HashSet::new();
    for path in &found {
        let real = path.canonicalize().with_context(|| format!("opening {}", path.display()))?;
        if !seen.insert(real) {
            bail!("{} is listed twice: leave one of them out", path.display());
        }
    }
    Ok(found)
}

fn bundles_in(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            // An export is no input, though it may hold files of such names.
            if !path.join("export.json").exists() {
                bundles_in(&path, found)?;
            }
        } else if name.ends_with(".mcap") && !name.ends_with(LIVE_SUFFIX) {
            found.push(path);
        }
    }
    Ok(())
}

fn show(progress: Progress, all: usize, elapsed: Duration) {
    let Progress { inputs, bytes, all_bytes } = progress;
    let part = bytes as f64 / all_bytes.max(1) as f64;
    let left = (elapsed > SOON && part > 0.0).then(|| elapsed.mul_f64((1.0 - part).max(0.0) / part));
    let left = left.map_or_else(String::new, |left| format!(", {} left", clock_text(left.as_nanos() as u64)));
    show_status(&format!("exporting … {:.0} %, {inputs} of {all} bundles{left}", part * 100.0));
}

/// Says what became of each bundle.
fn report(inputs: &[Input<'_>], became: &[Became], left_out: u64, out: &Path) -> Result<Done> {
    let (mut exported, mut there, mut filtered, mut steps) = (0u64, 0u64, left_out, 0u64);
    let mut done = Done::Fine;
    for (input, became) in inputs.iter().zip(became) {
        let name = match &input.remote {
            Some(remote) => remote.bundle_id.clone(),
            None => printable(&input.path.display().to_string()),
        };
        match became {
            Became::Exported { steps: written, left_out, unreadable_bytes } => {
                (exported, steps) = (exported + 1, steps + written);
                if *left_out > 0 {
                    say(&format!(
                        "{name}: {left_out} steps are left out: there is no picture before them, or the format has no word for them"
                    ));
                }
                if *unreadable_bytes > 0 {
                    done = lost(&name, *unreadable_bytes, done);
                }
            }
            Became::WasThere { unreadable_bytes } => {
                there += 1;
                if *unreadable_bytes > 0 {
                    done = lost(&name, *unreadable_bytes, done);
                }
            }
            Became::LeftOut => filtered += 1,
            Became::Failed(error) => {
                let error = error.to_string();
                let about = if error.contains(&*name) { String::new() } else { format!("{name}: ") };
                say(&format!("praxis: {about}{error}"));
                done = Done::No;
            }
        }
    }
    let mut line = format!("{exported} bundles, {steps} steps in {}", out.display());
    if there > 0 {
        line += &format!("; {there} were there already");
    }
    if filtered > 0 {
        line += &format!("; {filtered} are not what was asked for");
    }
    print(&line)?;
    Ok(done)
}

/// Says that a bundle is damaged.
fn lost(name: &str, unreadable_bytes: u64, done: Done) -> Done {
    say(&format!("{name}: {unreadable_bytes} bytes cannot be read: what they held is missing"));
    if done == Done::No { done } else { Done::DataLost }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
