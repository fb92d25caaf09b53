// Paints the lanes of the timeline on a canvas: activity, windows, voice, markers, and what was not recorded.
import { clock, shortClock } from '../lib/format';
import type { Stretch } from '../replay/idle';
import type { Gap, Lanes } from '../replay/lanes';

export const LANES = [
  { name: 'ruler', height: 24 },
  { name: 'activity', height: 44 },
  { name: 'windows', height: 24 },
  { name: 'voice', height: 44 },
  { name: 'markers', height: 24 },
  { name: 'gaps', height: 20 },
] as const;
export type LaneName = (typeof LANES)[number]['name'];

export interface Range {
  from: number;
  to: number;
}

/** The colours, from the tokens. */
export type Colours = (token: string) => string;

const STEPS_SECONDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const TICK_PX = 92;
const BAR_PX = 3;

export function paint(context: CanvasRenderingContext2D, width: number, range: Range, lanes: Lanes, idle: Stretch[], damaged: Stretch[], names: LaneName[], colour: Colours): void {
  const xOf = (nanos: number) => ((nanos - range.from) / (range.to - range.from)) * width;
  const height = LANES.filter(({ name }) => names.includes(name)).reduce((sum, lane) => sum + lane.height, 0);
  context.font = `500 11px ${colour('--font-ui')}`;
  context.textBaseline = 'middle';
  context.clearRect(0, 0, width, height);
  let top = 0;
  for (const { name, height: lane } of LANES) {
    if (!names.includes(name)) continue;
    if (name !== 'ruler') {
      context.fillStyle = colour('--surface-sunken');
      context.fillRect(0, top, width, lane);
      context.fillStyle = colour('--border-subtle');
      context.fillRect(0, top, width, 1);
    }
    const area = { context, top, height: lane, width, range, xOf, colour };
    if (name === 'ruler') ruler(area);
    if (name === 'activity') activity(area, lanes);
    if (name === 'windows') windows(area, lanes);
    if (name === 'voice') voice(area, lanes);
    if (name === 'markers') markers(area, lanes);
    if (name === 'gaps') gaps(area, [...lanes.gaps, ...damaged.map((stretch) => ({ ...stretch, reason: 'damaged' as const, detail: '', tracks: [] }))], idle);
    top += lane;
  }
  hatch(context, lanes.gaps, xOf, height, colour('--gap'));
  if (!lanes.isDone && lanes.durationNanos > 0) {
    // What has not been read yet is not empty: it is covered.
    const x = Math.max(0, xOf(lanes.knownNanos));
    context.fillStyle = colour('--surface-active');
    context.globalAlpha = 0.6;
    context.fillRect(x, 24, width - x, height - 24);
    context.globalAlpha = 1;
  }
}

interface Area {
  context: CanvasRenderingContext2D;
  top: number;
  height: number;
  width: number;
  range: Range;
  xOf: (nanos: number) => number;
  colour: Colours;
}

function ruler({ context, top, width, range, xOf, colour }: Area): void {
  const seconds = (range.to - range.from) / 1e9;
  const step = (STEPS_SECONDS.find((each) => (each / seconds) * width >= TICK_PX) ?? 14_400) * 1e9;
  for (let at = Math.ceil(range.from / step) * step; at <= range.to; at += step) {
    const x = Math.round(xOf(at));
    context.fillStyle = colour('--border');
    context.fillRect(x, top + 17, 1, 7);
    const text = step < 1e9 ? clock(at / 1e6) + (Math.round(at % 1e9) / 1e9).toFixed(step === 0.25e9 ? 2 : 1).slice(1) : clock(at / 1e6);
    const length = context.measureText(text).width;
    if (x + 4 + length > width) continue;
    context.fillStyle = colour('--text-3');
    context.fillText(text, x + 4, top + 12);
  }
}

/** Per bar of the lane the largest of its bins. */
function bars(bins: ArrayLike<number>, binNanos: number, range: Range, count: number, join: (sum: number, value: number) => number): number[] {
  const perBar = (range.to - range.from) / count;
  return Array.from({ length: count }, (_, bar) => {
    const first = Math.max(0, Math.floor((range.from + bar * perBar) / binNanos));
    const last = Math.max(first + 1, Math.floor((range.from + (bar + 1) * perBar) / binNanos));
    let value = 0;
    for (let bin = first; bin < last && bin < bins.length; bin++) value = join(value, bins[bin]);
    return value / (join(1, 1) === 2 ? last - first : 1);
  });
}

function activity({ context, top, height, width, range, colour }: Area, lanes: Lanes): void {
  const count = Math.max(1, Math.floor(width / (BAR_PX + 1)));
  const middle = top + height / 2;
  const add = (sum: number, value: number) => sum + value;
  const perSecond = 1e9 / lanes.binNanos;
  // Ten keys or sixty moves in a second fill half the lane.
  for (const [bins, token, full, way] of [[lanes.keys, '--track-keys', 10, -1], [lanes.pointer, '--track-pointer', 60, 1]] as const) {
    context.fillStyle = colour(token);
    for (const [bar, value] of bars(bins, lanes.binNanos, range, count, add).entries()) {
      if (value === 0) continue;
      const length = Math.max(1.5, Math.min(1, Math.sqrt((value * perSecond) / full)) * (height / 2 - 3));
      context.fillRect((bar * width) / count, way < 0 ? middle - length : middle + 1, BAR_PX, length);
    }
  }
}

function windows({ context, top, height, range, xOf, colour }: Area, lanes: Lanes): void {
  const kinds = [...new Set(lanes.windows.map((each) => each.class))].filter(Boolean);
  for (const span of lanes.windows) {
    if (span.to < range.from || span.from > range.to || !span.class) continue;
    const [left, right] = [Math.max(0, xOf(span.from)), Math.min(xOf(range.to), xOf(span.to))];
    context.fillStyle = colour(`--track-window-${(kinds.indexOf(span.class) % 4) + 1}`);
    context.fillRect(left, top + 3, Math.max(1, right - left - 1), height - 6);
    const text = fitted(context, span.title || span.class, right - left - 12);
    context.fillStyle = colour('--track-window-text');
    if (text) context.fillText(text, left + 6, top + height / 2 + 0.5);
  }
}

function voice({ context, top, height, width, range, colour }: Area, lanes: Lanes): void {
  const middle = top + height / 2;
  const count = Math.max(1, Math.floor(width / 2));
  const values = bars(lanes.voice, lanes.binNanos, range, count, Math.max);
  context.fillStyle = colour('--track-voice');
  context.beginPath();
  const half = (value: number) => 0.6 + Math.sqrt(value / 255) * (height / 2 - 4);
  for (const [bar, value] of values.entries()) context.lineTo(((bar + 0.5) * width) / count, middle - half(value));
  for (let bar = count - 1; bar >= 0; bar--) context.lineTo(((bar + 0.5) * width) / count, middle + half(values[bar]));
  context.fill();
}

function markers({ context, top, height, width, xOf, colour }: Area, { markers: list }: Lanes): void {
  for (const [at, { nanos, label }] of list.entries()) {
    const x = Math.round(xOf(nanos)) + 0.5;
    if (x < -1 || x > width) continue;
    context.strokeStyle = context.fillStyle = colour('--track-marker');
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, top + 5);
    context.lineTo(x, top + height - 5);
    context.stroke();
    context.beginPath();
    for (const [px, py] of [[0, 5], [9, 5], [6.5, 8.5], [9, 12], [0, 12]]) context.lineTo(x + px, top + py);
    context.fill();
    const next = list[at + 1] ? xOf(list[at + 1].nanos) : width;
    const text = fitted(context, label, next - x - 18);
    context.fillStyle = colour('--text');
    if (text) context.fillText(text, x + 13, top + height / 2 + 0.5);
  }
}

export const gapWord = ({ reason }: Gap): string =>
  ({ pause: 'Paused', no_source: 'No source', source_lost: 'Lost', source_ended: 'Ended', suspend: 'Asleep', damaged: 'Damaged' })[reason] ?? reason;

function gaps({ context, top, height, range, xOf, colour }: Area, list: Gap[], idle: Stretch[]): void {
  const middle = Math.round(top + height / 2);
  // Texts keep clear of what comes after them.
  const starts = [...list.map(({ from }) => from), ...idle.map(({ from }) => from)].sort((a, b) => a - b);
  const room = (from: number, x: number) => xOf(starts.find((start) => start > from) ?? range.to) - x - 8;
  for (const { from, to } of idle) {
    if (to < range.from || from > range.to) continue;
    const [left, right] = [xOf(from), xOf(to)];
    context.strokeStyle = colour('--gap');
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(left, middle);
    context.lineTo(right, middle);
    context.stroke();
    context.setLineDash([]);
    const text = `idle ${shortClock((to - from) / 1e6)}`;
    context.fillStyle = colour('--text-3');
    if (context.measureText(text).width < room(from, right + 5)) context.fillText(text, right + 5, middle + 0.5);
  }
  for (const gap of list) {
    if (gap.to < range.from || gap.from > range.to) continue;
    const [left, right] = [xOf(gap.from), xOf(gap.to)];
    context.fillStyle = colour('--gap');
    context.fillRect(left, top + 4, Math.max(3, right - left), height - 8);
    const text = `${gapWord(gap)} ${shortClock((gap.to - gap.from) / 1e6)}`;
    context.fillStyle = colour('--text-2');
    if (context.measureText(text).width < room(gap.from, right + 5)) context.fillText(text, right + 5, middle + 0.5);
  }
}

/** Nothing of the screen in a gap: hatched through all lanes. */
function hatch(context: CanvasRenderingContext2D, list: Gap[], xOf: (nanos: number) => number, height: number, colour: string): void {
  const all = list.filter(({ tracks, reason }) => reason === 'pause' || tracks.some((track) => track.startsWith('screen/')));
  context.strokeStyle = colour;
  context.globalAlpha = 0.5;
  context.lineWidth = 1;
  for (const { from, to } of all) {
    const [left, right] = [xOf(from), Math.max(xOf(to), xOf(from) + 2)];
    context.save();
    context.beginPath();
    context.rect(left, 24, right - left, height - 44);
    context.clip();
    context.beginPath();
    for (let x = left - height; x < right; x += 6) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.restore();
  }
  context.globalAlpha = 1;
}

/** As much of a text as there is room for, with "…" if something is cut; empty if it would say nothing. */
function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (room < 20 || !text) return '';
  if (context.measureText(text).width <= room) return text;
  let length = Math.min(text.length, Math.ceil(room / 4));
  while (length > 0 && context.measureText(`${text.slice(0, length)}…`).width > room) length--;
  return length > 1 ? `${text.slice(0, length).trimEnd()}…` : '';
}
