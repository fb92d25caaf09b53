// Narration blocks: a run of mono samples, as PCM or FLAC.
import { tooLarge } from './errors';
import { Fields } from './fields';
import { decodeFlac } from './flac';

const MAX_SAMPLES = 1 << 20;
const MIN_RATE_HZ = 8_000;
const MAX_RATE_HZ = 192_000;

export interface NarrationBlock {
  /** Session time of its first sample. */
  nanos: number;
  rateHz: number;
  /** Index of the first sample, counted from the source's first. */
  position: number;
  samples: Int16Array<ArrayBuffer>;
}

export function decodeNarration(nanos: number, message: Uint8Array): NarrationBlock {
  const fields = new Fields('narration', message);
  const version = fields.u8();
  const coding = fields.u8();
  const reserved = fields.u16();
  const rateHz = fields.u32();
  const position = fields.size();
  const count = fields.u32();
  if (version !== 1 || reserved !== 0 || rateHz < MIN_RATE_HZ || rateHz > MAX_RATE_HZ) {
    throw fields.malformed(`version ${version}, ${rateHz} Hz`);
  }
  if (count > MAX_SAMPLES) throw tooLarge('samples of a narration block', count, MAX_SAMPLES);
  const data = fields.rest();
  if (coding === 1) return { nanos, rateHz, position, samples: decodeFlac(data, rateHz, count) };
  if (coding !== 0) throw fields.malformed(`unknown coding ${coding}`);
  if (data.length !== count * 2) throw fields.malformed(`${data.length} bytes for ${count} samples`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const samples = Int16Array.from({ length: count }, (_, n) => view.getInt16(n * 2, true));
  return { nanos, rateHz, position, samples };
}
