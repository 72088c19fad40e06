/**
 * Checkouts at full flood, and at a constant rate of a quarter, a half and three quarters of it: how many
 * a second as time goes by, and how long they take. Beside the flood, in turns, an empty handler of the
 * same Bun: what the machine does to one it does to the other.
 */
import { cpus } from "node:os";
import {
  arrive,
  type Arrivals,
  type ArrivalReport,
  answersOf,
  plainArrivals,
} from "../arriving.ts";
import { readSettings } from "../baseline.ts";
import { startEmpty, type Side } from "../beside.ts";
import { percentile } from "../latencies.ts";
import { cpuSeconds, machineCpuSeconds } from "../proc.ts";
import { median, number } from "../report.ts";
import type { Bench, Found, Plan, Scenario } from "../scenario.ts";
import { makeHome, Stampede } from "../stampede.ts";
import {
  brokenOf,
  type Chapter,
  curveOf,
  type Figure,
  type Line,
  promisesOf,
  rateOf,
  rateOverTime,
} from "./chapter.ts";

const levels = [64, 256] as const;
const shares = [0.75, 0.5, 0.25] as const;
/** At a constant rate there are so many that nobody waits for a connection of the crowd's. */
const steadyConnections = 512;
const startSeconds = 6;
/** For starting a crowd, and its connections. */
const aroundSeconds = 0.5;

export const flood: Scenario = {
  name: "flood",
  seconds: ({ reportTurns, reportSeconds, warmUpSeconds }: Plan) =>
    startSeconds +
    levels.length * 2 * (warmUpSeconds + reportTurns * (reportSeconds + aroundSeconds)) +
    shares.length * reportTurns * (reportSeconds + aroundSeconds),
  run,
};

/** One turn of one side. */
type Turn = {
  readonly report: ArrivalReport;
  readonly cpuUs: number;
  /** Of the machine's processor time what went to programs other than ours, 0 to 1. */
  readonly others: number;
};

type Level = {
  readonly connections: number;
  readonly empty: readonly Turn[];
  readonly measured: readonly Turn[];
};

type Setup = { readonly bench: Bench; readonly measured: Side; readonly empty: Side };

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable } = bench;
  const home = makeHome(owned);
  const stampede = await progress.step("flood: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const measured: Side = {
    name: "Stampede",
    origin: stampede.origin,
    cpu: () => stampede.cpu(),
    memoryMb: () => stampede.memory.nowMb,
  };
  const setup = await warmUp(bench, measured);
  const first = await stampede.settledSale();
  const found: Level[] = [];
  for (const connections of levels) found.push(await compare(setup, connections));
  const flooded = found.flatMap(({ measured: turns }) => turns.map(({ report }) => report));
  const floodKept = await promisesOf(stampede, home, { before: first, reports: flooded });
  const full = floodChapter(bench.plan, found, floodKept);

  const second = await stampede.settledSale();
  const most = found.at(-1)?.measured ?? [];
  const steady = await steadyTurns(setup, median(most.map(({ report }) => rateOf(report))));
  const calm = steady.flatMap(({ turns }) => turns);
  const steadyKept = await promisesOf(stampede, home, { before: second, reports: calm });
  const constant = steadyChapter(bench.plan, { steady, most, promises: steadyKept });
  const facts = await readSettings(home);
  await stampede.stop();
  return {
    database: stampede.database,
    lines: [],
    verdicts: [],
    wrong: [...brokenOf("flood", floodKept), ...brokenOf("constant rate", steadyKept)],
    chapters: [full, constant],
    facts,
  };
}

async function shoot(
  { owned, progress }: Bench,
  side: Side,
  told: Pick<Arrivals, "connections" | "pace">,
): Promise<Turn> {
  const { connections, pace } = told;
  const seconds = pace.kind === "instant" ? 0 : pace.seconds;
  const rate = pace.kind === "steady" ? `, ${number(pace.perSecond)} a second` : "";
  const label = `flood: ${side.name} on ${connections} connections${rate}`;
  return await progress.step(label, seconds + aroundSeconds, async () => {
    const before = usage(side);
    const port = Number(new URL(side.origin).port);
    const report = await arrive(owned, { ...plainArrivals, port, connections, pace });
    const after = usage(side);
    const used = after.side - before.side;
    const ours = used + report.crowdSeconds + after.bench - before.bench;
    const all = ((after.at - before.at) / 1000) * cpus().length;
    const others = Math.max(0, after.machine - before.machine - ours) / all;
    return { report, cpuUs: (used * 1e6) / Math.max(1, answersOf(report)), others };
  });
}

/** Both, on as many connections as are measured; nothing of it counts. */
async function warmUp(bench: Bench, measured: Side): Promise<Setup> {
  const pace = { kind: "flood", seconds: bench.plan.warmUpSeconds } as const;
  for (const connections of levels) await shoot(bench, measured, { connections, pace });
  // Refused by now, as nearly all of a flood are: an answer of that size is what the other gives.
  const empty = await startEmpty(bench.owned, measured.origin);
  for (const connections of levels) await shoot(bench, empty, { connections, pace });
  return { bench, measured, empty };
}

/** Processor time so far, in seconds, and when that is, in ms. */
function usage(side: Side) {
  const { server, database } = side.cpu();
  return {
    side: server + database,
    bench: cpuSeconds(process.pid),
    machine: machineCpuSeconds(),
    at: performance.now(),
  };
}

/** In turns: two at once would measure each other. */
async function compare(setup: Setup, connections: number): Promise<Level> {
  const { bench } = setup;
  const { reportTurns, reportSeconds: seconds } = bench.plan;
  const [empty, measured]: [Turn[], Turn[]] = [[], []];
  const pace = { kind: "flood", seconds } as const;
  for (let turn = 0; turn < reportTurns; turn += 1) {
    empty.push(await shoot(bench, setup.empty, { connections, pace }));
    measured.push(await shoot(bench, setup.measured, { connections, pace }));
  }
  return { connections, empty, measured };
}

type Steady = { readonly share: number; readonly rate: number; readonly turns: ArrivalReport[] };

async function steadyTurns({ bench, measured }: Setup, full: number): Promise<Steady[]> {
  const { reportTurns, reportSeconds } = bench.plan;
  const all = shares.map((share): Steady => ({ share, rate: full * share, turns: [] }));
  for (let turn = 0; turn < reportTurns; turn += 1) {
    for (const { rate, turns } of all) {
      const pace = { kind: "steady", perSecond: rate, seconds: reportSeconds } as const;
      const { report } = await shoot(bench, measured, { connections: steadyConnections, pace });
      turns.push(report);
    }
  }
  return all;
}

const curves = (name: string, reports: readonly ArrivalReport[]): Line => ({
  name,
  turns: reports.map(({ latencies }) => curveOf(latencies)),
});

const overTime = (name: string, turns: readonly Turn[]): Line => ({
  name,
  turns: turns.map(({ report }) => rateOverTime(report)),
});

const reportsOf = (turns: readonly Turn[]): ArrivalReport[] => turns.map(({ report }) => report);

/** How long answers took: half of them, most of them, and the last. */
export const latencyFigures = (on: string, reports: readonly ArrivalReport[]): Figure[] => {
  const figure = (what: string, of: (report: ArrivalReport) => number): Figure => ({
    what: `${what}, ${on}`,
    values: reports.map(of),
    digits: 1,
    unit: "ms",
  });
  return [
    figure("half are answered within", ({ latencies }) => percentile(latencies, 0.5)),
    figure("99 % within", ({ latencies }) => percentile(latencies, 0.99)),
    figure("99.9 % within", ({ latencies }) => percentile(latencies, 0.999)),
    figure("the slowest", ({ latencies }) => latencies.maxMs),
  ];
};

const rates = (turns: readonly Turn[]): number[] => turns.map(({ report }) => rateOf(report));

function levelFigures({ connections, empty, measured }: Level): Figure[] {
  const on = `${connections} connections`;
  const beside = rates(empty);
  const ours = rates(measured);
  return [
    { what: `durable checkouts a second, ${on}`, values: ours, digits: 0, unit: "" },
    { what: `the empty handler's answers a second, ${on}`, values: beside, digits: 0, unit: "" },
    {
      what: `Stampede ÷ the empty handler beside it, ${on}`,
      values: ours.map((rate, turn) => rate / (beside[turn] ?? Number.NaN)),
      digits: 2,
      unit: "",
    },
    {
      what: `processor time a checkout, server and PostgreSQL, ${on}`,
      values: measured.map(({ cpuUs }) => cpuUs),
      digits: 1,
      unit: "µs",
    },
    ...latencyFigures(on, reportsOf(measured)),
    {
      what: `other programs took of the machine meanwhile, ${on}`,
      values: measured.map(({ others }) => others * 100),
      digits: 0,
      unit: "%",
    },
  ];
}

function floodChapter(
  { reportTurns, reportSeconds }: Plan,
  found: readonly Level[],
  promises: Chapter["promises"],
): Chapter {
  const most = found.at(-1);
  return {
    title: "Full flood",
    headline: {
      what: "durable checkouts a second, at full flood",
      values: reportsOf(most?.measured ?? []).map(rateOf),
      digits: 0,
      unit: "",
    },
    says: [
      `Random people ask for random items, each connection again as soon as it is answered. Every answer leaves only after its record is committed to disk, a refusal's too, and after the first moment nearly all are refusals: what a sale mostly does. ${reportTurns} turns of ${reportSeconds} s for each figure, in turns with an empty handler of the same Bun that answers as many bytes and does nothing else. All of it shares one machine: server, PostgreSQL and the crowd.`,
    ],
    figures: found.flatMap(levelFigures),
    charts: [
      {
        kind: "time",
        title: `Answers a second as time goes by, ${most?.connections} connections`,
        unit: "a second",
        lines: [
          overTime("Stampede", most?.measured ?? []),
          overTime("empty handler", most?.empty ?? []),
        ],
      },
      {
        kind: "percentiles",
        title: "How long a checkout takes at full flood",
        unit: "ms",
        lines: found.map(({ connections, measured }) =>
          curves(`${connections} connections`, reportsOf(measured)),
        ),
      },
    ],
    promises,
  };
}

function steadyChapter(
  { reportTurns, reportSeconds }: Plan,
  parts: {
    readonly steady: readonly Steady[];
    readonly most: readonly Turn[];
    readonly promises: Chapter["promises"];
  },
): Chapter {
  const { steady, most, promises } = parts;
  const named = steady.map(({ share, rate, turns }) => ({
    name: `${share * 100} %: ${number(rate)} a second`,
    turns,
  }));
  const late = median(steady.flatMap(({ turns }) => turns.map((report) => report.lateP99Ms)));
  return {
    title: "At a constant rate",
    headline: {
      what: "99 % are answered within, at half of that",
      values: named[1]?.turns.map(({ latencies }) => percentile(latencies, 0.99)) ?? [],
      digits: 1,
      unit: "ms",
    },
    says: [
      `So many come each second, at fixed moments, whether or not those before them were answered, and each one's time counts from when it was due: a server that stands still cannot hide behind a crowd that waits for it. The rates are shares of what the full flood reached on ${levels.at(-1)} connections; ${reportTurns} turns of ${reportSeconds} s each. The crowd itself sends once a millisecond (99 % within ${number(late, 1)} ms of the moment), which is in these times.`,
    ],
    figures: named.flatMap(({ name, turns }) => latencyFigures(name, turns)),
    charts: [
      {
        kind: "percentiles",
        title: "How long a checkout takes, by how many come",
        unit: "ms",
        lines: [
          curves("full flood", reportsOf(most)),
          ...named.map(({ name, turns }) => curves(name, turns)),
        ],
      },
    ],
    promises,
  };
}
