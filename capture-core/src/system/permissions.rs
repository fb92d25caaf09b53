//! What the system lets this program record, and how a person gives leave for the rest.
//!
//! Without leave a system does not refuse: it gives pictures of the bare desktop, no input, and silence. So leave is asked for
//! before, and what would be worthless is not recorded.

use std::sync::Once;

use super::here;
use crate::sources::SourceError;

/// Leave that a system gives or withholds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// As the settings of the system call it.
    pub name: &'static str,
    /// What cannot be recorded without it.
    pub needed_for: NeededFor,
    /// Whether it is given; none if the system asks when it is used for the first time.
    pub is_given: Option<bool>,
    /// What happens without it, and where it is given.
    pub way: &'static str,
}

/// What a [`Permission`] is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededFor {
    /// Screen, pointer and keys.
    Desktop,
    /// The narration.
    Microphone,
    /// Nothing that is recorded on this system.
    Nothing,
}

/// Each that this system has, as it is now. On Linux with X11 there are none: who has the display may record it.
#[must_use]
pub fn permissions() -> Vec<Permission> {
    here::permissions()
}

/// Refuses what the system does not allow.
pub(crate) fn refuse_without(needed_for: NeededFor) -> Result<(), SourceError> {
    static ASKED: Once = Once::new();
    refuse(&permissions(), needed_for).inspect_err(|_| {
        if needed_for == NeededFor::Desktop {
            // Shows the person the system's own question, which it answers with its settings.
            ASKED.call_once(here::ask_for_desktop);
        }
    })
}

fn refuse(permissions: &[Permission], needed_for: NeededFor) -> Result<(), SourceError> {
    let withheld = |each: &&Permission| each.needed_for == needed_for && each.is_given == Some(false);
    let ways: Vec<_> = permissions.iter().filter(withheld).map(|each| each.way).collect();
    if ways.is_empty() { Ok(()) } else { Err(SourceError::Unavailable(ways.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_refused_with_every_way_to_give_it() {
        let permission = |way, needed_for, is_given| Permission { name: "leave", needed_for, is_given, way };
        let permissions = [
            permission("allow the screen", NeededFor::Desktop, Some(false)),
            permission("allow the keys", NeededFor::Desktop, Some(false)),
            permission("allow the mouse", NeededFor::Desktop, Some(true)),
            permission("allow the voice", NeededFor::Microphone, None),
            permission("allow control", NeededFor::Nothing, Some(false)),
        ];
        let refused = refuse(&permissions, NeededFor::Desktop).unwrap_err();
        assert_eq!(refused.to_string(), "allow the screen; allow the keys");
        // The system itself asks when it is used.
        assert!(refuse(&permissions, NeededFor::Microphone).is_ok());
        assert!(refuse(&permissions[2..], NeededFor::Desktop).is_ok());
    }
}
