// The decoder of the page finds in every fixture what its twin says.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Bundle } from '../src/replay/decode/bundle';
import { BundleError } from '../src/replay/decode/errors';
import type { Picture } from '../src/replay/decode/picture';
import { scan } from '../src/replay/decode/scan';
import { memorySource } from '../src/replay/decode/source';
import { SINGLE_TRACKS } from '../src/replay/decode/track';
import type { AudioTrack } from '../src/replay/decode/track';

const FOLDER = join(import.meta.dirname, '../../tests/fixtures/conformance');
/** Two decoders may differ by so much in a lossy pixel. */
const MAX_DIFFERENCE = 4;

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** As in the twins: nanoseconds and window ids are strings. */
function inTwin(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inTwin);
  if (value === null || typeof value !== 'object') return value;
  const text = (name: string, field: unknown) =>
    (typeof field === 'number' || typeof field === 'bigint') && (name.endsWith('_nanos') || name === 'id');
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, text(name, field) ? String(field) : inTwin(field)]),
  );
}

function shown(picture: Picture) {
  const { widthPx, heightPx, rgba, isLossy } = picture;
  const across = Math.ceil(widthPx / 32);
  const exact = new Uint8Array(widthPx * heightPx * 3);
  const sums = new Map<number, number[]>();
  for (let n = 0; n < widthPx * heightPx; n++) {
    const tile = Math.floor(Math.floor(n / widthPx) / 32) * across + Math.floor((n % widthPx) / 32);
    const bgr = [rgba[4 * n + 2], rgba[4 * n + 1], rgba[4 * n]];
    assert.equal(rgba[4 * n + 3], 255);
    if (!isLossy[tile]) {
      exact.set(bgr, 3 * n);
      continue;
    }
    const sum = sums.get(tile) ?? [0, 0, 0, 0];
    sums.set(tile, [sum[0] + bgr[0], sum[1] + bgr[1], sum[2] + bgr[2], sum[3] + 1]);
  }
  const means = [...sums].map(([tile, [b, g, r, count]]) => [tile, [b / count, g / count, r / count]]);
  const lossy = Object.fromEntries(means);
  return {
    width_px: widthPx,
    height_px: heightPx,
    sha256: sha256(exact),
    lossy,
    first_damage_nanos: String(picture.firstDamageNanos),
    capture_start_nanos: String(picture.captureStartNanos),
    is_key: picture.isKey,
    nanos: String(picture.captureEndNanos),
    sequence: picture.sequence,
  };
}

/** Equal in everything, but means of lossy tiles may differ by what two decoders may. */
function assertShown(picture: Picture, twin: { lossy: Record<string, number[]> }, where: string) {
  const { lossy, ...found } = shown(picture);
  const { lossy: stated, ...exact } = twin;
  assert.deepEqual(found, exact, where);
  assert.deepEqual(Object.keys(lossy), Object.keys(stated), `lossy tiles, ${where}`);
  for (const [tile, mean] of Object.entries(lossy)) {
    const isNear = mean.every((value, n) => Math.abs(value - stated[tile][n]) <= MAX_DIFFERENCE);
    assert.ok(isNear, `lossy tile ${tile}, ${where}: ${mean}, not ${stated[tile]}`);
  }
}

async function audio(bundle: Bundle, track: AudioTrack) {
  const stretches: { nanos: string; rate_hz: number; position: number; samples: number[] }[] = [];
  for (const block of await bundle.audio(track, 0, Infinity)) {
    const held = stretches.at(-1);
    if (held && held.rate_hz === block.rateHz && held.position + held.samples.length === block.position) {
      held.samples.push(...block.samples);
    } else {
      const { nanos, rateHz, position, samples } = block;
      stretches.push({ nanos: String(nanos), rate_hz: rateHz, position, samples: [...samples] });
    }
  }
  return stretches.map(({ samples, ...stretch }) => {
    const bytes = new Uint8Array(Int16Array.from(samples).buffer);
    return { ...stretch, samples: samples.length, sha256: sha256(bytes) };
  });
}

async function compare(file: Uint8Array, twin: any) {
  const bundle = await Bundle.open(memorySource(file));
  const { info } = bundle;
  assert.deepEqual(inTwin(info.manifest), twin.manifest);
  assert.deepEqual(inTwin(info.ending ?? null), twin.ending);
  assert.deepEqual(inTwin(info.recovery ?? null), twin.recovery);
  assert.equal(info.isComplete, twin.is_complete);
  assert.equal(info.seal !== undefined, twin.is_sealed);
  const unreadable = [];
  for await (const item of scan(memorySource(file))) if (item.kind === 'damage') unreadable.push([item.start, item.end]);
  assert.deepEqual(unreadable, twin.unreadable);

  for (const track of SINGLE_TRACKS) {
    if (track === 'narration' || track === 'sound') continue;
    const found = await bundle.messages(track, 0, Infinity);
    const rows = found.map((row) => ({ ...row, nanos: String(row.nanos), message: inTwin(row.message) }));
    assert.deepEqual(rows, twin.tracks[track] ?? [], track);
  }
  assert.deepEqual(await audio(bundle, 'narration'), twin.narration);
  assert.deepEqual(await audio(bundle, 'sound'), twin.sound);
  assert.deepEqual(info.damages.map((damage) => [damage.startByte, damage.endByte]), twin.unreadable);

  const displays = Object.keys(twin.tracks).filter((track) => track.startsWith('screen/'));
  assert.deepEqual(bundle.displays.map((display) => `screen/${display}`), displays);
  for (const name of displays) {
    const display = Number(name.slice('screen/'.length));
    const pictures = twin.tracks[name];
    let n = 0;
    for await (const picture of bundle.pictures(display)) {
      const where = `${name} ${pictures[n].sequence}`;
      if (picture instanceof BundleError) {
        assert.deepEqual([picture.kind, pictures[n].is_lost], ['lost_picture', true], where);
      } else assertShown(picture, pictures[n], where);
      n++;
    }
    assert.equal(n, pictures.length);
    // By seeking, in order, backwards, and each by a reader that has seen nothing else.
    const good = pictures.filter((picture: any) => !picture.is_lost);
    for (const picture of [...good, ...good.toReversed()]) {
      assertShown(await bundle.pictureAt(display, Number(picture.nanos)), picture, `seek ${name} ${picture.nanos}`);
    }
    for (const picture of good) {
      const fresh = await Bundle.open(memorySource(file));
      assertShown(await fresh.pictureAt(display, Number(picture.nanos)), picture, `first seek ${name} ${picture.nanos}`);
    }
  }
  for (const seek of twin.seeks) {
    const found = await bundle.pictureAt(seek.display, Number(seek.nanos)).then(
      (picture) => ({ sequence: picture.sequence }),
      (error) => ({ error: error.kind }),
    );
    const stated = seek.error ? { error: seek.error } : { sequence: seek.sequence };
    assert.deepEqual(found, stated, `screen/${seek.display} at ${seek.nanos}`);
  }
}

const twins = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
assert.ok(twins.length > 10);
for (const name of twins) {
  test(`${name}: the bundle is read as its twin says`, async () => {
    const twin = JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
    const file = new Uint8Array(readFileSync(join(FOLDER, name.replace('.json', '.mcap'))));
    if (twin.refused) {
      await assert.rejects(Bundle.open(memorySource(file)), (error: BundleError) => error.kind === twin.refused);
    } else {
      await compare(file, twin);
    }
  });
}
