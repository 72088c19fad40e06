/** What one client may hold without buying, by a clock that the test sets. */
import { expect, test } from "bun:test";
import { Hoarding, reservationsMax } from "../../src/access/hoarding.ts";
import type { Buyer } from "../../src/ledger/buyers.ts";
import { upTo } from "../support/wait.ts";

const terms = { perUserLimit: 1, reservationTtlMs: 100 };
const guest = (name: string): Buyer => ({ kind: "guest", userId: name });
const item = (id: number) => ({ sale: 1, item: id }) as const;

const reserve = (hoarding: Hoarding, buyer: Buyer, itemId: number, now: number): string => {
  const code = `${buyer.userId}-${itemId}-${now}`;
  const reserved = { code, buyer, saleId: 1, itemId, expiresAt: now + 100 };
  hoarding.reserved("a", reserved, item(itemId));
  return code;
};

test("an item that was let go three times rests for one TTL after the last ended", () => {
  const hoarding = new Hoarding(terms);
  const buyer: Buyer = { kind: "customer", userId: "ann" };
  for (const now of [0, 100, 200]) {
    expect(hoarding.waitMs("a", buyer, item(1), now)).toBe(0);
    reserve(hoarding, buyer, 1, now);
  }
  // The third lives: what may be is for the ledger to say.
  expect(hoarding.waitMs("a", buyer, item(1), 299)).toBe(0);
  expect(hoarding.waitMs("a", buyer, item(1), 300)).toBe(100);
  expect(hoarding.waitMs("a", buyer, item(1), 399)).toBe(1);
  expect(hoarding.waitMs("a", buyer, item(2), 350)).toBe(0);
  expect(hoarding.waitMs("a", buyer, item(1), 400)).toBe(0);
  reserve(hoarding, buyer, 1, 400);
  expect(hoarding.waitMs("a", buyer, item(1), 500)).toBe(0);
});

test("an item that was bought is not held against anybody", () => {
  const hoarding = new Hoarding(terms);
  for (const now of [0, 100, 200]) hoarding.bought(reserve(hoarding, guest("ann"), 1, now));
  expect(hoarding.waitMs("a", guest("ann"), item(1), 300)).toBe(0);
});

test("what the guests of an address hold counts until it runs out", () => {
  const hoarding = new Hoarding(terms);
  for (const i of upTo(10)) reserve(hoarding, guest(`g${i}`), i, i);
  expect(hoarding.waitMs("a", guest("new"), item(99), 50)).toBe(51);
  expect(hoarding.waitMs("b", guest("new"), item(99), 50)).toBe(0);
  expect(hoarding.waitMs("a", { kind: "customer", userId: "new" }, item(99), 50)).toBe(0);
  expect(hoarding.waitMs("a", guest("new"), { sale: "current", item: "any" }, 101)).toBe(0);
});

test("what is held and let go through several processes counts at each", () => {
  const [one, other] = [new Hoarding(terms), new Hoarding(terms)];
  const share = (): void => {
    const [news, newsThere] = [one.takeNews(), other.takeNews()];
    other.hear(news);
    one.hear(newsThere);
  };
  for (const i of upTo(5)) {
    reserve(one, guest(`g${i}`), i, i);
    reserve(other, guest(`h${i}`), i, i);
  }
  expect(one.waitMs("a", guest("new"), item(99), 50)).toBe(0);
  share();
  for (const hoarding of [one, other]) {
    expect(hoarding.waitMs("a", guest("new"), item(99), 50)).toBe(51);
  }
  // Each is told once, of what came to the other.
  expect([one.takeNews(), other.takeNews()]).toEqual([[], []]);
  other.bought("g1-1-1");
  share();
  expect(one.waitMs("a", guest("new"), item(99), 50)).toBe(0);
});

test("what becomes of a code may be told before the code is", () => {
  const [one, other, third] = [new Hoarding(terms), new Hoarding(terms), new Hoarding(terms)];
  const buyer: Buyer = { kind: "customer", userId: "ann" };
  for (const now of [0, 1, 2]) other.bought(reserve(one, buyer, 1, now));
  for (const now of [10, 11, 12]) other.released(reserve(one, buyer, 2, now), now + 5);
  const news = one.takeNews();
  third.hear(other.takeNews());
  for (const hoarding of [other, third]) {
    hoarding.hear(news);
    expect(hoarding.waitMs("a", buyer, item(1), 20)).toBe(0);
    expect(hoarding.waitMs("a", buyer, item(2), 20)).toBe(12 + 5 + 100 - 20);
  }
});

test("beyond the bound the first is no longer counted", () => {
  const hoarding = new Hoarding({ ...terms, perUserLimit: reservationsMax });
  for (const i of upTo(reservationsMax + 1)) reserve(hoarding, guest(`g${i}`), 1, 0);
  for (const i of upTo(reservationsMax + 1)) hoarding.bought(`g${i}-1-0`);
  expect(hoarding.waitMs("a", guest("new"), item(1), 0)).toBe(0);
});

test("so many codes of an address are kept, also where others let them run out", () => {
  const [one, other] = [new Hoarding(terms), new Hoarding(terms)];
  for (const i of upTo(40)) reserve(one, guest(`g${i}`), i, i);
  other.hear(one.takeNews());
  expect(other.waitMs("a", guest("new"), item(99), 50)).toBe(51);
  reserve(one, guest("g41"), 41, 41);
  other.hear(one.takeNews());
  expect(other.waitMs("a", guest("new"), item(99), 50)).toBe(52);
});
