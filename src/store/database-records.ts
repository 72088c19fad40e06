/** The records in PostgreSQL: what of `records.ts` is done where. */
import type { ISql, Sql } from "postgres";
import { isRefused, messageOf, type Connection } from "../postgres/client.ts";
import { isSilence } from "../postgres/deadline.ts";
import { findChange } from "./activity.ts";
import { findCode, findKeys, findRefundable } from "./archive.ts";
import { findAsked, isCommitted } from "./asked.ts";
import { saveCheckpoint } from "./checkpoints.ts";
import { loadClaims } from "./coupons.ts";
import { Journal } from "./journal.ts";
import { beginTerm, lead, noteEnd, type Leadership } from "./leadership.ts";
import { thisMoment } from "./lease.ts";
import { Partitions, type Retention } from "./partitions.ts";
import { deleteProduct, insertProductSale, replaceProductSale } from "./product-sales.ts";
import { findDraw, noteDraw } from "./queues.ts";
import { notedLives } from "./milestones.ts";
import { lastAttempt, readPurchases, recover, recoverSince, settleByTime } from "./recovery.ts";
import { NotWrittenError, type Records, type Term } from "./records.ts";
import { findHourly, loadSales, storeSale } from "./sales.ts";
import { StrayTickets } from "./stray-tickets.ts";

type RecordsOptions = Retention & {
  readonly connection: Connection;
  /** For everything but the journal and the lock. */
  readonly sql: Sql;
  /** For what is looked up for somebody who waits; without it, the same. */
  readonly lookingUp?: Sql;
  /** The newest migration that this program knows, as drizzle numbers it. */
  readonly schema: number;
  /** Called when PostgreSQL does not answer on the connection with the lock: others are as dead. */
  readonly onSilence?: (reason: Error) => void;
};

export function databaseRecords(options: RecordsOptions): Records {
  const { connection, sql, lookingUp = sql, schema, onSilence } = options;
  const notice = (reason: unknown): void => {
    if (reason instanceof Error && isSilence(reason)) onSilence?.(reason);
  };
  return {
    async lead(...given) {
      try {
        const leadership = await lead(connection, schema, ...given);
        if (leadership === null) return null;
        void leadership.lost.then(notice);
        return await termOf(leadership, options);
      } catch (error) {
        notice(error);
        throw error;
      }
    },
    snapshot: (use) =>
      inSnapshot(sql, async (at) => await use(await recover(at, await lastAttempt(at)))),
    snapshotSince: (from, use) =>
      inSnapshot(sql, async (at) => await use(await recoverSince(at, from, await lastAttempt(at)))),
    purchases: (ids, since, upTo) => readPurchases(sql, ids, since, upTo),
    findCode: (code) => findCode(lookingUp, code),
    findAsked: (seq, ids) => findAsked(sql, seq, ids),
    findChange: (asked) => findChange(sql, asked),
    isCommitted: (epoch, last) => isCommitted(sql, epoch, last),
    findKeys: (asked) => findKeys(lookingUp, asked),
    findRefundable: (asked) => findRefundable(lookingUp, asked),
    loadClaims: (coupon) => loadClaims(lookingUp, coupon),
    loadSales: (ids) => loadSales(sql, ids),
    findHourly: (startsAt) => findHourly(sql, startsAt),
    findDraw: (saleId) => findDraw(sql, saleId),
    noteDraw: (epoch, saleId, draw) => noteDraw(sql, epoch, saleId, draw),
    storeSale: (sale, seq) => storeSale(sql, sale, seq),
    saveCheckpoint: (epoch, saleId, checkpoint) => saveCheckpoint(sql, epoch, saleId, checkpoint),
    insertProductSale: (epoch, sale, seq, by) => insertProductSale(sql, epoch, sale, seq, by),
    replaceProductSale: (epoch, present, change, now, by) =>
      replaceProductSale(sql, epoch, present, change, now, by),
    deleteProduct: (epoch, id, now, by) => deleteProduct(sql, epoch, id, now, by),
  };
}

/** What a leader does in its term, by the connection that has the lock and by others. */
async function termOf(leadership: Leadership, options: RecordsOptions): Promise<Term> {
  const { sql } = options;
  const { session, confirmed, ...term } = leadership;
  const { epoch } = term;
  const journal = new Journal(session);
  const partitions = new Partitions(sql, options);
  const strays = new StrayTickets(sql);
  try {
    const last = await lastAttempt(sql);
    return {
      ...term,
      lastAt: last.at,
      begin: async (now) => {
        await beginTerm(session, epoch, last.seq, now);
        await settleByTime(sql, now, last);
      },
      recover: () => recover(sql, last),
      recoverSince: (from) => recoverSince(sql, from, last),
      notedLives: (saleIds) => notedLives(sql, saleIds),
      commit: async (batch) => {
        const sentAt = thisMoment();
        await journal.commit(batch).catch(notWritten);
        confirmed(sentAt);
        if (journal.hasWithdrawn) strays.found();
      },
      makeRoom: async (seq, now, neededSince) => {
        // Nobody waits for it.
        void strays.drop();
        await partitions.ensure(seq, now, neededSince);
      },
      noteEnd: (seq) => noteEnd(sql, epoch, seq),
    };
  } catch (error) {
    await term.end();
    throw error;
  }
}

function notWritten(error: unknown): never {
  throw isRefused(error) ? new NotWrittenError(messageOf(error), { cause: error }) : error;
}

/** Has something read as it is at one moment. */
async function inSnapshot<T>(sql: Sql, read: (at: ISql) => Promise<T>): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  await sql.begin("isolation level repeatable read read only", async (at) => {
    resolve(await read(at));
  });
  return await promise;
}
