/** The records in PostgreSQL: what of `records.ts` is done where. */
import type { Sql } from "postgres";
import type { Connection } from "../postgres/client.ts";
import { saveCheckpoint } from "./checkpoints.ts";
import { loadClaims } from "./coupons.ts";
import { Journal } from "./journal.ts";
import { beginTerm, lead } from "./leadership.ts";
import { Partitions } from "./partitions.ts";
import {
  deleteProduct,
  insertProductSale,
  productSaleIds,
  replaceProductSale,
} from "./product-sales.ts";
import { lastAttempt, recover, settleByTime } from "./recovery.ts";
import type { Records } from "./records.ts";
import { findCode, findHourly, loadSales, storeSale } from "./sales.ts";

export function databaseRecords(options: {
  readonly connection: Connection;
  /** For everything but the journal and the lock. */
  readonly sql: Sql;
  /** The newest migration that this program knows, as drizzle numbers it. */
  readonly schema: number;
  /** Age after which attempts may be dropped, ms; Infinity keeps them. */
  readonly retentionMs: number;
}): Records {
  const { connection, sql, schema, retentionMs } = options;
  return {
    async lead(announce, signal, onStandby) {
      const leadership = await lead(connection, schema, announce, signal, onStandby);
      if (leadership === null) return null;
      const { session, epoch, lost, end } = leadership;
      const journal = new Journal(session);
      const partitions = new Partitions(sql, retentionMs);
      try {
        const last = await lastAttempt(sql);
        return {
          epoch,
          lost,
          end,
          lastAt: last.at,
          recover: async (now) => {
            await beginTerm(session, epoch, last.seq, now);
            await settleByTime(sql, now, last);
            return await recover(sql, now, last);
          },
          commit: (batch) => journal.commit(batch),
          makeRoom: (seq, now, neededSince) => partitions.ensure(seq, now, neededSince),
        };
      } catch (error) {
        await end();
        throw error;
      }
    },
    findCode: (code) => findCode(sql, code),
    loadClaims: (coupon) => loadClaims(sql, coupon),
    loadSales: (ids) => loadSales(sql, ids),
    findHourly: (startsAt) => findHourly(sql, startsAt),
    storeSale: (sale, seq) => storeSale(sql, sale, seq),
    saveCheckpoint: (saleId, checkpoint) => saveCheckpoint(sql, saleId, checkpoint),
    insertProductSale: (epoch, sale, seq) => insertProductSale(sql, epoch, sale, seq),
    replaceProductSale: (epoch, present, change, now) =>
      replaceProductSale(sql, epoch, present, change, now),
    deleteProduct: (epoch, id, now) => deleteProduct(sql, epoch, id, now),
    productSaleIds: () => productSaleIds(sql),
  };
}
