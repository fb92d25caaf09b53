// Takes little-endian fields off the front of some bytes; every length is checked against what is there.
import { malformed } from './errors';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Fields {
  private at = 0;
  private readonly view: DataView;

  constructor(
    private readonly what: string,
    private readonly bytes: Uint8Array,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Byte position of the next field. */
  get position(): number {
    return this.at;
  }

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.advance(8), true);
  }

  /** A length or position of 64 bits. */
  size(): number {
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.malformed(`${value} is no length`);
    return Number(value);
  }

  /** So many bytes, not copied. */
  take(count: number): Uint8Array {
    const start = this.advance(count);
    return this.bytes.subarray(start, start + count);
  }

  text(): string {
    const bytes = this.take(this.u32());
    try {
      return utf8.decode(bytes);
    } catch {
      throw this.malformed('text is not UTF-8');
    }
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  end(): void {
    if (this.left > 0) throw this.malformed(`${this.left} bytes left over`);
  }

  malformed(why: string) {
    return malformed(this.what, this.at, why);
  }

  private advance(count: number): number {
    if (count > this.left) throw this.malformed(`${count} bytes wanted, ${this.left} left`);
    const start = this.at;
    this.at += count;
    return start;
  }
}
