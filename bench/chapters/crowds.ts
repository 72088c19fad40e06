/**
 * Everybody at once: a hundred thousand who all want one of the ten thousand there are, until each has
 * been answered; and as many as there are connections for, in the same instant.
 */
import { answersOf, arrive, type ArrivalReport, plainArrivals } from "../arriving.ts";
import { percentile } from "../latencies.ts";
import { openFilesMax } from "../proc.ts";
import { number } from "../report.ts";
import type { Bench, Found, Plan, Scenario } from "../scenario.ts";
import { makeHome, Stampede } from "../stampede.ts";
import {
  brokenOf,
  type Chapter,
  curveOf,
  type Figure,
  promisesOf,
  type Promised,
  rateOverTime,
} from "./chapter.ts";

const startSeconds = 6;

const buyers = 100_000;
const connectionsMax = 1_000;
const soldOutSeconds = 6;

/** Everybody of these has a connection, on which to ask in the same instant. */
const atOnceMax = 10_000;
/** Files that a process holds open besides connections. */
const otherFiles = 500;
const instantSeconds = 3;

/** As many of them as a process may have here. */
const connectionsOf = (wanted: number): number => Math.min(wanted, openFilesMax() - otherFiles);

export const hundredThousand: Scenario = {
  name: "hundredthousand",
  seconds: ({ reportTurns }: Plan) => reportTurns * (startSeconds + soldOutSeconds),
  run: sellOut,
};

async function sellOut(bench: Bench): Promise<Found> {
  const reports: ArrivalReport[] = [];
  const promises: Promised[][] = [];
  let database: string | null = null;
  for (let turn = 1; turn <= bench.plan.reportTurns; turn += 1) {
    const sold = await sellOnce(bench, turn);
    reports.push(sold.report);
    promises.push(sold.promises);
    ({ database } = sold);
  }
  const all = promises.flat();
  return {
    database,
    lines: [],
    verdicts: [],
    wrong: brokenOf("100,000 buyers", all),
    chapters: [soldOutChapter(reports, all)],
  };
}

async function sellOnce({ owned, progress, executable, plan }: Bench, turn: number) {
  const home = makeHome(owned);
  const of = `${turn} of ${plan.reportTurns}`;
  const stampede = await progress.step(`100,000 buyers: starting, ${of}`, startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const before = await stampede.sale();
  const report = await progress.step(`100,000 buyers: selling, ${of}`, soldOutSeconds, () =>
    arrive(owned, {
      port: home.port,
      connections: connectionsOf(connectionsMax),
      pace: { kind: "instant", requests: buyers },
      ...plainArrivals,
      asks: "free",
      buys: true,
    }),
  );
  const items = new Set(report.orders.map(([, , item]) => item));
  const exact = report.orders.length === before.stock && items.size === before.stock;
  const promises = [
    {
      what: `exactly ${number(before.stock)} were sold of ${number(before.stock)}, none twice: ${number(report.orders.length)} orders of ${number(items.size)} items`,
      held: exact,
    },
    ...(await promisesOf(stampede, home, { before, reports: [report] })),
  ];
  await stampede.stop();
  return { report, promises, database: stampede.database };
}

function soldOutChapter(reports: readonly ArrivalReport[], promises: readonly Promised[]): Chapter {
  const figure = (
    what: string,
    digits: number,
    unit: string,
    of: (report: ArrivalReport) => number,
  ): Figure => ({ what, values: reports.map(of), digits, unit });
  return {
    title: "Sold out, with 100,000 buyers",
    headline: figure("10,000 sold out, with 100,000 buyers", 2, "s", (report) => {
      return report.lastOrderSeconds;
    }),
    says: [
      `All of ${number(buyers)} people, each somebody else, ask for the next free item from the first moment on, over ${number(connectionsOf(connectionsMax))} connections; who gets one buys it at once. It is over when the last of them has an answer: an order, or that there is nothing left. On a new folder each time.`,
    ],
    figures: [
      figure("from the first request to the last of 10,000 orders", 2, "s", (report) => {
        return report.lastOrderSeconds;
      }),
      figure("until each of 100,000 has been answered", 2, "s", ({ seconds }) => seconds),
      figure("requests a second", 0, "", (report) => answersOf(report) / report.seconds),
      figure("99 % of purchases within", 1, "ms", ({ purchaseLatencies }) =>
        percentile(purchaseLatencies, 0.99),
      ),
      figure("the slowest purchase", 1, "ms", ({ purchaseLatencies }) => purchaseLatencies.maxMs),
    ],
    charts: [
      {
        kind: "time",
        title: "Answers a second as time goes by",
        unit: "a second",
        lines: [{ name: "checkouts and purchases", turns: reports.map(rateOverTime) }],
      },
    ],
    promises,
  };
}

export const instant: Scenario = {
  name: "instant",
  seconds: ({ reportTurns }: Plan) => startSeconds + reportTurns * instantSeconds,
  run: startTogether,
};

async function startTogether({ owned, progress, executable, plan }: Bench): Promise<Found> {
  const many = connectionsOf(atOnceMax);
  // Enough for everybody in every turn, so that each answer is a reservation.
  const home = makeHome(owned, { SALE_UNITS_PER_ITEM: "100" });
  const stampede = await progress.step("instant: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const before = await stampede.sale();
  const reports: ArrivalReport[] = [];
  for (let turn = 1; turn <= plan.reportTurns; turn += 1) {
    const label = `instant: ${number(many)} at once, ${turn} of ${plan.reportTurns}`;
    const report = await progress.step(label, instantSeconds, () =>
      arrive(owned, {
        port: home.port,
        connections: many,
        pace: { kind: "instant", requests: many },
        ...plainArrivals,
        asks: "free",
        name: `turn-${turn}`,
      }),
    );
    reports.push(report);
  }
  const promises = [
    {
      what: "everybody got a unit, for there were enough",
      held: reports.every(({ answers }) => answers["checkout 200"] === many),
    },
    ...(await promisesOf(stampede, home, { before, reports })),
  ];
  await stampede.stop();
  const { database } = stampede;
  return {
    database,
    lines: [],
    verdicts: [],
    wrong: brokenOf("same instant", promises),
    chapters: [instantChapter(many, reports, promises)],
  };
}

function instantChapter(
  many: number,
  reports: readonly ArrivalReport[],
  promises: readonly Promised[],
): Chapter {
  const figure = (what: string, of: (report: ArrivalReport) => number): Figure => ({
    what,
    values: reports.map(of),
    digits: 0,
    unit: "ms",
  });
  return {
    title: "Everybody in the same instant",
    headline: figure(`the slowest of ${number(many)} in the same instant`, ({ latencies }) => {
      return latencies.maxMs;
    }),
    says: [
      `${number(many)} people with a connection each press at the same moment, and each gets a unit. Their time counts from that moment, so who is sent last by the crowd's one process has waited since the first.`,
    ],
    figures: [
      figure("the slowest answer", ({ latencies }) => latencies.maxMs),
      figure("99 % are answered within", ({ latencies }) => percentile(latencies, 0.99)),
      figure("half are answered within", ({ latencies }) => percentile(latencies, 0.5)),
    ],
    charts: [
      {
        kind: "percentiles",
        title: `How long each of ${number(many)} waits`,
        unit: "ms",
        lines: [{ name: "checkouts", turns: reports.map(({ latencies }) => curveOf(latencies)) }],
      },
    ],
    promises,
  };
}
