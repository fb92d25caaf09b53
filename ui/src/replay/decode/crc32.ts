// CRC-32 as MCAP has it, sixteen bytes a step: each word has four tables of its own.

const STEP_BYTES = 16;
const tables = Array.from({ length: STEP_BYTES }, () => new Int32Array(256));
for (let n = 0; n < 256; n++) {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  tables[0][n] = value;
}
for (let step = 1; step < STEP_BYTES; step++) {
  for (let n = 0; n < 256; n++) {
    const before = tables[step - 1][n];
    tables[step][n] = (before >>> 8) ^ tables[0][before & 255];
  }
}

/** The checksum of some bytes; that of bytes before them may be given to go on with. */
export function crc32(bytes: Uint8Array, before = 0): number {
  // Words must lie where the machine reads them, and every machine this runs on is little-endian.
  const first = Math.min(-bytes.byteOffset & 3, bytes.length);
  const numSteps = Math.floor((bytes.length - first) / STEP_BYTES);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + first, numSteps * (STEP_BYTES / 4));
  const crc = overWords(overBytes(~before, bytes, 0, first), words);
  return ~overBytes(crc, bytes, first + numSteps * STEP_BYTES, bytes.length) >>> 0;
}

function overBytes(crc: number, bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) crc = (crc >>> 8) ^ tables[0][(crc ^ bytes[at]) & 255];
  return crc;
}

function overWords(crc: number, words: Int32Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = tables;
  for (let at = 0; at < words.length; at += 4) {
    const a = crc ^ words[at];
    const b = words[at + 1];
    const c = words[at + 2];
    const d = words[at + 3];
    crc =
      t15[a & 255] ^ t14[(a >>> 8) & 255] ^ t13[(a >>> 16) & 255] ^ t12[a >>> 24] ^
      t11[b & 255] ^ t10[(b >>> 8) & 255] ^ t9[(b >>> 16) & 255] ^ t8[b >>> 24] ^
      t7[c & 255] ^ t6[(c >>> 8) & 255] ^ t5[(c >>> 16) & 255] ^ t4[c >>> 24] ^
      t3[d & 255] ^ t2[(d >>> 8) & 255] ^ t1[(d >>> 16) & 255] ^ t0[d >>> 24];
  }
  return crc;
}
