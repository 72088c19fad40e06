/** What is answered to whoever joins a queue, as it goes over the link. */
import type { JoinOutcome, TicketState } from "../ledger/commands.ts";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { readBuyer, writeBuyer } from "./people.ts";

const ticketStates = ["waiting", "admitted", "passed", "closed"] as const;

export function writeJoinOutcome(to: ByteWriter, outcome: JoinOutcome): void {
  to.nullable(outcome.saleId);
  if (!("ticket" in outcome)) return;
  const { ticket, number, buyer, state, rank, ahead, etaMs, expiresAt } = outcome.ticket;
  to.code(ticket);
  to.number(number);
  writeBuyer(to, buyer);
  to.u8(ticketStates.indexOf(state));
  for (const figure of [rank, ahead, etaMs, expiresAt]) to.nullable(figure);
}

/** @throws FrameError for what no join is answered with */
export function readJoinOutcome(from: ByteReader, word: string): JoinOutcome {
  switch (word) {
    case "joined":
      // Of what it had before only the journal is told.
      return { word, saleId: from.number(), ticket: readTicket(from), supersedes: null };
    case "joined_again":
      return { word, saleId: from.number(), ticket: readTicket(from) };
    case "sale_not_open":
      return { word, saleId: from.number(), opensAt: null };
    case "sale_not_found":
    case "unauthenticated":
    case "no_queue":
    case "already_joined":
    case "sold_out":
    case "queue_full":
      return { word, saleId: from.nullable() };
    default:
      throw new FrameError(`no join is answered with ${word}`);
  }
}

const readTicket = (from: ByteReader): TicketState => ({
  ticket: from.code(),
  number: from.number(),
  buyer: readBuyer(from),
  state: from.oneOf(ticketStates),
  rank: from.nullable(),
  ahead: from.nullable(),
  etaMs: from.nullable(),
  expiresAt: from.nullable(),
});
