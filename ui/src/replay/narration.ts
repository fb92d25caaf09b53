// Plays the narration: stretches of decoded samples, placed on the time of an audio context, which then drives the clock.
//
// Neighbouring stretches overlap by a few milliseconds and are faded into one another. Without a device, without narration or
// above four times the speed nothing is heard and the player goes on.
import type { VoiceRun } from './decode/voice';

export const MAX_VOICE_SPEED = 4;
const FADE_SECONDS = 0.01;
/** How far ahead samples are placed, and how long one stretch is, in seconds heard. */
const AHEAD_SECONDS = 4;
const STRETCH_SECONDS = 2;
const FIRST_SECONDS = 0.5;
const START_MILLIS = 300;
/** Browsers know only after a while how late the device is: when it differs more, what is heard is placed anew. */
const LATE_SECONDS = 0.02;

type AskVoice = (from: number, to: number, speed: number) => Promise<VoiceRun[]>;

interface Anchor {
  seconds: number;
  nanos: number;
  speed: number;
  /** How much later than its place a sample is heard, beyond what its picture is late, as was known then. */
  lateSeconds: number;
}

export class Narration {
  private context: AudioContext | undefined;
  private gain: GainNode | undefined;
  private anchor: Anchor | undefined;
  private placedUntil = 0;
  private isAsking = false;
  private readonly sources = new Set<AudioBufferSourceNode>();
  private volume = 1;
  /** How much later than their time pictures are seen. */
  pictureLateSeconds = 0;

  constructor(
    private readonly ask: AskVoice,
    private readonly endNanos: number,
  ) {}

  /** A time in milliseconds that runs, if there is a device; undefined otherwise. To be called in answer to a person's deed. */
  async wake(): Promise<(() => number) | undefined> {
    try {
      this.context ??= new AudioContext({ latencyHint: 'interactive' });
      const { context } = this;
      if (!this.gain) {
        this.gain = context.createGain();
        this.gain.connect(context.destination);
        this.gain.gain.value = this.volume;
      }
      const late = new Promise((resolve) => setTimeout(resolve, START_MILLIS));
      if (context.state !== 'running') await Promise.race([context.resume(), late]);
      return context.state === 'running' ? () => context.currentTime * 1000 : undefined;
    } catch {
      return undefined;
    }
  }

  /** From now on the sample of that session time is heard now. */
  start(nanos: number, speed: number): void {
    this.stop();
    if (!this.context || speed > MAX_VOICE_SPEED) return;
    // What is placed now is heard later, and so is its picture seen: it is placed so much earlier, or later.
    const lateSeconds = this.lateSeconds;
    this.anchor = { seconds: this.context.currentTime - lateSeconds, nanos, speed, lateSeconds };
    this.placedUntil = nanos;
    void this.pump();
  }

  stop(): void {
    this.anchor = undefined;
    for (const source of this.sources) source.stop();
    this.sources.clear();
  }

  setVolume(volume: number): void {
    this.volume = volume;
    if (this.gain) this.gain.gain.value = volume;
  }

  close(): void {
    this.stop();
    void this.context?.close();
  }

  /** Places what is heard soon. To be called again and again. */
  async pump(): Promise<void> {
    this.heedLateness();
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      for (let anchor = this.anchor; anchor && this.isWanted(anchor); anchor = this.anchor) {
        const from = this.placedUntil;
        const seconds = from === anchor.nanos ? FIRST_SECONDS : STRETCH_SECONDS;
        const to = Math.round(from + seconds * 1e9 * anchor.speed);
        const runs = await this.ask(from, to + FADE_SECONDS * 1e9 * anchor.speed, anchor.speed);
        // It was stopped or begun anew meanwhile.
        if (this.anchor !== anchor) continue;
        this.placedUntil = to;
        for (const run of runs) this.place(run, anchor);
      }
    } catch {
      // What cannot be read is not heard; the next stretch may be.
      this.placedUntil += STRETCH_SECONDS * 1e9;
    } finally {
      this.isAsking = false;
    }
  }

  private heedLateness(): void {
    const { anchor } = this;
    if (!anchor || Math.abs(this.lateSeconds - anchor.lateSeconds) <= LATE_SECONDS) return;
    const { speed, lateSeconds } = anchor;
    this.start(this.nanosPlacedNow(anchor) - Math.round(lateSeconds * 1e9 * speed), speed);
  }

  private get lateSeconds(): number {
    return (this.context?.outputLatency || 0) - this.pictureLateSeconds;
  }

  /** The session time of a sample that is placed now. */
  private nanosPlacedNow({ seconds, nanos, speed }: Anchor): number {
    return Math.round(nanos + ((this.context?.currentTime ?? 0) - seconds) * 1e9 * speed);
  }

  private isWanted(anchor: Anchor): boolean {
    const now = this.nanosPlacedNow(anchor);
    if (this.placedUntil < now) this.placedUntil = now;
    return this.placedUntil < this.endNanos && this.placedUntil < now + AHEAD_SECONDS * 1e9 * anchor.speed;
  }

  private place({ nanos, rateHz, samples }: VoiceRun, anchor: Anchor): void {
    const { context, gain } = this;
    if (!context || !gain || samples.length === 0) return;
    const numFaded = Math.min(Math.floor(FADE_SECONDS * rateHz), samples.length >> 1);
    for (let n = 0; n < numFaded; n++) {
      samples[n] *= n / numFaded;
      samples[samples.length - 1 - n] *= n / numFaded;
    }
    const buffer = context.createBuffer(1, samples.length, rateHz);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(gain);
    const at = anchor.seconds + (nanos - anchor.nanos) / 1e9 / anchor.speed;
    const late = Math.max(0, context.currentTime - at);
    if (late >= buffer.duration) return;
    source.start(at + late, late);
    this.sources.add(source);
    source.onended = () => this.sources.delete(source);
  }
}
