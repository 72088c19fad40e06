/**
 * Clocks that are set: by milliseconds, as NTP does, and by hours, as hands do; back and forth, for
 * a moment and for good. What a buyer is told does not hang on it, and no journal that comes of it
 * cannot be read.
 */
import { afterAll, describe, expect, spyOn, test } from "bun:test";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { keptMs, LedgerClock, smallMaxMs } from "../../src/engine/clock.ts";
import { ledgerOf } from "../support/books.ts";
import type { Client } from "../support/client.ts";
import { accepted, currentSale, refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import {
  Clock,
  KeptLog,
  openShop,
  smallSale,
  type Shop,
  type ShopOptions,
} from "../support/shop.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const twentyToEleven = Date.parse("2030-05-05T10:40:00Z");
const hourMs = 3_600_000;
const { reservationTtlMs: ttlMs } = smallSale;

const looking = spyOn(LedgerClock.prototype, "look");
afterAll(() => looking.mockRestore());

/** Resolves once the engine has looked at the clock again, from the beginning to the end. */
async function aLook(): Promise<void> {
  const looks = looking.mock.calls.length;
  await until("a look at the clock", () => looking.mock.calls.length >= looks + 2);
}

async function openAt1040(options: Partial<ShopOptions> = {}) {
  const clock = new Clock(twentyToEleven);
  const log = new KeptLog();
  const url = await postgres.newRecords();
  const shop = await openShop(url, { clock, log, ...options });
  return { clock, log, url, shop, client: shop.client };
}

const readiness = z.object({
  epoch: z.int(),
  clock: z.object({ difference_ms: z.int(), warning: z.string().nullable() }),
});
const ready = async (client: Client) => accepted(await client.get("/ready"), readiness);

async function differenceOf(client: Client): Promise<number> {
  const { text } = await client.get("/metrics");
  return Number(/^stampede_clock_difference_seconds (\S+)$/m.exec(text)?.[1]);
}

/** The records can be read back, by the audit and by a term that begins now. */
async function expectReadable(url: string, now: number): Promise<void> {
  const sql = lookInto(url);
  const said: string[] = [];
  expect({ sound: await verify(sql, undefined, (line) => said.push(line)), said }).toEqual({
    sound: true,
    said,
  });
  expect((await ledgerOf(sql, now)).check()).toEqual([]);
}

/** The start of the hourly sale that is open. */
const openSince = async (client: Client): Promise<string | undefined> =>
  accepted(await client.get("/sale"), currentSale).current?.starts_at.slice(11, 16);

const startsAt = (shop: Shop, hour: string) =>
  until(`the sale of ${hour}`, async () => (await openSince(shop.client)) === hour);

describe("a clock that steps back by 5 ms, as it does under NTP,", () => {
  const reads = [
    "/sale",
    "/api/products",
    "/api/flash-sales/status",
    "/sales/1/items",
    "/sales/1/availability",
    "/metrics",
  ];

  test("after somebody looked and before somebody buys, leaves a journal that is read", async () => {
    const { clock, url, shop, client } = await openAt1040({ terms: { items: 1 } });
    await inTurn(reads, async (path, round) => {
      await client.reserve(`ann ${round}`, 1);
      clock.now += ttlMs;
      clock.ahead = 0;
      expect((await client.get(path)).status).toBe(200);
      clock.ahead = -5;
      const { code } = await client.reserve(`bob ${round}`, 1);
      await client.release(code);
      await expectReadable(url, clock.now);
    });
    await shop.stop();
    const again = await openShop(url, { clock });
    await again.client.reserveAndBuy("carl", 1);
    await again.stop();
  });

  test("between two terms takes nothing back", async () => {
    const { clock, url, shop, client } = await openAt1040({ terms: { items: 1 } });
    await client.reserve("ann", 1);
    clock.now += ttlMs;
    const { code } = await client.reserve("bob", 1);
    await shop.stop();
    clock.ahead = -5;
    const again = await openShop(url, { clock });
    refused(await again.client.checkout("ann", 1), "item_reserved", "retry");
    await again.client.buy(code);
    await expectReadable(url, clock.now);
    await again.stop();
  });
});

describe("a clock that is three hours ahead", () => {
  test("for six seconds goes unnoticed by buyers, and is told to whoever runs it", async () => {
    const { clock, log, url, shop, client } = await openAt1040();
    const before = await client.reserve("ann", 1);
    clock.ahead = 3 * hourMs;
    await aLook();
    const during = await client.reserve("bob", 2);
    expect(during.sale_id).toBe(before.sale_id);
    expect(during.expires_at).toBe(before.expires_at);
    const { now, current } = accepted(await client.get("/sale"), currentSale);
    expect([now, current?.id]).toEqual(["2030-05-05T10:40:00.000Z", before.sale_id]);
    expect((await ready(client)).clock).toEqual({
      difference_ms: 3 * hourMs,
      warning: "The machine's clock is 10800 s ahead of the time that sales go by.",
    });
    expect(await differenceOf(client)).toBe(3 * 3_600);
    clock.now += 6_000;
    await aLook();
    expect(await openSince(client)).toBe("10:00");
    clock.ahead = 0;
    await aLook();
    expect((await ready(client)).clock).toEqual({ difference_ms: 0, warning: null });
    // Longer than it takes to follow a clock that stays: it did not.
    clock.now += keptMs;
    await aLook();
    expect(await openSince(client)).toBe("10:00");
    expect(log.said("warn")).toEqual(["the machine's clock was set; waiting whether it stays so"]);
    // The hold runs out when it was said to.
    clock.now = Date.parse(before.expires_at) - 1;
    refused(await client.checkout("eve", 1), "item_reserved", "retry");
    clock.now += 1;
    await client.reserve("eve", 1);
    await client.buy(during.code);
    await shop.stop();
    await expectReadable(url, clock.now);
    const again = await openShop(url, { clock });
    expect(await openSince(again.client)).toBe("10:00");
    await again.client.reserveAndBuy("dora", 3);
    await again.stop();
  });

  test("and stays so is followed, with a warning", async () => {
    const { clock, log, url, shop, client } = await openAt1040();
    await client.reserve("ann", 1);
    const bought = await client.reserveAndBuy("bob", 2);
    clock.ahead = 3 * hourMs;
    await aLook();
    clock.now += keptMs - 1;
    await aLook();
    expect(await openSince(client)).toBe("10:00");
    expect((await ready(client)).clock.warning).toContain("10800 s ahead");
    clock.now += 1;
    const followed = "the machine's clock has stayed far off; beginning anew with it";
    await until("its being followed", () => log.said("warn")[1] === followed);
    await until(
      "a new term",
      () => shop.engine.role.name === "leader" && shop.engine.role.epoch === 2,
    );
    await startsAt(shop, "13:00");
    expect((await ready(client)).clock).toEqual({ difference_ms: 0, warning: null });
    expect(await differenceOf(client)).toBe(0);
    await client.reserveAndBuy("carl", 1);
    expect(await client.buy(bought.code)).toEqual({ ...bought, replayed: true });
    await shop.stop();
    await expectReadable(url, clock.wall());
  });

  test("is set right while the program is down: it starts, and sells in the present hour", async () => {
    const { clock, url, shop, client } = await openAt1040();
    await client.reserve("early", 1);
    await shop.stop();
    clock.ahead = 3 * hourMs;
    const ahead = await openShop(url, { clock });
    expect(await openSince(ahead.client)).toBe("13:00");
    const bought = await ahead.client.reserveAndBuy("ann", 1);
    const held = await ahead.client.reserve("ann", 2);
    await ahead.stop();
    // The journal ends in the future now.
    clock.ahead = 0;
    const right = await openShop(url, { clock });
    expect(await openSince(right.client)).toBe("10:00");
    await right.client.reserveAndBuy("bob", 2);
    // Two minutes have not passed: what was reserved is what it was.
    refused(await right.client.checkout("carl", 1), "item_reserved", "retry");
    clock.now += ttlMs;
    await right.client.reserveAndBuy("carl", 1);
    expect(await right.client.buy(bought.code)).toEqual({ ...bought, replayed: true });
    expect(await right.client.sale(bought.sale_id)).toMatchObject({ status: "upcoming", sold: 1 });
    expect((await right.client.release(held.code)).status).toBe(204);
    await right.stop();
    await expectReadable(url, clock.now);
    const again = await openShop(url, { clock });
    await again.client.reserveAndBuy("dora", 3);
    await again.stop();
  });
});

describe("a clock that is set back", () => {
  test("for good by hours begins a new term, which sells", async () => {
    const { clock, log, url, shop, client } = await openAt1040();
    const held = await client.reserve("ann", 1);
    const bought = await client.reserveAndBuy("bob", 2);
    clock.ahead = -3 * hourMs;
    await aLook();
    expect(await openSince(client)).toBe("10:00");
    expect((await ready(client)).clock.warning).toContain("10800 s behind");
    clock.now += keptMs;
    await until("a new term", async () => {
      const { role } = shop.engine;
      return role.name === "leader" && role.epoch === 2;
    });
    expect(log.said("warn")).toContain(
      "the machine's clock has stayed far off; beginning anew with it",
    );
    expect(await openSince(client)).toBe("07:00");
    expect((await ready(client)).clock).toEqual({ difference_ms: 0, warning: null });
    await client.reserveAndBuy("carl", 1);
    // What was sold at ten stays sold, though that is to come again.
    expect(await client.buy(bought.code)).toEqual({ ...bought, replayed: true });
    clock.now += 3 * hourMs;
    await startsAt(shop, "10:00");
    expect(await client.sale(bought.sale_id)).toMatchObject({ status: "open", sold: 1 });
    refused(await client.checkout("dora", 2), "item_sold_out");
    await client.buy(held.code);
    await shop.stop();
    await expectReadable(url, clock.wall());
    const said: string[] = [];
    await verify(lookInto(url), undefined, (line) => said.push(line));
    expect(said.join("\n")).toContain("a clock was set back once");
  });

  test("for good by half a minute is waited for, in the same term", async () => {
    const { clock, shop, client } = await openAt1040();
    const { sale_id: sale } = await client.reserve("ann", 1);
    clock.ahead = -smallMaxMs / 2;
    await aLook();
    clock.now += keptMs;
    await aLook();
    expect((await ready(client)).clock.difference_ms).toBe(-smallMaxMs / 2);
    // It runs at half its pace until the clock has caught up; what has been told is not taken back.
    clock.now += smallMaxMs;
    await aLook();
    clock.now += smallMaxMs / 2;
    await until("the clock's catching up", async () => {
      return (await ready(client)).clock.difference_ms === 0;
    });
    expect((await ready(client)).epoch).toBe(1);
    expect((await client.reserve("bob", 2)).sale_id).toBe(sale);
    await shop.stop();
  });

  test("before the program's start by less than a minute is taken no notice of", async () => {
    const { clock, url, shop, client } = await openAt1040();
    const held = await client.reserve("ann", 1);
    await shop.stop();
    clock.now -= 30_000;
    const again = await openShop(url, { clock });
    // The journal's last time is the earliest that may follow it.
    const { now } = accepted(await again.client.get("/sale"), currentSale);
    expect(now).toBe("2030-05-05T10:40:00.000Z");
    clock.now += ttlMs - 1;
    refused(await again.client.checkout("bob", 1), "item_reserved", "retry");
    clock.now += 1;
    await again.client.reserve("bob", 1);
    refused(await again.client.purchase(held.code), "code_expired");
    await again.stop();
    await expectReadable(url, clock.now);
  });
});

test("steps of every size, between any two requests and terms, change no answer", async () => {
  const clock = new Clock(twentyToEleven);
  const url = await postgres.newRecords();
  const steps = [5, -5, 900, -900, 59_000, -59_000, 3 * hourMs, -3 * hourMs, 365 * 24 * hourMs];
  const orders: Awaited<ReturnType<Client["buy"]>>[] = [];
  await inTurn(steps, async (step, round) => {
    const shop = await openShop(url, { clock, terms: { items: 40, perUserLimit: 100 } });
    const { client } = shop;
    const first = await client.reserve("ann", "any");
    clock.ahead += step;
    await client.reserve("bob", "any");
    await client.get("/sale");
    clock.ahead -= 2 * step;
    await client.get("/sale");
    await client.reserve("bob", "any");
    clock.ahead += step;
    orders.push(await client.buy(first.code));
    // The next term begins by a clock that is off, and later ones by one that is right.
    clock.ahead = round % 2 === 0 ? step : 0;
    await shop.stop();
    await expectReadable(url, clock.wall());
    clock.now += 1_000;
  });
  clock.ahead = 0;
  const shop = await openShop(url, { clock });
  await inTurn(orders, async (order) => {
    expect(await shop.client.buy(order.code)).toEqual({ ...order, replayed: true });
  });
  await shop.client.reserveAndBuy("eve");
  await shop.stop();
});
