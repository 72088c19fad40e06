/**
 * Frames: the length of what follows in four bytes, the type in one, and the payload. What is asked
 * of the other end, what it answers, and what it tells, each type with its bound.
 */
import { FrameError, ByteWriter } from "./bytes.ts";

/**
 * Goes up, by one a release, with each change of what is said. Releases that follow each other work
 * together: an end takes a peer whose version is its own, or one away from it, and both speak the
 * lower of the two. So what a frame looks like does not change while the version before is spoken:
 * something new has a type of its own, which `typesSince` says is not sent to who does not know it.
 *
 * 3 follows 1: a unit that is sold says whether it was taken back, and a sale that is changed when it
 * begins, which who speaks 1 would misread. 4 knows that coupons are changed and that somebody waits,
 * and tells of event streams.
 */
export const protocolVersion = 4;

/** @returns the version that is spoken with a peer of another; null: none */
export const spokenWith = (version: number): number | null =>
  Math.abs(version - protocolVersion) > 1 ? null : Math.min(version, protocolVersion);

export const frameTypes = {
  /** The first four make sure that both ends know the secret. */
  hello: 1,
  welcome: 2,
  proof: 3,
  ready: 4,
  /** Why the connection is closed, for the other end's log. */
  refused: 5,
  /** Nothing to say, and still here. */
  heartbeat: 6,
  commands: 7,
  answers: 8,
  /** What happened to the ledger. */
  change: 9,
  call: 10,
  reply: 11,
  /** What clients have used up. */
  counts: 12,
  /** Which addresses have event streams open. */
  streams: 13,
} as const;

/** Since which version there are types that not every peer knows. */
const typesSince: Readonly<Record<number, number>> = {
  [frameTypes.counts]: 3,
  [frameTypes.streams]: 4,
};

/** Whether a peer with whom a version is spoken knows a type of frame. */
export const isKnown = (type: number, version: number): boolean =>
  (typesSince[type] ?? 0) <= version;

/** A frame of somebody who has not proven anything. */
export const strangerBytesMax = 1_024;
/** A frame to the leader: commands that came together, or a call. */
export const askedBytesMax = 4 * 1024 * 1024;
/** A frame from the leader: the answers to a batch, what it changed, or a sale as it is announced. */
export const toldBytesMax = 64 * 1024 * 1024;

const headBytes = 5;

/** The type of a frame that is whole. */
export const typeOf = (frame: Uint8Array): number => frame[headBytes - 1] ?? 0;

/** Frames, one after another, in a buffer that is used again. */
export class FrameWriter extends ByteWriter {
  begin(type: number): void {
    this.u32(0);
    this.u8(type);
  }

  /** The frame that was begun, as it is sent. */
  end(): Uint8Array {
    this.u32At(0, this.length - headBytes + 1);
    return this.take();
  }
}

/** Cuts what arrives into frames. */
export class FrameReader {
  readonly #onFrame: (type: number, payload: Uint8Array) => void;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Bytes that are needed before there is anything to do. */
  #needed = headBytes;
  /** Of a frame's type and payload. */
  bytesMax = strangerBytesMax;

  constructor(onFrame: (type: number, payload: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws FrameError for a frame that is longer than may be; the rest is not looked at */
  take(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes < this.#needed) return;
    let data = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#needed = headBytes;
    while (data.byteLength >= headBytes) {
      const length = new DataView(data.buffer, data.byteOffset).getUint32(0);
      if (length < 1 || length > this.bytesMax) {
        throw new FrameError(`a frame of ${length} bytes, where ${this.bytesMax} are the most`);
      }
      const end = headBytes - 1 + length;
      if (data.byteLength < end) {
        this.#needed = end;
        break;
      }
      const payload = data.subarray(headBytes, end);
      const type = typeOf(data);
      data = data.subarray(end);
      this.#onFrame(type, payload);
    }
    this.#chunks = data.byteLength === 0 ? [] : [data];
    this.#bytes = data.byteLength;
  }
}
