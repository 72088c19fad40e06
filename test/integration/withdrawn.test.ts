/** A sale that is withdrawn leaves nothing behind, and holds nobody up. */
import { describe, expect, test } from "bun:test";
import { StrayTickets, strayTicketsMax } from "../../src/store/stray-tickets.ts";
import { accepted, reservation } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
import {
  flashSaleShape,
  newKey,
  newPerson,
  newProduct,
  newSale,
  type Person,
  read,
  type SaleWish,
  told,
  wishBody,
} from "../support/storefront.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const hourMs = 3_600_000;
const morning = Date.parse("2030-05-05T10:00:00Z");
const sales = "/api/admin/flash-sales";

/** A shop with an administrator, and how it is opened again. */
async function openWithAdmin() {
  const url = await postgres.newRecords();
  const clock = new Clock(morning + 60_000);
  const shop = await openShop(url, { clock });
  const admin = await newPerson(shop.sql, shop.client, "boss", "admin");
  const item = await newProduct(admin, "Lamp");
  const items = [{ product: item, stock: 5 }];
  const wish = { startsAt: morning + 2 * hourMs, endsAt: morning + 4 * hourMs, items };
  return { url, clock, shop, admin, wish };
}

/** A sale with a queue, which somebody has joined. */
async function newCrowd(admin: Person, wish: SaleWish): Promise<number> {
  const made = await admin.post(sales, { ...wishBody(wish), entry: "queue" });
  const { id } = read(made, flashSaleShape, 201);
  const merchant = await newKey(admin, "sell");
  const joined = await admin.client.ask("POST", `/sales/${id}/queue?user_id=ann`, {
    headers: merchant,
  });
  expect(joined.status).toBe(201);
  return id;
}

describe("a sale that is withdrawn", () => {
  test("after a clock that was ahead had opened it, and a reservation been extended", async () => {
    const { url, clock, shop, admin, wish } = await openWithAdmin();
    const { id } = await newSale(admin, wish);
    const merchant = await newKey(admin, "sell");
    await shop.stop();
    clock.ahead = 3 * hourMs;
    const ahead = await openShop(url, { clock });
    const asking = { sale: id, headers: merchant };
    const { code } = accepted(await ahead.client.checkout("ann", 1, asking), reservation);
    expect((await ahead.client.extend(code, { ms: 60_000 }, merchant)).status).toBe(200);
    expect((await ahead.client.release(code, { headers: merchant })).status).toBe(204);
    await ahead.stop();
    clock.ahead = 0;
    const right = await openShop(url, { clock });
    const boss = await newPerson(right.sql, right.client, "chief", "admin");
    expect(told(await boss.ask("DELETE", `${sales}/${id}`))).toBe("204");
    expect(told(await boss.ask("DELETE", `${sales}/${id}`))).toBe("404 sale_not_found");
    await right.client.reserveAndBuy("bob", 2);
    await right.stop();
  });

  test("is so at once however many wait for it, and they are forgotten behind that", async () => {
    const { url, shop, admin, wish } = await openWithAdmin();
    const id = await newCrowd(admin, wish);
    const other = lookInto(url);
    const tickets = async () => {
      const [row] = await shop.sql<{ count: number }[]>`
        select count(*)::int as count from tickets where sale_id = ${id}`;
      return row?.count;
    };
    // Somebody keeps PostgreSQL from deleting them, as if there were too many.
    await other.begin(async (tx) => {
      await tx`select from tickets where sale_id = ${id} for update`;
      expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("204");
      expect(await tickets()).toBe(1);
    });
    await until("its tickets' being gone", async () => (await tickets()) === 0);
    await shop.stop();
  });
});

test("stray tickets are dropped some at a time, those of sales that there are never", async () => {
  const { url, shop, admin, wish } = await openWithAdmin();
  const id = await newCrowd(admin, wish);
  await shop.stop();
  const sql = lookInto(url);
  const strays = [id + 1_000, id + 2_000];
  const many = strayTicketsMax + 1;
  await sql`set session_replication_role = replica`;
  await sql`
    insert into tickets (sale_id, number, buyer, user_id, ticket, seq, joined_at)
    select s, n, 'guest', 'u' || n, gen_random_uuid(), n, now()
    from unnest(${`{${strays.join(",")}}`}::int[]) s, generate_series(1, ${many}::int) n`;
  const left = async () => {
    const [row] = await sql<{ count: number }[]>`select count(*)::int as count from tickets`;
    return row?.count;
  };
  expect(await left()).toBe(2 * many + 1);
  const dropping = new StrayTickets(sql);
  const steps = await inTurn([many + 2, many + 1, 2, 1, 1], async (still) => {
    await dropping.drop();
    return [await left(), still] as const;
  });
  for (const [found, still] of steps) expect(found).toBe(still);
});
