/**
 * Starting: on an empty folder, and on one sale with a million attempts or more, after a clean
 * stop and after two kinds of crash. On the way there, the memory of the server.
 *
 * It is right when every figure after a start is what it was before the end: nothing that was
 * answered is gone, and nothing is sold that was not.
 */
import { complaintsOf } from "./complaints.ts";
import { answered, failures, type Load, merge } from "./load.ts";
import { frontsOf, memoryOf, type Memory } from "./proc.ts";
import { type Measure, measureTable, number, verdictsOf } from "./report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { goShopping } from "./shopping.ts";
import { type Home, makeHome, type Sale, Stampede } from "./stampede.ts";

const connections = 256;
/** Bought before the flood, so that there is more to recover than reservations. */
const bought = 3_000;
const buyers = 600;
const perUserLimit = 10;
const shoppingSeconds = 3;
const shoppingSecondsMax = 60;
/** Assumed for the progress bar and the first shot. */
const attemptsPerSecond = 25_000;
const shotSecondsMax = 6;
const floodSecondsMax = 150;
const startSeconds = 4;
/** Memory that has grown less than this between the two readings is flat. */
const flatGrowth = 0.1;

/** What a process may take that stands by. */
const besideMb = 200;

const ready: Measure["target"] = { is: "<", bound: 1.5 };

const floodSeconds = (attempts: number): number => Math.ceil(attempts / attemptsPerSecond);

export const recovery: Scenario = {
  name: "recovery",
  seconds: ({ attempts }: Plan) => startSeconds * 5 + shoppingSeconds + 2 * floodSeconds(attempts),
  run,
};

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const home = makeHome(owned);
  const wrong: string[] = [];
  const start = (why: string): Promise<Stampede> =>
    progress.step(`recovery: starting ${why}`, startSeconds, () =>
      Stampede.start(owned, executable, home),
    );

  let stampede = await start("on an empty folder");
  const firstMs = stampede.readyMs;
  wrong.push(...(await buySome(bench, home.port)));
  const first = await flood(bench, stampede, plan.attempts);
  const { second, others } = await floodFollowed(bench, stampede, home);
  wrong.push(...first.wrong, ...second.wrong);
  const before = await stampede.settledSale();

  await stampede.crash({ database: false });
  stampede = await start("after kill -9 of the server");
  const adoptedMs = stampede.readyMs;
  wrong.push(...changes("kill -9 of the server", before, await stampede.sale()));

  await stampede.crash({ database: true });
  stampede = await start("after kill -9 of server and PostgreSQL");
  const crashedMs = stampede.readyMs;
  wrong.push(...changes("kill -9 of server and PostgreSQL", before, await stampede.sale()));

  const stopMs = await stampede.stop();
  stampede = await start("after a clean stop");
  const stoppedMs = stampede.readyMs;
  wrong.push(...changes("a clean stop", before, await stampede.sale()));
  if (!(await stampede.audit()).ok) wrong.push("recovery: the audit at the end is not ok");
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  wrong.push(...errors);

  const history = `${number(before.attempts / 1e6, 1)} million attempts`;
  const measures: Measure[] = [
    seconds("start on an empty folder", firstMs, { is: "<", bound: 6 }),
    seconds("start after a clean stop", stoppedMs, ready),
    seconds("start after kill -9 of the server", adoptedMs, ready),
    seconds("start after kill -9 of server and PostgreSQL", crashedMs, ready),
    seconds("clean stop", stopMs, undefined),
    ...memoryMeasures(first, second),
    ...others.map(({ name, nowMb: value }): Measure => {
      const what = `memory of a ${name} after ${number(second.attempts)} attempts`;
      return { what, value, digits: 0, unit: "MB", target: { is: "<", bound: besideMb } };
    }),
  ];
  return {
    database: stampede.database,
    lines: [
      `Starts, to the first 200 of /ready, in a sale of ${history} and ${number(before.sold)} purchases; memory of the server`,
      ...measureTable(measures),
      ...warnings,
      "",
    ],
    verdicts: verdictsOf(measures),
    wrong,
  };
}

const seconds = (what: string, ms: number, target: Measure["target"]): Measure => ({
  what,
  value: ms / 1000,
  digits: 2,
  unit: "s",
  ...(target === undefined ? {} : { target }),
});

function memoryMeasures(first: Flooded, second: Flooded): Measure[] {
  const at = ({ attempts, memory }: Flooded): Measure => ({
    what: `memory after ${number(attempts)} attempts`,
    value: memory.nowMb,
    digits: 0,
    unit: "MB",
    target: { is: "<", bound: 250 },
  });
  return [
    at(first),
    at(second),
    {
      what: "memory, growth from the one to the other",
      value: (second.memory.nowMb / first.memory.nowMb - 1) * 100,
      digits: 0,
      unit: "%",
      target: { is: "<", bound: flatGrowth * 100 },
    },
    { what: "memory at its peak", value: second.memory.peakMb, digits: 0, unit: "MB" },
  ];
}

async function buySome({ owned, progress }: Bench, port: number): Promise<string[]> {
  const shopping = { hostname: "127.0.0.1", port, connections, buyers, limit: perUserLimit };
  const { wrong } = await progress.step("recovery: buying some", shoppingSeconds, () =>
    goShopping(owned, {
      ...shopping,
      items: 10_000,
      want: bought,
      secondsMax: shoppingSecondsMax,
    }),
  );
  return wrong.map((text) => `recovery: ${text}`);
}

type Flooded = {
  readonly attempts: number;
  readonly memory: Memory;
  readonly wrong: readonly string[];
};

/** As many again, of all of which one that stands by hears, and a front of it. */
async function floodFollowed(bench: Bench, stampede: Stampede, { dataFolder }: Home) {
  const { owned, progress, executable, plan } = bench;
  const family = { ...makeHome(owned, { FRONTS: "1" }), dataFolder };
  const beside = await progress.step("recovery: starting another beside it", startSeconds, () =>
    Stampede.start(owned, executable, family),
  );
  const second = await flood(bench, stampede, 2 * plan.attempts);
  const front = frontsOf(beside.pid)[0] ?? 0;
  const others = [
    { name: "standby", ...beside.memory },
    { name: "front", ...memoryOf(front) },
  ];
  await beside.stop();
  return { second, others };
}

/** Checkouts until the sale counts `wanted` attempts. */
async function flood(
  { owned, progress, generator, plan }: Bench,
  stampede: Stampede,
  wanted: number,
): Promise<Flooded> {
  const label = `recovery: checkouts, up to ${number(wanted)}`;
  return await progress.step(label, floodSeconds(plan.attempts), async () => {
    const until = performance.now() + floodSecondsMax * 1000;
    const before = await stampede.settledSale();
    let { attempts } = before;
    let rate = attemptsPerSecond;
    const loads: Load[] = [];
    while (attempts < wanted) {
      if (performance.now() > until) {
        throw new BenchError(`${number(attempts)} attempts after ${floodSecondsMax} s`);
      }
      const shot = {
        of: "checkout",
        origin: stampede.origin,
        connections,
        seconds: Math.min(shotSecondsMax, Math.max(1, Math.ceil((wanted - attempts) / rate))),
      } as const;
      // oxlint-disable-next-line no-await-in-loop
      const load = await generator.shoot(owned, shot);
      loads.push(load);
      rate = Math.max(1, answered(load) / load.seconds);
      // oxlint-disable-next-line no-await-in-loop
      ({ attempts } = await stampede.settledSale());
    }
    const wrong: string[] = [];
    if (loads.length > 0) {
      const all = merge(loads);
      const unanswered = attempts - before.attempts - answered(all);
      if (failures(all) > 0) wrong.push(`recovery: ${failures(all)} answers of 500 or above`);
      if (unanswered < 0 || unanswered > loads.length * connections) {
        wrong.push(`recovery: ${unanswered} attempts more are stored than were answered`);
      }
    }
    return { attempts, memory: stampede.memory, wrong };
  });
}

/** What must be as it was. Reservations may have lapsed meanwhile. */
function changes(why: string, before: Sale, after: Sale): string[] {
  const wrong: string[] = [];
  if (after.attempts !== before.attempts) {
    wrong.push(`after ${why}: ${after.attempts} attempts, ${before.attempts} before`);
  }
  if (after.sold !== before.sold) {
    wrong.push(`after ${why}: ${after.sold} sold, ${before.sold} before`);
  }
  if (after.reserved > before.reserved) {
    wrong.push(`after ${why}: ${after.reserved} reserved, ${before.reserved} before`);
  }
  return wrong;
}
