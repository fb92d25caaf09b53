// What the keys of the last moments amount to, for people: produced text as it was typed, shortcuts in the platform's notation.
import type { Listed } from './decode/survey';
import type { KeyMessage, Modifier } from './decode/types';

/** A caption is gone so long after its last key, and keys farther apart are not one caption. */
const LASTING_NANOS = 1_200_000_000;
const MAX_TEXT = 40;
const MAX_PARTS = 6;

export type CaptionPart = { kind: 'keys'; keys: string[]; count: number } | { kind: 'text'; text: string };

const NAMES: Record<string, string> = {
  Return: 'Enter', Linefeed: 'Enter', KP_Enter: 'Enter', Escape: 'Esc', BackSpace: 'Backspace', Tab: 'Tab', ISO_Left_Tab: 'Tab', space: 'Space',
  Left: '←', Right: '→', Up: '↑', Down: '↓', Prior: 'Page Up', Next: 'Page Down', Page_Up: 'Page Up', Page_Down: 'Page Down',
  Home: 'Home', End: 'End', Insert: 'Insert', Delete: 'Delete', Print: 'Print', Menu: 'Menu', Pause: 'Pause',
  comma: ',', period: '.', minus: '-', plus: '+', equal: '=', slash: '/', backslash: '\\', semicolon: ';', apostrophe: "'",
  bracketleft: '[', bracketright: ']', grave: '`', numbersign: '#', question: '?', exclam: '!', less: '<', greater: '>',
  colon: ':', underscore: '_', asterisk: '*', ampersand: '&', parenleft: '(', parenright: ')', quotedbl: '"', at: '@',
};
const MAC: Record<string, string> = { control: '⌃', ctrl: '⌃', alt: '⌥', shift: '⇧', super: '⌘', meta: '⌘', Enter: '↩', Backspace: '⌫', Esc: '⎋', Tab: '⇥' };
const WORDS: Record<string, string> = { control: 'Ctrl', ctrl: 'Ctrl', alt: 'Alt', shift: 'Shift', alt_gr: 'AltGr' };
const LONE = /^(Shift|Control|Alt|Meta|Super|Hyper|ISO_Level|Caps_Lock|Num_Lock|Mode_switch|Multi_key|dead_)/;

/** How a key or modifier is written on that system. */
export function keyName(key: string, os: string): string {
  const isMac = /mac|darwin/i.test(os);
  const name = NAMES[key] ?? key;
  if (isMac && MAC[name]) return MAC[name];
  if (key === 'super' || key === 'meta') return /win/i.test(os) && !isMac ? 'Win' : 'Super';
  return WORDS[key] ?? (name.length === 1 ? name.toUpperCase() : name.replaceAll('_', ' '));
}

/** The caption at a time, from the keys before it in order; empty if there is none. */
export function captionAt(keys: readonly Listed<KeyMessage>[], nanos: number, os: string): CaptionPart[] {
  const recent: KeyMessage[] = [];
  let next = nanos;
  for (let at = keys.length - 1; at >= 0; at--) {
    const { nanos: then, message } = keys[at];
    if (then > nanos || message.kind !== 'press' || LONE.test(message.keysym)) continue;
    if (next - then > LASTING_NANOS) break;
    recent.unshift(message);
    next = then;
  }
  let parts: CaptionPart[] = [];
  for (const message of recent) {
    const last = parts.at(-1);
    const text = textOf(message);
    if (text !== undefined) {
      if (last?.kind === 'text') last.text = (last.text + text).slice(-MAX_TEXT);
      else parts.push({ kind: 'text', text });
      continue;
    }
    const pressed = [...held(message), message.keysym].map((key) => keyName(key, os));
    if (last?.kind === 'keys' && last.keys.join() === pressed.join()) last.count++;
    else parts.push({ kind: 'keys', keys: pressed, count: 1 });
    parts = parts.slice(-MAX_PARTS);
  }
  return parts;
}

/** Printable text that the key produced, and that is no shortcut. */
function textOf({ text, modifiers }: KeyMessage): string | undefined {
  if (!text || modifiers.some((each) => each === 'control' || each === 'alt' || each === 'super')) return undefined;
  return /^[\u0000-\u001f\u007f]/.test(text) ? undefined : text;
}

const ORDER: Modifier[] = ['control', 'alt', 'shift', 'super'];
const held = ({ modifiers }: KeyMessage) => ORDER.filter((each) => modifiers.includes(each));
