/** Whoever leads is killed while it delivers: nothing is skipped, and the order stays. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { environment, leads, standsBy } from "../support/leading.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { firsts, Receiver } from "../support/receiver.ts";
import { runProgram, startServer } from "../support/server.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const buyersAtOnce = 4;
const unitsMin = 60;

const feedShape = z.object({
  events: z.array(z.object({ seq: z.int(), type: z.string() })),
  next_after: z.int(),
});

test("kill -9 of the leader while it delivers: all of it arrives, in order, by whoever leads next", async () => {
  const env = environment(await postgres.newRecords(), { WEBHOOK_PRIVATE: "1" });
  const { output } = await runProgram(
    ["key", "create", "hooks", "--scope", "manage,read,sell"],
    env,
  );
  const headers = { Authorization: `Bearer ${output.trim()}` };
  const leader = await startServer(env);
  await leads(leader);
  await using standby = await startServer(env);
  await standsBy(standby);
  const receiver = new Receiver();
  const types = ["sale.opened", "reservation.made", "order.created"];
  for (const url of ["http://127.0.0.1:1/dead", receiver.url]) {
    const made = await standby.client.ask("POST", "/api/admin/webhooks", {
      headers,
      body: JSON.stringify({ url, types }),
    });
    expect(made.status).toBe(201);
  }
  const state = { isKilled: false, bought: 0 };
  const buying = upTo(buyersAtOnce).map(async (n) => {
    while (!state.isKilled || state.bought < unitsMin) {
      const key = crypto.randomUUID();
      const path = `/checkout?user_id=u${n}&id=any`;
      const ask = () =>
        standby.client.ask("POST", path, { headers: { ...headers, "Idempotency-Key": key } });
      const reserved = await ask().catch(() => null);
      if (reserved?.status !== 200) continue;
      const { code } = z.object({ code: z.string() }).parse(reserved.json());
      const sold = await standby.client
        .ask("POST", `/purchase?code=${code}`, { headers })
        .catch(() => null);
      if (sold?.status === 200) state.bought += 1;
    }
  });
  await until("deliveries", () => receiver.received.length > unitsMin);
  await leader.kill();
  state.isKilled = true;
  await Promise.all(buying);
  await leads(standby);

  const wanted: number[] = [];
  for (let after = 0; ;) {
    const answer = await standby.client.ask("GET", `/api/admin/feed?after=${after}&limit=500`, {
      headers,
    });
    const { events, next_after } = feedShape.parse(answer.json());
    if (events.length === 0) break;
    // The last unit may have been sold, which they have not asked for.
    wanted.push(...events.filter(({ type }) => types.includes(type)).map(({ seq }) => seq));
    after = next_after;
  }
  await until("the last delivery", () => receiver.seqs.at(-1) === wanted.at(-1));
  const made = wanted.filter((seq) => seq >= (receiver.seqs[0] ?? 0));
  // What was answered and not noted was sent again; nothing new came before its turn.
  expect(firsts(receiver.seqs)).toEqual(made);
  const [sold] = await lookInto(env["DATABASE_URL"] ?? "")<{ count: number }[]>`
    select count(*)::int as count from purchases`;
  expect(sold?.count).toBeGreaterThanOrEqual(unitsMin);
});
