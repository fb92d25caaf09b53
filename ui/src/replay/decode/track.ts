// Tracks and their channel ids, as fixed by the format.

export const SINGLE_TRACKS = [
  'pointer',
  'keys',
  'windows',
  'narration',
  'markers',
  'geometry',
  'clock',
  'health',
] as const;

export type SingleTrack = (typeof SINGLE_TRACKS)[number];
export type JsonTrack = Exclude<SingleTrack, 'narration'>;

const MAX_DISPLAYS = 32;
const FIRST_SCREEN_CHANNEL = 100;

export type Channel = { track: SingleTrack } | { track: 'screen'; display: number; isKey: boolean };

/** The channel of that id, if the format has one. */
export function channelOf(id: number): Channel | undefined {
  const at = id - FIRST_SCREEN_CHANNEL;
  if (at >= 0 && at < 2 * MAX_DISPLAYS) return { track: 'screen', display: at >> 1, isKey: at % 2 === 1 };
  const track = SINGLE_TRACKS[id - 1];
  return track && { track };
}

export const trackId = (track: SingleTrack): number => 1 + SINGLE_TRACKS.indexOf(track);
export const deltaId = (display: number): number => FIRST_SCREEN_CHANNEL + 2 * display;
export const keyId = (display: number): number => deltaId(display) + 1;
