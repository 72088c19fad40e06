/**
 * What items and sales are called, for tables that know their numbers: asked for together, once, and
 * kept. Until the answer is here, and without one, the numbers stand.
 */
import { signal } from "@preact/signals";
import { get } from "../api.ts";

type Named = {
  readonly sale_id: number;
  readonly item_id: number;
  readonly sale: string;
  readonly item: string;
};

/** Names that one request asks for, and that are kept. */
const askedMax = 200;
const keptMax = 5_000;

const keyOf = (saleId: number, itemId: number): string => `${saleId}:${itemId}`;
const names = signal<ReadonlyMap<string, Named>>(new Map());
const asked = new Set<string>();
let waiting: string[] = [];

function ask(key: string): void {
  if (asked.has(key)) return;
  asked.add(key);
  if (waiting.push(key) === 1) setTimeout(() => void askNow());
}

async function askNow(): Promise<void> {
  const keys = waiting.slice(0, askedMax);
  waiting = waiting.slice(askedMax);
  if (waiting.length > 0) setTimeout(() => void askNow());
  try {
    const found = await get<{ readonly names: readonly Named[] }>(
      `/api/admin/names?of=${keys.join(",")}`,
    );
    const next = new Map(names.peek());
    for (const one of found.names) next.set(keyOf(one.sale_id, one.item_id), one);
    names.value = new Map([...next].slice(-keptMax));
  } catch {
    // May be asked for again.
    for (const key of keys) asked.delete(key);
  }
}

/** "Jaunty Copper Fox (Drop of …)", of a whole sale its title; or the numbers. */
export function nameOf(saleId: number, itemId: number | null): string {
  // Every sale has a first item, and with its name comes the sale's.
  const key = keyOf(saleId, itemId ?? 1);
  const found = names.value.get(key);
  if (found !== undefined) return itemId === null ? found.sale : `${found.item} (${found.sale})`;
  ask(key);
  return itemId === null ? `Sale ${saleId}` : `Sale ${saleId}, item ${itemId}`;
}
