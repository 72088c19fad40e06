/**
 * The receipt of an order, to print and keep: `?order=` and a `code` of it, or its owner's session. Each
 * unit has its code as text and as a QR code.
 */
import { get } from "../api.ts";
import { house } from "../house.ts";
import { mount } from "../layout.tsx";
import { loginAddress } from "../login/form.tsx";
import { Problem } from "../problems.ts";
import { Qr } from "../qr.tsx";
import { loadUser, user } from "../session.ts";
import type { Order } from "../shop/data.ts";
import { Moment } from "../time.tsx";
import {
  Badge,
  Button,
  count,
  EmptyState,
  ErrorState,
  LinkButton,
  load,
  money,
  Skeleton,
} from "../ui.tsx";

type Unit = { readonly code: string; readonly refunded_at: string | null };
type Receipt = Order & {
  readonly user_id: string;
  readonly status: "paid" | "partly_refunded" | "refunded";
  readonly refunded_cents: number;
  readonly units: readonly Unit[];
};

/** So many codes are drawn; an order may have thousands. */
const drawnMax = 24;

const asked = new URLSearchParams(location.search);
const order = asked.get("order") ?? "";
const code = asked.get("code");

const receipt = load(async () => {
  // Without a code it is its owner's alone.
  if (code === null) await loadUser();
  const query = code === null ? "" : `?code=${encodeURIComponent(code)}`;
  return await get<Receipt>(`/api/orders/${encodeURIComponent(order)}${query}`);
});

const statusWords = { paid: "Paid", partly_refunded: "Partly refunded", refunded: "Refunded" };

function Codes({ of: { units } }: { readonly of: Receipt }) {
  const more = units.length - drawnMax;
  return (
    <section class="stack" aria-labelledby="codes-title">
      <h2 id="codes-title">{units.length === 1 ? "Its code" : "Its codes"}</h2>
      <p class="soft">
        Whoever has a code can show it. Keep {units.length === 1 ? "it" : "them"} to yourself.
      </p>
      <ul class="receipt-codes">
        {units.slice(0, drawnMax).map(({ code: of, refunded_at: at }) => (
          <li key={of} data-gone={at === null ? undefined : ""}>
            {at === null ? (
              <Qr text={of} label={`QR code of ${of}`} />
            ) : (
              <p>
                <Badge>Refunded</Badge> <Moment at={at} />
              </p>
            )}
            <code>{of}</code>
          </li>
        ))}
      </ul>
      {more > 0 && (
        <details>
          <summary>And {count(more)} more</summary>
          {units.slice(drawnMax).map(({ code: of }) => (
            <code key={of} class="receipt-more">
              {of}{" "}
            </code>
          ))}
        </details>
      )}
    </section>
  );
}

function Facts({ of }: { readonly of: Receipt }) {
  const { item, quantity } = of;
  return (
    <dl class="receipt-facts">
      <dt>Order</dt>
      <dd>
        <strong class="num">{of.order_id}</strong>
      </dd>
      <dt>Bought</dt>
      <dd>
        <Moment at={of.purchased_at} form="zoned" />
      </dd>
      <dt>By</dt>
      <dd>{of.user_id}</dd>
      <dt>In</dt>
      <dd>{of.sale_title}</dd>
      <dt>What</dt>
      <dd>
        {item.name}
        {of.product_id === null && ` (No. ${item.id})`}
      </dd>
      <dt>Price</dt>
      <dd class="num">
        {count(quantity)} × {money(item.price_cents)}
      </dd>
      <dt>Total</dt>
      <dd class="receipt-total num">{money(of.total_cents)}</dd>
      {of.refunded_cents > 0 && (
        <>
          <dt>Taken back</dt>
          <dd class="num">
            {money(of.refunded_cents)}, so that {money(of.total_cents - of.refunded_cents)} stay
          </dd>
        </>
      )}
      <dt>Status</dt>
      <dd>{statusWords[of.status]}</dd>
      <dt>Sold by</dt>
      <dd>
        {house.name}, at {location.host}
      </dd>
    </dl>
  );
}

/** Of whoever asks it is told alike that there is none, and that it is another's. */
const isUnknown = (error: unknown): boolean =>
  error instanceof Problem && [400, 401, 404].includes(error.status);

function Page() {
  const now = receipt.state.value;
  if (now.is === "failed")
    return (
      <div class="wide narrow receipt-body">
        {isUnknown(now.error) ? (
          <EmptyState title="No receipt to show" animal={3} whole>
            <p>
              There is no such order, or it is somebody else’s. The link from your purchases opens
              it{user.value ? "" : ", and so does logging in as who bought it"}.
            </p>
            {user.value ? (
              <LinkButton href="/account" look="quiet">
                My purchases
              </LinkButton>
            ) : (
              <LinkButton href={loginAddress()}>Log in</LinkButton>
            )}
          </EmptyState>
        ) : (
          <ErrorState whole error={now.error} again={() => void receipt.again()} />
        )}
      </div>
    );
  return (
    <div class="wide narrow stack receipt-body">
      <div class="row apart">
        <h1>Receipt</h1>
        <div class="row receipt-acts">
          <Button off={now.is !== "here"} onClick={() => print()}>
            Print or save it
          </Button>
        </div>
      </div>
      <article class="card receipt">
        {now.is === "here" ? (
          <>
            <Facts of={now.value} />
            <Codes of={now.value} />
          </>
        ) : (
          <Skeleton height="280px" />
        )}
      </article>
      <p class="receipt-acts">
        <a href="/account">My purchases</a>
      </p>
    </div>
  );
}

mount(<Page />);
