//! A stage that a program plays on, with a source of each kind that records it: for tests without a desktop, and the
//! reference for what every backend has to do.
//!
//! What is played is stamped when it is played. A source of the stage can be lost, as a real one is when its server
//! dies. Nothing here is drawn or heard anywhere.

mod screen;
mod streams;

pub use screen::Screen;
pub use streams::{Audio, Elements, Input, Windows};

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use praxis_bundle::messages::{Display, Element, GeometryMessage, Rect, Window, WindowsMessage};

use super::{InputEvent, WindowEvent};
use crate::clock::SharedTime;

/// Samples per second of the stage's voice.
pub const RATE_HZ: u32 = 16_000;

/// The stage. Clones are the same stage.
#[derive(Clone)]
pub struct Stage {
    time: SharedTime,
    canvas: Arc<(Mutex<Canvas>, Condvar)>,
    input: Line<InputEvent>,
    voice: Line<(u64, Vec<i16>)>,
    windows: Line<WindowEvent>,
    elements: Arc<Mutex<Shown>>,
}

/// What the stage tells of what it shows.
#[derive(Default)]
struct Shown {
    /// Each above those before it.
    elements: Vec<Element>,
    /// Nobody gets an answer.
    is_hung: bool,
    is_lost: bool,
}

/// What the stage's displays show.
struct Canvas {
    geometry: GeometryMessage,
    /// The root window, BGRX.
    pixels: Vec<u8>,
    damage: Vec<Rect>,
    /// Where the recorder's own windows are.
    own: Vec<Rect>,
    is_geometry_changed: bool,
    is_lost: bool,
}

/// A line from the stage to one source; hung up when the source is to be lost.
struct Line<T>(Arc<Mutex<(Option<Sender<T>>, Option<Receiver<T>>)>>);

impl<T> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Line<T> {
    fn new() -> Self {
        let (sender, receiver) = channel();
        Self(Arc::new(Mutex::new((Some(sender), Some(receiver)))))
    }

    fn send(&self, item: T) {
        // Nobody may listen any more.
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ends.0.as_ref().map(|sender| sender.send(item));
    }

    fn hang_up(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    /// The receiving end, for the first that asks.
    fn take(&self) -> Option<Receiver<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.take()
    }
}

impl Stage {
    /// A black stage with displays of these sizes side by side.
    #[must_use]
    pub fn new(time: SharedTime, displays: &[(u32, u32)]) -> Self {
        let geometry = side_by_side(displays);
        let pixels = vec![0; (geometry.root_width_px * geometry.root_height_px * 4) as usize];
        let canvas = Canvas {
            geometry,
            pixels,
            damage: Vec::new(),
            own: Vec::new(),
            is_geometry_changed: false,
            is_lost: false,
        };
        Self {
            time,
            canvas: Arc::new((Mutex::new(canvas), Condvar::new())),
            input: Line::new(),
            voice: Line::new(),
            windows: Line::new(),
            elements: Arc::default(),
        }
    }

    /// The source of its pictures.
    #[must_use]
    pub fn screen(&self) -> Screen {
        Screen::new(self.canvas.clone())
    }

    /// The source of its input. There is one: a second one is lost from the start.
    #[must_use]
    pub fn input(&self) -> Input {
        Input::new(self.time.clone(), self.input.take())
    }

    /// The source of its voice, mono at [`RATE_HZ`]. There is one.
    #[must_use]
    pub fn audio(&self) -> Audio {
        Audio::new(self.voice.take())
    }

    /// The source of its windows. There is one.
    #[must_use]
    pub fn windows(&self) -> Windows {
        Windows::new(self.time.clone(), self.windows.take())
    }

    /// The source of what its elements are.
    #[must_use]
    pub fn elements(&self) -> Elements {
        Elements::new(self.elements.clone())
    }

    /// Something is shown above all others.
    pub fn show(&self, element: Element) {
        self.shown().elements.push(element);
    }

    /// Its programs hang from now on and answer nobody, or go on.
    pub fn hang(&self, is_hung: bool) {
        self.shown().is_hung = is_hung;
    }

    /// Paints a rectangle, in root pixels and inside the root, in one colour (B, G, R).
    pub fn paint(&self, rect: Rect, bgr: [u8; 3]) {
        self.paint_unannounced(rect, bgr);
        self.canvas().damage.push(rect);
        self.canvas.1.notify_all();
    }

    /// Paints as [`Self::paint`] does, and announces no damage.
    pub fn paint_unannounced(&self, rect: Rect, bgr: [u8; 3]) {
        let mut canvas = self.canvas();
        let width = canvas.geometry.root_width_px as usize;
        for y in 0..rect.height_px as usize {
            let start = ((rect.y_px as usize + y) * width + rect.x_px as usize) * 4;
            for pixel in canvas.pixels[start..start + rect.width_px as usize * 4].chunks_exact_mut(4) {
                pixel[..3].copy_from_slice(&bgr);
            }
        }
    }

    /// These places belong to the recorder from now on, and no others.
    pub fn own(&self, rects: &[Rect]) {
        let mut canvas = self.canvas();
        let before = std::mem::replace(&mut canvas.own, rects.to_vec());
        canvas.damage.extend(before.iter().chain(rects));
        self.canvas.1.notify_all();
    }

    /// Rearranges the displays; the new root is black.
    pub fn rearrange(&self, displays: &[(u32, u32)]) {
        let mut canvas = self.canvas();
        canvas.geometry = side_by_side(displays);
        canvas.pixels =
            vec![0; (canvas.geometry.root_width_px * canvas.geometry.root_height_px * 4) as usize];
        canvas.damage.clear();
        canvas.is_geometry_changed = true;
        self.canvas.1.notify_all();
    }

    /// Something is typed or pointed at; `event` makes it of the boot clock's now.
    pub fn act(&self, event: impl FnOnce(u64) -> InputEvent) {
        self.input.send(event(self.time.boot_nanos()));
    }

    /// Something is said: `samples` end now.
    pub fn say(&self, samples: Vec<i16>) {
        let length_nanos = samples.len() as u64 * 1_000_000_000 / u64::from(RATE_HZ);
        self.voice.send((self.time.boot_nanos().saturating_sub(length_nanos), samples));
    }

    /// A window becomes active, or none.
    pub fn activate(&self, window: Option<Window>) {
        let message = WindowsMessage { shown: window.iter().cloned().collect(), active: window };
        self.windows.send(WindowEvent::Changed(self.time.boot_nanos(), message));
    }

    /// All its sources are lost from now on.
    pub fn end(&self) {
        self.canvas().is_lost = true;
        self.canvas.1.notify_all();
        self.input.hang_up();
        self.voice.hang_up();
        self.windows.hang_up();
        self.shown().is_lost = true;
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.elements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn canvas(&self) -> MutexGuard<'_, Canvas> {
        self.canvas.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn side_by_side(sizes: &[(u32, u32)]) -> GeometryMessage {
    let mut displays = Vec::new();
    let (mut left, mut height) = (0, 0);
    for (n, (width_px, height_px)) in sizes.iter().copied().enumerate() {
        displays.push(Display {
            number: n as u8,
            name: format!("stage-{n}"),
            rect: Rect { x_px: left as i32, y_px: 0, width_px, height_px },
            width_mm: 0,
            height_mm: 0,
            scale: 1.0,
            is_primary: n == 0,
            is_recorded: true,
        });
        left += width_px;
        height = height_px.max(height);
    }
    GeometryMessage { root_width_px: left, root_height_px: height, displays, masks: Vec::new() }
}
