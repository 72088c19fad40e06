/** One sale: its figures and money, what can be done with it, and each of its items. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api.ts";
import { Problem } from "../problems.ts";
import { SaleMoment } from "../time.tsx";
import {
  Button,
  type Column,
  count,
  EmptyState,
  ErrorState,
  LinkButton,
  load,
  Money,
  money,
  Picture,
  Skeleton,
} from "../ui.tsx";
import { Fact } from "./facts.tsx";
import { type SaleMoney, shareText } from "./money.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { QueuePanel } from "./queue.tsx";
import { addressOf } from "./place.ts";
import { restocking, SaleActs, SaleForms } from "./saleacts.tsx";
import { CsvLinks, Overlaps, type SaleHead, StateBadge, stateOf } from "./salehead.tsx";

export type SoldItem = {
  readonly id: number;
  readonly name: string;
  readonly image_url: string;
  readonly price_cents: number;
  readonly stock: number;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly refunded: number;
  readonly taken_out: number;
  readonly revenue_cents: number;
};
type ItemPage = { readonly items: readonly SoldItem[]; readonly next_after: number | null };
type Shown = { readonly sale: SaleHead; readonly money: SaleMoney };

const perPage = 100;
async function ask(id: number): Promise<Shown> {
  const [sale, of] = await Promise.all([
    get<SaleHead>(`/sales/${id}`),
    get<SaleMoney>(`/api/admin/sales/${id}/money`),
  ]);
  return { sale, money: of };
}

const itemsOf = (id: number) =>
  paged<SoldItem>(async (after) => {
    const from = after === null ? "" : `&after=${after}`;
    const page = await get<ItemPage>(`/api/admin/sales/${id}/items?limit=${perPage}${from}`);
    return { rows: page.items, next: page.next_after };
  });

let askAgain = (): void => undefined;
export const refreshSale = (): void => askAgain();

const columns: readonly Column<SoldItem>[] = [
  {
    title: "Item",
    of: ({ image_url: image, name }) => (
      <span class="cell-name">
        <Picture src={image} size={44} />
        {name}
      </span>
    ),
  },
  { title: "Price", of: (row) => <Money cents={row.price_cents} />, figures: true },
  { title: "Stock", of: (row) => count(row.stock), figures: true },
  { title: "Free", of: (row) => count(row.available), figures: true },
  { title: "Held", of: (row) => count(row.reserved), figures: true },
  { title: "Sold", of: (row) => count(row.sold), figures: true },
  {
    title: "Refunded",
    of: ({ refunded, taken_out: out }) =>
      `${count(refunded)}${out > 0 ? `, ${count(out)} not sold again` : ""}`,
    figures: true,
  },
  { title: "Revenue", of: (row) => <Money cents={row.revenue_cents} />, figures: true },
];
const restockColumn: Column<SoldItem> = {
  title: "Actions",
  figures: true,
  of: (row) => (
    <span class="cell-acts">
      <Button
        look="quiet"
        small
        label={`Add units of ${row.name}`}
        onClick={() => (restocking.value = row)}
      >
        Add units
      </Button>
    </span>
  ),
};

function Facts({ of: { sale, money: of } }: { readonly of: Shown }) {
  return (
    <dl class="facts">
      <Fact
        title="Revenue"
        note={of.refunded_cents === 0 ? "nothing refunded" : `${money(of.refunded_cents)} refunded`}
      >
        {money(of.revenue_cents)}
      </Fact>
      <Fact
        title="Orders"
        note={
          of.average_order_cents === null
            ? "none yet"
            : `${money(of.average_order_cents)} each, by ${count(of.buyers)} people`
        }
      >
        {count(of.orders)}
      </Fact>
      <Fact title="Sold" note={`${count(sale.sold)} of ${count(sale.stock)}`}>
        {shareText(of.sell_through)}
      </Fact>
      <Fact title="Held, free" note="now">
        {count(sale.reserved)}, {count(sale.available)}
      </Fact>
      <Fact title="From try to order" note={`${count(of.tries)} tries`}>
        {shareText(of.conversion)}
      </Fact>
    </dl>
  );
}

function Whole({
  of,
  id,
  done,
}: {
  readonly of: Shown;
  readonly id: number;
  readonly done: () => void;
}) {
  const [items] = useState(() => itemsOf(id));
  const { sale } = of;
  useEffect(() => void items.again(), []);
  const state = stateOf(sale);
  // What is sold changes the rows, too.
  useEffect(() => items.refresh(), [sale.sold, sale.reserved, sale.refunded, sale.stock]);
  return (
    <>
      <div class="toolbar">
        <p>
          {state === "upcoming" ? "Opens" : "Opened"}{" "}
          <SaleMoment at={sale.starts_at} form="zoned" />, {state === "ended" ? "closed" : "closes"}{" "}
          <SaleMoment at={sale.ends_at} form="zoned" />. Up to {count(sale.per_user_limit)} a
          person.
        </p>
        <SaleActs of={sale} state={state} done={done} />
      </div>
      <Overlaps saleId={id} />
      <Facts of={of} />
      {sale.entry === "queue" && <QueuePanel saleId={id} />}
      <p class="row">
        <a href={addressOf("orders", "sale", id)}>Its orders</a>
        <a href={`/proof?sale=${id}`}>Its proof</a>
        <CsvLinks id={id} title={sale.title} />
      </p>
      <h3>Its items</h3>
      <PagedTable
        list={items}
        caption={`Items of ${sale.title}`}
        columns={state === "active" ? [...columns, restockColumn] : columns}
        keyOf={(row) => row.id}
        empty={<p class="soft">It has none.</p>}
      />
      <SaleForms of={sale} done={done} />
    </>
  );
}

export function SalePage({ id }: { readonly id: number }) {
  const title = useRef<HTMLHeadingElement>(null);
  const [{ state, again }] = useState(() => load(() => ask(id)));
  useEffect(() => {
    askAgain = () => void again();
    // What led here is gone, and the focus with it.
    title.current?.focus();
    return () => (askAgain = () => undefined);
  }, []);
  const now = state.value;
  if (now.is === "failed")
    return now.error instanceof Problem && now.error.status === 404 ? (
      <EmptyState title={`There is no sale ${id}`} animal={9}>
        <p>It may have been withdrawn.</p>
        <LinkButton href={addressOf("sales")} look="quiet">
          To all sales
        </LinkButton>
      </EmptyState>
    ) : (
      <ErrorState error={now.error} again={() => void again()} />
    );
  const of = now.is === "here" ? now.value : null;
  return (
    <section class="stack" aria-label={`Sale ${id}`}>
      <p>
        <a href={addressOf("sales")}>All sales</a>
      </p>
      <div class="row">
        <h2 ref={title} tabIndex={-1}>
          {of?.sale.title ?? `Sale ${id}`}
        </h2>
        {of !== null && <StateBadge of={of.sale} />}
      </div>
      {of === null ? (
        <Skeleton height="240px" />
      ) : (
        <Whole of={of} id={id} done={() => void again()} />
      )}
    </section>
  );
}
