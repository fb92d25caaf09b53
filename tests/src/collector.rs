//! A collector of its own for a test: the real program on a free port, and the `praxis` of an expert who is enrolled there.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::praxis::{path, program};

/// A running collector.
pub struct Collector {
    /// Its address.
    pub url: String,
    /// Its data folder.
    pub data: PathBuf,
    child: Child,
}

impl Collector {
    /// Starts a collector on a free port.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(data: &Path) -> Result<Self> {
        Self::start_at(data, "127.0.0.1:0")
    }

    /// Starts a collector on an address, as after a restart.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_at(data: &Path, address: &str) -> Result<Self> {
        Self::spawn(data, Command::new(program("praxis-collector")?), address)
    }

    /// Starts a collector whose files may have so many KiB, as on a disk that is full then.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_limited(data: &Path, address: &str, kib: u64) -> Result<Self> {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
        command.args(["-c", &script]).arg(program("praxis-collector")?);
        Self::spawn(data, command, address)
    }

    fn spawn(data: &Path, mut command: Command, address: &str) -> Result<Self> {
        let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log"))?;
        command.args(["--data", path(data), "serve", "--listen", address]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let url = line.trim().to_owned();
        ensure!(
            url.starts_with("http://"),
            "the collector ended: {}",
            std::fs::read_to_string(data.with_extension("log"))?
        );
        Ok(Self { url, data: data.to_owned(), child })
    }

    /// Its address without the scheme.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    ///
    /// # Errors
    /// If there is no log.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.data.with_extension("log"))?)
    }

    /// Runs one of its commands that make codes and tokens; returns what it prints.
    ///
    /// # Errors
    /// If it fails.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program("praxis-collector")?);
        let output = command.args(["--data", path(&self.data)]).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Ends it as an operator does, and waits.
    ///
    /// # Errors
    /// If it does not end well.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the collector ended with {status}");
        Ok(())
    }

    /// Kills it, as a crash does.
    ///
    /// # Errors
    /// If it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An expert with a home of their own.
pub struct Expert {
    /// Home, settings and data.
    pub home: TempDir,
    /// Address of the session bus that their `praxis` finds. Without one, no keychain is touched.
    pub bus: Option<String>,
}

impl Expert {
    /// Someone who is not enrolled anywhere.
    ///
    /// # Errors
    /// If there is no room for a home.
    pub fn new() -> Result<Self> {
        Ok(Self { home: tempfile::tempdir()?, bus: None })
    }

    /// Someone who is enrolled at a collector.
    ///
    /// # Errors
    /// If enrolment fails.
    pub fn enrolled(collector: &Collector, project: &str, name: &str) -> Result<Self> {
        let expert = Self::new()?;
        expert.enrol(
            &collector.url,
            &collector.command(&["code", "new", "--project", project, "--expert", name])?,
        )?;
        Ok(expert)
    }

    /// Enrols at an address.
    ///
    /// # Errors
    /// If it is refused.
    pub fn enrol(&self, url: &str, code: &str) -> Result<()> {
        let output = self.praxis(&["enroll", url, code])?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// From now on the collector they are enrolled at is at another address, a proxy's for example.
    ///
    /// # Errors
    /// If they are not enrolled.
    pub fn move_collector(&self, from: &str, to: &str) -> Result<()> {
        let enrolment = self.home.path().join(".config/praxis/enrolment.json");
        let text = std::fs::read_to_string(&enrolment)?.replace(from, to);
        Ok(std::fs::write(enrolment, text)?)
    }

    /// The expert's `praxis`, not started yet.
    ///
    /// # Errors
    /// If it was not built.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("praxis")?);
        command.args(arguments).stdin(Stdio::null()).env("HOME", self.home.path()).env_remove("DISPLAY");
        command
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .envs(self.bus.iter().map(|bus| ("DBUS_SESSION_BUS_ADDRESS", bus)));
        Ok(command)
    }

    /// Runs the expert's `praxis`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn praxis(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments)?.output()?)
    }

    /// Runs the expert's `praxis`, which must succeed; returns what it prints.
    ///
    /// # Errors
    /// If it fails.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.praxis(arguments)?;
        let says = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "praxis {}: {} {says}", arguments.join(" "), output.status);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs the expert's `praxis`, which must be refused with code 1; returns its sentence.
    ///
    /// # Errors
    /// If it is not.
    pub fn refused(&self, arguments: &[&str]) -> Result<String> {
        let output = self.praxis(arguments)?;
        let says = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        ensure!(output.status.code() == Some(1), "praxis {}: {} {says}", arguments.join(" "), output.status);
        Ok(says)
    }

    /// The token, as the file has it where there is no keychain.
    ///
    /// # Errors
    /// If the expert is not enrolled.
    pub fn token(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.home.path().join(".config/praxis/enrolment.json"))?;
        let enrolment: serde_json::Value = serde_json::from_str(&text)?;
        Ok(enrolment["token"].as_str().context("no token in the file")?.to_owned())
    }
}

/// An HTTP client for one server.
pub struct Http {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

/// An answer, whatever its status.
pub type Answer = ureq::http::Response<ureq::Body>;

impl Http {
    /// A client that shows this token, or none.
    #[must_use]
    pub fn new(url: &str, token: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .build();
        Self { agent: config.into(), url: url.to_owned(), token: token.map(str::to_owned) }
    }

    /// One request.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn ask(&self, method: &str, at: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{at}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(self.agent.run(request.body(body)?)?)
    }

    /// A GET that must succeed, as JSON.
    ///
    /// # Errors
    /// If it does not.
    pub fn json(&self, at: &str) -> Result<serde_json::Value> {
        let mut answer = self.ask("GET", at, &[], &[])?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status().is_success(), "GET {at}: {} {text}", answer.status());
        Ok(serde_json::from_str(&text)?)
    }
}
