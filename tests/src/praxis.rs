//! The real `praxis` program, run as a person runs it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::desktop::{VirtualDesktop, boot_nanos, wait_until};

/// A program built beside the running test.
///
/// # Errors
/// If it was not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folders = test.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run cargo build --workspace"))
}

/// Runs `praxis` off any desktop and returns what it said.
///
/// # Errors
/// If it cannot be started.
pub fn run(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(program("praxis")?)
        .args(arguments)
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .output()?)
}

/// Runs `praxis` and returns its output; fails if it does.
///
/// # Errors
/// If it cannot be started or its exit code is not 0.
pub fn ok(arguments: &[&str]) -> Result<String> {
    let output = run(arguments)?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "praxis {}: {} {says}", arguments.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The events of some tracks.
///
/// # Errors
/// As [`ok`].
pub fn events(file: &Path, tracks: &[&str]) -> Result<Vec<serde_json::Value>> {
    let mut arguments = vec!["events", path(file)];
    arguments.extend(tracks.iter().flat_map(|track| ["--track", track]));
    ok(&arguments)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// `praxis info --json`.
///
/// # Errors
/// As [`ok`].
pub fn info(file: &Path) -> Result<serde_json::Value> {
    Ok(serde_json::from_str(&ok(&["info", path(file), "--json"])?)?)
}

/// A path as an argument.
#[must_use]
pub fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// A recording that is going on.
pub struct Recording {
    /// The process.
    pub child: Child,
    /// Where it writes.
    pub folder: PathBuf,
    /// Its live file.
    pub live: PathBuf,
    /// Boot clock at session time zero.
    pub epoch_boot_nanos: u64,
}

impl Recording {
    /// Starts `praxis record` and waits until manifest and first picture are in the file.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(desktop: &VirtualDesktop, folder: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(desktop, folder, arguments, &[])
    }

    /// The same with variables of the environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        desktop: &VirtualDesktop,
        folder: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = desktop.command(program("praxis")?);
        command.args(["record", "--out", path(folder)]).args(arguments).envs(variables.iter().copied());
        let log = std::fs::File::create(folder.join("log"))?;
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut live = None;
        wait_until("a recording", || {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!(
                    "praxis record ended: {status}: {}",
                    std::fs::read_to_string(folder.join("log"))?
                );
            }
            live = live_file(folder);
            let has_picture = |file: &PathBuf| {
                (0..2).any(|display| praxis_bundle::file::picture_at(file, display, u64::MAX).is_ok())
            };
            Ok(live.as_ref().is_some_and(has_picture))
        })?;
        let live = live.context("no live file")?;
        let epoch_boot_nanos = praxis_bundle::file::info_of(&live)?.manifest.epoch_boottime_nanos;
        Ok(Self { child, folder: folder.to_owned(), live, epoch_boot_nanos })
    }

    /// Session time now.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        boot_nanos() - self.epoch_boot_nanos
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id() as i32).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Stops it with a signal; returns the bundle's path and the exit code.
    ///
    /// # Errors
    /// If it prints no path.
    pub fn stop(self, signal: Signal) -> Result<(PathBuf, Option<i32>)> {
        self.signal(signal)?;
        self.wait()
    }

    /// Waits for its end; returns the bundle's path and the exit code.
    ///
    /// # Errors
    /// If it prints no path.
    pub fn wait(self) -> Result<(PathBuf, Option<i32>)> {
        let output = self.child.wait_with_output()?;
        let printed = String::from_utf8(output.stdout)?;
        let last = printed.lines().last().context("praxis record printed no path")?;
        Ok((last.into(), output.status.code()))
    }
}

/// The live file in a folder.
#[must_use]
pub fn live_file(folder: &Path) -> Option<PathBuf> {
    let mut paths = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    paths.find(|path| path.to_string_lossy().ends_with(".live.mcap"))
}

/// A running `praxis open`; ended when dropped.
pub struct Opened {
    /// Address of the player, secret and closing slash included.
    pub url: String,
    /// The program.
    pub child: Child,
}

impl Opened {
    /// Opens a bundle, without a browser.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(file: &Path) -> Result<Self> {
        let mut command = Command::new(program("praxis")?);
        command.args(["open", path(file), "--no-browser"]).env_remove("DISPLAY").stdin(Stdio::null());
        let mut opened = Self { url: String::new(), child: command.stdout(Stdio::piped()).spawn()? };
        let says = opened.child.stdout.take().context("no stdout")?;
        BufReader::new(says).read_line(&mut opened.url)?;
        opened.url.truncate(opened.url.trim_end().len());
        ensure!(opened.url.ends_with('/'), "praxis open gives no address: {:?}", opened.url);
        Ok(opened)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the tests of a file in `tests/js`; their output is shown when one fails.
///
/// # Errors
/// If one fails, or Node.js is missing.
pub fn browse(file: &str, environment: &[(&str, &str)]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
    let mut node = Command::new("node");
    node.args(["--test", file]).current_dir(folder).env("PRAXIS", program("praxis")?);
    let output = node.envs(environment.iter().copied()).output().context("node: run scripts/setup")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
