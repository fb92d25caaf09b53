//! One file per format, all behind one trait.

mod agentnet;
mod anthropic;
mod csv;
mod foxglove;
mod jsonl;
mod keys;
mod lerobot;
mod mp4;
mod openai;
mod osworld;
mod owamcap;
mod parquet;
mod pyautogui;
mod row;
mod tape;
mod text;
mod wav;
mod webdataset;

use std::fs::File;
use std::path::Path;

use praxis_bundle::Track;

use crate::image::{Image, Options as Pictures};
use crate::plan::Step;
use crate::run::Options;
use crate::steps::{Wanted, Whole, for_each_step};
use crate::transcript::Span;
use crate::{Error, Result, Session};

pub use wav::write_audio;

/// A format that bundles can be exported in.
pub trait Format: Sync {
    /// Writes a bundle into a folder. The files in it take their places in the export when it has succeeded, so two bundles must
    /// not have files of one name: the bundle's id is in it, or in that of their folder.
    ///
    /// # Errors
    /// As reading or writing fails; `Lacks` if the bundle has nothing of what the format is made of.
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written>;

    /// A file that says what the export is, if the format has one: its name and text, given the splits that have steps.
    fn card(&self, _splits: &[&str]) -> Option<(&'static str, String)> {
        None
    }
}

/// What a format wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Steps in it.
    pub steps: u64,
    /// Steps that it cannot hold: there is no picture before them, or it has no word for them.
    pub left_out: u64,
}

/// A bundle that is being exported.
pub struct Bundle<'a> {
    /// What is in it.
    pub session: &'a Session,
    /// Its steps.
    pub steps: &'a [Step],
    /// What was said, or when.
    pub said: &'a [Span],
    /// The part of the data set that it belongs to.
    pub split: &'a str,
    /// What was asked for.
    pub options: &'a Options,
    /// Threads that may code pictures.
    pub threads: usize,
    /// Is told how far it is, from 0 to 1.
    pub progress: &'a dyn Fn(f64),
}

impl Bundle<'_> {
    /// Its id, which names its files.
    #[must_use]
    pub fn id(&self) -> String {
        self.session.manifest.bundle_id.to_string()
    }

    /// What the expert was asked, or called it.
    #[must_use]
    pub fn instruction(&self) -> &str {
        let manifest = &self.session.manifest;
        manifest.task.as_deref().or(manifest.title.as_deref()).unwrap_or_default()
    }

    /// Hands out its steps with their pictures.
    ///
    /// # Errors
    /// As [`for_each_step`].
    pub fn for_each_step(&self, voice: bool, each: impl FnMut(Whole<'_>) -> Result<()>) -> Result<()> {
        self.for_each_step_with(self.options.pictures, voice, each)
    }

    /// As [`Bundle::for_each_step`], with pictures as a format needs them.
    ///
    /// # Errors
    /// As [`for_each_step`].
    pub fn for_each_step_with(
        &self,
        pictures: Pictures,
        voice: bool,
        mut each: impl FnMut(Whole<'_>) -> Result<()>,
    ) -> Result<()> {
        let wanted = Wanted { pictures: Some(pictures), voice, threads: self.threads };
        let all = self.steps.len().max(1) as f64;
        for_each_step(self.session, self.steps, wanted, |whole| {
            (self.progress)(whole.step.index as f64 / all);
            each(whole)
        })
    }
}

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// A line of JSON for each step, pictures as files.
    Jsonl,
    /// Tables for Hugging Face's `datasets`, pictures and voice inside.
    Parquet,
    /// Tar files of samples.
    Webdataset,
    /// A trajectory of `OpenCUA`.
    Agentnet,
    /// Messages of Anthropic's computer use.
    Anthropic,
    /// Items of `OpenAI`'s computer use.
    Openai,
    /// A trajectory of `OSWorld`.
    Osworld,
    /// Messages of Open World Agents, in MCAP.
    Owamcap,
    /// Messages of Foxglove, in MCAP.
    Foxglove,
    /// Data sets of `LeRobot`.
    Lerobot,
    /// Videos of the displays.
    Mp4,
    /// The narration, with a map of its samples to session time.
    Wav,
    /// The transcript.
    Vtt,
    /// The transcript.
    Srt,
    /// The raw events.
    Csv,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Jsonl,
        Self::Parquet,
        Self::Webdataset,
        Self::Agentnet,
        Self::Anthropic,
        Self::Openai,
        Self::Osworld,
        Self::Owamcap,
        Self::Foxglove,
        Self::Lerobot,
        Self::Mp4,
        Self::Wav,
        Self::Vtt,
        Self::Srt,
        Self::Csv,
    ];

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Webdataset => "webdataset",
            Self::Agentnet => "agentnet",
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
            Self::Osworld => "osworld",
            Self::Owamcap => "owamcap",
            Self::Foxglove => "foxglove",
            Self::Lerobot => "lerobot",
            Self::Mp4 => "mp4",
            Self::Wav => "wav",
            Self::Vtt => "vtt",
            Self::Srt => "srt",
            Self::Csv => "csv",
        }
    }

    /// What writes it.
    #[must_use]
    pub fn format(self) -> Box<dyn Format> {
        match self {
            Self::Jsonl => Box::new(jsonl::Jsonl),
            Self::Parquet => Box::new(parquet::Parquet),
            Self::Webdataset => Box::new(webdataset::Webdataset),
            Self::Agentnet => Box::new(agentnet::Agentnet),
            Self::Anthropic => Box::new(anthropic::Anthropic),
            Self::Openai => Box::new(openai::OpenAi),
            Self::Osworld => Box::new(osworld::OsWorld),
            Self::Owamcap => Box::new(owamcap::OwaMcap),
            Self::Foxglove => Box::new(foxglove::Foxglove),
            Self::Lerobot => Box::new(lerobot::LeRobot),
            Self::Mp4 => Box::new(mp4::Mp4),
            Self::Wav => Box::new(wav::Wav),
            Self::Vtt => Box::new(text::Text::Vtt),
            Self::Srt => Box::new(text::Text::Srt),
            Self::Csv => Box::new(csv::Csv),
        }
    }
}

/// Makes a file, and the folders it is in.
fn create(path: &Path) -> Result<File> {
    let failed = || Error::io(format!("writing {}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed())?;
    }
    File::create(path).map_err(failed())
}

/// Writes a picture as a file, unless it is there: pictures of neighbouring steps are often the same.
fn put_image(folder: &Path, name: &str, image: &Image) -> Result<()> {
    let path = folder.join(name);
    if path.exists() {
        return Ok(());
    }
    std::fs::write(&path, &image.bytes).map_err(Error::io(format!("writing {}", path.display())))
}

/// A message of a track as what it is.
fn parsed<T: serde::de::DeserializeOwned>(track: Track, data: &[u8]) -> Result<T> {
    let wrong = |source| praxis_bundle::Error::Json { what: track.name(), source };
    Ok(serde_json::from_slice(data).map_err(wrong)?)
}
