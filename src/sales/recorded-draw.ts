/** The draw of a sale as the records have it, for sales that nobody holds any more, and for who checks. */
import { drawing, type Drawn } from "./draw.ts";
import { Entries } from "./draws.ts";

/** Tickets that are hashed in one turn: about two milliseconds' worth. */
const ticketsPerTurn = 2_048;

/**
 * @param pages everybody who is drawn, in the order of their numbers
 * @param nextTurn called between slices of a few milliseconds
 */
export async function drawRecorded(
  seed: string,
  pages: AsyncIterable<readonly string[]>,
  nextTurn: () => Promise<void>,
): Promise<Drawn> {
  const entries = new Entries();
  for await (const page of pages) {
    for (let from = 0; from < page.length; from += ticketsPerTurn) {
      entries.add(page.slice(from, from + ticketsPerTurn));
      await nextTurn();
    }
  }
  const steps = drawing(seed, entries.first(entries.count));
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) await nextTurn();
  return step.value;
}
