/**
 * One coupon, made, claimed by a crowd to the last, and looked at afterwards: the same by HTTP
 * alone for whoever serves it. It is right when exactly what there was is claimed, by those and
 * only those who were told so.
 */
import { cpus } from "node:os";
import { z } from "zod";
import { type ClaimingReport, goClaiming, userOf } from "./claiming.ts";
import type { Owned } from "./owned.ts";
import { cpuSeconds, familyCpuSeconds, machineCpuSeconds } from "./proc.ts";
import { BenchError } from "./scenario.ts";

/** Who serves coupons. */
export type Contender = {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** Of the PostgreSQL that it keeps its records in. */
  readonly postmasterPid: number;
  /** What somebody who has a claim is told when there is nothing left. */
  readonly toWinners: "already_claimed" | "sold_out";
};

export type Coupon = {
  readonly name: string;
  readonly amount: number;
  readonly claimSecondsMax: number;
  readonly soldOutSeconds: number;
};

/** One coupon of one contender. */
export type Round = {
  readonly report: ClaimingReport;
  /** Acknowledged, a second. */
  readonly claimRate: number;
  /** Refused while sold out, a second. */
  readonly refusalRate: number;
  /** µs a claim */
  readonly serverUs: number;
  readonly databaseUs: number;
  /** Of one core, that the crowd itself took while it claimed, 0 to 1. */
  readonly crowdShare: number;
  /** Share of the machine's processor time that went to programs other than ours, 0 to 1. */
  readonly others: number;
  /** Requests that asked for a claim. */
  readonly attempts: number;
  readonly wrong: readonly string[];
};

export const connections = 256;
const answerSecondsMax = 30;

const couponSchema = z.object({
  name: z.string(),
  amount: z.number().int(),
  remaining_amount: z.number().int(),
});
const claimedSchema = couponSchema.extend({ claimed_by: z.array(z.string()) });
const problemSchema = z.object({ code: z.string() });

export async function claimAll(owned: Owned, who: Contender, coupon: Coupon): Promise<Round> {
  const { name, amount } = coupon;
  const made = await ask(who, "/api/coupons", { name, amount });
  if (made.status !== 201) throw new BenchError(`${who.name}: a coupon gave ${made.status}`);
  const before = usage(who);
  const report = await goClaiming(owned, {
    hostname: "127.0.0.1",
    port: who.port,
    connections,
    coupon: name,
    amount,
    claimSecondsMax: coupon.claimSecondsMax,
    soldOutSeconds: coupon.soldOutSeconds,
    serverPid: who.pid,
    postmasterPid: who.postmasterPid,
  });
  const after = usage(who);
  const elapsed = (after.at - before.at) / 1000;
  const others = after.machine - before.machine - (after.ours - before.ours) - report.crowdSeconds;
  const again = report.gone ? await askAgain(who, name, report) : [];
  const { claims, refusals } = report;
  return {
    report,
    claimRate: claims.acknowledged / claims.seconds,
    refusalRate: refusals.answered / refusals.seconds,
    serverUs: (claims.server * 1e6) / claims.acknowledged,
    databaseUs: (claims.database * 1e6) / claims.acknowledged,
    crowdShare: claims.crowd / claims.seconds,
    others: Math.max(0, others) / (elapsed * cpus().length),
    attempts: Object.values(report.answers).reduce((sum, n) => sum + n, 0) + (report.gone ? 1 : 0),
    wrong: [...report.wrong, ...again, ...(await contradictions(who, coupon, report))].map(
      (text) => `coupons, ${who.name}, ${name}: ${text}`,
    ),
  };
}

/** Processor time so far, in seconds, and when that is, in ms. */
function usage({ pid, postmasterPid }: Contender) {
  return {
    ours: cpuSeconds(pid) + familyCpuSeconds(postmasterPid) + cpuSeconds(process.pid),
    machine: machineCpuSeconds(),
    at: performance.now(),
  };
}

/** Somebody who has a claim asks for another. */
async function askAgain(
  who: Contender,
  coupon: string,
  { winners }: ClaimingReport,
): Promise<string[]> {
  const body = { user_id: userOf(winners[0] ?? 0), coupon_name: coupon };
  const answer = await ask(who, "/api/coupons/claim", body);
  const told = problemSchema.safeParse(await answer.json()).data?.code;
  return answer.status === 409 && told === who.toWinners
    ? []
    : [`who has a claim and wants another is told ${answer.status} ${told}`];
}

async function contradictions(
  who: Contender,
  { name, amount }: Coupon,
  { winners, gone }: ClaimingReport,
): Promise<string[]> {
  // Of a long list the first thousand are told, but to who asks for more.
  const path = `/api/coupons/${name}?claims_limit=10000`;
  const stored = claimedSchema.parse(await (await ask(who, path)).json());
  const claimedBy = new Set(stored.claimed_by);
  const told = new Set(winners.map(userOf));
  const checks: [boolean, string][] = [
    [stored.amount === amount, `${stored.amount} are said to have been there, of ${amount}`],
    [
      stored.remaining_amount === amount - winners.length,
      `${stored.remaining_amount} of ${amount} are said to be left after ${winners.length} claims`,
    ],
    [!gone || winners.length === amount, `${winners.length} claims were told of ${amount}`],
    [told.size === winners.length, "one user was told of two claims"],
    [claimedBy.size === stored.claimed_by.length, "one user is listed twice"],
    [told.symmetricDifference(claimedBy).size === 0, "others are listed than were told"],
  ];
  return checks.filter(([holds]) => !holds).map(([, text]) => text);
}

async function ask({ port }: Contender, path: string, body?: object): Promise<Response> {
  return await fetch(`http://127.0.0.1:${port}${path}`, {
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    headers: { "Content-Type": "application/json" },
    signal: AbortSignal.timeout(answerSecondsMax * 1000),
  });
}
