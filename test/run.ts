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
let code = await run(side);
// What changes the machine that the others run on, too.
if (isWhole && signalled === null) code = (await run(["./test/faults/network.alone.ts"])) || code;
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
