/** What a batch adds to the memory twin's tables: its rows, by what was asked and answered. */
import type { Buyer } from "../../src/ledger/buyers.ts";
import {
  refundRequestOf,
  wholeLife,
  type Actor,
  type ChangeSaleOutcome,
  type Command,
  type Milestone,
  type Outcome,
  type OutcomeWord,
  type SoldUnit,
} from "../../src/ledger/commands.ts";
import type { StoredCoupon } from "../../src/ledger/coupons.ts";
import { requestOf } from "../../src/ledger/keys.ts";
import type { RecordedChange, RecordedRate, RecordedTicket } from "../../src/ledger/changes.ts";
import type { StoredPurchase } from "../../src/ledger/recorded.ts";

type RecordedExtension = Extract<RecordedChange, { readonly word: "extended" }>;
type RecordedRefund = Extract<RecordedChange, { readonly word: "refunded" }>;
export type RecordedRestock = Extract<RecordedChange, { readonly word: "restocked" }>;

export type AttemptRow = {
  readonly seq: number;
  readonly at: number;
  readonly kind: Command["kind"];
  readonly outcome: OutcomeWord;
  readonly saleId: number | null;
  readonly itemId: number | null;
  readonly buyer: Buyer | null;
  readonly code: string | null;
  readonly key: string | null;
  readonly request: string | null;
  readonly quantity: number | null;
  readonly coupon: string | null;
  /** The id of its command on the link. */
  readonly asked: number | null;
};

export type PurchaseRow = Omit<StoredPurchase, "refundedBy" | "restocked"> & {
  refundedBy: number | null;
  restocked: boolean;
  readonly saleId: number;
  readonly itemStock: number;
  readonly userLimit: number;
  readonly reservedSeq: number;
};

export type RefundRow = RecordedRefund & {
  readonly order: number;
  readonly by: Actor;
  readonly key: string | null;
  readonly request: string;
};

export type ClaimRow = {
  readonly seq: number;
  readonly at: number;
  readonly coupon: string;
  readonly buyer: Buyer;
  readonly ordinal: number;
  readonly key: string | null;
};

export type CouponRow = StoredCoupon & {
  /** The attempt that made it, and the one that changed it last. */
  readonly seq: number;
  readonly changedSeq: number | null;
};

/** What becomes of a coupon, one after another. */
export type CouponStep =
  | { readonly is: "made"; readonly row: CouponRow }
  | { readonly is: "changed"; readonly name: string; readonly to: Partial<CouponRow> }
  | { readonly is: "removed"; readonly name: string };

export type TicketRow = RecordedTicket & {
  readonly seq: number;
  /** The number of the ticket that its buyer had before. */
  readonly supersedes: number | null;
};

export type RateRow = RecordedRate & { readonly seq: number };

export type MilestoneRow = {
  readonly seq: number;
  readonly saleId: number;
  readonly word: Milestone["what"];
};

export type OfferRow = {
  readonly seq: number;
  readonly saleId: number;
  readonly joinedBy: number;
  readonly ordinal: number;
};

/** Rows that a batch adds, checked before any of them is. */
export type Staged = {
  readonly attempts: AttemptRow[];
  readonly purchases: PurchaseRow[];
  readonly claims: ClaimRow[];
  readonly coupons: CouponStep[];
  readonly extensions: RecordedExtension[];
  readonly refunds: RefundRow[];
  tickets: TicketRow[];
  rates: RateRow[];
  readonly saleChanges: {
    readonly id: number;
    readonly startsAt: number;
    readonly endsAt: number;
    readonly closed: boolean;
    readonly title: string | null;
    readonly endByHand: boolean;
  }[];
  readonly restocks: RecordedRestock[];
  /** Sales that are withdrawn, with all that is stored of them. */
  readonly withdrawn: number[];
  readonly milestones: MilestoneRow[];
  readonly offers: OfferRow[];
};

/** Nothing, to begin with. */
export const nothingStaged = (): Staged => ({
  attempts: [],
  purchases: [],
  claims: [],
  coupons: [],
  extensions: [],
  refunds: [],
  tickets: [],
  rates: [],
  saleChanges: [],
  restocks: [],
  withdrawn: [],
  milestones: [],
  offers: [],
});

/** From when to when a sale was to be, and is. */
const movedText = ({
  before,
  startsAt,
  endsAt,
  closed,
}: ChangeSaleOutcome & { readonly word: "sale_changed" }): string =>
  `{"before":[${before.startsAt},${before.endsAt}],"after":[${startsAt},${endsAt}],"closed":${closed}}`;

/** The rows of an attempt: the words that change something have more than one. */
export function stage(
  staged: Staged,
  made: Pick<AttemptRow, "seq" | "at" | "asked">,
  command: Command,
  outcome: Exclude<Outcome, { readonly word: "look_up" }>,
): void {
  const { seq, at } = made;
  const nothing = { saleId: null, itemId: null, buyer: null, code: null, key: null, coupon: null };
  const row = { ...nothing, request: null, quantity: null, ...made, kind: command.kind };
  const attempt = { ...row, outcome: outcome.word };
  switch (command.kind) {
    case "checkout":
      staged.attempts.push({ ...attempt, ...checkoutRow(command, outcome) });
      return;
    case "purchase":
    case "release": {
      const of = "of" in outcome ? outcome.of : null;
      const { code, by } = command;
      const buyer = of?.buyer ?? (by === "merchant" ? null : by);
      const saleId = of?.saleId ?? null;
      staged.attempts.push({ ...attempt, saleId, itemId: of?.itemId ?? null, buyer, code });
      if (outcome.word === "purchased" && "of" in outcome) {
        staged.purchases.push(purchaseRow(outcome.of, seq, at, null));
      }
      return;
    }
    case "extend": {
      const of = "of" in outcome ? outcome.of : null;
      const { saleId = null, itemId = null, buyer = null } = of ?? {};
      const { code } = command;
      staged.attempts.push({ ...attempt, saleId, itemId, buyer, code });
      if (outcome.word === "extended") {
        const { due, of: unit } = outcome;
        staged.extensions.push({ seq, at, word: "extended", saleId: unit.saleId, code, due });
      }
      return;
    }
    case "buy": {
      const { buyer, saleId, itemId, code, key, quantity } = command;
      const units = outcome.word === "purchased" && "units" in outcome ? outcome.units : null;
      const request = key === null ? null : requestOf(command);
      staged.attempts.push({
        ...attempt,
        saleId: saleId === "unknown" ? null : saleId,
        itemId: storable(itemId),
        buyer,
        code: units !== null ? code : "of" in outcome ? (outcome.of?.code ?? null) : null,
        key,
        request,
        quantity,
      });
      units?.forEach((unit, index) => {
        const order = index === 0 && key !== null ? { key, request } : null;
        staged.purchases.push(purchaseRow(unit, seq, at, order));
      });
      return;
    }
    case "refund": {
      const of = outcome.word === "refunded" ? outcome.refund : null;
      const saleId = of?.saleId ?? ("saleId" in outcome ? outcome.saleId : null);
      const { itemId = null, buyer = null } = of ?? {};
      const quantity = of?.codes.length ?? null;
      const request = `order_id=${command.order}`;
      staged.attempts.push({ ...attempt, saleId, itemId, buyer, request, quantity });
      if (of !== null) {
        const { codes, restocked } = of;
        const { order, by, key } = command;
        const taken = { seq, at, word: "refunded", saleId: of.saleId, codes, restocked } as const;
        staged.refunds.push({ ...taken, order, by, key, request: refundRequestOf(command) });
      }
      return;
    }
    case "change_sale":
      staged.attempts.push({
        ...attempt,
        saleId: command.saleId,
        request: outcome.word === "sale_changed" ? movedText(outcome) : null,
      });
      if (outcome.word === "sale_changed") {
        const { startsAt, endsAt, closed } = outcome;
        const { saleId: id, title, by } = command;
        const endByHand = by !== null && command.endsAt !== null;
        staged.saleChanges.push({
          id,
          startsAt,
          endsAt,
          closed,
          title: title?.to ?? null,
          endByHand,
        });
      }
      return;
    case "join": {
      const { buyer, key } = command;
      const saleId = "saleId" in outcome ? outcome.saleId : null;
      staged.attempts.push({ ...attempt, saleId, buyer, key });
      if (outcome.word === "joined") {
        const { ticket: of, supersedes } = outcome;
        const { number, ticket } = of;
        const joined = { saleId: outcome.saleId, number, buyer, ticket, key };
        staged.tickets.push({ seq, at, ...joined, supersedes });
      }
      return;
    }
    case "change_queue":
      staged.attempts.push({ ...attempt, saleId: command.saleId });
      if (outcome.word === "queue_changed") {
        const { saleId, admitPerSecond, paused } = outcome;
        staged.rates.push({ seq, at, saleId, admitPerSecond, paused });
      }
      return;
    case "milestone": {
      const { saleId, what: word } = command;
      staged.attempts.push({ ...attempt, request: `{"sale_id":${saleId}}` });
      staged.milestones.push({ seq, saleId, word });
      return;
    }
    case "restock": {
      const { saleId, itemId, units } = command;
      const item = storable(itemId);
      staged.attempts.push({ ...attempt, saleId, itemId: item, quantity: units });
      if (outcome.word === "restocked") {
        staged.restocks.push({ seq, at, word: "restocked", saleId, itemId, units });
      }
      return;
    }
    case "withdraw":
      staged.attempts.push({ ...attempt, saleId: command.saleId });
      if (outcome.word !== "withdrawn") return;
      staged.withdrawn.push(command.saleId);
      // Who joined its queue in this batch goes with it.
      staged.tickets = staged.tickets.filter(({ saleId }) => saleId !== command.saleId);
      staged.rates = staged.rates.filter(({ saleId }) => saleId !== command.saleId);
      return;
    case "waitlist_join":
    case "waitlist_leave":
    case "offer":
      stageWaiting(staged, attempt, command, outcome);
      return;
    case "create_coupon":
      staged.attempts.push({ ...attempt, coupon: command.coupon });
      if (outcome.word === "coupon_created") {
        const coupon = { ...outcome.coupon, ...wholeLife, createdAt: at, seq, changedSeq: null };
        staged.coupons.push({ is: "made", row: coupon });
      }
      return;
    case "change_coupon":
      staged.attempts.push({ ...attempt, coupon: command.coupon });
      if (outcome.word === "coupon_changed") {
        const { amount, remaining, startsAt, endsAt, disabled } = outcome.coupon;
        const to = { amount, remaining, startsAt, endsAt, disabled, changedSeq: seq };
        staged.coupons.push({ is: "changed", name: command.coupon, to });
      }
      return;
    case "remove_coupon":
      staged.attempts.push({ ...attempt, coupon: command.coupon });
      if (outcome.word === "coupon_removed") {
        staged.coupons.push({ is: "removed", name: command.coupon });
      }
      return;
    case "claim":
      staged.attempts.push({
        ...attempt,
        buyer: command.buyer,
        key: command.key,
        coupon: command.coupon,
      });
      if (outcome.word === "claimed") {
        const { buyer, coupon, key } = command;
        staged.claims.push({ seq, at, coupon, buyer, ordinal: outcome.claim.ordinal, key });
        const { remaining } = outcome.claim.coupon;
        staged.coupons.push({ is: "changed", name: coupon, to: { remaining } });
      }
      return;
    default:
      command satisfies never;
  }
}

type WaitCommand = Extract<
  Command,
  { readonly kind: "waitlist_join" | "waitlist_leave" | "offer" }
>;

function stageWaiting(
  staged: Staged,
  attempt: AttemptRow,
  command: WaitCommand,
  outcome: Exclude<Outcome, { readonly word: "look_up" }>,
): void {
  const { seq } = attempt;
  if (command.kind !== "offer") {
    const saleId = "saleId" in outcome ? outcome.saleId : null;
    const itemId = command.kind === "waitlist_join" ? storable(command.item) : null;
    staged.attempts.push({ ...attempt, saleId, itemId, buyer: command.buyer });
    return;
  }
  const of = "reservation" in outcome ? outcome.reservation : "of" in outcome ? outcome.of : null;
  if (of === null) throw new Error("an offer of nothing");
  const { saleId, itemId, buyer, code } = of;
  staged.attempts.push({ ...attempt, saleId, itemId, buyer, code });
  if (!("joinedBy" in outcome)) return;
  const { joinedBy, ordinal } = outcome;
  staged.offers.push({ seq, saleId, joinedBy, ordinal });
}

function checkoutRow(
  command: Extract<Command, { readonly kind: "checkout" }>,
  outcome: Exclude<Outcome, { readonly word: "look_up" }>,
): Partial<AttemptRow> {
  const { buyer, item, key } = command;
  if ("reservation" in outcome) {
    const { saleId, itemId, code } = outcome.reservation;
    return { saleId, itemId, code, buyer, key, request: key === null ? null : requestOf(command) };
  }
  const saleId = "saleId" in outcome ? outcome.saleId : null;
  return { saleId, itemId: storable(item), buyer };
}

/** An item's number, as a column of numbers of four bytes takes it. */
const storable = (item: number | "any" | "unknown"): number | null =>
  typeof item === "number" && item <= 2_147_483_647 ? item : null;

function purchaseRow(
  unit: SoldUnit,
  seq: number,
  at: number,
  order: { readonly key: string; readonly request: string | null } | null,
): PurchaseRow {
  const { saleId, itemId, buyer, code, userOrdinal, itemStock, userLimit, key, request } = unit;
  const { reservedSeq } = unit;
  return {
    seq,
    at,
    saleId,
    itemId,
    buyer,
    code,
    unit: unit.unit,
    userOrdinal,
    refundedBy: null,
    restocked: false,
    itemStock,
    userLimit,
    reservedSeq,
    key,
    request,
    orderKey: order?.key ?? null,
    orderRequest: order?.request ?? null,
  };
}
