//! What recording costs the person at the keyboard: the time from a key to what it paints, with and without the recorder, in
//! turns. Real key events, real programs; the display says when it was painted.

use std::time::Duration;

use anyhow::{Context, Result};
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
use crate::praxis::Recording;

const ROUNDS: usize = 6;
const KEYS: usize = 150;
/// The key that types "a".
const KEYCODE: u8 = 38;

/// Prints median and 95th percentile without and with the recorder, and the differences: in a terminal, and in a form whose
/// program is asked what was clicked shortly before each key.
///
/// # Errors
/// If a program does not come up.
pub fn run() -> Result<()> {
    let mut desktop = VirtualDesktop::start(1920, 1080)?;
    desktop.terminal(10, 10, &["cat"])?;
    println!("keys in a terminal");
    compare(&desktop, false)?;
    let mut desktop = VirtualDesktop::start(1920, 1080)?;
    desktop.start_accessibility()?;
    let form = Form::start(desktop.command(PYTHON), "form.py")?;
    let place = form.middle_of("name")?;
    desktop.xdotool(&["mousemove", &place[0], &place[1], "click", "1"])?;
    println!("a click into a field of GTK and a key 18 to 50 ms later, with an accessibility bus");
    compare(&desktop, true)
}

fn compare(desktop: &VirtualDesktop, has_clicks: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut random = Random(5);
    let mut millis = [Vec::new(), Vec::new()];
    // What was painted first is in no cache.
    type_keys(desktop, &mut random, has_clicks)?;
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let is_recorded = (round + turn) % 2 == 1;
            let recording = match is_recorded {
                true => Some(Recording::start(desktop, folder.path(), &[])?),
                false => None,
            };
            let_pass(Duration::from_secs(1));
            millis[usize::from(is_recorded)].extend(type_keys(desktop, &mut random, has_clicks)?);
            if let Some(recording) = recording {
                recording.stop(Signal::INT)?;
            }
        }
    }
    let figures = millis.map(|mut millis| {
        millis.sort_by(f64::total_cmp);
        let at = |share: f64| millis[(millis.len() as f64 * share) as usize];
        (millis.len(), at(0.5), at(0.95), at(0.99))
    });
    for (what, (count, median, p95, p99)) in ["without", "with"].iter().zip(figures) {
        println!(
            "{what:7} the recorder: {count} keys, median {median:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms"
        );
    }
    let [(_, median, p95, p99), (_, median_with, p95_with, p99_with)] = figures;
    println!(
        "difference: median {:+.2} ms, p95 {:+.2} ms, p99 {:+.2} ms",
        median_with - median,
        p95_with - p95,
        p99_with - p99
    );
    Ok(())
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
    for _ in 0..KEYS {
        if has_clicks {
            // Held until the key was painted: nothing is asked of a program whose button is up again.
            connection.xtest_fake_input(BUTTON_PRESS_EVENT, 1, 0, root, 0, 0, 0)?;
            connection.flush()?;
            let_pass(Duration::from_millis(18 + random.below(32)));
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
