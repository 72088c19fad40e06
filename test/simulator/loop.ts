/**
 * Virtual time: what is to happen is kept in the order of its moment and done when that comes, with
 * nothing real waited for. Whatever becomes possible by something done (promises that were waited
 * for) is done before the next. The same calls give the same run.
 *
 * Things of the same moment are done in an order that the seed draws, so that a run of another
 * seed meets them the other way round.
 */
import { drainMicrotasks } from "bun:jsc";
import type { Random } from "../support/random.ts";

type Event = {
  readonly at: number;
  readonly draw: number;
  readonly nth: number;
  readonly happen: () => void;
};

const isBefore = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && (a.draw < b.draw || (a.draw === b.draw && a.nth < b.nth)));

export class Loop {
  readonly #random: Random;
  readonly #heap: Event[] = [];
  #now = 0;
  #count = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** ms since the world began. */
  get now(): number {
    return this.#now;
  }

  /** Events done so far. */
  get count(): number {
    return this.#count;
  }

  after(ms: number, happen: () => void): void {
    const event = { at: this.#now + ms, draw: this.#random.next(), nth: this.#count, happen };
    const heap = this.#heap;
    let place = heap.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[place] = above;
      place = parent;
    }
    heap[place] = event;
  }

  sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.after(ms, resolve);
    return promise;
  }

  /** Does what happens in the next `ms`. */
  run(ms: number): void {
    this.runWhile(ms, () => true);
  }

  /** As above, for as long as `goesOn`. */
  runWhile(ms: number, goesOn: () => boolean): void {
    const end = this.#now + ms;
    drainMicrotasks();
    while (goesOn()) {
      const [next] = this.#heap;
      if (next === undefined || next.at > end) {
        this.#now = end;
        return;
      }
      this.#take();
      this.#now = next.at;
      this.#count += 1;
      next.happen();
      drainMicrotasks();
    }
  }

  /** Takes the first event out. */
  #take(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        child += 1;
        below = right;
      }
      if (!isBefore(below, last)) break;
      heap[place] = below;
      place = child;
    }
    heap[place] = last;
  }
}
