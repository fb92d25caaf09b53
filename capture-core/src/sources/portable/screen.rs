//! Pictures by `scrap`: it gives whole displays and announces nothing, so they are compared here.
//!
//! `scrap` goes on giving the last picture when its display is gone or has another size. So native code is asked after each
//! picture, and one that was taken of other displays than are known counts as none.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{sleep, spawn};
use std::time::Duration;

use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::{Display, GeometryMessage, Rect};
use scrap::Capturer;

use super::Beside;
use crate::clock::SharedTime;
use crate::sources::{ScreenSource, SourceError, Wake, native};

/// How often the displays are compared while something waits for a change.
const COMPARE_EVERY: Duration = Duration::from_millis(40);
/// Displays that change while they are opened are opened again so often, with such a rest.
const MAX_TRIES: usize = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Longest to wait for the first picture of a display.
const FIRST_WITHIN: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
const PIXEL_BYTES: usize = 4;

/// The displays of this desktop.
pub struct Screen {
    time: SharedTime,
    beside: Option<Box<dyn Beside>>,
    camera: Camera,
    /// The displays in the order in which `scrap` lists them.
    geometry: GeometryMessage,
    is_geometry_changed: bool,
    /// The newest picture of each display.
    newest: Vec<Vec<u8>>,
    /// The pictures when damage was last taken.
    taken: Vec<Vec<u8>>,
    /// What was last grabbed.
    grabbed: Vec<Vec<u8>>,
}

impl Screen {
    /// Opens the displays of this desktop; without native code beside it the main one.
    ///
    /// # Errors
    /// `Unavailable` if there is none, or `scrap` finds others than the system lists.
    pub fn open(time: SharedTime, beside: Option<Box<dyn Beside>>) -> Result<Self, SourceError> {
        let camera = Camera::start(time.clone(), beside.is_some());
        let geometry =
            GeometryMessage { root_width_px: 0, root_height_px: 0, displays: Vec::new(), masks: Vec::new() };
        let (newest, taken, grabbed) = (Vec::new(), Vec::new(), Vec::new());
        let mut screen =
            Self { time, beside, camera, geometry, is_geometry_changed: true, newest, taken, grabbed };
        screen.open_displays().map_err(|error| SourceError::Unavailable(error.to_string()))?;
        Ok(screen)
    }

    /// The displays as the system lists them; what `scrap` says itself where there is no native code.
    fn listed(&mut self, sizes: &[(usize, usize)]) -> Result<GeometryMessage, SourceError> {
        match &mut self.beside {
            Some(beside) => beside.displays(),
            None => Ok(main_display(sizes)),
        }
    }

    fn open_displays(&mut self) -> Result<(), SourceError> {
        for _ in 0..MAX_TRIES {
            let sizes = self.camera.open()?;
            let geometry = self.listed(&sizes)?;
            let listed = geometry
                .displays
                .iter()
                .map(|Display { rect, .. }| (rect.width_px as usize, rect.height_px as usize));
            let is_same = listed.eq(sizes.iter().copied());
            if is_same {
                self.newest =
                    sizes.iter().map(|(width, height)| vec![0; width * height * PIXEL_BYTES]).collect();
                (self.geometry, self.is_geometry_changed) = (geometry, false);
                self.refresh()?;
            }
            if is_same && !self.is_geometry_changed {
                self.taken.clone_from(&self.newest);
                return Ok(());
            }
            sleep(BETWEEN_TRIES);
        }
        Err(SourceError::Lost(
            "scrap finds other displays than the system lists: record with --screen x11".into(),
        ))
    }

    /// Takes a new picture of each display.
    fn refresh(&mut self) -> Result<(), SourceError> {
        self.newest = self.camera.take(std::mem::take(&mut self.newest))?;
        if let Some(beside) = &mut self.beside {
            self.is_geometry_changed |= beside.displays()? != self.geometry;
        }
        Ok(())
    }

    fn is_changed(&self) -> bool {
        self.newest != self.taken
    }
}

/// The one display that is known without native code.
fn main_display(sizes: &[(usize, usize)]) -> GeometryMessage {
    let (width, height) = sizes.first().copied().unwrap_or_default();
    let (width_px, height_px) = (width as u32, height as u32);
    let display = Display {
        number: 0,
        name: "main".into(),
        rect: Rect { x_px: 0, y_px: 0, width_px, height_px },
        width_mm: 0,
        height_mm: 0,
        scale: 1.0,
        is_primary: true,
        is_recorded: true,
    };
    GeometryMessage {
        root_width_px: width_px,
        root_height_px: height_px,
        displays: vec![display],
        masks: Vec::new(),
    }
}

impl ScreenSource for Screen {
    fn backend(&self) -> Backend {
        let mut cannot = vec![
            "which parts of a picture changed: whole displays are compared, 25 times a second".to_owned(),
            "several displays at one moment: they are taken one after the other".to_owned(),
        ];
        if self.beside.is_none() {
            cannot.push(
                "displays other than the main one, their scale, and whether the display is still there"
                    .into(),
            );
            cannot.push("Praxis's own windows are not covered".into());
        }
        cannot.extend(native::SCRAP_CANNOT.map(str::to_owned));
        Backend { tracks: vec!["screen".into(), "geometry".into()], name: "scrap".into(), cannot }
    }

    fn geometry(&mut self) -> Result<GeometryMessage, SourceError> {
        if self.beside.is_some() && self.listed(&[])? != self.geometry {
            self.is_geometry_changed = true;
        }
        if self.is_geometry_changed {
            self.open_displays()?;
        }
        let mut geometry = self.geometry.clone();
        geometry.displays.sort_by_key(|display| display.number);
        Ok(geometry)
    }

    fn wait(&mut self, timeout: Duration) -> Result<Wake, SourceError> {
        let until = self.time.boot_nanos() + timeout.as_nanos() as u64;
        loop {
            self.refresh()?;
            match Duration::from_nanos(until.saturating_sub(self.time.boot_nanos())) {
                _ if self.is_geometry_changed => return Ok(Wake::GeometryChanged),
                _ if self.is_changed() => return Ok(Wake::Damaged),
                Duration::ZERO => return Ok(Wake::Quiet),
                left => sleep(left.min(COMPARE_EVERY)),
            }
        }
    }

    fn take_damage(&mut self) -> Result<Vec<Rect>, SourceError> {
        let displays = self.geometry.displays.iter().map(|display| display.rect);
        let pictures = self.newest.iter().zip(&self.taken);
        let damage =
            displays.zip(pictures).filter_map(|(rect, (newest, taken))| changed(rect, newest, taken));
        let damage = damage.collect();
        self.taken.clone_from(&self.newest);
        Ok(damage)
    }

    fn is_damaged(&mut self) -> Result<bool, SourceError> {
        Ok(self.is_changed())
    }

    fn grab(&mut self, rects: &[Rect]) -> Result<(), SourceError> {
        self.refresh()?;
        if self.is_geometry_changed {
            return Err(SourceError::Lost("the displays have changed".into()));
        }
        self.grabbed.clear();
        for rect in rects {
            let is_inside = |display: &&Display| rect.clip(display.rect) == *rect;
            let found = self.geometry.displays.iter().position(|display| is_inside(&display));
            let at = found.ok_or_else(|| SourceError::Lost("the rectangle is on no display".into()))?;
            self.grabbed.push(cut(&self.newest[at], self.geometry.displays[at].rect, *rect));
        }
        Ok(())
    }

    fn pixels(&self, at: usize) -> &[u8] {
        &self.grabbed[at]
    }

    fn masks(&self) -> &[Rect] {
        &[]
    }

    fn ping(&mut self) -> Result<(), SourceError> {
        self.beside.as_mut().map_or(Ok(()), |beside| beside.displays().map(drop))
    }
}

/// The smallest rectangle of a display with all that differs between two of its pictures.
fn changed(display: Rect, newest: &[u8], taken: &[u8]) -> Option<Rect> {
    let row_bytes = display.width_px as usize * PIXEL_BYTES;
    let rows = newest.chunks_exact(row_bytes).zip(taken.chunks_exact(row_bytes));
    let (mut top, mut bottom, mut left, mut right) = (None, 0, row_bytes, 0);
    for (y, (new, old)) in rows.enumerate().filter(|(_, (new, old))| new != old) {
        let differs = |(_, (new, old)): &(usize, (&u8, &u8))| new != old;
        let mut bytes = new.iter().zip(old).enumerate();
        left = left.min(bytes.find(differs).map_or(row_bytes, |(at, _)| at));
        right = right.max(new.iter().zip(old).enumerate().rfind(differs).map_or(0, |(at, _)| at));
        top.get_or_insert(y);
        bottom = y;
    }
    let (top, left, right) = (top?, left / PIXEL_BYTES, right / PIXEL_BYTES);
    Some(Rect {
        x_px: display.x_px + left as i32,
        y_px: display.y_px + top as i32,
        width_px: (right - left + 1) as u32,
        height_px: (bottom - top + 1) as u32,
    })
}

/// The pixels of a rectangle inside a display.
fn cut(picture: &[u8], display: Rect, rect: Rect) -> Vec<u8> {
    let row_bytes = display.width_px as usize * PIXEL_BYTES;
    let (left, top) = ((rect.x_px - display.x_px) as usize, (rect.y_px - display.y_px) as usize);
    let rows = picture.chunks_exact(row_bytes).skip(top).take(rect.height_px as usize);
    let columns = left * PIXEL_BYTES..(left + rect.width_px as usize) * PIXEL_BYTES;
    rows.flat_map(|row| &row[columns.clone()]).copied().collect()
}

/// A thread that takes the pictures: `scrap` is bound to the one that it was opened on.
struct Camera {
    orders: Sender<Order>,
    sizes: Receiver<Result<Vec<(usize, usize)>, String>>,
    pictures: Receiver<Result<Vec<Vec<u8>>, String>>,
}

enum Order {
    /// Opens the displays anew.
    Open,
    /// Writes a picture of each display into these, or leaves them where nothing has changed.
    Take(Vec<Vec<u8>>),
}

impl Camera {
    /// A camera for all displays, or for the main one. It ends when it is dropped.
    fn start(time: SharedTime, has_all: bool) -> Self {
        let (orders, received) = channel();
        let (to_sizes, sizes) = channel();
        let (to_pictures, pictures) = channel();
        spawn(move || {
            let mut lenses = Vec::new();
            for order in received {
                // Whoever gave the order waits for the answer, or is gone.
                match order {
                    Order::Open => {
                        lenses.clear();
                        let opened = open(has_all).map(|opened| lenses = opened);
                        let size = |lens: &Lens| (lens.capturer.width(), lens.capturer.height());
                        drop(to_sizes.send(opened.map(|()| lenses.iter().map(size).collect())));
                    }
                    Order::Take(pictures) => drop(to_pictures.send(take(&time, &mut lenses, pictures))),
                }
            }
        });
        Self { orders, sizes, pictures }
    }

    fn open(&self) -> Result<Vec<(usize, usize)>, SourceError> {
        self.ask(Order::Open, &self.sizes)
    }

    fn take(&self, pictures: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, SourceError> {
        self.ask(Order::Take(pictures), &self.pictures)
    }

    fn ask<T>(&self, order: Order, answers: &Receiver<Result<T, String>>) -> Result<T, SourceError> {
        let gone = || SourceError::Lost("the thread that takes pictures failed".into());
        self.orders.send(order).map_err(|_| gone())?;
        answers.recv().map_err(|_| gone())?.map_err(SourceError::Lost)
    }
}

/// What takes the pictures of one display.
struct Lens {
    capturer: Capturer,
    has_picture: bool,
}

fn open(has_all: bool) -> Result<Vec<Lens>, String> {
    let cannot = |error: std::io::Error| format!("the screen cannot be captured ({error})");
    let displays = match has_all {
        true => scrap::Display::all(),
        false => scrap::Display::primary().map(|display| vec![display]),
    };
    let lens = |display| Ok(Lens { capturer: Capturer::new(display).map_err(cannot)?, has_picture: false });
    displays.map_err(cannot)?.into_iter().map(lens).collect()
}

fn take(time: &SharedTime, lenses: &mut [Lens], mut pictures: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
    for (Lens { capturer, has_picture }, picture) in lenses.iter_mut().zip(&mut pictures) {
        let (width, height) = (capturer.width(), capturer.height());
        let until = time.boot_nanos() + FIRST_WITHIN.as_nanos() as u64;
        loop {
            match capturer.frame() {
                Ok(frame) => {
                    // Rows may be filled up at their ends.
                    let rows = frame.chunks_exact((frame.len() / height.max(1)).max(1));
                    let to = picture.chunks_exact_mut((width * PIXEL_BYTES).max(1));
                    to.zip(rows).for_each(|(to, row)| to.copy_from_slice(&row[..width * PIXEL_BYTES]));
                    *has_picture = true;
                    break;
                }
                // Nothing has changed; the very first picture may take a moment.
                Err(error) if error.kind() == ErrorKind::WouldBlock && *has_picture => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock && time.boot_nanos() < until => {
                    sleep(BETWEEN_LOOKS);
                }
                Err(error) => return Err(format!("the screen cannot be captured any more ({error})")),
            }
        }
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_inside_the_smallest_rectangle() {
        let display = Rect { x_px: 100, y_px: 50, width_px: 6, height_px: 5 };
        let old = vec![7; 6 * 5 * PIXEL_BYTES];
        assert_eq!(changed(display, &old, &old), None);
        let mut new = old.clone();
        for (x, y, byte) in [(2, 1, 3), (4, 3, 0), (1, 2, 2)] {
            new[(y * 6 + x) * PIXEL_BYTES + byte] = 9;
        }
        let rect = Rect { x_px: 101, y_px: 51, width_px: 4, height_px: 3 };
        assert_eq!(changed(display, &new, &old), Some(rect));
        let part = cut(&new, display, rect);
        assert_eq!(part.len(), 4 * 3 * PIXEL_BYTES);
        assert_eq!((part[PIXEL_BYTES + 3], part[4 * PIXEL_BYTES + 2]), (9, 9));
    }
}
