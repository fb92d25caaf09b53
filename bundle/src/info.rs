//! What is in a bundle: length, tracks, gaps, drops, in one pass.

use std::collections::{BTreeMap, HashMap};

use crate::drift::Drift;
use crate::layout::parse_channel;
use crate::limits::{MAX_LISTED_BYTES, MAX_NAMED};
use crate::manifest::{Ending, Manifest};
use crate::messages::{ClockMessage, GapReason, HealthMessage, MarkersMessage};
use crate::scan::{Bytes, Facts, Item, messages, scan};
use crate::screen::num_lossy_tiles;
use crate::{Channel, Error, Recovery, Result, Track};

/// A summary of a bundle.
#[derive(Debug)]
pub struct Info {
    /// What the session is.
    pub manifest: Manifest,
    /// How it ended; `None` after a crash.
    pub ending: Option<Ending>,
    /// What recovery left out, if the file was recovered.
    pub recovery: Option<Recovery>,
    /// Whether it is sealed.
    pub is_sealed: bool,
    /// Whether footer and closing magic are there.
    pub is_complete: bool,
    /// Length of the session: its end, or its newest message if it has no end.
    pub duration_nanos: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Its tracks.
    pub tracks: BTreeMap<Track, TrackInfo>,
    /// Stretches that were not recorded.
    pub gaps: Vec<Gap>,
    /// Labelled instants.
    pub markers: Vec<(u64, String)>,
    /// Parts per million by which the microphone's clock is fast; `None` if there is too little to tell.
    pub narration_drift_ppm: Option<f64>,
    /// Screen changes that the display had not announced; they were found by the full compare.
    pub missed_damage: u64,
    /// Byte ranges that cannot be read in this very file.
    pub damages: Vec<String>,
}

/// One track of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackInfo {
    /// Messages in the file.
    pub messages: u64,
    /// Their payload before compression.
    pub bytes: u64,
    /// Samples lost under load while recording.
    pub drops: u64,
    /// Tiles that its messages send inexactly; each counts as often as it is sent.
    pub lossy_tiles: u64,
}

/// A stretch of a track that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The track, or `None` for all of them.
    pub track: Option<String>,
    /// Session time it begins.
    pub start_nanos: u64,
    /// Session time it ends; `None` if it lasts to the end.
    pub end_nanos: Option<u64>,
    /// Why.
    pub reason: GapReason,
    /// More about it.
    pub detail: String,
}

/// Reads a bundle and sums it up. Damaged stretches are named, not an error.
///
/// # Errors
/// `NotMcap`, `ForeignProfile`, `NewerFormat`, `NoManifest` or `Io`; `TooLarge` if there are too many markers and gaps.
pub fn info(source: &(impl Bytes + ?Sized)) -> Result<Info> {
    let mut facts = Facts::default();
    let mut info = Collected::default();
    scan(source, |item| {
        facts.note(&item)?;
        match item {
            Item::Chunk { records, .. } => {
                let epoch = facts.manifest()?.epoch_wall_nanos;
                for (_, message) in messages(&records) {
                    if let Some(channel) = Channel::from_id(message.channel) {
                        info.message(channel.track, message.log_time.saturating_sub(epoch), message.data)?;
                    }
                }
            }
            Item::Record { opcode: crate::record::op::CHANNEL, content, .. } => {
                if let Ok(channel) = parse_channel(&content) {
                    info.tracks.entry(channel.track).or_default();
                }
            }
            Item::Damage { start, end, why } => {
                // The last one tells where the last of many ends.
                info.damages.truncate(MAX_NAMED - 1);
                info.damages.push(format!("bytes {start} to {end}: {why}"));
            }
            _ => {}
        }
        Ok(())
    })?;
    let manifest = facts.manifest.ok_or(Error::NoManifest)?;
    let mut gaps = info.gaps;
    for damage in facts.recovery.iter().flat_map(|recovery| &recovery.damages) {
        gaps.push(Gap {
            track: None,
            start_nanos: damage.after_nanos,
            end_nanos: damage.before_nanos,
            reason: GapReason::Damaged,
            detail: damage.why.clone(),
        });
    }
    for gap in facts.recovery.iter().flat_map(|recovery| &recovery.picture_gaps) {
        gaps.push(Gap {
            track: Some(gap.track.clone()),
            start_nanos: gap.after_nanos,
            end_nanos: gap.before_nanos,
            reason: GapReason::Damaged,
            detail: "pictures are lost until the next that stands alone".into(),
        });
    }
    gaps.sort_by_key(|gap| gap.start_nanos);
    let ended = facts.ending.as_ref().map_or(0, |ending| ending.session_time_nanos);
    Ok(Info {
        manifest,
        ending: facts.ending,
        recovery: facts.recovery,
        is_sealed: facts.seal.is_some(),
        is_complete: facts.is_complete,
        duration_nanos: ended.max(info.newest_nanos),
        bytes: source.num_bytes().map_err(Error::io("reading the bundle's length"))?,
        tracks: info.tracks,
        gaps,
        markers: info.markers,
        narration_drift_ppm: info.drift.ppm(),
        missed_damage: info.missed_damage,
        damages: info.damages,
    })
}

#[derive(Default)]
struct Collected {
    tracks: BTreeMap<Track, TrackInfo>,
    gaps: Vec<Gap>,
    markers: Vec<(u64, String)>,
    /// Where the first marker of each time is in the list.
    marker_at: HashMap<u64, usize>,
    /// Where the open gaps of each track are in the list.
    open_gaps: HashMap<String, Vec<usize>>,
    /// What markers and gaps take.
    listed_bytes: u64,
    damages: Vec<String>,
    newest_nanos: u64,
    drift: Drift,
    missed_damage: u64,
}

impl Collected {
    fn message(&mut self, track: Track, nanos: u64, data: &[u8]) -> Result<()> {
        self.newest_nanos = self.newest_nanos.max(nanos);
        let entry = self.tracks.entry(track).or_default();
        entry.messages += 1;
        entry.bytes += data.len() as u64;
        match track {
            Track::Screen(_) => entry.lossy_tiles += num_lossy_tiles(data),
            Track::Markers => {
                self.listed_bytes += 64 + data.len() as u64;
                if self.listed_bytes > MAX_LISTED_BYTES {
                    let (what, found) = ("bytes of markers and gaps", self.listed_bytes);
                    return Err(Error::TooLarge { what, found, limit: MAX_LISTED_BYTES });
                }
                self.mark(nanos, serde_json::from_slice(data).map_err(Error::json("markers"))?);
            }
            Track::Health => {
                let health: HealthMessage = serde_json::from_slice(data).map_err(Error::json("health"))?;
                self.missed_damage = health.missed_damage;
                for state in health.tracks {
                    if let Some(track) = Track::from_name(&state.track) {
                        self.tracks.entry(track).or_default().drops = state.drops;
                    }
                }
            }
            Track::Clock => {
                let pair: ClockMessage = serde_json::from_slice(data).map_err(Error::json("clock"))?;
                if let ClockMessage::Narration { sample_position, rate_hz } = pair {
                    self.drift.note(sample_position, rate_hz, nanos);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn mark(&mut self, nanos: u64, message: MarkersMessage) {
        match message {
            MarkersMessage::Marker { label } => {
                self.marker_at.entry(nanos).or_insert(self.markers.len());
                self.markers.push((nanos, label));
            }
            MarkersMessage::Label { marker_nanos, label } => {
                if let Some(at) = self.marker_at.get(&marker_nanos) {
                    self.markers[*at].1 = label;
                }
            }
            MarkersMessage::GapBegin { track, reason, detail } => {
                self.open_gaps.entry(track.clone()).or_default().push(self.gaps.len());
                let track = Some(track);
                self.gaps.push(Gap { track, start_nanos: nanos, end_nanos: None, reason, detail });
            }
            MarkersMessage::GapEnd { track } => {
                if let Some(at) = self.open_gaps.get_mut(&track).and_then(Vec::pop) {
                    self.gaps[at].end_nanos = Some(nanos);
                }
            }
        }
    }
}
