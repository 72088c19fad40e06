/**
 * Requests of the pages. An answer of 2xx is its body; everything else is a thrown `Problem`.
 *
 * What may be asked twice is asked again by itself when no answer comes, or one that says to try
 * later: reading, deleting, and posting under an idempotency key or what is idempotent by nature
 * (`again: true`, as buying by a code). Other requests are sent once. `connection` says whether the
 * last request got an answer. Answers tell the time, and that nobody is logged in any more.
 */
import { signal } from "@preact/signals";
import { lost, Problem } from "./problems.ts";
import { setServerTime, steadyNow } from "./time.tsx";

export const connection = signal<"ok" | "lost">("ok");

const answerMsMax = 10_000;
/** Of a file, which is sent first. */
const fileMsMax = 30_000;
const triesMax = 4;
const retryMs = 400;
const retryMsMax = 4_000;

type Ask = {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, in place of a body. */
  readonly file?: File;
  /** Idempotency-Key; makes a post repeatable. */
  readonly key?: string;
  /** Queue-Ticket: that its buyer has been let in. */
  readonly ticket?: string | undefined;
  /** A post that may be repeated without a key. */
  readonly again?: boolean;
  readonly signal?: AbortSignal;
  /** How long an answer may take, where it may take longer than most; ms. */
  readonly waitMs?: number;
  /** May come from the browser's store, with the time of long ago. */
  readonly stored?: boolean;
};

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export const get = <T>(path: string, ask: Ask = {}): Promise<T> => send<T>("GET", path, ask);

export async function send<T>(method: Method, path: string, ask: Ask = {}): Promise<T> {
  const repeatable =
    method === "GET" || method === "DELETE" || ask.key !== undefined || ask.again === true;
  for (let tries = 1; ; tries++) {
    try {
      const body = await once<T>(method, path, ask);
      connection.value = "ok";
      return body;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      connection.value = error.code === "lost" ? "lost" : "ok";
      const mayHeal = error.code === "lost" || starting.has(error.status);
      if (!repeatable || !mayHeal || tries >= triesMax || ask.signal?.aborted === true) throw error;
      const wait = error.retryAfterMs ?? retryMs * 2 ** (tries - 1);
      // Spread, so that pages that lost the server together do not come back together.
      await pause(Math.min(wait, retryMsMax) * (0.75 + Math.random() * 0.5));
    }
  }
}

/** What the server says while it has no leader, and a proxy while it has no server. */
const starting: ReadonlySet<number> = new Set([502, 503, 504]);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function once<T>(method: Method, path: string, ask: Ask): Promise<T> {
  const headers = new Headers();
  if (ask.key !== undefined) headers.set("Idempotency-Key", ask.key);
  if (ask.ticket !== undefined) headers.set("Queue-Ticket", ask.ticket);
  if (ask.body !== undefined) headers.set("Content-Type", "application/json");
  const json = ask.body === undefined ? null : JSON.stringify(ask.body);
  const timeout = AbortSignal.timeout(
    ask.waitMs ?? (ask.file === undefined ? answerMsMax : fileMsMax),
  );
  const session = sessions;
  let response: Response;
  let text: string;
  const sentAt = steadyNow();
  try {
    response = await fetch(path, {
      method,
      headers,
      body: ask.file ?? json,
      signal: ask.signal ? AbortSignal.any([ask.signal, timeout]) : timeout,
    });
    if (ask.stored !== true) noteTime(response.headers.get("Date"), sentAt);
    text = await response.text();
  } catch {
    throw lost();
  }
  const parsed = parse(text);
  if (response.ok) return parsed as T;
  const body = typeof parsed === "object" && parsed !== null ? parsed : {};
  const refusal = new Problem(response.status, { ...body });
  // Of a session that has been followed by another one meanwhile it is no news.
  if (refusal.isUnauthenticated && session === sessions) unauthenticated();
  throw refusal;
}

/** The Date header has whole seconds. */
function noteTime(date: string | null, sentAt: number): void {
  const at = date === null ? Number.NaN : Date.parse(date);
  if (!Number.isNaN(at)) setServerTime(at, sentAt, steadyNow(), 1_000);
}

let sessions = 0;
/** Somebody else is logged in, or nobody: refusals of what was asked before are about the former. */
export function beginSession(): void {
  sessions += 1;
}

let unauthenticated = (): void => undefined;
/** Told of every answer that says that nobody is logged in, to a request of the present session. */
export function onUnauthenticated(tell: () => void): void {
  unauthenticated = tell;
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A word nobody else has. crypto.randomUUID exists in secure contexts only; a LAN address is none. */
export const randomWord = (): string =>
  Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("");

type Store = {
  readonly get: (key: string) => string | null;
  readonly set: (key: string, value: string | null) => void;
  /** Forgets all that these pages have stored there. */
  readonly clear: () => void;
};

const prefix = "stampede.";

/** A browser's storage may be full or forbidden; then a page forgets on reload, and works. */
function storeIn(place: () => Storage): Store {
  const quietly = <T>(use: (store: Storage) => T): T | null => {
    try {
      return use(place());
    } catch {
      return null;
    }
  };
  return {
    get: (key) => quietly((store) => store.getItem(prefix + key)),
    set: (key, value) =>
      quietly((store) =>
        value === null ? store.removeItem(prefix + key) : store.setItem(prefix + key, value),
      ),
    clear: () =>
      quietly((store) => {
        for (const key of Object.keys(store)) if (key.startsWith(prefix)) store.removeItem(key);
      }),
  };
}

/** Of the browser, shared by its tabs. */
export const storage: Store = storeIn(() => localStorage);
/** Of this tab, which a reload keeps. */
export const tabStorage: Store = storeIn(() => sessionStorage);
