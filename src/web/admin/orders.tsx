/** The orders of every sale: found by their number, a code or their buyer, and one of them on a page of its own. */
import { signal } from "@preact/signals";
import { useId } from "preact/hooks";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { Button, type Column, count, EmptyState, Field } from "../ui.tsx";
import { OrderPage, refreshOrder } from "./order.tsx";
import { BuyerName, orderColumns, type OrderHead, statusWords } from "./orderhead.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { place } from "./place.ts";

type OrdersPage = { readonly orders: readonly OrderHead[]; readonly next_after: number | null };
type SaleName = { readonly id: number; readonly title: string };

const perPage = 50;
const salesMax = 100;

const text = signal("");
const sale = signal("");
const status = signal("");
/** Whether what is listed is all that there is. */
const isNarrowed = signal(false);
/** The newest, to choose from. */
const sales = signal<readonly SaleName[]>([]);

function wanted(): string {
  const asked = new URLSearchParams();
  const fields = { q: text.peek().trim(), sale_id: sale.peek(), status: status.peek() };
  for (const [name, value] of Object.entries(fields)) if (value !== "") asked.set(name, value);
  return String(asked);
}
const list = paged<OrderHead>(async (after, of) => {
  const from = after === null ? "" : `&after=${after}`;
  const page = await get<OrdersPage>(`/api/admin/orders?limit=${perPage}${from}&${of}`);
  const shown = () => (isNarrowed.value = of !== "");
  return { rows: page.orders, next: page.next_after, shown };
}, wanted);

const answers = new Answers();
async function askSales(): Promise<void> {
  const isTaken = answers.ask();
  const found = await get<{ readonly sales: readonly SaleName[] }>(`/sales?limit=${salesMax}`);
  if (isTaken()) sales.value = found.sales;
}

const columns: readonly Column<OrderHead>[] = [
  ...orderColumns.slice(0, 2),
  { title: "Buyer", of: (row) => <BuyerName of={row} /> },
  ...orderColumns.slice(2),
];

/** The sale that an address asks for: `#orders/sale/12`. */
function takeSale(): void {
  const [first, id = ""] = place.peek().of;
  if (first === "sale" && /^\d+$/.test(id)) sale.value = id;
}

export function openOrders(): void {
  takeSale();
  if (orderNow() === null) void list.again();
  askSales().catch(() => undefined);
}

const orderNow = (): string | null => {
  const [first] = place.value.of;
  return first !== undefined && first !== "sale" ? first : null;
};

export const refreshOrders = (): void => (orderNow() === null ? list.refresh() : refreshOrder());

function Search() {
  const [saleField, statusField] = [useId(), useId()];
  const isListed = sales.value.some(({ id }) => String(id) === sale.value);
  return (
    <form
      class="search-form"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        void list.again();
      }}
    >
      <Field
        label="Number, code or user, or its beginning"
        type="search"
        value={text}
        maxLength={255}
        spellcheck={false}
      />
      <div class="field">
        <label for={saleField}>Sale</label>
        <select
          id={saleField}
          value={sale.value}
          onChange={(event) => {
            sale.value = event.currentTarget.value;
            void list.again();
          }}
        >
          <option value="">Any</option>
          {!isListed && sale.value !== "" && <option value={sale.value}>Sale {sale.value}</option>}
          {sales.value.map(({ id, title }) => (
            <option key={id} value={String(id)}>
              {title}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for={statusField}>Status</label>
        <select
          id={statusField}
          value={status.value}
          onChange={(event) => {
            status.value = event.currentTarget.value;
            void list.again();
          }}
        >
          <option value="">Any</option>
          {Object.entries(statusWords).map(([word, { words }]) => (
            <option key={word} value={word}>
              {words}
            </option>
          ))}
        </select>
      </div>
      <div class="row">
        <Button type="submit" busy={list.busy.value}>
          Find
        </Button>
      </div>
    </form>
  );
}

const OrderList = () => (
  <section class="stack" aria-label="Orders">
    <Search />
    <PagedTable
      list={list}
      caption="Orders, newest first"
      columns={columns}
      keyOf={(row) => row.order_id}
      empty={
        isNarrowed.value ? (
          <EmptyState title="No such order" animal={3}>
            <p>Nothing begins with this, or not in this sale and status. Try less of it.</p>
          </EmptyState>
        ) : (
          <EmptyState title="Nothing sold yet" animal={9}>
            <p>What people buy, in any sale, is listed here at once.</p>
          </EmptyState>
        )
      }
    />
    <p class="small-text soft num" role="status">
      {list.rows.value !== null &&
        `${count(list.rows.value.length)} shown${list.next.value === null ? "" : ", and there are more"}.`}
    </p>
  </section>
);

export function Orders() {
  const id = orderNow();
  return id === null ? <OrderList /> : <OrderPage key={id} id={id} />;
}
