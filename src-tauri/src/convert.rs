//! From the core's types to those of the page, and back. Says what things are called; decides nothing.

use std::time::SystemTime;

use praxis_bundle::info::{Gap, Info};
use praxis_bundle::manifest::{DamagedRange, Outcome};
use praxis_bundle::messages::{GapReason, Life};
use praxis_capture_core::library::{Entry, SessionState};
use praxis_capture_core::studio::{Hearing, Hotkeys, Phase, Progress, Room, Settings, Studio, Theme};
use praxis_capture_core::upload::approval::approval_path;
use praxis_capture_core::upload::{Enrolment, Item, State};

use crate::dto::{
    DiskDto, EnrolmentDto, HotkeysDto, LifeDto, MicrophoneDto, MicrophoneState, NoticeDto, OutcomeDto,
    Problem, RecordingDto, RecordingState, SessionDto, SessionStateDto, SettingsDto, ThemeDto, TrackDto,
    UploadDto,
};

const MILLI: u64 = 1_000_000;

impl Problem {
    /// An error with its causes in one sentence.
    pub(crate) fn of(error: impl Into<anyhow::Error>) -> Self {
        Self { message: format!("{:#}", error.into()) }
    }
}

impl From<Room> for DiskDto {
    fn from(room: Room) -> Self {
        let Room { free_bytes, total_bytes, seconds_left, is_low, is_full } = room;
        Self { free_bytes, total_bytes, seconds_left, is_low, is_full }
    }
}

pub(crate) fn enrolment(studio: &Studio, enrolment: Enrolment) -> EnrolmentDto {
    let is_in_keychain = enrolment.is_in_keychain();
    let Enrolment { collector, project, expert, .. } = enrolment;
    let is_reached = studio.courier.is_reached(&collector);
    EnrolmentDto { is_reached, collector, project, expert, is_in_keychain }
}

pub(crate) fn microphone(hearing: Hearing, devices: Vec<String>) -> MicrophoneDto {
    let (state, device, peak_dbfs, problem) = match hearing {
        Hearing::Off => (MicrophoneState::Off, None, None, None),
        Hearing::Opening => (MicrophoneState::Opening, None, None, None),
        Hearing::Live { device, peak_dbfs } => (MicrophoneState::Live, Some(device), peak_dbfs, None),
        Hearing::Missing(why) => (MicrophoneState::Missing, None, None, Some(why)),
    };
    MicrophoneDto { state, device, devices, peak_dbfs, problem }
}

pub(crate) fn recording(progress: Progress, disk: DiskDto) -> RecordingDto {
    let tracks = progress.tracks.into_iter().map(|track| TrackDto {
        track: track.track,
        life: match track.life {
            Life::Alive => LifeDto::Alive,
            Life::Lost => LifeDto::Lost,
            Life::Unknown => LifeDto::Unknown,
        },
        drops: track.drops,
    });
    let notices = progress.said.into_iter().map(|said| NoticeDto {
        at_millis: said.at_nanos / MILLI,
        is_loss: said.is_loss,
        text: said.text,
    });
    RecordingDto {
        state: match progress.phase {
            Phase::Starting => RecordingState::Starting,
            Phase::Recording => RecordingState::Recording,
            Phase::Paused => RecordingState::Paused,
            Phase::Stopped => RecordingState::Stopped,
            Phase::Sealing => RecordingState::Sealing,
        },
        elapsed_millis: progress.elapsed_nanos / MILLI,
        paused_millis: progress.paused_nanos / MILLI,
        bytes: progress.bytes,
        tracks: tracks.collect(),
        peak_dbfs: progress.peak_dbfs,
        num_markers: progress.num_markers,
        newest_marker_millis: progress.newest_marker_nanos.map(|nanos| nanos / MILLI),
        notices: notices.collect(),
        ended_because: progress.ended_because,
        sealed_part: progress.sealed_part,
        disk,
    }
}

impl From<OutcomeDto> for Outcome {
    fn from(outcome: OutcomeDto) -> Self {
        match outcome {
            OutcomeDto::Success => Self::Success,
            OutcomeDto::Failure => Self::Failure,
            OutcomeDto::Abandoned => Self::Abandoned,
        }
    }
}

impl From<Outcome> for OutcomeDto {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Failure => Self::Failure,
            Outcome::Abandoned => Self::Abandoned,
        }
    }
}

/// A session with its upload, if it has one.
pub(crate) fn session(studio: &Studio, entry: &Entry, item: Option<&Item>) -> SessionDto {
    let id = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let state = state_of(entry, item);
    let (info, unreadable) = match &entry.info {
        Ok(info) => (Some(info), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let ending = info.and_then(|info| info.ending.as_ref());
    let changed = std::fs::metadata(&entry.path).and_then(|metadata| metadata.modified()).ok();
    let changed =
        changed.and_then(|at| Some(at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis() as u64));
    SessionDto {
        id,
        title: info.and_then(|info| info.manifest.title.clone()),
        state,
        recorded_at_millis: info.map(|info| info.manifest.epoch_wall_nanos / MILLI).or(changed),
        length_millis: info.map_or(0, |info| info.duration_nanos / MILLI),
        bytes: std::fs::metadata(&entry.path).map_or(0, |metadata| metadata.len()),
        outcome: ending.and_then(|ending| ending.outcome).map(Into::into),
        note: ending.and_then(|ending| ending.note.clone()),
        recovered: info.filter(|_| entry.state == SessionState::Sealed).and_then(recovered),
        is_damaged: is_damaged(entry),
        losses: info.map(losses).unwrap_or_default(),
        tracks: info
            .map(|info| {
                info.tracks
                    .iter()
                    .filter(|(_, facts)| facts.messages > 0)
                    .map(|(track, _)| track.name())
                    .collect()
            })
            .unwrap_or_default(),
        problem: match state {
            SessionStateDto::Rejected | SessionStateDto::Blocked => item.and_then(|item| item.reason.clone()),
            SessionStateDto::Interrupted if is_damaged(entry) => {
                Some("damaged: what can be read can be made whole, and the damaged file is kept".into())
            }
            _ => unreadable,
        },
        upload: item.filter(|item| !item.state.is_final()).map(|item| upload(studio, item)),
    }
}

fn is_damaged(entry: &Entry) -> bool {
    entry.info.as_ref().is_ok_and(|info| info.is_sealed && !info.damages.is_empty())
}

fn state_of(entry: &Entry, item: Option<&Item>) -> SessionStateDto {
    match (entry.state, item.map(|item| item.state)) {
        (SessionState::Recording, _) => SessionStateDto::Recording,
        (SessionState::Interrupted, _) => SessionStateDto::Interrupted,
        (SessionState::Unsealed, _) => SessionStateDto::Unsealed,
        (SessionState::Unreadable, _) => SessionStateDto::Unreadable,
        // What can be read of it is made whole by the same way as what was interrupted.
        (SessionState::Sealed, None) if is_damaged(entry) => SessionStateDto::Interrupted,
        (SessionState::Sealed, Some(State::Queued)) => SessionStateDto::Queued,
        (SessionState::Sealed, Some(State::Sending)) => SessionStateDto::Sending,
        (SessionState::Sealed, Some(State::Received)) => SessionStateDto::Received,
        (SessionState::Sealed, Some(State::Verified)) => SessionStateDto::Verified,
        // It was made whole since: nobody has approved it as it is now.
        (SessionState::Sealed, Some(State::Rejected | State::Blocked))
            if !is_damaged(entry) && !approval_path(&entry.path).exists() =>
        {
            SessionStateDto::Ready
        }
        (SessionState::Sealed, Some(State::Rejected)) => SessionStateDto::Rejected,
        (SessionState::Sealed, Some(State::Blocked)) => SessionStateDto::Blocked,
        // What went to another server is there, but nobody has checked it.
        (SessionState::Sealed, Some(State::Complete)) => SessionStateDto::Approved,
        (SessionState::Sealed, None) if approval_path(&entry.path).exists() => SessionStateDto::Approved,
        (SessionState::Sealed, None) => SessionStateDto::Ready,
    }
}

fn upload(studio: &Studio, item: &Item) -> UploadDto {
    let bytes_per_second = studio.courier.bytes_per_second(&item.bundle_id).filter(|_| item.reason.is_none());
    UploadDto {
        sent_bytes: item.sent,
        bytes: item.bytes,
        bytes_per_second,
        seconds_left: bytes_per_second
            .map(|rate| item.bytes.saturating_sub(item.sent) as f64 / rate.max(1.0)),
        waits_because: item.reason.clone(),
    }
}

/// What became of a session that did not end by itself, or was damaged.
fn recovered(info: &Info) -> Option<String> {
    let Some(recovery) = &info.recovery else {
        return info.ending.is_none().then(|| interrupted(info));
    };
    if info.ending.is_some() {
        return Some("It was damaged. What could be read is here, the rest is left out".into());
    }
    let more = if recovery.damages.len() > 1 { "; damaged parts are left out" } else { "" };
    Some(format!("{}{more}", interrupted(info)))
}

fn interrupted(info: &Info) -> String {
    format!("Interrupted at {}. At most the last half second is missing", clock(info.duration_nanos))
}

/// What is not in a session although it should be, one sentence each. Pauses are no loss.
fn losses(info: &Info) -> Vec<String> {
    let stretch = |track: &str, start: u64, end: Option<u64>, why: &str| {
        let until = end.map_or("to the end".into(), |end| format!("to {}", clock(end)));
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        format!("{track} from {} {until}{why}", clock(start))
    };
    let gap = |gap: &Gap| {
        let track = gap.track.as_deref().unwrap_or("all tracks");
        stretch(track, gap.start_nanos, gap.end_nanos, &gap.detail)
    };
    let is_loss =
        |gap: &&Gap| !matches!(gap.reason, GapReason::Pause | GapReason::SourceEnded | GapReason::Suspend);
    let drops = info.tracks.iter().filter(|(_, track)| track.drops > 0);
    let drops = drops.map(|(track, facts)| format!("{track}: {} samples lost under load", facts.drops));
    // The last damage of a session that was interrupted is where it was interrupted.
    let is_inside = |damage: &&DamagedRange| damage.before_nanos.is_some() || info.ending.is_some();
    let damages = info.recovery.iter().flat_map(|recovery| &recovery.damages).filter(is_inside);
    let damages =
        damages.map(|damage| stretch("all tracks", damage.after_nanos, damage.before_nanos, "damaged"));
    info.gaps.iter().filter(is_loss).map(gap).chain(drops).chain(damages).collect()
}

fn clock(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

impl From<Settings> for SettingsDto {
    fn from(settings: Settings) -> Self {
        let Hotkeys { record, pause, marker, stop } = settings.hotkeys;
        Self {
            left_out: settings.left_out,
            has_voice: settings.has_voice,
            microphone: settings.microphone,
            narration_rate_hz: settings.narration_rate_hz,
            max_fps: settings.max_fps,
            countdown_seconds: settings.countdown_seconds,
            keep_free_mib: settings.keep_free_mib,
            hotkeys: HotkeysDto { record, pause, marker, stop },
            theme: match settings.theme {
                Theme::System => ThemeDto::System,
                Theme::Light => ThemeDto::Light,
                Theme::Dark => ThemeDto::Dark,
            },
        }
    }
}

impl From<SettingsDto> for Settings {
    fn from(settings: SettingsDto) -> Self {
        let HotkeysDto { record, pause, marker, stop } = settings.hotkeys;
        Self {
            left_out: settings.left_out,
            has_voice: settings.has_voice,
            microphone: settings.microphone,
            narration_rate_hz: settings.narration_rate_hz,
            max_fps: settings.max_fps,
            countdown_seconds: settings.countdown_seconds,
            keep_free_mib: settings.keep_free_mib,
            hotkeys: Hotkeys { record, pause, marker, stop },
            theme: match settings.theme {
                ThemeDto::System => Theme::System,
                ThemeDto::Light => Theme::Light,
                ThemeDto::Dark => Theme::Dark,
            },
        }
    }
}
