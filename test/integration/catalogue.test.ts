/**
 * A whole sale at once, and the list of sales: that they say what the pages of items and
 * `/sales/{id}` say, that no change is lost between what is free and the events, and what of
 * it may be kept.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { takesGzip } from "../../src/http/compressed.ts";
import type { Client } from "../support/client.ts";
import {
  accepted,
  availability,
  itemPage,
  refused,
  saleList,
  wholeCatalogue,
} from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { EventStream, stockNews } from "../support/sse.ts";
import { newProduct, newSale, openStorefront, wishBody } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const hourMs = 3_600_000;
const items = 300;

let server: TestServer;
let client: Client;
let id: number;

beforeAll(async () => {
  server = await startServer({
    DATABASE_URL: await postgres.newRecords(),
    SALE_ITEMS: String(items),
    SALE_PER_USER_LIMIT: "1000",
  });
  ({ client } = server);
  ({ id } = await client.openSale());
});

const itemsOf = async (sale: number, of = client) =>
  accepted(await of.get(`/sales/${sale}/items?limit=500`), itemPage).items;
const catalogueOf = async (sale: number, of = client) =>
  accepted(await of.get(`/sales/${sale}/catalogue`), wholeCatalogue);
const availabilityOf = async (sale: number, of = client) =>
  accepted(await of.get(`/sales/${sale}/availability`), availability);

/** As it is sent, not decompressed. */
async function sent(path: string, headers: Record<string, string>, method = "GET") {
  const answer = await fetch(server.url + path, { method, headers, decompress: false });
  return { status: answer.status, headers: answer.headers, bytes: await answer.bytes() };
}

describe("a whole catalogue", () => {
  test("says what its pages say", async () => {
    const whole = await catalogueOf(id);
    const shown = whole.names.map((name, i) => ({
      id: i + 1,
      name,
      image_url: whole.image_url.replace("{id}", String(i + 1)),
      price_cents: whole.price_cents[i] ?? -1,
      colour: whole.palette[whole.colours[i] ?? -1] ?? "",
      stock: whole.stock[i] ?? -1,
    }));
    const wanted = (await itemsOf(id)).map(({ available: _available, ...rest }) => rest);
    expect(shown).toEqual(wanted);
    expect(shown.length).toBe(items);
    expect(whole.sale_id).toBe(id);
  });

  test("is for ever the same by its opening and its stock, and sent compressed to who takes it", async () => {
    const { starts_at: start, stock } = await client.openSale();
    const path = `/sales/${id}/catalogue?of=${Date.parse(start)}-${stock}`;
    const packed = await sent(path, { "Accept-Encoding": "gzip" });
    expect(packed.headers.get("Content-Encoding")).toBe("gzip");
    expect(packed.headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
    expect(packed.headers.get("Vary")).toBe("Accept-Encoding");
    const plain = await sent(path, { "Accept-Encoding": "br, gzip;q=0" });
    expect(plain.headers.get("Content-Encoding")).toBeNull();
    expect(Buffer.from(Bun.gunzipSync(packed.bytes)).equals(plain.bytes)).toBe(true);
    expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 2);
    const head = await sent(path, { "Accept-Encoding": "gzip" }, "HEAD");
    expect(head.headers.get("ETag")).toBe(packed.headers.get("ETag"));
    expect(head.headers.get("Content-Length")).toBe(String(packed.bytes.length));
    expect(head.bytes.length).toBe(0);
  });

  test("that the client has is not sent again", async () => {
    const path = `/sales/${id}/catalogue`;
    const tag = (await sent(path, {})).headers.get("ETag") ?? "";
    for (const match of [tag, `"other", ${tag}`, tag.replace("W/", ""), "*"]) {
      const { status, bytes } = await sent(path, { "If-None-Match": match });
      expect({ match, status, length: bytes.length }).toEqual({ match, status: 304, length: 0 });
    }
    expect((await sent(path, { "If-None-Match": '"other"' })).status).toBe(200);
  });

  test("of 10,000 items is less than 100 kB as it is sent, what is free less than 5", async () => {
    const settings = { DATABASE_URL: await postgres.newRecords(), SALE_ITEMS: "10000" };
    await using large = await startServer(settings);
    const sizes = await inTurn(["catalogue", "availability"], async (what) => {
      const headers = { "Accept-Encoding": "gzip" };
      const answer = await fetch(`${large.url}/sales/1/${what}`, { headers, decompress: false });
      return (await answer.bytes()).length;
    });
    expect(sizes[0]).toBeLessThan(100_000);
    expect(sizes[1]).toBeLessThan(5_000);
  });

  test.each([
    [null, false],
    ["", false],
    ["gzip", true],
    ["GZIP;q=1.0", true],
    ["br, deflate", false],
    ["*", true],
    ["*;q=0", false],
    ["gzip;q=0, *", false],
    ["identity, gzip; q=0.001", true],
    ["xgzip", false],
  ])("is compressed for Accept-Encoding %p: %p", (header, taken) => {
    expect(takesGzip(header)).toBe(taken);
  });
});

const stockWithItems = stockNews.extend({ items: z.array(z.tuple([z.int(), z.int()])) });

/** Free units as a client knows them that has read them and goes on by the events. */
class Wall {
  readonly free = new Map<number, number>();

  take(data: unknown): void {
    const { items: changed } = stockWithItems.parse(data);
    for (const [item, units] of changed) this.free.set(item, units);
  }

  async followTo(stream: EventStream, reserved: number): Promise<void> {
    await stream.upTo(({ event, data }) => {
      if (event !== "stock") return false;
      this.take(data);
      return stockNews.parse(data).reserved === reserved;
    });
  }
}

describe("what is free", () => {
  test("says what the items say, and adds up", async () => {
    const { code } = await client.reserve("ann", 7);
    const reserved = (await client.sale(id)).reserved;
    const told = await until("the event", async () => {
      const one = await availabilityOf(id);
      return one.reserved === reserved && one;
    });
    expect(told.free).toEqual((await itemsOf(id)).map(({ available }) => available));
    expect(told.free[6]).toBe(0);
    expect(told.free.reduce((sum, units) => sum + units, 0)).toBe(told.available);
    expect(told.available + told.reserved + told.sold).toBe(items);
    await client.release(code);
  });

  test("is never kept by anybody, and compressed to who takes it", async () => {
    const { headers, bytes } = await sent(`/sales/${id}/availability`, {
      "Accept-Encoding": "gzip",
    });
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("ETag")).toBeNull();
    expect(
      availability.parse(JSON.parse(Buffer.from(Bun.gunzipSync(bytes)).toString())).sale_id,
    ).toBe(id);
  });

  test("goes on with the events after the one that it names, under a flood", async () => {
    const flood = new AbortController();
    const codes: string[] = [];
    const flooding = (async () => {
      while (!flood.signal.aborted) {
        const { code, item } = await client.reserve("flood");
        if (item.id % 3 === 0) await client.release(code);
        else codes.push(code);
        if (codes.length > items / 2) await client.release(codes.shift() ?? "");
      }
    })();
    let seen: string | null = null;
    const walls = await inTurn(upTo(6), async () => {
      const { free, last_event_id: last } = await until("another event", async () => {
        const told = await availabilityOf(id);
        return told.last_event_id !== seen && told;
      });
      seen = last;
      expect(last).toMatch(/^\d+-\w+-\d+$/);
      const wall = new Wall();
      free.forEach((units, i) => wall.free.set(i + 1, units));
      return { wall, stream: await EventStream.open(server.url, last ?? "") };
    });
    flood.abort();
    await flooding;
    // As many held as no event so far can have told of.
    await inTurn(codes.splice(0), (code) => client.release(code));
    const held = items / 2 + 2;
    await inTurn(upTo(held), async () => codes.push((await client.reserve("last")).code));
    const wanted = (await itemsOf(id)).map(({ available }) => available);
    await inTurn(walls, async ({ wall, stream }) => {
      await wall.followTo(stream, held);
      expect([...wall.free.values()]).toEqual(wanted);
      stream.close();
    });
    await inTurn(codes, (code) => client.release(code));
  });

  test("has in it all that was said to who listens already and asks then", async () => {
    const taken: string[] = [];
    const walls = await inTurn(upTo(6), async () => {
      const stream = await EventStream.open(server.url);
      taken.push((await client.reserve("listener")).code);
      // The event that tells of it: what is asked for now must have it in it.
      await stream.upTo(
        ({ event, data }) => event === "stock" && stockNews.parse(data).reserved === taken.length,
      );
      const wall = new Wall();
      const { free } = await availabilityOf(id);
      free.forEach((units, i) => wall.free.set(i + 1, units));
      return { wall, stream };
    });
    taken.push((await client.reserve("listener")).code);
    const reserved = taken.length;
    const wanted = (await itemsOf(id)).map(({ available }) => available);
    await inTurn(walls, async ({ wall, stream }) => {
      await wall.followTo(stream, reserved);
      expect([...wall.free.values()]).toEqual(wanted);
      stream.close();
    });
    await inTurn(taken, (code) => client.release(code));
  });
});

test("of an open hourly sale that gets units has them, and is kept by nobody for what it was", async () => {
  const clock = new Clock(Math.floor(Date.now() / hourMs) * hourMs + hourMs / 3);
  const front = await openStorefront(await postgres.newRecords(), clock);
  const admin = await front.person("boss", "admin");
  const { id: sale, starts_at: start } = await front.client.openSale();
  const cached = async (of: string) => {
    const answer = await front.client.get(`/sales/${sale}/catalogue${of}`);
    const [units] = accepted(answer, wholeCatalogue).stock;
    return [units, answer.headers.get("Cache-Control")];
  };
  const [before, after] = [5, 9].map((stock) => `?of=${Date.parse(start)}-${stock}`);
  const forEver = "public, max-age=31536000, immutable";
  expect(await cached("")).toEqual([1, "no-cache"]);
  expect(await cached(before ?? "")).toEqual([1, forEver]);
  const path = `/api/admin/flash-sales/${sale}/restock`;
  expect((await admin.post(path, { item_id: 1, units: 4 })).status).toBe(200);
  expect(await cached("")).toEqual([5, "no-cache"]);
  expect(await cached(before ?? "")).toEqual([5, "no-cache"]);
  expect(await cached(after ?? "")).toEqual([5, forEver]);
  await front.stop();
});

describe("of product sales", () => {
  test("the same is to be seen as by their items, and a change before the opening at once", async () => {
    const clock = new Clock(Math.floor(Date.now() / hourMs) * hourMs + hourMs / 3);
    const front = await openStorefront(await postgres.newRecords(), clock);
    const admin = await front.person("boss", "admin");
    const product = await newProduct(admin, "Lamp");
    const wish = { startsAt: clock.now + hourMs, endsAt: clock.now + 2 * hourMs };
    const announced = [{ product, stock: 3 }];
    const sale = (await newSale(admin, { ...wish, items: announced })).id;
    const first = await front.client.get(`/sales/${sale}/catalogue`);
    expect(accepted(first, wholeCatalogue)).toMatchObject({ names: ["Lamp"], stock: [3] });
    // Its items may yet change: whoever has it asks again.
    expect(first.headers.get("Cache-Control")).toBe("no-cache");
    expect(await availabilityOf(sale, front.client)).toEqual({
      sale_id: sale,
      last_event_id: null,
      sold: 0,
      reserved: 0,
      available: 3,
      free: [3],
    });
    const other = await newProduct(admin, "Chair");
    const items2 = [...announced, { product: other, stock: 5 }];
    const changed = wishBody({ ...wish, items: items2 });
    expect((await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, changed)).status).toBe(200);
    expect(await catalogueOf(sale, front.client)).toMatchObject({
      names: ["Lamp", "Chair"],
      stock: [3, 5],
    });
    clock.now += 2_000;
    expect((await availabilityOf(sale, front.client)).free).toEqual([3, 5]);
    expect((await itemsOf(sale, front.client)).map(({ name }) => name)).toEqual(["Lamp", "Chair"]);

    const both = accepted(await front.client.get("/sales"), saleList).sales;
    expect(both.map(({ kind }) => kind)).toEqual(["product", "hourly"]);
    await inTurn(both, async (one) => expect(one).toEqual(await front.client.sale(one.id)));
    const one = async (query: string) =>
      accepted(await front.client.get(`/sales?${query}`), saleList);
    expect((await one("kind=hourly")).sales.map(({ kind }) => kind)).toEqual(["hourly"]);
    expect((await one("kind=product")).sales.map((each) => each.id)).toEqual([sale]);
    expect(await one("limit=1")).toMatchObject({ sales: [{ id: sale }], next_before: sale });
    expect((await one(`limit=1&before=${sale}`)).next_before).toBeNull();
    expect(await one("before=1")).toEqual({ sales: [], next_before: null });
    await front.stop();
  });
});

test("the list of sales says of each what it says itself, open, closed and long over", async () => {
  const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
  const shop = await openShop(await postgres.newRecords(), { clock });
  for (const hour of [10, 11, 12, 13]) {
    clock.now = Date.parse(`2030-05-05T${hour}:05:00Z`);
    await until("the hour's sale", async () => {
      const answer = await shop.client.get("/sale");
      return answer.text.includes(`T${hour}:00:00.000Z","ends_at`);
    });
    await shop.client.reserveAndBuy("ann");
    if (hour === 10) await shop.client.reserveAndBuy("ann");
    await shop.client.reserve("bob");
    await shop.client.checkout("eve", 999);
  }
  const same = async () => {
    const { sales, next_before } = accepted(await shop.client.get("/sales"), saleList);
    expect(next_before).toBeNull();
    const ids = sales.map((one) => one.id);
    expect(ids).toEqual(ids.toSorted((a, b) => b - a));
    await inTurn(sales, async (one) => expect(one).toEqual(await shop.client.sale(one.id)));
    return sales;
  };
  // That of 12 has ended five minutes ago, those before it are long over.
  await until("the others' settling", () =>
    shop.writer().read((view) => view.sales().length === 2),
  );
  const sales = await same();
  expect(sales.map(({ status, sold, attempts }) => [status, sold, attempts])).toEqual([
    ["open", 1, 4],
    ["closed", 1, 4],
    ["closed", 1, 4],
    ["closed", 2, 6],
  ]);
  expect(sales.map(({ reserved }) => reserved)).toEqual([1, 0, 0, 0]);
  // Again, when those long over need not be counted any more.
  expect(await same()).toEqual(sales);
  const last = sales.at(-1)?.id ?? 0;
  expect(accepted(await shop.client.get(`/sales?before=${last + 1}`), saleList).sales).toEqual(
    sales.slice(-1),
  );
  await shop.stop();
});

const paths = () => ["/sales", `/sales/${id}/catalogue`, `/sales/${id}/availability`];

describe("like all that is only read", () => {
  test("they answer HEAD, and no other method", async () => {
    await inTurn(paths(), async (path) => {
      const head = await client.ask("HEAD", path);
      expect([head.status, head.text]).toEqual([200, ""]);
      for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
        const answer = await client.ask(method, path);
        refused(answer, "method_not_allowed");
        expect(answer.headers.get("Allow")).toBe("GET, HEAD");
      }
    });
  });

  test("they take no harm from queries, and know no other sale", async () => {
    const strange = ["?", "?=", "?%ff=%ff", "?kind", `?${"x".repeat(8_000)}=1`, "?of=%00", "?&&&"];
    await inTurn(strange, async (query) => {
      await inTurn(paths().slice(1), async (path) => {
        expect((await client.get(path + query)).status).toBe(200);
      });
      expect([200, 400]).toContain((await client.get(`/sales${query}`)).status);
    });
    await inTurn(["catalogue", "availability"], async (what) => {
      refused(await client.get(`/sales/999/${what}`), "sale_not_found");
      refused(await client.get(`/sales/junk/${what}`), "sale_not_found");
    });
  });

  test.each([
    "kind=",
    "kind=x",
    "kind=hourly,product",
    "kind=%00",
    "kind=%ff",
    "kind=HOURLY",
    "before=0",
    "before=-1",
    "before=2147483648",
    "before=x",
    "before=1e3",
    "before=%00",
    "limit=0",
    "limit=101",
    "limit=1.5",
    "limit=",
  ])("a list of %s is refused", async (query) => {
    const answer = refused(await client.get(`/sales?${query}`), "invalid_request");
    expect(answer.detail).toContain(query.split("=")[0] ?? "");
  });

  test("a list is at most a hundred long", async () => {
    const largest = await client.get("/sales?limit=100&before=2147483647");
    expect(accepted(largest, saleList).sales.map((one) => one.id)).toEqual([id]);
  });
});
