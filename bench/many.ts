/**
 * Checkouts through more than one process: in turns straight to the leader, all of them through one
 * that stands by, and through fronts. Processor time of each process and of PostgreSQL, a checkout:
 * what processes beside the leader take off it, and what that costs.
 */
import { complaintsOf } from "./complaints.ts";
import { answered, failures, type Load } from "./load.ts";
import { cpuSeconds, familyCpuSeconds, frontsOf } from "./proc.ts";
import { median, meets, number, table, type Target } from "./report.ts";
import type { Bench, Found, Plan, Scenario, Verdict } from "./scenario.ts";
import { makeHome, Stampede } from "./stampede.ts";

/** With what the leader may take of a checkout that comes over the link, µs. */
const levels: readonly { readonly connections: number; readonly leader: Target | null }[] = [
  { connections: 64, leader: null },
  { connections: 256, leader: { is: "≤", bound: 6 } },
  { connections: 1_024, leader: { is: "≤", bound: 4.5 } },
];
/** All processes together, against the leader alone. */
const together: Target = { is: "≤", bound: 1.3 };
const startSeconds = 20;
const fronts = 2;

export const many: Scenario = {
  name: "many",
  seconds: ({ rounds, roundSeconds, warmUpSeconds }: Plan) =>
    startSeconds + levels.length * 3 * (warmUpSeconds + rounds * roundSeconds),
  run,
};

/** Where checkouts go, and whose time they take. */
type Way = {
  readonly name: string;
  readonly origin: string;
  readonly leader: Stampede;
  /** Processes between the clients and the leader. */
  readonly beside: readonly number[];
};

/** One round: µs a checkout. */
type Round = {
  readonly load: Load;
  readonly rate: number;
  readonly leader: number;
  readonly beside: number;
  readonly database: number;
};

const allOf = ({ leader, beside, database }: Round): number => leader + beside + database;

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable } = bench;
  const home = makeHome(owned);
  const beside = { ...makeHome(owned), dataFolder: home.dataFolder };
  const fronted = makeHome(owned, { FRONTS: String(fronts) });
  const ways = await progress.step("many: starting", startSeconds, async (): Promise<Way[]> => {
    const leader = await Stampede.start(owned, executable, home);
    const standby = await Stampede.start(owned, executable, beside);
    const main = await Stampede.start(owned, executable, fronted);
    return [
      { name: "straight to the leader", origin: leader.origin, leader, beside: [] },
      { name: "through a standby", origin: standby.origin, leader, beside: [standby.pid] },
      {
        name: `through ${fronts} fronts`,
        origin: main.origin,
        leader: main,
        beside: frontsOf(main.pid),
      },
    ];
  });
  const lines: string[] = [];
  const verdicts: Verdict[] = [];
  const wrong: string[] = [];
  for (const level of levels) {
    // In turns: two at once would measure each other.
    // oxlint-disable-next-line no-await-in-loop
    const found = await compare(bench, level, ways);
    lines.push(...found.lines);
    verdicts.push(...found.verdicts);
    wrong.push(...found.wrong);
  }
  const leaders = new Set(ways.map(({ leader }) => leader));
  const audits = await Promise.all(Array.from(leaders, (leader) => leader.audit()));
  if (audits.some(({ ok }) => !ok)) wrong.push("the audit after the flood is not ok");
  for (const complaints of await Promise.all([home, beside, fronted].map(complaintsOf))) {
    wrong.push(...complaints.errors);
    lines.push(...complaints.warnings);
  }
  const database = ways[0]?.leader.database ?? "";
  return { database, lines: [...lines, ""], verdicts, wrong };
}

async function compare(
  bench: Bench,
  { connections, leader }: (typeof levels)[number],
  ways: readonly Way[],
): Promise<Omit<Found, "database">> {
  const { rounds, roundSeconds, warmUpSeconds } = bench.plan;
  const shots = ways.map((way) => ({ way, rounds: [] as Round[] }));
  for (const { way } of shots) {
    // oxlint-disable-next-line no-await-in-loop
    await shoot(bench, connections, way, "warming up", warmUpSeconds);
  }
  for (let round = 1; round <= rounds; round += 1) {
    const of = `round ${round} of ${rounds}`;
    for (const shot of shots) {
      // oxlint-disable-next-line no-await-in-loop
      shot.rounds.push(await shoot(bench, connections, shot.way, of, roundSeconds));
    }
  }
  const on = `on ${connections} connections`;
  const straight = shots[0]?.rounds ?? [];
  const compared = shots.slice(1).map(({ way: { name }, rounds: through }) => {
    const ratio = median(through.map((round, i) => allOf(round) / allOf(straight[i] ?? round)));
    const ofLeader = median(through.map((round) => round.leader));
    const all = { what: `all processes together, ${name}, ${on}`, met: meets(ratio, together) };
    const its = `the leader's processor time, ${name}, ${on}`;
    return {
      line: `Together, ${name} ÷ straight: ${number(ratio, 2)} (${together.is} ${together.bound})`,
      verdicts: leader === null ? [all] : [all, { what: its, met: meets(ofLeader, leader) }],
    };
  });
  return {
    lines: [
      `Checkouts ${on}, processor time in µs each: medians of ${rounds} rounds of ${roundSeconds} s`,
      ...table(
        ["", "requests/s", "p99 ms", "leader", "beside it", "PostgreSQL", "together"],
        shots.map(({ way, rounds: all }) => rowOf(way, all)),
      ),
      ...compared.map(({ line }) => line),
      "",
    ],
    verdicts: compared.flatMap(({ verdicts }) => verdicts),
    wrong: shots.flatMap(({ rounds: all }) => all.flatMap(({ load }) => wrongIn(load, on))),
  };
}

function rowOf({ name }: Way, rounds: readonly Round[]): string[] {
  const mid = (of: (round: Round) => number): number => median(rounds.map(of));
  return [
    name,
    number(mid(({ rate }) => rate)),
    number(
      mid(({ load }) => load.p99Ms),
      2,
    ),
    ...[
      ({ leader }: Round) => leader,
      ({ beside }: Round) => beside,
      ({ database }: Round) => database,
      allOf,
    ].map((of) => number(mid(of), 1)),
  ];
}

function wrongIn(load: Load, on: string): string[] {
  const failed = failures(load);
  const wrong = failed > 0 ? [`${number(failed)} answers of 500 or above ${on}`] : [];
  if (load.socketErrors > 0) wrong.push(`${load.socketErrors} broken, refused or too slow ${on}`);
  return wrong;
}

async function shoot(
  bench: Bench,
  connections: number,
  { name, origin, leader, beside }: Way,
  what: string,
  seconds: number,
): Promise<Round> {
  const used = () => ({
    leader: cpuSeconds(leader.pid),
    beside: beside.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    database: familyCpuSeconds(leader.postmaster),
  });
  const label = `many: ${connections} connections, ${what}, ${name}`;
  return await bench.progress.step(label, seconds, async () => {
    const before = used();
    const shot = { of: "checkout", origin, connections, seconds } as const;
    const load = await bench.generator.shoot(bench.owned, shot);
    const after = used();
    const each = (of: keyof typeof before): number =>
      ((after[of] - before[of]) * 1e6) / Math.max(1, answered(load));
    return {
      load,
      rate: answered(load) / load.seconds,
      leader: each("leader"),
      beside: each("beside"),
      database: each("database"),
    };
  });
}
