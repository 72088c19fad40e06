/**
 * What a process has read of sessions, by token: a token that is the same to the letter needs no
 * second check of its signature. Bounded; what came first is forgotten first.
 */
import type { Account } from "./accounts.ts";
import { BoundedMap } from "../bounded.ts";

/** About 25 MB. */
export const cachedTokensMax = 50_000;
/** After this a session is read again, for what another process has changed. */
export const cacheAgeMaxMs = 1_000;

type CachedSession = {
  readonly sessionId: string;
  readonly userId: number;
  /** Null: the session has ended. It does not come back. */
  readonly account: Account | null;
  /** Both in ms since the Unix epoch. */
  readonly expiresAt: number;
  readonly readAt: number;
};

export class SessionCache {
  readonly #sessions = new BoundedMap<string, CachedSession>(cachedTokensMax);
  #version = 0;

  /** Goes up with everything that is dropped. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(token: string, now: number): CachedSession | undefined {
    const found = this.#sessions.get(token);
    if (found === undefined) return undefined;
    return now < Math.min(found.expiresAt, found.readAt + cacheAgeMaxMs) ? found : undefined;
  }

  /** Keeps what was read since `version`, unless something was dropped meanwhile. */
  put(token: string, session: CachedSession, version: number): void {
    if (version !== this.#version) return;
    this.#sessions.set(token, session);
  }

  dropSession(sessionId: string): void {
    this.#drop((session) => session.sessionId === sessionId);
  }

  dropUser(userId: number): void {
    this.#drop((session) => session.userId === userId);
  }

  #drop(matches: (session: CachedSession) => boolean): void {
    this.#version += 1;
    for (const [token, session] of this.#sessions) {
      if (matches(session)) this.#sessions.delete(token);
    }
  }
}
