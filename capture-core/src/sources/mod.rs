//! What produces one track's samples on this machine: four traits, one folder per backend below.
//!
//! Sources know nothing of bundles, sessions or pauses: they hand samples, stamped with the boot clock, to a sink and
//! return when told to stop. Everything that backends share (pacing, pictures to messages, gaps, life) lives in
//! `recorder`. What a system does not have is left out here and in [`native`], and nowhere else by `cfg`.

pub mod audio;
pub mod native;
mod own;
pub mod portable;
pub mod synthetic;
#[cfg(target_os = "linux")]
pub mod x11;

pub use own::{Hotkey, HotkeyError, Own};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use praxis_bundle::manifest::{Backend, Keyboard, PointerSettings};
use praxis_bundle::messages::{
    ClipboardMessage, ClockMessage, CursorMessage, Element, ElementAbsence, GeometryMessage, KeyMessage,
    PointerMessage, Rect, WindowsMessage,
};

/// Longest a source may take to notice that it should stop.
pub const STOP_WITHIN: Duration = Duration::from_millis(250);

/// Why a source does not deliver. The variants say what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is not there: the sentence says what the person can do.
    #[error("{0}")]
    Unavailable(String),
    /// It was there and is gone: the session goes on with a gap.
    #[error("{0}")]
    Lost(String),
}

/// Which of several takes the pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScreenBackend {
    /// The system's own interfaces, where there is code for them.
    #[default]
    Native,
    /// The library `scrap`.
    Scrap,
}

/// Which of several hears pointer and keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InputBackend {
    /// The system's own interfaces, where there is code for them.
    #[default]
    Native,
    /// The library `rdev`.
    Rdev,
}

/// Tells sources to stop. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks every holder to stop.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why [`ScreenSource::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Nothing happened until the timeout.
    Quiet,
    /// Pixels changed.
    Damaged,
    /// Displays were added, removed, moved or resized.
    GeometryChanged,
}

/// The pictures of the displays. Used by one thread.
pub trait ScreenSource: Send {
    /// Its name and what it cannot give.
    fn backend(&self) -> Backend;

    /// The displays as they are now. `number`s are stable while the source lives: a display keeps its number when
    /// others come and go. `is_recorded` is true for all; the recorder narrows it.
    ///
    /// # Errors
    /// `Lost` if the display server is gone.
    fn geometry(&mut self) -> Result<GeometryMessage, SourceError>;

    /// Waits until something changes, at most `timeout`. Returns at once while there is damage that
    /// [`Self::take_damage`] has not taken.
    ///
    /// # Errors
    /// `Lost` if the display server is gone.
    fn wait(&mut self, timeout: Duration) -> Result<Wake, SourceError>;

    /// Takes the damage since the last call, as rectangles in root pixels. A backend without damage notices returns
    /// the whole root.
    ///
    /// # Errors
    /// `Lost` if the display server is gone.
    fn take_damage(&mut self) -> Result<Vec<Rect>, SourceError>;

    /// Whether damage was announced, up to the end of the last [`Self::grab`], that was not taken yet. A grab
    /// for which this is false shows every change up to its moment inside the damage taken before it.
    ///
    /// # Errors
    /// `Lost` if the display server is gone.
    fn is_damaged(&mut self) -> Result<bool, SourceError>;

    /// Snapshots of rectangles that do not overlap, in root pixels and inside the root window. Each is taken by the
    /// display server in one piece; that all are of one moment is certain if [`Self::is_damaged`] says no afterwards.
    ///
    /// # Errors
    /// `Lost` if the display server is gone or a rectangle is no longer on the screen.
    fn grab(&mut self, rects: &[Rect]) -> Result<(), SourceError>;

    /// The pixels of one rectangle of the last [`Self::grab`]: BGRX, 4 bytes per pixel, top row first, no padding
    /// between rows.
    fn pixels(&self, at: usize) -> &[u8];

    /// The rectangles of the whole root that belonged to the recorder at the moment of the last [`Self::grab`], and
    /// shortly before it: what of them is in its pixels is covered with [`praxis_bundle::screen::MASK_BGR`], and
    /// nothing else is. In root pixels; may reach beyond the root. Where they change, damage is announced.
    fn masks(&self) -> &[Rect];

    /// Asks for proof of life: returns after the display server answered.
    ///
    /// # Errors
    /// `Lost` if it is gone.
    fn ping(&mut self) -> Result<(), SourceError>;
}

/// What an [`InputSource`] hands over. Times are of the boot clock in nanoseconds, and per kind never decrease.
#[derive(Debug, Clone, PartialEq)]
pub enum InputEvent {
    /// Where the pointer is before the first event: a move without a stamp of the source.
    Place(u64, PointerMessage),
    /// A pointer event; `display` is left null, the recorder fills it in.
    Pointer(u64, PointerMessage),
    /// A key event.
    Key(u64, KeyMessage),
    /// The pointer looks like this from now on.
    Cursor(u64, CursorMessage),
    /// Something was copied.
    Clipboard(u64, ClipboardMessage),
    /// Source clock and boot clock read together, about once a second.
    Clock(u64, ClockMessage),
    /// Proof of life: the source knows that it has seen all input so far. The first one says that nothing which
    /// happens from then on is missed.
    Alive,
}

/// Pointer, keys, the shape of the pointer and what is copied; its backend names which of these tracks it feeds.
pub trait InputSource: Send {
    /// Its name and what it cannot give.
    fn backend(&self) -> Backend;

    /// Keyboard layouts and click settings for the manifest.
    fn settings(&self) -> (Keyboard, PointerSettings);

    /// Delivers events until `stop` (noticed within [`STOP_WITHIN`]) or failure. Events that happened before the
    /// stop are still delivered.
    ///
    /// # Errors
    /// `Lost` if the source is gone.
    fn run(&mut self, sink: &(dyn Fn(InputEvent) + Sync), stop: &Stop) -> Result<(), SourceError>;
}

/// What an [`AudioSource`] hands over.
#[derive(Debug, PartialEq)]
pub enum AudioEvent<'a> {
    /// A run of mono samples.
    Samples {
        /// Index of the first one, counted from the source's first sample. A hole in the count means samples were
        /// lost before they reached us.
        position: u64,
        /// The samples.
        samples: &'a [i16],
        /// Boot clock when the first one was recorded, as well as the device can tell (callback time less latency).
        recorded_at_nanos: u64,
    },
}

/// The voice. Mono, 16 bit; several channels are averaged by the source.
pub trait AudioSource: Send {
    /// Its name and what it cannot give.
    fn backend(&self) -> Backend;

    /// Name of the device for the manifest: no user name, no path.
    fn device(&self) -> String;

    /// Samples per second.
    fn rate_hz(&self) -> u32;

    /// Delivers samples until `stop` (noticed within [`STOP_WITHIN`]), failure, or the end of a file (`Ok`).
    ///
    /// # Errors
    /// `Lost` if the device is gone.
    fn run(&mut self, sink: &mut dyn FnMut(AudioEvent<'_>), stop: &Stop) -> Result<(), SourceError>;

    /// Opens a device that was lost once more, with the same rate; positions begin anew. It may be another one only if
    /// none was named. Returns early, with any error, when `stop` says so.
    ///
    /// # Errors
    /// `Unavailable` while it is not there: it can be tried again. `Lost` if it never comes back.
    fn reopen(&mut self, stop: &Stop) -> Result<(), SourceError> {
        let _ = stop;
        Err(SourceError::Lost("it cannot be opened again".into()))
    }
}

/// Something to measure with: a window that changes its colour while a key is pressed.
pub trait Flash {
    /// The code of the key.
    fn keycode(&self) -> u32;

    /// Changes the colour, presses the key and releases it, all at once.
    ///
    /// # Errors
    /// `Lost` if the display server is gone.
    fn flash(&mut self) -> Result<(), SourceError>;
}

/// What a [`WindowSource`] hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowEvent {
    /// From this moment of the boot clock on these windows are active and shown, with these titles and places.
    Changed(u64, WindowsMessage),
    /// Proof of life.
    Alive,
}

/// The windows.
pub trait WindowSource: Send {
    /// Its name and what it cannot give.
    fn backend(&self) -> Backend;

    /// Delivers the windows at once and after every change, by event and never by polling, until `stop`
    /// (noticed within [`STOP_WITHIN`]) or failure.
    ///
    /// # Errors
    /// `Lost` if the source is gone.
    fn run(&mut self, sink: &(dyn Fn(WindowEvent) + Sync), stop: &Stop) -> Result<(), SourceError>;
}

/// What is on the screen at a place, as programs tell assistive technology.
pub trait ElementSource: Send {
    /// Its name and what it cannot give. Without tracks it is never asked.
    fn backend(&self) -> Backend;

    /// What is at a place of the root window. Where it is known which window was there when it was pressed, by its id on
    /// `windows`, no other one counts. `give_up` is asked again and again, and ends the search when it says why.
    ///
    /// # Errors
    /// Why it is not known.
    fn at(
        &mut self,
        x_px: i32,
        y_px: i32,
        window: Option<u64>,
        give_up: &dyn Fn() -> Option<ElementAbsence>,
    ) -> Result<Element, ElementAbsence>;

    /// Asks for proof of life: returns after whoever answers for all programs has answered.
    ///
    /// # Errors
    /// `Lost` if it is gone.
    fn ping(&mut self) -> Result<(), SourceError>;
}
