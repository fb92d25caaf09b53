//! What recording costs the person at the keyboard: the time from a key to what it paints, without and with the recorder and
//! once more without it, in turns. Real key events, real programs; the display says when it was painted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::wrapper::ConnectionExt as _;

use crate::desktop::{VirtualDesktop, boot_nanos, let_pass};
use crate::form::{Form, PYTHON};
use crate::kills::Random;
use crate::praxis::{Recording, events};
use crate::processes::Ended;

/// What is compared. The second look without the recorder tells how far two figures of the same thing are apart.
const ARMS: [&str; 3] = ["without the recorder", "with it", "without it again"];
const WITH: usize = 1;
const ROUNDS: usize = 6;
const KEYS: usize = 150;
/// Fewer, for they are further apart.
const KEYS_AFTER_CLICKS: usize = 60;
/// So long after the press of a button a key follows at the earliest.
const KEY_AFTER_MILLIS: u64 = 18;
/// The key that types "a".
const KEYCODE: u8 = 38;

/// Prints median, 95th and 99th percentile of each arm and how far they are from the first: in a terminal, and in a form whose
/// program is asked what was clicked shortly before each key.
///
/// # Errors
/// If a program does not come up.
pub fn run() -> Result<()> {
    let _awake = processors_awake()?;
    let mut desktop = VirtualDesktop::start(1920, 1080)?;
    desktop.terminal(10, 10, &["cat"])?;
    println!("keys in a terminal");
    compare(&desktop, false)?;
    let mut desktop = VirtualDesktop::start(1920, 1080)?;
    desktop.start_accessibility()?;
    let form = Form::start(desktop.command(PYTHON), "form.py")?;
    let place = form.middle_of("name")?;
    desktop.xdotool(&["mousemove", &place[0], &place[1], "click", "1"])?;
    println!("a click into a field of GTK, whose program is asked for it, and a key 18 to 50 ms later");
    compare(&desktop, true)
}

/// Something to do for every processor that gives way to everything else: what a virtual machine takes to wake a processor that
/// sleeps, up to several milliseconds, would be most of what is measured.
fn processors_awake() -> Result<Vec<Ended>> {
    (0..std::thread::available_parallelism()?.get())
        .map(|_| {
            let mut idle = Command::new("chrt");
            idle.args(["--idle", "0", "sh", "-c", "while :; do :; done"]).stdin(Stdio::null());
            Ok(Ended(idle.spawn().context("chrt of util-linux is needed")?))
        })
        .collect()
}

fn compare(desktop: &VirtualDesktop, has_clicks: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut random = Random(5);
    let mut millis = ARMS.map(|_| Vec::new());
    // What was painted first is in no cache.
    type_keys(desktop, &mut random, has_clicks)?;
    for round in 0..ROUNDS {
        for turn in 0..ARMS.len() {
            let arm = (round + turn) % ARMS.len();
            let recording = match arm == WITH {
                true => Some(Recording::start(desktop, folder.path(), &[])?),
                false => None,
            };
            let_pass(Duration::from_secs(1));
            millis[arm].extend(type_keys(desktop, &mut random, has_clicks)?);
            if let Some(recording) = recording {
                let (bundle, _) = recording.stop(Signal::INT)?;
                ensure!(!has_clicks || is_asked(&bundle)?, "the program was not asked what was pressed");
            }
        }
    }
    let count = millis[0].len();
    let figures = millis.map(|mut millis| {
        millis.sort_by(f64::total_cmp);
        [0.5, 0.95, 0.99].map(|share| millis[(millis.len() as f64 * share) as usize])
    });
    for (what, of) in ARMS.iter().zip(figures) {
        let [median, p95, p99] = of;
        println!(
            "{what:20}: {count} keys, median {median:.2} ms ({:+.2}), p95 {p95:.2} ms ({:+.2}), p99 {p99:.2} ms ({:+.2})",
            median - figures[0][0],
            p95 - figures[0][1],
            p99 - figures[0][2],
        );
    }
    Ok(())
}

/// Whether every press was asked about: a question that a key ended was given up later than one that was never put.
fn is_asked(bundle: &Path) -> Result<bool> {
    let told = events(bundle, &["elements"])?;
    let was_put = |one: &serde_json::Value| {
        let nanos = |name: &str| one[name].as_u64().unwrap_or_default();
        !one["element"].is_null()
            || nanos("session_time_nanos") > nanos("press_nanos") + KEY_AFTER_MILLIS * 1_000_000
    };
    Ok(told.len() == KEYS_AFTER_CLICKS && told.iter().all(was_put))
}

/// Types keys into the active window, each after a press of the button where the pointer is if asked to; milliseconds until each was painted.
fn type_keys(desktop: &VirtualDesktop, random: &mut Random, has_clicks: bool) -> Result<Vec<f64>> {
    let (connection, screen) = x11rb::connect(Some(&desktop.display))?;
    let root = connection.setup().roots[screen].root;
    connection.damage_query_version(1, 1)?.reply()?;
    let window = desktop.xdotool(&["getactivewindow"])?.trim().parse::<u32>()?;
    let damage = connection.generate_id()?;
    connection.damage_create(damage, window, ReportLevel::NON_EMPTY)?.check()?;
    let mut millis = Vec::new();
    for _ in 0..if has_clicks { KEYS_AFTER_CLICKS } else { KEYS } {
        if has_clicks {
            // Nothing is asked of a program into which the person has just typed, nor when the button is up again.
            let_pass(Duration::from_millis(500));
            connection.xtest_fake_input(BUTTON_PRESS_EVENT, 1, 0, root, 0, 0, 0)?;
            connection.flush()?;
            let_pass(Duration::from_millis(KEY_AFTER_MILLIS + random.below(32)));
        }
        connection.damage_subtract(damage, x11rb::NONE, x11rb::NONE)?;
        connection.sync()?;
        while connection.poll_for_event()?.is_some() {}
        let pressed = boot_nanos();
        connection.xtest_fake_input(KEY_PRESS_EVENT, KEYCODE, 0, root, 0, 0, 0)?;
        connection.flush()?;
        while !matches!(connection.wait_for_event()?, Event::DamageNotify(_)) {}
        millis.push((boot_nanos() - pressed) as f64 / 1e6);
        connection.xtest_fake_input(KEY_RELEASE_EVENT, KEYCODE, 0, root, 0, 0, 0)?;
        if has_clicks {
            connection.xtest_fake_input(BUTTON_RELEASE_EVENT, 1, 0, root, 0, 0, 0)?;
        }
        connection.get_input_focus()?.reply().context("the display")?;
        let_pass(Duration::from_millis(80 + random.below(60)));
    }
    Ok(millis)
}
