// What passes between the player and the worker that decodes: one answer to each question, pictures without a copy.
import type { BundleInfo, Message, Shown } from './bundle';
import type { ErrorKind } from './errors';
import type { SurveyPart } from './survey';
import type { JsonTrack } from './track';
import type { MessageOf } from './types';
import type { VoiceRun } from './voice';

/** Times are session times in nanoseconds; stretches include their ends. */
export type Question =
  /** `isLight`: it only goes through the bundle, keeps little and lets others read first. */
  | { ask: 'open'; url: string; isLight?: boolean }
  /** A newer one stops an older one of the same display. With `aheadNanos` what follows is read in advance. */
  | { ask: 'picture'; display: number; nanos: number; aheadNanos?: number }
  /** What of the file could not be read so far. */
  | { ask: 'damages' }
  | { ask: 'pictureBeside'; display: number; nanos: number; isNext: boolean }
  | { ask: 'pictureTimes'; display: number; from: number; to: number }
  | { ask: 'messages'; track: JsonTrack; from: number; to: number }
  | { ask: 'latest'; track: JsonTrack; nanos: number }
  /** Voice and system of a stretch of time, its end not included, as it sounds at a speed. */
  | { ask: 'voice'; from: number; to: number; speed: number }
  | { ask: 'thumbnail'; display: number; nanos: number }
  /** Goes through the whole bundle; answered in parts (`part`), the last one as an answer. */
  | { ask: 'survey' };

export type AnswerTo<Q extends Question> = Q extends { ask: 'open' }
  ? { info: BundleInfo; displays: number[] }
  : Q extends { ask: 'picture' }
    ? Shown
    : Q extends { ask: 'pictureBeside' }
      ? number | undefined
      : Q extends { ask: 'pictureTimes' }
        ? number[]
        : Q extends { ask: 'messages'; track: infer T extends JsonTrack }
          ? Message<MessageOf[T]>[]
          : Q extends { ask: 'latest'; track: infer T extends JsonTrack }
            ? Message<MessageOf[T]> | undefined
            : Q extends { ask: 'voice' }
              ? VoiceRun[]
              : Q extends { ask: 'thumbnail' }
                ? { nanos: number; jpeg: Uint8Array<ArrayBuffer> } | undefined
                : Q extends { ask: 'survey' }
                  ? SurveyPart
                  : BundleInfo['damages'];

export interface Problem {
  /** `cancelled` if that was asked for. */
  kind: ErrorKind | 'cancelled' | 'not_open' | 'internal';
  message: string;
}

/**
 * To the worker. A cancelled question is answered, too: with a problem, or with what was ready. A picture that is shown no
 * more can be given back.
 */
export type ToWorker = { id: number; question: Question } | { cancel: number } | { giveBack: ArrayBuffer };

/** From the worker. */
export type FromWorker =
  | { id: number; answer: AnswerTo<Question> }
  | { id: number; problem: Problem }
  | { id: number; part: SurveyPart };
