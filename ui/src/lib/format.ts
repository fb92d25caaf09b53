// How times, lengths, dates, sizes and counts are written.

const THIN_SPACE = '\u2009';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const two = (value: number) => String(value).padStart(2, '0');

/** `0:41:52` */
export function clock(millis: number): string {
  const seconds = Math.floor(millis / 1000);
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** `2:10`, or `1:02:10` from an hour on. */
export function shortClock(millis: number): string {
  return clock(millis).replace(/^0:0?/, '');
}

/** `Today 10:01`, `Yesterday 16:20`, `20 Nov 14:55`, `20 Nov 2025`. */
export function date(millis: number, now = new Date()): string {
  const at = new Date(millis);
  const day = (value: Date) => new Date(value.getFullYear(), value.getMonth(), value.getDate()).getTime();
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const daysAgo = Math.round((day(now) - day(at)) / 86_400_000);
  if (daysAgo === 0) return `Today ${time}`;
  if (daysAgo === 1) return `Yesterday ${time}`;
  const dayAndMonth = `${at.getDate()} ${MONTHS[at.getMonth()]}`;
  return at.getFullYear() === now.getFullYear() ? `${dayAndMonth} ${time}` : `${dayAndMonth} ${at.getFullYear()}`;
}

/** `46 512`, with thin spaces. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

/** `1 display`, `2 displays` */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

function sizeIn(bytes: number, likeBytes: number): [string, string] {
  const units: [number, string][] = [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']];
  const [factor, unit] = units.find(([limit]) => likeBytes >= limit) ?? [1, 'B'];
  const value = bytes / factor;
  const hasDecimal = factor >= 1e6 && likeBytes / factor < 10;
  return [hasDecimal ? value.toFixed(1) : count(value), unit];
}

/** `93 MB`, `1.2 GB` */
export function size(bytes: number): string {
  return sizeIn(bytes, bytes).join(' ');
}

/** `53 of 84 MB` */
export function sizeOf(part: number, whole: number): string {
  const [value, unit] = sizeIn(whole, whole);
  return `${sizeIn(part, whole)[0]} of ${value} ${unit}`;
}

/** `38 hours`, `1 h 20 min`, `38 minutes` */
export function room(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 10) return `${count(hours)} hours`;
  return hours >= 1 ? `${hours} h ${minutes % 60} min` : counted(minutes, 'minute');
}

/** `15 s left`, `4 min left`, `2 h left` */
export function timeLeft(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min left` : `${Math.round(seconds / 3600)} h left`;
}

/** What a track is called: `Screen 1`, `Pointer`, `Keys`, `Window titles`, `Voice`. */
export function trackName(track: string): string {
  const screen = /^screen\/(\d+)$/.exec(track);
  if (screen) return `Screen ${Number(screen[1]) + 1}`;
  return { pointer: 'Pointer', keys: 'Keys', windows: 'Window titles', narration: 'Voice' }[track] ?? track;
}

/** `Screen 1, pointer and keys` */
export function trackNames(tracks: string[]): string {
  const names = listed(tracks.map((track) => trackName(track).toLowerCase()));
  return names.slice(0, 1).toUpperCase() + names.slice(1);
}

/** `a, b and c` */
export function listed(words: string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** A reason as a sentence of its own: with a capital, without a stop. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '');
}

/** `0:41:52.300`, of nanoseconds. */
export function exactClock(nanos: number): string {
  const millis = Math.floor(nanos / 1e6);
  return `${clock(millis)}.${String(millis % 1000).padStart(3, '0')}`;
}

/** `0:41:52.3`, of nanoseconds. */
export const rowClock = (nanos: number): string => exactClock(nanos).slice(0, -2);
