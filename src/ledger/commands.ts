/**
 * What can be asked of the ledger, and every word it can answer with.
 *
 * Times are milliseconds since the Unix epoch. Refusals are values of these unions,
 * never exceptions; the words are stored in the journal and must not change their meaning.
 */
import type { Buyer } from "./buyers.ts";
import type {
  ChangeCoupon,
  ChangeCouponOutcome,
  Claim,
  ClaimOutcome,
  CreateCoupon,
  CreateCouponOutcome,
  RemoveCoupon,
  RemoveCouponOutcome,
} from "./coupon-commands.ts";
import type { Milestone, MilestoneOutcome } from "./milestones.ts";
import type {
  ChangeQueue,
  ChangeQueueOutcome,
  Join,
  JoinOutcome,
  NotAdmitted,
} from "./queue-commands.ts";
import type {
  ChangeSale,
  ChangeSaleOutcome,
  Restock,
  RestockOutcome,
  Withdraw,
  WithdrawOutcome,
} from "./sale-commands.ts";
import type { Reservation } from "./state.ts";
import type {
  Offer,
  OfferOutcome,
  WaitlistJoin,
  WaitlistJoinOutcome,
  WaitlistLeave,
  WaitlistLeaveOutcome,
} from "./waitlist-commands.ts";

export * from "./coupon-commands.ts";
export type { Milestone, NotedLife } from "./milestones.ts";
export * from "./queue-commands.ts";
export * from "./sale-commands.ts";
export * from "./waitlist-commands.ts";

/**
 * Asks for one unit of an item. `code` is the code that a new reservation will carry; a refusal
 * never looks at it, so it may be made when it is asked for.
 */
export type Checkout = {
  readonly kind: "checkout";
  readonly buyer: Buyer;
  /** Number of the item in its sale, from 1; `"any"` for the lowest free one. */
  readonly item: number | "any";
  /** `"current"`: the hourly sale that is open. `"unknown"`: an id that no sale can have. */
  readonly sale: number | "current" | "unknown";
  readonly code: string;
  readonly key: string | null;
  /** What the buyer believes the price to be; null: whatever it is. */
  readonly expectedPriceCents: number | null;
  /** What lets them in where the sale has a queue. */
  readonly ticket?: string | null;
  /** Of its key; without, nothing was looked up. */
  readonly lookup?: KeyLookup;
};

/** Who shows a code: a proven buyer, the merchant for whichever of them, or nobody. */
export type CodeUser = Buyer | "merchant" | null;

/** Sells the unit that a code holds. */
export type Purchase = {
  readonly kind: "purchase";
  readonly code: string;
  /** Who asks; null for somebody who has proven nothing. */
  readonly by: CodeUser;
  readonly expectedPriceCents: number | null;
  readonly lookup: CodeLookup | null;
};

/** Gives back the unit that a code holds. */
export type Release = {
  readonly kind: "release";
  readonly code: string;
  /** The sale that it is said to be of; null: whichever it is. */
  readonly saleId: number | null;
  readonly by: CodeUser;
  readonly lookup: CodeLookup | null;
};

/** Longest that a merchant may hold a unit from the moment of asking. */
export const extensionMsMax = 15 * 60_000;

/** Holds the unit of a code for longer: asked by the merchant alone, while a payment is under way. */
export type Extend = {
  readonly kind: "extend";
  readonly code: string;
  /** From now on, ms, at most `extensionMsMax`. */
  readonly ms: number;
  readonly lookup: CodeLookup | null;
};

/**
 * What the records say of a code that the ledger does not hold, and up to which attempt they were
 * complete when they were asked.
 */
export type CodeLookup = { readonly upTo: number; readonly found: ArchivedCode | null };

/** Sells `quantity` units of an item in one decision, those that the buyer has reserved first. */
export type Buy = {
  readonly kind: "buy";
  readonly buyer: Buyer;
  /** `"unknown"`: an id that no sale can have, or a product that the sale has not. */
  readonly saleId: number | "unknown";
  readonly itemId: number | "unknown";
  readonly quantity: number;
  /** Code of the first unit that was not reserved before; the others' follow: see `unitCode`. */
  readonly code: string;
  readonly key: string | null;
  readonly expectedPriceCents: number | null;
  /** What lets them in where the sale has a queue. */
  readonly ticket?: string | null;
  /** Of its key; without, nothing was looked up. */
  readonly lookup?: KeyLookup;
};

/**
 * What the records say that a buyer used an idempotency key for: of all that was sold by it, the
 * last; and up to which attempt they were complete when they were asked.
 */
export type KeyLookup = { readonly upTo: number; readonly found: ArchivedKey | null };

/** An administrator, or a merchant's key: whoever changes what others have. */
export type Actor = { readonly kind: "account" | "key"; readonly name: string };

/** Takes back units of an order. Money moves elsewhere. */
export type Refund = {
  readonly kind: "refund";
  /** Its number: the attempt that sold it. */
  readonly order: number;
  /** Null: all that are left. */
  readonly units: number | null;
  /** Whether they are to be sold again, while the sale is open. */
  readonly restock: boolean;
  readonly reason: string | null;
  readonly by: Actor;
  readonly key: string | null;
  /** Null: nothing was looked up. */
  readonly lookup: OrderLookup | null;
};

/** The parameters that an idempotency key of a refund stands for, in one canonical line. */
export const refundRequestOf = ({ units, restock, reason }: Refund): string =>
  JSON.stringify({ units, restock, reason });

/**
 * What the records say of an order, and of what the key was used for; and up to which attempt they
 * were complete when they were asked.
 */
export type OrderLookup = {
  readonly upTo: number;
  readonly order: ArchivedOrder | null;
  readonly used: { readonly order: number; readonly request: string } | null;
};

export type Command =
  | Checkout
  | Purchase
  | Release
  | Extend
  | Buy
  | Refund
  | ChangeSale
  | Join
  | ChangeQueue
  | Withdraw
  | Restock
  | Milestone
  | WaitlistJoin
  | WaitlistLeave
  | Offer
  | CreateCoupon
  | ChangeCoupon
  | RemoveCoupon
  | Claim;

/** That a unit was sold: by which attempt, which is its order's number, and when. */
export type Sold = {
  readonly seq: number;
  readonly at: number;
  /** The attempt that took it back; null while its buyer owns it. */
  readonly refundedBy: number | null;
};

/** What the records say of an order. */
export type ArchivedOrder = {
  readonly saleId: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  /** In the order in which they were sold. */
  readonly units: readonly { readonly code: string; readonly refundedBy: number | null }[];
};

/** What the records say of a code. */
export type ArchivedCode = {
  /** Number of the attempt that made the reservation. */
  readonly seq: number;
  readonly code: string;
  readonly saleId: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly reservedAt: number;
  readonly key: string | null;
  readonly request: string | null;
  readonly released: boolean;
  /** Set when the code was sold. */
  readonly sold: Sold | null;
};

/** What an idempotency key was used for, and that was sold. */
export type ArchivedKey = Pick<ArchivedCode, "code" | "saleId" | "itemId" | "buyer"> & {
  /** The parameters that the key stands for. */
  readonly request: string;
  readonly reservedAt: number;
  readonly sold: Sold;
};

/** A unit that somebody has, or had: what an answer says of it. */
export type Unit = Pick<Reservation, "code" | "itemId" | "buyer"> & {
  readonly saleId: number;
  /** When it runs out, if it is not sold. */
  readonly expiresAt: number;
  readonly sold: Sold | null;
};

/** A unit that was sold, as the records keep it. */
export type SoldUnit = Unit & {
  readonly unit: number;
  readonly userOrdinal: number;
  readonly itemStock: number;
  readonly userLimit: number;
  /** Number of the attempt that reserved it; the one that sold it, when that was one step. */
  readonly reservedSeq: number;
  readonly key: string | null;
  readonly request: string | null;
};

export type CheckoutOutcome =
  | { readonly word: "reserved" | "reserved_again"; readonly reservation: Unit }
  | {
      readonly word: "item_reserved";
      readonly saleId: number;
      /** When a unit may come free, and when that was said. */
      readonly retryAt: number;
      readonly at: number;
    }
  | {
      readonly word: "sale_not_open";
      readonly saleId: number | null;
      /** When it will open; null when it is over, or nobody knows. */
      readonly opensAt: number | null;
    }
  | {
      readonly word: "user_limit_reached";
      readonly saleId: number;
      /** When a reservation of theirs ends that fills the limit; null when purchases do. */
      readonly retryAt: number | null;
    }
  | NotAdmitted
  | {
      readonly word:
        | "sale_not_found"
        | "item_not_found"
        | "item_sold_out"
        | "sold_out"
        | "price_changed"
        | "unauthenticated"
        | "idempotency_key_reused";
      readonly saleId: number | null;
    }
  | RecordsNeeded;

/** The ledger does not hold what was asked for: look it up in the records, and ask again. */
export type RecordsNeeded = {
  readonly word: "look_up";
  /** What is not told with the command; without: what its code or its key leads to. */
  readonly what?: "claims";
};

/** An outcome that is one: with a number, and in the journal. */
export type Decided<O> = Exclude<O, RecordsNeeded>;

type RefusedPurchase = "sale_ended" | "price_changed" | "code_expired";

export type PurchaseOutcome =
  | { readonly word: "purchased"; readonly of: SoldUnit }
  | { readonly word: "purchased_again" | RefusedPurchase; readonly of: Unit }
  | { readonly word: "code_not_found"; readonly of: null }
  | RecordsNeeded;

export type ReleaseOutcome =
  | {
      readonly word: "released" | "released_again" | "already_purchased";
      readonly of: Unit;
    }
  | { readonly word: "code_not_found"; readonly of: null }
  | RecordsNeeded;

export type ExtendOutcome =
  | {
      readonly word: "extended";
      readonly of: Unit;
      /** When it runs out now, if its sale does not end before. */
      readonly due: number;
    }
  | { readonly word: "already_purchased" | "sale_ended" | "code_expired"; readonly of: Unit }
  | { readonly word: "code_not_found"; readonly of: null }
  | RecordsNeeded;

export type BuyOutcome =
  | { readonly word: "purchased"; readonly units: readonly SoldUnit[] }
  | { readonly word: "purchased_again"; readonly of: Unit }
  | Exclude<CheckoutOutcome, { readonly reservation: Unit }>;

export type OrderStatus = "paid" | "partly_refunded" | "refunded";

/** @param left units that were not taken back, of `units` */
export const orderStatus = (units: number, left: number): OrderStatus =>
  left === units ? "paid" : left === 0 ? "refunded" : "partly_refunded";

/** Units of an order that were taken back together. */
export type Refunded = Pick<ArchivedOrder, "saleId" | "itemId" | "buyer"> & {
  readonly codes: readonly string[];
  /** Whether they are on sale again. */
  readonly restocked: boolean;
  /** What the order was before, and is now. */
  readonly before: OrderStatus;
  readonly after: OrderStatus;
};

export type RefundOutcome =
  | { readonly word: "refunded"; readonly refund: Refunded }
  | {
      readonly word: "refunded_again" | "already_refunded" | "too_many_units";
      readonly saleId: number;
    }
  | { readonly word: "order_not_found" | "idempotency_key_reused"; readonly saleId: null }
  | RecordsNeeded;

type Outcomes = {
  readonly checkout: CheckoutOutcome;
  readonly purchase: PurchaseOutcome;
  readonly release: ReleaseOutcome;
  readonly extend: ExtendOutcome;
  readonly buy: BuyOutcome;
  readonly refund: RefundOutcome;
  readonly change_sale: ChangeSaleOutcome;
  readonly join: JoinOutcome;
  readonly change_queue: ChangeQueueOutcome;
  readonly withdraw: WithdrawOutcome;
  readonly restock: RestockOutcome;
  readonly milestone: MilestoneOutcome;
  readonly waitlist_join: WaitlistJoinOutcome;
  readonly waitlist_leave: WaitlistLeaveOutcome;
  readonly offer: OfferOutcome;
  readonly create_coupon: CreateCouponOutcome;
  readonly change_coupon: ChangeCouponOutcome;
  readonly remove_coupon: RemoveCouponOutcome;
  readonly claim: ClaimOutcome;
};

export type OutcomeOf<C extends Command> = Outcomes[C["kind"]];

export type Outcome = Outcomes[Command["kind"]];

/** Every outcome word that the journal stores. */
export type OutcomeWord = Exclude<Outcome, RecordsNeeded>["word"];
