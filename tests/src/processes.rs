//! Programs that end with their owner, and what programs cost: processor time and memory of a process with all its descendants, from `/proc`.

use std::collections::HashMap;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::desktop::let_pass;

/// A program that ends with what holds it.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Asked first, so that it ends what it has started itself. It may have ended already, or with its display.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        for _ in 0..100 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            let_pass(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes of a tree, the first first.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
        // A process may end while we look.
        if let Ok(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// Processor time, user and system, of a process and its descendants, those that have ended and were waited for
/// included, in seconds. The kernel counts in hundredths.
///
/// # Errors
/// If the process is gone.
pub fn cpu_seconds(root: u32) -> Result<f64> {
    stat(root).context("the process is gone")?;
    let ticks: u64 = tree(root)?.into_iter().filter_map(|pid| stat(pid).ok()).map(|stat| stat.ticks).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Most memory that a process and its living descendants ever held, summed, in MiB.
///
/// # Errors
/// If the process is gone.
pub fn peak_mib(root: u32) -> Result<f64> {
    let peak = |pid: u32| status_mib(pid, "VmHWM:");
    let own = peak(root)?;
    Ok(own + tree(root)?.into_iter().skip(1).filter_map(|pid| peak(pid).ok()).sum::<f64>())
}

/// Memory that a process holds resident, in MiB.
///
/// # Errors
/// If the process is gone.
pub fn resident_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, field: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// Parent of a process and its times in ticks.
fn stat(pid: u32) -> Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |n: usize| -> Result<u64> { Ok(fields.get(n).context("a short stat")?.parse()?) };
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Ok(Stat { parent: number(1)? as u32, ticks })
}

struct Stat {
    parent: u32,
    /// Own time and that of children that were waited for, user and system.
    ticks: u64,
}
