/**
 * The ledger of a term that begins: a replica's, with what that does not have yet, so that it takes
 * no longer the more was sold; or, without one, what is read of all the records.
 */
import { Ledger, type Replica } from "../ledger/ledger.ts";
import type { Draws } from "../ledger/queue.ts";
import { messageOf } from "../postgres/client.ts";
import type { Term } from "../store/records.ts";
import type { StoredSale } from "../store/sales.ts";
import type { Reader } from "./current-writer.ts";
import type { Log } from "./engine.ts";

/** How queues are drawn, which a process knows for as long as it lives, whoever leads. */
export type DrawsKept = Draws & {
  /** Draws what has opened, until the process ends. */
  run(from: () => DrawnFrom | null, signal: AbortSignal): Promise<void>;
};

/** What can be read to draw from; with the term of whoever leads, for they note what came of it. */
export type DrawnFrom = Reader & { readonly epoch: number | null };

/** @returns null when nothing can be read */
export function drawnFrom(process: {
  readonly reader: Reader | null;
  readonly role: { readonly name: string; readonly epoch: number | null };
}): DrawnFrom | null {
  const { reader, role } = process;
  if (reader === null) return null;
  return { read: (use) => reader.read(use), epoch: role.name === "leader" ? role.epoch : null };
}

type TakenOver = {
  readonly ledger: Ledger;
  /** Of the sales that were read for it. */
  readonly catalogues: readonly StoredSale[];
  /** What it was made from, for whoever runs the program. */
  readonly from: string;
};

type TakeOverOptions = { readonly log: Log; readonly draws: Draws };

/**
 * The ledger, which knows of its sales how far their lives are noted.
 * @throws Error when the records contradict themselves: nothing may be sold from them
 */
export async function takeOver(
  term: Term,
  replica: Replica | null,
  now: number,
  options: TakeOverOptions,
): Promise<TakenOver> {
  const taken = await ledgerOf(term, replica, now, options);
  const held = taken.ledger.view(now).sales();
  taken.ledger.noteMilestones(await term.notedLives(held.map(({ id }) => id)));
  return taken;
}

async function ledgerOf(
  term: Term,
  replica: Replica | null,
  now: number,
  { log, draws }: TakeOverOptions,
): Promise<TakenOver> {
  if (replica !== null) {
    try {
      const since = await term.recoverSince(replica.upTo);
      await replica.catchUp(since);
      const { catalogues } = since;
      return { ledger: replica.promote(now), catalogues, from: "the replica" };
    } catch (error) {
      log.warn({ reason: messageOf(error) }, "the replica is of no use; reading the records");
    }
  }
  const recovered = await term.recover();
  const { catalogues } = recovered;
  return { ledger: await Ledger.restore(recovered, now, draws), catalogues, from: "the records" };
}
