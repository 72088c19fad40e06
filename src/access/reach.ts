/** Asking PostgreSQL, which may be away. */
import { isAway } from "../postgres/client.ts";
import { UnavailableError } from "../engine/writer.ts";

/** @throws UnavailableError when PostgreSQL does not answer */
export async function reaching<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (isAway(error)) throw new UnavailableError("PostgreSQL does not answer");
    throw error;
  }
}
