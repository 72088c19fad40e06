/**
 * Whatever anybody sends, to every route of a leader and of a standby: never a 5xx but 503, never a
 * connection that hangs, never a term lost. For `FUZZ_SECONDS`, or ten; a failure names its seed, and
 * `SEED=` has it again.
 */
import { beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { LedgerClock } from "../../src/engine/clock.ts";
import { idleRoutes } from "../../src/idle.ts";
import { usePostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { RawConnection } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { upTo, waitMaxMs, within } from "../support/wait.ts";
import { drawRequest } from "./fuzz.ts";

const postgres = usePostgres();
const seconds = Number(process.env["FUZZ_SECONDS"] ?? "10");
const requestsPerSeed = 20;
const atOnce = 16;

/** What has no end is not waited for. */
const routes = idleRoutes("", new LedgerClock()).filter(({ path }) => path !== "/events");
let servers: readonly TestServer[];

beforeAll(async () => {
  const environment = { DATABASE_URL: await postgres.newRecords() };
  servers = [await startServer(environment), await startServer(environment)];
});

const epochs = () =>
  Promise.all(
    servers.map(async ({ client }) => {
      const answer = await client.get("/ready");
      return z.object({ epoch: z.int() }).parse(answer.json()).epoch;
    }),
  );

async function sendOne(dice: Random, seed: number): Promise<void> {
  const { url } = dice.pick(servers) as TestServer;
  const { bytes, isCut } = drawRequest(dice, routes);
  const said = Buffer.from(bytes).toString("latin1").slice(0, 400);
  const connection = await RawConnection.open(url);
  connection.send(bytes);
  if (isCut) connection.finish();
  await within(`SEED=${seed}, an end of ${said}`, waitMaxMs, connection.closed);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(connection.text)?.[1] ?? 0);
  if (status >= 500 && status !== 503) {
    throw new Error(`SEED=${seed}: ${said}\n is answered\n${connection.text.slice(0, 800)}`);
  }
}

test(
  "nothing that is sent does any harm",
  async () => {
    const before = await epochs();
    const until = performance.now() + seconds * 1000;
    const queue = seeds(1_000_000).values();
    await Promise.all(
      upTo(atOnce).map(async () => {
        for (const seed of queue) {
          const dice = new Random(seed);
          for (let i = 0; i < requestsPerSeed; i += 1) {
            // oxlint-disable-next-line no-await-in-loop
            await sendOne(dice, seed);
          }
          if (performance.now() > until) return;
        }
      }),
    );
    expect(await epochs()).toEqual(before);
    for (const { program } of servers) {
      expect(program.isRunning).toBe(true);
      expect(program.log).not.toContain('"msg":"failed"');
    }
    const [leader] = servers;
    await leader?.client.reserve("afterwards");
  },
  (seconds + 120) * 1000,
);
