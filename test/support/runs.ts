/**
 * What a process of the tests has started and made, known by one folder.
 *
 * The folder is named after the process that made it, by its pid and the time it was started,
 * and is the temporary folder of all that this process starts, as the environment says. So
 * nothing has to be written down, and nothing can be started that is not on the list: a process
 * belongs to a run when its environment names the run's folder, or, for PostgreSQL, whose
 * environment is empty, when it works in there.
 *
 * A sweep looks at the folders of runs whose process is gone, ends what belongs to them and
 * removes them. It leaves alone what belongs to a run that lives, and everything else. It needs
 * Linux, which tells of processes in /proc; elsewhere it does nothing.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { lstatSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";

/** An immediate shutdown of PostgreSQL takes tens of milliseconds; then it is killed. */
const quitMaxMs = 5_000;
const endMaxMs = 15_000;
const askEveryMs = 10;

const folderName = /^stampede-test-(\d+)-(\d+)$/;

type Running = {
  readonly pid: number;
  /** The name of its program, as the kernel keeps it. */
  readonly name: string;
  /** In ticks since the machine was started: with the pid, no other process has the same. */
  readonly startedAt: string;
};

/** Undefined for a pid that nobody has, or whose process has ended and was not waited for. */
function processOf(pid: number): Running | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The name stands in parentheses and may hold any character, a parenthesis too.
  const end = stat.lastIndexOf(")");
  if (end === -1) return undefined;
  const [state, ...fields] = stat.slice(end + 2).split(" ");
  if (state === "Z" || state === "X") return undefined;
  const startedAt = fields[18] ?? "";
  return { pid, name: stat.slice(stat.indexOf("(") + 1, end), startedAt };
}

/** Empty for what is gone, or not ours to see. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function workFolderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

const isIn = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder + sep);

const isPostgres = ({ name }: Running): boolean => name === "postgres";

/** One that looks after the others; they name what they do instead of their options. */
const isPostmaster = (one: Running): boolean =>
  isPostgres(one) && read(`/proc/${one.pid}/cmdline`).split("\0").includes("-D");

/** All processes that belong to a run, but for the one that asks. */
export function processesOf(folder: string): Running[] {
  if (process.platform !== "linux") return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name) => {
    const one = processOf(Number(name));
    if (one === undefined || one.pid === process.pid) return [];
    const variables = read(`/proc/${name}/environ`).split("\0");
    const isOurs =
      variables.some((variable) => isIn(variable, `TMPDIR=${folder}`)) ||
      (isPostgres(one) && isIn(workFolderOf(one.pid), folder));
    return isOurs ? [one] : [];
  });
}

function signal({ pid }: Running, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

/**
 * Ends all that belongs to a run and removes its folder, without letting anything else of this
 * process run meanwhile.
 * @returns how many processes there were
 * @throws when something does not end
 */
export function endRun(folder: string): number {
  const ended = new Set<number>();
  const startedAt = performance.now();
  for (;;) {
    const left = processesOf(folder);
    if (left.length === 0) break;
    const waited = performance.now() - startedAt;
    if (waited > endMaxMs) {
      throw new Error(`${folder}: ${left.map(({ pid }) => pid).join(", ")} would not end`);
    }
    for (const one of left) {
      ended.add(one.pid);
      endProcess(one, left, waited);
    }
    Bun.sleepSync(askEveryMs);
  }
  unmountIn(folder);
  rmSync(folder, { recursive: true, force: true });
  return ended.size;
}

/** A postmaster ends the others of its server, and takes away their shared memory. */
function endProcess(one: Running, others: readonly Running[], waitedMs: number): void {
  if (!isPostgres(one) || waitedMs > quitMaxMs) signal(one, "SIGKILL");
  else if (isPostmaster(one)) {
    signal(one, "SIGQUIT");
    // A test may have stopped it.
    signal(one, "SIGCONT");
  } else if (!others.some(isPostmaster)) signal(one, "SIGKILL");
}

/** Takes away the disks that a test has put into its folder. */
function unmountIn(folder: string): void {
  const places = read("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((place) => isIn(place, folder));
  for (const place of places.toReversed()) Bun.spawnSync(["umount", place]);
}

/** The folder of this process, in the temporary folder that it was started with. */
const own = ((): { readonly folder: string; readonly parent: string } => {
  const { startedAt } = processOf(process.pid) ?? { startedAt: "0" };
  const name = `stampede-test-${process.pid}-${startedAt}`;
  const set = realpathSync(tmpdir());
  const parent = set.endsWith(sep + name) ? dirname(set) : set;
  return { folder: join(parent, name), parent };
})();

const endings = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** The folder of this process, which is from now on for all temporary files. */
export function runFolder(): string {
  const { folder } = own;
  if (process.env["TMPDIR"] === folder) return folder;
  mkdirSync(folder, { recursive: true });
  // Root starts PostgreSQL as another user, who has to get to its data.
  chmodSync(folder, 0o755);
  process.env["TMPDIR"] = folder;
  for (const name of endings) process.on(name, endAtOnce);
  return folder;
}

/** Removes the folder of this process, with all that is left of the run. */
export function leaveRun(): void {
  const { folder, parent } = own;
  if (process.env["TMPDIR"] !== folder) return;
  for (const name of endings) process.off(name, endAtOnce);
  endRun(folder);
  process.env["TMPDIR"] = parent;
}

/** Who is told to end takes along what was started. */
function endAtOnce(): never {
  endRun(own.folder);
  process.exit(143);
}

/** What a run had left behind. */
type Swept = { readonly folder: string; readonly processes: number };

/** Ends what runs have left whose process is gone. */
export function sweep(parent: string = own.parent): Swept[] {
  if (process.platform !== "linux") return [];
  return readdirSync(parent).flatMap((name) => {
    const [, pid, startedAt] = folderName.exec(name) ?? [];
    const folder = join(parent, name);
    if (pid === undefined || processOf(Number(pid))?.startedAt === startedAt) return [];
    const found = lstatSync(folder, { throwIfNoEntry: false });
    if (found?.isDirectory() !== true || found.uid !== process.getuid?.()) return [];
    return [{ folder, processes: endRun(folder) }];
  });
}
