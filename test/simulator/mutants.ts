/**
 * `bun test/simulator/mutants.ts [PART OF A NAME]`: whether what is there to find faults finds them.
 * Each fault is put into a copy of the sources by itself, and what should find it is run on that: the
 * simulator, or the test that is named. Prints what found it and in how many seconds; exit 1 when
 * something was not found. Takes about as many minutes as there are tens of faults.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faults, root, type Fault } from "./faults.ts";
import { queueFaults } from "./queue-faults.ts";

const copied = [
  "src",
  "test",
  "drizzle",
  "docs",
  "CONTRIBUTING.md",
  "package.json",
  "tsconfig.json",
  "bunfig.toml",
];
/** Worlds are tried for so long before a fault counts as not found. */
const simulatedMinutes = 2;
/** … and so long without one, to see that nothing is found. */
const soundMinutes = 0.2;
const runMaxMs = 240_000;

function copyOf(fault: Fault | null): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-fault-"));
  for (const name of copied) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  if (fault === null) return folder;
  const { file, find, replace } = fault;
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (!text.includes(find)) throw new Error(`${file} has changed: ${JSON.stringify(find)}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
  return folder;
}

/** Whether what should find a fault fails on it; without one, on the sources as they are. */
async function fails(by: string, fault: Fault | null): Promise<boolean> {
  const folder = copyOf(fault);
  try {
    const minutes = fault === null ? soundMinutes : simulatedMinutes;
    const asked =
      by === "simulator"
        ? ["test/simulator/simulate.ts", "--quick", "--minutes", String(minutes)]
        : ["test", "--timeout", "60000", "--bail", by];
    const run = Bun.spawn([process.execPath, ...asked], {
      cwd: folder,
      stdout: "ignore",
      stderr: "ignore",
      timeout: runMaxMs,
    });
    // What hangs for ever has found nothing.
    return (await run.exited) !== 0 && run.signalCode === null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const part = process.argv[2] ?? "";

  const chosen = [...faults, ...queueFaults].filter(({ name }) => name.includes(part));
  for (const by of new Set(chosen.map((fault) => fault.by))) {
    if (await fails(by, null)) throw new Error(`${by} finds a fault where none was put in`);
  }
  let missed = 0;
  for (const fault of chosen) {
    const startedAt = performance.now();
    const isFound = await fails(fault.by, fault);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (!isFound) missed += 1;
    const told = isFound ? `${fault.by}, ${seconds} s` : `NOT FOUND by ${fault.by} in ${seconds} s`;
    say(`${fault.name}: ${told}`);
  }
  process.exitCode = missed === 0 ? 0 : 1;
}

if (import.meta.main) await main();
