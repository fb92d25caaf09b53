//! The library of sessions on disk: what is there, in which state, and how it becomes whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use praxis_bundle::file::{self, LIVE_SUFFIX, TEMPORARY_SUFFIX};
use praxis_bundle::info::Info;
use praxis_bundle::rewrite::Rewritten;
use praxis_bundle::{Error, Profile, Result};

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

/// Where sessions are kept unless told otherwise.
#[must_use]
pub fn default_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from(".")).join("praxis/sessions")
}

/// The sessions in a folder, oldest first. A folder that does not exist has none.
///
/// # Errors
/// `Io` if the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Entry>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Io { doing: format!("reading {}", folder.display()), source }),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "mcap"));
    // Session ids begin with their time.
    paths.sort();
    Ok(paths.into_iter().map(entry).collect())
}

fn entry(path: PathBuf) -> Entry {
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

/// Whether a recorder is writing this file.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    is_live(path) && File::open(path).is_ok_and(|file| file.try_lock_shared().is_err())
}

fn is_live(path: &Path) -> bool {
    path.to_string_lossy().ends_with(LIVE_SUFFIX)
}

/// What became of the interrupted sessions of a folder.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Sealed files.
    pub sealed: Vec<PathBuf>,
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
            Ok((path, _)) => recovered.sealed.push(path),
            Err(error) => recovered.left.push((entry.path, error)),
        }
    }
    Ok(recovered)
}

/// Seals a live file at low priority and removes it when the sealed one is in its place. A file with damage before
/// its end is kept beside it, as `….damaged`.
///
/// # Errors
/// `Busy` if it is being recorded or sealed; else as sealing fails. Then the live file stays as it is.
pub fn seal(live: &Path) -> Result<(PathBuf, Rewritten)> {
    // Held to the end, so that no recorder and no second sealer has it meanwhile.
    let held = file::open(live)?;
    held.try_lock().map_err(|_| Error::Busy { path: live.display().to_string() })?;
    let target = sealed_path(live);
    let (from, to) = (live.to_owned(), target.clone());
    let work = std::thread::spawn(move || {
        // On Linux the priority is the thread's own. A machine that refuses seals a little less politely.
        let _ = rustix::process::nice(10);
        file::write_finished(&from, &to, Profile::Seal)
    });
    let rewritten = work.join().map_err(|_| Error::WriterFailed)??;
    if target != live {
        let file_bytes = std::fs::metadata(live).map(|metadata| metadata.len()).unwrap_or_default();
        let damages = rewritten.recovery.iter().flat_map(|recovery| &recovery.damages);
        let has_inner_damage = damages.into_iter().any(|damage| damage.end_byte != file_bytes);
        let doing = || format!("clearing away {}", live.display());
        let cleared = if has_inner_damage {
            std::fs::rename(live, file::with_suffix(live, ".damaged"))
        } else {
            std::fs::remove_file(live)
        };
        cleared.map_err(|source| Error::Io { doing: doing(), source })?;
    }
    Ok((target, rewritten))
}

/// The name of the sealed form of a file.
#[must_use]
pub fn sealed_path(path: &Path) -> PathBuf {
    let name = path.to_string_lossy();
    name.strip_suffix(LIVE_SUFFIX)
        .map_or_else(|| path.to_owned(), |stem| PathBuf::from(format!("{stem}.mcap")))
}

/// Removes a session's file and all that belongs to it.
///
/// # Errors
/// `Io`; `Busy` if it is being recorded or sealed.
pub fn delete(path: &Path) -> Result<()> {
    if is_held(path) {
        return Err(Error::Busy { path: path.display().to_string() });
    }
    std::fs::remove_file(path)
        .map_err(|source| Error::Io { doing: format!("deleting {}", path.display()), source })?;
    for beside in [file::digest_path(path), file::with_suffix(path, TEMPORARY_SUFFIX)] {
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io { doing: format!("deleting {}", beside.display()), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}
