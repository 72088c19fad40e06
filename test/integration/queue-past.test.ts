/** The queue of a sale that is so long over that nobody keeps it in memory: what is told of it, and its bound. */
import { beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { pastTicketsMax } from "../../src/http/queue/queues.ts";
import { refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock, isSettled, openShop, type Shop } from "../support/shop.ts";
import { newPerson, newProduct, read, wishBody, type Person } from "../support/storefront.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const minute = 60_000;

const ticketShape = z.looseObject({ ticket: z.uuid() });
const stateShape = z.looseObject({ state: z.string(), drawn: z.int().nullable() });

let clock: Clock;
let url: string;
let shop: Shop;
let ann: Person;
let path: string;
/** One that was drawn, and one that came later. */
let tickets: readonly string[];
let justOver: Awaited<ReturnType<typeof told>>;

const shownBy = (ticket: string) =>
  shop.client.get(`${path}/me`, { headers: { "Queue-Ticket": ticket } });

const state = async () => {
  clock.now += 1_000;
  const { now: _, ...told } = read(await shop.client.get(path), stateShape);
  return told;
};

const told = async () => ({
  tickets: await Promise.all(tickets.map(async (ticket) => (await shownBy(ticket)).json())),
  own: (await ann.get(`${path}/me`)).json(),
  state: await state(),
  draw: (await shop.client.get(`/sales/${path.split("/")[2]}/draw.csv`)).text,
});

beforeAll(async () => {
  clock = new Clock(Date.parse("2030-05-05T11:10:00Z"));
  url = await postgres.newRecords();
  shop = await openShop(url, { clock });
  const boss = await newPerson(shop.sql, shop.client, "boss", "admin");
  ann = await newPerson(shop.sql, shop.client, "ann");
  const items = [{ product: await newProduct(boss, "Lamp"), stock: 5 }];
  const wish = { startsAt: clock.now + minute, endsAt: clock.now + 9 * minute, items };
  const made = await boss.post("/api/admin/flash-sales", { ...wishBody(wish), entry: "queue" });
  const { id } = read(made, z.looseObject({ id: z.int() }), 201);
  path = `/sales/${id}/queue`;
  const first = read(await ann.ask("POST", path), ticketShape, 201);
  clock.now += minute;
  await until("the draw", async () => (await state()).state === "admitting" || undefined);
  tickets = [first.ticket, read(await boss.ask("POST", path), ticketShape, 201).ticket];
  expect((await boss.post(`/api/admin/flash-sales/${id}/close`, {})).status).toBe(200);
  justOver = await told();
  clock.now += 11 * minute;
  await until("its being settled", () => isSettled(shop, id));
});

test("whoever has a ticket is told where it stood, and everybody what was drawn", async () => {
  expect(await told()).toEqual(justOver);
  expect(justOver).toMatchObject({
    tickets: [
      { state: "closed", rank: 1 },
      { state: "closed", rank: 2 },
    ],
    own: { state: "closed", rank: 1 },
  });
  refused(await shownBy(crypto.randomUUID()), "ticket_not_found");
});

test("so many look for a ticket at a time, and more are told to come again", async () => {
  const { promise: held, resolve: holds } = Promise.withResolvers<void>();
  const { promise: asked, resolve: letGo } = Promise.withResolvers<void>();
  const locking = lookInto(url).begin(async (tx) => {
    await tx`lock table tickets in access exclusive mode`;
    holds();
    await asked;
  });
  await held;
  const statuses: number[] = [];
  const looks = upTo(pastTicketsMax + 3).map(async () => {
    const { status } = await shownBy(tickets[0] ?? "");
    statuses.push(status);
  });
  await until("the refusals", () => Promise.resolve(statuses.length === 3 || undefined));
  expect(statuses).toEqual([503, 503, 503]);
  letGo();
  await Promise.all([locking, ...looks]);
  expect(statuses.filter((status) => status === 200)).toHaveLength(pastTicketsMax);
});

test("what was drawn is told as it was noted, and not drawn again for who looks", async () => {
  const before = await state();
  expect(before.drawn).toBe(1);
  const other = await openShop(url, { clock });
  await lookInto(url)`delete from tickets where ticket = ${tickets[0] ?? ""}`;
  const { now: _, ...there } = read(await other.client.get(path), stateShape);
  expect(there).toEqual(before);
  await other.stop();
});
