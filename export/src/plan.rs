//! Which pictures belong to an action: what the expert saw before it, and what came of it. Nothing is read here.
//!
//! The picture before an action is one that was there a guard's time before its start, never a later one: no trace of the action
//! can be in it. For an action of the pointer it is the earliest since the pointer began to move there (and since the action
//! before had ended) that is still like the picture half a second before the action, so that what the way of the pointer lights
//! up is not in it. The picture after an action is the first that stays for a while, if it comes soon and before the next action.

use praxis_actions::{Action, Kind};
use praxis_bundle::messages::Rect;
use serde::Serialize;

use crate::survey::{Change, Session};
use crate::transcript::Span;

const MILLI: u64 = 1_000_000;
/// The picture before an action is at least so much older than it.
pub const GUARD_NANOS: u64 = 50 * MILLI;
/// What the pictures on the pointer's way are compared with is so much older than the action.
pub const REFERENCE_NANOS: u64 = 500 * MILLI;
/// Pictures are alike if no more than this share of their pixels may differ.
pub const LIKE_SHARE: f32 = 0.01;
/// The screen is still when nothing has changed for so long.
pub const STILL_NANOS: u64 = 300 * MILLI;
/// An action's outcome is waited for no longer.
pub const MAX_AFTER_NANOS: u64 = 3000 * MILLI;

/// Why a picture before an action is the one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The last one before the guard.
    Guard,
    /// The earliest on the pointer's way that is like the one half a second before.
    BeforeMove,
}

/// The picture before an action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Before {
    /// Its number among all picture messages of the file.
    pub number: u64,
    /// When it was there.
    pub captured_nanos: u64,
    /// The moment it was chosen for: it was shown then.
    pub at_nanos: u64,
    /// Why.
    pub policy: Policy,
    /// Share of its pixels that are surely those of the picture it was compared with.
    pub similarity: f32,
    /// The action before ended later: what came of that may not be seen yet.
    pub is_stale: bool,
}

/// The picture after an action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct After {
    /// Its number among all picture messages of the file.
    pub number: u64,
    /// When it was there.
    pub captured_nanos: u64,
    /// The moment it was chosen for: it was shown then.
    pub at_nanos: u64,
    /// Whether the screen was still then.
    pub is_still: bool,
}

/// An action with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its position, from 0.
    pub index: u64,
    /// What was done.
    pub action: Action,
    /// The display it is seen on.
    pub display: u8,
    /// Where that was at the time, in root pixels; `None` if nothing says so.
    pub screen: Option<Rect>,
    /// What was seen; `None` if there was no picture or it is lost.
    pub before: Option<Before>,
    /// What came of it; `None` if it is not known.
    pub after: Option<After>,
    /// What was said since the action before had ended, until this one had.
    pub narration: Vec<Span>,
}

/// The steps of a session. `said` is what was said, in order: as a transcript has it, or when somebody spoke.
#[must_use]
pub fn plan(session: &Session, said: &[Span]) -> Vec<Step> {
    let none = Vec::new();
    let actions = &session.answer.actions;
    let mut steps: Vec<Step> = Vec::with_capacity(actions.len());
    let (mut ended_nanos, mut next_said) = (0u64, 0);
    for (at, action) in actions.iter().enumerate() {
        let display = session.display_of(action);
        let changes = session.changes.get(&display).unwrap_or(&none);
        let next_nanos = actions.get(at + 1).map_or(session.duration_nanos, |next| next.start_nanos);
        let is_last = at + 1 == actions.len();
        // What is said belongs to the first action that ends after it was begun.
        let until = said[next_said..].partition_point(|span| is_last || span.start_nanos <= action.end_nanos);
        let narration = said[next_said..next_said + until].to_vec();
        next_said += until;
        steps.push(Step {
            index: at as u64,
            action: action.clone(),
            display,
            screen: session.screen(display, action.start_nanos),
            before: before(action, ended_nanos, changes),
            after: after(action, next_nanos, changes),
            narration,
        });
        ended_nanos = ended_nanos.max(action.end_nanos);
    }
    steps
}

/// The picture before an action; `ended_nanos` is when everything before it had ended.
fn before(action: &Action, ended_nanos: u64, changes: &[Change]) -> Option<Before> {
    let limit_nanos = action.start_nanos.checked_sub(GUARD_NANOS)?;
    let (mut at_nanos, mut policy, mut similarity) = (limit_nanos, Policy::Guard, 1.0);
    let reference_nanos = action.start_nanos.saturating_sub(REFERENCE_NANOS);
    let moved =
        action.moved_nanos.map(|moved| moved.max(ended_nanos)).filter(|from| *from <= reference_nanos);
    if let Some(from_nanos) = moved {
        let mut share = 0.0;
        let last = shown_at(changes, reference_nanos)?;
        (at_nanos, policy) = (reference_nanos, Policy::BeforeMove);
        // Backwards, change by change, until too much may differ.
        for change in changes[..=last].iter().rev() {
            if change.number.is_none() {
                break;
            }
            at_nanos = change.nanos.max(from_nanos);
            if change.nanos <= from_nanos || share + change.share > LIKE_SHARE {
                break;
            }
            share += change.share;
        }
        similarity = 1.0 - share;
    }
    let seen = changes[shown_at(changes, at_nanos)?];
    let is_stale = ended_nanos > at_nanos;
    let number = seen.number?;
    Some(Before { number, captured_nanos: seen.nanos, at_nanos, policy, similarity, is_stale })
}

/// The picture after an action; `next_nanos` is when the next one begins.
fn after(action: &Action, next_nanos: u64, changes: &[Change]) -> Option<After> {
    let until_nanos = next_nanos.min(action.end_nanos + MAX_AFTER_NANOS).max(action.end_nanos);
    let first = changes.partition_point(|change| change.nanos <= action.end_nanos);
    let mut since_nanos = action.end_nanos;
    for change in &changes[first..] {
        if change.nanos > until_nanos || change.nanos - since_nanos >= STILL_NANOS {
            break;
        }
        since_nanos = change.nanos;
    }
    let is_still = since_nanos + STILL_NANOS <= until_nanos;
    let at_nanos = (since_nanos + STILL_NANOS).min(until_nanos);
    let seen = changes[shown_at(changes, at_nanos)?];
    Some(After { number: seen.number?, captured_nanos: seen.nanos, at_nanos, is_still })
}

/// Which change made what was shown at a time.
fn shown_at(changes: &[Change], nanos: u64) -> Option<usize> {
    changes.partition_point(|change| change.nanos <= nanos).checked_sub(1)
}

impl Step {
    /// Whether the action has a place on the screen.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.action.x_px.is_some() && !matches!(self.action.kind, Kind::Wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes(list: &[(u64, f32)]) -> Vec<Change> {
        let change = |((millis, share), number): (&(u64, f32), u64)| Change {
            nanos: millis * MILLI,
            number: Some(number),
            share: *share,
        };
        list.iter().zip(0..).map(change).collect()
    }

    fn click(millis: u64, moved_millis: Option<u64>) -> Action {
        let mut action = Action::at(Kind::Click, millis * MILLI, None);
        action.end_nanos += 100 * MILLI;
        action.moved_nanos = moved_millis.map(|moved| moved * MILLI);
        action
    }

    fn chosen(action: &Action, ended_millis: u64, list: &[(u64, f32)]) -> (u64, Policy, bool) {
        let before = before(action, ended_millis * MILLI, &changes(list)).unwrap();
        (before.number, before.policy, before.is_stale)
    }

    #[test]
    fn the_picture_before_is_older_than_the_guard() {
        let list = [(0, 1.0), (900, 0.5), (960, 0.5), (1000, 0.5)];
        assert_eq!(chosen(&click(1000, None), 0, &list), (1, Policy::Guard, false));
        assert_eq!(chosen(&click(1010, None), 970, &list), (2, Policy::Guard, true));
        assert_eq!(before(&click(40, None), 0, &changes(&list)), None);
    }

    #[test]
    fn what_the_way_of_the_pointer_lights_up_is_not_in_it() {
        // The pointer moves from 1.0 s on; something small lights up at 1.2 s, a menu opens at 1.9 s.
        let list = [(0, 1.0), (1200, 0.004), (1900, 0.2)];
        assert_eq!(chosen(&click(2000, Some(1000)), 0, &list), (0, Policy::BeforeMove, false));
        // Half a second before, the screen was another one already: that one counts.
        let list = [(0, 1.0), (1100, 0.3), (1300, 0.004)];
        assert_eq!(chosen(&click(2000, Some(1000)), 0, &list), (1, Policy::BeforeMove, false));
        // The action before ended on the way: nothing from before its end.
        let list = [(0, 1.0), (1200, 0.004)];
        assert_eq!(chosen(&click(2000, Some(1000)), 1250, &list), (1, Policy::BeforeMove, false));
    }

    #[test]
    fn the_picture_after_is_the_first_that_stays() {
        let list = changes(&[(0, 1.0), (1200, 0.1), (1350, 0.1), (1900, 0.1), (2000, 0.1)]);
        let found = |next_millis: u64| {
            let after = after(&click(1000, None), next_millis * MILLI, &list).unwrap();
            (after.number, after.at_nanos / MILLI, after.is_still)
        };
        assert_eq!(found(9000), (2, 1650, true));
        assert_eq!(found(1500), (2, 1500, false));
        // The next one begins before this one ends.
        assert_eq!(found(1050), (0, 1100, false));
    }

    #[test]
    fn what_is_lost_is_no_picture() {
        let mut list = changes(&[(0, 1.0), (500, 0.1), (800, 0.1)]);
        list[1].number = None;
        assert_eq!(before(&click(700, None), 0, &list), None);
        assert_eq!(before(&click(900, None), 0, &list).unwrap().number, 2);
        assert_eq!(before(&click(1400, Some(100)), 0, &list).unwrap().number, 2);
    }

    proptest! {
        #[test]
        fn no_picture_before_is_younger_than_the_guard_and_none_after_older_than_the_end(
            times in proptest::collection::vec((0..4000u64, 0..100u32), 1..60),
            start in 0..4000u64, moved in proptest::option::of(0..4000u64), ended in 0..4000u64, next in 0..4000u64,
        ) {
            let mut list: Vec<(u64, f32)> = times.iter().map(|(at, share)| (*at, *share as f32 / 1000.0)).collect();
            list.sort_by_key(|(at, _)| *at);
            let list = changes(&list);
            let action = click(start, moved.filter(|moved| *moved < start));
            if let Some(found) = before(&action, ended.min(start) * MILLI, &list) {
                prop_assert!(found.at_nanos + GUARD_NANOS <= action.start_nanos);
                prop_assert!(found.captured_nanos <= found.at_nanos);
                prop_assert!(found.similarity >= 1.0 - LIKE_SHARE);
                let is_next = list.get(found.number as usize + 1).is_none_or(|next| next.nanos > found.at_nanos);
                prop_assert!(is_next);
            }
            if let Some(found) = after(&action, next * MILLI, &list) {
                prop_assert!(found.at_nanos >= action.end_nanos);
                prop_assert!(found.at_nanos <= (next * MILLI).max(action.end_nanos));
                prop_assert!(found.at_nanos <= action.end_nanos + MAX_AFTER_NANOS);
            }
        }
    }
}
