// The backend by the commands and events of the desktop program.
import { convertFileSrc, invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Backend } from './backend';

async function picture(command: string, args: Record<string, unknown>): Promise<Blob | null> {
  const bytes = await invoke<ArrayBuffer>(command, args);
  return bytes.byteLength === 0 ? null : new Blob([bytes], { type: 'image/png' });
}

export const backend: Backend = {
  home: () => invoke('home'),
  thumbnail: (display) => picture('thumbnail', { display }),

  startRecording: (title) => invoke('start_recording', { title }),
  recording: () => invoke('recording'),
  pauseRecording: () => invoke('pause_recording'),
  resumeRecording: () => invoke('resume_recording'),
  addMarker: () => invoke('add_marker'),
  labelMarker: (label) => invoke('label_marker', { label }),
  stopRecording: () => invoke('stop_recording'),
  finishRecording: (outcome, note) => invoke('finish_recording', { outcome, note }),
  setHudHeight: (height) => invoke('set_hud_height', { height }),

  library: () => invoke('library'),
  sessionPicture: (id) => picture('session_picture', { id }),
  // `bundle://localhost/ID`, or `http://bundle.localhost/ID` on Windows.
  bundleAddress: (id) => convertFileSrc(id, 'bundle'),
  sealSession: (id) => invoke('seal_session', { id }),
  approveSession: (id) => invoke('approve_session', { id }),
  retryUpload: (id) => invoke('retry_upload', { id }),
  freeSession: (id) => invoke('free_session', { id }),
  deleteSession: (id) => invoke('delete_session', { id }),
  exportSession: (id) => invoke('export_session', { id }),

  enrol: (collector, code) => invoke('enrol', { collector, code }),
  leaveProject: () => invoke('leave_project'),
  settings: () => invoke('settings'),
  saveSettings: (settings) => invoke('save_settings', { settings }),

  onRecordAsked: (callback) => listen('record-asked', callback),
};
