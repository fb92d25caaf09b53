//! `praxis info`, `check`, `frame`, `events` and `narration`.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use praxis_bundle::info::{Gap, Info};
use praxis_bundle::screen::Picture;
use praxis_bundle::{Error, Track, file};
use praxis_capture_core::library;
use praxis_export::format::write_audio;
use serde_json::{Value, json};

use super::calibrate::lines_of;
use super::{clock_text, printable, refuse_to_overwrite, size_text};
use crate::Done;
use crate::args::{Events, Frame, JsonFile, Narration};
use crate::terminal::{print, say};

/// The first picture of a session is there by then.
const FIRST_PICTURE_NANOS: u64 = 1_000_000_000;

pub(crate) fn info(arguments: &JsonFile) -> Result<Done> {
    let info = file::info_of(&arguments.file)?;
    if arguments.json {
        print(&serde_json::to_string_pretty(&info_json(&info, &file::sha256(&arguments.file)?))?)?;
    } else {
        let is_held = library::is_held(&arguments.file);
        print_info(&info, is_held, &mut std::io::stdout().lock())?;
    }
    Ok(Done::Fine)
}

fn info_json(info: &Info, sha256: &str) -> Value {
    let track = |(track, facts): (&Track, &praxis_bundle::info::TrackInfo)| {
        json!({
            "name": track.name(), "messages": facts.messages, "bytes": facts.bytes, "drops": facts.drops,
            "lossy_tiles": facts.lossy_tiles,
        })
    };
    let gap = |gap: &Gap| {
        json!({
            "track": gap.track, "start": gap.start_nanos, "end": gap.end_nanos,
            "reason": gap.reason.to_string(), "detail": gap.detail,
        })
    };
    json!({
        "session_id": info.manifest.session_id,
        "bundle_id": info.manifest.bundle_id,
        "title": info.manifest.title,
        "duration_nanos": info.duration_nanos,
        "sealed": info.is_sealed,
        "recovered": info.recovery.is_some(),
        "bytes": info.bytes,
        "sha256": sha256,
        "tracks": info.tracks.iter().map(track).collect::<Vec<_>>(),
        "gaps": info.gaps.iter().map(gap).collect::<Vec<_>>(),
        "markers": info.markers.iter().map(|(at, label)| json!({"at": at, "label": label})).collect::<Vec<_>>(),
        "narration_drift_ppm": info.narration_drift_ppm,
        "missed_damage": info.missed_damage,
        "damages": info.damages,
        "ending": info.ending,
        "recovery": info.recovery,
        "manifest": info.manifest,
    })
}

fn print_info(info: &Info, is_held: bool, out: &mut impl Write) -> std::io::Result<()> {
    let state = match (info.is_sealed, info.is_complete) {
        _ if is_held => "being recorded or sealed",
        (true, _) => "sealed",
        (false, true) => "not sealed",
        (false, false) => "interrupted: praxis recover makes it whole (and praxis list, in the library)",
    };
    writeln!(out, "session   {}", info.manifest.session_id)?;
    writeln!(out, "title     {}", info.manifest.title.as_deref().map_or("–".into(), printable))?;
    writeln!(out, "length    {}", clock_text(info.duration_nanos))?;
    writeln!(out, "size      {}", size_text(info.bytes))?;
    writeln!(out, "state     {state}{}", if info.recovery.is_some() { ", recovered" } else { "" })?;
    writeln!(out, "system    {}", info.manifest.system.name)?;
    writeln!(out, "\n{:<12} {:>9} {:>10} {:>6}", "track", "messages", "payload", "drops")?;
    for (track, facts) in &info.tracks {
        writeln!(
            out,
            "{:<12} {:>9} {:>10} {:>6}",
            track.name(),
            facts.messages,
            size_text(facts.bytes),
            facts.drops
        )?;
    }
    if let Some(ppm) = info.narration_drift_ppm {
        writeln!(out, "drift     narration: the microphone's clock is {ppm:+.1} parts per million off")?;
    }
    if info.missed_damage > 0 {
        writeln!(
            out,
            "missed    screen: {} changes were not announced, and found later",
            info.missed_damage
        )?;
    }
    for line in info.manifest.capture.sync.iter().flat_map(lines_of) {
        writeln!(out, "sync      {line}")?;
    }
    for (track, facts) in info.tracks.iter().filter(|(_, facts)| facts.lossy_tiles > 0) {
        writeln!(
            out,
            "lossy     {track}: {} tiles were sent near to what was shown, not exactly",
            facts.lossy_tiles
        )?;
    }
    for gap in &info.gaps {
        let track = gap.track.as_deref().unwrap_or("all tracks");
        let end = gap.end_nanos.map_or("the end".into(), clock_text);
        let detail = if gap.detail.is_empty() { String::new() } else { format!(": {}", gap.detail) };
        writeln!(
            out,
            "gap       {track} from {} to {end} ({}{detail})",
            clock_text(gap.start_nanos),
            gap.reason
        )?;
    }
    for (at, label) in &info.markers {
        writeln!(out, "marker    {} {}", clock_text(*at), printable(label))?;
    }
    for damage in &info.damages {
        writeln!(out, "damage    {damage}")?;
    }
    Ok(())
}

pub(crate) fn check(arguments: &JsonFile) -> Result<Done> {
    let report = file::check_file(&arguments.file)?;
    if arguments.json {
        let json =
            json!({"ok": report.is_sound(), "messages": report.num_messages, "findings": report.findings});
        print(&serde_json::to_string_pretty(&json)?)?;
    } else if report.is_sound() {
        print(&format!("sound: {} messages, every byte accounted for", report.num_messages))?;
    } else {
        report.findings.iter().try_for_each(|finding| print(finding))?;
    }
    if !report.is_sound() && library::is_held(&arguments.file) {
        say("it is being recorded or sealed: it has no end yet");
    }
    Ok(if report.is_sound() { Done::Fine } else { Done::No })
}

pub(crate) fn frame(arguments: &Frame) -> Result<Done> {
    refuse_to_overwrite(&arguments.output, &arguments.file)?;
    let at_nanos = (arguments.at * 1e9).round() as u64;
    let info = file::info_of(&arguments.file)?;
    let track = Track::Screen(arguments.display);
    if !info.tracks.contains_key(&track) {
        let is_screen = |track: &&Track| matches!(track, Track::Screen(_));
        let there: Vec<_> = info.tracks.keys().filter(is_screen).map(|track| track.name()).collect();
        bail!("there is no display {}; there are: {}", arguments.display, there.join(", "));
    }
    let picture = match file::picture_at(&arguments.file, arguments.display, at_nanos) {
        // The first picture of a session is taken some milliseconds after its epoch.
        Err(Error::NoPicture { .. }) if at_nanos < FIRST_PICTURE_NANOS => {
            first_picture(&arguments.file, arguments.display)?
        }
        picture => picture?,
    };
    let rgb: Vec<u8> = picture.bgr.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    let failed = || format!("writing {}", arguments.output.display());
    let out = BufWriter::new(std::fs::File::create(&arguments.output).with_context(failed)?);
    let mut encoder = png::Encoder::new(out, picture.width_px, picture.height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().with_context(failed)?;
    writer.write_image_data(&rgb).with_context(failed)?;
    writer.finish().with_context(failed)?;
    let taken = picture.times.capture_end as f64 / 1e9;
    say(&format!("{track} as it was from {taken:.3} s on"));
    if picture.num_lossy_tiles() > 0 {
        let (lossy, all) = (picture.num_lossy_tiles(), picture.is_lossy.len());
        say(&format!("{lossy} of its {all} tiles are near to what was shown, not exact: it moved too much"));
    }
    let covers = |gap: &&Gap| {
        gap.track.as_ref().is_none_or(|name| *name == track.name())
            && (gap.start_nanos..gap.end_nanos.unwrap_or(u64::MAX)).contains(&at_nanos)
    };
    match info.gaps.iter().find(covers) {
        Some(gap) => {
            let why = gap.reason;
            say(&format!("at that time it was not recorded ({why}): this is the last picture before"));
            Ok(Done::Fine)
        }
        None => {
            if at_nanos > info.duration_nanos {
                say(&format!(
                    "the session ends at {}: this is its last picture",
                    clock_text(info.duration_nanos)
                ));
            }
            Ok(Done::Fine)
        }
    }
}

/// The first picture of a display, which must come soon.
fn first_picture(path: &Path, display: u8) -> Result<Picture> {
    let mut first = None;
    file::for_each_message(path, |channel, _, nanos, _| {
        if channel.track == Track::Screen(display) {
            first.get_or_insert(nanos);
        }
        Ok(())
    })?;
    let first = first.filter(|nanos| *nanos < FIRST_PICTURE_NANOS).unwrap_or_default();
    Ok(file::picture_at(path, display, first)?)
}

pub(crate) fn events(arguments: &Events) -> Result<Done> {
    let wanted: Option<Vec<Track>> = match arguments.track.is_empty() {
        true => None,
        false => Some(arguments.track.iter().map(|name| printed_track(name)).collect::<Result<_>>()?),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut failure = None;
    let is_wanted = |track: Track| wanted.as_ref().is_none_or(|wanted| wanted.contains(&track));
    let unreadable_bytes = file::for_each_event(&arguments.file, is_wanted, |track, nanos, fields| {
        if failure.is_none() {
            let mut line = json!({"track": track.name(), "session_time_nanos": nanos});
            if let Value::Object(object) = &mut line {
                object.extend(fields);
            }
            failure = writeln!(out, "{line}").err();
        }
        Ok(())
    })?;
    if let Some(error) = failure.map_or_else(|| out.flush().err(), Some) {
        return Err(error.into());
    }
    Ok(done(unreadable_bytes))
}

/// The track of that name, if its messages can be printed.
fn printed_track(name: &str) -> Result<Track> {
    match Track::from_name(name) {
        Some(Track::Screen(_)) => bail!("pictures are not printed: praxis frame writes them as PNG"),
        Some(Track::Narration | Track::Sound) => {
            bail!("samples are not printed: praxis narration writes them as WAV")
        }
        Some(track) => Ok(track),
        None => {
            let there: Vec<_> = Track::SINGLE.iter().filter(|t| !t.is_audio()).map(|t| t.name()).collect();
            bail!("there is no track {name:?}; there are: {}", there.join(", "))
        }
    }
}

pub(crate) fn narration(arguments: &Narration) -> Result<Done> {
    refuse_to_overwrite(&arguments.output, &arguments.file)?;
    let info = file::info_of(&arguments.file)?;
    let capture = &info.manifest.capture;
    let (track, rate_hz, without) = match arguments.system_sound {
        false => (Track::Narration, capture.narration_rate_hz, "it was recorded without a microphone"),
        true => (Track::Sound, capture.system_sound_rate_hz, "the system's sound was not asked for"),
    };
    let is_heard = info.tracks.get(&track).is_some_and(|track| track.messages > 0);
    let Some(rate_hz) = rate_hz.filter(|_| is_heard) else {
        let why = info.gaps.iter().find(|gap| gap.track == Some(track.name()));
        let why = why.map_or(without.into(), |gap| printable(&gap.detail));
        bail!("{} has no {track}: {why}", arguments.file.display());
    };
    let (_, unreadable_bytes) =
        write_audio(&arguments.file, track, rate_hz, info.duration_nanos, &arguments.output)?;
    Ok(done(unreadable_bytes))
}

/// What is there was printed or written; says if something is missing.
pub(super) fn done(unreadable_bytes: u64) -> Done {
    if unreadable_bytes == 0 {
        return Done::Fine;
    }
    eprintln!(
        "{unreadable_bytes} bytes of the file cannot be read, so something is missing: praxis check says where"
    );
    Done::DataLost
}
