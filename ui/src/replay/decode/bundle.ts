// Reads a bundle: what it is, the picture at a time, the messages and the voice of a stretch of time.
//
// A finished file is read by its index; any other is gone through once, which makes one. Session times are numbers of
// nanoseconds: exact for 104 days.
import { breathe } from './breathe';
import { ByteCache } from './cache';
import { noPicture, unreadablePicture } from './errors';
import type { BundleError } from './errors';
import { Fields } from './fields';
import { parseJson } from './json';
import { checkLayout } from './layout';
import { decodeNarration } from './narration';
import type { NarrationBlock } from './narration';
import { openBundle, sessionNanos } from './open';
import type { BundleInfo, Opened, Part } from './open';
import { PictureDecoder } from './picture';
import type { Picture } from './picture';
import { RECORD_HEADER_BYTES, op } from './record';
import type { RawMessage } from './record';
import { chunkAt, reasonOf } from './scan';
import type { ByteSource } from './source';
import { channelOf, deltaId, keyId, trackId } from './track';
import type { AudioTrack, JsonTrack } from './track';
import type { MessageOf } from './types';

export type { BundleInfo, Damage } from './open';

/** Decompressed chunks that are kept: seeking near by then reads nothing. */
const CHUNK_CACHE_BYTES = 32 * 1024 * 1024;
/** Most bytes that are read before they are needed. */
const AHEAD_BYTES = 16 * 1024 * 1024;
/** Most bytes of one read of several parts. */
const READ_BYTES = 4 * 1024 * 1024;
/** Memory of so many pictures is kept for the next ones. */
const MAX_SPARES = 2;

export interface Message<T> {
  sequence: number;
  nanos: number;
  message: T;
}

/** A picture, and until when it is the newest one: at that time at the earliest there is another. */
export interface Shown extends Picture {
  sameUntilNanos: number;
}

/** How far a decoder has come: up to, and without, that message of that part, and up to that session time. */
interface Position {
  decoder: PictureDecoder;
  part: number;
  message: number;
  nanos: number;
}

export class Bundle {
  readonly info: BundleInfo;
  readonly parts: Part[];
  private readonly pictureGaps: Opened['pictureGaps'];
  private readonly attachments: Opened['attachments'];
  private readonly chunks: ByteCache<number, RawMessage[]>;
  /** Records on their way, by offset. */
  private readonly reads = new Map<number, { record: Promise<Uint8Array>; bytes: number }>();
  /** Memory for pictures. */
  private readonly spares: ArrayBuffer[] = [];
  /** Per display a decoder and how far it has come. */
  private readonly decoders = new Map<number, Position>();

  private constructor(
    private readonly source: ByteSource,
    { info, parts, pictureGaps, attachments }: Opened,
    cacheBytes: number,
  ) {
    this.info = info;
    this.parts = parts;
    this.pictureGaps = pictureGaps;
    this.attachments = attachments;
    this.chunks = new ByteCache(cacheBytes);
  }

  /** Reads what a bundle is and where everything is in it. */
  static async open(source: ByteSource, signal?: AbortSignal, cacheBytes = CHUNK_CACHE_BYTES): Promise<Bundle> {
    return new Bundle(source, await openBundle(source, signal), cacheBytes);
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
  async pictureAt(display: number, nanos: number, signal?: AbortSignal): Promise<Shown> {
    const ids = [deltaId(display), keyId(display)];
    this.readWhatPictureNeeds(display, nanos, ids, signal);
    const position = { ...(await this.startOf(display, nanos, signal)) };
    // Whether a picture may be lost between the one that is found and the time. The next one tells by its number.
    let [isUncertain, hasDamage, isSettled] = [false, false, false];
    let sameUntilNanos = Infinity;
    let failure: BundleError | undefined;
    let sequence = position.decoder.held;
    try {
      for (; position.part < this.parts.length && !isSettled; position.part++, position.message = 0) {
        const part = this.parts[position.part];
        const isUnknown = part.isDamaged && part.channels.size === 0;
        if (part.startNanos > nanos && !isUnknown && !hasDamage) break;
        const messages = await this.messagesOf(part, ids, signal);
        if (messages === 'damaged') {
          const since = Math.max((position.decoder.endNanos ?? -1) + 1, part.startNanos);
          hasDamage = true;
          isUncertain ||= since <= nanos;
          if (since > nanos) sameUntilNanos = Math.min(sameUntilNanos, since);
          continue;
        }
        for (; position.message < messages.length; position.message++) {
          const message = messages[position.message];
          if (!ids.includes(message.channel)) continue;
          const at = this.nanosOf(message.logTime);
          if (at > nanos) {
            isSettled = true;
            const follows = sequence === undefined || (sequence + 1) >>> 0 === message.sequence;
            sameUntilNanos = follows ? at : Math.min(at, sameUntilNanos);
            isUncertain = !follows && position.decoder.endNanos !== nanos;
            break;
          }
          failure = attempt(() => position.decoder.apply(message.sequence, message.data));
          isUncertain = false;
          sequence = message.sequence;
        }
        if (isSettled) break;
        await breathe(signal);
      }
    } catch (error) {
      // What has been decoded is a start for the next picture, if that is later.
      const { endNanos } = position.decoder;
      if (!hasDamage && endNanos !== undefined) this.decoders.set(display, { ...position, nanos: endNanos });
      throw error;
    }
    if (isUncertain || this.isInGap(display, nanos)) throw unreadablePicture(display);
    if (failure) throw failure;
    const picture = position.decoder.picture(this.spares.pop());
    if (!picture) throw noPicture(display, nanos);
    if (!hasDamage) this.decoders.set(display, { ...position, nanos });
    if (!isSettled) sameUntilNanos = Math.min(sameUntilNanos, this.startAfter(position.part, ids));
    return { ...picture, sameUntilNanos };
  }

  /** Takes the memory of a picture that nobody shows any more: eight megabytes that need not be found anew. */
  giveBack(buffer: ArrayBuffer): void {
    if (this.spares.length < MAX_SPARES) this.spares.push(buffer);
  }

  /** Starts reading what comes after a picture, so that it is there when it is played. */
  readAhead(display: number, nanos: number, untilNanos: number): void {
    const ids = [deltaId(display), keyId(display), trackId('narration'), trackId('sound'), trackId('pointer'), trackId('keys')];
    for (const part of this.parts) {
      if (part.startNanos > untilNanos) break;
      if (part.endNanos > nanos && this.isToBeRead(part, ids)) this.startReading([part]);
    }
  }

  /** When the next picture of a display is after a session time, or the last one before it. */
  async pictureBeside(display: number, nanos: number, isNext: boolean, signal?: AbortSignal): Promise<number | undefined> {
    const ids = [deltaId(display), keyId(display)];
    const parts = isNext ? this.parts : this.parts.toReversed();
    for (const part of parts) {
      if (part.isDamaged || (isNext ? part.endNanos <= nanos : part.startNanos >= nanos)) continue;
      const messages = await this.messagesOf(part, ids, signal);
      if (messages === 'damaged') continue;
      const times = messages.filter(({ channel }) => ids.includes(channel)).map(({ logTime }) => this.nanosOf(logTime));
      const found = isNext ? times.find((time) => time > nanos) : times.findLast((time) => time < nanos);
      if (found !== undefined) return found;
    }
    return undefined;
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

  /** The newest message of a track at or before a session time. */
  async latest<T extends JsonTrack>(
    track: T,
    nanos: number,
    signal?: AbortSignal,
  ): Promise<Message<MessageOf[T]> | undefined> {
    const id = trackId(track);
    for (let at = this.parts.length - 1; at >= 0; at--) {
      const part = this.parts[at];
      if (part.isDamaged || part.startNanos > nanos || !part.channels.has(id)) continue;
      const messages = await this.messagesOf(part, [id], signal);
      if (messages === 'damaged') continue;
      const found = messages.findLast(({ channel, logTime }) => channel === id && this.nanosOf(logTime) <= nanos);
      if (!found) continue;
      const message = parseJson<MessageOf[T]>(track, found.data);
      return { sequence: found.sequence, nanos: this.nanosOf(found.logTime), message };
    }
    return undefined;
  }

  /** The blocks of an audio track that begin in a stretch of time, ends included. */
  async audio(track: AudioTrack, from: number, to: number, signal?: AbortSignal): Promise<NarrationBlock[]> {
    const blocks: NarrationBlock[] = [];
    for await (const { nanos, data } of this.raw([trackId(track)], from, to, signal)) {
      blocks.push(decodeNarration(nanos, data));
    }
    return blocks;
  }

  /** A small picture (JPEG) of what a display showed at a time or up to ten seconds before; undefined if there is none. */
  async thumbnail(display: number, nanos: number, signal?: AbortSignal) {
    const name = `praxis.thumbnail/${display}`;
    let found: { offset: number; bytes: number; nanos: number } | undefined;
    for (const { logTime, ...entry } of this.attachments) {
      const at = this.nanosOf(logTime);
      if (entry.name === name && at <= nanos && at >= (found?.nanos ?? 0)) found = { ...entry, nanos: at };
    }
    if (!found) return undefined;
    const record = await this.source.read(found.offset, found.bytes, signal);
    const fields = new Fields('attachment', record);
    fields.take(9 + 16);
    fields.text();
    fields.text();
    const jpeg = fields.take(fields.size()).slice();
    checkLayout(op.attachment, record.subarray(RECORD_HEADER_BYTES));
    return { nanos: found.nanos, jpeg };
  }

  /** Goes through the whole file once, chunk by chunk. */
  async *walk(ids: number[], signal?: AbortSignal) {
    for (const [at, part] of this.parts.entries()) {
      for (const next of this.parts.slice(at + 1, at + 3)) if (this.isToBeRead(next, ids)) this.startReading([next], signal);
      const messages = await this.messagesOf(part, ids, signal);
      this.chunks.delete(part.offset);
      if (messages === 'damaged') continue;
      const wanted = messages.filter(({ channel }) => ids.includes(channel));
      yield {
        doneNanos: part.endNanos,
        messages: wanted.map(({ channel, logTime, data }) => ({ channel, nanos: this.nanosOf(logTime), data })),
      };
    }
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
      await breathe(signal);
    }
  }

  /** Whether pictures of that time are lost. */
  private isInGap(display: number, nanos: number): boolean {
    return this.pictureGaps.some(
      ({ track, after_nanos, before_nanos }) =>
        track === `screen/${display}` && after_nanos <= nanos && nanos < (before_nanos ?? Infinity),
    );
  }

  /** When the first part from that one on begins that may have a message on these channels. */
  private startAfter(at: number, ids: number[]): number {
    for (const part of this.parts.slice(at)) {
      if (ids.some((id) => part.channels.has(id))) return part.startNanos;
    }
    return Infinity;
  }

  /** Where decoding a picture begins: where the decoder is, if that is nearer; else at a keyframe. */
  private async startOf(display: number, nanos: number, signal?: AbortSignal): Promise<Position> {
    const kept = this.decoders.get(display);
    // While a picture is on its way the decoder is nobody else's.
    this.decoders.delete(display);
    const emptied = () => {
      kept?.decoder.forget();
      return kept?.decoder ?? new PictureDecoder(display);
    };
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
      if (message >= 0) return { decoder: emptied(), part: at, message, nanos };
    }
    // From the start of the file: deltas without a keyframe are lost there, and what is damaged may have been one.
    return { decoder: emptied(), part: 0, message: 0, nanos };
  }

  /** Asks at once for everything between the keyframe, or where the decoder is, and the picture. */
  private readWhatPictureNeeds(display: number, nanos: number, ids: number[], signal?: AbortSignal): void {
    const kept = this.decoders.get(display);
    const wanted: Part[] = [];
    for (let at = this.parts.length - 1; at >= 0; at--) {
      const part = this.parts[at];
      if (part.startNanos > nanos) continue;
      if (this.isToBeRead(part, ids)) wanted.unshift(part);
      const isStart = part.channels.has(keyId(display)) && !part.isDamaged;
      if (isStart || (kept && kept.nanos <= nanos && at <= kept.part)) break;
    }
    // Neighbours are one read: each has its price.
    while (wanted.length > 0) {
      const [first] = wanted;
      const isNear = (part: Part) => part.offset >= first.offset && part.offset + part.bytes - first.offset <= READ_BYTES;
      const beyond = wanted.findIndex((part, at) => at > 0 && !isNear(part));
      this.startReading(wanted.splice(0, beyond < 0 ? wanted.length : beyond), signal);
    }
  }

  private isToBeRead(part: Part, ids: number[]): boolean {
    const isWanted = !part.isDamaged && ids.some((id) => part.channels.has(id));
    return isWanted && !this.reads.has(part.offset) && !this.chunks.get(part.offset);
  }

  /** Reads parts that are near one another in the file, at once. */
  private startReading(parts: Part[], signal?: AbortSignal): void {
    const [first, last] = [parts.at(0), parts.at(-1)];
    if (!first || !last) return;
    const bytes = last.offset + last.bytes - first.offset;
    const onTheWay = [...this.reads.values()].reduce((sum, each) => sum + each.bytes, 0);
    if (onTheWay + bytes > AHEAD_BYTES) return;
    const all = this.source.read(first.offset, bytes, signal);
    for (const part of parts) {
      const start = part.offset - first.offset;
      const record = all.then((found) => found.subarray(start, start + part.bytes));
      // Whoever needs it hears of it, or reads it again.
      record.catch(() => this.reads.delete(part.offset));
      this.reads.set(part.offset, { record, bytes: part.bytes });
    }
  }

  private async recordOf(part: Part, signal?: AbortSignal): Promise<Uint8Array> {
    const early = this.reads.get(part.offset);
    if (early) {
      try {
        return await early.record;
      } catch {
        signal?.throwIfAborted();
      } finally {
        this.reads.delete(part.offset);
      }
    }
    return this.source.read(part.offset, part.bytes, signal);
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
    const record = await this.recordOf(part, signal);
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
    const { offset, bytes, startNanos, endNanos } = part;
    this.info.damages.push({ startByte: offset, endByte: offset + bytes, afterNanos: startNanos, beforeNanos: endNanos, why });
    this.info.damages.sort((a, b) => a.startByte - b.startByte);
  }

  private nanosOf(logTime: bigint): number {
    return sessionNanos(logTime, this.info.manifest.epoch_wall_nanos);
  }
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
