// Tracks and their channel ids, as fixed by the format.

const IDS = {
  pointer: 1,
  keys: 2,
  windows: 3,
  narration: 4,
  markers: 5,
  geometry: 6,
  clock: 7,
  health: 8,
  // 9 is the schema of pictures.
  cursor: 10,
  clipboard: 11,
  sound: 12,
  elements: 13,
} as const;

export type SingleTrack = keyof typeof IDS;
export const SINGLE_TRACKS = Object.keys(IDS) as SingleTrack[];
export type AudioTrack = 'narration' | 'sound';
export type JsonTrack = Exclude<SingleTrack, AudioTrack>;

const MAX_DISPLAYS = 32;
const FIRST_SCREEN_CHANNEL = 100;

export type Channel = { track: SingleTrack } | { track: 'screen'; display: number; isKey: boolean };

/** The channel of that id, if the format has one. */
export function channelOf(id: number): Channel | undefined {
  const at = id - FIRST_SCREEN_CHANNEL;
  if (at >= 0 && at < 2 * MAX_DISPLAYS) return { track: 'screen', display: at >> 1, isKey: at % 2 === 1 };
  const track = SINGLE_TRACKS.find((each) => IDS[each] === id);
  return track && { track };
}

export const trackId = (track: SingleTrack): number => IDS[track];
export const deltaId = (display: number): number => FIRST_SCREEN_CHANNEL + 2 * display;
export const keyId = (display: number): number => deltaId(display) + 1;
