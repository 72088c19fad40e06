/** What `stampede doctor` asks of the machine: whether somebody keeps its clock, and its disk. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { diskReserveBytes, freeBytes, gigabytes } from "../disk.ts";
import { messageOf } from "../postgres/client.ts";
import { fine, note, wrong, type Finding } from "./finding.ts";

/** `struct timex` of <sys/timex.h> on 64 bits: its size, where its status is, and the bit of that. */
const timexBytes = 208;
const statusOffset = 40;
const unsynchronised = 0x40;

/** Whether the kernel is told the time by somebody, as chrony, ntpd and timesyncd do. */
export function kernelClock(): Finding {
  const todo = "keep it by NTP (chrony, systemd-timesyncd); in a container, on its host";
  const status = kernelStatus();
  if (status === null) return note("NTP", "nobody can tell here whether the clock is kept", todo);
  return (status & unsynchronised) === 0
    ? fine("NTP", "the machine's clock is kept")
    : note("NTP", "nobody keeps the machine's clock", todo);
}

function kernelStatus(): number | null {
  if (process.platform !== "linux") return null;
  try {
    const adjtimex = { args: [FFIType.ptr], returns: FFIType.i32 } as const;
    const library = dlopen("libc.so.6", { adjtimex });
    // All zero: it is asked, and nothing is set.
    const timex = new DataView(new ArrayBuffer(timexBytes));
    const state = library.symbols.adjtimex(ptr(timex));
    library.close();
    return state < 0 ? null : timex.getInt32(statusOffset, true);
  } catch {
    return null;
  }
}

/** Magic numbers of file systems in memory: tmpfs, ramfs. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const syncsMeasured = 40;
/** What PostgreSQL writes at a time. */
const pageBytes = 8_192;
const syncNotedMs = 10;

/** Room in a folder, and how long what is written there takes to be on disk. */
export function diskFindings(folder: string): Finding[] {
  const free = freeBytes(folder) ?? 0;
  const todo = "free some, or move STAMPEDE_DATA to a larger disk";
  const room = `${gigabytes(free)} free, ${gigabytes(diskReserveBytes)} are to be left`;
  const findings = [free < diskReserveBytes ? wrong("disk", room, todo) : fine("disk", room)];
  if (process.platform === "linux" && inMemory.has(statfsSync(folder).type)) {
    const other = "point STAMPEDE_DATA at a disk, unless this is a trial";
    findings.push(note("disk", `${folder} is in memory: it is gone with the machine`, other));
  }
  return [...findings, syncFinding(folder)];
}

function syncFinding(folder: string): Finding {
  const path = join(folder, `doctor-${crypto.randomUUID()}.tmp`);
  const times: number[] = [];
  try {
    const file = openSync(path, "wx", 0o600);
    try {
      const page = new Uint8Array(pageBytes);
      for (let n = 0; n < syncsMeasured; n += 1) {
        const before = performance.now();
        writeSync(file, page);
        fdatasyncSync(file);
        times.push(performance.now() - before);
      }
    } finally {
      closeSync(file);
      rmSync(path);
    }
  } catch (error) {
    return wrong("fsync", messageOf(error), `see that ${folder} is ours, and the disk sound`);
  }
  const [median, worst] = [
    times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0,
    Math.max(...times),
  ];
  const found = `${median.toFixed(2)} ms (median), ${worst.toFixed(1)} ms at worst`;
  return median < syncNotedMs
    ? fine("fsync", found)
    : note("fsync", found, "a disk that syncs faster (NVMe): each commit waits for it");
}
