//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use praxis_bundle::manifest::{Lossy, Outcome};
use praxis_capture_core::sources::{InputBackend, ScreenBackend};
use praxis_export::format::Name;

/// Record how a problem is solved: screen, pointer, keys, windows and voice in one file.
#[derive(Debug, Parser)]
#[command(
    name = "praxis",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  praxis doctor                         see whether this machine can be recorded
  praxis record --title 'Fit a model'   record until Ctrl-C
  praxis list                           what has been recorded
  praxis frame FILE --at 12.5 -o x.png  the screen at 12.5 seconds

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 finished but data was lost"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prove that screen, keys, pointer, windows, elements, microphone, disk and clock work, by trying each
    #[command(after_help = "Example:\n  praxis doctor --mic default")]
    Doctor(Doctor),
    /// Measure how far screen, keys and voice are apart on this machine; later bundles carry the figures
    #[command(after_help = "\
Example:
  praxis calibrate

A square flashes, a key without meaning is pressed and the loudspeaker beeps, all at the same instants, while a
recording runs. The microphone has to hear the loudspeaker.")]
    Calibrate(Calibrate),
    /// Record a session until it is stopped
    #[command(after_help = "\
Examples:
  praxis record --title 'Fit a model'
  praxis record --out sessions --seconds 60 --mic none
  praxis record --display 0 --mic voice.wav --outcome success

While recording, p pauses and resumes, m sets a marker, Ctrl-C stops.
Without a terminal, SIGUSR1 pauses and resumes, SIGUSR2 marks; SIGINT, SIGTERM, SIGHUP and SIGQUIT stop.
The path of the bundle is printed last. Passwords that are typed while recording are recorded.")]
    Record(Record),
    /// List the sessions on this machine; interrupted ones are recovered first
    #[command(after_help = "Example:\n  praxis list --json")]
    List(List),
    /// Say what is in a bundle
    #[command(after_help = "Example:\n  praxis info FILE --json")]
    Info(JsonFile),
    /// Check every byte of a bundle; exit 1 if anything is found
    #[command(after_help = "Example:\n  praxis check FILE && echo sound")]
    Check(JsonFile),
    /// Make a finished bundle of a file that was cut or damaged; the file itself is left as it is
    #[command(after_help = "Example:\n  praxis recover broken.live.mcap -o mended.mcap")]
    Recover(Recover),
    /// Seal a recording: compressed, indexed, checked, ready to be sent
    #[command(after_help = "Example:\n  praxis seal SESSION.live.mcap")]
    Seal(File),
    /// Write the screen at a time as PNG
    #[command(after_help = "Example:\n  praxis frame FILE --at 12.5 -o x.png")]
    Frame(Frame),
    /// Print all messages but pictures and samples, a JSON object per line, in order of time
    #[command(after_help = "Example:\n  praxis events FILE --track keys | jq -r 'select(.text) | .text'")]
    Events(Events),
    /// Write the voice as WAV; gaps are silence, so that time holds
    #[command(after_help = "Example:\n  praxis narration FILE -o voice.wav")]
    Narration(Narration),
    /// Print what was done, step by step: click, drag, scroll, type, press, hotkey
    #[command(
        after_help = "Example:\n  praxis actions FILE --json | jq -r '.actions[] | select(.text) | .text'"
    )]
    Actions(JsonFile),
    /// Turn bundles into steps (what was seen, done, said) in a format that labs load
    #[command(after_help = "\
Examples:
  praxis export FILE --format jsonl --out steps
  praxis export sessions/ --format parquet --out dataset --split train:90 --split validation:10
  praxis export sessions/ --format webdataset --out shards --most-px 1280x800 --outcome success

A folder stands for all sealed bundles in it. What is beside a bundle is used: FILE.transcript.json (of whisper), .vtt or .srt, and
FILE.corrections.json. The same command again goes on where it was stopped. docs/export-formats.md shows each format.")]
    Export(Export),
    /// Replay a bundle in the browser; nothing leaves this machine
    #[command(after_help = "\
Examples:
  praxis open FILE
  praxis open FILE --no-browser --port 8080

It serves the player and this file alone, on this machine alone, under an address that nobody can guess, until Ctrl-C or the
player's Close. A file that is cut, damaged or still being recorded is shown as far as it goes.")]
    Open(Open),
    /// Delete a session and all that belongs to it
    #[command(after_help = "Example:\n  praxis delete FILE")]
    Delete(File),
    /// Enrol this machine at a collector, with the code from your project lead
    #[command(after_help = "Example:\n  praxis enroll https://collector.example.org ABCD-EFGH-JKLM-NPQR")]
    Enroll(Enroll),
    /// Agree that a sealed bundle is sent, as it is
    #[command(after_help = "\
Example:
  praxis approve FILE

Look at the recording first. The approval is bound to its bytes: a bundle that changes needs another one.")]
    Approve(File),
    /// Upload an approved bundle; goes on after anything, however often it is cut
    #[command(after_help = "\
Examples:
  praxis upload FILE --wait
  praxis upload FILE --to https://tus.example.org/files

Without --to it goes to the collector this machine is enrolled at. Exit code 1 means that a person has to act.")]
    Upload(Upload),
    /// List uploads and where they are
    #[command(after_help = "Examples:\n  praxis uploads --json\n  praxis uploads --resume")]
    Uploads(Uploads),
    /// Print shell completions
    #[command(
        after_help = "Example:\n  praxis completions bash > ~/.local/share/bash-completion/completions/praxis"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  praxis man | man -l -")]
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Microphone to try: default, none, or a name
    #[arg(long, default_value = "default")]
    pub(crate) mic: String,
    /// Folder to try
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// Microphone that hears the beeps: default, none, or a name
    #[arg(long, default_value = "default")]
    pub(crate) mic: String,
    /// How many instants
    #[arg(long, default_value = "200", value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) instants: u32,
    /// Folder to leave the recording in [default: it is deleted]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Folder of the bundle [default: the library of this user]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Stop after this many seconds
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,
    /// Most pictures per second while the screen changes, 1 to 60
    #[arg(long, default_value = "12", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=60))]
    pub(crate) fps: u8,
    /// Whether what moves too much for too long, as a film does, may be kept inexactly until it settles
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    pub(crate) lossy: LossyArgument,
    /// Display to record: all, a number, or a name; may be given several times
    #[arg(long, default_value = "all")]
    pub(crate) display: Vec<String>,
    /// Microphone: default, none, a name, or a WAV file to be heard instead
    #[arg(long, default_value = "default")]
    pub(crate) mic: String,
    /// Samples per second of a microphone; a WAV file keeps its own
    #[arg(long, default_value = "48000", value_name = "HZ", value_parser = clap::value_parser!(u32).range(8_000..=192_000))]
    pub(crate) mic_rate: u32,
    /// Record what the computer itself sounds, too
    #[arg(long)]
    pub(crate) system_sound: bool,
    /// Record the text of what is copied, too
    #[arg(long)]
    pub(crate) clipboard_text: bool,
    /// What takes the pictures: scrap is a library that runs on several systems, and knows less (docs/platforms.md)
    #[arg(long, default_value = "native", value_name = "BACKEND")]
    pub(crate) screen: ScreenArgument,
    /// What hears pointer and keys: rdev is a library that runs on several systems, and knows less (docs/platforms.md)
    #[arg(long, default_value = "native", value_name = "BACKEND")]
    pub(crate) input: InputArgument,
    /// Title of the session
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// How the work ended
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<OutcomeArgument>,
    /// End the recording when less than this is free on the disk, in MiB
    #[arg(long, default_value = "64", value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..=1 << 32))]
    pub(crate) keep_free: u64,
    /// Leave the live file as it is
    #[arg(long)]
    pub(crate) no_seal: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LossyArgument {
    Auto,
    Never,
}

impl From<LossyArgument> for Lossy {
    fn from(lossy: LossyArgument) -> Self {
        match lossy {
            LossyArgument::Auto => Self::Auto,
            LossyArgument::Never => Self::Never,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ScreenArgument {
    Native,
    Scrap,
}

impl From<ScreenArgument> for ScreenBackend {
    fn from(screen: ScreenArgument) -> Self {
        match screen {
            ScreenArgument::Native => Self::Native,
            ScreenArgument::Scrap => Self::Scrap,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum InputArgument {
    Native,
    Rdev,
}

impl From<InputArgument> for InputBackend {
    fn from(input: InputArgument) -> Self {
        match input {
            InputArgument::Native => Self::Native,
            InputArgument::Rdev => Self::Rdev,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OutcomeArgument {
    Success,
    Failure,
    Abandoned,
}

impl From<OutcomeArgument> for Outcome {
    fn from(outcome: OutcomeArgument) -> Self {
        match outcome {
            OutcomeArgument::Success => Self::Success,
            OutcomeArgument::Failure => Self::Failure,
            OutcomeArgument::Abandoned => Self::Abandoned,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Folder of the sessions [default: the library of this user]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// The bundle
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct JsonFile {
    /// The bundle
    pub(crate) file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The file that was cut or damaged
    pub(crate) file: PathBuf,
    /// Where to write the bundle [default: beside it, as ….recovered.mcap]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Frame {
    /// The bundle
    pub(crate) file: PathBuf,
    /// Session time in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) at: f64,
    /// Number of the display
    #[arg(long, default_value = "0", value_name = "N")]
    pub(crate) display: u8,
    /// PNG file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// The bundle
    pub(crate) file: PathBuf,
    /// Only these tracks
    #[arg(long, value_name = "NAME")]
    pub(crate) track: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The bundle
    pub(crate) file: PathBuf,
    /// Port to listen on [default: a free one]
    #[arg(long, default_value = "0", hide_default_value = true, value_name = "N")]
    pub(crate) port: u16,
    /// Only print the address
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Bundles, or folders of them
    #[arg(required_unless_present = "from", conflicts_with = "from", value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Instead of inputs: what a collector has verified, with a lead's or reviewer's token in PRAXIS_TOKEN
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
    /// A file with the token, instead of PRAXIS_TOKEN
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) token_file: Option<PathBuf>,
    /// The format
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Name::ALL.map(Name::as_str)))]
    pub(crate) format: String,
    /// The folder to fill: a new one, or one with the same export
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Bundles that are exported at the same time [default: as many as the machine has cores]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Pictures as lossless WebP, which is smaller and slower, instead of PNG
    #[arg(long)]
    pub(crate) webp: bool,
    /// Largest size of a picture: larger ones are made smaller, and places with them
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size_px)]
    pub(crate) most_px: Option<(u32, u32)>,
    /// owamcap, foxglove: pictures a second at most; lerobot: rows a second
    #[arg(long, default_value = "5", value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=12))]
    pub(crate) rate: u32,
    /// mp4: without the arrow where the pointer was
    #[arg(long)]
    pub(crate) no_pointer: bool,
    /// mp4: the transcript as captions, which a player can show
    #[arg(long)]
    pub(crate) captions: bool,
    /// A Parquet or tar file is closed when it has so many MiB
    #[arg(long, default_value = "512", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) shard: u64,
    /// A part of the data set with its share; all bundles of an expert are in one part [default: train:100]
    #[arg(long, value_name = "NAME:SHARE", value_parser = split)]
    pub(crate) split: Vec<(String, u32)>,
    /// Another seed deals the experts otherwise
    #[arg(long, default_value = "0", value_name = "N")]
    pub(crate) seed: u64,
    /// Only bundles of this project
    #[arg(long)]
    pub(crate) project: Option<String>,
    /// Only bundles of these experts
    #[arg(long, value_name = "PSEUDONYM")]
    pub(crate) expert: Vec<String>,
    /// Only work that ended so
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<OutcomeArgument>,
    /// Only sessions that last at least so long
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) min_length: f64,
}

fn size_px(text: &str) -> Result<(u32, u32), String> {
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.ok_or("not a size such as 1280x800".into())
}

fn split(text: &str) -> Result<(String, u32), String> {
    let parts = text.split_once(':').and_then(|(name, share)| Some((name.to_owned(), share.parse().ok()?)));
    parts.ok_or("not a name and a share, such as validation:10".into())
}

#[derive(Debug, Args)]
pub(crate) struct Narration {
    /// The bundle
    pub(crate) file: PathBuf,
    /// Write what the computer itself sounded instead of the voice
    #[arg(long)]
    pub(crate) system_sound: bool,
    /// WAV file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// Address of the collector
    pub(crate) url: String,
    /// The code; it works once
    pub(crate) code: String,
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The bundle
    pub(crate) file: PathBuf,
    /// Send to another tus 1.0 server: the address where it makes uploads
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// Wait until the collector has checked it
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Uploads {
    /// Go on with what is not finished, until it is
    #[arg(long)]
    pub(crate) resume: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds, such as 12.5".to_owned())?;
    if seconds.is_finite() && (0.0..=1e8).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("0 to 100,000,000".into())
    }
}
