// What passes between the player and the worker that decodes: one answer to each question, pictures without a copy.
import type { BundleInfo, Message } from './bundle';
import type { ErrorKind } from './errors';
import type { NarrationBlock } from './narration';
import type { Picture } from './picture';
import type { JsonTrack } from './track';
import type { MessageOf } from './types';

/** Times are session times in nanoseconds; stretches include their ends. */
export type Question =
  | { ask: 'open'; url: string }
  | { ask: 'picture'; display: number; nanos: number }
  | { ask: 'pictureTimes'; display: number; from: number; to: number }
  | { ask: 'messages'; track: JsonTrack; from: number; to: number }
  | { ask: 'narration'; from: number; to: number };

export type AnswerTo<Q extends Question> = Q extends { ask: 'open' }
  ? { info: BundleInfo; displays: number[] }
  : Q extends { ask: 'picture' }
    ? Picture
    : Q extends { ask: 'pictureTimes' }
      ? number[]
      : Q extends { ask: 'messages'; track: infer T extends JsonTrack }
        ? Message<MessageOf[T]>[]
        : NarrationBlock[];

export interface Problem {
  /** `cancelled` if that was asked for. */
  kind: ErrorKind | 'cancelled' | 'not_open' | 'internal';
  message: string;
}

/** To the worker. A cancelled question is answered, too: with a problem, or with what was ready. */
export type ToWorker = { id: number; question: Question } | { cancel: number };

/** From the worker. */
export type FromWorker = { id: number; answer: AnswerTo<Question> } | { id: number; problem: Problem };
