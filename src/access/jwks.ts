/**
 * A merchant's public keys, as a JWKS in a file or at an address. It is read again for a key that is
 * not in it, but not more often than `everyMs`, and when it is older than `ageMaxMs`.
 */
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from "jose";

const everyMs = 10_000;
const timeoutMs = 3_000;
const ageMaxMs = 10 * 60_000;

/** A set of keys that is not to be had, or none. */
export class JwksError extends Error {}

export class Jwks {
  readonly #where: string;
  /**
   * The key that a token names.
   * @throws JwksError when the set cannot be read; as jose does when the key is not in it
   */
  readonly key: JWTVerifyGetKey;
  /**
   * Reads the set.
   * @returns how many keys it has
   * @throws JwksError
   */
  readonly read: () => Promise<number>;

  /** @param where a file, or an address that begins with http */
  constructor(where: string) {
    this.#where = where;
    const { key, read } = isAddress(where) ? this.#remote() : this.#file();
    this.key = key;
    this.read = read;
  }

  #remote(): Pick<Jwks, "key" | "read"> {
    const remote = createRemoteJWKSet(new URL(this.#where), {
      timeoutDuration: timeoutMs,
      cooldownDuration: everyMs,
      cacheMaxAge: ageMaxMs,
    });
    return {
      key: async (header, token) => {
        try {
          return await remote(header, token);
        } catch (error) {
          // That a key is not in the set is the token's fault; everything else is the set's.
          if (error instanceof errors.JWKSNoMatchingKey) throw error;
          if (error instanceof errors.JOSENotSupported) throw error;
          throw this.#wrong(error);
        }
      },
      read: async () => {
        try {
          await remote.reload();
        } catch (error) {
          throw this.#wrong(error);
        }
        return remote.jwks()?.keys.length ?? 0;
      },
    };
  }

  #file(): Pick<Jwks, "key" | "read"> {
    type Keys = ReturnType<typeof createLocalJWKSet>;
    let keys: Promise<Keys> | null = null;
    let readAt = -Infinity;
    const readFile = async (): Promise<Keys> => {
      try {
        return createLocalJWKSet(await Bun.file(this.#where).json());
      } catch (error) {
        throw this.#wrong(error);
      }
    };
    const read = (): Promise<Keys> => {
      readAt = performance.now();
      const [before, next] = [keys, readFile()];
      // A file that is being replaced leaves the keys that were read before.
      keys = before === null ? next : next.catch(() => before);
      keys.catch(() => (keys = null));
      return keys;
    };
    return {
      key: async (header, token) => {
        const found = keys !== null && performance.now() - readAt < everyMs ? keys : read();
        return await (
          await found
        )(header, token);
      },
      read: async () => (await read()).jwks().keys.length,
    };
  }

  #wrong(error: unknown): JwksError {
    const why = error instanceof Error ? error.message : String(error);
    return new JwksError(`${shownPlace(this.#where)}: ${why}`, { cause: error });
  }
}

/** Where a set is, without what an address may hold of secrets. */
export function shownPlace(where: string): string {
  if (!isAddress(where)) return where;
  const { origin, pathname } = new URL(where);
  return origin + pathname;
}

const isAddress = (where: string): boolean => /^https?:/.test(where);
