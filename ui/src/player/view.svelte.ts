// What the parts of the player share: the player itself, what of it has changed, and how the viewer wants to see it.
import { loadActions } from '../replay/actions';
import type { ActionsAnswer } from '../replay/actions';
import type { ProblemError } from '../replay/client';
import type { Shown } from '../replay/decode/bundle';
import type { Stretch } from '../replay/idle';
import type { Lanes } from '../replay/lanes';
import { Player, SPEEDS } from '../replay/player';
import { kept, keep } from './preferences';

export type Tab = 'actions' | 'events' | 'health' | 'about';

/** Of the picture shown: what is said about it. */
export interface Facts {
  sequence: number;
  nanos: number;
  isLossy: boolean;
}

export class View {
  nanos = $state(0);
  /** Per display what is shown, or why there is nothing. */
  facts = $state.raw<ReadonlyMap<number, Facts | ProblemError>>(new Map());
  actions = $state.raw<ActionsAnswer | null>(null);
  actionsProblem = $state<string | null>(null);
  tab = $state<Tab>('actions');
  words = $state('');
  hasPanel = $state(false);
  isHelpOpen = $state(false);
  /** What has just been done, for a moment. */
  notice = $state<string | null>(null);
  zoom = $state<'fit' | number>('fit');
  showsMarks = $state(false);
  showsCaptions = $state(kept('captions', true));
  showsRipples = $state(kept('ripples', true));
  volume = $state(kept('volume', 1));
  isMuted = $state(kept('muted', false));
  readonly player: Player;
  onPicture: (picture: Shown) => void = () => undefined;
  onNoPicture: (display: number) => void = () => undefined;
  #changes = $state(0);
  #surveys = $state(0);
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly base: string) {
    this.player = new Player({
      changed: () => this.#changes++,
      surveyed: () => this.#surveys++,
      picture: (picture) => {
        this.note(picture.display, { sequence: picture.sequence, nanos: picture.captureEndNanos, isLossy: picture.isLossy.includes(1) });
        this.onPicture(picture);
      },
      noPicture: (display, problem) => {
        this.note(display, problem);
        this.onNoPicture(display);
      },
      jumped: ({ from, to }: Stretch) => this.say(`Jumped ${Math.round((to - from) / 1e9)} s without activity`),
    });
    this.player.setSpeed(SPEEDS.includes(kept('speed', 1)) ? kept('speed', 1) : 1);
    this.player.setIdle(kept('jumpsIdle', true), kept('idleSeconds', 10) * 1e9);
  }

  /** The player, asked anew whenever something has changed. */
  get now(): Player {
    void this.#changes;
    return this.player;
  }

  /** The lanes, asked anew whenever there is more of them: seldom, while pictures change often. */
  get lanes(): Lanes {
    void this.#surveys;
    return this.player.lanes;
  }

  get changes(): number {
    return this.#changes;
  }

  async open(startNanos: number): Promise<void> {
    const url = new URL(`${this.base}/content`, document.baseURI).href;
    await this.player.open(url, startNanos);
    this.applyVolume();
    await this.loadActions();
  }

  async loadActions(): Promise<void> {
    this.actionsProblem = null;
    try {
      this.actions = await loadActions(this.base);
    } catch (error) {
      this.actionsProblem = error instanceof Error ? error.message : String(error);
    }
  }

  say(text: string): void {
    this.notice = text;
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => (this.notice = null), 2500);
  }

  setSpeed(speed: number): void {
    this.player.setSpeed(speed);
    keep('speed', speed);
  }

  setIdle(jumps: boolean, seconds: number): void {
    this.player.setIdle(jumps, seconds * 1e9);
    keep('jumpsIdle', jumps);
    keep('idleSeconds', seconds);
  }

  setVolume(volume: number, isMuted: boolean): void {
    this.volume = volume;
    this.isMuted = isMuted;
    keep('volume', volume);
    keep('muted', isMuted);
    this.applyVolume();
  }

  /** Whether nothing is heard because the viewer wants it so. */
  get isSilent(): boolean {
    return this.isMuted || this.volume === 0;
  }

  /** Sound off, or on: as loud as it was, or wholly if that was not at all. */
  toggleSound(): void {
    this.setVolume(this.volume || 1, !this.isSilent);
  }

  toggle(what: 'showsCaptions' | 'showsRipples'): void {
    this[what] = !this[what];
    keep(what === 'showsCaptions' ? 'captions' : 'ripples', this[what]);
  }

  private applyVolume(): void {
    this.player.setVolume(this.isMuted ? 0 : this.volume ** 2);
  }

  private note(display: number, facts: Facts | ProblemError): void {
    this.facts = new Map(this.facts).set(display, facts);
  }
}
