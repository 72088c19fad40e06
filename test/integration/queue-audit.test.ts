/**
 * The audit of a queue, as `stampede verify` and `GET /sales/{id}/audit` tell it: each promise, with
 * records of which that alone is off.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { connect } from "../../src/postgres/client.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, KeptLog, openShop } from "../support/shop.ts";
import { read } from "../support/storefront.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const opens = Date.parse("2030-05-05T11:00:00Z");
const sale = 2;
let sound: string;

/** Three join before the opening and are let in one a second; the last of them reserves. */
beforeAll(async () => {
  sound = await postgres.newRecords();
  const clock = new Clock(opens - 60_000);
  const queue = { admitPerSecond: 1, passTtlMs: 600_000 };
  const { client, stop } = await openShop(sound, { clock, terms: { items: 5, queue } });
  const withTicket = z.object({ ticket: z.string(), rank: z.int().nullable() });
  const tickets = new Map<string, string>();
  for (const user of ["ann", "bob", "cy"]) {
    const path = `/sales/${sale}/queue?user_id=${user}`;
    tickets.set(user, read(await client.ask("POST", path), withTicket, 201).ticket);
  }
  clock.now = opens + 3_000;
  for (const [user, ticket] of tickets) {
    const headers = { "Queue-Ticket": ticket };
    await until("the draw", async () => {
      const { status } = await client.checkout(user, "any", { sale, headers });
      return status === 200 || undefined;
    });
  }
  await stop();
});

/** What is said of the queue of records with which something was done. */
async function told(change: string): Promise<{ readonly line: string; readonly holds: boolean }> {
  const sql = connect({ url: await postgres.copyOf(sound) });
  const lines: string[] = [];
  try {
    for (const statement of change.split(";")) await sql.unsafe(statement);
    const holds = await verify(sql, sale, (line) => lines.push(line));
    return { line: lines.at(-1) ?? "", holds };
  } finally {
    await sql.end();
  }
}

/** A rate that an administrator has set, with all that there has to be of it. */
const rateSet = `
  insert into attempts (seq, at, kind, outcome, sale_id)
  select max(seq) + 1, max(at), 'change_queue', 'queue_changed', ${sale} from attempts;
  insert into queue_rates (seq, sale_id, changed_at, admit_per_second, paused)
  select seq, ${sale}, at, 2, false from attempts where outcome = 'queue_changed';
  insert into activity (at, actor, who, what, after, attempt)
  select at, 'account', 'boss', 'queue.changed',
         '{"sale_id":${sale},"admit_per_second":2,"paused":false}', seq
  from attempts where outcome = 'queue_changed';`;

test("a queue that was drawn and let in as promised is sound", async () => {
  expect(await told("select 1")).toEqual({
    line: `Queue of sale ${sale}: 3 joined, 3 drawn, ok`,
    holds: true,
  });
  expect(await told(rateSet)).toMatchObject({ holds: true });
});

test.each([
  [
    "a seed that was not promised",
    `alter table draws drop constraint draws_committed; drop trigger draws_stay on draws;
     update draws set seed = repeat('ab', 32) where sale_id = ${sale}`,
    "1 seeds that are not what was promised",
  ],
  [
    "a draw that was made anew, by another seed",
    `alter table draws disable trigger user; alter table draws drop constraint draws_promised;
     delete from draws where sale_id = ${sale};
     insert into draws (sale_id, seed, commitment) select ${sale}, seed,
       encode(sha256(decode(seed, 'hex')), 'hex') from (select repeat('ab', 32) as seed) as other`,
    "1 seeds that are not what was promised",
  ],
  [
    "a ticket that was exchanged",
    `update tickets set ticket = '00000000-0000-4000-8000-000000000000' where number = 2`,
    "1 draws of other entries than there are",
  ],
  [
    "a draw that was exchanged",
    `drop trigger draws_stay on draws; update draws set entries_digest = repeat('ab', 32)`,
    "1 draws of other entries than there are",
  ],
  [
    "somebody who was not drawn",
    `drop trigger draws_stay on draws; update draws set drawn = 2`,
    "1 tickets left out of the draw",
  ],
  [
    "a ticket that is gone",
    `delete from tickets where number = 2`,
    "1 acknowledged tickets missing",
  ],
  [
    "a ticket of another",
    `update tickets set user_id = 'eve' where number = 1`,
    "1 tickets without an attempt",
  ],
  [
    "a buyer who has not joined",
    `update tickets set user_id = 'eve' where number = 1`,
    "1 reservations by who had not joined",
  ],
  [
    "somebody who came too early",
    `update attempts set at = at - interval '2900 milliseconds' where outcome = 'reserved'`,
    "3 reservations before their turn",
  ],
  [
    "a rate that was not so fast",
    `update sales set starts_at = starts_at + interval '1 second' where id = ${sale}`,
    "1 reservations before their turn",
  ],
  [
    "a rate that nobody has set",
    `insert into queue_rates (seq, sale_id, changed_at, admit_per_second, paused)
     select max(seq), ${sale}, max(at), 5, false from attempts`,
    "1 rates that nobody has set so",
  ],
  [
    "a rate that is gone",
    `${rateSet} alter table queue_rates disable trigger user; delete from queue_rates`,
    "1 acknowledged rates missing",
  ],
  ...["admit_per_second = 3", "paused = true", "changed_at = changed_at - interval '1 ms'"].map(
    (change) =>
      [
        `a rate that was another (${change})`,
        `${rateSet} alter table queue_rates disable trigger user; update queue_rates set ${change}`,
        "1 rates that nobody has set so",
      ] as const,
  ),
  [
    // There is room for two, and one had joined.
    "a pause, for who came then",
    `insert into queue_rates (seq, sale_id, changed_at, admit_per_second, paused)
     select t.seq, s.id, starts_at + interval '2900 milliseconds', 1, true
     from tickets t join sales s on s.id = t.sale_id where number = 2`,
    "2 reservations before their turn",
  ],
  [
    "what is missing before the last of millions, at a pause",
    `update tickets set number = 3000000 where number = 3;
     insert into queue_rates (seq, sale_id, changed_at, admit_per_second, paused)
     select max(seq) + 1, ${sale}, max(at), 1, true from attempts`,
    "2999997 tickets missing",
  ],
  [
    "a pass that had ended",
    `update sales set pass_ttl_ms = 1 where id = ${sale}`,
    "2 reservations by a pass that had ended",
  ],
] as const)("%s is found", async (_, change, complaint) => {
  const { line, holds } = await told(change);
  expect(holds).toBe(false);
  expect(line).toContain(complaint);
});

test("a pass is not said to have ended that was kept by what retention has dropped since", async () => {
  const later = `
    update sales set pass_ttl_ms = 60000, announced = null where id = ${sale};
    insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code)
    select max(seq) + 1, max(at) + interval '100 seconds', 'checkout', 'reserved', ${sale}, 1, 'guest',
           'cy', gen_random_uuid() from attempts`;
  expect((await told(later)).holds).toBe(true);
  const dropped = `${later}; delete from attempts where seq < (select max(seq) from attempts)`;
  expect(await told(dropped)).toMatchObject({ holds: true });
});

const audit = z.looseObject({ ok: z.boolean(), queue: z.record(z.string(), z.int()).nullable() });
const state = z.object({ state: z.string(), joined: z.int(), admitted_up_to: z.int() });

/** What a program says that opens on records with which something was done. */
async function opened(change: string) {
  const url = await postgres.copyOf(sound);
  const sql = connect({ url });
  for (const statement of change.split(";")) await sql.unsafe(statement);
  await sql.end();
  const log = new KeptLog();
  const clock = new Clock(opens + 4_000);
  const shop = await openShop(url, { clock, log });
  const ask = async <T>(path: string, shape: z.ZodType<T>): Promise<T> =>
    read(await shop.client.ask("GET", `/sales/${path}`), shape);
  return { log, clock, ask };
}

describe("over HTTP", () => {
  test("the audit has the queue's, and says that it is sound", async () => {
    const { ask, clock } = await opened("select 1");
    await until("the draw", async () => {
      // An answer is given again for a second.
      clock.now += 1_000;
      return (await ask(`${sale}/queue`, state)).admitted_up_to === 3;
    });
    const { ok, queue } = await ask(`${sale}/audit`, audit);
    const { joined, drawn, ...faults } = queue ?? {};
    expect({ ok, joined, drawn }).toEqual({ ok: true, joined: 3, drawn: 3 });
    expect(new Set(Object.values(faults))).toEqual(new Set([0]));
  });

  test("the audit says what is off, and by a draw that is another one nobody is let in", async () => {
    const { ask, log } = await opened(
      `update tickets set ticket = '00000000-0000-4000-8000-000000000000' where number = 2`,
    );
    const said = "a sale is not drawn as it was; nobody is let in";
    await until("the complaint", () => log.said("error").includes(said));
    expect(await ask(`${sale}/queue`, state)).toEqual({
      state: "gathering",
      joined: 3,
      admitted_up_to: 0,
    });
    const { ok, queue } = await ask(`${sale}/audit`, audit);
    expect({ ok, broken: queue?.["broken_draws"] }).toEqual({ ok: false, broken: 1 });
  });
});
