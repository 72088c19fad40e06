/**
 * `npm run bench`: measures the executable on this machine and prints what it found, with the
 * targets beside it. Exit 1 when something is incorrect, or the run could not be finished; a
 * target that is missed is marked, and fails nothing.
 *
 * Everything runs on the loopback address and in one temporary folder; what was started is ended
 * and what was made is removed, on Ctrl-C too.
 */
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { asking } from "./asking.ts";
import { checkouts } from "./checkouts.ts";
import { coupons } from "./coupons.ts";
import { findGenerator } from "./load.ts";
import { many } from "./many.ts";
import { type Asked, commandOf, readOptions, usageOf } from "./options.ts";
import { Owned } from "./owned.ts";
import { machine } from "./proc.ts";
import { Progress } from "./progress.ts";
import { queue } from "./queue.ts";
import { recovery } from "./recovery.ts";
import { abandoned } from "./abandoned.ts";
import { hundredThousand, instant } from "./chapters/crowds.ts";
import { flood } from "./chapters/flood.ts";
import { mix } from "./chapters/mix.ts";
import { rivalry } from "./chapters/rivals.ts";
import { takeover } from "./chapters/takeover.ts";
import { waiting } from "./chapters/waiting.ts";
import { pageOf } from "./page/page.ts";
import { beside } from "./reads.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { soldOut } from "./soldout.ts";
import { prepareExecutable } from "./stampede.ts";
import { webhooks } from "./webhooks.ts";
import { streams } from "./streams.ts";

/** In the order in which they run. */
const scenarios: readonly Scenario[] = [
  checkouts,
  asking,
  many,
  soldOut,
  coupons,
  recovery,
  abandoned,
  streams,
  queue,
  beside,
  webhooks,
];

/** Those that make the page. */
const chapters: readonly Scenario[] = [
  flood,
  hundredThousand,
  instant,
  mix,
  waiting,
  takeover,
  rivalry,
];
const page = join(import.meta.dir, "../dist/bench.html");

const fullPlan: Plan = {
  rounds: 10,
  roundSeconds: 2,
  warmUpSeconds: 3,
  soldOutRuns: 3,
  couponRounds: 5,
  couponSeconds: 0.8,
  attempts: 1_000_000,
  abandoned: 1_000_000,
  joined: 1_000_000,
  streamRounds: 3,
  besideRounds: 3,
  besideSeconds: 2,
  besideTurnsMore: 6,
  webhookRounds: 36,
  reportTurns: 5,
  reportSeconds: 10,
  wholeSecondsMax: 40 * 60,
};

const quickPlan: Plan = {
  rounds: 2,
  roundSeconds: 2,
  warmUpSeconds: 2,
  soldOutRuns: 1,
  couponRounds: 3,
  couponSeconds: 0.5,
  attempts: 200_000,
  abandoned: 50_000,
  joined: 50_000,
  streamRounds: 1,
  besideRounds: 1,
  besideSeconds: 1,
  besideTurnsMore: 4,
  webhookRounds: 6,
  reportTurns: 3,
  reportSeconds: 2,
  wholeSecondsMax: 12 * 60,
};

const namesOf = (all: readonly Scenario[]): string[] => all.map(({ name }) => name);
const names = { scenarios: namesOf(scenarios), chapters: namesOf(chapters) };

const say = (...lines: string[]): void => {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
};

/** @returns whether everything was correct */
async function measure(options: Asked, owned: Owned): Promise<boolean> {
  const { only } = options;
  const plan = options.isQuick ? quickPlan : fullPlan;
  const all = options.isReport ? chapters : scenarios;
  const chosen = all.filter(({ name }) => only === undefined || only.includes(name));
  const generator = findGenerator(options.load);
  const buildSeconds = 1;
  const expected = chosen.reduce((sum, { seconds }) => sum + seconds(plan), buildSeconds);
  const progress = new Progress(expected);
  const executable = await progress.step("building", buildSeconds, () =>
    prepareExecutable(owned, options.executable),
  );
  progress.pause();
  const load = options.isReport ? reportLoad(generator.description) : generator.description;
  const facts = header(executable, load, owned.root);
  say(...facts, "");

  const bench: Bench = { plan, owned, progress, generator, executable };
  const measured: Found[] = [];
  for (const scenario of chosen) {
    // oxlint-disable-next-line no-await-in-loop
    const found = await attempt(scenario, bench);
    if (owned.closed) return false;
    measured.push(found);
    progress.pause();
    say(...found.lines);
    // oxlint-disable-next-line no-await-in-loop
    await owned.endAll();
  }
  if (options.isReport) await writePage(measured, plan, facts, commandOf(options));
  return conclude(measured, plan);
}

async function writePage(
  all: readonly Found[],
  plan: Plan,
  facts: string[],
  command: string,
): Promise<void> {
  const isQuick = plan === quickPlan;
  const named = facts.map((line) => [line.slice(0, 16).trim(), line.slice(16)] as const);
  const records = all.find(({ database }) => database !== null)?.database ?? "nothing";
  const report = {
    chapters: all.flatMap((found) => found.chapters ?? []),
    facts: [
      ...named,
      ["records", records] as const,
      ...all.flatMap((found) => found.facts ?? []),
      ["turns", `${plan.reportTurns} of ${plan.reportSeconds} s`] as const,
    ],
    command,
    isQuick,
    wrong: all.flatMap(({ wrong }) => wrong),
  };
  mkdirSync(dirname(page), { recursive: true });
  await Bun.write(page, pageOf(report));
  say(`Written: ${page}`);
}

/** A scenario that breaks is wrong; those after it are still run. */
async function attempt(scenario: Scenario, bench: Bench): Promise<Found> {
  try {
    return await scenario.run(bench);
  } catch (error) {
    const text = error instanceof BenchError ? error.message : String(explain(error));
    return {
      database: null,
      lines: [],
      verdicts: [],
      wrong: [`${scenario.name} broke off: ${text}`],
    };
  }
}

const reportLoad = (reads: string): string =>
  `a crowd of one process, bench/arrivals.ts; reads by ${reads}`;

function header(executable: string, generator: string, folder: string): string[] {
  const { stdout } = Bun.spawnSync([executable, "--version"]);
  return [
    `date            ${new Date().toISOString()}`,
    ...machine(folder),
    `Stampede        ${stdout.toString().trim()}, Bun ${Bun.version} for the empty handler`,
    `load            ${generator}`,
  ];
}

function conclude(all: readonly Found[], plan: Plan): boolean {
  const verdicts = all.flatMap((found) => found.verdicts);
  const missed = verdicts.filter(({ met }) => !met).map(({ what }) => what);
  const wrong = all.flatMap((found) => found.wrong);
  const short = plan === quickPlan ? " (a quick run: an indication, no more)" : "";
  const databases = new Set(all.flatMap(({ database }) => database ?? []));
  say(`Records were kept in: ${[...databases].join(", ") || "nothing"}.`);
  say(`Targets: ${verdicts.length - missed.length} of ${verdicts.length} met${short}.`);
  for (const what of missed) say(`  missed: ${what}`);
  say(wrong.length === 0 ? "Correctness: nothing wrong." : "Correctness: WRONG.");
  for (const what of wrong) say(`  ${what}`);
  return wrong.length === 0;
}

const explain = (error: unknown): string =>
  error instanceof Error ? error.stack || error.message : String(error);

/** Runs, and cleans up whatever happens. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), names);
  if (options.help) {
    process.stdout.write(usageOf(names));
    return 0;
  }
  if (process.platform !== "linux") {
    throw new BenchError("The bench reads /proc, which only Linux has.");
  }
  const owned = new Owned();
  const broken = Promise.withResolvers<never>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => broken.reject(new BenchError(`Ended by ${signal}.`)));
  }
  const { wholeSecondsMax } = options.isQuick ? quickPlan : fullPlan;
  setTimeout(
    () => broken.reject(new BenchError(`Given up after ${wholeSecondsMax} s.`)),
    wholeSecondsMax * 1000,
  ).unref();
  try {
    return (await Promise.race([measure(options, owned), broken.promise])) ? 0 : 1;
  } finally {
    await owned.release();
  }
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(
    `\nbench: ${error instanceof BenchError ? error.message : explain(error)}\n`,
  );
  process.exit(1);
}
