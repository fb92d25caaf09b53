//! A virtual desktop: X server, window manager, session bus, sound server with a virtual microphone. All private, all ended
//! on drop.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_capture_core::clock::{SystemTime, Time};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::bus::Bus;

/// What `pactl` plugs the virtual microphone in with.
pub const MICROPHONE: [&str; 4] =
    ["load-module", "module-remap-source", "master=mic_sink.monitor", "source_name=fake_mic"];

/// In the environment of what runs inside a desktop: process id of its X server.
pub const SERVER_PID: &str = "PRAXIS_TEST_SERVER_PID";

/// A running desktop.
pub struct VirtualDesktop {
    /// Its DISPLAY.
    pub display: String,
    /// Its home, runtime and data folders are in here.
    pub folder: TempDir,
    /// Its session bus.
    pub bus: Bus,
    children: Vec<Child>,
    /// Which of them is the sound server.
    sound: Option<usize>,
}

impl VirtualDesktop {
    /// Starts a desktop with one display of that size.
    ///
    /// # Errors
    /// If a program is missing or does not come up.
    pub fn start(width: u32, height: u32) -> Result<Self> {
        let bus = Bus::start()?;
        let mut xvfb = Command::new("Xvfb");
        xvfb.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            &format!("{width}x{height}x24"),
            "-noreset",
            "-nolisten",
            "tcp",
        ]);
        xvfb.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut xvfb = xvfb.spawn().context("Xvfb cannot be started: run scripts/setup")?;
        let mut number = String::new();
        let stdout = xvfb.stdout.take().context("Xvfb has no output")?;
        BufReader::new(stdout).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb ended at once");
        let mut desktop = Self {
            display: format!(":{}", number.trim()),
            folder: tempfile::tempdir()?,
            bus,
            children: vec![xvfb],
            sound: None,
        };
        for folder in ["home", "run", "data"] {
            std::fs::create_dir(desktop.folder.path().join(folder))?;
        }
        desktop.spawn("openbox", &[])?;
        wait_until("a window manager", || {
            let output = desktop.command("xprop").args(["-root", "_NET_SUPPORTING_WM_CHECK"]).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).contains("window id"))
        })?;
        desktop.start_sound()?;
        Ok(desktop)
    }

    /// Kills the sound server, as a crash does.
    pub fn kill_sound(&mut self) {
        let at = self.sound.take();
        if let Some(at) = at {
            end(&mut self.children[at], Signal::KILL);
        }
    }

    /// Starts the sound server with its virtual microphone, as it is started by the session when it has ended.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_sound(&mut self) -> Result<()> {
        // A loudspeaker that rewinds when something else begins to be played may take back what its monitor gave.
        let arguments = [
            "-n",
            "--exit-idle-time=-1",
            "--daemonize=no",
            "--use-pid-file=no",
            "-L",
            "module-native-protocol-unix",
            "-L",
            "module-null-sink sink_name=mic_sink rate=48000 norewinds=1",
            "-L",
            &MICROPHONE[1..].join(" "),
        ];
        self.spawn("pulseaudio", &arguments)?;
        self.sound = Some(self.children.len() - 1);
        wait_until("a sound server", || Ok(self.command("pactl").arg("info").output()?.status.success()))?;
        let is_set = self.command("pactl").args(["set-default-source", "fake_mic"]).status()?.success();
        ensure!(is_set, "the virtual microphone cannot be made the default");
        // Someone who asks for low latency keeps the virtual microphone awake.
        self.spawn("parec", &["--latency-msec=20", "-d", "fake_mic"])
    }

    /// Has `pactl` do something.
    ///
    /// # Errors
    /// It fails.
    pub fn pactl(&self, arguments: &[&str]) -> Result<()> {
        let output = self.command("pactl").args(arguments).output()?;
        ensure!(output.status.success(), "pactl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A program on this desktop, not started yet.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let folder = |name: &str| self.folder.path().join(name);
        command
            .env("DISPLAY", &self.display)
            .env("HOME", folder("home"))
            .env("XDG_RUNTIME_DIR", folder("run"));
        command
            .env("XDG_DATA_HOME", folder("data"))
            .env("PULSE_SERVER", format!("unix:{}", self.pulse_socket()));
        command.env("LANG", "C.UTF-8").env("XDG_SESSION_TYPE", "x11").env_remove("WAYLAND_DISPLAY");
        command.env_remove("LC_ALL").env("DBUS_SESSION_BUS_ADDRESS", &self.bus.address).stdin(Stdio::null());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus.address);
        command
    }

    fn pulse_socket(&self) -> String {
        self.folder.path().join("run/pulse/native").display().to_string()
    }

    /// Starts a program that lives as long as the desktop.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&mut self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        // What is typed there may write files: not among the sources.
        command.current_dir(self.folder.path().join("home"));
        if program == "pulseaudio" {
            command.env_remove("PULSE_SERVER");
        }
        let child =
            command.spawn().with_context(|| format!("{program} cannot be started: run scripts/setup"))?;
        self.children.push(child);
        Ok(())
    }

    /// Starts the accessibility bus, as the session does when a program asks for it.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_accessibility(&mut self) -> Result<()> {
        self.spawn("/usr/libexec/at-spi-bus-launcher", &["--launch-immediately"])?;
        self.bus.wait_for("org.a11y.Bus")
    }

    /// Starts a terminal at a position and waits until it is active.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn terminal(&mut self, x: u32, y: u32, program: &[&str]) -> Result<()> {
        let geometry = format!("70x18+{x}+{y}");
        let mut arguments = vec!["-geometry", &geometry, "-title", "terminal", "-e"];
        arguments.extend(program);
        self.spawn("xterm", &arguments)?;
        wait_until("a terminal", || {
            Ok(self.xdotool(&["getactivewindow", "getwindowname"])?.contains("terminal"))
        })
    }

    /// Sends real X events with xdotool; returns what it prints.
    ///
    /// # Errors
    /// If xdotool is missing.
    pub fn xdotool(&self, arguments: &[&str]) -> Result<String> {
        let output =
            self.command("xdotool").args(arguments).output().context("xdotool: run scripts/setup")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The top left part of the screen, of that size, as another program sees it: B, G, R, no padding.
    ///
    /// # Errors
    /// If ffmpeg fails.
    pub fn screenshot(&self, (width, height): (u32, u32)) -> Result<Vec<u8>> {
        let mut ffmpeg = self.command("ffmpeg");
        ffmpeg.args(["-loglevel", "error", "-f", "x11grab", "-draw_mouse", "0", "-video_size"]);
        ffmpeg.arg(format!("{width}x{height}")).args(["-i", &self.display, "-frames:v", "1"]);
        let output = ffmpeg.args(["-f", "rawvideo", "-pix_fmt", "bgr24", "-"]).output().context("ffmpeg")?;
        let expected = (width * height * 3) as usize;
        ensure!(output.stdout.len() == expected, "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// Speaks a text into the microphone; returns when it was said.
    ///
    /// # Errors
    /// If a program is missing.
    pub fn speak(&self, text: &str) -> Result<()> {
        let wav = self.folder.path().join("speech.wav");
        let is_made =
            Command::new("espeak-ng").arg("-w").arg(&wav).arg(text).status().context("espeak-ng")?.success();
        ensure!(is_made, "espeak-ng failed");
        self.play(&wav)
    }

    /// Plays a WAV file into the microphone.
    ///
    /// # Errors
    /// If paplay fails.
    pub fn play(&self, wav: &Path) -> Result<()> {
        let is_played =
            self.command("paplay").arg("--device=mic_sink").arg(wav).status().context("paplay")?.success();
        ensure!(is_played, "paplay failed");
        Ok(())
    }

    /// Gives the display another size, as a person does in the display settings.
    ///
    /// # Errors
    /// If xrandr fails.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        resize_with(&|| self.command("xrandr"), width, height)
    }

    /// Process id of the X server.
    #[must_use]
    pub fn server_pid(&self) -> u32 {
        self.children[0].id()
    }

    /// Sends a signal to the X server.
    pub fn signal_display(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.children[0].id() as i32) {
            // If it is gone, the test that sends it fails by itself.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Kills the X server, as a crash does.
    pub fn kill_display(&mut self) {
        end(&mut self.children[0], Signal::KILL);
    }
}

impl Drop for VirtualDesktop {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            end(child, Signal::TERM);
        }
    }
}

fn end(child: &mut Child, signal: Signal) {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
    // One that hangs is killed.
    if wait_until("the end of a program", || Ok(child.try_wait()?.is_some())).is_err() {
        let _ = child.kill();
    }
    let _ = child.wait();
}

/// Runs a test of the running test program again as a program of a virtual desktop: for sources that find their server by
/// the environment.
///
/// # Errors
/// If the test fails there.
pub fn inside_desktop(test: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    const INSIDE: &str = "PRAXIS_TEST_INSIDE_DESKTOP";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let desktop = VirtualDesktop::start(640, 480)?;
    let mut again = desktop.command(std::env::current_exe()?);
    again.env(SERVER_PID, desktop.server_pid().to_string());
    let output = again.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Gives a display another size with `xrandr`.
///
/// # Errors
/// If xrandr fails.
pub fn resize_with(xrandr: &dyn Fn() -> Command, width: u32, height: u32) -> Result<()> {
    let (mode, w, h) = (format!("{width}x{height}"), width.to_string(), height.to_string());
    let timings = ["--newmode", &mode, "0", &w, "0", "0", "0", &h, "0", "0", "0"];
    let steps = [&timings[..], &["--addmode", "screen", &mode], &["--output", "screen", "--mode", &mode]];
    // A mode that is known already was added before.
    let known = xrandr().output()?;
    let is_known = String::from_utf8_lossy(&known.stdout).contains(&format!(" {mode} "));
    for step in &steps[if is_known { 2 } else { 0 }..] {
        ensure!(xrandr().args(*step).status()?.success(), "xrandr {}", step.join(" "));
    }
    Ok(())
}

/// The boot clock, which is the session clock of every recorder on this machine.
#[must_use]
pub fn boot_nanos() -> u64 {
    SystemTime.boot_nanos()
}

/// Lets time pass: for stretches that are part of the scene, never to wait for something.
pub fn let_pass(duration: Duration) {
    std::thread::sleep(duration);
}

/// Waits until something holds, for at most 20 seconds.
///
/// # Errors
/// If it never does.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let give_up = boot_nanos() + 20_000_000_000;
    while boot_nanos() < give_up {
        if holds()? {
            return Ok(());
        }
        let_pass(Duration::from_millis(20));
    }
    anyhow::bail!("{what} did not come up in 20 seconds")
}
