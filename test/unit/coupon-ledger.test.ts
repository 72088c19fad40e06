/**
 * The rules of coupons in the ledger: against the independent model in random histories, with
 * claims that are dropped from memory and loaded again and with recoveries in between, and
 * one by one where chance would be long in coming.
 *
 * A failing history names its seed and its last step; `SEED=` replays it.
 */
import { describe, expect, test } from "bun:test";
import { check } from "../../src/ledger/check.ts";
import type {
  Claim,
  ClaimOutcome,
  CreateCouponOutcome,
  Outcome,
} from "../../src/ledger/commands.ts";
import {
  addCoupon,
  checkCoupons,
  claimKeysMax,
  claimsHeldMax,
  dropIdleClaims,
  holdClaims,
  rememberClaim,
  type Coupon,
} from "../../src/ledger/coupons.ts";
import { decide } from "../../src/ledger/decide.ts";
import { addSale, emptyState, type LedgerState } from "../../src/ledger/state.ts";
import {
  CouponModel,
  couponWords,
  type CouponCommand,
  type CouponVerdict,
} from "./coupon-model.ts";
import { Random, seeds } from "../support/random.ts";
import { upTo } from "../support/wait.ts";

const timeoutMs = 120_000;
const begin = 1_900_000_000_000;

/** What an answer of the ledger tells, in the words of the model. */
function told(outcome: ClaimOutcome | CreateCouponOutcome): CouponVerdict {
  switch (outcome.word) {
    case "coupon_created":
    case "coupon_exists": {
      const { id, name, amount, createdAt } = outcome.coupon;
      return { word: outcome.word, coupon: { id, name, amount, at: createdAt } };
    }
    case "claimed":
    case "claimed_again": {
      const { coupon, userId, ordinal, at } = outcome.claim;
      return { word: outcome.word, coupon: coupon.name, userId, at, ordinal };
    }
    case "already_claimed":
      return { word: outcome.word, claimedAt: outcome.claimedAt };
    case "coupon_sold_out":
    case "coupon_not_found":
    case "idempotency_key_reused":
      return { word: outcome.word };
    default:
      return outcome satisfies never;
  }
}

function answer(state: LedgerState, command: CouponCommand, now = begin): CouponVerdict {
  const outcome = decide(state, command, now);
  if (isCouponOutcome(outcome)) return told(outcome);
  throw new Error(`a coupon's command got ${outcome.word}`);
}

const isCouponOutcome = (outcome: Outcome): outcome is ClaimOutcome | CreateCouponOutcome =>
  outcome.word in couponWords;

const claim = (coupon: string, userId: string, key: string | null = null): Claim => {
  return { kind: "claim", coupon, userId, key };
};

/** A ledger with one coupon. */
function ledgerWith(name: string, amount: number): { state: LedgerState; coupon: Coupon } {
  const state = emptyState(0, begin);
  decide(state, { kind: "create_coupon", coupon: name, amount }, begin);
  return { state, coupon: couponOf(state, name) };
}

function couponOf(state: LedgerState, name: string): Coupon {
  const coupon = state.coupons.get(name);
  if (coupon === undefined) throw new Error(`the ledger has no coupon ${name}`);
  return coupon;
}

/** More claims than memory may hold idle, so that all that is not busy has to go. */
const ballast = new Map(upTo(claimsHeldMax + 1).map((number) => [`b${number}`, begin]));
const ballastName = "ballast";

/** A ledger and the model beside it, which see the same. */
class Pair {
  readonly model = new CouponModel();
  readonly seen = new Set<string>();
  state: LedgerState = emptyState(0, 0);
  now = begin;

  ask(command: CouponCommand): void {
    const { now } = this;
    const coupon = this.state.coupons.get(command.coupon);
    if (command.kind === "claim" && coupon?.claims === null) this.load(coupon);
    const wanted = this.model.decide(command, now);
    const is = answer(this.state, command, now);
    this.seen.add(is.word);
    expect(is).toEqual(wanted);
    expect([this.state.seq, this.state.now]).toEqual([this.model.seq, this.model.now]);
  }

  /** As after a look into the records. */
  load(coupon: Coupon): void {
    const claims = this.model.claimsOf(coupon.name).map(({ userId, at }) => [userId, at] as const);
    holdClaims(this.state, coupon, new Map(claims));
  }

  /** Has every coupon's claims dropped, but for those that are busy. */
  drop(busy: string): void {
    // Long enough that nobody can be said to be claiming them.
    this.now += 3_600_000;
    this.ask(claim("nothing of this name", "ann"));
    const { state } = this;
    const big: Coupon = {
      id: 0,
      name: ballastName,
      amount: ballast.size,
      createdAt: begin,
      remaining: 0,
      usedAt: 0,
      claims: null,
    };
    state.coupons.set(ballastName, big);
    holdClaims(state, big, ballast);
    dropIdleClaims(state, new Set([ballastName, busy]));
    for (const { name, claims } of state.coupons.values()) {
      if (name !== ballastName && name !== busy) expect(claims).toBeNull();
    }
    state.coupons.delete(ballastName);
    state.claimsHeld -= ballast.size;
  }

  /** Begins again from what the records hold: no claims, but their keys. */
  recover(): void {
    const { model } = this;
    this.state = emptyState(model.seq, model.now);
    for (const made of model.made) {
      const { id, name, amount, at: createdAt } = made;
      const remaining = model.remainingOf(made);
      addCoupon(this.state, { id, name, amount, createdAt, remaining, usedAt: 0, claims: null });
    }
    for (const { coupon, userId, key, at } of model.claims) {
      if (key === null) continue;
      const before = model.claimsOf(coupon).findIndex((other) => other.userId === userId);
      const made = { coupon: couponOf(this.state, coupon), userId, ordinal: before + 1, at };
      rememberClaim(this.state, key, made);
    }
  }

  /** Every figure of every coupon, and the invariants. */
  compare(): void {
    expect(check(this.state)).toEqual([]);
    const figures = Array.from(this.state.coupons.values(), (coupon) => {
      const { name, amount, remaining, claims } = coupon;
      const by = claims === null ? null : Array.from(claims, ([userId, at]) => ({ userId, at }));
      return { name, amount, remaining, by };
    });
    const wanted = this.model.made.map((made, index) => {
      const by = this.model.claimsOf(made.name).map(({ userId, at }) => ({ userId, at }));
      const { name, amount } = made;
      const isLoaded = figures[index]?.by !== null;
      return { name, amount, remaining: this.model.remainingOf(made), by: isLoaded ? by : null };
    });
    expect(figures).toEqual(wanted);
  }
}

const names = ["A", "B", "C", "__proto__", "NULL", "ü", "u\u0308"];
const users = ["ann", "bob", "constructor", "eve", "__proto__", "10", "010", "NULL"];
const keys = [null, null, "k1", "k2", "ann"];

/** The next step of a history, drawn from a seed. */
function step(pair: Pair, random: Random): void {
  pair.now += random.between(-3, 10);
  const coupon = random.pick(names) ?? "A";
  const dice = random.next();
  if (dice < 0.02) pair.recover();
  else if (dice < 0.06) pair.drop(coupon);
  else if (dice < 0.16) {
    pair.ask({ kind: "create_coupon", coupon, amount: random.between(1, 6) });
  } else {
    pair.ask(claim(coupon, random.pick(users) ?? "ann", random.pick(keys) ?? null));
  }
}

test(
  "random histories are answered and counted as the model says",
  () => {
    const seen = new Set<string>();
    for (const seed of seeds(300)) {
      const random = new Random(seed);
      const pair = new Pair();
      for (const number of upTo(250)) {
        try {
          step(pair, random);
          pair.compare();
        } catch (error) {
          throw new Error(`SEED=${seed}, step ${number}: ${String(error)}`, { cause: error });
        }
      }
      for (const word of pair.seen) seen.add(word);
    }
    expect([...seen].toSorted()).toEqual(Object.keys(couponWords).toSorted());
  },
  timeoutMs,
);

describe("a claim", () => {
  test("that is refused changes nothing but the number and the time", () => {
    const { state } = ledgerWith("A", 1);
    answer(state, claim("A", "ann", "k"));
    const image = (): unknown => {
      const { claimsHeld, lastCouponId } = state;
      const coupons = Array.from(state.coupons.values(), ({ id, name, remaining, claims }) => {
        return { id, name, remaining, claims: [...(claims ?? [])] };
      });
      return structuredClone({
        coupons,
        claimsHeld,
        lastCouponId,
        keys: [...state.claimKeys.keys()],
      });
    };
    const before = image();
    const refused = [
      claim("A", "ann"),
      claim("A", "ann", "k2"),
      claim("A", "bob", "k"),
      claim("B", "ann"),
      claim("B", "ann", "k"),
      claim("A", "ann", "k"),
    ];
    expect(refused.map((command) => answer(state, command, begin + 5).word)).toEqual([
      "already_claimed",
      "already_claimed",
      "coupon_sold_out",
      "coupon_not_found",
      "idempotency_key_reused",
      "claimed_again",
    ]);
    expect(image()).toEqual(before);
    expect([state.seq, state.now]).toEqual([8, begin + 5]);
  });

  test("counts down to nothing, in order", () => {
    const { state, coupon } = ledgerWith("A", 3);
    const ordinals = ["c", "a", "b"].map((user) => {
      const is = answer(state, claim("A", user));
      return is.word === "claimed" ? is.ordinal : is.word;
    });
    expect(ordinals).toEqual([1, 2, 3]);
    expect([...(coupon.claims ?? [])].map(([user]) => user)).toEqual(["c", "a", "b"]);
    expect(answer(state, claim("A", "d")).word).toBe("coupon_sold_out");
    expect(coupon.remaining).toBe(0);
  });

  test("of a coupon whose claims are not loaded is a bug, and not decided", () => {
    const { state, coupon } = ledgerWith("A", 3);
    coupon.claims = null;
    expect(() => decide(state, claim("A", "ann"), begin)).toThrow("not loaded");
    expect(coupon.remaining).toBe(3);
  });

  test("under a key of a checkout is refused while the reservation stands, and no longer", () => {
    const { state } = ledgerWith("A", 5);
    const ttl = 1_000;
    const sale = {
      id: 1,
      kind: "hourly",
      startsAt: begin,
      endsAt: begin + 100_000,
      perUserLimit: 5,
      reservationTtlMs: ttl,
      stock: Int32Array.of(5),
    } as const;
    addSale(state, sale, 0);
    const checkout = (code: string, key: string) =>
      decide(state, { kind: "checkout", userId: "ann", item: 1, sale: 1, code, key }, begin).word;
    expect([checkout("c1", "k1"), checkout("c2", "k2")]).toEqual(["reserved", "reserved"]);
    decide(state, { kind: "purchase", code: "c1", archived: null }, begin);
    const words = (now: number, ...of: string[]) =>
      of.map((key) => answer(state, claim("A", "ann", key), now).word);
    const reused = "idempotency_key_reused";
    expect(words(begin + ttl - 1, "k1", "k2")).toEqual([reused, reused]);
    expect(answer(state, claim("A", "bob", "k1"), begin).word).toBe("claimed");
    // What was sold is remembered, what lapsed is not.
    expect(words(begin + ttl, "k1", "k2", "k2")).toEqual([reused, "claimed", "claimed_again"]);
    expect(checkout("c3", "k2")).toBe(reused);
    expect(check(state)).toEqual([]);
  });
});

describe("memory", () => {
  test("keys beyond the bound are forgotten, the oldest first", () => {
    const { state, coupon } = ledgerWith("A", claimKeysMax + 1);
    for (const number of upTo(claimKeysMax + 1)) {
      expect(answer(state, claim("A", `u${number}`, "k")).word).toBe("claimed");
    }
    expect(state.claimKeys.size).toBe(claimKeysMax);
    expect(answer(state, claim("A", "u1", "k")).word).toBe("already_claimed");
    expect(answer(state, claim("A", "u2", "k")).word).toBe("claimed_again");
    expect(coupon.remaining).toBe(0);
  });

  test("within its bound nothing is dropped; beyond it only what is needed, and nobody's who waits", () => {
    const state = emptyState(0, begin);
    const hold = (name: string, size: number, id: number): Coupon => {
      const created = {
        id,
        name,
        amount: size,
        createdAt: begin,
        remaining: 0,
        usedAt: 0,
        claims: null,
      };
      const coupon: Coupon = created;
      addCoupon(state, coupon);
      holdClaims(state, coupon, new Map(upTo(size).map((number) => [`u${number}`, begin])));
      return coupon;
    };
    const coupons = [hold("A", 10, 1), hold("B", 10, 2), hold("C", 10, 3)];
    const rest = hold("rest", claimsHeldMax - 30, 4);
    const held = (): boolean[] => [...coupons, rest].map(({ claims }) => claims !== null);
    dropIdleClaims(state, new Set());
    expect(held()).toEqual([true, true, true, true]);
    const more = hold("more", 5, 5);
    decide(state, claim("nothing of this name", "ann"), begin + 3_600_000);
    dropIdleClaims(state, new Set(["A", "more"]));
    expect(held().filter(Boolean)).toHaveLength(3);
    expect([coupons[0]?.claims, more.claims]).not.toContain(null);
    expect(state.claimsHeld).toBeLessThanOrEqual(claimsHeldMax);
    expect(checkCoupons(state)).toEqual([]);
  });

  test("what is loaded must fit the figures, and is not taken twice", () => {
    const state = emptyState(0, begin);
    const coupon: Coupon = {
      id: 1,
      name: "A",
      amount: 5,
      createdAt: begin,
      remaining: 3,
      usedAt: 0,
      claims: null,
    };
    addCoupon(state, coupon);
    const two = new Map([
      ["ann", begin],
      ["bob", begin + 1],
    ]);
    expect(() => holdClaims(state, coupon, new Map([["ann", begin]]))).toThrow("coupon 1");
    expect(() => holdClaims(state, coupon, new Map())).toThrow("coupon 1");
    holdClaims(state, coupon, two);
    answer(state, claim("A", "eve"), begin + 2);
    // Somebody's second load is late: it must not undo the claim.
    holdClaims(state, coupon, new Map([...two].slice(0, 2)));
    expect([...(coupon.claims ?? [])].map(([user]) => user)).toEqual(["ann", "bob", "eve"]);
    expect(state.claimsHeld).toBe(3);
    const again = { word: "already_claimed", claimedAt: begin + 1 } as const;
    expect(answer(state, claim("A", "bob"))).toEqual(again);
    expect(check(state)).toEqual([]);
  });
});

test("the check names every figure that is off", () => {
  const faults: ((coupon: Coupon, state: LedgerState) => void)[] = [
    (coupon) => (coupon.remaining += 1),
    (coupon) => (coupon.remaining -= 1),
    (coupon) => (coupon.remaining = -1),
    (coupon) => coupon.claims?.delete("ann"),
    (coupon) => coupon.claims?.set("eve", begin),
    (_, state) => (state.claimsHeld += 1),
    (coupon, state) => state.coupons.set("B", coupon),
  ];
  for (const fault of faults) {
    const { state, coupon } = ledgerWith("A", 3);
    answer(state, claim("A", "ann"));
    expect(check(state)).toEqual([]);
    fault(coupon, state);
    expect(check(state)).not.toEqual([]);
  }
});
