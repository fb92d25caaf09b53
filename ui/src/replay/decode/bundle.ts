// Reads a bundle: what it is, the picture at a time, the messages and the voice of a stretch of time.
//
// A finished file is read by its index; any other is gone through once, which makes one. Session times are numbers of
// nanoseconds: exact for 104 days.
import { ByteCache } from './cache';
import { BundleError, foreignProfile, malformed, newerFormat, noManifest, noPicture, unreadablePicture } from './errors';
import { Fields } from './fields';
import { parseJson } from './json';
import type { Ending, Manifest, MessageOf, Recovery, Seal } from './types';
import { decodeNarration } from './narration';
import type { NarrationBlock } from './narration';
import { PictureDecoder } from './picture';
import type { Picture } from './picture';
import { maxBytes, op, parseMetadata } from './record';
import type { RawMessage } from './record';
import { chunkAt, reasonOf, scan } from './scan';
import type { Item } from './scan';
import type { ByteSource } from './source';
import { TAIL_BYTES, parseSummary, summaryStart } from './summary';
import type { Summary } from './summary';
import { channelOf, deltaId, keyId, trackId } from './track';
import type { JsonTrack } from './track';

export const FORMAT_VERSION = 1;
const PROFILE = 'praxis';
/** Decompressed chunks that are kept: seeking near by then reads nothing. */
const CHUNK_CACHE_BYTES = 64 * 1024 * 1024;
/** How far back messages of different tracks may be out of order. */
const OUT_OF_ORDER_NANOS = 500_000_000;
/** What is read at the end at once: footer, and mostly the whole summary. */
const TAIL_READ_BYTES = 64 * 1024;

/** A stretch of the file that cannot be read, by bytes and by session time. */
export interface Damage {
  startByte: number;
  endByte: number;
  /** Session time of the newest message before it and of the oldest after it; undefined if none follows. */
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

export interface Message<T> {
  sequence: number;
  nanos: number;
  message: T;
}

/** What is at a place of the file, in file order. */
interface Part {
  offset: number;
  bytes: number;
  /** Session times. Of damage without an index: of the newest message before it, and how much earlier it may begin. */
  startNanos: number;
  endNanos: number;
  channels: ReadonlySet<number>;
  isDamaged: boolean;
}

interface Facts {
  foreignProfile?: string;
  manifest?: Manifest;
  ending?: Ending;
  recovery?: Recovery;
  seal?: Seal;
}

export class Bundle {
  private readonly chunks = new ByteCache<number, RawMessage[]>(CHUNK_CACHE_BYTES);
  /** Per display a decoder and how far it has come. */
  private readonly decoders = new Map<number, Position>();

  private constructor(
    private readonly source: ByteSource,
    private readonly parts: Part[],
    readonly info: BundleInfo,
  ) {}

  /** Reads what a bundle is and where everything is in it. */
  static async open(source: ByteSource, signal?: AbortSignal): Promise<Bundle> {
    const bytes = await source.size(signal);
    const facts: Facts = {};
    // The manifest comes first, whatever follows; a file that cannot be read so far is none.
    for await (const item of scan(source, signal)) {
      note(facts, item);
      if (facts.manifest) break;
    }
    const manifest = facts.manifest;
    if (!manifest) throw facts.foreignProfile === undefined ? noManifest() : foreignProfile(facts.foreignProfile);
    const epoch = manifest.epoch_wall_nanos;
    const summary = await readSummary(source, bytes, signal);
    const found = summary
      ? await fromSummary(source, summary, facts, epoch, signal)
      : await fromScan(source, facts, epoch, signal);
    const newest = Math.max(0, ...reduceEnds(found.parts));
    const { ending, recovery, seal } = facts;
    const durationNanos = Math.max(newest, ending?.session_time_nanos ?? 0);
    const { isComplete, damages } = found;
    const info = { manifest, ending, recovery, seal, isComplete, bytes, durationNanos, damages };
    return new Bundle(source, found.parts, info);
  }

  /** Numbers of the displays that have pictures. */
  get displays(): number[] {
    const numbers = new Set<number>();
    for (const part of this.parts) {
      for (const id of part.channels) {
        const channel = channelOf(id);
        if (channel?.track === 'screen') numbers.add(channel.display);
      }
    }
    return [...numbers].sort((a, b) => a - b);
  }

  /** The newest picture of a display at or before a session time. */
  async pictureAt(display: number, nanos: number, signal?: AbortSignal): Promise<Picture> {
    const position = { ...(await this.startOf(display, nanos, signal)) };
    const ids = [deltaId(display), keyId(display)];
    // Whether a picture may be lost between the one that is found and the time. The next one tells by its number.
    let [isUncertain, hasDamage, isSettled] = [false, false, false];
    let failure: BundleError | undefined;
    let sequence = position.decoder.held;
    for (; position.part < this.parts.length && !isSettled; position.part++, position.message = 0) {
      const part = this.parts[position.part];
      const isUnknown = part.isDamaged && part.channels.size === 0;
      if (part.startNanos > nanos && !isUnknown && !hasDamage) break;
      const messages = await this.messagesOf(part, ids, signal);
      if (messages === 'damaged') {
        const since = Math.max((position.decoder.endNanos ?? -1) + 1, part.startNanos);
        hasDamage = true;
        isUncertain ||= since <= nanos;
        continue;
      }
      for (; position.message < messages.length; position.message++) {
        const message = messages[position.message];
        if (!ids.includes(message.channel)) continue;
        if (this.nanosOf(message.logTime) > nanos) {
          isSettled = true;
          const follows = sequence === undefined || (sequence + 1) >>> 0 === message.sequence;
          isUncertain = !follows && position.decoder.endNanos !== nanos;
          break;
        }
        failure = attempt(() => position.decoder.apply(message.sequence, message.data));
        isUncertain = false;
        sequence = message.sequence;
      }
      if (isSettled) break;
    }
    if (isUncertain || this.isInGap(display, nanos)) throw unreadablePicture(display);
    if (failure) throw failure;
    const picture = position.decoder.picture();
    if (!picture) throw noPicture(display, nanos);
    if (!hasDamage) this.decoders.set(display, { ...position, nanos });
    return picture;
  }

  /** Whether recovery left out pictures of that time. */
  private isInGap(display: number, nanos: number): boolean {
    return (this.info.recovery?.picture_gaps ?? []).some(
      ({ track, after_nanos, before_nanos }) =>
        track === `screen/${display}` && after_nanos <= nanos && nanos < (before_nanos ?? Infinity),
    );
  }

  /** Every picture of a display in order, or why it cannot be shown. */
  async *pictures(display: number, signal?: AbortSignal): AsyncGenerator<Picture | BundleError> {
    const decoder = new PictureDecoder(display);
    for await (const { sequence, data } of this.raw([deltaId(display), keyId(display)], 0, Infinity, signal)) {
      const failure = attempt(() => decoder.apply(sequence, data));
      const picture = failure ? undefined : decoder.picture();
      yield picture ?? (failure as BundleError);
    }
  }

  /** When there are pictures of a display: session times of the changes in a stretch of time, ends included. */
  async pictureTimes(display: number, from: number, to: number, signal?: AbortSignal): Promise<number[]> {
    const times: number[] = [];
    for await (const { nanos } of this.raw([deltaId(display), keyId(display)], from, to, signal)) times.push(nanos);
    return times;
  }

  /** The messages of a track in a stretch of time, ends included, in the order of the file. */
  async messages<T extends JsonTrack>(
    track: T,
    from: number,
    to: number,
    signal?: AbortSignal,
  ): Promise<Message<MessageOf[T]>[]> {
    const found: Message<MessageOf[T]>[] = [];
    for await (const { sequence, nanos, data } of this.raw([trackId(track)], from, to, signal)) {
      found.push({ sequence, nanos, message: parseJson<MessageOf[T]>(track, data) });
    }
    return found;
  }

  /** The blocks of narration that begin in a stretch of time, ends included. */
  async narration(from: number, to: number, signal?: AbortSignal): Promise<NarrationBlock[]> {
    const blocks: NarrationBlock[] = [];
    for await (const { nanos, data } of this.raw([trackId('narration')], from, to, signal)) {
      blocks.push(decodeNarration(nanos, data));
    }
    return blocks;
  }

  private async *raw(ids: number[], from: number, to: number, signal?: AbortSignal) {
    for (const part of this.parts) {
      if (part.isDamaged || part.endNanos < from || part.startNanos > to) continue;
      const messages = await this.messagesOf(part, ids, signal);
      if (messages === 'damaged') continue;
      for (const { channel, sequence, logTime, data } of messages) {
        const nanos = this.nanosOf(logTime);
        if (ids.includes(channel) && nanos >= from && nanos <= to) yield { sequence, nanos, data };
      }
    }
  }

  /** Where decoding a picture begins: where the decoder is, if that is nearer; else at a keyframe. */
  private async startOf(display: number, nanos: number, signal?: AbortSignal): Promise<Position> {
    const kept = this.decoders.get(display);
    // While a picture is on its way the decoder is nobody else's.
    this.decoders.delete(display);
    const key = keyId(display);
    for (let at = this.parts.length - 1; at >= 0; at--) {
      const part = this.parts[at];
      if (kept && kept.nanos <= nanos && at <= kept.part) return kept;
      if (part.startNanos > nanos || !part.channels.has(key)) continue;
      const messages = await this.messagesOf(part, [key], signal);
      // It held a keyframe; the one before it is the next best.
      if (messages === 'damaged') continue;
      const isWanted = ({ channel, logTime }: RawMessage) => channel === key && this.nanosOf(logTime) <= nanos;
      const message = messages.findLastIndex(isWanted);
      if (message >= 0) return { decoder: new PictureDecoder(display), part: at, message, nanos };
    }
    // From the start of the file: deltas without a keyframe are lost there, and what is damaged may have been one.
    return { decoder: new PictureDecoder(display), part: 0, message: 0, nanos };
  }

  /** The messages of a chunk, none if it has none on these channels. */
  private async messagesOf(part: Part, ids: number[], signal?: AbortSignal): Promise<RawMessage[] | 'damaged'> {
    signal?.throwIfAborted();
    // What an index says of a damaged chunk still holds; what a scan could not read may have held anything.
    const isKnown = !part.isDamaged || part.channels.size > 0;
    if (isKnown && !ids.some((id) => part.channels.has(id))) return [];
    if (part.isDamaged) return 'damaged';
    const kept = this.chunks.get(part.offset);
    if (kept) return kept;
    const record = await this.source.read(part.offset, part.bytes, signal);
    try {
      const messages = chunkAt(record);
      const bytes = messages.reduce((sum, message) => sum + message.data.length + 128, 0);
      this.chunks.set(part.offset, messages, bytes);
      return messages;
    } catch (error) {
      this.noteDamage(part, reasonOf(error));
      return 'damaged';
    }
  }

  private noteDamage(part: Part, why: string): void {
    part.isDamaged = true;
    const at = this.parts.indexOf(part);
    const afterNanos = Math.max(0, ...reduceEnds(this.parts.slice(0, at)));
    const beforeNanos = this.parts.slice(at + 1).find((next) => !next.isDamaged)?.startNanos;
    this.info.damages.push({ startByte: part.offset, endByte: part.offset + part.bytes, afterNanos, beforeNanos, why });
    this.info.damages.sort((a, b) => a.startByte - b.startByte);
  }

  private nanosOf(logTime: bigint): number {
    return sessionNanos(logTime, this.info.manifest.epoch_wall_nanos);
  }
}

/** How far a decoder has come: up to, and without, that message of that part, and up to that session time. */
interface Position {
  decoder: PictureDecoder;
  part: number;
  message: number;
  nanos: number;
}

function sessionNanos(logTime: bigint, epoch: bigint): number {
  return logTime > epoch ? Number(logTime - epoch) : 0;
}

/** The newest end, in a list of one or none: lists of any length can be spread no further. */
function reduceEnds(parts: Part[]): number[] {
  let newest = -1;
  for (const part of parts) newest = Math.max(newest, part.endNanos);
  return newest < 0 ? [] : [newest];
}

/** What went wrong with the bytes of a picture, if anything did. */
function attempt(work: () => void): BundleError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    reasonOf(error);
    return error as BundleError;
  }
}

/** Takes note of what an item says of the session. */
function note(facts: Facts, item: Item): void {
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
}

async function fromSummary(
  source: ByteSource,
  summary: Summary,
  facts: Facts,
  epoch: bigint,
  signal?: AbortSignal,
): Promise<Found> {
  for (const { offset, bytes, name } of summary.metadata) {
    if (name === 'praxis.manifest') continue;
    if (bytes > (maxBytes(op.metadata) ?? 0)) throw malformed('metadata index', offset, `a record of ${bytes} bytes`);
    const record = new Fields('metadata', await source.read(offset, bytes, signal));
    if (record.u8() !== op.metadata || record.size() !== record.left) {
      throw malformed('metadata', offset, 'no metadata is there');
    }
    noteMetadata(facts, record.rest());
  }
  const limit = maxBytes(op.chunk) ?? 0;
  const parts = summary.chunks.map(({ offset, bytes, startTime, endTime, channels }) => {
    if (bytes > limit) throw malformed('chunk index', offset, `a chunk of ${bytes} bytes`);
    const [startNanos, endNanos] = [sessionNanos(startTime, epoch), sessionNanos(endTime, epoch)];
    return { offset, bytes, startNanos, endNanos, channels, isDamaged: false };
  });
  return { parts, isComplete: true, damages: [] };
}

async function fromScan(source: ByteSource, facts: Facts, epoch: bigint, signal?: AbortSignal): Promise<Found> {
  const found: Found = { parts: [], isComplete: false, damages: [] };
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
    const channels = new Set(item.messages.map((message) => message.channel));
    found.parts.push({ offset: item.offset, bytes: item.bytes, startNanos, endNanos, channels, isDamaged: false });
  }
  return found;
}
