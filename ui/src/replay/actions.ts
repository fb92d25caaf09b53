// The actions of a session, as the server that holds the bundle reduces them, and how each is said in a row.
import { count, counted } from '../lib/format';
import type { IconName } from '../lib/icons';
import { keyName } from './captions';

export interface Action {
  id: number;
  kind: 'click' | 'drag' | 'scroll' | 'type' | 'press' | 'hotkey' | 'hover' | 'wait';
  start_nanos: number;
  end_nanos: number;
  display?: number;
  x_px?: number;
  y_px?: number;
  button?: number;
  clicks?: 1 | 2 | 3;
  is_long?: boolean;
  path?: { nanos: number; x_px: number; y_px: number }[];
  dx_ticks?: number;
  dy_ticks?: number;
  modifiers?: string[];
  text?: string;
  keystrokes?: number;
  corrections?: number;
  keys?: string[];
  count?: number;
  is_thinking?: boolean;
  window?: { title: string; class: string };
  element?: { role: string; name: string; value?: string };
  is_truncated?: boolean;
}

export interface ActionsAnswer {
  reducer_version: number;
  actions: Action[];
  left_out: { lone_releases: number; lone_modifiers: number };
}

/** Rejects with a sentence. */
export async function loadActions(base: string, signal?: AbortSignal): Promise<ActionsAnswer> {
  let answer: Response;
  try {
    answer = await fetch(`${base}/actions`, { signal, cache: 'no-store' });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error(`the list of actions could not be read: ${error instanceof Error ? error.message : error}`);
  }
  if (!answer.ok) throw new Error(`the list of actions could not be read: the server answered ${answer.status}`);
  return (await answer.json()) as ActionsAnswer;
}

export interface Row {
  icon: IconName;
  verb: string;
  /** Typed text, shown as code. */
  text: string;
  /** Caps. */
  keys: string[];
  object: string;
  aside: string;
}

const CLICKS = ['', 'Click', 'Double-click', 'Triple-click'];
const BUTTONS: Record<number, string> = { 2: 'Middle-click', 3: 'Right-click', 8: 'Back button', 9: 'Forward button' };

export function rowOf(action: Action, os: string): Row {
  const row: Row = { icon: 'pointer', verb: '', text: '', keys: [], object: '', aside: '' };
  const place = action.x_px === undefined ? '' : `${action.x_px}, ${action.y_px}`;
  const on = action.element ? [action.element.role, action.element.name && `“${action.element.name}”`].filter(Boolean).join(' ') : '';
  const held = (action.modifiers ?? []).map((key) => keyName(key, os));
  switch (action.kind) {
    case 'click': {
      const isLeft = (action.button ?? 1) === 1;
      const verb = isLeft ? CLICKS[action.clicks ?? 1] : (BUTTONS[action.button ?? 0] ?? `Button ${action.button}`);
      return { ...row, verb, keys: held, object: [on, action.is_long ? 'held long' : ''].filter(Boolean).join(', '), aside: place };
    }
    case 'drag': {
      const end = action.path?.at(-1);
      return { ...row, icon: 'drag', verb: 'Drag', keys: held, object: [on, end ? `to ${end.x_px}, ${end.y_px}` : ''].filter(Boolean).join(' '), aside: place };
    }
    case 'scroll': {
      const { dx_ticks: dx = 0, dy_ticks: dy = 0 } = action;
      const ways = [
        dy === 0 ? '' : `${dy > 0 ? 'down' : 'up'} ${counted(Math.abs(dy), 'step')}`,
        dx === 0 ? '' : `${dx > 0 ? 'right' : 'left'} ${counted(Math.abs(dx), 'step')}`,
      ];
      return { ...row, icon: 'scroll', verb: 'Scroll', keys: held, object: ways.filter(Boolean).join(', ') || 'and back', aside: place };
    }
    case 'hover':
      return { ...row, verb: 'Hover', keys: held, aside: place };
    case 'wait': {
      const seconds = Math.floor((action.end_nanos - action.start_nanos) / 1e9);
      return { ...row, icon: 'hourglass', verb: 'Wait', object: action.is_thinking ? 'speaking' : '', aside: counted(seconds, 'second') };
    }
    case 'type': {
      const { corrections = 0, keystrokes = 0, text = '' } = action;
      const aside = corrections > 0 ? counted(corrections, 'correction') : counted(keystrokes, 'key');
      return { ...row, icon: 'edit', verb: 'Type', text: text.replaceAll('\n', '⏎'), aside };
    }
    default: {
      const aside = (action.count ?? 1) > 1 ? `${count(action.count ?? 1)} times` : '';
      return { ...row, icon: 'keyboard', verb: 'Press', keys: (action.keys ?? []).map((key) => keyName(key, os)), aside };
    }
  }
}

/** What a search looks through. */
export const wordsOf = (action: Action, os: string): string => {
  const { verb, text, keys, object, aside } = rowOf(action, os);
  return [verb, text, keys.join('+'), object, aside, action.window?.title, action.window?.class].join('\n').toLowerCase();
};

/** The one that is going on at a time, or the last one before; -1 before the first. */
export function actionAt(actions: readonly Action[], nanos: number): number {
  let [low, high] = [0, actions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (actions[middle].start_nanos <= nanos) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
