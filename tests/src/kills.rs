//! One round of `kill -9`: record a busy desktop, kill the recorder at a random instant, recover, compare with what
//! the recorder said that it had accepted.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::file;

use crate::desktop::{VirtualDesktop, boot_nanos, let_pass, wait_until};
use crate::praxis::{live_file, path, program, run};

/// Nothing older than this may be lost.
const LOSS_BOUND_NANOS: u64 = 500_000_000;

/// What a round showed.
#[derive(Debug)]
pub struct Round {
    /// Session time of the kill.
    pub killed_nanos: u64,
    /// Largest loss of any track: how much older than the kill its oldest lost message is.
    pub loss_nanos: u64,
    /// Messages that were accepted.
    pub num_accepted: usize,
}

/// Who is killed.
#[derive(Clone, Copy)]
pub enum Victim<'a> {
    /// `praxis record` on a real desktop, while text is typed there.
    Praxis(&'a VirtualDesktop),
    /// A recorder of the synthetic stage, on which everything happens all the time.
    Stage,
}

impl Victim<'_> {
    fn command(self, folder: &Path) -> Result<Command> {
        Ok(match self {
            Self::Praxis(desktop) => {
                let mut command = desktop.command(program("praxis")?);
                command.args(["record", "--no-seal", "--out", path(folder)]);
                command
            }
            Self::Stage => {
                let mut command = Command::new(program("stage_recorder")?);
                command.arg(folder);
                command
            }
        })
    }

    /// Tracks on which something happens all the time.
    fn busy_tracks(self) -> &'static [&'static str] {
        match self {
            Self::Praxis(_) => &["keys", "clock", "health", "narration"],
            Self::Stage => {
                &["screen/0", "screen/1", "keys", "pointer", "narration", "clock", "health", "windows"]
            }
        }
    }
}

/// Kills a recorder `after` its file has appeared, and checks what is left.
///
/// # Errors
/// If a message older than the bound is lost, or the file does not open.
pub fn round(victim: Victim<'_>, after: Duration) -> Result<Round> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut command = victim.command(folder.path())?;
    command.env("PRAXIS_LOG", "praxis_capture_core::queue=trace").stdout(Stdio::null());
    let mut child = command.stderr(std::fs::File::create(&log)?).spawn()?;
    wait_until("a live file", || {
        Ok(live_file(folder.path()).is_some_and(|f| f.metadata().is_ok_and(|m| m.len() > 0)))
    })?;
    if let Victim::Praxis(desktop) = victim {
        let text = "the quick brown fox ".repeat(40);
        desktop.command("xdotool").args(["type", "--delay", "15", &text]).spawn()?;
    }
    let_pass(after);
    child.kill()?;
    let killed = boot_nanos();
    child.wait()?;
    if let Victim::Praxis(desktop) = victim {
        desktop.command("pkill").args(["-x", "xdotool"]).status()?;
    }

    let live = live_file(folder.path()).context("the live file is gone")?;
    let mended = folder.path().join("mended.mcap");
    let recovered = run(&["recover", path(&live), "-o", path(&mended)])?;
    ensure!(recovered.status.code() == Some(3), "recover: {}", String::from_utf8_lossy(&recovered.stderr));
    let checked = run(&["check", path(&mended)])?;
    ensure!(checked.status.success(), "check: {}", String::from_utf8_lossy(&checked.stdout));

    let epoch = file::info_of(&mended)?.manifest.epoch_boottime_nanos;
    let killed_nanos = killed - epoch;
    let mut kept: BTreeMap<(String, u64), usize> = BTreeMap::new();
    file::for_each_message(&mended, |channel, _, nanos, _| {
        *kept.entry((channel.track.name(), nanos)).or_default() += 1;
        Ok(())
    })?;
    let accepted = accepted(&log)?;
    if after > Duration::from_secs(2) {
        for track in victim.busy_tracks() {
            ensure!(accepted.iter().any(|(name, _)| name == track), "nothing happened on {track}");
        }
    }
    let mut loss_nanos = 0;
    for message in &accepted {
        match kept.get_mut(message) {
            Some(count) if *count > 0 => *count -= 1,
            _ => {
                let age = killed_nanos.saturating_sub(message.1);
                ensure!(
                    age <= LOSS_BOUND_NANOS,
                    "{} lost a message of {} ms before the kill at {} ms",
                    message.0,
                    age / 1_000_000,
                    killed_nanos / 1_000_000
                );
                loss_nanos = loss_nanos.max(age);
            }
        }
    }
    Ok(Round { killed_nanos, loss_nanos, num_accepted: accepted.len() })
}

/// Track and session time of every message that the recorder logged as accepted. The kill may cut the last line.
fn accepted(log: &Path) -> Result<Vec<(String, u64)>> {
    let log = std::fs::read_to_string(log)?;
    let mut accepted = Vec::new();
    for line in log.split_inclusive('\n').filter(|line| line.ends_with('\n') && line.contains("accepted")) {
        let field = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let (track, nanos) =
            (field("track=").context("no track")?, field("session_time_nanos=").context("no time")?);
        accepted.push((track.to_owned(), nanos.parse()?));
    }
    Ok(accepted)
}

/// A small random number generator with a seed that is printed, so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
