/**
 * Who buys: the accounts, found by their names, and each on a page of its own. Guests and the customers
 * of a merchant's own site have no account here; their orders lead to their pages.
 */
import { signal } from "@preact/signals";
import { get } from "../api.ts";
import { Moment } from "../time.tsx";
import { Button, type Column, EmptyState, Field } from "../ui.tsx";
import { type Account, AccountActs, accountColumns } from "./accountacts.tsx";
import { CustomerPage, refreshCustomer } from "./customer.tsx";
import { customerAddress, isBuyerKind } from "./orderhead.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { addressOf, place } from "./place.ts";

type AccountPage = { readonly users: readonly Account[]; readonly next_after: number | null };

const perPage = 50;
const search = signal("");

const list = paged<Account>(
  async (after, wanted) => {
    const page = await get<AccountPage>(
      `/api/admin/users?limit=${perPage}&after=${after ?? 0}${wanted}`,
    );
    return { rows: page.users, next: page.next_after };
  },
  () => {
    const q = search.peek().trim();
    return q === "" ? "" : `&q=${encodeURIComponent(q)}`;
  },
);

const tell = (changed: Account): void => {
  list.change((rows) => rows.map((row) => (row.id === changed.id ? changed : row)));
};

const columns: readonly Column<Account>[] = [
  {
    title: "Name",
    of: ({ username: user_id }) => (
      <a class="cell-link cell-break" href={customerAddress({ buyer: "account", user_id })}>
        {user_id}
      </a>
    ),
  },
  ...accountColumns,
  { title: "Since", of: (row) => <Moment at={row.created_at} form="zoned" /> },
  { title: "Actions", of: (row) => <AccountActs of={row} tell={tell} />, figures: true },
];

/** Whom an address names: `#customers/guest/anna`. */
function customerNow() {
  const [kind = "", name = ""] = place.value.of;
  return isBuyerKind(kind) && name !== "" ? { kind, name } : null;
}

export const refreshCustomers = (): void =>
  customerNow() === null ? list.refresh() : refreshCustomer();
export const openCustomers = (): void => {
  if (customerNow() === null) void list.again();
};

export function Customers() {
  const one = customerNow();
  if (one !== null)
    return <CustomerPage key={`${one.kind} ${one.name}`} kind={one.kind} name={one.name} />;
  return (
    <section class="stack" aria-label="Customers">
      <form
        class="toolbar-find"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void list.again();
        }}
      >
        <Field label="Find an account" type="search" value={search} maxLength={64} />
        <Button look="quiet" type="submit">
          Find
        </Button>
      </form>
      <p class="small-text soft">
        Guests and your own site’s customers have no account here: find them by their{" "}
        <a href={addressOf("orders")}>orders</a>.
      </p>
      <PagedTable
        list={list}
        caption="Accounts"
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <EmptyState title="Nobody of that name" animal={3}>
            <p>Try a shorter part of it.</p>
          </EmptyState>
        }
      />
    </section>
  );
}
