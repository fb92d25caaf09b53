// Decompression of zstd, in JavaScript: the content security policy of the page allows no WebAssembly.
import { decompress as inflate } from 'fzstd';

import { malformed } from './errors';

/** So many bytes, checked by the caller: the memory is bounded by them. Anything else in the frame is an error. */
export function decompress(bytes: Uint8Array, uncompressedBytes: number): Uint8Array {
  const stated = contentSize(bytes);
  if (stated !== undefined && stated !== uncompressedBytes) {
    throw malformed('chunk', 0, `zstd: a frame of ${stated} bytes, ${uncompressedBytes} stated by the chunk`);
  }
  try {
    return inflate(bytes, new Uint8Array(uncompressedBytes));
  } catch (error) {
    throw malformed('chunk', 0, `zstd: ${error instanceof Error ? error.message : error}`);
  }
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
