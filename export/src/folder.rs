//! The folder of an export: what is in it and by which options, where a unit is written, and what sums it up. Everything in it is
//! there whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use praxis_actions::REDUCER_VERSION;
use praxis_bundle::file::{self, with_suffix};
use praxis_bundle::storage::{StorageFile, sync_file};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::format::Format;
use crate::image::Size;
use crate::options::Options;
use crate::plan::{GUARD_NANOS, LIKE_SHARE, MAX_AFTER_NANOS, REFERENCE_NANOS, STILL_NANOS};
use crate::{Error, Result};

/// The file in a unit's folder that whoever works in it holds locked.
const LOCK: &str = "lock";

/// What is known of a bundle that was exported: `sources/<bundle id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) bundle_id: String,
    pub(crate) session_id: String,
    /// Of the bundle.
    pub(crate) sha256: String,
    /// Of the transcript and the corrections beside it, if there were any.
    pub(crate) beside_sha256: Vec<String>,
    pub(crate) reducer_version: u32,
    pub(crate) split: String,
    pub(crate) steps: u64,
    pub(crate) left_out: u64,
    pub(crate) unreadable_bytes: u64,
    /// Whose it is and of which project, by the bundle or by whoever knows better.
    pub(crate) expert: Option<String>,
    pub(crate) project: Option<String>,
    /// Everything that was written for it.
    pub(crate) files: Vec<Written>,
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
    /// Whether that is what it was taken for: splits and columns depend on it.
    pub(crate) fn is_of(&self, expert: &Option<String>, project: &Option<String>) -> bool {
        self.expert == *expert && self.project == *project
    }

    /// Whether all of its files are there.
    pub(crate) fn is_whole(&self, out: &Path) -> bool {
        self.files.iter().all(|file| out.join(&file.path).exists())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Makes the folder, or holds that the same export is in it.
pub(crate) fn prepare(options: &Options) -> Result<()> {
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

pub(crate) fn busy(out: &Path) -> Error {
    let why = format!(
        "another run exports this bundle into {} at this moment: wait for it, then run the same command again",
        out.display()
    );
    Error::Folder { why }
}

pub(crate) fn record_of(options: &Options, bundle_id: &str) -> PathBuf {
    options.out.join("sources").join(format!("{bundle_id}.json"))
}

/// Takes what was made of an earlier state of a bundle out of the folder, its record first: it is not complete any more.
pub(crate) fn withdraw(source: &Source, record: &Path, out: &Path) -> Result<()> {
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

/// The folder of a unit that is not complete; it goes when it is dropped. Held locked, so that no other run works in it.
pub(crate) struct Part {
    pub(crate) folder: PathBuf,
    _lock: File,
}

impl Part {
    pub(crate) fn new(folder: PathBuf) -> Result<Self> {
        let failed = || Error::io(format!("making {}", folder.display()));
        fs::create_dir_all(&folder).map_err(failed())?;
        let path = folder.join(LOCK);
        let mut lock = File::options().create(true).append(true).read(true).open(&path).map_err(failed())?;
        let busy = || busy(folder.parent().unwrap_or(&folder));
        // Where files cannot be locked nobody can be kept out.
        if StorageFile::try_lock(&lock).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
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
    pub(crate) fn publish(&self, folder: &Path, out: &Path, files: &mut Vec<Written>) -> Result<()> {
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
            sync_file(&path).map_err(failed(&path))?;
            let bytes = fs::metadata(&path).map_err(failed(&path))?.len();
            let sha256 = file::sha256(&path)?;
            let names: Vec<_> = relative.iter().map(|name| name.to_string_lossy()).collect();
            files.push(Written { path: names.join("/"), bytes, sha256 });
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

pub(crate) fn source_at(path: &Path) -> Option<Source> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes JSON so that it is there whole or not at all.
pub(crate) fn put(path: &Path, value: &impl Serialize) -> Result<()> {
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
pub(crate) fn sum_up(options: &Options, format: &dyn Format) -> Result<()> {
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
