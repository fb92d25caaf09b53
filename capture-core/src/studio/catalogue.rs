//! The library as a person looks at it again and again: files are read anew only when they changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use praxis_bundle::file;

use super::thumbnail;
use crate::library::{self, Entry, SessionState};

/// Width of a session's picture.
const PICTURE_WIDTH_PX: u32 = 320;

/// Length and time of a file: while they are the same, it is.
type Stamp = (u64, Option<SystemTime>);

/// A cached view of one folder of sessions.
pub struct Catalogue {
    folder: PathBuf,
    known: Mutex<HashMap<PathBuf, (Stamp, Arc<Entry>)>>,
    pictures: Mutex<HashMap<PathBuf, (Stamp, Arc<Vec<u8>>)>>,
}

impl Catalogue {
    /// Of this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default(), pictures: Mutex::default() }
    }

    /// Its sessions, newest first.
    ///
    /// # Errors
    /// `Io` if the folder cannot be read.
    pub fn list(&self) -> praxis_bundle::Result<Vec<Arc<Entry>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = HashMap::new();
        let mut entries = Vec::new();
        for path in library::paths(&self.folder)?.into_iter().rev() {
            let Some(stamp) = stamp_of(&path) else { continue };
            let is_held = library::is_held(&path);
            let entry = match known.remove(&path) {
                // A live file grows all the time: that it is being recorded is all there is to say.
                Some((_, entry)) if is_held && entry.state == SessionState::Recording => entry,
                Some((before, entry))
                    if before == stamp && (entry.state == SessionState::Recording) == is_held =>
                {
                    entry
                }
                _ => Arc::new(library::entry(path.clone())),
            };
            fresh.insert(path, (stamp, entry.clone()));
            entries.push(entry);
        }
        *known = fresh;
        Ok(entries)
    }

    /// The session with this file name.
    ///
    /// # Errors
    /// `Io` if the folder cannot be read.
    pub fn find(&self, name: &str) -> praxis_bundle::Result<Option<Arc<Entry>>> {
        let is_it = |entry: &Arc<Entry>| entry.path.file_name().is_some_and(|file| file == name);
        Ok(self.list()?.into_iter().find(is_it))
    }

    /// A small picture of a session, from its middle, as PNG; empty if it has none.
    #[must_use]
    pub fn picture(&self, entry: &Entry) -> Arc<Vec<u8>> {
        // Held while it is made: one at a time is enough for a laptop that also works.
        let mut pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp_of(&entry.path).unwrap_or_default();
        if let Some((before, picture)) = pictures.get(&entry.path)
            && *before == stamp
        {
            return picture.clone();
        }
        let picture = Arc::new(picture_of(entry).unwrap_or_default());
        pictures.insert(entry.path.clone(), (stamp, picture.clone()));
        picture
    }

    /// Bytes of a second of recording, by the newest sessions; `None` without any.
    ///
    /// # Errors
    /// `Io` if the folder cannot be read.
    pub fn bytes_per_second(&self) -> praxis_bundle::Result<Option<f64>> {
        let entries = self.list()?;
        let infos = entries.iter().filter_map(|entry| entry.info.as_ref().ok());
        let (mut bytes, mut seconds) = (0.0, 0.0);
        for info in infos.filter(|info| info.is_sealed).take(10) {
            bytes += info.bytes as f64;
            seconds += info.duration_nanos as f64 / 1e9;
        }
        // A few seconds say nothing of an hour.
        Ok((seconds >= 60.0).then(|| bytes / seconds))
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

fn picture_of(entry: &Entry) -> Option<Vec<u8>> {
    let info = entry.info.as_ref().ok().filter(|_| entry.state != SessionState::Recording)?;
    let display = info.manifest.displays.iter().find(|display| display.is_recorded)?.number;
    let picture = file::picture_at(&entry.path, display, info.duration_nanos / 2).ok()?;
    Some(thumbnail::png::<3>(&picture.bgr, picture.width_px, picture.height_px, PICTURE_WIDTH_PX))
}
