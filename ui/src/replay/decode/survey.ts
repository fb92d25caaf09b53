// Goes through a whole bundle once and reduces it to what a timeline draws: counts and peaks per bin of time, and short lists.
//
// Bins are a quarter of a second, wider for sessions of more than four hours: what is kept does not grow with the session.
import type { Bundle, Damage } from './bundle';
import { parseJson } from './json';
import { decodeNarration } from './narration';
import { reasonOf } from './scan';
import { trackId } from './track';
import type { GeometryMessage, HealthMessage, KeyMessage, MarkersMessage, PointerMessage, WindowsMessage } from './types';

const BIN_NANOS = 250_000_000;
const MAX_BINS = 1 << 16;
/** Parts are handed over when so much time of the machine has passed. */
const PART_MILLIS = 250;
const TRACKS = ['pointer', 'keys', 'windows', 'narration', 'markers', 'geometry', 'health'] as const;

export interface Listed<T> {
  nanos: number;
  message: T;
}

/** Of one stretch of the file; what it counts adds to what came before. */
export interface SurveyPart {
  doneNanos: number;
  isDone: boolean;
  /** Bins that this part says something of, from `firstBin` on. */
  firstBin: number;
  keys: Uint16Array<ArrayBuffer>;
  pointer: Uint16Array<ArrayBuffer>;
  /** Loudest sample, 0 to 255 for full scale. */
  voice: Uint8Array<ArrayBuffer>;
  windows: Listed<WindowsMessage>[];
  markers: Listed<MarkersMessage>[];
  geometry: Listed<GeometryMessage>[];
  /** Messages of health in which the drops of a track went up, a track was without life, or damage was missed. */
  health: Listed<HealthMessage>[];
  /** The newest message of health: its counts are those of the whole. */
  lastHealth: Listed<HealthMessage> | undefined;
  /** All that is known up to here. */
  damages: Damage[];
}

export const binNanosOf = (durationNanos: number): number => Math.max(BIN_NANOS, Math.ceil(durationNanos / MAX_BINS));
export const numBinsOf = (durationNanos: number): number => Math.floor(durationNanos / binNanosOf(durationNanos)) + 1;

export async function survey(bundle: Bundle, give: (part: SurveyPart) => void, signal?: AbortSignal): Promise<SurveyPart> {
  const binNanos = binNanosOf(bundle.info.durationNanos);
  const numBins = numBinsOf(bundle.info.durationNanos);
  const nameOf = new Map(TRACKS.map((track) => [trackId(track), track]));
  let gathered = new Gathered(numBins);
  let since = performance.now();
  let worst = '';
  let window = '';
  for await (const { doneNanos, messages } of bundle.walk([...nameOf.keys()], signal)) {
    for (const { channel, nanos, data } of messages) {
      const track = nameOf.get(channel);
      const bin = Math.min(numBins - 1, Math.floor(nanos / binNanos));
      try {
        if (track === 'narration') {
          gathered.hear(decodeNarration(nanos, data), binNanos);
        } else if (track === 'keys') {
          if (parseJson<KeyMessage>(track, data).kind === 'press') gathered.count(gathered.keys, bin);
        } else if (track === 'pointer') {
          parseJson<PointerMessage>(track, data);
          gathered.count(gathered.pointer, bin);
        } else if (track === 'health') {
          const message = parseJson<HealthMessage>(track, data);
          gathered.lastHealth = { nanos, message };
          const state = troubleOf(message);
          if (state !== worst) gathered.health.push({ nanos, message });
          worst = state;
        } else if (track === 'windows') {
          // Which others are shown changes often, and nobody looks at it here.
          const { active } = parseJson<WindowsMessage>(track, data);
          const named = JSON.stringify([active?.title, active?.class]);
          if (named !== window) gathered.windows.push({ nanos, message: { active } });
          window = named;
        } else if (track) {
          gathered[track].push({ nanos, message: parseJson(track, data) });
        }
      } catch (error) {
        // One message that cannot be read is passed over; the health pane says what the file lacks.
        reasonOf(error);
      }
    }
    if (performance.now() - since < PART_MILLIS) continue;
    give(gathered.part(doneNanos, bundle.info.damages, false));
    gathered = new Gathered(numBins);
    since = performance.now();
  }
  return gathered.part(bundle.info.durationNanos, bundle.info.damages, true);
}

const troubleOf = ({ tracks, missed_damage }: HealthMessage) =>
  JSON.stringify([missed_damage, tracks.map(({ track, drops, life }) => [track, drops, life === 'lost'])]);

class Gathered {
  readonly keys: Uint16Array;
  readonly pointer: Uint16Array;
  readonly voice: Uint8Array;
  readonly windows: SurveyPart['windows'] = [];
  readonly markers: SurveyPart['markers'] = [];
  readonly geometry: SurveyPart['geometry'] = [];
  readonly health: SurveyPart['health'] = [];
  lastHealth: SurveyPart['lastHealth'];
  private first = Infinity;
  private last = -1;

  constructor(private readonly numBins: number) {
    this.keys = new Uint16Array(numBins);
    this.pointer = new Uint16Array(numBins);
    this.voice = new Uint8Array(numBins);
  }

  count(into: Uint16Array, bin: number): void {
    this.touch(bin);
    if (into[bin] < 65_535) into[bin]++;
  }

  hear({ nanos, rateHz, samples }: { nanos: number; rateHz: number; samples: Int16Array }, binNanos: number): void {
    for (let n = 0; n < samples.length; ) {
      const bin = Math.min(this.numBins - 1, Math.floor((nanos + (n / rateHz) * 1e9) / binNanos));
      const end = Math.min(samples.length, Math.max(n + 1, Math.ceil((((bin + 1) * binNanos - nanos) / 1e9) * rateHz)));
      const stop = bin === this.numBins - 1 ? samples.length : end;
      let peak = 0;
      for (; n < stop; n++) peak = Math.max(peak, Math.abs(samples[n]));
      this.touch(bin);
      this.voice[bin] = Math.max(this.voice[bin], Math.min(255, Math.round(peak / 128)));
    }
  }

  part(doneNanos: number, damages: Damage[], isDone: boolean): SurveyPart {
    const { windows, markers, geometry, health, lastHealth } = this;
    const [firstBin, end] = this.last < 0 ? [0, 0] : [this.first, this.last + 1];
    const bins = {
      keys: this.keys.slice(firstBin, end),
      pointer: this.pointer.slice(firstBin, end),
      voice: this.voice.slice(firstBin, end),
    };
    return { doneNanos, isDone, firstBin, ...bins, windows, markers, geometry, health, lastHealth, damages };
  }

  private touch(bin: number): void {
    this.first = Math.min(this.first, bin);
    this.last = Math.max(this.last, bin);
  }
}
