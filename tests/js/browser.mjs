// What the tests in a browser share: it is started, a page is opened in it, its picture is compared with `praxis frame`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';
import { PNG } from 'pngjs';

const praxis = process.env.PRAXIS ?? join(import.meta.dirname, '../../target/debug/praxis');

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });

/** Opens the page, runs the work, and holds that the browser had nothing to complain of but what is expected. */
export async function opened(browser, url, work, { expected = /^$/, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error.stack)));
  try {
    await page.goto(url);
    await work(page);
  } finally {
    await context.close();
  }
  assert.deepEqual(complaints.filter((text) => !expected.test(text)), []);
}

export const stage = (page) => page.locator('.stage').evaluate(({ dataset }) => ({ ...dataset, at: Number(dataset.at), nanos: Number(dataset.nanos) }));
export const settled = (page) => page.waitForFunction(() => ['paused', 'ended'].includes(document.querySelector('.stage')?.dataset.state) && document.querySelector('.stage').dataset.nanos);

/** Waits for two frames: what is said of the time is then of the picture. */
export async function calm(page) {
  await settled(page);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

export async function pixels(page) {
  const address = await page.locator('canvas.picture').evaluate((canvas) => canvas.toDataURL('image/png'));
  return PNG.sync.read(Buffer.from(address.split(',')[1], 'base64'));
}

export function frame(file, nanos) {
  const folder = mkdtempSync(join(tmpdir(), 'praxis-frame-'));
  const out = join(folder, 'frame.png');
  const at = `${Math.floor(nanos / 1e9)}.${String(nanos % 1e9).padStart(9, '0')}`;
  execFileSync(praxis, ['frame', file, '--display', '0', '--at', at, '-o', out], { stdio: ['ignore', 'ignore', 'inherit'] });
  const picture = PNG.sync.read(readFileSync(out));
  rmSync(folder, { recursive: true });
  return picture;
}

/** `what` says where, if they differ. */
export async function assertSamePicture(page, file, what) {
  const { at } = await stage(page);
  const [found, expected] = [await pixels(page), frame(file, at)];
  assert.deepEqual([found.width, found.height], [expected.width, expected.height]);
  assert.ok(found.data.equals(expected.data), `${what}: the picture at ${at} ns is not that of the bundle`);
}

/** Holds that the pointer is drawn where it was at the time that is shown, in the shape that it had. */
export async function assertPointer(page, file) {
  const { at } = await stage(page);
  const latest = (track) => {
    const lines = execFileSync(praxis, ['events', file, '--track', track], { encoding: 'utf8' }).trim().split('\n');
    return lines.map((line) => JSON.parse(line)).findLast(({ session_time_nanos }) => session_time_nanos <= at);
  };
  const [pointer, cursor] = [latest('pointer'), latest('cursor')];
  const isDrawn = () =>
    page.evaluate(
      async ({ png, hot, point }) => {
        const [overlay, picture] = ['overlay', 'picture'].map((name) => document.querySelector(`canvas.${name}`));
        const [over, under] = [overlay.getBoundingClientRect(), picture.getBoundingClientRect()];
        const scale = under.width / picture.width;
        const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
        const shape = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
        // A pointer is never drawn smaller than it was.
        const size = Math.max(1, scale);
        const left = under.left - over.left + point[0] * scale - hot[0] * size;
        const top = under.top - over.top + point[1] * scale - hot[1] * size;
        const canvas = () => new OffscreenCanvas(overlay.width, overlay.height).getContext('2d', { willReadFrequently: true });
        const [expected, copy] = [canvas(), canvas()];
        copy.drawImage(overlay, 0, 0);
        expected.drawImage(shape, left, top, shape.width * size, shape.height * size);
        const [wanted, drawn] = [expected, copy].map((each) => each.getImageData(0, 0, overlay.width, overlay.height).data);
        let [numOpaque, numOther] = [0, 0];
        for (let at = 0; at < wanted.length; at += 4) {
          if (wanted[at + 3] !== 255) continue;
          numOpaque++;
          if ([0, 1, 2, 3].some((part) => Math.abs(wanted[at + part] - drawn[at + part]) > 2)) numOther++;
        }
        if (numOpaque < 10) return 'the shape has no pixels';
        return numOther > 0 ? `${numOther} of ${numOpaque} pixels are not those of the shape` : '';
      },
      { png: cursor.png, hot: [cursor.hot_x_px, cursor.hot_y_px], point: [pointer.x_px, pointer.y_px] },
    );
  // The shape is decoded beside the picture.
  for (let tries = 0; tries < 50 && (await isDrawn()); tries++) await page.waitForTimeout(100);
  assert.equal(await isDrawn(), '', `${cursor.name} at ${pointer.x_px}, ${pointer.y_px}`);
}

export async function place(page, share) {
  const box = await page.locator('.timeline .body').boundingBox();
  return [box.x + 1 + share * (box.width - 2), box.y + 40];
}

/**
 * Makes the page of a bundle of flashes note its clock and what it sounds. The function that is returned says of each tone how far the
 * player's clock was from its second when it was heard, and how long its frames took, in milliseconds.
 */
export async function watchFlashes(page) {
  await page.evaluate(() => {
    const QUIET_SECONDS = 0.05;
    const watch = (globalThis.flashes = { ticks: [], tones: [] });
    const { start, stop } = AudioBufferSourceNode.prototype;
    AudioBufferSourceNode.prototype.start = function (when, offset = 0) {
      const { sampleRate } = this.buffer;
      let numQuiet = 0;
      this.buffer.getChannelData(0).forEach((sample, at) => {
        const isQuiet = Math.abs(sample) < 0.1;
        if (!isQuiet && numQuiet > QUIET_SECONDS * sampleRate) watch.tones.push({ source: this, seconds: when + at / sampleRate - offset });
        numQuiet = isQuiet ? numQuiet + 1 : 0;
      });
      watch.context = this.context;
      return start.call(this, when, offset);
    };
    // What is placed and stopped before its time is not heard.
    AudioBufferSourceNode.prototype.stop = function (...args) {
      watch.tones = watch.tones.filter(({ source, seconds }) => source !== this || seconds < this.context.currentTime);
      return stop.apply(this, args);
    };
    const look = () => {
      const [millis, { at }] = [performance.now(), document.querySelector('.stage').dataset];
      const { contextTime, performanceTime } = watch.context?.getOutputTimestamp() ?? {};
      watch.ticks.push({ millis, at: Number(at), heardFromMillis: performanceTime - contextTime * 1000 });
    };
    new MutationObserver(look).observe(document.querySelector('.stage'), { attributeFilter: ['data-at'] });
  });
  return () => page.evaluate(() => {
    const { ticks, tones } = globalThis.flashes;
    const known = ticks.filter(({ heardFromMillis }) => heardFromMillis > 0);
    const frames = ticks.slice(1).map(({ millis }, n) => millis - ticks[n].millis);
    const found = tones.map(({ seconds }) => {
      const heard = ({ heardFromMillis }) => heardFromMillis + seconds * 1000;
      const near = (tick) => Math.abs(heard(tick) - tick.millis);
      const tick = known.reduce((best, one) => (near(one) < near(best) ? one : best));
      const at = tick.at / 1e6 + heard(tick) - tick.millis;
      const second = Math.round(at / 1000);
      return { second, fromClock: at - second * 1000 };
    });
    return { tones: found, frames };
  });
}

export const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
