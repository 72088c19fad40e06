/** All sales, of both kinds, the newest first; announcing one; and one of them on a page of its own. */
import { signal } from "@preact/signals";
import { useId } from "preact/hooks";
import { get } from "../api.ts";
import { notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { askTime } from "../shop/data.ts";
import { SaleMoment } from "../time.tsx";
import { Badge, Button, type Column, count, EmptyState } from "../ui.tsx";
import { Drafts } from "./drafts.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { place } from "./place.ts";
import { refreshSale, SalePage } from "./sale.tsx";
import { askProducts, SaleForm } from "./saleform.tsx";
import {
  askPresent,
  CsvLinks,
  Overlaps,
  type SaleHead,
  SaleLink,
  StateBadge,
} from "./salehead.tsx";

type SalesPage = { readonly sales: readonly SaleHead[]; readonly next_before: number | null };

const perPage = 20;
const kind = signal("");
const isMaking = signal(false);

const list = paged<SaleHead>(async (before) => {
  const asked = new URLSearchParams({ limit: String(perPage) });
  if (kind.peek() !== "") asked.set("kind", kind.peek());
  if (before !== null) asked.set("before", String(before));
  const page = await get<SalesPage>(`/sales?${asked}`);
  return { rows: page.sales, next: page.next_before };
});

const columns: readonly Column<SaleHead>[] = [
  {
    title: "Sale",
    of: ({ id, title, kind: of }) => (
      <span class="cell-break">
        <SaleLink id={id} title={title} /> <span class="soft num">#{id}</span>
        {of === "hourly" && <span class="soft"> the drop</span>}
      </span>
    ),
  },
  {
    title: "State",
    of: (row) => (
      <span class="cell-badges">
        <StateBadge of={row} />
        {row.entry === "queue" && <Badge>Queue</Badge>}
      </span>
    ),
  },
  { title: "Opens", of: (row) => <SaleMoment at={row.starts_at} form="zoned" /> },
  { title: "Closes", of: (row) => <SaleMoment at={row.ends_at} form="zoned" /> },
  { title: "Sold", of: (row) => `${count(row.sold)} of ${count(row.stock)}`, figures: true },
  { title: "Held", of: (row) => count(row.reserved), figures: true },
  { title: "Refunded", of: (row) => count(row.refunded), figures: true },
  { title: "Limit", of: (row) => count(row.per_user_limit), figures: true },
  { title: "Records", of: (row) => <CsvLinks id={row.id} title={row.title} /> },
];

const saleNow = (): number | null => {
  const [id = ""] = place.value.of;
  return /^[1-9]\d{0,9}$/.test(id) ? Number(id) : null;
};

const refreshPresent = (): Promise<void> => askPresent().catch(() => undefined);

export function refreshSales(): void {
  void refreshPresent();
  if (saleNow() === null) list.refresh();
  else refreshSale();
}

export function openSales(): void {
  const present = refreshPresent();
  // What stands above the list comes first: nothing moves under a pointer.
  if (saleNow() === null) void present.then(list.again);
  askTime().catch(() => undefined);
}

const done = async (): Promise<void> => {
  await refreshPresent();
  await list.again();
};

function make(): void {
  isMaking.value = true;
  askProducts().catch((error: unknown) => notice(sentenceOf(error), "bad"));
}

function SaleList() {
  const id = useId();
  return (
    <section class="stack" aria-label="Sales">
      <div class="toolbar">
        <div class="field">
          <label for={id}>Kind</label>
          <select
            id={id}
            value={kind.value}
            onChange={(event) => {
              kind.value = event.currentTarget.value;
              void list.again();
            }}
          >
            <option value="">Both</option>
            <option value="product">Product sales</option>
            <option value="hourly">The drop</option>
          </select>
        </div>
        <Button onClick={make}>New sale</Button>
      </div>
      <Drafts done={done} />
      <Overlaps />
      <PagedTable
        list={list}
        caption="Sales, newest first"
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <EmptyState title="No sales yet" animal={9}>
            <p>Put products into the shop, then announce the first sale.</p>
          </EmptyState>
        }
      />
      {isMaking.value && <SaleForm of={null} done={done} close={() => (isMaking.value = false)} />}
    </section>
  );
}

export function Sales() {
  const id = saleNow();
  return id === null ? <SaleList /> : <SalePage key={id} id={id} />;
}
