// Works on one target at a time and then only on the newest one: what a drag leaves behind is never caught up with.

export class Newest<T> {
  private next: { target: T } | undefined;
  private isBusy = false;
  private turn = 0;

  /** `work` that takes longer than the limit is no longer waited for. */
  constructor(
    private readonly work: (target: T) => Promise<unknown>,
    private readonly limitMillis = 1500,
  ) {}

  want(target: T): void {
    this.next = { target };
    if (!this.isBusy) void this.go();
  }

  /** Forgets what waits. What is being worked on is let go. */
  clear(): void {
    this.next = undefined;
    this.isBusy = false;
    this.turn++;
  }

  private async go(): Promise<void> {
    const turn = ++this.turn;
    this.isBusy = true;
    while (this.next && turn === this.turn) {
      const { target } = this.next;
      this.next = undefined;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const limit = new Promise((resolve) => (timer = setTimeout(resolve, this.limitMillis)));
      await Promise.race([this.work(target).catch(() => undefined), limit]);
      clearTimeout(timer);
    }
    if (turn === this.turn) this.isBusy = false;
  }
}
