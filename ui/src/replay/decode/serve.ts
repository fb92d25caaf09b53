// Answers the questions that come over a port. Questions are worked on one after the other; a cancelled one is dropped.
import { Bundle } from './bundle';
import { BundleError } from './errors';
import type { AnswerTo, FromWorker, Problem, Question, ToWorker } from './protocol';
import { rangeSource } from './source';

/** The part of a worker's scope, or of a message port, that is needed. */
export interface Port {
  onmessage: ((event: MessageEvent<ToWorker>) => unknown) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

export function serve(port: Port): void {
  const running = new Map<number, AbortController>();
  let bundle: Bundle | undefined;
  let before = Promise.resolve();

  const answer = async (question: Question, signal: AbortSignal): Promise<AnswerTo<Question>> => {
    signal.throwIfAborted();
    if (question.ask === 'open') {
      bundle = await Bundle.open(rangeSource(question.url), signal);
      return { info: bundle.info, displays: bundle.displays };
    }
    if (!bundle) throw new NotOpen();
    if (question.ask === 'picture') return bundle.pictureAt(question.display, question.nanos, signal);
    const { from, to } = question;
    if (question.ask === 'pictureTimes') return bundle.pictureTimes(question.display, from, to, signal);
    if (question.ask === 'messages') return bundle.messages(question.track, from, to, signal);
    return bundle.narration(from, to, signal);
  };

  const work = async (id: number, question: Question, signal: AbortSignal) => {
    try {
      const found = await answer(question, signal);
      port.postMessage({ id, answer: found }, buffersOf(found));
    } catch (error) {
      port.postMessage({ id, problem: problemOf(error, signal) }, []);
    }
    running.delete(id);
  };

  port.onmessage = ({ data }) => {
    if ('cancel' in data) {
      running.get(data.cancel)?.abort();
      return;
    }
    const controller = new AbortController();
    running.set(data.id, controller);
    before = before.then(() => work(data.id, data.question, controller.signal));
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
  if ('rgba' in answer) return [answer.rgba.buffer, answer.isLossy.buffer];
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((entry) => (typeof entry === 'object' && 'samples' in entry ? [entry.samples.buffer] : []));
}
