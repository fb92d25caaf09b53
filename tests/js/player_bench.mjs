// Measures the player in Chromium on a bundle: `BUNDLE=FILE node player_bench.mjs`. Prints figures for docs/performance.md.
//
// A seek is counted from the press on the timeline to the frame after the one in which the right picture was put on the
// canvas. Memory is what the browser's page and its workers hold resident.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

import { calm, launch, place } from './browser.mjs';
import { servePage } from './page_server.js';

const SEEKS = 200;
const answer = { reducer_version: 1, parameters: {}, actions: [], left_out: { lone_releases: 0, lone_modifiers: 0 } };
const { BUNDLE } = process.env;
if (!BUNDLE) throw new Error('BUNDLE names a bundle; `cargo run -p praxis-bundle --example long_bundle -- FILE 60` makes one of an hour');
const server = await servePage(join(import.meta.dirname, '../../ui/dist'), { bundles: new Map([['x', { file: BUNDLE, actions: answer }]]), isCollector: false });
const browser = await launch();

function summary(times) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(0);
  return `median ${at(0.5)}, 95th percentile ${at(0.95)}, largest ${at(1)} ms of ${sorted.length}`;
}

/** Resident memory of the browser's renderers, in MiB. */
function rendererMib() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const isRenderer = (pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer');
    } catch {
      return false;
    }
  };
  const kib = pids.filter(isRenderer).map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0));
  return kib.reduce((sum, one) => sum + one, 0) / 1024;
}

function randoms(seed) {
  return () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
}

/** Presses on the timeline and waits for the picture: milliseconds from the press, by the page's own clock. */
async function seek(page, share) {
  const [x, y] = await place(page, share);
  await page.evaluate(() => {
    globalThis.shown = new Promise((resolve) => {
      addEventListener('pointerdown', ({ timeStamp }) => {
        const look = () => {
          const { state, nanos } = document.querySelector('.stage').dataset;
          if (state !== 'seeking' && nanos) requestAnimationFrame(() => resolve(performance.now() - timeStamp));
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      }, { once: true, capture: true });
    });
  });
  await page.mouse.click(x, y);
  return page.evaluate(() => globalThis.shown);
}

for (const delayMillis of [0, 20]) {
  server.state.delayMillis = delayMillis;
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const begun = performance.now();
  await page.goto(server.url);
  await page.waitForFunction(() => document.querySelector('.stage')?.dataset.nanos);
  const first = performance.now() - begun;
  await calm(page);
  // The survey of the whole bundle runs beside; seeks are measured when it is over.
  for (let ranges = -1; ranges !== server.state.ranges; ) {
    ranges = server.state.ranges;
    await page.waitForTimeout(2000);
  }
  const [random, before, times] = [randoms(7), rendererMib(), []];
  for (let n = 0; n < SEEKS; n++) times.push(await seek(page, random()));
  const sought = rendererMib();
  console.log(`${basename(BUNDLE)}, ${delayMillis} ms added to each answer: from the address to the first picture ${first.toFixed(0)} ms; seek ${summary(times)}`);
  console.log(`  memory of the page: ${before.toFixed(0)} MiB before, ${sought.toFixed(0)} after ${SEEKS} seeks`);
  if (delayMillis === 0) {
    await page.keyboard.press('0');
    await calm(page);
    await page.getByLabel('Speed').selectOption('16');
    await page.keyboard.press('Space');
    await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'ended', undefined, { timeout: 600_000 });
    console.log(`  ${rendererMib().toFixed(0)} after it was played through at 16 times the speed`);
  }
  await context.close();
}
await browser.close();
await server.close();
console.log(execFileSync('/usr/bin/chromium', ['--version'], { encoding: 'utf8' }).trim());
