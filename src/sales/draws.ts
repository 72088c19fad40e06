/**
 * The draws of the queues that this process has in its ledger or its replica, each made once, when the
 * sale opens. Whoever leads draws, and notes in the records what came of it before anybody is told.
 * Every other process, and every later leader, draws for itself: from the records' seed and everybody's
 * tickets follows the same, and where it should not, nobody is let in by it. Until it is drawn nobody
 * is let in at all; whoever joins meanwhile stands behind.
 *
 * What can be done before is: the public names of the tickets are hashed as they come. The seed is
 * read when the sale has opened, and is nowhere in this process before.
 */
import type { Reader } from "../engine/current-writer.ts";
import type { Log, Timers } from "../engine/engine.ts";
import type { DrawnFrom, DrawsKept } from "../engine/take-over.ts";
import { messageOf } from "../postgres/client.ts";
import type { Records } from "../store/records.ts";
import type { NewQueue, NotedDraw } from "../store/queues.ts";
import { drawing, entryBytes, type Drawn } from "./draw.ts";

const lookEveryMs = 250;
/** Tickets that are hashed between two looks, while nobody waits for it. */
const aheadMax = 16_384;
/** … in one turn of the event loop: about two milliseconds' worth. */
const hashedPerTurn = 2_048;

/** How long a pass is good without a reservation or a purchase, where nobody says otherwise. */
export const passTtlMsUsual = 600_000;
export const [passTtlMsMin, passTtlMsMax] = [1, 86_400_000];
/** Let in a second, as above. */
export const admitPerSecondUsual = 200;

/** A queue as it is announced. */
export type AnnouncedQueue = Omit<NewQueue, "seed">;

/** Makes 32 random bytes, in hex. */
export type NewSeed = () => string;

export const randomSeed: NewSeed = () => crypto.getRandomValues(new Uint8Array(32)).toHex();

type Parts = {
  readonly records: Pick<Records, "findDraw" | "noteDraw">;
  readonly timers: Timers;
  readonly log: Log;
};

/** A queue that is coming or open. */
type Gathered = {
  readonly id: number;
  /** Who joined before the opening, as far as they have. */
  readonly gathered: number;
  /** The last attempt that is committed. */
  readonly seq: number;
  readonly hasOpened: boolean;
  /** Until it opens, ms. */
  readonly opensInMs: number;
};

export class Draws implements DrawsKept {
  readonly #parts: Parts;
  readonly #drawn = new Map<number, Drawn>();
  readonly #entries = new Map<number, Entries>();
  /** Sales whose draw is another one than was noted. */
  readonly #refused = new Set<number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  ranks(saleId: number): Uint32Array | null {
    return this.#drawn.get(saleId)?.ranks ?? null;
  }

  /** What was drawn of a sale; null before it is, and for one that is held no more. */
  of(saleId: number): Drawn | null {
    return this.#drawn.get(saleId) ?? null;
  }

  /** Draws what has opened, as long as the process lives. @param from what can be read, if anything */
  async run(from: () => DrawnFrom | null, signal: AbortSignal): Promise<void> {
    const { timers, log } = this.#parts;
    const stopped = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => stopped.resolve());
    let waitMs = lookEveryMs;
    while (!signal.aborted) {
      await Promise.race([timers.sleep(waitMs), stopped.promise]);
      const source = from();
      if (source === null || signal.aborted) continue;
      try {
        waitMs = await this.#look(source);
      } catch (error) {
        waitMs = lookEveryMs;
        log.warn({ reason: messageOf(error) }, "the queues are looked at again");
      }
    }
  }

  /** @returns when to look again, ms */
  async #look(from: DrawnFrom): Promise<number> {
    const queues = await from.read((view) =>
      view.sales().flatMap((sale): Gathered[] => {
        const queue = view.queue(sale.id);
        if (queue === null) return [];
        const opensInMs = sale.startsAt - view.now;
        const { gathered } = queue;
        return [{ id: sale.id, gathered, seq: view.seq, hasOpened: opensInMs <= 0, opensInMs }];
      }),
    );
    const held = new Set(queues.map(({ id }) => id));
    for (const map of [this.#drawn, this.#entries]) {
      for (const id of map.keys()) if (!held.has(id)) map.delete(id);
    }
    let waitMs = lookEveryMs;
    for (const queue of queues.filter(({ id }) => !this.#drawn.has(id) && !this.#refused.has(id))) {
      if (queue.hasOpened) await this.#draw(from, queue);
      else {
        await this.#hash(from, queue, aheadMax);
        waitMs = Math.min(waitMs, queue.opensInMs);
      }
    }
    return waitMs;
  }

  /** Hashes tickets that were not, at most so many. */
  async #hash(from: Reader, { id, gathered }: Gathered, max: number): Promise<Entries> {
    const entries = this.#entries.get(id) ?? new Entries();
    this.#entries.set(id, entries);
    const upTo = Math.min(gathered, entries.count + max);
    while (entries.count < upTo) {
      const after = entries.count;
      const some = Math.min(hashedPerTurn, upTo - after);
      const tickets = await from.read((view) => view.ticketsAfter(id, after, some));
      if (tickets.length === 0) throw new Error(`the tickets of sale ${id} are not there`);
      entries.add(tickets);
      await this.#turn();
    }
    return entries;
  }

  async #draw(from: DrawnFrom, queue: Gathered): Promise<void> {
    const { records, log } = this.#parts;
    const { id, seq } = queue;
    const { epoch } = from;
    const found = await records.findDraw(id);
    if (found === null) throw new Error(`sale ${id} has no seed`);
    // Whoever leads draws first, for they know for certain who has joined.
    if (found.noted === null && epoch === null) return;
    const gathered = found.noted?.drawn ?? queue.gathered;
    const entries = await this.#hash(from, { ...queue, gathered }, Infinity);
    const startedAt = performance.now();
    const steps = drawing(found.seed, entries.first(gathered));
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) await this.#turn();
    const drawn = step.value;
    const { entriesDigest } = drawn;
    const ms = Math.round(performance.now() - startedAt);
    const noted =
      epoch === null
        ? found.noted
        : await records.noteDraw(epoch, id, { entriesDigest, drawn: gathered, seq });
    if (!isOf(noted, drawn)) {
      this.#refused.add(id);
      log.error(
        { sale: id, noted, entriesDigest },
        "a sale is not drawn as it was; nobody is let in",
      );
      return;
    }
    this.#drawn.set(id, drawn);
    this.#entries.delete(id);
    log.info({ sale: id, drawn: gathered, ms }, "drawn");
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#parts.timers.nextTurn(resolve));
  }
}

const isOf = (noted: NotedDraw | null, { entriesDigest, ranks }: Drawn): boolean =>
  noted?.entriesDigest === entriesDigest && noted.drawn === ranks.length;

/** The public names of tickets, in their order. */
export class Entries {
  #bytes = new Uint8Array(entryBytes * 1_024);
  count = 0;

  /** @param tickets the next ones */
  add(tickets: readonly string[]): void {
    const count = this.count + tickets.length;
    if (count * entryBytes > this.#bytes.length) {
      const grown = new Uint8Array(2 * count * entryBytes);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    for (const ticket of tickets) {
      const to = this.count * entryBytes;
      Bun.SHA256.hash(ticket, this.#bytes.subarray(to, to + entryBytes));
      this.count += 1;
    }
  }

  /** The first ones, which stay as they are. No copy: of a million it would hold the thread for 30 ms. */
  first(count: number): Uint8Array {
    return this.#bytes.subarray(0, count * entryBytes);
  }
}

/** The public name of a ticket. */
export const entryOf = (ticket: string): string => Bun.SHA256.hash(ticket, "hex");
