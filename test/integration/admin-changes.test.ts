/** Sales that administrators change, over HTTP: before they open, while they are open. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { accepted, audit } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import {
  flashSaleShape,
  newProduct,
  newSale,
  openStorefront,
  orderShape,
  type Person,
  read,
  told,
  wishBody,
} from "../support/storefront.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

let url: string;
let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let ann: Person;
let lamp: number;
let chair: number;

beforeAll(async () => {
  url = await postgres.newRecords();
  // Far from the hour, whose sale is none of this file's business.
  clock = new Clock(Math.floor(Date.now() / 3_600_000) * 3_600_000 + 10 * minuteMs);
  front = await openStorefront(url, clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
  lamp = await newProduct(admin, "Lamp");
  chair = await newProduct(admin, "Chair");
});

const coming = (stock = 5) =>
  newSale(admin, {
    startsAt: clock.now + minuteMs,
    endsAt: clock.now + 2 * minuteMs,
    items: [{ product: lamp, stock }],
  });

const open = (stock = 5, limit = 1) =>
  newSale(admin, {
    startsAt: clock.now,
    endsAt: clock.now + 2 * minuteMs,
    limit,
    items: [{ product: lamp, stock }],
  });

const patch = (id: number, body: object) =>
  admin.ask("PATCH", `/api/admin/flash-sales/${id}`, body);
const close = (id: number) => admin.post(`/api/admin/flash-sales/${id}/close`, {});
const shown = async (id: number) => read(await ann.get(`/api/flash-sales/${id}`), flashSaleShape);
const iso = (ms: number): string => new Date(ms).toISOString();

/** Waits for a later term, and returns its epoch. */
const termAfter = (epoch: number | null) =>
  until("the next term", () => {
    const { role } = front.engine;
    return role.name === "leader" && role.epoch > (epoch ?? 0) && role.epoch;
  });

describe("changing a sale before it opens", () => {
  test("replaces whatever is named, also after a crash", async () => {
    const sale = await coming();
    const startsAt = clock.now + 3 * minuteMs;
    const changed = read(
      await patch(sale.id, {
        title: "Another",
        starts_at: iso(startsAt),
        ends_at: iso(startsAt + minuteMs),
        per_user_limit: 2,
        items: [
          { product_id: chair, stock: 7, price_cents: 70 },
          { product_id: lamp, stock: 3, price_cents: 30 },
        ],
      }),
      flashSaleShape,
    );
    expect(changed).toMatchObject({
      title: "Another",
      starts_at: iso(startsAt),
      per_user_limit: 2,
      stock: 10,
      // Each keeps its number, whatever the order that they are named in.
      items: [
        { id: 1, product_id: lamp, price_cents: 30 },
        { id: 2, product_id: chair, price_cents: 70 },
      ],
    });
    expect(await shown(sale.id)).toEqual(changed);
    const second = await openStorefront(url, clock);
    await front.stop();
    front = second;
    const person = await front.person("boss2", "admin");
    admin = person;
    ann = await front.person("ann2");
    await until("the lead", () => front.engine.role.name === "leader");
    expect(await shown(sale.id)).toEqual(changed);
    clock.now = startsAt;
    expect(told(await ann.buy(sale.id, chair, 2))).toBe("200");
    expect(told(await patch(sale.id, { per_user_limit: 9 }))).toBe("409 sale_has_opened");
  });

  test("is refused as a whole, and the sale stays what it was", async () => {
    const sale = await coming();
    const before = await shown(sale.id);
    const items = [{ product_id: 999_999, stock: 1, price_cents: 1 }];
    expect(told(await patch(sale.id, { title: "No", items }))).toBe("404 product_not_found");
    expect(told(await patch(sale.id, { ends_at: before.starts_at }))).toBe("400 invalid_request");
    expect(told(await patch(sale.id, {}))).toBe("400 invalid_request");
    expect(told(await patch(999_999, { title: "No" }))).toBe("404 sale_not_found");
    expect(await shown(sale.id)).toEqual(before);
    clock.now += minuteMs;
    expect(told(await ann.buy(sale.id, lamp))).toBe("200");
  });

  test("with a queue changes its rate and its terms together, or neither", async () => {
    const items = [{ product: lamp, stock: 5 }];
    const wish = { startsAt: clock.now + minuteMs, endsAt: clock.now + 9 * minuteMs, items };
    const announced = await admin.post("/api/admin/flash-sales", {
      ...wishBody(wish),
      entry: "queue",
      admit_per_second: 1,
    });
    const { id } = read(announced, flashSaleShape, 201);
    const rates = z.object({ admit_per_second: z.int(), paused: z.boolean() });
    const now = async () => {
      // What everybody sees of a queue is made once a second.
      clock.now += 1_000;
      const { title } = await shown(id);
      return { title, ...read(await ann.get(`/sales/${id}/queue`), rates) };
    };
    const together = { title: "Both", admit_per_second: 7, paused: true };
    expect(read(await patch(id, together), flashSaleShape).title).toBe("Both");
    expect(await now()).toEqual(together);
    const neither = { title: "Neither", admit_per_second: 9, paused: false };
    const over = { ends_at: iso(clock.now - minuteMs) };
    expect(told(await patch(id, { ...neither, ...over }))).toBe("400 invalid_request");
    expect(await now()).toEqual(together);
    expect(told(await admin.post(`/api/admin/flash-sales/${id}/open`, {}))).toBe("200");
    const limited = await patch(id, { ...neither, per_user_limit: 9 });
    expect(told(limited)).toBe("409 sale_has_opened");
    expect(told(await patch(id, { ...neither, ...over }))).toBe("409 end_not_later");
    expect(await now()).toEqual(together);
    const without = await coming();
    expect(told(await patch(without.id, neither))).toBe("404 no_queue");
    expect((await shown(without.id)).title).toBe(without.title);
  });

  test("never lets anybody buy on the old terms, though it opens meanwhile", async () => {
    const sale = await coming();
    const sql = lookInto(url, 1);
    let patched: ReturnType<typeof patch> | null = null;
    await sql.begin(async (tx) => {
      // The change stands still in the middle, with the sale out of the ledger.
      await tx`select from sales where id = ${sale.id} for update`;
      const items = [{ product_id: lamp, stock: 2, price_cents: 999 }];
      patched = patch(sale.id, { items });
      await until("the change to wait for the row", async () => {
        const [row] = await tx<{ waiting: number }[]>`
          select count(*)::int as waiting from pg_locks
          where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))`;
        return (row?.waiting ?? 0) > 0;
      });
      clock.now += minuteMs + 1;
      expect(told(await ann.buy(sale.id, lamp))).toBe("409 sale_not_open");
      expect(told(await ann.reserve(sale.id, 1))).toBe("409 sale_not_open");
    });
    if (patched === null) throw new Error("nothing was asked");
    expect(told(await patched)).toBe("200");
    const order = read(await ann.buy(sale.id, lamp), orderShape);
    expect(order.item.price_cents).toBe(999);
    expect(await shown(sale.id)).toMatchObject({ stock: 2, sold: 1, available: 1 });
    // None of the attempts was forgotten, in memory or in the records.
    const [row] = await front.sql<{ count: number }[]>`
      select count(*)::int as count from attempts where sale_id = ${sale.id}`;
    expect(row?.count).toBe(3);
    expect((await front.client.sale(sale.id)).attempts).toBe(3);
  });
});

const ask = (method: string, path: string) => admin.ask(method, `/api/admin/flash-sales/${path}`);

describe("a sale that is coming", () => {
  test("opens at once, and keeps its end", async () => {
    const sale = await coming();
    expect(told(await ann.buy(sale.id, lamp))).toBe("409 sale_not_open");
    const opened = read(await ask("POST", `${sale.id}/open`), flashSaleShape);
    expect(opened).toMatchObject({ status: "active", starts_at: iso(clock.now) });
    expect(opened.ends_at).toBe(sale.ends_at);
    expect(told(await ann.buy(sale.id, lamp))).toBe("200");
    expect(told(await ask("POST", `${sale.id}/open`))).toBe("409 sale_opened");
    expect(told(await ask("POST", "999999/open"))).toBe("404 sale_not_found");
  });

  test("is withdrawn, and its number never used again", async () => {
    const sale = await coming();
    expect(told(await ann.reserve(sale.id, 1))).toBe("409 sale_not_open");
    expect(told(await ask("DELETE", String(sale.id)))).toBe("204");
    expect(told(await ask("DELETE", String(sale.id)))).toBe("404 sale_not_found");
    expect(told(await ann.get(`/api/flash-sales/${sale.id}`))).toBe("404 sale_not_found");
    expect(told(await ann.reserve(sale.id, 1))).toBe("404 sale_not_found");
    clock.now += minuteMs;
    expect(told(await ann.buy(sale.id, lamp))).toBe("404 sale_not_found");
    expect((await coming()).id).toBeGreaterThan(sale.id);
    const begun = await open();
    expect(told(await ask("DELETE", String(begun.id)))).toBe("409 sale_opened");
    expect(told(await close(begun.id))).toBe("200");
    expect(told(await ask("DELETE", String(begun.id)))).toBe("409 sale_opened");
    expect(told(await ann.ask("DELETE", `/api/admin/flash-sales/${begun.id}`))).toBe(
      "403 forbidden",
    );
  });

  test("stays opened and withdrawn over a restart", async () => {
    const [opened, gone] = [await coming(), await coming()];
    await ask("POST", `${opened.id}/open`);
    await ask("DELETE", String(gone.id));
    const { epoch } = front.engine.role;
    front.writer().end(new Error("the test ends it"));
    await termAfter(epoch);
    expect(told(await ann.buy(opened.id, lamp))).toBe("200");
    expect(told(await ann.buy(gone.id, lamp))).toBe("404 sale_not_found");
  });
});

const restock = (id: number, body: object) =>
  admin.post(`/api/admin/flash-sales/${id}/restock`, body);

describe("an open sale that gets more units", () => {
  test("sells them, and no more", async () => {
    const sale = await open(1, 5);
    expect(told(await ann.buy(sale.id, lamp))).toBe("200");
    expect(told(await ann.buy(sale.id, lamp))).toBe("409 item_sold_out");
    const more = read(await restock(sale.id, { item_id: 1, units: 2 }), flashSaleShape);
    expect(more).toMatchObject({ stock: 3, sold: 1, available: 2 });
    expect(told(await ann.buy(sale.id, lamp, 2))).toBe("200");
    expect(told(await ann.buy(sale.id, lamp))).toBe("409 item_sold_out");
    const proof = accepted(await front.client.get(`/sales/${sale.id}/audit`), audit);
    expect(proof).toMatchObject({ stock: 3, sold: 3, ok: true });
    // Over a restart, too, and the units that were added after it.
    const { epoch } = front.engine.role;
    front.writer().end(new Error("the test ends it"));
    await termAfter(epoch);
    expect(told(await ann.buy(sale.id, lamp))).toBe("409 item_sold_out");
    expect(told(await restock(sale.id, { item_id: 1, units: 1 }))).toBe("200");
    expect(told(await ann.buy(sale.id, lamp))).toBe("200");
    expect(await shown(sale.id)).toMatchObject({ stock: 4, sold: 4, available: 0 });
  });

  test("is refused where there is none, and where it is not open", async () => {
    const sale = await open(1);
    const one = { item_id: 1, units: 1 };
    expect(told(await restock(999_999, one))).toBe("404 sale_not_found");
    expect(told(await restock(sale.id, { ...one, item_id: 9 }))).toBe("404 item_not_found");
    expect(told(await restock(sale.id, { ...one, units: 0 }))).toBe("400 invalid_request");
    expect(told(await restock(sale.id, { ...one, units: 1_000_000 }))).toBe("409 too_many_units");
    expect(told(await restock((await coming()).id, one))).toBe("409 sale_not_open");
    await close(sale.id);
    expect(told(await restock(sale.id, one))).toBe("410 sale_ended");
    const { id } = await front.client.openSale();
    expect(told(await restock(id, one))).toBe("200");
  });

  test("at the last unit sells each unit to one", async () => {
    const sale = await open(1, 50);
    const asked = Array.from({ length: 40 }, (_, n) =>
      n % 10 === 5 ? restock(sale.id, { item_id: 1, units: 1 }) : ann.buy(sale.id, lamp),
    );
    const answers = await Promise.all(asked);
    expect(answers.filter((answer, n) => n % 10 === 5 && answer.status === 200)).toHaveLength(4);
    for (let left = (await shown(sale.id)).available; left > 0; left -= 1) {
      // oxlint-disable-next-line no-await-in-loop
      expect(told(await ann.buy(sale.id, lamp))).toBe("200");
    }
    expect(await shown(sale.id)).toMatchObject({ stock: 5, sold: 5, available: 0 });
    const proof = accepted(await front.client.get(`/sales/${sale.id}/audit`), audit);
    expect(proof).toMatchObject({ stock: 5, sold: 5, ok: true });
  });
});

describe("the open hourly sale", () => {
  test("takes a title, another end and being closed, and no more", async () => {
    const { id } = await front.client.openSale();
    const named = read(
      await patch(id, { title: "The lunch drop" }),
      z.looseObject({ title: z.string() }),
    );
    expect(named.title).toBe("The lunch drop");
    const end = iso(clock.now + 5 * minuteMs);
    expect(told(await patch(id, { ends_at: end }))).toBe("200");
    expect((await front.client.sale(id)).ends_at).toBe(end);
    expect(told(await patch(id, { per_user_limit: 1 }))).toBe("409 sale_has_opened");
    expect(told(await admin.ask("DELETE", `/api/admin/flash-sales/${id}`))).toBe(
      "404 sale_not_found",
    );
    expect(told(await close(id))).toBe("200");
    expect(await front.client.sale(id)).toMatchObject({ status: "closed" });
    expect(told(await ann.post("/checkout?id=any", {}))).toBe("409 sale_not_open");
  });
});

describe("a change of which nobody knows whether it was stored", () => {
  test("ends the term, and is made in the next one, which sells by it", async () => {
    const sale = await coming();
    const { epoch } = front.engine.role;
    const sql = lookInto(url, 1);
    let patched: ReturnType<typeof patch> | null = null;
    await sql.begin(async (tx) => {
      await tx`select from sales where id = ${sale.id} for update`;
      patched = patch(sale.id, { title: "Again" });
      await until("the change to be cut off", async () => {
        const [row] = await tx<{ cut: number }[]>`
          select count(pg_terminate_backend(pid))::int as cut from pg_locks
          where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))`;
        return (row?.cut ?? 0) > 0;
      });
    });
    if (patched === null) throw new Error("nothing was asked");
    expect(told(await patched)).toBe("200");
    await termAfter(epoch);
    expect((await shown(sale.id)).title).toBe("Again");
    clock.now += minuteMs;
    expect(told(await ann.buy(sale.id, lamp))).toBe("200");
  });

  test("so does one that a deposed leader wants to make", async () => {
    const { epoch } = front.engine.role;
    await front.sql`update leader set epoch = epoch + 1`;
    const window = { startsAt: clock.now, endsAt: clock.now + minuteMs };
    const wish = wishBody({ ...window, items: [{ product: lamp, stock: 1 }] });
    const before = await front.sql`select id from sales`;
    expect(told(await admin.post("/api/admin/flash-sales", wish))).toBe("201");
    expect(await termAfter(epoch)).toBe((epoch ?? 0) + 2);
    expect(await front.sql`select id from sales`).toHaveLength(before.length + 1);
  });
});

describe("a sale that is open", () => {
  test("takes another end and a title, and buyers see it at once", async () => {
    const sale = await open(5, 2);
    const end = clock.now + 5 * minuteMs;
    expect(told(await patch(sale.id, { ends_at: iso(end), per_user_limit: 3 }))).toBe(
      "409 sale_has_opened",
    );
    const sooner = clock.now + 30_000;
    const named = read(
      await patch(sale.id, { ends_at: iso(sooner), title: "Named" }),
      flashSaleShape,
    );
    expect(named).toMatchObject({ ends_at: iso(sooner), title: "Named" });
    expect(told(await patch(sale.id, { ends_at: iso(clock.now) }))).toBe("409 end_not_later");
    expect(read(await patch(sale.id, { ends_at: iso(end) }), flashSaleShape).ends_at).toBe(
      iso(end),
    );
    expect((await shown(sale.id)).ends_at).toBe(iso(end));
    const seen = await front.client.sale(sale.id);
    expect(seen.ends_at).toBe(iso(end));
    clock.now = end - 1;
    expect(told(await ann.buy(sale.id, lamp))).toBe("200");
    clock.now = end;
    expect(told(await ann.buy(sale.id, lamp))).toBe("409 sale_not_open");
    expect(told(await patch(sale.id, { ends_at: iso(end + minuteMs) }))).toBe("410 sale_ended");
    const proof = accepted(await front.client.get(`/sales/${sale.id}/audit`), audit);
    expect(proof).toMatchObject({ sold: 1, ok: true });
  });

  test("is closed at once, and for good", async () => {
    const sale = await open();
    const held = z.object({ code: z.string() });
    const { code } = read(await ann.reserve(sale.id, 1), held);
    clock.now += 1_000;
    expect(read(await close(sale.id), flashSaleShape).items).toHaveLength(1);
    clock.now += 1;
    expect(await shown(sale.id)).toMatchObject({ status: "ended", reserved: 0, available: 5 });
    expect(told(await ann.purchase(code))).toBe("410 sale_ended");
    expect(told(await ann.buy(sale.id, lamp))).toBe("409 sale_not_open");
    expect(told(await close(sale.id))).toBe("410 sale_ended");
    expect(told(await close((await coming()).id))).toBe("409 sale_not_open");
    expect(told(await close(999_999))).toBe("404 sale_not_found");
  });
});
