//! The desktop application on a virtual desktop, driven through WebDriver as a person drives it: by what is on its page.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use zbus::blocking::fdo::DBusProxy;

use crate::desktop::{VirtualDesktop, wait_until};
use crate::praxis::program;

/// What the one running application is found by.
const NAME_ON_BUS: &str = "org.praxis.desktop.SingleInstance";
/// Longest wait for something on the page.
const APPEARS_WITHIN: Duration = Duration::from_secs(20);

/// Longest wait for the application.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// The running application.
pub struct App<'a> {
    desktop: &'a VirtualDesktop,
    driver: Child,
    runtime: Runtime,
    client: Client,
}

impl<'a> App<'a> {
    /// Starts it and waits for its page.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(desktop: &'a VirtualDesktop) -> Result<Self> {
        Self::start_program(desktop, &program("praxis-desktop")?, &[])
    }

    /// Starts another build of it, or with variables of the environment, and waits for its page.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_program(
        desktop: &'a VirtualDesktop,
        program: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // Its settings are in the desktop's home.
        let mut driver = desktop.command("WebKitWebDriver");
        driver.arg(format!("--port={port}")).env_remove("XDG_CONFIG_HOME").envs(variables.iter().copied());
        driver.env("TAURI_AUTOMATION", "true").env("TAURI_WEBVIEW_AUTOMATION", "true");
        driver.env("LIBGL_ALWAYS_SOFTWARE", "1").env("NO_AT_BRIDGE", "1").env("PRAXIS_LOG", "info");
        let log = std::fs::File::options().create(true).append(true).open(Self::log_of(desktop))?;
        driver.stdout(Stdio::null()).stderr(log).process_group(0);
        let driver = driver.spawn().context("WebKitWebDriver: run scripts/setup")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut this = Started(Some(driver));
        wait_until("the WebDriver", || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        let options = json!({"binary": program, "args": []});
        let capabilities = [("webkitgtk:browserOptions".to_owned(), options)].into_iter().collect();
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let mut builder = ClientBuilder::new(connector);
        builder.capabilities(capabilities);
        let address = format!("http://127.0.0.1:{port}");
        // The driver waits for ever for an application that ends at once.
        let connected = runtime.block_on(async { timeout(STARTS_WITHIN, builder.connect(&address)).await });
        let client = connected.context("the application does not come up: see its log")??;
        let driver = this.0.take().context("the WebDriver is gone")?;
        let app = Self { desktop, driver, runtime, client };
        app.find("#nav-record")?;
        Ok(app)
    }

    fn log_of(desktop: &VirtualDesktop) -> PathBuf {
        desktop.folder.path().join("app.log")
    }

    /// What it has logged.
    ///
    /// # Errors
    /// If there is no log.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(Self::log_of(self.desktop))?)
    }

    /// The element, once it is there.
    ///
    /// # Errors
    /// If it does not appear.
    pub fn find(&self, selector: &str) -> Result<Element> {
        let found = self
            .runtime
            .block_on(self.client.wait().at_most(APPEARS_WITHIN).for_element(Locator::Css(selector)));
        found.with_context(|| format!("{selector} does not appear on the page"))
    }

    /// Whether there is such an element now.
    ///
    /// # Errors
    /// If the application is gone.
    pub fn has(&self, selector: &str) -> Result<bool> {
        Ok(!self.runtime.block_on(self.client.find_all(Locator::Css(selector)))?.is_empty())
    }

    /// Clicks an element, again if it moves away under the pointer.
    ///
    /// # Errors
    /// If it does not appear, or cannot be clicked.
    pub fn click(&self, selector: &str) -> Result<()> {
        let mut failed = None;
        let clicked = wait_until(selector, || {
            let element = self.find(selector)?;
            failed = self.runtime.block_on(element.click()).err();
            Ok(failed.is_none())
        });
        clicked.with_context(|| format!("{selector} cannot be clicked: {failed:?}"))
    }

    /// Moves the pointer of the display over an element and presses its button, as a hand does.
    ///
    /// # Errors
    /// If it does not appear.
    pub fn click_by_hand(&self, selector: &str) -> Result<()> {
        let quoted = serde_json::to_string(selector)?;
        self.find(selector)?;
        let place = self.script(&format!(
            "const r = document.querySelector({quoted}).getBoundingClientRect();
             return [r.x + r.width / 2, r.y + r.height / 2].map(Math.round);"
        ))?;
        let (x, y) = (place[0].to_string(), place[1].to_string());
        let window = self.window()?;
        self.desktop.xdotool(&["mousemove", "--window", &window, &x, &y, "click", "1"])?;
        Ok(())
    }

    /// Its window on the display.
    ///
    /// # Errors
    /// If it has none.
    pub fn window(&self) -> Result<String> {
        let windows = self.desktop.xdotool(&["search", "--onlyvisible", "--class", "praxis-desktop"])?;
        Ok(windows.lines().next().context("the application has no window")?.to_owned())
    }

    /// Types into an element.
    ///
    /// # Errors
    /// If it does not appear.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        Ok(self.runtime.block_on(element.send_keys(text))?)
    }

    /// The text of an element.
    ///
    /// # Errors
    /// If it does not appear.
    pub fn text(&self, selector: &str) -> Result<String> {
        let element = self.find(selector)?;
        // As it is rendered; the driver's own text lacks what is cut off after a number of lines.
        Ok(self.runtime.block_on(element.prop("innerText"))?.unwrap_or_default())
    }

    /// Waits until an element's text holds something.
    ///
    /// # Errors
    /// If it never does; says what it says instead.
    pub fn wait_for_text(&self, selector: &str, wanted: &str) -> Result<()> {
        let mut last = String::new();
        let waited = wait_until(wanted, || {
            last = self.text(selector)?;
            Ok(last.contains(wanted))
        });
        waited.with_context(|| format!("{selector} says {last:?}"))
    }

    /// Runs JavaScript in the page; returns its value.
    ///
    /// # Errors
    /// If it throws.
    pub fn script(&self, script: &str) -> Result<Value> {
        Ok(self.runtime.block_on(self.client.execute(script, Vec::new()))?)
    }

    /// Runs JavaScript in the page that calls its last argument with a value, and returns that.
    ///
    /// # Errors
    /// If it throws, or does not call within half a minute.
    pub fn script_that_calls(&self, script: &str) -> Result<Value> {
        Ok(self.runtime.block_on(self.client.execute_async(script, Vec::new()))?)
    }

    /// Gives the window the whole display.
    ///
    /// # Errors
    /// If the application is gone.
    pub fn maximize(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.client.maximize_window())?)
    }

    /// The page as a picture, PNG.
    ///
    /// # Errors
    /// If the application is gone.
    pub fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.runtime.block_on(self.client.screenshot())?)
    }

    /// Its process.
    ///
    /// # Errors
    /// If it is gone.
    pub fn pid(&self) -> Result<Pid> {
        let says = self.desktop.xdotool(&["search", "--class", "praxis-desktop", "getwindowpid"])?;
        let pid = says.lines().find_map(|line| Pid::from_raw(line.trim().parse().ok()?));
        pid.context("the application has no window")
    }

    /// Kills it, as a crash or a power cut does, with its web processes, and waits.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn kill(self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Ends it as a session manager does, and waits.
    ///
    /// # Errors
    /// If it does not end.
    pub fn terminate(self) -> Result<()> {
        self.end(Signal::TERM)
    }

    fn end(self, signal: Signal) -> Result<()> {
        let pid = self.pid()?;
        kill_process(pid, signal)?;
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        wait_until("the end of the application", || {
            let status = std::fs::read_to_string(format!("{folder}/stat")).unwrap_or_default();
            // A zombie has ended, too: its parent is the WebDriver.
            Ok(status.is_empty() || status.contains(") Z "))
        })?;
        // The bus hears of it a moment later; until then it would have another one call the dead.
        let bus = DBusProxy::new(&self.desktop.bus.connect()?)?;
        wait_until("its name on the bus to be free", || Ok(!bus.name_has_owner(NAME_ON_BUS.try_into()?)?))
    }
}

impl Drop for App<'_> {
    fn drop(&mut self) {
        end(&mut self.driver);
    }
}

/// A driver that is ended if the application does not come up.
struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(driver) = &mut self.0 {
            end(driver);
        }
    }
}

/// Ends the driver and all it has started.
fn end(driver: &mut Child) {
    if let Some(group) = Pid::from_raw(driver.id() as i32) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = driver.wait();
}
