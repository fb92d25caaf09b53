//! What passes between the page and the program. `ui/src/backend/types.ts` is generated from these types.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Why something did not work: one sentence that says what to do.
#[derive(Debug, Clone, Serialize, TS)]
pub(crate) struct Problem {
    pub(crate) message: String,
}

/// A display that can be recorded.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DisplayDto {
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    pub(crate) is_primary: bool,
    pub(crate) is_chosen: bool,
}

/// Where the microphone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MicrophoneState {
    /// The expert wants no voice.
    Off,
    /// It is being opened.
    Opening,
    /// Samples come.
    Live,
    /// There is none, or it gives nothing; `problem` says more.
    Missing,
}

/// The microphone as it is now.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MicrophoneDto {
    pub(crate) state: MicrophoneState,
    /// Its name, once it is open.
    pub(crate) device: Option<String>,
    /// Names to choose from.
    pub(crate) devices: Vec<String>,
    /// Loudest sample of the last moment, in dB relative to full scale.
    pub(crate) peak_dbfs: Option<f32>,
    pub(crate) problem: Option<String>,
}

/// Room for recordings.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiskDto {
    #[ts(type = "number")]
    pub(crate) free_bytes: u64,
    #[ts(type = "number")]
    pub(crate) total_bytes: u64,
    /// How much recording fits, by the size of earlier sessions.
    #[ts(type = "number")]
    pub(crate) seconds_left: u64,
    /// Too little to record an hour.
    pub(crate) is_low: bool,
    /// Too little to begin.
    pub(crate) is_full: bool,
}

/// Who this computer is to which collector.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnrolmentDto {
    pub(crate) collector: String,
    pub(crate) project: String,
    pub(crate) expert: String,
    /// Whether it answered when last asked; null before the first answer.
    pub(crate) is_reached: Option<bool>,
    /// Whether the token is in the system's keychain; where there is none, it is in a file.
    pub(crate) is_in_keychain: bool,
}

/// Everything the page for a new recording shows.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HomeDto {
    /// Why this desktop cannot be recorded; null if it can.
    pub(crate) problem: Option<String>,
    pub(crate) displays: Vec<DisplayDto>,
    /// Whether own windows are covered, own clicks left out, and titles of windows told.
    pub(crate) is_native: bool,
    pub(crate) microphone: MicrophoneDto,
    pub(crate) disk: DiskDto,
    pub(crate) enrolment: Option<EnrolmentDto>,
    /// Sessions that an interruption ended and that are being made whole now.
    pub(crate) is_recovering: bool,
    pub(crate) num_sessions: u32,
}

/// Where the recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordingState {
    /// Sources are being opened.
    Starting,
    Recording,
    Paused,
    /// Nothing is recorded any more; the outcome is asked for.
    Stopped,
    /// The file is being made ready.
    Sealing,
}

/// Whether a track's source gives proof of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LifeDto {
    Alive,
    Lost,
    /// None is expected now: paused, or ended.
    Unknown,
}

/// A track while recording.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackDto {
    /// `screen/0`, `pointer`, `keys`, `windows`, `narration`.
    pub(crate) track: String,
    pub(crate) life: LifeDto,
    #[ts(type = "number")]
    pub(crate) drops: u64,
}

/// Something the expert should know, said while recording.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoticeDto {
    /// Session time.
    #[ts(type = "number")]
    pub(crate) at_millis: u64,
    /// Whether something is not recorded any more.
    pub(crate) is_loss: bool,
    pub(crate) text: String,
}

/// A recording that goes on.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordingDto {
    pub(crate) state: RecordingState,
    #[ts(type = "number")]
    pub(crate) elapsed_millis: u64,
    /// How long the present pause lasts.
    #[ts(type = "number")]
    pub(crate) paused_millis: u64,
    #[ts(type = "number")]
    pub(crate) bytes: u64,
    pub(crate) tracks: Vec<TrackDto>,
    /// Loudest sample of the last moment, in dB relative to full scale; null without samples.
    pub(crate) peak_dbfs: Option<f32>,
    pub(crate) num_markers: u32,
    /// Session time of the newest marker, while it can be named.
    #[ts(type = "number | null")]
    pub(crate) newest_marker_millis: Option<u64>,
    pub(crate) notices: Vec<NoticeDto>,
    /// Why it ended by itself: the disk is full, the file cannot be written.
    pub(crate) ended_because: Option<String>,
    /// How far the file is made ready, from 0 to 1.
    pub(crate) sealed_part: f64,
    pub(crate) disk: DiskDto,
}

/// How the expert judges the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeDto {
    Success,
    Failure,
    Abandoned,
}

/// Where a session of the library is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionStateDto {
    Recording,
    /// Interrupted and not whole yet; `problem` says why if it cannot be helped.
    Interrupted,
    /// Complete, waiting to be sealed.
    Unsealed,
    /// Can be approved.
    Ready,
    /// Approved and not on its way: this computer is not enrolled.
    Approved,
    /// Approved and waiting for its turn or for the network.
    Queued,
    Sending,
    /// All bytes have arrived; the collector checks them.
    Received,
    /// The collector has checked every byte: the copy here may be freed.
    Verified,
    /// The collector has rejected it; `problem` says why.
    Rejected,
    /// The expert has to act; `problem` says how.
    Blocked,
    Unreadable,
}

/// Bytes on their way.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadDto {
    #[ts(type = "number")]
    pub(crate) sent_bytes: u64,
    #[ts(type = "number")]
    pub(crate) bytes: u64,
    /// Null until it is known.
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) seconds_left: Option<f64>,
    /// Why it waits.
    pub(crate) waits_because: Option<String>,
}

/// A session of the library.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionDto {
    /// Its handle for commands.
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) state: SessionStateDto,
    /// Wall clock of its start, milliseconds since 1970; null if it cannot be read.
    #[ts(type = "number | null")]
    pub(crate) recorded_at_millis: Option<u64>,
    #[ts(type = "number")]
    pub(crate) length_millis: u64,
    #[ts(type = "number")]
    pub(crate) bytes: u64,
    pub(crate) outcome: Option<OutcomeDto>,
    pub(crate) note: Option<String>,
    /// It was interrupted or damaged, and made whole; says what is missing.
    pub(crate) recovered: Option<String>,
    /// Its file is damaged; what can be read can be made whole.
    pub(crate) is_damaged: bool,
    /// What is not in it: gaps, drops and what was damaged, one sentence each.
    pub(crate) losses: Vec<String>,
    /// Names of its recorded tracks.
    pub(crate) tracks: Vec<String>,
    pub(crate) problem: Option<String>,
    pub(crate) upload: Option<UploadDto>,
}

/// The library.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LibraryDto {
    /// Newest first.
    pub(crate) sessions: Vec<SessionDto>,
    #[ts(type = "number")]
    pub(crate) bytes: u64,
    /// Of those, how many are verified at the collector and may be freed.
    #[ts(type = "number")]
    pub(crate) verified_bytes: u64,
    pub(crate) disk: DiskDto,
    /// The sentence that an approval agrees to.
    pub(crate) statement: String,
    pub(crate) enrolment: Option<EnrolmentDto>,
    pub(crate) folder: String,
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThemeDto {
    System,
    Light,
    Dark,
}

/// Global key combinations, as `Ctrl+Alt+R`.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HotkeysDto {
    pub(crate) record: String,
    pub(crate) pause: String,
    pub(crate) marker: String,
    pub(crate) stop: String,
}

/// The expert's settings.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsDto {
    /// Names of displays that are left out.
    pub(crate) left_out: Vec<String>,
    /// Whether the voice is recorded.
    pub(crate) has_voice: bool,
    /// Name of the microphone; null for the system's default.
    pub(crate) microphone: Option<String>,
    /// 48 000 or 16 000.
    pub(crate) narration_rate_hz: u32,
    /// 1 to 60.
    pub(crate) max_fps: u32,
    /// Seconds of count-down before a recording, 0 to 10.
    pub(crate) countdown_seconds: u32,
    /// Recording ends while this much is still free.
    pub(crate) keep_free_mib: u32,
    pub(crate) hotkeys: HotkeysDto,
    pub(crate) theme: ThemeDto,
}

/// The settings page.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsPageDto {
    pub(crate) settings: SettingsDto,
    /// Where recordings are kept.
    pub(crate) folder: String,
    pub(crate) version: String,
    /// Hotkeys that another program has, one sentence each.
    pub(crate) hotkey_problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set `UPDATE_TYPES=1` to write the file instead of comparing it.
    #[test]
    fn the_types_of_the_page_are_generated_from_these() {
        let config = ts_rs::Config::default();
        let declarations = [
            Problem::decl(&config),
            DisplayDto::decl(&config),
            MicrophoneState::decl(&config),
            MicrophoneDto::decl(&config),
            DiskDto::decl(&config),
            EnrolmentDto::decl(&config),
            HomeDto::decl(&config),
            RecordingState::decl(&config),
            LifeDto::decl(&config),
            TrackDto::decl(&config),
            NoticeDto::decl(&config),
            RecordingDto::decl(&config),
            OutcomeDto::decl(&config),
            SessionStateDto::decl(&config),
            UploadDto::decl(&config),
            SessionDto::decl(&config),
            LibraryDto::decl(&config),
            ThemeDto::decl(&config),
            HotkeysDto::decl(&config),
            SettingsDto::decl(&config),
            SettingsPageDto::decl(&config),
        ];
        let mut text = String::from("// Generated from src-tauri/src/dto.rs by its test; do not edit.\n");
        for declaration in declarations {
            text += &format!("\nexport {declaration}\n");
        }
        let path = "../ui/src/backend/types.ts";
        if std::env::var_os("UPDATE_TYPES").is_some() {
            std::fs::write(path, &text).expect("the file can be written");
        }
        let known = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(known, text, "UPDATE_TYPES=1 cargo test -p praxis-desktop writes {path} anew");
    }
}
