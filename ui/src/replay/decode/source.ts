// Where a bundle's bytes come from: ranges, so that a server, the application and a test are the same to a reader.
import { BundleError, sourceFailed } from './errors';

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

/** An answer of which nothing comes for so long is given up. */
const QUIET_MILLIS = 15_000;
/** What is read with the question for the length, and what is kept of the end. */
const EDGE_BYTES = 64 * 1024;

/**
 * A file behind an address that answers ranges. Its first bytes come with its length, and what was read last of its end is kept:
 * a bundle says there what it is, in many small records.
 */
export function rangeSource(url: string, priority: RequestPriority = 'auto', quietMillis = QUIET_MILLIS): ByteSource {
  let size: Promise<number> | undefined;
  let head: Uint8Array = new Uint8Array(0);
  let tail: { offset: number; bytes: Uint8Array } | undefined;
  /** The bytes of an answer, of which there may be fewer, and how long the file is. */
  const ask = async (first: number, last: number, signal?: AbortSignal) => {
    // Given up by whoever asked, or because nothing comes.
    const controller = new AbortController();
    const giveUp = () => controller.abort();
    signal?.addEventListener('abort', giveUp);
    let patience = setTimeout(giveUp, quietMillis);
    try {
      signal?.throwIfAborted();
      const headers = { Range: `bytes=${first}-${last}` };
      const answer = await fetch(url, { headers, signal: controller.signal, cache: 'no-store', priority });
      if (answer.status !== 206 || !answer.body) {
        await answer.body?.cancel();
        throw sourceFailed(`${answer.status === 200 ? 'it does not answer ranges' : `it answered ${answer.status}`}: ${url}`);
      }
      const total = Number(/\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')?.[1]);
      const bytes = new Uint8Array(last - first + 1);
      const reader = answer.body.getReader();
      let length = 0;
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(patience);
        patience = setTimeout(giveUp, quietMillis);
        if (length + part.value.length > bytes.length) throw sourceFailed(`${bytes.length} bytes asked for, more given: ${url}`);
        bytes.set(part.value, length);
        length += part.value.length;
      }
      return { bytes: bytes.subarray(0, length), total };
    } catch (error) {
      signal?.throwIfAborted();
      if (controller.signal.aborted) throw sourceFailed(`nothing came for ${quietMillis / 1000} seconds`);
      if (error instanceof BundleError) throw error;
      throw sourceFailed(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(patience);
      signal?.removeEventListener('abort', giveUp);
      controller.abort();
    }
  };
  const askSize = async (signal?: AbortSignal) => {
    const { bytes, total } = await ask(0, EDGE_BYTES - 1, signal);
    if (!Number.isSafeInteger(total)) throw sourceFailed(`it does not say how long the file is: ${url}`);
    assertLength(bytes, Math.min(EDGE_BYTES, total));
    head = bytes;
    return total;
  };
  const assertLength = (bytes: Uint8Array, length: number) => {
    if (bytes.length !== length) throw sourceFailed(`${length} bytes asked for, ${bytes.length} given: ${url}`);
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
      const { bytes } = await ask(offset, end - 1, signal);
      assertLength(bytes, length);
      if (size && length <= EDGE_BYTES && end === (await size)) tail = { offset, bytes };
      return bytes;
    },
  };
}
