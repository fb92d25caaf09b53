// A real session as `praxis open` and the collector serve it: the same pictures, the pointer in its shape, the expert's actions, no complaint of the browser.
//
// BUNDLE is the file, OPENED the address that `praxis open` printed, COLLECTOR a collector that has it under TITLE, TOKEN a
// reviewer's; PRAXIS is the program, CHROMIUM the browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { assertPointer, assertSamePicture, calm, launch, opened, place, stage } from './browser.mjs';

const { BUNDLE, OPENED, COLLECTOR, TOKEN, TITLE } = process.env;

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

async function assertPlays(page) {
  await calm(page);
  for (const share of [0.9, 0.2, 0.6]) {
    await page.mouse.click(...(await place(page, share)));
    await calm(page);
    await assertSamePicture(page, BUNDLE, `at ${share} of it`);
  }
  await page.locator('[data-action]').getByText('typed by the expert').waitFor();
  const { at } = await stage(page);
  await page.locator('[data-action="0"]').click();
  await calm(page);
  assert.notEqual((await stage(page)).at, at);
  await assertSamePicture(page, BUNDLE, 'at the first action');
  await assertPointer(page, BUNDLE);
}

test('praxis open', () => opened(browser, OPENED, assertPlays));

test('the collector, with a token', async () => {
  await opened(browser, COLLECTOR, async (page) => {
    await page.getByLabel('Token').fill('praxis_wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This token is not known here').waitFor();
    await page.getByLabel('Token').fill(TOKEN);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: TITLE }).click();
    await assertPlays(page);
    await page.getByRole('button', { name: 'Back to the sessions' }).click();
    await page.getByRole('link', { name: TITLE }).waitFor();
  }, { expected: /401/ });
});
