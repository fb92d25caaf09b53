// Generated from src-tauri/src/dto.rs by its test; do not edit.

export type Problem = { message: string, };

export type DisplayDto = { number: number, name: string, widthPx: number, heightPx: number, isPrimary: boolean, isChosen: boolean, };

export type MicrophoneState = "off" | "opening" | "live" | "missing";

export type MicrophoneDto = { state: MicrophoneState, 
/**
 * Its name, once it is open.
 */
device: string | null, 
/**
 * Names to choose from.
 */
devices: Array<string>, 
/**
 * Loudest sample of the last moment, in dB relative to full scale.
 */
peakDbfs: number | null, problem: string | null, };

export type DiskDto = { freeBytes: number, totalBytes: number, 
/**
 * How much recording fits, by the size of earlier sessions.
 */
secondsLeft: number, 
/**
 * Too little to record an hour.
 */
isLow: boolean, 
/**
 * Too little to begin.
 */
isFull: boolean, };

export type EnrolmentDto = { collector: string, project: string, expert: string, 
/**
 * Whether it answered when last asked; null before the first answer.
 */
isReached: boolean | null, 
/**
 * Whether the token is in the system's keychain; where there is none, it is in a file.
 */
isInKeychain: boolean, };

export type HomeDto = { 
/**
 * Why this desktop cannot be recorded; null if it can.
 */
problem: string | null, displays: Array<DisplayDto>, 
/**
 * Whether own windows are covered, own clicks left out, and titles of windows told.
 */
isNative: boolean, microphone: MicrophoneDto, disk: DiskDto, enrolment: EnrolmentDto | null, 
/**
 * Sessions that an interruption ended and that are being made whole now.
 */
isRecovering: boolean, numSessions: number, };

export type RecordingState = "starting" | "recording" | "paused" | "stopped" | "sealing";

export type LifeDto = "alive" | "lost" | "unknown";

export type TrackDto = { 
/**
 * `screen/0`, `pointer`, `keys`, `windows`, `narration`.
 */
track: string, life: LifeDto, drops: number, };

export type NoticeDto = { 
/**
 * Session time.
 */
atMillis: number, 
/**
 * Whether something is not recorded any more.
 */
isLoss: boolean, text: string, };

export type RecordingDto = { state: RecordingState, elapsedMillis: number, 
/**
 * How long the present pause lasts.
 */
pausedMillis: number, bytes: number, tracks: Array<TrackDto>, 
/**
 * Loudest sample of the last moment, in dB relative to full scale; null without samples.
 */
peakDbfs: number | null, numMarkers: number, 
/**
 * Session time of the newest marker, while it can be named.
 */
newestMarkerMillis: number | null, notices: Array<NoticeDto>, 
/**
 * Why it ended by itself: the disk is full, the file cannot be written.
 */
endedBecause: string | null, 
/**
 * How far the file is made ready, from 0 to 1.
 */
sealedPart: number, disk: DiskDto, };

export type OutcomeDto = "success" | "failure" | "abandoned";

export type SessionStateDto = "recording" | "interrupted" | "unsealed" | "ready" | "approved" | "queued" | "sending" | "received" | "verified" | "rejected" | "blocked" | "unreadable";

export type UploadDto = { sentBytes: number, bytes: number, 
/**
 * Null until it is known.
 */
bytesPerSecond: number | null, secondsLeft: number | null, 
/**
 * Why it waits.
 */
waitsBecause: string | null, };

export type SessionDto = { 
/**
 * Its handle for commands.
 */
id: string, title: string | null, state: SessionStateDto, 
/**
 * Wall clock of its start, milliseconds since 1970; null if it cannot be read.
 */
recordedAtMillis: number | null, lengthMillis: number, bytes: number, outcome: OutcomeDto | null, note: string | null, 
/**
 * It was interrupted or damaged, and made whole; says what is missing.
 */
recovered: string | null, 
/**
 * Its file is damaged; what can be read can be made whole.
 */
isDamaged: boolean, 
/**
 * What is not in it: gaps, drops and what was damaged, one sentence each.
 */
losses: Array<string>, 
/**
 * Names of its recorded tracks.
 */
tracks: Array<string>, problem: string | null, upload: UploadDto | null, };

export type LibraryDto = { 
/**
 * Newest first.
 */
sessions: Array<SessionDto>, bytes: number, 
/**
 * Of those, how many are verified at the collector and may be freed.
 */
verifiedBytes: number, disk: DiskDto, 
/**
 * The sentence that an approval agrees to.
 */
statement: string, enrolment: EnrolmentDto | null, folder: string, };

export type ThemeDto = "system" | "light" | "dark";

export type HotkeysDto = { record: string, pause: string, marker: string, stop: string, };

export type SettingsDto = { 
/**
 * Names of displays that are left out.
 */
leftOut: Array<string>, 
/**
 * Whether the voice is recorded.
 */
hasVoice: boolean, 
/**
 * Name of the microphone; null for the system's default.
 */
microphone: string | null, 
/**
 * 48 000 or 16 000.
 */
narrationRateHz: number, 
/**
 * 1 to 60.
 */
maxFps: number, 
/**
 * Seconds of count-down before a recording, 0 to 10.
 */
countdownSeconds: number, 
/**
 * Recording ends while this much is still free.
 */
keepFreeMib: number, hotkeys: HotkeysDto, theme: ThemeDto, };

export type SettingsPageDto = { settings: SettingsDto, 
/**
 * Where recordings are kept.
 */
folder: string, version: string, 
/**
 * Hotkeys that another program has, one sentence each.
 */
hotkeyProblems: Array<string>, };
