/** Waiting lists through `kill -9`: who waits waits still, and what was offered is theirs. */
import { expect, test } from "bun:test";
import { refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import { newPerson, Person } from "../support/storefront.ts";
import { until } from "../support/wait.ts";
import { linesOf, offerOf, wait } from "../support/waitlist.ts";

const postgres = usePostgres();

test("after kill -9 who waited waits, in their order, and an offer is an offer", async () => {
  const url = await postgres.newRecords();
  const environment = { DATABASE_URL: url, JWT_SECRET: jwtSecret, SALE_ITEMS: "2" };
  const sql = lookInto(url);
  let server = await startServer(environment);
  const { id } = await server.client.openSale();
  const again = async (...of: readonly Person[]): Promise<Person[]> => {
    await server.kill();
    server = await startServer(environment);
    return of.map(({ name, headers }) =>
      Object.assign(new Person(name, server.client, null), { headers }),
    );
  };
  let ann = await newPerson(sql, server.client, "ann");
  let bob = await newPerson(sql, server.client, "bob");
  const { code } = await server.client.reserve("guest", 1);
  await wait(ann, id, 1);
  await wait(bob, id, 1);
  [ann = ann, bob = bob] = await again(ann, bob);
  const isMine = { item_id: 1, ahead: 0, offer: null };
  expect(await linesOf(ann, id)).toMatchObject([isMine]);
  expect(await linesOf(bob, id)).toMatchObject([{ ...isMine, ahead: 1 }]);
  expect((await server.client.release(code)).status).toBe(204);
  // Durable with what freed it: whoever looks after that finds it.
  [ann = ann, bob = bob] = await again(ann, bob);
  const offer = await offerOf(ann, id);
  expect(offer?.item_id).toBe(1);
  refused(await server.client.checkout("eve", 1), "item_reserved", "retry");
  expect((await ann.ask("DELETE", `/checkout?code=${offer?.code}`)).status).toBe(204);
  [ann = ann, bob = bob] = await again(ann, bob);
  expect(await linesOf(ann, id)).toEqual([]);
  const next = await offerOf(bob, id);
  expect((await bob.ask("POST", `/purchase?code=${next?.code}`)).status).toBe(200);
  await server.stop();
  expect((await runProgram(["verify"], environment)).exitCode).toBe(0);
});

test("what lapses while nobody runs is offered when somebody does", async () => {
  const url = await postgres.newRecords();
  // Long enough for a slow machine to wait and to be killed in it.
  const ttl = { RESERVATION_TTL_MS: "5000" };
  const environment = { DATABASE_URL: url, JWT_SECRET: jwtSecret, SALE_ITEMS: "1", ...ttl };
  const first = await startServer(environment);
  const ann = await newPerson(lookInto(url), first.client, "ann");
  const { id } = await first.client.openSale();
  const { expires_at: end } = await first.client.reserve("guest", 1);
  await wait(ann, id);
  await first.kill();
  await until("its end", () => Date.now() > Date.parse(end));
  await using second = await startServer(environment);
  const back = Object.assign(new Person("ann", second.client, null), { headers: ann.headers });
  await until("the offer", () => offerOf(back, id));
});
