/** Dates at the end of what can be written, in the real process: no date ends a term. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { Client, withQuery } from "../support/client.ts";
import { accepted, refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import {
  flashSaleShape,
  newPerson,
  newProduct,
  type Person,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const hourMs = 3_600_000;

let url: string;
let server: TestServer;
let client: Client;
let sql: Sql;
let admin: Person;

beforeAll(async () => {
  url = await postgres.newRecords();
  server = await startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });
  client = new Client(() => server.url);
  sql = lookInto(url);
  admin = await newPerson(sql, client, "boss", "admin");
});

/** As `kill -9`, and a start. */
async function restart(): Promise<void> {
  await server.kill();
  server = await startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });
}

describe("a date at the end of what can be written", () => {
  const wrong = [
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999-00:01",
    "1969-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
  ];
  const last = "9999-12-31T23:59:59.999Z";

  test("is taken as it is, and one beyond it is 400, wherever a date is asked for", async () => {
    const product = await newProduct(admin, "Lamp");
    const items = [{ product_id: product, stock: 1, price_cents: 1 }];
    const body = {
      title: "Long",
      items,
      starts_at: new Date(Date.now() - 1_000).toISOString(),
      ends_at: new Date(Date.now() + hourMs).toISOString(),
    };
    const make = (given: object) => admin.post("/api/admin/flash-sales", { ...body, ...given });
    const open = read(await make({}), flashSaleShape, 201);
    const starts_at = new Date(Date.now() + hourMs / 2).toISOString();
    const coming = read(await make({ starts_at }), flashSaleShape, 201);
    const patch = (id: number, given: object) =>
      admin.ask("PATCH", `/api/admin/flash-sales/${id}`, given);
    await inTurn(wrong, async (date) => {
      const answers = [
        await make({ starts_at: date }),
        await make({ ends_at: date }),
        await patch(coming.id, { starts_at: date }),
        await patch(coming.id, { ends_at: date }),
        await patch(open.id, { ends_at: date }),
        await admin.get(withQuery("/api/admin/attempts", { from: date })),
        await admin.get(withQuery("/api/admin/attempts", { to: date })),
      ];
      for (const answer of answers) refused(answer, "invalid_request");
    });
    expect(read(await patch(open.id, { ends_at: last }), flashSaleShape).ends_at).toBe(last);
    expect(read(await patch(coming.id, { ends_at: last }), flashSaleShape).ends_at).toBe(last);
    expect(read(await make({ ends_at: last }), flashSaleShape, 201).ends_at).toBe(last);
    const to = withQuery("/api/admin/attempts", { to: last });
    expect((await admin.get(to)).status).toBe(200);
    const sameTime = await patch(open.id, { ends_at: "9999-12-31T22:59:59.999-01:00" });
    expect(read(sameTime, flashSaleShape).ends_at).toBe(last);
    const ann = await newPerson(sql, client, "ann");
    expect(told(await ann.reserve(open.id, 1))).toBe("200");
    // The term goes on, and the next one begins.
    const epoch = accepted(await client.get("/ready"), z.object({ epoch: z.int() })).epoch;
    await restart();
    const next = accepted(await client.get("/ready"), z.object({ epoch: z.int() })).epoch;
    expect(next).toBe(epoch + 1);
    expect(told(await ann.reserve(open.id, 1))).toBe("200");
  });
});
