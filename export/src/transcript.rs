//! What was said, as text with times: read from a transcript that was made elsewhere, written as WebVTT and SRT.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Largest transcript file: that of a day of speech with the time of each word has a fifth of it.
const MAX_BYTES: u64 = 64 << 20;

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Session time of its start.
    pub start_nanos: u64,
    /// Session time of its end.
    pub end_nanos: u64,
    /// What was said, if a transcript says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The JSON of whisper and its kin: times in seconds.
#[derive(Debug, Deserialize)]
struct Whisper {
    segments: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    start: f64,
    end: f64,
    text: String,
}

/// Reads a transcript: `.json` as whisper writes it (`segments` with `start`, `end`, `text`, in seconds), `.vtt` or `.srt`. Its zero
/// is that of the session, as `praxis narration` writes the voice.
///
/// # Errors
/// `Input` if the file is none of these, or its times go backwards.
pub fn read(path: &Path) -> Result<Vec<Span>> {
    let wrong = |why: String| Error::Input { path: path.to_owned(), why };
    let bytes = std::fs::metadata(path).map_err(Error::io(format!("opening {}", path.display())))?.len();
    if bytes > MAX_BYTES {
        return Err(wrong(format!("{bytes} bytes are too many for a transcript: at most {MAX_BYTES}")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("{error}: a transcript is a text in UTF-8")))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut spans = match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => of_json(text).map_err(wrong)?,
        Some("vtt" | "srt") => of_cues(text).map_err(wrong)?,
        _ => return Err(wrong("a transcript is a .json of whisper, a .vtt or a .srt".into())),
    };
    if let Some(span) = spans.iter().find(|span| span.end_nanos < span.start_nanos) {
        return Err(wrong(format!(
            "a segment at {} s ends before it begins",
            span.start_nanos / 1_000_000_000
        )));
    }
    spans.sort_by_key(|span| span.start_nanos);
    Ok(spans)
}

fn of_json(text: &str) -> std::result::Result<Vec<Span>, String> {
    let whisper: Whisper = serde_json::from_str(text)
        .map_err(|error| format!("{error}: expected the JSON of whisper, an object with `segments`"))?;
    let nanos = |seconds: f64| {
        let is_time = (0.0..=1e8).contains(&seconds);
        is_time.then_some((seconds * 1e9).round() as u64).ok_or(format!("{seconds} is no time in seconds"))
    };
    let span = |segment: Segment| {
        let text = segment.text.trim().to_owned();
        Ok(Span { start_nanos: nanos(segment.start)?, end_nanos: nanos(segment.end)?, text: Some(text) })
    };
    whisper.segments.into_iter().map(span).collect()
}

/// Cues of WebVTT or SRT: a line with `-->`, then text until an empty line. What a cue marks up is left out.
fn of_cues(text: &str) -> std::result::Result<Vec<Span>, String> {
    let mut spans = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((start, end)) = line.split_once("-->") else { continue };
        let end = end.split_whitespace().next().unwrap_or_default();
        let time = |text: &str| time_of(text.trim()).ok_or(format!("{:?} is no time", text.trim()));
        let (start_nanos, end_nanos) = (time(start)?, time(end)?);
        let said: Vec<&str> = lines.by_ref().take_while(|line| !line.trim().is_empty()).collect();
        spans.push(Span { start_nanos, end_nanos, text: Some(plain(&said.join(" "))) });
    }
    if spans.is_empty() && !text.trim_start().starts_with("WEBVTT") {
        return Err("there is no line with --> in it: expected WebVTT or SRT".into());
    }
    Ok(spans)
}

/// `HH:MM:SS.mmm`, `MM:SS.mmm`, or with a comma.
fn time_of(text: &str) -> Option<u64> {
    let (whole, millis) = text.split_once(['.', ','])?;
    let parts: Vec<u64> = whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let seconds = match parts[..] {
        [hours, minutes, seconds] => {
            hours.checked_mul(3600)?.checked_add(minutes * 60)?.checked_add(seconds)?
        }
        [minutes, seconds] => minutes.checked_mul(60)?.checked_add(seconds)?,
        _ => return None,
    };
    let millis: u64 = (millis.len() == 3).then(|| millis.parse().ok()).flatten()?;
    seconds.checked_mul(1000)?.checked_add(millis)?.checked_mul(1_000_000)
}

/// The text of a cue without its tags, its escapes undone.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut is_tag = false;
    for letter in text.chars() {
        match letter {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            _ if !is_tag => out.push(letter),
            _ => {}
        }
    }
    let out = out.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&");
    out.trim().to_owned()
}

/// WebVTT of what was said. What has no text is left out.
#[must_use]
pub fn to_vtt(spans: &[Span]) -> String {
    let mut out = "WEBVTT\n".to_owned();
    for (span, text) in spoken(spans) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (start, end) = (clock(span.start_nanos, '.'), clock(span.end_nanos, '.'));
        // Writing to a string does not fail.
        let _ = write!(out, "\n{start} --> {end}\n<v Expert>{text}\n");
    }
    out
}

/// SRT of what was said. What has no text is left out.
#[must_use]
pub fn to_srt(spans: &[Span]) -> String {
    let mut out = String::new();
    for ((span, text), number) in spoken(spans).zip(1..) {
        let text = text.replace("-->", "->");
        let (start, end) = (clock(span.start_nanos, ','), clock(span.end_nanos, ','));
        let _ = write!(out, "{number}\n{start} --> {end}\n{text}\n\n");
    }
    out
}

/// Spans with a text, on one line: an empty one would end its cue.
fn spoken(spans: &[Span]) -> impl Iterator<Item = (&Span, String)> {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    spans
        .iter()
        .filter_map(move |span| Some((span, line(span.text.as_deref()?))))
        .filter(|(_, text)| !text.is_empty())
}

fn clock(nanos: u64, point: char) -> String {
    let millis = nanos / 1_000_000;
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Result<Vec<Span>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn the_three_kinds_say_the_same() {
        let expected = vec![
            Span { start_nanos: 1_500_000_000, end_nanos: 2_000_000_000, text: Some("a < b & c".into()) },
            Span {
                start_nanos: 3_723_004_000_000,
                end_nanos: 3_724_000_000_000,
                text: Some("two lines".into()),
            },
        ];
        let json = r#"{"text": "x", "segments": [{"id": 0, "start": 1.5, "end": 2.0, "text": " a < b & c"},
            {"id": 1, "start": 3723.004, "end": 3724, "text": "two lines"}]}"#;
        let vtt = "WEBVTT\n\nNOTE made elsewhere\n\n1\n00:01.500 --> 00:02.000 align:start\n<v Ann>a &lt; b &amp; c\n\n\
                   01:02:03.004 --> 01:02:04.000\ntwo\n<00:00:01.000>lines\n";
        let srt = "1\r\n00:00:01,500 --> 00:00:02,000\r\na &lt; b & c\r\n\r\n2\r\n01:02:03,004 --> 01:02:04,000\r\ntwo\r\nlines\r\n";
        assert_eq!(of("t.json", json).unwrap(), expected);
        assert_eq!(of("t.vtt", vtt).unwrap(), expected);
        assert_eq!(of("t.srt", srt).unwrap(), expected);
        assert_eq!(of("t.vtt", &to_vtt(&expected)).unwrap(), expected);
        let again = of("t.srt", &to_srt(&expected[1..])).unwrap();
        assert_eq!(again, expected[1..]);
    }

    #[test]
    fn what_is_no_transcript_is_named() {
        for (name, text, said) in [
            ("t.json", "[1]", "the JSON of whisper"),
            ("t.json", r#"{"segments": [{"start": -1, "end": 2, "text": ""}]}"#, "-1 is no time"),
            ("t.vtt", "hello", "-->"),
            ("t.srt", "1\n00:00 --> 00:01\nx", "\"00:00\" is no time"),
            ("t.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nx", "ends before it begins"),
            ("t.txt", "", ".vtt"),
        ] {
            let error = of(name, text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
