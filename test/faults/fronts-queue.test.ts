/**
 * The waiting room of a program with two fronts: whoever joins through either has one ticket and one
 * place, both tell the same draw, and it stays so when a front is killed, and when all of them are.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { freePort } from "../support/leftovers.ts";
import { usePostgres } from "../support/postgres.ts";
import { frontsOf, startServer, type TestServer } from "../support/server.ts";
import { makeAdmin, newProduct, newSale, type Member } from "../support/visitors.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const people = upTo(12).map((n) => `person ${n}`);
/** On new connections, which the kernel spreads: enough that each front has some. */
const askedTimes = 12;

const ticketShape = z.object({
  ticket: z.string(),
  number: z.int(),
  rank: z.int().nullable(),
  state: z.string(),
});
const queueShape = z.object({
  state: z.string(),
  joined: z.int(),
  admitted_up_to: z.int(),
  seed: z.string().nullable(),
  entries_digest: z.string().nullable(),
});

let settings: Record<string, string>;
let server: TestServer;
let admin: Member;
let sale: number;
let key: string;
const tickets = new Map<string, string>();

/** On a connection of its own. */
const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
  fetch(server.url + path, { method, headers: { Connection: "close", ...headers } });

const merchant = () => ({ Authorization: `Bearer ${key}` });
const join = async (user: string) => {
  const path = `/sales/${sale}/queue?user_id=${encodeURIComponent(user)}`;
  const answer = await ask("POST", path, merchant());
  return { status: answer.status, ...ticketShape.parse(await answer.json()) };
};
const place = async (user: string) => {
  const headers = { "Queue-Ticket": tickets.get(user) ?? "" };
  return ticketShape.parse(await (await ask("GET", `/sales/${sale}/queue/me`, headers)).json());
};
const state = async () => queueShape.parse(await (await ask("GET", `/sales/${sale}/queue`)).json());

/** What all say, where they say the same. */
async function agreed<T>(what: string, one: () => Promise<T>): Promise<T> {
  return await until(what, async () => {
    const said = await inTurn(upTo(askedTimes), one);
    const [first] = said;
    return first !== undefined && said.every((other) => Bun.deepEquals(other, first))
      ? first
      : undefined;
  });
}

beforeAll(async () => {
  settings = {
    DATABASE_URL: await postgres.newRecords(),
    PORT: String(freePort()),
    FRONTS: "2",
    RATE_LIMITS: "off",
  };
  server = await startServer(settings);
  admin = await makeAdmin(server, settings);
  const product = await newProduct(admin, "Tin heron");
  sale = await newSale(admin, product, {
    startsIn: 3_600_000,
    endsIn: 7_200_000,
    queue: { admit_per_second: 1_000, pass_ttl_ms: 600_000 },
  });
  const made = await admin.ask("POST", "/api/admin/keys", { name: "shop", scopes: ["sell"] });
  ({ key } = z.object({ key: z.string() }).parse(await made.json()));
});

describe("a queue through two fronts", () => {
  test("has one ticket for each who joins, through whichever", async () => {
    for (const user of people) {
      // oxlint-disable-next-line no-await-in-loop
      const answers = await Promise.all(upTo(4).map(() => join(user)));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 201]);
      expect(new Set(answers.map(({ ticket }) => ticket)).size).toBe(1);
      tickets.set(user, answers[0]?.ticket ?? "");
    }
    const before = await agreed("who has joined", state);
    expect(before).toMatchObject({ state: "gathering", joined: people.length, seed: null });
  });

  test("is drawn once: both tell the same, and let in by it", async () => {
    expect((await admin.ask("POST", `/api/admin/flash-sales/${sale}/open`)).status).toBe(200);
    await until("the draw", async () => (await state()).admitted_up_to === people.length);
    const drawn = await agreed("the draw, of both", state);
    expect(drawn).toMatchObject({ state: "admitting", joined: people.length });
    const list = () => ask("GET", `/sales/${sale}/draw.csv`).then((answer) => answer.text());
    const lines = (await agreed("the list, of both", list)).trim().split("\n").slice(1);
    const ranks = new Map(lines.map((line) => [line.split(",")[0], Number(line.split(",")[2])]));
    for (const user of people) {
      // oxlint-disable-next-line no-await-in-loop
      const { number, rank, state: of } = await agreed(`the place of ${user}`, () => place(user));
      expect({ rank, of }).toEqual({ rank: ranks.get(String(number)) ?? 0, of: "admitted" });
    }
    /** With the words of the answer, for whoever reads of a failure. */
    const checkout = async (user: string, ticket: string) => {
      const path = `/checkout?sale_id=${sale}&id=any&user_id=${encodeURIComponent(user)}`;
      const answer = await ask("POST", path, { ...merchant(), "Queue-Ticket": ticket });
      return `${answer.status} ${await answer.text()}`;
    };
    const [one = "", other = ""] = people;
    expect(await checkout(one, tickets.get(other) ?? "")).toMatch(/^409 .*"not_admitted"/);
    expect(await checkout(one, tickets.get(one) ?? "")).toStartWith("200 ");
  });

  test("is the same after a front is killed, and after all of them are", async () => {
    const before = await agreed("the places", async () => await inTurn(people, place));
    const drawn = await state();
    const [front] = frontsOf(server);
    if (front === undefined) throw new Error("there are no fronts");
    process.kill(front, "SIGKILL");
    const again = () =>
      inTurn(people, place).then(
        (places) => Bun.deepEquals(places, before),
        () => false,
      );
    await until("the places, with another front", again);
    await server.kill();
    server = await startServer(settings);
    await until("the places, of a new program", again);
    expect(await agreed("the draw, of a new program", state)).toEqual(drawn);
    const audit = await (await ask("GET", `/sales/${sale}/audit`)).json();
    expect(audit).toMatchObject({ ok: true, queue: { joined: people.length, broken_draws: 0 } });
  });
});
