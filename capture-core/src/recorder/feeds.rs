//! The source threads: samples in, messages out.

use std::cell::Cell;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use praxis_bundle::Track;
use praxis_bundle::drift::Drift;
use praxis_bundle::messages::{
    ClockMessage, CursorMessage, GapReason, GeometryMessage, PointerKind, PointerMessage, Rect,
    WindowsMessage,
};
use praxis_bundle::narration::encode_pcm;

use super::elements::{Asker, Clicks};
use super::screen::ScreenFeed;
use super::{Context, Notice, Voice};
use crate::narration::{NarrationBlocks, Out};
use crate::sources::{
    AudioEvent, AudioSource, InputEvent, InputSource, SourceError, Stop, WindowEvent, WindowSource,
};

/// A sound server may be wrong about its latency by as much: samples so close to a pause are left out with it.
const PAUSE_GUARD_NANOS: u64 = 100_000_000;

/// Longest to wait for the input source before the session begins without its word.
const READY_WITHIN: Duration = Duration::from_secs(3);

/// Wait before a device that is not there is looked for again; each wait is twice as long as the one before, up to the longest.
const TRY_AGAIN: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often the stop switch is looked at meanwhile.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// What is known of the voice: its loudest samples in dBFS, for those who look at them at different times, and its drift.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    since_second: Option<f32>,
    since_look: Option<f32>,
    drift: Drift,
}

impl Heard {
    fn note(&self, level: f32) {
        let louder = |known: Option<f32>| Some(known.map_or(level, |known| known.max(level)));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (known.since_second, known.since_look) = (louder(known.since_second), louder(known.since_look));
    }

    fn note_pair(&self, nanos: u64, message: &ClockMessage) {
        if let ClockMessage::Narration { sample_position, rate_hz } = message {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.drift.note(*sample_position, *rate_hz, nanos);
        }
    }

    /// By how much the microphone's clock is fast.
    pub(super) fn drift_ppm(&self) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drift.ppm()
    }

    /// For the health message of each second.
    pub(super) fn take_since_second(&self) -> Option<f32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).since_second.take()
    }

    /// For a person who looks at it.
    pub(super) fn take_since_look(&self) -> Option<f32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).since_look.take()
    }
}

/// The input source, running before the session begins, so that no key or click after the session epoch is missed.
pub(super) struct EarlyInput {
    early: Arc<Early>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Early {
    link: OnceLock<Option<InputLink>>,
    /// How things are before the session begins: where the pointer is, how it looks.
    held: Mutex<Vec<InputEvent>>,
}

impl Early {
    fn hold(&self, event: InputEvent) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match self.link.get() {
            None => held.push(event),
            Some(None) => {}
            Some(Some(link)) => link.take(event),
        }
    }
}

/// Where input goes once the session has begun.
pub(super) struct InputLink {
    pub(super) context: Context,
    pub(super) geometry: Arc<RwLock<GeometryMessage>>,
    /// The tracks that the source feeds.
    pub(super) tracks: Vec<Track>,
    /// Who wants to know what was clicked.
    pub(super) clicks: Option<Arc<Clicks>>,
    /// The shape that the pointer took on in a pause: it is said when the pause ends.
    pub(super) unsaid_cursor: Mutex<Option<CursorMessage>>,
    /// Where the pointer went in a pause: that is said when the pause ends, too.
    pub(super) unsaid_place: Mutex<Option<(i32, i32)>>,
}

impl EarlyInput {
    /// Starts the source and waits until it sees all input. A source that fails does so in the session, as a gap.
    pub(super) fn start(mut source: Box<dyn InputSource>, stop: &Stop) -> Self {
        let (ready, is_ready) = sync_channel(1);
        let early: Arc<Early> = Arc::default();
        let (its, stop) = (early.clone(), stop.clone());
        let thread = spawn(move || {
            let sink = |event: InputEvent| match (event, its.link.get()) {
                (InputEvent::Alive, None) => drop(ready.try_send(())),
                (InputEvent::Clock(..), None) => {}
                (event @ (InputEvent::Place(..) | InputEvent::Cursor(..)), None) => its.hold(event),
                // Keys and pointer wait for the session: what happened after its epoch belongs to it.
                (event, None) => {
                    if let Some(link) = its.link.wait() {
                        link.take(event);
                    }
                }
                (event, Some(Some(link))) => link.take(event),
                (_, Some(None)) => {}
            };
            let ended = source.run(&sink, &stop);
            drop(ready);
            if let (Err(error), Some(link)) = (ended, its.link.wait()) {
                link.context.lose(&link.tracks, GapReason::SourceLost, &error.to_string());
            }
        });
        let _ = is_ready.recv_timeout(READY_WITHIN);
        Self { early, thread }
    }

    /// Begins the session for it, or lets go of what it holds if there will be none.
    pub(super) fn connect(self, link: Option<InputLink>) -> JoinHandle<()> {
        let mut held = self.early.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else sets it.
        let _ = self.early.link.set(link);
        if let Some(Some(link)) = self.early.link.get() {
            held.drain(..).for_each(|event| link.take(event));
        }
        drop(held);
        self.thread
    }
}

impl InputLink {
    fn take(&self, event: InputEvent) {
        let Context { clock, queues, .. } = &self.context;
        match event {
            InputEvent::Pointer(at, mut message) => {
                let Some(nanos) = clock.at(at) else { return };
                message.display = self.display_at(message.x_px, message.y_px);
                let is_accepted = queues.send_json(Track::Pointer, nanos, &message);
                if let Some(clicks) = self.clicks.as_ref().filter(|_| is_accepted) {
                    clicks.pointer(nanos, &message);
                }
                if let Ok(mut unsaid) = self.unsaid_place.lock() {
                    *unsaid = (!is_accepted).then_some((message.x_px, message.y_px));
                }
            }
            InputEvent::Key(at, message) => {
                let Some(nanos) = clock.at(at) else { return };
                if let Some(clicks) = &self.clicks {
                    clicks.key(nanos, &message);
                }
                queues.send_json(Track::Keys, nanos, &message);
            }
            InputEvent::Clock(at, message) => {
                let Some(nanos) = clock.at(at) else { return };
                queues.send_json(Track::Clock, nanos, &message);
            }
            // How things were when the session began holds from its epoch on.
            InputEvent::Place(at, mut message) => {
                message.display = self.display_at(message.x_px, message.y_px);
                queues.send_json(Track::Pointer, clock.at(at).unwrap_or_default(), &message);
            }
            InputEvent::Cursor(at, message) => self.say_cursor(clock.at(at).unwrap_or_default(), message),
            InputEvent::Clipboard(at, message) => {
                let Some(nanos) = clock.at(at) else { return };
                queues.send_json(Track::Clipboard, nanos, &message);
            }
            InputEvent::Alive => {
                let now = clock.now_nanos();
                self.tracks.iter().for_each(|track| queues.alive(*track, now));
                let held = self.unsaid_cursor.lock().ok().and_then(|mut unsaid| unsaid.take());
                if let Some(message) = held {
                    self.say_cursor(now, message);
                }
                if !queues.is_paused() {
                    self.say_place(now);
                }
            }
        }
    }

    /// Says where the pointer is, if it moved in a pause.
    fn say_place(&self, nanos: u64) {
        let unsaid = self.unsaid_place.lock().ok().and_then(|mut unsaid| unsaid.take());
        let Some((x_px, y_px)) = unsaid else { return };
        let message = PointerMessage {
            display: self.display_at(x_px, y_px),
            ..PointerMessage::at(PointerKind::Move, x_px, y_px)
        };
        self.context.queues.send_json(Track::Pointer, nanos, &message);
    }

    fn display_at(&self, x_px: i32, y_px: i32) -> Option<u8> {
        let geometry = self.geometry.read().ok()?;
        let mut recorded = geometry.displays.iter().filter(|display| display.is_recorded);
        let is_inside = |rect: Rect| rect.contains(x_px, y_px);
        recorded.find(|display| is_inside(display.rect)).map(|display| display.number)
    }

    fn say_cursor(&self, nanos: u64, message: CursorMessage) {
        let is_accepted = self.context.queues.send_json(Track::Cursor, nanos, &message);
        if let Ok(mut unsaid) = self.unsaid_cursor.lock() {
            *unsaid = (!is_accepted).then_some(message);
        }
    }
}

/// Starts one thread for each other source. Each ends soon after `stop`, or when its source fails, which it turns into a gap.
pub(super) fn start(
    context: &Context,
    stop: &Stop,
    mut screen: ScreenFeed,
    windows: Box<dyn WindowSource>,
    elements: Option<(Arc<Clicks>, Asker)>,
    [voice, sound]: [Voice; 2],
    heard: &Heard,
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
    let (clicks, asker) = elements.unzip();
    start(Box::new(move |context, stop| {
        if let Err(error) = feed_windows(context, stop, windows, clicks.as_deref()) {
            context.lose(&[Track::Windows], GapReason::SourceLost, &error.to_string());
        }
    }));
    if let Some(asker) = asker {
        start(Box::new(move |context, stop| asker.run(context, stop)));
    }
    // What is said of the level and the drift is of the voice alone.
    for (track, voice, heard) in
        [(Track::Narration, voice, heard.clone()), (Track::Sound, sound, Heard::default())]
    {
        match voice {
            Voice::None => {}
            Voice::Missing(why) => context.lose(&[track], GapReason::NoSource, &why),
            Voice::Source(source) => start(Box::new(move |context, stop| {
                feed_audio(context, stop, track, source, &heard);
            })),
        }
    }
    threads
}

/// The windows that are there when a pause ends are said then, since they may have changed meanwhile.
fn feed_windows(
    context: &Context,
    stop: &Stop,
    mut source: Box<dyn WindowSource>,
    clicks: Option<&Clicks>,
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
        WindowEvent::Changed(at, message) => {
            let nanos = context.clock.at(at).unwrap_or_default();
            if let Some(clicks) = clicks {
                clicks.windows(nanos, &message);
            }
            say(nanos, message);
        }
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

/// Feeds an audio track; a device that is lost is opened again when it is there.
fn feed_audio(context: &Context, stop: &Stop, track: Track, mut source: Box<dyn AudioSource>, heard: &Heard) {
    let mut begin = 0;
    loop {
        let next = match feed_stream(context, stop, track, &mut *source, heard, begin) {
            (Ok(()), _) if stop.is_stopped() => return,
            (Ok(()), _) => {
                return context.lose(&[track], GapReason::SourceEnded, "the narration file is over");
            }
            (Err(error), next) => {
                context.lose(&[track], GapReason::SourceLost, &error.to_string());
                next
            }
        };
        let lost_nanos = context.clock.now_nanos();
        let mut wait = TRY_AGAIN;
        while let Err(error) = source.reopen(stop) {
            if matches!(error, SourceError::Lost(_)) {
                return;
            }
            let mut left = wait;
            while !left.is_zero() {
                if stop.is_stopped() {
                    return;
                }
                std::thread::sleep(left.min(STOP_LOOK));
                left = left.saturating_sub(STOP_LOOK);
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        // Positions count on as if it had never been away, nearly: what is missing is in the gap.
        let away = u128::from(context.clock.now_nanos() - lost_nanos) * u128::from(source.rate_hz());
        begin = next + (away / 1_000_000_000) as u64;
        context.queues.open(track, context.clock.now_nanos());
        context.regain(track);
        let sentence = match track {
            Track::Sound => format!("sound: the system is heard again, from {}", source.device()),
            _ => format!("narration: the voice is recorded again, from {}", source.device()),
        };
        tracing::info!(%track, device = source.device(), "a device is back");
        let _ = context.notices.send(Notice::Warning(sentence));
    }
}

/// Feeds what one stream gives, whose positions begin at `begin`; also says which position is next.
fn feed_stream(
    context: &Context,
    stop: &Stop,
    track: Track,
    source: &mut dyn AudioSource,
    heard: &Heard,
    begin: u64,
) -> (Result<(), SourceError>, u64) {
    let queues = &context.queues;
    let mut blocks = NarrationBlocks::new(source.rate_hz());
    let rate_hz = u64::from(source.rate_hz());
    // By so much positions in the file are ahead of those of the source.
    let num_lost = Cell::new(0);
    let mut send = |out| {
        match out {
            Out::Block(nanos, block) => {
                queues.send(track.channel(), nanos, encode_pcm(&block));
            }
            Out::Clock(nanos, message) => {
                heard.note_pair(nanos, &message);
                queues.send_json(Track::Clock, nanos, &pair_of(track, message));
            }
            Out::Lost(samples) => {
                num_lost.set(num_lost.get() + samples);
                // A device that is silent for so long is lost; what is longer is the computer's sleep, a gap of its own.
                if samples < 5 * rate_hz {
                    queues.count_drops(track, samples);
                }
            }
        };
    };
    let mut next_position = None;
    let nanos_per_sample = 1e9 / f64::from(source.rate_hz());
    let ended = source.run(
        &mut |AudioEvent::Samples { position, samples, recorded_at_nanos }| {
            let position = begin + position;
            queues.alive(track, context.clock.now_nanos());
            // A microphone is open before the session begins: what it heard before the epoch is left out. From the first
            // sample on all count, though their stamps may be earlier: the device's word on its latency varies.
            let early_nanos = match next_position {
                None => context.clock.epoch_boot_nanos().saturating_sub(recorded_at_nanos),
                Some(_) => 0,
            };
            let early = ((early_nanos as f64 / nanos_per_sample).ceil() as usize).min(samples.len());
            let (position, samples) = (position + early as u64, &samples[early..]);
            let recorded_at_nanos = recorded_at_nanos + (early as f64 * nanos_per_sample) as u64;
            let recorded_at_nanos = context.clock.at(recorded_at_nanos).unwrap_or_default();
            if samples.is_empty() {
                return;
            }
            if let Some(next) = next_position.filter(|next| position > *next) {
                queues.count_drops(track, position - next);
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
            if let Some(level) = blocks.take_peak_dbfs() {
                heard.note(level);
            }
        },
        stop,
    );
    blocks.flush(&mut send);
    (ended, next_position.unwrap_or(begin) + num_lost.get())
}

/// A pair of sample position and session time, as one of the track.
fn pair_of(track: Track, pair: ClockMessage) -> ClockMessage {
    match pair {
        ClockMessage::Narration { sample_position, rate_hz } if track == Track::Sound => {
            ClockMessage::Sound { sample_position, rate_hz }
        }
        pair => pair,
    }
}
