/**
 * The coupon stampede: one coupon of 10,000 and everybody at once, every request from somebody
 * else. Beside it, in turns within one run and on the same PostgreSQL, the same interface as most
 * are written: one transaction a claim, in two ways (see `rowlocks.ts`), each with the pool that
 * suits it best. What a machine or its other tenants do to one they do to the other.
 *
 * A transaction a claim takes so long that 10,000 would: those coupons are smaller where they
 * must be, which is to their advantage; the table says how large they were.
 */
import { prepareBaselines, startBaseline, storedClaimAttempts, type Way, ways } from "./baseline.ts";
import { complaintsOf } from "./complaints.ts";
import { median, meets, number, table, type Target, word } from "./report.ts";
import type { Bench, Found, Plan, Scenario } from "./scenario.ts";
import { type Home, makeHome, Stampede } from "./stampede.ts";
import { claimAll, connections, type Contender, type Round } from "./stampeding.ts";

const couponAmount = 10_000;
/** Of the coupons beside it. */
const smallestAmount = 200;
const pools = [5, 10, 20, 50];
const poolTrySeconds = 1;
const soldOutSeconds = 1;
/** No coupon takes longer; what is claimed by then counts. */
const claimSecondsMax = 10;
const startSeconds = 5;
const stampedeSeconds = 0.5;
const overheadSeconds = 0.4;

const target: Target = { is: "≥", bound: 10 };
/** Share of the machine that others may take before the figures mean little. */
const othersMax = 0.05;
/** Share of a core from which on the crowd may be what is measured. */
const crowdShareMax = 0.9;
const verifySecondsMax = 60;

export const coupons: Scenario = {
  name: "coupons",
  seconds: ({ couponRounds, couponSeconds }: Plan) =>
    2 * startSeconds +
    ways.length * pools.length * (poolTrySeconds + overheadSeconds) +
    (couponRounds + 1) *
      (stampedeSeconds +
        soldOutSeconds +
        overheadSeconds +
        ways.length * (couponSeconds + soldOutSeconds + overheadSeconds)),
  run,
};
