/**
 * Reservations that are made and given back, a million in one sale, by as many people: what of
 * them the server keeps in memory, and what it has to read again after `kill -9`.
 *
 * It is right when nothing is reserved at the end, nothing was sold, and all of it was counted.
 */
import { join } from "node:path";
import { z } from "zod";
import { complaintsOf } from "./complaints.ts";
import type { Owned } from "./owned.ts";
import { type Measure, measureTable, number, verdictsOf } from "./report.ts";
import {
  BenchError,
  within,
  type Bench,
  type Found,
  type Plan,
  type Scenario,
} from "./scenario.ts";
import { makeHome, Stampede } from "./stampede.ts";

const connections = 128;
const startSeconds = 4;
/** Assumed for the progress bar. */
const pairsPerSecond = 8_000;
const secondsPerPairMax = 1 / 1_500;
const extraSecondsMax = 60;

export const abandoningSchema = z.object({
  hostname: z.string(),
  port: z.number().int(),
  connections: z.number().int(),
  pairs: z.number().int(),
  secondsMax: z.number(),
});
const reportSchema = z.object({
  seconds: z.number(),
  pairs: z.number().int(),
  /** What contradicts the contract. */
  wrong: z.array(z.string()),
});
export type AbandoningReport = z.output<typeof reportSchema>;

export const abandoned: Scenario = {
  name: "abandoned",
  seconds: ({ abandoned: pairs }: Plan) => 2 * startSeconds + pairs / pairsPerSecond,
  run,
};

async function run({ owned, progress, executable, plan }: Bench): Promise<Found> {
  const home = makeHome(owned);
  const start = (): Promise<Stampede> =>
    progress.step("abandoned: starting", startSeconds, () =>
      Stampede.start(owned, executable, home),
    );
  const label = `abandoned: ${number(plan.abandoned)} reservations given back`;

  let stampede = await start();
  const made = await progress.step(label, plan.abandoned / pairsPerSecond, () =>
    goAbandoning(owned, home.port, plan.abandoned),
  );
  const wrong = made.wrong.map((text) => `abandoned: ${text}`);
  const { memory } = stampede;
  const before = await stampede.settledSale();
  if (before.attempts !== 2 * made.pairs) {
    wrong.push(`abandoned: ${before.attempts} attempts of ${2 * made.pairs} were counted`);
  }
  if (before.sold + before.reserved > 0) wrong.push("abandoned: something is sold or reserved");

  await stampede.crash({ database: false });
  stampede = await start();
  const { readyMs, memory: restarted } = stampede;
  const after = await stampede.sale();
  if (after.attempts !== before.attempts || after.available !== before.available) {
    wrong.push("abandoned: the figures after kill -9 are not those before");
  }
  if (!(await stampede.audit()).ok) wrong.push("abandoned: the audit is not ok");
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  wrong.push(...errors);

  const megabytes = { digits: 0, unit: "MB", target: { is: "<", bound: 400 } } as const;
  const measures: Measure[] = [
    { what: "memory at its peak", value: memory.peakMb, ...megabytes },
    {
      what: "start after kill -9 of the server",
      value: readyMs / 1000,
      digits: 2,
      unit: "s",
      target: { is: "<", bound: 1.5 },
    },
    { what: "memory at its peak, after the start", value: restarted.peakMb, ...megabytes },
    { what: "reserved and given back", value: made.pairs / made.seconds, digits: 0, unit: "/s" },
  ];
  return {
    database: stampede.database,
    lines: [
      `${number(made.pairs)} reservations made and given back in one sale, by as many people`,
      ...measureTable(measures),
      ...warnings,
      "",
    ],
    verdicts: verdictsOf(measures),
    wrong,
  };
}

async function goAbandoning(owned: Owned, port: number, pairs: number): Promise<AbandoningReport> {
  const program = join(import.meta.dir, "abandoners.ts");
  const secondsMax = extraSecondsMax + pairs * secondsPerPairMax;
  const abandoning = { hostname: "127.0.0.1", port, connections, pairs, secondsMax };
  const child = owned.spawn([process.execPath, program, JSON.stringify(abandoning)]);
  try {
    const printed = new Response(child.stdout).text();
    const exitCode = await within(secondsMax + extraSecondsMax, "abandoning", child.exited);
    if (exitCode !== 0) throw new BenchError(`the abandoners ended with ${exitCode}`);
    return reportSchema.parse(JSON.parse(await printed));
  } finally {
    child.kill("SIGKILL");
  }
}
