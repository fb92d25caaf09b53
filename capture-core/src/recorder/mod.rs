//! Records one session: opens a live file, feeds the queues from the sources, and ends well whatever fails.
//!
//! A failed source becomes a gap and a notice, and the session goes on. A failed writer ends the session loudly. The
//! recorder knows sources only by their traits.

mod elements;
mod feeds;
mod live_file;
mod screen;
mod writer;

pub use live_file::{DEFAULT_RESERVE_BYTES, Due, FIRST_MINUTE_BYTES, LiveFile, Schedule};
pub use screen::{DisplayChoice, geometry_of};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use praxis_bundle::manifest::{
    Backend, CaptureSettings, EndReason, Ending, FORMAT_VERSION, Keyboard, Lossy, Manifest, Outcome,
    PointerSettings, Sync,
};
use praxis_bundle::messages::{GapReason, GeometryMessage, MarkersMessage, TrackHealth};
use praxis_bundle::storage::SharedStorage;
use praxis_bundle::{Track, file};
use uuid::Uuid;

use crate::clock::{SessionClock, SharedTime};
use crate::queue::Queues;
use crate::session::{Event, State, transition};
use crate::sources::{
    AudioSource, ElementSource, InputSource, ScreenSource, SourceError, Stop, WindowSource,
};
use crate::system::{BeforeSleep, return_large_buffers};
use feeds::{EarlyInput, Heard, InputLink};
use screen::ScreenFeed;
use writer::{EndedFile, Writer};

/// Why a recording could not start, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A source that must be there is not.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The live file cannot be written.
    #[error("{doing}: choose another folder with --out, or make room")]
    Folder {
        /// What was tried, with the path.
        doing: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// There is too little room to begin.
    #[error("only {free_mib} MiB are free in {folder}: at least {needed_mib} MiB are needed to record")]
    DiskFull {
        /// Free space.
        free_mib: u64,
        /// Needed space.
        needed_mib: u64,
        /// Where.
        folder: String,
    },
    /// The live file is not where it was any more.
    #[error(
        "{path} was moved, replaced or removed while it was being recorded: what was recorded is in the file that was moved, if it still is anywhere"
    )]
    Moved {
        /// Where it was.
        path: String,
    },
    /// The writer failed while recording. Everything flushed before is in the file.
    #[error(
        "the recording stopped because its file could not be written; what was recorded is kept in {path}"
    )]
    Writer {
        /// The live file.
        path: String,
        /// What failed.
        #[source]
        source: praxis_bundle::Error,
    },
}

/// What to record.
pub struct Plan {
    /// Where the bundle is written: the disk.
    pub storage: SharedStorage,
    /// Folder of the bundle.
    pub folder: PathBuf,
    /// Which displays.
    pub displays: DisplayChoice,
    /// Most pictures per second.
    pub max_fps: f64,
    /// Whether pictures may be lossy under load.
    pub lossy: Lossy,
    /// Whether `input` tells the text that is copied.
    pub clipboard_text: bool,
    /// How far the tracks of this machine are apart, if it was measured.
    pub sync: Option<Sync>,
    /// Title of the session.
    pub title: Option<String>,
    /// The project it belongs to, and the expert's pseudonym there.
    pub project: Option<(String, String)>,
    /// The recording ends while this much is still free on the disk, so that its file can end well.
    pub reserve_bytes: u64,
    /// Pictures.
    pub screen: Box<dyn ScreenSource>,
    /// Pointer and keys.
    pub input: Box<dyn InputSource>,
    /// Windows.
    pub windows: Box<dyn WindowSource>,
    /// What is clicked, if it is to be asked for.
    pub elements: Option<Box<dyn ElementSource>>,
    /// The voice.
    pub voice: Voice,
    /// What the computer itself sounds.
    pub sound: Voice,
}

/// The voice of a session, or what else is heard.
pub enum Voice {
    /// Not asked for: the bundle has no such track.
    None,
    /// Asked for and not there: the whole session is a gap that says why.
    Missing(String),
    /// Recorded.
    Source(Box<dyn AudioSource>),
}

/// What the person should know at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Worth knowing; nothing that was there to record is lost.
    Warning(String),
    /// A track is not recorded from now on, or may not be.
    Lost(String),
    /// The session must end now: [`Recorder::stop`] has to be called with this reason.
    MustStop(EndReason, String),
}

/// How things are.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Where the session is.
    pub state: State,
    /// Session time.
    pub elapsed_nanos: u64,
    /// Bytes in the live file.
    pub bytes: u64,
    /// The tracks.
    pub tracks: Vec<TrackHealth>,
    /// Loudest sample of the narration since this was last asked, in dBFS; `None` if none came.
    pub peak_dbfs: Option<f32>,
}

/// A session that was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// Its live file.
    pub path: PathBuf,
    /// Its length.
    pub length_nanos: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

/// What all threads of a session share.
#[derive(Clone)]
struct Context {
    clock: SessionClock,
    queues: Queues,
    notices: Sender<Notice>,
}

impl Context {
    /// Begins a gap on each track, where it last showed life, and tells the person.
    fn lose(&self, tracks: &[Track], reason: GapReason, why: &str) {
        let states = self.queues.states();
        for track in tracks {
            // Nothing is certain since its last proof of life, which may be seconds ago.
            let alive_nanos =
                states.iter().find(|(each, _)| each == track).map(|(_, state)| state.alive_nanos);
            let now = self.clock.now_nanos();
            self.gap(alive_nanos.map_or(now, |alive| alive.min(now)), *track, reason, why);
            self.queues.close(*track);
        }
        let names: Vec<_> = tracks.iter().map(|track| track.name()).collect();
        tracing::warn!(tracks = names.join(", "), why, "a source is lost");
        // The receiver may be gone; the gap in the file says it, too.
        let sentence = format!("{}: {why}; the recording goes on without", names.join(", "));
        let is_loss = reason == GapReason::SourceLost;
        let _ = self.notices.send(if is_loss { Notice::Lost(sentence) } else { Notice::Warning(sentence) });
    }

    fn gap(&self, nanos: u64, track: Track, reason: GapReason, why: &str) {
        let begin = MarkersMessage::GapBegin { track: track.name(), reason, detail: why.into() };
        self.queues.send_json(Track::Markers, nanos, &begin);
    }

    /// Ends the gap of a track that was lost.
    fn regain(&self, track: Track) {
        let now = self.clock.now_nanos();
        self.end_gap(now, track);
        // An end is of the newest gap, which may be that of the pause.
        if self.queues.is_paused() {
            self.end_gap(now, track);
            self.gap(now, track, GapReason::Pause, "");
        }
    }

    /// Ends the newest gap of a track.
    fn end_gap(&self, nanos: u64, track: Track) {
        let end = MarkersMessage::GapEnd { track: track.name() };
        self.queues.send_json(Track::Markers, nanos, &end);
    }
}

/// A session that is being recorded.
pub struct Recorder {
    context: Context,
    state: Mutex<State>,
    stop: Stop,
    sources: Vec<JoinHandle<()>>,
    writer: Writer,
    _before_sleep: BeforeSleep,
    recorded: Vec<Track>,
    /// Notices for the person, in order.
    pub notices: Receiver<Notice>,
    path: PathBuf,
    session_id: Uuid,
    heard: Heard,
}

/// A session of which nothing is recorded any more; its file still waits for its last words.
pub struct Stopped {
    file: EndedFile,
    path: PathBuf,
}

impl Recorder {
    /// Starts recording: when this returns, manifest and first pictures are on disk. The session epoch is the moment
    /// from which on all input is seen.
    ///
    /// # Errors
    /// `Folder` or `DiskFull` if the file cannot be made, `Source` if the screen cannot be captured.
    pub fn start(time: SharedTime, mut plan: Plan) -> Result<Self, RecordError> {
        return_large_buffers();
        let geometry = geometry_of(&mut *plan.screen, &plan.displays)?;
        let recorded = recorded_tracks(&geometry, &plan)?;
        let mut manifest = manifest(&plan, &geometry);
        let session_id = manifest.session_id;
        let path = plan.folder.join(format!("{session_id}{}", file::LIVE_SUFFIX));

        let stop = Stop::default();
        let input_tracks = tracks_of(&plan.input.backend());
        let input = EarlyInput::start(plan.input, &stop);
        let clock = SessionClock::start(time);
        manifest.epoch_wall_nanos = clock.epoch_wall_nanos();
        manifest.epoch_boottime_nanos = clock.epoch_boot_nanos();
        let (notices, received) = channel();
        let context = Context { clock: clock.clone(), queues: Queues::default(), notices };
        for track in &recorded {
            context.queues.open(*track, clock.now_nanos());
        }
        let shared_geometry = Arc::new(RwLock::new(geometry));
        let missed_damage = Arc::new(AtomicU64::new(0));
        let mut screen = ScreenFeed::new(
            plan.screen,
            context.clone(),
            plan.displays,
            plan.max_fps,
            plan.lossy,
            shared_geometry.clone(),
            missed_damage.clone(),
        );
        let tracks =
            [&recorded[..], &[Track::Markers, Track::Geometry, Track::Clock, Track::Health]].concat();
        let elements = plan.elements.filter(|source| !source.backend().tracks.is_empty());
        let asking = elements.map(elements::line).map(|(clicks, asker)| (Arc::new(clicks), asker));
        let clicks = asking.as_ref().map(|(clicks, _)| clicks.clone());
        let link = InputLink {
            context: context.clone(),
            geometry: shared_geometry,
            tracks: input_tracks,
            clicks,
            unsaid_cursor: Mutex::default(),
            unsaid_place: Mutex::default(),
        };
        let input = input.connect(Some(link));
        let remove = |_: &SourceError| drop(plan.storage.remove(&path));
        let opened = LiveFile::create(&*plan.storage, &path, &manifest, &tracks, plan.reserve_bytes)
            .and_then(|file| {
                // Nothing was recorded yet if the screen fails: no empty session is left behind.
                screen.start().inspect_err(remove)?;
                Ok(file)
            });
        let heard = Heard::default();
        let started = opened.and_then(|file| {
            Writer::start(file, context.clone(), recorded.clone(), missed_damage, heard.clone())
                .map_err(|source| RecordError::Writer { path: path.display().to_string(), source })
        });
        let writer = match started {
            Ok(writer) => writer,
            Err(error) => {
                stop.stop();
                // It has nothing left to say.
                let _ = input.join();
                return Err(error);
            }
        };
        let mut sources =
            feeds::start(&context, &stop, screen, plan.windows, asking, [plan.voice, plan.sound], &heard);
        sources.push(input);
        let flush = writer.flush();
        let before_sleep = BeforeSleep::listen(move || flush.run());
        let state = Mutex::new(transition(State::Starting, Event::Start).unwrap_or(State::Recording));
        Ok(Self {
            context,
            state,
            stop,
            sources,
            writer,
            _before_sleep: before_sleep,
            recorded,
            notices: received,
            path,
            session_id,
            heard,
        })
    }

    /// The session.
    #[must_use]
    pub fn session_id(&self) -> Uuid {
        self.session_id
    }

    /// The live file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Pauses: a gap on every recorded track. False if the session is not being recorded.
    pub fn pause(&self) -> bool {
        let is_allowed = self.go(Event::Pause);
        if is_allowed {
            self.context.queues.pause(self.context.clock.now_nanos());
            for track in &self.recorded {
                self.context.gap(self.context.clock.now_nanos(), *track, GapReason::Pause, "");
            }
        }
        is_allowed
    }

    /// Goes on after a pause. False if the session is not paused.
    pub fn resume(&self) -> bool {
        let is_allowed = self.go(Event::Resume);
        if is_allowed {
            for track in &self.recorded {
                self.context.end_gap(self.context.clock.now_nanos(), *track);
            }
            self.context.queues.resume(self.context.clock.now_nanos());
        }
        is_allowed
    }

    /// Marks this instant, which is returned as session time.
    pub fn mark(&self, label: &str) -> u64 {
        let (nanos, marker) =
            (self.context.clock.now_nanos(), MarkersMessage::Marker { label: label.into() });
        self.context.queues.send_json(Track::Markers, nanos, &marker);
        nanos
    }

    /// Names a marker that was set before, by its session time.
    pub fn label_marker(&self, marker_nanos: u64, label: &str) {
        let label = MarkersMessage::Label { marker_nanos, label: label.into() };
        self.context.queues.send_json(Track::Markers, self.context.clock.now_nanos(), &label);
    }

    /// Session time.
    #[must_use]
    pub fn elapsed_nanos(&self) -> u64 {
        self.context.clock.now_nanos()
    }

    /// How things are.
    #[must_use]
    pub fn status(&self) -> Status {
        let now = self.context.clock.now_nanos();
        let tracks = writer::health_of(&self.context.queues, &self.recorded, now);
        Status {
            state: self.state(),
            elapsed_nanos: now,
            bytes: self.writer.bytes.load(Ordering::Relaxed),
            tracks,
            peak_dbfs: self.heard.take_since_look(),
        }
    }

    /// Ends the session and its file.
    ///
    /// # Errors
    /// `Writer` if the file could not be completed; what was flushed is in it. `Moved` if it is no longer there.
    pub fn stop(
        self,
        reason: EndReason,
        outcome: Option<Outcome>,
        note: Option<String>,
    ) -> Result<Recorded, RecordError> {
        self.cease()?.finish(reason, outcome, note)
    }

    /// Ends the recording: sources end, and what they still hold is written and synced. How the session went can be said
    /// later; after a crash before that it is an interrupted session of full length.
    ///
    /// # Errors
    /// `Writer` if the file could not be written; what was flushed is in it.
    pub fn cease(mut self) -> Result<Stopped, RecordError> {
        self.go(Event::Stop);
        self.stop.stop();
        for source in self.sources.drain(..) {
            if source.join().is_err() {
                tracing::error!("a source panicked");
            }
        }
        let ended = self.writer.end();
        self.go(if ended.is_ok() { Event::Ended } else { Event::Fail });
        let path = self.path.clone();
        match ended {
            Ok(file) => Ok(Stopped { file, path }),
            Err(source) => Err(RecordError::Writer { path: path.display().to_string(), source }),
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn go(&self, event: Event) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match transition(*state, event) {
            Some(next) => *state = next,
            None => return false,
        }
        true
    }
}

impl Stopped {
    /// The live file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    #[must_use]
    pub fn length_nanos(&self) -> u64 {
        self.file.length_nanos
    }

    /// Says how the session went; the live file is complete then.
    ///
    /// # Errors
    /// `Writer` if the file could not be completed; what was recorded is in it. `Moved` if it is no longer there.
    pub fn finish(
        self,
        reason: EndReason,
        outcome: Option<Outcome>,
        note: Option<String>,
    ) -> Result<Recorded, RecordError> {
        let length_nanos = self.file.length_nanos;
        let ending = Ending { session_time_nanos: length_nanos, reason, outcome, note };
        let path = self.path;
        match self.file.complete(&path, &ending) {
            Ok(Some(bytes)) => Ok(Recorded { path, length_nanos, bytes }),
            Ok(None) => Err(RecordError::Moved { path: path.display().to_string() }),
            Err(source) => Err(RecordError::Writer { path: path.display().to_string(), source }),
        }
    }
}

/// The tracks that are fed from sources.
fn recorded_tracks(geometry: &GeometryMessage, plan: &Plan) -> Result<Vec<Track>, RecordError> {
    let mut recorded: Vec<Track> =
        geometry.displays.iter().filter(|d| d.is_recorded).map(|d| Track::Screen(d.number)).collect();
    if let Some(chosen) = plan.displays.unknown_in(geometry) {
        let there: Vec<_> = geometry.displays.iter().map(|d| format!("{} ({})", d.number, d.name)).collect();
        let there = there.join(", ");
        let why = format!("there is no display {chosen:?}; there are: {there}");
        return Err(SourceError::Unavailable(why).into());
    }
    recorded.extend(tracks_of(&plan.input.backend()));
    recorded.extend(tracks_of(&plan.windows.backend()));
    if let Some(elements) = &plan.elements {
        recorded.extend(tracks_of(&elements.backend()));
    }
    for (track, voice) in [(Track::Narration, &plan.voice), (Track::Sound, &plan.sound)] {
        if !matches!(voice, Voice::None) {
            recorded.push(track);
        }
    }
    Ok(recorded)
}

/// The tracks that a backend feeds.
fn tracks_of(backend: &Backend) -> Vec<Track> {
    backend.tracks.iter().filter_map(|name| Track::from_name(name)).collect()
}

/// What the session is, but for its epoch.
fn manifest(plan: &Plan, geometry: &GeometryMessage) -> Manifest {
    let (keyboard, pointer): (Keyboard, PointerSettings) = plan.input.settings();
    let mut backends: Vec<Backend> =
        vec![plan.screen.backend(), plan.input.backend(), plan.windows.backend()];
    backends.extend(plan.elements.as_ref().map(|elements| elements.backend()));
    let (mut microphone, mut narration_rate_hz) = (None, None);
    if let Voice::Source(source) = &plan.voice {
        backends.push(source.backend());
        (microphone, narration_rate_hz) = (Some(source.device()), Some(source.rate_hz()));
    }
    let (mut system_sound, mut system_sound_rate_hz) = (None, None);
    if let Voice::Source(source) = &plan.sound {
        backends.push(Backend { tracks: vec![Track::Sound.name()], ..source.backend() });
        (system_sound, system_sound_rate_hz) = (Some(source.device()), Some(source.rate_hz()));
    }
    Manifest {
        format_version: FORMAT_VERSION,
        session_id: Uuid::now_v7(),
        bundle_id: Uuid::now_v7(),
        app_version: env!("CARGO_PKG_VERSION").into(),
        epoch_wall_nanos: 0,
        epoch_boottime_nanos: 0,
        system: crate::system::describe(),
        displays: geometry.displays.clone(),
        keyboard,
        pointer,
        title: plan.title.clone(),
        project: plan.project.as_ref().map(|(project, _)| project.clone()),
        task: None,
        expert: plan.project.as_ref().map(|(_, expert)| expert.clone()),
        consent_version: None,
        capture: CaptureSettings {
            max_fps: plan.max_fps,
            microphone,
            narration_rate_hz,
            system_sound,
            system_sound_rate_hz,
            lossy: plan.lossy,
            clipboard_text: plan.clipboard_text,
            sync: plan.sync.clone(),
        },
        backends,
    }
}
