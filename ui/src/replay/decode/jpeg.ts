// JPEG as lossy rectangles have it: baseline, three components, no subsampling. Decoded at once, into RGBA numbers.
//
// The platform's decoder answers only later and wants a canvas to read its pixels from; this one works in any worker.
import { malformed } from './errors';

const refuse = (why: string) => malformed('picture', 0, `JPEG: ${why}`);

/** Place in the block of each coefficient in the order they are stored. */
const ZIGZAG = Uint8Array.of(
  ...[0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21],
  ...[28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61],
  ...[54, 47, 55, 62, 63],
);

interface Component {
  id: number;
  quantization: number;
}

interface Frame {
  width: number;
  height: number;
  components: Component[];
}

/** By the next 16 bits the length of the code and, in the lower byte, its value; 0 if there is no such code. */
type Huffman = Uint16Array;

/** A marker segment; the scan's data follows the one of the scan. */
function* segments(jpeg: Uint8Array): Generator<{ marker: number; data: Uint8Array; end: number }> {
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) throw refuse('it does not begin as one');
  for (let at = 2; ; ) {
    if (at + 4 > jpeg.length || jpeg[at] !== 0xff) throw refuse('a marker is missing');
    const marker = jpeg[at + 1];
    const length = (jpeg[at + 2] << 8) | jpeg[at + 3];
    const end = at + 2 + length;
    if (length < 2 || end > jpeg.length) throw refuse('it is cut off');
    yield { marker, data: jpeg.subarray(at + 4, end), end };
    at = end;
  }
}

function parseFrame(data: Uint8Array): Frame {
  if (data.length !== 15 || data[0] !== 8 || data[5] !== 3) throw refuse('it is not in colour with 8 bits');
  const components = [6, 9, 12].map((at) => {
    if (data[at + 1] !== 0x11) throw refuse('its colours are subsampled');
    return { id: data[at], quantization: data[at + 2] };
  });
  return { width: (data[3] << 8) | data[4], height: (data[1] << 8) | data[2], components };
}

/** Its size; nothing is decoded. */
export function jpegSize(jpeg: Uint8Array): { width: number; height: number } {
  for (const { marker, data } of segments(jpeg)) {
    if (marker === 0xc0) return parseFrame(data);
    if (marker === 0xda) break;
  }
  throw refuse('it is not baseline');
}

function huffman(counts: Uint8Array, values: Uint8Array): Huffman {
  const table = new Uint16Array(1 << 16);
  let [at, value] = [0, 0];
  for (let length = 1; length <= 16; length++) {
    for (let n = 0; n < counts[length - 1]; n++) {
      const next = at + (1 << (16 - length));
      if (next > table.length || value >= values.length) throw refuse('a Huffman table is wrong');
      table.fill((length << 8) | values[value++], at, next);
      at = next;
    }
  }
  return table;
}

/** Its pixels, one number each, whose bytes are R, G, B, 255. */
export function decodeJpeg(jpeg: Uint8Array): Uint32Array {
  const quantization: Int32Array[] = [];
  const tables: Huffman[] = [];
  let frame: Frame | undefined;
  let restartInterval = 0;
  for (const { marker, data, end } of segments(jpeg)) {
    if (marker === 0xdb) {
      for (let at = 0; at < data.length; at += 65) {
        if (data[at] >> 4 !== 0 || at + 65 > data.length) throw refuse('a quantisation table is wrong');
        quantization[data[at] & 3] = Int32Array.from(data.subarray(at + 1, at + 65));
      }
    } else if (marker === 0xc4) {
      for (let at = 0; at + 17 <= data.length; ) {
        const counts = data.subarray(at + 1, at + 17);
        const total = counts.reduce((sum, count) => sum + count, 0);
        // Tables for the first coefficient have even numbers, those for the others odd ones.
        tables[(data[at] & 3) * 2 + (data[at] >> 4)] = huffman(counts, data.subarray(at + 17, at + 17 + total));
        at += 17 + total;
      }
    } else if (marker === 0xc0) {
      frame = parseFrame(data);
    } else if (marker === 0xdd) {
      restartInterval = (data[0] << 8) | data[1];
    } else if (marker === 0xda) {
      if (!frame || data[0] !== 3) throw refuse('it is not one scan of three components');
      const scan = frame.components.map(({ id, quantization: table }, n) => {
        const [dc, ac] = [tables[(data[2 + 2 * n] >> 4) * 2], tables[(data[2 + 2 * n] & 15) * 2 + 1]];
        if (data[1 + 2 * n] !== id || !dc || !ac || !quantization[table]) throw refuse('a table is missing');
        return { dc, ac, quantization: quantization[table] };
      });
      return decodeScan(jpeg.subarray(end), frame, scan, restartInterval);
    }
  }
  throw refuse('it has no picture');
}

interface ScanComponent {
  dc: Huffman;
  ac: Huffman;
  quantization: Int32Array;
}

/** Reads bits; after the end or a marker there are none, which is an error as soon as one is used. */
class Bits {
  private at = 0;
  private buffer = 0;
  private count = 0;
  /** Bits made up after the end. */
  private missing = 0;

  constructor(private readonly bytes: Uint8Array) {}

  private fill(): void {
    while (this.count <= 16) {
      const { bytes, at } = this;
      let byte = 0;
      if (at >= bytes.length || (bytes[at] === 0xff && bytes[at + 1] !== 0)) {
        this.missing += 8;
      } else {
        byte = bytes[at];
        this.at += byte === 0xff ? 2 : 1;
      }
      this.buffer = ((this.buffer << 8) | byte) & 0xffffff;
      this.count += 8;
    }
  }

  private drop(length: number): void {
    this.count -= length;
    if (this.missing > this.count) throw refuse('its data ends too early');
  }

  code(table: Huffman): number {
    if (this.count < 16) this.fill();
    const entry = table[(this.buffer >>> (this.count - 16)) & 0xffff];
    if (entry === 0) throw refuse('a code that is in no table');
    this.drop(entry >> 8);
    return entry & 255;
  }

  /** A signed number of so many bits, at most 15. */
  value(length: number): number {
    if (length === 0) return 0;
    if (this.count < length) this.fill();
    const bits = (this.buffer >>> (this.count - length)) & ((1 << length) - 1);
    this.drop(length);
    return bits < 1 << (length - 1) ? bits - (1 << length) + 1 : bits;
  }

  restart(): void {
    this.buffer = this.count = this.missing = 0;
    const marker = this.bytes[this.at + 1];
    if (this.bytes[this.at] !== 0xff || marker < 0xd0 || marker > 0xd7) throw refuse('a restart marker is missing');
    this.at += 2;
  }
}

function decodeScan(data: Uint8Array, frame: Frame, scan: ScanComponent[], restartInterval: number): Uint32Array {
  const { width, height } = frame;
  const pixels = new Uint32Array(width * height);
  const bits = new Bits(data);
  const before = [0, 0, 0];
  const block = new Int32Array(64);
  const planes = [new Uint8ClampedArray(64), new Uint8ClampedArray(64), new Uint8ClampedArray(64)];
  const across = Math.ceil(width / 8);
  const numBlocks = across * Math.ceil(height / 8);
  for (let number = 0; number < numBlocks; number++) {
    if (restartInterval > 0 && number > 0 && number % restartInterval === 0) {
      bits.restart();
      before.fill(0);
    }
    for (let n = 0; n < 3; n++) {
      const { dc, ac, quantization } = scan[n];
      block.fill(0);
      const length = bits.code(dc);
      if (length > 11) throw refuse('a first coefficient is out of range');
      before[n] += bits.value(length);
      block[0] = before[n] * quantization[0];
      for (let k = 1; k < 64; k++) {
        const code = bits.code(ac);
        if (code === 0) break;
        k += code >> 4;
        if (k > 63) throw refuse('a coefficient is out of its block');
        block[ZIGZAG[k]] = bits.value(code & 15) * quantization[k];
      }
      invert(block, planes[n]);
    }
    put(planes, pixels, width, height, (number % across) * 8, Math.floor(number / across) * 8);
  }
  return pixels;
}

function put(planes: Uint8ClampedArray[], pixels: Uint32Array, width: number, height: number, x: number, y: number) {
  const [luma, blue, red] = planes;
  const right = Math.min(8, width - x);
  const bottom = Math.min(8, height - y);
  for (let row = 0; row < bottom; row++) {
    let to = (y + row) * width + x;
    for (let n = row * 8; n < row * 8 + right; n++, to++) {
      const l = luma[n] * 65536 + 32768;
      const cb = blue[n] - 128;
      const cr = red[n] - 128;
      const r = clamp((l + 91881 * cr) >> 16);
      const g = clamp((l - 22554 * cb - 46802 * cr) >> 16);
      const b = clamp((l + 116130 * cb) >> 16);
      pixels[to] = 0xff000000 | (b << 16) | (g << 8) | r;
    }
  }
}

const clamp = (value: number) => (value < 0 ? 0 : value > 255 ? 255 : value);

/** Cosines of the transform, in 1/4096: of coefficient u at place x, with the weight of u. */
const COSINES = Int32Array.from({ length: 64 }, (_, n) => {
  const [u, x] = [n >> 3, n & 7];
  const weight = u === 0 ? Math.SQRT1_2 : 1;
  return Math.round((weight * Math.cos(((2 * x + 1) * u * Math.PI) / 16) * 4096) / 2);
});
const half = new Int32Array(64);

/** The inverse cosine transform, by rows and then by columns. */
function invert(block: Int32Array, into: Uint8ClampedArray): void {
  for (let row = 0; row < 64; row += 8) {
    let others = 0;
    for (let u = 1; u < 8; u++) others |= block[row + u];
    if (others === 0) {
      // Nothing but the first: it is the same at every place.
      half.fill((block[row] * COSINES[0] + 128) >> 8, row, row + 8);
      continue;
    }
    for (let x = 0; x < 8; x++) {
      let sum = 128;
      for (let u = 0; u < 8; u++) sum += block[row + u] * COSINES[u * 8 + x];
      half[row + x] = sum >> 8;
    }
  }
  for (let x = 0; x < 8; x++) {
    for (let y = 0; y < 8; y++) {
      let sum = 0;
      for (let v = 0; v < 8; v++) sum += half[v * 8 + x] * COSINES[v * 8 + y];
      into[y * 8 + x] = ((sum + 32768) >> 16) + 128;
    }
  }
}
