//! Exports many bundles into one folder, several at a time: each is a unit that is there whole or not at all, so that a run that
//! was stopped goes on where it was, and runs on other machines can fill the same folder.
//!
//! A unit is written into a folder of its own, `.part-<bundle id>`; then its files take their place and
//! `sources/<bundle id>.json` says so, with the SHA-256 of each. `export.json` sums up what is there.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use praxis_actions::{Corrections, REDUCER_VERSION};
use praxis_bundle::file::{self, with_suffix};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::format::{Bundle, Format};
use crate::image::Size;
pub use crate::options::{Filter, Options, RATES_HZ, SHARDS_BYTES, SIDES_PX};
use crate::plan::{GUARD_NANOS, LIKE_SHARE, MAX_AFTER_NANOS, REFERENCE_NANOS, STILL_NANOS, plan};
use crate::{Error, Result, Session, transcript};

/// The file in a unit's folder that whoever works in it holds locked.
const LOCK: &str = "lock";

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

/// What is known of a bundle that was exported: `sources/<bundle id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    bundle_id: String,
    session_id: String,
    /// Of the bundle.
    sha256: String,
    /// Of the transcript and the corrections beside it, if there were any.
    beside_sha256: Vec<String>,
    reducer_version: u32,
    split: String,
    steps: u64,
    left_out: u64,
    unreadable_bytes: u64,
    /// Everything that was written for it.
    files: Vec<Written>,
}

/// What sums up a folder: `export.json`.
#[derive(Serialize)]
struct Summary<'a> {
    options: Value,
    praxis_version: &'static str,
    sources: &'a [Source],
    steps: u64,
}

impl Source {
    /// Whether all of its files are there.
    fn is_whole(&self, out: &Path) -> bool {
        self.files.iter().all(|file| out.join(&file.path).exists())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    path: String,
    bytes: u64,
    sha256: String,
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
/// `Folder` if the folder holds something else, or an export with other options; `Io` if it cannot be written to, also when the disk
/// gets full meanwhile: what is whole by then stays. What fails for one input is in its place in the answer.
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

/// Makes the folder, or holds that the same export is in it.
fn prepare(options: &Options) -> Result<()> {
    let Options { out, .. } = options;
    let failed = || Error::io(format!("making {}", out.display()));
    fs::create_dir_all(out).map_err(failed())?;
    let wanted = described(options);
    let path = out.join("export.json");
    match fs::read(&path) {
        Ok(bytes) => {
            let found: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            if found["options"] != wanted {
                let why =
                    format!("{} holds an export with other options: choose another folder", out.display());
                return Err(Error::Folder { why });
            }
        }
        Err(_) => {
            // Another run may be beginning at this moment.
            let is_ours = |name: &str| {
                name == "sources" || name.starts_with("export.json") || name.starts_with(".part-")
            };
            let mut there =
                fs::read_dir(out).map_err(failed())?.filter_map(|entry| Some(entry.ok()?.file_name()));
            if there.any(|name| !is_ours(&name.to_string_lossy())) {
                let why =
                    format!("{} is not empty, and no export of ours: choose another folder", out.display());
                return Err(Error::Folder { why });
            }
            put(&path, &json!({ "options": wanted, "sources": [] }))?;
        }
    }
    fs::create_dir_all(out.join("sources")).map_err(failed())
}

/// The options that decide what is written.
fn described(options: &Options) -> Value {
    let Options { format, pictures, rate, has_pointer, has_captions, shard_bytes, splits, seed, .. } =
        options;
    let most_px = if let Size::Most(width, height) = pictures.size { Some((width, height)) } else { None };
    json!({
        "format": format.as_str(), "pictures": pictures.coding.ending(), "most_px": most_px,
        "rate": rate, "pointer": has_pointer, "captions": has_captions, "shard_bytes": shard_bytes, "splits": splits, "seed": seed, "reducer_version": REDUCER_VERSION,
        "observation": {
            "rule": "before", "guard_nanos": GUARD_NANOS, "reference_nanos": REFERENCE_NANOS, "like_share": LIKE_SHARE,
            "after_still_nanos": STILL_NANOS, "after_most_nanos": MAX_AFTER_NANOS,
        },
    })
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
                && source.is_whole(&options.out)
        };
        if let Some(source) = there.filter(is_there) {
            return Ok(Became::WasThere { unreadable_bytes: source.unreadable_bytes });
        }
        let failed = || Error::io(format!("writing {}", path.display()));
        // Held locked, so that no other run fetches into it; whoever had it before may just have removed it.
        let lock = File::options().create(true).append(true).open(path).map_err(failed())?;
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists() {
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
        let mut files = Vec::new();
        part.publish(&part.folder, &options.out, &mut files)?;
        files.sort_by(|one: &Written, other| one.path.cmp(&other.path));
        let source = Source {
            bundle_id,
            session_id: session.manifest.session_id.to_string(),
            sha256: session.sha256,
            beside_sha256: beside.sha256,
            reducer_version: session.answer.reducer_version,
            split,
            steps: written.steps,
            left_out: written.left_out,
            unreadable_bytes: session.unreadable_bytes,
            files,
        };
        put(&record, &source)?;
        let (steps, left_out, unreadable_bytes) = (source.steps, source.left_out, source.unreadable_bytes);
        Ok(Became::Exported { steps, left_out, unreadable_bytes })
    }
}

fn busy(out: &Path) -> Error {
    let why = format!(
        "another run exports this bundle into {} at this moment: wait for it, then run the same command again",
        out.display()
    );
    Error::Folder { why }
}

fn record_of(options: &Options, bundle_id: &str) -> PathBuf {
    options.out.join("sources").join(format!("{bundle_id}.json"))
}

/// Takes what was made of an earlier state of a bundle out of the folder, its record first: it is not complete any more.
fn withdraw(source: &Source, record: &Path, out: &Path) -> Result<()> {
    for path in [record.to_owned()].into_iter().chain(source.files.iter().map(|file| out.join(&file.path))) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io(format!("removing {}", path.display()))(error));
            }
            _ => {}
        }
    }
    Ok(())
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

/// The folder of a unit that is not complete; it goes when it is dropped. Held locked, so that no other run works in it.
struct Part {
    folder: PathBuf,
    _lock: File,
}

impl Part {
    fn new(folder: PathBuf) -> Result<Self> {
        let failed = || Error::io(format!("making {}", folder.display()));
        fs::create_dir_all(&folder).map_err(failed())?;
        let path = folder.join(LOCK);
        let mut lock = File::options().create(true).append(true).read(true).open(&path).map_err(failed())?;
        let busy = || busy(folder.parent().unwrap_or(&folder));
        // Where files cannot be locked nobody can be kept out.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(busy());
        }
        // Whoever held it may have removed it, and another may have made a new one: what is there must be this one.
        let mark = format!("{} {:?}\n", std::process::id(), std::thread::current().id());
        lock.write_all(mark.as_bytes()).map_err(failed())?;
        if !fs::read_to_string(&path).is_ok_and(|text| text.ends_with(&mark)) {
            return Err(busy());
        }
        // Of a run that was stopped.
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(failed())?;
            } else if !path.ends_with(LOCK) {
                fs::remove_file(&path).map_err(failed())?;
            }
        }
        Ok(Self { folder, _lock: lock })
    }

    /// Lets the files of a folder take their places, the disk first.
    fn publish(&self, folder: &Path, out: &Path, files: &mut Vec<Written>) -> Result<()> {
        let failed = |path: &Path| Error::io(format!("writing {}", path.display()));
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            if path.is_dir() {
                self.publish(&path, out, files)?;
                continue;
            }
            let relative = path.strip_prefix(&self.folder).unwrap_or(&path);
            if relative == Path::new(LOCK) {
                continue;
            }
            let place = out.join(relative);
            File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
            let bytes = fs::metadata(&path).map_err(failed(&path))?.len();
            let sha256 = file::sha256(&path)?;
            files.push(Written { path: relative.to_string_lossy().into_owned(), bytes, sha256 });
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent).map_err(failed(parent))?;
            }
            fs::rename(&path, &place).map_err(failed(&place))?;
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn source_at(path: &Path) -> Option<Source> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes JSON so that it is there whole or not at all.
fn put(path: &Path, value: &impl Serialize) -> Result<()> {
    put_with(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
}

/// Writes a file so that it is there whole or not at all.
fn put_with(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let part = with_suffix(path, &format!(".part-{}", std::process::id()));
    let put = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(&part)?);
        write(&mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, path)
    };
    put().map_err(|error| {
        // It says what failed first.
        let _ = fs::remove_file(&part);
        Error::io(format!("writing {}", path.display()))(error)
    })
}

/// Writes what sums up all that is in the folder, until nothing has come meanwhile: runs on other machines may fill it, too.
fn sum_up(options: &Options, format: &dyn Format) -> Result<()> {
    let mut sources = sources_in(&options.out)?;
    loop {
        let has_steps = |split: &str| sources.iter().any(|source| source.split == split && source.steps > 0);
        let splits = options.splits.iter().map(|(name, _)| &name[..]);
        let filled: Vec<&str> = splits.filter(|split| has_steps(split)).collect();
        if !filled.is_empty()
            && let Some((name, text)) = format.card(&filled)
        {
            put_with(&options.out.join(name), |file| file.write_all(text.as_bytes()))?;
        }
        let steps = sources.iter().map(|source| source.steps).sum();
        let (praxis_version, options_of_it) = (env!("CARGO_PKG_VERSION"), described(options));
        let whole = Summary { options: options_of_it, praxis_version, sources: &sources, steps };
        put(&options.out.join("export.json"), &whole)?;
        let now = sources_in(&options.out)?;
        if now == sources {
            return Ok(());
        }
        sources = now;
    }
}

/// What is complete in the folder, by id.
fn sources_in(out: &Path) -> Result<Vec<Source>> {
    let folder = out.join("sources");
    let listed = fs::read_dir(&folder).map_err(Error::io(format!("reading {}", folder.display())))?;
    let mut sources: Vec<Source> = listed.filter_map(|entry| source_at(&entry.ok()?.path())).collect();
    sources.sort_by(|one, other| one.bundle_id.cmp(&other.bundle_id));
    Ok(sources)
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
