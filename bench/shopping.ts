/** What a crowd of shoppers is told and what it tells, and how to send one. */
import { join } from "node:path";
import { z } from "zod";
import type { Owned } from "./owned.ts";
import { BenchError, within } from "./scenario.ts";

export const shoppingSchema = z.object({
  hostname: z.string(),
  port: z.number().int(),
  connections: z.number().int(),
  buyers: z.number().int(),
  /** Units that one buyer takes at most. */
  limit: z.number().int(),
  /** Items of the sale, numbered from 1. */
  items: z.number().int(),
  /** Purchases after which the crowd goes home. */
  want: z.number().int(),
  secondsMax: z.number(),
});
export type Shopping = z.output<typeof shoppingSchema>;

const reportSchema = z.object({
  /** From the first request to the last purchase wanted. */
  seconds: z.number(),
  purchases: z.number().int(),
  requests: z.number().int(),
  distinctItems: z.number().int(),
  /** Answers by path and status. */
  answers: z.record(z.string(), z.number().int()),
  checkoutP99Ms: z.number(),
  purchaseP99Ms: z.number(),
  /** What contradicts the contract. */
  wrong: z.array(z.string()),
});
export type ShoppingReport = z.output<typeof reportSchema>;

export const reservationSchema = z.object({ code: z.string() });
export const orderSchema = z.object({ item: z.object({ id: z.number().int() }) });
export const problemSchema = z.object({ code: z.string() });

const extraSecondsMax = 15;

export async function goShopping(owned: Owned, shopping: Shopping): Promise<ShoppingReport> {
  const program = join(import.meta.dir, "shoppers.ts");
  const child = owned.spawn([process.execPath, program, JSON.stringify(shopping)]);
  try {
    const printed = new Response(child.stdout).text();
    const most = shopping.secondsMax + extraSecondsMax;
    const exitCode = await within(most, "shopping", child.exited);
    if (exitCode !== 0) throw new BenchError(`the shoppers ended with ${exitCode}`);
    return reportSchema.parse(JSON.parse(await printed));
  } finally {
    child.kill("SIGKILL");
  }
}
