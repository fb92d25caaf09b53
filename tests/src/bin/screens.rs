//! Takes the pictures of `docs/screens` from the real application on a virtual desktop, in light and dark: `screens FOLDER`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use praxis_tests::app::App;
use praxis_tests::collector::Collector;
use praxis_tests::desktop::{VirtualDesktop, let_pass};

const SPOKEN: &str = "I compute the mean of the first twenty numbers, and then I plot it.";

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("usage: screens FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    for (theme, width, height) in [("light", 1440, 900), ("dark", 1440, 900), ("light", 1366, 768)] {
        let suffix = if width == 1366 { "-1366x768".into() } else { format!("-{theme}") };
        Set { folder: &folder, suffix, theme }.take(width, height)?;
    }
    Ok(())
}

struct Set<'a> {
    folder: &'a Path,
    suffix: String,
    theme: &'a str,
}

impl Set<'_> {
    fn take(&self, width: u32, height: u32) -> Result<()> {
        let data = tempfile::tempdir()?;
        let collector = Collector::start(&data.path().join("collector"))?;
        let mut desktop = VirtualDesktop::start(width, height)?;
        desktop.spawn("xsetroot", &["-solid", "#2f4550"])?;
        desktop.terminal(60, 420, &["sh"])?;
        let app = App::start(&desktop)?;
        app.maximize()?;
        app.click("#nav-settings")?;
        app.click(&format!("#theme-{}", self.theme))?;
        app.click("#join-project")?;
        self.page(&app, "enrol")?;
        app.type_into("#join-address", &collector.url)?;
        let code = ["code", "new", "--project", "Olympus physics", "--expert", "expert-0417"];
        app.type_into("#join-code", &collector.command(&code)?)?;
        app.click("#join")?;
        app.find("#enrolled")?;
        self.record(&app, &desktop)?;
        self.library(app, &desktop, collector)
    }

    fn record(&self, app: &App<'_>, desktop: &VirtualDesktop) -> Result<()> {
        app.click("#nav-record")?;
        app.type_into("#title", "Mean of twenty numbers")?;
        std::thread::scope(|scope| {
            let speech = scope.spawn(|| desktop.speak(SPOKEN));
            let_pass(Duration::from_millis(2500));
            self.page(app, "record")?;
            speech.join().map_err(|_| anyhow::anyhow!("speaking failed"))?
        })?;
        app.click("#start")?;
        app.find("#hud-stop")?;
        self.activate_terminal(desktop)?;
        std::thread::scope(|scope| {
            let speech = scope.spawn(|| desktop.speak(SPOKEN));
            desktop.xdotool(&[
                "type",
                "--delay",
                "40",
                "seq 1 20 | awk '{ s += $1 } END { print s / NR }'\n",
            ])?;
            self.desktop(desktop, "recording")?;
            speech.join().map_err(|_| anyhow::anyhow!("speaking failed"))?
        })?;
        app.click("#hud-marker")?;
        app.type_into("#marker-note", "The mean is 10.5")?;
        self.page(app, "hud-marker")?;
        app.type_into("#marker-note", "\u{e007}")?;
        app.click("#hud-pause")?;
        app.find("#hud-resume")?;
        self.page(app, "hud-paused")?;
        app.click("#hud-resume")?;
        app.click("#hud-stop")?;
        app.click("#outcome-success")?;
        app.type_into("#note", "Checked by hand")?;
        self.page(app, "outcome")?;
        app.click("#keep")?;
        app.find("[data-session][data-state=ready]")?;
        self.replay(app)?;
        app.click(".approve")?;
        app.find("#approve-confirm")?;
        let_pass(Duration::from_millis(500));
        self.page(app, "approve")?;
        app.click("#approve-confirm")?;
        app.find("[data-session][data-state=verified]")?;
        Ok(())
    }

    /// The session that was just recorded, in its second half.
    fn replay(&self, app: &App<'_>) -> Result<()> {
        app.click("[data-session] .play")?;
        app.find(".stage[data-state=paused][data-nanos]")?;
        app.type_into("body", "6")?;
        app.find("[data-action]")?;
        // The timeline is filled then.
        let_pass(Duration::from_secs(1));
        self.page(app, "replay")?;
        app.click("[aria-label='Back to the sessions']")?;
        app.find("[data-session]")?;
        Ok(())
    }

    /// A library with a verified, a recovered, a waiting and a fresh session.
    fn library(&self, app: App<'_>, desktop: &VirtualDesktop, collector: Collector) -> Result<()> {
        let begin = |app: &App<'_>, title: &str| -> Result<()> {
            app.click("#nav-record")?;
            app.type_into("#title", title)?;
            app.click("#start")?;
            app.find("#hud-stop")?;
            self.activate_terminal(desktop)?;
            desktop.xdotool(&["type", "--delay", "30", "factor 5040 30030 510510\n"])?;
            let_pass(Duration::from_millis(2500));
            Ok(())
        };
        begin(&app, "Factors of three numbers")?;
        app.kill()?;
        let app = App::start(desktop)?;
        app.maximize()?;
        begin(&app, "Sum of a series")?;
        app.click("#hud-stop")?;
        app.click("#outcome-failure")?;
        app.click("#keep")?;
        app.find("[data-session][data-state=ready]")?;
        collector.stop()?;
        app.click(".approve")?;
        app.click("#approve-confirm")?;
        app.find("[data-session][data-state=queued]")?;
        begin(&app, "Threshold of a driven pendulum")?;
        app.click("#hud-stop")?;
        app.click("#outcome-abandoned")?;
        app.click("#keep")?;
        app.find("tbody tr:nth-of-type(4)[data-session]")?;
        let_pass(Duration::from_secs(2));
        self.page(&app, "library")?;
        app.click("#nav-settings")?;
        let_pass(Duration::from_millis(500));
        self.page(&app, "settings")?;
        app.terminate()
    }

    fn activate_terminal(&self, desktop: &VirtualDesktop) -> Result<()> {
        desktop.xdotool(&["search", "--name", "terminal", "windowactivate", "--sync"])?;
        Ok(())
    }

    /// The page alone.
    fn page(&self, app: &App<'_>, name: &str) -> Result<()> {
        if app.has(".toast")? {
            app.click(".toast [aria-label=Close]")?;
        }
        Ok(std::fs::write(self.path(name), app.screenshot()?)?)
    }

    /// The whole desktop.
    fn desktop(&self, desktop: &VirtualDesktop, name: &str) -> Result<()> {
        let mut ffmpeg = desktop.command("ffmpeg");
        ffmpeg.args(["-loglevel", "error", "-y", "-f", "x11grab", "-i", &desktop.display, "-frames:v", "1"]);
        anyhow::ensure!(ffmpeg.arg(self.path(name)).status()?.success(), "ffmpeg failed");
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{}.png", self.suffix))
    }
}
