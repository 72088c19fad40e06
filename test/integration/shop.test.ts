/**
 * The shop over HTTP: what is to be seen of products and their sales, and of what an account
 * has bought.
 */
import { beforeAll, describe, expect, spyOn, test } from "bun:test";
import { z } from "zod";

import { pageItemsMax } from "../../src/http/shop/shop.ts";
import { LedgerView } from "../../src/ledger/view.ts";
import { usePostgres } from "../support/postgres.ts";

import { Clock } from "../support/shop.ts";
import {
  flashSaleShape,
  newProduct,
  newSale,
  openPeopledStorefront,
  openStorefront,
  orderShape,
  read,
  told,
} from "../support/storefront.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

type Peopled = Awaited<ReturnType<typeof openPeopledStorefront>>;
let { clock, front, admin, ann, bob, nobody } = {} as Peopled;

beforeAll(async () => {
  ({ clock, front, admin, ann, bob, nobody } = await openPeopledStorefront(
    await postgres.newRecords(),
  ));
});

/** A sale of new products that is open now. */
async function openSale(stocks: readonly number[], limit = 1) {
  const items = [];
  for (const stock of stocks) items.push({ product: await newProduct(admin, "Lamp"), stock });
  const window = { startsAt: clock.now, endsAt: clock.now + 10 * minuteMs };
  return await newSale(admin, { ...window, limit, items });
}

const productShape = z.object({
  id: z.int(),
  name: z.string(),
  image_url: z.string(),
  flash_sale: z.looseObject({ id: z.int(), status: z.string(), available: z.int() }).nullable(),
});
const productPage = z.object({ products: z.array(productShape), next_after: z.int().nullable() });

test("whoever asks for one sale or product has the figures of no other looked at", async () => {
  const sales = [];
  for (const stock of [2, 3, 4]) sales.push(await openSale([stock, stock]));
  const [first, second, third] = sales;
  const [product = 0] = third?.items.map(({ product_id }) => product_id) ?? [];
  using looked = spyOn(LedgerView.prototype, "free");
  const lookedAt = async (path: string) => {
    looked.mockClear();
    expect((await nobody.get(path)).status).toBe(200);
    return looked.mock.calls.map(([id]) => id);
  };
  expect(await lookedAt(`/api/flash-sales/${second?.id}`)).toEqual([second?.id ?? 0]);
  expect(await lookedAt(`/api/products/${product}`)).toEqual([third?.id ?? 0]);
  // All end at once: a countdown is shown the first.
  expect(await lookedAt("/api/flash-sales/status")).toEqual([first?.id ?? 0]);
  const status = (await nobody.get("/api/flash-sales/status")).json();
  expect(status).toMatchObject({ flash_sale: { id: first?.id, stock: 4, available: 4, sold: 0 } });
});

describe("products", () => {
  test("are listed in pages, searched, and shown one by one with their pictures", async () => {
    const ids = [];
    for (const name of ["Zeta chair", "zeta TABLE", "Zeta \u00fcber-bench"]) {
      ids.push(await newProduct(admin, name));
    }
    const [first = 0, second = 0, third = 0] = ids;
    const page = read(await nobody.get("/api/products?q=ZETA&limit=2"), productPage);
    expect(page.products.map(({ id }) => id)).toEqual([first, second]);
    const rest = await nobody.get(`/api/products?q=zeta&limit=2&after=${page.next_after}`);
    expect(read(rest, productPage)).toMatchObject({ products: [{ id: third }], next_after: null });
    const shown = read(await nobody.get(`/api/products/${first}`), productShape);
    expect(shown).toMatchObject({ name: "Zeta chair", flash_sale: null });
    const picture = await nobody.get(shown.image_url);
    expect(picture.headers.get("Content-Type")).toBe("image/svg+xml");
    expect(picture.text).toStartWith("<svg");
    expect(read(await nobody.get("/api/products?q=%25"), productPage).products).toEqual([]);
  });

  test("have their name of its time in the picture of each sale", async () => {
    const product = await newProduct(admin, "Plain lamp");
    const pictureIn = async (minutes: number) => {
      const window = { startsAt: clock.now, endsAt: clock.now + minutes * minuteMs };
      const { id } = await newSale(admin, { ...window, items: [{ product, stock: 1 }] });
      return (await nobody.get(`/sales/${id}/items/1/image.svg`)).text;
    };
    expect(await pictureIn(1)).toContain("<title>Plain lamp</title>");
    const renamed = await admin.ask("PATCH", `/api/admin/products/${product}`, { name: "Lantern" });
    expect(told(renamed)).toBe("200");
    expect(await pictureIn(2)).toContain("<title>Lantern</title>");
  });

  test("that are not there, and pages that are none", async () => {
    for (const path of ["999999", "0", "abc", "1e3", "99999999999"]) {
      expect(told(await nobody.get(`/api/products/${path}`))).toBe("404 product_not_found");
    }
    for (const query of ["limit=0", "limit=101", "limit=x", "after=-1", "q=%ff"]) {
      expect(told(await nobody.get(`/api/products?${query}`))).toBe("400 invalid_request");
    }
  });

  test("have the sale that they are in now, or else the next", async () => {
    const product = await newProduct(admin, "Twice on sale");
    const items = [{ product, stock: 3 }];
    const { now } = clock;
    const hour = (from: number, to: number) => ({
      startsAt: now + from * minuteMs,
      endsAt: now + to * minuteMs,
    });
    await newSale(admin, { ...hour(8, 9), items });
    const next = await newSale(admin, { ...hour(4, 5), items });
    const saleOf = async () =>
      read(await nobody.get(`/api/products/${product}`), productShape).flash_sale;
    expect(await saleOf()).toMatchObject({ id: next.id, status: "upcoming", available: 3 });
    const open = await newSale(admin, { ...hour(0, 6), items });
    await ann.buy(open.id, product);
    expect(await saleOf()).toMatchObject({ id: open.id, status: "active", available: 2 });
  });
});

describe("what a countdown needs", () => {
  const statusShape = z.object({
    status: z.string(),
    flash_sale: z.looseObject({ id: z.int(), status: z.string() }).nullable(),
    server_time: z.iso.datetime(),
  });

  test("none, upcoming, active, ended", async () => {
    const other = new Clock(clock.now);
    const shop = await openStorefront(await postgres.newRecords(), other);
    const boss = await shop.person("boss", "admin");
    const status = async () => read(await shop.client.get("/api/flash-sales/status"), statusShape);
    expect(await status()).toEqual({
      status: "none",
      flash_sale: null,
      server_time: new Date(other.now).toISOString(),
    });
    const startsAt = other.now + minuteMs;
    const items = [{ product: await newProduct(boss, "Lamp"), stock: 1 }];
    const { id } = await newSale(boss, { startsAt, endsAt: startsAt + minuteMs, items });
    const later = { startsAt: startsAt + 5 * minuteMs, endsAt: startsAt + 6 * minuteMs };
    const last = await newSale(boss, { ...later, items });
    expect(await status()).toMatchObject({ status: "upcoming", flash_sale: { id } });
    other.now = startsAt - 1;
    expect((await status()).status).toBe("upcoming");
    other.now = startsAt;
    expect(await status()).toMatchObject({ status: "active", flash_sale: { id } });
    other.now = startsAt + minuteMs - 1;
    expect((await status()).status).toBe("active");
    other.now = startsAt + minuteMs;
    expect(await status()).toMatchObject({ status: "upcoming", flash_sale: { id: last.id } });
    other.now = later.endsAt;
    expect(await status()).toMatchObject({ status: "ended", flash_sale: { id: last.id } });
    await shop.stop();
  });
});

describe("sales", () => {
  const salePage = z.object({
    flash_sales: z.array(flashSaleShape),
    next_after: z.int().nullable(),
  });

  test("are listed by what they are, with their items and figures", async () => {
    const open = await openSale([2, 5], 2);
    await ann.reserve(open.id, 1);
    await bob.buy(open.id, open.items[1]?.product_id ?? 0, 2);
    const [shown] = read(
      await nobody.get("/api/flash-sales?status=active&limit=1"),
      salePage,
    ).flash_sales;
    expect(shown).toMatchObject({ id: open.id, stock: 7, sold: 2, reserved: 1, available: 4 });
    expect(shown?.items).toMatchObject([
      { id: 1, stock: 2, available: 1, sold: 0, price_cents: 500 },
      { id: 2, stock: 5, available: 3, sold: 2 },
    ]);
    const all = read(await nobody.get("/api/flash-sales?limit=1"), salePage);
    expect(all.next_after).toBe(all.flash_sales[0]?.id ?? -1);
    for (const state of ["upcoming", "ended"]) {
      const page = read(await nobody.get(`/api/flash-sales?status=${state}`), salePage);
      expect(page.flash_sales.filter(({ status }) => status !== state)).toEqual([]);
    }
    expect(told(await nobody.get("/api/flash-sales?status=open"))).toBe("400 invalid_request");
  });

  test("of the hour are none of the shop", async () => {
    const { id } = await front.client.openSale();
    expect(told(await nobody.get(`/api/flash-sales/${id}`))).toBe("404 sale_not_found");
    expect(told(await ann.reserve(id, 1))).toBe("404 sale_not_found");
    expect(told(await ann.buy(id, 1))).toBe("404 sale_not_found");
    // Administrators change it all the same, but do not withdraw it.
    expect(told(await admin.ask("PATCH", `/api/admin/flash-sales/${id}`, { title: "Mine" }))).toBe(
      "200",
    );
    expect((await front.client.openSale()).title).toBe("Mine");
    expect(told(await admin.ask("DELETE", `/api/admin/flash-sales/${id}`))).toStartWith("4");
  });
});

const path = (product: number): string => `/api/purchases/check-product/${product}`;

test("what an account has bought", async () => {
  const eve = await front.person("eve");
  const sale = await openSale([9, 9], 4);
  const [first = 0, second = 0] = sale.items.map((item) => item.product_id);
  const orders = [];
  for (const [product, quantity] of [
    [first, 1],
    [second, 2],
    [first, 1],
  ] as const) {
    orders.unshift(read(await eve.buy(sale.id, product, quantity), orderShape));
  }
  const history = z.object({
    purchases: z.array(orderShape.omit({ message: true, replayed: true })),
    next_after: z.int().nullable(),
  });
  const page = read(await eve.get("/api/purchases/my-purchases?limit=2"), history);
  const rest = `/api/purchases/my-purchases?limit=2&after=${page.next_after}`;
  const last = read(await eve.get(rest), history);
  expect(last.next_after).toBeNull();
  expect([...page.purchases, ...last.purchases]).toMatchObject(
    orders.map(({ order_id, codes, product_id, quantity }) => ({
      order_id,
      codes,
      product_id,
      quantity,
    })),
  );
  expect(read(await bob.get("/api/purchases/my-purchases"), history).purchases).not.toContainEqual(
    expect.objectContaining({ order_id: orders[0]?.order_id ?? "" }),
  );
  const check = z.looseObject({ purchased: z.boolean(), quantity: z.int() });
  expect(read(await eve.get(path(first)), check)).toMatchObject({ purchased: true, quantity: 2 });
  const none = await newProduct(admin, "Never bought");
  expect(read(await eve.get(path(none)), check)).toMatchObject({ purchased: false, quantity: 0 });
  expect(told(await eve.get(path(999_999)))).toBe("404 product_not_found");
  expect(told(await nobody.get(path(first)))).toBe("401 unauthenticated");
  expect(told(await nobody.get("/api/purchases/my-purchases"))).toBe("401 unauthenticated");
});

test("a page of sales ends early where they have many items, and the next one goes on", async () => {
  const products = await front.sql<{ id: number }[]>`
    insert into products (name, picture_seed, price_cents)
    select 'One of many', n::text, 100 from generate_series(1, ${pageItemsMax}::int) n
    returning id`;
  const items = products.map(({ id }) => ({ product: id, stock: 1 }));
  const window = { startsAt: clock.now + minuteMs, endsAt: clock.now + 2 * minuteMs };
  const whole = await newSale(admin, { ...window, items });
  const half = await newSale(admin, { ...window, items: items.slice(pageItemsMax / 2) });
  const page = z.object({
    flash_sales: z.array(flashSaleShape),
    next_after: z.int().nullable(),
  });
  const ask = async (query: string) =>
    read(await nobody.get(`/api/flash-sales?status=upcoming&${query}`), page);
  const first = await ask("limit=50");
  expect(first.flash_sales.map(({ id }) => id)).toEqual([half.id]);
  expect(first.next_after).toBe(half.id);
  const second = await ask(`limit=50&after=${first.next_after}`);
  expect(second.flash_sales[0]?.id).toBe(whole.id);
});
