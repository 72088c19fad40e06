/**
 * Delivers events to webhooks, on the process that leads: to each endpoint in the order of the feed,
 * the next one once the one before was answered 2xx, from a cursor that is noted after that. So nothing
 * is skipped whoever leads next, and what was answered and not yet noted is sent again.
 *
 *   waiting ──► its turn ──► 2xx ──► the next event …, and its turn ends
 *      ▲            │
 *      │            └──► anything else ──► waits 1 s, 2 s, 4 s … an hour ──► its turn
 *      │                                        │
 *      └── switched on again ◄── off ◄── three days later
 *
 * So many endpoints have a turn at a time, each a page of events long, so one that does not answer is
 * in nobody's way for longer than a try. Beside a crowd there is a rest before each event, whosesoever
 * it is: the thread is the buyers'.
 */
import type { Sql } from "postgres";
import type { Log } from "../engine/engine.ts";
import type { WebhookFigures } from "../engine/metrics.ts";
import { messageOf } from "../postgres/client.ts";
import type { Db } from "../store/db.ts";
import { lastEvent, readFeed, type FeedEvent } from "../store/feed.ts";
import {
  noteProgress,
  webhooksOn,
  type NewDelivery,
  type Progress,
  type StoredWebhook,
} from "../store/webhooks.ts";
import { Pace } from "./pace.ts";
import type { Message, Tried } from "./send.ts";

/** Endpoints that are sent something at a time. */
const turnsMax = 8;
/** Events that are read for a turn, and those it may take. */
const pageEvents = 100;
const lookEveryMs = 200;
/** What somebody has changed of an endpoint is known after so long, and the next look. */
const reloadEveryMs = 1_000;
/** How far an endpoint has come is noted at least so often while it is sent something. */
const noteEveryMs = 250;
/** After a first try that failed it waits so long, after each further one twice as long, … */
const retryMsMin = 1_000;
export const retryMsMax = 3_600_000;
/** … and so long after the first it is off. */
export const failingMsMax = 3 * 86_400_000;

/** The term of the process that leads. */
type Leading = { readonly epoch: number; /** The last attempt. */ readonly seq: number };

type CourierOptions = {
  readonly sql: Sql;
  readonly db: Db;
  /** Null while another process leads, or nobody does. */
  readonly leading: () => Leading | null;
  readonly send: (
    message: Message,
    to: { readonly url: string; readonly secret: string },
    stopping: AbortSignal,
  ) => Promise<Tried>;
  /** The secret of an endpoint. */
  readonly secretOf: (webhook: StoredWebhook) => string;
  /** What is sent of an event. */
  readonly messageOf: (event: FeedEvent) => Message;
  /** ms since the Unix epoch */
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Log;
};

type Endpoint = {
  readonly stored: StoredWebhook;
  progress: Progress;
  /** When the first event happened that it has not answered, ms; null where there is none. */
  oldestAt: number | null;
};

export class Courier {
  readonly #options: CourierOptions;
  readonly #stopping = new AbortController();
  /** Those that are on, in the order in which they have their turns. */
  #endpoints = new Map<number, Endpoint>();
  readonly #turns = new Map<number, Promise<void>>();
  readonly #tries = { delivered: 0, failed: 0 };
  #epoch = 0;
  #loadedAt = -Infinity;
  /** The last event, as of the attempt `#seenSeq`. */
  #last = 0;
  #seenSeq = -1;
  readonly #pace = new Pace();
  #running: Promise<void> | null = null;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  get figures(): WebhookFigures {
    const all = [...this.#endpoints.values()];
    const failing = all.filter(({ progress }) => progress.tries > 0).length;
    const now = this.#options.clock();
    const lags = all.map(({ oldestAt }) => (oldestAt === null ? 0 : now - oldestAt));
    return {
      endpoints: { answering: all.length - failing, failing },
      lagMs: Math.max(0, ...lags),
      tries: { ...this.#tries },
    };
  }

  start(): void {
    this.#running = this.#run();
  }

  /** What is under way is given up. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.idle();
  }

  async #run(): Promise<void> {
    const { sleep, log } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        await this.look();
      } catch (error) {
        log.warn({ reason: messageOf(error) }, "webhooks wait: the records do not answer");
      }
      await sleep(this.#pace.every(lookEveryMs, performance.now()));
    }
  }

  /** Gives a turn to those that have something to be sent and are not waiting. */
  async look(): Promise<void> {
    const leading = this.#options.leading();
    if (leading?.epoch !== this.#epoch) {
      this.#endpoints.clear();
      this.#loadedAt = -Infinity;
      this.#epoch = leading?.epoch ?? 0;
    }
    if (leading === null) return;
    await this.#reload();
    if (this.#endpoints.size === 0) return;
    this.#pace.see(leading.seq, performance.now());
    if (leading.seq !== this.#seenSeq) {
      this.#last = await lastEvent(this.#options.sql);
      this.#seenSeq = leading.seq;
    }
    const now = this.#options.clock();
    for (const [id, endpoint] of this.#endpoints) {
      if (this.#turns.size >= turnsMax) return;
      if (this.#turns.has(id) || !this.#isDue(endpoint, now)) continue;
      // Whoever had a turn is the last to have the next.
      this.#endpoints.delete(id);
      this.#endpoints.set(id, endpoint);
      this.#turns.set(
        id,
        this.#turn(endpoint, leading.epoch).finally(() => this.#turns.delete(id)),
      );
    }
  }

  /** Resolves when all turns have ended that were begun. */
  async idle(): Promise<void> {
    await Promise.all(this.#turns.values());
  }

  #isDue({ progress: { cursor, nextTryAt } }: Endpoint, now: number): boolean {
    return cursor < this.#last && (nextTryAt?.getTime() ?? 0) <= now;
  }

  /** Reads the endpoints; what is known of one that nobody has changed since stays. */
  async #reload(): Promise<void> {
    const now = performance.now();
    if (now - this.#loadedAt < reloadEveryMs) return;
    const found = await webhooksOn(this.#options.db);
    this.#loadedAt = now;
    const known = this.#endpoints;
    const next = found.map((stored): [number, Endpoint] => {
      const one = known.get(stored.id);
      return [
        stored.id,
        one?.stored.version === stored.version ? one : { stored, progress: stored, oldestAt: null },
      ];
    });
    // In the order of their turns.
    const order = [...known.keys()];
    this.#endpoints = new Map(next.toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b)));
  }

  /** A page of events, as far as they are answered. */
  async #turn(endpoint: Endpoint, epoch: number): Promise<void> {
    const { sql, log } = this.#options;
    try {
      const { cursor: after } = endpoint.progress;
      const { events, upTo } = await readFeed(sql, { after, limit: pageEvents });
      const wanted = events.filter(({ type }) => endpoint.stored.types.includes(type));
      const made = new Made(endpoint, epoch, sql);
      for (const event of wanted) {
        endpoint.oldestAt = event.at.getTime();
        if (!(await this.#deliver(endpoint, event, epoch, made))) return;
      }
      endpoint.progress = answered(upTo);
      endpoint.oldestAt = null;
      if (!(await made.note())) this.#forget(endpoint);
    } catch (error) {
      log.warn({ reason: messageOf(error) }, "a webhook waits: the records do not answer");
      this.#forget(endpoint);
    }
  }

  /** Whether the turn goes on. */
  async #deliver(
    endpoint: Endpoint,
    event: FeedEvent,
    epoch: number,
    made: Made,
  ): Promise<boolean> {
    const { leading, clock, send, secretOf, messageOf: message } = this.#options;
    const { stored } = endpoint;
    const restMs = this.#pace.next(performance.now());
    if (restMs > 0) await this.#options.sleep(restMs);
    const { signal } = this.#stopping;
    if (signal.aborted || leading()?.epoch !== epoch || this.#isChanged(endpoint)) {
      await made.note();
      return false;
    }
    const to = { url: stored.url, secret: secretOf(stored) };
    const tried = await send(message(event), to, signal);
    // What was given up because the program stops is no failure of theirs.
    if (tried.error !== null && signal.aborted) {
      await made.note();
      return false;
    }
    const now = clock();
    made.tried.push({ ...tried, seq: event.seq, type: event.type, at: new Date(now) });
    this.#tries[tried.error === null ? "delivered" : "failed"] += 1;
    endpoint.progress =
      tried.error === null ? answered(event.seq) : failed(endpoint.progress, tried.error, now);
    const isFailed = tried.error !== null;
    if (!isFailed && !made.isDue(this.#pace)) return true;
    const isNoted = await made.note();
    if (!isNoted || endpoint.progress.offWhy !== null) this.#forget(endpoint);
    return isNoted && !isFailed;
  }

  #isChanged(endpoint: Endpoint): boolean {
    return this.#endpoints.get(endpoint.stored.id) !== endpoint;
  }

  /** It is read again. */
  #forget(endpoint: Endpoint): void {
    if (!this.#isChanged(endpoint)) this.#endpoints.delete(endpoint.stored.id);
    this.#loadedAt = -Infinity;
  }
}

/** What was tried in a turn, and is not noted yet. */
class Made {
  readonly tried: NewDelivery[] = [];
  readonly #endpoint: Endpoint;
  readonly #epoch: number;
  readonly #sql: Sql;
  #notedAt = performance.now();

  constructor(endpoint: Endpoint, epoch: number, sql: Sql) {
    this.#endpoint = endpoint;
    this.#epoch = epoch;
    this.#sql = sql;
  }

  isDue(pace: Pace): boolean {
    const now = performance.now();
    return now - this.#notedAt >= pace.every(noteEveryMs, now);
  }

  /** False where it is not to go on by what is known of the endpoint. */
  async note(): Promise<boolean> {
    const { stored, progress } = this.#endpoint;
    const tried = this.tried.splice(0);
    this.#notedAt = performance.now();
    return await noteProgress(this.#sql, this.#epoch, stored, progress, tried);
  }
}

const answered = (cursor: number): Progress => ({
  cursor,
  tries: 0,
  offWhy: null,
  failingSince: null,
  nextTryAt: null,
});

/** What follows from a try that failed. @param now ms */
export function failed(before: Progress, why: string, now: number): Progress {
  const tries = before.tries + 1;
  const failingSince = before.failingSince ?? new Date(now);
  const isOff = now - failingSince.getTime() >= failingMsMax;
  const waitMs = Math.min(retryMsMin * 2 ** (tries - 1), retryMsMax);
  return {
    cursor: before.cursor,
    tries,
    offWhy: isOff ? `nothing was answered for three days; last: ${why}` : null,
    failingSince,
    nextTryAt: isOff ? null : new Date(now + waitMs),
  };
}
