// What the pages share: where the user is, what is typed, and the last answers of the program.
import { messageOf } from '../backend/backend';
import { backend } from '../backend/tauri';
import type { HomeDto, RecordingDto, SettingsDto, SettingsPageDto } from '../backend/types';
import type { IconName } from './icons';

export type Page = 'record' | 'library' | 'settings' | 'enrol';

export interface ToastContent {
  icon: IconName;
  text: string;
  action?: { word: string; run: () => void };
}

class App {
  page = $state<Page>('record');
  /** The title of the next session, as typed so far. */
  title = $state('');
  /** Null while the pages are shown. */
  recording = $state.raw<RecordingDto | null>(null);
  home = $state.raw<HomeDto | null>(null);
  settings = $state.raw<SettingsPageDto | null>(null);
  toast = $state.raw<ToastContent | null>(null);
  /** The session that is played, over the whole window. */
  playing = $state.raw<{ id: string; title: string } | null>(null);
  isCountingDown = $state(false);
  isStarting = $state(false);
  /** Why the program does not answer. */
  problem = $state<string | null>(null);
  startProblem = $state<string | null>(null);
  /** A hotkey is being typed into its field: it shall not act. */
  isSettingHotkey = $state(false);

  #saved: Promise<unknown> = Promise.resolve();

  refreshHome = async () => {
    try {
      this.home = await backend.home();
      this.problem = null;
    } catch (error) {
      this.problem = messageOf(error);
    }
  };

  refreshRecording = async () => {
    try {
      const recording = await backend.recording();
      if (this.recording && !recording) this.page = this.recording.state === 'starting' ? 'record' : 'library';
      this.recording = recording;
    } catch (error) {
      this.problem = messageOf(error);
    }
  };

  async loadSettings() {
    try {
      this.settings = await backend.settings();
    } catch (error) {
      this.problem = messageOf(error);
    }
  }

  /** Changes show at once; one save follows the other. Rejects when a change cannot be kept. */
  async save(changes: Partial<SettingsDto>): Promise<void> {
    if (!this.settings) return;
    const settings = { ...this.settings.settings, ...changes };
    this.settings = { ...this.settings, settings };
    const saved = this.#saved.then(() => backend.saveSettings(settings));
    this.#saved = saved.catch(() => undefined);
    try {
      this.settings = await saved;
    } catch (error) {
      await this.loadSettings();
      throw error;
    }
    await this.refreshHome();
  }

  /** Why no recording can begin now; null if one can. */
  get obstacle(): string | null {
    const home = this.home;
    if (!home) return 'Praxis is looking at this computer';
    if (home.problem) return 'This desktop cannot be recorded';
    if (home.displays.length === 0) return 'No display is found';
    if (!home.displays.some((display) => display.isChosen)) return 'Choose at least one display';
    if (home.disk.isFull) return 'There is too little room on the disk: free some, or keep less of it free';
    return null;
  }

  /** The button, the hotkey or the tray asks for a recording. */
  askToRecord = async () => {
    if (this.recording || this.isCountingDown || this.isStarting || this.isSettingHotkey) return;
    this.playing = null;
    this.page = 'record';
    this.startProblem = null;
    if (!this.home) await this.refreshHome();
    if (this.obstacle) return;
    if (this.settings?.settings.countdownSeconds === 0) await this.start();
    else this.isCountingDown = true;
  };

  async start() {
    this.isCountingDown = false;
    this.isStarting = true;
    try {
      await backend.startRecording(this.title.trim());
    } catch (error) {
      this.startProblem = messageOf(error);
    }
    this.isStarting = false;
    await this.refreshRecording();
  }
}

export const app = new App();
