/**
 * The network between processes is cut. It is run by itself, after the other tests: the machine's
 * interfaces change, upon which browsers give up what they are loading.
 */
import { describe, expect, test } from "bun:test";
import {
  boundMs,
  environment,
  expectSound,
  leads,
  say,
  sells,
  standsBy,
} from "../support/leading.ts";
import { canHaveNamespaces, Namespace } from "../support/namespace.ts";
import { lookInto, useOwnPostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = useOwnPostgres();

/** Needs what not every machine gives; where `CI` is set it has to. */
const inNamespaces =
  canHaveNamespaces || process.env["CI"] !== undefined ? describe : describe.skip;

inNamespaces("the network is cut", () => {
  test("between the leader and all others: another leads, and the first stands by when it is back", async () => {
    const space = await Namespace.make();
    await postgres.listenAt(space.here);
    const url = await postgres.newDatabase();
    const afar = url.replace("127.0.0.1", space.here);
    const own = environment(afar, { HOST: space.there });
    await using first = await startServer(own, { within: space.within });
    await using second = await startServer(environment(afar, { HOST: space.here }));
    await standsBy(second);
    await first.client.reserve("ann");
    await space.pull();
    await sells(second, "cut off, sold again after");
    await leads(second);
    await space.plug();
    const startedAt = performance.now();
    await standsBy(first);
    say("the network is back, the first stands by after", performance.now() - startedAt);
    await sells(first, "and sells through it after");
    expect(await first.stop()).toBe(0);
    await expectSound(url);
  });

  test("between the only process and PostgreSQL: it says so, and sells when it is back", async () => {
    const space = await Namespace.make();
    await postgres.listenAt(space.here);
    const url = (await postgres.newDatabase()).replace("127.0.0.1", space.here);
    const environmentThere = environment(url, { HOST: space.there });
    await using server = await startServer(environmentThere, { within: space.within });
    await server.client.reserve("ann");
    await space.pull();
    const sql = lookInto(url);
    await until(
      "its session's end",
      async () => {
        const rows = await sql`
        select 1 from pg_stat_activity where application_name = 'stampede writer'`;
        return rows.length === 0;
      },
      boundMs,
    );
    await space.plug();
    await sells(server, "the network is back, sold again after");
    await expectSound(url);
  });
});
