/** One order: its units, who bought it, all that was tried about it, and taking it back. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api.ts";
import { Problem } from "../problems.ts";
import { Moment } from "../time.tsx";
import {
  Badge,
  Button,
  type Column,
  count,
  EmptyState,
  ErrorState,
  LinkButton,
  load,
  money,
  Picture,
  Skeleton,
  Table,
} from "../ui.tsx";
import { Fact } from "./facts.tsx";
import { BuyerName, type OrderHead, StatusBadge } from "./orderhead.tsx";
import { addressOf } from "./place.ts";
import { RefundForm } from "./refund.tsx";
import { type Attempt, attemptColumns } from "./story.tsx";

type OrderUnit = {
  readonly code: string;
  readonly refunded_at: string | null;
  readonly restocked: boolean;
};
type Refund = {
  readonly seq: number;
  readonly units: number;
  readonly restocked: boolean;
  readonly by: "account" | "key" | null;
  readonly who: string | null;
  readonly reason: string | null;
};
export type WholeOrder = OrderHead & {
  readonly units: readonly OrderUnit[];
  readonly refunds: readonly Refund[];
  readonly attempts: readonly Attempt[];
};
export type SaleOfOrder = { readonly status: "upcoming" | "open" | "closed" };
type Shown = { readonly order: WholeOrder; readonly sale: SaleOfOrder };

/** An order may have as many units as a sale; of more than these the purchases' file tells. */
const unitsMax = 200;

const isRefunding = signal(false);

async function ask(id: string): Promise<Shown> {
  const order = await get<WholeOrder>(`/api/admin/orders/${encodeURIComponent(id)}`);
  return { order, sale: await get<SaleOfOrder>(`/sales/${order.sale_id}`) };
}

let askAgain = (): void => undefined;
/** What others do to the order that is shown. */
export const refreshOrder = (): void => {
  if (!isRefunding.peek()) askAgain();
};

const unitColumns: readonly Column<OrderUnit>[] = [
  { title: "Code", of: ({ code }) => <code class="cell-code">{code}</code> },
  {
    title: "State",
    of: ({ refunded_at: at, restocked }) =>
      at === null ? (
        <Badge tone="good">Sold</Badge>
      ) : (
        <span class="cell-end">
          <Badge>Refunded</Badge>
          <span class="soft">
            {restocked ? "and put on sale again" : "and not sold again"},{" "}
            <Moment at={at} form="zoned" />
          </span>
        </span>
      ),
  },
];

/** Who did it, and what else is to be said: of a refund its reason. */
function Told({ of, refund }: { readonly of: Attempt; readonly refund: Refund | undefined }) {
  if (refund === undefined) return <span class="cell-break">{of.user_id ?? "–"}</span>;
  const { who, by, units, restocked, reason } = refund;
  return (
    <span class="cell-break">
      {who === null ? "Somebody" : `${who}${by === "key" ? " (a key)" : ""}`}: {count(units)}{" "}
      {units === 1 ? "unit" : "units"}
      {restocked && ", put on sale again"}
      {reason !== null && <>, “{reason}”</>}
    </span>
  );
}

const storyColumns = (refunds: readonly Refund[]): readonly Column<Attempt>[] => [
  ...attemptColumns,
  {
    title: "Who",
    of: (row) => <Told of={row} refund={refunds.find(({ seq }) => seq === row.seq)} />,
  },
];

const leftOf = ({ quantity, refunded_quantity: back }: OrderHead): number => quantity - back;

function Facts({ of }: { readonly of: WholeOrder }) {
  const { quantity, item, refunded_cents: back } = of;
  return (
    <dl class="facts order-facts">
      <Fact title="Buyer" text>
        <BuyerName of={of} />
      </Fact>
      <Fact
        title="Paid"
        note={quantity > 1 ? `${count(quantity)} × ${money(item.price_cents)}` : ""}
      >
        {money(of.total_cents)}
      </Fact>
      <Fact title="Taken back" note={`${money(of.total_cents - back)} stay`}>
        {money(back)}
      </Fact>
      <Fact title="Bought" text>
        <Moment at={of.purchased_at} form="exact" />
      </Fact>
    </dl>
  );
}

function Whole({ of: { order, sale }, done }: { readonly of: Shown; readonly done: () => void }) {
  const units = order.units.slice(0, unitsMax);
  const hidden = order.units.length - units.length;
  return (
    <>
      <div class="toolbar">
        <div class="order-item">
          <Picture src={order.item.image_url} size={72} />
          <p>
            <strong>{order.item.name}</strong>
            <br />
            <a href={addressOf("orders", "sale", order.sale_id)}>{order.sale_title}</a>
          </p>
        </div>
        <div class="row">
          <StatusBadge of={order} />
          {leftOf(order) > 0 && (
            <Button look="quiet" onClick={() => (isRefunding.value = true)}>
              Refund…
            </Button>
          )}
        </div>
      </div>
      <Facts of={order} />
      <h3>{order.units.length === 1 ? "Its unit" : `Its ${count(order.units.length)} units`}</h3>
      <Table caption="Units" columns={unitColumns} rows={units} keyOf={({ code }) => code} />
      {hidden > 0 && (
        <p class="soft">
          And {count(hidden)} more: the sale’s purchases.csv has them all, and their codes.
        </p>
      )}
      <h3>Its story</h3>
      <Table
        caption="All that was tried about it, in order"
        columns={storyColumns(order.refunds)}
        rows={order.attempts}
        keyOf={({ seq }) => seq}
      />
      {isRefunding.value && (
        <RefundForm
          order={order}
          sale={sale}
          done={done}
          close={() => (isRefunding.value = false)}
        />
      )}
    </>
  );
}

export function OrderPage({ id }: { readonly id: string }) {
  const title = useRef<HTMLHeadingElement>(null);
  const [{ state, again }] = useState(() => load(() => ask(id)));
  useEffect(() => {
    askAgain = () => void again();
    // What led here is gone, and the focus with it.
    title.current?.focus();
    return () => {
      askAgain = () => undefined;
      isRefunding.value = false;
    };
  }, []);
  const now = state.value;
  const isUnknown =
    now.is === "failed" && now.error instanceof Problem && now.error.code === "order_not_found";
  return (
    <section class="stack" aria-label={`Order ${id}`}>
      <p>
        <a href={addressOf("orders")}>All orders</a>
      </p>
      {!isUnknown && (
        <h2 ref={title} tabIndex={-1}>
          Order {id}
        </h2>
      )}
      {now.is === "loading" && <Skeleton height="240px" />}
      {isUnknown ? (
        <EmptyState title={`There is no order ${id}`} animal={3}>
          <LinkButton href={addressOf("orders")} look="quiet">
            To all orders
          </LinkButton>
        </EmptyState>
      ) : (
        now.is === "failed" && <ErrorState error={now.error} again={() => void again()} />
      )}
      {now.is === "here" && <Whole of={now.value} done={() => void again()} />}
    </section>
  );
}
