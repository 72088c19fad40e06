/** An order as a list shows it, its status in words, and who bought. */
import { Moment } from "../time.tsx";
import { Badge, type Column, count, Money, money } from "../ui.tsx";
import { addressOf } from "./place.ts";

export type BuyerKind = "guest" | "account" | "customer";
type Status = "paid" | "partly_refunded" | "refunded";

export type OrderHead = {
  readonly order_id: string;
  readonly codes: readonly string[];
  readonly user_id: string;
  readonly buyer: BuyerKind;
  readonly sale_id: number;
  readonly sale_title: string;
  readonly product_id: number | null;
  readonly item: {
    readonly id: number;
    readonly name: string;
    readonly image_url: string;
    readonly price_cents: number;
  };
  readonly quantity: number;
  readonly total_cents: number;
  readonly status: Status;
  readonly refunded_quantity: number;
  readonly refunded_cents: number;
  readonly purchased_at: string;
};

export const statusWords: {
  readonly [status in Status]: { readonly words: string; readonly tone: "good" | "held" | "plain" };
} = {
  paid: { words: "Paid", tone: "good" },
  partly_refunded: { words: "Partly refunded", tone: "held" },
  refunded: { words: "Refunded", tone: "plain" },
};

export const StatusBadge = ({ of }: { readonly of: OrderHead }) => {
  const { words, tone } = statusWords[of.status];
  return (
    <span class="cell-end">
      <Badge tone={tone}>{words}</Badge>
      {of.status === "partly_refunded" && (
        <span class="soft num">{money(of.refunded_cents)} back</span>
      )}
    </span>
  );
};

/** The same name in two kinds is two buyers. */
export const kindWords: { readonly [kind in BuyerKind]: string } = {
  guest: "guest",
  account: "account",
  customer: "your site’s customer",
};

export const isBuyerKind = (word: string): word is BuyerKind => Object.hasOwn(kindWords, word);

export const customerAddress = ({ buyer, user_id }: Pick<OrderHead, "buyer" | "user_id">): string =>
  addressOf("customers", buyer, user_id);

export const BuyerName = ({ of }: { readonly of: Pick<OrderHead, "buyer" | "user_id"> }) => (
  <span class="cell-break">
    <a href={customerAddress(of)}>{of.user_id}</a> <span class="soft">{kindWords[of.buyer]}</span>
  </span>
);

/** Of an order, whoever bought it. */
export const orderColumns: readonly Column<OrderHead>[] = [
  {
    title: "Order",
    of: ({ order_id: id }) => (
      <a class="cell-link num" href={addressOf("orders", id)}>
        {id}
      </a>
    ),
  },
  { title: "When", of: (row) => <Moment at={row.purchased_at} form="zoned" /> },
  {
    title: "What",
    of: ({ item, quantity, sale_title: title }) => (
      <span class="cell-break">
        {item.name}
        {quantity > 1 && ` × ${count(quantity)}`} <span class="soft">· {title}</span>
      </span>
    ),
  },
  { title: "Total", of: (row) => <Money cents={row.total_cents} />, figures: true },
  { title: "Status", of: (row) => <StatusBadge of={row} /> },
];
