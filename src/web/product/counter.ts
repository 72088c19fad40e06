/**
 * What happens at the counter of one product: what it is, what this account holds and has bought of the
 * sale it is in, and the ways to get it: in one step, or reserved first.
 *
 * Nothing is believed to be over: the server is asked again, sooner while the sale is open, and a sale
 * that was closed, moved or withdrawn meanwhile is said to have been.
 */
import { computed, effect, signal, untracked } from "@preact/signals";
import { get, send } from "../api.ts";
import { intend } from "../holding/keys.ts";
import { changed, ended, held, limitToldUntil, reserve as reserveIn } from "../holding/store.ts";
import { noteSale } from "../holding/terms.ts";
import { Problem } from "../problems.ts";
import { listen } from "../live.ts";
import { type Room, roomOf } from "../queue/room.ts";
import { ticketOf } from "../queue/tickets.ts";
import { asBuyer, user } from "../session.ts";
import {
  type FlashSale,
  type Order,
  ownedUnits,
  type Product,
  type ProductSale,
  stateAt,
} from "../shop/data.ts";
import { followHistory, noteOrder, orders } from "../shop/history.ts";
import { serverNow, tick } from "../time.tsx";
import { load } from "../ui.tsx";

const refreshMs = 2_500;
const refreshIdleMs = 10_000;
const turnMs = 1_500;

const asked = new URLSearchParams(location.search);
const productId = Number(asked.get("id") ?? "");
/** The sale that the address names: a product may be in several at once. */
const saleAsked = Number(asked.get("sale") ?? "");

/** The sale the product is in; one that has ended while the page was open is kept. */
export const sale = signal<ProductSale | null>(null);
/** The sale that was shown here has been withdrawn. */
export const isWithdrawn = signal(false);
export const saleState = computed(() =>
  sale.value === null ? null : stateAt(sale.value, tick.value),
);

/** What the server says of the product, and of the sale that is shown. */
type Found = {
  readonly product: Product;
  readonly sale: ProductSale | null;
  /** Of the sale that was shown before, where the product is in none. */
  readonly became?: "over" | "withdrawn";
};

let askedAt = -Infinity;
export const found = load(ask, ({ sale: shown, became }) => {
  sale.value = shown;
  if (shown !== null) isWithdrawn.value = false;
  else if (became !== undefined) isWithdrawn.value = became === "withdrawn";
});

async function ask(): Promise<Found> {
  askedAt = serverNow();
  const product = await get<Product>(`/api/products/${productId}`);
  const shown = (await askSaleAsked(product.flash_sale)) ?? product.flash_sale;
  const before = sale.peek();
  if (shown !== null || before === null) return { product, sale: shown };
  return { product, ...(await askWhatBecame(before)) };
}

/** The sale of the address, where it is another than the server names and the product is in it still. */
async function askSaleAsked(named: ProductSale | null): Promise<ProductSale | null> {
  if (!Number.isSafeInteger(saleAsked) || saleAsked < 1 || named?.id === saleAsked) return named;
  try {
    const { items, ...head } = await get<FlashSale>(`/api/flash-sales/${saleAsked}`);
    const item = items.find(({ product_id }) => product_id === productId);
    if (item === undefined || stateAt(head, serverNow()) === "ended") return null;
    const { id: item_id, price_cents, stock, sold, taken_out, available } = item;
    return { ...head, item_id, price_cents, stock, sold, taken_out, available };
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

/** Of a sale that the product is not in any more. */
async function askWhatBecame(before: ProductSale): Promise<Omit<Found, "product">> {
  try {
    const told = await get<FlashSale>(`/api/flash-sales/${before.id}`);
    const shown = { ...before, ...headOf(told) };
    const isIn = told.items.some(({ product_id }) => product_id === productId);
    // Else the product was taken out of it, or it is over.
    return isIn ? { sale: shown } : { sale: null, became: becameOf(shown) };
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) throw error;
    return { sale: null, became: becameOf(before) };
  }
}
const headOf = ({ title, status, starts_at, ends_at, per_user_limit }: FlashSale) => {
  return { title, status, starts_at, ends_at, per_user_limit };
};
const becameOf = (shown: ProductSale) =>
  stateAt(shown, serverNow()) === "ended" ? "over" : "withdrawn";

/** The waiting room of its sale; null where anybody may buy at once. */
export const room = signal<Room | null>(null);

// --- What this account has --------------------------------------------------------------------

const isThis = (one: { readonly sale_id: number; readonly item: { readonly id: number } }) =>
  one.sale_id === sale.value?.id && one.item.id === sale.value.item_id;
/** Of this product; and how many of the sale. */
export const heldHere = computed(() => held.value.filter(isThis));
export const endedHere = computed(() => ended.value.filter(isThis));
export const heldUnits = computed(
  () =>
    held.value.filter((one) => one.sale_id === sale.value?.id && one.buyer === "account").length,
);

/** Units of this sale that the account has bought, and has. */
export const boughtUnits = computed(() =>
  orders.value
    .filter((order) => order.sale_id === sale.value?.id)
    .reduce((sum, order) => sum + ownedUnits(order), 0),
);
/** Units that may be bought at once: those that are held here are among them. */
export const allowance = computed(() => {
  if (sale.value === null) return 0;
  const elsewhere = heldUnits.value - heldHere.value.length;
  const left = sale.value.per_user_limit - boughtUnits.value - elsewhere;
  return limitToldUntil(sale.value.id) === null ? Math.max(0, left) : heldHere.value.length;
});
/** Whether one more may be reserved. */
export const mayReserve = computed(() => allowance.value > heldHere.value.length);
/** The last order of this product by this account of which it has something. */
export const owned = computed(() =>
  orders.value.find((order) => order.product_id === productId && ownedUnits(order) > 0),
);

// --- What can be done -------------------------------------------------------------------------

/** What was bought last on this page; another one is another intention. */
export const done = signal<Order | null>(null);

/**
 * Reserved and sold in one decision; what is held of it first. Under one key until the server has
 * settled it: pressed again without an answer, it gives the same order. @throws Problem
 */
export async function buyNow(of: ProductSale, quantity: number): Promise<Order> {
  const body = {
    flash_sale_id: of.id,
    product_id: productId,
    quantity,
    expected_price_cents: of.price_cents,
  };
  const what = `buy ${user.peek()?.username ?? ""} ${JSON.stringify(body)}`;
  try {
    const order = await intend(what, (key) =>
      asBuyer(() =>
        send<Order>("POST", "/api/purchases", { body, key, ticket: ticketOf(of.id)?.ticket }),
      ),
    );
    done.value = order;
    noteOrder(order);
    changed("account");
    return order;
  } finally {
    void found.again();
  }
}

export const reserveHere = async (of: ProductSale) =>
  await reserveIn(of.id, of.item_id, of.price_cents).finally(() => void found.again());

/** Keeps the figures fresh while the page is looked at. */
export function follow(): void {
  followHistory();
  effect(() => {
    if (sale.value !== null) noteSale({ ...sale.value, kind: "product" });
  });
  let isListening = false;
  effect(() => {
    const id = sale.value?.entry === "queue" ? sale.value.id : null;
    untracked(() => {
      room.value = id === null ? null : roomOf(id);
      if (id !== null && !isListening) listen({});
      isListening ||= id !== null;
    });
  });
  setInterval(() => {
    const pace = saleState.peek() === "active" ? refreshMs : refreshIdleMs;
    if (!document.hidden && Math.abs(serverNow() - askedAt) > pace) void found.again();
  }, 500);
  effect(() => {
    const turned = sale.value !== null && sale.value.status !== saleState.value;
    if (turned && serverNow() - askedAt > turnMs) void found.again();
  });
}
