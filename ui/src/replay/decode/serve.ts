// Answers the questions that come over a port: pictures one after the other, and beside them everything else, one after the
// other. A cancelled question is dropped.
import { Bundle } from './bundle';
import { BundleError } from './errors';
import type { AnswerTo, FromWorker, Problem, Question, ToWorker } from './protocol';
import { rangeSource } from './source';
import { survey } from './survey';
import { voice } from './voice';

/** The part of a worker's scope, or of a message port, that is needed. */
export interface Port {
  onmessage: ((event: MessageEvent<ToWorker>) => unknown) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

const LIGHT_CACHE_BYTES = 8 * 1024 * 1024;

interface Asked {
  id: number;
  question: Question;
  controller: AbortController;
}

export function serve(port: Port): void {
  const running = new Map<number, Asked>();
  let bundle: Bundle | undefined;
  let pictures: Promise<unknown> = Promise.resolve();
  let others: Promise<unknown> = Promise.resolve();
  let opening: Promise<unknown> = others;

  const answer = async ({ id, question, controller: { signal } }: Asked): Promise<AnswerTo<Question>> => {
    signal.throwIfAborted();
    if (question.ask === 'open') {
      const { url, isLight } = question;
      bundle = await Bundle.open(rangeSource(url, isLight ? 'low' : 'auto'), signal, isLight ? LIGHT_CACHE_BYTES : undefined);
      return { info: bundle.info, displays: bundle.displays };
    }
    if (!bundle) throw new NotOpen();
    if (question.ask === 'picture') {
      const { display, nanos, aheadNanos } = question;
      const picture = await bundle.pictureAt(display, nanos, signal);
      if (aheadNanos) bundle.readAhead(display, nanos, nanos + aheadNanos);
      return picture;
    }
    if (question.ask === 'pictureBeside') {
      return bundle.pictureBeside(question.display, question.nanos, question.isNext, signal);
    }
    if (question.ask === 'damages') return bundle.info.damages;
    if (question.ask === 'latest') return bundle.latest(question.track, question.nanos, signal);
    if (question.ask === 'thumbnail') return bundle.thumbnail(question.display, question.nanos, signal);
    if (question.ask === 'survey') {
      return survey(bundle, (part) => port.postMessage({ id, part }, buffersOf(part)), signal);
    }
    const { from, to } = question;
    if (question.ask === 'pictureTimes') return bundle.pictureTimes(question.display, from, to, signal);
    if (question.ask === 'messages') return bundle.messages(question.track, from, to, signal);
    return voice(bundle, from, to, question.speed, signal);
  };

  const work = async (asked: Asked) => {
    const { id, controller } = asked;
    try {
      const found = await answer(asked);
      port.postMessage({ id, answer: found }, buffersOf(found));
    } catch (error) {
      port.postMessage({ id, problem: problemOf(error, controller.signal) }, []);
    }
    running.delete(id);
  };

  port.onmessage = ({ data }) => {
    if ('cancel' in data) {
      running.get(data.cancel)?.controller.abort();
      return;
    }
    if ('giveBack' in data) {
      bundle?.giveBack(data.giveBack);
      return;
    }
    const { id, question } = data;
    if (question.ask === 'picture') {
      for (const { question: older, controller } of running.values()) {
        if (older.ask === 'picture' && older.display === question.display) controller.abort();
      }
    }
    const asked = { id, question, controller: new AbortController() };
    running.set(id, asked);
    // Nothing can be asked before it is open.
    if (question.ask === 'picture') pictures = Promise.all([pictures, opening]).then(() => work(asked));
    else others = others.then(() => work(asked));
    if (question.ask === 'open') opening = others;
  };
}

class NotOpen extends Error {}

function problemOf(error: unknown, signal: AbortSignal): Problem {
  if (error instanceof BundleError) return { kind: error.kind, message: error.message };
  if (signal.aborted) return { kind: 'cancelled', message: 'cancelled' };
  if (error instanceof NotOpen) return { kind: 'not_open', message: 'no bundle is open' };
  return { kind: 'internal', message: String(error) };
}

/** What can be handed over without a copy. */
function buffersOf(answer: AnswerTo<Question>): Transferable[] {
  if (answer === undefined || typeof answer === 'number') return [];
  if ('rgba' in answer) return [answer.rgba.buffer, answer.isLossy.buffer];
  if ('firstBin' in answer) return [answer.keys.buffer, answer.pointer.buffer, answer.voice.buffer];
  if ('jpeg' in answer) return [answer.jpeg.buffer];
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((entry) => (typeof entry === 'object' && 'samples' in entry ? [entry.samples.buffer] : []));
}
