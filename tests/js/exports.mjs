// A lead exports sessions on the collector's page, and fetches what was made.
//
// COLLECTOR is a collector with two verified sessions, TOKEN a lead's, REVIEWER a reviewer's; PICTURES, if set, is a folder for
// screenshots.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import axe from 'axe-core';

import { launch, opened } from './browser.mjs';

const { COLLECTOR, TOKEN, REVIEWER, PICTURES } = process.env;

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

async function signIn(page, token) {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('tr[data-bundle]').first().waitFor();
}

async function look(page, name) {
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target)]), [], `${name}, ${colorScheme}`);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}-${colorScheme}.png` });
  }
}

const options = { expected: /401/, acceptDownloads: true };

test('a reviewer exports nothing', () =>
  opened(browser, COLLECTOR, async (page) => {
    await signIn(page, REVIEWER);
    assert.equal(await page.getByRole('button', { name: /^Export/ }).count(), 0);
    assert.equal(await page.getByRole('checkbox').count(), 0);
  }, options));

test('a lead exports what is ticked, fetches it, and removes it', () =>
  opened(browser, COLLECTOR, async (page) => {
    await signIn(page, TOKEN);
    await page.getByRole('checkbox').first().check();
    await look(page, 'sessions-lead');
    await page.getByRole('button', { name: 'Export 1 session…' }).click();
    await page.getByRole('heading', { name: 'Export 1 session' }).waitFor();
    await look(page, 'export-dialog');
    // Without a recipient nothing is sent.
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    assert.ok(await page.getByRole('dialog').isVisible());
    await page.getByLabel('Recipient').fill('Lab <b>of</b> minds');
    await page.getByLabel('Format').selectOption('csv');
    await page.getByLabel('Experts kept for validation, %').fill('20');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await page.locator('tr[data-export][data-state=ready]').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    const file = await (await download).path();
    await page.getByRole('button', { name: 'Lab <b>of</b> minds', exact: true }).click();
    await page.getByText(createHash('sha256').update(readFileSync(file)).digest('hex')).waitFor();
    await page.getByText(/ went out$/).first().waitFor();
    await page.getByText(/, token \d+, .* from byte 0 on/).waitFor({ timeout: 15_000 });
    await look(page, 'exports');
    await page.getByRole('button', { name: 'Remove the export for Lab' }).click();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.locator('tr[data-export][data-state=removed]').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Download' }).count(), 0);
    // The ledger is where it was after a reload, and the way back leads to the list.
    await page.reload();
    await page.locator('tr[data-export][data-state=removed]').waitFor();
    await page.getByRole('link', { name: 'Sessions' }).click();
    await page.locator('tr[data-bundle]').first().waitFor();
  }, options));

test('everything of a project is exported', () =>
  opened(browser, COLLECTOR, async (page) => {
    await signIn(page, TOKEN);
    await page.getByTitle('Only this project').first().click();
    await page.getByRole('button', { name: 'Export…' }).click();
    await page.getByRole('heading', { name: 'Export 1 session' }).waitFor();
    await page.getByLabel('Recipient').fill('Nobody');
    await page.getByLabel('Format').selectOption('wav');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await page.locator('tr[data-export][data-state=ready]').first().waitFor();
    await page.setViewportSize({ width: 480, height: 800 });
    await look(page, 'exports-narrow');
  }, options));
