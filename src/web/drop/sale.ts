/**
 * The open sale of the drop as the server tells it: its figures, its catalogue, and which items are free.
 *
 * Figures and items change when the server says so, never by guess. The stream of events is opened
 * before it is asked what is free, and the answer has in it every event that was sent by then. What an
 * event has said while the answer was on its way holds: whatever changed after it comes in an event of
 * its own. After a gap in the stream it is asked again, in place, so that nothing on the screen jumps;
 * so it is when the stream could be opened only afterwards. The catalogue never changes, and is read
 * once.
 */
import { batch, computed, signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { line, listen, type StockNews } from "../live.ts";
import { secondsUntil, serverNow, setServerTime, steadyNow } from "../time.tsx";

export type Sale = {
  readonly id: number;
  readonly title: string;
  readonly kind: string;
  readonly starts_at: string;
  readonly ends_at: string;
  readonly stock: number;
  readonly per_user_limit: number;
  readonly reservation_ttl_ms: number;
  /** Whether one has to wait to be let in. */
  readonly entry: "open" | "queue";
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
  readonly next: {
    readonly starts_at: string | null;
    /** Null until its catalogue is made, some minutes ahead. */
    readonly id: number | null;
    readonly entry: "open" | "queue";
  };
};
/** In columns; the first entry of each is item 1's. */
type Catalogue = {
  /** Of an item, with its number in place of `{id}`. */
  readonly image_url: string;
  readonly palette: readonly string[];
  readonly names: readonly string[];
  readonly price_cents: readonly number[];
  readonly stock: readonly number[];
  /** Indices into the palette. */
  readonly colours: readonly number[];
};
/** Units that are neither sold nor reserved, in the order of the items. */
type Availability = { readonly free: readonly number[] };

/** Events change the figures; the number of attempts is asked for. */
const askEveryMs = 15_000;
const turnMsMax = 2_000;

/** Undefined until the server has said; null between sales. */
export const sale = signal<Sale | null | undefined>(undefined);
export const nextStartsAt = signal<string | null>(null);
/** The next sale, where its waiting room is open. */
export const nextQueueId = signal<number | null>(null);
/** Before the server has said, so that the wall has its size at the first paint. */
const tilesExpected = 10_000;
/** Tiles of the wall: what the sale has, before the catalogue is here. */
export const tileCount = signal(tilesExpected);
export const loadedItems = signal(0);
/** Counts changes of any item, for views of a few items to be drawn again. */
export const changes = signal(0);
/** When the figures were last known to be true, by the server's clock. */
export const knownAt = signal<number | null>(null);

/** The open sale, where one has to wait to be let in. */
export const queueId = computed(() => (sale.value?.entry === "queue" ? sale.value.id : null));
/** Changes with the sale, and not with its figures. */
export const saleId = computed(() => sale.value?.id ?? null);
/** Nothing can come free any more: what is neither to be had nor held is sold, or taken out. */
export const soldOut = computed(() => {
  const open = sale.value;
  return open ? open.available + open.reserved === 0 : false;
});
/** The sale has ended here, and the server has not said what comes next. */
export const turning = computed(
  () => nextStartsAt.value !== null && secondsUntil(Date.parse(nextStartsAt.value)) === 0,
);

/** By number, from 1. */
const items: (Item | undefined)[] = [];
export const itemOf = (id: number): Item | undefined => items[id];

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
  for (const item of items) if (item) one.item(item.id);
}

/** Items whose name or number fits, by number. */
export function find(words: string, onlyFree: boolean): readonly Item[] {
  const found: Item[] = [];
  for (const item of items)
    if (item && (!onlyFree || item.available > 0) && fits(item, words)) found.push(item);
  return found;
}
export const fits = (item: Item, wanted: string): boolean =>
  wanted === "" || item.name.toLowerCase().includes(wanted) || String(item.id) === wanted;

// --- Reading ----------------------------------------------------------------------------------

/** The answers that are on their way, each with what events have said of items since it was asked. */
const coming = new Set<Map<number, number>>();
const itemAnswers = new Answers();
/** Items have changed, or may have, since it was asked what is free, and no event has said so. */
let blind = false;

let asking = 0;
const saleAnswers = new Answers();
/** The last figures that an event has told. */
let heard: StockNews | null = null;

/** Of an answer, with the figures that an event has told since it was asked for. */
function current({ current: open }: SaleNow, before: StockNews | null): Sale | null {
  if (open === null || heard === null || heard === before || heard.sale_id !== open.id) return open;
  const { sold, reserved, available } = heard;
  return { ...open, sold, reserved, available };
}

export async function askSale(): Promise<void> {
  const sentAt = steadyNow();
  asking += 1;
  const isTaken = saleAnswers.ask();
  const heardBefore = heard;
  const answer = await get<SaleNow>("/sale").finally(() => (asking -= 1));
  setServerTime(answer.now, sentAt, steadyNow());
  if (!isTaken()) return;
  const before = sale.value?.id;
  const fresh = answer.current?.id !== before;
  batch(() => {
    sale.value = current(answer, heardBefore);
    nextStartsAt.value = answer.next.starts_at;
    nextQueueId.value = answer.next.entry === "queue" ? answer.next.id : null;
    knownAt.value = serverNow();
  });
  if (!fresh) return;
  items.length = 0;
  loadedItems.value = 0;
  if (answer.current) tileCount.value = answer.current.stock;
  watcher?.cleared();
  changes.value += 1;
  if (answer.current) await readItems();
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

/** Throws when an answer does not come. */
async function readItems(): Promise<void> {
  const of = sale.value;
  if (!of) return;
  const isTaken = itemAnswers.ask();
  const since = new Map<number, number>();
  coming.add(since);
  try {
    const [catalogue, { free }] = await Promise.all([readCatalogue(of), readAvailability(of)]);
    // The sale may have changed meanwhile.
    if (sale.value?.id !== of.id || !isTaken()) return;
    lay(catalogue, (id) => since.get(id) ?? free[id - 1] ?? 0);
  } finally {
    coming.delete(since);
  }
  if (blind && line.value === "live") await readItems();
}

async function readAvailability(of: Sale): Promise<Availability> {
  // What changes while the stream is not open yet nobody would tell us.
  await streamSettled();
  blind = line.value !== "live";
  return await get<Availability>(`/sales/${of.id}/availability`);
}

let read: { readonly id: number; readonly catalogue: Promise<Catalogue> } | null = null;

async function readCatalogue(of: Sale): Promise<Catalogue> {
  // The browser keeps it for ever by its address; records that are begun anew count from 1 again.
  const path = `/sales/${of.id}/catalogue?of=${Date.parse(of.starts_at)}-${of.stock}`;
  if (read?.id !== of.id) read = { id: of.id, catalogue: get<Catalogue>(path, { stored: true }) };
  const mine = read;
  try {
    return await mine.catalogue;
  } catch (error) {
    if (read === mine) read = null;
    throw error;
  }
}

/** Lays the items out, or those out anew that changed. */
function lay(catalogue: Catalogue, availableOf: (id: number) => number): void {
  const { names, price_cents, stock, colours, palette, image_url } = catalogue;
  tileCount.value = Math.max(1, names.length);
  batch(() => {
    names.forEach((name, i) => {
      const id = i + 1;
      const available = availableOf(id);
      const known = items[id];
      if (known?.available === available) return;
      if (known) known.available = available;
      else
        items[id] = {
          id,
          name,
          image_url: image_url.replace("{id}", String(id)),
          price_cents: price_cents[i] ?? 0,
          colour: palette[colours[i] ?? 0] ?? "#000000",
          stock: stock[i] ?? 1,
          available,
        };
      watcher?.item(id);
    });
    loadedItems.value = names.length;
    changes.value += 1;
  });
}

function take(news: StockNews): void {
  heard = news;
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
  for (const since of coming) since.set(id, available);
  const item = items[id];
  // One that has not come yet will be as the answer says that brings it.
  if (item === undefined) return;
  item.available = available;
  watcher?.item(id);
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
    if (before !== undefined && sale.value?.id === before) await readItems();
  })().finally(() => (refreshing = null));
  return refreshing;
}

/** Follows the sale until the page goes. */
export function follow(): void {
  listen({
    onSale: (news) => {
      // The first answer of all is on its way: it says the same.
      if (sale.value === undefined && asking > 0) return;
      if (news.sale?.id !== sale.value?.id || sale.value === undefined) quietly(askSale());
    },
    onStock: take,
    onGap: () => {
      blind = true;
      quietly(refresh());
    },
  });
  quietly(askSale());
  line.subscribe((state) => {
    if (state === "live" && blind && coming.size === 0) quietly(refresh());
  });
  let askedAt = Date.now();
  setInterval(() => {
    if (document.hidden) return;
    const since = Date.now() - askedAt;
    const unread = sale.value && coming.size === 0 && loadedItems.value < tileCount.value;
    // Spread over two seconds: at the turn everybody asks.
    const due = since > askEveryMs || (since > turnMsMax * (0.5 + Math.random()) && turning.value);
    if (!due && !(unread && since > turnMsMax)) return;
    askedAt = Date.now();
    quietly(unread || blind ? refresh() : askSale());
  }, 500);
}
