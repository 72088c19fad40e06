/**
 * The open hourly sale as the server tells it: its figures, its catalogue, and which items are free.
 *
 * Figures and items change when the server says so, never by guess. The stream of events is opened
 * before the catalogue is read, and what an event has said while a page of the catalogue was on its way
 * holds: whatever changed after it comes in an event of its own. After a gap in the stream everything
 * is read again, in place, so that nothing on the screen jumps.
 */
import { batch, computed, signal } from "@preact/signals";
import { get } from "../api.ts";
import { line, listen, type StockNews } from "../live.ts";
import { secondsUntil, serverNow, setServerTime } from "../time.tsx";

export type Sale = {
  readonly id: number;
  readonly title: string;
  readonly starts_at: string;
  readonly ends_at: string;
  readonly stock: number;
  readonly per_user_limit: number;
  readonly reservation_ttl_ms: number;
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
};
export type Item = {
  readonly id: number;
  readonly name: string;
  readonly image_url: string;
  readonly price_cents: number;
  readonly colour: string;
  readonly stock: number;
  /** Units that are neither sold nor reserved. */
  available: number;
};
type SaleNow = {
  readonly now: string;
  readonly current: Sale | null;
  readonly next: { readonly starts_at: string | null };
};
type ItemPage = { readonly items: readonly Item[]; readonly next_after: number | null };

const pageItems = 500;
const pagesAtOnce = 4;
/** Events change the figures; the number of attempts is asked for. */
const askEveryMs = 15_000;
const turnMsMax = 2_000;

/** Undefined until the server has said; null between sales. */
export const sale = signal<Sale | null | undefined>(undefined);
export const nextStartsAt = signal<string | null>(null);
/** Tiles of the wall: what the sale has, before the catalogue is here. */
export const tileCount = signal(10_000);
export const loadedItems = signal(0);
/** Counts changes of any item, for views of a few items to be drawn again. */
export const changes = signal(0);
/** When the figures were last known to be true, by the server's clock. */
export const knownAt = signal<number | null>(null);

export const soldOut = computed(() => {
  const open = sale.value;
  return open ? open.sold >= open.stock : false;
});
/** The hour has ended here, and the server has not said what comes next. */
export const turning = computed(
  () => nextStartsAt.value !== null && secondsUntil(Date.parse(nextStartsAt.value)) === 0,
);

const catalogue: (Item | undefined)[] = [];
export const itemOf = (id: number): Item | undefined => catalogue[id];

type Watcher = {
  /** An item came or changed. */
  readonly item: (id: number) => void;
  /** Another sale: forget all items. */
  readonly cleared: () => void;
};
let watcher: Watcher | null = null;
/** The wall: told of every change, ten thousand times a second if need be. */
export function watch(one: Watcher): void {
  watcher = one;
  for (const item of catalogue) if (item) one.item(item.id);
}

/** Items whose name or number fits, in order; at most `max`. */
export function find(words: string, onlyFree: boolean, max: number): readonly Item[] {
  const wanted = words.trim().toLowerCase();
  const found: Item[] = [];
  for (const item of catalogue) {
    if (!item || (onlyFree && item.available === 0) || !fits(item, wanted)) continue;
    if (found.push(item) === max) break;
  }
  return found;
}
export const fits = (item: Item, wanted: string): boolean =>
  wanted === "" || item.name.toLowerCase().includes(wanted) || String(item.id) === wanted;

// --- Reading ----------------------------------------------------------------------------------

/** Ids that an event spoke of while pages of the catalogue were on their way. */
const newer = new Set<number>();
let reading = 0;

export async function askSale(): Promise<void> {
  const sentAt = Date.now();
  const answer = await get<SaleNow>("/sale");
  setServerTime(answer.now, sentAt, Date.now());
  const before = sale.value?.id;
  const fresh = answer.current?.id !== before;
  batch(() => {
    sale.value = answer.current;
    nextStartsAt.value = answer.next.starts_at;
    knownAt.value = serverNow();
  });
  if (!fresh) return;
  catalogue.length = 0;
  newer.clear();
  loadedItems.value = 0;
  if (answer.current) tileCount.value = answer.current.stock;
  watcher?.cleared();
  changes.value += 1;
  if (answer.current) await readCatalogue();
}

function streamSettled(): Promise<void> {
  return new Promise((resolve) => {
    const stop = line.subscribe((state) => {
      if (state !== "live" && state !== "lost") return;
      // Called at once where the state is known: `stop` is not here yet.
      queueMicrotask(() => stop());
      resolve();
    });
  });
}

/** Throws when a page does not come; what came is kept. */
async function readCatalogue(): Promise<void> {
  const of = sale.value;
  if (!of) return;
  reading += 1;
  try {
    // What changes while the stream is not open yet nobody would tell us.
    await streamSettled();
    const first = await readPage(of, 0);
    if (first === null || first.next_after === null) {
      tileCount.value = Math.max(1, catalogue.length - 1);
      return;
    }
    const count = Math.round(of.stock / (first.items[0]?.stock ?? 1));
    tileCount.value = count;
    const afters: number[] = [];
    for (let after = first.next_after; after < count; after += pageItems) afters.push(after);
    const worker = async () => {
      for (let after = afters.shift(); after !== undefined; after = afters.shift())
        if ((await readPage(of, after)) === null) return;
    };
    await Promise.all(Array.from({ length: pagesAtOnce }, worker));
  } finally {
    reading -= 1;
    if (reading === 0) newer.clear();
  }
}

/** Null when the sale has changed meanwhile. */
async function readPage(of: Sale, after: number): Promise<ItemPage | null> {
  const page = await get<ItemPage>(`/sales/${of.id}/items?limit=${pageItems}&after=${after}`);
  if (sale.value?.id !== of.id) return null;
  for (const item of page.items) {
    const known = catalogue[item.id];
    if (known && newer.has(item.id)) item.available = known.available;
    else if (early.has(item.id)) item.available = early.get(item.id) ?? 0;
    if (!known) loadedItems.value += 1;
    catalogue[item.id] = item;
    early.delete(item.id);
    watcher?.item(item.id);
  }
  changes.value += 1;
  return page;
}

/** What events said of items that the catalogue has not brought yet. */
const early = new Map<number, number>();

function take(news: StockNews): void {
  const open = sale.value;
  // Of a sale that /sale has not told of yet: the catalogue will be read after it.
  if (open?.id !== news.sale_id) return;
  const { sold, reserved, available } = news;
  batch(() => {
    sale.value = { ...open, sold, reserved, available };
    knownAt.value = serverNow();
    for (const [id, free] of news.items) setAvailable(id, free);
    changes.value += 1;
  });
}

/** What an answer or an event says of an item. */
export function setAvailable(id: number, available: number): void {
  const item = catalogue[id];
  if (item === undefined) early.set(id, available);
  else item.available = available;
  if (reading > 0) newer.add(id);
  if (item !== undefined) watcher?.item(id);
}

// --- Following --------------------------------------------------------------------------------

const quietly = (work: Promise<void>) => {
  work.catch(() => {
    // `connection` says so, and the next turn asks again.
  });
};

let refreshing: Promise<void> | null = null;
/** Reads figures and items again. */
function refresh(): Promise<void> {
  refreshing ??= (async () => {
    const before = sale.value?.id;
    await askSale();
    // Of another sale the items have been read just now.
    if (before !== undefined && sale.value?.id === before) await readCatalogue();
  })().finally(() => (refreshing = null));
  return refreshing;
}

/** Follows the sale until the page goes. */
export function follow(): void {
  listen({
    onSale: (news) => {
      if (news.sale?.id !== sale.value?.id || sale.value === undefined) {
        early.clear();
        quietly(askSale());
      }
    },
    onStock: take,
    onGap: () => quietly(refresh()),
  });
  quietly(askSale());
  let askedAt = Date.now();
  setInterval(() => {
    if (document.hidden) return;
    const since = Date.now() - askedAt;
    const unread = sale.value && reading === 0 && loadedItems.value < tileCount.value;
    // Spread over two seconds: at the turn of the hour everybody asks.
    const due = since > askEveryMs || (since > turnMsMax * (0.5 + Math.random()) && turning.value);
    if (!due && !(unread && since > turnMsMax)) return;
    askedAt = Date.now();
    quietly(unread && line.value !== "lost" ? refresh() : askSale());
  }, 500);
}
