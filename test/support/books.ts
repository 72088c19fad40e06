/**
 * The writing half of the program inside a test: ledger, journal and writer on a database of
 * the test's, with commits that the test can hold back and reads of claims that are counted.
 */
import type { Sql } from "postgres";
import { Lookups } from "../../src/engine/lookups.ts";
import { BatchWriter, type Writer } from "../../src/engine/writer.ts";
import type { ClaimOutcome, RecordsNeeded } from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import { databaseRecords } from "../../src/store/database-records.ts";
import { listCoupons } from "../../src/store/coupons.ts";
import { openDb } from "../../src/store/db.ts";
import { Journal } from "../../src/store/journal.ts";
import { lastAttempt, recover } from "../../src/store/recovery.ts";
import type { Batch, Records } from "../../src/store/records.ts";
import { lookInto } from "./postgres.ts";
import { inTurn } from "./wait.ts";

const couponsMax = 1_000;

export type Books = {
  readonly sql: Sql;
  readonly ledger: Ledger;
  readonly writer: Writer;
  /** How often claims have been read from the records. */
  readonly loads: () => number;
  /** Batches that have been decided and sent. */
  readonly sent: () => number;
  /** Holds commits back until what it returns is called. */
  readonly shut: () => () => void;
  /** Claims as `POST /api/coupons/claim` does, for a guest. */
  readonly claim: (
    user: string,
    coupon: string,
    key?: string,
  ) => Promise<Exclude<ClaimOutcome, RecordsNeeded>>;
  /** Keeps the claims in memory within their bound, as a term does now and then. */
  readonly tidy: () => Promise<void>;
  /** Puts the claims of every coupon into memory, as if somebody had wanted each of them. */
  readonly loadAll: () => Promise<void>;
};

/** The ledger that a term which began at `now` (ms) would have. */
export async function ledgerOf(sql: Sql, now: number): Promise<Ledger> {
  return await Ledger.restore(await recover(sql, await lastAttempt(sql)), now);
}

/** Recovers what is stored, and is ready to write more. */
export async function openBooks(url: string, clock: () => number): Promise<Books> {
  const sql = lookInto(url);
  const session = lookInto(url, 1);
  const [row] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const ledger = await ledgerOf(sql, clock());
  const journal = new Journal({ sql: session, backendPid: row?.pid ?? 0 });
  let gate: Promise<void> = Promise.resolve();
  let sent = 0;
  const commit = async (batch: Batch): Promise<void> => {
    sent += 1;
    await gate;
    await journal.commit(batch);
  };
  const writer = new BatchWriter(ledger, commit, clock);
  const stored = databaseRecords({
    connection: { url },
    sql,
    schema: 0,
    retentionMs: Infinity,
    exportDir: null,
  });
  let loads = 0;
  const records: Records = {
    ...stored,
    loadClaims: (coupon) => {
      loads += 1;
      return stored.loadClaims(coupon);
    },
  };
  const lookups = new Lookups(records, writer);
  return {
    sql,
    ledger,
    writer,
    loads: () => loads,
    sent: () => sent,
    shut: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    claim: (userId, coupon, key) => {
      const buyer = { kind: "guest", userId } as const;
      return lookups.decide({ kind: "claim", coupon, buyer, key: key ?? null });
    },
    loadAll: async () => {
      const coupons = await listCoupons(openDb(sql), 0, couponsMax);
      await inTurn(coupons, async ({ name }) => {
        const claims = await stored.loadClaims(name);
        await writer.maintain((upkeep) => upkeep.holdClaims(name, claims));
      });
    },
    tidy: () => writer.maintain((upkeep) => upkeep.dropIdleClaims()),
  };
}

/** All that a view shows of its sales, to be compared with another one's. */
export function pictureOf(view: LedgerView): unknown {
  const sales = view.sales().map((terms) => {
    const { id } = terms;
    const checkpoint = view.checkpoint(id);
    return {
      terms,
      totals: view.totals(id),
      free: view.free(id),
      soldOf: view.soldOf(id),
      open: checkpoint?.open.toSorted((a, b) => a.seq - b.seq),
      live: view.endingBy(id, Infinity, Infinity).toSorted((a, b) => (a.code < b.code ? -1 : 1)),
    };
  });
  return { seq: view.seq, now: view.now, sales, claimsHeld: view.claimsHeld };
}
