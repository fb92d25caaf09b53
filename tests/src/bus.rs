//! A session bus of a test's own, and on it a real keychain. Nothing of this machine's session is reached: the bus starts no
//! service by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::blocking::fdo::DBusProxy;

use crate::desktop::wait_until;

/// As on a desktop: whoever is on it may have a name and talk to the others.
const CONFIGURATION: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:dir=FOLDER</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;
/// The name of whoever keeps secrets.
const SECRETS: &str = "org.freedesktop.secrets";

/// A running bus.
pub struct Bus {
    /// Its address, for `DBUS_SESSION_BUS_ADDRESS`.
    pub address: String,
    _folder: TempDir,
    child: Child,
}

impl Bus {
    /// Starts it.
    ///
    /// # Errors
    /// If `dbus-daemon` is missing or does not come up.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let configuration = folder.path().join("bus.conf");
        let socket = folder.path().display().to_string();
        std::fs::write(&configuration, CONFIGURATION.replace("FOLDER", &socket))?;
        let mut command = Command::new("dbus-daemon");
        command.arg("--config-file").arg(&configuration).args(["--nofork", "--nopidfile", "--print-address"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().context("dbus-daemon: run scripts/setup")?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut address)?;
        let bus = Self { address: address.trim().to_owned(), _folder: folder, child };
        ensure!(!bus.address.is_empty(), "dbus-daemon ended at once");
        Ok(bus)
    }

    /// Waits until somebody on it has a name.
    ///
    /// # Errors
    /// If nobody ever has.
    pub fn wait_for(&self, name: &str) -> Result<()> {
        let connection = self.connect()?;
        let names = DBusProxy::new(&connection)?;
        wait_until(name, || Ok(names.name_has_owner(name.try_into()?)?))
    }

    /// A connection to it.
    ///
    /// # Errors
    /// If the bus is gone.
    pub fn connect(&self) -> Result<Connection> {
        Ok(Builder::address(self.address.as_str())?.build()?)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A keychain on a bus, unlocked as by a login.
pub struct Keychain {
    address: String,
    home: PathBuf,
    child: Child,
}

impl Keychain {
    /// Starts it; what it keeps, it keeps in that home.
    ///
    /// # Errors
    /// If `gnome-keyring-daemon` is missing or does not come up.
    pub fn start(bus: &Bus, home: &Path) -> Result<Self> {
        Self::spawn(bus, home, Some("the password of the login"))
    }

    /// Starts one that has nothing to keep secrets in, as where no login makes it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_without_login(bus: &Bus, home: &Path) -> Result<Self> {
        Self::spawn(bus, home, None)
    }

    fn spawn(bus: &Bus, home: &Path, password: Option<&str>) -> Result<Self> {
        let mut command = Self::command_at("gnome-keyring-daemon", &bus.address, home);
        command.args(["--foreground", "--components=secrets", "--control-directory"]).arg(home);
        command.args(password.map(|_| "--unlock")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().context("gnome-keyring: run scripts/setup")?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(password.unwrap_or_default().as_bytes())?;
        drop(stdin);
        let keychain = Self { address: bus.address.clone(), home: home.to_owned(), child };
        bus.wait_for(SECRETS)?;
        Ok(keychain)
    }

    fn command_at(program: &str, address: &str, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("DBUS_SESSION_BUS_ADDRESS", address).env("HOME", home).env("XDG_RUNTIME_DIR", home);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("XDG_DATA_HOME");
        command.stdin(Stdio::null());
        command
    }

    /// The secret of a service's account, as another program finds it.
    ///
    /// # Errors
    /// If `secret-tool` is missing.
    pub fn secret(&self, service: &str, account: &str) -> Result<Option<String>> {
        let mut command = Self::command_at("secret-tool", &self.address, &self.home);
        command.args(["lookup", "service", service, "username", account]);
        let output = command.output().context("libsecret-tools: run scripts/setup")?;
        Ok(Some(String::from_utf8(output.stdout)?).filter(|secret| !secret.is_empty()))
    }

    /// Whether it keeps anything of a service.
    ///
    /// # Errors
    /// If `secret-tool` is missing.
    pub fn has_secrets_of(&self, service: &str) -> Result<bool> {
        let mut command = Self::command_at("secret-tool", &self.address, &self.home);
        command.args(["search", "--all", "service", service]);
        let output = command.output().context("libsecret-tools: run scripts/setup")?;
        Ok(!output.stdout.is_empty())
    }

    /// Locks it, as a person or a screen saver does.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn lock(&self) -> Result<()> {
        let connection = Builder::address(self.address.as_str())?.build()?;
        let login = zbus::zvariant::ObjectPath::try_from("/org/freedesktop/secrets/collection/login")?;
        let (service, path) = ("org.freedesktop.Secret.Service", "/org/freedesktop/secrets");
        let body = (vec![login],);
        connection.call_method(Some(SECRETS), path, Some(service), "Lock", &body)?;
        Ok(())
    }
}

impl Drop for Keychain {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files below a folder that have these bytes.
///
/// # Errors
/// If one cannot be read.
pub fn files_with(folder: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), bytes)?);
        } else if kind.is_file() {
            let mut content = Vec::new();
            std::fs::File::open(entry.path())?.read_to_end(&mut content)?;
            if content.windows(bytes.len()).any(|window| window == bytes) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
