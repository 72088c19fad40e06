/**
 * Looking up in the records what the ledger does not hold: what was read is asked again when it
 * may be stale, and a flood is refused.
 */
import { describe, expect, test } from "bun:test";
import { codeLookupsMax, Lookups } from "../../src/engine/lookups.ts";
import { OverloadedError, type Writer } from "../../src/engine/writer.ts";
import type { ArchivedCode, Command, CodeLookup, Outcome } from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { endedMax } from "../../src/ledger/state.ts";
import type { Records } from "../../src/store/records.ts";
import { openTerms } from "../support/state.ts";
import { codeOf, take, who } from "../support/story.ts";
import { ToldLedger } from "../support/told-ledger.ts";
import { upTo } from "../support/wait.ts";

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

type Asked = Pick<Records, "findCode" | "loadClaims">;

const nothing: Asked = { findCode: async () => null, loadClaims: async () => new Map() };

/** As much of a writer as is asked of one, answering as a test says; what it was asked. */
function fakeWriter(answer: (command: Command) => Outcome) {
  const asked: Command[] = [];
  const writer = {
    committedSeq: 7,
    submit: async (command: Command) => {
      asked.push(command);
      return answer(command);
    },
    maintain: async () => {},
  };
  return { asked, writer };
}

const lookupsOf = (asked: Asked, writer: unknown): Lookups =>
  new Lookups(asked as Records, writer as Writer);

const lookupOf = (command: Command): CodeLookup | null =>
  "lookup" in command ? command.lookup : null;

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
      (await lookups.purchase(purchase("A"))).word,
      (await lookups.release(release("A"))).word,
    ];
    expect([words, read, asked.map((command) => lookupOf(command)?.upTo ?? null)]).toEqual([
      ["code_not_found", "code_not_found"],
      [7, 8],
      [null, 7, null, 8],
    ]);
  });

  test("is not looked up where it is held", async () => {
    const { asked, writer } = fakeWriter(() => ({ word: "code_not_found", of: null }));
    await lookupsOf(nothing, writer).purchase(purchase("A"));
    expect(asked.length).toBe(1);
  });

  test.each(["purchase", "release"] as const)(
    "is looked up so often for one %s, and then given up",
    async (kind) => {
      const { asked, writer } = fakeWriter(() => ({ word: "look_up" }));
      const lookups = lookupsOf(nothing, writer);
      const given =
        kind === "purchase" ? lookups.purchase(purchase("A")) : lookups.release(release("A"));
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
    const flood = upTo(codeLookupsMax).map(() => lookups.purchase(purchase("A")));
    await expect(lookups.release(release("B"))).rejects.toBeInstanceOf(OverloadedError);
    expect(read).toBe(codeLookupsMax);
    held.resolve();
    await Promise.all(flood);
    expect((await lookups.release(release("B"))).word).toBe("code_not_found");
  });

  test("is not one any more when the records cannot be read", async () => {
    const { writer } = fakeWriter(() => ({ word: "look_up" }));
    const records: Asked = {
      ...nothing,
      findCode: () => Promise.reject(new Error("the database is away")),
    };
    const lookups = lookupsOf(records, writer);
    const failed = upTo(codeLookupsMax + 1).map(() => lookups.purchase(purchase("A")));
    const reasons = (await Promise.allSettled(failed)).map((outcome) =>
      outcome.status === "rejected" ? String(outcome.reason) : "",
    );
    expect(reasons.filter((reason) => reason.includes("away")).length).toBe(codeLookupsMax);
    await expect(lookups.purchase(purchase("A"))).rejects.toThrow("away");
  });
});

describe("claims that the ledger does not hold", () => {
  test("are read once for all who claim at once", async () => {
    let loaded = false;
    let read = 0;
    const { writer } = fakeWriter(() => ({ word: loaded ? "coupon_not_found" : "look_up" }));
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
    const all = upTo(20).map(() => lookups.claim(claim));
    held.resolve();
    const words = new Set((await Promise.all(all)).map(({ word }) => word));
    expect([[...words], read]).toEqual([["coupon_not_found"], 1]);
  });

  test("are read so often, and then given up", async () => {
    const { asked, writer } = fakeWriter(() => ({ word: "look_up" }));
    await expect(lookupsOf(nothing, writer).claim(claim)).rejects.toBeInstanceOf(OverloadedError);
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
    const restored = await Ledger.restore(records.recorded(0), 0);
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
    const words = [asked(1, null), asked(2, { seq: 2, at: 2 })];
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
