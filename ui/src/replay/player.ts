// The player: carries out what its state machine says, with one clock for picture, sound and overlay. It knows no framework.
import { Ahead } from './ahead';
import { Client, ProblemError, isCancelled, startWorker } from './client';
import { Clock } from './clock';
import type { BundleInfo, Shown } from './decode/bundle';
import { idleStretches, stretchAt } from './idle';
import type { Stretch } from './idle';
import { Lanes } from './lanes';
import { transition, wantsToPlay } from './machine';
import type { Event, State } from './machine';
import { Narration } from './narration';
import { Newest } from './newest';
import { Overlay } from './overlay';

export const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 8, 16];
/** A picture that takes longer stops the clock until it is there. */
const LATE_MILLIS = 400;
/** At most so often a picture is asked for while scrubbing. */
const SCRUB_MILLIS = 120;
const RETRY_MILLIS = 2000;
const SURVEY_AGAIN_MILLIS = 5000;
/** What of the session is read ahead while playing, at the speed of one. */
const AHEAD_NANOS = 6_000_000_000;
/** A picture whose time has come is drawn half a frame later, as the mean goes, and seen a frame after that. */
const LATE_FRAMES = 1.5;
/** Longest time between two frames of a page that is seen. */
const MAX_FRAME_MILLIS = 250;
/** How much of the mean time between frames the last one makes. */
const FRAME_SHARE = 0.05;
/** When a picture cannot be shown, the next try is at the one after it, or so much later in the session. */
const LOST_NANOS = 250_000_000;

/** Displays whose first pictures are no further apart begin together. */
const TOGETHER_NANOS = 1_000_000_000;

export interface Hooks {
  /** Something but the time has changed. */
  changed(): void;
  /** The lanes, or what of them is idle, have changed. */
  surveyed(): void;
  picture(picture: Shown): void;
  /** There is no picture to show: why. */
  noPicture(display: number, problem: ProblemError): void;
  jumped(stretch: Stretch): void;
}

/** Session times between which what is shown of a display is right. */
interface Held {
  from: number;
  until: number;
}

/** What there is to show at a session time: a picture, or why there is none. */
type Found = { picture: Shown } | { nanos: number; until: number; problem: ProblemError };

export class Player {
  state: State = { name: 'opening' };
  info: BundleInfo | undefined;
  displays: number[] = [];
  shown: number[] = [];
  lanes = new Lanes(0);
  idle: Stretch[] = [];
  /** Why the timeline lacks something. */
  surveyProblem: string | undefined;
  private surveyAgain: ReturnType<typeof setTimeout> | undefined;
  /** Why pictures do not come: the connection. The last ones stay. */
  offline: string | undefined;
  /** Displays whose pictures do not come. */
  private readonly unreached = new Set<number>();
  jumpsIdle = true;
  idleNanos = 10_000_000_000;
  overlay: Overlay | undefined;
  private readonly clock = new Clock(() => performance.now());
  /** Answers what is shown and heard. */
  readonly client: Client;
  /** Goes through the whole bundle, beside; starts when the first picture is there. */
  private surveyor: Client | undefined;
  private isClosed = false;
  private narration: Narration | undefined;
  private readonly held = new Map<number, Held>();
  /** The next picture of each display, while it plays. */
  private readonly ahead: Ahead<number, Found>;
  /** Pictures on their way: asked for once. */
  private readonly pending = new Map<number, { nanos: number; answer: Promise<void> }>();
  private readonly scrubs: Newest<number>;
  /** When the first picture of each display is. */
  private readonly firsts = new Map<number, number>();
  private request = 0;
  /** Steps that were asked for and not yet taken: whether to the next picture. */
  private steps: boolean[] = [];
  private retryAt = 0;
  private lastFrame = 0;
  private frameMillis = 1000 / 60;
  private pumpTimer: ReturnType<typeof setInterval> | undefined;
  private sound: { time: () => number; last: number; at: number } | undefined;

  constructor(
    private readonly hooks: Hooks,
    private readonly start: () => Client = startWorker,
  ) {
    this.client = start();
    const drop = (found: Found) => 'picture' in found && this.client.giveBack(found.picture);
    this.ahead = new Ahead((display, nanos) => this.find(display, nanos), drop, () => this.goOn());
    this.scrubs = new Newest(async (nanos) => {
      const pause = new Promise((resolve) => setTimeout(resolve, SCRUB_MILLIS));
      await Promise.all([this.show(nanos), pause]);
    });
  }

  get durationNanos(): number {
    return this.info?.durationNanos ?? 0;
  }

  get nanos(): number {
    return Math.min(this.clock.now(), this.durationNanos);
  }

  get speed(): number {
    return this.clock.speed;
  }

  get wantsToPlay(): boolean {
    return wantsToPlay(this.state);
  }

  /** Opens the bundle at an address and shows the picture of a time. */
  async open(url: string, startNanos: number): Promise<void> {
    try {
      const { info, displays } = await this.client.ask({ ask: 'open', url });
      this.info = info;
      this.displays = displays;
      this.shown = displays.slice(0, 1);
      this.lanes = new Lanes(info.durationNanos);
      this.hooks.surveyed();
      this.overlay = new Overlay(this.client);
      this.narration = new Narration((from, to, speed) => this.client.ask({ ask: 'voice', from, to, speed }), info.durationNanos);
      this.pumpTimer = setInterval(() => void this.narration?.pump(), 250);
      for (const display of displays) {
        const first = await this.client.ask({ ask: 'pictureBeside', display, nanos: -1, isNext: true });
        if (first !== undefined) this.firsts.set(display, first);
      }
      this.send({ name: 'opened' });
      void this.seek(startNanos).then(() => this.survey(url));
    } catch (error) {
      if (!isCancelled(error)) this.send({ name: 'failed', problem: messageOf(error) });
    }
  }

  play(): void {
    // The sound needs a person's deed: this is one.
    void this.narration?.wake();
    this.steps = [];
    if (this.state.name === 'ended' || this.nanos >= this.durationNanos) this.seek(0);
    this.send({ name: 'play' });
    if (this.state.name === 'playing') this.go();
  }

  pause(): void {
    this.hold();
    this.ahead.forget();
    this.send({ name: 'pause' });
    // What is shown may be a picture behind: a paused player shows the one of its time.
    if (this.state.name === 'paused' && !this.showsAll(this.nanos)) void this.goTo(this.nanos);
  }

  toggle(): void {
    if (this.wantsToPlay) this.pause();
    else this.play();
  }

  /** Goes to a session time; only the newest target counts, and whether it plays stays as it was. */
  seek(nanos: number): Promise<void> {
    this.steps = [];
    return this.goTo(this.clamp(nanos));
  }

  private async goTo(target: number): Promise<void> {
    if (!this.info) return;
    this.scrubs.clear();
    const request = ++this.request;
    this.hold();
    this.ahead.forget();
    this.clock.set(target);
    this.send({ name: 'seek', request });
    await this.show(target);
    if (request === this.request) void this.overlay?.need(target);
    this.send({ name: 'shown', request });
    if (this.state.name === 'playing') this.go();
  }

  /** Plays, if there is something to be played. */
  private go(): void {
    if (this.offline) this.wait();
    else this.run();
  }

  /** While something is dragged: shows what can be shown in time. */
  scrub(nanos: number): void {
    if (!this.info) return;
    this.steps = [];
    this.hold();
    this.ahead.forget();
    this.send({ name: 'scrub' });
    const target = this.clamp(nanos);
    this.clock.set(target);
    this.scrubs.want(target);
    this.hooks.changed();
  }

  setSpeed(speed: number): void {
    this.clock.setSpeed(speed);
    if (this.clock.isRunning) this.narration?.start(this.nanos, speed);
    this.hooks.changed();
  }

  setVolume(volume: number): void {
    this.narration?.setVolume(volume);
  }

  setIdle(jumps: boolean, idleNanos: number): void {
    this.jumpsIdle = jumps;
    this.idleNanos = idleNanos;
    this.findIdle();
    this.hooks.surveyed();
    this.hooks.changed();
  }

  showDisplays(displays: number[]): void {
    this.shown = displays;
    this.held.clear();
    for (const display of this.unreached) if (!displays.includes(display)) this.reach(display);
    this.steps = [];
    this.hooks.changed();
    // The place stays, also where this display has nothing to show yet.
    void this.goTo(this.nanos);
  }

  /** To the picture after or before the one that is shown, as they were recorded. Each step asked for is taken. */
  async step(isNext: boolean): Promise<void> {
    if (this.wantsToPlay) this.pause();
    const { steps } = this;
    steps.push(isNext);
    if (steps.length > 1) return;
    while (steps.length > 0) {
      const target = await this.beside(steps[0]);
      // Whoever goes elsewhere is done with steps.
      if (steps !== this.steps) return;
      steps.shift();
      if (target !== undefined) void this.goTo(target);
    }
  }

  /** When what is shown changes next, or changed before it became what it is. */
  private async beside(isNext: boolean): Promise<number | undefined> {
    if (isNext) return this.changeBeside(this.nanos, true);
    const since = await this.changeBeside(this.nanos + 1, false);
    return since === undefined ? undefined : this.changeBeside(since, false);
  }

  private async changeBeside(nanos: number, isNext: boolean): Promise<number | undefined> {
    const asked = this.shown.map((display) => this.client.ask({ ask: 'pictureBeside', display, nanos, isNext }));
    const answers = await Promise.all(asked).catch((error: unknown) => {
      // That nothing is known of it is not that there is none.
      if (error instanceof ProblemError && error.kind === 'source') this.lose(this.shown[0], error.message);
      return [] as undefined[];
    });
    const times = [...answers].filter((time) => time !== undefined);
    if (times.length === 0) return undefined;
    return isNext ? Math.min(...times) : Math.max(...times);
  }

  thumbnail(display: number, nanos: number) {
    return (this.surveyor ?? this.client).ask({ ask: 'thumbnail', display, nanos });
  }

  /** Whether the pictures that are shown are those of the time. */
  get isRight(): boolean {
    return this.state.name === 'playing' || this.showsAll(this.nanos);
  }

  retry(): void {
    this.retryAt = Infinity;
    this.held.clear();
    if (this.state.name === 'scrubbing') this.scrub(this.nanos);
    else void this.goTo(this.nanos);
  }

  /** To be called for every frame that is drawn. */
  tick(): void {
    if (this.offline && performance.now() > this.retryAt) this.retry();
    if (this.state.name !== 'playing') return;
    this.watchSound();
    this.watchFrames();
    const { nanos } = this;
    if (nanos >= this.durationNanos) {
      // The last picture may not be there yet: the end is when it is shown.
      if (!this.showsAll(nanos)) return void this.seek(nanos);
      this.hold();
      this.ahead.forget();
      this.clock.set(nanos);
      this.send({ name: 'end' });
      return;
    }
    const stretch = this.jumpsIdle ? stretchAt(this.idle, nanos) : undefined;
    if (stretch) {
      this.hooks.jumped(stretch);
      this.seek(stretch.to);
      return;
    }
    void this.overlay?.need(nanos);
    for (const display of this.shown) if (nanos >= (this.held.get(display)?.until ?? 0)) this.follow(display, nanos);
  }

  close(): void {
    clearInterval(this.pumpTimer);
    clearTimeout(this.surveyAgain);
    this.narration?.close();
    this.client.close();
    this.isClosed = true;
    this.surveyor?.close();
  }

  /** Shows the next picture of a display, whose time has come, and asks for the one after it. */
  private follow(display: number, nanos: number): void {
    if (!this.ahead.isAsked(display)) this.ahead.ask(display, nanos);
    const found = this.ahead.take(display);
    if (typeof found === 'number') {
      if (found > LATE_MILLIS) this.wait();
      return;
    }
    this.put(display, found);
    const until = this.held.get(display)?.until;
    // What plays so fast that the one after it is over, too, asks when it knows for what.
    if (!this.offline && until !== undefined && nanos < until && until < this.durationNanos) this.ahead.ask(display, until);
  }

  private goOn(): void {
    if (this.state.name !== 'waiting' || this.offline || this.ahead.isLate) return;
    this.send({ name: 'caughtUp' });
    this.run();
  }

  private wait(): void {
    this.hold();
    this.send({ name: 'late' });
  }

  private async show(nanos: number): Promise<void> {
    await Promise.all(
      this.shown.map(async (display) => {
        if (!this.isHeld(display, nanos)) await this.fetch(display, nanos);
      }),
    ).catch(() => undefined);
  }

  /** Whether what is shown of a display is right at a time. */
  private isHeld(display: number, nanos: number): boolean {
    const held = this.held.get(display);
    return held !== undefined && held.from <= nanos && nanos < held.until;
  }

  /** Whether all that is shown is right at a time. */
  private showsAll(nanos: number): boolean {
    return this.shown.every((display) => this.isHeld(display, nanos));
  }

  /** Shows a picture, or says why there is none. Rejects if it is no longer wanted. */
  private fetch(display: number, nanos: number): Promise<void> {
    const pending = this.pending.get(display);
    if (pending?.nanos === nanos) return pending.answer;
    const answer = this.load(display, nanos).finally(() => {
      if (this.pending.get(display)?.answer === answer) this.pending.delete(display);
    });
    this.pending.set(display, { nanos, answer });
    return answer;
  }

  private async load(display: number, nanos: number): Promise<void> {
    // Until it has come nobody knows what is shown.
    this.held.delete(display);
    const found = await this.find(display, nanos);
    // Another one may be wanted by now, and be there.
    if (this.pending.get(display)?.nanos === nanos) this.put(display, found);
    else if ('picture' in found) this.client.giveBack(found.picture);
  }

  /** Rejects if it is no longer wanted. */
  private async find(display: number, nanos: number): Promise<Found> {
    try {
      const aheadNanos = this.wantsToPlay ? AHEAD_NANOS * Math.max(1, this.speed) : undefined;
      return { picture: await this.client.ask({ ask: 'picture', display, nanos, aheadNanos }) };
    } catch (error) {
      if (isCancelled(error)) throw error;
      const problem = error instanceof ProblemError ? error : new ProblemError('internal', messageOf(error));
      const next = await this.client.ask({ ask: 'pictureBeside', display, nanos, isNext: true }).catch(() => undefined);
      return { nanos, until: Math.min(next ?? Infinity, nanos + LOST_NANOS), problem };
    }
  }

  private put(display: number, found: Found): void {
    if (!this.shown.includes(display)) return;
    if ('picture' in found) {
      const { picture } = found;
      this.held.set(display, { from: picture.captureEndNanos, until: picture.sameUntilNanos });
      this.reach(display);
      this.hooks.picture(picture);
    } else if (found.problem.kind === 'source') {
      this.lose(display, found.problem.message);
      if (this.state.name === 'playing') this.wait();
    } else {
      this.reach(display);
      this.held.set(display, { from: found.nanos, until: found.until });
      this.hooks.noPicture(display, found.problem);
      // Chunks with pictures alone are read by whoever shows them, not by the survey.
      void this.client.ask({ ask: 'damages' }).then(
        (damages) => {
          this.noteDamages(damages);
          this.hooks.changed();
        },
        () => undefined,
      );
    }
    this.hooks.changed();
  }

  /** The connection stands between a display and its pictures. */
  private lose(display: number, why: string): void {
    this.offline = why;
    this.unreached.add(display);
    this.retryAt = performance.now() + RETRY_MILLIS;
    this.hooks.changed();
  }

  /** The connection does not stand between a display and its pictures. */
  private reach(display: number): void {
    this.unreached.delete(display);
    if (this.unreached.size === 0) this.offline = undefined;
  }

  private run(): void {
    this.clock.start();
    const { narration } = this;
    void narration?.wake().then((time) => {
      if (!this.clock.isRunning || !time) return;
      this.clock.drive(time);
      this.sound = { time, last: time(), at: performance.now() };
      narration.start(this.nanos, this.speed);
    });
  }

  private hold(): void {
    this.clock.stop();
    this.narration?.stop();
    this.clock.drive(() => performance.now());
    this.sound = undefined;
  }

  /** A sound device that stops must not stop the player. */
  private watchSound(): void {
    const { sound } = this;
    if (!sound) return;
    const now = performance.now();
    if (sound.time() !== sound.last) {
      sound.last = sound.time();
      sound.at = now;
    } else if (now - sound.at > 500) {
      this.sound = undefined;
      this.clock.drive(() => performance.now());
    }
  }

  /** How long frames take decides how late pictures are seen: the sound waits for them. */
  private watchFrames(): void {
    const now = performance.now();
    const took = now - this.lastFrame;
    this.lastFrame = now;
    if (took < MAX_FRAME_MILLIS) this.frameMillis += (took - this.frameMillis) * FRAME_SHARE;
    if (this.narration) this.narration.pictureLateSeconds = (LATE_FRAMES * this.frameMillis) / 1000;
  }

  private async survey(url: string): Promise<void> {
    const add = (part: Parameters<Lanes['add']>[0]) => {
      this.noteDamages(part.damages);
      this.lanes.add(part);
      this.findIdle();
      this.hooks.surveyed();
      this.hooks.changed();
    };
    if (this.isClosed) return;
    this.surveyor = this.start();
    try {
      await this.surveyor.ask({ ask: 'open', url, isLight: true });
      add(await this.surveyor.ask({ ask: 'survey' }, add));
    } catch (error) {
      if (isCancelled(error)) return;
      this.surveyProblem = messageOf(error);
      this.hooks.changed();
      // What the connection has cut is read anew.
      if (error instanceof ProblemError && error.kind === 'source') {
        this.surveyAgain = setTimeout(() => {
          this.surveyor?.close();
          this.surveyProblem = undefined;
          this.lanes = new Lanes(this.durationNanos);
          void this.survey(url);
        }, SURVEY_AGAIN_MILLIS);
      }
    }
  }

  /** Adds what was found damaged, by whoever read it. */
  private noteDamages(damages: BundleInfo['damages']): void {
    const { info } = this;
    if (!info) return;
    const fresh = damages.filter(({ startByte }) => !info.damages.some((known) => known.startByte === startByte));
    if (fresh.length === 0) return;
    info.damages = [...info.damages, ...fresh].sort((a, b) => a.startByte - b.startByte);
    this.findIdle();
    this.hooks.surveyed();
  }

  /** Stretches of which something cannot be read. */
  get damaged(): Stretch[] {
    // Chunks overlap in time: what follows one may begin before it.
    const damages = this.info?.damages ?? [];
    return damages.map(({ afterNanos, beforeNanos = this.durationNanos }) => ({
      from: Math.min(afterNanos, beforeNanos),
      to: Math.max(afterNanos, beforeNanos),
    }));
  }

  private findIdle(): void {
    const { lanes, idleNanos } = this;
    const damaged = this.damaged;
    // What was done in a damaged stretch is not known: it is not idle.
    const isActive = (bin: number) =>
      lanes.isActive(bin) || damaged.some(({ from, to }) => bin * lanes.binNanos < to && (bin + 1) * lanes.binNanos > from);
    // Where nothing was recorded but pictures, they are all there is to see.
    if (lanes.hasActivity) this.idle = idleStretches(isActive, lanes.binNanos, lanes.knownNanos, idleNanos);
  }

  private clamp(nanos: number): number {
    // Before the first picture nothing was shown yet: there is nothing to go to.
    const firstOf = (displays: Iterable<number>) => Math.min(...[...displays].map((display) => this.firsts.get(display) ?? Infinity));
    const [first, own] = [firstOf(this.firsts.keys()), firstOf(this.shown)];
    const start = own - first < TOGETHER_NANOS ? own : first;
    return Math.floor(Math.min(Math.max(start === Infinity ? 0 : start, nanos), this.durationNanos));
  }

  private send(event: Event): void {
    const before = this.state;
    this.state = transition(before, event);
    if (this.state !== before) this.hooks.changed();
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
