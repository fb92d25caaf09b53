// Reads a key combination from the keyboard, as `Ctrl+Alt+R`.

const MODIFIERS = ['Control', 'Alt', 'Shift', 'Meta'];

/** Null until a key is pressed together with Ctrl, Alt or the system key, or a function key alone. */
export function hotkeyOf(event: KeyboardEvent): string | null {
  if (MODIFIERS.includes(event.key)) return null;
  const key = event.code.replace(/^(Key|Digit)/, '');
  const isFunctionKey = /^F\d+$/.test(key);
  if (!isFunctionKey && !event.ctrlKey && !event.altKey && !event.metaKey) return null;
  const held = [event.ctrlKey && 'Ctrl', event.altKey && 'Alt', event.shiftKey && 'Shift', event.metaKey && 'Super'];
  return [...held.filter(Boolean), key].join('+');
}
