/**
 * The writing half of the program inside a test: ledger, journal and writer on a database of
 * the test's, with commits that the test can hold back and reads of claims that are counted.
 */
import type { Sql } from "postgres";
import { Claims } from "../../src/engine/claims.ts";
import type { ClaimOutcome, Command } from "../../src/ledger/commands.ts";
import type { LedgerState } from "../../src/ledger/state.ts";
import { Journal } from "../../src/store/journal.ts";
import { recover } from "../../src/store/recovery.ts";
import { Writer } from "../../src/engine/writer.ts";
import { lookInto } from "../support/postgres.ts";

/** A journal whose commits wait while its gate is shut. */
class GatedJournal extends Journal {
  gate: Promise<void> = Promise.resolve();

  override async commit(at: number): Promise<void> {
    await this.gate;
    await super.commit(at);
  }
}

/** A writer that counts who has asked to read, whether they wait or not. */
class WatchedWriter extends Writer {
  reads = 0;

  override read<T>(use: (state: LedgerState, waiting: Iterable<Command>) => T): Promise<T> {
    this.reads += 1;
    return super.read(use);
  }
}

export type Books = {
  readonly sql: Sql;
  readonly state: LedgerState;
  readonly writer: WatchedWriter;
  readonly claims: Claims;
  /** How often claims have been read from the records. */
  readonly loads: () => number;
  /** Holds commits back until what it returns is called. */
  readonly shut: () => () => void;
  /** Claims as `POST /api/coupons/claim` does. */
  readonly claim: (user: string, coupon: string, key?: string) => Promise<ClaimOutcome>;
};

/** Recovers what is stored, and is ready to write more. */
export async function openBooks(url: string, clock: () => number): Promise<Books> {
  const sql = lookInto(url);
  const session = lookInto(url, 1);
  const [row] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const { state } = await recover(sql, clock());
  const journal = new GatedJournal({ sql: session, backendPid: row?.pid ?? 0 });
  const writer = new WatchedWriter(state, journal, clock);
  let loads = 0;
  const counted = new Proxy(sql, {
    apply: (target, self, args: unknown[]): unknown => {
      if (Array.isArray(args[0]) && args[0].join("?").includes("from claims")) loads += 1;
      return Reflect.apply(target, self, args);
    },
  });
  const claims = new Claims(counted, writer);
  const shut = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    journal.gate = promise;
    return resolve;
  };
  const claim = async (userId: string, name: string, key?: string): Promise<ClaimOutcome> => {
    const coupon = writer.coupon(name);
    if (coupon?.claims === null) await claims.load(coupon);
    return await writer.submit({ kind: "claim", coupon: name, userId, key: key ?? null });
  };
  return { sql, state, writer, claims, loads: () => loads, shut, claim };
}
