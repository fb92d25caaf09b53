//! The source threads: samples in, messages out.

use std::sync::{Arc, Mutex, RwLock};
use std::thread::{JoinHandle, spawn};

use praxis_bundle::Track;
use praxis_bundle::messages::{GapReason, GeometryMessage, WindowsMessage};
use praxis_bundle::narration::encode_pcm;

use super::screen::ScreenFeed;
use super::{Context, Voice};
use crate::narration::{NarrationBlocks, Out};
use crate::sources::{
    AudioEvent, AudioSource, InputEvent, InputSource, SourceError, Stop, WindowEvent, WindowSource,
};

/// A sound server may be wrong about its latency by as much: samples so close to a pause are left out with it.
const PAUSE_GUARD_NANOS: u64 = 100_000_000;

/// Loudest sample since it was last taken, in dBFS.
pub(super) type Peak = Arc<Mutex<Option<f32>>>;

/// Starts one thread per source. Each ends soon after `stop`, or when its source fails, which it turns into a gap.
#[expect(clippy::too_many_arguments, reason = "one call, and every argument is one of the session's parts")]
pub(super) fn start(
    context: &Context,
    stop: &Stop,
    mut screen: ScreenFeed,
    input: Box<dyn InputSource>,
    windows: Box<dyn WindowSource>,
    voice: Voice,
    geometry: Arc<RwLock<GeometryMessage>>,
    peak: Peak,
) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    let mut start = |run: Box<dyn FnOnce(&Context, &Stop) + Send>| {
        let (context, stop) = (context.clone(), stop.clone());
        threads.push(spawn(move || run(&context, &stop)));
    };
    start(Box::new(move |context, stop| {
        if let Err(error) = screen.run(stop) {
            let is_screen = |track: &Track| matches!(track, Track::Screen(_));
            let tracks: Vec<_> =
                context.queues.states().into_iter().map(|(track, _)| track).filter(is_screen).collect();
            context.lose(&tracks, GapReason::SourceLost, &error.to_string());
        }
    }));
    start(Box::new(move |context, stop| {
        if let Err(error) = feed_input(context, stop, input, &geometry) {
            context.lose(&[Track::Pointer, Track::Keys], GapReason::SourceLost, &error.to_string());
        }
    }));
    start(Box::new(move |context, stop| {
        if let Err(error) = feed_windows(context, stop, windows) {
            context.lose(&[Track::Windows], GapReason::SourceLost, &error.to_string());
        }
    }));
    match voice {
        Voice::None => {}
        Voice::Missing(why) => context.lose(&[Track::Narration], GapReason::NoSource, &why),
        Voice::Source(source) => start(Box::new(move |context, stop| {
            let ended = feed_voice(context, stop, source, &peak);
            match ended {
                Ok(()) if stop.is_stopped() => {}
                Ok(()) => {
                    context.lose(&[Track::Narration], GapReason::SourceEnded, "the narration file is over");
                }
                Err(error) => context.lose(&[Track::Narration], GapReason::SourceLost, &error.to_string()),
            }
        })),
    }
    threads
}

fn feed_input(
    context: &Context,
    stop: &Stop,
    mut source: Box<dyn InputSource>,
    geometry: &RwLock<GeometryMessage>,
) -> Result<(), SourceError> {
    let queues = &context.queues;
    let sink = |event| match event {
        InputEvent::Pointer(nanos, mut message) => {
            message.display = geometry.read().ok().and_then(|geometry| {
                let mut recorded = geometry.displays.iter().filter(|display| display.is_recorded);
                recorded.find(|display| display.rect.contains(message.x_px, message.y_px)).map(|d| d.number)
            });
            queues.send_json(Track::Pointer, nanos, &message);
        }
        InputEvent::Key(nanos, message) => {
            queues.send_json(Track::Keys, nanos, &message);
        }
        InputEvent::Clock(nanos, message) => {
            queues.send_json(Track::Clock, nanos, &message);
        }
        InputEvent::Alive => {
            let now = context.clock.now_nanos();
            queues.alive(Track::Pointer, now);
            queues.alive(Track::Keys, now);
        }
    };
    source.run(&sink, stop)
}

/// The window that is active when a pause ends is said again then, since it may have changed meanwhile.
fn feed_windows(
    context: &Context,
    stop: &Stop,
    mut source: Box<dyn WindowSource>,
) -> Result<(), SourceError> {
    let queues = &context.queues;
    let unsaid: Mutex<Option<WindowsMessage>> = Mutex::new(None);
    let say = |nanos, message: WindowsMessage| {
        let is_accepted = queues.send_json(Track::Windows, nanos, &message);
        if let Ok(mut unsaid) = unsaid.lock() {
            *unsaid = (!is_accepted).then_some(message);
        }
    };
    let sink = |event| match event {
        WindowEvent::Active(nanos, active) => say(nanos, WindowsMessage { active }),
        WindowEvent::Alive => {
            let now = context.clock.now_nanos();
            queues.alive(Track::Windows, now);
            let held = unsaid.lock().ok().and_then(|mut unsaid| unsaid.take());
            if let Some(message) = held {
                say(now, message);
            }
        }
    };
    source.run(&sink, stop)
}

fn feed_voice(
    context: &Context,
    stop: &Stop,
    mut source: Box<dyn AudioSource>,
    peak: &Peak,
) -> Result<(), SourceError> {
    let queues = &context.queues;
    let mut blocks = NarrationBlocks::new(source.rate_hz());
    let mut send = |out| {
        match out {
            Out::Block(nanos, block) => {
                queues.send(Track::Narration.channel(), nanos, encode_pcm(&block));
            }
            Out::Clock(nanos, message) => {
                queues.send_json(Track::Clock, nanos, &message);
            }
        };
    };
    let mut next_position = None;
    let nanos_per_sample = 1e9 / f64::from(source.rate_hz());
    let ended = source.run(
        &mut |AudioEvent::Samples { position, samples, recorded_at_nanos }| {
            queues.alive(Track::Narration, context.clock.now_nanos());
            if let Some(next) = next_position.filter(|next| position > *next) {
                queues.count_drops(Track::Narration, position - next);
            }
            next_position = Some(position + samples.len() as u64);
            // A run that touches a pause is left out whole; what is left out leaves a hole in the positions.
            let last_nanos = recorded_at_nanos + (samples.len() as f64 * nanos_per_sample) as u64;
            if [recorded_at_nanos, last_nanos]
                .iter()
                .any(|nanos| queues.is_in_pause(*nanos, PAUSE_GUARD_NANOS))
            {
                blocks.flush(&mut send);
                return;
            }
            blocks.push(position, samples, recorded_at_nanos, &mut send);
            if let (Some(level), Ok(mut peak)) = (blocks.take_peak_dbfs(), peak.lock()) {
                *peak = Some(peak.map_or(level, |known: f32| known.max(level)));
            }
        },
        stop,
    );
    blocks.flush(&mut send);
    ended
}
