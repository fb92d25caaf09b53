// The screen decoder: rebuilds pictures in order, and refuses to show one whose base is lost.
//
// A JPEG is decoded when its pixels are shown or are needed, so what a later message covers costs nothing.
import { lostPicture } from './errors';
import { Fields } from './fields';
import { decodeJpeg, jpegSize } from './jpeg';
import { areaOfTile, impossible, operations, parseHeader, tilesAlong, TILE_PX } from './operation';
import type { Area, Operation, PictureHeader } from './operation';

/** A picture as a canvas wants it. */
export interface Picture {
  display: number;
  sequence: number;
  isKey: boolean;
  widthPx: number;
  heightPx: number;
  /** Session times; the last one is the message's. */
  firstDamageNanos: number;
  captureStartNanos: number;
  captureEndNanos: number;
  /** R, G, B, 255; top row first, no padding. */
  rgba: Uint8ClampedArray<ArrayBuffer>;
  /** For each tile in raster order 1 if its pixels are only near to what was on the screen. */
  isLossy: Uint8Array<ArrayBuffer>;
}

/** A lossy rectangle whose pixels are not in the picture yet. */
interface Pending {
  area: Area;
  jpeg: Uint8Array;
}

type Copy = Operation & { code: 'copy' };

const OPAQUE = 0xff000000;

export class PictureDecoder {
  private header: PictureHeader | undefined;
  private sequence = 0;
  /** One number a pixel, whose bytes are R, G, B, 255: every machine this runs on is little-endian. */
  private pixels = new Uint32Array(0);
  private isLossy = new Uint8Array(0);
  /** Of each tile the rectangle that its pixels are still to be taken from. */
  private pending: (Pending | undefined)[] = [];
  /** Pixels of copies that are on their way. */
  private lifted = new Uint32Array(0);
  private planes = new Uint8Array(3 * TILE_PX);

  constructor(readonly display: number) {}

  /** Sequence number of the picture held; undefined before a keyframe or after an error. */
  get held(): number | undefined {
    return this.header && this.sequence;
  }

  /** Session time of that picture. */
  get endNanos(): number | undefined {
    return this.header?.captureEndNanos;
  }

  /** Takes a message. After an error nothing is held until the next keyframe. */
  apply(sequence: number, message: Uint8Array): void {
    const before = this.header;
    this.header = undefined;
    const fields = new Fields('picture', message);
    const header = parseHeader(fields);
    if (header.isKey) {
      this.start(header);
    } else {
      const needed = (sequence - 1) >>> 0;
      if (!before || this.sequence !== needed) throw lostPicture(this.display, sequence, needed);
      if (before.widthPx !== header.widthPx || before.heightPx !== header.heightPx) {
        throw impossible('a delta of another size than its keyframe');
      }
    }
    this.run(header, fields);
    this.header = header;
    this.sequence = sequence;
  }

  /** Goes back to holding nothing; its memory is used again. */
  forget(): void {
    this.header = undefined;
  }

  /** A copy of the picture held, in the memory of one that nobody shows any more if it fits; its lossy rectangles are decoded now. */
  picture(spare?: ArrayBuffer): Picture | undefined {
    const header = this.header;
    if (!header) return undefined;
    try {
      this.settle(header, [...this.pending.keys()]);
    } catch (error) {
      this.header = undefined;
      throw error;
    }
    const { isKey, widthPx, heightPx, firstDamageNanos, captureStartNanos, captureEndNanos } = header;
    const { byteLength } = this.pixels;
    const copy = new Uint32Array(spare?.byteLength === byteLength ? spare : new ArrayBuffer(byteLength));
    copy.set(this.pixels);
    const rgba = new Uint8ClampedArray(copy.buffer);
    const times = { firstDamageNanos, captureStartNanos, captureEndNanos };
    const isLossy = this.isLossy.slice();
    return { display: this.display, sequence: this.sequence, isKey, widthPx, heightPx, ...times, rgba, isLossy };
  }

  private start({ widthPx, heightPx }: PictureHeader): void {
    const numPixels = widthPx * heightPx;
    if (this.pixels.length !== numPixels) this.pixels = new Uint32Array(numPixels);
    this.isLossy = new Uint8Array(tilesAlong(widthPx) * tilesAlong(heightPx));
    this.pending = new Array(this.isLossy.length).fill(undefined);
  }

  /** Carries out the operations. */
  private run(header: PictureHeader, fields: Fields): void {
    let copies: Copy[] = [];
    for (const operation of operations(header, fields)) {
      if (operation.code === 'copy') {
        this.assertExact(header, operation);
        copies.push(operation);
        continue;
      }
      // Copies come first.
      this.copy(header, copies);
      copies = [];
      if (operation.code === 'tile') {
        this.putTile(header, operation);
        this.isLossy[operation.number] = 0;
        this.pending[operation.number] = undefined;
      } else {
        const { area, jpeg } = operation;
        const size = jpegSize(jpeg);
        if (size.width !== area.width || size.height !== area.height) {
          throw impossible('a JPEG of another size than its rectangle');
        }
        const pending = { area, jpeg };
        for (const tile of tilesOf(header, area)) {
          this.isLossy[tile] = 1;
          this.pending[tile] = pending;
        }
      }
    }
    this.copy(header, copies);
  }

  /** The pixels of a copy must be exact: two decoders need not agree on others. */
  private assertExact(header: PictureHeader, copy: Copy): void {
    for (const tile of tilesOf(header, sourceOf(copy))) {
      if (this.isLossy[tile]) throw impossible('a copy from pixels that are not exact');
    }
  }

  private copy(header: PictureHeader, copies: Copy[]): void {
    if (copies.length === 0) return;
    // All are read before one is written.
    if (this.lifted.length < this.pixels.length) this.lifted = new Uint32Array(this.pixels.length);
    let start = 0;
    for (const copy of copies) start = this.lift(header, copy, start);
    start = 0;
    for (const { to } of copies) {
      this.overwrite(header, to);
      start = this.putDown(header, to, start);
    }
  }

  /** What is about to be covered by exact pixels is lossy no more, and what is covered in part has its pixels. */
  private overwrite(header: PictureHeader, area: Area): void {
    const partly: number[] = [];
    for (const tile of tilesOf(header, area)) {
      if (isWithin(areaOfTile(header, tile), area)) {
        this.isLossy[tile] = 0;
        this.pending[tile] = undefined;
      } else if (this.pending[tile]) {
        partly.push(tile);
      }
    }
    this.settle(header, partly);
  }

  /** Keeps the pixels of a copy from a place of the memory for them on; returns the place after them. */
  private lift({ widthPx }: PictureHeader, { to, fromX, fromY }: Copy, start: number): number {
    for (let row = 0; row < to.height; row++, start += to.width) {
      const from = (fromY + row) * widthPx + fromX;
      this.lifted.set(this.pixels.subarray(from, from + to.width), start);
    }
    return start;
  }

  private putDown({ widthPx }: PictureHeader, to: Area, start: number): number {
    for (let row = 0; row < to.height; row++, start += to.width) {
      this.pixels.set(this.lifted.subarray(start, start + to.width), (to.y + row) * widthPx + to.x);
    }
    return start;
  }

  /** Decodes the rectangles that these tiles wait for, each once. */
  private settle(header: PictureHeader, tiles: number[]): void {
    const wanted = new Map<Pending, number[]>();
    for (const tile of tiles) {
      const pending = this.pending[tile];
      if (pending) wanted.set(pending, [...(wanted.get(pending) ?? []), tile]);
    }
    for (const [{ area, jpeg }, waiting] of wanted) {
      const pixels = decodeJpeg(jpeg);
      for (const tile of waiting) {
        const part = areaOfTile(header, tile);
        for (let y = part.y; y < part.y + part.height; y++) {
          const start = (y - area.y) * area.width + part.x - area.x;
          this.pixels.set(pixels.subarray(start, start + part.width), y * header.widthPx + part.x);
        }
        this.pending[tile] = undefined;
      }
    }
  }

  private putTile(header: PictureHeader, { area, isPlanar, data }: Operation & { code: 'tile' }): void {
    const { pixels, planes } = this;
    const { x, y, width, height } = area;
    const planeBytes = width * height;
    if (isPlanar) planes.fill(0);
    for (let row = 0; row < height; row++) {
      let to = (y + row) * header.widthPx + x;
      if (isPlanar) {
        let from = row * width;
        for (let n = 0; n < width; n++, from++, to++) {
          const b = (planes[n] += data[from]);
          const g = (planes[n + TILE_PX] += data[from + planeBytes]);
          const r = (planes[n + 2 * TILE_PX] += data[from + 2 * planeBytes]);
          pixels[to] = OPAQUE | ((b & 255) << 16) | ((g & 255) << 8) | (r & 255);
        }
      } else {
        for (let from = row * width * 3, end = from + width * 3; from < end; from += 3, to++) {
          pixels[to] = OPAQUE | (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
        }
      }
    }
  }
}

/** Numbers of the tiles that an area touches. */
function* tilesOf(header: PictureHeader, { x, y, width, height }: Area): Generator<number> {
  const across = tilesAlong(header.widthPx);
  for (let row = Math.floor(y / TILE_PX); row < tilesAlong(y + height); row++) {
    for (let column = Math.floor(x / TILE_PX); column < tilesAlong(x + width); column++) yield row * across + column;
  }
}

const sourceOf = ({ to, fromX, fromY }: Copy): Area => ({ ...to, x: fromX, y: fromY });

const isWithin = (area: Area, other: Area) =>
  area.x >= other.x &&
  area.y >= other.y &&
  area.x + area.width <= other.x + other.width &&
  area.y + area.height <= other.y + other.height;
