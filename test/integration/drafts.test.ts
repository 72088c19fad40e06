/**
 * Drafts of product sales: seen by administrators alone, opened by no clock, changed until somebody
 * announces them, and duplicates of what there was.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import {
  flashSaleShape,
  newKey,
  newProduct,
  newSale,
  openStorefront,
  Person,
  quietClock,
  read,
  told,
  wishBody,
} from "../support/storefront.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let ann: Person;
let nobody: Person;
let lamp: number;

beforeAll(async () => {
  clock = quietClock(5);
  front = await openStorefront(await postgres.newRecords(), clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
  nobody = new Person("nobody", front.client, null);
  lamp = await newProduct(admin, "Lamp");
});

const saleShape = flashSaleShape.extend({
  state: z.enum(["draft", "published"]),
  entry: z.enum(["open", "queue"]),
  admit_per_second: z.int().nullable(),
});

const sales = "/api/admin/flash-sales";
const at = (ms: number): string => new Date(clock.now + ms).toISOString();
const wish = (from = minuteMs, to = 2 * minuteMs) => ({
  ...wishBody({
    startsAt: clock.now + from,
    endsAt: clock.now + to,
    items: [{ product: lamp, stock: 3 }],
  }),
});

const draft = async (more: object = {}) =>
  read(await admin.post(sales, { ...wish(), state: "draft", ...more }), saleShape, 201);
const change = (id: number, body: object) => admin.ask("PATCH", `${sales}/${id}`, body);
const publish = (id: number) => change(id, { state: "published" });
const listed = async (who: Person, query = "") => {
  const shape = z.object({ flash_sales: z.array(saleShape), next_after: z.int().nullable() });
  const page = read(await who.get(`/api/flash-sales${query}`), shape);
  return { ...page, ids: page.flash_sales.map(({ id }) => id) };
};

describe("a draft", () => {
  test("is seen by administrators, and is not there for anybody else, whatever they ask", async () => {
    const { id, state, status } = await draft();
    expect([state, status]).toEqual(["draft", "upcoming"]);
    const reader = await newKey(admin, "read");
    const seller = await newKey(admin, "sell");
    const shown = read(await admin.get(`/api/flash-sales/${id}`), saleShape);
    expect(shown).toMatchObject({ id, state: "draft", available: 3, sold: 0 });
    const byKey = await nobody.ask("GET", `/api/flash-sales/${id}`, undefined, reader);
    expect(read(byKey, saleShape)).toEqual(shown);
    expect((await listed(admin)).ids).toContain(id);
    expect((await listed(admin, "?status=upcoming")).ids).toContain(id);
    expect((await listed(admin, "?status=active")).ids).not.toContain(id);
    expect((await nobody.ask("GET", `/api/flash-sales/${id}`, undefined, seller)).status).toBe(404);
    const paths = [
      `/api/flash-sales/${id}`,
      `/sales/${id}`,
      `/sales/${id}/items`,
      `/sales/${id}/items/1`,
      `/sales/${id}/audit`,
      `/sales/${id}/queue`,
    ];
    await inTurn([ann, nobody], async (who) => {
      await inTurn(paths, async (path) => {
        expect([path, told(await who.get(path))]).toEqual([path, "404 sale_not_found"]);
      });
      expect((await listed(who)).ids).not.toContain(id);
    });
    expect(told(await ann.reserve(id, 1))).toBe("404 sale_not_found");
    expect(told(await ann.buy(id, lamp))).toBe("404 sale_not_found");
    const product = await nobody.get(`/api/products/${lamp}`);
    expect(product.json()).toMatchObject({ flash_sale: null });
    expect((await nobody.get("/api/flash-sales/status")).json()).toMatchObject({ status: "none" });
    expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("204");
  });

  test("opens by no clock, and is changed and announced after its start: then it opens now", async () => {
    const { id } = await draft();
    clock.now += minuteMs + 30_000;
    expect(read(await admin.get(`/api/flash-sales/${id}`), saleShape).status).toBe("upcoming");
    expect(told(await ann.buy(id, lamp))).toBe("404 sale_not_found");
    const chair = await newProduct(admin, "Chair");
    const items = [{ product_id: chair, stock: 2, price_cents: 700 }];
    const changed = read(await change(id, { title: "Chairs", items }), saleShape);
    expect(changed).toMatchObject({ state: "draft", title: "Chairs", stock: 2 });
    const open = read(await publish(id), saleShape);
    expect(open).toMatchObject({ id, state: "published", status: "active", title: "Chairs" });
    expect(Date.parse(open.starts_at)).toBe(clock.now);
    expect(told(await ann.buy(id, chair))).toBe("200");
    expect((await listed(nobody)).ids).toContain(id);
    expect(told(await change(id, { state: "draft" }))).toBe("400 invalid_request");
    // What is there already is no change.
    expect(read(await publish(id), saleShape)).toMatchObject({ id, sold: 1 });
    expect(told(await admin.post(`${sales}/${id}/close`, {}))).toBe("200");
    const audit = (await nobody.get(`/sales/${id}/audit`)).json();
    expect(audit).toMatchObject({ ok: true, sold: 1 });
  });

  test("is announced with all that it has, its queue too, and only once", async () => {
    const queue = { entry: "queue", admit_per_second: 7, pass_ttl_ms: 60_000 };
    const { id } = await draft({ ...queue, per_user_limit: 2 });
    expect(read(await change(id, { admit_per_second: 9 }), saleShape).admit_per_second).toBe(9);
    expect((await change(id, { paused: true })).text).toContain("paused is of a sale");
    const answers = await Promise.all(upTo(6).map(() => publish(id)));
    expect(answers.map(told)).toEqual(upTo(6).map(() => "200"));
    const made = read(await nobody.get(`/api/flash-sales/${id}`), saleShape);
    expect(made).toMatchObject({ state: "published", status: "upcoming", per_user_limit: 2 });
    const state = (await nobody.get(`/sales/${id}/queue`)).json();
    expect(state).toMatchObject({ state: "gathering", admit_per_second: 9 });
    expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("204");
    const announced = await front.sql`select from activity where what = 'sale.announced'
      and after::jsonb ->> 'sale_id' = ${String(id)}`;
    expect(announced).toHaveLength(1);
  });

  test("that cannot be announced stays", async () => {
    const gone = await newProduct(admin, "Gone");
    const items = [{ product_id: gone, stock: 1, price_cents: 1 }];
    const { id } = await draft({ items });
    expect(told(await admin.ask("DELETE", `/api/admin/products/${gone}`))).toBe("204");
    expect(told(await publish(id))).toBe("404 product_not_found");
    expect(told(await change(id, { ends_at: at(-minuteMs), starts_at: at(-2 * minuteMs) }))).toBe(
      "200",
    );
    const before = (await admin.get(`/api/flash-sales/${id}`)).json();
    const over = await change(id, {
      title: "Announced",
      items: [{ product_id: lamp, stock: 1, price_cents: 1 }],
      state: "published",
    });
    expect([told(over), over.text.includes("ends_at is over already")]).toEqual([
      "400 invalid_request",
      true,
    ]);
    expect((await admin.get(`/api/flash-sales/${id}`)).json()).toEqual(before);
    expect(told(await change(id, { ends_at: at(-3 * minuteMs) }))).toBe("400 invalid_request");
    expect(told(await change(id, { admit_per_second: 5 }))).toBe("404 no_queue");
    await inTurn(["open", "close"], async (what) => {
      expect(told(await admin.post(`${sales}/${id}/${what}`, {}))).toBe("409 sale_not_open");
    });
    const restock = await admin.post(`${sales}/${id}/restock`, { item_id: 1, units: 1 });
    expect(told(restock)).toBe("409 sale_not_open");
  });

  test("that is dropped leaves its number to nobody", async () => {
    const { id } = await draft();
    expect(told(await ann.ask("DELETE", `${sales}/${id}`))).toBe("403 forbidden");
    expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("204");
    expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("404 sale_not_found");
    expect(told(await admin.get(`/api/flash-sales/${id}`))).toBe("404 sale_not_found");
    expect(told(await publish(id))).toBe("404 sale_not_found");
    const next = await newSale(admin, {
      startsAt: clock.now + minuteMs,
      endsAt: clock.now + 2 * minuteMs,
      items: [{ product: lamp, stock: 1 }],
    });
    expect(next.id).toBeGreaterThan(id);
    expect(told(await admin.ask("DELETE", `${sales}/${next.id}`))).toBe("204");
  });

  test("is on the pages of the list like any other", async () => {
    const made = await inTurn(upTo(3), async () => (await draft()).id);
    const between = read(await admin.post(sales, wish()), saleShape, 201).id;
    const last = await draft();
    const first = await listed(admin, "?limit=2");
    expect(first.ids).toEqual([last.id, between]);
    const second = await listed(admin, `?limit=2&after=${first.next_after}`);
    expect(second.ids).toEqual([made[2] ?? 0, made[1] ?? 0]);
    await inTurn([...made, between, last.id], async (id) => {
      expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("204");
    });
  });
});

test("a duplicate is a draft of the same items, as they are by now", async () => {
  const { id } = read(await admin.post(sales, wish(0, minuteMs)), saleShape, 201);
  const restock = { item_id: 1, units: 4 };
  expect(told(await admin.post(`${sales}/${id}/restock`, restock))).toBe("200");
  expect(told(await ann.buy(id, lamp))).toBe("200");
  const answer = await admin.post(`${sales}/${id}/duplicate`, undefined);
  const copy = read(answer, saleShape, 201);
  expect(answer.headers.get("Location")).toBe(`/api/flash-sales/${copy.id}`);
  const { title, starts_at, ends_at, items } = read(
    await nobody.get(`/api/flash-sales/${id}`),
    saleShape,
  );
  expect(copy).toMatchObject({ title, starts_at, ends_at, state: "draft", stock: 7, sold: 0 });
  const told_of = ({ id: number, product_id, price_cents, stock }: (typeof items)[0]) => [
    number,
    product_id,
    price_cents,
    stock,
  ];
  expect(copy.items.map(told_of)).toEqual(items.map(told_of));
  const again = read(await admin.post(`${sales}/${copy.id}/duplicate`, {}), saleShape, 201);
  expect(again).toMatchObject({ state: "draft", stock: 7 });
  const [hourly] = await front.sql<{ id: number }[]>`select id from sales where kind = 'hourly'`;
  expect(told(await admin.post(`${sales}/${hourly?.id}/duplicate`, {}))).toBe("404 sale_not_found");
  expect(told(await ann.post(`${sales}/${id}/duplicate`, {}))).toBe("403 forbidden");
  expect(told(await admin.post(`${sales}/999999/duplicate`, {}))).toBe("404 sale_not_found");
  await inTurn([copy.id, again.id], (one) => admin.ask("DELETE", `${sales}/${one}`));
});

test("what is done to drafts is told, and there are not too many of them", async () => {
  const [before] = await front.sql<{ seq: string }[]>`select max(seq) as seq from activity`;
  const { id } = await draft();
  await change(id, { title: "Another" });
  const copy = read(await admin.post(`${sales}/${id}/duplicate`, {}), saleShape, 201);
  await admin.ask("DELETE", `${sales}/${copy.id}`);
  const noted = await front.sql<{ who: string; what: string; after: string | null }[]>`
    select who, what, after from activity where seq > ${before?.seq ?? 0} order by seq`;
  expect(noted.map(({ what }) => what)).toEqual([
    "sale.drafted",
    "sale.changed",
    "sale.drafted",
    "sale.withdrawn",
  ]);
  expect(JSON.parse(noted[2]?.after ?? "{}")).toMatchObject({ duplicate_of: id, state: "draft" });
  await front.sql`
    insert into drafts (id, title, starts_at, ends_at, per_user_limit, items)
    select n, 'one of many', now(), now() + '1 h', 1, '[]' from generate_series(100001, 100200) n`;
  expect(told(await admin.post(sales, { ...wish(), state: "draft" }))).toBe("409 too_many_sales");
});
