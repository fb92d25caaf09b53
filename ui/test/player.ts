// The player's core without a page: states, clock, what a drag asks for, idle stretches, lanes, captions, sound.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { actionAt, rowOf } from '../src/replay/actions';
import { captionAt } from '../src/replay/captions';
import { Client, ProblemError } from '../src/replay/client';
import { Clock } from '../src/replay/clock';
import { Bundle } from '../src/replay/decode/bundle';
import { memorySource } from '../src/replay/decode/source';
import { stretch } from '../src/replay/decode/stretch';
import { survey } from '../src/replay/decode/survey';
import type { KeyMessage } from '../src/replay/decode/types';
import { runs, voice } from '../src/replay/decode/voice';
import { idleStretches, stretchAt } from '../src/replay/idle';
import { Lanes, gapsOf, markersOf } from '../src/replay/lanes';
import { transition, wantsToPlay } from '../src/replay/machine';
import type { Event, State } from '../src/replay/machine';
import { Narration } from '../src/replay/narration';
import { Player } from '../src/replay/player';
import { Newest } from '../src/replay/newest';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../../tests/fixtures/conformance', name)));

/** Where a list of events leads, as the names of the states. */
function walk(...events: (Event['name'] | Event)[]): string {
  let state: State = { name: 'opening' };
  const names = events.map((event) => {
    const whole = (typeof event === 'string' ? { name: event, request: 1, problem: 'broken' } : event) as Event;
    state = transition(state, whole);
    return state.name;
  });
  return names.join(' ');
}

test('play, pause, the end', () => {
  assert.equal(walk('opened', 'play', 'pause', 'play', 'end', 'pause'), 'paused playing paused playing ended ended');
});

test('a seek keeps whether it plays, and a wish while it seeks counts', () => {
  assert.equal(walk('opened', 'seek', 'shown'), 'paused seeking paused');
  assert.equal(walk('opened', 'play', 'seek', 'shown'), 'paused playing seeking playing');
  assert.equal(walk('opened', 'play', 'seek', 'pause', 'shown'), 'paused playing seeking seeking paused');
  assert.equal(walk('opened', 'seek', 'play', 'seek', 'shown'), 'paused seeking seeking seeking playing');
});

test('only the newest seek is shown', () => {
  const seek = (request: number): Event => ({ name: 'seek', request });
  const shown = (request: number): Event => ({ name: 'shown', request });
  assert.equal(walk('opened', seek(1), seek(2), shown(1), shown(2)), 'paused seeking seeking seeking paused');
});

test('a drag ends with a seek, and goes on playing', () => {
  assert.equal(walk('opened', 'play', 'scrub', 'scrub', 'shown', 'seek', 'shown'), 'paused playing scrubbing scrubbing scrubbing seeking playing');
});

test('a late picture stops the clock until it is there', () => {
  assert.equal(walk('opened', 'play', 'late', 'caughtUp', 'late', 'pause', 'caughtUp'), 'paused playing waiting playing waiting paused paused');
});

test('what failed stays so; nothing plays before it is open', () => {
  assert.equal(walk('play', 'seek', 'failed', 'opened', 'play'), 'opening opening failed failed failed');
  assert.equal(wantsToPlay({ name: 'seeking', request: 1, willPlay: true }), true);
});

test('the clock runs with its speed, jumps, and changes what drives it without a jump', () => {
  let [one, other] = [1000, 50];
  const clock = new Clock(() => one);
  clock.set(5e9);
  clock.start();
  one += 1000;
  assert.equal(clock.now(), 6e9);
  clock.setSpeed(4);
  one += 500;
  assert.equal(clock.now(), 8e9);
  clock.drive(() => other);
  one += 10_000;
  assert.equal(clock.now(), 8e9);
  other += 250;
  clock.stop();
  other += 10_000;
  assert.equal(clock.now(), 9e9);
});

test('of many targets only the first, those there was time for, and the last are worked on', async () => {
  const done: number[] = [];
  let free: () => void = () => undefined;
  const newest = new Newest<number>((target) => {
    done.push(target);
    return new Promise<void>((resolve) => (free = resolve));
  });
  for (let target = 0; target < 500; target++) newest.want(target);
  assert.deepEqual(done, [0]);
  free();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(done, [0, 499]);
  newest.clear();
  newest.want(7);
  assert.deepEqual(done, [0, 499, 7]);
});

test('work that never ends does not stop what comes after it', async () => {
  const done: number[] = [];
  const newest = new Newest<number>((target) => {
    done.push(target);
    return new Promise(() => undefined);
  }, 1);
  newest.want(1);
  newest.want(2);
  while (done.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(done, [1, 2]);
});

test('idle stretches leave a second at both ends, and a day of nothing is one jump', () => {
  const active = new Set([0, 4, 100, 101]);
  const second = 1e9;
  const found = idleStretches((bin) => active.has(bin), second, 86_400 * second, 10 * second);
  assert.deepEqual(found, [{ from: 6 * second, to: 99 * second }, { from: 103 * second, to: 86_399 * second }]);
  assert.equal(stretchAt(found, 5 * second), undefined);
  assert.equal(stretchAt(found, 6 * second), found[0]);
  assert.equal(stretchAt(found, 98 * second), found[0]);
  assert.equal(stretchAt(found, 99 * second), undefined);
  assert.equal(stretchAt(found, 50_000 * second), found[1]);
  assert.deepEqual(idleStretches(() => false, second, 9 * second, 10 * second), []);
});

test('a survey of a bundle finds its keys, windows, voice and gaps, whole or in parts', async () => {
  const bundle = await Bundle.open(memorySource(fixture('sealed.mcap')));
  const lanes = new Lanes(bundle.info.durationNanos);
  lanes.add(await survey(bundle, (part) => lanes.add(part)));
  assert.ok(lanes.isDone);
  const keys = await bundle.messages('keys', 0, Infinity);
  assert.equal(lanes.keys.reduce((sum, count) => sum + count), keys.filter(({ message }) => message.kind === 'press').length);
  const pointer = await bundle.messages('pointer', 0, Infinity);
  assert.equal(lanes.pointer.reduce((sum, count) => sum + count), pointer.length);
  assert.equal(lanes.hasVoice, true);
  assert.ok(lanes.windows.length > 0);
  assert.equal(lanes.windows.at(-1)?.to, bundle.info.durationNanos);
});

test('a survey passes over damage and says where it is', async () => {
  const bundle = await Bundle.open(memorySource(fixture('sealed-damaged.mcap')));
  const part = await survey(bundle, () => undefined);
  assert.ok(part.damages.length > 0);
});

test('the newest message of a track, and the pictures beside a time', async () => {
  const bundle = await Bundle.open(memorySource(fixture('sealed.mcap')));
  const all = await bundle.messages('pointer', 0, Infinity);
  const middle = all[Math.floor(all.length / 2)];
  assert.deepEqual((await bundle.latest('pointer', middle.nanos))?.nanos, middle.nanos);
  assert.equal(await bundle.latest('pointer', all[0].nanos - 1), undefined);
  const times = await bundle.pictureTimes(0, 0, Infinity);
  for (const [at, time] of times.entries()) {
    assert.equal(await bundle.pictureBeside(0, time, true), times[at + 1]);
    assert.equal(await bundle.pictureBeside(0, time, false), times[at - 1]);
    const { captureEndNanos, sameUntilNanos } = await bundle.pictureAt(0, time);
    assert.equal(captureEndNanos, time);
    assert.ok(sameUntilNanos > time && sameUntilNanos <= (times[at + 1] ?? Infinity), `${sameUntilNanos} after ${time}`);
  }
});

test('markers take the label given last; gaps of several tracks are one', () => {
  const at = (nanos: number, message: any) => ({ nanos, message });
  const notes = [
    at(1, { kind: 'marker', label: '' }),
    at(5e9, { kind: 'gap_begin', track: 'screen/0', reason: 'pause', detail: '' }),
    at(5e9, { kind: 'gap_begin', track: 'keys', reason: 'pause', detail: '' }),
    at(7e9, { kind: 'gap_end', track: 'screen/0' }),
    at(7e9, { kind: 'gap_end', track: 'keys' }),
    at(8e9, { kind: 'label', marker_nanos: 1, label: 'Problem read' }),
    at(9e9, { kind: 'gap_begin', track: 'narration', reason: 'source_lost', detail: 'unplugged' }),
  ];
  assert.deepEqual(markersOf(notes), [{ nanos: 1, label: 'Problem read' }]);
  assert.deepEqual(gapsOf(notes, 12e9), [
    { from: 5e9, to: 7e9, reason: 'pause', detail: '', tracks: ['screen/0', 'keys'] },
    { from: 9e9, to: 12e9, reason: 'source_lost', detail: 'unplugged', tracks: ['narration'] },
  ]);
});

test('captions: text as produced, shortcuts as the platform writes them, gone after a while', () => {
  const key = (millis: number, keysym: string, text: string | null, modifiers: KeyMessage['modifiers'] = []) => ({
    nanos: millis * 1e6,
    message: { kind: 'press', keysym, text, keycode: 1, modifiers, repeat: false, layout: 0 } as KeyMessage,
  });
  const keys = [key(0, 'a', 'a'), key(100, 'Shift_L', null), key(200, 'eacute', 'é'), key(300, 's', '\u0013', ['control']), key(400, 'Return', '\r'), key(500, 'Return', '\r')];
  const said = [{ kind: 'text', text: 'aé' }, { kind: 'keys', keys: ['Ctrl', 'S'], count: 1 }, { kind: 'keys', keys: ['Enter'], count: 2 }];
  assert.deepEqual(captionAt(keys, 600e6, 'linux'), said);
  assert.deepEqual(captionAt(keys, 350e6, 'macos').at(-1), { kind: 'keys', keys: ['⌃', 'S'], count: 1 });
  assert.deepEqual(captionAt(keys, 1750e6, 'linux'), []);
  assert.deepEqual(captionAt(keys, -1, 'linux'), []);
});

test('actions are said in words and found by time', () => {
  const at = { id: 0, start_nanos: 5, end_nanos: 6 };
  const scroll = rowOf({ ...at, kind: 'scroll', dy_ticks: 3, x_px: 1, y_px: 2 }, 'linux');
  assert.deepEqual([scroll.verb, scroll.object, scroll.aside], ['Scroll', 'down 3 steps', '1, 2']);
  assert.deepEqual(rowOf({ ...at, kind: 'hotkey', keys: ['ctrl', 's'] }, 'linux').keys, ['Ctrl', 'S']);
  assert.equal(rowOf({ ...at, kind: 'click', button: 1, clicks: 2 }, 'linux').verb, 'Double-click');
  const list = [5, 10, 10, 20].map((start_nanos, id) => ({ id, kind: 'click' as const, start_nanos, end_nanos: start_nanos }));
  assert.deepEqual([4, 5, 10, 19, 99].map((nanos) => actionAt(list, nanos)), [-1, 0, 2, 2, 3]);
});

test('speech that is stretched lasts as long as it should and keeps its pitch', () => {
  const rate = 48_000;
  const tone = Float32Array.from({ length: rate }, (_, n) => Math.sin((2 * Math.PI * 220 * n) / rate));
  const crossings = (samples: Float32Array) => samples.reduce((sum, value, n) => sum + (n > 0 && samples[n - 1] < 0 && value >= 0 ? 1 : 0), 0);
  for (const speed of [0.25, 0.5, 1.5, 2, 4]) {
    const found = stretch(tone, speed, rate);
    assert.equal(found.length, Math.round(rate / speed));
    const hertz = crossings(found) / (found.length / rate);
    assert.ok(Math.abs(hertz - 220) < 8, `${hertz} Hz at ${speed}`);
    assert.ok(found.every((value) => Math.abs(value) <= 1.2));
  }
  assert.equal(stretch(tone, 1, rate), tone);
});

test('narration is cut to the stretch asked for, and holes stay holes', async () => {
  const block = (nanos: number, position: number) => ({ nanos, rateHz: 1000, position, samples: Int16Array.from({ length: 100 }, (_, n) => position + n) });
  const blocks = [block(1e9, 0), block(1.1e9, 100), block(3e9, 900)];
  const found = runs(blocks, 1.05e9, 3.02e9);
  assert.deepEqual(found.map(({ nanos, samples }) => [nanos, samples.length, Math.round(samples[0] * 32_768)]), [[1.05e9, 150, 50], [3e9, 20, 900]]);
  const bundle = await Bundle.open(memorySource(fixture('sealed.mcap')));
  assert.ok((await voice(bundle, 0, 2e9, 2)).length > 0);
});

test('narration is placed so that it is heard when its picture is seen, and anew when the device is later than it said', async (t) => {
  const started: number[] = [];
  const device = {
    state: 'running', currentTime: 10, outputLatency: 0.3, destination: {},
    createGain: () => ({ connect() {}, gain: { value: 1 } }),
    createBuffer: (_: number, length: number, rateHz: number) => ({ duration: length / rateHz, copyToChannel() {} }),
    close: async () => undefined,
  };
  class Source {
    connect() {}
    stop() {}
    start(seconds: number) {
      started.push(Math.round(seconds * 1000));
    }
  }
  Object.assign(globalThis, { AudioContext: function () { return device; }, AudioBufferSourceNode: Source });
  t.after(() => Object.assign(globalThis, { AudioContext: undefined, AudioBufferSourceNode: undefined }));
  // A tenth of a second of voice, at 1 s.
  const ask = async (from: number, to: number) =>
    from <= 1e9 && 1e9 < to ? [{ nanos: 1e9, rateHz: 1000, samples: new Float32Array(100) }] : [];
  const narration = new Narration(ask, 60e9);
  await narration.wake();
  narration.pictureLateSeconds = 0.025;
  narration.start(0, 1);
  await narration.pump();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(started, [10_725]);
  device.outputLatency = 0.31;
  await narration.pump();
  assert.deepEqual(started, [10_725]);
  device.outputLatency = 0.4;
  await narration.pump();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(started, [10_725, 10_625]);
  narration.close();
});

/** A player of two displays with a picture each second, whose displays can be out of reach or damaged. */
async function openPlayer(t: { after(work: () => void): void }, firsts: Record<number, number> = { 0: 0, 1: 0 }) {
  const troubles = new Map<number, 'source' | 'damaged'>();
  /** What the question for neighbours waits for, and how often it was told that there is no picture. */
  const slow = { gate: Promise.resolve(), numLost: 0 };
  const picture = (display: number, nanos: number) => {
    const kind = troubles.get(display);
    if (kind) throw new ProblemError(kind as 'source', 'no picture');
    const captureEndNanos = Math.floor(nanos / 1e9) * 1e9;
    return { display, captureEndNanos, sameUntilNanos: captureEndNanos + 1e9 };
  };
  const client = {
    ask: async (question: any) => {
      if (question.ask === 'open') return { info: { durationNanos: 100e9, damages: [] }, displays: [0, 1] };
      if (question.ask === 'picture') return picture(question.display, question.nanos);
      if (question.ask !== 'pictureBeside') return new Promise(() => undefined);
      await slow.gate;
      if (troubles.get(question.display) === 'source') throw new ProblemError('source', 'no neighbour');
      if (question.nanos < firsts[question.display]) return question.isNext ? firsts[question.display] : undefined;
      return question.isNext ? Math.floor(question.nanos / 1e9 + 1) * 1e9 : Math.ceil(question.nanos / 1e9 - 1) * 1e9;
    },
    giveBack: () => undefined,
    close: () => undefined,
  };
  const nothing = () => undefined;
  const hooks = { changed: nothing, surveyed: nothing, picture: nothing, noPicture: () => slow.numLost++, jumped: nothing };
  const player = new Player(hooks, () => client as unknown as Client);
  t.after(() => player.close());
  await player.open('x', 0);
  await settle();
  return { player, troubles, slow };
}

const settle = async () => {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
};

test('a display that is out of reach and not shown any more is nothing to wait for', async (t) => {
  const { player, troubles } = await openPlayer(t);
  troubles.set(0, 'source');
  await player.seek(5e9);
  assert.equal(player.offline, 'no picture');
  player.showDisplays([1]);
  await settle();
  assert.equal(player.offline, undefined);
  assert.equal(player.state.name, 'paused');
});

test('a step that the connection prevents is no step to nowhere', async (t) => {
  const { player, troubles } = await openPlayer(t);
  await player.seek(5e9);
  troubles.set(0, 'source');
  await player.step(true);
  assert.equal(player.offline, 'no neighbour');
  assert.equal(player.nanos, 5e9);
});

/** A player of a session of a hundred seconds without pictures, and what is found when it is gone through. */
async function openSurveyed(t: { after(work: () => void): void }, survey: () => object) {
  const none = new Uint16Array(0);
  const found = { firstBin: 0, keys: none, pointer: none, voice: new Uint8Array(0), windows: [], markers: [], geometry: [], health: [], damages: [] };
  const client = {
    ask: async ({ ask }: { ask: string }) => {
      if (ask === 'open') return { info: { durationNanos: 100e9, damages: [] }, displays: [] };
      if (ask === 'survey') return { ...found, doneNanos: 100e9, isDone: true, ...survey() };
      return new Promise(() => undefined);
    },
    close: () => undefined,
  };
  const nothing = () => undefined;
  const hooks = { changed: nothing, surveyed: nothing, picture: nothing, noPicture: nothing, jumped: nothing };
  const player = new Player(hooks, () => client as unknown as Client);
  t.after(() => player.close());
  await player.open('x', 0);
  await settle();
  return player;
}

test('a timeline that the connection has cut is read anew, whole', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let numSurveys = 0;
  const player = await openSurveyed(t, () => {
    if (++numSurveys === 1) throw new ProblemError('source', 'cut');
    return {};
  });
  assert.deepEqual([player.surveyProblem, player.lanes.isDone], ['cut', false]);
  t.mock.timers.tick(5000);
  await settle();
  assert.deepEqual([numSurveys, player.surveyProblem, player.lanes.isDone], [2, undefined, true]);
});

test('what is damaged is not idle', async (t) => {
  const damage = { startByte: 9, endByte: 99, afterNanos: 40e9, beforeNanos: 50e9, why: 'broken' };
  const seconds = (player: Player) => player.idle.map(({ from, to }) => [Math.round(from / 1e9), Math.round(to / 1e9)]);
  const whole = await openSurveyed(t, () => ({ keys: Uint16Array.of(1) }));
  assert.deepEqual(seconds(whole), [[1, 99]]);
  const damaged = await openSurveyed(t, () => ({ keys: Uint16Array.of(1), damages: [damage] }));
  assert.deepEqual(seconds(damaged), [[1, 39], [51, 99]]);
});

test('the connection is back, too, where what it brings is damaged', async (t) => {
  const { player, troubles } = await openPlayer(t);
  troubles.set(0, 'source');
  await player.seek(5e9);
  troubles.set(0, 'damaged');
  player.retry();
  await settle();
  assert.equal(player.offline, undefined);
});

test('without a connection no time passes, however often it is told to play', async (t) => {
  const { player, troubles } = await openPlayer(t);
  player.setSpeed(16);
  troubles.set(0, 'source');
  await player.seek(5.5e9);
  for (let n = 0; n < 3; n++) {
    player.play();
    assert.equal(player.state.name, 'waiting');
    await new Promise((resolve) => setTimeout(resolve, 20));
    player.tick();
    player.pause();
    await settle();
  }
  assert.equal(player.nanos, 5.5e9);
  player.play();
  troubles.clear();
  player.retry();
  await settle();
  assert.equal(player.state.name, 'playing');
});

test('an answer that comes late never takes the place of a newer one', async (t) => {
  const { player, troubles, slow } = await openPlayer(t);
  let open: () => void = () => undefined;
  slow.gate = new Promise((resolve) => (open = resolve));
  troubles.set(0, 'damaged');
  void player.seek(42e9);
  await settle();
  troubles.clear();
  await player.seek(25e9);
  assert.equal(player.state.name, 'paused');
  open();
  await settle();
  assert.equal(slow.numLost, 0);
});

test('who plays is done with steps that have not been taken', async (t) => {
  const { player, slow } = await openPlayer(t);
  await player.seek(40.5e9);
  let open: () => void = () => undefined;
  slow.gate = new Promise((resolve) => (open = resolve));
  void player.step(false);
  player.play();
  assert.equal(player.state.name, 'playing');
  open();
  await settle();
  assert.equal(player.state.name, 'playing');
  assert.ok(player.nanos >= 40.5e9, `${player.nanos}`);
});

test('the place stays when a display is shown that starts later, and nothing jumps there', async (t) => {
  const { player } = await openPlayer(t, { 0: 0, 1: 40e9 });
  await player.seek(3e9);
  player.showDisplays([1]);
  await settle();
  assert.equal(player.nanos, 3e9);
  await player.seek(player.nanos - 1e9);
  assert.equal(player.nanos, 2e9);
  player.showDisplays([0, 1]);
  await settle();
  assert.equal(player.nanos, 2e9);
  // Displays that begin together begin with the one that is shown.
  const other = await openPlayer(t, { 0: 3e6, 1: 0 });
  assert.equal(other.player.nanos, 3e6);
});

test('a drag goes on when the connection is back', async (t) => {
  const { player, troubles } = await openPlayer(t);
  troubles.set(0, 'source');
  player.scrub(7e9);
  await settle();
  assert.equal(player.offline, 'no picture');
  troubles.clear();
  player.retry();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(player.state.name, 'scrubbing');
  assert.equal(player.offline, undefined);
});

test('answers of the worker reach who asked; a closed player answers no more', async () => {
  const sent: any[] = [];
  const port = { postMessage: (message: unknown) => sent.push(message), onmessage: null as any };
  const client = new Client(port);
  const times = client.ask({ ask: 'pictureTimes', display: 0, from: 0, to: 1 });
  const lost = client.ask({ ask: 'picture', display: 0, nanos: 3 });
  port.onmessage({ data: { id: 1, answer: [1, 2] } });
  assert.deepEqual(await times, [1, 2]);
  client.close();
  await assert.rejects(lost, { kind: 'cancelled' });
  assert.equal(sent.length, 2);
});
