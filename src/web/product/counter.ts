/**
 * What happens at the counter of one product: what it is, what this account holds and has bought of the
 * sale it is in, and the ways to get it: in one step, or reserved first.
 *
 * A reservation is kept in the browser, so that a reload does not lose it. Reserving and buying by a
 * code are sent again by themselves when no answer comes; buying in one step is not, because nobody
 * could tell the second answer from a second purchase.
 */
import { computed, effect, signal } from "@preact/signals";
import { get, randomWord, send, storage } from "../api.ts";
import { Problem } from "../problems.ts";
import { user } from "../session.ts";
import {
  type Order,
  type OrderPage,
  type Product,
  type ProductSale,
  stateAt,
} from "../shop/data.ts";
import { tick } from "../time.tsx";
import { load } from "../ui.tsx";

export type Held = {
  readonly username: string;
  readonly code: string;
  readonly sale_id: number;
  readonly product_id: number;
  readonly price_cents: number;
  readonly expires_at: string;
  readonly ttl_ms: number;
};
type Reserved = Pick<Held, "code" | "expires_at"> & {
  readonly item: { readonly price_cents: number };
};

const heldMax = 50;
/** Of the history, what is looked at to know how many of a sale somebody has. */
const historyMax = 100;
const refreshMs = 2_500;
const turnMs = 1_500;
const unannouncedMs = 15_000;
/** A reservation that ran out is shown for so long: it may still be bought if the unit is free. */
const lateMs = 60_000;

const productId = Number(new URLSearchParams(location.search).get("id") ?? "");

let askedAt = 0;
export const product = load(() => {
  askedAt = Date.now();
  return get<Product>(`/api/products/${productId}`);
});

/** The sale the product is in; one that has ended while the page was open is kept. */
export const sale = signal<ProductSale | null>(null);
effect(() => {
  const now = product.state.value;
  if (now.is === "here" && now.value.flash_sale !== null) sale.value = now.value.flash_sale;
});
export const saleState = computed(() =>
  sale.value === null ? null : stateAt(sale.value, tick.value),
);

// --- What this account has --------------------------------------------------------------------

function readHeld(): readonly Held[] {
  try {
    const stored: unknown = JSON.parse(storage.get("shop.held") ?? "[]");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}
const allHeld = signal(readHeld());

function keep(next: readonly Held[]): void {
  const alive = next.filter((one) => Date.parse(one.expires_at) > Date.now() - lateMs * 10);
  allHeld.value = alive.slice(-heldMax);
  storage.set("shop.held", JSON.stringify(allHeld.value));
}
export const forget = (code: string): void =>
  keep(allHeld.peek().filter((one) => one.code !== code));

/** This account's reservations of this product, and of other items of the sale. */
const theirs = computed(() =>
  allHeld.value.filter(
    (one) => one.username === user.value?.username && one.sale_id === sale.value?.id,
  ),
);
export const held = computed(() =>
  theirs.value.filter(
    (one) => one.product_id === productId && tick.value < Date.parse(one.expires_at) + lateMs,
  ),
);
export const isLate = (one: Held): boolean => tick.value >= Date.parse(one.expires_at);

const bought = signal<readonly Order[]>([]);
/** The server said so: it knows of reservations that were made elsewhere. */
const toldLimit = signal(false);

async function askHistory(): Promise<void> {
  if (!user.peek()) return;
  const page = await get<OrderPage>(`/api/purchases/my-purchases?limit=${historyMax}`);
  bought.value = page.purchases;
}
/** Units of this sale that the account has bought. */
const boughtUnits = computed(() =>
  bought.value
    .filter((order) => order.flash_sale_id === sale.value?.id)
    .reduce((sum, order) => sum + order.quantity, 0),
);
/** How many more this account may have of the sale, as far as is known here. */
export const allowance = computed(() => {
  if (sale.value === null || toldLimit.value) return 0;
  const live = theirs.value.filter((one) => !isLate(one)).length;
  return Math.max(0, sale.value.per_user_limit - boughtUnits.value - live);
});
/** The last order of this product by this account. */
export const owned = computed(() => bought.value.find((order) => order.product_id === productId));

// --- What can be done -------------------------------------------------------------------------

export const busy = signal<"buy" | "reserve" | "code" | "release" | null>(null);

async function act<T>(name: NonNullable<typeof busy.value>, does: () => Promise<T>): Promise<T> {
  busy.value = name;
  try {
    return await does();
  } catch (error) {
    if (error instanceof Problem && error.code === "user_limit_reached") toldLimit.value = true;
    if (error instanceof Problem && error.status === 401) user.value = null;
    throw error;
  } finally {
    busy.value = null;
    void product.again();
  }
}

/** Reserved and sold in one decision. @throws Problem; `lost` when it is not known what happened */
export const buyNow = (of: ProductSale, quantity: number): Promise<Order> =>
  act("buy", async () => {
    const body = { flash_sale_id: of.id, product_id: productId, quantity };
    const order = await send<Order>("POST", "/api/purchases", { body });
    bought.value = [order, ...bought.peek()];
    return order;
  }).catch(async (error: unknown) => {
    // What came of it stands in the history, if the server can be asked.
    if (error instanceof Problem && error.code === "lost")
      await askHistory().catch(() => undefined);
    throw error;
  });

let key: string | null = null;

export const reserve = (of: ProductSale): Promise<void> =>
  act("reserve", async () => {
    key ??= randomWord();
    const body = { item_id: of.item_id };
    try {
      const made = await send<Reserved>("POST", `/api/flash-sales/${of.id}/checkout`, {
        body,
        key,
      });
      key = null;
      const { code, expires_at, item } = made;
      const username = user.peek()?.username ?? "";
      const terms = { sale_id: of.id, product_id: productId, ttl_ms: of.reservation_ttl_ms };
      keep([
        ...allHeld.peek(),
        { username, code, expires_at, price_cents: item.price_cents, ...terms },
      ]);
    } catch (error) {
      if (error instanceof Problem && error.code !== "lost" && error.status < 500) key = null;
      throw error;
    }
  });

export const buyHeld = ({ code }: Held): Promise<Order> =>
  act("code", async () => {
    try {
      const order = await send<Order>("POST", "/api/purchases", { body: { code }, again: true });
      bought.value = [order, ...bought.peek()];
      forget(code);
      return order;
    } catch (error) {
      const gone = ["code_not_found", "code_expired", "sale_ended"];
      if (error instanceof Problem && gone.includes(error.code)) forget(code);
      throw error;
    }
  });

export const giveBack = ({ code, sale_id }: Held): Promise<void> =>
  act("release", async () => {
    await send("DELETE", `/api/flash-sales/${sale_id}/checkout?code=${code}`);
    toldLimit.value = false;
    forget(code);
  });

/** Keeps the figures fresh while the page is looked at. */
export function follow(): void {
  effect(() => {
    const known = user.value?.id;
    toldLimit.value = false;
    if (known === undefined) bought.value = [];
    else askHistory().catch(() => undefined);
  });
  setInterval(() => {
    const isOver = sale.peek() !== null && saleState.peek() === "ended";
    // A product in no sale is asked after as well, for one may be announced.
    const isRecent = sale.peek() === null && Date.now() - askedAt < unannouncedMs;
    if (!document.hidden && !isOver && !isRecent) void product.again();
  }, refreshMs);
  effect(() => {
    const turned = sale.value !== null && sale.value.status !== saleState.value;
    if (turned && saleState.value !== "ended" && Date.now() - askedAt > turnMs)
      void product.again();
  });
}
