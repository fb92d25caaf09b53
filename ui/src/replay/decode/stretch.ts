// Makes speech faster or slower with its pitch kept: overlapping pieces, each taken where it fits the one before best (WSOLA).

const PIECE_MILLIS = 30;
const SEARCH_MILLIS = 8;
/** Every so many samples are compared, at first; then all around the best. */
const COARSE = 8;

export function stretch(samples: Float32Array<ArrayBuffer>, speed: number, rateHz: number): Float32Array<ArrayBuffer> {
  if (speed === 1) return samples;
  const half = Math.round((PIECE_MILLIS / 2000) * rateHz);
  const piece = 2 * half;
  const reach = Math.round((SEARCH_MILLIS / 1000) * rateHz);
  const length = Math.round(samples.length / speed);
  const result = new Float32Array(length);
  // Halves of a raised cosine: two overlapping ones add up to one.
  const window = Float32Array.from({ length: piece }, (_, n) => 0.5 - 0.5 * Math.cos((Math.PI * (n + 0.5)) / half));
  let wanted = 0;
  for (let out = 0; out < length; out += half) {
    const ideal = Math.round(out * speed);
    const from = out === 0 ? 0 : best(samples, wanted, ideal, half, reach);
    for (let n = 0; n < piece && out + n < length; n++) {
      // Nothing is before the first piece: its rise would be a hole.
      const weight = out === 0 && n < half ? 1 : window[n];
      result[out + n] += weight * (samples[from + n] ?? 0);
    }
    wanted = from + half;
  }
  return result;
}

/** Where, near the ideal place, the samples are most like those that would have followed. */
function best(samples: Float32Array, wanted: number, ideal: number, length: number, reach: number): number {
  const first = Math.max(0, ideal - reach);
  const last = Math.max(first, Math.min(samples.length - 2 * length, ideal + reach));
  const search = (start: number, end: number, step: number) => {
    let [found, highest] = [Math.min(Math.max(ideal, first), last), -Infinity];
    for (let at = start; at <= end; at += step) {
      const value = likeness(samples, wanted, at, length, step);
      if (value > highest) [found, highest] = [at, value];
    }
    return found;
  };
  const coarse = search(first, last, COARSE);
  return search(Math.max(first, coarse - COARSE), Math.min(last, coarse + COARSE), 1);
}

/** Correlation, by the loudness of the candidate. */
function likeness(samples: Float32Array, one: number, other: number, length: number, step: number): number {
  let [product, energy] = [0, 1e-6];
  for (let n = 0; n < length; n += step) {
    const a = samples[one + n] ?? 0;
    const b = samples[other + n] ?? 0;
    product += a * b;
    energy += b * b;
  }
  return product / Math.sqrt(energy);
}
