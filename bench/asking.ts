/**
 * What it costs to know who asks, and how often: checkouts of guests behind a proxy that is trusted,
 * and of a merchant's customers with user tokens, beside guests whom nobody counts, in turns.
 * Processor time of the server alone, a checkout: PostgreSQL does the same for all of them.
 */
import { complaintsOf } from "./complaints.ts";
import { tokenSecret, type FloodName } from "./floods.ts";
import { answered, failures, type Load } from "./load.ts";
import { median, meets, number, table, type Target, word } from "./report.ts";
import type { Bench, Found, Plan, Scenario } from "./scenario.ts";
import { makeHome, Stampede } from "./stampede.ts";

const connections = 64;
const startSeconds = 12;

/** Buyers of few are refused for what others hold, as those of many are. */
const terms = { SALE_PER_USER_LIMIT: "10000" };
/** More than any of them asks for, so that nobody is refused; they are counted all the same. */
const counted = {
  ...terms,
  TRUSTED_PROXIES: "127.0.0.1",
  USER_TOKEN_SECRET: tokenSecret,
  RATE_LIMITS: "writes=100000/100000,reads=1000/1000,costly=100/100",
};

type Way = {
  readonly name: string;
  readonly stampede: Stampede;
  readonly flood: FloodName;
  /** Its processor time, against that of guests whom nobody counts. */
  readonly target: Target | null;
};

export const asking: Scenario = {
  name: "asking",
  seconds: ({ rounds, roundSeconds, warmUpSeconds }: Plan) =>
    startSeconds + 3 * (warmUpSeconds + rounds * roundSeconds),
  run,
};

/** One round: answers a second, and µs of the server a checkout. */
type Round = { readonly load: Load; readonly rate: number; readonly serverUs: number };

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable } = bench;
  const { rounds, roundSeconds, warmUpSeconds } = bench.plan;
  const homes = [makeHome(owned, { ...terms, RATE_LIMITS: "off" }), makeHome(owned, counted)];
  const [uncounted, all] = await progress.step("asking: starting", startSeconds, () =>
    Promise.all(homes.map((home) => Stampede.start(owned, executable, home))),
  );
  if (uncounted === undefined || all === undefined) throw new Error("there are two");
  const ways: readonly Way[] = [
    { name: "guests, not counted", stampede: uncounted, flood: "forwarded", target: null },
    {
      name: "guests behind a proxy",
      stampede: all,
      flood: "forwarded",
      target: { is: "≤", bound: 1.03 },
    },
    { name: "customers", stampede: all, flood: "proven", target: { is: "≤", bound: 1.15 } },
  ];
  const shots = ways.map((way) => ({ way, rounds: [] as Round[] }));
  for (const { way } of shots) {
    // In turns: two at once would measure each other.
    // oxlint-disable-next-line no-await-in-loop
    await shoot(bench, way, "warming up", warmUpSeconds);
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const shot of shots) {
      // oxlint-disable-next-line no-await-in-loop
      shot.rounds.push(await shoot(bench, shot.way, `round ${round} of ${rounds}`, roundSeconds));
    }
  }
  const audits = await Promise.all([uncounted, all].map((stampede) => stampede.audit()));
  const complaints = await Promise.all(homes.map(complaintsOf));
  const { lines, verdicts } = judged(shots, rounds, roundSeconds);
  return {
    database: all.database,
    lines: [...lines, ...complaints.flatMap(({ warnings }) => warnings), ""],
    verdicts,
    wrong: [
      ...shots.flatMap(({ way, rounds: shot }) => shot.flatMap(({ load }) => wrongIn(load, way))),
      ...(audits.every(({ ok }) => ok) ? [] : ["asking: the audit after the flood is not ok"]),
      ...complaints.flatMap(({ errors }) => errors),
    ],
  };
}

function judged(
  shots: readonly { readonly way: Way; readonly rounds: readonly Round[] }[],
  rounds: number,
  seconds: number,
): Pick<Found, "lines" | "verdicts"> {
  const base = shots[0]?.rounds ?? [];
  const rows = shots.map(({ way: { name, target }, rounds: shot }) => {
    // Neighbours in time are compared with each other, and the median is taken of that.
    const ratio = median(shot.map((round, i) => round.serverUs / (base[i]?.serverUs ?? NaN)));
    const mid = (of: (round: Round) => number): number => median(shot.map(of));
    const met = target !== null && meets(ratio, target);
    const cells = [
      name,
      number(mid(({ rate }) => rate)),
      number(
        mid(({ serverUs }) => serverUs),
        2,
      ),
      number(ratio, 3),
      target === null ? "" : `${target.is} ${target.bound}`,
      target === null ? "" : word(met),
    ];
    return { cells, what: `processor time of ${name}`, target, met };
  });
  return {
    lines: [
      `Checkouts on ${connections} connections by who asks: medians of ${rounds} rounds of ${seconds} s`,
      ...table(
        ["", "requests/s", "server's CPU µs", "÷ not counted", "target", ""],
        rows.map(({ cells }) => cells),
      ),
    ],
    verdicts: rows.flatMap(({ what, met, target }) => (target === null ? [] : [{ what, met }])),
  };
}

function wrongIn(load: Load, { name }: Way): string[] {
  const refused = ["400", "401", "403", "429"].filter((status) => load.statuses[status]);
  const wrong = refused.map((status) => `asking: ${name} were answered ${status}`);
  if (failures(load) > 0) wrong.push(`asking: ${name}: ${failures(load)} answers of 500 or above`);
  return wrong;
}

const shoot = (
  bench: Bench,
  { name, stampede, flood }: Way,
  what: string,
  seconds: number,
): Promise<Round> =>
  bench.progress.step(`asking: ${name}, ${what}`, seconds, async () => {
    const before = stampede.cpu().server;
    const { origin } = stampede;
    const load = await bench.generator.shoot(bench.owned, {
      of: flood,
      origin,
      connections,
      seconds,
    });
    const serverUs = ((stampede.cpu().server - before) * 1e6) / Math.max(1, answered(load));
    return { load, rate: answered(load) / load.seconds, serverUs };
  });
