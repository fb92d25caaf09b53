//! A scripted workload on a virtual desktop, in phases: typing, scrolling, dragging, idling, a video, an animation. Real
//! programs and real X events, at times that a seed fixes, so two recorders can be given the same work one after the other.
//!
//! It measures nothing.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::desktop::{VirtualDesktop, boot_nanos, let_pass, wait_until};
use crate::kills::Random;
use crate::props::{CLIP_PX, Props, prose};

/// Size of the display in pixels.
pub const DISPLAY_PX: (u32, u32) = (1920, 1080);
const SEED: u64 = 1;

/// What goes on on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Text is typed into an editor, about seven keys a second.
    Typing,
    /// A long text is scrolled with the wheel, ten clicks a second in bursts.
    Scroll,
    /// A window with a text is dragged about by its title bar.
    Drag,
    /// A cursor blinks.
    Idle,
    /// A player shows a moving picture with grain, 1280×720, 25 pictures a second.
    Video,
    /// A player shows flat shapes that move, 1280×720, 25 pictures a second.
    Animation,
}

impl Phase {
    /// All phases; the first four are office work.
    pub const ALL: [Self; 6] =
        [Self::Typing, Self::Scroll, Self::Drag, Self::Idle, Self::Video, Self::Animation];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::Scroll => "scroll",
            Self::Drag => "drag",
            Self::Idle => "idle",
            Self::Video => "video",
            Self::Animation => "animation",
        }
    }

    /// The phase of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|phase| phase.name() == name);
        found.with_context(|| {
            format!("no phase is called {name}: typing, scroll, drag, idle, video, animation")
        })
    }

    /// Whether it is office work: no moving pictures.
    #[must_use]
    pub fn is_office(self) -> bool {
        !matches!(self, Self::Video | Self::Animation)
    }
}

/// A desktop on which the programs of a phase are ready.
pub struct Stage {
    /// The desktop.
    pub desktop: VirtualDesktop,
    /// Commands of xdotool, each with its time after the start in milliseconds.
    script: Vec<(u64, String)>,
    hand: Hand,
    seconds: u64,
}

impl Stage {
    /// Starts a desktop and the programs of a phase.
    ///
    /// # Errors
    /// If a program does not come up.
    pub fn set(phase: Phase, props: &Props, seconds: u64) -> Result<Self> {
        let mut desktop = VirtualDesktop::start(DISPLAY_PX.0, DISPLAY_PX.1)?;
        let mut hand = Hand::new(&desktop)?;
        editor(&mut desktop, &props.path("page.txt"), (60, 60), (1000, 700))?;
        let script = match phase {
            Phase::Typing => {
                editor(&mut desktop, &props.path("page.txt"), (260, 100), (1300, 850))?;
                hand.tell("mousemove 900 600 click 1")?;
                hand.tell("key ctrl+End")?;
                typing(seconds)
            }
            Phase::Scroll => {
                editor(&mut desktop, &props.path("long.txt"), (260, 100), (1300, 850))?;
                hand.tell("mousemove 900 600 click 1")?;
                scrolling(seconds)
            }
            Phase::Drag => {
                editor(&mut desktop, &props.path("long.txt"), (500, 200), (900, 600))?;
                // In the middle of its title bar.
                dragging(seconds, (800, 210))
            }
            Phase::Idle => {
                terminal(&mut desktop, &props.path("page.txt"))?;
                vec![]
            }
            Phase::Video => {
                let clip = props.path("clip.mkv").display().to_string();
                player(&mut desktop, &["-loop", "0", "-i", &clip])?;
                vec![]
            }
            Phase::Animation => {
                let (width, height) = CLIP_PX;
                let source = format!("testsrc2=size={width}x{height}:rate=25");
                player(&mut desktop, &["-f", "lavfi", "-i", &source])?;
                vec![]
            }
        };
        // The programs come to rest.
        let_pass(Duration::from_secs(3));
        Ok(Self { desktop, script, hand, seconds })
    }

    /// Plays the phase; returns when its time is over.
    ///
    /// # Errors
    /// If xdotool is gone.
    pub fn play(&mut self) -> Result<()> {
        let start = boot_nanos();
        let wait_until_millis = |millis: u64| {
            let left = (start + millis * 1_000_000).saturating_sub(boot_nanos());
            let_pass(Duration::from_nanos(left));
        };
        for (millis, command) in &self.script {
            wait_until_millis(*millis);
            self.hand.tell(command)?;
        }
        wait_until_millis(self.seconds * 1000);
        Ok(())
    }
}

/// One xdotool that is told what to do as time goes on.
struct Hand {
    child: Child,
    orders: ChildStdin,
}

impl Hand {
    fn new(desktop: &VirtualDesktop) -> Result<Self> {
        let mut command = desktop.command("xdotool");
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().context("xdotool: run scripts/setup")?;
        let orders = child.stdin.take().context("xdotool has no input")?;
        Ok(Self { child, orders })
    }

    fn tell(&mut self, command: &str) -> Result<()> {
        writeln!(self.orders, "{command}").context("xdotool is gone")
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // It may have ended by itself, with its display.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a text in an editor; its frame is at a position, the window in it has a size.
fn editor(desktop: &mut VirtualDesktop, text: &Path, at: (i32, i32), size: (u32, u32)) -> Result<()> {
    let windows = |desktop: &VirtualDesktop| -> Result<Vec<String>> {
        let found = desktop.xdotool(&["search", "--onlyvisible", "--name", "Mousepad$"])?;
        Ok(found.lines().map(str::to_owned).collect())
    };
    let before = windows(desktop)?;
    desktop.spawn("mousepad", &["--disable-server", &text.display().to_string()])?;
    let mut window = None;
    wait_until("an editor", || {
        window = windows(desktop)?.into_iter().find(|window| !before.contains(window));
        Ok(window.is_some()
            && desktop.xdotool(&["getactivewindow"])?.trim() == window.as_deref().unwrap_or(""))
    })?;
    let window = window.context("no editor")?;
    let [width, height] = [size.0, size.1].map(|number| number.to_string());
    let [x, y] = [at.0, at.1].map(|number| number.to_string());
    desktop.xdotool(&[
        "windowsize",
        "--sync",
        &window,
        &width,
        &height,
        "windowmove",
        "--sync",
        &window,
        &x,
        &y,
    ])?;
    Ok(())
}

/// Starts a terminal with a text and a cursor that blinks all the time, three times in two seconds.
fn terminal(desktop: &mut VirtualDesktop, text: &Path) -> Result<()> {
    let program = format!("head -12 {}; exec cat", text.display());
    let options =
        ["-bc", "-bcn", "333", "-bcf", "333", "-geometry", "90x24+700+300", "-title", "praxis-workload"];
    desktop.spawn("xterm", &[&options[..], &["-e", "sh", "-c", &program]].concat())?;
    wait_until("a terminal", || {
        Ok(desktop.xdotool(&["getactivewindow", "getwindowname"])?.contains("praxis-workload"))
    })
}

/// Starts a player without sound and waits for its window.
fn player(desktop: &mut VirtualDesktop, what: &[&str]) -> Result<()> {
    // On a busy machine the picture is late, but none is left out.
    let pace = ["-sync", "video", "-noframedrop"];
    let look =
        ["-loglevel", "error", "-an", "-left", "320", "-top", "160", "-window_title", "praxis-workload"];
    // Drawn by the processor into shared memory, as on a laptop without a driver; no GL in software.
    let driver = "SDL_RENDER_DRIVER=software";
    let arguments = [&[driver, "ffplay"], &pace[..], &look, what].concat();
    desktop.spawn("env", &arguments)?;
    wait_until("a player", || {
        Ok(!desktop.xdotool(&["search", "--onlyvisible", "--name", "praxis-workload"])?.is_empty())
    })
}

/// Letters at a person's pace; a line now and then, a mistake now and then.
fn typing(seconds: u64) -> Vec<(u64, String)> {
    let mut random = Random(SEED + 1);
    let text = prose(&mut random, 40);
    let (mut script, mut millis) = (Vec::new(), 0);
    let mut press = |key: &str, random: &mut Random| {
        script.push((millis, format!("key --delay 0 {key}")));
        millis += 110 + random.below(65);
        millis < seconds * 1000
    };
    for letter in text.chars() {
        if random.below(40) == 0 && !(press("x", &mut random) && press("BackSpace", &mut random)) {
            break;
        }
        let key = match letter {
            ' ' => "space".to_owned(),
            '\n' => "Return".to_owned(),
            ',' => "comma".to_owned(),
            '.' => "period".to_owned(),
            '=' => "equal".to_owned(),
            letter => letter.to_string(),
        };
        if !press(&key, &mut random) {
            break;
        }
    }
    script
}

/// Bursts of thirty wheel clicks in three seconds, a second of rest; five down, two up.
fn scrolling(seconds: u64) -> Vec<(u64, String)> {
    let bursts = (0..).map(|burst: u64| (burst * 4000, if burst % 7 < 5 { 5 } else { 4 }));
    let bursts = bursts.take_while(|(start, _)| *start < seconds * 1000);
    let clicks = bursts.flat_map(|(start, button)| {
        (0..30).map(move |click| (start + click * 100, format!("click {button}")))
    });
    clicks.filter(|(millis, _)| *millis < seconds * 1000).collect()
}

/// Four seconds of movement with the button held, a second of rest; sixty moves a second on a smooth path.
fn dragging(seconds: u64, grip: (i32, i32)) -> Vec<(u64, String)> {
    let mut script = Vec::new();
    let place = |millis: u64| {
        let angle = millis as f64 / 1000.0;
        let x = f64::from(grip.0) + 380.0 * (angle * 1.3).sin();
        let y = f64::from(grip.1) + 150.0 * (angle * 2.1).sin();
        (x as i32, y as i32)
    };
    // Moving time stands still while the window rests.
    for (n, start) in (0..seconds * 1000).step_by(5000).enumerate() {
        for step in 0..240 {
            let (x, y) = place(n as u64 * 4000 + step * 1000 / 60);
            let millis = start + step * 1000 / 60;
            script.push((millis, format!("mousemove {x} {y}")));
            if step == 0 {
                script.push((millis, "mousedown 1".to_owned()));
            }
        }
        script.push((start + 4000, "mouseup 1".to_owned()));
    }
    script.retain(|(millis, _)| *millis < seconds * 1000);
    script
}
