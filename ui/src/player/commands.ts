// Everything the player can be told by a key: the map that `?` shows, and what each key does.
import { actionAt } from '../replay/actions';
import { SPEEDS } from '../replay/player';
import type { View } from './view.svelte';

export interface Command {
  /** As `KeyboardEvent.key`; any of them. */
  keys: string[];
  /** As caps. */
  caps: string[];
  words: string;
  run: (view: View, key: string) => void;
}

/** After "previous" within so long of a target, the one before it is meant. */
const SLACK_NANOS = 300_000_000;
const by = (seconds: number) => (view: View) => view.player.seek(view.player.nanos + seconds * 1e9);

export function toAction(view: View, isNext: boolean): void {
  if (!view.actions) {
    view.say(view.actionsProblem ? 'The actions could not be read' : 'The actions are still being read');
    return;
  }
  const { actions } = view.actions;
  const now = view.player.nanos;
  const at = actionAt(actions, isNext ? now : now - SLACK_NANOS);
  const found = isNext ? actions[at + 1] : actions[at];
  if (found) view.player.seek(found.start_nanos);
  else view.say(isNext ? 'No action follows' : 'No action comes before');
}

export function toMarker(view: View, isNext: boolean): void {
  const now = view.player.nanos;
  const { markers } = view.player.lanes;
  const found = isNext
    ? markers.find(({ nanos }) => nanos > now)
    : markers.findLast(({ nanos }) => nanos < now - SLACK_NANOS);
  if (found) view.player.seek(found.nanos);
  else if (isNext && !view.player.lanes.isDone) view.say('The markers are not all known yet');
  else view.say(isNext ? 'No marker follows' : 'No marker comes before');
}

function changeSpeed(view: View, step: number): void {
  const at = SPEEDS.indexOf(view.player.speed);
  const speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + step))];
  view.setSpeed(speed);
  view.say(`${speed}×${speed > 4 ? ', without sound' : ''}`);
}

export function showDisplay(view: View): void {
  const { displays, shown } = view.player;
  const choices = displays.length > 1 ? [...displays.map((each) => [each]), displays] : [displays];
  const at = choices.findIndex((choice) => choice.join() === shown.join());
  view.player.showDisplays(choices[(at + 1) % choices.length]);
}

export function changeZoom(view: View): void {
  const next = { fit: 1, 1: 2, 2: 4 }[String(view.zoom)];
  view.zoom = next ?? 'fit';
}

export const commands: Command[] = [
  { keys: [' ', 'k', 'K'], caps: ['Space', 'K'], words: 'Play or pause', run: (view) => view.player.toggle() },
  { keys: ['j', 'J'], caps: ['J'], words: 'Back 10 s', run: by(-10) },
  { keys: ['l', 'L'], caps: ['L'], words: 'Forward 10 s', run: by(10) },
  { keys: ['ArrowLeft'], caps: ['←'], words: 'Back 5 s', run: by(-5) },
  { keys: ['ArrowRight'], caps: ['→'], words: 'Forward 5 s', run: by(5) },
  { keys: [','], caps: [','], words: 'Previous picture', run: (view) => void view.player.step(false) },
  { keys: ['.'], caps: ['.'], words: 'Next picture', run: (view) => void view.player.step(true) },
  { keys: ['Shift+ArrowLeft'], caps: ['Shift', '←'], words: 'Previous action', run: (view) => toAction(view, false) },
  { keys: ['Shift+ArrowRight'], caps: ['Shift', '→'], words: 'Next action', run: (view) => toAction(view, true) },
  { keys: ['['], caps: ['['], words: 'Previous marker', run: (view) => toMarker(view, false) },
  { keys: [']'], caps: [']'], words: 'Next marker', run: (view) => toMarker(view, true) },
  { keys: ['<'], caps: ['<'], words: 'Slower', run: (view) => changeSpeed(view, -1) },
  { keys: ['>'], caps: ['>'], words: 'Faster', run: (view) => changeSpeed(view, 1) },
  {
    keys: [...'0123456789'],
    caps: ['0 – 9'],
    words: 'To 0 – 90 % of the session',
    run: (view, key) => view.player.seek((Number(key) / 10) * view.player.durationNanos),
  },
  { keys: ['s', 'S'], caps: ['S'], words: 'Jump idle stretches, on or off', run: (view) => view.setIdle(!view.player.jumpsIdle, view.player.idleNanos / 1e9) },
  { keys: ['c', 'C'], caps: ['C'], words: 'Key captions, on or off', run: (view) => view.toggle('showsCaptions') },
  { keys: ['r', 'R'], caps: ['R'], words: 'Click ripples and trails, on or off', run: (view) => view.toggle('showsRipples') },
  { keys: ['x', 'X'], caps: ['X'], words: 'Mark pixels that are near or masked, on or off', run: (view) => (view.showsMarks = !view.showsMarks) },
  { keys: ['z', 'Z'], caps: ['Z'], words: 'Zoom: fit, 100 %, 200 %, 400 %', run: changeZoom },
  { keys: ['d', 'D'], caps: ['D'], words: 'Next display', run: showDisplay },
  { keys: ['v', 'V'], caps: ['V'], words: 'Sound on or off', run: (view) => view.toggleSound() },
  { keys: ['?'], caps: ['?'], words: 'This map', run: (view) => (view.isHelpOpen = true) },
];

/** What a key press asks for; undefined while text is typed, in a dialog, or with another meaning for the browser. */
export function commandFor(event: KeyboardEvent): Command | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return undefined;
  const { target } = event;
  if (target instanceof Element) {
    const own = 'input:not([type=range]), textarea, select, [contenteditable], dialog, [role=menu]';
    if (target.closest(own)) return undefined;
    // A focused button means Space and Enter for itself, a slider its arrows.
    if (event.key === ' ' && target.closest('button, a, summary')) return undefined;
    if (event.key.startsWith('Arrow') && target.closest('input, [role=tablist]')) return undefined;
  }
  const isArrow = event.key.startsWith('Arrow');
  const key = isArrow && event.shiftKey ? `Shift+${event.key}` : event.key;
  return commands.find(({ keys }) => keys.includes(key));
}
