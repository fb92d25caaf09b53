// The JSON of messages and metadata, as the schemas of a bundle define it. What may be above 2^53 is a bigint.

export interface Rect {
  x_px: number;
  y_px: number;
  width_px: number;
  height_px: number;
}

export interface Display {
  number: number;
  name: string;
  rect: Rect;
  width_mm: number;
  height_mm: number;
  scale: number;
  is_primary: boolean;
  is_recorded: boolean;
}

export type Modifier = 'shift' | 'caps_lock' | 'control' | 'alt' | 'num_lock' | 'super' | 'alt_gr';

export interface PointerMessage {
  kind: 'move' | 'press' | 'release' | 'scroll';
  x_px: number;
  y_px: number;
  display?: number | null;
  button?: number | null;
  dx?: number | null;
  dy?: number | null;
  raw_dx?: number;
  raw_dy?: number;
  injected?: boolean;
  modifiers: Modifier[];
  source_millis?: number | null;
}

export interface KeyMessage {
  kind: 'press' | 'release';
  text?: string | null;
  keysym: string;
  keycode: number;
  modifiers: Modifier[];
  repeat: boolean;
  layout: number;
  injected?: boolean;
  source_millis?: number | null;
}

export interface CursorMessage {
  name?: string | null;
  width_px: number;
  height_px: number;
  hot_x_px: number;
  hot_y_px: number;
  png?: string | null;
}

export interface ClipboardMessage {
  types: string[];
  text_bytes?: number | null;
  text?: string | null;
}

export interface ElementsMessage {
  press_nanos: number;
  element?: { role: string; name: string; value?: string; rect: Rect } | null;
  absent?: 'not_told' | 'typing' | 'late';
}

export interface Window {
  id: bigint;
  title: string;
  class: string;
  pid?: number | null;
  executable?: string;
  rect: Rect;
}

export interface WindowsMessage {
  active?: Window | null;
  shown?: Window[];
}

export type GapReason = 'pause' | 'no_source' | 'source_lost' | 'source_ended' | 'suspend' | 'damaged';

export type MarkersMessage =
  | { kind: 'marker'; label: string }
  | { kind: 'label'; marker_nanos: number; label: string }
  | { kind: 'gap_begin'; track: string; reason: GapReason; detail: string }
  | { kind: 'gap_end'; track: string };

export interface GeometryMessage {
  root_width_px: number;
  root_height_px: number;
  displays: Display[];
  masks?: { rect: Rect; reason: 'own_window' }[];
}

export type ClockMessage =
  | { source: 'system'; wall_nanos: bigint; monotonic_nanos: bigint }
  | { source: 'x_server'; server_millis: number; uncertainty_nanos: number }
  | { source: 'narration' | 'sound'; sample_position: number; rate_hz: number };

export interface HealthMessage {
  tracks: {
    track: string;
    last_message_nanos?: number | null;
    messages: number;
    drops: number;
    queue_bytes: number;
    life: 'alive' | 'lost' | 'unknown';
  }[];
  narration_peak_dbfs?: number | null;
  narration_drift_ppm?: number;
  disk_free_bytes: number;
  missed_damage: number;
}

/** The message of each JSON track. */
export interface MessageOf {
  pointer: PointerMessage;
  keys: KeyMessage;
  windows: WindowsMessage;
  markers: MarkersMessage;
  geometry: GeometryMessage;
  clock: ClockMessage;
  health: HealthMessage;
  cursor: CursorMessage;
  clipboard: ClipboardMessage;
  elements: ElementsMessage;
}

export interface Manifest {
  format_version: number;
  session_id: string;
  bundle_id: string;
  app_version: string;
  epoch_wall_nanos: bigint;
  epoch_boottime_nanos: bigint;
  system: { os: string; name: string; kernel: string; arch: string; window_system: string };
  displays: Display[];
  keyboard: { layouts: string[] };
  pointer: { double_click_millis?: number | null; drag_distance_px?: number | null };
  title?: string | null;
  project?: string | null;
  task?: string | null;
  expert?: string | null;
  consent_version?: string | null;
  capture: {
    max_fps: number;
    microphone?: string | null;
    narration_rate_hz?: number | null;
    lossy: 'never' | 'auto';
  };
  backends: { tracks: string[]; name: string; cannot: string[] }[];
}

export interface Ending {
  session_time_nanos: number;
  reason: 'stopped' | 'disk_full' | 'sources_lost';
  outcome?: 'success' | 'failure' | 'abandoned' | null;
  note?: string | null;
}

/** A stretch without pictures of one display; without an end until the next picture. */
export interface PictureGap {
  track: string;
  after_nanos: number;
  before_nanos?: number | null;
}

export interface Recovery {
  source_bytes: number;
  damages: {
    start_byte: number;
    end_byte: number;
    after_nanos: number;
    before_nanos?: number | null;
    why: string;
  }[];
  lost_pictures: number;
  picture_gaps?: PictureGap[];
}

export interface Seal {
  app_version: string;
}
