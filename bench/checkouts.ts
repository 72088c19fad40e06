/**
 * Checkouts at full flood, beside an empty handler of the same Bun in turns within one run: what
 * a machine or its other tenants do to one they do to the other, so the ratios hold where the
 * figures do not. Random users, random items: after the first moments nearly every answer is a
 * refusal, which is stored like any other.
 */
import { cpus } from "node:os";
import { type Side, startEmpty } from "./beside.ts";
import { complaintsOf } from "./complaints.ts";
import { answered, failures, type Load, merge } from "./load.ts";
import { cpuSeconds, machineCpuSeconds } from "./proc.ts";
import { median, meets, number, table, type Target, word } from "./report.ts";
import {
  BenchError,
  type Bench,
  type Found,
  type Plan,
  type Scenario,
  type Verdict,
} from "./scenario.ts";
import { makeHome, Stampede } from "./stampede.ts";

type Level = {
  readonly connections: number;
  readonly rate: Target;
  readonly p99: Target | null;
  readonly cpu: Target;
};

const levels: readonly Level[] = [
  {
    connections: 64,
    rate: { is: "≥", bound: 0.36 },
    p99: null,
    cpu: { is: "≤", bound: 2.6 },
  },
  {
    connections: 256,
    rate: { is: "≥", bound: 0.45 },
    p99: { is: "≤", bound: 5 },
    cpu: { is: "≤", bound: 2.6 },
  },
];

/** Share of the machine that others may take before the figures mean little. */
const othersMax = 0.05;
const startSeconds = 6;

export const checkouts: Scenario = {
  name: "checkouts",
  seconds: ({ rounds, roundSeconds, warmUpSeconds }: Plan) =>
    startSeconds + levels.length * 2 * (warmUpSeconds + rounds * roundSeconds),
  run,
};

/** One round of one side. */
type Round = {
  readonly load: Load;
  readonly rate: number;
  /** µs a request */
  readonly serverUs: number;
  readonly databaseUs: number;
  readonly memoryMb: number;
  /** Share of the machine's processor time that went to programs other than ours, 0 to 1. */
  readonly others: number;
};

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable } = bench;
  const home = makeHome(owned);
  const stampede = await progress.step("checkouts: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const { stock } = await stampede.sale();
  const measured: Side = {
    name: "Stampede",
    origin: stampede.origin,
    cpu: () => stampede.cpu(),
    memoryMb: () => stampede.memory.nowMb,
  };
  let empty: Side | null = null;
  const lines: string[] = [];
  const verdicts: Verdict[] = [];
  const wrong: string[] = [];
  for (const level of levels) {
    // In turns: two at once would measure each other.
    // oxlint-disable-next-line no-await-in-loop
    const warm = await shoot(bench, level, measured, "warming up", bench.plan.warmUpSeconds);
    // oxlint-disable-next-line no-await-in-loop
    empty ??= await startEmpty(owned, stampede.origin);
    // oxlint-disable-next-line no-await-in-loop
    await shoot(bench, level, empty, "warming up", bench.plan.warmUpSeconds);
    // oxlint-disable-next-line no-await-in-loop
    const result = await compare(bench, level, { empty, measured, stampede });
    lines.push(...result.lines);
    verdicts.push(...result.verdicts);
    wrong.push(...result.wrong, ...wrongIn(warm.load, level));
  }
  const { max_units_one_user, ok } = await stampede.audit();
  if (!ok) wrong.push("the audit after the flood is not ok");
  lines.push(
    `Audit of ${number(stock)} items after it: ${ok ? "ok" : "NOT OK"}, ${max_units_one_user} sold to one user at most.`,
  );
  const { errors, warnings } = await complaintsOf(home);
  wrong.push(...errors);
  lines.push(...warnings, "");
  return { database: stampede.database, lines, verdicts, wrong };
}

/** The rounds of one number of connections, and what they come to. */
async function compare(
  bench: Bench,
  level: Level,
  sides: { readonly empty: Side; readonly measured: Side; readonly stampede: Stampede },
): Promise<Omit<Found, "database">> {
  const { rounds, roundSeconds } = bench.plan;
  const before = await sides.stampede.settledSale();
  const empty: Round[] = [];
  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const of = `round ${round} of ${rounds}`;
    // oxlint-disable-next-line no-await-in-loop
    empty.push(await shoot(bench, level, sides.empty, of, roundSeconds));
    // oxlint-disable-next-line no-await-in-loop
    measured.push(await shoot(bench, level, sides.measured, of, roundSeconds));
  }
  const after = await sides.stampede.settledSale();

  const all = merge(measured.map(({ load }) => load));
  const grown = after.attempts - before.attempts;
  // Whoever is on the way when a round ends is recorded, and gets no answer.
  const unanswered = grown - answered(all);
  const wrong = wrongIn(all, level);
  if (unanswered < 0 || unanswered > rounds * level.connections) {
    wrong.push(
      `${level.connections} connections: ${number(answered(all))} answers, but ${number(grown)} attempts stored`,
    );
  }
  const statuses = Object.entries(all.statuses)
    .map(([status, n]) => `${number(n)} × ${status}`)
    .join(", ");
  const judged = judge(level, empty, measured);
  return {
    lines: [
      `Checkouts on ${level.connections} connections: medians of ${rounds} rounds of ${roundSeconds} s`,
      ...judged.lines,
      `Answers: ${statuses}. Attempts stored: ${number(grown)}, of which ${unanswered} were on their way when a round ended.`,
      "",
    ],
    verdicts: judged.verdicts,
    wrong,
  };
}

function wrongIn(load: Load, { connections }: Level): string[] {
  const wrong: string[] = [];
  const failed = failures(load);
  if (failed > 0)
    wrong.push(`${connections} connections: ${number(failed)} answers of 500 or above`);
  const strange = Object.keys(load.statuses).filter((status) => !/^(200|409|5..)$/.test(status));
  if (strange.length > 0) {
    wrong.push(`${connections} connections: answers of ${strange.join(", ")}`);
  }
  if (load.socketErrors > 0) {
    wrong.push(`${connections} connections: ${load.socketErrors} broken, refused or too slow`);
  }
  return wrong;
}

function judge(
  level: Level,
  empty: readonly Round[],
  measured: readonly Round[],
): Pick<Found, "lines" | "verdicts"> {
  // Neighbours in time are compared with each other, and the median is taken of that.
  const ratio = (of: (round: Round) => number): number[] =>
    measured.map((round, i) => of(round) / (empty[i] === undefined ? Number.NaN : of(empty[i])));
  const rates = ratio(({ rate }) => rate);
  const rate = median(rates);
  const p99 = median(ratio(({ load }) => load.p99Ms));
  const cpu = median(ratio(({ serverUs, databaseUs }) => serverUs + databaseUs));

  const row = (name: string, rounds: readonly Round[]): string[] => {
    const mid = (digits: number, of: (round: Round) => number): string =>
      number(median(rounds.map(of)), digits);
    return [
      name,
      mid(0, ({ rate: perSecond }) => perSecond),
      mid(2, ({ load }) => load.p50Ms),
      mid(2, ({ load }) => load.p99Ms),
      mid(1, ({ serverUs, databaseUs }) => serverUs + databaseUs),
      mid(1, ({ databaseUs }) => databaseUs),
      mid(0, ({ memoryMb }) => memoryMb),
    ];
  };
  const lines = table(
    ["", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "PostgreSQL's", "memory MB"],
    [
      row("empty handler", empty),
      row("Stampede", measured),
      ["Stampede ÷ empty", number(rate, 2), "", number(p99, 2), number(cpu, 2)],
      ["target", bound(level.rate), "", bound(level.p99), bound(level.cpu)],
      ["", verdict(rate, level.rate), "", verdict(p99, level.p99), verdict(cpu, level.cpu)],
    ],
  );
  lines.push(
    `Requests/s, Stampede ÷ empty, by round: ${rates.map((value) => number(value, 2)).join(" ")}`,
  );
  const others = median([...empty, ...measured].map((round) => round.others));
  lines.push(
    `Other programs took ${number(others * 100)} % of the machine meanwhile` +
      (others > othersMax ? ": do not rely on these figures." : "."),
  );
  const on = `on ${level.connections} connections`;
  const verdicts = [
    { what: `requests/s ${on}`, met: meets(rate, level.rate) },
    { what: `processor time ${on}`, met: meets(cpu, level.cpu) },
  ];
  if (level.p99 !== null) verdicts.push({ what: `p99 ${on}`, met: meets(p99, level.p99) });
  return { lines, verdicts };
}

const bound = (target: Target | null): string =>
  target === null ? "" : `${target.is} ${target.bound}`;

const verdict = (value: number, target: Target | null): string =>
  target === null ? "" : word(meets(value, target));

async function shoot(
  bench: Bench,
  { connections }: Level,
  side: Side,
  what: string,
  seconds: number,
): Promise<Round> {
  const label = `checkouts: ${connections} connections, ${what}, ${side.name}`;
  return await bench.progress.step(label, seconds, async () => {
    const before = usage(side);
    const { origin } = side;
    const shot = { of: "checkout", origin, connections, seconds } as const;
    const load = await bench.generator.shoot(bench.owned, shot);
    const after = usage(side);
    const requests = answered(load);
    if (requests === 0) throw new BenchError(`${side.name} answered nothing`);
    const server = after.server - before.server;
    const database = after.database - before.database;
    const ours = server + database + load.generatorSeconds + after.bench - before.bench;
    const elapsed = (after.at - before.at) / 1000;
    return {
      load,
      rate: requests / load.seconds,
      serverUs: (server * 1e6) / requests,
      databaseUs: (database * 1e6) / requests,
      memoryMb: side.memoryMb(),
      others: Math.max(0, after.machine - before.machine - ours) / (elapsed * cpus().length),
    };
  });
}

/** Processor time so far, in seconds, and when that is, in ms. */
function usage(side: Side) {
  return {
    ...side.cpu(),
    bench: cpuSeconds(process.pid),
    machine: machineCpuSeconds(),
    at: performance.now(),
  };
}
