/**
 * The tickets of this visitor, by sale. A ticket is a secret that says who has been let in; it is of
 * use to nobody but the buyer who got it. A guest's is kept in this browser, for it is known nowhere
 * else. An account's is kept too, until it logs out; elsewhere it gets the same one when it joins.
 *
 * With each goes the key under which it was asked for. A guest's is made and kept before it is asked,
 * so that an answer that was lost comes again. An account's follows from the sale and from the ticket
 * before it: two devices, or two clicks, ask for the same.
 */
import { signal } from "@preact/signals";
import { randomWord, storage } from "../api.ts";
import { user } from "../session.ts";

type Kept = {
  readonly sale_id: number;
  /** Whose it is. */
  readonly user_id: string;
  readonly key: string;
  /** Null until the server has answered. */
  readonly ticket: string | null;
  /** Its public name. */
  readonly entry: string | null;
};

/** Old sales are forgotten. */
const keptMax = 20;

const placeNow = (): string => (user.peek() ? "account-tickets" : "tickets");

function read(place: string): readonly Kept[] {
  try {
    const stored: unknown = JSON.parse(storage.get(place) ?? "[]");
    return Array.isArray(stored) ? (stored as readonly Kept[]) : [];
  } catch {
    return [];
  }
}

/** Counts changes, in other tabs too. */
export const ticketChanges = signal(0);
addEventListener("storage", ({ key }: StorageEvent) => {
  if (key === null || key.endsWith("tickets")) ticketChanges.value += 1;
});

function write(saleId: number, kept: Kept | null): void {
  const place = placeNow();
  const others = read(place).filter(({ sale_id }) => sale_id !== saleId);
  const next = kept === null ? others : [...others, kept].slice(-keptMax);
  storage.set(place, JSON.stringify(next));
  ticketChanges.value += 1;
}

const keptOf = (saleId: number): Kept | undefined =>
  read(placeNow()).find(
    ({ sale_id, user_id }) =>
      sale_id === saleId && (!user.peek() || user_id === user.peek()?.username),
  );

/** Of whoever is at the page now. */
export function ticketOf(saleId: number): { readonly ticket: string } | undefined {
  const ticket = keptOf(saleId)?.ticket;
  return typeof ticket === "string" ? { ticket } : undefined;
}

/**
 * The key to join under. @param anew a new ticket is wanted in the place of the one that is kept
 */
export function joinKey(saleId: number, userId: string, anew: boolean): string {
  const known = keptOf(saleId);
  if (user.peek()) return `queue ${saleId} ${anew ? (known?.entry ?? "first") : "first"}`;
  if (known !== undefined && (!anew || known.ticket === null)) return known.key;
  const key = randomWord();
  write(saleId, { sale_id: saleId, user_id: userId, key, ticket: null, entry: null });
  return key;
}

export function keepTicket(
  saleId: number,
  got: { readonly ticket: string; readonly entry: string; readonly user_id: string },
  key: string,
): void {
  const { ticket, entry, user_id } = got;
  write(saleId, { sale_id: saleId, user_id, key, ticket, entry });
}
export const forgetTicket = (saleId: number): void => write(saleId, null);
