//! The figures of the recording bench as tables for people, beside the budgets.

use std::fmt::Write as _;

use crate::record_bench::Measured;
use crate::workload::Phase;

/// All tables.
#[must_use]
pub fn table(measured: &[Measured]) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = cost(&mut out, measured);
    let _ = sums(&mut out, measured);
    let _ = bytes(&mut out, measured);
    out
}

fn cost(out: &mut String, measured: &[Measured]) -> std::fmt::Result {
    writeln!(
        out,
        "\npraxis / ffmpeg x11grab + libx264 ultrafast crf 23; processor time in percent of a core"
    )?;
    writeln!(
        out,
        "{:10} {:>16} {:>7} {:>7} {:>16} {:>15} {:>13} {:>7} {:>9}",
        "phase", "recorder", "ratio", "budget", "X server", "memory in MiB", "frames", "ratio", "drops"
    )?;
    for Measured { phase, praxis, ffmpeg, .. } in measured {
        let budget = match phase {
            Phase::Typing => "0.125",
            Phase::Scroll | Phase::Drag => "0.400",
            Phase::Idle => "0.3 %",
            Phase::Video | Phase::Animation => "",
        };
        writeln!(
            out,
            "{:10} {:7.2} /{:7.2} {:7.3} {budget:>7} {:7.2} /{:7.2} {:6.1} /{:7.1} {:5} /{:6} {:7.2} {:4} /{:3}",
            phase.name(),
            praxis.cpu_percent,
            ffmpeg.cpu_percent,
            praxis.cpu_percent / ffmpeg.cpu_percent,
            praxis.server_cpu_percent,
            ffmpeg.server_cpu_percent,
            praxis.peak_mib,
            ffmpeg.peak_mib,
            praxis.frames,
            ffmpeg.frames,
            praxis.frames as f64 / ffmpeg.frames.max(1) as f64,
            praxis.drops,
            ffmpeg.drops,
        )?;
    }
    Ok(())
}

/// Phases together, if all of them were run.
fn sums(out: &mut String, measured: &[Measured]) -> std::fmt::Result {
    let mut line = |what: &str, wanted: &[Phase], budget: &str| -> std::fmt::Result {
        let chosen: Vec<_> = measured.iter().filter(|one| wanted.contains(&one.phase)).collect();
        if chosen.len() < wanted.len() {
            return Ok(());
        }
        let ours: f64 = chosen.iter().map(|one| one.praxis.cpu_percent).sum();
        let theirs: f64 = chosen.iter().map(|one| one.ffmpeg.cpu_percent).sum();
        writeln!(out, "{what}: ratio of processor time {:.3}, budget {budget}", ours / theirs)
    };
    line("typing, scroll, drag, idle together", &Phase::ALL[..4], "0.250")?;
    line("with video and animation", &Phase::ALL, "0.333")
}

fn bytes(out: &mut String, measured: &[Measured]) -> std::fmt::Result {
    writeln!(
        out,
        "\nthe same pictures, MB a minute; the budget is live and sealed below veryfast in typing, scroll, idle"
    )?;
    writeln!(
        out,
        "{:10} {:>8} {:>8} {:>10} {:>9} {:>10} {:>14} {:>16} {:>12} {:>9} {:>12}",
        "phase",
        "live",
        "sealed",
        "ultrafast",
        "veryfast",
        "rgb crf 0",
        "live/veryfast",
        "sealed/veryfast",
        "ops/picture",
        "pictures",
        "lossy tiles"
    )?;
    for one in measured {
        let same = &one.same_frames;
        let rate = |bytes: u64| bytes as f64 / 1e6 / same.seconds * 60.0;
        let ratio = |bytes: u64| bytes as f64 / same.veryfast_bytes as f64;
        writeln!(
            out,
            "{:10} {:8.2} {:8.2} {:10.2} {:9.2} {:10.2} {:14.2} {:16.2} {:12.1} {:9} {:12}",
            one.phase.name(),
            rate(same.live_bytes),
            rate(same.sealed_bytes),
            rate(same.ultrafast_bytes),
            rate(same.veryfast_bytes),
            rate(same.exact_bytes),
            ratio(same.live_bytes),
            ratio(same.sealed_bytes),
            one.operations_per_picture,
            same.pictures,
            one.lossy_tiles,
        )?;
    }
    Ok(())
}
