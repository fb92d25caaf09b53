// Whether a record outside chunks is what its opcode says: its fields must fill it to the byte.
//
// A flipped bit in an opcode or a length would otherwise make one record swallow what follows, unnoticed.
import { crc32 } from './crc32';
import { checksum } from './errors';
import { Fields } from './fields';
import { op, parseMetadata } from './record';

/** Fields of a record one after the other: numbers of so many bytes, texts, bytes, and lists of entries of one size. */
type Field = number | 'text' | 'bytes' | { entries: number };

const LAYOUTS = new Map<number, Field[]>([
  [op.header, ['text', 'text']],
  [op.footer, [20]],
  [op.schema, [2, 'text', 'text', 'bytes']],
  [op.channel, [4, 'text', 'text', 'bytes']],
  [op.messageIndex, [2, { entries: 16 }]],
  [op.chunkIndex, [32, { entries: 10 }, 8, 'text', 16]],
  [op.attachmentIndex, [40, 'text', 'text']],
  [op.statistics, [42, { entries: 10 }]],
  [op.metadataIndex, [16, 'text']],
  [op.summaryOffset, [17]],
  [op.dataEnd, [4]],
]);

/** Checks the content of a record that is no chunk, and the checksum of what has one of its own. */
export function checkLayout(opcode: number, content: Uint8Array): void {
  if (opcode === op.metadata) parseMetadata(content);
  else if (opcode === op.attachment) checkAttachment(content);
  else checkFields(opcode, content);
}

function checkFields(opcode: number, content: Uint8Array): void {
  const fields = new Fields('record', content);
  const layout = LAYOUTS.get(opcode);
  if (!layout) throw fields.malformed(`opcode ${opcode} outside a chunk`);
  for (const field of layout) {
    if (typeof field === 'number') fields.take(field);
    else if (field === 'text') fields.text();
    else if (field === 'bytes') fields.take(fields.u32());
    else if (fields.take(fields.u32()).length % field.entries !== 0) {
      throw fields.malformed(`entries of ${field.entries} bytes do not fill their array`);
    }
  }
  fields.end();
}

function checkAttachment(content: Uint8Array): void {
  const fields = new Fields('attachment', content);
  fields.take(16);
  fields.text();
  fields.text();
  fields.take(fields.size());
  const covered = content.subarray(0, fields.position);
  const expected = fields.u32();
  fields.end();
  const found = crc32(covered);
  if (found !== expected) throw checksum('attachment', found, expected);
}
