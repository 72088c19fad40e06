/**
 * My purchases: what this account has bought in the shop, newest first, a page at a time.
 * Who is not logged in finds the form for it here; who is, the one for another password.
 */
import { effect, signal } from "@preact/signals";
import { get } from "../api.ts";
import { mount } from "../layout.tsx";
import { LoginForm } from "../login/form.tsx";
import { notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { loadUser, logOut, user } from "../session.ts";
import type { Order, OrderPage } from "../shop/data.ts";
import { Moment } from "../time.tsx";
import { Button, EmptyState, ErrorState, LinkButton, money, Picture, Skeleton } from "../ui.tsx";
import { PasswordForm } from "./password.tsx";

const perPage = 20;

const orders = signal<readonly Order[] | null>(null);
const nextAfter = signal<number | null>(null);
const failure = signal<unknown>(null);
const busy = signal(false);

async function more(): Promise<void> {
  if (busy.peek()) return;
  busy.value = true;
  failure.value = null;
  try {
    const after = nextAfter.peek();
    const query = after === null ? "" : `&after=${after}`;
    const page = await get<OrderPage>(`/api/purchases/my-purchases?limit=${perPage}${query}`);
    orders.value = [...(after === null ? [] : (orders.peek() ?? [])), ...page.purchases];
    nextAfter.value = page.next_after;
  } catch (error) {
    failure.value = error;
  } finally {
    busy.value = false;
  }
}

function Slip({ of }: { readonly of: Order }) {
  const { item, codes, quantity } = of;
  return (
    <li class="card slip">
      <Picture src={item.image_url} size={96} />
      <div>
        <h2>
          <a href={`/product?id=${of.product_id}`}>{item.name}</a>
        </h2>
        <p class="soft">
          {of.flash_sale_title} · <Moment at={of.purchased_at} />
        </p>
        <details>
          <summary>
            Order {of.order_id}, {quantity === 1 ? "one code" : `${quantity} codes`}
          </summary>
          {codes.map((code) => (
            <code key={code}>{code}</code>
          ))}
        </details>
      </div>
      <p class="slip-total num">
        {quantity > 1 && (
          <span class="soft small-text">
            {quantity} × {money(item.price_cents)}
            <br />
          </span>
        )}
        {money(of.total_cents)}
      </p>
    </li>
  );
}

const Blanks = () => (
  <ul class="slips" aria-hidden="true">
    {Array.from({ length: 3 }, (_, i) => (
      <li key={-i} class="card slip">
        <Skeleton width="96px" height="96px" />
        <span class="stack">
          <Skeleton width="60%" height="1.4em" />
          <Skeleton width="40%" />
        </span>
      </li>
    ))}
  </ul>
);

function Orders() {
  const listed = orders.value;
  if (listed === null && failure.value !== null)
    return <ErrorState error={failure.value} again={() => void more()} />;
  if (listed === null) return <Blanks />;
  if (listed.length === 0)
    return (
      <EmptyState title="Nothing bought yet" animal={2}>
        <p>What you buy in the shop is kept here, with its codes.</p>
        <LinkButton href="/shop">To the shop</LinkButton>
      </EmptyState>
    );
  return (
    <>
      <ul class="slips">
        {listed.map((order) => (
          <Slip key={order.order_id} of={order} />
        ))}
      </ul>
      {nextAfter.value !== null && (
        <div class="row">
          <Button look="quiet" busy={busy.value} onClick={() => void more()}>
            Show more
          </Button>
          {failure.value !== null && <p role="alert">{sentenceOf(failure.value)}</p>}
        </div>
      )}
    </>
  );
}

function Account() {
  const known = user.value;
  return (
    <div class="wide narrow stack loose account-body">
      <div class="stack">
        <h1>My purchases</h1>
        <div class="row apart account-head">
          {known === null && <p class="soft">Log in to see them.</p>}
          {known && (
            <>
              <p>
                Logged in as <strong>{known.username}</strong>
              </p>
              <Button
                look="quiet"
                small
                onClick={() => {
                  logOut().catch((error: unknown) => notice(sentenceOf(error), "bad"));
                }}
              >
                Log out
              </Button>
            </>
          )}
        </div>
      </div>
      {known === null ? (
        <div class="card account-enter">
          <LoginForm />
        </div>
      ) : known === undefined ? (
        <Blanks />
      ) : (
        <>
          <Orders />
          <PasswordForm username={known.username} />
        </>
      )}
    </div>
  );
}

const knownId = signal<number | string | null>(null);
effect(() => {
  knownId.value = user.value?.id ?? null;
});
effect(() => {
  const id = knownId.value;
  orders.value = null;
  nextAfter.value = null;
  if (id !== null) void more();
});

void loadUser();
mount(<Account />);
