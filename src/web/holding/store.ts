/**
 * What this visitor holds, in every sale, and what this browser's guest has bought.
 *
 * Of an account the server knows it (`GET /reservations`), whatever device it was reserved on: it is
 * asked when the page opens or is looked at again, after every act, and in between. Of a guest only
 * this browser knows it, for a code is a secret: each is kept in localStorage from the moment the
 * server has given it, and other tabs see it too.
 *
 * A hold ends by the server's clock, with its time or with its sale. It stays here then, and says why,
 * until somebody dismisses it: it may still be bought if nobody was quicker. Nothing of an account is
 * stored in the browser.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import { get, send, storage } from "../api.ts";
import { Problem } from "../problems.ts";
import { ticketOf } from "../queue/tickets.ts";
import { asBuyer, buyer as buyerName, user } from "../session.ts";
import { isTimeKnown, serverNow, tick } from "../time.tsx";
import { intend } from "./keys.ts";
import { askSale, askUnknownSale, termsOf } from "./terms.ts";

type HeldItem = {
  readonly id: number;
  readonly name: string;
  readonly image_url: string;
  readonly price_cents: number;
};
export type Holding = {
  readonly code: string;
  readonly sale_id: number;
  readonly item: HeldItem;
  readonly user_id: string;
  readonly buyer: "guest" | "account";
  readonly expires_at: string;
  /** How long it holds in all, for the ring. */
  readonly ttl_ms: number;
  /** Known to be over, whatever the clock says. */
  readonly over?: "bought" | "gone";
};
/** What a guest has bought. */
export type Bought = {
  readonly code: string;
  readonly order_id: string;
  readonly sale_id: number;
  readonly sale_title: string;
  readonly item: HeldItem;
  readonly user_id: string;
  readonly purchased_at: string;
};

/** Why a hold has ended. */
type Why = "time" | "sale" | "bought" | "gone";

const heldMax = 200;
const boughtMax = 1_000;
/** A hold that ended is spoken of for so long. */
const lateMs = 600_000;
/** What the two clocks may be apart. */
const clockMs = 2_000;
const askMs = 15_000;
const askHoldingMs = 5_000;

// --- The browser's store ----------------------------------------------------------------------

function readList<T extends { readonly code: string }>(place: string): readonly T[] {
  try {
    const stored: unknown = JSON.parse(storage.get(place) ?? "[]");
    return Array.isArray(stored)
      ? stored.filter((one: Partial<T> | null) => typeof one?.code === "string")
      : [];
  } catch {
    return [];
  }
}

/** Reservations of the guest, and of the account: the first as they are stored. */
const ofGuest = signal(readList<Holding>("held"));
const ofAccount = signal<readonly Holding[]>([]);
export const guestBought = signal(readList<Bought>("bought"));

function storeGuest(next: readonly Holding[]): void {
  ofGuest.value = next.slice(-heldMax);
  storage.set("held", JSON.stringify(ofGuest.value));
}
function storeBought(next: readonly Bought[]): void {
  guestBought.value = next.slice(-boughtMax);
  storage.set("bought", JSON.stringify(guestBought.value));
}
export function forgetGuest(): void {
  storeGuest([]);
  storeBought([]);
}

/** Other tabs: what a guest has, and that an account's have changed. */
addEventListener("storage", ({ key }: StorageEvent) => {
  if (key === null || key.endsWith(".held")) ofGuest.value = readList("held");
  if (key === null || key.endsWith(".bought")) guestBought.value = readList("bought");
  if (key?.endsWith(".acted") === true) void askReservations();
});
const tellTabs = () => storage.set("acted", String(serverNow()));

function put(one: Holding): void {
  const others = (list: readonly Holding[]) => list.filter(({ code }) => code !== one.code);
  if (one.buyer === "guest") storeGuest([...others(readList("held")), one]);
  else ofAccount.value = [...others(ofAccount.value), one];
}

/** Forgets a reservation here; the server does not. */
export function dismiss(code: string): void {
  const others = (list: readonly Holding[]) => list.filter((one) => one.code !== code);
  if (ofGuest.peek().some((one) => one.code === code)) storeGuest(others(readList("held")));
  ofAccount.value = others(ofAccount.peek());
}

// --- What is held -----------------------------------------------------------------------------

const all = computed(() => [...ofGuest.value, ...ofAccount.value]);

/** Milliseconds since the Unix epoch, by the server: with the reservation, or with its sale. */
export const endOf = ({ sale_id, expires_at }: Holding): number => {
  const sale = termsOf(sale_id);
  const end = Date.parse(expires_at);
  return sale === undefined ? end : Math.min(end, Date.parse(sale.ends_at));
};
const isLive = (one: Holding, now: number): boolean => one.over === undefined && endOf(one) > now;

/** Live ones, the one that ends next first. */
export const held = computed(() =>
  all.value
    .filter((one) => isLive(one, tick.value))
    .toSorted((a, b) => endOf(a) - endOf(b) || a.code.localeCompare(b.code)),
);
/** Those that have ended, the last one first. */
export const ended = computed(() =>
  all.value
    .filter((one) => !isLive(one, tick.value) && isTimeKnown.value)
    .toSorted((a, b) => endOf(b) - endOf(a)),
);
export function whyEnded(one: Holding): Why {
  if (one.over !== undefined) return one.over;
  const sale = termsOf(one.sale_id);
  return sale !== undefined && Date.parse(sale.ends_at) <= Date.parse(one.expires_at)
    ? "sale"
    : "time";
}
/** By item: what this visitor holds of a sale, or held a moment ago. */
export const heldIn = (saleId: number | null): ReadonlyMap<number, Holding> => {
  const ofSale = (list: readonly Holding[]) =>
    list.filter((one) => one.sale_id === saleId).map((one) => [one.item.id, one] as const);
  return new Map([...ofSale(ended.value.toReversed()), ...ofSale(held.value)]);
};

/** What is long over is forgotten, once the time is known. */
effect(() => {
  if (!isTimeKnown.value) return;
  const old = serverNow() - lateMs;
  const over = all.value.filter((one) => endOf(one) < old || one.over === "bought");
  if (over.some((one) => endOf(one) < old))
    batch(() => over.filter((one) => endOf(one) < old).forEach(({ code }) => dismiss(code)));
});

// --- Asking the server ------------------------------------------------------------------------

type Told = {
  readonly code: string;
  readonly sale_id: number;
  readonly item: HeldItem;
  readonly reserved_at: string;
  readonly expires_at: string;
};
type OrderTold = { readonly code?: string; readonly codes?: readonly string[] };

/** What is being asked, and for whom. */
let asking: { readonly name: string | undefined; readonly done: Promise<void> } | null = null;
/** The server has no such path: it is an older one. */
let isUnknown = false;

function askReservations(): Promise<void> {
  const name = user.peek()?.username;
  if (asking !== null && asking.name === name) return asking.done;
  const mine = { name, done: readReservations() };
  asking = mine;
  void mine.done.finally(() => {
    if (asking === mine) asking = null;
  });
  return mine.done;
}

async function readReservations(): Promise<void> {
  const known = user.peek();
  if (!known || isUnknown) return;
  try {
    const path = "/reservations";
    let since: number;
    let told: { readonly reservations: readonly Told[] };
    do {
      since = acts.peek();
      // oxlint-disable-next-line no-await-in-loop
      told = await get<typeof told>(path);
      // Of what was done here meanwhile it may not know: a hold would come back, or be said to be gone.
    } while (acts.peek() !== since && user.peek()?.username === known.username);
    // Somebody else may have logged in meanwhile.
    if (user.peek()?.username === known.username) await take(told.reservations, known.username);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) isUnknown = true;
    // Else `connection` says so, and it is asked again.
  }
}

async function take(told: readonly Told[], userId: string): Promise<void> {
  const codes = new Set(told.map(({ code }) => code));
  const before = ofAccount.peek();
  // Near its end a hold may be over there, and not here yet.
  const soon = serverNow() + clockMs;
  const missing = before.filter((one) => !codes.has(one.code) && isLive(one, soon));
  ofAccount.value = [
    ...before.filter((one) => !codes.has(one.code)),
    ...told.map(({ code, sale_id, item, reserved_at, expires_at }) => {
      const ttl_ms = Date.parse(expires_at) - Date.parse(reserved_at);
      const buyer = "account" as const;
      return { code, sale_id, item, user_id: userId, buyer, expires_at, ttl_ms };
    }),
  ];
  for (const sale of new Set(told.map(({ sale_id }) => sale_id))) askUnknownSale(sale);
  if (missing.length === 0) return;
  // Its sale was closed; or somebody bought it or gave it back, on another device or tab.
  const sales = new Set(missing.map(({ sale_id }) => sale_id));
  const [bought] = await Promise.all([codesBought(), ...Array.from(sales, askSale)]);
  acts.value += 1;
  for (const one of missing)
    if (ofAccount.peek().includes(one) && isLive(one, serverNow() + clockMs))
      put({ ...one, over: bought.has(one.code) ? "bought" : "gone" });
}

async function codesBought(): Promise<ReadonlySet<string>> {
  try {
    const path = "/api/purchases/my-purchases?limit=20";
    const { purchases } = await get<{ readonly purchases: readonly OrderTold[] }>(path);
    return new Set(purchases.flatMap(({ code, codes = [] }) => codes.concat(code ?? [])));
  } catch {
    return new Set();
  }
}

/** Counts what changes what somebody has: pages that show purchases ask again. */
export const acts = signal(0);
export function changed(buyer: Holding["buyer"]): void {
  acts.value += 1;
  if (buyer === "guest") return;
  tellTabs();
  void askReservations();
}

// --- Acts -------------------------------------------------------------------------------------

type Reserved = {
  readonly code: string;
  readonly user_id: string;
  readonly buyer: "guest" | "account";
  readonly sale_id: number;
  readonly item: HeldItem;
  readonly expires_at: string;
};
type Sold = Reserved & { readonly order_id: string; readonly purchased_at: string };

/** When a limit that was told may be free again, by sale; by the server's clock. */
const limits = signal<ReadonlyMap<number, number>>(new Map());
/** Until when the server has said that this buyer's limit is reached; null when it has not. */
export const limitToldUntil = (saleId: number): number | null => {
  const until = limits.value.get(saleId);
  return until !== undefined && until > tick.value ? until : null;
};
const unfull = (saleId: number) => {
  const next = new Map(limits.peek());
  if (next.delete(saleId)) limits.value = next;
};
effect(() => {
  void user.value;
  limits.value = new Map();
});

/**
 * Reserves one unit. @throws Problem: a refusal, or that no answer came
 * @param cents the price that was shown
 */
export async function reserve(saleId: number, id: number | "any", cents?: number) {
  // An account is known by its session; its name finds out when that has become another one's.
  const query = new URLSearchParams({
    user_id: buyerName.peek(),
    id: String(id),
    sale_id: String(saleId),
    ...(cents === undefined ? {} : { expected_price_cents: String(cents) }),
  });
  try {
    const answer = await intend(`reserve ${query}`, (key) =>
      asBuyer(() =>
        send<Reserved>("POST", `/checkout?${query}`, { key, ticket: ticketOf(saleId)?.ticket }),
      ),
    );
    const { code, user_id, buyer, sale_id, item, expires_at } = answer;
    const most = termsOf(sale_id)?.reservation_ttl_ms ?? Infinity;
    const ttl_ms = Math.max(1, Math.min(most, Date.parse(expires_at) - serverNow()));
    const one: Holding = { code, sale_id, item, user_id, buyer, expires_at, ttl_ms };
    // Whoever has logged in meanwhile does not hold it; its account is told when it is back.
    if (buyer === "guest" || user.peek()?.username === user_id) put(one);
    changed(buyer);
    askUnknownSale(sale_id);
    return one;
  } catch (error) {
    if (error instanceof Problem && error.code === "user_limit_reached") {
      // Without a time purchases fill it, which stay.
      const until = error.retryAfterMs === null ? Infinity : serverNow() + error.retryAfterMs;
      limits.value = new Map(limits.peek()).set(saleId, until);
      void askReservations();
    }
    throw error;
  }
}

/** Refusals after which a code is worth nothing. */
const worthless = new Set(["code_expired", "sale_ended", "code_not_found"]);

/** The same code gives the same order again, so it may be sent until an answer comes. */
export async function buy(one: Holding): Promise<Sold> {
  try {
    const path = `/purchase?code=${encodeURIComponent(one.code)}`;
    const sold = await asBuyer(() => send<Sold>("POST", path, { again: true }));
    batch(() => {
      const { code, order_id, sale_id, item, user_id, purchased_at } = sold;
      const sale_title = termsOf(sale_id)?.title ?? "";
      if (one.buyer === "guest")
        storeBought([
          ...readList<Bought>("bought").filter((other) => other.code !== code),
          { code, order_id, sale_id, sale_title, item, user_id, purchased_at },
        ]);
      dismiss(one.code);
    });
    changed(one.buyer);
    return sold;
  } catch (error) {
    if (error instanceof Problem && worthless.has(error.code)) dismiss(one.code);
    throw error;
  }
}

export async function giveBack(one: Holding): Promise<void> {
  try {
    const path = `/checkout?code=${encodeURIComponent(one.code)}`;
    await asBuyer(() => send("DELETE", path));
  } catch (error) {
    // Bought meanwhile: its order is asked for, which changes nothing.
    if (error instanceof Problem && error.code === "already_purchased")
      await buy(one).catch(() => undefined);
    else if (error instanceof Problem && worthless.has(error.code)) dismiss(one.code);
    throw error;
  }
  dismiss(one.code);
  unfull(one.sale_id);
  changed(one.buyer);
}

// --- Following --------------------------------------------------------------------------------

/** Follows what is held until the page goes. */
export function followHoldings(): void {
  let askedAt = 0;
  const ask = () => {
    askedAt = serverNow();
    void askReservations();
    for (const id of new Set(held.peek().map(({ sale_id }) => sale_id))) void askSale(id);
  };
  let before: string | null = null;
  effect(() => {
    const name = user.value?.username ?? null;
    if (name === before) return;
    before = name;
    ofAccount.value = [];
    if (name !== null) void askReservations();
  });
  for (const { sale_id } of all.peek()) askUnknownSale(sale_id);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });
  // Whoever comes over from another device moves something here first.
  for (const sign of ["pointermove", "pointerdown", "keydown", "focus"])
    addEventListener(sign, () => Math.abs(serverNow() - askedAt) > askHoldingMs && ask(), {
      passive: true,
    });
  setInterval(() => {
    const holding = held.peek().length > 0;
    if (document.hidden && !holding) return;
    if (Math.abs(serverNow() - askedAt) > (holding ? askHoldingMs : askMs)) ask();
  }, 1_000);
}
