/** Holding a unit for longer, while its buyer pays: what ends when, and what is refused. */
import { describe, expect, test } from "bun:test";
import { Ledger } from "../../src/ledger/ledger.ts";
import { dumpOf } from "../support/compare.ts";
import { openTerms } from "../support/state.ts";
import { ToldLedger } from "../support/told-ledger.ts";
import {
  buy,
  buyNow,
  codeOf,
  drop,
  endAt,
  ends,
  hold,
  hour,
  opens,
  take,
  tell,
} from "../support/story.ts";

const quarterOfAnHour = 900_000;

describe("a reservation that is extended", () => {
  tell(
    "ends later, and its unit is nobody else's until then",
    [hour()],
    [
      [opens, take("A", "ann", 1), { word: "reserved", expiresAt: opens + 100 }],
      [opens + 99, hold("A", 300), { word: "extended", code: "A", expiresAt: opens + 399 }],
      [opens + 398, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 399 }],
      [opens + 399, take("B", "bob", 1), "reserved"],
      [opens + 399, buy("A"), "code_expired"],
    ],
  );
  tell(
    "never ends sooner for it",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 10, hold("A", 1), { word: "extended", expiresAt: opens + 100 }],
      [opens + 10, hold("A", 500), { word: "extended", expiresAt: opens + 510 }],
      [opens + 20, hold("A", 50), { word: "extended", expiresAt: opens + 510 }],
    ],
  );
  tell(
    "ends with its sale, and later when that is moved",
    [hour()],
    [
      [ends - 50, take("A", "ann", 1), "reserved"],
      [ends - 50, hold("A", quarterOfAnHour), { word: "extended", expiresAt: ends }],
      [ends - 50, endAt(1, ends + 500), "sale_changed"],
      [
        ends + 400,
        take("B", "bob", 1, { sale: 1 }),
        { word: "item_reserved", retryAt: ends + 500 },
      ],
      [ends + 499, buy("A"), "purchased"],
    ],
  );
  tell(
    "after it had run out is held again, where nobody has had its unit",
    [hour({ limit: 1 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 150, hold("A", 100), { word: "extended", expiresAt: opens + 250 }],
      [opens + 200, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 250 }],
      [opens + 249, buy("A"), "purchased"],
    ],
  );
  tell(
    "runs out in its new order: whoever ran out first loses the unit first",
    [hour({ stock: [2] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 1, take("B", "bob", 1), "reserved"],
      [opens + 2, hold("A", 300), "extended"],
      [opens + 3, take("C", "cyd", 1), { word: "item_reserved", retryAt: opens + 101 }],
      [opens + 101, take("C", "cyd", 1), "reserved"],
      [opens + 101, buy("B"), "code_expired"],
      [opens + 301, buy("A"), "purchased"],
    ],
  );
  tell(
    "of anybody is extended by the merchant alone, and is told again to its owner",
    [hour({ limit: 1 })],
    [
      [opens, take("A", "account:ann", 1, { key: "k" }), "reserved"],
      [opens, hold("A", 400), { word: "extended", buyer: "account:ann" }],
      [
        opens + 300,
        take("B", "account:ann", 1, { key: "k" }),
        { word: "reserved_again", code: "A" },
      ],
      [opens + 300, take("C", "account:ann", "any"), { word: "reserved_again", code: "A" }],
      [opens + 399, buyNow("D", "account:ann", 1), "purchased"],
    ],
  );
});

describe("extending is refused", () => {
  tell(
    "for a code that nobody was given, was bought, given back, or taken by somebody else",
    [hour({ stock: [1, 1, 1] })],
    [
      [opens, hold("Z", 1), "code_not_found"],
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buy("A"), "purchased"],
      [opens, hold("A", 1), { word: "already_purchased", code: "A" }],
      [opens, take("B", "ann", 2), "reserved"],
      [opens, drop("B"), "released"],
      [opens, hold("B", 1), { word: "code_expired", code: "B" }],
      [opens, take("C", "ann", 3), "reserved"],
      [opens + 100, take("D", "bob", 3), "reserved"],
      [opens + 100, hold("C", 1), "code_expired"],
      ["crash", opens + 101],
      [opens + 101, hold("A", 1), "already_purchased"],
      [opens + 101, hold("B", 1), "code_expired"],
      [opens + 101, hold("C", 1), "code_expired"],
      [opens + 101, hold("D", 200), { word: "extended", expiresAt: opens + 301 }],
    ],
  );
  tell(
    "after the sale's end, also when only the records know of it",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [ends - 1, hold("A", 1), { word: "extended", expiresAt: ends }],
      [ends, hold("A", 1), "sale_ended"],
      ["settle", 1],
      [ends, hold("A", 1), "sale_ended"],
    ],
  );
  tell(
    "when the sale was closed by hand",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 1, endAt(1, "now"), "sale_changed"],
      [opens + 2, hold("A", 1), "sale_ended"],
    ],
  );
});

describe("what was extended, after a restart,", () => {
  tell(
    "ends when it was said, with a checkpoint and without",
    [hour({ stock: [1, 1] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, hold("A", 500), "extended"],
      ["crash", opens + 50],
      [opens + 499, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 500 }],
      ["checkpoint", 1],
      ["crash", opens + 450],
      [opens + 499, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 500 }],
      [opens + 500, take("B", "bob", 1), "reserved"],
    ],
  );
  tell(
    "lives again when the clock was set back, and can be extended by the new one",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 150, hold("A", 100), { word: "extended", expiresAt: opens + 250 }],
      ["crash", opens + 20],
      [opens + 30, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 250 }],
      [opens + 30, hold("A", 500), { word: "extended", expiresAt: opens + 530 }],
      ["crash", opens + 529],
      [opens + 529, buy("A"), "purchased"],
    ],
  );

  test("is held by a clock that was ahead for a quarter of an hour at most", async () => {
    const day = 86_400_000;
    const told = await ToldLedger.with(openTerms([1]));
    told.decide(take("A", "ann", 1), day);
    told.decide(hold("A", 60_000), day);
    told.records.beginTerm(0);
    const restored = await Ledger.restore(told.records.recorded(), 0);
    const ann = { kind: "guest", userId: "ann" } as const;
    const [unit] = restored.view(0).reservationsOf(ann);
    expect([unit?.code, unit?.expiresAt]).toEqual([codeOf("A"), quarterOfAnHour]);
    expect(restored.check()).toEqual([]);
  });

  test("loses its unit in the order that this term has said, not the one before", async () => {
    let told = await ToldLedger.with(openTerms([2]));
    told.decide(take("A", "ann", 1), 0);
    told.records.beginTerm(1);
    told = told.goingOnWith(await Ledger.restore(told.records.recorded(), 1));
    told.decide(take("B", "bob", 1), 2);
    told.decide(hold("B", quarterOfAnHour), 5_000);
    told.decide(hold("A", quarterOfAnHour), 10_000);
    told.records.saveCheckpoint(1, told.ledger.view(0));
    told.decide(take("C", "cyd", 1), 920_000);
    const twins = await Promise.all(
      [true, false].map((whole) => Ledger.restore(told.records.recorded(whole), 920_000)),
    );
    const dumps = [told.ledger, ...twins].map((ledger) => dumpOf(ledger.view(0)));
    expect(dumps[1]).toEqual(dumps[0]);
    expect(dumps[2]).toEqual(dumps[0]);
  });

  test("is not sold from when the journal never gave it", async () => {
    const told = await ToldLedger.with(openTerms([1]));
    told.decide(take("A", "ann", 1), 0);
    const recorded = told.records.recorded();
    const extended = {
      seq: 2,
      at: 1,
      word: "extended",
      saleId: 1,
      code: codeOf("B"),
      due: 9,
    } as const;
    const attempts = [...(await Array.fromAsync(recorded.effective)).flat(), extended];
    const effective = (async function* pages() {
      yield attempts;
    })();
    await expect(Ledger.restore({ ...recorded, effective }, 1)).rejects.toThrow(
      /attempt 2 extends .*, which nobody holds/,
    );
  });
});

describe("where a reservation lasts for longer than a quarter of an hour", () => {
  const hourMs = 3_600_000;
  test("extending does not shorten it, nor make it longer than a quarter from now", async () => {
    const told = await ToldLedger.with(openTerms([1], { reservationTtlMs: hourMs }));
    told.decide(take("A", "ann", 1), 0);
    const words = [10, hourMs - 10].map((at) => told.decide(hold("A", quarterOfAnHour), at));
    expect(words).toMatchObject([
      { word: "extended", due: hourMs, of: { expiresAt: hourMs } },
      { word: "extended", due: hourMs - 10 + quarterOfAnHour },
    ]);
  });

  test("nor does a restart after it", async () => {
    const told = await ToldLedger.with(openTerms([1], { reservationTtlMs: hourMs }));
    told.decide(take("A", "ann", 1), 0);
    told.decide(hold("A", 1), 10);
    told.records.beginTerm(20);
    const restored = await Ledger.restore(told.records.recorded(), 20);
    const [unit] = restored.view(20).reservationsOf({ kind: "guest", userId: "ann" });
    expect(unit?.expiresAt).toBe(hourMs);
  });
});
