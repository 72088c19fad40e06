/**
 * Hashes passwords: argon2id with 64 MiB, which is slow and large on purpose. Few at once and
 * few waiting, so that a crowd at the login takes neither the memory nor the processor that
 * the sale needs; whoever comes after them is told to come again.
 */
import { OverloadedError } from "../engine/writer.ts";

export const hashesAtOnceMax = 2;
/** About five seconds of work. */
export const hashesWaitingMax = 64;

/** What does the work; a test counts it. */
export type Hashing = {
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
};

export const argon2id: Hashing = {
  hash: (password) =>
    Bun.password.hash(password, { algorithm: "argon2id", memoryCost: 65_536, timeCost: 2 }),
  verify: (password, hash) => Bun.password.verify(password, hash),
};

/** The hash of bytes that nobody kept: verified in place of one that is not there. */
export const nobodysHash =
  "$argon2id$v=19$m=65536,t=2,p=1$J+xfv8T6tj4tssMo2jDzg2cZiBhCXfs2WQSsi6+oPQw$3aIOdaPs6UBKczt68BUHBvYtx9Qfko4oWS4h1NQLtlg";

export class Passwords {
  readonly #hashing: Hashing;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(hashing: Hashing = argon2id) {
    this.#hashing = hashing;
  }

  /** @throws OverloadedError when too many wait */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => this.#hashing.hash(sameEverywhere(password)));
  }

  /**
   * Whether a password is the hashed one. Without a hash it is not, and the same work is done.
   * @throws OverloadedError when too many wait
   */
  async verify(password: string, hash: string | null): Promise<boolean> {
    const against = hash ?? nobodysHash;
    const matches = await this.#inTurn(() =>
      this.#hashing.verify(sameEverywhere(password), against),
    );
    return matches && hash !== null;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < hashesAtOnceMax) this.#running += 1;
    else if (this.#waiting.length >= hashesWaitingMax) {
      throw new OverloadedError("too many passwords are waiting to be hashed");
    } else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      // Whoever waits takes the place over, so that nobody new slips in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

/** Keyboards differ in how they compose an accented letter; the password is the same one. */
const sameEverywhere = (password: string): string => password.normalize("NFKC");
