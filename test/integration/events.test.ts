/** `GET /events`: what it says, how often, and to whom that was away. */
import { describe, expect, spyOn, test } from "bun:test";
import { LedgerView } from "../../src/ledger/view.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { Clock, openShop } from "../support/shop.ts";
import { EventStream, stockNews, type SentEvent } from "../support/sse.ts";
import { newPerson, told } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

const isStock = ({ event }: SentEvent) => event === "stock";
const soldIs = (sold: number) => (event: SentEvent) =>
  isStock(event) && stockNews.parse(event.data).sold === sold;
const reservedIs = (reserved: number) => (event: SentEvent) =>
  isStock(event) && stockNews.parse(event.data).reserved === reserved;

const isOver = ({ event, data }: SentEvent) =>
  event === "sale" && JSON.stringify(data) === '{"sale":null}';

const noon = Date.parse("2030-05-05T12:00:00Z");

/** Opens a stream, and reads no further than it has to for that. */
async function openAndIgnore(url: string): Promise<{ readonly close: () => void }> {
  const { hostname, port } = new URL(url);
  const begun = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (opened) => {
        opened.pause();
        begun.resolve();
      },
    },
  });
  socket.write(`GET /events HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  await begun.promise;
  return { close: () => socket.terminate() };
}

/** Has it seem that every item of the sale changes: the largest event that there is. */
function changingAll(items: number) {
  let free = 1;
  const spy = spyOn(LedgerView.prototype, "free");
  spy.mockImplementation(() => new Int32Array(items).fill(free));
  return {
    change: (): void => {
      free = 1 - free;
    },
    end: (): void => spy.mockRestore(),
  };
}

const numberOf = ({ id }: SentEvent): number => Number(id.split("-")[1]);

describe("events", () => {
  test("begin with the sale and its figures, and go on with what changes", async () => {
    await using server = await startServer({ DATABASE_URL: await postgres.newRecords() });
    const { client, url } = server;
    const { id, stock } = await client.openSale();
    const stream = await EventStream.open(url);
    expect(stream.contentType).toStartWith("text/event-stream");
    const first = await stream.upTo(isStock);
    expect(first.map(({ event }) => event)).toEqual(["sale", "stock"]);
    expect(first[0]?.data).toMatchObject({ sale: { id } });
    expect(first[1]?.data).toMatchObject({ sale_id: id, sold: 0, reserved: 0, available: stock });

    const { code, item } = await client.reserve("ann");
    const reserved = (await stream.upTo(reservedIs(1))).at(-1);
    expect(reserved?.data).toMatchObject({ sold: 0, reserved: 1, available: stock - 1 });
    expect(JSON.stringify(reserved?.data)).toContain(`[${item.id},0]`);
    await client.buy(code);
    const sold = (await stream.upTo(soldIs(1))).at(-1);
    expect(sold?.data).toMatchObject({ sold: 1, reserved: 0, available: stock - 1 });
    stream.close();
  });

  test("resume after the last one seen, and miss nothing", async () => {
    await using server = await startServer({ DATABASE_URL: await postgres.newRecords() });
    const { client, url } = server;
    const watcher = await EventStream.open(url);
    const seen = (await watcher.upTo(isStock)).at(-1);
    // Two changes, each said by itself.
    const said = await inTurn([1, 2], async (sold) => {
      await client.reserveAndBuy("bob");
      return await watcher.upTo(soldIs(sold));
    });
    const back = await EventStream.open(url, seen?.id);
    expect(await back.upTo(soldIs(2))).toEqual(said.flat());
    // One who saw everything is told nothing again.
    const last = said.flat().at(-1);
    const current = await EventStream.open(url, last?.id);
    await client.reserveAndBuy("bob");
    expect((await current.upTo(isStock)).length).toBe(1);
    // One who was away for too long gets the figures as they are.
    const stranger = await EventStream.open(url, "junk-1");
    expect((await stranger.upTo(isStock)).at(-1)?.data).toMatchObject({ sold: 3 });
    for (const stream of [watcher, back, current, stranger]) stream.close();
  });

  test("come at most four times a second, whatever the flood", async () => {
    await using server = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      SALE_ITEMS: "300",
      SALE_PER_USER_LIMIT: "300",
    });
    const { client, url } = server;
    const stream = await EventStream.open(url);
    await stream.upTo(isStock);
    const beganAt = performance.now();
    const buying = inTurn(upTo(300), () => client.reserveAndBuy("flood"));
    const events = await stream.upTo(soldIs(300));
    await buying;
    const seconds = (performance.now() - beganAt) / 1000;
    expect(events.length).toBeLessThanOrEqual(Math.ceil(seconds * 4) + 1);
    stream.close();
  });

  test("show an expiry by themselves, and the opening of the next sale", async () => {
    const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
    const shop = await openShop(await postgres.newRecords(), { clock });
    const stream = await EventStream.open(shop.url);
    const { id } = await shop.client.openSale();
    await stream.upTo(isStock);
    await shop.client.reserve("ann", 1);
    await stream.upTo(reservedIs(1));
    clock.now += 120_000;
    const freed = (await stream.upTo(reservedIs(0))).at(-1);
    expect(freed?.data).toMatchObject({ sale_id: id, sold: 0, reserved: 0, available: 3 });
    clock.now = Date.parse("2030-05-05T11:00:00Z");
    const opened = await stream.upTo(
      ({ event, data }) => event === "sale" && JSON.stringify(data).includes("11:00:00.000Z"),
    );
    expect(opened.at(-1)?.data).toMatchObject({
      sale: { starts_at: "2030-05-05T11:00:00.000Z", ends_at: "2030-05-05T12:00:00.000Z" },
    });
    stream.close();
    await shop.stop();
  });

  test("say that no sale is open to whoever comes after it was closed", async () => {
    const shop = await openShop(await postgres.newRecords(), { clock: new Clock(noon) });
    const admin = await newPerson(shop.sql, shop.client, "boss", "admin");
    const watcher = await EventStream.open(shop.url);
    await watcher.upTo(isStock);
    const { id } = await shop.client.openSale();
    expect(told(await admin.post(`/api/admin/flash-sales/${id}/close`, {}))).toBe("200");
    const over = (await watcher.upTo(isOver)).at(-1);
    const late = await EventStream.open(shop.url);
    expect(await late.next()).toEqual(over as SentEvent);
    for (const stream of [watcher, late]) stream.close();
    await shop.stop();
  });

  test("drop a client that does not read, connection and all, while others miss nothing", async () => {
    const clock = new Clock(noon);
    // Each event is larger than what may wait for a client.
    const bounds = { publishEveryMs: 5, streamBytesMax: 64 * 1024 };
    const terms = { items: 10_000 };
    const shop = await openShop(await postgres.newRecords(), { clock, terms, bounds });
    const { events, url } = shop;
    const all = changingAll(terms.items);
    const reader = await EventStream.open(url);
    const begun = (await reader.upTo(isStock)).at(-1);
    const slow = await openAndIgnore(url);
    expect(events.streamCount).toBe(2);

    const numbers = [begun === undefined ? Number.NaN : numberOf(begun)];
    await until("the slow client is dropped", async () => {
      all.change();
      numbers.push(numberOf(await reader.next()));
      return events.streamCount === 1;
    });
    // It still reads nothing; what lies on its connection is not waited for.
    await until("its connection ends", () => shop.pendingRequests() === 1);
    all.change();
    numbers.push(numberOf(await reader.next()));
    const first = numbers[0] ?? Number.NaN;
    expect(numbers).toEqual(numbers.map((_, i) => first + i));
    all.end();
    slow.close();
    reader.close();
    await shop.stop();
  });

  test("are refused above the bound on streams, until one has ended", async () => {
    const clock = new Clock(noon);
    const bounds = { streamsMax: 1 };
    const shop = await openShop(await postgres.newRecords(), { clock, bounds });
    const { client, events, url } = shop;
    const stream = await EventStream.open(url);
    const refused = await client.get("/events");
    expect(refused.status).toBe(503);
    expect(refused.json()).toMatchObject({ code: "overloaded" });
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    stream.close();
    await until("the stream has ended", () => events.streamCount === 0);
    const next = await EventStream.open(url);
    await next.upTo(isStock);
    next.close();
    await shop.stop();
  });

  test("give the figures as they are to one who missed more than may wait for a client", async () => {
    const clock = new Clock(noon);
    const bounds = { streamBytesMax: 200 };
    const shop = await openShop(await postgres.newRecords(), { clock, bounds });
    const watcher = await EventStream.open(shop.url);
    const seen = (await watcher.upTo(isStock)).at(-1);
    await shop.client.reserve("ann", 1);
    await watcher.upTo(reservedIs(1));
    const near = await EventStream.open(shop.url, seen?.id);
    expect((await near.next()).data).toMatchObject({ reserved: 1, items: [[1, 0]] });
    await inTurn([2, 3], async (id) => {
      await shop.client.reserve("bob", id);
      await watcher.upTo(reservedIs(id));
    });
    const far = await EventStream.open(shop.url, seen?.id);
    expect((await far.next()).event).toBe("sale");
    expect((await far.next()).data).toMatchObject({ reserved: 3, items: [] });
    for (const stream of [watcher, near, far]) stream.close();
    await shop.stop();
  });

  test("end for everybody when the program is stopped", async () => {
    await using server = await startServer({ DATABASE_URL: await postgres.newRecords() });
    const stream = await EventStream.open(server.url);
    await stream.upTo(isStock);
    const ended = stream.next().catch((error: unknown) => String(error));
    expect(await server.stop()).toBe(0);
    expect(await ended).toMatch(/ended|closed|reset/i);
  });
});
