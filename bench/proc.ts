/**
 * Processes and the machine as Linux shows them in /proc: processor time, memory, and the
 * PostgreSQL that serves a folder. Reads only; a process that is gone reads as nothing.
 */
import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { basename, join } from "node:path";

/** Ticks in a second, in which /proc counts processor time on every Linux that Bun runs on. */
const ticksPerSecond = 100;
const tmpfsMagic = 0x01021994;

type Stat = {
  readonly parent: number;
  /** Of the process itself, all threads; seconds. */
  readonly own: number;
  /** Of children that have ended and were waited for; seconds. */
  readonly ended: number;
};

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function statOf(pid: number): Stat | null {
  const text = read(`/proc/${pid}/stat`);
  // The name before it, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 15) return null;
  const seconds = (field: number): number => Number(fields[field]) / ticksPerSecond;
  return {
    parent: Number(fields[1]),
    own: seconds(11) + seconds(12),
    ended: seconds(13) + seconds(14),
  };
}

const pids = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Processor time of a process so far, all its threads; seconds. */
export const cpuSeconds = (pid: number): number => statOf(pid)?.own ?? 0;

/** Processor time of a process and all its children so far, those that ended too; seconds. */
export function familyCpuSeconds(pid: number): number {
  const self = statOf(pid);
  if (self === null) return 0;
  let total = self.own + self.ended;
  for (const other of pids()) {
    const stat = statOf(other);
    if (stat?.parent === pid) total += stat.own;
  }
  return total;
}

/** The processes that a program has started to take requests for it. */
export const frontsOf = (pid: number): number[] =>
  pids().filter((other) => statOf(other)?.parent === pid && commandOf(other).includes("front"));

/** Processor time that everything on the machine together has taken so far; seconds. */
export function machineCpuSeconds(): number {
  const fields = read("/proc/stat").split("\n")[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond;
}

export type Memory = { readonly nowMb: number; readonly peakMb: number };

/** Resident memory, in units of 1,000,000 bytes. */
export function memoryOf(pid: number): Memory {
  const status = read(`/proc/${pid}/status`);
  const mb = (field: string): number => {
    const kib = new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(status)?.[1];
    return kib === undefined ? Number.NaN : (Number(kib) * 1024) / 1e6;
  };
  return { nowMb: mb("VmRSS"), peakMb: mb("VmHWM") };
}

/** Connections and other files that a process holds open. */
export const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** How many a process may hold open; those we start may hold as many as we may. */
export const openFilesMax = (): number =>
  Number(/^Max open files\s+(\d+)/m.exec(read("/proc/self/limits"))?.[1] ?? Number.NaN);

const commandOf = (pid: number): string[] => read(`/proc/${pid}/cmdline`).split("\0");

export function isAlive(pid: number): boolean {
  const text = read(`/proc/${pid}/stat`);
  return text !== "" && text.slice(text.lastIndexOf(")") + 2)[0] !== "Z";
}

/** The postmaster that serves a Stampede data folder, or null. */
export function postmasterOf(dataFolder: string): number | null {
  const pgdata = join(dataFolder, "pgdata");
  const pid = Number(read(join(pgdata, "postmaster.pid")).split("\n")[0]);
  return Number.isInteger(pid) && pid > 0 && isServerOf(pid, pgdata) ? pid : null;
}

function isServerOf(pid: number, folder: string): boolean {
  const command = commandOf(pid);
  const program = basename(command[0] ?? "");
  const isPostgres = program === "postgres" || program === "initdb";
  return isPostgres && command.some((argument) => argument.startsWith(folder));
}

/** PostgreSQL's processes that were started on a folder below this one. */
export const serversBelow = (folder: string): number[] =>
  pids().filter((pid) => isServerOf(pid, folder));

/** Lines that say what a run was measured on. */
export function machine(dataFolder: string): string[] {
  const cores = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(1);
  const load = loadavg()
    .map((value) => value.toFixed(2))
    .join(" ");
  const lines = [
    `machine         ${cores.length} cores, ${cores[0]?.model.trim() ?? "unknown"}, ${memory} GiB memory`,
    `kernel          Linux ${release()}, load before the run ${load}`,
  ];
  if (statfsSync(dataFolder).type === tmpfsMagic) {
    lines.push(
      "note            temporary folders are in memory here: flushing to disk costs nothing",
    );
  }
  return lines;
}
