//! An X server with a keyboard and a mouse of its own, which are driven through sockets: what reaches programs comes from
//! devices then, not from XTEST. Xorg with its `dummy` display and `inputtest` input drivers.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Event and response kinds of the driver's protocol, version 1.
const VERSION: u32 = 0;
const WAIT_FOR_SYNC: u32 = 1;
const MOTION: u32 = 2;
const BUTTON: u32 = 4;
const KEY: u32 = 5;
/// Axes that an event has room for.
const MAX_AXES: usize = 64;

/// A running server.
pub struct DeviceServer {
    /// Its DISPLAY.
    pub display: String,
    /// A mouse: axes 0 and 1 move it, 2 and 3 scroll, 120 a step.
    pub mouse: Device,
    /// A keyboard.
    pub keyboard: Device,
    server: Child,
    _folder: TempDir,
}

impl DeviceServer {
    /// Starts a server with a display of 640 by 480 pixels.
    ///
    /// # Errors
    /// If it is missing or does not come up.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("xorg.conf"), config(folder.path()))?;
        let mut server = Command::new("/usr/lib/xorg/Xorg");
        server.args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-novtswitch", "-sharevts", "-ac"]);
        server.arg("-config").arg(at("xorg.conf")).arg("-logfile").arg(at("log"));
        let server = server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server = server.context("Xorg cannot be started: run scripts/setup")?;
        let mut number = String::new();
        BufReader::new(server.stdout.take().context("Xorg has no output")?).read_line(&mut number)?;
        let log = || std::fs::read_to_string(at("log")).unwrap_or_default();
        ensure!(!number.trim().is_empty(), "Xorg ended at once: {}", log());
        let display = format!(":{}", number.trim());
        let (mouse, keyboard) = (Device::connect(&at("mouse"))?, Device::connect(&at("keyboard"))?);
        Ok(Self { display, mouse, keyboard, server, _folder: folder })
    }
}

impl Drop for DeviceServer {
    fn drop(&mut self) {
        // Asked to end it takes its lock file away.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.server),
            rustix::process::Signal::TERM,
        );
        let _ = self.server.wait();
    }
}

/// A device of the server.
pub struct Device(UnixStream);

impl Device {
    fn connect(socket: &Path) -> Result<Self> {
        let mut stream = UnixStream::connect(socket).context("the server's device")?;
        stream.write_all(&record(VERSION, &[1, 0, 1, 0]))?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(Self(stream))
    }

    /// Moves or scrolls, by so much on each axis.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn turn(&mut self, axes: &[(usize, f64)]) -> Result<()> {
        self.send(MOTION, &[&0u32.to_ne_bytes()[..], &[0; 4], &values(axes)].concat())
    }

    /// Presses or releases a button.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn button(&mut self, button: i32, is_press: bool) -> Result<()> {
        let numbers =
            [0u32.to_ne_bytes(), button.to_ne_bytes(), u32::from(is_press).to_ne_bytes(), [0; 4]].concat();
        self.send(BUTTON, &[&numbers[..], &values(&[])].concat())
    }

    /// Presses or releases a key, by its X keycode.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn key(&mut self, keycode: i32, is_press: bool) -> Result<()> {
        self.send(KEY, &[keycode.to_ne_bytes(), u32::from(is_press).to_ne_bytes()].concat())
    }

    /// Sends an event and waits until the server has made all of it.
    fn send(&mut self, kind: u32, content: &[u8]) -> Result<()> {
        self.0.write_all(&record(kind, content))?;
        self.0.write_all(&record(WAIT_FOR_SYNC, &[]))?;
        let mut answer = [0; 8];
        Ok(self.0.read_exact(&mut answer)?)
    }
}

/// Length, kind, content, as the driver's structures are in memory.
fn record(kind: u32, content: &[u8]) -> Vec<u8> {
    let length = 8 + content.len() as u32;
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), content].concat()
}

/// The driver's structure of axis values: which are set, then all of them, accelerated and not.
fn values(axes: &[(usize, f64)]) -> Vec<u8> {
    let (mut mask, mut numbers) = ([0u8; MAX_AXES / 8], [0f64; MAX_AXES]);
    for (axis, value) in axes {
        mask[axis / 8] |= 1 << (axis % 8);
        numbers[*axis] = *value;
    }
    let has_unaccelerated = 0u32;
    let mut bytes = [&has_unaccelerated.to_ne_bytes()[..], &mask, &[0; 4]].concat();
    for value in numbers.iter().chain(&numbers) {
        bytes.extend(value.to_ne_bytes());
    }
    bytes
}

fn config(folder: &Path) -> String {
    let device = |name: &str, kind: &str| {
        format!(
            r#"Section "InputDevice"
  Identifier "{name}"
  Driver "inputtest"
  Option "SocketPath" "{}/{name}"
  Option "DeviceType" "{kind}"
EndSection
"#,
            folder.display()
        )
    };
    format!(
        r#"Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoEnableDevices" "false"
EndSection
Section "Device"
  Identifier "card"
  Driver "dummy"
EndSection
Section "Monitor"
  Identifier "monitor"
  HorizSync 5-1000
  VertRefresh 5-200
EndSection
Section "Screen"
  Identifier "screen"
  Device "card"
  Monitor "monitor"
  DefaultDepth 24
  SubSection "Display"
    Virtual 640 480
  EndSubSection
EndSection
{}{}Section "ServerLayout"
  Identifier "layout"
  Screen "screen"
  InputDevice "mouse" "CorePointer"
  InputDevice "keyboard" "CoreKeyboard"
EndSection
"#,
        device("mouse", "Pointer"),
        device("keyboard", "Keyboard")
    )
}
