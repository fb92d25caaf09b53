//! One byte-bounded queue per track between the sources and the writer.
//!
//! A full queue refuses and counts: memory stays bounded and the loss is known. The pause gate is here, too: a sample
//! that was taken during a gap is refused, however late it arrives, so nothing of a pause is ever written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_bundle::messages::Life;
use praxis_bundle::{Channel, Track};
use serde::Serialize;

/// Bytes that may wait on a screen track: several keyframes of a large display.
const SCREEN_QUEUE_BYTES: usize = 64 << 20;
/// Bytes that may wait on any other track.
const QUEUE_BYTES: usize = 4 << 20;
/// A source without proof of life for so long is lost.
pub const LIFE_NANOS: u64 = 3_000_000_000;

/// A message on its way to the writer.
#[derive(Debug)]
pub struct Waiting {
    /// Where it goes.
    pub channel: Channel,
    /// Session time.
    pub nanos: u64,
    /// Payload.
    pub data: Vec<u8>,
}

/// What is known of a track's queue and source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrackState {
    /// Session time of the newest message.
    pub newest_nanos: Option<u64>,
    /// Messages accepted.
    pub messages: u64,
    /// Samples lost under load.
    pub drops: u64,
    /// Bytes waiting.
    pub queue_bytes: usize,
    /// Session time of the last proof of life.
    pub alive_nanos: u64,
    /// False once the source has ended or failed.
    pub has_source: bool,
}

impl TrackState {
    /// Life at a session time.
    #[must_use]
    pub fn life(&self, now_nanos: u64, is_paused: bool) -> Life {
        match () {
            () if !self.has_source || is_paused => Life::Unknown,
            () if now_nanos.saturating_sub(self.alive_nanos) > LIFE_NANOS => Life::Lost,
            () => Life::Alive,
        }
    }
}

#[derive(Default)]
struct Inner {
    queues: BTreeMap<Track, (VecDeque<Waiting>, TrackState)>,
    /// The pauses of the last seconds, by start and end; only the last may have no end.
    pauses: Vec<(u64, Option<u64>)>,
    is_urgent: bool,
}

impl Inner {
    fn is_in_pause(&self, nanos: u64, guard_nanos: u64) -> bool {
        let covers = |(start, end): &(u64, Option<u64>)| {
            nanos + guard_nanos >= *start && end.is_none_or(|end| nanos < end + guard_nanos)
        };
        self.pauses.iter().any(covers)
    }
}

/// The queues of a session. Clones are the same queues.
#[derive(Clone, Default)]
pub struct Queues {
    inner: Arc<(Mutex<Inner>, Condvar)>,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A source that panicked leaves its queue as it was; the others go on.
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a track whose source is alive from `now_nanos` on.
    pub fn open(&self, track: Track, now_nanos: u64) {
        let mut inner = self.lock();
        let state = &mut inner.queues.entry(track).or_default().1;
        (state.has_source, state.alive_nanos) = (true, now_nanos);
    }

    /// Notes that a track's source has ended or failed.
    pub fn close(&self, track: Track) {
        self.lock().queues.entry(track).or_default().1.has_source = false;
    }

    /// Hands a message over. False if it was refused: taken during a pause, or the queue is full (then it is counted).
    pub fn send(&self, channel: Channel, nanos: u64, data: Vec<u8>) -> bool {
        let track = channel.track;
        let mut inner = self.lock();
        // The voice is cut by its feed, sample by sample; the others say nothing about what the expert does.
        let is_gated = !matches!(
            track,
            Track::Narration | Track::Sound | Track::Markers | Track::Geometry | Track::Clock | Track::Health
        );
        if is_gated && inner.is_in_pause(nanos, 0) {
            return false;
        }
        let (queue, state) = inner.queues.entry(track).or_default();
        if !queue.is_empty() && state.queue_bytes + data.len() > limit(track) {
            state.drops += 1;
            return false;
        }
        // Within a track time never goes back; clock pairs keep theirs, which come from several sources.
        let nanos =
            if track == Track::Clock { nanos } else { nanos.max(state.newest_nanos.unwrap_or_default()) };
        state.newest_nanos = Some(nanos);
        state.alive_nanos = state.alive_nanos.max(nanos);
        state.messages += 1;
        state.queue_bytes += data.len();
        tracing::trace!(%track, session_time_nanos = nanos, "accepted");
        queue.push_back(Waiting { channel, nanos, data });
        if state.queue_bytes > limit(track) / 4 {
            inner.is_urgent = true;
            self.inner.1.notify_all();
        }
        true
    }

    /// Hands a JSON message over.
    pub fn send_json(&self, track: Track, nanos: u64, message: &impl Serialize) -> bool {
        // Our message types always serialise: they hold no maps and no non-finite floats.
        serde_json::to_vec(message).is_ok_and(|data| self.send(track.channel(), nanos, data))
    }

    /// Whether a large message would be accepted now.
    #[must_use]
    pub fn has_room(&self, track: Track) -> bool {
        self.lock().queues.get(&track).is_none_or(|(_, state)| state.queue_bytes < limit(track) / 2)
    }

    /// Counts samples that were lost before they became messages.
    pub fn count_drops(&self, track: Track, count: u64) {
        self.lock().queues.entry(track).or_default().1.drops += count;
    }

    /// Notes proof of life.
    pub fn alive(&self, track: Track, now_nanos: u64) {
        let mut inner = self.lock();
        let state = &mut inner.queues.entry(track).or_default().1;
        state.alive_nanos = state.alive_nanos.max(now_nanos);
    }

    /// From `nanos` on nothing is accepted.
    pub fn pause(&self, nanos: u64) {
        let mut inner = self.lock();
        // Nothing is under way for as long as this.
        inner.pauses.retain(|(_, end)| end.is_some_and(|end| end + 10_000_000_000 > nanos));
        inner.pauses.push((nanos, None));
    }

    /// From `nanos` on everything is accepted again.
    pub fn resume(&self, nanos: u64) {
        let mut inner = self.lock();
        if let Some((_, end)) = inner.pauses.last_mut() {
            *end = Some(nanos);
        }
        for (_, state) in inner.queues.values_mut() {
            state.alive_nanos = state.alive_nanos.max(nanos);
        }
    }

    /// The machine has slept until now: whoever gave no proof of life meanwhile could not.
    pub fn woke(&self, nanos: u64) {
        for (_, state) in self.lock().queues.values_mut() {
            state.alive_nanos = state.alive_nanos.max(nanos);
        }
    }

    /// Whether the session is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.lock().pauses.last().is_some_and(|(_, end)| end.is_none())
    }

    /// Whether a sample of that time was taken during a pause, or within `guard_nanos` of one.
    #[must_use]
    pub fn is_in_pause(&self, nanos: u64, guard_nanos: u64) -> bool {
        self.lock().is_in_pause(nanos, guard_nanos)
    }

    /// Waits until `timeout` is over, or a queue fills up, or someone calls [`Self::wake`].
    pub fn wait(&self, timeout: Duration) {
        let mut inner = self.lock();
        if !inner.is_urgent {
            let waited = self.inner.1.wait_timeout_while(inner, timeout, |inner| !inner.is_urgent);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.is_urgent = false;
    }

    /// Ends a [`Self::wait`] early.
    pub fn wake(&self) {
        self.lock().is_urgent = true;
        self.inner.1.notify_all();
    }

    /// Takes everything that waits, track by track.
    #[must_use]
    pub fn drain(&self) -> Vec<Waiting> {
        let mut inner = self.lock();
        let mut all = Vec::new();
        for (queue, state) in inner.queues.values_mut() {
            all.extend(queue.drain(..));
            state.queue_bytes = 0;
        }
        all
    }

    /// The state of every track.
    #[must_use]
    pub fn states(&self) -> Vec<(Track, TrackState)> {
        self.lock().queues.iter().map(|(track, (_, state))| (*track, *state)).collect()
    }
}

fn limit(track: Track) -> usize {
    if matches!(track, Track::Screen(_)) { SCREEN_QUEUE_BYTES } else { QUEUE_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_during_a_pause_is_refused_however_late_it_comes() {
        let queues = Queues::default();
        let keys = Track::Keys.channel();
        queues.pause(100);
        assert!(queues.send(keys, 99, vec![1]), "taken before the pause");
        assert!(!queues.send(keys, 100, vec![2]));
        queues.resume(200);
        assert!(!queues.send(keys, 150, vec![3]), "taken during the pause, delivered after");
        assert!(queues.send(keys, 200, vec![4]));
        let data: Vec<_> = queues.drain().into_iter().map(|waiting| (waiting.nanos, waiting.data)).collect();
        assert_eq!(data, [(99, vec![1]), (200, vec![4])]);
    }

    #[test]
    fn a_full_queue_refuses_and_counts_and_takes_again_when_drained() {
        let queues = Queues::default();
        let narration = Track::Narration.channel();
        let num_accepted = (0..10).filter(|n| queues.send(narration, *n, vec![0; 1 << 20])).count();
        assert_eq!(num_accepted, 4);
        assert_eq!(queues.states()[0].1.drops, 6);
        assert_eq!(queues.drain().len(), 4);
        assert!(queues.send(narration, 11, vec![0; 1 << 20]));
    }

    #[test]
    fn life_is_lost_three_seconds_after_the_last_proof() {
        let queues = Queues::default();
        queues.open(Track::Pointer, 0);
        let life = |now| queues.states()[0].1.life(now, false);
        assert_eq!(life(LIFE_NANOS), Life::Alive);
        assert_eq!(life(LIFE_NANOS + 1), Life::Lost);
        queues.alive(Track::Pointer, LIFE_NANOS);
        assert_eq!(life(LIFE_NANOS + 1), Life::Alive);
        queues.close(Track::Pointer);
        assert_eq!(queues.states()[0].1.life(u64::MAX, false), Life::Unknown);
    }
}
