/** The queue of deadlines, against a list that is sorted again each time. */
import { expect, test } from "bun:test";
import { Deadlines } from "../../src/ledger/deadlines.ts";
import type { Reservation } from "../../src/ledger/state.ts";
import { Random, seeds } from "../support/random.ts";
import { openState, reserved } from "../support/state.ts";

const stepsASeed = 400;

/** Reservations to put in and take out; of many the deadlines are the same. */
function make(random: Random, count: number): Reservation[] {
  const books = openState([count], { perUserLimit: count });
  return Array.from({ length: count }, (_, index) => {
    const reservation = reserved(books, index + 1, "ann");
    books.sale.live.remove(reservation);
    return { ...reservation, deadline: random.between(0, count >> 1) };
  });
}

const inOrder = (list: readonly Reservation[]): Reservation[] =>
  list.toSorted((a, b) => a.deadline - b.deadline || a.seq - b.seq);

const codes = (of: Iterable<Reservation>): string[] =>
  Array.from(of, ({ code }) => code).toSorted();

/** What is wrong with the queue, if anything; `list` has what should be in it. */
function complaintOf(queue: Deadlines, list: readonly Reservation[], time: number): string | null {
  if (queue.size !== list.length) return `it has ${queue.size} of ${list.length}`;
  if (queue.first() !== inOrder(list)[0]) return "another one is first";
  if (!queue.isOrdered()) return "it is out of order";
  if (!Bun.deepEquals(codes(queue), codes(list))) return "it has others";
  const until = list.filter(({ deadline }) => deadline <= time);
  return Bun.deepEquals(codes(queue.until(time)), codes(until)) ? null : `other by ${time}`;
}

test("what runs out first is first, whatever was added and removed, from wherever", () => {
  const complaints = seeds(10).map((seed) => {
    const random = new Random(seed);
    const away = make(random, 60);
    const list: Reservation[] = [];
    const queue = new Deadlines();
    for (let step = 1; step <= stepsASeed; step += 1) {
      const from = random.chance(0.55) ? away : list;
      const [one] = from.splice(random.between(0, from.length - 1), 1);
      if (one === undefined) continue;
      if (from === away) queue.add(one);
      else queue.remove(one);
      (from === away ? list : away).push(one);
      const complaint = complaintOf(queue, list, random.between(0, 30));
      if (complaint !== null) return `SEED=${seed}, step ${step}: ${complaint}`;
    }
    const taken: Reservation[] = [];
    for (let next = queue.first(); next !== undefined; next = queue.first()) {
      queue.remove(next);
      taken.push(next);
    }
    return Bun.deepEquals(taken, inOrder(list)) ? null : `SEED=${seed}: it empties out of order`;
  });
  expect(complaints.filter((complaint) => complaint !== null)).toEqual([]);
});

test("what is not in it cannot be taken out", () => {
  const [one, other] = make(new Random(1), 2);
  if (one === undefined || other === undefined) throw new Error("nothing was made");
  const queue = new Deadlines();
  queue.add(one);
  expect(() => queue.remove(other)).toThrow("not live");
  queue.remove(one);
  expect(() => queue.remove(one)).toThrow("not live");
  expect([queue.size, queue.first()]).toEqual([0, undefined]);
});
