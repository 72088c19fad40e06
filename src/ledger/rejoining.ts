/** Queues as they are read back, or told: what was decided of them is done again. */
import { type CountedRate, GapError, type RecordedRate, type RecordedTicket } from "./changes.ts";
import type { Queue } from "./queue.ts";
import type { Checkpoint } from "./recorded.ts";
import type { LedgerState } from "./state.ts";

/** @throws GapError when somebody who joined before is missing */
export function rejoin(
  state: LedgerState,
  { saleId, number, at, ticket, buyer, key }: RecordedTicket,
): void {
  const given = queueOf(state, saleId).join({ ticket, buyer, key }, at);
  if (given !== number) {
    throw new GapError(`sale ${saleId}: ticket ${number} comes after ${given - 1} others`);
  }
}

/** In the order in which it was decided, or with how many had joined by then. */
export function resetRate(state: LedgerState, rate: RecordedRate | CountedRate): void {
  const { saleId, at, admitPerSecond, paused } = rate;
  const queue = queueOf(state, saleId);
  const joined = "joined" in rate ? rate.joined : null;
  queue.change({ admitPerSecond, paused }, at, joined ?? queue.tickets.count);
}

/** What a checkpoint says of when the buyers of tickets were active last. */
export function noteActiveAgain(
  state: LedgerState,
  saleId: number,
  active: Checkpoint["active"],
): void {
  for (const [number, at] of active) queueOf(state, saleId).tickets.noteActive(number, at);
}

/** @throws Error for a sale without one */
function queueOf(state: LedgerState, saleId: number): Queue {
  const queue = state.sales.get(saleId)?.queue;
  if (queue == null) throw new Error(`sale ${saleId} has no queue, and somebody has joined it`);
  return queue;
}
