/**
 * A replica of a ledger that is told what happens: what it counts, what it remembers, and that it
 * does not go on after something was not told. That it says in all else what the ledger says, and
 * decides the same once it leads, the random histories in `ledger.test.ts` compare.
 */
import { describe, expect, test } from "bun:test";
import { effectsOf, GapError, type Effect, type LedgerChange } from "../../src/ledger/changes.ts";
import type { Command } from "../../src/ledger/commands.ts";
import { Ledger, Replica } from "../../src/ledger/ledger.ts";
import { nothingRecorded } from "../support/naive-records.ts";
import { openTerms } from "../support/state.ts";
import { buy, buyNow, take, who } from "../support/story.ts";
import { ToldLedger } from "../support/told-ledger.ts";

/** A ledger, and what a replica would be told of it. */
async function aLedger() {
  const ledger = await Ledger.restore(nothingRecorded(), 0);
  const changes: LedgerChange[] = [];
  const tell = (change: LedgerChange | null): void => {
    if (change !== null) changes.push(change);
  };
  /** Decides a batch. */
  const decide = (at: number, ...commands: readonly Command[]): string[] => {
    const firstSeq = ledger.seq + 1;
    const outcomes = commands.map((command) => ledger.decide(command, at));
    const effects = effectsOf(firstSeq, at, commands, outcomes);
    const { seq } = ledger;
    tell({ kind: "batch", firstSeq, seq, at, effects, attempts: ledger.attemptsSince() });
    return outcomes.map(({ word }) => word);
  };
  tell(ledger.addSale(openTerms([2, 2]), 0));
  return { ledger, changes, tell, decide };
}

async function replicaOf(changes: readonly LedgerChange[]): Promise<Replica> {
  const replica = await Replica.restore(nothingRecorded());
  for (const change of changes) replica.apply(change);
  return replica;
}

const make = { kind: "create_coupon", coupon: "TEN", amount: 2 } as const;
const claim = (name: string, key: string | null = null) =>
  ({ kind: "claim", coupon: "TEN", buyer: who(name), key }) as const;

test("counts what was refused, sale by sale", async () => {
  const { ledger, changes, tell, decide } = await aLedger();
  tell(ledger.addSale(openTerms([1], { id: 2, kind: "product" }), 7));
  decide(1, take("A", "ann", 1), take("B", "ann", 99), take("C", "bob", 99));
  decide(2, take("D", "bob", 99, { sale: 2 }));
  const view = (await replicaOf(changes)).view(2);
  expect([view.seq, view.totals(1)?.attempts, view.totals(2)?.attempts]).toEqual([4, 3, 8]);
});

test("knows coupons, what is left of them, and the keys of their claims", async () => {
  const { ledger, changes, decide } = await aLedger();
  expect(decide(1, make, claim("ann", "k"), claim("bob"), claim("cyd"))).toEqual([
    "coupon_created",
    "claimed",
    "claimed",
    "coupon_sold_out",
  ]);
  const replica = await replicaOf(changes);
  expect(replica.view(1).coupon("TEN")).toEqual(ledger.view(1).coupon("TEN"));
  const next = replica.promote(2);
  const words = [claim("ann", "k"), claim("ann")].map((one) => next.decide(one, 2).word);
  expect(words).toEqual(["claimed_again", "look_up"]);
});

test("knows what idempotency keys were used for, also of what was sold late", async () => {
  const { changes, decide } = await aLedger();
  const words = [
    ...decide(0, take("A", "ann", 1, { key: "k" }), take("B", "bob", 1)),
    // Both have run out; the first one's unit goes to somebody else, and the other one is free.
    ...decide(500, take("C", "cyd", 1), take("D", "dan", 1)),
    ...decide(501, buy("C"), buyNow("E", "account:eve", 2, { units: 2, key: "e" })),
  ];
  expect(words).toEqual(["reserved", "reserved", "reserved", "reserved", "purchased", "purchased"]);
  const next = (await replicaOf(changes)).promote(502);
  const again = buyNow("F", "account:eve", 2, { units: 2, key: "e" });
  expect(next.decide(again, 502)).toMatchObject({ word: "purchased_again" });
  expect(next.decide(take("G", "ann", 1, { key: "k" }), 502).word).toBe("item_reserved");
});

test("forgets a sale that was settled", async () => {
  const { ledger, changes, tell, decide } = await aLedger();
  decide(1, take("A", "ann", 1));
  ledger.moveOn(openTerms([1]).endsAt);
  tell(ledger.settleSale(1));
  const replica = await replicaOf(changes);
  expect(replica.view(ledger.view(0).now).sale(1)).toBe(null);
  expect(replica.promote(ledger.view(0).now).decide(take("B", "bob", 1, { sale: 1 }), 0)).toEqual(
    ledger.decide(take("B", "bob", 1, { sale: 1 }), 0),
  );
});

test("does what it is told twice once", async () => {
  const { ledger, changes, decide } = await aLedger();
  decide(1, take("A", "ann", 1), buyNow("B", "bob", 2));
  decide(2, buy("A"));
  const view = (await replicaOf([...changes, ...changes.slice(1)])).view(2);
  expect(view.totals(1)).toEqual(ledger.view(2).totals(1));
});

test.each([
  ["a batch", (changes: readonly LedgerChange[]) => changes.filter((_, index) => index !== 1)],
  ["the last batch", (changes: readonly LedgerChange[]) => changes.filter((_, i) => i !== 2)],
])("goes on no more after %s was not told", async (_, without) => {
  const { changes, tell, decide } = await aLedger();
  decide(1, take("A", "ann", 1));
  decide(2, take("B", "bob", 1));
  tell({ kind: "time", seq: 2, at: 3 });
  await expect(replicaOf(without(changes))).rejects.toThrow(GapError);
});

test("hears of the terms that began, each of which holds what was said before for a TTL at most", async () => {
  const told = await ToldLedger.with(openTerms([1]));
  // By a clock that was far ahead of the next leader's.
  told.decide(take("A", "ann", 1), 10_000);
  const recorded = { ...told.records.recorded(), terms: [{ epoch: 2, afterSeq: 1, at: 100 }] };
  const replica = await Replica.restore(recorded);
  const { reservationTtlMs } = openTerms([1]);
  const heldAt = (now: number) => replica.view(now).totals(1)?.reserved;
  expect([heldAt(99 + reservationTtlMs), heldAt(100 + reservationTtlMs)]).toEqual([1, 0]);
});

test("takes units back that a clock ahead had seen lapse", async () => {
  const { ledger, changes, decide } = await aLedger();
  decide(1, take("A", "ann", 1));
  const replica = await replicaOf(changes);
  expect(replica.view(500).totals(1)?.reserved).toBe(0);
  decide(2, take("B", "bob", 1));
  const last = changes.at(-1);
  if (last !== undefined) replica.apply(last);
  expect(replica.view(2).totals(1)).toEqual(ledger.view(2).totals(1));
});

test("shows an earlier moment after a later one: what had lapsed lives", async () => {
  const { changes, decide } = await aLedger();
  decide(0, take("A", "ann", 1), take("B", "ann", 1));
  const replica = await replicaOf(changes);
  const { reservationTtlMs: ttlMs } = openTerms([1]);
  const shown = [ttlMs - 1, ttlMs, ttlMs - 1].map((now) => {
    const view = replica.view(now);
    return { now: view.now, free: view.free(1)?.[0], held: view.reservationsOf(who("ann")).length };
  });
  const before = { now: ttlMs - 1, free: 0, held: 2 };
  expect(shown).toEqual([before, { now: ttlMs, free: 2, held: 0 }, before]);
});

describe("an offer whose unit is somebody else's before its lapse was noted", () => {
  // As by a clock that is set back to before the opening, when nobody is offered anything.
  const { reservationTtlMs: ttlMs } = openTerms([1]);
  const ann = { kind: "account", userId: "ann" } as const;
  const unit = { saleId: 1, itemId: 1, key: null, request: null, quantity: null, own: [] } as const;
  const story: readonly Effect[] = [
    { seq: 1, at: 0, word: "waiting", saleId: 1, buyer: ann, item: 1 },
    { seq: 2, at: 0, word: "offered", buyer: ann, code: "A", ...unit },
    { seq: 3, at: ttlMs, word: "reserved", buyer: who("bob"), code: "B", ...unit },
  ];
  const told = async (effects: readonly Effect[]): Promise<Replica> => {
    const replica = await Replica.restore(nothingRecorded());
    const terms = openTerms([1]);
    replica.apply({ kind: "sale", seq: 0, at: 0, terms, attempts: 0 });
    const seq = effects.length;
    replica.apply({ kind: "batch", firstSeq: 1, seq, at: ttlMs, effects, attempts: [[1, seq]] });
    return replica;
  };

  test("is no more when it was given back, as told", async () => {
    const back = { seq: 4, at: ttlMs, word: "released", buyer: ann, code: "A", ...unit } as const;
    const lines = [story, [...story, back]].map(async (effects) =>
      (await told(effects)).view(ttlMs).linesOf(1, ann),
    );
    expect((await Promise.all(lines)).map(({ length }) => length)).toEqual([1, 0]);
  });

  test("is no more when it is given back, as decided", async () => {
    const ledger = (await told(story)).promote(ttlMs);
    const found = {
      seq: 2,
      code: "A",
      saleId: 1,
      itemId: 1,
      buyer: ann,
      reservedAt: 0,
      key: null,
      request: null,
      released: false,
      sold: null,
    };
    const release = { kind: "release", code: "A", saleId: null, by: ann } as const;
    const outcome = ledger.decide({ ...release, lookup: { upTo: 3, found } }, ttlMs);
    expect(outcome.word).toBe("released");
    expect(ledger.view(ttlMs).linesOf(1, ann)).toEqual([]);
  });
});

test("who was deposed can decide a refund of what the next leader has sold: it is committed by nobody", async () => {
  const { ledger } = await aLedger();
  const units = [{ code: "A", refundedBy: null }];
  const order = { saleId: 1, itemId: 1, buyer: who("ann"), units };
  const asked = { order: 9, units: null, restock: true, reason: null, key: null } as const;
  const refund: Command = {
    kind: "refund",
    by: { kind: "key", name: "shop" },
    ...asked,
    lookup: { upTo: 0, order, used: null },
  };
  expect(ledger.decide(refund, 1)).toEqual({ word: "order_not_found", saleId: null });
});
