// The decoder's parts that fixtures cannot show: ranges over HTTP, the worker's protocol, cancelling, bounds, JPEG.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';

import { Bundle } from '../src/replay/decode/bundle';
import { ByteCache } from '../src/replay/decode/cache';
import { crc32, crc32Ready } from '../src/replay/decode/crc32';
import { parseJson } from '../src/replay/decode/json';
import type { FromWorker, Question } from '../src/replay/decode/protocol';
import { scan } from '../src/replay/decode/scan';
import { serve } from '../src/replay/decode/serve';
import { memorySource, rangeSource } from '../src/replay/decode/source';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../../tests/fixtures/conformance', name)));

/** Serves a file by ranges while `work` runs; counts what is asked for. */
async function served<T>(file: Uint8Array, answersRanges: boolean, work: (url: string, asked: string[]) => Promise<T>) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.range ?? '');
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
    if (!answersRanges || first === undefined) return response.writeHead(200).end(file);
    const headers = { 'content-range': `bytes ${first}-${last}/${file.length}` };
    return response.writeHead(206, headers).end(file.subarray(Number(first), Number(last) + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a sealed bundle is opened over HTTP with few questions, and near seeks ask none', async () => {
  await served(fixture('sealed.mcap'), true, async (url, asked) => {
    const bundle = await Bundle.open(rangeSource(url));
    assert.ok(asked.length <= 2, `${asked.length} questions`);
    const first = await bundle.pictureAt(0, 500_000_001);
    const before = asked.length;
    assert.equal((await bundle.pictureAt(0, 750_000_001)).sequence, first.sequence + 1);
    assert.equal((await bundle.pictureAt(0, 310_000_001)).sequence, first.sequence - 1);
    assert.equal(asked.length, before);
  });
});

test('a server without ranges is named', async () => {
  await served(fixture('sealed.mcap'), false, async (url) => {
    await assert.rejects(Bundle.open(rangeSource(url)), { kind: 'source', message: /does not answer ranges/ });
  });
});

for (const [what, begin] of [
  ['never answers', () => undefined],
  ['stops in the middle of an answer', (response: ServerResponse) => {
    response.writeHead(206, { 'content-range': 'bytes 0-65535/100000', 'content-length': 65536 });
    response.write(Buffer.alloc(1000));
  }],
] as const) test(`a server that ${what} is given up`, async () => {
  const server = createServer((_, response) => begin(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  try {
    await assert.rejects(rangeSource(url, 'auto', 50).size(), { kind: 'source', message: /nothing came for/ });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('the worker answers each question, names errors, and drops what is cancelled', async () => {
  await served(fixture('live.mcap'), true, async (url) => {
    const { port1, port2 } = new MessageChannel();
    serve(port1 as never);
    try {
      const answers = new Map<number, (answer: any) => void>();
      port2.on('message', (message: FromWorker) => answers.get(message.id)?.(message));
      let id = 0;
      const ask = (question: Question): Promise<any> =>
        new Promise((resolve) => {
          answers.set(++id, resolve);
          port2.postMessage({ id, question });
        });
      assert.equal((await ask({ ask: 'voice', from: 0, to: 1, speed: 1 })).problem.kind, 'not_open');
      const { answer } = await ask({ ask: 'open', url });
      assert.deepEqual(answer.displays, [0, 1]);
      assert.equal(answer.info.manifest.epoch_wall_nanos, 1_760_000_000_123_456_789n);
      const picture = await ask({ ask: 'picture', display: 0, nanos: 400_000_000 });
      assert.equal(picture.answer.rgba.length, 100 * 70 * 4);
      assert.equal((await ask({ ask: 'picture', display: 0, nanos: 1 })).problem.kind, 'no_picture');
      const keys = await ask({ ask: 'messages', track: 'keys', from: 0, to: 400_000_000 });
      assert.deepEqual(keys.answer.map((key: any) => key.message.text), ['é', '\n', null]);
      assert.equal((await ask({ ask: 'voice', from: 0, to: 9e9, speed: 1 })).answer[0].samples.length, 1200);
      assert.equal((await ask({ ask: 'pictureTimes', display: 1, from: 0, to: 9e9 })).answer.length, 6);
      const dropped = ask({ ask: 'picture', display: 1, nanos: 9e9 });
      port2.postMessage({ cancel: id });
      const after = ask({ ask: 'picture', display: 1, nanos: 3_000_000 });
      // Both messages are in the port before the work on the first begins, or the picture was ready: nothing else.
      const { problem, answer: ready } = await dropped;
      assert.ok(problem?.kind === 'cancelled' || ready?.sequence === 5);
      assert.equal((await after).problem?.kind ?? 'no_picture', 'no_picture');
    } finally {
      // An open port would keep a failed test waiting.
      port1.close();
      port2.close();
    }
  });
});

test('a cancelled reader stops', async () => {
  const bundle = await Bundle.open(memorySource(fixture('live.mcap')));
  await assert.rejects(bundle.pictureAt(0, 5e9, AbortSignal.abort()), { name: 'AbortError' });
  assert.equal((await bundle.pictureAt(0, 5e9)).sequence, 6);
});

test('bytes cut off or changed anywhere are damage or an error of a known kind, never anything else', async () => {
  const whole = fixture('live.mcap');
  let seed = 7;
  const random = (below: number) => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) % below;
  for (let round = 0; round < 60; round++) {
    const file = whole.slice(0, round % 2 ? whole.length : random(whole.length));
    for (let n = 0; n < 3 && file.length > 0; n++) file[random(file.length)] ^= 1 << random(8);
    let at = 8;
    try {
      for await (const item of scan(memorySource(file))) {
        if (item.kind === 'damage') [at] = [item.end];
        else if (item.kind === 'chunk') at = item.offset + item.bytes;
      }
      assert.ok(at <= file.length);
      const bundle = await Bundle.open(memorySource(file));
      for (const display of bundle.displays) await bundle.pictureAt(display, 9e9);
    } catch (error: any) {
      assert.equal(error.name, 'BundleError', `seed 7, round ${round}: ${error.stack}`);
    }
  }
});

test('small parts: checksum, JSON with wide numbers, a cache bounded in bytes', async () => {
  await crc32Ready();
  const bytes = new TextEncoder().encode('123456789');
  assert.equal(crc32(bytes), 0xcbf43926);
  assert.equal(crc32(bytes.subarray(0, 4), bytes.subarray(4)), 0xcbf43926);
  const json = '{"title":"\\"wall_nanos\\":1","wall_nanos":18446744073709551615,"a":[{"id": 1}],"id":null}';
  assert.deepEqual(parseJson('x', json), {
    title: '"wall_nanos":1',
    wall_nanos: 18446744073709551615n,
    a: [{ id: 1n }],
    id: null,
  });
  assert.throws(() => parseJson('keys', '{"a":'), { kind: 'json' });
  const cache = new ByteCache<string, number>(10);
  cache.set('a', 1, 4);
  cache.set('b', 2, 4);
  cache.get('a');
  cache.set('c', 3, 4);
  cache.set('d', 4, 11);
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c'), cache.get('d')], [1, undefined, 3, undefined]);
  assert.equal(cache.bytes, 8);
});

test('a picture is there until the time that it says, in whole and in damaged files', async () => {
  const names = ['sealed', 'live', 'cut', 'damaged', 'overwritten', 'sealed-damaged', 'recovered-damaged', 'operations'];
  const whole = names.map((name) => fixture(`${name}.mcap`));
  const sealed = fixture('sealed.mcap');
  // Without its end a sealed file is gone through from its start.
  const cut = Array.from({ length: 24 }, (_, n) => sealed.subarray(0, Math.floor(sealed.length * (1 - n / 30)) - 1));
  let compared = 0;
  for (const [n, file] of [...whole, ...cut].entries()) {
    const bundle = await Bundle.open(memorySource(file));
    const end = bundle.info.durationNanos;
    const shown = (nanos: number) => bundle.pictureAt(0, nanos).catch(() => undefined);
    for (let nanos = 0; nanos <= end; nanos += Math.ceil(end / 97) + 1) {
      const picture = await shown(nanos);
      if (!picture) continue;
      const until = Math.min(picture.sameUntilNanos - 1, end);
      for (const later of [nanos, Math.floor((nanos + until) / 2), until]) {
        const where = `file ${n}: at ${nanos} it says until ${picture.sameUntilNanos}, at ${later}`;
        assert.equal((await shown(later))?.sequence, picture.sequence, where);
        compared++;
      }
    }
  }
  assert.ok(compared > 500, `${compared}`);
});
