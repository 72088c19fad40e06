/**
 * What reads cost those who buy: checkouts a second while four clients ask for one thing as fast as
 * they are answered, for everything that can be asked for, one after another, beside the same without
 * them, in turns. Then beside ten thousand who are idle, and two thousand who send slowly.
 *
 * What is asked comes from the program's own document, so that a new route is measured by itself; a
 * parameter that nothing is known of ends the run. The readers are on loopback: limits, which would
 * end this within a second for everybody else, do not count for them.
 */
import { z } from "zod";
import { complaintsOf } from "./complaints.ts";
import { Idlers } from "./idling.ts";
import { answered, failures, type Load, type Read } from "./load.ts";
import { median, meets, number, table, type Target, word } from "./report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { openFiles } from "./proc.ts";
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
/** Readers are there before the first checkout that counts, and after the last one. */
const leadSeconds = 0.4;
const readSecondsMore = 1;
const claims = 10_000;
const idle = 10_000;
const slow = 2_000;
const answerSecondsMax = 60;
/** For the progress bar. */
const readsAssumed = 50;

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
  for (let round = 1; round <= plan.besideRounds; round += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await besideEach(bench, stampede, reads, kept);
  }
  const idlers = await besideIdlers(bench, stampede, home);
  const audit = await stampede.audit();
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  const wrong = [...kept.values()].flatMap((one) => one.wrong);
  if (!audit.ok) wrong.push("beside: the audit at the end is not ok");
  const rows = [...kept].map(([name, one]) => judged(name, one));
  rows.push(judged(`${number(idle)} idle, ${number(slow)} slow senders`, idlers));
  return {
    database: stampede.database,
    lines: [
      `Checkouts kept on ${buyers} connections beside ${readers} that ask for one thing: medians of ${plan.besideRounds} × ${plan.besideSeconds} s, in turns with none`,
      ...table(
        ["GET", "asked/s", "answers", "kept of a CPU second", "checkouts kept", "target", ""],
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
  readonly wrong: string[];
  readonly target: Target;
};

function judged(name: string, { shares, cpuShares, asked, target }: Kept) {
  const share = median(shares);
  const rates = asked.map((load) => answered(load) / load.seconds);
  const statuses = [...new Set(asked.flatMap((load) => Object.keys(load.statuses)))].join(" ");
  const met = meets(share, target);
  const wanted = `${target.is} ${percent(target.bound)}`;
  const cpu = percent(median(cpuShares));
  const cells = [name, number(median(rates)), statuses, cpu, percent(share), wanted, word(met)];
  return { cells, what: `checkouts beside ${name}`, met };
}

const percent = (of: number): string => `${number(of * 100)} %`;

type Named = { readonly name: string; readonly read: Read };

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
    const target = read.path === "/metrics" ? keptBesideMetrics : keptBeside;
    const one = kept.get(name) ?? { shares: [], cpuShares: [], asked: [], wrong: [], target };
    kept.set(name, one);
    const reading = bench.generator.shoot(bench.owned, {
      of: read,
      origin: stampede.origin,
      connections: readers,
      seconds: seconds + readSecondsMore,
    });
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(leadSeconds * 1000);
    // oxlint-disable-next-line no-await-in-loop
    const within = await flood(bench, stampede, name, seconds);
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
  const kept: Kept = { shares: [], cpuShares: [], asked: [], wrong: [], target };
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

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ security: z.array(z.unknown()).optional() })),
  ),
});

const coupon = "MANY";

/** Queries that are asked beside the plain path: what takes the most of each. */
const queries: Readonly<Record<string, readonly string[]>> = {
  "/sales/{sale_id}/items": ["?limit=500", "?q=nobody+is+called+so"],
  "/api/coupons/{name}": ["?claims_limit=10000"],
  "/api/products": ["?q=nobody+is+called+so"],
  "/api/flash-sales": ["?limit=50"],
  "/api/admin/names": [`?of=${Array.from({ length: 200 }, (_, i) => `1:${i + 1}`).join(",")}`],
  "/api/admin/attempts": ["?user=nobody"],
  "/api/admin/users": ["?q=nobody"],
};
/** Of these a query is needed. */
const neverPlain = new Set(["/api/admin/names"]);

/** Everything that can be asked for, as whoever may ask for all of it. */
async function readsOf(
  { owned, executable }: Bench,
  stampede: Stampede,
  home: Home,
  oldSale: number,
): Promise<Named[]> {
  const seeding = owned.spawn([executable, "seed", "--demo"], {
    env: { STAMPEDE_DATA: home.dataFolder },
  });
  if ((await seeding.exited) !== 0) throw new BenchError("the demo could not be made");
  const { token } = z
    .object({ token: z.string() })
    .parse(await post(stampede, "/api/auth/login", { username: "admin", password: "Satu123" }));
  await post(stampede, "/api/coupons", { name: coupon, amount: 2 * claims });
  await claimAll(stampede);
  const { flash_sales: productSales } = z
    .object({ flash_sales: z.array(z.object({ id: z.int() })).min(1) })
    .parse(await get(stampede, "/api/flash-sales"));
  const { orders } = z
    .object({ orders: z.array(z.object({ order_id: z.string() })).min(1) })
    .parse(await get(stampede, "/api/admin/orders", { Authorization: `Bearer ${token}` }));
  const sale = await stampede.sale();
  const values: Readonly<Record<string, readonly (string | number)[]>> = {
    sale_id: [sale.id, oldSale],
    "/api/flash-sales id": [productSales[0]?.id ?? 0],
    "/api/admin/sales id": [oldSale],
    "/api/admin/flash-sales id": [productSales[0]?.id ?? 0],
    // Nothing is sent: that there is none is looked up as well.
    "/api/admin/webhooks id": [1],
    order_id: [orders[0]?.order_id ?? 0],
    "/api/products id": [1],
    "/sales id": [42],
    product: [1],
    name: [coupon],
  };
  const { paths } = documentSchema.parse(await get(stampede, "/openapi.json"));
  const asked = Object.entries(paths).flatMap(([path, { get: operation }]) => {
    if (operation === undefined) return [];
    const plain = neverPlain.has(path) ? [] : [""];
    const headers: Record<string, string> =
      (operation.security?.length ?? 0) === 0 ? {} : { Authorization: `Bearer ${token}` };
    return [...plain, ...(queries[path] ?? [])].flatMap((query) =>
      filledIn(path, values).map((filled) => named(filled + query, headers)),
    );
  });
  return [...asked, ...(await pagesOf(stampede))];
}

const named = (path: string, headers: Read["headers"] = {}): Named => ({
  name: Object.hasOwn(headers, "Accept-Encoding") ? `${path}, plain` : path.slice(0, 60),
  read: { path, headers },
});

/** A path with each of the values that its parameters have. */
function filledIn(
  path: string,
  values: Readonly<Record<string, readonly (string | number)[]>>,
): string[] {
  const [whole, name] = /\{(\w+)\}/.exec(path) ?? [];
  if (whole === undefined || name === undefined) return [path];
  const area = Object.keys(values).find(
    (key) => key.endsWith(` ${name}`) && path.startsWith(key.split(" ")[0] ?? ""),
  );
  const known = values[area ?? name];
  if (known === undefined)
    throw new BenchError(`nothing is known to ask for as ${name} in ${path}`);
  return known.flatMap((value) => filledIn(path.replace(whole, String(value)), values));
}

/** Pages and what they bring, which the document does not have; and what is not there. */
async function pagesOf({ origin }: Stampede): Promise<Named[]> {
  const script = async (page: string, pattern: RegExp): Promise<string> => {
    const found = pattern.exec(await (await fetch(origin + page)).text())?.[1];
    if (found === undefined) throw new BenchError(`${page} has no script`);
    return found;
  };
  const reference = await script("/docs", /src="(\/docs\/reference[^"]+)"/);
  const own = await script("/", /data-entry href="(\/assets\/[^"]+)"/);
  const identity = { "Accept-Encoding": "identity" };
  return [
    ...["/", "/docs", reference, own, "/card.jpg", "/favicon.svg", "/nothing"].map((path) =>
      named(path),
    ),
    named(reference, identity),
  ];
}

async function claimAll(stampede: Stampede): Promise<void> {
  let next = 0;
  const claim = async (): Promise<void> => {
    while (next < claims) {
      next += 1;
      // oxlint-disable-next-line no-await-in-loop
      await post(stampede, "/api/coupons/claim", { user_id: `user${next}`, coupon_name: coupon });
    }
  };
  await Promise.all(Array.from({ length: 128 }, claim));
}

const post = ({ origin }: Stampede, path: string, body: object): Promise<unknown> =>
  ask(origin + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

const get = ({ origin }: Stampede, path: string, headers: Read["headers"] = {}): Promise<unknown> =>
  ask(origin + path, { headers });

async function ask(url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, {
    ...init,
    signal: AbortSignal.timeout(answerSecondsMax * 1000),
  });
  if (!response.ok) throw new BenchError(`${url} gave ${response.status}`);
  return await response.json();
}
