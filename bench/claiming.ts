/** What a crowd that wants one coupon is told and what it tells, and how to send one. */
import { join } from "node:path";
import { z } from "zod";
import type { Owned } from "./owned.ts";
import { BenchError, within } from "./scenario.ts";

export const claimingSchema = z.object({
  hostname: z.string(),
  port: z.number().int(),
  connections: z.number().int(),
  coupon: z.string(),
  /** Claims there are to be had. */
  amount: z.number().int(),
  /** When the coupon is not gone by then, the crowd goes home. */
  claimSecondsMax: z.number(),
  /** How long the crowd goes on asking for a coupon that is gone. */
  soldOutSeconds: z.number(),
  /** Whose processor time is read: the server's, and that of PostgreSQL with its children. */
  serverPid: z.number().int(),
  postmasterPid: z.number().int(),
});
export type Claiming = z.output<typeof claimingSchema>;

const reportSchema = z.object({
  /** Whether every claim was had within the time. */
  gone: z.boolean(),
  /** From the first request to the last claim, or to the end of the time. */
  claims: z.object({
    seconds: z.number(),
    acknowledged: z.number().int(),
    p50Ms: z.number(),
    p99Ms: z.number(),
    /** Processor time; seconds. */
    server: z.number(),
    database: z.number(),
    crowd: z.number(),
  }),
  /** From then on, when the coupon is gone; figures of nothing are null. */
  refusals: z.object({
    seconds: z.number(),
    answered: z.number().int(),
    p50Ms: z.number().nullable(),
    p99Ms: z.number().nullable(),
  }),
  /** Every answer by its status, those on their way at the end too. */
  answers: z.record(z.string(), z.number().int()),
  /** Numbers of the users whose claim was acknowledged. */
  winners: z.array(z.number().int()),
  /** Processor time of the whole crowd; seconds. */
  crowdSeconds: z.number(),
  /** What contradicts the contract. */
  wrong: z.array(z.string()),
});
export type ClaimingReport = z.output<typeof reportSchema>;

export const claimSchema = z.object({
  user_id: z.string(),
  coupon_name: z.string(),
  remaining_amount: z.number().int(),
});

/** The id of the crowd's user with this number. */
export const userOf = (number: number): string => `user-${number}`;

/** For starting, for what is on its way at the end, and for reporting. */
const extraSecondsMax = 20;

export async function goClaiming(owned: Owned, claiming: Claiming): Promise<ClaimingReport> {
  const program = join(import.meta.dir, "claimants.ts");
  const child = owned.spawn([process.execPath, program, JSON.stringify(claiming)]);
  try {
    const printed = new Response(child.stdout).text();
    const most = claiming.claimSecondsMax + claiming.soldOutSeconds + extraSecondsMax;
    const exitCode = await within(most, `claiming ${claiming.coupon}`, child.exited);
    if (exitCode !== 0) throw new BenchError(`the claimants ended with ${exitCode}`);
    return reportSchema.parse(JSON.parse(await printed));
  } finally {
    child.kill("SIGKILL");
  }
}
