/**
 * Nothing that tests have started outlives them: who is told to end takes it along, and what a
 * killed run has left is found by a sweep, which touches nothing else.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { atEnd, useLeftovers } from "../support/leftovers.ts";
import { endRun, processesOf, runFolder, sweep } from "../support/runs.ts";
import { until } from "../support/wait.ts";

useLeftovers();

const abandoned = join(import.meta.dir, "../support/abandoned.ts");
const startMaxMs = 60_000;

/** Another run of tests, whose folder is in ours, with a program and a PostgreSQL. */
async function startRun() {
  const run = Bun.spawn([process.execPath, "test", abandoned], {
    env: { ...process.env, TMPDIR: runFolder() },
    stdio: ["ignore", "pipe", "ignore"],
  });
  atEnd(() => run.kill("SIGKILL"));
  let said = "";
  const decoder = new TextDecoder();
  void run.stdout.pipeTo(
    new WritableStream({
      write: (bytes) => {
        said += decoder.decode(bytes, { stream: true });
      },
    }),
  );
  const url = await until(
    "a server",
    () => {
      if (run.exitCode !== null) throw new Error(`the run ended: ${said}`);
      return /^sells at (\S+)$/m.exec(said)?.[1];
    },
    startMaxMs,
  );
  const name = readdirSync(runFolder()).find((entry) =>
    entry.startsWith(`stampede-test-${run.pid}-`),
  );
  const folder = join(runFolder(), name ?? "none");
  atEnd(() => void endRun(folder));
  return { run, url, folder };
}

const namesOf = (folder: string): Set<string> =>
  new Set(processesOf(folder).map(({ name }) => name));

const answers = async (url: string): Promise<boolean> =>
  await fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

describe.skipIf(process.platform !== "linux")("what a run of tests has started", () => {
  test("is found when it was killed, and a run that lives is left alone", async () => {
    const [killed, living] = await Promise.all([startRun(), startRun()]);
    expect(namesOf(killed.folder)).toContain("postgres");
    expect(processesOf(killed.folder).length).toBeGreaterThan(5);
    killed.run.kill("SIGKILL");
    await killed.run.exited;
    // Nobody has ended these, and so the rest of this test says something.
    expect(await answers(killed.url)).toBe(true);

    const before = processesOf(living.folder).map(({ pid }) => pid);
    const swept = sweep(runFolder());
    expect(swept.map(({ folder }) => folder)).toEqual([killed.folder]);
    expect(await answers(killed.url)).toBe(false);
    expect(processesOf(killed.folder)).toEqual([]);
    expect(existsSync(killed.folder)).toBe(false);

    expect(processesOf(living.folder).map(({ pid }) => pid)).toEqual(before);
    expect(await answers(living.url)).toBe(true);
    living.run.kill("SIGKILL");
    await living.run.exited;
    expect(sweep(runFolder()).map(({ folder }) => folder)).toEqual([living.folder]);
  });

  test("ends with a run that is told to end", async () => {
    const { run, url, folder } = await startRun();
    run.kill("SIGTERM");
    expect(await run.exited).toBe(143);
    expect(await answers(url)).toBe(false);
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  test("is told from what has only a similar name, or the pid of another", () => {
    const base = join(runFolder(), "names");
    const notes = join(base, "stampede-test-notes");
    const file = join(base, "stampede-test-1-2");
    const recycled = join(base, `stampede-test-${process.pid}-1`);
    for (const folder of [notes, recycled]) mkdirSync(folder, { recursive: true });
    writeFileSync(file, "a file");
    expect(sweep(base)).toEqual([{ folder: recycled, processes: 0 }]);
    expect(readdirSync(base).toSorted()).toEqual(["stampede-test-1-2", "stampede-test-notes"]);
  });
});
