/**
 * A program of its own: a crowd that wants one coupon, every request from somebody else, as fast
 * as its connections allow; and that goes on asking for a while when the coupon is gone. Prints
 * one line of JSON (`ClaimingReport`); ends when its standard input does.
 * `bun bench/claimants.ts '{"hostname":…}'` (`Claiming`)
 *
 * One request at a time on each keep-alive connection, over plain sockets: see `http.ts`. The
 * processor time of those who answer is read here, at the very moment of the last claim.
 */
import { claimingSchema, claimSchema, type ClaimingReport, userOf } from "./claiming.ts";
import { HttpConnection } from "./http.ts";
import { cpuSeconds, familyCpuSeconds } from "./proc.ts";
import { quantile } from "./report.ts";

const path = "/api/coupons/claim";
const wrongMax = 10;

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

const claiming = claimingSchema.parse(JSON.parse(process.argv[2] ?? ""));
const { hostname, port, connections, coupon, amount, claimSecondsMax, soldOutSeconds } = claiming;

type Phase = "claims" | "refusals" | "over";
let phase: Phase = "claims";
let users = 0;
const answers: Record<string, number> = {};
const winners: number[] = [];
/** What the winners were told; looked at in the end, so as to take no time from the claims. */
const told: string[] = [];
const claimMs: number[] = [];
const refusalMs: number[] = [];
const wrong: string[] = [];

void Bun.stdin.bytes().then(() => process.exit(1));

const crowd = await Promise.all(
  Array.from({ length: connections }, () => HttpConnection.open(hostname, port)),
);
const before = usage();
const startedAt = performance.now();
const deadline = setTimeout(endClaims, claimSecondsMax * 1000);
let claims: ClaimingReport["claims"] | null = null;
let goneAt = 0;
let refused = 0;
let overAt = 0;
await Promise.all(crowd.map(claimOnAndOn));
await report();

function usage(): { server: number; database: number; crowd: number } {
  const { user, system } = process.cpuUsage();
  return {
    server: cpuSeconds(claiming.serverPid),
    database: familyCpuSeconds(claiming.postmasterPid),
    crowd: (user + system) / 1e6,
  };
}

/** One connection: somebody else asks each time. */
async function claimOnAndOn(connection: HttpConnection): Promise<void> {
  for (;;) {
    // One request at a time on each connection: that is what a connection is here.
    // oxlint-disable-next-line no-await-in-loop
    await claim(connection);
    if (phase === "over") return;
  }
}

async function claim(connection: HttpConnection): Promise<void> {
  const user = users;
  users += 1;
  const asked = phase;
  const from = performance.now();
  const body = `{"user_id":"${userOf(user)}","coupon_name":"${coupon}"}`;
  const answer = await connection.post(path, body);
  const tookMs = performance.now() - from;
  answers[answer.status] = (answers[answer.status] ?? 0) + 1;
  if (answer.status === 200) {
    if (phase === "claims") claimMs.push(tookMs);
    win(user, answer.body);
    return;
  }
  if (answer.status !== 409 || !answer.body.includes('"code":"sold_out"')) {
    complain(`a claim was answered with ${answer.status} ${answer.body}`);
  }
  if (phase !== "refusals") return;
  refused += 1;
  if (asked === "refusals") refusalMs.push(tookMs);
}

function win(user: number, body: string): void {
  winners.push(user);
  told.push(body);
  if (winners.length === amount) endClaims();
}

/** Everybody was told of a claim of their own, and each of another remainder. */
function checkTold(): void {
  const remainders = new Set<number>();
  told.forEach((body, i) => {
    const { user_id, coupon_name, remaining_amount: left } = claimSchema.parse(JSON.parse(body));
    const fits = user_id === userOf(winners[i] ?? -1) && coupon_name === coupon;
    if (!fits) complain(`a claim was answered with another: ${body}`);
    if (left < 0 || left >= amount || remainders.has(left)) {
      complain(`${left} of ${amount} were said to remain, which was not so or was said before`);
    }
    remainders.add(left);
  });
}

/** When the coupon is gone, or its time is over. */
function endClaims(): void {
  if (claims !== null) return;
  const seconds = (performance.now() - startedAt) / 1000;
  const now = usage();
  clearTimeout(deadline);
  claims = {
    seconds,
    acknowledged: winners.length,
    p50Ms: quantile(claimMs, 0.5),
    p99Ms: quantile(claimMs, 0.99),
    server: now.server - before.server,
    database: now.database - before.database,
    crowd: now.crowd - before.crowd,
  };
  goneAt = performance.now();
  const gone = winners.length === amount;
  phase = gone && soldOutSeconds > 0 ? "refusals" : "over";
  overAt = goneAt;
  if (phase === "refusals") setTimeout(end, soldOutSeconds * 1000);
}

function end(): void {
  overAt = performance.now();
  phase = "over";
}

function complain(text: string): void {
  if (wrong.length < wrongMax && !wrong.includes(text)) wrong.push(text);
}

async function report(): Promise<never> {
  if (claims === null) throw new Error("the claims have not ended");
  const crowdSeconds = usage().crowd;
  checkTold();
  const result: ClaimingReport = {
    gone: claims.acknowledged === amount,
    claims,
    refusals: {
      seconds: (overAt - goneAt) / 1000,
      answered: refused,
      p50Ms: finite(quantile(refusalMs, 0.5)),
      p99Ms: finite(quantile(refusalMs, 0.99)),
    },
    answers,
    winners,
    crowdSeconds,
    wrong,
  };
  await Bun.write(Bun.stdout, `${JSON.stringify(result)}\n`);
  process.exit(0);
}
