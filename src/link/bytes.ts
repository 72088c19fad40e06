/**
 * The bytes of a frame: fixed numbers, times and ids as doubles, texts with their length before
 * them. What is read never goes beyond the frame, and a frame that is not what it should be throws
 * `FrameError`, which ends the connection.
 */

/** What the other end sent cannot be meant. */
export class FrameError extends Error {}

/** Bytes of one text. */
export const textBytesMax = 0x7fff;
/** Set in a text's length where it is not ASCII alone. */
const utf8Flag = 0x8000;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where bytes are written; it grows, and is used again for the next frame. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(size = 4_096) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written; from here on nothing is. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** Forgets what was written after `length` bytes. */
  cutTo(length: number): void {
    this.#length = length;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value);
  }

  /** Writes over four bytes that were written before. */
  u32At(at: number, value: number): void {
    this.#view.setUint32(at, value);
  }

  /** A number of any size: an id, a time. */
  number(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value);
  }

  nullable(value: number | null): void {
    this.number(value ?? Number.NaN);
  }

  boolean(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  /** @throws FrameError for one longer than `textBytesMax` */
  text(text: string): void {
    const { length } = text;
    // By hand: for the dozen letters of a name, calling into a library costs more.
    if (length <= 64) {
      const start = this.#room(2 + length);
      const bytes = this.#bytes;
      let i = 0;
      for (; i < length; i += 1) {
        const letter = text.charCodeAt(i);
        if (letter > 0x7f) break;
        bytes[start + 2 + i] = letter;
      }
      if (i === length) {
        this.#view.setUint16(start, length);
        return;
      }
      this.#length = start;
    }
    const start = this.#room(2 + 3 * length);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(start + 2));
    if (written > textBytesMax) throw new FrameError("a text is too long for the link");
    this.#view.setUint16(start, written === length ? written : written | utf8Flag);
    this.#length = start + 2 + written;
  }

  nullableText(text: string | null): void {
    this.boolean(text !== null);
    if (text !== null) this.text(text);
  }

  /** A code, in 16 bytes. @throws FrameError for what is none */
  code(code: string): void {
    if (!codeText.test(code)) throw new FrameError(`${code} is no code`);
    const start = this.#room(16);
    const digits = code.replaceAll("-", "");
    for (let i = 0; i < 4; i += 1) {
      this.#view.setUint32(start + 4 * i, Number.parseInt(digits.slice(8 * i, 8 * i + 8), 16));
    }
  }

  nullableCode(code: string | null): void {
    this.boolean(code !== null);
    if (code !== null) this.code(code);
  }

  int32s(values: ArrayLike<number>): void {
    this.u32(values.length);
    let at = this.#room(4 * values.length);
    for (let i = 0; i < values.length; i += 1) {
      this.#view.setInt32(at, values[i] ?? 0);
      at += 4;
    }
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  #room(more: number): number {
    const start = this.#length;
    const needed = start + more;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, start));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return start;
  }
}

const codeText = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** Reads a frame from its first byte to its last. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws FrameError where something is left: then both ends do not mean the same */
  end(): void {
    if (this.left > 0) throw new FrameError(`${this.left} bytes too many`);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  number(): number {
    const value = this.#view.getFloat64(this.#take(8));
    if (Number.isNaN(value)) throw new FrameError("a number is missing");
    return value;
  }

  /** A whole number from `min` on, which is exact. */
  whole(min: number, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.number();
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new FrameError(`${value} is not from ${min} to ${max}`);
    }
    return value;
  }

  nullable(): number | null {
    const value = this.#view.getFloat64(this.#take(8));
    return Number.isNaN(value) ? null : value;
  }

  boolean(): boolean {
    const value = this.u8();
    if (value > 1) throw new FrameError(`${value} is neither true nor false`);
    return value === 1;
  }

  /** One of a list, by its place in it. */
  oneOf<T>(list: readonly T[]): T {
    const index = this.u8();
    const found = list[index];
    if (found === undefined) throw new FrameError(`there is no ${index} of ${list.length}`);
    return found;
  }

  text(): string {
    const prefix = this.u16();
    const length = prefix & textBytesMax;
    const start = this.#take(length);
    if ((prefix & utf8Flag) === 0) return this.#bytes.toString("latin1", start, start + length);
    try {
      return decoder.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw new FrameError("a text is not UTF-8");
    }
  }

  nullableText(): string | null {
    return this.boolean() ? this.text() : null;
  }

  code(): string {
    const start = this.#take(16);
    const hex = this.#bytes.toString("hex", start, start + 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  nullableCode(): string | null {
    return this.boolean() ? this.code() : null;
  }

  /** @param max of how many there may be */
  int32s(max: number): Int32Array {
    const count = this.count(max, 4);
    let at = this.#take(4 * count);
    const values = new Int32Array(count);
    for (let i = 0; i < count; i += 1) {
      values[i] = this.#view.getInt32(at);
      at += 4;
    }
    return values;
  }

  /** How many follow, each of `bytesMin` at least: no more than there can be. */
  count(max: number, bytesMin: number): number {
    const count = this.u32();
    if (count > max || count * bytesMin > this.left) throw new FrameError(`${count} are too many`);
    return count;
  }

  /** The rest of the frame. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#take(this.left));
  }

  #take(count: number): number {
    const start = this.#at;
    if (start + count > this.#bytes.length) throw new FrameError("the frame ends too early");
    this.#at = start + count;
    return start;
  }
}
