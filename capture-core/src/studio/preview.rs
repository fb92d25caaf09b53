//! What can be recorded, shown before anything is: pictures of the displays and the level of the microphone.
//!
//! Nothing of it is kept. The microphone is open only while somebody looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;

use praxis_bundle::messages::{Display, Rect};

use super::thumbnail;
use crate::clock::SharedTime;
use crate::sources::audio::{Microphone, microphones};
use crate::sources::{AudioEvent, AudioSource, ScreenSource, SourceError, Stop, native};

/// Without a look for so long the microphone is closed.
const CLOSE_AFTER_NANOS: u64 = 3_000_000_000;
/// A microphone that was missing is tried again after this time.
const TRY_AGAIN_NANOS: u64 = 3_000_000_000;
/// How often the names of microphones are asked for.
const NAMES_EVERY_NANOS: u64 = 3_000_000_000;
/// Width of a display's picture: wide enough for a card on a screen of twice the usual density.
const PICTURE_WIDTH_PX: u32 = 720;

/// Which microphone, at which rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name; none means the system's default.
    pub name: Option<String>,
    /// Samples per second.
    pub rate_hz: u32,
}

/// The microphone as it is now.
#[derive(Debug, Clone, PartialEq)]
pub enum Hearing {
    /// Nobody asked for it.
    Off,
    /// It is being opened.
    Opening,
    /// Samples come.
    Live {
        /// Its name.
        device: String,
        /// Loudest sample since the last look, in dBFS.
        peak_dbfs: Option<f32>,
    },
    /// There is none, or it gives nothing; the sentence says what to do.
    Missing(String),
}

/// One look into the microphone: the thread that listens, and what it hears.
struct Ear {
    wanted: Wanted,
    stop: Stop,
    heard: Arc<Mutex<Hearing>>,
    started_nanos: u64,
}

struct Looks {
    ear: Option<Ear>,
    last_look_nanos: u64,
    names: Vec<String>,
    names_at_nanos: Option<u64>,
}

/// Shows what can be recorded.
pub struct Preview {
    time: SharedTime,
    screen: Mutex<Option<Box<dyn ScreenSource>>>,
    looks: Arc<Mutex<Looks>>,
}

impl Preview {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(time: SharedTime) -> Self {
        let looks =
            Looks { ear: None, last_look_nanos: time.boot_nanos(), names: Vec::new(), names_at_nanos: None };
        Self { time, screen: Mutex::default(), looks: Arc::new(Mutex::new(looks)) }
    }

    /// The displays there are.
    ///
    /// # Errors
    /// `Unavailable` or `Lost`: why this desktop cannot be recorded.
    pub fn displays(&self) -> Result<Vec<Display>, SourceError> {
        self.with_screen(|screen| Ok(screen.geometry()?.displays))
    }

    /// A display as it looks now, small, as PNG.
    ///
    /// # Errors
    /// As [`Self::displays`], and `Unavailable` if it is gone.
    pub fn picture(&self, number: u8) -> Result<Vec<u8>, SourceError> {
        self.with_screen(|screen| {
            let displays = screen.geometry()?.displays;
            let display = displays.iter().find(|display| display.number == number);
            let rect: Rect =
                display.ok_or_else(|| SourceError::Unavailable("this display is gone".into()))?.rect;
            screen.grab(&[rect])?;
            Ok(thumbnail::png::<4>(screen.pixels(0), rect.width_px, rect.height_px, PICTURE_WIDTH_PX))
        })
    }

    /// Opened when it is needed; a screen that fails is opened anew the next time.
    fn with_screen<T>(
        &self,
        look: impl FnOnce(&mut dyn ScreenSource) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let mut open = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut screen = match open.take() {
            Some(screen) => screen,
            None => native::open_screen(&self.time)?,
        };
        let found = look(&mut *screen);
        if !matches!(found, Err(SourceError::Lost(_))) {
            *open = Some(screen);
        }
        found
    }

    /// The microphone as it is now; opens it if need be. `None` closes it.
    #[must_use]
    pub fn hear(&self, wanted: Option<Wanted>) -> Hearing {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.last_look_nanos = self.time.boot_nanos();
        let Some(wanted) = wanted else {
            looks.close();
            return Hearing::Off;
        };
        let Some(ear) = looks.ear.as_ref().filter(|ear| ear.wanted == wanted) else {
            self.open(&mut looks, wanted);
            return Hearing::Opening;
        };
        let heard = ear.heard().clone();
        if let Hearing::Live { peak_dbfs, .. } = &mut *ear.heard() {
            // The next look begins a new moment.
            *peak_dbfs = None;
        }
        if matches!(heard, Hearing::Missing(_))
            && self.time.boot_nanos() > ear.started_nanos + TRY_AGAIN_NANOS
        {
            self.open(&mut looks, wanted);
        }
        heard
    }

    /// Names of the microphones there are.
    #[must_use]
    pub fn microphones(&self) -> Vec<String> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.time.boot_nanos();
        if looks.names_at_nanos.is_none_or(|at| now > at + NAMES_EVERY_NANOS) {
            looks.names_at_nanos = Some(now);
            let shared = self.looks.clone();
            // A sound server that hangs must not hold up the page.
            spawn(move || {
                let names = microphones();
                shared.lock().unwrap_or_else(PoisonError::into_inner).names = names;
            });
        }
        looks.names.clone()
    }

    /// Lets go of the microphone and the displays: a recording opens its own.
    pub fn close(&self) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).close();
        *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn open(&self, looks: &mut Looks, wanted: Wanted) {
        looks.close();
        let (stop, heard) = (Stop::default(), Arc::new(Mutex::new(Hearing::Opening)));
        looks.ear = Some(Ear {
            wanted: wanted.clone(),
            stop: stop.clone(),
            heard: heard.clone(),
            started_nanos: self.time.boot_nanos(),
        });
        let (time, shared) = (self.time.clone(), self.looks.clone());
        spawn(move || {
            let say = |hearing| *heard.lock().unwrap_or_else(PoisonError::into_inner) = hearing;
            if let Err(error) = listen(time, &wanted, &stop, &heard, &shared) {
                say(Hearing::Missing(error.to_string()));
            }
        });
    }
}

impl Looks {
    fn close(&mut self) {
        if let Some(ear) = self.ear.take() {
            ear.stop.stop();
        }
    }
}

impl Ear {
    fn heard(&self) -> std::sync::MutexGuard<'_, Hearing> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until told to stop, or nobody looks any more.
fn listen(
    time: SharedTime,
    wanted: &Wanted,
    stop: &Stop,
    heard: &Mutex<Hearing>,
    looks: &Mutex<Looks>,
) -> Result<(), SourceError> {
    let mut microphone = Microphone::open(time.clone(), wanted.name.as_deref(), wanted.rate_hz)?;
    let device = microphone.device();
    let mut sink = |AudioEvent::Samples { samples, .. }: AudioEvent<'_>| {
        let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        let level = 20.0 * (f32::from(loudest).max(0.5) / 32_768.0).log10();
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &*heard {
            Hearing::Live { peak_dbfs, .. } => *peak_dbfs,
            _ => None,
        };
        let peak_dbfs = Some(before.map_or(level, |before| before.max(level)));
        *heard = Hearing::Live { device: device.clone(), peak_dbfs };
        drop(heard);
        let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
        if time.boot_nanos() > looks.last_look_nanos + CLOSE_AFTER_NANOS && !stop.is_stopped() {
            looks.close();
        }
    };
    microphone.run(&mut sink, stop)
}
