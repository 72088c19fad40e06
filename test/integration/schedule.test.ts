/**
 * Time: when sales open and end, which one belongs to a moment, and what that means for those
 * who check out, buy late or come too late. On a clock that the test turns.
 */
import { describe, expect, test } from "bun:test";
import { nextOpening, windowAfter, windowAt, type Schedule } from "../../src/sales/schedule.ts";
import { accepted, currentSale, refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock, isSettled, openShop, type Shop } from "../support/shop.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const at = (time: string): number => Date.parse(time);
const ttlMs = 120_000;

/** A window as two times; null when there is none. */
function windowOf(schedule: Schedule, now: string): readonly string[] | null {
  const window = windowAt(schedule, at(now));
  if (window === null) return null;
  return [window.startsAt, window.endsAt].map((ms) => new Date(ms).toISOString().slice(0, 16));
}

describe("the window of a moment", () => {
  test.each([
    ["0 * * * *", "UTC", "2026-05-05T10:40:00Z", "2026-05-05T10:00", "2026-05-05T11:00"],
    // It begins with its first millisecond and ends before the next one's.
    ["0 * * * *", "UTC", "2026-05-05T10:00:00.000Z", "2026-05-05T10:00", "2026-05-05T11:00"],
    ["0 * * * *", "UTC", "2026-05-05T10:59:59.999Z", "2026-05-05T10:00", "2026-05-05T11:00"],
    ["* * * * *", "UTC", "2026-05-05T10:40:30Z", "2026-05-05T10:40", "2026-05-05T10:41"],
    ["*/7 * * * *", "UTC", "2026-05-05T10:58:00Z", "2026-05-05T10:56", "2026-05-05T11:00"],
    // The hours of a zone half an hour off.
    ["0 * * * *", "Asia/Kolkata", "2026-05-05T10:40:00Z", "2026-05-05T10:30", "2026-05-05T11:30"],
    // Spring in Berlin: the hour after 01:59 is 03:00. None is skipped, none is longer.
    ["0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T00:00", "2026-03-29T01:00"],
    ["0 * * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:00", "2026-03-29T02:00"],
    ["0 12 * * *", "Europe/Berlin", "2026-03-29T05:00:00Z", "2026-03-28T11:00", "2026-03-29T10:00"],
    // Autumn: the hour from 02:00 is there twice, and a sale opens in each.
    ["0 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T00:00", "2026-10-25T01:00"],
    ["0 * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T01:00", "2026-10-25T02:00"],
    ["0 12 * * *", "Europe/Berlin", "2026-10-25T10:00:00Z", "2026-10-24T10:00", "2026-10-25T11:00"],
    // Sparse ones: a year, four years, eight years (there was no 29 February in 2100).
    ["0 0 1 1 *", "UTC", "2026-05-05T10:00:00Z", "2026-01-01T00:00", "2027-01-01T00:00"],
    ["0 0 29 2 *", "UTC", "2026-05-05T10:00:00Z", "2024-02-29T00:00", "2028-02-29T00:00"],
    ["0 0 29 2 *", "UTC", "2103-05-05T10:00:00Z", "2096-02-29T00:00", "2104-02-29T00:00"],
    ["30 9 * * 1-5", "UTC", "2026-05-03T10:00:00Z", "2026-05-01T09:30", "2026-05-04T09:30"],
  ])("%s in %s at %s is from %s to %s", (cron, timeZone, now, startsAt, endsAt) => {
    expect(windowOf({ cron, timeZone }, now)).toEqual([startsAt, endsAt]);
  });

  test("follows the one before it without a gap, through both changes of the clock", () => {
    const zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    for (const timeZone of zones) {
      for (const cron of ["0 * * * *", "*/20 * * * *", "30 2 * * *"]) {
        const schedule = { cron, timeZone };
        for (const start of [
          "2026-03-07",
          "2026-03-28",
          "2026-04-04",
          "2026-10-03",
          "2026-10-24",
        ]) {
          let window = windowAt(schedule, at(`${start}T00:00Z`));
          for (let n = 0; n < 60 && window !== null; n += 1) {
            const next = windowAfter(schedule, window.startsAt);
            expect(next?.startsAt).toBe(window.endsAt);
            expect(windowAt(schedule, window.endsAt)).toEqual(next);
            expect(windowAt(schedule, window.endsAt - 1)).toEqual(window);
            window = next;
          }
        }
      }
    }
  });

  test("is none for an expression that never fires, or is none", () => {
    for (const cron of ["0 0 30 2 *", "junk", ""]) {
      const schedule = { cron, timeZone: "UTC" };
      expect(nextOpening(schedule, at("2026-05-05"))).toBeNull();
      expect(windowAt(schedule, at("2026-05-05"))).toBeNull();
      expect(windowAfter(schedule, at("2026-05-05"))).toBeNull();
    }
  });
});

/** A shop at 10:40 whose sale opened at 10:00. */
async function openAt1040(terms: Parameters<typeof openShop>[1]["terms"] = {}) {
  const clock = new Clock(at("2030-05-05T10:40:00Z"));
  const url = await postgres.newRecords();
  const shop = await openShop(url, { clock, terms });
  return { clock, url, shop, client: shop.client };
}

/** Once it sells: it may be seen in the records a moment before the ledger knows it. */
const seenFrom = ({ client, writer }: Shop, startsAt: string) =>
  until(`the sale of ${startsAt}`, async () => {
    const { current } = accepted(await client.get("/sale"), currentSale);
    if (current?.starts_at !== `${startsAt}:00.000Z`) return null;
    const isKnown = await writer().read((view) => view.sale(current.id) !== null);
    return isKnown ? current : null;
  });

describe("an hourly sale", () => {
  test("that opened before the program was started is sold by it", async () => {
    const { client, shop } = await openAt1040();
    const { current, next } = accepted(await client.get("/sale"), currentSale);
    expect(current).toMatchObject({
      starts_at: "2030-05-05T10:00:00.000Z",
      ends_at: "2030-05-05T11:00:00.000Z",
      status: "open",
    });
    expect(next.starts_at).toBe("2030-05-05T11:00:00.000Z");
    await client.reserveAndBuy("ann", 1);
    await shop.stop();
  });

  test("is made ahead, is closed until its hour, and opens by the clock alone", async () => {
    const { client, clock, shop } = await openAt1040();
    const { id } = await client.openSale();
    clock.now = at("2030-05-05T10:50:00Z");
    const next = await until("the next sale's making", async () => {
      const answer = await client.get(`/sales/${id + 1}`);
      return answer.status === 200 && (await client.sale(id + 1));
    });
    expect(next).toMatchObject({ status: "upcoming", starts_at: "2030-05-05T11:00:00.000Z" });
    const early = await client.checkout("ann", 1, { sale: next.id });
    expect(refused(early, "sale_not_open", "retry").retryAfterMs).toBe(600_000);
    refused(await client.checkout("ann", 9_999, { sale: next.id }), "item_not_found");

    clock.now = at("2030-05-05T10:59:59.999Z");
    const held = await client.reserve("ann", 1);
    expect(held).toMatchObject({ sale_id: id, expires_at: "2030-05-05T11:00:00.000Z" });
    const lastMoment = await client.reserve("bob", 2);
    await client.buy(lastMoment.code);
    clock.now += 1;
    // No tick has to come: the very next request finds it open.
    expect(await client.reserve("ann", 1)).toMatchObject({ sale_id: next.id });
    expect(await client.openSale()).toMatchObject({ id: next.id, status: "open" });
    expect(await client.sale(id)).toMatchObject({ status: "closed", sold: 1, reserved: 0 });
    refused(await client.purchase(held.code), "sale_ended");
    expect((await client.release(held.code)).status).toBe(204);
    refused(await client.checkout("ann", 1, { sale: id }), "sale_not_open");
    expect(await client.buy(lastMoment.code)).toMatchObject({ replayed: true });
    await shop.stop();
  });

  test("begins with every user's limit fresh, and every item", async () => {
    const { client, clock, shop } = await openAt1040({ items: 2, perUserLimit: 1 });
    await client.reserveAndBuy("ann", 1);
    refused(await client.checkout("ann", 2), "user_limit_reached");
    clock.now = at("2030-05-05T11:00:00Z");
    await seenFrom(shop, "2030-05-05T11:00");
    expect((await client.reserveAndBuy("ann", 1)).item.id).toBe(1);
    await shop.stop();
  });

  test("is the same after a restart within the hour", async () => {
    const { client, clock, shop, url } = await openAt1040();
    const before = await client.openSale();
    const order = await client.reserveAndBuy("ann", 1);
    await shop.stop();
    clock.now = at("2030-05-05T10:45:00Z");
    const again = await openShop(url, { clock, terms: { items: 7, perUserLimit: 1 } });
    // Its terms are those it was announced with.
    expect(await again.client.openSale()).toMatchObject({ id: before.id, stock: 3, sold: 1 });
    expect(await again.client.buy(order.code)).toEqual({ ...order, replayed: true });
    await again.stop();
  });

  test("that was slept through is not opened; the present one is, and no other", async () => {
    const { clock, shop, url } = await openAt1040();
    clock.now = at("2030-05-05T14:20:00Z");
    await seenFrom(shop, "2030-05-05T14:00");
    const rows = await lookInto(url)<{ starts_at: Date }[]>`
      select starts_at from sales order by starts_at`;
    expect(rows.map((row) => row.starts_at.toISOString().slice(11, 16))).toEqual([
      "10:00",
      "14:00",
    ]);
    await shop.stop();
  });

  test("that is long over is answered from the records, as it was from memory", async () => {
    const { client, clock, shop } = await openAt1040();
    const bought = await client.reserveAndBuy("ann", 1);
    const held = await client.reserve("ann", 2);
    const { id } = await client.openSale();
    clock.now = at("2030-05-05T11:05:00Z");
    await seenFrom(shop, "2030-05-05T11:00");
    const told = async () => {
      const answers = await inTurn(
        [
          client.purchase(bought.code),
          client.purchase(held.code),
          client.release(held.code),
          client.release(bought.code),
          client.checkout("ann", 1, { sale: id }),
          client.checkout("ann", 9_999, { sale: id }),
          client.checkout("ann", "any", { sale: id }),
        ],
        async (asked) => (await asked).text,
      );
      const { attempts: _, ...figures } = await client.sale(id);
      const items = (await client.get(`/sales/${id}/items`)).text;
      return { answers, figures, items };
    };
    const before = await told();
    clock.now = at("2030-05-05T11:15:00Z");
    await until("its being settled", () => isSettled(shop, id));
    expect(await told()).toEqual(before);
    await shop.stop();
  });

  test("keeps its attempts when nobody led at its end", async () => {
    const url = await postgres.newRecords();
    const clock = new Clock(at("2030-05-05T10:40:00Z"));
    const shop = await openShop(url, { clock });
    await shop.client.reserveAndBuy("ann", 1);
    const { id } = await shop.client.openSale();
    await shop.stop();
    clock.now = at("2030-05-05T14:20:00Z");
    const later = await openShop(url, { clock });
    expect(await later.client.sale(id)).toMatchObject({ status: "closed", sold: 1, attempts: 2 });
    await later.stop();
  });

  test("may be as short as a minute", async () => {
    const schedule = { cron: "* * * * *", timeZone: "UTC" };
    const clock = new Clock(at("2030-05-05T10:40:20Z"));
    const shop = await openShop(await postgres.newRecords(), { clock, schedule });
    await inTurn(["10:40", "10:41", "10:42", "10:43"], async (minute) => {
      clock.now = Math.max(clock.now, at(`2030-05-05T${minute}:00Z`));
      await seenFrom(shop, `2030-05-05T${minute}`);
      await shop.client.reserveAndBuy("ann", 1);
    });
    await shop.stop();
  });
});

describe("a reservation that runs out", () => {
  test("frees its item at once, to be seen and to be had", async () => {
    const { client, clock, shop } = await openAt1040();
    const { id } = await client.openSale();
    const lost = await client.reserve("ann", 1);
    clock.now += ttlMs - 1;
    expect((await client.item(id, 1)).available).toBe(0);
    const answer = await client.checkout("bob", 1);
    expect(refused(answer, "item_reserved", "retry").retryAfterMs).toBe(1);
    clock.now += 1;
    expect((await client.item(id, 1)).available).toBe(1);
    expect(await client.sale(id)).toMatchObject({ reserved: 0, available: 3 });
    const { code } = await client.reserve("bob", 1);
    refused(await client.purchase(lost.code), "code_expired");
    await client.buy(code);
    refused(await client.purchase(lost.code), "code_expired");
    await shop.stop();
  });

  test("still buys, late, as long as nobody else has the unit", async () => {
    const { client, clock, shop } = await openAt1040();
    const { code } = await client.reserve("ann", 1);
    clock.now += ttlMs * 5;
    const order = await client.buy(code);
    expect(order).toMatchObject({ user_id: "ann", item: { id: 1 }, replayed: false });
    expect(await client.buy(code)).toEqual({ ...order, replayed: true });
    await shop.stop();
  });

  test("buys nothing for a user who is at the limit meanwhile", async () => {
    const { client, clock, shop } = await openAt1040({ perUserLimit: 1 });
    const { code } = await client.reserve("ann", 1);
    clock.now += ttlMs;
    const other = await client.reserve("ann", 2);
    refused(await client.purchase(code), "code_expired");
    await client.release(other.code);
    await client.buy(code);
    await shop.stop();
  });

  test("makes its idempotency key stand for nothing, so that it may be tried afresh", async () => {
    const { client, clock, shop } = await openAt1040();
    const first = await client.reserve("ann", 1, { key: "k" });
    clock.now += ttlMs;
    const second = await client.reserve("ann", 2, { key: "k" });
    expect(second.code).not.toBe(first.code);
    expect(await client.reserve("ann", 2, { key: "k" })).toEqual(second);
    await shop.stop();
  });

  test("does not count against its user's limit, and leaves nothing unsold", async () => {
    const { client, clock, shop } = await openAt1040({ items: 3, perUserLimit: 1 });
    await inTurn(["ann", "bob", "eve"], (user) => client.reserve(user));
    refused(await client.checkout("late", "any"), "item_reserved", "retry");
    clock.now += ttlMs;
    await inTurn(["ann", "late", "later"], (user) => client.reserveAndBuy(user));
    refused(await client.checkout("last", "any"), "sold_out");
    expect(await client.openSale()).toMatchObject({ sold: 3, reserved: 0, available: 0 });
    await shop.stop();
  });
});

const everyFive: Schedule = { cron: "*/5 * * * *", timeZone: "UTC" };
const hourly: Schedule = { cron: "0 * * * *", timeZone: "UTC" };
const daily: Schedule = { cron: "0 0 * * *", timeZone: "UTC" };

/** Sells by one schedule at a time, and then by another. */
async function restarted(from: Schedule, time: string, to: Schedule) {
  const clock = new Clock(at(time));
  const url = await postgres.newRecords();
  const before = await openShop(url, { clock, schedule: from });
  const { id } = await before.client.openSale();
  await before.stop();
  const shop = await openShop(url, { clock, schedule: to });
  return { clock, shop, client: shop.client, id };
}

/** Hourly sales that are open now. */
const openIn = async ({ sql }: Shop, now: number) => {
  const rows = await sql<{ id: number }[]>`
    select id from sales where kind = 'hourly' and not closed
      and starts_at <= ${new Date(now)} and ends_at > ${new Date(now)}`;
  return rows.map(({ id }) => id);
};

describe("another schedule", () => {
  test("that is denser ends the open sale when the next one opens", async () => {
    const time = "2030-05-05T08:02:00Z";
    const { clock, shop, client, id } = await restarted(hourly, time, everyFive);
    expect(await client.sale(id)).toMatchObject({ ends_at: "2030-05-05T08:05:00.000Z" });
    clock.now = at("2030-05-05T08:05:00Z");
    const next = await seenFrom(shop, "2030-05-05T08:05");
    expect(next.id).not.toBe(id);
    expect(await openIn(shop, clock.now)).toEqual([next.id]);
    expect(await client.reserve("ann", 1)).toMatchObject({ sale_id: next.id });
    await shop.stop();
  });

  test("that is sparser has the open sale last until the next one opens", async () => {
    const time = "2030-05-05T08:02:00Z";
    const { shop, client, clock, id } = await restarted(everyFive, time, hourly);
    expect(await client.sale(id)).toMatchObject({ ends_at: "2030-05-05T09:00:00.000Z" });
    clock.now = at("2030-05-05T08:30:00Z");
    expect(await client.reserve("ann", 1)).toMatchObject({ sale_id: id });
    await shop.stop();
  });

  test("after a daily one has the day's sale end with the hour", async () => {
    const time = "2030-05-05T10:40:00Z";
    const { shop, client, clock, id } = await restarted(daily, time, hourly);
    expect(await client.sale(id)).toMatchObject({ ends_at: "2030-05-05T11:00:00.000Z" });
    expect(await openIn(shop, clock.now)).toEqual([id]);
    clock.now = at("2030-05-05T11:00:00Z");
    const next = await seenFrom(shop, "2030-05-05T11:00");
    expect(await openIn(shop, clock.now)).toEqual([next.id]);
    await shop.stop();
  });

  test("withdraws what was announced and should not be", async () => {
    const clock = new Clock(at("2030-05-05T10:55:00Z"));
    const url = await postgres.newRecords();
    const before = await openShop(url, { clock, schedule: hourly });
    const { id } = await before.client.openSale();
    const announced = await until("the next sale's making", async () => {
      const answer = await before.client.get(`/sales/${id + 1}`);
      return answer.status === 200 && (await before.client.sale(id + 1));
    });
    await before.stop();
    const halves: Schedule = { cron: "30 * * * *", timeZone: "UTC" };
    const shop = await openShop(url, { clock, schedule: halves });
    refused(await shop.client.get(`/sales/${announced.id}`), "sale_not_found");
    expect(await shop.client.sale(id)).toMatchObject({ ends_at: "2030-05-05T11:30:00.000Z" });
    await shop.stop();
  });
});
