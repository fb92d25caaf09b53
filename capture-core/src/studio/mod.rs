//! What a desktop program needs, behind one door: what can be recorded ([`Preview`]), the recording itself ([`Take`]), the
//! library ([`Catalogue`]), the way to the collector ([`Courier`]) and the expert's [`Settings`]. No window and no page in here.

mod catalogue;
mod preview;
mod settings;
mod take;
mod thumbnail;

pub use catalogue::Catalogue;
pub use preview::{Hearing, Preview, Wanted};
pub use settings::{Hotkeys, Settings, Theme};
pub use take::{Phase, Progress, Said, Take};

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use praxis_bundle::manifest::{Lossy, Outcome};
use praxis_bundle::storage::{Disk, room_at};

use crate::calibration;
use crate::clock::{SharedTime, SystemTime};
use crate::library::{self, Entry, SessionState};
use crate::recorder::{DisplayChoice, FIRST_MINUTE_BYTES, Plan, RecordError, Voice};
use crate::sources::audio::Microphone;
use crate::sources::native::{self, Choice};
use crate::sources::{HotkeyError, Own, SourceError};
use crate::system::{data_folder, settings_folder};
use crate::upload::{Courier, Enrolment, Item, State, Tuning, UploadError, approve, enrolment};

/// An hour of typical work, for which there should be room; and what it takes until a session says more: 5 MB per minute.
const HOUR_SECONDS: f64 = 3_600.0;
const USUAL_BYTES_PER_SECOND: f64 = 5e6 / 60.0;
/// The voice alone takes as much: a still screen says little of the next hour.
const LEAST_BYTES_PER_SECOND: f64 = 1e6 / 60.0;

/// Why something did not work: a sentence for the person in front of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudioError {
    /// It cannot be done in this moment.
    #[error("{0}")]
    NotNow(String),
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(String),
    /// The recording could not begin, or its file not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A source is not there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A bundle cannot be read or written.
    #[error(transparent)]
    Bundle(#[from] praxis_bundle::Error),
    /// An upload or an enrolment.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// A file of the program's own.
    #[error("{doing} failed")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

impl StudioError {
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// Room for recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free on the disk of the library.
    pub free_bytes: u64,
    /// Size of that disk.
    pub total_bytes: u64,
    /// How much recording fits, by the size of earlier sessions.
    pub seconds_left: u64,
    /// Less than an hour fits.
    pub is_low: bool,
    /// A recording does not begin.
    pub is_full: bool,
}

/// Where a studio keeps what it keeps.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Recordings.
    pub sessions: PathBuf,
    /// The queue of uploads.
    pub queue: PathBuf,
    /// Settings and enrolment.
    pub settings: PathBuf,
}

impl Folders {
    /// Those of this user, the same as `praxis` has; `None` if the system names none.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        Some(Self {
            sessions: library::default_folder()?,
            queue: data_folder()?,
            settings: settings_folder()?,
        })
    }
}

/// Everything together.
pub struct Studio {
    time: SharedTime,
    folders: Folders,
    settings: Mutex<Settings>,
    /// What can be recorded.
    pub preview: Preview,
    /// The recording.
    pub take: Take,
    /// The library.
    pub catalogue: Catalogue,
    /// The way to the collector.
    pub courier: Courier,
    is_recovering: AtomicBool,
    /// Held as long as the program runs.
    _lock: File,
}

impl Studio {
    /// Opens settings, library and queue.
    ///
    /// # Errors
    /// `Io` or `Upload` if one of them cannot be opened.
    pub async fn open(folders: Folders) -> Result<Arc<Self>, StudioError> {
        let lock = alone(&folders.queue)?;
        let settings = Settings::load(&folders.settings)?;
        let courier = Courier::open(&folders.queue, &folders.settings, Tuning::default()).await?;
        let time: SharedTime = Arc::new(SystemTime);
        Ok(Arc::new(Self {
            preview: Preview::new(time.clone()),
            time,
            settings: Mutex::new(settings),
            take: Take::default(),
            catalogue: Catalogue::new(folders.sessions.clone()),
            courier,
            is_recovering: AtomicBool::new(false),
            _lock: lock,
            folders,
        }))
    }

    /// Where it keeps things.
    #[must_use]
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the settings.
    ///
    /// # Errors
    /// `Setting` if one is out of its range; `Io`. Then nothing is changed.
    pub fn change_settings(&self, settings: Settings) -> Result<(), StudioError> {
        settings.save(&self.folders.settings)?;
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// The enrolment of this computer.
    #[must_use]
    pub fn enrolment(&self) -> Option<Enrolment> {
        enrolment::load(&self.folders.settings).ok()
    }

    /// Starts a recording of this desktop, as the settings say.
    ///
    /// # Errors
    /// Why it cannot begin; nothing is left behind.
    pub fn record(&self, title: &str) -> Result<(), StudioError> {
        self.take.start(self.time.clone(), || {
            let settings = self.settings();
            let desktop =
                native::open_desktop(&self.time, &Choice { own: own(&settings)?, ..Choice::default() })?;
            let displays = displays(&self.preview, &settings)?;
            self.preview.close();
            let title = Some(title.trim().to_owned()).filter(|title| !title.is_empty());
            Ok(Plan {
                storage: Arc::new(Disk),
                folder: self.folders.sessions.clone(),
                displays,
                max_fps: settings.max_fps.into(),
                lossy: Lossy::Auto,
                clipboard_text: false,
                sync: calibration::last(),
                title,
                project: self.enrolment().map(|enrolment| (enrolment.project, enrolment.expert)),
                reserve_bytes: u64::from(settings.keep_free_mib) << 20,
                screen: desktop.screen,
                input: desktop.input,
                windows: desktop.windows,
                elements: desktop.elements,
                voice: self.voice(&settings),
                sound: Voice::None,
            })
        })
    }

    /// The voice as the settings want it; a microphone that is not there is a gap that says why.
    fn voice(&self, settings: &Settings) -> Voice {
        if !settings.has_voice {
            return Voice::None;
        }
        let name = settings.microphone.as_deref();
        match Microphone::open(self.time.clone(), name, settings.narration_rate_hz) {
            Ok(microphone) => Voice::Source(Box::new(microphone)),
            Err(error) => Voice::Missing(error.to_string()),
        }
    }

    /// Says how the recording went that was stopped, and seals it; sessions that this leaves unsealed are tried, too.
    ///
    /// # Errors
    /// As [`Take::finish`].
    pub fn finish(
        self: &Arc<Self>,
        outcome: Option<Outcome>,
        note: Option<String>,
    ) -> Result<(), StudioError> {
        let this = self.clone();
        let finished = self.take.finish(outcome, note, move |sealed| {
            if let Err(error) = sealed {
                tracing::warn!(%error, "the session is not sealed; the whole recording is kept");
                this.look_after_sessions();
            }
        });
        if self.take.progress().is_none() {
            self.look_after_sessions();
        }
        finished
    }

    /// Makes interrupted and unsealed sessions whole, on a thread of its own.
    pub fn look_after_sessions(self: &Arc<Self>) {
        let this = self.clone();
        std::thread::spawn(move || {
            if let Err(error) = this.make_whole() {
                tracing::warn!(%error, "interrupted sessions could not be looked for");
            }
        });
    }

    /// Seals what an interruption, a full disk or the end of the program has left unsealed. What cannot be sealed stays as it
    /// is, and the library shows it.
    fn make_whole(&self) -> Result<(), StudioError> {
        self.is_recovering.store(true, Ordering::SeqCst);
        let sealed = self.seal_what_is_left();
        self.is_recovering.store(false, Ordering::SeqCst);
        sealed
    }

    fn seal_what_is_left(&self) -> Result<(), StudioError> {
        let recovered = library::recover_interrupted(&self.folders.sessions)?;
        for (path, error) in &recovered.left {
            tracing::warn!(path = %path.display(), %error, "an interrupted session cannot be made whole");
        }
        for entry in self.catalogue.list()?.iter().filter(|entry| entry.state == SessionState::Unsealed) {
            if let Err(error) = library::seal(&entry.path) {
                tracing::warn!(path = %entry.path.display(), %error, "a session cannot be sealed");
            }
        }
        Ok(())
    }

    /// Whether [`Self::look_after_sessions`] is at work.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.is_recovering.load(Ordering::SeqCst)
    }

    /// Room for recordings.
    ///
    /// # Errors
    /// `Io` if the disk cannot be asked; `Bundle` if the library cannot be read.
    pub fn room(&self) -> Result<Room, StudioError> {
        let sessions = &self.folders.sessions;
        // The folder is made with the first recording.
        let there = sessions.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let disk =
            room_at(there).map_err(StudioError::io(format!("asking for room in {}", there.display())))?;
        let free_bytes = disk.free_bytes;
        let kept_free = u64::from(self.settings().keep_free_mib) << 20;
        let rate = self.catalogue.bytes_per_second()?.unwrap_or(USUAL_BYTES_PER_SECOND);
        let seconds_left = free_bytes.saturating_sub(kept_free) as f64 / rate.max(LEAST_BYTES_PER_SECOND);
        Ok(Room {
            free_bytes,
            total_bytes: disk.total_bytes,
            seconds_left: seconds_left as u64,
            is_low: seconds_left < HOUR_SECONDS,
            is_full: free_bytes < kept_free + FIRST_MINUTE_BYTES,
        })
    }

    /// A session by its file name.
    ///
    /// # Errors
    /// `NotNow` if there is none of this name.
    pub fn session(&self, name: &str) -> Result<Arc<Entry>, StudioError> {
        let found = self.catalogue.find(name)?;
        found.ok_or_else(|| StudioError::NotNow("this session is not in the library any more".into()))
    }

    /// Approves a session and, on an enrolled computer, sends it.
    ///
    /// # Errors
    /// `Upload` if it is not sealed, damaged, or the queue fails.
    pub async fn approve(&self, name: &str) -> Result<(), StudioError> {
        let path = self.session(name)?.path.clone();
        let approved = path.clone();
        on_a_thread(move || approve(&approved)).await??;
        self.send(&path).await
    }

    /// Sends what is approved, on an enrolled computer.
    ///
    /// # Errors
    /// `Upload`.
    async fn send(&self, path: &Path) -> Result<(), StudioError> {
        if let Some(enrolment) = self.enrolment() {
            self.courier.queue().add(path, &enrolment.collector, true).await?;
            self.courier.wake();
        }
        Ok(())
    }

    /// Tries an upload again that was blocked, rejected or is waiting.
    ///
    /// # Errors
    /// `NotNow` if this computer is not enrolled; `Upload`.
    pub async fn retry(&self, name: &str) -> Result<(), StudioError> {
        if self.enrolment().is_none() {
            return Err(StudioError::NotNow("this computer is not enrolled: join a project first".into()));
        }
        let path = self.session(name)?.path.clone();
        self.send(&path).await
    }

    /// Enrols this computer, and sends what was approved before.
    ///
    /// # Errors
    /// `Upload` for a wrong code, or a collector that cannot be reached.
    pub async fn enrol(&self, collector: &str, code: &str) -> Result<Enrolment, StudioError> {
        let (enrolment, _) = enrolment::enrol(&self.folders.settings, collector, code).await?;
        for item in self.courier.queue().all().await? {
            self.courier.queue().reopen(&item.bundle_id).await?;
        }
        for entry in self.catalogue.list()?.iter().filter(|entry| entry.state == SessionState::Sealed) {
            let is_approved = crate::upload::approval::approval_path(&entry.path).exists();
            let is_queued = self.upload_of(entry).await?.is_some();
            if is_approved
                && !is_queued
                && let Err(error) = self.send(&entry.path).await
            {
                tracing::warn!(%error, "an approved session could not be queued");
            }
        }
        self.courier.wake();
        Ok(enrolment)
    }

    /// Forgets the enrolment.
    ///
    /// # Errors
    /// `Upload` if its file cannot be removed.
    pub async fn leave(&self) -> Result<(), StudioError> {
        Ok(enrolment::forget(&self.folders.settings).await?)
    }

    /// Removes a session that is verified at the collector from this computer.
    ///
    /// # Errors
    /// `NotNow` if the collector has not said that it is verified; `Bundle`.
    pub async fn free(&self, name: &str) -> Result<(), StudioError> {
        let entry = self.session(name)?;
        let item = self.upload_of(&entry).await?.filter(|item| item.state == State::Verified);
        let Some(item) = item else {
            let why = "the collector has not verified it yet: the copy here is the only one";
            return Err(StudioError::NotNow(why.into()));
        };
        let path = entry.path.clone();
        if on_a_thread(move || praxis_bundle::file::sha256(&path)).await?? != item.sha256 {
            let why = "this file is not the one that the collector has verified: it was changed, and stays";
            return Err(StudioError::NotNow(why.into()));
        }
        self.delete(name).await
    }

    /// Deletes a session and all that belongs to it; an upload of it ends.
    ///
    /// # Errors
    /// `Bundle` if it is being recorded, or its files cannot be removed.
    pub async fn delete(&self, name: &str) -> Result<(), StudioError> {
        let entry = self.session(name)?;
        let path = entry.path.clone();
        let upload = self.upload_of(&entry).await?;
        on_a_thread(move || library::delete(&path)).await??;
        if let Some(item) = upload {
            self.courier.queue().remove(&item.bundle_id).await?;
            self.courier.wake();
        }
        Ok(())
    }

    /// The upload of that very file.
    async fn upload_of(&self, entry: &Entry) -> Result<Option<Item>, StudioError> {
        Ok(self.courier.queue().all().await?.into_iter().find(|item| item.is_of(entry)))
    }
}

/// One program of a user at a time: a second one's windows would be in the first one's pictures.
fn alone(folder: &Path) -> Result<File, StudioError> {
    let path = folder.join("studio.lock");
    let opening = || StudioError::io(format!("opening {}", path.display()));
    std::fs::create_dir_all(folder).map_err(opening())?;
    let lock = File::create(&path).map_err(opening())?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(StudioError::NotNow("Praxis is running already: use its window".into()))
        }
        // A disk that knows no locks is no reason not to start.
        _ => Ok(lock),
    }
}

/// What is the program's own and not recorded: its windows and its hotkeys.
fn own(settings: &Settings) -> Result<Own, StudioError> {
    let hotkeys = settings.hotkeys.all().into_iter().filter(|key| !key.is_empty());
    let hotkeys: Result<_, _> = hotkeys.map(str::parse).collect();
    let hotkeys = hotkeys.map_err(|error: HotkeyError| StudioError::Setting(error.to_string()))?;
    Ok(Own { hides_windows: true, hotkeys })
}

/// All displays, or those that are not left out.
fn displays(preview: &Preview, settings: &Settings) -> Result<DisplayChoice, StudioError> {
    let mut names: Vec<String> = preview.displays()?.into_iter().map(|display| display.name).collect();
    let num_displays = names.len();
    names.retain(|name| !settings.left_out.contains(name));
    match names.len() {
        0 => Err(StudioError::NotNow("every display is left out: choose one".into())),
        chosen if chosen == num_displays => Ok(DisplayChoice::All),
        _ => Ok(DisplayChoice::Named(names)),
    }
}

/// Runs work that reads or writes much without holding up the runtime.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StudioError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StudioError::NotNow("it failed inside: try again".into()))
}
