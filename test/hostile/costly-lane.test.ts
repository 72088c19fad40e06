/** Strangers who ask for all that takes PostgreSQL long, as often as they may, and who administers. */
import { expect, test } from "bun:test";
import { readsMax } from "../../src/http/reads.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { quietClock, newKey, newPerson } from "../support/storefront.ts";
import { openShop } from "../support/shop.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

test("keep nobody from administering, whether they prove something or not", async () => {
  const url = await postgres.newRecords();
  const shop = await openShop(url, { clock: quietClock() });
  const { client } = shop;
  const admin = await newPerson(shop.sql, client, "boss", "admin");
  const ann = await newPerson(shop.sql, client, "ann");
  const reader = await newKey(admin, "read");
  const sale = await client.openSale();
  const sql = lookInto(url);
  const answers: Promise<number>[] = [];
  let refused = 0;
  const stranger = (path: string, headers = {}): void => {
    const answer = client.ask("GET", path, { headers }).then(({ status }) => {
      if (status === 503) refused += 1;
      return status;
    });
    answers.push(answer);
  };
  const release = Promise.withResolvers<void>();
  const isHeld = Promise.withResolvers<void>();
  // PostgreSQL takes long over an audit.
  const holding = sql.begin(async (tx) => {
    await tx`lock table purchases in access exclusive mode`;
    isHeld.resolve();
    await release.promise;
  });
  await isHeld.promise;
  stranger(`/sales/${sale.id}/audit`);
  await until("the audit's waiting", async () => {
    const [row] = await sql<{ waiting: boolean }[]>`
      select exists (select from pg_locks where not granted
                     and relation = 'purchases'::regclass) as waiting`;
    return row?.waiting;
  });
  // The audit has the first place; two more than there are.
  upTo(readsMax.costly + 1).forEach((n) =>
    stranger("/api/admin/attempts?limit=1", n % 2 === 0 ? ann.headers : {}),
  );
  await until("their being too many", () => Promise.resolve(refused === 2));
  const asked = [admin.headers, reader].map((headers) =>
    client.ask("GET", "/api/admin/attempts?limit=1", { headers }),
  );
  release.resolve();
  await holding;
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200]);
  await Promise.all(answers);
  expect(refused).toBe(2);
  await shop.stop();
});
