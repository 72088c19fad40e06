/** What is answered to whoever waits, or leaves, as it goes over the link. */
import type { WaitlistJoinOutcome, WaitlistLeaveOutcome } from "../ledger/commands.ts";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";

export function writeWaitlistJoinOutcome(to: ByteWriter, outcome: WaitlistJoinOutcome): void {
  to.nullable(outcome.saleId);
  if (outcome.word === "sale_not_open") to.nullable(outcome.opensAt);
  if (outcome.word === "not_admitted") {
    to.nullable(outcome.ahead);
    to.number(outcome.retryMs);
  }
}

/** @throws FrameError for what nobody who would wait is answered with */
export function readWaitlistJoinOutcome(from: ByteReader, word: string): WaitlistJoinOutcome {
  switch (word) {
    case "waiting":
    case "waiting_again":
      return { word, saleId: from.number() };
    case "sale_not_open":
      return { word, saleId: from.number(), opensAt: from.nullable() };
    case "user_limit_reached":
      return { word, saleId: from.number(), retryAt: null };
    case "not_admitted":
      return { word, saleId: from.number(), ahead: from.nullable(), retryMs: from.number() };
    case "sale_not_found":
    case "unauthenticated":
    case "item_not_found":
    case "available":
    case "too_many_lines":
    case "waitlist_full":
      return { word, saleId: from.nullable() };
    default:
      throw new FrameError(`nobody who would wait is answered with ${word}`);
  }
}

/** @throws FrameError for what nobody who leaves is answered with */
export function readWaitlistLeaveOutcome(from: ByteReader, word: string): WaitlistLeaveOutcome {
  switch (word) {
    case "left":
    case "not_waiting":
      return { word, saleId: from.number() };
    case "sale_not_found":
      return { word, saleId: from.nullable() };
    default:
      throw new FrameError(`nobody who leaves a line is answered with ${word}`);
  }
}
