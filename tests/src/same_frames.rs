//! The pictures of a recorded display in other codings: what they take as bundle, live and sealed, and as x264.
//!
//! The bundle is written anew with nothing but the pictures, by the live writer and the sealer, so its bytes are exact:
//! no share of other tracks is in them, keyframes are. x264 gets the same pictures, decoded from the bundle and repeated at
//! a constant rate, as raw B, G, R.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use praxis_bundle::finish::write_finished;
use praxis_bundle::manifest::EndReason;
use praxis_bundle::screen::Decoder;
use praxis_bundle::storage::Disk;
use praxis_bundle::{Ending, LiveWriter, Profile, Track, file};
use serde::Serialize;

use crate::record_bench::FPS;
use crate::workload::DISPLAY_PX;

/// How long a chunk of a live file lasts.
const CHUNK_NANOS: u64 = 250_000_000;

/// Bytes of the same pictures.
#[derive(Debug, Clone, Serialize)]
pub struct SameFrames {
    /// Session time they cover, from the epoch on.
    pub seconds: f64,
    /// Pictures in the bundle.
    pub pictures: u64,
    /// A live file of nothing else.
    pub live_bytes: u64,
    /// The same, sealed.
    pub sealed_bytes: u64,
    /// libx264 ultrafast, crf 23, 4:2:0.
    pub ultrafast_bytes: u64,
    /// libx264 veryfast, crf 23, 4:2:0.
    pub veryfast_bytes: u64,
    /// libx264rgb ultrafast, crf 0: exact.
    pub exact_bytes: u64,
}

/// Codes the pictures of display 0 up to a session time in all ways, with files in `folder`.
///
/// # Errors
/// If the bundle cannot be read, ffmpeg fails, or the disk is full.
pub fn same_frames(bundle: &Path, until_nanos: u64, folder: &Path) -> Result<SameFrames> {
    let (live, sealed) = (folder.join("pictures.live.mcap"), folder.join("pictures.mcap"));
    let pictures = write_pictures(bundle, until_nanos, &live)?;
    write_finished(&Disk, &live, &sealed, Profile::Seal)?;
    let bytes = |path: &Path| -> Result<u64> { Ok(std::fs::metadata(path)?.len()) };
    let (live_bytes, sealed_bytes) = (bytes(&live)?, bytes(&sealed)?);
    std::fs::remove_file(&live)?;

    let lossy = |preset| ["-c:v", "libx264", "-preset", preset, "-crf", "23", "-pix_fmt", "yuv420p"];
    let exact = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-crf", "0", "-pix_fmt", "bgr24"];
    let mut ffmpeg = Command::new("ffmpeg");
    let size = format!("{}x{}", DISPLAY_PX.0, DISPLAY_PX.1);
    ffmpeg.args(["-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-video_size", &size]);
    ffmpeg.args(["-framerate", &FPS.to_string(), "-i", "-"]);
    let codings = [lossy("ultrafast"), lossy("veryfast"), exact];
    let paths = ["ultrafast.h264", "veryfast.h264", "exact.h264"].map(|name| folder.join(name));
    for (coding, path) in codings.iter().zip(&paths) {
        ffmpeg.args(coding).arg(path);
    }
    let mut ffmpeg = ffmpeg.stdin(Stdio::piped()).spawn().context("ffmpeg: run scripts/setup")?;
    let mut pipe = ffmpeg.stdin.take().context("ffmpeg has no input")?;
    let piped = pipe_pictures(&sealed, until_nanos, &mut pipe);
    drop(pipe);
    let status = ffmpeg.wait()?;
    piped?;
    ensure!(status.success(), "ffmpeg: {status}");
    let [ultrafast_bytes, veryfast_bytes, exact_bytes] =
        [bytes(&paths[0])?, bytes(&paths[1])?, bytes(&paths[2])?];
    let seconds = until_nanos as f64 / 1e9;
    Ok(SameFrames {
        seconds,
        pictures,
        live_bytes,
        sealed_bytes,
        ultrafast_bytes,
        veryfast_bytes,
        exact_bytes,
    })
}

/// Writes a live file with the pictures of display 0 and nothing else; returns how many.
fn write_pictures(bundle: &Path, until_nanos: u64, live: &Path) -> Result<u64> {
    let screen = Track::Screen(0);
    let manifest = file::info_of(bundle)?.manifest;
    let mut writer = LiveWriter::new(File::create(live)?, &manifest, &[screen])?;
    let (mut pictures, mut chunk) = (0, 0);
    file::for_each_message(bundle, |channel, _, at, data| {
        if channel.track == screen && at <= until_nanos {
            if at / CHUNK_NANOS != chunk {
                writer.close_chunk()?;
                chunk = at / CHUNK_NANOS;
            }
            writer.push(channel, at, data)?;
            pictures += 1;
        }
        Ok(())
    })?;
    let ending =
        Ending { session_time_nanos: until_nanos, reason: EndReason::Stopped, outcome: None, note: None };
    writer.end(&ending)?;
    Ok(pictures)
}

/// Writes the pictures at the constant rate: each at least once, the one before repeated until the next is due.
fn pipe_pictures(bundle: &Path, until_nanos: u64, pipe: &mut impl std::io::Write) -> Result<()> {
    let mut decoder = Decoder::new(0);
    let mut held: Vec<u8> = Vec::new();
    let mut written = 0;
    file::for_each_message(bundle, |channel, sequence, at, data| {
        if channel.track == Track::Screen(0) {
            repeat(&held, at, &mut written, pipe)?;
            held.clone_from(&decoder.apply(sequence, data)?.bgr);
            write(&held, &mut written, pipe)?;
        }
        Ok(())
    })?;
    Ok(repeat(&held, until_nanos, &mut written, pipe)?)
}

/// Writes a picture until the next slot is that of a time.
fn repeat(
    picture: &[u8],
    until_nanos: u64,
    written: &mut u64,
    pipe: &mut impl std::io::Write,
) -> praxis_bundle::Result<()> {
    while !picture.is_empty() && *written < until_nanos * FPS / 1_000_000_000 {
        write(picture, written, pipe)?;
    }
    Ok(())
}

fn write(picture: &[u8], written: &mut u64, pipe: &mut impl std::io::Write) -> praxis_bundle::Result<()> {
    *written += 1;
    pipe.write_all(picture).map_err(praxis_bundle::Error::io("writing to ffmpeg"))
}
