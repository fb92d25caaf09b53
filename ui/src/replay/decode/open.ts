// Opens a bundle: finds what it is and where everything is in it, by its index or by going through it once.
import { foreignProfile, malformed, newerFormat, noManifest } from './errors';
import { Fields } from './fields';
import { parseJson } from './json';
import { maxBytes, op, parseMetadata } from './record';
import { reasonOf, scan } from './scan';
import type { Item } from './scan';
import type { ByteSource } from './source';
import { TAIL_BYTES, parseSummary, summaryStart } from './summary';
import type { AttachmentEntry, Summary } from './summary';
import { channelOf } from './track';
import type { Ending, Manifest, PictureGap, Recovery, Seal } from './types';

export const FORMAT_VERSION = 1;
const PROFILE = 'praxis';
/** How far back messages of different tracks may be out of order. */
const OUT_OF_ORDER_NANOS = 500_000_000;
/** So many losses are named one by one. */
const MAX_NAMED = 5000;
/** What is read at the end at once: footer, and mostly the whole summary. */
const TAIL_READ_BYTES = 64 * 1024;

/** A stretch of the file that cannot be read, by bytes and by session time. */
export interface Damage {
  startByte: number;
  endByte: number;
  /**
   * Session times between which something is missing: those of the chunk, if an index tells them, else of the newest message before it and
   * of the oldest after it; undefined if none follows.
   */
  afterNanos: number;
  beforeNanos: number | undefined;
  why: string;
}

export interface BundleInfo {
  manifest: Manifest;
  /** Missing after a crash. */
  ending: Ending | undefined;
  /** Missing if nothing was left out. */
  recovery: Recovery | undefined;
  seal: Seal | undefined;
  /** Whether footer and closing magic are there. */
  isComplete: boolean;
  bytes: number;
  /** Its end, or its newest message if it has no end. */
  durationNanos: number;
  /** Of this very file, as far as it has been read. A sealed file is not read as a whole. */
  damages: Damage[];
}

/** What is at a place of the file, in file order. */
export interface Part {
  offset: number;
  bytes: number;
  /** Session times. Of damage without an index: of the newest message before it, and how much earlier it may begin. */
  startNanos: number;
  endNanos: number;
  channels: ReadonlySet<number>;
  isDamaged: boolean;
}

export interface Opened {
  info: BundleInfo;
  parts: Part[];
  /** Where pictures are lost, as recovery says and, in a file without a sound index, as their numbers do. */
  pictureGaps: PictureGap[];
  attachments: AttachmentEntry[];
}

interface Facts {
  foreignProfile?: string;
  manifest?: Manifest;
  ending?: Ending;
  recovery?: Recovery;
  seal?: Seal;
}

export async function openBundle(source: ByteSource, signal?: AbortSignal): Promise<Opened> {
  const bytes = await source.size(signal);
  const facts: Facts = {};
  // The manifest comes first, whatever follows; a file that cannot be read so far is none.
  const before: Item[] = [];
  for await (const item of scan(source, signal)) {
    note(facts, item);
    if (item.kind === 'damage') before.push(item);
    if (facts.manifest) break;
  }
  const manifest = facts.manifest;
  if (!manifest) throw facts.foreignProfile === undefined ? noManifest() : foreignProfile(facts.foreignProfile);
  const epoch = manifest.epoch_wall_nanos;
  const summary = await readSummary(source, bytes, signal);
  const indexed = summary && (await fromSummary(source, summary, before, facts, epoch, signal));
  const found = indexed ?? (await fromScan(source, facts, epoch, signal));
  const newest = Math.max(0, ...reduceEnds(found.parts));
  const { ending, recovery, seal } = facts;
  const durationNanos = Math.max(newest, ending?.session_time_nanos ?? 0);
  const { isComplete, damages } = found;
  const info = { manifest, ending, recovery, seal, isComplete, bytes, durationNanos, damages };
  const pictureGaps = [...(recovery?.picture_gaps ?? []), ...found.holes];
  return { info, parts: found.parts, pictureGaps, attachments: summary?.attachments ?? [] };
}

export function sessionNanos(logTime: bigint, epoch: bigint): number {
  return logTime > epoch ? Number(logTime - epoch) : 0;
}

/** The newest end, in a list of one or none: lists of any length can be spread no further. */
export function reduceEnds(parts: Part[]): number[] {
  let newest = -1;
  for (const part of parts) newest = Math.max(newest, part.endNanos);
  return newest < 0 ? [] : [newest];
}

/** Takes note of what an item says of the session. */
function note(facts: Facts, item: Item): void {
  if (item.kind === 'chunk') endGaps(facts, item.messages);
  if (item.kind !== 'record') return;
  if (item.opcode === op.header) {
    const profile = new Fields('header', item.content).text();
    // With a manifest it is a damaged header.
    if (profile !== PROFILE) facts.foreignProfile = profile.slice(0, 40);
  }
  if (item.opcode === op.metadata) noteMetadata(facts, item.content);
}

function noteMetadata(facts: Facts, content: Uint8Array): void {
  const { name, json } = parseMetadata(content);
  if (name === 'praxis.manifest') {
    const manifest = parseJson<Manifest>(name, json);
    if (manifest.format_version > FORMAT_VERSION) throw newerFormat(manifest.format_version, FORMAT_VERSION);
    // The second copy is for when the first is damaged.
    facts.manifest ??= manifest;
  }
  if (name === 'praxis.ending') facts.ending = parseJson(name, json);
  if (name === 'praxis.recovery') facts.recovery = parseJson(name, json);
  if (name === 'praxis.seal') facts.seal = parseJson(name, json);
}

/** Recovery writes a loss down where it meets it, before it knows what follows: that gap lasts until the next picture. */
function endGaps({ recovery, manifest }: Facts, messages: { channel: number; logTime: bigint }[]): void {
  const open = recovery?.picture_gaps?.filter((gap) => gap.before_nanos === null) ?? [];
  if (open.length === 0 || !manifest) return;
  const next = new Map<string, number>();
  for (const message of messages) {
    const channel = channelOf(message.channel);
    if (channel?.track !== 'screen' || next.has(`screen/${channel.display}`)) continue;
    next.set(`screen/${channel.display}`, sessionNanos(message.logTime, manifest.epoch_wall_nanos));
  }
  for (const gap of open) gap.before_nanos = next.get(gap.track) ?? null;
}

/** The summary, if the file has a sound one. A damaged one is no reason to show nothing. */
async function readSummary(source: ByteSource, bytes: number, signal?: AbortSignal): Promise<Summary | undefined> {
  if (bytes < TAIL_BYTES) return undefined;
  const end = bytes - TAIL_BYTES;
  const readFrom = Math.max(0, bytes - TAIL_READ_BYTES);
  const last = await source.read(readFrom, bytes - readFrom, signal);
  const tail = last.subarray(end - readFrom);
  const start = summaryStart(bytes, tail);
  if (start === undefined) return undefined;
  const summary =
    start >= readFrom
      ? last.subarray(start - readFrom, end - readFrom)
      : await source.read(start, end - start, signal);
  try {
    return parseSummary(bytes, summary, tail);
  } catch (error) {
    reasonOf(error);
    return undefined;
  }
}

interface Found {
  parts: Part[];
  isComplete: boolean;
  damages: Damage[];
  holes: PictureGap[];
}

/** Where the numbers of a display's pictures have a hole, from the picture before it to the next. */
class Holes {
  readonly list: PictureGap[] = [];
  private readonly newest = new Map<number, { sequence: number; nanos: number }>();

  see(display: number, sequence: number, nanos: number): void {
    const newest = this.newest.get(display);
    this.newest.set(display, { sequence, nanos });
    if (!newest || (newest.sequence + 1) >>> 0 === sequence) return;
    const track = `screen/${display}`;
    const last = this.list.length >= MAX_NAMED ? this.list.findLast((hole) => hole.track === track) : undefined;
    if (last) last.before_nanos = nanos;
    else this.list.push({ track, after_nanos: newest.nanos + 1, before_nanos: nanos });
  }
}

/** What the summary names, and the damage met before the manifest; nothing if a record that it names is damaged. */
async function fromSummary(
  source: ByteSource,
  summary: Summary,
  before: Item[],
  facts: Facts,
  epoch: bigint,
  signal?: AbortSignal,
): Promise<Found | undefined> {
  // Of each name the last one counts.
  const last = new Map(summary.metadata.map((entry) => [entry.name, entry]));
  last.delete('praxis.manifest');
  for (const { offset, bytes } of last.values()) {
    if (bytes > (maxBytes(op.metadata) ?? 0)) throw malformed('metadata index', offset, `a record of ${bytes} bytes`);
    const record = new Fields('metadata', await source.read(offset, bytes, signal));
    try {
      if (record.u8() !== op.metadata || record.size() !== record.left) return undefined;
      noteMetadata(facts, record.rest());
    } catch (error) {
      reasonOf(error);
      return undefined;
    }
  }
  const limit = maxBytes(op.chunk) ?? 0;
  const parts = summary.chunks.map(({ offset, bytes, startTime, endTime, channels }) => {
    if (bytes > limit) throw malformed('chunk index', offset, `a chunk of ${bytes} bytes`);
    const [startNanos, endNanos] = [sessionNanos(startTime, epoch), sessionNanos(endTime, epoch)];
    return { offset, bytes, startNanos, endNanos, channels, isDamaged: false };
  });
  // A damaged chunk is found when it is read; what is damaged before the manifest is found by nobody else.
  const damages = before.flatMap((item) => {
    if (item.kind !== 'damage' || parts.some(({ offset }) => offset === item.start)) return [];
    const [before, next] = [parts.findLast(({ offset }) => offset < item.start), parts.find(({ offset }) => offset >= item.end)];
    return { startByte: item.start, endByte: item.end, afterNanos: before?.endNanos ?? 0, beforeNanos: next?.startNanos, why: item.why };
  });
  return { parts, isComplete: true, damages, holes: [] };
}

async function fromScan(source: ByteSource, facts: Facts, epoch: bigint, signal?: AbortSignal): Promise<Found> {
  const holes = new Holes();
  const found: Found = { parts: [], isComplete: false, damages: [], holes: holes.list };
  let newest = 0;
  for await (const item of scan(source, signal)) {
    note(facts, item);
    if (item.kind === 'complete') found.isComplete = true;
    if (item.kind === 'damage') {
      const { start, end, why } = item;
      found.damages.push({ startByte: start, endByte: end, afterNanos: newest, beforeNanos: undefined, why });
      const times = { startNanos: Math.max(0, newest - OUT_OF_ORDER_NANOS), endNanos: newest };
      found.parts.push({ offset: start, bytes: end - start, ...times, channels: new Set(), isDamaged: true });
    }
    if (item.kind !== 'chunk') continue;
    const startNanos = sessionNanos(item.startTime, epoch);
    const endNanos = sessionNanos(item.endTime, epoch);
    for (const damage of found.damages) damage.beforeNanos ??= startNanos;
    newest = Math.max(newest, endNanos);
    for (const { channel: id, sequence, logTime } of item.messages) {
      const channel = channelOf(id);
      if (channel?.track === 'screen') holes.see(channel.display, sequence, sessionNanos(logTime, epoch));
    }
    const channels = new Set(item.messages.map((message) => message.channel));
    found.parts.push({ offset: item.offset, bytes: item.bytes, startNanos, endNanos, channels, isDamaged: false });
  }
  return found;
}
