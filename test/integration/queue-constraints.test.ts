/**
 * The second net of queues: PostgreSQL itself refuses what would break a promise of the waiting room,
 * whoever asks. Plain SQL against the migrated schema, with nothing of the program in between.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { ISql, Sql } from "postgres";
import { lookInto, usePostgres } from "../support/postgres.ts";

const postgres = usePostgres();
let sql: Sql;
const seed = "ab".repeat(32);
const commitment = new Bun.CryptoHasher("sha256").update(Uint8Array.fromHex(seed)).digest("hex");
const digest = "cd".repeat(32);
const [queued, plain] = [1, 2];

/** A sale with a queue, which ann has joined, and one without. */
beforeAll(async () => {
  sql = lookInto(await postgres.newRecords());
  const sale = {
    kind: "product",
    title: "first",
    starts_at: "2030-01-01T10:00Z",
    ends_at: "2030-01-01T11:00Z",
    per_user_limit: 1,
    reservation_ttl_ms: 1_000,
    item_count: 1,
  };
  const queue = { entry: "queue", admit_per_second: 1, pass_ttl_ms: 1_000 };
  await sql`insert into sales ${sql({ ...sale, ...queue, commitment })}`;
  await sql`insert into sales ${sql({ ...sale, commitment })}`;
  for (const sale_id of [queued, plain]) {
    const item = { sale_id, id: 1, name: "item", picture_seed: "seed", price_cents: 100, stock: 5 };
    // oxlint-disable-next-line no-await-in-loop
    await sql`insert into items ${sql(item)}`;
  }
  await sql`insert into draws ${sql({ sale_id: queued, seed, commitment })}`;
  await sql`insert into tickets ${sql(ticket())}`;
});

/** The first ticket, ann's, but for what is given. */
const ticket = (given: object = {}) => ({
  sale_id: queued,
  number: 1,
  buyer: "account",
  user_id: "ann",
  ticket: crypto.randomUUID(),
  seq: 10,
  joined_at: "2030-01-01T09:59Z",
  ...given,
});
const bobs = (given: object = {}) => ticket({ number: 2, user_id: "bob", seq: 11, ...given });

/** Does something in a transaction that is rolled back, and names what refused it. */
async function refusal(work: (tx: ISql) => Promise<unknown>): Promise<string> {
  const undo = new Error("undo");
  try {
    await sql.begin(async (tx) => {
      await work(tx);
      throw undo;
    });
  } catch (error) {
    if (error === undo) return "stored";
    if (error instanceof Error && "constraint_name" in error) return String(error.constraint_name);
    throw error;
  }
  throw new Error("the transaction was not undone");
}

/** Some join together. */
const joining = (...rows: object[]): Promise<string> =>
  refusal((tx) => tx`insert into tickets ${tx(rows)}`);

describe("tickets", () => {
  test("follow each other without a gap, in a sale that has a queue", async () => {
    const cys = bobs({ number: 3, user_id: "cy", seq: 12 });
    expect(await joining(bobs(), cys)).toBe("stored");
    expect(await joining(cys)).toBe("tickets_follow");
    expect(await joining(bobs(), { ...cys, number: 4 })).toBe("tickets_follow");
    expect(await joining(bobs({ number: 1 }))).toBe("tickets_sale_id_number_pk");
    expect(await joining(bobs({ number: 0 }))).toBe("tickets_number");
    expect(await joining(ticket({ sale_id: plain, supersedes: null }))).toBe("tickets_follow");
    expect(await joining(ticket({ sale_id: 99, supersedes: null }))).toBe("tickets_follow");
  });

  test("are one of a buyer's, of each kind, until it is superseded; and once each", async () => {
    const again = bobs({ user_id: "ann" });
    expect(await joining(again)).toBe("tickets_one_a_buyer");
    expect(await joining({ ...again, buyer: "customer" })).toBe("stored");
    expect(await joining({ ...again, supersedes: 1 })).toBe("stored");
    const third = bobs({ number: 3, user_id: "ann", supersedes: 1 });
    expect(await joining({ ...again, supersedes: 1 }, third)).toBe("tickets_one_a_buyer");
    expect(await joining({ ...again, supersedes: 2 })).toBe("tickets_supersede_earlier");
  });

  test("supersede one of the same buyer", async () => {
    expect(await joining(bobs({ supersedes: 1 }))).toBe("tickets_same_buyer");
    expect(await joining(bobs({ user_id: "ann", buyer: "guest", supersedes: 1 }))).toBe(
      "tickets_same_buyer",
    );
  });
});

/** Somebody buys, ann unless it is said otherwise. */
const buying = (given: { sale_id?: number; user_id?: string; buyer?: string; seq?: number }) =>
  refusal(async (tx) => {
    const { sale_id = queued, user_id = "ann", buyer = "account", seq = 21 } = given;
    const code = crypto.randomUUID();
    const of = { sale_id, item_id: 1, buyer, user_id, code };
    const reserved = { ...of, seq: seq - 1, at: "2030-01-01T10:05Z" };
    await tx`insert into attempts ${tx({ ...reserved, kind: "checkout", outcome: "reserved" })}`;
    const numbers = { unit: 1, item_stock: 5, user_ordinal: 1, user_limit: 1 };
    const sold = { ...of, ...numbers, seq, reserved_seq: seq - 1 };
    await tx`insert into purchases ${tx({ ...sold, purchased_at: "2030-01-01T10:06Z" })}`;
  });

describe("a purchase in a sale with a queue", () => {
  test("is made by somebody who has joined it before, of that kind", async () => {
    expect(await buying({})).toBe("stored");
    expect(await buying({ user_id: "eve" })).toBe("purchases_joined");
    expect(await buying({ buyer: "guest" })).toBe("purchases_joined");
    expect(await buying({ seq: 9 })).toBe("purchases_joined");
    expect(await buying({ sale_id: plain, user_id: "eve" })).toBe("stored");
  });
});

/** Notes one thing after another of the draw. */
const noting = (...all: object[]) =>
  refusal(async (tx) => {
    for (const one of all) {
      // oxlint-disable-next-line no-await-in-loop
      await tx`update draws set ${tx(one)} where sale_id = ${queued}`;
    }
  });

describe("a draw", () => {
  test("is by the seed that was promised", async () => {
    const drawn = { sale_id: plain, seed, commitment };
    const draw = (given: object) =>
      refusal((tx) => tx`insert into draws ${tx({ ...drawn, ...given })}`);
    expect(await draw({})).toBe("stored");
    expect(await draw({ commitment: digest })).toBe("draws_committed");
    expect(await draw({ seed: seed.toUpperCase() })).toBe("draws_seed");
    expect(await draw({ sale_id: queued })).toBe("draws_pkey");
    expect(await draw({ sale_id: 99 })).toBe("draws_sale_id_sales_id_fk");
    const another = new Bun.CryptoHasher("sha256").update(Uint8Array.fromHex(digest)).digest("hex");
    expect(await draw({ seed: digest, commitment: another })).toBe("draws_promised");
  });

  test("and what was promised stay as long as their sale, and no longer", async () => {
    const gone = (table: "draws" | "sales") =>
      refusal(async (tx) => {
        await tx`delete from tickets where sale_id = ${queued}`;
        await tx`delete from ${tx(table)} where ${tx(table === "draws" ? "sale_id" : "id")} = ${queued}`;
      });
    expect(await gone("draws")).toBe("draws_go_with_sale");
    expect(await gone("sales")).toBe("stored");
    expect(
      await refusal((tx) => tx`update sales set commitment = ${digest} where id = ${queued}`),
    ).toBe("draws_promised");
  });

  test("is noted whole, and stays as it was", async () => {
    const whole = { entries_digest: digest, drawn: 1, drawn_seq: 11 };
    expect(await noting(whole)).toBe("stored");
    expect(await noting({ entries_digest: digest })).toBe("draws_drawn");
    expect(await noting({ drawn: 1, drawn_seq: 11 })).toBe("draws_drawn");
    expect(await noting({ ...whole, entries_digest: "none" })).toBe("draws_digest");
    expect(await noting(whole, { drawn: 0 })).toBe("draws_stay");
    expect(await noting(whole, { entries_digest: null, drawn: null, drawn_seq: null })).toBe(
      "draws_stay",
    );
    expect(await noting({ seed: digest, commitment })).toBe("draws_stay");
  });
});

test("a rate is positive, and a queue has a rate and a time for its passes", async () => {
  const rate = { seq: 12, sale_id: queued, changed_at: "2030-01-01T10:01Z", paused: true };
  const set = (admit_per_second: number) =>
    refusal((tx) => tx`insert into queue_rates ${tx({ ...rate, admit_per_second })}`);
  expect([await set(1), await set(0)]).toEqual(["stored", "queue_rates_positive"]);
  const after = (what: (tx: ISql) => Promise<unknown>) =>
    refusal(async (tx) => {
      await tx`insert into queue_rates ${tx({ ...rate, admit_per_second: 1 })}`;
      await what(tx);
    });
  expect(await after((tx) => tx`update queue_rates set admit_per_second = 2`)).toBe(
    "queue_rates_stay",
  );
  expect(await after((tx) => tx`delete from queue_rates`)).toBe("queue_rates_go_with_sale");
  expect(await after((tx) => tx`delete from sales where id = ${queued}`)).toBe("stored");
  const change = (to: object) =>
    refusal((tx) => tx`update sales set ${tx(to)} where id = ${queued}`);
  expect(await change({ admit_per_second: null })).toBe("sales_queue_rate");
  expect(await change({ pass_ttl_ms: 0 })).toBe("sales_queue_pass");
  expect(await change({ entry: "open" })).toBe("sales_queue_pass");
});

test("a challenge is spent once", async () => {
  const spent = { challenge: "a signature", expires_at: "2030-01-01T10:01Z" };
  const spend = (times: number) =>
    refusal(async (tx) => {
      for (let left = times; left > 0; left -= 1) {
        // oxlint-disable-next-line no-await-in-loop
        await tx`insert into spent_challenges ${tx(spent)}`;
      }
    });
  expect([await spend(1), await spend(2)]).toEqual(["stored", "spent_challenges_pkey"]);
});
