/** What a term has done beside selling: sales opened and settled, checkpoints, room. */
import { messageOf } from "../postgres/client.ts";
import { settleAfterMs, type Records, type Term } from "../store/records.ts";
import type { LedgerClock } from "./clock.ts";
import type { Log, Selling, Timers } from "./engine.ts";
import { feedTimeMs, type Feed } from "./feed.ts";
import type { Writer } from "./writer.ts";

const tickMs = 500;
/** A checkpoint of a sale is made after so many attempts on it, … */
const checkpointAttempts = 100_000;
/** … or after so many that changed it, or twice as many as are on its books. */
const checkpointChanges = 20_000;
/** … or after so many on all sales together: a restart counts a sale's own among them. */
export const checkpointRows = 1_000_000;

type UpkeepOptions = {
  readonly records: Records;
  readonly clock: LedgerClock;
  readonly timers: Timers;
  readonly log: Log;
};

export class Upkeep<S extends Selling> {
  readonly #term: Term;
  readonly #writer: Writer;
  readonly #options: UpkeepOptions;
  /** What was noted of each sale in its last checkpoint. */
  readonly #noted = new Map<
    number,
    { readonly attempts: number; readonly changes: number; readonly seq: number }
  >();
  /** The last attempt that there was at the tick before, and the one that was noted as the last. */
  #last = { seen: 0, noted: 0 };
  #ended = false;

  constructor(term: Term, writer: Writer, options: UpkeepOptions) {
    this.#term = term;
    this.#writer = writer;
    this.#options = options;
  }

  /** Until the writer ends. */
  async run(selling: S): Promise<void> {
    const { clock, timers, log } = this.#options;
    const { lost } = this.#writer;
    void this.#notice(lost);
    for (;;) {
      await Promise.race([timers.sleep(tickMs), lost]);
      if (this.#ended) return;
      try {
        await selling.tick(clock.now());
        this.#writer.noteMilestones();
        await this.#checkpoints();
        await this.#makeRoom();
      } catch (error) {
        // The sale that is open goes on; what failed is tried again in the next tick.
        if (!this.#ended) log.warn({ reason: messageOf(error) }, "upkeep failed");
      }
    }
  }

  async #notice(lost: Promise<Error>): Promise<void> {
    await lost;
    this.#ended = true;
  }

  /** Notes where sales stand that have changed much, and settles those that are long over. */
  async #checkpoints(): Promise<void> {
    const { records } = this.#options;
    const due = await this.#writer.read((view) =>
      view.sales().flatMap((sale) => {
        const settled = view.now >= sale.endsAt + settleAfterMs;
        const done = view.activity(sale.id);
        const noted = this.#noted.get(sale.id) ?? { attempts: 0, changes: 0, seq: 0 };
        if (done === null) return [];
        const changes = done.changes - noted.changes;
        const isMuch =
          done.attempts - noted.attempts >= checkpointAttempts ||
          view.seq - noted.seq >= checkpointRows ||
          (changes >= checkpointChanges && changes >= 2 * done.open);
        const checkpoint = settled || isMuch ? view.checkpoint(sale.id) : null;
        return checkpoint === null ? [] : [{ id: sale.id, settled, done, checkpoint }];
      }),
    );
    for (const { id, settled, done, checkpoint } of due) {
      const stored = { ...checkpoint, attempts: done.attempts, settled };
      await records.saveCheckpoint(this.#term.epoch, id, stored);
      this.#noted.set(id, { ...done, seq: checkpoint.seq });
      if (settled) {
        await this.#writer.maintain((ledger) => ledger.settleSale(id));
        this.#noted.delete(id);
      }
    }
  }

  async #makeRoom(): Promise<void> {
    const { clock } = this.#options;
    const [seq, since] = await this.#writer.read(
      (view) => [view.seq, neededSince(view.sales())] as const,
    );
    await this.#term.makeRoom(seq, clock.now(), since);
    await this.#noteEnd(seq);
  }

  /** Where attempts follow each other, each is missed by the next. */
  async #noteEnd(seq: number): Promise<void> {
    const { seen, noted } = this.#last;
    if (seq === seen && seq !== noted) {
      await this.#term.noteEnd(seq);
      this.#last.noted = seq;
    }
    this.#last.seen = seq;
  }
}

/** Start of the earliest sale: a restart may read the journal from there. */
export const neededSince = (sales: readonly { readonly startsAt: number }[]): number =>
  Math.min(...sales.map(({ startsAt }) => startsAt));

/**
 * Tells those who follow the time, until the writer ends; what has come free by then is offered to those
 * who wait for it.
 */
export async function tellTime(
  term: Term,
  feed: Feed,
  writer: Writer,
  { clock, timers }: { readonly clock: LedgerClock; readonly timers: Timers },
): Promise<void> {
  const { lost } = writer;
  const end = { isNear: false };
  void lost.then(() => (end.isNear = true));
  for (;;) {
    await Promise.race([timers.sleep(feedTimeMs), lost]);
    if (end.isNear) return;
    writer.offerDue();
    // Who does not know whether another leads has nothing to tell.
    const confirmed = term.confirm();
    if (confirmed === null) feed.tellTime(clock.now());
    else confirmed.catch(() => {});
  }
}
