// What is heard in a stretch of time as it is to be played, voice and system: joined into runs, and made shorter or longer with its pitch kept.
import type { Bundle } from './bundle';
import type { NarrationBlock } from './narration';
import { stretch } from './stretch';

/** Samples without a hole. */
export interface VoiceRun {
  /** Session time of the first sample. */
  nanos: number;
  rateHz: number;
  samples: Float32Array<ArrayBuffer>;
}

/** No block lasts longer; one that began before the stretch of time may reach into it. */
const MAX_BLOCK_NANOS = 1_500_000_000;

export async function voice(bundle: Bundle, from: number, to: number, speed: number, signal?: AbortSignal): Promise<VoiceRun[]> {
  const found: VoiceRun[] = [];
  // Runs of both tracks are played at their times: what is heard is their sum.
  for (const track of ['narration', 'sound'] as const) {
    const blocks = await bundle.audio(track, Math.max(0, from - MAX_BLOCK_NANOS), to, signal);
    found.push(...runs(blocks, from, to).map((run) => ({ ...run, samples: stretch(run.samples, speed, run.rateHz) })));
  }
  return found;
}

/** Blocks that follow one another by their positions, cut to the stretch of time. */
export function runs(blocks: NarrationBlock[], from: number, to: number): VoiceRun[] {
  const found: VoiceRun[] = [];
  let pieces: Int16Array[] = [];
  let first: NarrationBlock | undefined;
  let next = 0;
  const close = () => {
    if (!first) return;
    const { rateHz, nanos } = first;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const at = (time: number) => Math.min(length, Math.max(0, Math.round(((time - nanos) / 1e9) * rateHz)));
    const [start, end] = [at(from), at(to)];
    if (end > start) {
      const samples = new Float32Array(end - start);
      let position = 0;
      for (const piece of pieces) {
        for (let n = Math.max(0, start - position); n < piece.length && position + n < end; n++) {
          samples[position + n - start] = piece[n] / 32_768;
        }
        position += piece.length;
      }
      found.push({ nanos: nanos + (start / rateHz) * 1e9, rateHz, samples });
    }
    first = undefined;
    pieces = [];
  };
  for (const block of blocks) {
    if (first && (block.position !== next || block.rateHz !== first.rateHz)) close();
    first ??= block;
    pieces.push(block.samples);
    next = block.position + block.samples.length;
  }
  close();
  return found;
}
