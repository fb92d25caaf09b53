//! Goes through a bundle a second time and hands out its steps in order, each with its pictures and its voice.
//!
//! Pictures are decoded one after the other and coded by threads beside; those of the steps that are not complete yet are held,
//! coded, and no others.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use praxis_bundle::scan::{Facts, Item, messages, scan};
use praxis_bundle::screen::{Decoders, Picture};
use praxis_bundle::{Channel, Track, narration};

use crate::image::{Image, Options, code};
use crate::plan::Step;
use crate::{Error, Result, Session};

/// Longest stretch of voice of one step.
pub const MAX_VOICE_NANOS: u64 = 120_000_000_000;
/// Messages of another track may come later in the file by so much.
const LATE_NANOS: u64 = 2_000_000_000;
/// Pictures that wait to be coded.
const MAX_WAITING: usize = 2;

/// A step with what belongs to it.
#[derive(Debug)]
pub struct Whole<'a> {
    /// The step.
    pub step: &'a Step,
    /// The picture before, coded.
    pub before: Option<Arc<Image>>,
    /// The picture after, coded.
    pub after: Option<Arc<Image>>,
    /// What was said, if it was asked for and there is something.
    pub voice: Option<Voice>,
}

/// The voice of a step: from the start of the first of its spans to the end of the last, gaps as silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// Samples per second.
    pub rate_hz: u32,
    /// Session time of the first sample.
    pub start_nanos: u64,
    /// Mono, 16 bit.
    pub samples: Vec<i16>,
}

/// How steps are to be handed out.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How pictures are coded; `None` if they are not wanted.
    pub pictures: Option<Options>,
    /// Whether the voice is wanted.
    pub voice: bool,
    /// Threads that code pictures.
    pub threads: usize,
}

/// Hands out the steps of a session in order.
///
/// # Errors
/// As reading the bundle fails, or what `each` returns.
pub fn for_each_step(
    session: &Session,
    steps: &[Step],
    wanted: Wanted,
    mut each: impl FnMut(Whole<'_>) -> Result<()>,
) -> Result<()> {
    let source = session.open()?;
    std::thread::scope(|scope| {
        let (jobs, work) = sync_channel::<Job>(MAX_WAITING);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..wanted.threads.max(1) {
            let work = Arc::clone(&work);
            scope.spawn(move || code_pictures(&work, wanted.pictures.unwrap_or_default()));
        }
        let mut hall = Hall::new(session, steps, wanted, jobs);
        let (mut facts, mut number, mut failure) = (Facts::default(), 0u64, None);
        let scanned = scan(&source, |item| {
            facts.note(&item)?;
            let Item::Chunk { records, .. } = item else { return Ok(()) };
            let epoch = facts.manifest()?.epoch_wall_nanos;
            for (_, message) in messages(&records) {
                let Some(channel) = Channel::from_id(message.channel) else { continue };
                let nanos = message.log_time.saturating_sub(epoch);
                match channel.track {
                    Track::Screen(display) => {
                        hall.picture(display, message.sequence, number, message.data);
                        number += 1;
                    }
                    Track::Narration => hall.voice(nanos, message.data),
                    _ => continue,
                }
                if let Err(error) = hall.leave(nanos, &mut each) {
                    failure = Some(error);
                    return Err(praxis_bundle::Error::WriterFailed);
                }
            }
            Ok(())
        });
        match failure {
            Some(error) => Err(error),
            None => scanned.map_err(Error::from).and_then(|()| hall.leave(u64::MAX, &mut each)),
        }
    })
}

/// A picture to be coded, and who waits for it.
struct Job {
    picture: Picture,
    done: SyncSender<Result<Image>>,
}

fn code_pictures(work: &Mutex<Receiver<Job>>, options: Options) {
    loop {
        let job = work.lock().map(|work| work.recv());
        let Ok(Ok(Job { picture, done })) = job else { return };
        // Whoever waited may have failed meanwhile.
        let _ = done.send(code(&picture, options));
    }
}

/// A picture that steps wait for.
struct Hung {
    /// Steps that have not left yet.
    uses: u32,
    state: Option<Coded>,
}

enum Coded {
    OnTheWay(Receiver<Result<Image>>),
    Here(Arc<Image>),
    /// It cannot be decoded.
    Lost,
}

/// Where steps wait until they are whole.
struct Hall<'a> {
    steps: &'a [Step],
    wanted: Wanted,
    rate_hz: Option<u32>,
    jobs: SyncSender<Job>,
    decoders: Decoders,
    pictures: HashMap<u64, Hung>,
    /// The voices of the steps that have begun to be spoken.
    voices: BTreeMap<usize, Voice>,
    /// The first step that has not left.
    first: usize,
}

impl<'a> Hall<'a> {
    fn new(session: &Session, steps: &'a [Step], wanted: Wanted, jobs: SyncSender<Job>) -> Self {
        let mut pictures: HashMap<u64, Hung> = HashMap::new();
        if wanted.pictures.is_some() {
            for number in steps.iter().flat_map(numbers) {
                pictures.entry(number).or_insert(Hung { uses: 0, state: None }).uses += 1;
            }
        }
        let rate_hz = session.rate_hz.filter(|_| wanted.voice);
        let (decoders, voices) = (Decoders::default(), BTreeMap::new());
        Self { steps, wanted, rate_hz, jobs, decoders, pictures, voices, first: 0 }
    }

    fn picture(&mut self, display: u8, sequence: u32, number: u64, data: &[u8]) {
        if self.wanted.pictures.is_none() {
            return;
        }
        let decoded = self.decoders.apply(display, sequence, data);
        let Some(hung) = self.pictures.get_mut(&number) else { return };
        hung.state = Some(match decoded {
            Ok(picture) => {
                let (done, here) = sync_channel(1);
                // It fails only after all threads have: then the step says so.
                let _ = self.jobs.send(Job { picture: picture.clone(), done });
                Coded::OnTheWay(here)
            }
            Err(_) => Coded::Lost,
        });
    }

    fn voice(&mut self, nanos: u64, data: &[u8]) {
        let Some(rate_hz) = self.rate_hz else { return };
        let Ok(block) = narration::decode(data) else { return };
        if block.rate_hz != rate_hz {
            return;
        }
        let end_nanos = nanos + nanos_of(block.samples.len() as u64, rate_hz);
        for (at, step) in self.steps.iter().enumerate().skip(self.first) {
            let Some((from, to)) = spoken(step) else { continue };
            if from >= end_nanos {
                break;
            }
            if to <= nanos {
                continue;
            }
            let voice =
                self.voices.entry(at).or_insert(Voice { rate_hz, start_nanos: from, samples: Vec::new() });
            let all = samples_in(to - from, rate_hz);
            voice.samples.resize(all, 0);
            // Where the block's first sample belongs.
            let (skip, place) = match nanos.checked_sub(from) {
                Some(later) => (0, samples_in(later, rate_hz)),
                None => (samples_in(from - nanos, rate_hz), 0),
            };
            let part = block.samples.get(skip..).unwrap_or_default();
            let len = part.len().min(all.saturating_sub(place));
            if len > 0 {
                voice.samples[place..place + len].copy_from_slice(&part[..len]);
            }
        }
    }

    /// Lets the steps leave that are whole by now.
    fn leave(&mut self, nanos: u64, each: &mut impl FnMut(Whole<'_>) -> Result<()>) -> Result<()> {
        while let Some(step) = self.steps.get(self.first) {
            let is_there = |number: u64| self.pictures.get(&number).is_none_or(|hung| hung.state.is_some());
            let is_whole = nanos > complete_nanos(step) + LATE_NANOS && numbers(step).all(is_there);
            if nanos != u64::MAX && !is_whole {
                break;
            }
            let before = self.take(step.before.map(|before| before.number))?;
            let after = self.take(step.after.map(|after| after.number))?;
            let voice = self.voices.remove(&self.first);
            self.first += 1;
            each(Whole { step, before, after, voice })?;
        }
        Ok(())
    }

    fn take(&mut self, number: Option<u64>) -> Result<Option<Arc<Image>>> {
        let Some((number, hung)) = number.and_then(|number| Some((number, self.pictures.get_mut(&number)?)))
        else {
            return Ok(None);
        };
        if let Some(Coded::OnTheWay(here)) = &hung.state {
            let stopped = |_| Error::coding("a picture")(&"its thread has stopped");
            hung.state = Some(Coded::Here(Arc::new(here.recv().map_err(stopped)??)));
        }
        let image = match &hung.state {
            Some(Coded::Here(image)) => Some(Arc::clone(image)),
            _ => None,
        };
        hung.uses -= 1;
        if hung.uses == 0 {
            self.pictures.remove(&number);
        }
        Ok(image)
    }
}

fn numbers(step: &Step) -> impl Iterator<Item = u64> {
    step.before.map(|before| before.number).into_iter().chain(step.after.map(|after| after.number))
}

/// When everything that belongs to a step has been there.
fn complete_nanos(step: &Step) -> u64 {
    let after = step.after.map_or(0, |after| after.captured_nanos);
    let before = step.before.map_or(0, |before| before.captured_nanos);
    before.max(after).max(spoken(step).map_or(0, |(_, to)| to))
}

/// From when to when the voice of a step goes.
fn spoken(step: &Step) -> Option<(u64, u64)> {
    let from = step.narration.first()?.start_nanos;
    let to = step.narration.iter().map(|span| span.end_nanos).max()?;
    Some((from, to.min(from + MAX_VOICE_NANOS)))
}

fn samples_in(nanos: u64, rate_hz: u32) -> usize {
    (u128::from(nanos) * u128::from(rate_hz) / 1_000_000_000) as usize
}

fn nanos_of(samples: u64, rate_hz: u32) -> u64 {
    samples * 1_000_000_000 / u64::from(rate_hz)
}
