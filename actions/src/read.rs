//! The actions of a bundle: reads its input tracks, puts them in order of time, reduces them.

use std::collections::BTreeMap;
use std::path::Path;

use praxis_bundle::limits::OUT_OF_ORDER_NANOS;
use praxis_bundle::scan::{Bytes, Facts, Item, messages, scan};
use praxis_bundle::{Channel, Error, Result, Track, file};
use serde::de::DeserializeOwned;

use crate::{Action, Answer, Input, Parameters, REDUCER_VERSION, Reducer};

/// Most actions of a bundle: twelve in each second of eleven hours.
pub const MAX_ACTIONS: u64 = 500_000;
/// Most messages that wait for older ones; no person and no device gives so many in half a second.
const MAX_WAITING: usize = 100_000;

/// What reading has found.
#[derive(Debug)]
pub struct Reading {
    /// The actions.
    pub answer: Answer,
    /// Bytes of the file that cannot be read: what they held is missing.
    pub unreadable_bytes: u64,
}

/// The actions of a bundle file, whole, live or damaged.
///
/// # Errors
/// As [`actions_of`].
pub fn actions_of_file(path: &Path) -> Result<Reading> {
    actions_of(&file::open(path)?)
}

/// The actions of a bundle. Memory grows with the number of actions, not with the length of the file.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NewerFormat`, `NoManifest` or `Io`; `Json` if a message is not as its track's are; `TooLarge`
/// if there are more than [`MAX_ACTIONS`].
pub fn actions_of(source: &(impl Bytes + ?Sized)) -> Result<Reading> {
    let (mut facts, mut unreadable_bytes) = (Facts::default(), 0);
    let mut work = None;
    scan(source, |item| {
        facts.note(&item)?;
        if let Item::Damage { start, end, .. } = item {
            unreadable_bytes += end - start;
        }
        let Item::Chunk { records, .. } = item else { return Ok(()) };
        let manifest = facts.manifest()?;
        let work = work.get_or_insert_with(|| Work::new(Parameters::of(&manifest.pointer)));
        for (_, message) in messages(&records) {
            if let Some(channel) = Channel::from_id(message.channel) {
                let nanos = message.log_time.saturating_sub(manifest.epoch_wall_nanos);
                work.message(channel.track, nanos, message.data)?;
            }
        }
        Ok(())
    })?;
    let manifest = facts.manifest()?;
    let work = work.unwrap_or_else(|| Work::new(Parameters::of(&manifest.pointer)));
    let ended_nanos = facts.ending.as_ref().map_or(0, |ending| ending.session_time_nanos);
    Ok(Reading { answer: work.end(ended_nanos)?, unreadable_bytes })
}

/// Messages that wait for older ones, and what became of the others.
struct Work {
    parameters: Parameters,
    reducer: Reducer,
    actions: Vec<Action>,
    /// By time, then by place in the file.
    waiting: BTreeMap<(u64, u64), Input>,
    num_messages: u64,
    newest_nanos: u64,
}

impl Work {
    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            reducer: Reducer::new(parameters),
            actions: Vec::new(),
            waiting: BTreeMap::new(),
            num_messages: 0,
            newest_nanos: 0,
        }
    }

    fn message(&mut self, track: Track, nanos: u64, data: &[u8]) -> Result<()> {
        self.newest_nanos = self.newest_nanos.max(nanos);
        if let Some(input) = input_of(track, data)? {
            self.num_messages += 1;
            self.waiting.insert((nanos, self.num_messages), input);
        }
        let until = self.newest_nanos.saturating_sub(OUT_OF_ORDER_NANOS);
        while let Some(((nanos, _), _)) = self.waiting.first_key_value()
            && (*nanos < until || self.waiting.len() > MAX_WAITING)
        {
            self.reduce_first()?;
        }
        Ok(())
    }

    fn reduce_first(&mut self) -> Result<()> {
        if let Some(((nanos, _), input)) = self.waiting.pop_first() {
            self.reducer.push(nanos, &input, &mut self.actions);
        }
        let found = self.actions.len() as u64;
        if found > MAX_ACTIONS {
            return Err(Error::TooLarge { what: "actions", found, limit: MAX_ACTIONS });
        }
        Ok(())
    }

    fn end(mut self, ended_nanos: u64) -> Result<Answer> {
        while !self.waiting.is_empty() {
            self.reduce_first()?;
        }
        let mut actions = self.actions;
        let left_out = self.reducer.end(ended_nanos.max(self.newest_nanos), &mut actions);
        // A drag ends after what was done meanwhile. The sort is stable, so that the same input gives the same order.
        actions.sort_by_key(|action| action.start_nanos);
        actions.iter_mut().zip(0..).for_each(|(action, id)| action.id = id);
        Ok(Answer { reducer_version: REDUCER_VERSION, parameters: self.parameters, actions, left_out })
    }
}

/// What a message has to do with actions.
fn input_of(track: Track, data: &[u8]) -> Result<Option<Input>> {
    Ok(match track {
        Track::Pointer => Some(Input::Pointer(parse(track, data)?)),
        Track::Keys => Some(Input::Key(parse(track, data)?)),
        Track::Windows => Some(Input::window(parse(track, data)?)),
        Track::Markers => Input::marker(&parse(track, data)?),
        _ => None,
    })
}

fn parse<T: DeserializeOwned>(track: Track, data: &[u8]) -> Result<T> {
    serde_json::from_slice(data).map_err(|source| Error::Json { what: track.name(), source })
}
