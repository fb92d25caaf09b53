//! The list of losses in a recovery record: each is named, but a file damaged everywhere does not make it endless.

use crate::limits::{MAX_NAMED, OUT_OF_ORDER_NANOS};
use crate::manifest::{DamagedRange, PictureGap};

/// Since when pictures of a display may be missing if the newest was taken at `picture_nanos` and what follows the
/// message of `newest_nanos`, of any track, cannot be read.
pub(crate) fn uncertain_since(picture_nanos: u64, newest_nanos: u64) -> u64 {
    picture_nanos.saturating_add(1).max(newest_nanos.saturating_sub(OUT_OF_ORDER_NANOS))
}

/// Adds a damage; when the list is full, the last one covers it too.
pub(super) fn add_damage(list: &mut Vec<DamagedRange>, damage: DamagedRange) {
    let is_full = list.len() >= MAX_NAMED;
    match list.last_mut() {
        Some(last) if is_full => {
            last.start_byte = last.start_byte.min(damage.start_byte);
            last.end_byte = last.end_byte.max(damage.end_byte);
            last.after_nanos = last.after_nanos.min(damage.after_nanos);
            last.before_nanos = later(last.before_nanos, damage.before_nanos);
            last.why = "one of many damaged stretches; this one covers all that follow".into();
        }
        _ => list.push(damage),
    }
}

/// Adds a picture gap; one that it touches, or the last one of that display when the list is full, covers it too.
pub(super) fn add_gap(list: &mut Vec<PictureGap>, gap: PictureGap) {
    let is_full = list.len() >= MAX_NAMED;
    let touches = |known: &PictureGap| {
        known.after_nanos <= gap.before_nanos.unwrap_or(u64::MAX)
            && gap.after_nanos <= known.before_nanos.unwrap_or(u64::MAX)
    };
    let mut known = list.iter_mut().rev().filter(|known| known.track == gap.track);
    match known.find(|known| is_full || touches(known)) {
        Some(last) => {
            last.after_nanos = last.after_nanos.min(gap.after_nanos);
            last.before_nanos = later(last.before_nanos, gap.before_nanos);
        }
        None => list.push(gap),
    }
}

/// The later of two ends, of which none is the latest.
fn later(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.max(other))
}
