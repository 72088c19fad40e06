/**
 * Where a process listens for the others: a Unix socket for those on its machine, and a port at each
 * of its addresses for the rest. It is written as text into the leader's record.
 */
import { networkInterfaces } from "node:os";
import { z } from "zod";

/** Addresses of one process; of more than that the first are told. */
const hostsMax = 8;

const address = z.object({
  unix: z.string().max(200).nullable(),
  hosts: z.array(z.string().max(200)).max(hostsMax),
  port: z.int().min(0).max(65_535),
});

export type LinkAddress = Readonly<z.output<typeof address>>;

export const addressText = (where: LinkAddress): string => JSON.stringify(where);

/** Null for what is no address: a leader of an earlier release has none. */
export function parseAddress(text: string | null): LinkAddress | null {
  if (text === null) return null;
  try {
    return address.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Where other processes find this one; without an address of its own, on this machine alone. */
export function hostsOf(own: {
  readonly advertiseUrl: string | undefined;
  readonly host: string;
}): string[] {
  const { advertiseUrl, host } = own;
  if (advertiseUrl !== undefined) return [new URL(advertiseUrl).hostname];
  if (!wildcards.has(host)) return [host];
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.filter((one) => !one.internal && !one.address.startsWith("fe80:"));
  return [...outer.map((one) => one.address), "127.0.0.1"].slice(0, hostsMax);
}
