// Finds what is needed next before it is needed: for each key one thing, which waits until it is taken.

interface Next<T> {
  found?: T;
  /** Since when it is needed, in milliseconds, if it has not come. */
  neededSince?: number;
}

export class Ahead<K, T> {
  private readonly next = new Map<K, Next<T>>();

  /** `find` may reject: then nobody wants it any more. `drop` is given what nobody takes, `came` called when something is there. */
  constructor(
    private readonly find: (key: K, nanos: number) => Promise<T>,
    private readonly drop: (found: T) => void,
    private readonly came: () => void,
  ) {}

  /** Begins to find what is needed at a session time. */
  ask(key: K, nanos: number): void {
    const next: Next<T> = {};
    this.next.set(key, next);
    this.find(key, nanos).then(
      (found) => {
        if (this.next.get(key) !== next) return this.drop(found);
        next.found = found;
        this.came();
      },
      () => {
        if (this.next.get(key) === next) this.next.delete(key);
      },
    );
  }

  /** It is needed now: what was found, or for how many milliseconds it has been missing. */
  take(key: K): T | number {
    const next = this.next.get(key);
    if (!next) return 0;
    if (next.found !== undefined) {
      this.next.delete(key);
      return next.found;
    }
    next.neededSince ??= performance.now();
    return performance.now() - next.neededSince;
  }

  isAsked(key: K): boolean {
    return this.next.has(key);
  }

  /** Whether something that is needed has not come. */
  get isLate(): boolean {
    return [...this.next.values()].some(({ found, neededSince }) => found === undefined && neededSince !== undefined);
  }

  forget(): void {
    for (const { found } of this.next.values()) if (found !== undefined) this.drop(found);
    this.next.clear();
  }
}
