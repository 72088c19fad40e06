/**
 * The two sides of a comparison as one thing to measure, and the empty handler that stands beside
 * Stampede: a process of its own, of the same Bun, with answers of the same size and headers.
 */
import { join } from "node:path";
import { z } from "zod";
import type { Child, Owned } from "./owned.ts";
import { cpuSeconds, memoryOf } from "./proc.ts";
import { BenchError, within } from "./scenario.ts";

export type Side = {
  readonly name: string;
  readonly origin: string;
  /** Processor time so far; seconds. */
  readonly cpu: () => { readonly server: number; readonly database: number };
  readonly memoryMb: () => number;
};

const startSecondsMax = 20;
/** The headers that Bun sets by itself. */
const ownHeaders = new Set(["date", "content-length", "connection", "keep-alive"]);

/**
 * Starts the empty handler, with answers like the one that Stampede gives to a checkout now: in a
 * flood, a refusal.
 */
export async function startEmpty(owned: Owned, stampedeOrigin: string): Promise<Side> {
  const sample = await fetch(`${stampedeOrigin}/checkout?user_id=1000000&id=10000`, {
    method: "POST",
  });
  const { length: bytes } = await sample.bytes();
  const headers = Object.fromEntries(
    [...sample.headers].filter(([name]) => !ownHeaders.has(name.toLowerCase())),
  );
  const program = join(import.meta.dir, "empty.ts");
  const child = owned.spawn([process.execPath, program, JSON.stringify({ headers, bytes })]);
  const origin = await addressOf(child, "the empty handler");
  return {
    name: "empty handler",
    origin,
    cpu: () => ({ server: cpuSeconds(child.pid), database: 0 }),
    memoryMb: () => memoryOf(child.pid).nowMb,
  };
}

/** The address that one of our own servers prints when it is started. */
export const addressOf = (child: Child, name: string): Promise<string> =>
  within(startSecondsMax, `starting ${name}`, firstAddress(child, name));

async function firstAddress(child: Child, name: string): Promise<string> {
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const origin = z.url().safeParse(decoder.decode(chunk).trim());
    if (origin.success) return origin.data;
  }
  throw new BenchError(`${name} ended`);
}
