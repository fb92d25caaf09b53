// Pictures of the pointer, each decoded once.
import type { CursorMessage } from './decode/types';

const MAX_SHAPES = 64;
const MAX_SIDE_PX = 512;

/** A picture of the pointer; without one it was hidden. */
export interface Shape {
  picture: ImageBitmap | undefined;
  hotX: number;
  hotY: number;
}

export class Shapes {
  private readonly known = new Map<string, ImageBitmap | 'unreadable' | undefined>();

  constructor(private readonly onDecoded: () => void) {}

  /** The shape of a message; undefined while it is decoded, and if it cannot be. */
  of({ width_px, height_px, hot_x_px, hot_y_px, png }: CursorMessage): Shape | undefined {
    if (width_px === 0 || height_px === 0) return { picture: undefined, hotX: 0, hotY: 0 };
    if (!png) return undefined;
    if (!this.known.has(png)) {
      this.known.set(png, undefined);
      void this.decode(png, width_px, height_px);
    }
    const picture = this.known.get(png);
    return typeof picture === 'object' ? { picture, hotX: hot_x_px, hotY: hot_y_px } : undefined;
  }

  private async decode(png: string, width: number, height: number): Promise<void> {
    const picture = await decoded(png, width, height).catch(() => 'unreadable' as const);
    this.known.set(png, picture);
    for (const [oldest, old] of this.known) {
      if (this.known.size <= MAX_SHAPES) break;
      this.known.delete(oldest);
      if (typeof old === 'object') old.close();
    }
    this.onDecoded();
  }
}

async function decoded(png: string, width: number, height: number): Promise<ImageBitmap> {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  // Width and height stand in a PNG's first chunk: nothing larger than the message says is decoded.
  const header = new DataView(bytes.buffer);
  const isAsSaid = header.getUint32(16) === width && header.getUint32(20) === height;
  if (!isAsSaid || width > MAX_SIDE_PX || height > MAX_SIDE_PX) throw new Error('not the picture that the message says');
  return createImageBitmap(new Blob([bytes], { type: 'image/png' }));
}
