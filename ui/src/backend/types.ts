// Generated from src-tauri/src/dto.rs by its test; do not edit.

export type Problem = { message: string, };

export type DisplayDto = { number: number, name: string, widthPx: number, heightPx: number, isPrimary: boolean, isChosen: boolean, };

export type MicrophoneState = "off" | "opening" | "live" | "missing";

export type MicrophoneDto = { state: MicrophoneState, device: string | null, devices: Array<string>, peakDbfs: number | null, problem: string | null, };

export type DiskDto = { freeBytes: number, totalBytes: number, secondsLeft: number, isLow: boolean, isFull: boolean, };

export type EnrolmentDto = { collector: string, project: string, expert: string, isReached: boolean | null, };

export type HomeDto = { problem: string | null, displays: Array<DisplayDto>, microphone: MicrophoneDto, disk: DiskDto, enrolment: EnrolmentDto | null, isRecovering: boolean, numSessions: number, };

export type RecordingState = "starting" | "recording" | "paused" | "stopped" | "sealing";

export type LifeDto = "alive" | "lost" | "unknown";

export type TrackDto = { track: string, life: LifeDto, drops: number, };

export type NoticeDto = { atMillis: number, isLoss: boolean, text: string, };

export type RecordingDto = { state: RecordingState, elapsedMillis: number, pausedMillis: number, bytes: number, tracks: Array<TrackDto>, peakDbfs: number | null, numMarkers: number, newestMarkerMillis: number | null, notices: Array<NoticeDto>, endedBecause: string | null, disk: DiskDto, };

export type OutcomeDto = "success" | "failure" | "abandoned";

export type SessionStateDto = "recording" | "interrupted" | "unsealed" | "ready" | "approved" | "queued" | "sending" | "received" | "verified" | "rejected" | "blocked" | "unreadable";

export type UploadDto = { sentBytes: number, bytes: number, bytesPerSecond: number | null, secondsLeft: number | null, waitsBecause: string | null, };

export type SessionDto = { id: string, title: string | null, state: SessionStateDto, recordedAtMillis: number | null, lengthMillis: number, bytes: number, outcome: OutcomeDto | null, note: string | null, recovered: string | null, losses: Array<string>, tracks: Array<string>, problem: string | null, upload: UploadDto | null, };

export type LibraryDto = { sessions: Array<SessionDto>, bytes: number, verifiedBytes: number, disk: DiskDto, statement: string, enrolment: EnrolmentDto | null, folder: string, };

export type ThemeDto = "system" | "light" | "dark";

export type HotkeysDto = { record: string, pause: string, marker: string, stop: string, };

export type SettingsDto = { leftOut: Array<string>, hasVoice: boolean, microphone: string | null, narrationRateHz: number, maxFps: number, countdownSeconds: number, keepFreeMib: number, hotkeys: HotkeysDto, theme: ThemeDto, };

export type SettingsPageDto = { settings: SettingsDto, folder: string, version: string, hotkeyProblems: Array<string>, };
