/**
 * Buyers beside everybody else: the same constant rate of checkouts by itself, and beside two thousand
 * streams of events with news all the time, four clients that read as fast as they are answered, and a
 * trickle of buyers who make the news; in turns.
 */
import { arrive, type ArrivalReport, plainArrivals } from "../arriving.ts";
import { Crowd } from "../buyers.ts";
import { answered, type Load } from "../load.ts";
import { openFilesMax } from "../proc.ts";
import { median, number } from "../report.ts";
import type { Bench, Found, Plan, Scenario } from "../scenario.ts";
import { makeHome, Stampede } from "../stampede.ts";
import { Watchers, type WatchReport } from "../watchers.ts";
import { brokenOf, type Chapter, curveOf, promisesOf, type Promised } from "./chapter.ts";
import { latencyFigures } from "./flood.ts";

const connections = 256;
const streamsWanted = 2_000;
const otherFiles = 500;
const readers = 4;
/** Of what a flood reaches here. */
const share = 0.5;
/** The crowd asks for the first half of the items, those who make the news for the other. */
const floodItems = 10_000;
const environment = { SALE_ITEMS: String(2 * floodItems), SALE_UNITS_PER_ITEM: "10" };
const startSeconds = 6;
const aroundSeconds = 2;
const readSecondsMore = 1;

export const mix: Scenario = {
  name: "mix",
  seconds: ({ reportTurns, reportSeconds, warmUpSeconds }: Plan) =>
    startSeconds + 2 * warmUpSeconds + reportTurns * 2 * (reportSeconds + aroundSeconds),
  run,
};

type Setup = {
  readonly bench: Bench;
  readonly stampede: Stampede;
  readonly port: number;
  readonly streams: number;
  readonly perSecond: number;
};

/** Checkouts beside everybody else. */
type Beside = {
  readonly report: ArrivalReport;
  readonly reads: Load;
  readonly watched: WatchReport;
  /** Units bought by those who make the news. */
  readonly bought: number;
  readonly wrong: readonly string[];
};

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const home = makeHome(owned, environment);
  const stampede = await progress.step("mix: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const { port } = home;
  const warming = { kind: "flood", seconds: 2 * plan.warmUpSeconds } as const;
  const full = await progress.step("mix: how much there is", warming.seconds, () =>
    arrive(owned, { ...plainArrivals, port, connections, pace: warming }),
  );
  const streams = Math.min(streamsWanted, openFilesMax() - otherFiles);
  const perSecond = (full.latencies.count / full.seconds) * share;
  const setup: Setup = { bench, stampede, port, streams, perSecond };

  const before = await stampede.settledSale();
  const crowd = new Crowd(port, floodItems);
  const alone: ArrivalReport[] = [];
  const within: Beside[] = [];
  for (let turn = 1; turn <= plan.reportTurns; turn += 1) {
    alone.push(await checkouts(setup, `by themselves, ${turn} of ${plan.reportTurns}`));
    within.push(await besideAll(setup, crowd, `${turn} of ${plan.reportTurns}`));
  }
  const reports = [...alone, ...within.map(({ report }) => report)];
  const bought = within.reduce((sum, one) => sum + one.bought, 0);
  const promises = [
    ...(await promisesOf(stampede, home, { before, reports, beside: 2 * bought })),
    newsPromise(setup, within),
  ];
  await stampede.stop();
  const chapter = chapterOf(setup, { alone, within, promises });
  const wrong = brokenOf("mix", promises);
  return { database: stampede.database, lines: [], verdicts: [], wrong, chapters: [chapter] };
}

const checkouts = ({ bench, port, perSecond }: Setup, what: string): Promise<ArrivalReport> => {
  const { reportSeconds: seconds } = bench.plan;
  const pace = { kind: "steady", perSecond, seconds } as const;
  return bench.progress.step(`mix: checkouts ${what}`, seconds + 0.5, () =>
    arrive(bench.owned, { ...plainArrivals, port, connections, pace }),
  );
};

async function besideAll(setup: Setup, crowd: Crowd, which: string): Promise<Beside> {
  const { bench, stampede, port, streams } = setup;
  const watchers = new Watchers(bench.owned, port);
  await watchers.watch(streams);
  await watchers.report();
  const reading = bench.generator.shoot(bench.owned, {
    of: { path: "/sale", headers: {} },
    origin: stampede.origin,
    connections: readers,
    seconds: bench.plan.reportSeconds + readSecondsMore,
  });
  const told = crowd.wrong.length;
  let report: ArrivalReport | null = null;
  const bought = await crowd.buy(async () => {
    report = await checkouts(setup, `beside everybody else, ${which}`);
  });
  const reads = await reading;
  const watched = await watchers.report();
  await watchers.end();
  if (report === null) throw new Error("it was measured");
  return { report, reads, watched, bought, wrong: crowd.wrong.slice(told) };
}

function newsPromise({ streams }: Setup, within: readonly Beside[]): Promised {
  const wrong = within.flatMap(({ watched, wrong: told }) => [...watched.wrong, ...told]);
  const isTold = within.every(
    ({ watched }) => watched.standing.reduce((sum, one) => sum + one.streams, 0) === streams,
  );
  return {
    what: `each of ${number(streams)} streams stayed, and missed nothing${wrong.length === 0 ? "" : `: ${wrong[0]}`}`,
    held: wrong.length === 0 && isTold,
  };
}

function chapterOf(
  { streams, perSecond, bench }: Setup,
  parts: {
    readonly alone: readonly ArrivalReport[];
    readonly within: readonly Beside[];
    readonly promises: readonly Promised[];
  },
): Chapter {
  const { alone, within, promises } = parts;
  const besides = within.map(({ report }) => report);
  const spread = within.map(({ watched }) =>
    median(watched.events.map(({ firstAt, lastAt }) => lastAt - firstAt)),
  );
  return {
    title: "Beside readers and streams",
    headline: null,
    says: [
      `${number(perSecond)} checkouts a second, half of what a flood reaches here, at a constant rate: by themselves, and beside ${number(streams)} streams of events with news in each, ${readers} clients that ask for the sale as fast as they are answered, and buyers who make the news. ${bench.plan.reportTurns} turns of each.`,
    ],
    figures: [
      ...latencyFigures("by themselves", alone),
      ...latencyFigures("beside everybody else", besides),
      {
        what: "reads answered a second meanwhile",
        values: within.map(({ reads }) => answered(reads) / reads.seconds),
        digits: 0,
        unit: "",
      },
      {
        what: "units reserved and bought a second meanwhile",
        values: within.map(({ bought, report }) => bought / report.seconds),
        digits: 0,
        unit: "",
      },
      {
        what: "an event comes to the last stream after it came to the first, half of them within",
        values: spread,
        digits: 1,
        unit: "ms",
      },
    ],
    charts: [
      {
        kind: "percentiles",
        title: "How long a checkout takes",
        unit: "ms",
        lines: [
          { name: "by themselves", turns: alone.map(({ latencies }) => curveOf(latencies)) },
          { name: "beside all", turns: besides.map(({ latencies }) => curveOf(latencies)) },
        ],
      },
    ],
    promises,
  };
}
