/** Waiting for what nobody announces: another process, or a file that it writes. */

/**
 * Asks until the answer is something other than undefined, or the bound is passed.
 * @returns that answer, or undefined past the bound
 */
export async function poll<T>(
  bounds: { everyMs: number; waitMaxMs: number },
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T | undefined> {
  const deadline = performance.now() + bounds.waitMaxMs;
  for (;;) {
    // One question after another is the point here.
    // oxlint-disable-next-line no-await-in-loop
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(bounds.everyMs);
  }
}
