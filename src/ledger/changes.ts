/**
 * What happens to a leader's ledger, as those hear of it who keep a replica: what its committed
 * batches changed, the sales that came and went, and the time. Of what was refused only the count
 * is told. A change is plain data, so that it can be sent.
 */
import type { Buyer } from "./buyers.ts";
import type {
  Buy,
  ChangeQueue,
  Command,
  Join,
  Offer,
  Outcome,
  Unit,
  WaitlistJoin,
  WaitlistLeave,
} from "./commands.ts";
import type { ClaimMade, CouponFigures, StoredCoupon } from "./coupons.ts";
import { requestOf } from "./keys.ts";
import type { RateChange } from "./queue.ts";
import type { Sale } from "./sale.ts";

/** An attempt that changed the state of a sale, as the journal keeps it; `offered`: of kind `offer`. */
export type EffectiveAttempt = {
  readonly seq: number;
  readonly at: number;
  readonly word: "reserved" | "offered" | "purchased" | "released";
  readonly saleId: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly code: string;
  readonly key: string | null;
  readonly request: string | null;
  /** Units bought in one go; null for a purchase of a code. */
  readonly quantity: number | null;
};

/** A reservation that was made to end at `due`, as the records keep it beside the journal. */
type RecordedExtension = {
  readonly seq: number;
  readonly at: number;
  readonly word: "extended";
  readonly saleId: number;
  readonly code: string;
  readonly due: number;
};

/** Units that were taken back, as the records keep it beside the journal. */
type RecordedRefund = {
  readonly seq: number;
  readonly at: number;
  readonly word: "refunded";
  readonly saleId: number;
  readonly codes: readonly string[];
  /** Whether they are on sale again. */
  readonly restocked: boolean;
};

/** Units that were added to an item, as the journal keeps it. */
type RecordedRestock = {
  readonly seq: number;
  readonly at: number;
  readonly word: "restocked";
  readonly saleId: number;
  readonly itemId: number;
  readonly units: number;
};

/** What was done to a waiting list beside an offer, as the journal keeps it. */
type RecordedWait =
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "waiting";
      readonly saleId: number;
      readonly buyer: Buyer;
      readonly item: number | "any";
    }
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "left";
      readonly saleId: number;
      readonly buyer: Buyer;
    }
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "offer_lapsed";
      readonly saleId: number;
      readonly code: string;
    };

/** What is read back of the journal, and of what is kept beside it. */
export type RecordedChange =
  EffectiveAttempt | RecordedExtension | RecordedRefund | RecordedRestock | RecordedWait;

/** Somebody joined a queue, as the records keep it. */
export type RecordedTicket = {
  readonly saleId: number;
  /** In the order of joining, from 1. */
  readonly number: number;
  readonly at: number;
  readonly buyer: Buyer;
  readonly ticket: string;
  readonly key: string | null;
};

/** A queue was let in at another rate from then on, as the records keep it. */
export type RecordedRate = RateChange & { readonly saleId: number };
/** … and, of a pause, how many had joined by then, for they are read before it; null of others. */
export type CountedRate = RecordedRate & { readonly joined: number | null };

/** What one attempt changed. */
export type Effect =
  | (EffectiveAttempt & {
      /** Of units bought in one go, the codes of those that the buyer had reserved. */
      readonly own: readonly string[];
    })
  | RecordedExtension
  | RecordedRefund
  | RecordedRestock
  | RecordedWait
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "sale_changed";
      readonly saleId: number;
      readonly startsAt: number;
      readonly endsAt: number;
      readonly closed: boolean;
    }
  | (RecordedTicket & { readonly seq: number; readonly word: "joined" })
  | (RecordedRate & { readonly seq: number; readonly word: "queue_changed" })
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "withdrawn";
      readonly saleId: number;
    }
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "coupon_created";
      readonly coupon: CouponFigures;
    }
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "coupon_changed";
      readonly coupon: StoredCoupon;
    }
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "coupon_removed";
      readonly coupon: string;
    }
  | {
      readonly seq: number;
      readonly at: number;
      readonly word: "claimed";
      readonly claim: ClaimMade;
      readonly key: string | null;
    };

/** What is true of every change: the last attempt decided before it or in it, and when, ms. */
type Moment = { readonly seq: number; readonly at: number };

/** What happened to a leader's ledger; in the order in which it happened. */
export type LedgerChange =
  | (Moment & {
      readonly kind: "batch";
      /** Its attempts are those from here to `seq`. */
      readonly firstSeq: number;
      readonly effects: readonly Effect[];
      /** How many attempts there have been by now on each sale that was named. */
      readonly attempts: readonly (readonly [saleId: number, attempts: number])[];
    })
  /** A sale came, or the one of its id was replaced before it opened. */
  | (Moment & { readonly kind: "sale"; readonly terms: Sale; readonly attempts: number })
  | (Moment & { readonly kind: "settled"; readonly saleId: number })
  /** Nothing happened. */
  | (Moment & { readonly kind: "time" });

/** What is told does not follow on what is there: a replica has to be restored anew. */
export class GapError extends Error {}

/**
 * What a batch changed.
 * @param firstSeq the first attempt's number; outcomes that ask for the records have none
 * @param at the time of every decision in it, ms
 */
export function effectsOf(
  firstSeq: number,
  at: number,
  commands: readonly Command[],
  outcomes: readonly Outcome[],
): Effect[] {
  const effects: Effect[] = [];
  let seq = firstSeq;
  commands.forEach((command, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined || outcome.word === "look_up") return;
    const effect = effectOf(seq, at, command, outcome);
    if (effect !== null) effects.push(effect);
    seq += 1;
  });
  return effects;
}

function effectOf(seq: number, at: number, command: Command, outcome: Outcome): Effect | null {
  const { word } = outcome;
  if (command.kind === "milestone") return null;
  // The ledger answers a command with one of its own outcomes.
  switch (command.kind) {
    case "checkout": {
      if (word !== "reserved") return null;
      const { key } = command;
      const made = { ...nothing, key, request: key === null ? null : requestOf(command) };
      return { seq, at, word, ...ofUnit(outcome.reservation), ...made };
    }
    case "purchase": {
      if (word !== "purchased" || !("of" in outcome)) return null;
      const { key, request } = outcome.of;
      return { seq, at, word, ...ofUnit(outcome.of), ...nothing, key, request };
    }
    case "release":
      return word === "released" ? { seq, at, word, ...ofUnit(outcome.of), ...nothing } : null;
    case "extend": {
      if (word !== "extended") return null;
      const { saleId, code } = outcome.of;
      return { seq, at, word, saleId, code, due: outcome.due };
    }
    case "buy":
      return word === "purchased" && "units" in outcome
        ? boughtInOneGo(seq, at, command, outcome.units)
        : null;
    case "refund": {
      if (word !== "refunded") return null;
      const { saleId, codes, restocked } = outcome.refund;
      return { seq, at, word, saleId, codes, restocked };
    }
    case "change_sale": {
      if (word !== "sale_changed") return null;
      const { saleId, startsAt, endsAt, closed } = outcome;
      return { seq, at, word, saleId, startsAt, endsAt, closed };
    }
    case "withdraw":
      return word === "withdrawn" ? { seq, at, word, saleId: command.saleId } : null;
    case "restock": {
      const { saleId, itemId, units } = command;
      return word === "restocked" ? { seq, at, word, saleId, itemId, units } : null;
    }
    case "join":
    case "change_queue":
      return queueEffectOf(seq, at, command, outcome);
    case "waitlist_join":
    case "waitlist_leave":
    case "offer":
      return waitingEffectOf(seq, at, command, outcome);
    case "create_coupon":
      return word === "coupon_created" ? { seq, at, word, coupon: outcome.coupon } : null;
    case "change_coupon":
      return word === "coupon_changed" ? { seq, at, word, coupon: outcome.coupon } : null;
    case "remove_coupon":
      return word === "coupon_removed" ? { seq, at, word, coupon: command.coupon } : null;
    case "claim":
      return word === "claimed" ? { seq, at, word, claim: outcome.claim, key: command.key } : null;
    default:
      return command satisfies never;
  }
}

function queueEffectOf(
  seq: number,
  at: number,
  command: Join | ChangeQueue,
  outcome: Outcome,
): Effect | null {
  const { word } = outcome;
  if (command.kind === "join") {
    if (word !== "joined") return null;
    const { saleId, ticket: given } = outcome;
    const { number, buyer, ticket } = given;
    return { seq, at, word, saleId, number, buyer, ticket, key: command.key };
  }
  if (word !== "queue_changed") return null;
  const { saleId, admitPerSecond, paused } = outcome;
  return { seq, at, word, saleId, admitPerSecond, paused };
}

function waitingEffectOf(
  seq: number,
  at: number,
  command: WaitlistJoin | WaitlistLeave | Offer,
  outcome: Outcome,
): Effect | null {
  const { word } = outcome;
  switch (command.kind) {
    case "waitlist_join": {
      if (word !== "waiting") return null;
      const { buyer, item } = command;
      return { seq, at, word, saleId: outcome.saleId, buyer, item };
    }
    case "waitlist_leave":
      return word === "left"
        ? { seq, at, word, saleId: outcome.saleId, buyer: command.buyer }
        : null;
    case "offer": {
      if (word === "reserved") {
        return { seq, at, word: "offered", ...ofUnit(outcome.reservation), ...nothing };
      }
      if (word !== "offer_lapsed") return null;
      const { saleId, code } = outcome.of;
      return { seq, at, word, saleId, code };
    }
    default:
      return command satisfies never;
  }
}

function boughtInOneGo(seq: number, at: number, command: Buy, units: readonly Unit[]): Effect {
  const [first] = units;
  if (first === undefined) throw new Error(`attempt ${seq} bought nothing`);
  const { code, key, quantity } = command;
  const codes = units.map((unit) => unit.code);
  const fresh = codes.indexOf(code);
  const own = fresh === -1 ? codes : codes.slice(0, fresh);
  const request = key === null ? null : requestOf(command);
  return { seq, at, word: "purchased", ...ofUnit(first), code, key, request, quantity, own };
}

/** What an effect may lack. */
const nothing = { key: null, request: null, quantity: null, own: [] };

const ofUnit = ({ code, saleId, itemId, buyer }: Unit) => ({ code, saleId, itemId, buyer });
