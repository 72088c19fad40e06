/** What the shop's API answers, and the moments and states that pages make of it. */
import { get } from "../api.ts";
import { setServerTime, steadyNow } from "../time.tsx";
import { count } from "../ui.tsx";

export type SaleState = "active" | "upcoming" | "ended";

type SaleHead = {
  readonly id: number;
  readonly title: string;
  readonly status: SaleState;
  /** A draft is told to administrators alone. */
  readonly state: "draft" | "published";
  readonly starts_at: string;
  readonly ends_at: string;
  readonly per_user_limit: number;
  readonly reservation_ttl_ms: number;
  /** Whether one has to wait to be let in. */
  readonly entry: "open" | "queue";
  readonly admit_per_second: number | null;
  readonly pass_ttl_ms: number | null;
  readonly stock: number;
  readonly sold: number;
  readonly taken_out: number;
  readonly available: number;
};
export type SaleItem = {
  /** Number within the sale. */
  readonly id: number;
  readonly product_id: number;
  readonly name: string;
  readonly image_url: string;
  readonly price_cents: number;
  readonly stock: number;
  readonly available: number;
  readonly sold: number;
  readonly taken_out: number;
};
export type FlashSale = SaleHead & {
  readonly reserved: number;
  readonly items: readonly SaleItem[];
};
/** The sale that a product is in; the figures are those of its item. */
export type ProductSale = SaleHead & { readonly item_id: number; readonly price_cents: number };

export type Product = {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly image_url: string;
  readonly price_cents: number;
  readonly created_at: string;
  readonly flash_sale: ProductSale | null;
};
export type ProductPage = {
  readonly products: readonly Product[];
  readonly next_after: number | null;
};
type SalePage = {
  readonly flash_sales: readonly FlashSale[];
  readonly next_after: number | null;
};

export type Order = {
  readonly order_id: string;
  readonly codes: readonly string[];
  readonly sale_id: number;
  readonly sale_title: string;
  /** Null for what was bought on the drop. */
  readonly product_id: number | null;
  readonly item: {
    readonly id: number;
    readonly name: string;
    readonly image_url: string;
    readonly price_cents: number;
  };
  readonly quantity: number;
  readonly refunded_quantity: number;
  readonly total_cents: number;
  readonly purchased_at: string;
};
export type OrderPage = {
  readonly purchases: readonly Order[];
  readonly next_after: number | null;
};

/** Sales in a state, newest first, `most` at most. A page has fewer than it was asked for where they have many items. */
export async function salesOf(status: SaleState, most: number): Promise<readonly FlashSale[]> {
  const found: FlashSale[] = [];
  let after: number | null = null;
  do {
    const from: string = after === null ? "" : `&after=${after}`;
    const path = `/api/flash-sales?status=${status}&limit=${most - found.length}${from}`;
    // oxlint-disable-next-line no-await-in-loop
    const page: SalePage = await get<SalePage>(path);
    found.push(...page.flash_sales);
    after = page.next_after;
  } while (after !== null && found.length < most);
  return found;
}

/** Units that are still its buyer's: what was taken back counts for no limit. */
export const ownedUnits = ({
  quantity,
  refunded_quantity,
}: Pick<Order, "quantity" | "refunded_quantity">): number => quantity - refunded_quantity;

/** Sets the page's clock by the server's. */
export async function askTime(): Promise<void> {
  const sentAt = steadyNow();
  const { server_time } = await get<{ readonly server_time: string }>("/api/flash-sales/status");
  setServerTime(server_time, sentAt, steadyNow());
}

/** By the clock: what the server said may be some seconds old. */
export function stateAt(
  { starts_at, ends_at }: Pick<SaleHead, "starts_at" | "ends_at">,
  now: number,
): SaleState {
  return now < Date.parse(starts_at) ? "upcoming" : now < Date.parse(ends_at) ? "active" : "ended";
}

type Left = Pick<SaleItem, "stock" | "sold" | "taken_out" | "available">;

/** Whether nothing can come free any more: what was taken back is neither sold nor to be had. */
export const isSoldOut = ({ stock, sold, taken_out }: Omit<Left, "available">): boolean =>
  sold + taken_out >= stock;

/** How much there is of something, in a few words. */
export function leftWords(of: Left): string {
  const { available } = of;
  if (isSoldOut(of)) return "Sold out";
  if (available === 0) return "All on hold";
  if (available === 1) return "The last one";
  return available <= 5 ? `Only ${available} left` : `${count(available)} left`;
}

/** In one sale of those that it may be in at once, or in the one that the server names. */
export const productAddress = (id: number, saleId?: number): string =>
  `/product?id=${id}${saleId === undefined ? "" : `&sale=${saleId}`}`;

/** A code of it shows it to whoever has that, logged in or not. */
export const receiptAddress = (order: string, code: string | undefined): string =>
  `/receipt?${new URLSearchParams({ order, ...(code === undefined ? {} : { code }) })}`;

/** A sale as a file for a calendar. */
export const calendarAddress = (saleId: number): string => `/sales/${saleId}/calendar.ics`;

export const isAnnounced = ({ state }: Pick<SaleHead, "state">): boolean => state !== "draft";
