// Where a bundle's bytes come from: ranges, so that a server, the application and a test are the same to a reader.
import { sourceFailed } from './errors';

export interface ByteSource {
  /** Length in bytes. */
  size(signal?: AbortSignal): Promise<number>;
  /** Exactly these bytes; fails if they are not there. */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/** Bytes that are here already. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: async () => bytes.length,
    read: async (offset, length) => {
      if (offset + length > bytes.length) {
        throw sourceFailed(`bytes ${offset} to ${offset + length} wanted, ${bytes.length} there`);
      }
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** An answer that has not begun by then is given up. */
const ANSWER_WITHIN_MILLIS = 15_000;
/** What is read with the question for the length, and what is kept of the end. */
const EDGE_BYTES = 64 * 1024;

/**
 * A file behind an address that answers ranges. Its first bytes come with its length, and what was read last of its end is kept:
 * a bundle says there what it is, in many small records.
 */
export function rangeSource(url: string, priority: RequestPriority = 'auto', answerWithinMillis = ANSWER_WITHIN_MILLIS): ByteSource {
  let size: Promise<number> | undefined;
  let head: Uint8Array = new Uint8Array(0);
  let tail: { offset: number; bytes: Uint8Array } | undefined;
  const ask = async (first: number, last: number, signal?: AbortSignal) => {
    const headers = { Range: `bytes=${first}-${last}` };
    let answer: Response;
    // Given up by whoever asked, or because nobody answers.
    const controller = new AbortController();
    const giveUp = () => controller.abort();
    signal?.addEventListener('abort', giveUp);
    const patience = setTimeout(giveUp, answerWithinMillis);
    try {
      signal?.throwIfAborted();
      answer = await fetch(url, { headers, signal: controller.signal, cache: 'no-store', priority });
    } catch (error) {
      signal?.throwIfAborted();
      const why = error instanceof Error ? error.message : String(error);
      throw sourceFailed(controller.signal.aborted ? `no answer within ${answerWithinMillis / 1000} seconds` : why);
    } finally {
      clearTimeout(patience);
    }
    if (answer.status !== 206) {
      await answer.body?.cancel();
      const why = answer.status === 200 ? 'it does not answer ranges' : `it answered ${answer.status}`;
      throw sourceFailed(`${why}: ${url}`);
    }
    return answer;
  };
  const askSize = async (signal?: AbortSignal) => {
    const answer = await ask(0, EDGE_BYTES - 1, signal);
    const total = Number(/\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')?.[1]);
    if (!Number.isSafeInteger(total)) throw sourceFailed(`it does not say how long the file is: ${url}`);
    head = await bytesOf(answer, Math.min(EDGE_BYTES, total));
    return total;
  };
  const bytesOf = async (answer: Response, length: number) => {
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length !== length) throw sourceFailed(`${length} bytes asked for, ${bytes.length} given: ${url}`);
    return bytes;
  };
  return {
    size: (signal) => {
      size ??= askSize(signal).catch((error) => {
        size = undefined;
        throw error;
      });
      return size;
    },
    read: async (offset, length, signal) => {
      const end = offset + length;
      if (end <= head.length) return head.subarray(offset, end);
      if (tail && offset >= tail.offset && end <= tail.offset + tail.bytes.length) {
        return tail.bytes.subarray(offset - tail.offset, end - tail.offset);
      }
      if (length === 0) return new Uint8Array(0);
      const bytes = await bytesOf(await ask(offset, end - 1, signal), length);
      if (size && length <= EDGE_BYTES && end === (await size)) tail = { offset, bytes };
      return bytes;
    },
  };
}
