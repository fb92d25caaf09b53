// Picture messages: their header and operations, each checked before it is used.
import { malformed, tooLarge } from './errors';
import { Fields } from './fields';

export const TILE_PX = 32;
const MAX_EDGE_PX = 16_384;
const MAX_PIXELS = 21_000_000;
const TILE_BYTES = 5;

export interface PictureHeader {
  isKey: boolean;
  widthPx: number;
  heightPx: number;
  /** Session times. */
  firstDamageNanos: number;
  captureStartNanos: number;
  captureEndNanos: number;
  numOperations: number;
}

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type Operation =
  | { code: 'tile'; number: number; area: Area; isPlanar: boolean; data: Uint8Array }
  | { code: 'copy'; to: Area; fromX: number; fromY: number }
  | { code: 'lossy'; area: Area; jpeg: Uint8Array };

export const impossible = (why: string) => malformed('picture', 0, why);

/** Parses a message's header; the fields are then at its first operation. */
export function parseHeader(fields: Fields): PictureHeader {
  const version = fields.u8();
  const kind = fields.u8();
  const widthPx = fields.u16();
  const heightPx = fields.u16();
  if (version !== 1 || kind > 1) throw fields.malformed(`version ${version} kind ${kind}, expected 1 and 0 or 1`);
  let reserved = fields.u16();
  const header = {
    isKey: kind === 0,
    widthPx,
    heightPx,
    firstDamageNanos: fields.size(),
    captureStartNanos: fields.size(),
    captureEndNanos: fields.size(),
    numOperations: fields.u32(),
  };
  reserved |= fields.u32();
  if (reserved !== 0) throw fields.malformed('reserved bytes are not zero');
  if (widthPx === 0 || heightPx === 0) throw impossible(`${widthPx}×${heightPx} pixels`);
  const edge = Math.max(widthPx, heightPx);
  if (edge > MAX_EDGE_PX) throw tooLarge('pixels along an edge of a display', edge, MAX_EDGE_PX);
  if (widthPx * heightPx > MAX_PIXELS) throw tooLarge('pixels of a display', widthPx * heightPx, MAX_PIXELS);
  const numTiles = tilesAlong(widthPx) * tilesAlong(heightPx);
  const keyBytes = widthPx * heightPx * 3 + TILE_BYTES * numTiles;
  if (header.isKey && (header.numOperations !== numTiles || fields.left !== keyBytes)) {
    throw impossible('a keyframe that does not cover its display exactly');
  }
  return header;
}

export const tilesAlong = (px: number) => Math.ceil(px / TILE_PX);

/** The pixels of some tiles, cut off by the picture's edge. */
function areaOfTiles(header: PictureHeader, column: number, row: number, columns: number, rows: number): Area {
  const x = column * TILE_PX;
  const y = row * TILE_PX;
  const right = Math.min((column + columns) * TILE_PX, header.widthPx);
  const bottom = Math.min((row + rows) * TILE_PX, header.heightPx);
  return { x, y, width: right - x, height: bottom - y };
}

/** The pixels of the tile of that number. */
export function areaOfTile(header: PictureHeader, number: number): Area {
  const across = tilesAlong(header.widthPx);
  return areaOfTiles(header, number % across, Math.floor(number / across), 1, 1);
}

const isInside = (area: Area, width: number, height: number) =>
  area.width > 0 && area.height > 0 && area.x + area.width <= width && area.y + area.height <= height;

/** The operations of a message. Copies come first; tiles are in order; the work is bounded by the picture's size. */
export function* operations(header: PictureHeader, fields: Fields): Generator<Operation> {
  const { widthPx, heightPx, isKey } = header;
  const across = tilesAlong(widthPx);
  const numPixels = widthPx * heightPx;
  let [nextTile, mayCopy, copied, lossy] = [0, true, 0, 0];
  const area = () => ({ x: fields.u16(), y: fields.u16(), width: fields.u16(), height: fields.u16() });
  for (let left = header.numOperations; left > 0; left--) {
    const code = fields.u8();
    mayCopy &&= code === 3;
    if (code === 1 || code === 2) {
      const column = fields.u16();
      const row = fields.u16();
      const number = row * across + column;
      if (column >= across || row * TILE_PX >= heightPx || number < nextTile) {
        throw fields.malformed(`tile ${column},${row} outside or out of order`);
      }
      nextTile = number + 1;
      const place = areaOfTiles(header, column, row, 1, 1);
      const data = fields.take(place.width * place.height * 3);
      yield { code: 'tile', number, area: place, isPlanar: code === 2, data };
    } else if (code === 3) {
      const to = area();
      const fromX = fields.u16();
      const fromY = fields.u16();
      copied += to.width * to.height;
      const from = { ...to, x: fromX, y: fromY };
      const isSound = isInside(to, widthPx, heightPx) && isInside(from, widthPx, heightPx);
      if (!isSound || isKey || !mayCopy || copied > numPixels) {
        throw fields.malformed('a copy outside the picture, out of order, or in a keyframe');
      }
      yield { code: 'copy', to, fromX, fromY };
    } else if (code === 4) {
      const tiles = area();
      const jpeg = fields.take(fields.u32());
      if (isKey || !isInside(tiles, across, tilesAlong(heightPx))) {
        throw fields.malformed('a lossy rectangle outside the picture or in a keyframe');
      }
      const place = areaOfTiles(header, tiles.x, tiles.y, tiles.width, tiles.height);
      lossy += place.width * place.height;
      if (lossy > numPixels) throw fields.malformed('lossy rectangles of more pixels than the picture has');
      yield { code: 'lossy', area: place, jpeg };
    } else {
      throw fields.malformed(`unknown operation ${code}`);
    }
  }
  fields.end();
}
