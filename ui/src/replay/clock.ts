// The player's clock: session time, driven by any steady time in milliseconds. Everything that is shown or heard asks it.

export class Clock {
  private base = 0;
  private since = 0;
  private running = false;
  private rate = 1;

  constructor(private time: () => number) {}

  get isRunning(): boolean {
    return this.running;
  }

  get speed(): number {
    return this.rate;
  }

  /** Session time now, in whole nanoseconds. */
  now(): number {
    if (!this.running) return this.base;
    return Math.floor(this.base + (this.time() - this.since) * 1e6 * this.rate);
  }

  start(): void {
    this.since = this.time();
    this.running = true;
  }

  stop(): void {
    this.base = this.now();
    this.running = false;
  }

  set(nanos: number): void {
    this.base = nanos;
    this.since = this.time();
  }

  setSpeed(speed: number): void {
    this.set(this.now());
    this.rate = speed;
  }

  /** Goes on from where it is, driven by another time. */
  drive(time: () => number): void {
    const nanos = this.now();
    this.time = time;
    this.set(nanos);
  }
}
