/** Everything that can go over the link, as fast-check draws it. */
import {
  array,
  boolean,
  constant,
  constantFrom,
  double,
  integer,
  maxSafeInteger,
  oneof,
  option,
  record,
  string,
  type Arbitrary,
} from "fast-check";
import type { Buyer } from "../../src/ledger/buyers.ts";
import {
  extensionMsMax,
  type CodeUser,
  type SoldUnit,
  type TicketState,
  type Unit,
} from "../../src/ledger/commands.ts";
import type { ClaimMade, CouponFigures, StoredCoupon } from "../../src/ledger/coupons.ts";
import type { Counts } from "../../src/link/counts.ts";
import type { LinkedOutcome } from "../../src/link/outcomes.ts";
import type { LinkedCommand } from "../../src/link/words.ts";

/** As parsing lets them in: well-formed, of any script. */
export const texts = oneof(
  string({ unit: "grapheme-ascii", maxLength: 80 }),
  string({ unit: "grapheme-composite", maxLength: 255 }),
);
export const times = maxSafeInteger().map(Math.abs);
export const ids = integer({ min: 1, max: 2_147_483_647 });
const nullable = <T>(of: Arbitrary<T>): Arbitrary<T | null> => option(of, { nil: null });
export const keys = nullable(texts);
export const prices = nullable(integer({ min: 0, max: 2_147_483_647 }));
export const codes = constant(null).map(() => crypto.randomUUID() as string);

export const buyers: Arbitrary<Buyer> = record({
  kind: constantFrom("guest", "account", "customer"),
  userId: texts,
});
const codeUsers: Arbitrary<CodeUser> = oneof(buyers, constant("merchant" as const), constant(null));

const actors = record({ kind: constantFrom("account" as const, "key" as const), name: texts });

/** What who decides draws by itself is not sent: see `sentOf`. */
export const commands: Arbitrary<LinkedCommand> = oneof(
  record({
    kind: constant("checkout" as const),
    buyer: buyers,
    item: oneof(constant("any" as const), ids, constant(Number.MAX_SAFE_INTEGER)),
    sale: oneof(constantFrom("current" as const, "unknown" as const), ids),
    key: keys,
    expectedPriceCents: prices,
    ticket: nullable(codes),
    code: constant(""),
  }),
  record({
    kind: constant("join" as const),
    buyer: buyers,
    sale: oneof(constant("unknown" as const), ids),
    key: keys,
    ticket: constant(""),
  }),
  record({
    kind: constant("purchase" as const),
    code: codes,
    by: codeUsers,
    expectedPriceCents: prices,
    lookup: constant(null),
  }),
  record({
    kind: constant("release" as const),
    code: codes,
    by: codeUsers,
    saleId: nullable(ids),
    lookup: constant(null),
  }),
  record({
    kind: constant("extend" as const),
    code: codes,
    ms: integer({ min: 1, max: extensionMsMax }),
    lookup: constant(null),
  }),
  record({
    kind: constant("buy" as const),
    buyer: buyers,
    saleId: oneof(constant("unknown" as const), ids),
    itemId: oneof(constant("unknown" as const), ids),
    quantity: integer({ min: 1, max: 100 }),
    key: keys,
    expectedPriceCents: prices,
    ticket: nullable(codes),
    code: constant(""),
  }),
  record({
    kind: constant("refund" as const),
    order: ids,
    units: nullable(ids),
    restock: boolean(),
    reason: keys,
    by: actors,
    key: keys,
    lookup: constant(null),
  }),
  record({
    kind: constant("waitlist_join" as const),
    buyer: buyers,
    sale: oneof(constant("unknown" as const), ids),
    item: oneof(constant("any" as const), ids, constant(Number.MAX_SAFE_INTEGER)),
  }),
  record({
    kind: constant("waitlist_leave" as const),
    buyer: buyers,
    sale: oneof(constant("unknown" as const), ids),
  }),
  record({ kind: constant("create_coupon" as const), coupon: texts, amount: ids }),
  record({ kind: constant("create_coupon" as const), coupon: texts, amount: ids, by: actors }),
  record({
    kind: constant("change_coupon" as const),
    coupon: texts,
    amount: nullable(ids),
    startsAt: oneof(constant("kept" as const), nullable(times)),
    endsAt: oneof(constant("kept" as const), nullable(times)),
    disabled: nullable(boolean()),
    by: actors,
  }),
  record({ kind: constant("remove_coupon" as const), coupon: texts, by: actors }),
  record({ kind: constant("claim" as const), coupon: texts, buyer: buyers, key: keys }),
);

/** A command without the code that it may give. */
export const sentOf = (command: LinkedCommand): object => {
  if (command.kind === "checkout") {
    const { kind, buyer, item, sale, key, expectedPriceCents, ticket } = command;
    return { kind, buyer, item, sale, key, expectedPriceCents, ticket };
  }
  if (command.kind === "join") return { ...command, ticket: "" };
  return command.kind === "buy" ? { ...command, code: "" } : command;
};

const sold = nullable(record({ seq: times, at: times, refundedBy: nullable(times) }));
const orderStatuses = constantFrom("paid", "partly_refunded", "refunded");
const unitFields = { code: codes, saleId: ids, itemId: ids, buyer: buyers, expiresAt: times, sold };
export const units: Arbitrary<Unit> = record(unitFields);
const soldUnits: Arbitrary<SoldUnit> = record({
  ...unitFields,
  unit: ids,
  userOrdinal: ids,
  itemStock: ids,
  userLimit: ids,
  reservedSeq: times,
  key: keys,
  request: keys,
});
export const coupons: Arbitrary<CouponFigures> = record({
  id: ids,
  name: texts,
  amount: ids,
  createdAt: times,
  remaining: ids,
});
const storedCoupons: Arbitrary<StoredCoupon> = record({
  id: ids,
  name: texts,
  amount: ids,
  createdAt: times,
  remaining: ids,
  startsAt: nullable(times),
  endsAt: nullable(times),
  disabled: boolean(),
});
export const claims: Arbitrary<ClaimMade> = record({
  coupon: coupons,
  buyer: buyers,
  ordinal: ids,
  at: times,
});

const tickets: Arbitrary<TicketState> = record({
  ticket: codes,
  number: ids,
  buyer: buyers,
  state: constantFrom("waiting", "admitted", "passed", "closed"),
  rank: nullable(ids),
  ahead: nullable(times),
  etaMs: nullable(times),
  expiresAt: nullable(times),
});

const refusedCheckouts = oneof(
  record({ word: constant("item_reserved" as const), saleId: ids, retryAt: times, at: times }),
  record({
    word: constant("sale_not_open" as const),
    saleId: nullable(ids),
    opensAt: nullable(times),
  }),
  record({ word: constant("user_limit_reached" as const), saleId: ids, retryAt: nullable(times) }),
  record({
    word: constant("not_admitted" as const),
    saleId: ids,
    ahead: nullable(times),
    retryMs: times,
  }),
  record({
    word: constantFrom(
      "sale_not_found" as const,
      "item_not_found" as const,
      "item_sold_out" as const,
      "sold_out" as const,
      "price_changed" as const,
      "unauthenticated" as const,
      "idempotency_key_reused" as const,
    ),
    saleId: nullable(ids),
  }),
);
const notFound = record({ word: constant("code_not_found" as const), of: constant(null) });

type Answered = { readonly kind: LinkedCommand["kind"]; readonly outcome: LinkedOutcome };

const answering = <O extends LinkedOutcome>(
  kind: LinkedCommand["kind"],
  ...of: Arbitrary<O>[]
): Arbitrary<Answered> => oneof(...of).map((outcome) => ({ kind, outcome }));

/** A command's kind, with an outcome that it can have. */
export const outcomes: Arbitrary<Answered> = oneof(
  answering<LinkedOutcome>(
    "checkout",
    record({ word: constantFrom("reserved", "reserved_again"), reservation: units }),
    refusedCheckouts,
  ),
  answering<LinkedOutcome>(
    "purchase",
    record({ word: constant("purchased" as const), of: soldUnits }),
    record({
      word: constantFrom("purchased_again", "sale_ended", "price_changed", "code_expired"),
      of: units,
    }),
    notFound,
  ),
  answering<LinkedOutcome>(
    "release",
    record({ word: constantFrom("released", "released_again", "already_purchased"), of: units }),
    notFound,
  ),
  answering<LinkedOutcome>(
    "extend",
    record({ word: constant("extended" as const), of: units, due: times }),
    record({ word: constantFrom("already_purchased", "sale_ended", "code_expired"), of: units }),
    notFound,
  ),
  answering<LinkedOutcome>(
    "buy",
    record({ word: constant("purchased" as const), units: array(soldUnits, { maxLength: 5 }) }),
    record({ word: constant("purchased_again" as const), of: units }),
    refusedCheckouts,
  ),
  answering<LinkedOutcome>(
    "refund",
    record({
      word: constant("refunded" as const),
      refund: record({
        saleId: ids,
        itemId: ids,
        buyer: buyers,
        codes: array(codes, { maxLength: 5 }),
        restocked: boolean(),
        before: orderStatuses,
        after: orderStatuses,
      }),
    }),
    record({
      word: constantFrom("refunded_again", "already_refunded", "too_many_units"),
      saleId: ids,
    }),
    record({
      word: constantFrom("order_not_found", "idempotency_key_reused"),
      saleId: constant(null),
    }),
  ),
  answering<LinkedOutcome>(
    "join",
    record({
      word: constant("joined" as const),
      saleId: ids,
      ticket: tickets,
      supersedes: constant(null),
    }),
    record({ word: constant("joined_again" as const), saleId: ids, ticket: tickets }),
    record({ word: constant("sale_not_open" as const), saleId: ids, opensAt: constant(null) }),
    record({
      word: constantFrom("sale_not_found", "unauthenticated", "no_queue", "already_joined"),
      saleId: nullable(ids),
    }),
    record({ word: constantFrom("sold_out", "queue_full"), saleId: nullable(ids) }),
  ),
  answering<LinkedOutcome>(
    "waitlist_join",
    record({ word: constantFrom("waiting", "waiting_again"), saleId: ids }),
    record({ word: constant("sale_not_open" as const), saleId: ids, opensAt: nullable(times) }),
    record({
      word: constant("user_limit_reached" as const),
      saleId: ids,
      retryAt: constant(null),
    }),
    record({
      word: constant("not_admitted" as const),
      saleId: ids,
      ahead: nullable(times),
      retryMs: times,
    }),
    record({
      word: constantFrom("sale_not_found", "unauthenticated", "item_not_found", "available"),
      saleId: nullable(ids),
    }),
    record({ word: constantFrom("too_many_lines", "waitlist_full"), saleId: nullable(ids) }),
  ),
  answering<LinkedOutcome>(
    "waitlist_leave",
    record({ word: constantFrom("left", "not_waiting"), saleId: ids }),
    record({ word: constant("sale_not_found" as const), saleId: nullable(ids) }),
  ),
  answering<LinkedOutcome>(
    "create_coupon",
    record({ word: constantFrom("coupon_created", "coupon_exists"), coupon: coupons }),
  ),
  answering<LinkedOutcome>(
    "change_coupon",
    record({
      word: constant("coupon_changed" as const),
      coupon: storedCoupons,
      before: constant(null),
    }),
    record({ word: constantFrom("coupon_not_found", "amount_too_small", "end_not_later") }),
  ),
  answering<LinkedOutcome>(
    "remove_coupon",
    record({ word: constant("coupon_removed" as const), before: constant(null) }),
    record({ word: constantFrom("coupon_not_found", "coupon_claimed") }),
  ),
  answering<LinkedOutcome>(
    "claim",
    record({
      word: constant("coupon_not_active" as const),
      coupon: coupons,
      opensAt: nullable(times),
    }),
    record({ word: constantFrom("claimed", "claimed_again"), claim: claims }),
    record({ word: constant("already_claimed" as const), coupon: coupons, claimedAt: times }),
    record({ word: constant("coupon_sold_out" as const), coupon: coupons }),
    record({ word: constantFrom("coupon_not_found", "idempotency_key_reused") }),
  ),
);

export const counts: Arbitrary<Counts> = record({
  buckets: array(
    record({
      tag: integer({ min: 0, max: 2 ** 32 - 1 }),
      hash: integer({ min: 0, max: 2 ** 32 - 1 }),
      kind: integer({ min: 0, max: 2 }),
      ms: double({ min: 0, max: 1e9, noNaN: true }),
    }),
    { maxLength: 20 },
  ),
  holdings: array(
    oneof(
      record({
        word: constant("reserved" as const),
        network: texts,
        code: codes,
        buyer: buyers,
        saleId: ids,
        itemId: ids,
        expiresAt: times,
        isCurrent: boolean(),
      }),
      record({ word: constant("bought" as const), code: codes }),
      record({ word: constant("released" as const), code: codes, at: times }),
      record({ word: constant("extended" as const), code: codes, expiresAt: times }),
    ),
    { maxLength: 20 },
  ),
});

export const doubles = double({ noNaN: true });
export const booleans = boolean();
