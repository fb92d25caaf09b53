//! What the scripted workload shows: texts, and a clip that looks as if a camera had taken it. The same in every run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::kills::Random;

/// Size of moving pictures in pixels.
pub(crate) const CLIP_PX: (u32, u32) = (1280, 720);
const CLIP_SECONDS: u32 = 20;
const SEED: u64 = 1;
/// Lines of what is scrolled.
const LONG_LINES: usize = 4000;
/// What is typed into is shorter: the cursor is at its end.
const PAGE_LINES: usize = 60;

/// A folder with what the phases need.
pub struct Props {
    folder: tempfile::TempDir,
}

impl Props {
    /// Writes the texts and the clip.
    ///
    /// # Errors
    /// If ffmpeg fails or the disk is full.
    pub fn make() -> Result<Self> {
        let props = Self { folder: tempfile::tempdir()? };
        let text = |lines: usize| prose(&mut Random(SEED), lines);
        std::fs::write(props.path("long.txt"), text(LONG_LINES))?;
        std::fs::write(props.path("page.txt"), text(PAGE_LINES))?;
        make_clip(&props.path("texture.ppm"), &props.path("clip.mkv"))?;
        Ok(props)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Lines of words and numbers, none like another.
pub(crate) fn prose(random: &mut Random, lines: usize) -> String {
    const WORDS: [&str; 64] = [
        "the",
        "of",
        "model",
        "and",
        "residual",
        "to",
        "sample",
        "in",
        "a",
        "protein",
        "fit",
        "with",
        "is",
        "error",
        "for",
        "we",
        "binding",
        "that",
        "rate",
        "site",
        "measured",
        "by",
        "at",
        "energy",
        "two",
        "from",
        "curve",
        "shows",
        "where",
        "plot",
        "buffer",
        "between",
        "structure",
        "chain",
        "slope",
        "each",
        "temperature",
        "not",
        "as",
        "value",
        "mean",
        "under",
        "noise",
        "then",
        "solvent",
        "sequence",
        "because",
        "result",
        "loop",
        "domain",
        "it",
        "mutant",
        "before",
        "assay",
        "which",
        "window",
        "signal",
        "data",
        "without",
        "charge",
        "one",
        "fold",
        "see",
        "again",
    ];
    let mut text = String::new();
    for _ in 0..lines {
        let indent = [0, 0, 0, 4, 8][random.below(5) as usize];
        let width = 20 + random.below(75) as usize;
        let mut line = " ".repeat(indent);
        while line.len() < width {
            // Writing to a text cannot fail.
            let _ = match random.below(14) {
                0 => write!(line, "{}, ", WORDS[random.below(64) as usize]),
                1 => write!(line, "{}.{} ", random.below(100), random.below(1000)),
                2 => write!(line, "x = {} ", random.below(10_000)),
                _ => write!(line, "{} ", WORDS[random.below(64) as usize]),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A moving picture as a camera gives it: a slow zoom into a texture of all scales, with grain.
fn make_clip(texture: &Path, clip: &Path) -> Result<()> {
    let (width, height) = (CLIP_PX.0 * 2, CLIP_PX.1 * 2);
    let mut pixels = format!("P6 {width} {height} 255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            let value = |channel: u64| {
                // Each scale as strong as the others, as in pictures of nature.
                let sum: f64 = (1..10).map(|octave| smooth_noise(x, y, octave, channel)).sum();
                (128.0 + (sum - 4.5) * 70.0) as u8
            };
            let grey = value(0);
            pixels.extend([grey, grey / 2 + value(1) / 2, grey / 2 + value(2) / 2]);
        }
    }
    std::fs::write(texture, pixels)?;
    let (width, height) = CLIP_PX;
    let zoom = format!(
        "zoompan=z=1.9+0.4*sin(on/80):x=iw/4+200*sin(on/50):y=ih/4+100*cos(on/70):d={}:s={width}x{height}:fps=25,\
         noise=alls=8:allf=t:all_seed=7,format=yuv420p",
        CLIP_SECONDS * 25
    );
    let [from, to] = [texture, clip].map(|path| path.display().to_string());
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-y", "-loglevel", "error", "-nostdin", "-i", &from, "-vf", &zoom, "-c:v", "libx264"]);
    ffmpeg
        .args(["-preset", "veryfast", "-tune", "fastdecode", "-crf", "18", "-threads", "1", &to])
        .stdin(Stdio::null());
    let status = ffmpeg.status().context("ffmpeg: run scripts/setup")?;
    ensure!(status.success(), "ffmpeg could not make the clip: {status}");
    Ok(())
}

/// Noise of one scale, 0 to 1, without steps.
fn smooth_noise(x: u32, y: u32, octave: u32, channel: u64) -> f64 {
    let cell = 1 << octave;
    let corner = |x: u32, y: u32| {
        let mut hash = (u64::from(x) << 40) ^ (u64::from(y) << 16) ^ (u64::from(octave) << 8) ^ channel;
        hash = (hash ^ (hash >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (hash >> 40) as f64 / f64::from(1 << 24)
    };
    let (column, row) = (x / cell, y / cell);
    let part = |at: u32| {
        let t = f64::from(at % cell) / f64::from(cell);
        t * t * (3.0 - 2.0 * t)
    };
    let (right, down) = (part(x), part(y));
    let mix = |a: f64, b: f64, t: f64| a + (b - a) * t;
    mix(
        mix(corner(column, row), corner(column + 1, row), right),
        mix(corner(column, row + 1), corner(column + 1, row + 1), right),
        down,
    )
}
