// Asks the worker that decodes, and gives each answer to who asked.
import type { AnswerTo, FromWorker, Problem, Question, ToWorker } from './decode/protocol';
import type { Picture } from './decode/picture';
import type { SurveyPart } from './decode/survey';

/** A worker, or what stands for one in a test. */
export interface Port {
  postMessage(message: ToWorker, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<FromWorker>) => unknown) | null;
  onerror?: ((event: ErrorEvent) => unknown) | null;
  terminate?(): void;
}

export class ProblemError extends Error {
  constructor(readonly kind: Problem['kind'], message: string) {
    super(message);
    this.name = 'ProblemError';
  }
}

export const isCancelled = (error: unknown): boolean => error instanceof ProblemError && error.kind === 'cancelled';

interface Waiting {
  resolve: (answer: never) => void;
  reject: (error: ProblemError) => void;
  onPart?: (part: SurveyPart) => void;
}

export class Client {
  private nextId = 1;
  private readonly waiting = new Map<number, Waiting>();

  constructor(private readonly port: Port) {
    port.onmessage = ({ data }) => {
      const asked = this.waiting.get(data.id);
      if ('part' in data) {
        asked?.onPart?.(data.part);
        return;
      }
      this.waiting.delete(data.id);
      if ('problem' in data) asked?.reject(new ProblemError(data.problem.kind, data.problem.message));
      else asked?.resolve(data.answer as never);
    };
    port.onerror = (event) => this.fail(`the decoder does not run: ${event.message || 'its program could not be loaded'}`);
  }

  /** Rejects with a `ProblemError`. */
  ask<Q extends Question>(question: Q, onPart?: (part: SurveyPart) => void): Promise<AnswerTo<Q>> {
    return this.begin(question, onPart).answer;
  }

  /** As `ask`, with a way to say that the answer is no longer wanted. */
  begin<Q extends Question>(question: Q, onPart?: (part: SurveyPart) => void) {
    const id = this.nextId++;
    const answer = new Promise<AnswerTo<Q>>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as Waiting['resolve'], reject, onPart });
    });
    this.port.postMessage({ id, question });
    return { answer, cancel: () => this.port.postMessage({ cancel: id }) };
  }

  /** Gives the memory of a picture back that is shown no more. */
  giveBack({ rgba }: Picture): void {
    this.port.postMessage({ giveBack: rgba.buffer }, [rgba.buffer]);
  }

  close(): void {
    this.port.terminate?.();
    for (const { reject } of this.waiting.values()) reject(new ProblemError('cancelled', 'the player was closed'));
    this.waiting.clear();
  }

  private fail(message: string): void {
    for (const { reject } of this.waiting.values()) reject(new ProblemError('internal', message));
    this.waiting.clear();
  }
}

export const startWorker = (): Client =>
  new Client(new Worker(new URL('./decode/worker.ts', import.meta.url), { type: 'module' }));
