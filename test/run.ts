/**
 * `npm test`: all tests, on one PostgreSQL, a few files at a time, the slowest first. `npm test --
 * --fast`: an answer within half a minute, by the tests beside the model and the smoke test.
 * Whatever else is asked goes to `bun test`: paths, `-t NAME`, and so on.
 *
 * `timings.json` says how long each file took on some machine, for the order and nothing else;
 * `npm test -- --keep-timings` writes it anew.
 *
 * Before and after, what ended runs have left is removed. A signal goes to the tests, which take
 * along what they have started.
 */
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { z } from "zod";
import { bundleProgram } from "./support/bundle.ts";
import { failuresIn, type Failure } from "./support/failures.ts";
import { newCluster, Postgres } from "./support/postgres.ts";
import { leaveRun, runFolder, sweep } from "./support/runs.ts";

const fast = ["test/unit", "test/integration/smoke.test.ts"];
const testMaxMs = 120_000;
/**
 * Files run at a time, on two cores: each of them waits for something most of its time. Five take
 * three quarters of the time that three do, and leave the cores little more to give.
 */
const atOnce = 5;
const slowestShown = 10;
/** Files that are run again by themselves, when they fail beside others; where more fail, it is not by chance. */
const againMax = 8;
/** As `bun test` writes them: ms of each file. */
const timings = z.object({ files: z.record(z.string(), z.number()) });

const asked = process.argv.slice(2);
const others = asked.filter((argument) => !["--fast", "--keep-timings"].includes(argument));
const paths = asked.includes("--fast") ? fast : [];
const isWhole = ![...paths, ...others].some((argument) => !argument.startsWith("-"));
const usual = join(import.meta.dir, "timings.json");

// Before the folder of this process becomes the place of its temporary files.
const own = { ...process.env };
sweep();
const measured = join(runFolder(), "timings.json");
const report = join(runFolder(), "report.xml");
const environment = isWhole ? { ...own, ...(await prepare()) } : own;
const ordered = [`--timings=${measured}`, `--timings=${usual}`, "--update-timings"];
let tests: Bun.Subprocess | null = null;
let signalled: NodeJS.Signals | null = null;
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  // What is ours goes after what is theirs.
  process.removeAllListeners(name);
  process.on(name, () => {
    signalled = name;
    tests?.kill(name);
  });
}
const side = [`--parallel=${atOnce}`, ...(isWhole ? ordered : []), ...paths, ...others];
const reported = ["--reporter=junit", `--reporter-outfile=${report}`];
let code = await run(isWhole ? [...side, ...reported] : side);
if (isWhole && code !== 0 && signalled === null) code = await again(code);
// What changes the machine that the others run on, and what is measured there.
for (const file of isWhole ? alone() : []) {
  // oxlint-disable-next-line no-await-in-loop
  if (signalled === null) code = (await run([file])) || code;
}
if (existsSync(measured)) tellSlowest();
leaveRun();
sweep();
process.exit(code);

async function run(args: readonly string[]): Promise<number> {
  tests = Bun.spawn([process.execPath, "test", `--timeout=${testMaxMs}`, ...args], {
    env: environment,
    stdio: ["inherit", "inherit", "inherit"],
  });
  return await tests.exited;
}

/**
 * What fails beside others, on a machine that has too much to do, is run again by itself: what fails
 * then too has failed. What does not is named at the end, for it may be a fault that is seldom seen.
 * @returns the code to end with
 */
async function again(failed: number): Promise<number> {
  const failures = existsSync(report) ? failuresIn(readFileSync(report, "utf8")) : [];
  const files = [...new Set(failures.map(({ file }) => file))];
  if (files.length === 0) return failed;
  if (files.length > againMax) {
    tell("Failed:", failures);
    return failed;
  }
  const twice: string[] = [];
  for (const file of files) {
    process.stderr.write(`\nOnce more, by itself: ${file}\n`);
    // oxlint-disable-next-line no-await-in-loop
    if ((await run([`./${file}`])) !== 0) twice.push(file);
    if (signalled !== null) return failed;
  }
  const hasTwice = ({ file }: Failure): boolean => twice.includes(file);
  tell(
    "Failed beside others, and passed alone:",
    failures.filter((failure) => !hasTwice(failure)),
  );
  tell("Failed, also alone:", failures.filter(hasTwice));
  return twice.length === 0 ? 0 : failed;
}

/** The files that run by themselves, after all others. */
function alone(): string[] {
  const files = new Bun.Glob("test/**/*.alone.ts").scanSync();
  return [...files].toSorted().map((file) => `./${file}`);
}

function tell(what: string, failures: readonly Failure[]): void {
  if (failures.length === 0) return;
  const lines = failures.map(({ file, test, message }) => `  ${file}: ${test}\n    ${message}`);
  process.stderr.write(`\n${what}\n${lines.join("\n")}\n`);
}

/**
 * What all files share: a cluster to be copied, a PostgreSQL with the schema to be copied, and the
 * program as one file.
 */
async function prepare() {
  process.env["TEST_CLUSTER"] = await newCluster();
  const postgres = new Postgres();
  await postgres.prepare();
  await postgres.prepareTemplate();
  return {
    TEST_CLUSTER: process.env["TEST_CLUSTER"],
    TEST_POSTGRES: postgres.url("postgres"),
    TEST_PROGRAM: await bundleProgram(runFolder()),
  };
}

function tellSlowest(): void {
  const { files } = timings.parse(JSON.parse(readFileSync(measured, "utf8")));
  const slowest = Object.entries(files)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, slowestShown)
    .map(
      ([file, ms]) =>
        `${relative("test", file).replace(".test.ts", "")} ${Math.round(ms / 1_000)} s`,
    );
  process.stderr.write(`The slowest: ${slowest.join(", ")}\n`);
  if (asked.includes("--keep-timings")) copyFileSync(measured, usual);
}
