/** One buyer: what they hold and have bought, and, of an account, what can be done with it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api.ts";
import { Moment, secondsUntil } from "../time.tsx";
import { type Column, count, ErrorState, load, Money, money, Skeleton, Table } from "../ui.tsx";
import { type Account, AccountActs, accountColumns } from "./accountacts.tsx";
import { Erasing } from "./erasing.tsx";
import { Fact } from "./facts.tsx";
import { type BuyerKind, kindWords, orderColumns, type OrderHead } from "./orderhead.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { addressOf } from "./place.ts";

type Held = {
  readonly sale_id: number;
  readonly sale_title: string;
  readonly item_id: number;
  readonly item_name: string;
  readonly price_cents: number;
  readonly reserved_at: string;
  readonly expires_at: string;
};
type Buyer = {
  readonly totals: {
    readonly orders: number;
    readonly units: number;
    readonly paid_cents: number;
    readonly refunded_cents: number;
  };
  readonly reservations: readonly Held[];
  readonly orders: readonly OrderHead[];
  readonly next_after: number | null;
};
type Shown = { readonly buyer: Buyer; readonly account: Account | null };

const perPage = 20;
/** Accounts among which the one of a name is looked for: others have it as a part of theirs. */
const namesakesMax = 500;

const askBuyer = (kind: BuyerKind, name: string, after: number | null): Promise<Buyer> => {
  const asked = new URLSearchParams({ buyer: kind, user_id: name, limit: String(perPage) });
  if (after !== null) asked.set("after", String(after));
  return get<Buyer>(`/api/admin/buyer?${asked}`);
};

async function askAccount(name: string): Promise<Account | null> {
  const q = encodeURIComponent(name);
  const { users } = await get<{ readonly users: readonly Account[] }>(
    `/api/admin/users?limit=${namesakesMax}&q=${q}`,
  );
  return users.find(({ username }) => username === name) ?? null;
}

async function ask(kind: BuyerKind, name: string): Promise<Shown> {
  const [buyer, account] = await Promise.all([
    askBuyer(kind, name, null),
    kind === "account" ? askAccount(name) : null,
  ]);
  return { buyer, account };
}

let askAgain = (): void => undefined;
export const refreshCustomer = (): void => askAgain();

const heldColumns: readonly Column<Held>[] = [
  {
    title: "Held",
    of: ({ item_name: item, sale_title: title }) => (
      <span class="cell-break">
        {item} <span class="soft">{title}</span>
      </span>
    ),
  },
  { title: "Price", of: (row) => <Money cents={row.price_cents} />, figures: true },
  { title: "Since", of: (row) => <Moment at={row.reserved_at} form="zoned" /> },
  {
    title: "Ends in",
    of: ({ expires_at: at }) => `${count(secondsUntil(Date.parse(at)))} s`,
    figures: true,
  },
];

const Facts = ({ of: { totals, reservations } }: { readonly of: Buyer }) => (
  <dl class="facts">
    <Fact title="Spent" note="less what was refunded">
      {money(totals.paid_cents - totals.refunded_cents)}
    </Fact>
    <Fact title="Refunded" note={"\u00a0"}>
      {money(totals.refunded_cents)}
    </Fact>
    <Fact
      title="Orders"
      note={`${count(totals.units)} ${totals.units === 1 ? "unit is" : "units are"} theirs`}
    >
      {count(totals.orders)}
    </Fact>
    <Fact title="Holds now" note="reserved, not bought">
      {count(reservations.length)}
    </Fact>
  </dl>
);

function Whole({
  of: { buyer, account },
  kind,
  name,
  again,
}: {
  readonly of: Shown;
  readonly kind: BuyerKind;
  readonly name: string;
  readonly again: () => void;
}) {
  const [orders] = useState(() =>
    paged<OrderHead>(async (after) => {
      const page = await askBuyer(kind, name, after);
      return { rows: page.orders, next: page.next_after };
    }),
  );
  useEffect(() => void orders.again(), [buyer.totals.orders, buyer.totals.refunded_cents]);
  return (
    <>
      {account !== null && (
        <div class="toolbar">
          <span class="head-badges">
            {accountColumns.map(({ title, of }) => (
              <span key={title} class="row">
                <span class="soft small-text">{title}</span> {of(account)}
              </span>
            ))}
          </span>
          <AccountActs of={account} tell={again} />
        </div>
      )}
      {kind === "account" && account === null && (
        <p class="soft">There is no account of this name any more.</p>
      )}
      <Facts of={buyer} />
      {buyer.reservations.length > 0 && (
        <Table
          caption="What they hold now"
          columns={heldColumns}
          rows={buyer.reservations}
          keyOf={(row) => `${row.sale_id} ${row.item_id} ${row.reserved_at}`}
        />
      )}
      <h3>What they bought</h3>
      <PagedTable
        list={orders}
        caption="Their orders, newest first"
        columns={orderColumns}
        keyOf={(row) => row.order_id}
        empty={<p class="soft">Nothing so far.</p>}
      />
    </>
  );
}

export function CustomerPage({ kind, name }: { readonly kind: BuyerKind; readonly name: string }) {
  const title = useRef<HTMLHeadingElement>(null);
  const [{ state, again }] = useState(() => load(() => ask(kind, name)));
  useEffect(() => {
    askAgain = () => void again();
    // What led here is gone, and the focus with it.
    title.current?.focus();
    return () => (askAgain = () => undefined);
  }, []);
  const now = state.value;
  return (
    <section class="stack" aria-label={`Customer ${name}`}>
      <p>
        <a href={addressOf("customers")}>All accounts</a>
      </p>
      <h2 ref={title} tabIndex={-1}>
        {name} <span class="soft kind">{kindWords[kind]}</span>
      </h2>
      {now.is === "loading" && <Skeleton height="240px" />}
      {now.is === "failed" && <ErrorState error={now.error} again={() => void again()} />}
      {now.is === "here" && (
        <Whole of={now.value} kind={kind} name={name} again={() => void again()} />
      )}
      {now.is !== "loading" && <Erasing kind={kind} name={name} />}
    </section>
  );
}
