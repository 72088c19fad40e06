/**
 * Lets a child that runs as an ordinary user pass folders that are closed to that user. Linux only.
 *
 * Used in one case: we are root, so the server must run as somebody else, and a folder above the
 * data (a root-only `/root`, a `mktemp -d`) shuts that somebody out. The child keeps one capability
 * across its change of user: CAP_DAC_READ_SEARCH, which opens folders and reads, or where a
 * container has taken that from root, CAP_DAC_OVERRIDE. Of all others it keeps none.
 *
 * How: a capability in the ambient set survives `execve` of an ordinary program, but the kernel
 * empties that set when a process gives up uid 0, unless SECBIT_NO_SETUID_FIXUP says not to. Both are
 * properties of a thread and inherited by its children, and `Bun.spawn` forks on the calling thread:
 * so they are set on this thread, for the length of one synchronous call, and taken back.
 * See capabilities(7).
 */
import { ptr } from "bun:ffi";
import { libcCapabilities } from "./libc.ts";

const CAP_DAC_OVERRIDE = 1;
const CAP_DAC_READ_SEARCH = 2;
const PR_GET_SECUREBITS = 27;
const PR_SET_SECUREBITS = 28;
const SECBIT_NO_SETUID_FIXUP = 1 << 2;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2n;
const PR_CAP_AMBIENT_LOWER = 3n;
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
/** Two structs of effective, permitted, inheritable: capabilities 0 to 31, and 32 to 63. */
const capabilityWords = 6;
const permittedWord = 1;
const inheritableWord = 2;

/** @returns what `spawn` returned, or undefined when this process may not hand the capability on. */
export function withPathCapability<T>(spawn: () => T): T | undefined {
  if (process.platform !== "linux") return undefined;
  const libc = libcCapabilities();
  const header = new Uint32Array([LINUX_CAPABILITY_VERSION_3, 0]);
  const before = new Uint32Array(capabilityWords);
  if (libc.capget(ptr(header), ptr(before)) !== 0) return undefined;
  const permitted = before[permittedWord] ?? 0;
  const capability = [CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE].find((c) => permitted & (1 << c));
  if (capability === undefined) return undefined;

  const during = before.slice();
  during[inheritableWord] = (before[inheritableWord] ?? 0) | (1 << capability);
  const bits = libc.prctl(PR_GET_SECUREBITS, 0n, 0n, 0n, 0n);
  const ambient = (action: bigint) =>
    libc.prctl(PR_CAP_AMBIENT, action, BigInt(capability), 0n, 0n) === 0;
  const securebits = (value: number) =>
    libc.prctl(PR_SET_SECUREBITS, BigInt(value), 0n, 0n, 0n) === 0;
  try {
    if (libc.capset(ptr(header), ptr(during)) !== 0) return undefined;
    if (!ambient(PR_CAP_AMBIENT_RAISE)) return undefined;
    if (!securebits(bits | SECBIT_NO_SETUID_FIXUP)) return undefined;
    return spawn();
  } finally {
    securebits(bits);
    ambient(PR_CAP_AMBIENT_LOWER);
    libc.capset(ptr(header), ptr(before));
  }
}
