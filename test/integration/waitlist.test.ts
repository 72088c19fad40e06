/**
 * Waiting lists: `POST|DELETE /sales/{id}/waitlist`, `GET …/waitlist/me`. Who waits is offered what
 * comes free before anybody else can have it, whatever frees it.
 */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { z } from "zod";
import { auditSale } from "../../src/store/audit.ts";
import { ledgerOf, pictureOf } from "../support/books.ts";
import { refused } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import {
  newKey,
  newPerson,
  newProduct,
  newSale,
  Person,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";
import {
  askToWait,
  codesOf,
  linesOf,
  offerOf,
  offersOf,
  pathOf,
  wait,
} from "../support/waitlist.ts";

const postgres = usePostgres();
const minute = 60_000;
const ttlMs = 2 * minute;
const opens = Date.parse("2030-05-05T10:00:00Z");

let url: string;
let clock: Clock;
let shop: Shop;
let admin: Person;
let people: Person[];
let saleId: number;
/** The next item of the sale that nobody has asked for. */
let item = 0;

beforeAll(async () => {
  url = await postgres.newRecords();
  clock = new Clock(opens + minute);
  shop = await openShop(url, { clock, terms: { items: 60, perUserLimit: 2 } });
  admin = await newPerson(shop.sql, shop.client, "boss", "admin");
  saleId = (await shop.client.openSale()).id;
});

let made = 0;
const person = (): Promise<Person> => newPerson(shop.sql, shop.client, `person ${(made += 1)}`);

beforeEach(async () => {
  item += 1;
  people = await inTurn(upTo(3), person);
});

const someone = (index: number): Person => {
  const of = people[index - 1];
  if (of === undefined) throw new Error(`nobody is number ${index}`);
  return of;
};

/** Reserved by a guest, whom nobody knows. */
const reserved = async (of = item) => (await shop.client.reserve(`guest ${of}`, of)).code;

const offered = (of: Person, sale = saleId) => until("an offer", () => offerOf(of, sale));

const sound = async () => expect(await auditSale(shop.sql, saleId)).toMatchObject({ ok: true });

/** What a new term would make of the records is what there is. */
const restores = async () => {
  const now = clock.now;
  const again = (await ledgerOf(shop.sql, now)).view(now);
  expect(again.linesOf(saleId, { kind: "account", userId: someone(1).name })).toEqual(
    await shop
      .writer()
      .read((view) => view.linesOf(saleId, { kind: "account", userId: someone(1).name })),
  );
  expect(pictureOf(again)).toEqual(await shop.writer().read(pictureOf));
};

describe("what comes free", () => {
  test("by being given back is reserved for who waits, and for nobody else", async () => {
    const code = await reserved();
    expect(await wait(someone(1), saleId, item)).toMatchObject([
      { item_id: item, ahead: 0, offer: null },
    ]);
    expect((await shop.client.release(code)).status).toBe(204);
    const offer = await offerOf(someone(1), saleId);
    expect(offer).toEqual({
      code: expect.any(String) as string,
      item_id: item,
      expires_at: new Date(clock.now + ttlMs).toISOString(),
    });
    expect(await offersOf(someone(1))).toEqual([offer?.code ?? ""]);
    const feed = await admin.get("/api/admin/feed?limit=500");
    const page = z.object({ events: z.array(z.looseObject({ type: z.string() })) });
    expect(read(feed, page).events.at(-1)).toMatchObject({
      type: "waitlist.offered",
      data: { sale_id: saleId, item_id: item, code: offer?.code ?? "", user_id: someone(1).name },
    });
    refused(await shop.client.checkout("eve", item), "item_reserved", "retry");
    await restores();
    expect((await someone(1).ask("POST", `/purchase?code=${offer?.code}`)).status).toBe(200);
    expect(await linesOf(someone(1), saleId)).toEqual([]);
    await sound();
  });

  test("by lapsing is offered, though nobody asks for anything", async () => {
    await reserved();
    await wait(someone(1), saleId, item);
    clock.now += ttlMs;
    expect((await offered(someone(1))).item_id).toBe(item);
    await restores();
  });

  test("by lapsing is not sold late any more", async () => {
    const code = await reserved();
    await wait(someone(1), saleId, item);
    clock.now += ttlMs;
    // Whether or not the offer has been made by then.
    refused(await shop.client.purchase(code), "code_expired");
    const { code: own } = await offered(someone(1));
    expect((await someone(1).ask("POST", `/purchase?code=${own}`)).status).toBe(200);
    await sound();
  });

  test("by a refund with restock, and by restock; not by a refund alone", async () => {
    const [one, other] = [await reserved(), await reserved((item += 1))];
    const order = (await shop.client.buy(one)).order_id;
    const gone = (await shop.client.buy(other)).order_id;
    await wait(someone(1), saleId, item - 1);
    await wait(someone(2), saleId, item);
    const refund = (of: string, restock: boolean) =>
      admin.post(`/api/admin/orders/${of}/refund`, { restock });
    expect((await refund(gone, false)).status).toBe(200);
    expect(await offerOf(someone(2), saleId)).toBeNull();
    expect((await refund(order, true)).status).toBe(200);
    expect((await offerOf(someone(1), saleId))?.item_id).toBe(item - 1);
    const restock = { item_id: item, units: 1 };
    const path = `/api/admin/flash-sales/${saleId}/restock`;
    expect((await admin.post(path, restock)).status).toBe(200);
    expect((await offerOf(someone(2), saleId))?.item_id).toBe(item);
    await restores();
    await sound();
  });

  test("goes to the first in line, for the item or for any", async () => {
    const code = await reserved();
    await inTurn([1, 2, 3], async (index) => await wait(someone(index), saleId, item));
    expect((await linesOf(someone(3), saleId))[0]?.ahead).toBe(2);
    await shop.client.release(code);
    expect(await offerOf(someone(1), saleId)).not.toBeNull();
    expect(await offerOf(someone(2), saleId)).toBeNull();
    expect((await linesOf(someone(3), saleId))[0]?.ahead).toBe(1);
  });
});

describe("an offer", () => {
  test("that lapses sends its line to the end, however often", async () => {
    const code = await reserved();
    await wait(someone(1), saleId, item);
    await wait(someone(2), saleId, item);
    await shop.client.release(code);
    // Who came while it was offered is before whoever lets it lapse.
    await wait(someone(3), saleId, item);
    const seen: string[] = [];
    for (const index of [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]) {
      const { code: offer } = await offered(someone(index));
      expect(seen).not.toContain(offer);
      seen.push(offer);
      clock.now += ttlMs;
    }
    // It comes by itself: until then something is about to be written.
    await offered(someone(1));
    await restores();
    await sound();
    // Alone in it, one is first again.
    await inTurn([1, 2], async (index) => await someone(index).ask("DELETE", pathOf(saleId)));
    for (let times = 0; times < 4; times += 1) {
      clock.now += ttlMs;
      expect(seen).not.toContain((await offered(someone(3))).code);
    }
    await someone(3).ask("DELETE", pathOf(saleId));
    clock.now += ttlMs;
    await shop.client.reserveAndBuy("late", item);
    await sound();
  });

  test("that is given back is left, and goes to the next", async () => {
    const code = await reserved();
    await wait(someone(1), saleId, item);
    await wait(someone(2), saleId, item);
    await shop.client.release(code);
    const first = await offered(someone(1));
    expect((await someone(1).ask("DELETE", `/checkout?code=${first.code}`)).status).toBe(204);
    expect(await linesOf(someone(1), saleId)).toEqual([]);
    expect((await offerOf(someone(2), saleId))?.item_id).toBe(item);
    await restores();
  });

  test("stays reserved for who leaves the line, and does not come again", async () => {
    const code = await reserved();
    await wait(someone(1), saleId, item);
    await shop.client.release(code);
    const { code: offer } = await offered(someone(1));
    expect((await someone(1).ask("DELETE", pathOf(saleId))).status).toBe(204);
    expect((await someone(1).ask("DELETE", pathOf(saleId))).status).toBe(204);
    expect(await linesOf(someone(1), saleId)).toEqual([]);
    expect(await codesOf(someone(1))).toEqual([offer]);
    clock.now += ttlMs;
    await shop.client.reserve("eve", item);
    expect(await codesOf(someone(1))).toEqual([]);
    await restores();
  });

  test("passes over whose limit is full, who keep their place", async () => {
    const code = await reserved();
    await wait(someone(1), saleId, item);
    await wait(someone(2), saleId, item);
    const own = await inTurn([1, 2], async (more) => {
      const answer = await someone(1).ask("POST", `/checkout?id=${item + more}`);
      return read(answer, z.object({ code: z.string() })).code;
    });
    await shop.client.release(code);
    const second = await offered(someone(2));
    expect(await linesOf(someone(1), saleId)).toMatchObject([{ ahead: 0, offer: null }]);
    await someone(2).ask("DELETE", `/checkout?code=${second.code}`);
    // Nobody else waits: it is free, until whose limit was full has less.
    expect((await shop.client.item(saleId, item)).available).toBe(1);
    await someone(1).ask("DELETE", `/checkout?code=${own[0]}`);
    expect((await offered(someone(1))).item_id).toBe(item);
    item += 2;
    await restores();
  });
});

describe("a place in line", () => {
  test("is one an item and buyer, told again", async () => {
    await reserved();
    expect(await wait(someone(1), saleId, item)).toHaveLength(1);
    const again = await askToWait(someone(1), saleId, item);
    expect(again.status).toBe(200);
    expect(await linesOf(someone(1), saleId)).toHaveLength(1);
  });

  test("is refused for what can be had, or is not there", async () => {
    const [one] = people;
    if (one === undefined) throw new Error("nobody is there");
    const ask = async (of: unknown, sale = saleId) => told(await askToWait(one, sale, of));
    expect(await ask(item)).toBe("409 available");
    expect(await ask("any")).toBe("409 available");
    // What somebody holds they have.
    await one.ask("POST", `/checkout?id=${item}`);
    expect(await ask(item)).toBe("409 available");
    expect(await ask(9_999)).toBe("404 item_not_found");
    expect(await ask(item, 999_999)).toBe("404 sale_not_found");
    expect(await ask(item, 3_000_000_000)).toBe("404 sale_not_found");
    for (const bad of [0, -1, 1.5, "some", "1", null, undefined, [1]]) {
      const answer = await one.post(pathOf(saleId), { item_id: bad });
      refused(answer, "invalid_request");
      expect(answer.text).toContain("item_id");
    }
    refused(await one.post(pathOf(saleId), { item_id: 1, more: 1 }), "invalid_request");
    expect(told(await one.ask("DELETE", pathOf(999_999)))).toBe("404 sale_not_found");
    expect(told(await one.get(`${pathOf(999_999)}/me`))).toBe("404 sale_not_found");
  });

  test("is for proven buyers: an account, a customer, a key that names one", async () => {
    await reserved();
    const guest = new Person("guest", shop.client, null);
    for (const [method, path] of [
      ["POST", pathOf(saleId)],
      ["DELETE", pathOf(saleId)],
      ["GET", `${pathOf(saleId)}/me`],
    ] as const) {
      const body = method === "POST" ? { item_id: item } : undefined;
      refused(await guest.ask(method, `${path}?user_id=ann`, body), "unauthenticated");
      expect(told(await someone(1).ask(method, `${path}?user_id=eve`, body))).toBe(
        "403 user_mismatch",
      );
    }
    const sells = await newKey(admin, "sell");
    const reads = await newKey(admin, "read");
    const path = `${pathOf(saleId)}?user_id=ann`;
    const body = JSON.stringify({ item_id: item });
    expect(told(await shop.client.ask("POST", path, { headers: reads, body }))).toBe(
      "403 forbidden",
    );
    refused(
      await shop.client.ask("POST", pathOf(saleId), { headers: sells, body }),
      "invalid_request",
    );
    const answer = await shop.client.ask("POST", path, { headers: sells, body });
    expect(answer.status).toBe(201);
    expect(answer.json()).toMatchObject({ user_id: "ann", buyer: "customer" });
    const named = JSON.stringify({ item_id: item, user_id: "ann" });
    const again = await shop.client.ask("POST", pathOf(saleId), { headers: sells, body: named });
    expect(again.status).toBe(200);
    await shop.client.ask("DELETE", path, { headers: sells });
  });

  test("says which field of a body is wrong, whoever is named in it", async () => {
    const headers = await newKey(admin, "sell");
    const neither = "item_id is neither a positive integer nor any";
    const wrong: [unknown, string][] = [
      [{ item_id: 0, user_id: "ann" }, neither],
      [{ item_id: "x", user_id: "ann" }, neither],
      [{ user_id: "ann" }, neither],
      [{ item_id: item, user_id: "ann", size: 1 }, "size is not a field of this body"],
    ];
    for (const [asked, detail] of wrong) {
      const body = JSON.stringify(asked);
      const answer = await shop.client.ask("POST", pathOf(saleId), { headers, body });
      expect(answer.json()).toMatchObject({ status: 400, detail });
    }
    expect((await askToWait(someone(1), saleId, 0)).json()).toMatchObject({ detail: neither });
  });

  test("is refused to who has bought all they may, and past ten of one sale", async () => {
    await inTurn([1, 2], async () => {
      const answer = await someone(1).ask("POST", `/checkout?id=${(item += 1)}`);
      const { code } = read(answer, z.object({ code: z.string() }));
      expect((await someone(1).ask("POST", `/purchase?code=${code}`)).status).toBe(200);
    });
    await reserved((item += 1));
    expect(told(await askToWait(someone(1), saleId, item))).toBe("409 user_limit_reached");
    const first = item + 1;
    await inTurn(upTo(11), async () => await reserved((item += 1)));
    await inTurn(upTo(10), async (n) => await wait(someone(2), saleId, first + n - 1));
    expect(told(await askToWait(someone(2), saleId, item))).toBe("409 too_many_lines");
    expect((await someone(2).ask("DELETE", pathOf(saleId))).status).toBe(204);
  });
});

describe("in a product sale", () => {
  test("whoever waits for any gets what comes free, and lines end with the sale", async () => {
    const product = await newProduct(admin, "Wanted");
    const window = { startsAt: clock.now - 1_000, endsAt: clock.now + 10 * minute };
    const { id } = await newSale(admin, { ...window, items: [{ product, stock: 1 }] });
    const held = await someone(1).reserve(id, 1);
    const { code } = read(held, z.object({ code: z.string() }));
    await wait(someone(2), id);
    expect((await someone(1).purchase(code)).status).toBe(200);
    // Sold out: whoever comes may wait still, until there is no sale any more.
    await wait(someone(3), id, 1);
    const path = `/api/admin/flash-sales/${id}/restock`;
    expect((await admin.post(path, { item_id: 1, units: 1 })).status).toBe(200);
    const { code: offer } = await offered(someone(2), id);
    // In one step, too.
    const bought = await someone(2).buy(id, product);
    expect(bought.status).toBe(200);
    expect(bought.json()).toMatchObject({ code: offer });
    expect(await linesOf(someone(2), id)).toEqual([]);
    expect((await admin.post(`/api/admin/flash-sales/${id}/close`, {})).status).toBe(200);
    expect(await linesOf(someone(3), id)).toEqual([]);
    expect(told(await askToWait(someone(1), id, 1))).toBe("409 sale_not_open");
    await sound();
  });
});

describe("through a process that stands by", () => {
  test("one waits, is offered what comes free, and buys it", async () => {
    const other = await openShop(url, { clock, terms: { items: 60, perUserLimit: 2 } });
    const there = new Person(someone(1).name, other.client, null);
    const away = { ...there, headers: someone(1).headers };
    const ask = Person.prototype.ask.bind(away);
    const code = await reserved();
    const joined = await ask("POST", pathOf(saleId), { item_id: item });
    expect(joined.status).toBe(201);
    expect(joined.json()).toMatchObject({ lines: [{ item_id: item, ahead: 0 }] });
    expect((await other.client.release(code)).status).toBe(204);
    const me = await ask("GET", `${pathOf(saleId)}/me`);
    const offer = await offerOf(someone(1), saleId);
    expect(me.json()).toMatchObject({ lines: [{ offer: { code: offer?.code ?? "" } }] });
    refused(await other.client.checkout("eve", item), "item_reserved", "retry");
    expect((await ask("POST", `/purchase?code=${offer?.code}`)).status).toBe(200);
    expect(told(await ask("POST", pathOf(saleId), { item_id: 9_999 }))).toBe("404 item_not_found");
    expect((await ask("DELETE", pathOf(saleId))).status).toBe(204);
    await other.stop();
  });
});

describe("while many want it", () => {
  test("what is given back goes to who waits, and to none who rush", async () => {
    for (const index of [1, 2, 3]) {
      const code = await reserved();
      await wait(someone(index), saleId, item);
      const rush = upTo(40).map((n) => shop.client.checkout(`rush ${n}`, item));
      const [back] = await Promise.all([shop.client.release(code), ...rush]);
      expect(back.status).toBe(204);
      for (const answer of await Promise.all(rush)) refused(answer, "item_reserved", "retry");
      expect((await offerOf(someone(index), saleId))?.item_id).toBe(item);
      item += 1;
    }
  });

  test("what lapses goes to who waits, and to none who rush or come late", async () => {
    const code = await reserved();
    await wait(someone(1), saleId, item);
    clock.now += ttlMs;
    const rush = upTo(40).map((n) => shop.client.checkout(`rush ${n}`, item));
    const late = upTo(10).map(() => shop.client.purchase(code));
    for (const answer of await Promise.all(rush)) refused(answer, "item_reserved", "retry");
    for (const answer of await Promise.all(late)) refused(answer, "code_expired");
    expect((await offered(someone(1))).item_id).toBe(item);
    await sound();
  });
});
