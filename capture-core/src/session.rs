//! The states of a session and what may follow what.
//!
//! | state | `Start` | `Pause` | `Resume` | `Stop` | `Ended` | `Fail` |
//! |---|---|---|---|---|---|---|
//! | `Starting` | `Recording` | – | – | `Stopping` | – | `Failed` |
//! | `Recording` | – | `Paused` | – | `Stopping` | – | `Failed` |
//! | `Paused` | – | – | `Recording` | `Stopping` | – | `Failed` |
//! | `Stopping` | – | – | – | – | `Ended` | `Failed` |
//! | `Ended`, `Failed` | – | – | – | – | – | – |
//!
//! A dash is a refusal: nothing changes.

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Sources are being opened; nothing is recorded yet.
    Starting,
    /// Everything is recorded.
    Recording,
    /// Nothing is recorded, and a gap says so.
    Paused,
    /// Sources are ending; what they still hold is written.
    Stopping,
    /// The live file is complete.
    Ended,
    /// The writer failed; what was flushed is in the file.
    Failed,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// All sources are open.
    Start,
    /// The expert pauses.
    Pause,
    /// The expert goes on.
    Resume,
    /// The expert, a signal or a full disk ends it.
    Stop,
    /// The file is complete.
    Ended,
    /// The writer failed.
    Fail,
}

/// The state after an event, or `None` if the event is refused.
#[must_use]
pub fn transition(state: State, event: Event) -> Option<State> {
    match (state, event) {
        (State::Starting, Event::Start) | (State::Paused, Event::Resume) => Some(State::Recording),
        (State::Recording, Event::Pause) => Some(State::Paused),
        (State::Starting | State::Recording | State::Paused, Event::Stop) => Some(State::Stopping),
        (State::Stopping, Event::Ended) => Some(State::Ended),
        (State::Starting | State::Recording | State::Paused | State::Stopping, Event::Fail) => {
            Some(State::Failed)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_documentation_is_what_happens() {
        let states =
            [State::Starting, State::Recording, State::Paused, State::Stopping, State::Ended, State::Failed];
        let events = [Event::Start, Event::Pause, Event::Resume, Event::Stop, Event::Ended, Event::Fail];
        let table = include_str!("session.rs").lines().filter(|line| line.starts_with("//! | `"));
        let mut num_cells = 0;
        for row in table {
            let cells: Vec<&str> = row.trim_start_matches("//! |").split('|').map(str::trim).collect();
            for state in states.iter().filter(|state| cells[0].contains(&format!("`{state:?}`"))) {
                for (event, cell) in events.iter().zip(&cells[1..]) {
                    let found = transition(*state, *event).map_or("–".into(), |next| format!("`{next:?}`"));
                    assert_eq!(found, *cell, "{state:?} on {event:?}");
                    num_cells += 1;
                }
            }
        }
        assert_eq!(num_cells, states.len() * events.len());
    }
}
