//! What the system lets this program record, and how a person gives leave for the rest.
//!
//! Without leave a system does not refuse: it gives pictures of the bare desktop, no input, and silence. So leave is asked for
//! before, and what would be worthless is not recorded.

use std::sync::Once;

use super::here;

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

/// Whether the system allows something; the error says where to allow it.
pub(crate) fn allowed(needed_for: NeededFor) -> Result<(), String> {
    static ASKED: Once = Once::new();
    check(&permissions(), needed_for).inspect_err(|_| {
        if needed_for == NeededFor::Desktop {
            // Shows the person the system's own question, which it answers with its settings.
            ASKED.call_once(here::ask_for_desktop);
        }
    })
}

fn check(permissions: &[Permission], needed_for: NeededFor) -> Result<(), String> {
    let withheld = |each: &&Permission| each.needed_for == needed_for && each.is_given == Some(false);
    let ways: Vec<_> = permissions.iter().filter(withheld).map(|each| each.way).collect();
    if ways.is_empty() { Ok(()) } else { Err(ways.join("; ")) }
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
        let refused = check(&permissions, NeededFor::Desktop);
        assert_eq!(refused, Err("allow the screen; allow the keys".into()));
        // The system itself asks when it is used.
        assert_eq!(check(&permissions, NeededFor::Microphone), Ok(()));
        assert_eq!(check(&permissions[2..], NeededFor::Desktop), Ok(()));
    }
}
