/**
 * Looking up in the records what the ledger does not hold: what was read is asked again when it
 * may be stale, and a flood is refused.
 */
import { describe, expect, test } from "bun:test";
import {
  codeLookupsMax,
  keyLookupsMax,
  keysPerLookupMax,
  Lookups,
  refundsWaitingMax,
} from "../../src/engine/lookups.ts";
import { OverloadedError, type Writer } from "../../src/engine/writer.ts";
import type {
  ArchivedCode,
  ArchivedKey,
  CodeLookup,
  Command,
  KeyLookup,
  OrderLookup,
  Outcome,
  Refund,
} from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { endedMax } from "../../src/ledger/state.ts";
import type { Records } from "../../src/store/records.ts";
import { openTerms } from "../support/state.ts";
import { buyNow, codeOf, take, who } from "../support/story.ts";
import { ToldLedger } from "../support/told-ledger.ts";
import { until, upTo } from "../support/wait.ts";

const purchase = (letter: string) =>
  ({
    kind: "purchase",
    code: codeOf(letter),
    by: null,
    expectedPriceCents: null,
    lookup: null,
  }) as const;

const release = (letter: string) =>
  ({ kind: "release", code: codeOf(letter), by: null, saleId: null, lookup: null }) as const;

const claim = { kind: "claim", coupon: "A", buyer: who("ann"), key: null } as const;

type Asked = Pick<Records, "findCode" | "findKeys" | "findRefundable" | "loadClaims">;

const nothing: Asked = {
  findCode: async () => null,
  findKeys: async (keys) => keys.map(() => null),
  findRefundable: async () => ({ order: null, used: null }),
  loadClaims: async () => new Map(),
};

/** As much of a writer as is asked of one, answering as a test says; what it was asked. */
function fakeWriter(answer: (command: Command) => Outcome) {
  const asked: Command[] = [];
  const writer = {
    committedSeq: 7,
    submit: async (command: Command, use = (outcome: Outcome): unknown => outcome) => {
      asked.push(command);
      return use(answer(command));
    },
    maintain: async () => {},
  };
  return { asked, writer };
}

const lookupsOf = (asked: Asked, writer: unknown): Lookups =>
  new Lookups(asked as Records, writer as Writer);

const lookupOf = (command: Command): CodeLookup | KeyLookup | OrderLookup | null =>
  "lookup" in command ? (command.lookup ?? null) : null;

describe("a code that the ledger does not hold", () => {
  test("is looked up by what was committed before, and told to it", async () => {
    const { asked, writer } = fakeWriter((command) =>
      lookupOf(command) === null ? { word: "look_up" } : { word: "code_not_found", of: null },
    );
    const read: number[] = [];
    const records: Asked = {
      ...nothing,
      findCode: async () => {
        read.push(writer.committedSeq);
        // More is committed while the records are read.
        writer.committedSeq += 1;
        return null;
      },
    };
    const lookups = lookupsOf(records, writer);
    const words = [
      (await lookups.decide(purchase("A"))).word,
      (await lookups.decide(release("A"))).word,
    ];
    expect([words, read, asked.map((command) => lookupOf(command)?.upTo ?? null)]).toEqual([
      ["code_not_found", "code_not_found"],
      [7, 8],
      [null, 7, null, 8],
    ]);
  });

  test("is looked up once, and not before what the ledger said is committed", async () => {
    const [needed, steps]: [Outcome, string[]] = [{ word: "look_up" }, []];
    const submit = async (_: Command, use = (outcome: Outcome): unknown => outcome) => {
      const said = (steps.length > 0 ? { word: "code_not_found", of: null } : needed) as Outcome;
      use(said);
      steps.push(await Promise.resolve("committed"));
      return use(said);
    };
    const records = { ...nothing, findCode: async () => (steps.push("read"), null) };
    await lookupsOf(records, { submit, committedSeq: 7 }).decide(purchase("A"), ({ word }) => word);
    expect(steps).toEqual(["committed", "read", "committed"]);
  });

  test("is not looked up where it is held", async () => {
    const { asked, writer } = fakeWriter(() => ({ word: "code_not_found", of: null }));
    await lookupsOf(nothing, writer).decide(purchase("A"));
    expect(asked.length).toBe(1);
  });

  test.each(["purchase", "release"] as const)(
    "is looked up so often for one %s, and then given up",
    async (kind) => {
      const { asked, writer } = fakeWriter(() => ({ word: "look_up" }));
      const lookups = lookupsOf(nothing, writer);
      const given =
        kind === "purchase" ? lookups.decide(purchase("A")) : lookups.decide(release("A"));
      await expect(given).rejects.toBeInstanceOf(OverloadedError);
      expect(asked.length).toBe(8);
    },
  );

  test("is one of so many looked up at a time; the next is refused, and one after again not", async () => {
    const { writer } = fakeWriter((command) =>
      lookupOf(command) === null ? { word: "look_up" } : { word: "code_not_found", of: null },
    );
    const held = Promise.withResolvers<void>();
    let read = 0;
    const records: Asked = {
      ...nothing,
      findCode: async () => {
        read += 1;
        await held.promise;
        return null;
      },
    };
    const lookups = lookupsOf(records, writer);
    const flood = upTo(codeLookupsMax).map(() => lookups.decide(purchase("A")));
    await expect(lookups.decide(release("B"))).rejects.toBeInstanceOf(OverloadedError);
    expect(read).toBe(codeLookupsMax);
    held.resolve();
    await Promise.all(flood);
    expect((await lookups.decide(release("B"))).word).toBe("code_not_found");
  });

  test("is not one any more when the records cannot be read", async () => {
    const { writer } = fakeWriter(() => ({ word: "look_up" }));
    const records: Asked = {
      ...nothing,
      findCode: () => Promise.reject(new Error("the database is away")),
    };
    const lookups = lookupsOf(records, writer);
    const failed = upTo(codeLookupsMax + 1).map(() => lookups.decide(purchase("A")));
    const reasons = (await Promise.allSettled(failed)).map((outcome) =>
      outcome.status === "rejected" ? String(outcome.reason) : "",
    );
    expect(reasons.filter((reason) => reason.includes("away")).length).toBe(codeLookupsMax);
    await expect(lookups.decide(purchase("A"))).rejects.toThrow("away");
  });
});

/** As often as it is asked with nothing looked up, the ledger wants to know. */
const wantsKeys = (command: Command): Outcome =>
  lookupOf(command) === null
    ? { word: "look_up" }
    : { word: "idempotency_key_reused", saleId: null };

const keyed = (letter: string) => take(letter, "ann", 1, { key: `key ${letter}` });
const word = ({ word: said }: Outcome): string => said;

describe("a key that the ledger does not hold", () => {
  test("is looked up in one statement with all that are asked for meanwhile", async () => {
    const { asked, writer } = fakeWriter(wantsKeys);
    const read: string[][] = [];
    const first = Promise.withResolvers<void>();
    const records: Asked = {
      ...nothing,
      findKeys: async (keys) => {
        read.push(keys.map(({ buyer, key }) => `${buyer.userId} ${key}`));
        if (read.length === 1) await first.promise;
        // More is committed while the records are read.
        writer.committedSeq += 1;
        return keys.map(() => null);
      },
    };
    const lookups = lookupsOf(records, writer);
    const checkouts = ["A", "B", "C"].map((letter) => lookups.decide(keyed(letter)).then(word));
    const bought = lookups.decide(buyNow("D", "ann", 1, { key: "key D" }));
    const claimed = lookups.decide({ ...claim, key: "key E" });
    await until("the first statement", () => read.length === 1);
    first.resolve();
    expect(await Promise.all(checkouts)).toEqual(Array(3).fill("idempotency_key_reused"));
    expect([(await bought).word, (await claimed).word]).toEqual([
      "idempotency_key_reused",
      "idempotency_key_reused",
    ]);
    expect(read).toEqual([["ann key A"], ["ann key B", "ann key C", "ann key D", "ann key E"]]);
    const committed = asked.flatMap((command) => lookupOf(command)?.upTo ?? []);
    expect(committed).toEqual([7, 8, 8, 8, 8]);
  });

  test("is none of what has no key, and is not looked up where it is held", async () => {
    const { asked, writer } = fakeWriter(() => ({ word: "sold_out", saleId: 1 }));
    const lookups = lookupsOf(nothing, writer);
    await lookups.decide(take("A", "ann", 1)).then(word);
    await lookups.decide(keyed("A")).then(word);
    expect(asked.length).toBe(2);
  });

  test("waits in a bounded line, for statements of a bounded size", async () => {
    const { writer } = fakeWriter(wantsKeys);
    const held = Promise.withResolvers<void>();
    const sizes: number[] = [];
    const records: Asked = {
      ...nothing,
      findKeys: async (keys) => {
        sizes.push(keys.length);
        await held.promise;
        return keys.map(() => null);
      },
    };
    const lookups = lookupsOf(records, writer);
    const flood = upTo(keyLookupsMax + 1).map(() => lookups.decide(keyed("A")).then(word));
    await until("the first statement", () => sizes.length === 1);
    await expect(lookups.decide(keyed("B")).then(word)).rejects.toBeInstanceOf(OverloadedError);
    held.resolve();
    await Promise.all(flood);
    expect(Math.max(...sizes)).toBe(keysPerLookupMax);
    expect(await lookups.decide(keyed("B")).then(word)).toBe("idempotency_key_reused");
  });

  test("is looked up again after the records could not be read", async () => {
    const { writer } = fakeWriter(wantsKeys);
    let isAway = true;
    const records: Asked = {
      ...nothing,
      findKeys: (keys) =>
        isAway
          ? Promise.reject(new Error("the database is away"))
          : Promise.resolve(keys.map(() => null)),
    };
    const lookups = lookupsOf(records, writer);
    const both = ["A", "B"].map((letter) => lookups.decide(keyed(letter)).then(word));
    const reasons = await Promise.allSettled(both);
    expect(reasons.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    isAway = false;
    expect(await lookups.decide(keyed("A")).then(word)).toBe("idempotency_key_reused");
  });

  test("was read before its sale was settled: what was read is stale", async () => {
    const { ledger } = await ToldLedger.with(openTerms([2], { endsAt: 100 }));
    ledger.decide(keyed("A"), 1);
    ledger.decide(purchase("A"), 2);
    ledger.moveOn(100);
    ledger.settleSale(1);
    const { buyer } = keyed("A");
    const found = { code: codeOf("A"), saleId: 1, itemId: 1, buyer, request: "id=1" };
    const sold = { ...found, reservedAt: 1, sold: { seq: 2, at: 2, refundedBy: null } };
    const asked = (last: number, known: ArchivedKey | null) =>
      ledger.decide({ ...keyed("A"), lookup: { upTo: last, found: known } }, 100);
    expect(asked(1, null).word).toBe("look_up");
    // It would have run out 100 ms after its making, and with the sale.
    expect(asked(2, sold)).toMatchObject({
      word: "reserved_again",
      reservation: { code: codeOf("A"), expiresAt: 100, sold: { seq: 2, at: 2 } },
    });
  });
});

const refund = (order: number): Refund => ({
  kind: "refund",
  order,
  units: null,
  restock: false,
  reason: null,
  by: { kind: "account", name: "ada" },
  key: null,
  lookup: null,
});

describe("an order", () => {
  test("is looked up and decided before the next one is; so many wait for it", async () => {
    const { writer } = fakeWriter((command) =>
      lookupOf(command) === null ? { word: "look_up" } : { word: "order_not_found", saleId: null },
    );
    const read: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const records: Asked = {
      ...nothing,
      findRefundable: async ({ order }) => {
        read.push(order);
        await promise;
        return { order: null, used: null };
      },
    };
    const lookups = lookupsOf(records, writer);
    const answers = upTo(refundsWaitingMax).map((order) => lookups.decide(refund(order)));
    await until("the first to be read", () => read.length > 0);
    expect(read).toEqual([1]);
    await expect(lookups.decide(refund(99))).rejects.toThrow(OverloadedError);
    resolve();
    const words = (await Promise.all(answers)).map(word);
    expect(words).toEqual(upTo(refundsWaitingMax).map(() => "order_not_found"));
    expect(read).toEqual(upTo(refundsWaitingMax));
    expect((await lookups.decide(refund(99))).word).toBe("order_not_found");
  });
});

describe("claims that the ledger does not hold", () => {
  test("are read once for all who claim at once", async () => {
    let loaded = false;
    let read = 0;
    const { writer } = fakeWriter(() => ({
      word: loaded ? "coupon_not_found" : "look_up",
      what: "claims",
    }));
    const held = Promise.withResolvers<void>();
    const records: Asked = {
      ...nothing,
      loadClaims: async () => {
        read += 1;
        await held.promise;
        loaded = true;
        return new Map();
      },
    };
    const lookups = lookupsOf(records, writer);
    const all = upTo(20).map(() => lookups.decide(claim));
    held.resolve();
    const words = new Set((await Promise.all(all)).map(word));
    expect([[...words], read]).toEqual([["coupon_not_found"], 1]);
  });

  test("are read so often, and then given up", async () => {
    const { asked, writer } = fakeWriter(() => ({ word: "look_up", what: "claims" }));
    await expect(lookupsOf(nothing, writer).decide(claim)).rejects.toBeInstanceOf(OverloadedError);
    expect(asked.length).toBe(8);
  });
});

/** Reserved and given back, one after another. */
async function ended(count: number): Promise<ToldLedger> {
  const told = await ToldLedger.with(openTerms([1]));
  for (let n = 1; n <= count; n += 1) {
    const code = `c${n}`;
    told.decide({ ...take("A", "ann", 1), code }, n);
    told.decide({ ...release("A"), code }, n);
  }
  return told;
}

const archived = (released: boolean): ArchivedCode => ({
  seq: 1,
  code: "c1",
  saleId: 1,
  itemId: 1,
  buyer: who("ann"),
  reservedAt: 1,
  key: null,
  request: null,
  released,
  sold: null,
});

describe("what the ledger remembers of what ended", () => {
  test("is bounded: within the bound the records are not asked, beyond it the oldest are", async () => {
    const within = (await ended(endedMax)).ledger;
    const { ledger } = await ended(endedMax + 1);
    const again = (of: typeof ledger, code: string) => of.decide({ ...release("A"), code }, 0).word;
    expect([again(within, "c1"), again(ledger, "c1"), again(ledger, "c2")]).toEqual([
      "released_again",
      "look_up",
      "released_again",
    ]);
    expect(ledger.check()).toEqual([]);
  });

  test("is nothing after a restart: what was read before it is stale", async () => {
    const { ledger, records } = await ended(endedMax + 1);
    const restored = await Ledger.restore(records.recorded(), 0);
    const asked = (last: number) => {
      const lookup = { upTo: last, found: null };
      return restored.decide({ ...release("B"), lookup }, 0).word;
    };
    expect([asked(ledger.seq - 1), asked(ledger.seq)]).toEqual(["look_up", "code_not_found"]);
  });

  test("is nothing of a sale that is settled: what was read before is stale", async () => {
    const { ledger } = await ToldLedger.with(openTerms([1], { endsAt: 100 }));
    ledger.decide({ ...take("A", "ann", 1), code: "c1" }, 1);
    ledger.decide({ ...purchase("A"), code: "c1" }, 2);
    ledger.moveOn(100);
    ledger.settleSale(1);
    const asked = (last: number, sold: ArchivedCode["sold"]) => {
      const lookup = { upTo: last, found: { ...archived(false), sold } };
      return ledger.decide({ ...purchase("A"), code: "c1", lookup }, 100).word;
    };
    const words = [asked(1, null), asked(2, { seq: 2, at: 2, refundedBy: null })];
    expect(words).toEqual(["look_up", "purchased_again"]);
  });

  test("takes what was read before something was forgotten for stale", async () => {
    const { ledger } = await ended(endedMax + 1);
    // Read when the code lived: it has been given back since, and that was forgotten.
    const shown = { ...purchase("A"), code: "c1" };
    const stale = ledger.decide({ ...shown, lookup: { upTo: 1, found: archived(false) } }, 0);
    const fresh = ledger.decide({ ...shown, lookup: { upTo: 2, found: archived(true) } }, 0);
    expect([stale.word, fresh.word]).toEqual(["look_up", "code_expired"]);
  });
});
