/**
 * One connection between two processes, the same at both ends: frames out and in, and the end of it
 * when the other one is gone, falls silent, does not read, or says what cannot be meant.
 *
 * What is sent and cannot be written waits in memory up to `sendBytesMax`; beyond that the other end
 * does not read, and the connection is closed. Both ends say that they are here each `heartbeatMs`,
 * so silence is noticed after `silenceMaxMs`, whatever the network says.
 */
import type { Socket } from "bun";
import { ByteReader, FrameError } from "./bytes.ts";
import {
  FrameReader,
  frameTypes,
  FrameWriter,
  isKnown,
  protocolVersion,
  typeOf,
} from "./frames.ts";

const heartbeatMs = 500;
const silenceMaxMs = 2_000;
/** What may wait for the other end to read. */
export const sendBytesMax = 128 * 1024 * 1024;

/** Told of what arrives on a connection. What is thrown ends it. */
export type ConnectionEvents = {
  readonly onFrame: (type: number, payload: ByteReader) => void;
  /** Once, with the reason. */
  readonly onClose: (reason: Error) => void;
};

export class Connection {
  readonly #socket: Socket<unknown>;
  readonly #events: ConnectionEvents;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #closed: Error | null = null;
  #heardAt = performance.now();
  #saidAt = performance.now();
  #lookedAt = performance.now();
  readonly #timer: Timer;
  /** What the two ends speak, once each knows the other. */
  protocol = protocolVersion;

  constructor(socket: Socket<unknown>, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#reader = new FrameReader((type, payload) => this.#frame(type, payload));
    this.#timer = setInterval(() => this.#look(), heartbeatMs);
    this.#timer.unref();
    socket.setNoDelay?.(true);
  }

  get isOpen(): boolean {
    return this.#closed === null;
  }

  /** Bytes that wait for the other end to read. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Of a frame that is read from now on. */
  set frameBytesMax(bytes: number) {
    this.#reader.bytesMax = bytes;
  }

  /** Sends a frame of what `write` writes. Nothing, once the connection is closed. */
  send(type: number, write: (to: FrameWriter) => void = () => {}): void {
    if (this.#closed !== null) return;
    const writer = this.#writer;
    writer.begin(type);
    try {
      write(writer);
    } catch (error) {
      writer.cutTo(0);
      throw error;
    }
    this.sendFrame(writer.end());
  }

  /** Sends a frame that is made already, the same to several; not to one that knows none of its type. */
  sendFrame(frame: Uint8Array): void {
    if (this.#closed !== null || !isKnown(typeOf(frame), this.protocol)) return;
    this.#saidAt = performance.now();
    if (this.#waitingBytes > 0) {
      this.#wait(frame);
      return;
    }
    const written = this.#socket.write(frame);
    if (written < 0) this.close(new Error("the other end is gone"));
    else if (written < frame.byteLength) this.#wait(frame.subarray(written));
  }

  /** What the socket has read. */
  receive(chunk: Uint8Array): void {
    if (this.#closed !== null) return;
    this.#heardAt = performance.now();
    try {
      this.#reader.take(chunk);
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Goes on writing what waits. */
  drained(): void {
    while (this.#closed === null) {
      const frame = this.#waiting[0];
      if (frame === undefined) return;
      const written = this.#socket.write(frame);
      if (written < 0) {
        this.close(new Error("the other end is gone"));
        return;
      }
      this.#waitingBytes -= written;
      if (written < frame.byteLength) {
        this.#waiting[0] = frame.subarray(written);
        return;
      }
      this.#waiting.shift();
    }
  }

  /** @param isTold the other end is told why, as far as it reads */
  close(reason: Error, isTold = false): void {
    if (this.#closed !== null) return;
    if (isTold) this.send(frameTypes.refused, (to) => to.text(reason.message.slice(0, 200)));
    this.#closed = reason;
    clearInterval(this.#timer);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#socket.end();
    this.#events.onClose(reason);
  }

  #wait(frame: Uint8Array): void {
    this.#waiting.push(frame);
    this.#waitingBytes += frame.byteLength;
    if (this.#waitingBytes > sendBytesMax) this.close(new Error("the other end does not read"));
  }

  #frame(type: number, payload: Uint8Array): void {
    if (this.#closed !== null || type === frameTypes.heartbeat) return;
    const reader = new ByteReader(payload);
    if (type === frameTypes.refused) throw new Error(`the other end says: ${reader.text()}`);
    this.#events.onFrame(type, reader);
  }

  #look(): void {
    const now = performance.now();
    // Who was asleep has heard nothing, whatever was said.
    const wasAwake = now - this.#lookedAt < 2 * heartbeatMs;
    this.#lookedAt = now;
    if (wasAwake && now - this.#heardAt >= silenceMaxMs) {
      this.close(new Error(`the other end has been silent for ${silenceMaxMs} ms`));
    } else if (now - this.#saidAt >= heartbeatMs / 2) this.send(frameTypes.heartbeat);
  }
}

/** @throws FrameError: the connection ends by it */
export const unexpected = (type: number): FrameError =>
  new FrameError(`a frame of type ${type} has no place here`);
