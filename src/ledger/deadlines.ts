/**
 * The live reservations of a sale in the order in which they run out: a binary heap in which each
 * reservation knows its place, so that one that is bought or given back leaves at once and memory
 * is in proportion to what is held, not to what was tried.
 */
import type { Reservation } from "./state.ts";

/** Who runs out first; of two at the same time, who reserved first. */
export const runsOutBefore = (a: Reservation, b: Reservation): boolean =>
  a.deadline < b.deadline || (a.deadline === b.deadline && a.seq < b.seq);

export class Deadlines {
  readonly #heap: Reservation[] = [];

  get size(): number {
    return this.#heap.length;
  }

  first(): Reservation | undefined {
    return this.#heap[0];
  }

  /** In no order that means anything. */
  [Symbol.iterator](): IterableIterator<Reservation> {
    return this.#heap.values();
  }

  /** Those that run out by a time, in no order; no more are looked at than about these. */
  *until(time: number): Generator<Reservation> {
    const places = [0];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const reservation = this.#heap[place];
      if (reservation === undefined || reservation.deadline > time) continue;
      yield reservation;
      places.push(2 * place + 1, 2 * place + 2);
    }
  }

  add(reservation: Reservation): void {
    this.#heap.push(reservation);
    this.#rise(this.#heap.length - 1, reservation);
  }

  remove(reservation: Reservation): void {
    const { place } = reservation;
    if (this.#heap[place] !== reservation) throw new Error("a reservation that is not live ended");
    const last = this.#heap.pop();
    reservation.place = -1;
    if (last === undefined || last === reservation) return;
    this.#rise(place, last);
    if (last.place === place) this.#sink(place, last);
  }

  /** Whether the order is kept: nobody runs out before the one above. */
  isOrdered(): boolean {
    return this.#heap.every((reservation, place) => {
      const above = this.#heap[(place - 1) >> 1];
      const isBelow = above === undefined || !runsOutBefore(reservation, above);
      return reservation.place === place && isBelow;
    });
  }

  #rise(from: number, reservation: Reservation): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || !runsOutBefore(reservation, above)) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, reservation);
  }

  #sink(from: number, reservation: Reservation): void {
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      let below = this.#heap[child];
      if (below === undefined) break;
      const right = this.#heap[child + 1];
      if (right !== undefined && runsOutBefore(right, below)) {
        child += 1;
        below = right;
      }
      if (!runsOutBefore(below, reservation)) break;
      this.#put(place, below);
      place = child;
    }
    this.#put(place, reservation);
  }

  #put(place: number, reservation: Reservation): void {
    this.#heap[place] = reservation;
    reservation.place = place;
  }
}
