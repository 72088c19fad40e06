/**
 * My purchases: all that this account has bought, in the shop and on the drop, newest first, a page at
 * a time; and what was bought in this browser without an account, which nobody else knows, with a way
 * to keep it. Who is not logged in finds the form for it here; who is, those for another password and for a second factor.
 */
import { effect, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { acts, type Bought, forgetGuest, guestBought } from "../holding/store.ts";
import { mount } from "../layout.tsx";
import { LoginForm } from "../login/form.tsx";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { guest, loadUser, logOut, user } from "../session.ts";
import { type Order, type OrderPage, receiptAddress } from "../shop/data.ts";
import { Moment, serverNow } from "../time.tsx";
import {
  Button,
  count,
  EmptyState,
  ErrorState,
  LinkButton,
  money,
  Picture,
  Skeleton,
} from "../ui.tsx";
import { SecondFactor } from "./factor.tsx";
import { PasswordForm } from "./password.tsx";

const perPage = 20;
/** More codes than this are folded. */
const codesMax = 3;

const orders = signal<readonly Order[] | null>(null);
const nextAfter = signal<number | null>(null);
const failure = signal<unknown>(null);
const busy = signal(false);
const answers = new Answers();

async function ask(isMore: boolean): Promise<void> {
  const isTaken = answers.askAnew();
  busy.value = true;
  failure.value = null;
  try {
    const after = isMore ? nextAfter.peek() : null;
    const query = after === null ? "" : `&after=${after}`;
    const page = await get<OrderPage>(`/api/purchases/my-purchases?limit=${perPage}${query}`);
    if (!isTaken()) return;
    busy.value = false;
    orders.value = [...(after === null ? [] : (orders.peek() ?? [])), ...page.purchases];
    nextAfter.value = page.next_after;
  } catch (error) {
    if (!isTaken()) return;
    busy.value = false;
    failure.value = error;
  }
}

const Codes = ({ of }: { readonly of: readonly string[] }) => {
  const list = of.map((code) => <code key={code}>{code}</code>);
  if (of.length <= codesMax) return <div class="slip-codes">{list}</div>;
  return (
    <details>
      <summary>{count(of.length)} codes</summary>
      {list}
    </details>
  );
};

function Slip({
  item,
  title,
  at,
  href,
  order,
  codes,
  children,
}: {
  readonly item: Order["item"];
  readonly title: string;
  readonly at: string;
  readonly href: string | null;
  readonly order: string;
  readonly codes: readonly string[];
  readonly children: ComponentChildren;
}) {
  return (
    <li class="card slip">
      <Picture src={item.image_url} size={96} />
      <div>
        <h3>{href === null ? item.name : <a href={href}>{item.name}</a>}</h3>
        <p class="soft">
          {title} · <Moment at={at} />
        </p>
        <p class="slip-order">
          Order {order}{" "}
          <a
            class="small-text"
            href={receiptAddress(order, codes[0])}
            aria-label={`Receipt of order ${order}`}
          >
            Receipt
          </a>
        </p>
        <Codes of={codes} />
      </div>
      <p class="slip-total num">{children}</p>
    </li>
  );
}

const OrderSlip = ({ of }: { readonly of: Order }) => (
  <Slip
    item={of.item}
    title={of.sale_title}
    at={of.purchased_at}
    href={of.product_id === null ? null : `/product?id=${of.product_id}`}
    order={of.order_id}
    codes={of.codes}
  >
    {of.quantity > 1 && (
      <span class="soft small-text">
        {of.quantity} × {money(of.item.price_cents)}
        <br />
      </span>
    )}
    {money(of.total_cents)}
  </Slip>
);

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
    return <ErrorState error={failure.value} again={() => void ask(false)} />;
  if (listed === null) return <Blanks />;
  if (listed.length === 0)
    return (
      <EmptyState title="Nothing bought yet" animal={2}>
        <p>What you buy with this account is kept here, with its order numbers and codes.</p>
        <LinkButton href="/shop">To the shop</LinkButton>
      </EmptyState>
    );
  return (
    <>
      <ul class="slips">
        {listed.map((order) => (
          <OrderSlip key={order.order_id} of={order} />
        ))}
      </ul>
      {nextAfter.value !== null && (
        <div class="row">
          <Button look="quiet" busy={busy.value} onClick={() => void ask(true)}>
            Show more
          </Button>
          {failure.value !== null && <p role="alert">{sentenceOf(failure.value)}</p>}
        </div>
      )}
    </>
  );
}

// --- Without an account -----------------------------------------------------------------------

const lineOf = ({ order_id, code, item, sale_title, purchased_at, user_id }: Bought): string =>
  [
    `Order ${order_id}`,
    `  Code    ${code}`,
    `  Item    ${item.name} (No. ${item.id}), ${money(item.price_cents)}`,
    `  Sale    ${sale_title}`,
    `  Bought  ${purchased_at}, as ${user_id}`,
  ].join("\n");

/** A text file, for the visitor to keep. */
function saveFile(list: readonly Bought[]): void {
  const text = `Bought at ${location.host}\n\n${list.map(lineOf).join("\n\n")}\n`;
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  const day = new Date(serverNow()).toISOString().slice(0, 10);
  Object.assign(link, { href: address, download: `stampede-${day}.txt` });
  link.click();
  URL.revokeObjectURL(address);
}

async function forget(): Promise<void> {
  const sure = await confirm({
    title: "Forget them in this browser?",
    text: "The order numbers and codes are kept nowhere else for you. What you bought stays yours, but only they prove it.",
    yes: "Forget them",
    danger: true,
  });
  if (sure) forgetGuest();
}

function OfGuest() {
  const list = guestBought.value.toReversed();
  if (list.length === 0) return null;
  return (
    <section class="stack" aria-labelledby="guest-title">
      <h2 id="guest-title">Bought without an account</h2>
      <p class="soft">
        As {guest}, in this browser, which alone knows these codes: clearing its data loses them,
        and whoever uses it sees them. Keep them as a file or on paper. What you buy when you are
        logged in is kept for you, on every device.
      </p>
      <div class="row">
        <Button look="quiet" small onClick={() => saveFile(list)}>
          Save as a file
        </Button>
        <Button look="quiet" small onClick={() => void forget()}>
          Forget them here
        </Button>
      </div>
      <ul class="slips">
        {list.map((one) => (
          <Slip
            key={one.code}
            item={one.item}
            title={one.sale_title || "The drop"}
            at={one.purchased_at}
            href={null}
            order={one.order_id}
            codes={[one.code]}
          >
            {money(one.item.price_cents)}
          </Slip>
        ))}
      </ul>
    </section>
  );
}

function Account() {
  const known = user.value;
  return (
    <div class="wide narrow stack loose account-body">
      <div class="stack">
        <h1>My purchases</h1>
        <div class="row apart account-head">
          {known === null && (
            <p class="soft">Log in to see what your account has bought, on any device.</p>
          )}
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
        <>
          <OfGuest />
          <div class="card account-enter">
            <LoginForm />
          </div>
        </>
      ) : known === undefined ? (
        <Blanks />
      ) : (
        <>
          <section class="stack" aria-labelledby="orders-title">
            <h2 class="sr" id="orders-title">
              Bought with your account
            </h2>
            <Orders />
          </section>
          <OfGuest />
          <PasswordForm username={known.username} />
          <SecondFactor username={known.username} />
        </>
      )}
    </div>
  );
}

let knownName: string | null = null;
effect(() => {
  const name = user.value?.username ?? null;
  void acts.value;
  if (name !== knownName) {
    knownName = name;
    orders.value = null;
    nextAfter.value = null;
  }
  if (name !== null) void ask(false);
});
// Bought on another device, perhaps.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && knownName !== null) void ask(false);
});

void loadUser();
mount(<Account />);
