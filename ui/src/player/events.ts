// What happened beside the actions, as rows in order of time: markers, gaps, changes of the active window.
import { shortClock, trackNames } from '../lib/format';
import type { IconName } from '../lib/icons';
import type { Lanes } from '../replay/lanes';
import { gapWord } from './paint';

export interface EventRow {
  nanos: number;
  icon: IconName;
  words: string;
  aside: string;
}

export function eventsOf({ markers, gaps, windows }: Lanes): EventRow[] {
  const rows: EventRow[] = [
    ...markers.map(({ nanos, label }) => ({ nanos, icon: 'flag' as const, words: label || 'Marker', aside: '' })),
    ...gaps.map((gap) => ({
      nanos: gap.from,
      icon: gap.reason === 'pause' ? ('pause' as const) : ('alert' as const),
      words: `${gapWord(gap)} ${shortClock((gap.to - gap.from) / 1e6)}${gap.detail ? `: ${gap.detail}` : ''}`,
      aside: trackNames(gap.tracks),
    })),
    ...windows
      .filter((span) => span.class || span.title)
      .map(({ from, title, class: name }) => ({ nanos: from, icon: 'window' as const, words: title || name, aside: title ? name : '' })),
  ];
  return rows.sort((a, b) => a.nanos - b.nanos);
}
