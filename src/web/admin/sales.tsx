/** The product sales: announce, change before opening, extend, close at once, and their records. */
import { signal } from "@preact/signals";
import { get, send } from "../api.ts";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { askTime, type FlashSale, type SalePage, stateAt } from "../shop/data.ts";
import { Moment, tick } from "../time.tsx";
import { Badge, Button, type Column, count, EmptyState } from "../ui.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { askProducts, ExtendForm, SaleForm } from "./saleform.tsx";

const perPage = 20;
/** What the form is open for. */
const editing = signal<FlashSale | "new" | null>(null);

const list = paged<FlashSale>(async (after) => {
  const from = after === null ? "" : `&after=${after}`;
  const page = await get<SalePage>(`/api/flash-sales?limit=${perPage}${from}`);
  return { rows: page.flash_sales, next: page.next_after };
});

function edit(of: FlashSale | "new"): void {
  editing.value = of;
  askProducts().catch((error: unknown) => notice(sentenceOf(error), "bad"));
}

async function closeNow(sale: FlashSale): Promise<void> {
  const sure = await confirm({
    title: "Close this sale now?",
    text:
      `“${sale.title}” ends at once, with ${count(sale.available)} left and ` +
      `${count(sale.reserved)} reserved. It cannot be opened again.`,
    yes: "Close it now",
    no: "Keep it open",
    danger: true,
  });
  if (!sure) return;
  try {
    await send("POST", `/api/admin/flash-sales/${sale.id}/close`);
    notice(`“${sale.title}” is closed.`, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  }
  await list.again();
}

const badges = {
  active: <Badge tone="good">Open</Badge>,
  upcoming: <Badge tone="held">Coming</Badge>,
  ended: <Badge>Over</Badge>,
};

function Acts({ of }: { readonly of: FlashSale }) {
  const state = stateAt(of, tick.value);
  if (state === "ended") return <span class="soft">none</span>;
  return (
    <span class="cell-acts">
      {state === "upcoming" && (
        <Button look="quiet" small label={`Change ${of.title}`} onClick={() => edit(of)}>
          Change
        </Button>
      )}
      {state === "active" && (
        <>
          <Button look="quiet" small label={`Extend ${of.title}`} onClick={() => edit(of)}>
            Extend
          </Button>
          <Button
            look="quiet"
            small
            label={`Close now: ${of.title}`}
            onClick={() => void closeNow(of)}
          >
            Close now
          </Button>
        </>
      )}
    </span>
  );
}

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

const columns: readonly Column<FlashSale>[] = [
  {
    title: "Sale",
    of: (row) => (
      <span>
        <strong>{row.title}</strong> <span class="soft num">#{row.id}</span>
      </span>
    ),
  },
  { title: "State", of: (row) => badges[stateAt(row, tick.value)] },
  { title: "Opens", of: (row) => <Moment at={row.starts_at} zoned /> },
  { title: "Closes", of: (row) => <Moment at={row.ends_at} zoned /> },
  { title: "Sold", of: (row) => `${count(row.sold)} of ${count(row.stock)}`, figures: true },
  { title: "Limit", of: (row) => count(row.per_user_limit), figures: true },
  { title: "Records", of: (row) => <CsvLinks id={row.id} title={row.title} /> },
  { title: "Actions", of: (row) => <Acts of={row} />, figures: true },
];

const close = (): void => {
  editing.value = null;
};

/** An open sale may not be edited, only extended. */
function Form({ of }: { readonly of: FlashSale | "new" }) {
  if (of !== "new" && stateAt(of, tick.peek()) === "active")
    return <ExtendForm of={of} done={list.again} close={close} />;
  return <SaleForm of={of === "new" ? null : of} done={list.again} close={close} />;
}

export const refreshSales = list.refresh;

export function openSales(): void {
  void list.again();
  askTime().catch(() => undefined);
}

export function Sales() {
  const form = editing.value;
  return (
    <section class="stack" aria-label="Sales">
      <div class="toolbar">
        <p class="soft">
          A sale can be changed until it opens. After that it takes a later end, or is closed.
        </p>
        <Button onClick={() => edit("new")}>New sale</Button>
      </div>
      <PagedTable
        list={list}
        caption="Product sales, newest first"
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <EmptyState title="No sales yet" animal={9}>
            <p>Put products into the shop, then announce the first sale.</p>
          </EmptyState>
        }
      />
      {form !== null && <Form key={form === "new" ? 0 : form.id} of={form} />}
    </section>
  );
}
