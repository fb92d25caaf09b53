//! Records a synthetic stage on which everything happens at once, until it is killed: `stage_recorder FOLDER`. The victim
//! of the long kill test, which needs no desktop and so can be run a thousand times.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use praxis_bundle::manifest::Lossy;
use praxis_bundle::messages::{KeyKind, KeyMessage, PointerKind, PointerMessage, Rect, Window};
use praxis_bundle::storage::Disk;
use praxis_capture_core::clock::SystemTime;
use praxis_capture_core::recorder::{DEFAULT_RESERVE_BYTES, DisplayChoice, Plan, Recorder, Voice};
use praxis_capture_core::sources::InputEvent;
use praxis_capture_core::sources::synthetic::{RATE_HZ, Stage};
use praxis_tests::desktop::let_pass;

/// Length of one step of the play.
const STEP: Duration = Duration::from_millis(10);

fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("PRAXIS_LOG"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let folder = std::env::args_os().nth(1).context("usage: stage_recorder FOLDER")?.into();
    let time = Arc::new(SystemTime);
    let stage = Stage::new(time.clone(), &[(640, 400), (200, 300)]);
    let plan = Plan {
        storage: Arc::new(Disk),
        folder,
        displays: DisplayChoice::All,
        max_fps: 12.0,
        lossy: Lossy::Auto,
        title: None,
        project: None,
        sound: Voice::None,
        clipboard_text: false,
        sync: None,
        reserve_bytes: DEFAULT_RESERVE_BYTES,
        screen: Box::new(stage.screen()),
        input: Box::new(stage.input()),
        windows: Box::new(stage.windows()),
        elements: None,
        voice: Voice::Source(Box::new(stage.audio())),
    };
    let recorder = Recorder::start(time, plan)?;
    for step in 0u32.. {
        play(&stage, step);
        if step % 40 == 39 {
            recorder.mark("");
        }
        let_pass(STEP);
    }
    Ok(())
}

fn play(stage: &Stage, step: u32) {
    let colour = step.to_le_bytes();
    let (x_px, y_px) = ((step % 60 * 10) as i32, (step % 37 * 10) as i32);
    stage.paint(Rect { x_px, y_px, width_px: 37, height_px: 23 }, [colour[0], colour[1], 99]);
    stage.paint(Rect { x_px: 650, y_px: y_px % 200, width_px: 50, height_px: 9 }, [1, colour[0], 7]);
    let kind = PointerKind::Move;
    let (display, button, dx, dy, modifiers, source_millis) = (None, None, None, None, vec![], Some(step));
    let (raw_dx, raw_dy, injected) = (Some(0.5), Some(-1.0), Some(false));
    let moved = PointerMessage {
        kind,
        x_px,
        y_px,
        display,
        button,
        dx,
        dy,
        raw_dx,
        raw_dy,
        injected,
        modifiers,
        source_millis,
    };
    stage.act(|at| InputEvent::Pointer(at, moved));
    let kind = if step.is_multiple_of(2) { KeyKind::Press } else { KeyKind::Release };
    let (text, keysym, modifiers, repeat) = (Some("k".into()), "k".into(), vec![], false);
    let key =
        KeyMessage { kind, text, keysym, keycode: 45, modifiers, repeat, layout: 0, injected, source_millis };
    stage.act(|at| InputEvent::Key(at, key));
    stage.say((0..RATE_HZ / 100).map(|n| ((n * 91 + step * 7) % 3000) as i16).collect());
    if step.is_multiple_of(30) {
        let rect = Rect { x_px, y_px, width_px: 100, height_px: 100 };
        let title = format!("step {step}");
        stage.activate(Some(Window {
            id: step.into(),
            title,
            class: "Stage".into(),
            pid: None,
            executable: None,
            rect,
        }));
    }
}
