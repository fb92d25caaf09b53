// CRC-32 as MCAP has it, by a library in WebAssembly: it goes through four times the bytes that a table in JavaScript does.
import { createCRC32 } from 'hash-wasm';
import type { IHasher } from 'hash-wasm';

let hasher: IHasher | undefined;

/** Must have come true before anything is checked. */
export const crc32Ready = async (): Promise<void> => {
  hasher ??= await createCRC32();
};

/** The checksum of some bytes, one part after the other. */
export function crc32(...parts: Uint8Array[]): number {
  if (!hasher) throw new Error('the CRC-32 is not ready');
  hasher.init();
  for (const part of parts) hasher.update(part);
  const bytes = hasher.digest('binary');
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}
