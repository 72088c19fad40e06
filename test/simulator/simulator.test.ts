/**
 * Worlds of seeds that nobody has seen before, for about three quarters of a minute, or as many
 * minutes as `SIMULATE_MINUTES` says; with `SEED=` that one. And: the simulator finds what it is for.
 */
import { expect, test } from "bun:test";
import { betweenWorlds, newTally, shrink, simulate, told } from "./simulate.ts";

const boundMs = Number(process.env["SIMULATE_MINUTES"] ?? 0.75) * 60_000;
const asked = process.env["SEED"];

/** What has to be tried at all, however slow the machine is. */
const words = [
  "checkout: reserved",
  "checkout: reserved_again",
  "checkout: item_reserved",
  "checkout: user_limit_reached",
  "purchase: purchased",
  "purchase: purchased_again",
  "purchase: code_expired",
  "release: released",
  "extend: extended",
  "extend: code_expired",
  "buy: purchased",
  "claim: claimed",
  "claim: coupon_not_active",
  "change_coupon: coupon_changed",
  "remove_coupon: coupon_removed",
  "waitlist_join: waiting",
  "waitlist_join: waiting_again",
  "waitlist_join: available",
  "waitlist_join: user_limit_reached",
  "waitlist_leave: left",
  "offer: reserved",
  "offer: offer_lapsed",
  "change: changed",
  "read of a replica: up to date",
  "read of a replica: behind",
  "taken over: with the replica",
  "told: sale",
  "told: settled",
  "mishap: commit unknown",
  "mishap: commit deposed",
  "join: joined",
  "join: joined_again",
  "drawn: somebody",
  "checkout: not_admitted",
  "rate: queue_changed",
  "sold out",
];
/** More than are meant to be tried, for these: the rarest comes in one of some thirty. */
const worldsMax = 1_000;
const slowestMs = 15 * 60_000;

test(
  "no world sells what there is not, or says what is not so",
  async () => {
    const tally = newTally();
    const first = asked === undefined ? Date.now() % 1_000_000_000 : Number(asked);
    const startedAt = performance.now();
    const missing = (): string[] => words.filter((word) => !tally.seen.has(word));
    const goesOn = (worlds: number): boolean =>
      performance.now() - startedAt < boundMs || (missing().length > 0 && worlds < worldsMax);
    for (let seed = first; goesOn(seed - first); seed += 1) {
      const failure = simulate(seed, tally);
      if (failure !== null) throw new Error(`${told(seed, failure)}\nagain: SEED=${seed}`);
      if (asked !== undefined) return;
      // oxlint-disable-next-line no-await-in-loop
      await betweenWorlds();
    }
    expect(missing()).toEqual([]);
  },
  boundMs + slowestMs,
);

test("the same seed gives the same world", () => {
  const [one, other] = [newTally(), newTally()];
  const seed = 7;
  expect(simulate(seed, one)).toEqual(simulate(seed, other));
  expect([...one.seen]).toEqual([...other.seen]);
});

test("a world that fails is made smaller, to steps that fail", () => {
  const seed = 7;
  const failing = shrink(seed, 20_000, ({ seen }) => (seen.get("purchase: purchased") ?? 0) > 0);
  expect(failing?.steps.length).toBeLessThan(20);
  expect(failing?.failure.complaint).toBe("as was wanted");
});
