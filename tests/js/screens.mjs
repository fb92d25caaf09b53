// Takes the pictures of the player and the list of sessions in docs/screens: `node screens.mjs BUNDLE ACTIONS.json SECONDS`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { servePage } from './page_server.js';

const [file, actionsFile, seconds] = process.argv.slice(2);
const root = join(import.meta.dirname, '../..');
const actions = JSON.parse(readFileSync(actionsFile, 'utf8'));
const now = Date.now();
const preview = previewOf(readFileSync(file));
const row = (id, title, expert, state, more) => ({
  bundle_id: id, project: 'olympus-physics', expert, bytes: 93e6, sha256: '0'.repeat(64), state, reason: null,
  facts: title ? { title, duration_nanos: 3878e9 } : null, offset: 93e6, announced_at_millis: now - Number(id) * 5_400_000, changed_at_millis: now, ...more,
});
const rows = [
  row('1', null, 'heron-7', 'receiving', { offset: 41e6 }),
  row('2', 'Mean of twenty numbers', 'heron-7', 'verified', { bytes: 298_800, facts: { title: 'Mean of twenty numbers', duration_nanos: 18.9e9 } }),
  row('3', 'Stability of a driven pendulum', 'heron-7', 'verified', {}),
  row('4', 'Heat flow through a wall of two layers', 'otter-2', 'verified', { bytes: 141e6, facts: { title: 'Heat flow through a wall of two layers', duration_nanos: 5210e9 } }),
  row('5', null, 'otter-2', 'rejected', { reason: 'the last chunk does not match its digest' }),
];
const bundles = new Map(rows.map((each) => [each.bundle_id, { file, actions, row: each, preview }]));

/** The strip of pictures that sealing attaches to a bundle. */
function previewOf(bytes) {
  const at = bytes.indexOf('praxis.preview');
  const start = bytes.indexOf(Buffer.of(0xff, 0xd8, 0xff), at);
  const length = Number(bytes.readBigUInt64LE(start - 8));
  return bytes.subarray(start, start + length);
}

const server = await servePage(join(root, 'ui/dist'), { bundles });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
for (const [name, colorScheme, width] of [['light', 'light', 1440], ['dark', 'dark', 1440], ['narrow', 'light', 900]]) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  await page.goto(`${server.url}?session=2&t=${Math.round(seconds * 1000)}`);
  await page.waitForSelector('.stage[data-state=paused][data-nanos]');
  await page.waitForTimeout(1500);
  if (name === 'light') await page.locator('.timeline .body').hover({ position: { x: 900, y: 40 } });
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(root, `docs/screens/player-${name}.png`) });
  if (name !== 'narrow') {
    await page.goto(server.url);
    await page.waitForSelector('tr[data-bundle] img');
    await page.waitForTimeout(500);
    await page.screenshot({ path: join(root, `docs/screens/sessions-${name}.png`) });
  }
  await page.close();
}
await browser.close();
await server.close();
