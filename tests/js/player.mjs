// The page of the player in a real browser: pictures pixel for pixel, seeks, keys, damage, sign-in, accessibility, strict CSP.
//
// `node --test player.mjs`. PRAXIS names the program that `frame` is asked of (target/debug/praxis if it is not set), BUNDLE a
// sealed bundle of some length with one display, FLASHES one of flashes and tones, CHROMIUM the browser; the page must have been
// built (ui/dist).
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import axe from 'axe-core';

import { assertSamePicture, calm, launch, median, opened as openedIn, place, stage, watchFlashes } from './browser.mjs';
import { servePage } from './page_server.js';

const root = join(import.meta.dirname, '../..');
const bundle = process.env.BUNDLE;
assert.ok(bundle, 'BUNDLE names a sealed bundle to play; `cargo run -p praxis-bundle --example long_bundle -- FILE` makes one');
const flashes = process.env.FLASHES;
assert.ok(flashes, 'FLASHES names a bundle of flashes and tones; `cargo run -p praxis-tests --example flashes -- FILE` makes one');
const fixture = (name) => join(root, 'tests/fixtures/conformance', name);
const folder = mkdtempSync(join(tmpdir(), 'praxis-player-'));

const action = (id, kind, second, more) => ({ id, kind, start_nanos: second * 1e9, end_nanos: second * 1e9 + 1e8, ...more });
const answer = (list) => ({ reducer_version: 1, parameters: {}, actions: list, left_out: { lone_releases: 0, lone_modifiers: 0 } });
const actions = answer([
  action(0, 'click', 1, { x_px: 10, y_px: 20, button: 1, clicks: 2, window: { title: 'Notes', class: 'editor' } }),
  action(1, 'type', 2, { text: 'mean of twenty', keystrokes: 14, corrections: 0, window: { title: 'Notes', class: 'editor' } }),
  action(2, 'hotkey', 3, { keys: ['ctrl', 's'], count: 1, window: { title: 'Notes', class: 'editor' } }),
]);
const row = (id, title, state, more) => ({
  bundle_id: id, project: 'olympus', expert: 'heron-7', bytes: 93e6, sha256: '0'.repeat(64), state, reason: null,
  facts: state === 'verified' ? { title, duration_nanos: 600e9 } : null, offset: 40e6, announced_at_millis: Date.now(), changed_at_millis: Date.now(), ...more,
});
const bundles = new Map([
  ['one', { file: bundle, actions, row: row('one', 'Stability of a pendulum', 'verified') }],
  ['two', { file: fixture('sealed-damaged.mcap'), actions: answer([]), row: row('two', 'A damaged one', 'verified') }],
  ['three', { file: fixture('live.mcap'), actions: answer([]), row: row('three', 'Not sealed', 'verified') }],
  ['voice', { file: fixture('sealed.mcap'), actions: answer([]), row: row('voice', 'With a voice', 'verified') }],
  ['four', { file: bundle, actions, row: row('four', null, 'receiving') }],
  ['later', { file: fixture('operations.mcap'), actions: answer([]), row: row('later', 'Displays that start one after another', 'verified') }],
]);

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await servePage(join(root, 'ui/dist'), { bundles });
});
after(async () => {
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true });
});

/** Opens the player at a query of its address. */
const opened = (query, work, { url = server.url, ...options } = {}) => openedIn(browser, url + query, work, options);

/** Numbers that look random and are the same every time. */
function randoms(seed) {
  return () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
}

test('at 50 random times the picture is the bundle\'s, pixel for pixel', async () => {
  const random = randoms(1);
  await opened('?session=one', async (page) => {
    await calm(page);
    const times = [];
    for (let n = 0; n < 50; n++) {
      const [x, y] = await place(page, random());
      await page.mouse.click(x, y);
      await calm(page);
      times.push((await stage(page)).at);
      await assertSamePicture(page, bundle, `seek ${n}`);
    }
    assert.ok(new Set(times).size > 40);
  });
});

test('of 200 seeks in a row the last one is shown', async () => {
  const random = randoms(2);
  await opened('?session=one', async (page) => {
    await calm(page);
    for (let n = 0; n < 200; n++) await page.mouse.click(...(await place(page, random())));
    const [x, y] = await place(page, 0.37);
    await page.mouse.click(x, y);
    await calm(page);
    const box = await page.locator('.timeline .body').boundingBox();
    const duration = Number(await page.locator('.timeline .body').getAttribute('aria-valuemax')) * 1e9;
    const { at } = await stage(page);
    assert.ok(Math.abs(at / duration - (x - box.x) / box.width) < 0.01, `${at} of ${duration}`);
    await assertSamePicture(page, bundle, 'the last seek');
  });
});

test('a drag over the timeline ends where it is let go', async () => {
  await opened('?session=one', async (page) => {
    await calm(page);
    await page.mouse.move(...(await place(page, 0.1)));
    await page.mouse.down();
    for (let n = 0; n <= 60; n++) await page.mouse.move(...(await place(page, 0.1 + n * 0.01)));
    await page.mouse.up();
    await calm(page);
    await assertSamePicture(page, bundle, 'the release');
  });
});

test('it plays at every speed, stays with its clock, and steps through real pictures', async () => {
  await opened('?session=one&t=30000', async (page) => {
    await calm(page);
    await page.keyboard.press('s');
    for (const speed of [0.25, 1, 4, 16]) {
      await page.getByLabel('Speed').selectOption(String(speed));
      const start = await stage(page);
      await page.keyboard.press('Space');
      await page.waitForFunction((at) => Number(document.querySelector('.stage').dataset.at) > at, start.at + speed * 0.5e9);
      assert.equal((await stage(page)).state, 'playing');
      await page.keyboard.press('k');
      await calm(page);
    }
    const { sequence, at } = await stage(page);
    await page.keyboard.press('.');
    await page.waitForFunction((before) => Number(document.querySelector('.stage').dataset.sequence) === Number(before) + 1, sequence);
    await page.keyboard.press(',');
    await page.waitForFunction((before) => document.querySelector('.stage').dataset.sequence === before, sequence);
    await calm(page);
    assert.ok((await stage(page)).at <= at);
    await assertSamePicture(page, bundle, 'after steps');
  });
});

/** Presses keys in one task of the page: nothing can happen in between. */
const pressAtOnce = (page, keys) =>
  page.evaluate((all) => {
    for (const key of all) document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  }, [...keys]);

const sequenceIs = (page, wanted) => page.waitForFunction((sequence) => Number(document.querySelector('.stage').dataset.sequence) === sequence, wanted);
const passed = (page, nanos) => page.waitForFunction((at) => Number(document.querySelector('.stage').dataset.at) > at, nanos);
const ended = (page) => page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'ended');

test('at the end the last picture is shown, however fast it plays into it', async () => {
  await opened('?session=one&t=585600', async (page) => {
    await calm(page);
    await page.keyboard.press('s');
    for (const speed of [16, 8, 16]) {
      await page.getByLabel('Speed').selectOption(String(speed));
      await page.keyboard.press('Space');
      await ended(page);
      await assertSamePicture(page, bundle, `the end at ${speed}×`);
      await page.keyboard.press('j');
      await calm(page);
    }
  });
});

test('each press of a key that steps is a step, however fast they come', async () => {
  await opened('?session=one&t=30000', async (page) => {
    await calm(page);
    const first = Number((await stage(page)).sequence);
    await pressAtOnce(page, '.....');
    await sequenceIs(page, first + 5);
    await pressAtOnce(page, ',,.,');
    await sequenceIs(page, first + 3);
    await calm(page);
    await assertSamePicture(page, bundle, 'after nine steps');
    // Who goes elsewhere is done with steps.
    await pressAtOnce(page, '...5');
    await calm(page);
    assert.equal((await stage(page)).at, 300e9);
    await assertSamePicture(page, bundle, 'elsewhere');
  });
});

test('a step in the moment of the pause starts from the picture of that moment', async () => {
  await opened('?session=one&t=30000', async (page) => {
    await calm(page);
    // Without a sound device the page's own time drives the clock.
    await page.evaluate(() => delete globalThis.AudioContext);
    await page.keyboard.press('s');
    await page.getByLabel('Speed').selectOption('16');
    for (let n = 1; n <= 5; n++) {
      await page.keyboard.press('Space');
      await passed(page, (30 + n * 10) * 1e9);
      // The clock is stopped for a frame, so that its time is known.
      const pausedAt = await page.evaluate(async () => {
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
        const now = performance.now();
        performance.now = () => now;
        await frame();
        await frame();
        const at = Number(document.querySelector('.stage').dataset.at);
        for (const key of 'k,') document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
        delete performance.now;
        return at;
      });
      await page.waitForFunction((at) => Number(document.querySelector('.stage').dataset.at) < at, pausedAt);
      await calm(page);
      const before = await stage(page);
      await page.keyboard.press('.');
      await sequenceIs(page, Number(before.sequence) + 1);
      await calm(page);
      assert.ok((await stage(page)).at <= pausedAt, `${(await stage(page)).at} after ${pausedAt}`);
      await page.keyboard.press('.');
      await sequenceIs(page, Number(before.sequence) + 2);
      await calm(page);
      assert.ok((await stage(page)).at > pausedAt, `${(await stage(page)).at} before ${pausedAt}`);
    }
  });
});

test('a session without any input is not jumped through', async () => {
  await opened('?session=one&t=30000', async (page) => {
    await calm(page);
    await page.getByLabel('Speed').selectOption('16');
    await page.evaluate(() => {
      const { dataset } = document.querySelector('.stage');
      globalThis.times = [Number(dataset.at)];
      new MutationObserver(() => globalThis.times.push(Number(dataset.at))).observe(document.querySelector('.stage'), { attributeFilter: ['data-at'] });
    });
    await page.keyboard.press('Space');
    await passed(page, 80e9);
    const times = await page.evaluate(() => globalThis.times);
    assert.ok(times.every((at, n) => n === 0 || at - times[n - 1] < 9e9), String(times));
  });
});

test('a display that starts later than another is shown from its first picture on', async () => {
  await opened('?session=later', async (page) => {
    await calm(page);
    const first = await stage(page);
    assert.equal(first.sequence, '0');
    assert.equal(first.at, first.nanos);
    await page.getByLabel('Speed').selectOption('0.25');
    const played = async () => {
      await page.keyboard.press('0');
      await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'paused');
      await page.evaluate(() => {
        const { dataset } = document.querySelector('.stage');
        globalThis.seen = new Set([dataset.sequence]);
        new MutationObserver(() => globalThis.seen.add(dataset.sequence)).observe(document.querySelector('.stage'), { attributeFilter: ['data-sequence'] });
      });
      await page.keyboard.press('Space');
      await sequenceIs(page, 8);
      await page.keyboard.press('Space');
      return page.evaluate(() => [...globalThis.seen].filter((sequence) => sequence !== undefined).slice(0, 9));
    };
    const each = ['0', '1', '2', '3', '4', '5', '6', '7', '8'];
    assert.deepEqual(await played(), each);
    // All displays together begin with the first of them, when this one has nothing yet.
    await page.getByRole('button', { name: 'All' }).click();
    assert.deepEqual(await played(), each);
  });
});

test('while the connection is gone the time stands still, and then it plays on', async () => {
  const other = await servePage(join(root, 'ui/dist'), { bundles: new Map([['x', { file: bundle, actions }]]), isCollector: false });
  await opened('?t=1000', async (page) => {
    await calm(page);
    await page.keyboard.press('s');
    await page.getByLabel('Speed').selectOption('4');
    await page.keyboard.press('Space');
    await passed(page, 2e9);
    other.state.isDown = true;
    let failed = 0;
    page.on('requestfailed', () => failed++);
    await page.getByText('cannot be reached').waitFor({ timeout: 30_000 });
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const { at } = await stage(page);
    const before = failed;
    while (failed < before + 3) await page.waitForEvent('requestfailed');
    assert.equal((await stage(page)).at, at);
    assert.equal((await stage(page)).state, 'waiting');
    other.state.isDown = false;
    await passed(page, at + 4e9);
    assert.equal(await page.getByText('cannot be reached').count(), 0);
  }, { url: other.url, expected: /ERR_|Failed to load/ });
  await other.close();
});

test('the voice is heard where it belongs, up to four times the speed', async () => {
  await opened('?session=voice', async (page) => {
    await calm(page);
    await page.evaluate(() => {
      globalThis.heard = [];
      const { start } = AudioBufferSourceNode.prototype;
      AudioBufferSourceNode.prototype.start = function (...args) {
        globalThis.heard.push(this.buffer.duration);
        return start.apply(this, args);
      };
    });
    const played = async (speed) => {
      await page.getByLabel('Speed').selectOption(String(speed));
      await page.evaluate(() => (globalThis.heard.length = 0));
      await page.keyboard.press('0');
      await page.keyboard.press('Space');
      await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'ended');
      return page.evaluate(() => globalThis.heard.reduce((sum, seconds) => sum + seconds, 0));
    };
    const whole = await played(2);
    assert.ok(whole > 0);
    assert.ok((await played(4)) < whole);
    assert.equal(await played(8), 0);
  });
});

test('a tone is heard when its picture is shown', async () => {
  const other = await servePage(join(root, 'ui/dist'), { bundles: new Map([['x', { file: flashes, actions: answer([]) }]]), isCollector: false });
  await opened('', async (page) => {
    await calm(page);
    const heard = await watchFlashes(page);
    await page.keyboard.press('Space');
    await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'ended', undefined, { timeout: 60_000 });
    const { tones, frames } = await heard();
    assert.ok(new Set(tones.map(({ second }) => second)).size >= 8, JSON.stringify(tones));
    // What is drawn is seen a frame later, and the sound waits for it.
    const fromPicture = median(tones.map(({ fromClock }) => fromClock)) - 1.5 * median(frames);
    assert.ok(Math.abs(fromPicture) < 20, `${fromPicture} ms, ${JSON.stringify(tones)}`);
  }, { url: other.url });
  await other.close();
});

test('a link leads to its moment', async () => {
  await opened('?session=one&t=12345', async (page) => {
    await calm(page);
    assert.equal((await stage(page)).at, 12_345_000_000);
    await assertSamePicture(page, bundle, 'the link');
  });
});

test('actions lead to their moments, and the list goes along', async () => {
  await opened('?session=one', async (page) => {
    await calm(page);
    await page.locator('[data-action="2"]').click();
    await calm(page);
    assert.equal((await stage(page)).at, 3e9);
    assert.equal(await page.locator('[aria-current="true"][data-action]').getAttribute('data-action'), '2');
    await page.keyboard.press('Shift+ArrowLeft');
    await page.waitForFunction(() => document.querySelector('.stage').dataset.at === '2000000000');
    await page.waitForSelector('[data-action="1"][aria-current="true"]');
    await page.keyboard.press('5');
    await page.waitForFunction(() => Number(document.querySelector('.stage').dataset.at) > 4e9);
  });
});

test('no key acts in the search field; the search finds and is left again', async () => {
  await opened('?session=one&t=5000', async (page) => {
    await calm(page);
    const before = await stage(page);
    await page.keyboard.press('/');
    const typed = ' kKjJlL,.[]<>0123456789sScCrRxXzZdDvV?';
    await page.keyboard.type(typed);
    await page.keyboard.press('Shift+ArrowLeft');
    await page.keyboard.press('ArrowRight');
    assert.equal(await page.locator('[data-search]').inputValue(), typed);
    assert.deepEqual(await stage(page), before);
    assert.equal(await page.locator('dialog').count(), 0);
    await page.locator('[data-search]').fill('TWENTY');
    assert.equal(await page.locator('[data-action]').count(), 1);
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('[data-action]').count(), 3);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('k');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal((await stage(page)).state, 'paused');
  });
});

test('a damaged bundle plays on and says what is missing', async () => {
  await opened('?session=two', async (page) => {
    await page.getByRole('button', { name: /damaged place/ }).click();
    await page.getByText('cannot be read').first().waitFor();
    await page.keyboard.press('0');
    await page.keyboard.press('Space');
    await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'ended');
  });
});

test('damage that only pictures meet is counted when it is met', async () => {
  const bytes = readFileSync(bundle);
  bytes.fill(0xa5, bytes.length >> 1, (bytes.length >> 1) + 8192);
  const damaged = join(folder, 'middle.mcap');
  writeFileSync(damaged, bytes);
  const other = await servePage(join(root, 'ui/dist'), { bundles: new Map([['x', { file: damaged, actions }]]), isCollector: false });
  await opened('', async (page) => {
    await page.waitForFunction(() => document.querySelector('.stage')?.dataset.nanos);
    for (const key of '456') {
      await page.keyboard.press(key);
      await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'paused');
    }
    await page.getByRole('button', { name: /damaged place/ }).click();
    await page.getByText('cannot be read').first().waitFor();
    assert.equal(await page.getByText('Sealed', { exact: true }).count(), 0);
    // Where the picture is lost there is none to be saved.
    for (const key of '456') {
      await page.keyboard.press(key);
      await page.waitForFunction(() => document.querySelector('.stage').dataset.state === 'paused');
      if (await page.evaluate(() => document.querySelector('.stage').dataset.nanos === undefined)) break;
    }
    assert.equal(await page.evaluate(() => document.querySelector('.stage').dataset.nanos), undefined, 'nothing is lost');
    await page.getByRole('button', { name: 'Save this picture as PNG' }).click();
    await page.getByText('There is no picture to save here').waitFor();
  }, { url: other.url });
  await other.close();
});

test('a narrow window has all controls; keys act again after a list was used', async () => {
  await opened('?session=one&t=5000', async (page) => {
    await calm(page);
    const outside = () => page.evaluate(() => {
      const boxes = [...document.querySelectorAll('.transport :is(button, select)')].map((each) => each.getBoundingClientRect());
      return boxes.filter(({ left, right, width }) => width > 0 && (left < 0 || right > innerWidth)).length;
    });
    for (const width of [400, 700, 1000, 1440]) {
      await page.setViewportSize({ width, height: 800 });
      assert.equal(await outside(), 0, `at ${width} pixels`);
    }
    await page.setViewportSize({ width: 900, height: 800 });
    await page.keyboard.press('/');
    await page.waitForFunction(() => document.activeElement?.hasAttribute('data-search'));
    await page.keyboard.type('5l');
    assert.equal(await page.locator('[data-search]').inputValue(), '5l');
    await page.setViewportSize({ width: 1440, height: 800 });
    const speed = page.getByLabel('Speed', { exact: true });
    await page.mouse.click(...(await speed.evaluate((each) => { const { x, y } = each.getBoundingClientRect(); return [x + 5, y + 5]; })));
    await speed.selectOption({ index: 0 });
    await page.waitForFunction(() => document.activeElement === document.body);
    const { at } = await stage(page);
    await page.keyboard.press('l');
    await calm(page);
    assert.notEqual((await stage(page)).at, at);
  });
});

test('a list is one stop of the Tab key, and the arrows go along it', async () => {
  await opened('?session=one', async (page) => {
    await calm(page);
    await page.locator('[data-action="2"]').waitFor();
    const stops = () => page.locator('[data-row] button').evaluateAll((buttons) => buttons.filter(({ tabIndex }) => tabIndex === 0).length);
    assert.equal(await stops(), 1, 'before the first action');
  });
  await opened('?session=one&t=2100', async (page) => {
    await calm(page);
    await page.locator('[data-action="1"][aria-current]').waitFor();
    await page.getByRole('tabpanel').focus();
    const focused = () => page.evaluate(() => document.activeElement.dataset.action ?? document.activeElement.closest('.panel')?.className ?? 'elsewhere');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), '1');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), '2');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'elsewhere');
    await page.keyboard.press('Shift+Tab');
    assert.equal(await focused(), '2');
  });
});

test('a volume of nothing is said, and V brings the sound back', async () => {
  await opened('?session=one&t=1000', async (page) => {
    await calm(page);
    await page.getByLabel('Volume').fill('0');
    await page.getByRole('button', { name: 'Sound on' }).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('v');
    await page.getByRole('button', { name: 'Sound off' }).waitFor();
    assert.equal(await page.getByLabel('Volume').inputValue(), '1');
  });
});

test('a picture that takes its time is announced; a session without any says so', async () => {
  const live = readFileSync(fixture('live.mcap'));
  let end = 8;
  while (live[end] !== 6) end += 9 + Number(live.readBigUInt64LE(end + 1));
  const bare = join(folder, 'bare.mcap');
  writeFileSync(bare, live.subarray(0, end));
  for (const [file, work] of [
    [bundle, async (page, state) => {
      await calm(page);
      state.delayMillis = 3000;
      await page.keyboard.press('9');
      await page.getByText('The picture is on its way').waitFor();
      await calm(page);
      assert.equal(await page.getByText('The picture is on its way').count(), 0);
    }],
    [bare, async (page) => page.getByText('No picture of this session can be read').waitFor()],
  ]) {
    const other = await servePage(join(root, 'ui/dist'), { bundles: new Map([['x', { file, actions }]]), isCollector: false });
    await opened('', (page) => work(page, other.state), { url: other.url });
    await other.close();
  }
});

test('a bundle that is not sealed plays; what is no bundle is said in a sentence', async () => {
  await opened('?session=three', async (page) => {
    await calm(page);
    await page.getByText('Not sealed').first().waitFor();
    await page.getByRole('button', { name: 'Both' }).click();
    await calm(page);
    await page.setViewportSize({ width: 400, height: 800 });
    const numOutside = await page.evaluate(() => [...document.querySelectorAll('header button')].filter((each) => {
      const { left, right, width } = each.getBoundingClientRect();
      return width > 0 && (left < 0 || right > innerWidth);
    }).length);
    assert.equal(numOutside, 0, 'buttons of the bar outside the window');
  });
  const text = join(folder, 'text.mcap');
  writeFileSync(text, 'this is no bundle');
  const other = await servePage(join(root, 'ui/dist'), { bundles: new Map([['x', { file: text, actions: answer([]) }]]), isCollector: false });
  await opened('', async (page) => {
    await page.getByText('This bundle cannot be played').waitFor();
    await page.getByText('Not a bundle').waitFor();
  }, { url: other.url });
  await other.close();
});

test('without a connection the last picture stays, and it goes on when it is back', async () => {
  const other = await servePage(join(root, 'ui/dist'), { bundles: new Map([['x', { file: bundle, actions }]]), isCollector: false });
  await opened('?t=1000', async (page) => {
    await calm(page);
    const { sequence } = await stage(page);
    other.state.isDown = true;
    await page.keyboard.press('9');
    await page.getByText('cannot be reached').waitFor();
    assert.equal((await stage(page)).sequence, sequence);
    // The picture is not that of the time: it is not saved under it.
    await page.getByRole('button', { name: 'Save this picture as PNG' }).click();
    await page.getByText('There is no picture to save here').waitFor();
    other.state.isDown = false;
    await page.waitForFunction((before) => document.querySelector('.stage').dataset.sequence !== before, sequence);
    assert.equal(await page.getByText('cannot be reached').count(), 0);
  }, { url: other.url, expected: /ERR_|Failed to load/ });
  await other.close();
});

test('sessions are listed, found and opened; only with the right token', async () => {
  const other = await servePage(join(root, 'ui/dist'), { bundles, needsToken: true });
  await opened('', async (page) => {
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This token is not known here').waitFor();
    await page.getByLabel('Token').fill('right-token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'Stability of a pendulum' }).waitFor();
    assert.equal(await page.locator('tr[data-bundle]').count(), bundles.size);
    await page.getByPlaceholder('Search').fill('damaged');
    await page.waitForFunction(() => document.querySelectorAll('tr[data-bundle]').length === 1);
    await page.getByPlaceholder('Search').fill('');
    await page.waitForFunction((all) => document.querySelectorAll('tr[data-bundle]').length === all, bundles.size);
    await page.getByRole('link', { name: 'Stability of a pendulum' }).click();
    await calm(page);
    await page.getByRole('button', { name: 'Next session' }).click();
    await page.waitForFunction(() => document.querySelector('h1')?.textContent === 'A damaged one');
    await page.getByRole('button', { name: 'Back to the sessions' }).click();
    await page.getByRole('heading', { name: 'Sessions' }).waitFor();
  }, { url: other.url, expected: /401|404/ });
  await other.close();
});

for (const colorScheme of ['light', 'dark']) {
  test(`no serious obstacle for anybody (${colorScheme})`, async () => {
    const check = async (page, what) => {
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      assert.deepEqual(serious.map(({ id, nodes }) => [what, id, nodes.map(({ html }) => html.slice(0, 160))]), []);
    };
    const context = { colorScheme, bypassCSP: true, expected: /404/ };
    await opened('', async (page) => {
      await page.locator('tr[data-bundle]').first().waitFor();
      await check(page, 'sessions');
    }, context);
    await opened('?session=one&t=5000', async (page) => {
      await calm(page);
      await check(page, 'player');
      for (const tab of ['Events', 'Health', 'About']) {
        await page.getByRole('tab', { name: tab }).click();
        await check(page, tab);
      }
      await page.keyboard.press('?');
      await check(page, 'keys');
    }, context);
  });
}
