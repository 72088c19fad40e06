/**
 * The same sale as others make it, in the same run, behind the same HTTP server: with row locks in
 * PostgreSQL, and where Redis is installed by a script in it. How fast each is, and what of that which it
 * had acknowledged is gone after `kill -9` of everything.
 */
import { answersOf, arrive, type ArrivalReport, Crowd, plainArrivals } from "../arriving.ts";
import { complaintsOf } from "../complaints.ts";
import { percentile } from "../latencies.ts";
import { number, withSpread } from "../report.ts";
import { type Contender, Rival, rivals, StampedeContender } from "../rivals/contenders.ts";
import { redisVersion } from "../rivals/redis.ts";
import type { Bench, Found, Plan, Scenario } from "../scenario.ts";
import {
  brokenOf,
  type Chapter,
  curveOf,
  type Figure,
  knownAnswers,
  type Promised,
  rateOf,
  wrongIn,
} from "./chapter.ts";
import { notThere } from "./orders.ts";

const connections = 64;
/** Acknowledged before everything is killed, and items of a turn that are there to be bought. */
const ordersBefore = 4_000;
const itemsOfTurn = 6_000;
/** Those before are asked for in the floods. */
const firstItem = 10_001;
const rushSecondsMax = 20;
const restMsMax = 100;
const startSeconds = 8;
const killSeconds = 10;
const aroundSeconds = 1;

const chosen = () => rivals.filter(({ sync }) => sync === null || redisVersion() !== null);

export const rivalry: Scenario = {
  name: "rivals",
  seconds: ({ reportTurns, reportSeconds, warmUpSeconds }: Plan) =>
    (1 + chosen().length) *
    (startSeconds + warmUpSeconds + reportTurns * (reportSeconds + aroundSeconds + killSeconds)),
  run,
};

type Killed = {
  /** Acknowledged, and of these: not known any more; known, and no attempt stored. */
  readonly orders: number;
  readonly ordersGone: number;
  readonly attemptsGone: number;
  /** Answers of all kinds that had come, beyond what is stored: at least so many are gone. */
  readonly answersGone: number;
};

type Side = {
  readonly who: Contender;
  readonly floods: ArrivalReport[];
  readonly kills: Killed[];
  /** Answers of the floods, and the attempts stored of them. */
  readonly stored: { readonly answers: number; readonly attempts: number }[];
};

async function run(bench: Bench): Promise<Found> {
  const { progress, plan } = bench;
  const starting = (name: string, start: () => Promise<Contender>) =>
    progress.step(`rivals: starting ${name}`, startSeconds, start);
  const ours = await StampedeContender.start(bench);
  const all: Contender[] = [ours];
  for (const kind of chosen()) {
    all.push(await starting(kind.name, () => Rival.start(bench, kind)));
  }
  const sides = all.map((who): Side => ({ who, floods: [], kills: [], stored: [] }));
  for (const { who } of sides) await shoot(bench, who, plan.warmUpSeconds);
  for (let turn = 0; turn < plan.reportTurns; turn += 1) {
    // In turns: two at once would measure each other.
    for (const side of sides) await flood(bench, side);
    for (const side of sides) await kill(bench, side, turn);
  }
  const audit = await ours.stampede.audit();
  const { errors } = await complaintsOf(ours.home);
  const promises = promisesFrom(sides[0], { isAuditOk: audit.ok, errors });
  return {
    database: ours.stampede.database,
    lines: [],
    verdicts: [],
    wrong: brokenOf("beside others", promises),
    chapters: [chapterOf(sides, plan, promises)],
  };
}

const shoot = ({ owned, progress }: Bench, who: Contender, seconds: number) =>
  progress.step(`rivals: a flood on ${who.name}`, seconds + aroundSeconds, () =>
    arrive(owned, {
      ...plainArrivals,
      port: who.port,
      connections,
      pace: { kind: "flood", seconds },
    }),
  );

async function flood(bench: Bench, { who, floods, stored }: Side): Promise<void> {
  const before = await who.attempts();
  const report = await shoot(bench, who, bench.plan.reportSeconds);
  const after = await who.attempts();
  floods.push(report);
  stored.push({ answers: answersOf(report), attempts: after - before });
}

/** Buys in a rush, ends everything in the middle of it, and asks afterwards for what was acknowledged. */
async function kill({ owned, progress }: Bench, { who, kills }: Side, turn: number): Promise<void> {
  await progress.step(`rivals: kill -9 of ${who.name}`, killSeconds, async () => {
    const before = await who.attempts();
    const crowd = new Crowd(owned, {
      ...plainArrivals,
      port: who.port,
      connections,
      pace: { kind: "flood", seconds: rushSecondsMax },
      asks: "items",
      firstItem: firstItem + turn * itemsOfTurn,
      buys: true,
      tellsAt: ordersBefore,
      name: `turn-${turn}`,
    });
    await crowd.hasBought();
    // At no moment in particular.
    await Bun.sleep(Math.random() * restMsMax);
    await who.crash();
    const report = await crowd.report();
    await who.restart();
    const stored = (await who.attempts()) - before;
    const unrecorded = await who.unrecorded(report.orders);
    const ordersGone = await notThere(who.port, report.orders);
    kills.push({
      orders: report.orders.length,
      ordersGone,
      attemptsGone: unrecorded ?? ordersGone,
      answersGone: Math.max(0, answersOf(report) - stored),
    });
  });
}

/** Of ours alone: what others lose is what there is to see, and no fault of the run. */
function promisesFrom(
  ours: Side | undefined,
  end: { readonly isAuditOk: boolean; readonly errors: readonly string[] },
): Promised[] {
  const { floods = [], kills = [], stored = [] } = ours ?? {};
  return [
    {
      what: "Stampede: every request of the floods was answered as the contract says",
      held: floods.every((report) => wrongIn(report, knownAnswers).length === 0),
    },
    {
      what: "each of these is stored",
      held: stored.every(({ answers, attempts }) => answers === attempts),
    },
    {
      what: "after kill -9 of server and PostgreSQL everything that was acknowledged is there",
      held: kills.every(({ ordersGone, answersGone }) => ordersGone + answersGone === 0),
    },
    { what: "the audit after all of it is ok", held: end.isAuditOk },
    { what: "the program logged no error", held: end.errors.length === 0 },
  ];
}

const goneOf = ({ kills }: Side): Figure => ({
  what: "acknowledged orders gone, after kill -9 of everything",
  values: kills.map(({ ordersGone }) => ordersGone),
  digits: 0,
  unit: "",
});

function rowOf({ who, floods, kills, stored }: Side): string[] {
  const lost = stored.map(({ answers, attempts }) => answers - attempts);
  return [
    who.name,
    withSpread(floods.map(rateOf)),
    withSpread(
      floods.map(({ latencies }) => percentile(latencies, 0.99)),
      1,
    ),
    withSpread(lost),
    withSpread(kills.map((one) => one.orders)),
    withSpread(kills.map((one) => one.ordersGone)),
    withSpread(kills.map((one) => one.attemptsGone)),
  ];
}

function chapterOf(sides: readonly Side[], plan: Plan, promises: readonly Promised[]): Chapter {
  const redis = redisVersion();
  const [ours, ...others] = sides;
  const ratios = (side: Side): Figure => ({
    what: `Stampede ÷ ${side.who.name}, checkouts a second`,
    values: side.floods.map((report, turn) => {
      const beside = ours?.floods[turn];
      return beside === undefined ? Number.NaN : rateOf(beside) / rateOf(report);
    }),
    digits: 1,
    unit: "",
  });
  return {
    title: "Beside what others do",
    headline: ours === undefined ? null : goneOf(ours),
    says: [
      `The two steps of the same sale behind the same HTTP server of the same Bun, one process each, flooded on ${connections} connections in turns of ${plan.reportSeconds} s, ${plan.reportTurns} of each. Row locks: a transaction for each request, which locks the item, counts the buyer's units and stores the attempt, over a pool of 16 connections. Lua: a script in Redis decides, and attempts are stored in PostgreSQL behind the answer, in batches: the quickest that is done; an insert before each answer would cost them most of the rate. Both were made for this page as well as we could, and neither has catalogues, accounts, limits, streams or an audit to pay for.`,
      `Then, ${plan.reportTurns} times: a rush that buys, and after ${number(ordersBefore)} orders kill -9 of everything at once, server, Redis and PostgreSQL; a start; and each order that was acknowledged is asked for again, and the attempt of it looked for in the records. The machine goes on meanwhile, so what a program had handed to the kernel is there: a power cut would take from everysec what Redis had not flushed, a second or two of it; from the others not.`,
      redis === null
        ? "Redis was not installed here, so what most public hourly sales do is not beside these."
        : `Redis ${redis}, appendonly, with its file flushed each second (everysec) or before each answer (always).`,
    ],
    figures: others.map(ratios),
    charts: [
      {
        kind: "bars",
        title: "Checkouts a second",
        unit: "a second",
        lines: sides.map(({ who, floods }) => ({
          name: who.name,
          turns: floods.map((report) => [[0, rateOf(report)] as const]),
        })),
      },
      {
        kind: "percentiles",
        title: "How long a checkout takes at full flood",
        unit: "ms",
        lines: sides.map(({ who, floods }) => ({
          name: who.name,
          turns: floods.map(({ latencies }) => curveOf(latencies)),
        })),
      },
    ],
    table: {
      head: [
        "",
        "checkouts a second",
        "99 % within, ms",
        "answered, not stored",
        "orders before kill -9",
        "of these gone",
        "their attempts gone",
      ],
      rows: sides.map(rowOf),
    },
    promises,
  };
}
