// MCAP records: how they are laid out, with a limit on every length. The limits are those of the recorder's own reader.
import { crc32 } from './crc32';
import { checksum, malformed, tooLarge } from './errors';
import { Fields } from './fields';
import { decompress } from './zstd';

export const MAGIC = Uint8Array.of(0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a);
/** Bytes of opcode and length before each record's content. */
export const RECORD_HEADER_BYTES = 9;
/** Most bytes a chunk may hold uncompressed. */
export const MAX_CHUNK_BYTES = 64 * 1024 * 1024;
const MAX_CHUNK_MESSAGES = 1 << 19;
const MIB = 1024 * 1024;
/** Room for the fixed fields of a chunk and for data that zstd could not make smaller. */
const CHUNK_OVERHEAD_BYTES = MIB;

export const op = {
  header: 0x01,
  footer: 0x02,
  schema: 0x03,
  channel: 0x04,
  message: 0x05,
  chunk: 0x06,
  messageIndex: 0x07,
  chunkIndex: 0x08,
  attachment: 0x09,
  attachmentIndex: 0x0a,
  statistics: 0x0b,
  metadata: 0x0c,
  metadataIndex: 0x0d,
  summaryOffset: 0x0e,
  dataEnd: 0x0f,
} as const;

/** Most content bytes a record may have; undefined for one that stands nowhere in a bundle but in chunks. */
export function maxBytes(opcode: number): number | undefined {
  if (opcode === op.chunk) return MAX_CHUNK_BYTES + CHUNK_OVERHEAD_BYTES;
  if (opcode === op.attachment || opcode === op.messageIndex) return 16 * MIB;
  if (opcode === op.metadata) return 4 * MIB;
  if (opcode === op.schema) return MIB;
  const isKnown = opcode >= op.header && opcode <= op.dataEnd && opcode !== op.message;
  return isKnown ? MIB / 16 : undefined;
}

export interface RawRecord {
  opcode: number;
  content: Uint8Array;
}

/** The records of a decompressed chunk or of a summary. */
export function* records(bytes: Uint8Array): Generator<RawRecord> {
  const fields = new Fields('record', bytes);
  while (fields.left > 0) {
    const opcode = fields.u8();
    yield { opcode, content: fields.take(fields.size()) };
  }
}

export interface Chunk {
  startTime: bigint;
  endTime: bigint;
  uncompressedBytes: number;
  crc: number;
  compression: string;
  records: Uint8Array;
}

/** A chunk record's content, still compressed. */
export function parseChunk(content: Uint8Array): Chunk {
  const fields = new Fields('chunk', content);
  const startTime = fields.u64();
  const endTime = fields.u64();
  const uncompressedBytes = fields.size();
  const crc = fields.u32();
  const compression = fields.text();
  const recordsBytes = fields.size();
  if (recordsBytes !== fields.left) {
    throw fields.malformed(`${recordsBytes} bytes of records, ${fields.left} there`);
  }
  if (uncompressedBytes > MAX_CHUNK_BYTES) throw tooLarge('bytes of a chunk', uncompressedBytes, MAX_CHUNK_BYTES);
  return { startTime, endTime, uncompressedBytes, crc, compression, records: fields.rest() };
}

/** Decompresses a chunk's records and checks their CRC. */
export function openChunk(chunk: Chunk): Uint8Array {
  const bytes =
    chunk.compression === 'zstd'
      ? decompress(chunk.records, chunk.uncompressedBytes)
      : chunk.compression === ''
        ? chunk.records
        : undefined;
  if (!bytes) throw malformed('chunk', 0, `unknown compression "${chunk.compression}"`);
  if (bytes.length !== chunk.uncompressedBytes) {
    throw malformed('chunk', 0, `${bytes.length} bytes after decompression, ${chunk.uncompressedBytes} stated`);
  }
  const found = crc32(bytes);
  if (found !== chunk.crc) throw checksum('chunk', found, chunk.crc);
  return bytes;
}

export interface RawMessage {
  channel: number;
  sequence: number;
  logTime: bigint;
  data: Uint8Array;
}

/** The messages of a decompressed chunk; it is only good if every record in it is one that parses. */
export function chunkMessages(bytes: Uint8Array): RawMessage[] {
  const messages: RawMessage[] = [];
  for (const { opcode, content } of records(bytes)) {
    if (opcode !== op.message) throw malformed('chunk', 0, `opcode ${opcode} inside a chunk`);
    const fields = new Fields('message', content);
    const channel = fields.u16();
    const sequence = fields.u32();
    const logTime = fields.u64();
    const publishTime = fields.u64();
    if (publishTime !== logTime) throw fields.malformed(`publish_time ${publishTime} is not log_time ${logTime}`);
    messages.push({ channel, sequence, logTime, data: fields.rest() });
    if (messages.length > MAX_CHUNK_MESSAGES) throw malformed('chunk', 0, `more than ${MAX_CHUNK_MESSAGES} messages`);
  }
  return messages;
}

/** A metadata record's name and its JSON, whose checksum must hold. That of other programs is empty. */
export function parseMetadata(content: Uint8Array): { name: string; json: string } {
  const fields = new Fields('metadata', content);
  const name = fields.text();
  const entries = new Fields('metadata', fields.take(fields.u32()));
  fields.end();
  const values = new Map<string, string>();
  while (entries.left > 0) values.set(entries.text(), entries.text());
  const [json, crc] = [values.get('json'), values.get('crc32')];
  // A bit of the name may have flipped: what has a checksum is checked, whatever its name.
  if (!name.startsWith('praxis.') && crc === undefined) return { name, json: '' };
  if (json === undefined || crc === undefined || !/^[0-9a-f]{1,8}$/i.test(crc)) {
    throw fields.malformed('no "json" with its "crc32"');
  }
  const found = crc32(utf8.encode(name + json));
  if (found !== parseInt(crc, 16)) throw checksum('metadata', found, parseInt(crc, 16));
  return { name, json };
}

const utf8 = new TextEncoder();

export const areEqual = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, n) => byte === b[n]);
