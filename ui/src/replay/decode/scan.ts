// Goes through any file from its first byte to its last, whole, cut or damaged; after damage it finds the next chunk.
//
// Every length is checked before its bytes are asked for. Every byte of the file is in exactly one item.
import { crc32Ready } from './crc32';
import { BundleError, malformed, notMcap, tooLarge } from './errors';
import { Fields } from './fields';
import { parseJson } from './json';
import { checkLayout } from './layout';
import { MAGIC, RECORD_HEADER_BYTES, areEqual, chunkMessages, maxBytes, op } from './record';
import { openChunk, parseChunk, parseMetadata } from './record';
import type { RawMessage } from './record';
import type { ByteSource } from './source';
import { zstdReady } from './zstd';

export type Item =
  /** A chunk whose CRC holds and whose messages all parse; `bytes` is the length of its record. */
  | { kind: 'chunk'; offset: number; bytes: number; startTime: bigint; endTime: bigint; messages: RawMessage[] }
  | { kind: 'record'; offset: number; opcode: number; content: Uint8Array }
  /** Footer and closing magic are there: the file ends as it should. */
  | { kind: 'complete' }
  | { kind: 'damage'; start: number; end: number; why: string };

/** Most chunks of a file: 69 hours of recording. */
const MAX_CHUNKS = 1_000_000;
/** Bytes looked at once while searching for the next chunk. */
const SEARCH_BYTES = 1 << 16;
/** Bytes of a chunk record up to the end of its compression name. */
const SIGNATURE_BYTES = RECORD_HEADER_BYTES + 36;
/** Length and letters of the name of the only compression. */
const ZSTD = Uint8Array.of(4, 0, 0, 0, 0x7a, 0x73, 0x74, 0x64);
const OUR_METADATA = new TextEncoder().encode('praxis.');

/** Must have come true before a chunk is opened: any reading of a bundle begins with a scan. */
export const decodersReady = () => Promise.all([zstdReady(), crc32Ready()]);

export async function* scan(source: ByteSource, signal?: AbortSignal): AsyncGenerator<Item> {
  await decodersReady();
  const size = await source.size(signal);
  const read = (offset: number, length: number) => {
    signal?.throwIfAborted();
    return source.read(offset, length, signal);
  };
  if (size < MAGIC.length) throw notMcap();
  let at = MAGIC.length;
  let numChunks = 0;
  if (!areEqual(await read(0, MAGIC.length), MAGIC)) {
    // It does not begin as a bundle does; if something of one follows soon, its beginning is damaged.
    const window = await read(0, Math.min(SEARCH_BYTES, size));
    const found = positionOfRecord(window, size);
    if (found === undefined) throw notMcap();
    yield { kind: 'damage', start: 0, end: found, why: 'no MCAP magic bytes at the beginning' };
    at = found;
  }
  while (at < size) {
    const found = await readRecord(read, at, size);
    if ('why' in found) {
      const end = await findRecord(read, found.searchFrom, size);
      yield { kind: 'damage', start: found.start, end, why: found.why };
      at = end;
      continue;
    }
    if (found.item.kind === 'chunk' && ++numChunks > MAX_CHUNKS) throw tooLarge('chunks', numChunks, MAX_CHUNKS);
    yield found.item;
    at = found.end;
    if (found.item.kind !== 'record' || found.item.opcode !== op.footer) continue;
    const closing = await read(at, Math.min(MAGIC.length, size - at));
    if (at + MAGIC.length === size && areEqual(closing, MAGIC)) {
      yield { kind: 'complete' };
      return;
    }
    const end = await findRecord(read, at, size);
    yield { kind: 'damage', start: at, end, why: 'no closing magic bytes after the footer' };
    at = end;
  }
}

type Read = (offset: number, length: number) => Promise<Uint8Array>;
type Found = { item: Item; end: number } | { start: number; searchFrom: number; why: string };

async function readRecord(read: Read, at: number, size: number): Promise<Found> {
  const room = size - at - RECORD_HEADER_BYTES;
  if (room < 0) return { start: at, searchFrom: at, why: 'the file ends in the middle of a record' };
  const header = await read(at, RECORD_HEADER_BYTES);
  const opcode = header[0];
  const length = new Fields('record', header.subarray(1)).u64();
  const limit = maxBytes(opcode);
  const broken = (why: string) => ({ start: at, searchFrom: at + 1, why });
  if (limit === undefined) return broken(`no record begins with opcode ${opcode}`);
  if (length > limit) return broken(`a record of ${length} bytes is over the limit of ${limit}`);
  if (length > room) {
    return broken(`the file ends in the middle of a record: ${length} bytes stated, ${room} there`);
  }
  const content = await read(at + RECORD_HEADER_BYTES, Number(length));
  const end = at + RECORD_HEADER_BYTES + content.length;
  if (opcode !== op.chunk) {
    try {
      checkLayout(opcode, content);
      if (opcode === op.metadata) checkJson(content);
      return { item: { kind: 'record', offset: at, opcode, content }, end };
    } catch (error) {
      const why = reasonOf(error);
      const isBroken = error instanceof BundleError && error.kind === 'malformed';
      // The record's own opcode and length cannot be trusted, unless only what is in it is wrong.
      return isBroken ? broken(why) : { item: { kind: 'damage', start: at, end, why }, end };
    }
  }
  let chunk;
  try {
    chunk = parseChunk(content);
  } catch (error) {
    // Its lengths contradict each other, so the record's own length cannot be trusted either.
    return broken(reasonOf(error));
  }
  try {
    const messages = chunkMessages(openChunk(chunk));
    const { startTime, endTime } = chunk;
    return { item: { kind: 'chunk', offset: at, bytes: end - at, startTime, endTime, messages }, end };
  } catch (error) {
    return { item: { kind: 'damage', start: at, end, why: reasonOf(error) }, end };
  }
}

/** Where the next chunk or metadata record of ours begins, or the end of the file. */
async function findRecord(read: Read, from: number, size: number): Promise<number> {
  for (let at = from; at < size; ) {
    const window = await read(at, Math.min(SEARCH_BYTES, size - at));
    const position = positionOfRecord(window, size - at);
    if (position !== undefined) return at + position;
    if (at + window.length === size) break;
    at += window.length - SIGNATURE_BYTES;
  }
  return size;
}

function positionOfRecord(window: Uint8Array, room: number): number | undefined {
  for (let position = 0; position < window.length; position++) {
    if (looksLikeRecord(window.subarray(position), room - position)) return position;
  }
  return undefined;
}

/** Text that is no JSON is damage, though the record may be followed by others. */
function checkJson(content: Uint8Array): void {
  const { name, json } = parseMetadata(content);
  if (json !== '') parseJson(name, json);
}

function looksLikeRecord(window: Uint8Array, room: number): boolean {
  const opcode = window[0];
  if (opcode !== op.chunk && opcode !== op.metadata) return false;
  const [start, expected] = opcode === op.chunk ? [SIGNATURE_BYTES - ZSTD.length, ZSTD] : [13, OUR_METADATA];
  if (!areEqual(window.subarray(start, start + expected.length), expected)) return false;
  const length = new Fields('record', window.subarray(1, RECORD_HEADER_BYTES)).u64();
  return length <= (maxBytes(opcode) ?? 0) && length <= room - RECORD_HEADER_BYTES;
}

/** Why bytes cannot be read. Anything that is no finding about the bytes goes on up. */
export function reasonOf(error: unknown): string {
  if (error instanceof BundleError && error.kind !== 'source') return error.message;
  throw error;
}

/** The chunk that an index says is there. */
export function chunkAt(record: Uint8Array): RawMessage[] {
  const fields = new Fields('chunk', record);
  if (fields.u8() !== op.chunk || fields.size() !== fields.left) throw malformed('chunk', 0, 'no chunk is there');
  return chunkMessages(openChunk(parseChunk(fields.rest())));
}
