/** Telling of a change that was made, when the records may be lost by then. */
import { isAway, isTooSlow } from "../postgres/client.ts";
import { OutcomeUnknownError, OverloadedError, UnavailableError } from "./writer.ts";

/**
 * Reads what is told of a change that is made.
 * @throws OutcomeUnknownError where it cannot be read now: who asked for the change must not be told
 *   that nothing was done
 */
export async function madeAs<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const isRefused = error instanceof UnavailableError || error instanceof OverloadedError;
    if (!isRefused && !isAway(error) && !isTooSlow(error)) throw error;
    throw new OutcomeUnknownError("the change was made, and the records cannot be read");
  }
}
