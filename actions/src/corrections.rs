//! What a person has put right in a list of actions: some deleted, some merged, some named anew. The bundle stays as it is.

use serde::{Deserialize, Serialize};

use crate::{Action, Answer, Kind};

/// Changes to the actions of one bundle, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrections {
    /// Which rules made the actions that were corrected: others number them otherwise.
    pub reducer_version: u32,
    /// What was changed.
    pub changes: Vec<Change>,
}

/// One change. Actions are named by their `id`, which they keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// It was none, or is not wanted.
    Delete {
        /// Which.
        id: u64,
    },
    /// They are one action of one kind: the first of them goes on until the end of the last.
    Merge {
        /// Neighbours, in their order.
        ids: Vec<u64>,
    },
    /// It is called otherwise.
    Relabel {
        /// Which.
        id: u64,
        /// What a person calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// Type: what was there in the end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
}

/// Why corrections do not fit the actions they are for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionError {
    /// They are for other rules.
    #[error(
        "the corrections are for actions of reducer version {found}, these are of {expected}: correct them anew"
    )]
    OtherVersion {
        /// Version of the corrections.
        found: u32,
        /// Version of the actions.
        expected: u32,
    },
    /// There is no such action, or a change before has taken it away.
    #[error("correction {number}: there is no action {id}")]
    NoAction {
        /// Which change, from 1.
        number: usize,
        /// Which action.
        id: u64,
    },
    /// A merge of what is not one.
    #[error("correction {number}: {why}")]
    Impossible {
        /// Which change, from 1.
        number: usize,
        /// What does not go together.
        why: &'static str,
    },
}

impl Corrections {
    /// Makes the changes. After an error the answer is as it was.
    ///
    /// # Errors
    /// The first change that does not fit.
    pub fn apply(&self, answer: &mut Answer) -> Result<(), CorrectionError> {
        let (found, expected) = (self.reducer_version, answer.reducer_version);
        if found != expected {
            return Err(CorrectionError::OtherVersion { found, expected });
        }
        let mut actions = answer.actions.clone();
        for (change, number) in self.changes.iter().zip(1..) {
            let place = |actions: &[Action], id: u64| {
                let found = actions.iter().position(|action| action.id == id);
                found.ok_or(CorrectionError::NoAction { number, id })
            };
            match change {
                Change::Delete { id } => {
                    let at = place(&actions, *id)?;
                    actions.remove(at);
                }
                Change::Merge { ids } => {
                    let [first, others @ ..] = &ids[..] else { continue };
                    let at = place(&actions, *first)?;
                    for id in others {
                        if place(&actions, *id)? != at + 1 {
                            let why = "only actions that follow one another can be merged";
                            return Err(CorrectionError::Impossible { number, why });
                        }
                        let next = actions.remove(at + 1);
                        merge(&mut actions[at], next)
                            .map_err(|why| CorrectionError::Impossible { number, why })?;
                    }
                }
                Change::Relabel { id, label, text } => {
                    let at = place(&actions, *id)?;
                    let action = &mut actions[at];
                    if text.is_some() && action.kind != Kind::Type {
                        let why = "only an action that types has a text";
                        return Err(CorrectionError::Impossible { number, why });
                    }
                    action.label = label.clone().or(action.label.take());
                    action.text = text.clone().or(action.text.take());
                }
            }
        }
        answer.actions = actions;
        Ok(())
    }
}

/// Lets an action go on with the one after it.
fn merge(action: &mut Action, next: Action) -> Result<(), &'static str> {
    let is_same = action.kind == next.kind
        && action.button == next.button
        && action.modifiers == next.modifiers
        && action.keys == next.keys;
    if !is_same {
        return Err("only actions of one kind, with the same button, keys and modifiers, can be merged");
    }
    let add = |one: Option<u64>, other: Option<u64>| one.zip(other).map(|(one, other)| one + other);
    let ticks = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one + other);
    if action.kind == Kind::Click {
        let clicks = action.clicks.unwrap_or(1) + next.clicks.unwrap_or(1);
        if clicks > 3 {
            return Err("more than three clicks are not one action");
        }
        action.clicks = Some(clicks);
    }
    action.end_nanos = action.end_nanos.max(next.end_nanos);
    (action.dx_ticks, action.dy_ticks) =
        (ticks(action.dx_ticks, next.dx_ticks), ticks(action.dy_ticks, next.dy_ticks));
    if let (Some(text), Some(more)) = (&mut action.text, next.text) {
        text.push_str(&more);
    }
    if let (Some(path), Some(more)) = (&mut action.path, next.path) {
        path.extend(more);
    }
    action.keystrokes = add(action.keystrokes, next.keystrokes);
    action.corrections = add(action.corrections, next.corrections);
    action.count = add(action.count, next.count);
    action.is_thinking |= next.is_thinking;
    action.is_truncated |= next.is_truncated;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LeftOut, Parameters};

    fn answer() -> Answer {
        let text = |text: &str, nanos| {
            let mut action = Action::at(Kind::Type, nanos, None);
            action.text = Some(text.into());
            (action.keystrokes, action.corrections) = (Some(2), Some(0));
            action
        };
        let mut actions =
            vec![text("ab", 0), text("cd", 10), Action::at(Kind::Wait, 20, None), text("ef", 30)];
        actions.iter_mut().zip(0..).for_each(|(action, id)| action.id = id);
        let (parameters, left_out) = (Parameters::default(), LeftOut::default());
        Answer { reducer_version: 7, parameters, actions, left_out }
    }

    fn corrected(json: &str) -> Result<Answer, CorrectionError> {
        let changes: Vec<Change> = serde_json::from_str(json).unwrap();
        let mut answer = answer();
        let before = answer.clone();
        let result = Corrections { reducer_version: 7, changes }.apply(&mut answer);
        if result.is_err() {
            assert_eq!(answer, before);
        }
        result.map(|()| answer)
    }

    #[test]
    fn what_is_deleted_lets_its_neighbours_be_merged_and_ids_stay() {
        let json = r#"[{"change": "merge", "ids": [0, 1]}, {"change": "delete", "id": 2}, {"change": "merge", "ids": [0, 3]},
            {"change": "relabel", "id": 0, "label": "write the name", "text": "Abcdef"}]"#;
        let [action] = &corrected(json).unwrap().actions[..] else { panic!() };
        assert_eq!((action.id, action.start_nanos, action.end_nanos), (0, 0, 30));
        assert_eq!((action.text.as_deref(), action.keystrokes), (Some("Abcdef"), Some(6)));
        assert_eq!(action.label.as_deref(), Some("write the name"));
    }

    #[test]
    fn what_does_not_fit_is_named_and_changes_nothing() {
        let no_action = |number, id| Err(CorrectionError::NoAction { number, id });
        assert_eq!(
            corrected(r#"[{"change": "delete", "id": 1}, {"change": "delete", "id": 1}]"#),
            no_action(2, 1)
        );
        for (json, said) in [
            (r#"[{"change": "merge", "ids": [0, 3]}]"#, "follow one another"),
            (r#"[{"change": "merge", "ids": [1, 2]}]"#, "of one kind"),
            (r#"[{"change": "relabel", "id": 2, "text": "x"}]"#, "has a text"),
        ] {
            assert!(corrected(json).unwrap_err().to_string().contains(said), "{json}");
        }
        let other = Corrections { reducer_version: 6, changes: Vec::new() }.apply(&mut answer());
        assert_eq!(other, Err(CorrectionError::OtherVersion { found: 6, expected: 7 }));
    }
}
