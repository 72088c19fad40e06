/** What administrators do in the shop, over HTTP: products, sales, and sales that are changed. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import {
  flashSaleShape,
  newProduct,
  newSale,
  openStorefront,
  type Person,
  quietClock,
  read,
  told,
  wishBody,
} from "../support/storefront.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let ann: Person;
let lamp: number;

beforeAll(async () => {
  clock = quietClock(10);
  front = await openStorefront(await postgres.newRecords(), clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
  lamp = await newProduct(admin, "Lamp");
});

const patch = (id: number, body: object) =>
  admin.ask("PATCH", `/api/admin/flash-sales/${id}`, body);
const shown = async (id: number) => read(await ann.get(`/api/flash-sales/${id}`), flashSaleShape);
const iso = (ms: number): string => new Date(ms).toISOString();

test("every path of theirs is for administrators alone", async () => {
  for (const [method, path] of [
    ["POST", "products"],
    ["PATCH", "products/1"],
    ["DELETE", "products/1"],
    ["POST", "flash-sales"],
    ["PATCH", "flash-sales/1"],
    ["POST", "flash-sales/1/close"],
    ["GET", "stats"],
    ["GET", "attempts"],
    ["GET", "sales/1/attempts.csv"],
    ["GET", "sales/1/purchases.csv"],
    ["GET", "sales/1/curve"],
  ] as const) {
    const address = `/api/admin/${path}`;
    expect([path, told(await ann.ask(method, address))]).toEqual([path, "403 forbidden"]);
    expect(told(await front.client.ask(method, address))).toBe("401 unauthenticated");
  }
});

describe("products", () => {
  test("are made, changed and taken out of the shop", async () => {
    const made = await admin.post("/api/admin/products", {
      name: "Kettle",
      description: "Whistles.\nSometimes.",
      price_cents: 1_999,
    });
    const { id } = read(made, z.object({ id: z.int() }), 201);
    expect(made.headers.get("Location")).toBe(`/api/products/${id}`);
    const path = `/api/admin/products/${id}`;
    const changed = await admin.ask("PATCH", path, { price_cents: 0, name: "Pot" });
    expect(changed.json()).toMatchObject({
      name: "Pot",
      description: "Whistles.\nSometimes.",
      price_cents: 0,
    });
    expect((await ann.get(`/api/products/${id}`)).json()).toEqual(changed.json());
    expect(told(await admin.ask("DELETE", path))).toBe("204");
    expect(told(await admin.ask("DELETE", path))).toBe("404 product_not_found");
    expect(told(await admin.ask("PATCH", path, { name: "X" }))).toBe("404 product_not_found");
    expect(told(await ann.get(`/api/products/${id}`))).toBe("404 product_not_found");
    expect(told(await ann.get(`/api/products/${id}/image.svg`))).toBe("200");
  });

  test("are refused with the name of the field", async () => {
    const good = { name: "A", description: "", price_cents: 1 };
    for (const [bad, field] of [
      [{ ...good, name: " " }, "name is blank"],
      [{ ...good, name: undefined }, "name is missing"],
      [{ ...good, name: "x".repeat(256) }, "name has more than 255 characters"],
      [{ ...good, name: "a\0b" }, "name contains"],
      [{ ...good, description: "\ud800" }, "description holds"],
      [{ ...good, price_cents: -1 }, "price_cents is not an integer"],
      [{ ...good, price_cents: 1.5 }, "price_cents is not an integer"],
      [{ ...good, price_cents: 2 ** 31 }, "price_cents is not an integer"],
    ] as const) {
      const answer = await admin.post("/api/admin/products", bad);
      expect(told(answer)).toBe("400 invalid_request");
      expect(answer.json()).toMatchObject({ detail: expect.stringContaining(field) });
    }
    expect(told(await admin.ask("PATCH", `/api/admin/products/${lamp}`, {}))).toBe(
      "400 invalid_request",
    );
  });

  test("stay while a sale has them", async () => {
    const product = await newProduct(admin, "Wanted");
    const items = [{ product, stock: 1 }];
    const window = { startsAt: clock.now + minuteMs, endsAt: clock.now + 2 * minuteMs };
    const sale = await newSale(admin, { ...window, items });
    const path = `/api/admin/products/${product}`;
    expect(told(await admin.ask("DELETE", path))).toBe("409 product_in_sale");
    expect(
      told(await patch(sale.id, { items: [{ product_id: lamp, stock: 1, price_cents: 1 }] })),
    ).toBe("200");
    expect(told(await admin.ask("DELETE", path))).toBe("204");
    expect(told(await admin.post("/api/admin/flash-sales", wishBody({ ...window, items })))).toBe(
      "404 product_not_found",
    );
  });
});

describe("announcing a sale", () => {
  test("takes what the contract says, and nothing else", async () => {
    const good = wishBody({
      startsAt: clock.now + minuteMs,
      endsAt: clock.now + 2 * minuteMs,
      items: [{ product: lamp, stock: 1 }],
    });
    const [item] = good.items;
    const many = Array.from({ length: 1_001 }, (_, i) => ({ ...item, product_id: i + 1 }));
    for (const [bad, detail] of [
      [{ ...good, title: "" }, "title is blank"],
      [{ ...good, starts_at: "tomorrow" }, "starts_at is not a time"],
      [{ ...good, starts_at: clock.now }, "starts_at is not a time"],
      [{ ...good, ends_at: good.starts_at }, "ends_at is not after starts_at"],
      [{ ...good, starts_at: iso(clock.now - minuteMs - 1) }, "more than a minute ago"],
      [
        { ...good, starts_at: iso(clock.now - 2), ends_at: iso(clock.now - 1) },
        "ends_at is over already",
      ],
      [{ ...good, per_user_limit: 0 }, "per_user_limit is not an integer"],
      [{ ...good, items: [] }, "items is empty"],
      [{ ...good, items: many }, "items has more than 1000 entries"],
      [{ ...good, items: [item, item] }, "items names a product twice"],
      [{ ...good, items: [{ ...item, stock: 0 }] }, "items.0.stock is not an integer"],
      [{ ...good, items: [{ ...item, stock: 1_000_001 }] }, "items.0.stock is not an integer"],
      [{ ...good, items: [{ ...item, price_cents: -1 }] }, "items.0.price_cents is not"],
      [{ ...good, items: "all" }, "items is not a list"],
    ] as const) {
      const answer = await admin.post("/api/admin/flash-sales", bad);
      expect([detail, told(answer)]).toEqual([detail, "400 invalid_request"]);
      expect(answer.json()).toMatchObject({ detail: expect.stringContaining(detail) });
    }
    const offset = { ...good, starts_at: iso(clock.now).replace("Z", "+00:00") };
    const made = read(await admin.post("/api/admin/flash-sales", offset), flashSaleShape, 201);
    expect(made).toMatchObject({ status: "active", per_user_limit: 1, available: 1 });
  });

  test("keeps the products' names as they were", async () => {
    const product = await newProduct(admin, "Old name");
    const window = { startsAt: clock.now, endsAt: clock.now + minuteMs };
    const sale = await newSale(admin, { ...window, items: [{ product, stock: 1 }] });
    await admin.ask("PATCH", `/api/admin/products/${product}`, { name: "New name" });
    expect((await shown(sale.id)).items[0]?.name).toBe("Old name");
  });
});
