/**
 * Ten thousand who watch a sale by `GET /events` while others buy. It is right when every stream
 * that is read is told of every change, in order, and ends on the figures of the sale; and when
 * streams that nobody reads are dropped, connection and all, and the others do not notice.
 *
 * A steady trickle of buyers makes news for every event. The flood beside it, which is what
 * checkouts a second are counted of, asks for other items, which are all reserved before: it is
 * refused, as most of a flood is, and changes nothing that there would be to say.
 */
import { buysPerSecond, Crowd, settled } from "./buyers.ts";
import { complaintsOf } from "./complaints.ts";
import { answered, failures, type Load } from "./load.ts";
import { openFiles, openFilesMax } from "./proc.ts";
import { median, type Measure, measureTable, number, quantile, verdictsOf } from "./report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { makeHome, Stampede } from "./stampede.ts";
import { type HeardEvent, Watchers, type WatchReport } from "./watchers.ts";

const wanted = 10_000;
/** Files that a process holds open besides streams. */
const otherFiles = 500;
/** What the server may open meanwhile for itself. */
const poolFiles = 10;
const ignored = 100;
const watchingMeanwhile = 100;

/** The flood asks for the first half of the items, the buyers for the other. */
const floodItems = 10_000;
/** So many that reserving them all fills what may wait for a stream, on a fast machine too. */
const unitsPerItem = 10;
const environment = {
  SALE_ITEMS: String(2 * floodItems),
  SALE_UNITS_PER_ITEM: String(unitsPerItem),
  // Nothing lapses meanwhile.
  RESERVATION_TTL_MS: "3600000",
};

const connections = 64;

const startSeconds = 4;
const reserveSeconds = 6;
const shotSeconds = 1;
const shotsMax = 60;
const openSeconds = 2;
const trickleSeconds = 2;
const floodSeconds = 2;
const settleSecondsMax = 10;
const pollMs = 50;

export const streams: Scenario = {
  name: "streams",
  seconds: ({ streamRounds }: Plan) =>
    startSeconds +
    reserveSeconds +
    streamRounds * (openSeconds + 2 * (trickleSeconds + floodSeconds)),
  run,
};

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable, plan } = bench;
  const many = Math.min(wanted, openFilesMax() - otherFiles);
  if (many <= 0) throw new BenchError("a process may not open enough files here");
  const home = makeHome(owned, environment);
  const stampede = await progress.step("streams: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const watchers = new Watchers(owned, home.port);
  const crowd = new Crowd(home.port, floodItems);
  const setup: Setup = { bench, stampede, watchers, crowd, many };

  const slow = await progress.step("streams: 100 that nobody reads", reserveSeconds, () =>
    dropSlow(setup),
  );
  const rounds: Round[] = [];
  for (let i = 1; i <= plan.streamRounds; i += 1) {
    // oxlint-disable-next-line no-await-in-loop
    rounds.push(await turn(setup, `${i} of ${plan.streamRounds}`));
  }
  await watchers.end();
  const audit = await stampede.audit();
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  const wrong = [...slow.wrong, ...rounds.flatMap((round) => round.wrong), ...crowd.wrong];
  if (!audit.ok) wrong.push("the audit at the end is not ok");

  const measures = measuresOf(rounds, slow, many);
  const rate = number(median(rounds.map((round) => round.buysPerSecond)));
  const few =
    many < wanted ? [`Only ${number(many)}: a process may not open more files here.`] : [];
  return {
    database: stampede.database,
    lines: [
      `${number(many)} streams of events on one process: ${rate} units a second reserved and bought meanwhile, of ${buysPerSecond} wanted; medians of ${plan.streamRounds}`,
      ...measureTable(measures),
      ...few,
      "Server, PostgreSQL, buyers and everybody who watches share this machine.",
      ...warnings,
      "",
    ],
    verdicts: verdictsOf(measures),
    wrong: [...wrong.map((text) => `streams: ${text}`), ...errors],
  };
}

type Setup = {
  readonly bench: Bench;
  readonly stampede: Stampede;
  readonly watchers: Watchers;
  readonly crowd: Crowd;
  readonly many: number;
};

type Slow = {
  /** Said to each until the last of them was dropped, KB; NaN when that did not happen. */
  readonly saidKb: number;
  readonly wrong: string[];
};

/** Reserves what the flood will ask for, which is much to say, to some who do not read. */
async function dropSlow({ bench, stampede, watchers }: Setup): Promise<Slow> {
  const wrong: string[] = [];
  await watchers.watch(watchingMeanwhile);
  const filesBefore = openFiles(stampede.pid);
  await watchers.ignore(ignored);
  await until(async () => (await stampede.streams()) === watchingMeanwhile + ignored);

  const heard = new Heard(watchers);
  let saidKb = Number.NaN;
  const reserved = reserveAll(bench, stampede);
  const isReserved = settled(reserved);
  await until(async () => {
    await heard.listen();
    const held = await stampede.streams();
    if (held > watchingMeanwhile) return isReserved();
    saidKb = heard.events.reduce((sum, { bytes }) => sum + bytes, 0) / 1000;
    return true;
  }, shotSeconds * shotsMax);
  await reserved;
  if (Number.isNaN(saidKb)) {
    await heard.listen();
    const held = (await stampede.streams()) - watchingMeanwhile;
    wrong.push(`${held} of ${ignored} streams that nobody reads are still held`);
  }
  if (!(await until(() => openFiles(stampede.pid) <= filesBefore + poolFiles))) {
    const left = openFiles(stampede.pid) - filesBefore;
    wrong.push(`${left} connections of streams that nobody reads are still open`);
  }
  wrong.push(...(await incomplete(stampede, heard, watchingMeanwhile)));
  await watchers.leave();
  return { saidKb, wrong };
}

async function reserveAll({ owned, generator }: Bench, stampede: Stampede): Promise<void> {
  // Of random items the last take as long as all the others; the first flood reserves those.
  const enough = 0.9 * floodItems * unitsPerItem;
  for (let shot = 0; shot < shotsMax; shot += 1) {
    // oxlint-disable-next-line no-await-in-loop
    if ((await stampede.sale()).reserved >= enough) return;
    // oxlint-disable-next-line no-await-in-loop
    await generator.shoot(owned, {
      of: "checkout",
      origin: stampede.origin,
      connections,
      seconds: shotSeconds,
    });
  }
  throw new BenchError(`${number(enough)} units were not reserved in ${shotsMax * shotSeconds} s`);
}

type Round = {
  readonly openSeconds: number;
  /** MB, before the first stream was opened and with all of them after the trickle. */
  readonly memoryBefore: number;
  readonly memory: number;
  readonly buysPerSecond: number;
  /** Share of the streams that were told of every change. */
  readonly complete: number;
  /** From the acknowledgement of a checkout to its event on the first and the last stream; ms. */
  readonly firstMs: readonly number[];
  readonly lastMs: readonly number[];
  /** Of the server's processor time, beyond what as many purchases took without streams; µs. */
  readonly cpuUs: number;
  readonly eventKb: number;
  readonly without: Load;
  readonly within: Load;
  readonly wrong: string[];
};

/** Trickle and flood, first with nobody watching, then with everybody. */
async function turn(setup: Setup, which: string): Promise<Round> {
  const { bench, stampede, watchers, crowd, many } = setup;
  const step = <T>(label: string, seconds: number, work: () => Promise<T>): Promise<T> =>
    bench.progress.step(`streams: ${label}, ${which}`, seconds, work);

  const quiet = await step("buying, nobody watches", trickleSeconds, () => trickle(setup));
  const without = await step("flood, nobody watches", floodSeconds, () => flood(setup));
  const memoryBefore = stampede.memory.nowMb;
  const openMs = await step("opening", openSeconds, () => watchers.watch(many));
  const heard = new Heard(watchers);
  crowd.acknowledged.clear();
  const watched = await step("buying, all watch", trickleSeconds, async () => {
    const spent = await trickle(setup);
    await until(
      async () => (await heard.listen()) && heard.reachedAll(many, crowd.acknowledged.keys()),
    );
    return spent;
  });
  const memory = stampede.memory.nowMb;
  const { events } = heard;
  const delivered = events.reduce((sum, event) => sum + event.streams, 0);
  const sellingSeconds = (quiet.cpuSeconds / quiet.bought) * watched.bought;
  const firstMs: number[] = [];
  const lastMs: number[] = [];
  for (const [item, at] of crowd.acknowledged) {
    const event = heard.eventOf(item);
    firstMs.push((event?.firstAt ?? Number.NaN) - at);
    lastMs.push((event?.lastAt ?? Number.NaN) - at);
  }
  const within = await step("flood, all watch", floodSeconds, () => flood(setup));
  const wrong = await incomplete(stampede, heard, many);
  for (const load of [without, within]) {
    if (failures(load) > 0) wrong.push(`${failures(load)} answers of 500 or above`);
  }
  const complete = heard.standing(await stampede.settledSale()) / many;
  await watchers.leave();
  await until(async () => (await stampede.streams()) === 0);
  return {
    openSeconds: openMs / 1000,
    memoryBefore,
    memory,
    buysPerSecond: watched.bought / watched.seconds,
    complete,
    firstMs,
    lastMs,
    cpuUs: ((watched.cpuSeconds - sellingSeconds) / delivered) * 1e6,
    eventKb: median(events.map(({ bytes }) => bytes)) / 1000,
    without,
    within,
    wrong,
  };
}

type Spent = {
  readonly seconds: number;
  readonly bought: number;
  /** Of the server. */
  readonly cpuSeconds: number;
};

async function trickle({ stampede, crowd }: Setup): Promise<Spent> {
  const [from, before] = [performance.now(), stampede.cpu().server];
  const bought = await crowd.buy(async () => await Bun.sleep(trickleSeconds * 1000));
  const seconds = (performance.now() - from) / 1000;
  return { seconds, bought, cpuSeconds: stampede.cpu().server - before };
}

async function flood({ bench, stampede, crowd }: Setup): Promise<Load> {
  let load: Load | undefined;
  await crowd.buy(async () => {
    load = await bench.generator.shoot(bench.owned, {
      of: "checkout",
      origin: stampede.origin,
      connections,
      seconds: floodSeconds,
    });
  });
  if (load === undefined) throw new BenchError("there was no flood");
  return load;
}

/** What is not as it was promised to those who read; waits for what is on its way. */
async function incomplete(stampede: Stampede, heard: Heard, many: number): Promise<string[]> {
  const sale = await stampede.settledSale();
  const all = await until(async () => {
    await heard.listen();
    return heard.standing(sale) === many;
  });
  const behind = many - heard.standing(sale);
  return all ? heard.wrong : [...heard.wrong, `${behind} of ${many} streams missed changes`];
}

/** What the watchers have told so far. */
class Heard {
  readonly #watchers: Watchers;
  readonly #events = new Map<number, HeardEvent>();
  /** The first event that named an item, by item. */
  readonly #named = new Map<number, number>();
  #standing: WatchReport["standing"] = [];
  readonly wrong: string[] = [];

  constructor(watchers: Watchers) {
    this.#watchers = watchers;
  }

  get events(): HeardEvent[] {
    return [...this.#events.values()];
  }

  async listen(): Promise<true> {
    const { standing, events, wrong } = await this.#watchers.report();
    this.#standing = standing;
    this.wrong.push(...wrong);
    for (const event of events) {
      this.#events.set(event.number, event);
      for (const item of event.items) {
        if (!this.#named.has(item)) this.#named.set(item, event.number);
      }
    }
    return true;
  }

  /** Streams whose last figures are those of the sale. */
  standing({ sold, reserved }: { readonly sold: number; readonly reserved: number }): number {
    return this.#standing.find((at) => at.sold === sold && at.reserved === reserved)?.streams ?? 0;
  }

  eventOf(item: number): HeardEvent | undefined {
    return this.#events.get(this.#named.get(item) ?? Number.NaN);
  }

  /** Whether each of these items was in an event, and that came to all. */
  reachedAll(many: number, items: Iterable<number>): boolean {
    return [...items].every((item) => this.eventOf(item)?.streams === many);
  }
}

const perSecond = (load: Load): number => answered(load) / load.seconds;

const measure = (what: string, value: number, digits: number, unit: string): Measure => ({
  what,
  value,
  digits,
  unit,
});

function measuresOf(rounds: readonly Round[], slow: Slow, many: number): Measure[] {
  const mid = (of: (round: Round) => number): number => median(rounds.map(of));
  const first = rounds.flatMap((round) => round.firstMs);
  const last = rounds.flatMap((round) => round.lastMs);
  const all = `${number(many)} streams`;
  // Later rounds find memory that the first has left.
  const { memoryBefore = Number.NaN, memory = Number.NaN } = rounds[0] ?? {};
  return [
    measure(
      "to open them all",
      mid((round) => round.openSeconds),
      2,
      "s",
    ),
    measure("memory of the server, no streams", memoryBefore, 0, "MB"),
    measure(`memory of the server, ${all}`, memory, 0, "MB"),
    measure("memory a stream", ((memory - memoryBefore) / many) * 1000, 1, "KB"),
    {
      ...measure("streams that were told of every change", mid((r) => r.complete) * 100, 1, "%"),
      target: { is: "≥", bound: 100 },
    },
    measure("checkout acknowledged to first stream, p50", quantile(first, 0.5), 0, "ms"),
    measure("checkout acknowledged to first stream, p99", quantile(first, 0.99), 0, "ms"),
    measure("checkout acknowledged to last stream, p50", quantile(last, 0.5), 0, "ms"),
    measure("checkout acknowledged to last stream, p99", quantile(last, 0.99), 0, "ms"),
    measure(
      "size of an event",
      mid((round) => round.eventKb),
      1,
      "KB",
    ),
    measure(
      "processor time an event and stream",
      mid((round) => round.cpuUs),
      1,
      "µs",
    ),
    measure(
      `checkouts/s of ${connections}, no streams`,
      mid((r) => perSecond(r.without)),
      0,
      "",
    ),
    measure(
      `checkouts/s of ${connections}, ${all}`,
      mid((r) => perSecond(r.within)),
      0,
      "",
    ),
    measure(
      "checkout p99, no streams",
      mid((round) => round.without.p99Ms),
      1,
      "ms",
    ),
    measure(
      `checkout p99, ${all}`,
      mid((round) => round.within.p99Ms),
      1,
      "ms",
    ),
    measure(`said to ${ignored} that nobody reads, until dropped`, slow.saidKb, 0, "KB"),
  ];
}

/** Asks now and then, up to a bound; whether it came true. */
async function until(
  isSo: () => boolean | Promise<boolean>,
  secondsMax = settleSecondsMax,
): Promise<boolean> {
  const late = performance.now() + secondsMax * 1000;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop
    if (await isSo()) return true;
    if (performance.now() > late) return false;
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(pollMs);
  }
}
