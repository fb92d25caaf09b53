// The summary of a finished file: where each chunk and metadata record is, so that the rest need not be read.
import { crc32 } from './crc32';
import { checksum, malformed } from './errors';
import { Fields } from './fields';
import { MAGIC, areEqual, op, records } from './record';

/** Footer record and closing magic. */
export const TAIL_BYTES = 9 + 20 + 8;
const MAX_SUMMARY_BYTES = 64 * 1024 * 1024;

export interface ChunkEntry {
  /** Byte position and length of its record. */
  offset: number;
  bytes: number;
  /** Oldest and newest `log_time`. */
  startTime: bigint;
  endTime: bigint;
  /** Ids of the channels that have messages in it. */
  channels: ReadonlySet<number>;
}

/** A file within the file. */
export interface AttachmentEntry {
  offset: number;
  bytes: number;
  logTime: bigint;
  name: string;
}

export interface Summary {
  /** In file order. */
  chunks: ChunkEntry[];
  attachments: AttachmentEntry[];
  metadata: { offset: number; bytes: number; name: string }[];
}

/** Where the summary begins, as the last bytes of the file say; undefined if there is no sound one. */
export function summaryStart(fileBytes: number, tail: Uint8Array): number | undefined {
  if (tail.length < TAIL_BYTES) return undefined;
  const fields = new Fields('footer', tail);
  const isFooter = fields.u8() === op.footer && fields.u64() === 20n;
  const start = fields.u64();
  const end = fileBytes - TAIL_BYTES;
  const isSound = isFooter && areEqual(tail.subarray(-MAGIC.length), MAGIC) && start > 0n && start <= end;
  return isSound && end - Number(start) <= MAX_SUMMARY_BYTES ? Number(start) : undefined;
}

/** Parses a summary; its CRC, in the tail, must hold. */
export function parseSummary(fileBytes: number, summary: Uint8Array, tail: Uint8Array): Summary {
  const covered = tail.subarray(0, 25);
  const expected = new Fields('footer', tail.subarray(25)).u32();
  const found = crc32(summary, covered);
  if (found !== expected) throw checksum('summary', found, expected);
  const result: Summary = { chunks: [], attachments: [], metadata: [] };
  for (const { opcode, content } of records(summary)) {
    if (opcode === op.chunkIndex) result.chunks.push(parseChunkIndex(content, fileBytes));
    if (opcode === op.attachmentIndex) {
      const fields = new Fields('attachment index', content);
      const [offset, bytes, logTime] = [fields.size(), fields.size(), fields.u64()];
      fields.take(16);
      const name = fields.text();
      if (offset + bytes > fileBytes) throw malformed('attachment index', offset, 'an attachment outside the file');
      result.attachments.push({ offset, bytes, logTime, name });
    }
    if (opcode === op.metadataIndex) {
      const fields = new Fields('metadata index', content);
      result.metadata.push({ offset: fields.size(), bytes: fields.size(), name: fields.text() });
    }
  }
  return result;
}

function parseChunkIndex(content: Uint8Array, fileBytes: number): ChunkEntry {
  const fields = new Fields('chunk index', content);
  const startTime = fields.u64();
  const endTime = fields.u64();
  const offset = fields.size();
  const bytes = fields.size();
  if (offset + bytes > fileBytes) throw malformed('chunk index', offset, 'a chunk outside the file');
  const map = new Fields('chunk index', fields.take(fields.u32()));
  const channels = new Set<number>();
  while (map.left > 0) {
    channels.add(map.u16());
    map.u64();
  }
  return { offset, bytes, startTime, endTime, channels };
}
