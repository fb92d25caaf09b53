// Draws a scene of the overlay on a canvas, in root pixels of the recorded desktop.
import type { Scene } from './overlay';
import type { Shape } from './shapes';

export interface Look {
  accent: string;
  showsRipples: boolean;
  isStill: boolean;
}

/** Where root pixels are on the canvas. */
export interface Place {
  x: number;
  y: number;
  scale: number;
}

export function drawScene(context: CanvasRenderingContext2D, scene: Scene, place: Place, pixelRatio: number, look: Look): void {
  const at = ({ x, y }: { x: number; y: number }): [number, number] => [place.x + (x + 0.5) * place.scale, place.y + (y + 0.5) * place.scale];
  context.save();
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.strokeStyle = look.accent;
  if (look.showsRipples) {
    for (let n = 1; n < scene.trail.length && !look.isStill; n++) {
      context.globalAlpha = (1 - scene.trail[n].age) * 0.4;
      context.lineWidth = 3 * pixelRatio * (1 - scene.trail[n].age);
      context.beginPath();
      context.moveTo(...at(scene.trail[n - 1]));
      context.lineTo(...at(scene.trail[n]));
      context.stroke();
    }
    if (scene.drag.length > 1) {
      context.globalAlpha = 0.55;
      context.lineWidth = 2.5 * pixelRatio;
      context.beginPath();
      context.moveTo(...at(scene.drag[0]));
      for (const point of scene.drag.slice(1)) context.lineTo(...at(point));
      context.stroke();
    }
    for (const ripple of scene.ripples) {
      const age = look.isStill ? 0.3 : ripple.age;
      context.globalAlpha = 1 - age;
      for (const [radius, width] of [[9, 3], [9 + 17 * age, 1.5]]) {
        context.lineWidth = width * pixelRatio;
        context.setLineDash(ripple.button === 1 ? [] : [4 * pixelRatio, 3 * pixelRatio]);
        context.beginPath();
        context.arc(...at(ripple), radius * pixelRatio, 0, 2 * Math.PI);
        context.stroke();
      }
      context.setLineDash([]);
    }
  }
  if (scene.pointer) {
    const scale = Math.max(pixelRatio, place.scale);
    const { x, y } = scene.pointer;
    if (scene.shape) drawShape(context, [place.x + x * place.scale, place.y + y * place.scale], scale, scene.shape);
    else drawArrow(context, at(scene.pointer), scale, scene.isPressed);
  }
  context.restore();
}

/** The pointer as it looked; nothing if it was hidden. */
function drawShape(context: CanvasRenderingContext2D, [x, y]: [number, number], scale: number, shape: Shape): void {
  const { picture, hotX, hotY } = shape;
  if (!picture) return;
  context.globalAlpha = 1;
  context.drawImage(picture, x - hotX * scale, y - hotY * scale, picture.width * scale, picture.height * scale);
}

/** An arrow where it is not known how the pointer looked. Its tip is the position. */
function drawArrow(context: CanvasRenderingContext2D, [x, y]: [number, number], scale: number, isPressed: boolean): void {
  const points = [[0, 0], [0, 16], [3.7, 12.6], [6.1, 18.2], [8.6, 17.1], [6.2, 11.7], [11.2, 11.7]];
  context.globalAlpha = 1;
  context.beginPath();
  for (const [px, py] of points) context.lineTo(x + px * scale, y + py * scale);
  context.closePath();
  context.fillStyle = isPressed ? '#3a3a3a' : '#000000';
  context.strokeStyle = '#ffffff';
  context.lineWidth = 1.3 * scale;
  context.stroke();
  context.fill();
}

interface Tiled {
  picture: { widthPx: number; isLossy: Uint8Array };
  /** Its corner in root pixels. */
  x: number;
  y: number;
}

const TILE_PX = 32;

/** Hatches the tiles that are only near to what was on the screen, and frames what was masked. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  shown: Tiled[],
  masks: readonly { rect: { x_px: number; y_px: number; width_px: number; height_px: number } }[],
  place: Place,
  pixelRatio: number,
  colour: string,
): void {
  context.save();
  context.strokeStyle = colour;
  context.lineWidth = pixelRatio;
  for (const { picture, x, y } of shown) {
    const across = Math.ceil(picture.widthPx / TILE_PX);
    context.beginPath();
    for (const [tile, isLossy] of picture.isLossy.entries()) {
      if (!isLossy) continue;
      const left = place.x + (x + (tile % across) * TILE_PX) * place.scale;
      const top = place.y + (y + Math.floor(tile / across) * TILE_PX) * place.scale;
      const edge = TILE_PX * place.scale;
      for (let n = 0; n < 1; n += 0.25) {
        context.moveTo(left + n * edge, top + edge);
        context.lineTo(left + edge, top + n * edge);
        context.moveTo(left, top + n * edge);
        context.lineTo(left + n * edge, top);
      }
    }
    context.stroke();
  }
  context.lineWidth = 2 * pixelRatio;
  context.setLineDash([6 * pixelRatio, 4 * pixelRatio]);
  for (const { rect } of masks) {
    const size: [number, number] = [rect.width_px * place.scale, rect.height_px * place.scale];
    context.strokeRect(place.x + rect.x_px * place.scale, place.y + rect.y_px * place.scale, ...size);
  }
  context.restore();
}
