/**
 * Whoever leads is killed by `kill -9` in the middle of a rush, and another takes over: how long nobody
 * is answered, how long the unluckiest waits, and whether what was acknowledged is there.
 */
import {
  arrivalsSchema,
  answersOf,
  type ArrivalReport,
  Crowd,
  plainArrivals,
} from "../arriving.ts";
import { complaintsOf } from "../complaints.ts";
import { number } from "../report.ts";
import type { Bench, Found, Plan, Scenario } from "../scenario.ts";
import { type Home, makeHome, Stampede } from "../stampede.ts";
import {
  brokenOf,
  type Chapter,
  curveOf,
  knownAnswers,
  type Promised,
  wrongIn,
} from "./chapter.ts";
import { notThere } from "./orders.ts";

const connections = 256;
/** Who come each second; each reserves, and buys. */
const buyersPerSecond = 2_000;
/** Orders after which whoever leads is killed. */
const ordersBefore = 3_000;
const rushSeconds = 5;
const startSeconds = 6;
const environment = { SALE_UNITS_PER_ITEM: "10" };

export const takeover: Scenario = {
  name: "takeover",
  seconds: ({ reportTurns }: Plan) => startSeconds + reportTurns * (startSeconds + rushSeconds + 3),
  run,
};

type Turn = { readonly report: ArrivalReport; readonly promises: readonly Promised[] };

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const first = makeHome(owned, environment);
  const homes: Home[] = [first];
  let leader = await progress.step("takeover: starting", startSeconds, () =>
    Stampede.start(owned, executable, first),
  );
  const turns: Turn[] = [];
  for (let turn = 1; turn <= plan.reportTurns; turn += 1) {
    const of = `${turn} of ${plan.reportTurns}`;
    const home = { ...makeHome(owned, environment), dataFolder: first.dataFolder };
    homes.push(home);
    const other = await progress.step(`takeover: starting another, ${of}`, startSeconds, () =>
      Stampede.start(owned, executable, home),
    );
    turns.push(
      await progress.step(`takeover: a rush, and kill -9, ${of}`, rushSeconds + 3, () =>
        oneTakeover(bench, { leader, other, port: home.port, name: `turn-${turn}` }),
      ),
    );
    leader = other;
  }
  const { ok } = await leader.audit();
  await leader.stop();
  const complaints = await Promise.all(homes.map(complaintsOf));
  const promises = [
    ...turns.flatMap((turn) => turn.promises),
    { what: "the audit after all of them is ok", held: ok },
    {
      what: "no process logged an error",
      held: complaints.every(({ errors }) => errors.length === 0),
    },
  ];
  return {
    database: leader.database,
    lines: [],
    verdicts: [],
    wrong: brokenOf("takeover", promises),
    chapters: [chapterOf(turns, promises)],
  };
}

async function oneTakeover(
  { owned }: Bench,
  rush: {
    readonly leader: Stampede;
    readonly other: Stampede;
    readonly port: number;
    readonly name: string;
  },
): Promise<Turn> {
  const { leader, other, port, name } = rush;
  const before = await leader.settledSale();
  const pace = { kind: "steady", perSecond: buyersPerSecond, seconds: rushSeconds } as const;
  const arrivals = { ...plainArrivals, port, connections, pace, name };
  const crowd = new Crowd(
    owned,
    arrivalsSchema.parse({ ...arrivals, asks: "items", buys: true, tellsAt: ordersBefore }),
  );
  await crowd.hasBought();
  await leader.crash({ database: false });
  const report = await crowd.report();
  const after = await other.settledSale();
  const gone = await notThere(port, report.orders);
  const stored = after.attempts - before.attempts;
  const answers = answersOf(report);
  const strange = wrongIn(report, knownAnswers);
  return {
    report,
    promises: [
      {
        what: `each of ${number(answers)} requests around the kill was answered, and none by a failure${strange.length === 0 ? "" : `: ${strange[0]}`}`,
        held: strange.length === 0,
      },
      { what: `and done once: ${number(stored)} attempts`, held: stored === answers },
      {
        what: `each of ${number(report.orders.length)} orders that were acknowledged is there: ${gone} are not`,
        held: gone === 0,
      },
    ],
  };
}

function chapterOf(turns: readonly Turn[], promises: readonly Promised[]): Chapter {
  const reports = turns.map(({ report }) => report);
  return {
    title: "Takeover under load",
    headline: {
      what: "nobody answered, after kill -9 of who leads",
      values: reports.map(({ longestSilenceMs }) => longestSilenceMs),
      digits: 0,
      unit: "ms",
    },
    says: [
      `Two processes on one set of records. ${number(buyersPerSecond)} people a second come to the one that stands by, each reserves the next item and buys it, and in the middle of it the one that leads is ended by kill -9. Nobody asks twice: who was on the way is answered by the other, once.`,
    ],
    figures: [
      {
        what: "longest time in which nobody was answered",
        values: reports.map(({ longestSilenceMs }) => longestSilenceMs),
        digits: 0,
        unit: "ms",
      },
      {
        what: "the unluckiest waited, from when the request was due",
        values: reports.map(({ latencies, purchaseLatencies }) =>
          Math.max(latencies.maxMs, purchaseLatencies.maxMs),
        ),
        digits: 0,
        unit: "ms",
      },
      {
        what: "orders acknowledged in such a rush",
        values: reports.map(({ orders }) => orders.length),
        digits: 0,
        unit: "",
      },
    ],
    charts: [
      {
        kind: "time",
        title: "Answers a second as time goes by, the kill among them",
        unit: "a second",
        lines: [{ name: "checkouts and purchases", turns: reports.map(tenths) }],
      },
      {
        kind: "percentiles",
        title: "How long a checkout takes, the takeover among them",
        unit: "ms",
        lines: [{ name: "checkouts", turns: reports.map(({ latencies }) => curveOf(latencies)) }],
      },
    ],
    promises,
  };
}

/** Answers a second, by whole tenths: a gap is shorter than half a second. */
const tenths = ({ answersByTenth }: ArrivalReport): [number, number][] =>
  answersByTenth.slice(0, -1).map((count, tenth) => [(tenth + 1) / 10, count * 10]);
