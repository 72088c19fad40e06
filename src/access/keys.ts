/**
 * API keys: for a merchant's servers. A key is 32 random bytes; what is stored of it is its SHA-256,
 * which for a text that nobody can guess is as good as a slow hash.
 *
 * Every process holds the keys that count, and reads them again when a key is used and what it holds
 * is older than `keysAgeMaxMs`: one that was revoked is dead by then. A key that is made is known
 * at once where it was made. When it was used is written down at leisure.
 */
import { reaching } from "./reach.ts";
import {
  insertKey,
  listKeys,
  liveKeys,
  noteUses,
  revokeKey,
  type Scope,
  type StoredKey,
} from "../store/keys.ts";
import type { Actor } from "../ledger/commands.ts";
import { noted } from "../store/activity.ts";
import type { Db } from "../store/db.ts";

/** A key that was revoked may be taken for as long, on a process that has not heard of it. */
export const keysAgeMaxMs = 1_000;
/** How often uses are written down. */
const usesEveryMs = 10_000;
const keyText = /^sk_[A-Za-z0-9_-]{43}$/;

/** What a request's key is, to the rest of the program. */
export type ApiKey = Pick<StoredKey, "id" | "name" | "scopes">;

export const keyPrefix = "sk_";

const hashOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

type MadeKey = { readonly key: StoredKey; readonly text: string };

/** Makes a key; null when there is one of this name already, or too many. */
export async function createKey(
  db: Db,
  asked: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly expiresAt: Date | null;
  },
): Promise<MadeKey | null> {
  const random = crypto.getRandomValues(new Uint8Array(32));
  const text = keyPrefix + Buffer.from(random).toString("base64url");
  const key = await insertKey(db, { ...asked, hash: hashOf(text) });
  return key === null ? null : { key, text };
}

const noteOf = ({ id, name, scopes }: StoredKey) => ({ key_id: id, name, scopes });

export class Keys {
  readonly #db: Db;
  readonly #clock: () => number;
  #live: ReadonlyMap<string, StoredKey> = new Map();
  #readAt = -Infinity;
  #reading: Promise<void> | null = null;
  readonly #uses = new Map<number, number>();
  #notedAt = -Infinity;

  constructor(db: Db, clock: () => number) {
    this.#db = db;
    this.#clock = clock;
  }

  /**
   * The key of a text; null when it does not count.
   * @throws UnavailableError when nobody can tell at the moment
   */
  find(text: string): ApiKey | null | Promise<ApiKey | null> {
    if (!keyText.test(text)) return null;
    if (performance.now() - this.#readAt < keysAgeMaxMs) return this.#known(text);
    return this.#read().then(() => this.#known(text));
  }

  async create(asked: Parameters<typeof createKey>[1], by: Actor): Promise<MadeKey | null> {
    const made = await reaching(() =>
      noted(this.#db, by, async (tx) => {
        const one = await createKey(tx, asked);
        return [one, one && { what: "key.made", before: null, after: noteOf(one.key) }];
      }),
    );
    this.#readAt = -Infinity;
    return made;
  }

  async revoke(id: number, by: Actor): Promise<StoredKey | null> {
    const revoked = await reaching(() =>
      noted(this.#db, by, async (tx) => {
        const one = await revokeKey(tx, { id });
        return [one, one && { what: "key.revoked", before: noteOf(one), after: null }];
      }),
    );
    this.#readAt = -Infinity;
    return revoked;
  }

  list(page: Parameters<typeof listKeys>[1]): Promise<StoredKey[]> {
    return reaching(() => listKeys(this.#db, page));
  }

  #known(text: string): ApiKey | null {
    const key = this.#live.get(hashOf(text));
    const now = this.#clock();
    if (key === undefined || (key.expiresAt !== null && now >= key.expiresAt.getTime()))
      return null;
    this.#uses.set(key.id, now);
    return key;
  }

  /** However many wait, the keys are read once. */
  #read(): Promise<void> {
    this.#reading ??= reaching(async () => {
      const began = performance.now();
      await this.#noteUses();
      this.#live = await liveKeys(this.#db);
      this.#readAt = began;
    }).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #noteUses(): Promise<void> {
    const now = performance.now();
    if (this.#uses.size === 0 || now - this.#notedAt < usesEveryMs) return;
    this.#notedAt = now;
    const uses = new Map(this.#uses);
    this.#uses.clear();
    try {
      await noteUses(this.#db, uses);
    } catch {
      // Who asks with a key does not care: it is noted with the next uses.
      for (const [id, at] of uses) if (!this.#uses.has(id)) this.#uses.set(id, at);
    }
  }
}
