//! The manifest: what a session is, known at its start; and the records that say how it ended.
//!
//! None of them holds a user name, host name or home path.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::messages::Display;

/// The format version this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;
/// MCAP profile of every bundle.
pub const PROFILE: &str = "praxis";
/// Name of the metadata record that holds the manifest.
pub const MANIFEST_NAME: &str = "praxis.manifest";
/// Name of the metadata record that says how the session ended.
pub const ENDING_NAME: &str = "praxis.ending";
/// Name of the metadata record that says what recovery left out.
pub const RECOVERY_NAME: &str = "praxis.recovery";
/// Name of the metadata record that marks a sealed bundle.
pub const SEAL_NAME: &str = "praxis.seal";
/// Key of the JSON text in these metadata records.
pub const JSON_KEY: &str = "json";
/// Their other key: CRC-32 of the record's name and its JSON text, as eight hexadecimal digits.
pub const CRC_KEY: &str = "crc32";

/// What a session is. Written before anything else; never changed by recovery or sealing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the bundle format.
    pub format_version: u32,
    /// The session.
    pub session_id: Uuid,
    /// This bundle of it (an edited session is a new bundle).
    pub bundle_id: Uuid,
    /// Version of the program that recorded.
    pub app_version: String,
    /// Wall clock at session time zero, nanoseconds since 1970-01-01 UTC: `log_time` = this + session time.
    pub epoch_wall_nanos: u64,
    /// Session clock (CLOCK_BOOTTIME on Linux) at session time zero.
    pub epoch_boottime_nanos: u64,
    /// The operating system.
    pub system: System,
    /// Displays at the start.
    pub displays: Vec<Display>,
    /// Keyboard layouts.
    pub keyboard: Keyboard,
    /// What the system counts as a double click or a drag; null where it cannot be read.
    pub pointer: PointerSettings,
    /// Title the expert gave.
    pub title: Option<String>,
    /// Project it belongs to.
    pub project: Option<String>,
    /// Task that was worked on.
    pub task: Option<String>,
    /// The expert's pseudonym.
    pub expert: Option<String>,
    /// Version of the consent to record that was given.
    pub consent_version: Option<String>,
    /// How it was captured.
    pub capture: CaptureSettings,
    /// The backend behind each source and what it cannot give.
    pub backends: Vec<Backend>,
}

/// The operating system of the recording machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `linux`, `windows`, `macos`.
    pub os: String,
    /// Its name and version, as people know it.
    pub name: String,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// Window system: `x11`.
    pub window_system: String,
}

/// Keyboard model and layouts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyboard {
    /// Names of the layouts, in the order of `layout` in key messages.
    pub layouts: Vec<String>,
}

/// What makes two clicks a double click and a press a drag on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerSettings {
    /// Longest time between the clicks of a double click.
    pub double_click_millis: Option<u32>,
    /// Movement from which a press is a drag.
    pub drag_distance_px: Option<u32>,
}

/// How a session was captured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptureSettings {
    /// Upper bound of pictures per second while the screen changes.
    pub max_fps: f64,
    /// Microphone: the device's name, or `file`; null when none was asked for.
    pub microphone: Option<String>,
    /// Samples per second of the narration; null when there is none.
    pub narration_rate_hz: Option<u32>,
    /// What the computer itself sounds: name of the device that is listened to; null if it was not asked for.
    #[serde(default)]
    pub system_sound: Option<String>,
    /// Samples per second of the system's sound; null when there is none.
    #[serde(default)]
    pub system_sound_rate_hz: Option<u32>,
    /// Whether pictures may be lossy under load.
    pub lossy: Lossy,
    /// Whether the text that is copied is recorded.
    #[serde(default)]
    pub clipboard_text: bool,
    /// How far the tracks of this machine are apart, as it was measured last; null if it never was.
    #[serde(default)]
    pub sync: Option<Sync>,
}

/// How far the tracks of a machine are apart: a program flashed a window, beeped and pressed a key at the same instants, and
/// the stamps of a recording of it were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// When it was measured, since 1970-01-01 UTC.
    pub wall_nanos: u64,
    /// Instants that were found on every track.
    pub instants: u32,
    /// The flash on `screen`, after the key.
    pub screen_after_key: Offset,
    /// The beep on `narration`, after the key; null without a microphone.
    pub narration_after_key: Option<Offset>,
    /// The beep on `narration`, after the flash; null without a microphone.
    pub narration_after_screen: Option<Offset>,
}

/// Differences of stamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offset {
    /// Their median.
    pub median_nanos: i64,
    /// The 95th percentile of their absolute values.
    pub p95_nanos: u64,
}

/// Whether pictures may be lossy under load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lossy {
    /// Every picture is exact.
    #[default]
    Never,
    /// What moves too much for too long is lossy until it settles; each such tile is marked.
    Auto,
}

/// The backend behind some tracks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Names of the tracks it feeds.
    pub tracks: Vec<String>,
    /// Its name: `x11`, `cpal`, `wav`, `synthetic`.
    pub name: String,
    /// What it cannot give, one sentence each.
    pub cannot: Vec<String>,
}

/// How the expert judged the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The problem was solved.
    Success,
    /// It was not.
    Failure,
    /// The expert gave up or was interrupted.
    Abandoned,
}

/// How the session ended. Missing after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Session time of the end.
    pub session_time_nanos: u64,
    /// What ended it.
    pub reason: EndReason,
    /// The expert's judgement, if given.
    pub outcome: Option<Outcome>,
    /// The expert's note, if given.
    pub note: Option<String>,
}

/// What ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The expert, a signal, or the length asked for.
    Stopped,
    /// The disk was about to be full.
    DiskFull,
    /// No source was left to record.
    SourcesLost,
}

/// What recovery found and left out. Its presence means the session did not end by itself or was damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Length of the file that was recovered.
    pub source_bytes: u64,
    /// Byte ranges that could not be read.
    pub damages: Vec<DamagedRange>,
    /// Pictures left out because the ones they build on were lost.
    pub lost_pictures: u64,
    /// Stretches in which a display's pictures are lost: from the newest good one until the next that stands alone.
    #[serde(default)]
    pub picture_gaps: Vec<PictureGap>,
}

/// A stretch without pictures of one display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureGap {
    /// The track's name.
    pub track: String,
    /// Session time from which pictures are, or may be, missing.
    pub after_nanos: u64,
    /// Session time of the next good one; null if none follows.
    pub before_nanos: Option<u64>,
}

/// One unreadable stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRange {
    /// First unreadable byte.
    pub start_byte: u64,
    /// First readable byte after it, or the length of the file.
    pub end_byte: u64,
    /// Session time of the newest message before it.
    pub after_nanos: u64,
    /// Session time of the oldest message after it; null when none follows.
    pub before_nanos: Option<u64>,
    /// What was wrong.
    pub why: String,
}

/// Marks a sealed bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Version of the program that sealed.
    pub app_version: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    into.push(name.clone());
                    names(value, into);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| names(value, into)),
            _ => {}
        }
    }

    #[test]
    fn the_format_document_names_every_field_of_the_metadata() {
        let display = json!({
            "number": 0, "name": "", "rect": {"x_px": 0, "y_px": 0, "width_px": 0, "height_px": 0},
            "width_mm": 0, "height_mm": 0, "scale": 1.0, "is_primary": true, "is_recorded": true,
        });
        let backend = json!({"tracks": [], "name": "", "cannot": []});
        let offset = Some(Offset::default());
        let sync = Sync {
            wall_nanos: 0,
            instants: 0,
            screen_after_key: Offset::default(),
            narration_after_key: offset,
            narration_after_screen: offset,
        };
        let manifest: Manifest = serde_json::from_value(json!({
            "format_version": 1, "session_id": Uuid::nil(), "bundle_id": Uuid::nil(), "app_version": "",
            "epoch_wall_nanos": 0, "epoch_boottime_nanos": 0, "system": System::default(), "displays": [display],
            "keyboard": Keyboard::default(), "pointer": PointerSettings::default(),
            "capture": CaptureSettings { sync: Some(sync), ..CaptureSettings::default() }, "backends": [backend],
        }))
        .unwrap();
        let damage = DamagedRange {
            start_byte: 0,
            end_byte: 0,
            after_nanos: 0,
            before_nanos: None,
            why: String::new(),
        };
        let gap = PictureGap { track: String::new(), after_nanos: 0, before_nanos: None };
        let recovery = Recovery { damages: vec![damage], picture_gaps: vec![gap], ..Recovery::default() };
        let (reason, outcome) = (EndReason::DiskFull, Some(Outcome::Success));
        let ending = Ending { session_time_nanos: 0, reason, outcome, note: None };
        let document = include_str!("../../docs/bundle-format.md");
        let mut fields = Vec::new();
        names(&json!([manifest, ending, recovery, Seal { app_version: String::new() }]), &mut fields);
        // A rectangle's fields are those of the JSON schemas.
        fields.retain(|field| !field.ends_with("_px") || field == "drag_distance_px");
        assert!(fields.len() > 40, "{fields:?}");
        for field in fields {
            assert!(document.contains(&format!("`{field}`")), "docs/bundle-format.md lacks `{field}`");
        }
    }
}
