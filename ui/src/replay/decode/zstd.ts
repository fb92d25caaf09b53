// Decompression of zstd, by a decoder in WebAssembly: the content security policy must allow 'wasm-unsafe-eval' and,
// for the decoder's own bytes, `connect-src data:`.
import { ZSTDDecoder } from 'zstddec';

import { malformed } from './errors';

const decoder = new ZSTDDecoder();

/** Must have come true before anything is decompressed. */
export const zstdReady = (): Promise<void> => decoder.init();

/** So many bytes, checked by the caller: the memory is bounded by them. Anything else in the frame is an error. */
export function decompress(bytes: Uint8Array, uncompressedBytes: number): Uint8Array {
  const stated = contentSize(bytes);
  if (stated !== undefined && stated !== uncompressedBytes) {
    throw malformed('chunk', 0, `zstd: a frame of ${stated} bytes, ${uncompressedBytes} stated by the chunk`);
  }
  if (uncompressedBytes === 0) return new Uint8Array(0);
  let found: Uint8Array;
  try {
    found = decoder.decode(bytes, uncompressedBytes);
  } catch (error) {
    throw malformed('chunk', 0, `zstd: ${error instanceof Error ? error.message : error}`);
  }
  // An error is told by a length that cannot be.
  if (found.length !== uncompressedBytes) throw malformed('chunk', 0, 'zstd: the frame cannot be decompressed');
  return found;
}

/** What a frame's header says of its content; undefined if it says nothing. */
function contentSize(frame: Uint8Array): number | undefined {
  const flags = frame[4] ?? 0;
  const isSingle = (flags & 0x20) !== 0;
  const width = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6];
  const start = (isSingle ? 5 : 6) + [0, 1, 2, 4][flags & 3];
  if (width === 0 || start + width > frame.length) return undefined;
  let size = width === 2 ? 256 : 0;
  for (let n = 0; n < width; n++) size += frame[start + n] * 2 ** (8 * n);
  return size;
}
