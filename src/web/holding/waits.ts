/**
 * Waiting for what cannot be had now, on every page: which sales an account waits in is kept in this
 * browser, and asked for while it waits. What comes free is reserved for it by the server and stands in
 * the bar as anything that is held; that it is there is said, in the title too, and by a sound for who
 * wants one.
 */
import { effect, signal, untracked } from "@preact/signals";
import { answersEach } from "../answers.ts";
import { get, send, storage } from "../api.ts";
import { Problem } from "../problems.ts";
import { ticketOf } from "../queue/tickets.ts";
import { asBuyer, user } from "../session.ts";
import { changed } from "./store.ts";
import { beep, isSounding, spoken, standingMark } from "./warn.ts";

type Line = {
  readonly item_id: number | "any";
  /** How many wait before them. */
  readonly ahead: number;
  /** What is reserved for them. */
  readonly offer: { readonly code: string; readonly item_id: number } | null;
};
type Waiting = { readonly sale_id: number; readonly lines: readonly Line[] };

const everyMs = 3_000;
const salesMax = 10;
const place = "waits";
const markWords = "★ One for you · ";

function readSales(): readonly number[] {
  try {
    const stored: unknown = JSON.parse(storage.get(place) ?? "[]");
    return Array.isArray(stored) ? stored.filter((id) => typeof id === "number") : [];
  } catch {
    return [];
  }
}
const sales = signal(readSales());
const lines = signal<ReadonlyMap<number, readonly Line[]>>(new Map());
/** Offers that were told. */
const told = new Set<string>();
/** By sale. */
const answersOf = answersEach<number>();

function keep(next: readonly number[]): void {
  sales.value = next.slice(-salesMax);
  storage.set(place, next.length === 0 ? null : JSON.stringify(sales.value));
}

function take({ sale_id: id, lines: found }: Waiting): void {
  lines.value = new Map(lines.peek()).set(id, found);
  const others = sales.peek().filter((one) => one !== id);
  keep(found.length === 0 ? others : [...others, id]);
  const hasOffer = found.some(({ offer }) => offer !== null);
  if (!hasOffer && standingMark.peek() === markWords) standingMark.value = "";
  for (const { offer } of found) {
    if (offer === null || told.has(offer.code)) continue;
    told.add(offer.code);
    spoken.value = "One came free, and is held for you. Buy it in the bar below.";
    standingMark.value = markWords;
    if (isSounding.peek()) beep(3);
    changed("account");
  }
}

/** The line of an item in a sale, or of any; null while nobody waits. */
export const lineOf = (saleId: number, item: number | "any"): Line | null =>
  lines.value.get(saleId)?.find(({ item_id: of }) => of === item || of === "any") ?? null;

/** What came of an act: newer than all that was asked before it, and nobody else's. */
function takeAct(name: string | undefined, waiting: Waiting): void {
  if (user.peek()?.username !== name) return;
  answersOf(waiting.sale_id).void();
  take(waiting);
}

/** @throws Problem: `available` where there is one to be had */
export async function waitFor(saleId: number, item: number | "any"): Promise<void> {
  const path = `/sales/${saleId}/waitlist`;
  const ticket = ticketOf(saleId)?.ticket;
  const name = user.peek()?.username;
  const ask = () => send<Waiting>("POST", path, { body: { item_id: item }, again: true, ticket });
  takeAct(name, await asBuyer(ask));
}

export async function waitNoMore(saleId: number): Promise<void> {
  const name = user.peek()?.username;
  await asBuyer(() => send("DELETE", `/sales/${saleId}/waitlist`));
  takeAct(name, { sale_id: saleId, lines: [] });
}

async function askLines(saleId: number): Promise<void> {
  const isTaken = answersOf(saleId).ask();
  try {
    const waiting = await get<Waiting>(`/sales/${saleId}/waitlist/me`);
    if (isTaken()) take(waiting);
  } catch (error) {
    // The sale is over. What says nothing of it is asked again.
    if (error instanceof Problem && !error.isSilent && isTaken())
      take({ sale_id: saleId, lines: [] });
  }
}

function askAll(): void {
  if (user.peek()) for (const id of sales.peek()) void askLines(id);
}

/** Somebody else is at the page: nothing that was known or asked is theirs. */
function forget(): void {
  for (const id of new Set([...sales.peek(), ...lines.peek().keys()])) answersOf(id).void();
  lines.value = new Map();
  sales.value = readSales();
  if (standingMark.peek() === markWords) standingMark.value = "";
}

/** Follows what an account waits for until the page goes. */
export function followWaits(): void {
  setInterval(askAll, everyMs);
  let before: string | undefined;
  effect(() => {
    const name = user.value?.username;
    if (name === before) return;
    if (before !== undefined) untracked(forget);
    before = name;
    untracked(askAll);
  });
}
