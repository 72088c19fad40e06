/** What this visitor has of the present sale: what is held, what is bought, and what may yet be had. */
import { computed, effect } from "@preact/signals";
import { guestBought, heldIn, held, limitToldUntil } from "../holding/store.ts";
import { noteSale } from "../holding/terms.ts";
import { user } from "../session.ts";
import { whenText } from "../time.tsx";
import { type Order, ownedUnits } from "../shop/data.ts";
import { followHistory, orders } from "../shop/history.ts";
import { nextStartsAt, sale, saleId } from "./sale.ts";

export type Bought = Pick<
  Order,
  "order_id" | "item" | "quantity" | "refunded_quantity" | "codes" | "purchased_at"
>;

/** Of the present sale, the latest first; what was taken back as a whole is nobody's. */
export const bought = computed((): readonly Bought[] => {
  const id = saleId.value;
  if (user.value)
    return orders.value.filter((order) => order.sale_id === id && ownedUnits(order) > 0);
  return guestBought.value
    .filter(({ sale_id }) => sale_id === id)
    .map(({ code, order_id, item, purchased_at }) => {
      const codes = [code];
      return { order_id, item, purchased_at, codes, quantity: 1, refunded_quantity: 0 };
    })
    .toReversed();
});
export const boughtCount = computed(() =>
  bought.value.reduce((sum, order) => sum + ownedUnits(order), 0),
);
export const boughtByItem = computed(() => new Map(bought.value.map((one) => [one.item.id, one])));
/** Held, or held a moment ago, by item. */
export const heldByItem = computed(() => heldIn(saleId.value));
export const heldCount = computed(
  () => held.value.filter((one) => one.sale_id === saleId.value && isMine(one.buyer)).length,
);
const isMine = (buyer: "guest" | "account"): boolean => (buyer === "account") === !!user.value;

/** Why no more may be had by this buyer now; null when it may. */
export const limitWords = computed((): string | null => {
  const open = sale.value;
  if (!open) return null;
  const { per_user_limit: limit, id } = open;
  const [own, unpaid] = [boughtCount.value, heldCount.value];
  if (own + unpaid < limit && limitToldUntil(id) === null) return null;
  const parts = [`${own} bought`, ...(unpaid > 0 ? [`${unpaid} held and not paid yet`] : [])];
  const what = `${parts.join(", ")}; ${limit} is the most one person may have in this sale.`;
  if (own + unpaid < limit)
    return `That is as many as one person may have in this sale (${limit}).`;
  return unpaid === 0 ? what : `${what} Give one back, or let it end, to take another.`;
});

/** With the clock time of what comes next. */
export function nextWords(before: string): string {
  const at = nextStartsAt.value;
  return at === null ? before : `${before} The next herd comes ${whenText(at)}.`;
}

/** Follows the sale and the account until the page goes. */
export function followHoldings(): void {
  effect(() => {
    if (sale.value) noteSale(sale.value);
  });
  followHistory(() => void saleId.value);
}
