/**
 * `npm test`: all tests, two files at a time. `npm test -- --fast`: an answer within half a
 * minute, by the tests beside the model and the smoke test. Whatever else is asked goes to
 * `bun test`: paths, `-t NAME`, and so on.
 *
 * Before and after, what ended runs have left is removed. A signal goes to the tests, which take
 * along what they have started.
 */
import { sweep } from "./support/runs.ts";

const fast = ["test/unit", "test/integration/smoke.test.ts"];
const testMaxMs = 60_000;
/** Files run at a time; most of them start processes of their own. */
const atOnce = 2;

const asked = process.argv.slice(2);
const others = asked.filter((argument) => argument !== "--fast");

sweep();
const tests = Bun.spawn(
  [
    process.execPath,
    "test",
    `--timeout=${testMaxMs}`,
    `--parallel=${atOnce}`,
    ...(others.length < asked.length ? fast : []),
    ...others,
  ],
  { stdio: ["inherit", "inherit", "inherit"] },
);
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(name, () => tests.kill(name));
}
const code = await tests.exited;
sweep();
process.exit(code);
