// FLAC as narration blocks have it: one complete stream, mono, 16 bit. Every checksum in it is checked.
import { badNarration } from './errors';

/** Reads bits, most significant first. */
class Bits {
  /** Position in bits. */
  private at: number;

  constructor(
    private readonly bytes: Uint8Array,
    byte: number,
  ) {
    this.at = byte * 8;
  }

  get byte(): number {
    return this.at >> 3;
  }

  /** An unsigned number of at most 32 bits. */
  take(count: number): number {
    if (this.at + count > this.bytes.length * 8) throw badNarration('the FLAC stream is cut off');
    let value = 0;
    for (let left = count; left > 0; ) {
      const inByte = 8 - (this.at & 7);
      const taken = Math.min(inByte, left);
      const part = (this.bytes[this.at >> 3] >> (inByte - taken)) & ((1 << taken) - 1);
      value = value * 2 ** taken + part;
      this.at += taken;
      left -= taken;
    }
    return value;
  }

  signed(count: number): number {
    const value = this.take(count);
    return count > 0 && value >= 2 ** (count - 1) ? value - 2 ** count : value;
  }

  /** How many zeros come before the next one. */
  unary(): number {
    for (let zeros = 0; ; ) {
      const byte = this.bytes[this.at >> 3];
      if (byte === undefined) throw badNarration('the FLAC stream is cut off');
      const rest = (byte << (this.at & 7)) & 255;
      const here = 8 - (this.at & 7);
      if (rest === 0) {
        zeros += here;
        this.at += here;
      } else {
        const before = Math.clz32(rest) - 24;
        this.at += before + 1;
        return zeros + before;
      }
    }
  }

  align(): void {
    this.at = (this.at + 7) & ~7;
  }
}

/** The samples; there must be so many, at that rate. */
export function decodeFlac(bytes: Uint8Array, rateHz: number, count: number): Int16Array<ArrayBuffer> {
  const bits = new Bits(bytes, 0);
  if (bits.take(32) !== 0x664c6143) throw badNarration('it is no FLAC stream');
  let at = 4;
  for (let isLast = false; !isLast; ) {
    const header = new Bits(bytes, at);
    isLast = header.take(1) === 1;
    const isInfo = header.take(7) === 0;
    const length = header.take(24);
    if (isInfo !== (at === 4)) throw badNarration('the FLAC stream does not begin with its description');
    if (isInfo) {
      const info = new Bits(bytes, at + 4 + 10);
      if (info.take(20) !== rateHz || info.take(3) !== 0 || info.take(5) !== 15) {
        throw badNarration("the FLAC stream is not mono, 16 bit, at the block's rate");
      }
    }
    at += 4 + length;
  }
  const samples = new Int16Array(count);
  let done = 0;
  while (at < bytes.length) {
    const frame = decodeFrame(bytes, at);
    if (done + frame.samples.length > count) throw badNarration(`more than the ${count} samples that are stated`);
    for (const sample of frame.samples) {
      if (sample < -32768 || sample > 32767) throw badNarration(`sample ${sample}`);
      samples[done++] = sample;
    }
    at = frame.end;
  }
  if (done !== count) throw badNarration(`${done} samples decoded, ${count} stated`);
  return samples;
}

function decodeFrame(bytes: Uint8Array, start: number): { samples: Int32Array; end: number } {
  const bits = new Bits(bytes, start);
  if (bits.take(15) !== 0x7ffc) throw badNarration('a FLAC frame does not begin where one should');
  bits.take(1);
  const sizeCode = bits.take(4);
  const rateCode = bits.take(4);
  if (bits.take(4) !== 0) throw badNarration('a FLAC frame is not mono');
  const depth = bits.take(3);
  if ((depth !== 0 && depth !== 4) || bits.take(1) !== 0) throw badNarration('a FLAC frame is not of 16 bit');
  // The frame's number, as UTF-8 would have it.
  for (let more = Math.max(0, Math.clz32(~(bits.take(8) << 24)) - 1); more > 0; more--) bits.take(8);
  const size = blockSize(sizeCode, bits);
  if (rateCode === 12) bits.take(8);
  if (rateCode === 13 || rateCode === 14) bits.take(16);
  const headerEnd = bits.byte;
  if (bits.take(8) !== crc(bytes, start, headerEnd, 8, 0x07)) throw badNarration('checksum of a FLAC frame header');
  const samples = decodeSubframe(bits, size);
  bits.align();
  const end = bits.byte;
  if (bits.take(16) !== crc(bytes, start, end, 16, 0x8005)) throw badNarration('checksum of a FLAC frame');
  return { samples, end: bits.byte };
}

function blockSize(code: number, bits: Bits): number {
  if (code === 1) return 192;
  if (code >= 2 && code <= 5) return 576 << (code - 2);
  if (code === 6) return bits.take(8) + 1;
  if (code === 7) return bits.take(16) + 1;
  if (code >= 8) return 256 << (code - 8);
  throw badNarration('a FLAC frame of no size');
}

function decodeSubframe(bits: Bits, size: number): Int32Array {
  if (bits.take(1) !== 0) throw badNarration('a FLAC subframe does not begin where one should');
  const kind = bits.take(6);
  const wasted = bits.take(1) ? bits.unary() + 1 : 0;
  const width = 16 - wasted;
  if (width < 1) throw badNarration('a FLAC subframe without bits');
  const samples = new Int32Array(size);
  if (kind === 0) {
    samples.fill(bits.signed(width));
  } else if (kind === 1) {
    for (let n = 0; n < size; n++) samples[n] = bits.signed(width);
  } else if (kind >= 8 && kind <= 12) {
    decodeFixed(bits, samples, width, kind - 8);
  } else if (kind >= 32) {
    decodeFitted(bits, samples, width, kind - 31);
  } else {
    throw badNarration(`a FLAC subframe of unknown kind ${kind}`);
  }
  if (wasted > 0) for (let n = 0; n < size; n++) samples[n] <<= wasted;
  return samples;
}

/** Weights of the samples before, newest first. */
const FIXED = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]];

function decodeFixed(bits: Bits, samples: Int32Array, width: number, order: number): void {
  if (order > samples.length) throw badNarration('a FLAC frame shorter than its predictor');
  for (let n = 0; n < order; n++) samples[n] = bits.signed(width);
  decodeResidual(bits, samples, order);
  predict(samples, FIXED[order], 0);
}

function decodeFitted(bits: Bits, samples: Int32Array, width: number, order: number): void {
  if (order > samples.length) throw badNarration('a FLAC frame shorter than its predictor');
  for (let n = 0; n < order; n++) samples[n] = bits.signed(width);
  const precision = bits.take(4) + 1;
  const shift = bits.signed(5);
  if (precision === 16 || shift < 0) throw badNarration('a FLAC predictor out of range');
  const weights = Array.from({ length: order }, () => bits.signed(precision));
  decodeResidual(bits, samples, order);
  predict(samples, weights, shift);
}

/** Adds to what is there what the samples before let expect. */
function predict(samples: Int32Array, weights: number[], shift: number): void {
  const order = weights.length;
  const divisor = 2 ** shift;
  for (let n = order; n < samples.length; n++) {
    // Sums of 16-bit samples with 15-bit weights fit into a double exactly, not always into 32 bits.
    let sum = 0;
    for (let k = 0; k < order; k++) sum += weights[k] * samples[n - 1 - k];
    samples[n] += Math.floor(sum / divisor);
  }
}

function decodeResidual(bits: Bits, samples: Int32Array, order: number): void {
  const method = bits.take(2);
  if (method > 1) throw badNarration('a FLAC residual of unknown coding');
  const parameterBits = method === 0 ? 4 : 5;
  const escape = method === 0 ? 15 : 31;
  const partitions = 1 << bits.take(4);
  const each = samples.length / partitions;
  if (!Number.isInteger(each) || each < order) throw badNarration('FLAC partitions that do not fit their frame');
  for (let partition = 0, n = order; partition < partitions; partition++) {
    const parameter = bits.take(parameterBits);
    const rawBits = parameter === escape ? bits.take(5) : 0;
    for (const end = (partition + 1) * each; n < end; n++) {
      if (parameter === escape) {
        samples[n] = bits.signed(rawBits);
      } else {
        const folded = bits.unary() * 2 ** parameter + bits.take(parameter);
        samples[n] = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
      }
    }
  }
}

function crc(bytes: Uint8Array, start: number, end: number, width: 8 | 16, polynomial: number): number {
  const top = 1 << (width - 1);
  const mask = 2 ** width - 1;
  let value = 0;
  for (let at = start; at < end; at++) {
    value ^= bytes[at] << (width - 8);
    for (let bit = 0; bit < 8; bit++) value = ((value & top ? (value << 1) ^ polynomial : value << 1) & mask) >>> 0;
  }
  return value;
}
