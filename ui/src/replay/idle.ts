// Stretches in which nothing was done or said, and what of them is jumped over.

export interface Stretch {
  from: number;
  to: number;
}

/** What stays before and after a jump, so that one sees where it left and where it landed. */
const MARGIN_NANOS = 1_000_000_000;

/** Stretches without activity of at least so long, up to `knownNanos`, margins left out; in order. */
export function idleStretches(
  isActive: (bin: number) => boolean,
  binNanos: number,
  knownNanos: number,
  leastNanos: number,
): Stretch[] {
  const found: Stretch[] = [];
  let from = 0;
  const close = (to: number) => {
    const stretch = { from: from + MARGIN_NANOS, to: to - MARGIN_NANOS };
    if (to - from >= leastNanos && stretch.to > stretch.from) found.push(stretch);
  };
  const numBins = Math.floor(knownNanos / binNanos);
  for (let bin = 0; bin < numBins; bin++) {
    if (!isActive(bin)) continue;
    close(bin * binNanos);
    from = (bin + 1) * binNanos;
  }
  close(knownNanos);
  return found;
}

/** The stretch that a time is in. */
export function stretchAt(stretches: readonly Stretch[], nanos: number): Stretch | undefined {
  let [low, high] = [0, stretches.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (stretches[middle].to <= nanos) low = middle + 1;
    else high = middle;
  }
  const found = stretches[low];
  return found && found.from <= nanos ? found : undefined;
}
