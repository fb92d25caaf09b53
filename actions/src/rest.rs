//! What lies between deeds: the pointer rests on something that answers (a hover), or nothing is done for a while (a wait).

use std::collections::VecDeque;

use praxis_bundle::messages::{PointerMessage, Rect};
use praxis_bundle::narration;

use crate::names::modifier_names;
use crate::path::distance_px;
use crate::{Action, Kind, Parameters, PathPoint, WindowName};

/// Most bytes of narration that wait for a rest to turn out long enough: half a minute of 192 kHz.
const MAX_VOICE_BYTES: usize = 12 << 20;
const MILLI: u64 = 1_000_000;

/// How long nothing was done, and where the pointer is meanwhile.
#[derive(Debug)]
pub(crate) struct Rest {
    /// The last input, or the start; `None` while input is not recorded.
    since_nanos: Option<u64>,
    /// The window that was active then, if it is not any more.
    window: Option<Option<WindowName>>,
    /// Narration since then that nobody has listened to yet.
    voice: VecDeque<Vec<u8>>,
    voice_bytes: usize,
    is_thinking: bool,
    dwell: Option<Dwell>,
    /// A hover that is one unless a button is pressed soon.
    left: Option<Left>,
}

/// The pointer in one place.
#[derive(Debug)]
struct Dwell {
    action: Action,
    from: PathPoint,
    /// When something changed near by.
    changed_nanos: Option<u64>,
}

#[derive(Debug)]
struct Left {
    action: Action,
    nanos: u64,
}

impl Default for Rest {
    fn default() -> Self {
        let (voice, dwell) = (VecDeque::new(), None);
        Self {
            since_nanos: Some(0),
            window: None,
            voice,
            voice_bytes: 0,
            is_thinking: false,
            dwell,
            left: None,
        }
    }
}

impl Rest {
    /// Something was done: a rest ends.
    pub(crate) fn input(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        window: Option<&WindowName>,
        out: &mut Vec<Action>,
    ) {
        self.end(parameters, nanos, window, out);
        self.since_nanos = Some(nanos);
    }

    /// A button went down or the wheel turned: the pointer was where it was for that.
    pub(crate) fn use_pointer(&mut self) {
        (self.dwell, self.left) = (None, None);
    }

    /// The pointer moved with no button held.
    pub(crate) fn moved(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        message: &PointerMessage,
        window: Option<&WindowName>,
    ) {
        let at = PathPoint { nanos, x_px: message.x_px, y_px: message.y_px };
        let stays = |dwell: &Dwell| distance_px(dwell.from, at) <= parameters.hover_px.into();
        if self.dwell.as_ref().is_some_and(stays) {
            return;
        }
        self.leave(parameters, nanos);
        let mut action = Action::at(Kind::Hover, nanos, window.cloned());
        (action.display, action.x_px, action.y_px) = (message.display, Some(at.x_px), Some(at.y_px));
        action.modifiers = modifier_names(&message.modifiers);
        self.dwell = Some(Dwell { action, from: at, changed_nanos: None });
    }

    /// Something on the screen changed, in root pixels.
    pub(crate) fn changed(&mut self, parameters: &Parameters, nanos: u64, areas: &[Rect]) {
        let Some(dwell) = self.dwell.as_mut().filter(|dwell| dwell.changed_nanos.is_none()) else { return };
        let is_answer = nanos - dwell.from.nanos <= u64::from(parameters.hover_answer_millis) * MILLI;
        let side = parameters.hover_box_px;
        let (x_px, y_px) = (dwell.from.x_px, dwell.from.y_px);
        let (left, top) = (x_px.saturating_sub_unsigned(side / 2), y_px.saturating_sub_unsigned(side / 2));
        let near = Rect { x_px: left, y_px: top, width_px: side, height_px: side };
        if is_answer && areas.iter().any(|area| !area.clip(near).is_empty()) {
            dwell.changed_nanos = Some(nanos);
        }
    }

    /// Another window becomes active.
    pub(crate) fn window_changes(&mut self, before: Option<&WindowName>) {
        self.window.get_or_insert_with(|| before.cloned());
    }

    /// A block of narration, as it is in the bundle. It is decoded only if the rest turns out long enough.
    pub(crate) fn voice(&mut self, parameters: &Parameters, nanos: u64, block: &[u8]) {
        let Some(since) = self.since_nanos.filter(|_| !self.is_thinking) else { return };
        self.voice_bytes += block.len();
        self.voice.push_back(block.to_vec());
        while self.voice_bytes > MAX_VOICE_BYTES
            && let Some(oldest) = self.voice.pop_front()
        {
            self.voice_bytes -= oldest.len();
        }
        if nanos - since >= u64::from(parameters.wait_millis) * MILLI {
            self.listen(parameters);
        }
    }

    /// Gives out what is certain now.
    pub(crate) fn settle(&mut self, parameters: &Parameters, nanos: u64, out: &mut Vec<Action>) {
        let soon = u64::from(parameters.hover_press_millis) * MILLI;
        out.extend(self.left.take_if(|left| nanos - left.nanos > soon).map(|left| left.action));
    }

    /// Input is not recorded from here on.
    pub(crate) fn cut(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        window: Option<&WindowName>,
        out: &mut Vec<Action>,
    ) {
        self.end(parameters, nanos, window, out);
        self.leave(parameters, nanos);
        out.extend(self.left.take().map(|left| left.action));
        (self.since_nanos, self.dwell) = (None, None);
    }

    /// Input is recorded again.
    pub(crate) fn back(&mut self, nanos: u64) {
        self.since_nanos = Some(nanos);
    }

    fn end(
        &mut self,
        parameters: &Parameters,
        nanos: u64,
        window: Option<&WindowName>,
        out: &mut Vec<Action>,
    ) {
        let window_before = self.window.take();
        let since =
            self.since_nanos.filter(|since| nanos - since >= u64::from(parameters.wait_millis) * MILLI);
        if let Some(since) = since {
            self.listen(parameters);
            let window = window_before.unwrap_or_else(|| window.cloned());
            let mut action = Action::at(Kind::Wait, since, window);
            (action.end_nanos, action.is_thinking) = (nanos, self.is_thinking);
            out.push(action);
        }
        self.voice.clear();
        (self.voice_bytes, self.is_thinking) = (0, false);
    }

    fn listen(&mut self, parameters: &Parameters) {
        for block in std::mem::take(&mut self.voice) {
            self.is_thinking = self.is_thinking || is_voice(&block, parameters.voice_dbfs);
        }
        self.voice_bytes = 0;
    }

    /// The pointer goes elsewhere, or a key is pressed.
    pub(crate) fn leave(&mut self, parameters: &Parameters, nanos: u64) {
        let Some(Dwell { mut action, from, changed_nanos }) = self.dwell.take() else { return };
        let shortest = from.nanos + u64::from(parameters.hover_millis) * MILLI;
        if let Some(changed) = changed_nanos.filter(|_| nanos >= shortest) {
            action.end_nanos = changed.max(shortest);
            self.left = Some(Left { action, nanos });
        }
    }
}

/// Whether a tenth of a second of the block is as loud as somebody who speaks. What cannot be decoded is silent.
fn is_voice(block: &[u8], least_dbfs: i32) -> bool {
    let Ok(block) = narration::decode(block) else { return false };
    let tenth = (block.rate_hz / 10).max(1) as usize;
    block.samples.chunks(tenth).any(|samples| samples.len() * 2 > tenth && is_speech(samples, least_dbfs))
}

/// Whether samples are as loud as somebody who speaks: the root mean square of about a tenth of a second is at least so many
/// decibels below full scale.
#[must_use]
pub fn is_speech(samples: &[i16], least_dbfs: i32) -> bool {
    let least = 32_768.0 * 10f64.powf(f64::from(least_dbfs) / 20.0);
    let squares: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    !samples.is_empty() && squares >= least * least * samples.len() as f64
}
