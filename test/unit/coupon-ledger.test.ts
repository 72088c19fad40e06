/**
 * The rules of coupons in the ledger: against the independent model in random histories, with
 * claims that are dropped from memory and loaded again and with recoveries in between, and
 * one by one where chance would be long in coming.
 *
 * A failing history names its seed and its last step; `SEED=` replays it.
 */
import { describe, expect, test } from "bun:test";
import { buyerId, sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import { check } from "../../src/ledger/check.ts";
import { wholeLife, type Claim } from "../../src/ledger/commands.ts";
import {
  addCoupon,
  checkCoupons,
  claimKeysMax,
  claimsHeldMax,
  dropIdleClaims,
  holdClaims,
  rememberClaim,
  storedOf,
  type Coupon,
} from "../../src/ledger/coupons.ts";
import { decide } from "../../src/ledger/decide.ts";
import { addSale, emptyState, type LedgerState } from "../../src/ledger/state.ts";
import {
  CouponModel,
  couponWords,
  drawChange,
  isCouponOutcome,
  told,
  type CouponCommand,
  type CouponVerdict,
} from "./coupon-model.ts";
import { Random, seeds } from "../support/random.ts";
import { upTo } from "../support/wait.ts";

const timeoutMs = 120_000;
const begin = 1_900_000_000_000;

function answer(state: LedgerState, command: CouponCommand, now = begin): CouponVerdict {
  const outcome = decide(state, command, now);
  if (isCouponOutcome(outcome)) return told(outcome);
  throw new Error(`a coupon's command got ${outcome.word}`);
}

const guest = (userId: string): Buyer => ({ kind: "guest", userId });

const claim = (coupon: string, by: string | Buyer, key: string | null = null): Claim => {
  return { kind: "claim", coupon, buyer: typeof by === "string" ? guest(by) : by, key };
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
const ballast = claimsHeldMax + 1;

/** A ledger and the model beside it, which see the same. */
class Pair {
  readonly model = new CouponModel();
  readonly seen = new Set<string>();
  state: LedgerState = emptyState(0, 0);
  now = begin;

  ask(command: CouponCommand): void {
    const { now } = this;
    const coupon = this.state.coupons.get(command.coupon);
    const { seq } = this.state;
    if (command.kind === "claim" && coupon?.claims === null) {
      const isAsked = decide(this.state, command, now).word === "look_up";
      if (isAsked) this.load(command.coupon);
      if (isAsked && this.state.seq !== seq) throw new Error("asking the records took a number");
    }
    // With a key it may have been answered without.
    this.state.seq = seq;
    const wanted = this.model.decide(command, now);
    const is = answer(this.state, command, now);
    this.seen.add(is.word);
    agree(is, wanted);
    agree([this.state.seq, this.state.now], [this.model.seq, this.model.now]);
  }

  /** As after a look into the records. */
  load(name: string): void {
    const claims = this.model.claimsOf(name).map(({ buyer, at }) => [buyerId(buyer), at] as const);
    holdClaims(this.state, name, new Map(claims));
  }

  /** Has every coupon's claims dropped, but for those that are busy. */
  drop(busy: string): void {
    // Long enough that nobody can be said to be claiming them.
    this.now += 3_600_000;
    this.ask(claim(busy, "ann"));
    const { state } = this;
    state.claimsHeld += ballast;
    dropIdleClaims(state);
    state.claimsHeld -= ballast;
    for (const { name, claims } of state.coupons.values()) {
      if (name !== busy && claims !== null) throw new Error(`the claims of ${name} were kept`);
      if (name === busy && claims === null) throw new Error(`the claims of ${name} were dropped`);
    }
  }

  /** Begins again from what the records hold: no claims, but their keys. */
  recover(): void {
    const { model } = this;
    model.restart();
    this.state = emptyState(model.seq, model.now);
    for (const made of model.made) {
      const { id, name, amount, at: createdAt, from: startsAt, until: endsAt, disabled } = made;
      const remaining = model.remainingOf(made);
      const life = { startsAt, endsAt, disabled };
      const figures = { id, name, amount, createdAt, remaining };
      addCoupon(this.state, { ...figures, life, usedAt: 0, claims: null });
    }
    for (const { coupon, buyer, key, at } of model.claims) {
      if (key === null) continue;
      const before = model.claimsOf(coupon).findIndex((other) => sameBuyer(other.buyer, buyer));
      const figures = storedOf(couponOf(this.state, coupon));
      rememberClaim(this.state, key, { coupon: figures, buyer, ordinal: before + 1, at });
    }
  }

  /** Every figure of every coupon, and the invariants. */
  compare(): void {
    agree(check(this.state), []);
    const figures = Array.from(this.state.coupons.values(), (coupon) => {
      const { name, amount, remaining, claims } = coupon;
      const by = claims === null ? null : Array.from(claims, ([id, at]) => ({ id, at }));
      return { name, amount, remaining, by };
    });
    const wanted = this.model.made.map((made, index) => {
      const by = this.model
        .claimsOf(made.name)
        .map(({ buyer, at }) => ({ id: buyerId(buyer), at }));
      const { name, amount } = made;
      const isLoaded = figures[index]?.by !== null;
      return { name, amount, remaining: this.model.remainingOf(made), by: isLoaded ? by : null };
    });
    agree(figures, wanted);
  }
}

/** Once a step, some hundred thousand times: an `expect` costs as much as all the rest. */
function agree(is: unknown, wanted: unknown): void {
  if (!Bun.deepEquals(is, wanted)) expect(is).toEqual(wanted);
}

const names = ["A", "B", "C", "__proto__", "NULL", "ü", "u\u0308"];
const users: readonly Buyer[] = [
  ...["ann", "bob", "constructor", "__proto__", "010", "NULL"].map(guest),
  { kind: "account", userId: "ann" },
  { kind: "customer", userId: "ann" },
];
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
  } else if (dice < 0.24) pair.ask(drawChange(random, coupon, pair.now));
  else if (dice < 0.28) {
    pair.ask({ kind: "remove_coupon", coupon, by: { kind: "key", name: "shop" } });
  } else {
    pair.ask(claim(coupon, random.pick(users) ?? "ann", random.pick(keys) ?? null));
  }
}

test(
  "random histories are answered and counted as the model says",
  () => {
    const seen = new Set<string>();
    for (const seed of seeds(100)) {
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
    expect([...(coupon.claims ?? [])].map(([id]) => id)).toEqual(["guest:c", "guest:a", "guest:b"]);
    expect(answer(state, claim("A", "d")).word).toBe("coupon_sold_out");
    expect(coupon.remaining).toBe(0);
  });

  test("of a coupon whose claims are not in memory asks for them, and takes no number", () => {
    const { state, coupon } = ledgerWith("A", 3);
    coupon.claims = null;
    const { seq } = state;
    const { word } = decide(state, claim("A", "ann"), begin);
    expect([word, state.seq, coupon.remaining]).toEqual(["look_up", seq, 3]);
  });

  test("is one for each kind of buyer of a name", () => {
    const { state } = ledgerWith("A", 3);
    const kinds = ["guest", "account", "customer"] as const;
    const asked = [...kinds, ...kinds].map((kind) => claim("A", { kind, userId: "ann" }, "k"));
    const words: string[] = asked.map((command) => answer(state, command).word);
    expect(words).toEqual([...kinds.map(() => "claimed"), ...kinds.map(() => "claimed_again")]);
  });

  test("under a key of a checkout is refused while the reservation stands, and no longer", () => {
    const { state } = ledgerWith("A", 5);
    const ttl = 1_000;
    const sale = {
      id: 1,
      kind: "hourly",
      access: "everyone",
      entry: { kind: "open" },
      startsAt: begin,
      endsAt: begin + 100_000,
      closed: false,
      perUserLimit: 5,
      reservationTtlMs: ttl,
      stock: Int32Array.of(5),
      priceCents: [100],
    } as const;
    addSale(state, sale, 0);
    const checkout = (code: string, key: string) => {
      const asked = { item: 1, sale: 1, code, key, expectedPriceCents: null } as const;
      return decide(state, { kind: "checkout", buyer: guest("ann"), ...asked }, begin).word;
    };
    expect([checkout("c1", "k1"), checkout("c2", "k2")]).toEqual(["reserved", "reserved"]);
    const shown = { code: "c1", by: null, expectedPriceCents: null, lookup: null };
    decide(state, { kind: "purchase", ...shown }, begin);
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
    const { state } = ledgerWith("A", 1);
    const made = answer(state, claim("A", "u0", "k"));
    if (made.word !== "claimed") throw new Error(made.word);
    const coupon = storedOf(couponOf(state, "A"));
    for (const number of upTo(claimKeysMax - 1)) {
      const by = { coupon, buyer: guest(`u${number}`), ordinal: 1, at: begin };
      rememberClaim(state, "k", by);
    }
    const again = (user: string) => answer(state, claim("A", user, "k")).word;
    expect([state.claimKeys.size, again("u0")]).toEqual([claimKeysMax, "claimed_again"]);
    rememberClaim(state, "k", { coupon, buyer: guest("one more"), ordinal: 1, at: begin });
    expect([state.claimKeys.size, again("u0"), again("u1"), again("one more")]).toEqual([
      claimKeysMax,
      "already_claimed",
      "claimed_again",
      "claimed_again",
    ]);
  });

  test("within its bound nothing is dropped; beyond it only what is needed, and not what is busy", () => {
    const state = emptyState(0, begin);
    const hold = (name: string, size: number, id: number): Coupon => {
      const created = { id, name, amount: size, createdAt: begin };
      const left = { remaining: 0, life: wholeLife, usedAt: 0, claims: null };
      const coupon: Coupon = { ...created, ...left };
      addCoupon(state, coupon);
      holdClaims(state, name, new Map(upTo(size).map((number) => [`guest:u${number}`, begin])));
      return coupon;
    };
    const coupons = [hold("A", 10, 1), hold("B", 10, 2), hold("C", 10, 3)];
    const rest = claimsHeldMax - 30;
    state.claimsHeld += rest;
    const held = (): boolean[] => coupons.map(({ claims }) => claims !== null);
    const idleFor = 10_000;
    const ask = (name: string, ms: number) => decide(state, claim(name, "ann"), begin + ms);
    ask("nothing of this name", 2 * idleFor);
    dropIdleClaims(state);
    expect(held()).toEqual([true, true, true]);
    // Beyond the bound by five: one of ten is dropped, the oldest that nobody claims.
    const more = hold("more", 5, 5);
    ask("A", 2 * idleFor);
    dropIdleClaims(state);
    expect([...held(), more.claims !== null]).toEqual([true, false, true, true]);
    expect(state.claimsHeld).toBe(claimsHeldMax - 5);
    // Busy to the millisecond.
    const again = hold("again", 10, 6);
    ask("A", 2 * idleFor + 1);
    ask("C", 2 * idleFor);
    ask("A", 3 * idleFor);
    dropIdleClaims(state);
    const kept = [coupons[0], coupons[2], more, again].map((coupon) => coupon?.claims !== null);
    expect(kept).toEqual([true, true, false, true]);
    state.claimsHeld -= rest;
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
      life: wholeLife,
      usedAt: 0,
      claims: null,
    };
    addCoupon(state, coupon);
    const two = new Map([
      ["guest:ann", begin],
      ["guest:bob", begin + 1],
    ]);
    expect(() => holdClaims(state, "A", new Map([["guest:ann", begin]]))).toThrow("coupon 1");
    expect(() => holdClaims(state, "A", new Map())).toThrow("coupon 1");
    holdClaims(state, "A", two);
    answer(state, claim("A", "eve"), begin + 2);
    // Somebody's second load is late: it must not undo the claim.
    holdClaims(state, "A", new Map([...two].slice(0, 2)));
    const ids = [...(coupon.claims ?? [])].map(([id]) => id);
    expect(ids).toEqual(["guest:ann", "guest:bob", "guest:eve"]);
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
    (coupon) => coupon.claims?.delete("guest:ann"),
    (coupon) => coupon.claims?.set("guest:eve", begin),
    (_, state) => (state.claimsHeld += 1),
    (coupon, state) => state.coupons.set("B", coupon),
    (coupon) => (coupon.life = { startsAt: begin, endsAt: begin, disabled: false }),
  ];
  for (const fault of faults) {
    const { state, coupon } = ledgerWith("A", 3);
    answer(state, claim("A", "ann"));
    expect(check(state)).toEqual([]);
    fault(coupon, state);
    expect(check(state)).not.toEqual([]);
  }
});
