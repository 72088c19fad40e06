/**
 * Webhooks as administrators have them: made, changed, replayed and looked at through any process, and
 * delivered by the one that leads: see `courier.ts`. An endpoint's secret is shown when it is made,
 * and stored sealed.
 */
import type { Sql } from "postgres";
import { newSecret } from "../access/open.ts";
import { Seals } from "../access/seals.ts";
import { reaching } from "../access/reach.ts";
import type { Log } from "../engine/engine.ts";
import type { WebhookFigures } from "../engine/metrics.ts";
import type { Actor } from "../ledger/commands.ts";
import type { SaleEngine } from "../sales/selling.ts";
import type { Db } from "../store/db.ts";
import type { EventType } from "../store/feed.ts";
import {
  changeWebhook,
  deleteWebhook,
  findWebhook,
  insertWebhook,
  listDeliveries,
  listWebhooks,
  replayWebhook,
  type StoredDelivery,
  type StoredWebhook,
  type WebhookChange,
} from "../store/webhooks.ts";
import { keepSecret } from "../store/secrets.ts";
import { complaintOfTarget, parseTarget, resolveName, type Resolve } from "./addresses.ts";
import { Courier } from "./courier.ts";
import { messageOf } from "./events.ts";
import { send } from "./send.ts";

const secretBytes = 32;

type Page = { readonly before: number; readonly limit: number };

type WebhooksOptions = {
  readonly engine: SaleEngine;
  /** For reading alone; the others for what is changed. */
  readonly db: Db;
  readonly changingDb: Db;
  readonly changingSql: Sql;
  readonly seals: Seals;
  /** Whether they may lead to private addresses. */
  readonly mayBePrivate: boolean;
  /** ms since the Unix epoch */
  readonly clock: () => number;
  readonly version: string;
  readonly log: Log;
  readonly resolve?: Resolve;
};

const ownerOf = (id: number): string => `webhook ${id}`;

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #resolve: Resolve;
  readonly #courier: Courier;

  constructor(options: WebhooksOptions) {
    this.#options = options;
    const { engine, db, changingSql: sql, seals, clock, log } = options;
    const { resolve = resolveName, mayBePrivate, version } = options;
    this.#resolve = resolve;
    const sending = { resolve, mayBePrivate, now: clock, version };
    this.#courier = new Courier({
      sql,
      db,
      leading: () => {
        const { role } = engine;
        if (role.name !== "leader" || engine.isResigned) return null;
        return { epoch: role.epoch, seq: role.writer.committedSeq };
      },
      send: (message, to, stopping) => send(message, to, sending, stopping),
      secretOf: ({ id, secret }) => seals.open(secret, ownerOf(id)),
      messageOf,
      clock,
      sleep: (ms) => Bun.sleep(ms),
      log,
    });
  }

  get figures(): WebhookFigures {
    return this.#courier.figures;
  }

  start(): void {
    this.#courier.start();
  }

  stop(): Promise<void> {
    return this.#courier.stop();
  }

  /** A URL as it is stored, or what is wrong with it. */
  async target(text: string): Promise<string | { readonly complaint: string }> {
    const url = parseTarget(text);
    if (!(url instanceof URL)) return url;
    const complaint = this.#options.mayBePrivate
      ? null
      : await complaintOfTarget(url, this.#resolve);
    return complaint === null ? url.href : { complaint };
  }

  /** Null when there are as many as there may be. */
  async make(
    { url, types }: { readonly url: string; readonly types: readonly EventType[] },
    by: Actor,
  ): Promise<{ readonly webhook: StoredWebhook; readonly secret: string } | null> {
    const { changingDb, seals, clock } = this.#options;
    const bytes = crypto.getRandomValues(new Uint8Array(secretBytes));
    const secret = `whsec_${Buffer.from(bytes).toString("base64")}`;
    const seal = (id: number): string => seals.seal(secret, ownerOf(id));
    const webhook = await reaching(() =>
      insertWebhook(changingDb, { url, types, seal, now: clock() }, by),
    );
    return webhook === null ? null : { webhook, secret };
  }

  change(id: number, change: WebhookChange, by: Actor): Promise<StoredWebhook | null> {
    return reaching(() => changeWebhook(this.#options.changingDb, id, change, by));
  }

  replay(id: number, after: number, by: Actor): Promise<StoredWebhook | null> {
    return reaching(() => replayWebhook(this.#options.changingDb, id, after, by));
  }

  remove(id: number, by: Actor): Promise<boolean> {
    return reaching(() => deleteWebhook(this.#options.changingDb, id, by));
  }

  list(page: Page): Promise<StoredWebhook[]> {
    return reaching(() => listWebhooks(this.#options.db, page));
  }

  find(id: number): Promise<StoredWebhook | null> {
    return reaching(() => findWebhook(this.#options.db, id));
  }

  deliveries(id: number, page: Page): Promise<StoredDelivery[]> {
    return reaching(() => listDeliveries(this.#options.db, id, page));
  }
}

/** Every process on the same database opens the same secrets. */
export async function openWebhooks(options: Omit<WebhooksOptions, "seals">): Promise<Webhooks> {
  const secret = await keepSecret(options.changingDb, "webhooks", newSecret());
  return new Webhooks({ ...options, seals: sealsOf(secret) });
}

/** @param secret 32 bytes or more */
export const sealsOf = (secret: string): Seals => new Seals(secret, "stampede webhook");
