//! `mp4`: a video of each display with the narration, made by the installed ffmpeg: to look at, not to learn from.
//!
//! Twelve times a second the video shows the last picture that was there by then, with an arrow where the pointer was, unless it is not
//! wanted; a transcript can go along as captions. It is black while nothing was recorded, or what was shown is not known.

use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use praxis_bundle::messages::{PointerMessage, Rect};
use praxis_bundle::screen::{Decoder, Picture};
use praxis_bundle::{Track, file};

use super::wav::write_audio;
use super::{Bundle, Format, Written};
use crate::transcript::to_vtt;
use crate::{Error, Result, Session};

/// Pictures a second: as many as are recorded at most.
const RATE: u64 = 12;
/// How the arrow looks, row by row: how many pixels are its edge and its inside.
const ARROW: [(usize, usize); 16] = [
    (1, 0),
    (2, 0),
    (2, 1),
    (2, 2),
    (2, 3),
    (2, 4),
    (2, 5),
    (2, 6),
    (2, 7),
    (2, 8),
    (2, 9),
    (5, 6),
    (5, 3),
    (4, 2),
    (4, 1),
    (3, 0),
];

pub(super) struct Mp4;

impl Format for Mp4 {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let session = bundle.session;
        let out = folder.join(bundle.split);
        std::fs::create_dir_all(&out).map_err(Error::io(format!("writing {}", out.display())))?;
        let voice = folder.join("voice.wav");
        if let Some(rate_hz) = session.rate_hz {
            write_audio(&session.path, Track::Narration, rate_hz, session.duration_nanos, &voice)?;
        }
        let captions = folder.join("captions.vtt");
        let has_captions = bundle.options.has_captions && bundle.said.iter().any(|span| span.text.is_some());
        if has_captions {
            std::fs::write(&captions, to_vtt(bundle.said))
                .map_err(Error::io(format!("writing {}", captions.display())))?;
        }
        let all = session.sizes.len().max(1) as f64;
        for ((display, size), number) in session.sizes.iter().zip(0u32..) {
            let path = out.join(format!("{}-{display}.mp4", bundle.id()));
            let beside = Beside {
                voice: session.rate_hz.map(|_| &*voice),
                captions: has_captions.then_some(&*captions),
            };
            let mut video = Video::start(&path, *size, beside)?;
            let pointers = if bundle.options.has_pointer { pointers(session, *display)? } else { Vec::new() };
            video.write(session, *display, &pointers, &|part| {
                (bundle.progress)((f64::from(number) + part) / all);
            })?;
            video.finish()?;
        }
        for path in session.rate_hz.map(|_| voice).into_iter().chain(has_captions.then_some(captions)) {
            std::fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))?;
        }
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}

/// What goes into a video beside its pictures.
#[derive(Clone, Copy)]
struct Beside<'a> {
    voice: Option<&'a Path>,
    captions: Option<&'a Path>,
}

/// ffmpeg, and the picture that it is given again and again.
struct Video {
    ffmpeg: Child,
    width: usize,
    height: usize,
    /// B, G, R.
    canvas: Vec<u8>,
    ticks: u64,
}

impl Video {
    /// A video of the largest size that the display had, in even numbers: H.264 has colours of four pixels each.
    fn start(path: &Path, (width_px, height_px): (u32, u32), beside: Beside<'_>) -> Result<Self> {
        let (width, height) = (width_px.next_multiple_of(2) as usize, height_px.next_multiple_of(2) as usize);
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24"]);
        command.args([
            "-video_size",
            &format!("{width}x{height}"),
            "-framerate",
            &RATE.to_string(),
            "-i",
            "pipe:0",
        ]);
        for path in beside.voice.into_iter().chain(beside.captions) {
            command.arg("-i").arg(path);
        }
        if beside.voice.is_some() {
            command.args(["-c:a", "aac"]);
        }
        if beside.captions.is_some() {
            command.args(["-c:s", "mov_text"]);
        }
        command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]);
        command.args(["-movflags", "+faststart", "-y"]).arg(path);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let missing = |source| {
            Error::io("starting ffmpeg, which makes the video: install it (apt install ffmpeg)")(source)
        };
        let canvas = vec![0; width * height * 3];
        Ok(Self { ffmpeg: started.map_err(missing)?, width, height, canvas, ticks: 0 })
    }

    fn write(
        &mut self,
        session: &Session,
        display: u8,
        pointers: &[Option<(u16, u16)>],
        progress: &dyn Fn(f64),
    ) -> Result<()> {
        let mut pipe =
            BufWriter::new(self.ffmpeg.stdin.take().ok_or_else(|| self.failed("it takes nothing"))?);
        let all = session.duration_nanos * RATE / 1_000_000_000;
        let mut decoder = Decoder::new(display);
        let mut failure = None;
        let mut doubts =
            session.changes.get(&display).into_iter().flatten().filter(|change| change.number.is_none());
        let mut doubt = doubts.next();
        file::for_each_message(&session.path, |channel, sequence, nanos, data| {
            if channel.track != Track::Screen(display) || failure.is_some() {
                return Ok(());
            }
            // What is lost before this one is black from there on.
            while let Some(change) = doubt.filter(|change| change.nanos <= nanos) {
                failure = failure.take().or(self.show(&mut pipe, change.nanos, pointers).err());
                self.canvas.fill(0);
                doubt = doubts.next();
            }
            failure = failure.take().or(self.show(&mut pipe, nanos, pointers).err());
            match decoder.apply(sequence, data) {
                Ok(picture) => self.put(picture),
                Err(_) => self.canvas.fill(0),
            }
            progress(self.ticks as f64 / all.max(1) as f64);
            Ok(())
        })?;
        let rest = match failure {
            Some(error) => Err(error),
            None => self.show(&mut pipe, session.duration_nanos, pointers).and_then(|()| pipe.flush()),
        };
        // What ffmpeg says of it is better.
        rest.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
            .map_err(Error::io("handing pictures to ffmpeg"))
    }

    /// Shows what is there until a time, not included.
    fn show(
        &mut self,
        pipe: &mut impl Write,
        until_nanos: u64,
        pointers: &[Option<(u16, u16)>],
    ) -> std::io::Result<()> {
        while self.ticks * 1_000_000_000 / RATE < until_nanos {
            let at = pointers.get(self.ticks as usize).copied().flatten();
            self.ticks += 1;
            let Some((x, y)) = at else {
                pipe.write_all(&self.canvas)?;
                continue;
            };
            let under = self.arrow(x.into(), y.into());
            pipe.write_all(&self.canvas)?;
            for (place, pixel) in under {
                self.canvas[place..place + 3].copy_from_slice(&pixel);
            }
        }
        Ok(())
    }

    fn put(&mut self, picture: &Picture) {
        let (width, height) = (picture.width_px as usize, picture.height_px as usize);
        if (width, height) != (self.width, self.height) {
            self.canvas.fill(0);
        }
        for (row, pixels) in picture.bgr.chunks_exact(width * 3).enumerate().take(self.height.min(height)) {
            self.canvas[row * self.width * 3..][..width * 3].copy_from_slice(pixels);
        }
    }

    /// Draws the arrow and returns what was under it.
    fn arrow(&mut self, x: usize, y: usize) -> Vec<(usize, [u8; 3])> {
        let mut under = Vec::new();
        for (row, (edge, inside)) in ARROW.iter().enumerate() {
            for column in 0..edge + inside {
                let (x, y) = (x + column, y + row);
                if x >= self.width || y >= self.height {
                    continue;
                }
                let place = (y * self.width + x) * 3;
                let pixel = [self.canvas[place], self.canvas[place + 1], self.canvas[place + 2]];
                under.push((place, pixel));
                let is_inside = column > 0 && column <= *inside;
                self.canvas[place..place + 3].fill(if is_inside { 255 } else { 0 });
            }
        }
        under
    }

    fn finish(mut self) -> Result<()> {
        let mut said = String::new();
        if let Some(mut stderr) = self.ffmpeg.stderr.take() {
            // What it says is only for the message.
            let _ = stderr.read_to_string(&mut said);
        }
        let status = self.ffmpeg.wait().map_err(Error::io("waiting for ffmpeg"))?;
        if status.success() { Ok(()) } else { Err(self.failed(said.trim())) }
    }

    fn failed(&self, said: &str) -> Error {
        Error::Coding { what: "a video", why: format!("ffmpeg says: {said}") }
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        // One that has ended is not there to be ended.
        let _ = self.ffmpeg.kill();
        let _ = self.ffmpeg.wait();
    }
}

/// Where the pointer was on a display at each picture of the video.
fn pointers(session: &Session, display: u8) -> Result<Vec<Option<(u16, u16)>>> {
    let mut places: Vec<Option<(u16, u16)>> =
        vec![None; (session.duration_nanos * RATE / 1_000_000_000 + 1) as usize];
    let mut last = (0usize, None);
    file::for_each_message(&session.path, |channel, _, nanos, data| {
        if channel.track != Track::Pointer {
            return Ok(());
        }
        let json = |source| praxis_bundle::Error::Json { what: channel.track.name(), source };
        let message: PointerMessage = serde_json::from_slice(data).map_err(json)?;
        let tick = ((nanos * RATE).div_ceil(1_000_000_000) as usize).min(places.len());
        let from = last.0.min(tick);
        places[from..tick].fill(last.1);
        let Rect { x_px, y_px, .. } =
            session.screen(display, nanos).unwrap_or(Rect { x_px: 0, y_px: 0, width_px: 0, height_px: 0 });
        let place = (u16::try_from(message.x_px - x_px), u16::try_from(message.y_px - y_px));
        let is_here = message.display.is_none_or(|on| on == display);
        last = (tick, place.0.ok().zip(place.1.ok()).filter(|_| is_here));
        Ok(())
    })?;
    let from = last.0.min(places.len());
    places[from..].fill(last.1);
    Ok(places)
}
