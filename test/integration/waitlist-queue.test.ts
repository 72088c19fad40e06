/** Waiting for what is sold out in a sale with a queue: whose turn has come once may, and nobody else. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { auditSale } from "../../src/store/audit.ts";
import { refused } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
import { newPerson, read, type Person } from "../support/storefront.ts";
import { until } from "../support/wait.ts";
import { askToWait, offerOf, wait } from "../support/waitlist.ts";

const postgres = usePostgres();
const opens = Date.parse("2030-05-05T11:00:00Z");
const sale = 2;
const passTtlMs = 60_000;

test("whose turn has come waits, also when the pass has ended, and is offered what is taken back", async () => {
  const url = await postgres.newRecords();
  const clock = new Clock(opens - 60_000);
  const queue = { admitPerSecond: 1, passTtlMs };
  const terms = { items: 1, queue, reservationTtlMs: 30_000 };
  const { client, sql } = await openShop(url, { clock, terms });
  const admin = await newPerson(sql, client, "boss", "admin");
  const [ann, bob, late] = [
    await newPerson(sql, client, "ann"),
    await newPerson(sql, client, "bob"),
    await newPerson(sql, client, "late"),
  ];
  const join = async (of: Person): Promise<string> =>
    read(await of.ask("POST", `/sales/${sale}/queue`), z.object({ ticket: z.string() }), 201)
      .ticket;
  const ticket = await join(ann);
  await join(bob);
  clock.now = opens + 3_000;
  await until("the sale", async () => (await client.get(`/sales/${sale}/queue`)).status === 200);
  const order = await until("ann's turn", async () => {
    const path = `/checkout?id=1&sale_id=${sale}`;
    const held = await ann.ask("POST", path, undefined, { "Queue-Ticket": ticket });
    if (held.status !== 200) return null;
    const { code } = read(held, z.object({ code: z.string() }));
    const bought = await ann.ask("POST", `/purchase?code=${code}`);
    return read(bought, z.object({ order_id: z.string() })).order_id;
  });
  // It is sold out, and bob's pass has ended.
  clock.now += 2 * passTtlMs;
  await wait(bob, sale, 1);
  const notLetIn = await askToWait(late, sale, 1);
  refused(notLetIn, "not_admitted", "retry");
  expect(notLetIn.json()).toMatchObject({ ahead: null });
  const path = `/api/admin/orders/${order}/refund`;
  expect((await admin.post(path, { restock: true })).status).toBe(200);
  const offer = await offerOf(bob, sale);
  expect((await bob.ask("POST", `/purchase?code=${offer?.code}`)).status).toBe(200);
  expect(await auditSale(sql, sale)).toMatchObject({ ok: true });
});
