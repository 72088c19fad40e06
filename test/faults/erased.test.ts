/**
 * `kill -9` in the middle of erasing a name, of the command and of the process that was asked: the name
 * is where it was, all of it, somebody sells, and what is asked again is done.
 */
import { expect, test } from "bun:test";
import { AccountClient } from "../support/accounts.ts";
import { lookInto, tablesWith, usePostgres } from "../support/postgres.ts";
import { type Environment, Program, runProgram, startServer } from "../support/server.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const name = "Wilhelmina";

type Started = { readonly kill: () => Promise<void> };

/** Begins to erase the name, and waits for nothing. */
type Begin = (url: string, env: Environment, kill: () => Promise<void>) => Promise<Started>;

const byCommand: Begin = (_, env) =>
  Promise.resolve(new Program(["user", "erase", name], { PATH: "", ...env }));

const byAdmin: Begin = async (url, _, kill) => {
  const accounts = new AccountClient(() => url);
  const { headers } = await accounts.enter("root", password);
  // Nobody answers it.
  void accounts
    .send("POST", "/api/admin/buyer/erase", { user_id: name }, { headers })
    .catch(() => {});
  return { kill };
};

test.each([
  ["the command", byCommand],
  ["the process that leads, asked by an administrator", byAdmin],
] as const)("a name is nowhere half erased after kill -9 of %s", async (_, begin) => {
  const env = { DATABASE_URL: await postgres.newRecords() };
  await using leader = await startServer(env);
  await using standby = await startServer(env);
  await runProgram(["user", "create", "root", "--role", "admin"], env, password);
  const accounts = new AccountClient(() => standby.url);
  const { headers } = await accounts.enter("root", password);
  await accounts.register(name, password);
  const { code } = await leader.client.reserveAndBuy(name, 1);
  await accounts.send("POST", "/api/coupons", { name: "PROMO", amount: 3 });
  await accounts.send("POST", "/api/coupons/claim", { user_id: name, coupon_name: "PROMO" });
  const sql = lookInto(env.DATABASE_URL);
  const [user] = await sql<{ id: number }[]>`select id from users where username = ${name}`;
  const path = `/api/admin/users/${user?.id}`;
  expect((await accounts.send("PATCH", path, { role: "user" }, { headers })).status).toBe(200);

  const before = await tablesWith(env.DATABASE_URL, name);
  expect(before.toSorted()).toEqual(["activity", "attempts_p0", "claims", "purchases", "users"]);

  const begun = await begin(leader.url, env, () => leader.kill());
  // Nearly all of it is done when it comes to this table.
  await sql.begin(async (tx) => {
    await tx`lock table checkpoints in access exclusive mode`;
    await until("its waiting there", async () => {
      const [waiting] = await sql`
        select from pg_stat_activity where datname = current_database()
          and wait_event_type = 'Lock' and query like 'delete from checkpoints%'`;
      return waiting !== undefined;
    });
    await begun.kill();
  });
  expect(await tablesWith(env.DATABASE_URL, name)).toEqual(before);
  expect([...(await sql`select from erasures`)]).toEqual([]);
  await until(
    "somebody who sells",
    async () => (await standby.client.get("/ready")).status === 200,
  );
  expect(await standby.client.buy(code)).toMatchObject({ user_id: name, replayed: true });
  await standby.client.reserveAndBuy("somebody else", 2);

  const again = await until("an administrator", async () => {
    const answer = await accounts.send(
      "POST",
      "/api/admin/buyer/erase",
      { user_id: name },
      { headers },
    );
    return answer.status !== 503 && answer;
  });
  expect({ status: again.status, text: again.text }).toMatchObject({ status: 200 });
  expect(await tablesWith(env.DATABASE_URL, name)).toEqual([]);
  const left = await inTurn(["purchases", "claims"], async (table) => {
    const rows = await sql`select from ${sql(table)} where user_id like 'erased-%'`;
    return rows.length;
  });
  expect(left).toEqual([1, 1]);
  expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
});

test("what an account had asked for while nobody led is not done under its name once that is erased", async () => {
  const env = { DATABASE_URL: await postgres.newRecords() };
  await using leader = await startServer(env);
  await using standby = await startServer(env);
  await runProgram(["user", "create", name], env, password);
  const { headers = {} } = await new AccountClient(() => standby.url).enter(name, password);
  const { client } = standby;
  expect((await client.ask("POST", "/checkout?id=1", { headers })).status).toBe(200);
  // From now on it says nothing, and whoever asks waits for the next.
  leader.program.signal("SIGSTOP");
  const asked = client.ask("POST", "/checkout?id=2", { headers });
  const erased = await runProgram(["user", "erase", name], env);
  expect(erased).toMatchObject({ exitCode: 0 });
  await asked;
  expect(await tablesWith(env.DATABASE_URL, name)).toEqual([]);
});
