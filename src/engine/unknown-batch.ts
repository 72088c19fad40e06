/**
 * A batch that was being committed when its writer ended, so that nobody here knows whether it is
 * committed. That is decided for good once somebody has the lock again: the next term notes after
 * which attempt it begins, and nothing of an earlier one is written after that. So whoever waits need
 * not be sent away: what was committed is answered as it was decided, and what was not goes to
 * whoever leads next, and is decided there for the first time.
 */
import type { Records, SentAttempt } from "../store/records.ts";
import type { PendingBatch } from "./pending-batch.ts";
import { OutcomeUnknownError } from "./writer.ts";

const lookEveryMs = 50;
/** What one look takes at least, before it is given up. */
const lookMsMin = 1_000;

/** A batch, its term, and its last attempt. */
type UnknownBatch = {
  readonly batch: PendingBatch;
  readonly epoch: number;
  readonly last: SentAttempt;
};

type UnknownBatchOptions = {
  readonly records: Pick<Records, "isCommitted">;
  readonly sleep: (ms: number) => Promise<void>;
  /** ms of a clock that only goes on. */
  readonly monotonic: () => number;
  /** Of the batch's age, ms: then nobody can tell in time. */
  readonly giveUpMs: number;
  /** Has whoever leads next decide what was not. */
  readonly handOver: (batch: PendingBatch) => void;
};

/** Answers it, has it decided, or refuses it when there is no telling in time. */
export async function settleUnknown(
  { batch, epoch, last }: UnknownBatch,
  { records, sleep, monotonic, giveUpMs, handOver }: UnknownBatchOptions,
): Promise<void> {
  const dueAt = Math.max(batch.begunAt + giveUpMs, monotonic() + lookMsMin);
  while (monotonic() < dueAt) {
    const late = sleep(dueAt - monotonic()).then(() => null);
    const found = records.isCommitted(epoch, last).catch(() => null);
    const isCommitted = await Promise.race([found, late]);
    if (isCommitted !== null) return isCommitted ? batch.answer() : handOver(batch);
    await sleep(lookEveryMs);
  }
  batch.refuse(new OutcomeUnknownError("the lead was lost, and nobody can tell what was decided"));
}
