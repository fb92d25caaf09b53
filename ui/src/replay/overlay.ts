// What is drawn above the picture: the pointer in its shape, ripples of clicks, trails of drags; taken from the messages of a time.
//
// Messages are read in stretches of some seconds, and only the newest few stretches are kept.
import { isCancelled } from './client';
import type { Client } from './client';
import type { Message } from './decode/bundle';
import type { CursorMessage, KeyMessage, PointerMessage } from './decode/types';
import { Shapes } from './shapes';
import type { Shape } from './shapes';

const STRETCH_NANOS = 5_000_000_000;
const MAX_STRETCHES = 24;
const RIPPLE_NANOS = 450_000_000;
const TRAIL_NANOS = 300_000_000;
/** A trail of a drag stays so long after the release. */
const DRAG_NANOS = 600_000_000;

interface Stretch {
  pointer: Message<PointerMessage>[];
  keys: Message<KeyMessage>[];
  cursor: Message<CursorMessage>[];
}

export interface Point {
  x: number;
  y: number;
}

export interface Ripple extends Point {
  /** From 0, just pressed, to 1, gone. */
  age: number;
  button: number;
}

export interface Scene {
  pointer: Point | undefined;
  /** How it looks; undefined if that is not recorded. */
  shape: Shape | undefined;
  isPressed: boolean;
  ripples: Ripple[];
  /** Where the pointer was of late, oldest first; `age` from 0 to 1. */
  trail: (Point & { age: number })[];
  drag: Point[];
}

export class Overlay {
  /** Goes up whenever messages have come. */
  version = 0;
  private readonly stretches = new Map<number, Stretch>();
  private readonly asked = new Set<number>();
  private readonly shapes = new Shapes(() => this.version++);

  constructor(private readonly client: Client) {}

  /** Sees to it that the messages around a time are there. */
  async need(nanos: number): Promise<void> {
    const at = Math.floor(nanos / STRETCH_NANOS);
    await Promise.all([at - 1, at, at + 1].filter((number) => number >= 0).map((number) => this.load(number)));
  }

  /** Keys of the last seconds before a time, in order. */
  keysBefore(nanos: number): Message<KeyMessage>[] {
    return this.around(nanos, 'keys');
  }

  sceneAt(nanos: number): Scene {
    const messages = this.around(nanos, 'pointer').filter((each) => each.nanos <= nanos);
    const scene: Scene = { pointer: undefined, shape: undefined, isPressed: false, ripples: [], trail: [], drag: [] };
    const last = messages.at(-1);
    if (!last) return scene;
    scene.pointer = pointOf(last.message);
    const cursor = this.around(nanos, 'cursor').findLast((each) => each.nanos <= nanos);
    scene.shape = cursor && this.shapes.of(cursor.message);
    let press = -1;
    for (const [at, { nanos: then, message }] of messages.entries()) {
      if (message.kind === 'press') {
        press = at;
        const age = (nanos - then) / RIPPLE_NANOS;
        if (age < 1) scene.ripples.push({ ...pointOf(message), age, button: message.button ?? 1 });
      }
      if (then >= nanos - TRAIL_NANOS && message.kind === 'move') {
        scene.trail.push({ ...pointOf(message), age: (nanos - then) / TRAIL_NANOS });
      }
    }
    const release = messages.findIndex(({ message }, at) => at > press && message.kind === 'release');
    scene.isPressed = press >= 0 && release < 0;
    if (press >= 0 && (release < 0 || nanos - messages[release].nanos < DRAG_NANOS)) {
      const path = messages.slice(press, release < 0 ? undefined : release + 1);
      scene.drag = path.filter(({ message }) => message.kind !== 'scroll').map(({ message }) => pointOf(message));
    }
    return scene;
  }

  private around<T extends keyof Stretch>(nanos: number, track: T): Stretch[T] {
    const at = Math.floor(nanos / STRETCH_NANOS);
    const [before, now] = [this.stretches.get(at - 1), this.stretches.get(at)];
    return [...(before?.[track] ?? []), ...(now?.[track] ?? [])] as Stretch[T];
  }

  private async load(number: number): Promise<void> {
    const kept = this.stretches.get(number);
    if (kept) {
      this.stretches.delete(number);
      this.stretches.set(number, kept);
      return;
    }
    if (this.asked.has(number)) return;
    this.asked.add(number);
    const from = number * STRETCH_NANOS;
    const to = from + STRETCH_NANOS - 1;
    try {
      const [before, pointer, keys, shape, cursor] = await Promise.all([
        this.client.ask({ ask: 'latest', track: 'pointer', nanos: from }),
        this.client.ask({ ask: 'messages', track: 'pointer', from, to }),
        this.client.ask({ ask: 'messages', track: 'keys', from, to }),
        this.client.ask({ ask: 'latest', track: 'cursor', nanos: from }),
        this.client.ask({ ask: 'messages', track: 'cursor', from, to }),
      ]);
      // Where the pointer was when the stretch began.
      const start = before as Message<PointerMessage> | undefined;
      const first: Message<PointerMessage>[] = start ? [{ ...start, message: { ...start.message, kind: 'move' } }] : [];
      // And how it looked.
      const look = shape ? [shape as Message<CursorMessage>] : [];
      this.stretches.set(number, {
        pointer: [...first, ...(pointer as Message<PointerMessage>[])],
        keys: keys as Message<KeyMessage>[],
        cursor: [...look, ...(cursor as Message<CursorMessage>[])],
      });
      this.version++;
      for (const oldest of this.stretches.keys()) {
        if (this.stretches.size <= MAX_STRETCHES) break;
        this.stretches.delete(oldest);
      }
    } catch (error) {
      if (!isCancelled(error)) await new Promise((resolve) => setTimeout(resolve, 1000));
    } finally {
      this.asked.delete(number);
    }
  }
}

const pointOf = ({ x_px, y_px }: PointerMessage): Point => ({ x: x_px, y: y_px });
