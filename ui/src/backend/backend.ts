// What the page asks the program for. Every call rejects with a `Problem`: one sentence that says what to do.
import type {
  EnrolmentDto,
  HomeDto,
  LibraryDto,
  OutcomeDto,
  RecordingDto,
  SettingsDto,
  SettingsPageDto,
} from './types';

export interface Backend {
  home(): Promise<HomeDto>;
  /** A picture of a display as it is now; null if there is none. */
  thumbnail(display: number): Promise<Blob | null>;

  /** Returns when recording has begun. */
  startRecording(title: string): Promise<void>;
  /** Null while nothing is recorded and nothing waits to be finished. */
  recording(): Promise<RecordingDto | null>;
  pauseRecording(): Promise<void>;
  resumeRecording(): Promise<void>;
  /** Marks this instant. */
  addMarker(): Promise<void>;
  /** Names the newest marker. */
  labelMarker(label: string): Promise<void>;
  /** Nothing is recorded any more afterwards; the session waits to be finished. */
  stopRecording(): Promise<void>;
  finishRecording(outcome: OutcomeDto | null, note: string): Promise<void>;
  /** While recording, the window is the bar of controls, this high. */
  setHudHeight(height: number): Promise<void>;

  library(): Promise<LibraryDto>;
  sessionPicture(id: string): Promise<Blob | null>;
  /** Where the player reads a session's bundle. */
  bundleAddress(id: string): string;
  /** Makes an unsealed or interrupted session whole. */
  sealSession(id: string): Promise<void>;
  approveSession(id: string): Promise<void>;
  retryUpload(id: string): Promise<void>;
  /** Removes the copy on this computer; only when the collector has verified its own. */
  freeSession(id: string): Promise<void>;
  deleteSession(id: string): Promise<void>;
  /** Asks for a folder and copies the session there; its path, or null if cancelled. */
  exportSession(id: string): Promise<string | null>;

  enrol(collector: string, code: string): Promise<EnrolmentDto>;
  leaveProject(): Promise<void>;
  settings(): Promise<SettingsPageDto>;
  saveSettings(settings: SettingsDto): Promise<SettingsPageDto>;

  /** A hotkey or the tray asks to start a recording. Returns how to stop listening. */
  onRecordAsked(callback: () => void): Promise<() => void>;
}

/** The sentence of an error. */
export function messageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return String(error.message);
  }
  return String(error);
}
