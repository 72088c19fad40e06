/**
 * How a process reaches the records, and fails to. Everything that it asks goes through `Line`, which
 * may delay it, fail it before it is done, do it and not tell, or never answer.
 */

/** The connection is gone, as the driver says it. */
export class CutError extends Error {
  readonly code = "CONNECTION_CLOSED";
}

/** What is asked of the records, by what may befall it. */
export type Asked = "commit" | "read" | "write" | "lock";

/** How what a process asks reaches the records, and the answer the process. */
export type Line = {
  carry<T>(asked: Asked, work: () => T): Promise<T>;
  sleep(ms: number): Promise<void>;
};

/** Nothing fails, and nothing takes time. */
export const soundLine: Line = {
  carry: async (_, work) => await Promise.resolve(work()),
  sleep: () => Promise.resolve(),
};

/** A session with the lock, or one that had it and has not noticed. */
export class Session {
  readonly epoch: number;
  readonly #lost = Promise.withResolvers<Error>();
  /** Whether what it sends still arrives. */
  isCut = false;
  isLost = false;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  /** Tells the process. */
  lose(reason: Error): void {
    this.isCut = true;
    this.isLost = true;
    this.#lost.resolve(reason);
  }
}
