// What the second row of the bar of controls says, the gravest first. Null: there is no row.
import type { RecordingDto } from '../backend/types';
import { clock, room, sentence, trackNames } from './format';

export interface HudRow {
  /** Which one it is, so that it can be put away. */
  id: string;
  title: string;
  text: string;
  canBeClosed: boolean;
}

const FEW_SECONDS = 600;

/** `lostAt` says since when a track gives no proof of life, in session time. */
export function hudRow(recording: RecordingDto, lostAt: Map<string, number>, closed: Set<string>): HudRow | null {
  const lost = recording.tracks.filter(({ life }) => life === 'lost');
  const names = (tracks: typeof lost) => trackNames(tracks.map(({ track }) => track));
  const disk = recording.disk;
  const rows: HudRow[] = [];
  if (lost.length > 0) {
    const since = Math.min(...lost.map(({ track }) => lostAt.get(track) ?? recording.elapsedMillis));
    const alive = names(recording.tracks.filter(({ life }) => life === 'alive'));
    rows.push({
      id: 'lost',
      title: `No ${names(lost).toLowerCase().replace('voice', 'microphone')} since ${clock(since)}`,
      text: alive ? `${alive} go on` : 'Nothing else is recorded either',
      canBeClosed: false,
    });
  }
  if (disk.isLow) {
    rows.push({
      id: disk.secondsLeft < FEW_SECONDS ? 'disk, last minutes' : 'disk',
      title: `${room(disk.secondsLeft)} left on disk`,
      text: 'Recording ends by itself before the disk is full',
      canBeClosed: true,
    });
  }
  for (const [number, { atMillis, text, isLoss }] of [...recording.notices.entries()].reverse()) {
    const about = isLoss ? 'From here something is missing' : 'Recording goes on';
    rows.push({ id: `notice ${number}`, title: sentence(text), text: `At ${clock(atMillis)}. ${about}`, canBeClosed: true });
  }
  return rows.find(({ id }) => !closed.has(id)) ?? null;
}
