/**
 * The contract over HTTP, as a client sees it: every path of the hourly sale and of the
 * operations, its fields, and every refusal with its status and its word. What depends on
 * time runs in the test's own process, on a clock that the test turns.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "../support/client.ts";
import {
  accepted,
  audit,
  currentSale,
  itemPage,
  order,
  readiness,
  refused,
  reservation,
  sale as saleShape,
} from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Clock, openShop } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const items = 40;
const perUserLimit = 3;
const ttlMs = 120_000;
/** The wall clock and the ledger's may be a little apart. */
const apartMs = 1_000;
let server: TestServer;
let client: Client;
let saleId: number;
let url: string;

beforeAll(async () => {
  url = await postgres.newRecords();
  server = await startServer({
    DATABASE_URL: url,
    SALE_ITEMS: String(items),
    SALE_PER_USER_LIMIT: String(perUserLimit),
  });
  ({ client } = server);
  saleId = (await client.openSale()).id;
});

describe("a checkout", () => {
  test("reserves the item that is asked for, and says so in full", async () => {
    const before = Date.now();
    const answer = accepted(await client.checkout("ann", 7), reservation);
    expect(answer).toMatchObject({ user_id: "ann", sale_id: saleId, item: { id: 7 } });
    expect(answer.item.image_url).toBe(`/sales/${saleId}/items/7/image.svg`);
    const expiresAt = Date.parse(answer.expires_at);
    expect(expiresAt).toBeWithin(before + ttlMs - apartMs, Date.now() + ttlMs + apartMs);
    expect((await client.item(saleId, 7)).available).toBe(0);
  });

  test("takes item_id for id, and the sale by its number", async () => {
    const path = `/checkout?user_id=ann2&item_id=8&sale_id=${saleId}`;
    expect(accepted(await client.ask("POST", path), reservation).item.id).toBe(8);
  });

  test("of any item reserves a free one", async () => {
    const taken = (await client.reserve("any1")).item.id;
    expect((await client.reserve("any2")).item.id).not.toBe(taken);
  });

  test("of an item that somebody holds is refused, and says when it may come free", async () => {
    const before = Date.now();
    await client.reserve("bob", 9);
    const { retryAfterMs } = refused(await client.checkout("eve", 9), "item_reserved", "retry");
    expect(retryAfterMs).toBeWithin(before + ttlMs - Date.now() - apartMs, ttlMs + 1);
  });

  test("again, by a guest of the same name, does not tell the code of it, but to its key", async () => {
    const first = await client.reserve("carl", 10, { key: "mine" });
    const again = await client.checkout("carl", 10);
    refused(again, "item_reserved", "retry");
    expect(again.text).not.toContain(first.code);
    expect(await client.reserve("carl", 10, { key: "mine" })).toEqual(first);
    // It is no second reservation: the limit of three is not reached by it.
    await client.reserve("carl", 11);
    await client.reserve("carl", 12);
  });

  test("beyond the user's limit is refused, whether reserved or bought", async () => {
    await client.reserveAndBuy("dora", 13);
    const before = Date.now();
    await inTurn([14, 15], (id) => client.reserve("dora", id));
    // Two are reserved, and may come free.
    await inTurn([16, "any"], async (id) => {
      const { retryAfterMs } = refused(
        await client.checkout("dora", id),
        "user_limit_reached",
        "retry",
      );
      expect(retryAfterMs).toBeWithin(before + ttlMs - Date.now() - apartMs, ttlMs + 1);
    });
  });

  test("of an item that is sold is refused, before the user's limit is looked at", async () => {
    await client.reserveAndBuy("fay", 17);
    refused(await client.checkout("gus", 17), "item_sold_out");
    refused(await client.checkout("dora", 17), "item_sold_out");
    refused(await client.checkout("fay", 17), "item_sold_out");
  });

  test("of what does not exist is refused", async () => {
    refused(await client.checkout("ann", items + 1), "item_not_found");
    refused(await client.checkout("ann", 1, { sale: saleId + 1_000 }), "sale_not_found");
    refused(await client.checkout("ann", "any", { sale: "junk" }), "sale_not_found");
  });
});

describe("an idempotency key", () => {
  test("gives the same code again, alive and sold", async () => {
    const first = await client.reserve("kim", "any", { key: "k1" });
    expect(await client.reserve("kim", "any", { key: "k1" })).toEqual(first);
    await client.buy(first.code);
    expect(await client.reserve("kim", "any", { key: "k1" })).toEqual(first);
  });

  test("with other parameters is refused", async () => {
    await client.reserve("lea", 18, { key: "k1" });
    const other = await client.checkout("lea", 19, { key: "k1" });
    refused(other, "idempotency_key_reused");
  });

  test("belongs to its user", async () => {
    const { code } = await client.reserve("moe", "any", { key: "shared" });
    expect((await client.reserve("ned", "any", { key: "shared" })).code).not.toBe(code);
  });

  test("whose attempt was refused, or given back, may try afresh", async () => {
    await client.reserve("other", 20);
    refused(await client.checkout("olga", 20, { key: "k" }), "item_reserved", "retry");
    const { code } = await client.reserve("olga", 21, { key: "k" });
    expect((await client.release(code)).status).toBe(204);
    expect((await client.reserve("olga", 21, { key: "k" })).code).not.toBe(code);
  });
});

describe("a purchase", () => {
  test("sells, once, and gives the same order again", async () => {
    const { code, item } = await client.reserve("pam", 22);
    const first = accepted(await client.purchase(code), order);
    expect(first).toMatchObject({
      code,
      user_id: "pam",
      sale_id: saleId,
      item,
      replayed: false,
    });
    expect(await client.buy(code)).toEqual({ ...first, replayed: true });
    expect(await client.buy(code.toUpperCase())).toEqual({ ...first, replayed: true });
  });

  test("with a code that was never given, or is none, is refused", async () => {
    refused(await client.purchase(crypto.randomUUID()), "code_not_found");
    await inTurn(["", "x", "null", crypto.randomUUID().slice(1)], async (code) =>
      refused(await client.purchase(code), "invalid_request"),
    );
    refused(await client.ask("POST", "/purchase"), "invalid_request");
  });

  test("of a code that was given back is refused", async () => {
    const { code } = await client.reserve("quin", 23);
    await client.release(code);
    refused(await client.purchase(code), "code_expired");
  });
});

describe("giving back", () => {
  test("is answered 204 as often as it is asked, and the item is free", async () => {
    const { code } = await client.reserve("rob", 24);
    await inTurn(upTo(2), async () => {
      const answer = await client.release(code);
      expect({ status: answer.status, text: answer.text }).toEqual({ status: 204, text: "" });
    });
    expect((await client.reserve("sue", 24)).item.id).toBe(24);
  });

  test("of what was bought is refused", async () => {
    const { code } = await client.reserve("tom", 25);
    await client.buy(code);
    refused(await client.release(code), "already_purchased");
  });

  test("of a code that was never given, or is none, is refused", async () => {
    refused(await client.release(crypto.randomUUID()), "code_not_found");
    refused(await client.release("x"), "invalid_request");
    refused(await client.ask("DELETE", "/checkout"), "invalid_request");
  });
});

/** A page of the open sale's catalogue. */
const page = async (query: string) =>
  accepted(await client.get(`/sales/${saleId}/items?${query}`), itemPage);

describe("what is to be seen", () => {
  test("the open sale and the next", async () => {
    const before = Date.now();
    const { now, current, next } = accepted(await client.get("/sale"), currentSale);
    expect(Date.parse(now)).toBeWithin(before - apartMs, Date.now() + apartMs);
    expect(current).toMatchObject({ id: saleId, kind: "hourly", status: "open", stock: items });
    expect(current).toMatchObject({ per_user_limit: perUserLimit, reservation_ttl_ms: ttlMs });
    expect(next.starts_at).toBe(current?.ends_at ?? "");
  });

  test("one sale, whose figures add up and count every attempt", async () => {
    const before = await client.sale(saleId);
    expect(before.available + before.reserved + before.sold).toBe(items);
    await client.checkout("nobody", items + 1);
    await client.reserve("uma", 26);
    const after = await client.sale(saleId);
    expect(after.reserved).toBe(before.reserved + 1);
    expect(after.attempts).toBe(before.attempts + 2);
    refused(await client.get("/sales/999"), "sale_not_found");
    refused(await client.get("/sales/junk"), "sale_not_found");
  });

  test("the catalogue, in pages", async () => {
    const first = await page("limit=30");
    expect(first.items.map(({ id }) => id)).toEqual(upTo(30));
    expect(first.next_after).toBe(30);
    const second = await page(`limit=30&after=${first.next_after}`);
    expect(second.items.map(({ id }) => id)).toEqual(upTo(items).slice(30));
    expect(second.next_after).toBeNull();
    // A full last page has none behind it.
    expect((await page("limit=10&after=30")).next_after).toBeNull();
    expect(await page(`after=${items}`)).toEqual({ items: [], next_after: null });
    const names = [...first.items, ...second.items].map(({ name }) => name);
    expect(new Set(names).size).toBe(items);
  });

  test("the catalogue's search, and what is still to be had", async () => {
    const [wanted] = (await page("limit=1")).items;
    const name = wanted?.name ?? "";
    const found = await page(`q=${encodeURIComponent(name.toUpperCase())}`);
    expect(found.items.map(({ id }) => id)).toContain(1);
    expect((await page("q=no%20such%20name")).items).toEqual([]);
    const available = (await page("available=true&limit=500")).items;
    expect(available.every((each) => each.available > 0)).toBe(true);
    expect(available.length).toBe((await client.sale(saleId)).available);
  });

  test.each(["limit=0", "limit=501", "limit=x", "after=-1", "after=x", "available=maybe", "q=%ff"])(
    "a catalogue's page of %s is refused",
    async (query) => {
      refused(await client.get(`/sales/${saleId}/items?${query}`), "invalid_request");
    },
  );

  test("one item, and its picture, for ever the same", async () => {
    const item = await client.item(saleId, 30);
    expect(item).toMatchObject({ id: 30, stock: 1, available: 1 });
    const picture = await client.get(item.image_url);
    expect(picture.headers.get("Content-Type")).toStartWith("image/svg+xml");
    expect(picture.headers.get("Cache-Control")).toMatch(/max-age=31536000.*immutable/);
    expect(picture.text).toStartWith("<svg");
    expect((await client.get(item.image_url)).text).toBe(picture.text);
    expect((await client.get(`/sales/${saleId}/items/31/image.svg`)).text).not.toBe(picture.text);
    await inTurn([items + 1, 0, -1, "x", "1.5"], async (id) => {
      refused(await client.get(`/sales/${saleId}/items/${id}`), "item_not_found");
      refused(await client.get(`/sales/${saleId}/items/${id}/image.svg`), "item_not_found");
    });
    refused(await client.get("/sales/999/items/1"), "sale_not_found");
    refused(await client.get("/sales/999/items/1/image.svg"), "sale_not_found");
  });

  test("the audit, from the records, at most a second old", async () => {
    await client.reserveAndBuy("vic", 32);
    const { sold } = await client.sale(saleId);
    const proof = await until("an audit that has seen the purchase", async () => {
      const answer = accepted(await client.get(`/sales/${saleId}/audit`), audit);
      return answer.sold === sold && answer;
    });
    expect(proof).toMatchObject({
      sold,
      stock: items,
      oversold_items: 0,
      users_over_limit: 0,
      purchases_without_attempt: 0,
      duplicate_codes: 0,
      ok: true,
    });
    expect(proof.max_units_one_user).toBeLessThanOrEqual(perUserLimit);
    refused(await client.get("/sales/999/audit"), "sale_not_found");
  });
});

describe("every attempt", () => {
  test("is stored with its outcome before it is answered", async () => {
    const sql = lookInto(url);
    const outcomes = async (user: string) => {
      const rows = await sql<{ outcome: string }[]>`
        select outcome from attempts where user_id = ${user} order by seq`;
      return rows.map(({ outcome }) => outcome);
    };
    await client.reserve("zoe", 33);
    expect(await outcomes("zoe")).toEqual(["reserved"]);
    await client.checkout("zoe", 33);
    await client.checkout("zoe", items + 1);
    await client.checkout("zoe", 1, { sale: 999 });
    await client.checkout("zoe", 1, { sale: "junk" });
    await client.checkout("zoe", 17);
    expect(await outcomes("zoe")).toEqual([
      "reserved",
      "item_reserved",
      "item_not_found",
      "sale_not_found",
      "sale_not_found",
      "item_sold_out",
    ]);
  });
});

describe("a sale that sells out", () => {
  test("says reserved while something may come free, and sold out for good after", async () => {
    const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
    const shop = await openShop(await postgres.newRecords(), { clock, terms: { items: 2 } });
    await shop.client.reserveAndBuy("a", 1);
    const { code } = await shop.client.reserve("b", 2);
    clock.now += 5_000;
    const answer = await shop.client.checkout("c", "any");
    expect(refused(answer, "item_reserved", "retry").retryAfterMs).toBe(ttlMs - 5_000);
    await shop.client.buy(code);
    refused(await shop.client.checkout("c", "any"), "sold_out");
    // Of an item, its own word comes first.
    refused(await shop.client.checkout("c", 2), "item_sold_out");
    const { id } = await shop.client.openSale();
    expect(saleShape.parse(await shop.client.sale(id))).toMatchObject({
      sold: 2,
      reserved: 0,
      available: 0,
    });
    await shop.stop();
  });
});

describe("readiness", () => {
  test("says who leads, and how often somebody has", async () => {
    expect((await client.get("/health")).json()).toMatchObject({ status: "ok" });
    expect(accepted(await client.get("/ready"), readiness)).toMatchObject({
      role: "leader",
      epoch: 1,
    });
  });
});
