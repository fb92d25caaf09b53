//! What is to be exported, and how: what can be asked for, and what makes sense of it.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use praxis_bundle::manifest::Outcome;

use crate::Session;
use crate::format::Name;
use crate::image::{Options as Pictures, Size};

/// What is to be exported, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The format.
    pub format: Name,
    /// The folder to fill.
    pub out: PathBuf,
    /// How pictures are written.
    pub pictures: Pictures,
    /// Pictures a second of formats that are not made of steps.
    pub rate: u32,
    /// Whether videos show where the pointer was.
    pub has_pointer: bool,
    /// Whether videos have the transcript as captions.
    pub has_captions: bool,
    /// A file that holds many steps is closed when it has so many bytes.
    pub shard_bytes: u64,
    /// Parts of the data set with their shares; all bundles of an expert are in one of them.
    pub splits: Vec<(String, u32)>,
    /// Which experts are in which part.
    pub seed: u64,
    /// Bundles that are exported at the same time.
    pub jobs: usize,
    /// Which bundles are left out.
    pub filter: Filter,
}

/// How wide and high the largest pictures may be asked to be, in pixels.
pub const SIDES_PX: RangeInclusive<u32> = 16..=16_384;
/// Pictures a second that may be asked for: more are not recorded.
pub const RATES_HZ: RangeInclusive<u32> = 1..=12;
/// Size of files that may be asked for.
pub const SHARDS_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

impl Options {
    /// Whether they make sense.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check(&self) -> std::result::Result<(), String> {
        // As `datasets` takes them; `all` has a meaning there, and `sources` is a folder of ours.
        let is_name = |name: &str| {
            name.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
                && !["all", "sources"].contains(&name)
        };
        if let Size::Most(width, height) = self.pictures.size
            && !(SIDES_PX.contains(&width) && SIDES_PX.contains(&height))
        {
            return Err(format!(
                "{width}x{height} is no size of {} to {} pixels",
                SIDES_PX.start(),
                SIDES_PX.end()
            ));
        }
        if !RATES_HZ.contains(&self.rate) {
            return Err(format!(
                "{} pictures a second: {} to {} can be had",
                self.rate,
                RATES_HZ.start(),
                RATES_HZ.end()
            ));
        }
        if !SHARDS_BYTES.contains(&self.shard_bytes) {
            return Err("a file is closed when it has 1 MiB to 1 TiB".into());
        }
        if self.splits.is_empty() || !self.splits.iter().all(|(name, share)| is_name(name) && *share > 0) {
            return Err(
                "a part of the data set has a name of letters, digits and _ that begins with a letter (not all, not sources), and a share above 0".into()
            );
        }
        let names: HashSet<&String> = self.splits.iter().map(|(name, _)| name).collect();
        if names.len() < self.splits.len() {
            return Err("a part of the data set is listed twice".into());
        }
        Ok(())
    }
}

/// Only bundles of which all of this is true.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this project.
    pub project: Option<String>,
    /// Of one of these experts, if any are named.
    pub experts: Vec<String>,
    /// Their work ended so.
    pub outcome: Option<Outcome>,
    /// They last at least so long.
    pub least_nanos: u64,
}

impl Filter {
    pub(crate) fn takes(&self, session: &Session) -> bool {
        let Session { manifest, ending, .. } = session;
        let is_one_of = |expert: &String| manifest.expert.as_ref() == Some(expert);
        (self.project.is_none() || self.project == manifest.project)
            && (self.experts.is_empty() || self.experts.iter().any(is_one_of))
            && (self.outcome.is_none() || self.outcome == ending.as_ref().and_then(|ending| ending.outcome))
            && session.duration_nanos >= self.least_nanos
    }
}
