/**
 * Event streams by the address that holds them, at this process and at the others as they tell: so
 * that an address has as many as it may at all of them together.
 *
 * What changes is told at once, and all that is open again and again, a part each time: who hears it
 * for the first time soon knows all of it, and what was lost on the way is put right. Of a process
 * that says nothing any more nothing counts, for its streams are gone with it.
 */
import { BoundedMap } from "../bounded.ts";
import { streamsPerFrameMax, type StreamsTold } from "../link/counts.ts";

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
  readonly #own = new Map<string, number>();
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
    const now = this.#now();
    let sum = this.#own.get(network) ?? 0;
    for (const { at, networks } of this.#others.values()) {
      const heard = now - at < silentMs ? networks.get(network) : undefined;
      if (heard !== undefined && now - heard.at < staleMs) sum += heard.count;
    }
    return sum;
  }

  opened(network: string): void {
    this.#own.set(network, (this.#own.get(network) ?? 0) + 1);
    this.#changed.add(network);
  }

  closed(network: string): void {
    const left = (this.#own.get(network) ?? 0) - 1;
    if (left > 0) this.#own.set(network, left);
    else this.#own.delete(network);
    this.#changed.add(network);
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
      count: this.#own.get(network) ?? 0,
    }));
    return { instance, networks };
  }

  /** What another process tells. */
  hear({ instance, networks }: StreamsTold): void {
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
  }
}
