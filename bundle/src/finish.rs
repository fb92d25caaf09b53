//! Writes finished files, so that a bundle under its final name is always whole.
//!
//! A file is written under a temporary name beside its final one, synced, checked and only then renamed; then its folder is
//! synced. Whatever cuts that short leaves the file that was there before, or none, and a temporary file.

use std::cell::Cell;
use std::io::{BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::check;
use crate::file::{TEMPORARY_SUFFIX, digest_of, digest_path, with_suffix};
use crate::rewrite::{Profile, Rewritten, rewrite_after};
use crate::scan::Bytes;
use crate::storage::{Appender, Storage, StorageFile};
use crate::{Error, Result};

/// Writes the finished form of `source` to `target`. Sealing also writes the SHA-256 beside it. The source is left as it
/// is, unless it is the target. The temporary file is locked while it is written: one that is not is left over from a crash;
/// it is replaced, and what it has already is not coded again.
///
/// # Errors
/// As [`rewrite`]; `Busy` if the same file is being written; `Malformed` if the result does not check. Nothing is left
/// behind then, as far as the disk allows, and what had the final name has it still.
pub fn write_finished(
    storage: &dyn Storage,
    source: &Path,
    target: &Path,
    profile: Profile,
) -> Result<Rewritten> {
    write_finished_watched(storage, source, target, profile, &|_| {})
}

/// [`write_finished`], and says how far it is: from 0 to 1, as often as there is something new.
///
/// # Errors
/// As [`write_finished`].
pub fn write_finished_watched(
    storage: &dyn Storage,
    source: &Path,
    target: &Path,
    profile: Profile,
    progress: &dyn Fn(f64),
) -> Result<Rewritten> {
    let source_file = storage.open(source).map_err(Error::io(format!("opening {}", source.display())))?;
    let temporary = Temporary::create(storage, target)?;
    let rewritten = write_checked(&*source_file, &temporary, profile, progress)?;
    if profile == Profile::Seal {
        // The digest is durable first. A cut in between leaves it beside a file that still has to be sealed, which writes
        // it anew; the other way round a whole bundle could be left with a digest of its damaged self.
        write_digest(storage, target, &digest_of(&*temporary.file)?)?;
        sync_folder_of(storage, target)?;
    }
    temporary.rename(target)?;
    sync_folder_of(storage, target)?;
    Ok(rewritten)
}

/// Writes the file that holds the SHA-256 of a sealed bundle, as `sha256sum` writes it. Its folder is not synced.
///
/// # Errors
/// `Io`; what was there before is there still.
pub fn write_digest(storage: &dyn Storage, bundle: &Path, digest: &str) -> Result<()> {
    let path = digest_path(bundle);
    let temporary = Temporary::create(storage, &path)?;
    let line = format!("{digest}  {}\n", bundle.file_name().unwrap_or_default().to_string_lossy());
    let writing = || Error::io(format!("writing {}", path.display()));
    temporary.sink().write_all(line.as_bytes()).map_err(writing())?;
    temporary.file.sync().map_err(writing())?;
    temporary.rename(&path)
}

/// Makes the names in the folder of `path` survive a power cut.
///
/// # Errors
/// `Io`.
pub fn sync_folder_of(storage: &dyn Storage, path: &Path) -> Result<()> {
    storage.sync_folder_of(path).map_err(Error::io(format!("syncing the folder of {}", path.display())))
}

fn write_checked(
    source: &(impl Bytes + ?Sized),
    into: &Temporary<'_>,
    profile: Profile,
    progress: &dyn Fn(f64),
) -> Result<Rewritten> {
    let doing = || format!("writing {}", into.path.display());
    let mut out = BufWriter::with_capacity(1 << 20, into.sink());
    let earlier = into.left_over.as_deref().map(|left_over| left_over as &dyn Bytes);
    let watched = Watched { source, progress, share: 0.0..WRITING_SHARE };
    let rewritten = rewrite_after(&watched, earlier, &mut out, profile)?;
    out.flush().map_err(Error::io(doing()))?;
    into.file.sync().map_err(Error::io(doing()))?;
    match check(&Watched { source: &*into.file, progress, share: WRITING_SHARE..1.0 })?.findings.first() {
        None => Ok(rewritten),
        Some(finding) => Err(Error::malformed("finished bundle", 0, finding.clone())),
    }
}

/// How much of the time goes into writing; the rest into checking what was written.
const WRITING_SHARE: f64 = 0.8;

/// A source that is read from start to end, and tells how far.
struct Watched<'a, S: ?Sized> {
    source: &'a S,
    progress: &'a dyn Fn(f64),
    share: Range<f64>,
}

impl<S: Bytes + ?Sized> Bytes for Watched<'_, S> {
    fn num_bytes(&self) -> std::io::Result<u64> {
        self.source.num_bytes()
    }
    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let part = offset as f64 / self.num_bytes()?.max(1) as f64;
        (self.progress)(self.share.start + part * (self.share.end - self.share.start));
        self.source.fill(offset, into)
    }
}

/// A file under its temporary name, held; removed when dropped, unless it was renamed.
struct Temporary<'a> {
    storage: &'a dyn Storage,
    path: PathBuf,
    file: Arc<dyn StorageFile>,
    /// The one that a crash had left: it has no name any more.
    left_over: Option<Box<dyn StorageFile>>,
    is_renamed: Cell<bool>,
}

impl<'a> Temporary<'a> {
    /// Makes the temporary file of `target`, in place of one that a crash has left.
    fn create(storage: &'a dyn Storage, target: &Path) -> Result<Self> {
        let path = with_suffix(target, TEMPORARY_SUFFIX);
        let doing = || Error::io(format!("writing {}", path.display()));
        let busy = |error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock => Error::Busy { path: path.display().to_string() },
            _ => doing()(error),
        };
        let left_over = match storage.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(doing()(error)),
            Ok(left_over) => {
                left_over.try_lock().map_err(busy)?;
                storage.remove(&path).map_err(doing())?;
                Some(left_over)
            }
        };
        let file: Arc<dyn StorageFile> = storage.create_new(&path).map_err(doing())?.into();
        let is_renamed = Cell::new(false);
        let temporary = Self { storage, path: path.clone(), file, left_over, is_renamed };
        temporary.file.try_lock().map_err(busy)?;
        Ok(temporary)
    }

    fn sink(&self) -> Appender {
        Appender(self.file.clone())
    }

    fn rename(&self, target: &Path) -> Result<()> {
        let doing = format!("renaming to {}", target.display());
        self.storage.rename(&self.path, target).map_err(Error::io(doing))?;
        self.is_renamed.set(true);
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_renamed.get() {
            // Best effort: the error that is returned is the one that matters, and the next recovery removes it.
            let _ = self.storage.remove(&self.path);
        }
    }
}
