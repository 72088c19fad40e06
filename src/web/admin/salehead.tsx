/** A sale as the administration's lists show it, its state by the clock, and products that are in two at once. */
import { signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { type FlashSale, isAnnounced, salesOf, type SaleState, stateAt } from "../shop/data.ts";
import { SaleMoment, tick } from "../time.tsx";
import { Badge } from "../ui.tsx";
import { addressOf } from "./place.ts";

export type SaleHead = {
  readonly id: number;
  readonly title: string;
  readonly kind: "hourly" | "product";
  readonly status: "upcoming" | "open" | "closed";
  readonly starts_at: string;
  readonly ends_at: string;
  readonly stock: number;
  readonly per_user_limit: number;
  readonly entry: "open" | "queue";
  readonly sold: number;
  readonly refunded: number;
  readonly taken_out: number;
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
};

/** By the clock: what the server said may be some seconds old. */
export const stateOf = (of: SaleHead): SaleState =>
  of.status === "closed" ? "ended" : stateAt(of, tick.value);

const badges = {
  active: <Badge tone="good">Open</Badge>,
  upcoming: <Badge tone="held">Coming</Badge>,
  ended: <Badge>Over</Badge>,
};
export const StateBadge = ({ of }: { readonly of: SaleHead }) => badges[stateOf(of)];

export const SaleLink = ({ id, title }: { readonly id: number; readonly title: string }) => (
  <a class="cell-link" href={addressOf("sales", id)}>
    {title}
  </a>
);

export const CsvLinks = ({ id, title }: { readonly id: number; readonly title: string }) => (
  <span class="cell-links">
    {(["attempts", "purchases"] as const).map((which) => (
      <a
        key={which}
        href={`/api/admin/sales/${id}/${which}.csv`}
        download={`sale-${id}-${which}.csv`}
        aria-label={`${which}.csv of ${title}`}
      >
        {which}.csv
      </a>
    ))}
  </span>
);

// --- A product in two sales at once -----------------------------------------------------------

const presentMax = 50;
/** Product sales that are open or coming. */
const present = signal<readonly FlashSale[]>([]);
/** Announced to nobody yet. */
export const drafts = signal<readonly FlashSale[]>([]);

const answers = new Answers();
export async function askPresent(): Promise<void> {
  const isTaken = answers.ask();
  const [open, coming] = await Promise.all([
    salesOf("active", presentMax),
    salesOf("upcoming", presentMax),
  ]);
  if (!isTaken()) return;
  present.value = [...open, ...coming.filter(isAnnounced)];
  drafts.value = coming.filter((sale) => !isAnnounced(sale));
}

type Overlap = {
  readonly key: string;
  readonly name: string;
  readonly sales: readonly [FlashSale, FlashSale];
  readonly from: string;
};

function overlaps(): Overlap[] {
  const all = present.value;
  return all.flatMap((one, i) =>
    all.slice(i + 1).flatMap((other) => {
      const from = one.starts_at > other.starts_at ? one.starts_at : other.starts_at;
      const to = one.ends_at < other.ends_at ? one.ends_at : other.ends_at;
      if (from >= to) return [];
      const theirs = new Set(other.items.map((item) => item.product_id));
      return one.items
        .filter((item) => theirs.has(item.product_id))
        .map(({ product_id: product, name }) => {
          const sales = [one, other] as const;
          return { key: `${product} ${one.id} ${other.id}`, name, sales, from };
        });
    }),
  );
}

/** @param saleId of this sale alone */
export function Overlaps({ saleId }: { readonly saleId?: number }) {
  const found = overlaps().filter(
    ({ sales }) => saleId === undefined || sales.some(({ id }) => id === saleId),
  );
  if (found.length === 0) return null;
  return (
    <div class="effect" role="status">
      <p>
        <strong>In two sales at once.</strong> Each sale has a stock of its own: together they may
        sell more than you have.
      </p>
      <ul>
        {found.map(({ key, name, sales: [one, other], from }) => (
          <li key={key}>
            {name}: <SaleLink id={one.id} title={one.title} /> and{" "}
            <SaleLink id={other.id} title={other.title} />, from{" "}
            <SaleMoment at={from} form="zoned" />
          </li>
        ))}
      </ul>
    </div>
  );
}
