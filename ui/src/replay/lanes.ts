// What the timeline and the lists show of a whole session, gathered from the parts of a survey as they come.
import { binNanosOf, numBinsOf } from './decode/survey';
import type { Listed, SurveyPart } from './decode/survey';
import type { GapReason, GeometryMessage, HealthMessage, MarkersMessage } from './decode/types';

/** Quieter than this is no voice: about -42 dB of full scale. */
const VOICE_LEVEL = 2;

export interface WindowSpan {
  from: number;
  to: number;
  title: string;
  class: string;
}

export interface Marker {
  nanos: number;
  label: string;
}

export interface Gap {
  from: number;
  to: number;
  reason: GapReason;
  detail: string;
  tracks: string[];
}

export class Lanes {
  readonly binNanos: number;
  readonly keys: Uint16Array;
  readonly pointer: Uint16Array;
  readonly voice: Uint8Array;
  /** Up to here the bundle has been gone through. */
  knownNanos = 0;
  isDone = false;
  windows: WindowSpan[] = [];
  markers: Marker[] = [];
  gaps: Gap[] = [];
  geometry: Listed<GeometryMessage>[] = [];
  health: Listed<HealthMessage>[] = [];
  lastHealth: Listed<HealthMessage> | undefined;
  hasVoice = false;
  /** Whether anything was done or said, as far as it is known. */
  hasActivity = false;
  private notes: Listed<MarkersMessage>[] = [];

  constructor(readonly durationNanos: number) {
    this.binNanos = binNanosOf(durationNanos);
    const numBins = numBinsOf(durationNanos);
    this.keys = new Uint16Array(numBins);
    this.pointer = new Uint16Array(numBins);
    this.voice = new Uint8Array(numBins);
  }

  add(part: SurveyPart): void {
    for (let n = 0; n < part.keys.length; n++) {
      const bin = part.firstBin + n;
      this.keys[bin] += part.keys[n];
      this.pointer[bin] += part.pointer[n];
      this.voice[bin] = Math.max(this.voice[bin], part.voice[n]);
      this.hasVoice ||= part.voice[n] > 0;
      this.hasActivity ||= this.isActive(bin);
    }
    for (const { nanos, message } of part.windows) {
      const last = this.windows.at(-1);
      const { title = '', class: name = '' } = message.active ?? {};
      if (last && last.title === title && last.class === name) continue;
      if (last) last.to = nanos;
      this.windows.push({ from: nanos, to: this.durationNanos, title, class: name });
    }
    this.notes.push(...part.markers);
    if (part.markers.length > 0) {
      this.markers = markersOf(this.notes);
      this.gaps = gapsOf(this.notes, this.durationNanos);
    }
    this.geometry.push(...part.geometry);
    this.health.push(...part.health);
    this.lastHealth = part.lastHealth ?? this.lastHealth;
    this.knownNanos = Math.max(this.knownNanos, part.doneNanos);
    this.isDone = part.isDone;
  }

  /** Whether something was done or said in a bin. */
  isActive = (bin: number): boolean =>
    this.keys[bin] > 0 || this.pointer[bin] > 0 || this.voice[bin] > VOICE_LEVEL;

  windowAt(nanos: number): WindowSpan | undefined {
    return this.windows.findLast(({ from }) => from <= nanos);
  }

  geometryAt(nanos: number): GeometryMessage | undefined {
    return (this.geometry.findLast((each) => each.nanos <= nanos) ?? this.geometry[0])?.message;
  }
}

/** Markers with the label given last. */
export function markersOf(notes: readonly Listed<MarkersMessage>[]): Marker[] {
  const markers = new Map<number, Marker>();
  for (const { nanos, message } of notes) {
    if (message.kind === 'marker') markers.set(nanos, { nanos, label: message.label });
    if (message.kind === 'label') {
      const marker = markers.get(message.marker_nanos);
      if (marker) marker.label = message.label;
    }
  }
  return [...markers.values()].sort((a, b) => a.nanos - b.nanos);
}

/** Gaps; those of several tracks that begin and end together are one. */
export function gapsOf(notes: readonly Listed<MarkersMessage>[], durationNanos: number): Gap[] {
  // An end is of the newest gap of its track.
  const open = new Map<string, Gap[]>();
  const gaps: Gap[] = [];
  const close = (track: string, to: number) => {
    const gap = open.get(track)?.pop();
    if (!gap) return;
    gap.to = to;
    const near = (a: number, b: number) => Math.abs(a - b) < 50_000_000;
    const same = gaps.find((each) => near(each.from, gap.from) && near(each.to, to) && each.reason === gap.reason);
    if (same) same.tracks.push(track);
    else gaps.push(gap);
  };
  for (const { nanos, message } of notes) {
    if (message.kind === 'gap_begin') {
      const { track, reason, detail } = message;
      const gap = { from: nanos, to: durationNanos, reason, detail, tracks: [track] };
      open.set(track, [...(open.get(track) ?? []), gap]);
    }
    if (message.kind === 'gap_end') close(message.track, nanos);
  }
  for (const [track, gaps] of open) while (gaps.length > 0) close(track, durationNanos);
  return gaps.sort((a, b) => a.from - b.from);
}
