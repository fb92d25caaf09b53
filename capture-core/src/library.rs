//! The library of sessions on disk: what is there, in which state, and how it becomes whole.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use praxis_bundle::file::{self, LIVE_SUFFIX, TEMPORARY_SUFFIX};
use praxis_bundle::finish::{sync_folder_of, write_digest, write_finished_watched};
use praxis_bundle::info::{Info, info};
use praxis_bundle::storage::{Disk, Storage, StorageFile, is_locked, sync_file};
use praxis_bundle::{Error, Profile, Recovery, Result};

use crate::system::{data_folder, lower_priority};

/// Ending of a finished bundle's name.
const BUNDLE_SUFFIX: &str = ".mcap";
/// Ending of a damaged file that is kept beside what was recovered from it.
const DAMAGED_SUFFIX: &str = ".damaged";

/// What state a session's file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// A recorder holds it.
    Recording,
    /// A live file that nobody holds and that does not end as it should.
    Interrupted,
    /// Complete, not sealed yet.
    Unsealed,
    /// Sealed: can be sent.
    Sealed,
    /// It cannot be read.
    Unreadable,
}

/// One session of the library.
#[derive(Debug)]
pub struct Entry {
    /// Its file.
    pub path: PathBuf,
    /// Its state.
    pub state: SessionState,
    /// What is in it, if it can be read.
    pub info: Result<Info>,
}

/// Where sessions are kept unless told otherwise; `None` if the system names no folder of this user's.
#[must_use]
pub fn default_folder() -> Option<PathBuf> {
    data_folder().map(|data| data.join("sessions"))
}

/// The sessions in a folder, oldest first. A folder that does not exist has none.
///
/// # Errors
/// `Io` if the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Entry>> {
    Ok(paths(folder)?.into_iter().map(entry).collect())
}

/// The files of the sessions in a folder, oldest first.
pub(crate) fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Io { doing: format!("reading {}", folder.display()), source }),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "mcap"));
    // Session ids begin with their time.
    paths.sort();
    Ok(paths)
}

/// A session by its file.
pub(crate) fn entry(path: PathBuf) -> Entry {
    let info = file::info_of(&path);
    let state = match &info {
        _ if is_held(&path) => SessionState::Recording,
        Err(_) => SessionState::Unreadable,
        Ok(info) if info.is_sealed => SessionState::Sealed,
        Ok(info) if info.is_complete && info.damages.is_empty() => SessionState::Unsealed,
        Ok(_) => SessionState::Interrupted,
    };
    Entry { path, state, info }
}

/// Whether a recorder, or a sealer, has this file.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    is_live(path) && file::open(path).is_ok_and(|file| is_locked(&file))
}

fn is_live(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(LIVE_SUFFIX.as_bytes())
}

/// What became of the interrupted sessions of a folder.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Sealed files.
    pub sealed: Vec<PathBuf>,
    /// Of those, the ones that had damage before their end, with how many stretches; their files are kept beside them.
    pub damaged: Vec<(PathBuf, usize)>,
    /// Files that were left as they are, and why.
    pub left: Vec<(PathBuf, Error)>,
}

/// Seals every interrupted session of a folder, without questions; one that was interrupted while it was sealed, too.
///
/// # Errors
/// `Io` if the folder cannot be read.
pub fn recover_interrupted(folder: &Path) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    let is_half_sealed = |path: &Path| is_live(path) && sealed_path(path).exists();
    let is_interrupted = |entry: &Entry| match entry.state {
        SessionState::Interrupted => true,
        SessionState::Unsealed => is_half_sealed(&entry.path),
        _ => false,
    };
    for entry in list(folder)?.into_iter().filter(is_interrupted) {
        match seal(&entry.path) {
            Ok(Sealed { path, recovery, kept }) => {
                if kept.is_some() {
                    let num_damages = recovery.map_or(0, |recovery| recovery.damages.len());
                    recovered.damaged.push((path.clone(), num_damages));
                }
                recovered.sealed.push(path);
            }
            // Someone else is at it, or was quicker.
            Err(Error::Busy { .. }) => {}
            Err(_) if !entry.path.exists() => {}
            Err(error) => recovered.left.push((entry.path, error)),
        }
    }
    remove_leftovers(folder);
    Ok(recovered)
}

/// Removes temporary files that a crash has left: those that nobody holds.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let endings = [".mcap", ".mcap.sha256"].map(|ending| format!("{ending}{TEMPORARY_SUFFIX}"));
        let is_leftover =
            endings.iter().any(|ending| path.as_os_str().as_encoded_bytes().ends_with(ending.as_bytes()))
                && file::open(&path).is_ok_and(|file| StorageFile::try_lock(&file).is_ok());
        if is_leftover {
            // Whatever keeps it from being removed now may have passed the next time.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A session that was sealed.
#[derive(Debug)]
pub struct Sealed {
    /// The sealed file.
    pub path: PathBuf,
    /// What had to be left out, if anything; nothing if it was sealed already.
    pub recovery: Option<Recovery>,
    /// Where the source is kept, if it had damage before its end.
    pub kept: Option<PathBuf>,
}

/// Seals a file at low priority; a live file is removed when the sealed one is in its place. A file with damage before its
/// end is kept, as `….damaged`; an approval of it is not one of what was made of it.
///
/// # Errors
/// `Busy` if it is being recorded or sealed; `Taken` if another session's bundle has the name; else as sealing fails.
/// Then the file stays as it is.
pub fn seal(path: &Path) -> Result<Sealed> {
    seal_on(&Disk, path, &|_| {})
}

/// [`seal`] on any file system, telling how far it is, from 0 to 1. Cut short anywhere, the file or its sealed form is whole, and sealing can be tried again.
///
/// # Errors
/// As [`seal`].
pub fn seal_on(storage: &dyn Storage, path: &Path, progress: &(dyn Fn(f64) + Sync)) -> Result<Sealed> {
    // Held to the end, so that no recorder and no second sealer has it meanwhile.
    let opening = |path: &Path| Error::io(format!("opening {}", path.display()));
    let held = storage.open(path).map_err(opening(path))?;
    held.try_lock().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Error::Busy { path: path.display().to_string() },
        _ => opening(path)(error),
    })?;
    let target = sealed_path(path);
    let facts = info(&*held)?;
    if target != path {
        match storage.open(&target) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(opening(&target)(error)),
            Ok(there) => match info(&*there) {
                Ok(there) if there.manifest.session_id == facts.manifest.session_id => {}
                Err(error @ Error::Io { .. }) => return Err(error),
                _ => return Err(Error::Taken { path: target.display().to_string() }),
            },
        }
    }
    if facts.is_sealed && facts.is_complete && facts.damages.is_empty() {
        return Ok(Sealed { path: path.to_owned(), recovery: None, kept: None });
    }
    let kept = file::with_suffix(path, DAMAGED_SUFFIX);
    let clearing = || Error::io(format!("keeping {} aside", path.display()));
    let is_damaged = !facts.damages.is_empty();
    // A second name keeps the damaged file when the new one takes its first. An attempt that was cut short may have given it.
    if target == path && is_damaged && !held.is_at(&kept) {
        storage.hard_link(path, &kept).map_err(clearing())?;
        sync_folder_of(storage, path)?;
    }
    let work = || {
        lower_priority();
        write_finished_watched(storage, path, &target, Profile::Seal, progress)
    };
    let worked = std::thread::scope(|scope| scope.spawn(work).join());
    let rewritten = worked.map_err(|_| Error::WriterFailed)??;
    let kept = if target == path {
        let approval = crate::upload::approval::approval_path(path);
        match std::fs::remove_file(&approval) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(format!("removing {}", approval.display()))(source));
            }
            _ => is_damaged.then_some(kept),
        }
    } else {
        let file_bytes = held.num_bytes().map_err(Error::io("reading the bundle's length"))?;
        let damages = rewritten.recovery.iter().flat_map(|recovery| &recovery.damages);
        let has_inner_damage = damages.into_iter().any(|damage| damage.end_byte != file_bytes);
        if has_inner_damage {
            storage.rename(path, &kept).map_err(clearing())?;
        } else {
            storage.remove(path).map_err(Error::io(format!("removing {}", path.display())))?;
        }
        has_inner_damage.then_some(kept)
    };
    Ok(Sealed { path: target, recovery: rewritten.recovery, kept })
}

/// The name of the sealed form of a file.
#[must_use]
pub fn sealed_path(path: &Path) -> PathBuf {
    stem(path, LIVE_SUFFIX).map_or_else(|| path.to_owned(), |stem| file::with_suffix(&stem, BUNDLE_SUFFIX))
}

/// A path without an ending, if it has it.
fn stem(path: &Path, ending: &str) -> Option<PathBuf> {
    let has_it = path.as_os_str().as_encoded_bytes().ends_with(ending.as_bytes());
    has_it.then(|| ending.matches('.').fold(path.to_owned(), |stem, _| stem.with_extension("")))
}

/// Copies a sealed bundle and its digest into a folder; a file of that name that is there already is left alone, and the
/// copy gets another name. Returns the copy.
///
/// # Errors
/// `NotMcap` if it is no bundle; `Io`. Nothing half-written is left under the final name.
pub fn export(path: &Path, folder: &Path) -> Result<PathBuf> {
    if !file::is_bundle(path) {
        return Err(Error::NotMcap);
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let free = |number: u32| {
        let number = if number == 0 { String::new() } else { format!(" ({number})") };
        folder.join(format!("{name}{number}{BUNDLE_SUFFIX}"))
    };
    let target = (0..).map(free).find(|target| !target.exists()).unwrap_or_else(|| free(0));
    let part = file::with_suffix(&target, TEMPORARY_SUFFIX);
    let doing = || Error::io(format!("copying to {}", target.display()));
    let copied = std::fs::copy(path, &part)
        .and_then(|_| sync_file(&part))
        .and_then(|()| std::fs::rename(&part, &target));
    copied.map_err(doing()).inspect_err(|_| drop(std::fs::remove_file(&part)))?;
    write_digest(&Disk, &target, &file::sha256(&target)?)?;
    Ok(target)
}

/// Removes a session's file and all that belongs to it: its digest, what a crash or a repair has left of it.
///
/// # Errors
/// `NotMcap` if it is no bundle; `Busy` if it is being recorded or sealed; `Io`.
pub fn delete(path: &Path) -> Result<()> {
    let bytes = file::open(path)?.metadata().map_err(Error::io(format!("reading {}", path.display())))?.len();
    // A recorder that died before its first byte leaves an empty live file.
    let is_empty_live = bytes == 0 && is_live(path);
    if !file::is_bundle(path) && !is_empty_live {
        return Err(Error::NotMcap);
    }
    let session = |path: &Path| file::info_of(path).ok().map(|info| info.manifest.session_id);
    let is_same_session = {
        let ours = session(path);
        move |other: &Path| ours.is_some() && session(other) == ours
    };
    let endings = [".recovered.mcap", LIVE_SUFFIX, BUNDLE_SUFFIX];
    let stem = endings.iter().find_map(|ending| stem(path, ending)).unwrap_or_else(|| path.to_owned());
    let mut doomed = vec![path.to_owned()];
    for ending in endings {
        let bundle = file::with_suffix(&stem, ending);
        let is_of_session = bundle == path || is_same_session(&bundle);
        if is_of_session || !bundle.exists() {
            doomed.push(file::digest_path(&bundle));
        }
        if is_of_session {
            doomed.extend([
                file::with_suffix(&bundle, TEMPORARY_SUFFIX),
                crate::upload::approval::approval_path(&bundle),
                bundle.clone(),
            ]);
        }
        let damaged = file::with_suffix(&bundle, DAMAGED_SUFFIX);
        if is_same_session(&damaged) {
            doomed.push(damaged);
        }
    }
    doomed.retain(|file| file.exists());
    doomed.sort();
    doomed.dedup();
    if let Some(held) = doomed.iter().find(|path| is_held(path)) {
        return Err(Error::Busy { path: held.display().to_string() });
    }
    doomed.iter().try_for_each(|path| {
        std::fs::remove_file(path).map_err(Error::io(format!("deleting {}", path.display())))
    })
}
