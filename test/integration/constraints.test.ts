/**
 * The second net: PostgreSQL itself refuses what would break a promise, whoever asks. Plain
 * SQL against the migrated schema, with nothing of the program in between.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const perUserLimit = 10;
let sql: Sql;

type Purchase = {
  sale_id: number;
  item_id: number;
  unit: number;
  item_stock: number;
  buyer: "guest" | "account" | "customer";
  user_id: string;
  user_ordinal: number;
  user_limit: number;
  code: string;
  seq: number;
  reserved_seq: number;
};

let reserved = 1_000;

/** A sale of twelve items; item 12 has three units, the others one. */
beforeAll(async () => {
  sql = lookInto(await postgres.newRecords());
  await sql`
    insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms, item_count)
    values ('hourly', 'first', '2030-01-01T10:00Z', '2030-01-01T11:00Z', ${perUserLimit}, 1000, 12)`;
  await sql`
    insert into items (sale_id, id, name, picture_seed, price_cents, stock)
    select 1, n, 'item', 'seed', 100, case n when 12 then 3 else 1 end from generate_series(1, 12) n`;
});

/** A purchase of unit 1 of item 1 by a new user, but for what is given. */
const purchase = (given: Partial<Purchase> = {}): Purchase => ({
  sale_id: 1,
  item_id: 1,
  unit: 1,
  item_stock: 1,
  buyer: "guest",
  user_id: crypto.randomUUID(),
  user_ordinal: 1,
  user_limit: perUserLimit,
  code: crypto.randomUUID(),
  seq: 1,
  reserved_seq: (reserved += 1),
  ...given,
});

/** The attempt that a purchase stands on, but for what is given. */
const reservationOf = (
  { sale_id, item_id, buyer, user_id, code, reserved_seq: seq }: Purchase,
  given: object = {},
) => ({
  seq,
  at: "2030-01-01T10:05Z",
  kind: "checkout",
  outcome: "reserved",
  sale_id,
  item_id,
  buyer,
  user_id,
  code,
  ...given,
});

const atTenPast = <T extends object>(row: T) =>
  Object.assign(row, { purchased_at: "2030-01-01T10:10Z" });

/** Tries to store purchases in one transaction that is rolled back, and names what refused. */
async function refusal(...purchases: Purchase[]): Promise<string> {
  const undo = new Error("undo");
  try {
    await sql.begin(async (tx) => {
      await inTurn(purchases, async (row) => {
        await tx`insert into attempts ${tx(reservationOf(row))}`;
        await tx`insert into purchases ${tx(atTenPast(row))}`;
      });
      throw undo;
    });
  } catch (error) {
    return error === undo ? "stored" : constraintOf(error);
  }
  throw new Error("the transaction was not undone");
}

function constraintOf(error: unknown): string {
  if (error instanceof Error && "constraint_name" in error) return String(error.constraint_name);
  throw error;
}

async function refusalOf(query: PromiseLike<unknown>): Promise<string> {
  try {
    await query;
  } catch (error) {
    return constraintOf(error);
  }
  return "stored";
}

const extension = (ms: number, given: object = {}) => {
  const at = Date.parse("2030-01-01T10:10Z");
  const times = { extended_at: new Date(at).toISOString(), due: new Date(at + ms).toISOString() };
  const row = { seq: 1, sale_id: 1, reservation_ttl_ms: 1_000, code: crypto.randomUUID() };
  return { ...row, ...times, ...given };
};
const insertExtension = (row: object) => refusalOf(sql`insert into extensions ${sql(row)}`);

describe("extensions", () => {
  test("are for a quarter of an hour at most, and for some time, in a sale that there is", async () => {
    const quarterOfAnHour = 900_000;
    expect(await insertExtension(extension(quarterOfAnHour + 1))).toBe("extensions_in_bounds");
    expect(await insertExtension(extension(0))).toBe("extensions_in_bounds");
    const nowhere = extension(1, { sale_id: 99 });
    expect(await insertExtension(nowhere)).toBe("extensions_sale_ttl");
    expect(await insertExtension(extension(quarterOfAnHour))).toBe("stored");
    expect(await insertExtension(extension(1, { seq: 2 }))).toBe("stored");
    expect(await insertExtension(extension(1, { seq: 2 }))).toBe("extensions_pkey");
  });

  test("are for the sale's own TTL at most where that is longer", async () => {
    const hour = { reservation_ttl_ms: 3_600_000, seq: 3 };
    expect(await insertExtension(extension(3_600_000, hour))).toBe("extensions_sale_ttl");
    await sql`
      insert into sales (id, kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms,
                         item_count)
      overriding system value
      values (50, 'product', 'long', '2030-01-01T10:00Z', '2030-01-02T10:00Z', 1, 3600000, 1)`;
    const long = { ...hour, sale_id: 50 };
    expect(await insertExtension(extension(3_600_001, long))).toBe("extensions_in_bounds");
    expect(await insertExtension(extension(3_600_000, long))).toBe("stored");
  });
});

describe("purchases", () => {
  test("a sound one is stored", async () => {
    expect(await refusal(purchase())).toBe("stored");
    expect(await refusal(purchase({ item_id: 12, item_stock: 3, unit: 3 }))).toBe("stored");
  });

  test("unit 2 of 1 is refused, unit 0 too", async () => {
    expect(await refusal(purchase({ unit: 2 }))).toBe("purchases_unit_in_stock");
    expect(await refusal(purchase({ unit: 0 }))).toBe("purchases_unit_in_stock");
  });

  test("a unit sold twice is refused, to the same user too", async () => {
    const key = "purchases_unit_once";
    expect(await refusal(purchase(), purchase())).toBe(key);
    const first = purchase();
    expect(await refusal(first, purchase({ user_id: first.user_id, user_ordinal: 2 }))).toBe(key);
  });

  test("a code sold twice is refused", async () => {
    const { code } = purchase();
    const second = purchase({ code, item_id: 2 });
    expect(await refusal(purchase({ code }), second)).toBe("purchases_code_once");
  });

  test("an eleventh unit to one user is refused", async () => {
    const ten = upTo(10).map((n) => purchase({ user_id: "u", item_id: n, user_ordinal: n }));
    expect(await refusal(...ten)).toBe("stored");
    const eleventh = purchase({ user_id: "u", item_id: 11, user_ordinal: 11 });
    expect(await refusal(...ten, eleventh)).toBe("purchases_user_in_limit");
    const tenthAgain = purchase({ user_id: "u", item_id: 11, user_ordinal: 10 });
    expect(await refusal(...ten, tenthAgain)).toBe("purchases_buyer_ordinal_once");
    const zeroth = purchase({ user_id: "u", item_id: 11, user_ordinal: 0 });
    expect(await refusal(...ten, zeroth)).toBe("purchases_user_in_limit");
  });

  test("a buyer's units are numbered by kind and name: neither passes the limit", async () => {
    const ten = (buyer: Purchase["buyer"]) =>
      upTo(4).map((n) => purchase({ buyer, user_id: "u", item_id: n, user_ordinal: n }));
    expect(await refusal(...ten("guest"))).toBe("stored");
    // The same name in another kind begins at one, with other units.
    const account = (item_id: number, user_ordinal: number) =>
      purchase({ buyer: "account", user_id: "u", item_id, user_ordinal });
    expect(await refusal(...ten("guest"), account(5, 1), account(6, 2))).toBe("stored");
    const customer = purchase({ buyer: "customer", user_id: "u", item_id: 7 });
    expect(await refusal(...ten("guest"), account(5, 1), customer)).toBe("stored");
    const twice = "purchases_buyer_ordinal_once";
    expect(await refusal(account(5, 1), account(6, 1))).toBe(twice);
    expect(await refusal(account(5, perUserLimit + 1))).toBe("purchases_user_in_limit");
    // Whoever it is, a unit is owned once.
    const unit = "purchases_unit_once";
    expect(await refusal(...ten("guest"), account(1, 1))).toBe(unit);
  });

  test("what was taken back is owned again, once, and where it was put on sale again alone", async () => {
    const [mine, yours, theirs] = ["i", "you", "they"].map((user_id) =>
      purchase({ user_id, item_id: 10 }),
    );
    if (mine === undefined || yours === undefined || theirs === undefined) throw new Error("none");
    const add = (row: Purchase) =>
      refusalOf(sql`with reserved as (insert into attempts ${sql([reservationOf(row)])})
        insert into purchases ${sql([atTenPast(row)])}`);
    const refund = (row: Purchase, seq: number, freed: number | null) =>
      refusalOf(sql`
        update purchases set refunded_seq = ${seq}, freed_seq = ${freed} where code = ${row.code}`);
    expect(await add(mine)).toBe("stored");
    expect(await add(yours)).toBe("purchases_unit_once");
    // Before it was sold nothing can be taken back.
    expect(await refund(mine, mine.seq, null)).toBe("purchases_refunded_after");
    expect(await refund(mine, 10_000, 9_999)).toBe("purchases_freed_by_refund");
    expect(await refund(mine, 10_000, null)).toBe("stored");
    expect(await add(yours)).toBe("purchases_unit_once");
    expect(await refund(mine, 10_001, 10_001)).toBe("purchases_refunded_once");
    const again = purchase({ user_id: "i", item_id: 11 });
    // It counts for its buyer's limit no more.
    expect(await add(again)).toBe("stored");
    expect(await refund(again, 10_002, 10_002)).toBe("stored");
    const next = { item_id: 11 };
    expect(await add({ ...yours, ...next })).toBe("stored");
    expect(await add({ ...theirs, ...next })).toBe("purchases_unit_once");
    const both = sql`update purchases set freed_seq = null where code = ${again.code}`;
    expect(await refusalOf(both)).toBe("purchases_refunded_once");
    await sql`delete from purchases where item_id in (10, 11)`;
  });

  test("a purchase is not handed on to a buyer who has one of that number", async () => {
    const mine = purchase({ user_id: "v", item_id: 8, buyer: "guest" });
    const theirs = purchase({ user_id: "v", item_id: 9, buyer: "account" });
    await sql`insert into attempts ${sql([reservationOf(mine), reservationOf(theirs)])}`;
    await sql`insert into purchases ${sql([mine, theirs].map(atTenPast))}`;
    const handOn = sql`update purchases set buyer = 'account' where item_id = 8`;
    expect(await refusalOf(handOn)).toBe("purchases_buyer_ordinal_once");
    const another = sql`update purchases set item_id = 9 where item_id = 8`;
    expect(await refusalOf(another)).toBe("purchases_unit_once");
    const second = sql`update purchases set unit = 2 where item_id = 8`;
    expect(await refusalOf(second)).toBe("purchases_unit_in_stock");
    const eleventh = sql`update purchases set user_ordinal = 11 where item_id = 8`;
    expect(await refusalOf(eleventh)).toBe("purchases_user_in_limit");
    const raised = sql`update purchases set user_ordinal = 11, user_limit = 11 where item_id = 8`;
    expect(await refusalOf(raised)).toBe("purchases_sale_limit");
  });

  test("a buyer is of a kind that there is, and always of one", async () => {
    const { buyer: _, ...nobodys } = purchase({ item_id: 10 });
    const none = sql`insert into purchases ${sql(atTenPast(nobodys))}`;
    await expect(none.execute()).rejects.toThrow(/null value in column "buyer"/);
    const invented = Object.assign(purchase({ item_id: 10 }), { buyer: "robot" });
    const other = sql`insert into purchases ${sql(atTenPast(invented))}`;
    await expect(other.execute()).rejects.toThrow(/invalid input value for enum buyer_kind/);
    const claim = sql`
      insert into claims (user_id, coupon_name, ordinal, coupon_amount, seq, claimed_at)
      values ('u', 'A', 1, 1, 1, now())`;
    await expect(claim.execute()).rejects.toThrow(/null value in column "buyer"/);
  });

  test("what is sold was reserved so: by whom, in which sale, of what, under which code", async () => {
    const asReserved = async (given: object, sold: Partial<Purchase> = {}): Promise<string> => {
      const row = purchase({ item_id: 11, ...sold });
      await sql`insert into attempts ${sql(reservationOf(row, given))}`;
      const stored = await refusalOf(sql`insert into purchases ${sql(atTenPast(row))}`);
      await sql`delete from purchases where item_id = 11`;
      return stored;
    };
    expect(await asReserved({})).toBe("stored");
    const others = [
      { buyer: "account" },
      { user_id: "another" },
      { sale_id: 2 },
      { item_id: 12 },
      { code: crypto.randomUUID() },
      { outcome: "reserved_again" },
      { buyer: null, user_id: null },
    ];
    const told = await inTurn(others, (given) => asReserved(given));
    expect(told).toEqual(others.map(() => "purchases_reserved"));
    // In one step it is the attempt itself that reserves.
    const bought = { kind: "buy", outcome: "purchased", code: crypto.randomUUID() };
    expect(await asReserved(bought, { seq: 900, reserved_seq: 900 })).toBe("stored");
    expect(await asReserved(bought, { seq: 901, reserved_seq: 902 })).toBe("purchases_reserved");
    const { reserved_seq: _, ...never } = purchase({ item_id: 11 });
    const unreserved = refusalOf(sql`insert into purchases ${sql(atTenPast(never))}`);
    expect(await unreserved).toBe("purchases_reserved");
  });

  test("a limit that is not the sale's is refused", async () => {
    const lie = purchase({ user_ordinal: 11, user_limit: 11 });
    expect(await refusal(lie)).toBe("purchases_sale_limit");
  });

  test("a stock that the item has not is refused", async () => {
    expect(await refusal(purchase({ unit: 2, item_stock: 2 }))).toBe("purchases_item_stock");
  });

  test("an item or a sale that does not exist is refused", async () => {
    expect(["purchases_item", "purchases_item_stock"]).toContain(
      await refusal(purchase({ item_id: 13 })),
    );
    expect(["purchases_item", "purchases_item_stock", "purchases_sale_limit"]).toContain(
      await refusal(purchase({ sale_id: 99 })),
    );
  });

  test("what a purchase stands on cannot be changed under it", async () => {
    const sold = purchase({ item_id: 3, code: "00000000-0000-4000-8000-000000000003" });
    await sql`insert into attempts ${sql(reservationOf(sold))}`;
    await sql`insert into purchases ${sql(atTenPast(sold))}`;
    const stock = (units: number) =>
      refusalOf(sql`update items set stock = ${units} where sale_id = 1 and id = 3`);
    // There may be more of it, and one that was added is sold; but never fewer than were sold.
    expect(await stock(2)).toBe("stored");
    const second = purchase({ item_id: 3, item_stock: 2, unit: 2 });
    await sql`insert into attempts ${sql(reservationOf(second))}`;
    await sql`insert into purchases ${sql(atTenPast(second))}`;
    expect(await stock(1)).toBe("items_stock_sold");
    expect(await refusalOf(sql`delete from items where sale_id = 1 and id = 3`)).toBe(
      "purchases_item",
    );
    expect(await refusalOf(sql`update sales set per_user_limit = 11 where id = 1`)).toBe(
      "purchases_sale_limit",
    );
    expect(await refusalOf(sql`delete from sales where id = 1`)).toMatch(/^(purchases|items)_/);
  });
});

function storeSale(columns: { kind?: string; starts?: string; ends?: string; limit?: number }) {
  const { kind = "hourly", starts = "2030-01-01T12:00Z", ends = "2030-01-01T13:00Z" } = columns;
  return refusalOf(sql`
    insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms, item_count)
    values (${kind}, 'another', ${starts}, ${ends}, ${columns.limit ?? 1}, 1000, 1)`);
}

const storeItem = (sale: number, id: number, price: number, stock: number) =>
  refusalOf(sql`
    insert into items (sale_id, id, name, picture_seed, price_cents, stock)
    values (${sale}, ${id}, 'item', 'seed', ${price}, ${stock})`);

const storeAttempt = (seq: number) =>
  refusalOf(sql`
    insert into attempts (seq, at, kind, outcome) values (${seq}, now(), 'checkout', 'sold_out')`);

describe("sales and items", () => {
  test("one hour has one hourly sale", async () => {
    expect(await storeSale({ starts: "2030-01-01T10:00Z" })).toBe("sales_one_an_hour");
    // Two product sales may well begin together.
    expect(await storeSale({ kind: "product", starts: "2030-01-01T10:00Z" })).toBe("stored");
    expect(await storeSale({ kind: "product", starts: "2030-01-01T10:00Z" })).toBe("stored");
  });

  test("a window runs forward, and a limit lets something be bought", async () => {
    expect(await storeSale({ ends: "2030-01-01T12:00Z" })).toBe("sales_window");
    expect(await storeSale({ limit: 0 })).toBe("sales_limit_positive");
  });

  test("an item has a sale, a number, a price and a stock that can be", async () => {
    expect(await storeItem(99, 1, 1, 1)).toBe("items_sale_id_sales_id_fk");
    expect(await storeItem(1, 0, 1, 1)).toBe("items_number");
    expect(await storeItem(1, 13, -1, 1)).toBe("items_price");
    expect(await storeItem(1, 13, 1, 0)).toBe("items_stock_positive");
    expect(await storeItem(1, 1, 1, 1)).toBe("items_sale_id_id_pk");
  });
});

const storeCheckpoint = (sale: number) =>
  refusalOf(sql`insert into checkpoints (sale_id, seq, sold, open) values (${sale}, 1, 0, '[]')`);

describe("checkpoints", () => {
  test("are one a sale, of a sale that there is, which cannot go", async () => {
    expect(await storeCheckpoint(99)).toBe("checkpoints_sale_id_sales_id_fk");
    expect(await storeCheckpoint(1)).toBe("stored");
    expect(await storeCheckpoint(1)).toBe("checkpoints_pkey");
  });
});

describe("the journal", () => {
  test("names a buyer with their kind, or nobody", async () => {
    const attempt = { seq: 800, at: "2030-01-01T10:00Z", kind: "claim", outcome: "claimed" };
    const store = (row: object) =>
      refusalOf(sql`insert into attempts ${sql({ ...attempt, ...row })}`);
    expect(await store({ user_id: "u" })).toBe("attempts_buyer");
    expect(await store({ buyer: "guest" })).toBe("attempts_buyer");
    expect(await store({ seq: 801, buyer: "guest", user_id: "u" })).toBe("stored");
    expect(await store({ seq: 802 })).toBe("stored");
  });

  test("a sequence number is used once", async () => {
    expect(await storeAttempt(7)).toBe("stored");
    // In a partition, the key has the partition's name.
    expect(await storeAttempt(7)).toBe("attempts_p0_pkey");
  });

  test("an outcome is a word of the contract", async () => {
    const invented = sql`
      insert into attempts (seq, at, kind, outcome) values (8, now(), 'checkout', 'given away')`;
    await expect(invented.execute()).rejects.toThrow(/invalid input value for enum outcome_word/);
  });

  test("what is called for is done once", async () => {
    const note = { at: "2030-01-01T10:00Z", actor: "account", who: "boss", what: "sale.announced" };
    const store = (asked: number | null) =>
      refusalOf(sql`insert into activity ${sql({ ...note, asked })}`);
    expect(await store(5)).toBe("stored");
    expect(await store(5)).toBe("activity_asked_once");
    expect(await store(null)).toBe("stored");
    expect(await store(null)).toBe("stored");
  });

  test("there is one leader's row", async () => {
    const second = sql`insert into leader (id, epoch, url, since) values (2, 1, '', now())`;
    expect(await refusalOf(second)).toBe("leader_is_one_row");
  });
});
