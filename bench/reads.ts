/**
 * What reads cost those who buy: checkouts a second while four clients ask for one thing as fast as
 * they are answered, for everything that can be asked for, one after another, beside the same without
 * them, in turns. Then beside ten thousand who are idle, and two thousand who send slowly.
 *
 * Readers and buyers share the cores with the program, and others on the machine may too, so a turn
 * by itself says little. Beside the share of the checkouts stands
 * - what a read takes of the processor, of server and PostgreSQL each, where nobody buys; with how
 *   often it was answered beside buyers that is the part of the thread that it took from them;
 * - the share beside as many who ask for a path that does not exist: what it takes to be asked at all.
 * What misses its target is measured again, and the median of all its turns counts.
 *
 * What is asked comes from the program's own document, so that a new route is measured by itself. The
 * readers are on loopback: limits, which would end this within a second for everybody else, do not
 * count for them.
 */
import { complaintsOf } from "./complaints.ts";
import { Idlers } from "./idling.ts";
import { answered, failures, type Load } from "./load.ts";
import { median, meets, number, table, type Target, word } from "./report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { openFiles } from "./proc.ts";
import { readsOf, type Named } from "./readable.ts";
import { goShopping } from "./shopping.ts";
import { makeHome, type Home, Stampede } from "./stampede.ts";

const buyers = 64;
const readers = 4;
/** Share of the checkouts that is left beside reads; beside a scraper; beside idle and slow clients. */
const keptBeside: Target = { is: "≥", bound: 0.6 };
const keptBesideMetrics: Target = { is: "≥", bound: 0.95 };
const keptBesideIdle: Target = { is: "≥", bound: 0.85 };

const startSeconds = 6;
const minuteSeconds = 65;
/** Readers are there before the first checkout that counts, and until the last one. */
const leadSeconds = 0.2;
/** They are ended with the checkouts, and by this at the latest. */
const readSecondsMore = 30;
const idle = 10_000;
const slow = 2_000;
/** For the progress bar. */
const readsAssumed = 50;
/** The cheapest that can be asked for: what others are compared with. */
const nothing = "/nothing";
/** In a round it is measured again after so many others. */
const othersBetween = 12;
/** What a read takes is measured for so long; the kernel counts in ticks of 10 ms. */
const aloneSeconds = 0.4;

/** A sale a minute: for one that is over, of ten thousand items. */
const everyMinute = { SALE_SCHEDULE: "* * * * *" };

export const beside: Scenario = {
  name: "beside",
  seconds: ({ besideRounds, besideSeconds }: Plan) =>
    2 * startSeconds + minuteSeconds + besideRounds * besideSeconds * 2 * (readsAssumed + 2),
  run,
};

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const home = makeHome(owned);
  const oldSale = await progress.step("beside: a sale that is over", minuteSeconds, () =>
    sellOneMinute(bench, home),
  );
  const stampede = await progress.step("beside: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const reads = await readsOf(bench, stampede, home, oldSale);
  await flood(bench, stampede, "warming up", plan.warmUpSeconds);

  const kept = new Map<string, Kept>();
  for (const one of reads) {
    // oxlint-disable-next-line no-await-in-loop
    kept.set(one.name, unmeasured(one, await costOf(bench, stampede, one)));
  }
  for (let round = 1; round <= plan.besideRounds; round += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await besideEach(bench, stampede, withNothing(reads), kept);
  }
  for (let turn = 1; turn <= plan.besideTurnsMore; turn += 1) {
    const missed = reads.filter(({ name }) => isMissed(kept.get(name)));
    // oxlint-disable-next-line no-await-in-loop
    if (missed.length > 0) await besideEach(bench, stampede, withNothing(missed), kept);
  }
  const idlers = await besideIdlers(bench, stampede, home);
  const audit = await stampede.audit();
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  const wrong = [...kept.values()].flatMap((one) => one.wrong);
  if (!audit.ok) wrong.push("beside: the audit at the end is not ok");
  const leftByNothing = median(kept.get(nothing)?.shares ?? []);
  const rows = [...kept].map(([name, one]) => judged(name, one, leftByNothing));
  rows.push(judged(`${number(idle)} idle, ${number(slow)} slow senders`, idlers, leftByNothing));
  return {
    database: stampede.database,
    lines: [
      `Checkouts kept on ${buyers} connections beside ${readers} that ask for one thing: medians of ${plan.besideRounds} × ${plan.besideSeconds} s, in turns with none; up to ${plan.besideTurnsMore} turns more of what missed`,
      "A read's processor time is that of server and PostgreSQL where nobody buys; what it took is that of the server for as many as were answered beside buyers, of a core",
      ...table(
        columns,
        rows.map(({ cells }) => cells),
      ),
      ...warnings,
      "",
    ],
    verdicts: rows.map(({ what, met }) => ({ what, met })),
    wrong: [...wrong, ...errors],
  };
}

/** What is left of the checkouts beside one thing, a figure a turn. */
type Kept = {
  readonly shares: number[];
  /** The same of the checkouts for a second of processor time, which others on the machine leave alone. */
  readonly cpuShares: number[];
  readonly asked: Load[];
  /** µs of the processor that one takes by itself; null of what is not asked for. */
  readonly cost: Cost | null;
  readonly wrong: string[];
  readonly target: Target;
};

type Cost = { readonly server: number; readonly database: number };

const columns = [
  "GET",
  "answered/s",
  "answers",
  "server µs",
  "PostgreSQL µs",
  "took",
  "kept of a CPU second",
  "kept beside a 404 = 1",
  "checkouts kept",
  "target",
  "",
];

const unmeasured = ({ read }: Named, cost: Cost): Kept => ({
  shares: [],
  cpuShares: [],
  asked: [],
  cost,
  wrong: [],
  target: read.path === "/metrics" ? keptBesideMetrics : keptBeside,
});

const isMissed = (kept: Kept | undefined): boolean =>
  kept !== undefined && !meets(median(kept.shares), kept.target);

function judged(name: string, { shares, cpuShares, asked, cost, target }: Kept, byNothing: number) {
  const share = median(shares);
  const rate = median(asked.map((load) => answered(load) / load.seconds));
  const statuses = [...new Set(asked.flatMap((load) => Object.keys(load.statuses)))].join(" ");
  const met = meets(share, target);
  const costs =
    cost === null
      ? ["", "", ""]
      : [number(cost.server), number(cost.database), percent((rate * cost.server) / 1e6)];
  const cells = [
    name,
    ...(cost === null ? ["", ""] : [number(rate), statuses]),
    ...costs,
    percent(median(cpuShares)),
    number(share / byNothing, 2),
    percent(share),
    `${target.is} ${percent(target.bound)}`,
    word(met),
  ];
  return { cells, what: `checkouts beside ${name}`, met };
}

const percent = (of: number): string => `${number(of * 100)} %`;

/** What is not there, again and again among what is. */
function withNothing(reads: readonly Named[]): Named[] {
  const others = reads.filter(({ name }) => name !== nothing);
  const cheapest: Named = { name: nothing, read: { path: nothing, headers: {} } };
  return others.flatMap((one, i) => (i % othersBetween === 0 ? [cheapest, one] : [one]));
}

/** What one read takes of the processor, where nobody buys. */
const costOf = (bench: Bench, stampede: Stampede, { name, read }: Named): Promise<Cost> =>
  bench.progress.step(`beside: what ${name} takes`, aloneSeconds, async () => {
    const before = stampede.cpu();
    const until = performance.now() + aloneSeconds * 1000;
    let count = 0;
    const ask = async (): Promise<void> => {
      while (performance.now() < until) {
        // oxlint-disable-next-line no-await-in-loop
        const answer = await fetch(stampede.origin + read.path, { headers: { ...read.headers } });
        // oxlint-disable-next-line no-await-in-loop
        await answer.arrayBuffer();
        count += 1;
      }
    };
    await Promise.all(Array.from({ length: readers }, ask));
    const after = stampede.cpu();
    const each = (of: "server" | "database"): number => (1e6 * (after[of] - before[of])) / count;
    return { server: each("server"), database: each("database") };
  });

/** In turns with nobody who reads: each is compared with the two beside it. */
async function besideEach(
  bench: Bench,
  stampede: Stampede,
  reads: readonly Named[],
  kept: Map<string, Kept>,
): Promise<void> {
  const { besideSeconds: seconds } = bench.plan;
  let before = await flood(bench, stampede, "nobody reads", seconds);
  for (const { name, read } of reads) {
    const one = kept.get(name);
    if (one === undefined) throw new BenchError(`nobody has measured what ${name} takes`);
    const { promise: until, resolve: endReading } = Promise.withResolvers<void>();
    const reading = bench.generator.shoot(bench.owned, {
      of: read,
      origin: stampede.origin,
      connections: readers,
      seconds: seconds + readSecondsMore,
      until,
    });
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(leadSeconds * 1000);
    // oxlint-disable-next-line no-await-in-loop
    const within = await flood(bench, stampede, name, seconds).finally(endReading);
    // oxlint-disable-next-line no-await-in-loop
    const asked = await reading;
    // oxlint-disable-next-line no-await-in-loop
    const after = await flood(bench, stampede, "nobody reads", seconds);
    compare(one, within, [before, after]);
    one.asked.push(asked);
    const broken = Object.keys(asked.statuses).filter(
      (status) => status >= "500" && status !== "503",
    );
    if (broken.length > 0) one.wrong.push(`beside: GET ${name} was answered ${broken.join(", ")}`);
    before = after;
  }
}

/** Notes what was left of the checkouts, by what there was before and after. */
function compare(kept: Kept, within: Bought, without: readonly [Bought, Bought]): void {
  const share = (of: (bought: Bought) => number): number =>
    (2 * of(within)) / (of(without[0]) + of(without[1]));
  kept.shares.push(share(({ perSecond }) => perSecond));
  kept.cpuShares.push(share(({ perCpuSecond }) => perCpuSecond));
  if (within.failed > 0) kept.wrong.push(`beside: ${within.failed} checkouts failed`);
}

async function besideIdlers(bench: Bench, stampede: Stampede, home: Home): Promise<Kept> {
  const target = keptBesideIdle;
  const kept: Kept = { shares: [], cpuShares: [], asked: [], cost: null, wrong: [], target };
  const { besideSeconds: seconds } = bench.plan;
  const filesBefore = openFiles(stampede.pid);
  let before = await flood(bench, stampede, "nobody idles", seconds);
  for (let round = 0; round < Math.max(3, bench.plan.besideRounds); round += 1) {
    const idlers = new Idlers(bench.owned, home.port);
    // oxlint-disable-next-line no-await-in-loop
    await idlers.open({ idle, slow });
    // oxlint-disable-next-line no-await-in-loop
    const within = await flood(bench, stampede, "idle and slow clients", seconds);
    // oxlint-disable-next-line no-await-in-loop
    await idlers.end();
    // oxlint-disable-next-line no-await-in-loop
    while (openFiles(stampede.pid) > filesBefore + buyers) await Bun.sleep(100);
    // oxlint-disable-next-line no-await-in-loop
    const after = await flood(bench, stampede, "nobody idles", seconds);
    compare(kept, within, [before, after]);
    before = after;
  }
  return kept;
}

/** Checkouts of a while: a second, and a second of the processor time of server and PostgreSQL. */
type Bought = {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly failed: number;
};

const flood = (bench: Bench, stampede: Stampede, what: string, seconds: number): Promise<Bought> =>
  bench.progress.step(`beside: ${what}`, seconds, async () => {
    const before = stampede.cpu();
    const load = await bench.generator.shoot(bench.owned, {
      of: "checkout",
      origin: stampede.origin,
      connections: buyers,
      seconds,
    });
    const after = stampede.cpu();
    const cpu = after.server - before.server + after.database - before.database;
    return {
      perSecond: answered(load) / load.seconds,
      perCpuSecond: answered(load) / cpu,
      failed: failures(load),
    };
  });

/** Sells most of a sale that lasts until the next minute, and waits for its end; its id. */
async function sellOneMinute(bench: Bench, home: Home): Promise<number> {
  const { owned, executable } = bench;
  const first = { ...home, environment: everyMinute };
  const stampede = await Stampede.start(owned, executable, first);
  const { id, stock } = await stampede.sale();
  await goShopping(owned, {
    hostname: "127.0.0.1",
    port: home.port,
    connections: buyers,
    buyers: 600,
    limit: 10,
    items: stock,
    want: stock / 2,
    secondsMax: 20,
  });
  const until = performance.now() + minuteSeconds * 1000;
  // oxlint-disable-next-line no-await-in-loop
  while ((await stampede.sale()).id === id) {
    if (performance.now() > until) throw new BenchError("a sale of a minute does not end");
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(200);
  }
  await stampede.stop();
  return id;
}
