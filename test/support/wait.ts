/** Waiting for conditions, and doing one thing after another, without sleeping for luck. */

/** It is asked again after a tenth of the time that was waited, or as soon, or as late, as this. */
const askAgainMs = { min: 10, max: 100 } as const;
export const waitMaxMs = 60_000;

/**
 * Asks until the answer is neither undefined, null nor false.
 * @throws when the bound is passed, naming what was waited for
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  boundMs = waitMaxMs,
): Promise<Exclude<T, undefined | null | false>> {
  type Met = Exclude<T, undefined | null | false>;
  const isMet = (answer: T): answer is Met =>
    answer !== undefined && answer !== null && answer !== false;
  const beganAt = performance.now();
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await ask();
    if (isMet(answer)) return answer;
    const waitedMs = performance.now() - beganAt;
    if (waitedMs > boundMs) throw new Error(`${what}: not within ${boundMs} ms`);
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(Math.min(Math.max(waitedMs / 10, askAgainMs.min), askAgainMs.max));
  }
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
