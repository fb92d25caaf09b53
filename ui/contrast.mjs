// Checks the colours of src/styles/tokens.css: contrast by WCAG 2.2 AA of every pair in use, and equal dark blocks. Exits 1 below a bound.
import { readFileSync } from 'node:fs';

const css = readFileSync(new URL('./src/styles/tokens.css', import.meta.url), 'utf8');
const blocks = css
  .split(/\n(?=:root|@media)/)
  .map((block) => Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})\b/g)].map(([, name, value]) => [name, value])))
  .filter((colours) => Object.keys(colours).length > 10);
const [light, darkBySystem, dark] = blocks;
const failures = [];

if (JSON.stringify(darkBySystem) !== JSON.stringify(dark)) failures.push('the two dark blocks differ');
if (Object.keys(light).join() !== Object.keys(dark).join()) failures.push('light and dark do not define the same colours');

/** Relative luminance (WCAG 2.2). */
function luminance(hex) {
  const [red, green, blue] = [1, 3, 5]
    .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [lower, higher] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (higher + 0.05) / (lower + 0.05);
}

const TEXT = 4.5;
const MARK = 3;
const surfaces = ['bg', 'surface', 'surface-raised', 'surface-sunken', 'surface-hover', 'surface-selected'];
const pairs = [
  ...surfaces.flatMap((surface) => ['text', 'text-2', 'text-3'].map((text) => [text, surface, TEXT])),
  ...['bg', 'surface-raised', 'accent-soft'].map((surface) => ['accent-text', surface, TEXT]),
  ...['ok', 'warn', 'error', 'rec'].map((role) => [`${role}-text`, `${role}-soft`, TEXT]),
  ['on-ink', 'ink', TEXT],
  ['on-ink', 'ink-hover', TEXT],
  ['on-rec', 'rec', TEXT],
  ['on-accent', 'accent', TEXT],
  ...[1, 2, 3, 4].map((window) => ['track-window-text', `track-window-${window}`, TEXT]),
  ...['keys', 'pointer', 'voice', 'marker'].map((track) => [`track-${track}`, 'surface-sunken', MARK]),
  ['accent-text', 'surface-selected', TEXT],
  ...['bg', 'surface', 'surface-raised'].flatMap((surface) => ['accent', 'rec', 'border-strong'].map((mark) => [mark, surface, MARK])),
];
for (const [theme, colours] of Object.entries({ light, dark })) {
  for (const [front, back, bound] of pairs) {
    if (!colours[front] || !colours[back]) continue;
    const found = contrast(colours[front], colours[back]);
    if (found < bound) failures.push(`${theme}: ${front} on ${back} is ${found.toFixed(2)}, at least ${bound} is needed`);
  }
}
failures.forEach((failure) => console.error(failure));
process.exit(failures.length > 0 ? 1 : 0);
