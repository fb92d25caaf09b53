//! Exports many bundles into one folder, several at a time: each is a unit that is there whole or not at all, so that a run that
//! was stopped goes on where it was, and runs on other machines can fill the same folder.
//!
//! A unit is written into a folder of its own, `.part-<bundle id>`; then its files take their place and
//! `sources/<bundle id>.json` says so, with the SHA-256 of each. `export.json` sums up what is there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use praxis_actions::Corrections;
use praxis_bundle::file::{self, with_suffix};
use praxis_bundle::storage::StorageFile;
use sha2::{Digest, Sha256};

use crate::folder::{Part, Source, busy, prepare, put, record_of, source_at, sum_up, withdraw};
use crate::format::{Bundle, Format};
pub use crate::options::{Filter, Options, RATES_HZ, SHARDS_BYTES, SIDES_PX};
use crate::plan::plan;
use crate::{Error, Result, Session, transcript};

/// What became of an input.
#[derive(Debug)]
pub enum Became {
    /// It is in the folder now.
    Exported {
        /// Steps written.
        steps: u64,
        /// Steps that the format cannot hold: there is no picture before them, or it has no word for them.
        left_out: u64,
        /// Bytes of the bundle that cannot be read.
        unreadable_bytes: u64,
    },
    /// It was there already.
    WasThere {
        /// Bytes of the bundle that cannot be read.
        unreadable_bytes: u64,
    },
    /// The filter leaves it out.
    LeftOut,
    /// It could not be exported; nothing of it is in the folder.
    Failed(Error),
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Inputs that are done with.
    pub inputs: usize,
    /// Bytes of the inputs that are done with, parts of those in work included.
    pub bytes: u64,
    /// Bytes of all.
    pub all_bytes: u64,
}

/// A bundle to be exported.
pub struct Input<'a> {
    /// Its file.
    pub path: PathBuf,
    /// Whose it is, if somebody knows better than the bundle: all bundles of an expert are in one part of the data set.
    pub expert: Option<String>,
    /// What it was recorded for, if somebody knows better than the bundle.
    pub project: Option<String>,
    /// The SHA-256 that it must have, hexadecimal, if that is known.
    pub sha256: Option<String>,
    /// Set if the file is not here yet.
    pub remote: Option<Remote<'a>>,
}

/// A bundle that is fetched when its turn comes; its file goes when it has been exported.
pub struct Remote<'a> {
    /// Its id: one that is in the folder already, with the input's digest, is not fetched.
    pub bundle_id: String,
    /// Its length.
    pub bytes: u64,
    /// Fetches it into the input's file.
    pub fetch: Box<dyn Fn(&Path) -> Result<()> + Sync + 'a>,
}

impl From<PathBuf> for Input<'_> {
    fn from(path: PathBuf) -> Self {
        Self { path, expert: None, project: None, sha256: None, remote: None }
    }
}

impl Input<'_> {
    fn bytes(&self) -> u64 {
        let of_file = || fs::metadata(&self.path).map_or(0, |there| there.len());
        self.remote.as_ref().map_or_else(of_file, |remote| remote.bytes)
    }
}

/// Exports bundles. What became of each is in the order of the inputs.
///
/// # Errors
/// `Folder` if the folder holds something else, or an export with other options; `Io` if it cannot be written to; any error that
/// [says so](Error::is_disk_full) when the disk gets full meanwhile: what is whole by then stays. What fails for one input is in its place in the answer.
pub fn run(
    inputs: &[Input<'_>],
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Became>> {
    let format = options.format.format();
    prepare(options)?;
    let sizes: Vec<u64> = inputs.iter().map(Input::bytes).collect();
    let done: Vec<Mutex<u64>> = inputs.iter().map(|_| Mutex::new(0)).collect();
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let became: Vec<Mutex<Option<Became>>> = inputs.iter().map(|_| Mutex::new(None)).collect();
    let all_bytes = sizes.iter().sum();
    let tell = |at: usize, part: f64| {
        if let Ok(mut done) = done[at].lock() {
            *done = (sizes[at] as f64 * part) as u64;
        }
        let bytes = done.iter().filter_map(|done| done.lock().ok().map(|done| *done)).sum();
        progress(Progress { inputs: finished.load(Ordering::Relaxed), bytes, all_bytes });
    };
    let jobs = options.jobs.clamp(1, inputs.len().max(1));
    // Threads that code pictures, for all jobs together: as many as the machine runs at once.
    let threads = (std::thread::available_parallelism().map_or(1, usize::from) / jobs).max(1);
    let work = Work { format: &*format, options, threads, taken: Mutex::new(HashSet::new()) };
    let full = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = inputs.get(at) else { return };
                    let result = match work.one(input, &|part| tell(at, part)) {
                        // That is no fault of the bundle, and the others would meet it, too.
                        Err(error) if error.is_disk_full() => {
                            next.store(inputs.len(), Ordering::Relaxed);
                            if let Ok(mut full) = full.lock() {
                                full.get_or_insert(error);
                            }
                            return;
                        }
                        result => result,
                    };
                    if let Ok(mut became) = became[at].lock() {
                        *became = Some(result.unwrap_or_else(Became::Failed));
                    }
                    finished.fetch_add(1, Ordering::Relaxed);
                    tell(at, 1.0);
                }
            });
        }
    });
    if let Some(error) = full.into_inner().ok().flatten() {
        return Err(error);
    }
    sum_up(options, &*format)?;
    let stopped = || Became::Failed(Error::Folder { why: "its thread has stopped".into() });
    Ok(became.into_iter().map(|each| each.into_inner().ok().flatten().unwrap_or_else(stopped)).collect())
}

/// Which part of the data set an expert's bundles belong to: the same on every machine, whatever else is exported.
#[must_use]
pub fn split_of<'a>(splits: &'a [(String, u32)], seed: u64, who: &str) -> &'a str {
    let digest = Sha256::digest(format!("{seed}:{who}"));
    let all: u64 = splits.iter().map(|(_, share)| u64::from(*share)).sum();
    let place = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) % all.max(1);
    let mut until = 0;
    let is_it = |(_, share): &&(String, u32)| {
        until += u64::from(*share);
        place < until
    };
    splits.iter().find(is_it).map_or("train", |(name, _)| name)
}

/// What all threads of a run share.
struct Work<'a> {
    format: &'a dyn Format,
    options: &'a Options,
    /// That code the pictures of a bundle.
    threads: usize,
    /// Ids of bundles that were begun.
    taken: Mutex<HashSet<String>>,
}

impl Work<'_> {
    /// Exports an input, which is fetched for it if need be.
    fn one(&self, input: &Input<'_>, progress: &dyn Fn(f64)) -> Result<Became> {
        let (path, options) = (&input.path, self.options);
        let Some(remote) = &input.remote else {
            return self.unit(input, progress);
        };
        let there = source_at(&record_of(options, &remote.bundle_id));
        let is_there = |source: &Source| {
            Some(&source.sha256) == input.sha256.as_ref()
                && source.beside_sha256.is_empty()
                && source.is_of(&input.expert, &input.project)
                && source.is_whole(&options.out)
        };
        if let Some(source) = there.filter(is_there) {
            return Ok(Became::WasThere { unreadable_bytes: source.unreadable_bytes });
        }
        let failed = || Error::io(format!("writing {}", path.display()));
        // Held locked, so that no other run fetches into it; whoever had it before may just have removed it.
        let lock = File::options().create(true).append(true).read(true).open(path).map_err(failed())?;
        let locked = StorageFile::try_lock(&lock);
        if locked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) || !path.exists() {
            return Err(busy(&options.out));
        }
        if let Err(error) = (remote.fetch)(path) {
            // What has come of it is where the next try begins.
            if fs::metadata(path).is_ok_and(|there| there.len() == 0) {
                let _ = fs::remove_file(path);
            }
            return Err(error);
        }
        let became = self.unit(input, progress);
        // It is not needed any more; what is left of it is no part of the export.
        let _ = fs::remove_file(path);
        became
    }

    /// Exports a bundle that is here.
    fn unit(&self, input: &Input<'_>, progress: &dyn Fn(f64)) -> Result<Became> {
        let (path, options) = (&input.path, self.options);
        let beside = Beside::of(path)?;
        let mut session = Session::of(path, beside.corrections.as_ref())?;
        if input.sha256.as_ref().is_some_and(|expected| *expected != session.sha256) {
            let why =
                "has other bytes than were verified: is the disk damaged? Leave it out, or send it again"
                    .into();
            return Err(Error::Input { path: path.clone(), why });
        }
        let bundle_id = session.manifest.bundle_id.to_string();
        if self.taken.lock().is_ok_and(|mut taken| !taken.insert(bundle_id.clone())) {
            let why = "is listed twice, perhaps under another name: leave one of them out".into();
            return Err(Error::Input { path: path.clone(), why });
        }
        let Input { expert, project, .. } = input;
        let manifest = &mut session.manifest;
        for (said, known) in [(&mut manifest.expert, expert), (&mut manifest.project, project)] {
            if known.is_some() {
                said.clone_from(known);
            }
        }
        if !options.filter.takes(&session) {
            return Ok(Became::LeftOut);
        }
        let record = record_of(options, &bundle_id);
        let is_same = |source: &Source| {
            source.sha256 == session.sha256
                && source.beside_sha256 == beside.sha256
                && source.is_of(&session.manifest.expert, &session.manifest.project)
                && source.is_whole(&options.out)
        };
        let before = source_at(&record);
        let part = options.out.join(format!(".part-{bundle_id}"));
        if let Some(source) = before.as_ref().filter(|source| is_same(source)) {
            if part.exists() {
                // Of a run that was stopped when all was done but this; unless another is just there.
                let _ = Part::new(part);
            }
            return Ok(Became::WasThere { unreadable_bytes: source.unreadable_bytes });
        }
        let who = session.manifest.expert.clone().unwrap_or(session.manifest.session_id.to_string());
        let split = split_of(&options.splits, options.seed, &who).to_owned();
        let said = beside.transcript.unwrap_or_else(|| session.speech.clone());
        let steps = plan(&session, &said);
        let part = Part::new(part)?;
        let threads = self.threads;
        let bundle = Bundle {
            session: &session,
            steps: &steps,
            said: &said,
            split: &split,
            options,
            threads,
            progress,
        };
        let written = self.format.write(&bundle, &part.folder)?;
        if let Some(source) = before {
            withdraw(&source, &record, &options.out)?;
        }
        let mut source = Source {
            bundle_id,
            session_id: session.manifest.session_id.to_string(),
            sha256: session.sha256,
            beside_sha256: beside.sha256,
            reducer_version: session.answer.reducer_version,
            split,
            steps: written.steps,
            left_out: written.left_out,
            unreadable_bytes: session.unreadable_bytes,
            expert: session.manifest.expert,
            project: session.manifest.project,
            files: Vec::new(),
        };
        let published = part.publish(&part.folder, &options.out, &mut source.files).and_then(|()| {
            source.files.sort_by(|one, other| one.path.cmp(&other.path));
            put(&record, &source)
        });
        if let Err(error) = published {
            // All of it or nothing; what cannot be removed either is the lesser trouble.
            let _ = withdraw(&source, &record, &options.out);
            return Err(error);
        }
        let (steps, left_out, unreadable_bytes) = (source.steps, source.left_out, source.unreadable_bytes);
        Ok(Became::Exported { steps, left_out, unreadable_bytes })
    }
}

/// What lies beside a bundle: `<file>.transcript.json`, `.vtt` or `.srt`, and `<file>.corrections.json`.
struct Beside {
    transcript: Option<Vec<transcript::Span>>,
    corrections: Option<Corrections>,
    sha256: Vec<String>,
}

impl Beside {
    fn of(path: &Path) -> Result<Self> {
        let mut sha256 = Vec::new();
        let mut there = |suffix: &str| {
            let path = with_suffix(path, suffix);
            if !path.exists() {
                return Ok(None);
            }
            sha256.push(file::sha256(&path)?);
            Ok::<_, Error>(Some(path))
        };
        let corrections = there(".corrections.json")?;
        let mut found = None;
        for suffix in [".transcript.json", ".transcript.vtt", ".transcript.srt"] {
            if found.is_none() {
                found = there(suffix)?;
            }
        }
        let transcript = found.map(|path| transcript::read(&path)).transpose()?;
        let corrections = corrections.map(|path| {
            let wrong = |why: String| Error::Input { path: path.clone(), why };
            let bytes = fs::read(&path).map_err(|error| wrong(error.to_string()))?;
            serde_json::from_slice(&bytes).map_err(|error| {
                wrong(format!("{error}: docs/export-formats.md says what corrections look like"))
            })
        });
        Ok(Self { transcript, corrections: corrections.transpose()?, sha256 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expert_is_in_one_split_and_shares_are_about_right() {
        let splits = vec![("train".to_owned(), 80), ("validation".to_owned(), 20)];
        let all: Vec<&str> = (0..1000).map(|n| split_of(&splits, 7, &format!("expert-{n}"))).collect();
        let trained = all.iter().filter(|split| **split == "train").count();
        assert!((750..850).contains(&trained), "{trained}");
        assert_eq!(split_of(&splits, 7, "expert-1"), all[1]);
        assert!((0..50).any(|seed| split_of(&splits, seed, "expert-1") != all[1]));
    }
}
