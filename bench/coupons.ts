/**
 * The coupon stampede: one coupon of 10,000 and everybody at once, every request from somebody
 * else. Beside it, in turns within one run and on the same PostgreSQL, the same interface as most
 * are written: one transaction a claim, in two ways (see `rowlocks.ts`), each with the pool that
 * suits it best. What a machine or its other tenants do to one they do to the other.
 *
 * A transaction a claim takes so long that 10,000 would: those coupons are smaller where they
 * must be, which is to their advantage; the table says how large they were.
 */
import {
  prepareBaselines,
  startBaseline,
  storedClaimAttempts,
  type Way,
  ways,
} from "./baseline.ts";
import { complaintsOf } from "./complaints.ts";
import { median, meets, number, table, type Target, word } from "./report.ts";
import { type Bench, type Found, type Plan, type Scenario, within } from "./scenario.ts";
import { type Home, makeHome, Stampede } from "./stampede.ts";
import { claimAll, connections, type Contender, type Round } from "./stampeding.ts";

const couponAmount = 10_000;
/** Of the coupons beside it. */
const smallestAmount = 200;
const pools = [5, 10, 20, 50];
const poolTrySeconds = 1;
const soldOutSeconds = 1;
/** No coupon takes longer; what is claimed by then counts. */
const claimSecondsMax = 10;
const startSeconds = 5;
const stampedeSeconds = 0.5;
const overheadSeconds = 0.4;

const target: Target = { is: "≥", bound: 10 };
/** Share of the machine that others may take before the figures mean little. */
const othersMax = 0.05;
/** Share of a core from which on the crowd may be what is measured. */
const crowdShareMax = 0.9;
const verifySecondsMax = 60;

export const coupons: Scenario = {
  name: "coupons",
  seconds: ({ couponRounds, couponSeconds }: Plan) =>
    2 * startSeconds +
    ways.length * pools.length * (poolTrySeconds + overheadSeconds) +
    (couponRounds + 1) *
      (stampedeSeconds +
        soldOutSeconds +
        overheadSeconds +
        ways.length * (couponSeconds + soldOutSeconds + overheadSeconds)),
  run,
};

/** A contender, the size of its coupons, and how they went. */
type Side = {
  readonly who: Contender;
  readonly amount: number;
  readonly rounds: Round[];
};

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, plan } = bench;
  const home = makeHome(owned);
  const stampede = await progress.step("coupons: starting", startSeconds, () =>
    Stampede.start(owned, bench.executable, home),
  );
  await prepareBaselines(home);
  await stampede.stop();
  const again = await progress.step("coupons: starting again", startSeconds, () =>
    Stampede.start(owned, bench.executable, home),
  );
  const sides: Side[] = [sideOf(again)];
  const tries: string[] = [];
  const wrong: string[] = [];
  for (const { way, name } of ways) {
    // In turns: two at once would measure each other.
    // oxlint-disable-next-line no-await-in-loop
    const found = await bestPool(bench, home, { way, name, postmasterPid: again.postmaster });
    sides.push(found.side);
    tries.push(found.line);
    wrong.push(...found.wrong);
  }
  const attempts = await playRounds(bench, sides, wrong);
  const verified = await verify(bench, home, { coupons: plan.couponRounds + 1, attempts });
  wrong.push(...verified.wrong);
  await again.stop();
  const { errors, warnings } = await complaintsOf(home);
  wrong.push(...errors);

  const judged = judge(sides);
  return {
    database: again.database,
    lines: [
      `One coupon, everybody at once: ${connections} connections, medians of ${plan.couponRounds} coupons each`,
      ...judged.lines,
      ...tries,
      verified.line,
      ...warnings,
      "",
    ],
    verdicts: judged.verdicts,
    wrong,
  };
}

const sideOf = (stampede: Stampede): Side => ({
  who: {
    name: "Stampede",
    port: Number(new URL(stampede.origin).port),
    pid: stampede.pid,
    postmasterPid: stampede.postmaster,
    toWinners: "already_claimed",
  },
  amount: couponAmount,
  rounds: [],
});

/** Tries the pools for a moment each, and starts the server with the best of them. */
async function bestPool(
  { owned, progress, plan }: Bench,
  home: Home,
  { way, name, postmasterPid }: { way: Way; name: string; postmasterPid: number },
): Promise<{ side: Side; line: string; wrong: readonly string[] }> {
  const start = async (connectionsOfPool: number) => {
    const baseline = await startBaseline(owned, home, { way, connections: connectionsOfPool });
    const { port, pid } = baseline;
    // Nothing left is what the second way looks at first.
    const toWinners = way === "update" ? "already_claimed" : "sold_out";
    const named = `${name}, pool of ${connectionsOfPool}`;
    const who: Contender = { name: named, port, pid, postmasterPid, toWinners };
    return { who, baseline };
  };
  const rates: { readonly pool: number; readonly rate: number }[] = [];
  const wrong: string[] = [];
  for (const pool of pools) {
    const label = `coupons: ${name}, trying a pool of ${pool}`;
    // oxlint-disable-next-line no-await-in-loop
    const round = await progress.step(label, poolTrySeconds + overheadSeconds, async () => {
      const { who, baseline } = await start(pool);
      const coupon = { name: `POOL_${pool}`, amount: couponAmount };
      const bounds = { claimSecondsMax: poolTrySeconds, soldOutSeconds: 0 };
      const tried = await claimAll(owned, who, { ...coupon, ...bounds });
      await baseline.stop();
      return tried;
    });
    rates.push({ pool, rate: round.claimRate });
    wrong.push(...round.wrong);
  }
  const best = rates.reduce((most, one) => (one.rate > most.rate ? one : most));
  const hundreds = Math.round((best.rate * plan.couponSeconds) / 100) * 100;
  const amount = Math.min(couponAmount, Math.max(smallestAmount, hundreds));
  const shown = rates.map(({ pool, rate }) => `${pool}: ${number(rate)}`).join(", ");
  return {
    side: { who: (await start(best.pool)).who, amount, rounds: [] },
    line: `${name}, claims/s by connections of its pool: ${shown}.`,
    wrong,
  };
}

/**
 * Fills the rounds of every side, after one that warms up and counts for its correctness alone.
 * @returns the requests that Stampede was sent for claims, over all
 */
async function playRounds(bench: Bench, sides: readonly Side[], wrong: string[]): Promise<number> {
  const { owned, progress, plan } = bench;
  let attempts = 0;
  for (let i = 0; i <= plan.couponRounds; i += 1) {
    for (const { who, amount, rounds } of sides) {
      const what = i === 0 ? "warming up" : `coupon ${i} of ${plan.couponRounds}`;
      const isStampede = who === sides[0]?.who;
      const seconds = isStampede ? stampedeSeconds : plan.couponSeconds;
      const coupon = { name: `PROMO_${i}`, amount, claimSecondsMax, soldOutSeconds };
      const label = `coupons: ${what}, ${who.name}`;
      const whole = seconds + soldOutSeconds + overheadSeconds;
      // oxlint-disable-next-line no-await-in-loop
      const round = await progress.step(label, whole, () => claimAll(owned, who, coupon));
      wrong.push(...round.wrong);
      if (isStampede) attempts += round.attempts;
      if (isStampede && !round.report.gone) {
        wrong.push(`coupons: ${coupon.name} was not gone in ${claimSecondsMax} s`);
      }
      if (i > 0) rounds.push(round);
    }
  }
  return attempts;
}

/** The program's own look at the records, and a count of the attempts that it has stored. */
async function verify(
  { owned, executable, progress }: Bench,
  home: Home,
  told: { readonly coupons: number; readonly attempts: number },
): Promise<{ line: string; wrong: string[] }> {
  return await progress.step("coupons: verifying", 1, async () => {
    const env = { STAMPEDE_DATA: home.dataFolder };
    const child = owned.spawn([executable, "verify"], { cwd: home.folder, env });
    const printed = new Response(child.stdout).text();
    const exitCode = await within(verifySecondsMax, "stampede verify", child.exited);
    const line = (await printed).split("\n").find((text) => text.startsWith("Coupons: "));
    const claims = told.coupons * couponAmount;
    const stored = await storedClaimAttempts(home);
    const wrong: string[] = [];
    if (exitCode !== 0) wrong.push(`coupons: verify ended with ${exitCode}: ${await printed}`);
    if (line !== `Coupons: ${told.coupons}, claims: ${claims}, ok`) {
      wrong.push(`coupons: verify says ${line} of ${told.coupons} coupons, ${claims} claims`);
    }
    if (stored !== told.attempts) {
      wrong.push(`coupons: ${stored} attempts are stored of ${told.attempts} requests`);
    }
    return { line: `verify: ${line} Attempts stored: ${number(stored)}, every request.`, wrong };
  });
}

function judge([stampede, ...others]: readonly Side[]): Pick<Found, "lines" | "verdicts"> {
  if (stampede === undefined) return { lines: [], verdicts: [] };
  const rate = (side: Side): number => median(side.rounds.map((round) => round.claimRate));
  const better = others.reduce((most, one) => (rate(one) > rate(most) ? one : most));
  // Neighbours in time are compared with each other, and the median is taken of that.
  const ratio = (of: (round: Round) => number): number[] =>
    stampede.rounds.map((round, i) => {
      const beside = better.rounds[i];
      return of(round) / (beside === undefined ? Number.NaN : of(beside));
    });
  const rates = ratio((round) => round.claimRate);
  const factor = median(rates);
  const lines = table(
    [
      "",
      "coupon of",
      "claims/s",
      "p50 ms",
      "p99 ms",
      "CPU µs/claim",
      "PostgreSQL's",
      "sold out/s",
      "p99 ms",
    ],
    [
      ...[stampede, ...others].map(row),
      [
        "Stampede ÷ better",
        "",
        number(factor, 1),
        "",
        number(median(ratio(({ report }) => report.claims.p99Ms)), 2),
        number(median(ratio(({ serverUs, databaseUs }) => serverUs + databaseUs)), 2),
        "",
        number(median(ratio((round) => round.refusalRate)), 1),
      ],
      ["target", "", `${target.is} ${target.bound}`],
      ["", "", word(meets(factor, target))],
    ],
  );
  const by = rates.map((value) => number(value, 1)).join(" ");
  return {
    lines: [
      ...lines,
      `Claims/s, Stampede ÷ better, by coupon: ${by}`,
      ...circumstances([stampede, ...others]),
    ],
    verdicts: [{ what: "coupon claims/s ÷ a transaction a claim", met: meets(factor, target) }],
  };
}

function row({ who, amount, rounds }: Side): string[] {
  const mid = (digits: number, of: (round: Round) => number): string =>
    number(median(rounds.map(of)), digits);
  return [
    who.name,
    number(amount),
    mid(0, (round) => round.claimRate),
    mid(2, ({ report }) => report.claims.p50Ms),
    mid(2, ({ report }) => report.claims.p99Ms),
    mid(1, ({ serverUs, databaseUs }) => serverUs + databaseUs),
    mid(1, ({ databaseUs }) => databaseUs),
    mid(0, (round) => round.refusalRate),
    mid(2, ({ report }) => report.refusals.p99Ms ?? Number.NaN),
  ];
}

/** What may have stood in the way of the figures. */
function circumstances(sides: readonly Side[]): string[] {
  const rounds = sides.flatMap((side) => side.rounds);
  const others = median(rounds.map((round) => round.others));
  const crowd = median(sides[0]?.rounds.map((round) => round.crowdShare) ?? []);
  const late = sides.filter((side) => side.rounds.some(({ report }) => !report.gone));
  return [
    `The crowd took ${number(crowd * 100)} % of a core while it claimed from Stampede` +
      (crowd > crowdShareMax ? ": it is the crowd that was measured." : "."),
    `Other programs took ${number(others * 100)} % of the machine meanwhile` +
      (others > othersMax ? ": do not rely on these figures." : "."),
    ...late.map(
      ({ who }) =>
        `${who.name}: not every coupon was gone in ${claimSecondsMax} s; those claimed by then count.`,
    ),
  ];
}
