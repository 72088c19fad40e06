/**
 * The file of a backup: blocks, compressed by zstd, and after them a frame that zstd's own tools skip,
 * with the SHA-256 of all before it. So a file that was cut short, or of which a bit has changed, is
 * known before anything of it is used.
 *
 * A block is a letter, its length as four bytes, and so many bytes: `H` the header, `T` a table that
 * begins, `D` rows of it in PostgreSQL's text format, `E` the end; all but `D` are JSON. Memory is
 * bounded by a block on both ways.
 */
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { errorCode, messageOf } from "../postgres/client.ts";

/** The file is not there, not a backup, or not whole; the message says which. */
export class BackupError extends Error {}

/** What PostgreSQL or the system refuses is told in a sentence; anything else is a bug. */
export const told = (error: unknown, what: string): unknown =>
  errorCode(error) === "" ? error : new BackupError(`${what}: ${messageOf(error)}.`);

/** Of a block of rows; a row alone may be larger. */
export const blockBytesWanted = 256 * 1024;
/** What no row of ours reaches. */
const blockBytesMax = 64 * 1024 * 1024;
const headBytes = 5;
/** What zstd skips: <https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.2>. */
const skippable = 0x184d2a57;
const mark = "STAMPEDE";
const hashBytes = 32;
const footerBytes = 8 + mark.length + hashBytes;

export type Block = { readonly kind: BlockKind; readonly bytes: Buffer };
export type BlockKind = "H" | "T" | "D" | "E";

/** Writes a file that is not there yet; whoever reads it before `end` finds that it is not whole. */
export class BackupWriter {
  readonly #zstd = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  readonly #hash = new Bun.CryptoHasher("sha256");
  readonly #path: string;
  readonly #written: Promise<void>;

  constructor(path: string) {
    this.#path = path;
    this.#written = this.#write();
    // Whoever waits for it is told; nobody may wait yet.
    this.#written.catch(() => {});
  }

  async #write(): Promise<void> {
    const file = createWriteStream(this.#path, { flags: "wx", mode: 0o600 });
    await once(file, "open");
    const put = async (bytes: Uint8Array): Promise<void> => {
      if (!file.write(bytes)) await once(file, "drain");
    };
    for await (const chunk of this.#zstd) {
      const bytes: Buffer = chunk;
      this.#hash.update(bytes);
      await put(bytes);
    }
    const footer = Buffer.alloc(footerBytes);
    footer.writeUInt32LE(skippable, 0);
    footer.writeUInt32LE(footerBytes - 8, 4);
    footer.write(mark, 8, "latin1");
    this.#hash.digest().copy(footer, 8 + mark.length);
    await put(footer);
    file.end();
    await once(file, "close");
  }

  /** @throws the system's error when the disk takes no more */
  async block(kind: BlockKind, bytes: Uint8Array | string): Promise<void> {
    const content = Buffer.from(bytes);
    const head = Buffer.alloc(headBytes);
    head.write(kind, "latin1");
    head.writeUInt32LE(content.length, 1);
    this.#zstd.write(head);
    const isTaken = this.#zstd.write(content);
    // Where the file cannot be written, nothing is ever taken.
    if (!isTaken) await Promise.race([once(this.#zstd, "drain"), this.#failed()]);
  }

  #failed(): Promise<never> {
    return new Promise((_, reject) => {
      this.#written.catch(reject);
    });
  }

  /** When all of it is on disk. */
  async end(): Promise<void> {
    this.#zstd.end();
    await this.#written;
    const file = await open(this.#path, "r+");
    await file.sync();
    await file.close();
  }

  /** Gives it up; what there is of the file stays. */
  async abandon(): Promise<void> {
    this.#zstd.end();
    await this.#written.catch(() => {});
  }
}

/** How much of a file is before its footer. @throws BackupError when it is not whole */
export async function checkWhole(path: string): Promise<number> {
  const size = await sizeOf(path);
  const contentBytes = size - footerBytes;
  const broken = (why: string) => new BackupError(`${path} is not a whole backup: ${why}.`);
  if (contentBytes <= 0) throw broken("it is too short");
  const hash = new Bun.CryptoHasher("sha256");
  const footer: Buffer[] = [];
  let at = 0;
  for await (const chunk of createReadStream(path)) {
    const bytes: Buffer = chunk;
    const left = Math.max(0, Math.min(bytes.length, contentBytes - at));
    hash.update(bytes.subarray(0, left));
    footer.push(bytes.subarray(left));
    at += bytes.length;
  }
  const end = Buffer.concat(footer);
  const isMarked =
    end.length === footerBytes &&
    end.readUInt32LE(0) === skippable &&
    end.readUInt32LE(4) === footerBytes - 8 &&
    end.toString("latin1", 8, 8 + mark.length) === mark;
  if (!isMarked) throw broken("its end is missing");
  if (!hash.digest().equals(end.subarray(8 + mark.length))) {
    throw broken("its bytes are not those that were written");
  }
  return contentBytes;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    throw new BackupError(`There is no file ${path}.`);
  }
}

/** The blocks of a file that is whole. @throws BackupError */
export async function* readBlocks(path: string): AsyncGenerator<Block> {
  const contentBytes = await checkWhole(path);
  // What cannot be read is told where the blocks are asked for, and not to the process.
  const file = createReadStream(path, { end: contentBytes - 1 });
  const bytes = new Bytes(pipeline(file, createZstdDecompress(), () => {}));
  for (;;) {
    const head = await bytes.take(headBytes);
    if (head === null) return;
    const kind = kinds.find((known) => known === String.fromCharCode(head[0] ?? 0));
    const length = head.readUInt32LE(1);
    if (kind === undefined || length > blockBytesMax) throw new BackupError(strange(path));
    const content = await bytes.take(length);
    if (content === null) throw new BackupError(strange(path));
    yield { kind, bytes: content };
  }
}

const kinds: readonly BlockKind[] = ["H", "T", "D", "E"];
const strange = (path: string): string => `${path} is no backup that this program can read.`;

/** Bytes of a stream, so many at a time. */
class Bytes {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Null at the end, also when there are fewer. */
  async take(count: number): Promise<Buffer | null> {
    while (this.#heldBytes < count) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return null;
      this.#held.push(value);
      this.#heldBytes += value.length;
    }
    const all = Buffer.concat(this.#held);
    this.#held = [all.subarray(count)];
    this.#heldBytes -= count;
    return all.subarray(0, count);
  }
}
