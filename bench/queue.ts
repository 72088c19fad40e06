/**
 * The waiting room: joins beside checkouts of the same run; a queue of a million that is drawn and let
 * in, with what a ticket takes of memory and how long anybody waits for an answer meanwhile; and what
 * it costs a flood that ten thousand wait by streams, or a hundred thousand by asking every five
 * seconds.
 *
 * Nothing of it may be wrong: who joined is counted, all of them are drawn and let in, and the audit,
 * which draws again in PostgreSQL, is ok.
 */
import { join } from "node:path";
import { z } from "zod";
import { complaintsOf } from "./complaints.ts";
import { nextSale, type FloodName } from "./floods.ts";
import { answered, failures, type Load } from "./load.ts";
import { openFilesMax } from "./proc.ts";
import { median, type Measure, measureTable, number, verdictsOf } from "./report.ts";
import {
  BenchError,
  type Bench,
  type Found,
  type Plan,
  type Scenario,
  within,
} from "./scenario.ts";
import { makeHome, Stampede } from "./stampede.ts";
import { Watchers } from "./watchers.ts";

const connections = 64;
const floodSeconds = 2;
const streamsWanted = 10_000;
/** 100,000 who ask every five seconds. */
const pollsPerSecond = 20_000;
/** Files that a process holds open besides streams. */
const otherFiles = 500;
const startSeconds = 5;
/** Assumed for when the sale is to open: on the whole minute after. */
const joinsPerSecondMin = 5_000;
const spareSeconds = 30;
const probeMs = 2;
const drawSecondsMax = 60;
const letInSecondsMax = 120;

const queueShape = z.object({
  state: z.enum(["gathering", "admitting", "closed"]),
  joined: z.int(),
  admitted_up_to: z.int(),
  entries_digest: z.string().nullable(),
});

export const queue: Scenario = {
  name: "queue",
  seconds: ({ joined, rounds }: Plan) =>
    startSeconds + gatherSeconds(joined) + ((2 + 4) * rounds + 2) * floodSeconds + 60,
  run,
};

const gatherSeconds = (joined: number): number => joined / joinsPerSecondMin + spareSeconds + 60;

/** What the draw of a queue is looked at with. */
export type QueueSetup = {
  readonly bench: Bench;
  readonly stampede: Stampede;
  /** The sale that opens while it is measured. */
  readonly sale: number;
  readonly opensAt: number;
};
type Setup = QueueSetup & { readonly port: number };

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const opensAt =
    Math.ceil((Date.now() + (gatherSeconds(plan.joined) - 60) * 1_000) / 60_000) * 60_000;
  const opens = new Date(opensAt);
  const home = makeHome(owned, {
    SALE_ENTRY: "queue",
    SALE_ADMIT_PER_SECOND: "100000",
    // Once a year; the one that is open began a year before.
    SALE_SCHEDULE: `${opens.getUTCMinutes()} ${opens.getUTCHours()} ${opens.getUTCDate()} ${opens.getUTCMonth() + 1} *`,
  });
  const stampede = await progress.step("queue: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const { next } = z
    .object({ next: z.object({ id: z.int() }) })
    .parse(await (await fetch(`${stampede.origin}/sale`)).json());
  if (next.id !== nextSale) throw new BenchError(`the next sale is ${next.id}`);
  const setup = { bench, stampede, port: home.port, sale: next.id, opensAt };

  const rates = await joinsBesideCheckouts(setup);
  const gathered = await gather(setup);
  const drawn = await draw(setup);
  const waiting = await besideWaiting(setup);
  const audit = await fetch(`${stampede.origin}/sales/${setup.sale}/audit`);
  const { ok } = z.object({ ok: z.boolean() }).parse(await audit.json());
  const wrong = [...rates.wrong, ...gathered.wrong, ...drawn.wrong, ...waiting.wrong];
  if (!ok) wrong.push("the audit, which draws again, is not ok");
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  const measures = [
    ...rates.measures,
    ...gathered.measures,
    ...drawn.measures,
    ...waiting.measures,
  ];
  return {
    database: stampede.database,
    lines: [
      `A queue of ${number(gathered.joined)}; medians of ${plan.rounds} rounds of ${floodSeconds} s`,
      ...measureTable(measures),
      ...gathered.few,
      ...warnings,
      "",
    ],
    verdicts: verdictsOf(measures),
    wrong: [...wrong.map((text) => `queue: ${text}`), ...errors],
  };
}

type Part = { readonly measures: readonly Measure[]; readonly wrong: readonly string[] };

const perSecond = (load: Load): number => answered(load) / load.seconds;

async function flood({ bench, stampede }: Setup, of: FloodName): Promise<Load> {
  const shot = { of, origin: stampede.origin, connections, seconds: floodSeconds };
  return await bench.generator.shoot(bench.owned, shot);
}

function wrongIn(loads: readonly Load[], what: string): string[] {
  const failed = loads.reduce((sum, load) => sum + failures(load) + load.socketErrors, 0);
  return failed === 0 ? [] : [`${number(failed)} of ${what} failed`];
}

/** In turns: two at once would measure each other. */
async function joinsBesideCheckouts(setup: Setup): Promise<Part> {
  const { progress, plan } = setup.bench;
  const joins: Load[] = [];
  const checkouts: Load[] = [];
  // Both are warm before either counts.
  await flood(setup, "checkout");
  await flood(setup, "join");
  for (let round = 1; round <= plan.rounds; round += 1) {
    const of = `round ${round} of ${plan.rounds}`;
    // oxlint-disable-next-line no-await-in-loop
    const made = await progress.step(`queue: checkouts, ${of}`, floodSeconds, () =>
      flood(setup, "checkout"),
    );
    checkouts.push(made);
    // oxlint-disable-next-line no-await-in-loop
    joins.push(
      await progress.step(`queue: joins, ${of}`, floodSeconds, () => flood(setup, "join")),
    );
  }
  const ratio = median(joins.map((load, i) => perSecond(load) / perSecond(checkouts[i] ?? load)));
  return {
    measures: [
      { what: "checkouts a second", value: median(checkouts.map(perSecond)), digits: 0, unit: "" },
      { what: "joins a second", value: median(joins.map(perSecond)), digits: 0, unit: "" },
      {
        what: "joins ÷ checkouts, a second",
        value: ratio,
        digits: 2,
        unit: "",
        target: { is: "≥", bound: 0.8 },
      },
    ],
    wrong: wrongIn([...joins, ...checkouts], "joins and checkouts"),
  };
}

/** What everybody may see of it; a second old at most. */
async function stateOf({ stampede, sale }: QueueSetup) {
  return queueShape.parse(await (await fetch(`${stampede.origin}/sales/${sale}/queue`)).json());
}

/** What is public is kept for a second. */
async function joinedOf(setup: QueueSetup): Promise<number> {
  await Bun.sleep(1_100);
  return (await stateOf(setup)).joined;
}

/** Has them join until there are enough. */
async function gather(
  setup: Setup,
): Promise<Part & { readonly joined: number; readonly few: readonly string[] }> {
  const { bench, stampede, opensAt } = setup;
  const before = { joined: await joinedOf(setup), memory: stampede.memory.nowMb };
  // So many more, however many came while the rates were measured.
  const wanted = before.joined + bench.plan.joined;
  const loads: Load[] = [];
  let joined = before.joined;
  await bench.progress.step(
    `queue: ${number(bench.plan.joined)} join`,
    gatherSeconds(bench.plan.joined),
    async () => {
      while (joined < wanted && Date.now() < opensAt - floodSeconds * 2_000) {
        // oxlint-disable-next-line no-await-in-loop
        loads.push(await flood(setup, "join"));
        // oxlint-disable-next-line no-await-in-loop
        joined = await joinedOf(setup);
      }
    },
  );
  if (Date.now() > opensAt) throw new BenchError("the sale opened before they had joined");
  const bytes = ((stampede.memory.nowMb - before.memory) * 1e6) / (joined - before.joined);
  const few =
    joined < wanted ? [`Only ${number(joined)} of ${number(wanted)} had joined in time.`] : [];
  return {
    joined,
    measures: [
      {
        what: "memory a ticket, of the whole process",
        value: bytes,
        digits: 0,
        unit: "bytes",
        target: { is: "<", bound: 200 },
      },
    ],
    few,
    wrong: wrongIn(loads, "joins"),
  };
}

/**
 * Waits for the opening, and asks all the time until it is drawn, and until all are let in.
 * @returns how long the draw took, s, and the longest wait for an answer meanwhile, ms
 */
export async function draw(setup: QueueSetup): Promise<Part> {
  const { bench, stampede, opensAt } = setup;
  const untilOpen = (opensAt - Date.now()) / 1_000;
  return await bench.progress.step("queue: the draw", untilOpen + 15, async () => {
    const joined = await joinedOf(setup);
    await Bun.sleep(Math.max(0, opensAt - Date.now() - 500));
    let longestMs = 0;
    let drawnMs = Number.NaN;
    while (Number.isNaN(drawnMs) && Date.now() < opensAt + drawSecondsMax * 1_000) {
      const from = performance.now();
      // oxlint-disable-next-line no-await-in-loop
      await (await fetch(`${stampede.origin}/health`)).text();
      longestMs = Math.max(longestMs, performance.now() - from);
      // oxlint-disable-next-line no-await-in-loop
      const drawn = await fetch(`${stampede.origin}/sales/${setup.sale}/draw.csv`, {
        method: "HEAD",
      });
      if (drawn.status === 200) drawnMs = Date.now() - opensAt;
      // oxlint-disable-next-line no-await-in-loop
      await Bun.sleep(probeMs);
    }
    const isLetIn = await comesTrue(letInSecondsMax, async () => {
      const { state, admitted_up_to } = await stateOf(setup);
      return state === "admitting" && admitted_up_to === joined;
    });
    return {
      measures: [
        {
          what: "from the opening until all are drawn",
          value: drawnMs / 1_000,
          digits: 2,
          unit: "s",
          target: { is: "<", bound: 2 },
        },
        {
          what: "longest wait for an answer meanwhile",
          value: longestMs,
          digits: 0,
          unit: "ms",
          target: { is: "≤", bound: 20 },
        },
      ],
      wrong: [
        ...(Number.isNaN(drawnMs) ? ["it was not drawn"] : []),
        ...(isLetIn ? [] : ["not all were let in"]),
      ],
    };
  });
}

async function comesTrue(secondsMax: number, isSo: () => Promise<boolean>): Promise<boolean> {
  const late = performance.now() + secondsMax * 1_000;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop
    if (await isSo()) return true;
    if (performance.now() > late) return false;
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(200);
  }
}

/** A flood by itself, beside streams, and beside those who ask. */
async function besideWaiting(setup: Setup): Promise<Part> {
  const { bench, port } = setup;
  const streams = Math.min(streamsWanted, openFilesMax() - otherFiles);
  const shares: Record<"streams" | "polls", number[]> = { streams: [], polls: [] };
  const loads: Load[] = [];
  const answeredShares: number[] = [];
  const shoot = async (label: string): Promise<number> => {
    const load = await bench.progress.step(`queue: ${label}`, floodSeconds, () =>
      flood(setup, "checkout"),
    );
    loads.push(load);
    return perSecond(load);
  };
  for (let round = 1; round <= bench.plan.rounds; round += 1) {
    /* oxlint-disable no-await-in-loop */
    const alone = await shoot("a flood by itself");
    const watchers = new Watchers(bench.owned, port);
    await watchers.watch(streams);
    shares.streams.push(1 - (await shoot(`beside ${number(streams)} streams`)) / alone);
    await watchers.end();
    const polls = await beginPolling(setup);
    shares.polls.push(1 - (await shoot("beside 100,000 who ask")) / alone);
    answeredShares.push(await polls.end());
    /* oxlint-enable no-await-in-loop */
  }
  const target = { is: "<", bound: 20 } as const;
  const cost = (what: string, of: readonly number[]): Measure => ({
    what,
    value: median(of) * 100,
    digits: 0,
    unit: "%",
    target,
  });
  return {
    measures: [
      cost(`a flood loses beside ${number(streams)} who wait by streams`, shares.streams),
      cost("a flood loses beside 100,000 who ask every five seconds", shares.polls),
      { what: "of these are answered", value: median(answeredShares) * 100, digits: 0, unit: "%" },
    ],
    wrong: wrongIn(loads, "checkouts beside those who wait"),
  };
}

const pollReport = z.object({ asked: z.int(), answered: z.int() });

/** `end` gives the share of what was asked for and answered, 0 to 1. */
async function beginPolling({ bench, port, sale }: Setup) {
  const program = join(import.meta.dir, "pollers.ts");
  const given = [String(port), `/sales/${sale}/queue`, String(pollsPerSecond)];
  const child = bench.owned.spawn([process.execPath, program, ...given]);
  const startedAt = performance.now();
  const reader = child.stdout.getReader();
  await within(20, "starting those who ask", reader.read());
  return {
    end: async (): Promise<number> => {
      const seconds = (performance.now() - startedAt) / 1_000;
      void child.stdin.write("end\n");
      await child.stdin.flush();
      const { value } = await within(20, "those who ask", reader.read());
      await child.exited;
      const report = pollReport.parse(JSON.parse(new TextDecoder().decode(value)));
      return report.answered / (seconds * pollsPerSecond);
    },
  };
}
