/**
 * Webhooks as they are stored. Who delivers, which is the leader alone, notes how far it has come by a
 * statement that finds the endpoint as it was read, and its own term the last one: so whoever was
 * deposed, or has not heard of a change, moves no cursor.
 */
import { and, count, desc, eq, lt, sql } from "drizzle-orm";
import type { ISql } from "postgres";
import type { Actor } from "../ledger/commands.ts";
import { noted, type Note } from "./activity.ts";
import type { Db } from "./db.ts";
import { eventTypes, type EventType } from "./feed.ts";
import { webhookDeliveries, webhooks } from "./schema-feed.ts";

/** Endpoints, those that are off too. */
export const webhooksMax = 50;
/** Tries that are kept of each. */
export const deliveriesKeptMax = 200;

export type StoredWebhook = Omit<typeof webhooks.$inferSelect, "types"> & {
  readonly types: readonly EventType[];
};

const stored = ({ types, ...row }: typeof webhooks.$inferSelect): StoredWebhook => ({
  ...row,
  types: eventTypes.filter((type) => types.includes(type)),
});

/** What is noted of one: never its secret. */
const noteOf = ({ id, url, types, offWhy }: StoredWebhook) => ({
  id,
  url,
  types,
  state: offWhy === null ? "on" : "off",
});

type NewWebhook = {
  readonly url: string;
  readonly types: readonly EventType[];
  /** Makes of its id what is stored of its secret. */
  readonly seal: (id: number) => string;
  /** ms since the Unix epoch */
  readonly now: number;
};

/** Null when there are as many as there may be. It is sent what happens from now on. */
export async function insertWebhook(
  db: Db,
  { url, types, seal, now }: NewWebhook,
  by: Actor,
): Promise<StoredWebhook | null> {
  return await noted(db, by, async (tx) => {
    // Two at a time are made one after the other.
    await tx.execute(sql`lock table webhooks in share row exclusive mode`);
    const [there] = await tx.select({ count: count() }).from(webhooks);
    if (there === undefined || there.count >= webhooksMax) return [null, null];
    const [made] = await tx
      .insert(webhooks)
      .values({
        url,
        types: [...types],
        secret: "",
        cursor: sql`(select coalesce(max(seq), 0) from attempts)`,
        createdAt: new Date(now),
      })
      .returning({ id: webhooks.id });
    if (made === undefined) throw new Error("a webhook was not made");
    const [row] = await tx
      .update(webhooks)
      .set({ secret: seal(made.id) })
      .where(eq(webhooks.id, made.id))
      .returning();
    if (row === undefined) throw new Error("a webhook was not made");
    const webhook = stored(row);
    return [webhook, { what: "webhook.made", before: null, after: noteOf(webhook) }];
  });
}

/** By age, the youngest first; `before` is the id of the last one of the page before. */
export async function listWebhooks(
  db: Db,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<StoredWebhook[]> {
  const rows = await db
    .select()
    .from(webhooks)
    .where(lt(webhooks.id, before))
    .orderBy(desc(webhooks.id))
    .limit(limit);
  return rows.map(stored);
}

export async function findWebhook(db: Db, id: number): Promise<StoredWebhook | null> {
  const [row] = await db.select().from(webhooks).where(eq(webhooks.id, id));
  return row === undefined ? null : stored(row);
}

export type WebhookChange = {
  readonly url?: string | undefined;
  readonly types?: readonly EventType[] | undefined;
  readonly state?: "on" | "off" | undefined;
};

/** Whatever had failed is tried again at once. */
const tryAgain = { tries: 0, failingSince: null, nextTryAt: null };

/** Null when there is none. One that is on again goes on where it was. */
export const changeWebhook = (
  db: Db,
  id: number,
  { url, types, state }: WebhookChange,
  by: Actor,
): Promise<StoredWebhook | null> =>
  changed(db, id, by, {
    ...tryAgain,
    ...(url === undefined ? {} : { url }),
    ...(types === undefined ? {} : { types: [...types] }),
    ...(state === undefined ? {} : { offWhy: state === "on" ? null : "switched off" }),
  });

/** Has the events after one sent again, and what follows; null when there is no such endpoint. */
export const replayWebhook = (
  db: Db,
  id: number,
  after: number,
  by: Actor,
): Promise<StoredWebhook | null> =>
  changed(
    db,
    id,
    by,
    { ...tryAgain, cursor: sql`least(${webhooks.cursor}, ${after}::bigint)` },
    () => ({ what: "webhook.replayed", before: null, after: { id, after } }),
  );

type Changed = Partial<Omit<typeof webhooks.$inferInsert, "cursor">> & {
  readonly cursor?: ReturnType<typeof sql>;
};

async function changed(
  db: Db,
  id: number,
  by: Actor,
  set: Changed,
  note?: () => Note,
): Promise<StoredWebhook | null> {
  return await noted(db, by, async (tx) => {
    const [before] = await tx.select().from(webhooks).where(eq(webhooks.id, id)).for("update");
    if (before === undefined) return [null, null];
    const [row] = await tx
      .update(webhooks)
      .set({ ...set, version: sql`${webhooks.version} + 1` })
      .where(eq(webhooks.id, id))
      .returning();
    if (row === undefined) return [null, null];
    const webhook = stored(row);
    const change = { before: noteOf(stored(before)), after: noteOf(webhook) };
    return [webhook, note?.() ?? { what: "webhook.changed", ...change }];
  });
}

/** Whether there was one. */
export async function deleteWebhook(db: Db, id: number, by: Actor): Promise<boolean> {
  return await noted(db, by, async (tx) => {
    const [row] = await tx.delete(webhooks).where(eq(webhooks.id, id)).returning();
    if (row === undefined) return [false, null];
    return [true, { what: "webhook.removed", before: noteOf(stored(row)), after: null }];
  });
}

export type StoredDelivery = Omit<typeof webhookDeliveries.$inferSelect, "webhookId">;

/** The last tries of an endpoint, newest first, before the one numbered `before`. */
export async function listDeliveries(
  db: Db,
  webhookId: number,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<StoredDelivery[]> {
  const rows = await db
    .select()
    .from(webhookDeliveries)
    .where(and(eq(webhookDeliveries.webhookId, webhookId), lt(webhookDeliveries.id, before)))
    .orderBy(desc(webhookDeliveries.id))
    .limit(limit);
  return rows.map(({ webhookId: _webhookId, ...row }) => row);
}

/** Those that are on, in the order of their ids. */
export async function webhooksOn(db: Db): Promise<StoredWebhook[]> {
  const rows = await db
    .select()
    .from(webhooks)
    .where(sql`${webhooks.offWhy} is null`)
    .orderBy(webhooks.id);
  return rows.map(stored);
}

/** How far an endpoint has come. */
export type Progress = Pick<StoredWebhook, "cursor" | "tries" | "offWhy"> & {
  readonly failingSince: Date | null;
  readonly nextTryAt: Date | null;
};

/** A try. */
export type NewDelivery = Omit<StoredDelivery, "id">;

const iso = (time: Date | null): string | null => time?.toISOString() ?? null;

/**
 * Notes how far an endpoint has come, and what was tried since. It is on the disk by the journal's next
 * commit, and no buyer's commit waits for one of its own: what a crash forgets of it is sent again.
 * @returns false where it was changed by somebody meanwhile, or another leader's term has begun:
 *   then nothing is noted
 */
export async function noteProgress(
  db: ISql,
  epoch: number,
  { id, version }: Pick<StoredWebhook, "id" | "version">,
  progress: Progress,
  tried: readonly NewDelivery[],
): Promise<boolean> {
  const { cursor, tries, offWhy, failingSince, nextTryAt } = progress;
  const rows = JSON.stringify(tried.map((one) => ({ ...one, at: one.at.toISOString() })));
  const [row] = await db<{ moved: number }[]>`
    with moved as (
      update webhooks set cursor = ${cursor}::bigint, tries = ${tries}::int, off_why = ${offWhy}::text,
        failing_since = ${iso(failingSince)}::text::timestamptz,
        next_try_at = ${iso(nextTryAt)}::text::timestamptz
      where id = ${id}::int and version = ${version}::int and off_why is null
        and exists (select from leader where epoch = ${epoch}::bigint)
      returning id),
    noted as (
      insert into webhook_deliveries (webhook_id, seq, type, at, status, ms, error)
      select moved.id, d.seq, d.type, d.at, d.status, d.ms, d.error
      from moved, json_to_recordset(${rows}::text::json)
        as d (seq bigint, type text, at timestamptz, status int, ms int, error text)
      returning id),
    dropped as (
      delete from webhook_deliveries d using moved
      where d.webhook_id = moved.id and d.id <= (
        select id from webhook_deliveries where webhook_id = moved.id
        order by id desc offset greatest(${deliveriesKeptMax}::int - ${tried.length}::int, 0) limit 1)
      returning 1)
    select count(*)::int as moved, set_config('synchronous_commit', 'off', true) from moved`;
  return row?.moved === 1;
}
