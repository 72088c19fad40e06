/**
 * The system calls Bun has no function for: an advisory lock, and on Linux capabilities.
 *
 * Loaded when first needed, so that a program with a `DATABASE_URL` never touches it. Fails with an
 * {@link EmbeddedError} where the C library has another name, which is also where the server's own
 * files could not run (they are built for glibc, and for macOS).
 */
import { dlopen, FFIType } from "bun:ffi";
import { EmbeddedError } from "./error.ts";

const { i32, u64, ptr } = FFIType;
const flock = { args: [i32, i32], returns: i32 } as const;
const capabilityCalls = {
  // prctl takes its arguments as longs.
  prctl: { args: [i32, u64, u64, u64, u64], returns: i32 },
  capget: { args: [ptr, ptr], returns: i32 },
  capset: { args: [ptr, ptr], returns: i32 },
} as const;

const open = {
  linux: () => dlopen("libc.so.6", { flock }).symbols,
  darwin: () => dlopen("libSystem.B.dylib", { flock }).symbols,
};

let lockCalls: ReturnType<(typeof open)["linux"]> | undefined;

export function libcLock() {
  lockCalls ??= loaded(process.platform === "darwin" ? open.darwin : open.linux);
  return lockCalls;
}

export function libcCapabilities() {
  return loaded(() => dlopen("libc.so.6", capabilityCalls).symbols);
}

function loaded<T>(load: () => T): T {
  try {
    return load();
  } catch (cause) {
    throw new EmbeddedError(
      "The embedded PostgreSQL needs a Linux with glibc (not musl, as on Alpine) or macOS: set DATABASE_URL to a PostgreSQL 15 or later instead.",
      { cause },
    );
  }
}
