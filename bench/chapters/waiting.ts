/** The waiting room: a crowd joins, and at the opening all of it is drawn and let in. */
import { z } from "zod";
import { arrive, type ArrivalReport, plainArrivals } from "../arriving.ts";
import { complaintsOf } from "../complaints.ts";
import { percentile } from "../latencies.ts";
import { draw, type QueueSetup } from "../queue.ts";
import { number } from "../report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "../scenario.ts";
import { makeHome, Stampede } from "../stampede.ts";
import {
  brokenOf,
  type Chapter,
  curveOf,
  type Figure,
  type Promised,
  rateOf,
  wrongIn,
} from "./chapter.ts";

const connections = 256;
const startSeconds = 6;
const minuteMs = 60_000;
/** Of joining: of the minute that a sale lasts the rest is for the draw, and to look at it. */
const joinSecondsMax = 15;
/** Before the opening, for what is on its way. */
const restMs = 3_000;
const auditSecondsMax = 60;

/** A turn takes the minute of a sale. */
const turnsOf = ({ reportTurns }: Plan): number => Math.ceil(reportTurns / 2);

export const waiting: Scenario = {
  name: "waiting",
  seconds: (plan: Plan) => startSeconds + turnsOf(plan) * (minuteMs / 1000) + 20,
  run,
};

type Turn = {
  readonly report: ArrivalReport;
  readonly drawnSeconds: number;
  readonly longestMs: number;
  readonly promises: readonly Promised[];
};

const nextShape = z.object({
  next: z.object({ id: z.int().nullable(), starts_at: z.iso.datetime() }),
});
const queueShape = z.object({ joined: z.int(), admitted_up_to: z.int() });
const auditShape = z.object({ ok: z.boolean() });

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const home = makeHome(owned, {
    SALE_ENTRY: "queue",
    SALE_ADMIT_PER_SECOND: "100000",
    SALE_SCHEDULE: "* * * * *",
  });
  const stampede = await progress.step("waiting room: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const turns: Turn[] = [];
  for (let turn = 1; turn <= turnsOf(plan); turn += 1) {
    turns.push(
      await oneOpening({ bench, stampede, port: home.port }, `${turn} of ${turnsOf(plan)}`),
    );
  }
  await stampede.stop();
  const { errors } = await complaintsOf(home);
  const promises = [
    ...turns.flatMap((turn) => turn.promises),
    { what: "the program logged no error", held: errors.length === 0 },
  ];
  return {
    database: stampede.database,
    lines: [],
    verdicts: [],
    wrong: brokenOf("waiting room", promises),
    chapters: [chapterOf(turns, promises)],
  };
}

type Setup = { readonly bench: Bench; readonly stampede: Stampede; readonly port: number };

/** The sale that opens next, where there is time enough to join before. */
async function nextOpening({ stampede }: Setup, joinSeconds: number) {
  const until = Date.now() + 2 * minuteMs;
  while (Date.now() < until) {
    const { next } = nextShape.parse(await (await fetch(`${stampede.origin}/sale`)).json());
    const opensAt = Date.parse(next.starts_at);
    if (next.id !== null && opensAt - Date.now() > joinSeconds * 1000 + restMs) {
      return { sale: next.id, opensAt };
    }
    await Bun.sleep(250);
  }
  throw new BenchError("no sale opens next");
}

async function oneOpening(setup: Setup, which: string): Promise<Turn> {
  const { bench, stampede, port } = setup;
  const seconds = Math.min(joinSecondsMax, bench.plan.reportSeconds);
  const { sale, opensAt } = await nextOpening(setup, seconds);
  const pace = { kind: "flood", seconds } as const;
  const report = await bench.progress.step(`waiting room: they join, ${which}`, seconds, () =>
    arrive(bench.owned, { ...plainArrivals, port, connections, pace, asks: "place", sale }),
  );
  const queue: QueueSetup = { bench, stampede, sale, opensAt };
  const { measures, wrong } = await draw(queue);
  const path = `${stampede.origin}/sales/${sale}`;
  const state = queueShape.parse(await (await fetch(`${path}/queue`)).json());
  const signal = AbortSignal.timeout(auditSecondsMax * 1000);
  const { ok } = auditShape.parse(await (await fetch(`${path}/audit`, { signal })).json());
  const told = report.answers["checkout 201"] ?? 0;
  const strange = [...wrongIn(report, /^checkout 201$/), ...wrong];
  return {
    report,
    drawnSeconds: measures[0]?.value ?? Number.NaN,
    longestMs: measures[1]?.value ?? Number.NaN,
    promises: [
      {
        what: `each of ${number(told)} who were told a ticket has one, and no other has: ${number(state.joined)}`,
        held: state.joined === told && strange.length === 0,
      },
      {
        what: `all are let in: ${number(state.admitted_up_to)}`,
        held: state.admitted_up_to === told,
      },
      { what: "the audit, which draws again in PostgreSQL, is ok", held: ok },
    ],
  };
}

function chapterOf(turns: readonly Turn[], promises: readonly Promised[]): Chapter {
  const figure = (
    what: string,
    digits: number,
    unit: string,
    of: (turn: Turn) => number,
  ): Figure => ({ what, digits, unit, values: turns.map(of) });
  return {
    title: "The waiting room",
    headline: null,
    says: [
      "A sale opens each minute, and before each a crowd joins its queue as fast as it is answered. At the opening all who joined are drawn, from a seed that was sealed before, and let in; meanwhile somebody asks for something else all the time, and the longest wait is noted.",
    ],
    figures: [
      figure("who joined before an opening", 0, "", ({ report }) => report.latencies.count),
      figure("joins a second, each committed before it is answered", 0, "", ({ report }) =>
        rateOf(report),
      ),
      figure("99 % of joins are answered within", 1, "ms", ({ report }) =>
        percentile(report.latencies, 0.99),
      ),
      figure("from the opening until all are drawn", 2, "s", ({ drawnSeconds }) => drawnSeconds),
      figure("longest wait for another answer meanwhile", 0, "ms", ({ longestMs }) => longestMs),
    ],
    charts: [
      {
        kind: "percentiles",
        title: "How long a join takes",
        unit: "ms",
        lines: [{ name: "joins", turns: turns.map(({ report }) => curveOf(report.latencies)) }],
      },
    ],
    promises,
  };
}
