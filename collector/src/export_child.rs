//! The child process that makes an export: it limits itself, exports the bundles into a folder, packs that into one archive, and says
//! line by line how far it is. It ends when its input does, as it does when the server is killed. The folder goes on where an earlier
//! child was stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use praxis_bundle::file::with_suffix;
use praxis_export::format::Name;
use praxis_export::image::{Coding, Options as Pictures, Size};
use praxis_export::run::{Became, Filter, Input, Options, run};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Memory that the child may map.
const MAX_MEMORY_BYTES: u64 = 4 << 30;
/// Bundles at once: more would not fit into that memory.
const MAX_JOBS: usize = 4;
/// Processor time for any export, and for each of its bytes: a video takes longest.
const BASE_SECONDS: u64 = 600;
const BYTES_PER_SECOND: u64 = 64 << 10;
/// Why an export stops when there is no more room.
pub(crate) const DISK_FULL: &str =
    "the collector's disk is full: remove exports that were fetched, or make room, and ask again";
/// It says how far it is when it is so much further.
const TELL: f64 = 0.005;
/// The share of the work that is exporting; the rest is packing.
const EXPORTING: f64 = 0.9;

/// How an export is to be written, as a request has it. What is missing is as `praxis export` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// The format's name.
    pub format: String,
    /// Lossless WebP instead of PNG.
    pub webp: bool,
    /// Largest size of a picture.
    pub most_px: Option<(u32, u32)>,
    /// Pictures a second of formats that are not made of steps.
    pub rate: u32,
    /// MiB after which a file of many steps is closed.
    pub shard_mib: u64,
    /// Parts of the data set with their shares.
    pub splits: Vec<(String, u32)>,
    /// Deals the experts.
    pub seed: u64,
}

impl Default for Wish {
    fn default() -> Self {
        let splits = vec![("train".to_owned(), 100)];
        Self { format: String::new(), webp: false, most_px: None, rate: 5, shard_mib: 512, splits, seed: 0 }
    }
}

impl Wish {
    /// The options of the export, or what is wrong with the wish.
    ///
    /// # Errors
    /// A sentence for whoever wished it.
    pub fn options(&self, out: PathBuf) -> Result<Options, String> {
        let format = Name::ALL.into_iter().find(|name| name.as_str() == self.format);
        let format = format.ok_or_else(|| {
            format!(
                "there is no format {:?}: choose one of {}",
                self.format,
                Name::ALL.map(Name::as_str).join(", ")
            )
        })?;
        let options = Options {
            format,
            out,
            pictures: Pictures {
                coding: if self.webp { Coding::WebP } else { Coding::Png },
                size: self.most_px.map_or(Size::Own, |(width, height)| Size::Most(width, height)),
            },
            rate: self.rate,
            has_pointer: true,
            has_captions: false,
            shard_bytes: self.shard_mib.saturating_mul(1 << 20),
            splits: self.splits.clone(),
            seed: self.seed,
            jobs: std::thread::available_parallelism().map_or(1, usize::from).min(MAX_JOBS),
            filter: Filter::default(),
        };
        if matches!(format, Name::Vtt | Name::Srt) {
            return Err(format!("{}: a collector has no transcripts to export", self.format));
        }
        options.check()?;
        Ok(options)
    }
}

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// How.
    pub wish: Wish,
    /// The bundles.
    pub bundles: Vec<Given>,
    /// The folder to fill, which goes when the archive is complete.
    pub folder: PathBuf,
    /// The archive.
    pub archive: PathBuf,
    /// The folder of everything inside the archive.
    pub name: String,
}

/// A bundle that the child is given.
#[derive(Debug, Serialize, Deserialize)]
pub struct Given {
    /// Its id.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// The digest it had when it was verified.
    pub sha256: String,
    /// Whose it is.
    pub expert: String,
    /// What it was recorded for.
    pub project: String,
}

/// A line of the child.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// How much is done, from 0 to 1.
    Part(f64),
    /// It is there.
    Done(Done),
    /// It cannot be made.
    Failed(Failure),
}

/// Why an export cannot be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// In a sentence.
    pub(crate) why: String,
    /// What became of each bundle, by its id, if that was known.
    pub(crate) sources: BTreeMap<String, Source>,
}

/// What the child made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The archive's length.
    pub(crate) bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub(crate) sha256: String,
    /// What became of each bundle, by its id.
    pub(crate) sources: BTreeMap<String, Source>,
}

/// What became of a bundle.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Steps written; `None` if it is not in the archive.
    pub(crate) steps: Option<u64>,
    /// Why it is not in the archive, or what of it is missing.
    pub(crate) problem: Option<String>,
}

/// The child: reads its task, a line, limits itself, works, and writes lines.
///
/// # Errors
/// If the task cannot be read, the limits cannot be set, or nobody reads the lines.
pub fn export_here(mut task: impl BufRead + Send + 'static, out: &mut (impl Write + Send)) -> Result<()> {
    let mut text = String::new();
    task.read_line(&mut text)?;
    std::thread::spawn(move || {
        // The server keeps it open and says nothing more.
        let _ = task.read_line(&mut String::new());
        std::process::exit(1);
    });
    let task: Task = serde_json::from_str(&text).context("reading the task")?;
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let all_bytes: u64 =
        task.bundles.iter().filter_map(|given| Some(fs::metadata(&given.path).ok()?.len())).sum();
    setrlimit(Resource::As, limit(MAX_MEMORY_BYTES)).context("limiting memory")?;
    setrlimit(Resource::Cpu, limit(BASE_SECONDS + all_bytes / BYTES_PER_SECOND)).context("limiting time")?;
    setrlimit(Resource::Core, limit(0)).context("limiting core files")?;
    let out = Mutex::new(out);
    let say = |line: &Line| -> Result<()> {
        let mut out = out.lock().map_err(|_| anyhow::anyhow!("a thread has failed"))?;
        serde_json::to_writer(&mut **out, line)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    };
    let mut sources = BTreeMap::new();
    let line = match work(&task, &mut sources, &say) {
        Ok(done) => Line::Done(done),
        Err(error) => {
            // There is no archive that they could be in.
            sources.values_mut().for_each(|source| source.steps = None);
            let why = format!("{error:#}").replace(&task.folder.display().to_string(), "the export");
            Line::Failed(Failure { why, sources })
        }
    };
    say(&line)
}

/// Makes the export; what became of each bundle is known also if it fails.
fn work(
    task: &Task,
    sources: &mut BTreeMap<String, Source>,
    say: &(dyn Fn(&Line) -> Result<()> + Sync),
) -> Result<Done> {
    let options = task.wish.options(task.folder.clone()).map_err(anyhow::Error::msg)?;
    let input = |given: &Given| Input {
        path: given.path.clone(),
        expert: Some(given.expert.clone()),
        project: Some(given.project.clone()),
        sha256: Some(given.sha256.clone()),
        remote: None,
    };
    let inputs: Vec<Input<'_>> = task.bundles.iter().map(input).collect();
    let told = Mutex::new(0.0);
    let tell = |part: f64| {
        if let Ok(mut told) = told.lock()
            && part >= *told + TELL
        {
            *told = part;
            // Whoever does not listen any more ends this process.
            let _ = say(&Line::Part(part));
        }
    };
    let became = run(&inputs, &options, &|progress| {
        tell(EXPORTING * progress.bytes as f64 / progress.all_bytes.max(1) as f64);
    });
    let became = became.map_err(|error| match error.is_disk_full() {
        true => anyhow::anyhow!(DISK_FULL),
        false => error.into(),
    })?;
    *sources = task
        .bundles
        .iter()
        .zip(became)
        .map(|(given, became)| (given.id.clone(), source(&options.out, given, became)))
        .collect();
    ensure!(
        sources.values().any(|source| source.steps.is_some()),
        "none of the bundles could be exported: the list says why of each"
    );
    let (bytes, sha256) =
        pack(&task.folder, &task.name, &task.archive, &|part| tell(EXPORTING + part * (1.0 - EXPORTING)))
            .map_err(|error| match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => anyhow::anyhow!(DISK_FULL),
                _ => error,
            })?;
    fs::remove_dir_all(&task.folder).context("removing what is in the archive")?;
    Ok(Done { bytes, sha256, sources: sources.clone() })
}

/// What became of a bundle; its path is nothing to whoever reads it.
fn source(out: &Path, given: &Given, became: Became) -> Source {
    let (id, path) = (&given.id, &given.path);
    let recorded = || -> Option<serde_json::Value> {
        serde_json::from_slice(&fs::read(out.join("sources").join(format!("{id}.json"))).ok()?).ok()
    };
    let lost = |bytes: u64| {
        (bytes > 0).then(|| format!("{bytes} bytes of it cannot be read: what they held is missing"))
    };
    match became {
        Became::Failed(error) => {
            let problem = error.to_string().replace(&path.display().to_string(), "the bundle");
            let problem = problem.replace(&out.display().to_string(), "the export");
            Source { problem: Some(problem), ..Source::default() }
        }
        Became::LeftOut => Source::default(),
        Became::Exported { unreadable_bytes, .. } | Became::WasThere { unreadable_bytes } => {
            let recorded = recorded().unwrap_or_default();
            let left_out = recorded["left_out"].as_u64().filter(|steps| *steps > 0);
            let left_out = left_out.map(|steps| format!("{steps} steps have no place in this format"));
            Source { steps: recorded["steps"].as_u64(), problem: lost(unreadable_bytes).or(left_out) }
        }
    }
}

/// Packs a folder, file by file in order of their names, so that the same folder gives the same archive.
fn pack(folder: &Path, name: &str, archive: &Path, tell: &dyn Fn(f64)) -> Result<(u64, String)> {
    let mut files = Vec::new();
    files_in(folder, &mut files)?;
    files.sort();
    let part = with_suffix(archive, ".part");
    let mut tar = tar::Builder::new(BufWriter::new(Hashed {
        file: File::create(&part)?,
        sha256: Sha256::new(),
        bytes: 0,
    }));
    for (path, number) in files.iter().zip(0u32..) {
        let mut header = tar::Header::new_gnu();
        let mut file = File::open(path)?;
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        let inside = Path::new(name).join(path.strip_prefix(folder)?);
        tar.append_data(&mut header, inside, &mut file)?;
        tell(f64::from(number) / files.len() as f64);
    }
    let hashed = tar.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    hashed.file.sync_all()?;
    fs::rename(&part, archive)?;
    let sha256 = hashed.sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hashed.bytes, sha256))
}

fn files_in(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_in(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// A file whose digest is known when it is written.
struct Hashed {
    file: File,
    sha256: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
