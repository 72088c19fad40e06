/**
 * Says when the disk that holds the records of the embedded PostgreSQL is nearly full. Nothing is
 * refused before it is full: then commits fail, which is told to whoever asks, until there is room.
 */
import { diskReserveBytes, freeBytes, gigabytes } from "../disk.ts";
import type { Log } from "./engine.ts";

const lookEveryMs = 5_000;
/** A file system may take its time: it is asked no more often. */
const ageMaxMs = 1_000;

type DiskWatchOptions = {
  /** On the disk; null where the records are on a server of somebody else's. */
  readonly folder: string | null;
  readonly log: Log;
  /** What is free there; null where nobody can tell. */
  readonly free?: (folder: string) => number | null;
  /** ms, monotonic */
  readonly now?: () => number;
};

export class DiskWatch {
  readonly #options: Required<DiskWatchOptions>;
  #seen: { readonly at: number; readonly free: number | null } | null = null;
  #isLow = false;
  #timer: Timer | null = null;

  constructor(options: DiskWatchOptions) {
    this.#options = { free: freeBytes, now: () => performance.now(), ...options };
  }

  /** Null where nobody can tell. */
  get freeBytes(): number | null {
    const { folder, free, now } = this.#options;
    if (folder === null) return null;
    const at = now();
    if (this.#seen === null || at - this.#seen.at >= ageMaxMs) {
      this.#seen = { at, free: free(folder) };
    }
    return this.#seen.free;
  }

  /** For a person; null while more than the reserve is left. */
  get warning(): string | null {
    const free = this.freeBytes;
    if (free === null || free >= diskReserveBytes) return null;
    return `The disk of the records has ${gigabytes(free)} left, and ${gigabytes(diskReserveBytes)} are to be: when it is full, nothing is sold.`;
  }

  /** Looks from now on, and writes into the log when the reserve is used, and when it is not any more. */
  start(): void {
    if (this.#options.folder === null) return;
    this.look();
    this.#timer = setInterval(() => this.look(), lookEveryMs);
    this.#timer.unref();
  }

  look(): void {
    const { log } = this.#options;
    const { warning, freeBytes: free } = this;
    if (warning !== null && !this.#isLow) log.warn({ freeBytes: free }, warning);
    if (warning === null && this.#isLow) log.info({ freeBytes: free }, "the disk has room again");
    this.#isLow = warning !== null;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}
