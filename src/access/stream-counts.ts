/**
 * Event streams by the address that holds them, at this process and at the others as they tell: so
 * that an address has as many as it may at all of them together.
 *
 * What changes is told at once, and all that is open again and again, a part each time: who hears it
 * for the first time soon knows all of it, and what was lost on the way is put right. Of a process
 * that says nothing any more nothing counts, for its streams are gone with it.
 *
 * Whoever opens many in one moment finds places at processes that have not heard of each other yet. Once
 * they have, each sees the same: those whose number is lower keep theirs, the next ones what that leaves,
 * and what is over is ended, the youngest first.
 */
import { BoundedMap } from "../bounded.ts";
import { streamsPerFrameMax, type StreamsTold } from "../link/counts.ts";

/** Streams that an address may have at all processes together. */
export const streamsPerAddressMax = 20;
/** Addresses of another process that are kept; past it those heard of longest ago are not. */
export const networksMax = 65_536;
/** What is open and told again at a time. */
const againMax = 256;
/** Whoever has streams says so four times a second. */
const silentMs = 2_000;
/** So long after it was told what is open is told again, at the latest; ms. */
const staleMs = 120_000;

type Heard = {
  at: number;
  readonly networks: BoundedMap<string, { readonly count: number; readonly at: number }>;
};

export class StreamCounts {
  readonly #now: () => number;
  /** How each of them is ended, the oldest first. */
  readonly #own = new Map<string, Set<() => void>>();
  readonly #changed = new Set<string>();
  readonly #others = new Map<string, Heard>();
  /** Goes round all that is open. */
  #again: MapIterator<string> | null = null;

  /** @param now ms of a clock that only goes on */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Streams of an address, wherever they are. */
  of(network: string): number {
    return this.#ownOf(network) + this.#elsewhere(network, () => true);
  }

  #ownOf(network: string): number {
    return this.#own.get(network)?.size ?? 0;
  }

  #elsewhere(network: string, at: (instance: string) => boolean): number {
    const now = this.#now();
    let sum = 0;
    for (const [instance, { at: heardAt, networks }] of this.#others) {
      const heard = now - heardAt < silentMs && at(instance) ? networks.get(network) : undefined;
      if (heard !== undefined && now - heard.at < staleMs) sum += heard.count;
    }
    return sum;
  }

  /**
   * Counts a stream. @param end ends it, where the address has too many at all processes
   * @returns what is to be called when it has ended
   */
  open(network: string, end: () => void): () => void {
    const own = this.#own.get(network) ?? new Set();
    // One may be ended by the same means as another.
    const ending = (): void => end();
    this.#own.set(network, own.add(ending));
    this.#changed.add(network);
    return () => {
      if (!own.delete(ending)) return;
      if (own.size === 0 && this.#own.get(network) === own) this.#own.delete(network);
      this.#changed.add(network);
    };
  }

  /** What others have to know, of as many addresses as can be told at once; null: nothing. */
  takeNews(instance: string): StreamsTold | null {
    const told = new Set<string>();
    for (const network of this.#changed) {
      if (told.size === streamsPerFrameMax) break;
      told.add(network);
      this.#changed.delete(network);
    }
    const most = Math.min(againMax, this.#own.size, streamsPerFrameMax - told.size);
    for (let n = 0; n < most; n += 1) {
      this.#again ??= this.#own.keys();
      const { value, done } = this.#again.next();
      if (done === true) this.#again = null;
      else told.add(value);
    }
    if (told.size === 0) return null;
    const networks = Array.from(told, (network) => ({
      network,
      count: this.#ownOf(network),
    }));
    return { instance, networks };
  }

  /** What another process tells. @param here what this one is called by the others */
  hear({ instance, networks }: StreamsTold, here: string): void {
    const now = this.#now();
    for (const [other, { at }] of this.#others) {
      if (now - at >= staleMs) this.#others.delete(other);
    }
    const heard = this.#others.get(instance) ?? { at: now, networks: new BoundedMap(networksMax) };
    heard.at = now;
    for (const { network, count } of networks) {
      if (count === 0) heard.networks.delete(network);
      else heard.networks.set(network, { count, at: now });
    }
    this.#others.set(instance, heard);
    if (instance < here) for (const { network } of networks) this.#endExcess(network, here);
  }

  #endExcess(network: string, here: string): void {
    const own = this.#own.get(network);
    if (own === undefined) return;
    const before = this.#elsewhere(network, (instance) => instance < here);
    const kept = Math.max(0, streamsPerAddressMax - before);
    for (const end of Array.from(own).slice(kept).toReversed()) end();
  }
}
