// Measures the decoder on a bundle: `npm run bench -- FILE`. Prints figures for docs/performance.md; asserts nothing.
//
// `cargo run -p praxis-bundle --example long_bundle -- FILE` makes one of ten minutes.
import { open, stat } from 'node:fs/promises';

import { Bundle } from '../src/replay/decode/bundle';
import { crc32 } from '../src/replay/decode/crc32';
import { PictureDecoder } from '../src/replay/decode/picture';
import { openChunk, parseChunk } from '../src/replay/decode/record';
import { scan } from '../src/replay/decode/scan';
import type { ByteSource } from '../src/replay/decode/source';
import { channelOf } from '../src/replay/decode/track';
import { decompress } from '../src/replay/decode/zstd';

async function fileSource(path: string): Promise<ByteSource> {
  const [file, { size }] = [await open(path), await stat(path)];
  return {
    size: async () => size,
    read: async (offset, length) => {
      const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
      if (bytesRead !== length) throw new Error(`${length} bytes wanted, ${bytesRead} read`);
      return buffer;
    },
  };
}

/** Least, median, 95th percentile and largest, in milliseconds. */
function summary(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1);
  return `least ${at(0)}, median ${at(0.5)}, 95th percentile ${at(0.95)}, largest ${at(1)} ms of ${sorted.length}`;
}

function timed<T>(work: () => T, into: number[]): T {
  const start = performance.now();
  const result = work();
  into.push(performance.now() - start);
  return result;
}

const path = process.argv[2];
if (!path) throw new Error('usage: npm run bench -- FILE');
const source = await fileSource(path);

/** Runs it and adds the processor time it took, in milliseconds: other programs do not count. */
function charged<T>(work: () => T, into: number[]): T {
  const start = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(start);
  into.push((user + system) / 1000);
  return result;
}

const chunks = { bytes: 0, zstd: [] as number[], crc: [] as number[] };
const [keyframes, deltas]: number[][] = [[], []];
const decoders = new Map<number, PictureDecoder>();
for await (const item of scan(source)) {
  if (item.kind !== 'chunk') continue;
  const chunk = parseChunk((await source.read(item.offset, item.bytes)).subarray(9));
  const bytes = charged(() => decompress(chunk.records, chunk.uncompressedBytes), chunks.zstd);
  charged(() => crc32(bytes), chunks.crc);
  chunks.bytes += openChunk(chunk).length;
  for (const { channel, sequence, data } of item.messages) {
    const known = channelOf(channel);
    if (known?.track !== 'screen') continue;
    const decoder = decoders.get(known.display) ?? new PictureDecoder(known.display);
    decoders.set(known.display, decoder);
    timed(() => decoder.apply(sequence, data), known.isKey ? keyframes : deltas);
  }
}
const rate = (times: number[]) => (chunks.bytes / 1e3 / times.reduce((sum, time) => sum + time, 0)).toFixed(0);
const megabytes = (chunks.bytes / 1e6).toFixed(1);
console.log(`${megabytes} MB in ${chunks.zstd.length} chunks, unpacked`);
console.log(`processor time: zstd ${rate(chunks.zstd)} MB/s, CRC-32 ${rate(chunks.crc)} MB/s`);
console.log(`keyframe: ${summary(keyframes)}`);
console.log(`delta: ${summary(deltas)}`);

const opening: number[] = [];
const start = performance.now();
const bundle = await Bundle.open(source);
opening.push(performance.now() - start);
console.log(`open: ${summary(opening)}`);
const seeks: number[] = [];
let seed = 1;
for (let n = 0; n < 200; n++) {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  const nanos = Math.floor((seed / 2 ** 32) * bundle.info.durationNanos);
  const start = performance.now();
  await bundle.pictureAt(bundle.displays[0], nanos);
  seeks.push(performance.now() - start);
}
console.log(`seek, 200 random times: ${summary(seeks)}`);
