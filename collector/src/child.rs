//! The child process that looks into a bundle: it limits itself, checks every byte, derives what is kept beside the
//! bundle, and writes one answer. And how that answer is read.
//!
//! The answer is a line of JSON with the lengths of what follows it: the actions, the strip of small pictures.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use praxis_bundle::file;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::derived::{Derived, Piece};

/// Memory that the child may map.
pub(crate) const MAX_MEMORY_BYTES: u64 = 2 << 30;
/// Longest actions that are kept.
const MAX_ACTIONS_BYTES: usize = 32 << 20;
/// Longest strip that is kept.
const MAX_PREVIEW_BYTES: usize = 2 << 20;
/// Longest line of JSON.
const MAX_HEAD_BYTES: usize = 1 << 20;
/// Longest answer that is read.
pub(crate) const MAX_ANSWER_BYTES: u64 = (MAX_HEAD_BYTES + MAX_ACTIONS_BYTES + MAX_PREVIEW_BYTES) as u64;

/// What the child found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is as announced; what the bundle says of itself.
    Verified(Value),
    /// Why not.
    Rejected(String),
}

/// The child's answer.
#[derive(Debug)]
pub struct Answer {
    pub(crate) verdict: Verdict,
    pub(crate) derived: Derived,
}

/// Its first line.
#[derive(Serialize, Deserialize)]
struct Head {
    verdict: Verdict,
    actions: Piece,
    actions_bytes: Option<usize>,
    preview: Piece,
    preview_bytes: Option<usize>,
}

impl Answer {
    fn rejected(why: String) -> Self {
        Self { verdict: Verdict::Rejected(why), derived: Derived::default() }
    }

    /// Writes it as the server reads it.
    ///
    /// # Errors
    /// As writing fails.
    pub fn write(self, out: &mut impl Write) -> std::io::Result<()> {
        let Derived { actions, preview } = self.derived;
        let bytes = [actions.bytes.clone(), preview.bytes.clone()];
        let [actions_bytes, preview_bytes] = bytes.each_ref().map(|bytes| bytes.as_ref().map(Vec::len));
        serde_json::to_writer(
            &mut *out,
            &Head { verdict: self.verdict, actions, actions_bytes, preview, preview_bytes },
        )?;
        out.write_all(b"\n")?;
        bytes.iter().flatten().try_for_each(|bytes| out.write_all(bytes))?;
        out.flush()
    }

    /// Reads it; `None` if it is not whole.
    pub(crate) fn read(answer: &[u8]) -> Option<Self> {
        let end = answer.iter().take(MAX_HEAD_BYTES).position(|byte| *byte == b'\n')?;
        let (head, mut rest) = (serde_json::from_slice::<Head>(&answer[..end]).ok()?, &answer[end + 1..]);
        let mut take = |piece: Piece, length: Option<usize>| {
            let bytes = match length {
                Some(length) => {
                    let (bytes, after) = rest.split_at_checked(length)?;
                    rest = after;
                    Some(bytes.to_vec())
                }
                None => None,
            };
            Some(Piece { bytes, ..piece })
        };
        let actions = take(head.actions, head.actions_bytes)?;
        let preview = take(head.preview, head.preview_bytes)?;
        rest.is_empty().then_some(Self { verdict: head.verdict, derived: Derived { actions, preview } })
    }
}

/// What the child has to find.
#[derive(Debug)]
pub struct Expected {
    /// The bundle's id.
    pub bundle_id: uuid::Uuid,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// The child: limits itself, then checks the file.
///
/// # Errors
/// If the limits cannot be set; a file that is not as expected is no error but the verdict.
pub fn verify_here(path: &Path, expected: &Expected, cpu_seconds: u64) -> anyhow::Result<Answer> {
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::As, limit(MAX_MEMORY_BYTES)).context("limiting memory")?;
    setrlimit(Resource::Cpu, limit(cpu_seconds)).context("limiting time")?;
    setrlimit(Resource::Core, limit(0)).context("limiting core files")?;
    setrlimit(Resource::Fsize, limit(0)).context("limiting files")?;
    Ok(check(path, expected).unwrap_or_else(|error| Answer::rejected(told(error, path))))
}

/// An error as the expert may read it: the path is nothing to them.
fn told(error: praxis_bundle::Error, path: &Path) -> String {
    format!("{:#}", anyhow::Error::new(error)).replace(&path.display().to_string(), "the bundle")
}

fn check(path: &Path, expected: &Expected) -> praxis_bundle::Result<Answer> {
    let rejected = |why: String| Ok(Answer::rejected(why));
    let bytes = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    if bytes != expected.bytes {
        return rejected(format!("it has {bytes} bytes, {} were announced", expected.bytes));
    }
    let sha256 = file::sha256(path)?;
    if sha256 != expected.sha256 {
        let (found, announced) = (&sha256[..12], expected.sha256.get(..12).unwrap_or_default());
        return rejected(format!(
            "its SHA-256 is {found}…, {announced}… was announced: it is not the file that was approved"
        ));
    }
    let report = file::check_file(path)?;
    if let Some(finding) = report.findings.first() {
        return rejected(format!("it is damaged: {finding}"));
    }
    let info = file::info_of(path)?;
    if !info.is_sealed {
        return rejected("it is not sealed".into());
    }
    if info.manifest.bundle_id != expected.bundle_id {
        return rejected(format!("it is bundle {}, another was announced", info.manifest.bundle_id));
    }
    let tracks: Vec<String> = info.tracks.keys().map(|track| track.name()).collect();
    let verdict = Verdict::Verified(json!({
        "session_id": info.manifest.session_id,
        "title": info.manifest.title,
        "duration_nanos": info.duration_nanos,
        "recorded_at_nanos": info.manifest.epoch_wall_nanos,
        "outcome": info.ending.as_ref().and_then(|ending| ending.outcome),
        "recovered": info.recovery.is_some(),
        "gaps": info.gaps.len(),
        "messages": report.num_messages,
        "tracks": tracks,
    }));
    let preview = file::preview_of(path)?.filter(|strip| strip.len() <= MAX_PREVIEW_BYTES);
    let derived = Derived { actions: actions(path), preview: Piece { bytes: preview, problem: None } };
    Ok(Answer { verdict, derived })
}

/// The actions as JSON. That there are too many to be shown is no fault of the bundle.
fn actions(path: &Path) -> Piece {
    let mut json = Limited(Vec::new());
    let made = match praxis_actions::actions_of_file(path) {
        Ok(reading) => serde_json::to_writer(&mut json, &reading.answer).map_err(|_| {
            format!("the actions of this session take more than {} MiB", MAX_ACTIONS_BYTES >> 20)
        }),
        Err(error) => Err(format!("the actions of this session cannot be told: {}", told(error, path))),
    };
    match made {
        Ok(()) => Piece { bytes: Some(json.0), problem: None },
        Err(problem) => Piece { bytes: None, problem: Some(problem) },
    }
}

/// Bytes that refuse to become too many.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_ACTIONS_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written_or_not_at_all() {
        let piece = |bytes: &[u8]| Piece { bytes: Some(bytes.to_vec()), problem: None };
        let none = Piece { bytes: None, problem: Some("too many".into()) };
        for derived in [
            Derived { actions: piece(b"{}\n"), preview: piece(b"jpeg") },
            Derived { actions: none, preview: Piece::default() },
            Derived::default(),
        ] {
            let mut written = Vec::new();
            let verdict = Verdict::Verified(json!({"title": "a\nb"}));
            Answer { verdict, derived: derived.clone() }.write(&mut written).unwrap();
            assert_eq!(Answer::read(&written).map(|answer| answer.derived), Some(derived));
            assert!((0..written.len()).all(|end| Answer::read(&written[..end]).is_none()));
            written.push(0);
            assert!(Answer::read(&written).is_none());
        }
    }
}
