//! The stage's pictures.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::{GeometryMessage, Rect};

use super::Canvas;
use crate::sources::own::{cover, outermost};
use crate::sources::{ScreenSource, SourceError, Wake};

/// Records the stage's displays.
pub struct Screen {
    canvas: Arc<(Mutex<Canvas>, Condvar)>,
    grabbed: Vec<Vec<u8>>,
    masks: Vec<Rect>,
}

impl Screen {
    pub(super) fn new(canvas: Arc<(Mutex<Canvas>, Condvar)>) -> Self {
        Self { canvas, grabbed: Vec::new(), masks: Vec::new() }
    }

    fn canvas(&self) -> Result<MutexGuard<'_, Canvas>, SourceError> {
        let canvas = self.canvas.0.lock().unwrap_or_else(PoisonError::into_inner);
        if canvas.is_lost { Err(SourceError::Lost("the stage is gone".into())) } else { Ok(canvas) }
    }
}

impl ScreenSource for Screen {
    fn backend(&self) -> Backend {
        let tracks = vec!["screen".into(), "geometry".into()];
        Backend { tracks, name: "synthetic".into(), cannot: Vec::new() }
    }

    fn geometry(&mut self) -> Result<GeometryMessage, SourceError> {
        let mut canvas = self.canvas()?;
        canvas.is_geometry_changed = false;
        Ok(canvas.geometry.clone())
    }

    fn wait(&mut self, timeout: Duration) -> Result<Wake, SourceError> {
        let is_quiet =
            |canvas: &mut Canvas| canvas.damage.is_empty() && !canvas.is_geometry_changed && !canvas.is_lost;
        let waited = self.canvas.1.wait_timeout_while(self.canvas()?, timeout, is_quiet);
        drop(waited);
        let canvas = self.canvas()?;
        Ok(match (canvas.is_geometry_changed, canvas.damage.is_empty()) {
            (true, _) => Wake::GeometryChanged,
            (false, false) => Wake::Damaged,
            (false, true) => Wake::Quiet,
        })
    }

    fn take_damage(&mut self) -> Result<Vec<Rect>, SourceError> {
        Ok(std::mem::take(&mut self.canvas()?.damage))
    }

    fn is_damaged(&mut self) -> Result<bool, SourceError> {
        Ok(!self.canvas()?.damage.is_empty())
    }

    fn grab(&mut self, rects: &[Rect]) -> Result<(), SourceError> {
        let canvas = self.canvas()?;
        let masks = outermost(canvas.own.clone());
        let grabbed = rects.iter().map(|rect| canvas.grab(*rect, &masks)).collect::<Result<_, _>>()?;
        drop(canvas);
        (self.grabbed, self.masks) = (grabbed, masks);
        Ok(())
    }

    fn pixels(&self, at: usize) -> &[u8] {
        &self.grabbed[at]
    }

    fn masks(&self) -> &[Rect] {
        &self.masks
    }

    fn ping(&mut self) -> Result<(), SourceError> {
        self.canvas().map(drop)
    }
}

impl Canvas {
    /// The pixels of a rectangle, with what is masked covered.
    fn grab(&self, rect: Rect, masks: &[Rect]) -> Result<Vec<u8>, SourceError> {
        let (width, height) = (self.geometry.root_width_px, self.geometry.root_height_px);
        let is_inside = rect.x_px >= 0
            && rect.y_px >= 0
            && rect.x_px as u32 + rect.width_px <= width
            && rect.y_px as u32 + rect.height_px <= height;
        if !is_inside {
            return Err(SourceError::Lost("the rectangle is no longer on the stage".into()));
        }
        let mut grabbed = Vec::with_capacity((rect.width_px * rect.height_px * 4) as usize);
        for y in rect.y_px as u32..rect.y_px as u32 + rect.height_px {
            let start = ((y * width + rect.x_px as u32) * 4) as usize;
            grabbed.extend_from_slice(&self.pixels[start..start + (rect.width_px * 4) as usize]);
        }
        cover(&mut grabbed, rect, masks);
        Ok(grabbed)
    }
}
