// How a session can have gone, in words.
import type { OutcomeDto } from '../backend/types';
import type { IconName } from './icons';

export const outcomes: { outcome: OutcomeDto; icon: IconName; word: string; text: string }[] = [
  { outcome: 'success', icon: 'ok', word: 'Solved', text: 'You reached a result you trust' },
  { outcome: 'failure', icon: 'no', word: 'Not solved', text: 'You tried, and it did not work out' },
  { outcome: 'abandoned', icon: 'hourglass', word: 'Gave up or interrupted', text: 'You stopped before the end' },
];

/** `Solved. What the note says` */
export function outcomeAndNote(outcome: OutcomeDto | null, note: string | null): string {
  return [outcomes.find((each) => each.outcome === outcome)?.word, note].filter(Boolean).join('. ');
}
