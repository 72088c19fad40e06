/** Waiting for conditions, and doing one thing after another, without sleeping for luck. */
import { poll } from "../../src/postgres/poll.ts";

const askEveryMs = 10;
export const waitMaxMs = 20_000;

/**
 * Asks until the answer is neither undefined, null nor false.
 * @throws when the bound is passed, naming what was waited for
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  boundMs = waitMaxMs,
  everyMs = askEveryMs,
): Promise<Exclude<T, undefined | null | false>> {
  type Met = Exclude<T, undefined | null | false>;
  const isMet = (answer: T): answer is Met =>
    answer !== undefined && answer !== null && answer !== false;
  const met = await poll({ everyMs, waitMaxMs: boundMs }, async () => {
    const answer = await ask();
    return isMet(answer) ? { answer } : undefined;
  });
  if (met === undefined) throw new Error(`${what}: not within ${boundMs} ms`);
  return met.answer;
}

/** Rejects when a promise has not settled within a bound, naming what was waited for. */
export async function within<T>(
  what: string | (() => string),
  boundMs: number,
  promise: Promise<T>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const name = typeof what === "string" ? what : what();
    late.reject(new Error(`${name}: not within ${boundMs} ms`));
  }, boundMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Does `work` for one after another; what came out, in order. */
export async function inTurn<T, R>(
  all: Iterable<T>,
  work: (one: T, index: number) => Promise<R> | R,
): Promise<R[]> {
  const results: R[] = [];
  for (const one of all) {
    // oxlint-disable-next-line no-await-in-loop
    results.push(await work(one, results.length));
  }
  return results;
}

/** 1, 2, … `count` */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
