/** What is written of waiting lists: the attempts, and what was offered. */
import type {
  Offer,
  OfferOutcome,
  WaitlistJoin,
  WaitlistJoinOutcome,
  WaitlistLeave,
  WaitlistLeaveOutcome,
} from "../ledger/commands.ts";
import { nothing, ofAttempt, storableItem, type attempt } from "./journal-rows.ts";
import { none, quote, type RowOf } from "./rows.ts";

export const offer = {
  into: "offers",
  columns: { nth: "int", sale_id: "int", joined_seq: "bigint", ordinal: "int" },
  derived: { seq: ofAttempt.seq },
} as const;

/** Of somebody who waits, or does no more. */
export const waitAttempt = (
  nth: number,
  command: WaitlistJoin | WaitlistLeave,
  { word, saleId }: WaitlistJoinOutcome | WaitlistLeaveOutcome,
): RowOf<typeof attempt> => ({
  ...nothing,
  nth,
  kind: command.kind,
  outcome: word,
  sale_id: saleId ?? none,
  item_id:
    command.kind === "waitlist_leave" || command.item === "any" ? none : storableItem(command.item),
  buyer: command.buyer.kind,
  user_id: quote(command.buyer.userId),
});

/** As of a reservation. */
export function offerAttempt(
  nth: number,
  { kind }: Offer,
  outcome: OfferOutcome,
): RowOf<typeof attempt> {
  const of = outcome.word === "reserved" ? outcome.reservation : outcome.of;
  return {
    ...nothing,
    nth,
    kind,
    outcome: outcome.word,
    sale_id: of.saleId,
    item_id: of.itemId,
    buyer: of.buyer.kind,
    user_id: quote(of.buyer.userId),
    code: of.code,
  };
}
