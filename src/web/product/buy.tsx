/** The counter: what can be done with the product now, or why nothing. */
import { signal } from "@preact/signals";
import { useId } from "preact/hooks";
import { loginAddress } from "../login/form.tsx";
import { notice } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { user } from "../session.ts";
import { leftWords, type Order, type ProductSale } from "../shop/data.ts";
import { clockText, Countdown, Moment, Ring } from "../time.tsx";
import { Badge, Button, count, LinkButton, Meter, money } from "../ui.tsx";
import {
  allowance,
  busy,
  buyHeld,
  buyNow,
  forget,
  giveBack,
  type Held,
  held,
  isLate,
  owned,
  reserve,
  sale,
  saleState,
} from "./counter.ts";

const units = signal(1);
const unitsMax = (of: ProductSale): number => Math.max(1, Math.min(allowance.value, of.available));
const wanted = (of: ProductSale): number => Math.min(units.value, unitsMax(of));

const lostWords =
  "No answer came, so it may have been bought or not. Look at My purchases before you try again.";

async function say(does: Promise<unknown>, done: string): Promise<void> {
  try {
    await does;
    notice(done, "good");
  } catch (error) {
    const isLost = error instanceof Problem && error.code === "lost" && done !== "";
    notice(isLost ? lostWords : sentenceOf(error), "bad");
  }
}

function Units({ of }: { readonly of: ProductSale }) {
  const id = useId();
  const most = unitsMax(of);
  const now = wanted(of);
  const set = (n: number) =>
    (units.value = Number.isInteger(n) ? Math.max(1, Math.min(most, n)) : 1);
  const step = (by: number, words: string, sign: string) => (
    <button
      type="button"
      aria-label={words}
      aria-disabled={now + by < 1 || now + by > most ? "true" : undefined}
      onClick={() => set(now + by)}
    >
      {sign}
    </button>
  );
  return (
    <div class="field">
      <label for={id}>How many</label>
      <div class="units">
        {step(-1, "One less", "−")}
        <input
          id={id}
          type="number"
          inputMode="numeric"
          min={1}
          max={most}
          value={now}
          onChange={(event) => {
            set(event.currentTarget.valueAsNumber);
            event.currentTarget.value = String(wanted(of));
          }}
        />
        {step(1, "One more", "+")}
      </div>
    </div>
  );
}

function HeldRow({ of }: { readonly of: Held }) {
  const late = isLate(of);
  const working = busy.value !== null;
  return (
    <div class="counter-held">
      {late ? <Badge tone="bad">Ran out</Badge> : <Ring to={of.expires_at} totalMs={of.ttl_ms} />}
      <p>
        {late ? (
          "If nobody was quicker, you can still buy it."
        ) : (
          <>
            <strong>Reserved for you</strong> for {money(of.price_cents)}
          </>
        )}
      </p>
      <Button
        busy={busy.value === "code"}
        off={working}
        onClick={() => void say(buyHeld(of), "It is yours.")}
      >
        {late ? "Try to buy" : "Buy it"}
      </Button>
      <Button
        look="quiet"
        off={working}
        onClick={() => (late ? forget(of.code) : void say(giveBack(of), "It is free again."))}
      >
        {late ? "Forget" : "Give back"}
      </Button>
    </div>
  );
}

const Owned = ({ order }: { readonly order: Order }) => (
  <div class="counter-done" role="status">
    <strong>{order.quantity === 1 ? "It is yours." : `${order.quantity} are yours.`}</strong>
    <span class="soft">
      Order {order.order_id}, {money(order.total_cents)}, <Moment at={order.purchased_at} />.{" "}
      <a href="/account">My purchases</a>
    </span>
  </div>
);

/** Why nothing can be bought now; null when it can. */
function hindrance(of: ProductSale): string | null {
  if (saleState.value === "upcoming") return null;
  if (saleState.value === "ended") return "This sale is over.";
  if (of.sold >= of.stock) return "Sold out: every one is gone.";
  if (allowance.value === 0) {
    const most = of.per_user_limit;
    return `You have as many as one person may have in this sale: ${count(most)}.`;
  }
  return of.available === 0 ? "All are held by somebody. One may come free in a moment." : null;
}

function Acts({ of }: { readonly of: ProductSale }) {
  if (saleState.value === "upcoming")
    return (
      <div class="counter-acts">
        {user.value === null && (
          <LinkButton href={loginAddress()} look="quiet">
            Log in ahead of it
          </LinkButton>
        )}
        <Button off>Not open yet</Button>
      </div>
    );
  const reason = hindrance(of);
  if (reason !== null) return <p role="status">{reason}</p>;
  if (user.value === null)
    return (
      <div class="counter-acts">
        <LinkButton href={loginAddress()}>Log in to buy</LinkButton>
      </div>
    );
  const n = wanted(of);
  const working = busy.value !== null || user.value === undefined;
  const all = money(of.price_cents * n);
  return (
    <>
      {of.per_user_limit > 1 && <Units of={of} />}
      <div class="counter-acts">
        <Button
          busy={busy.value === "buy"}
          off={working}
          onClick={() => void say(buyNow(of, n), n === 1 ? "It is yours." : `${n} are yours.`)}
        >
          {n === 1 ? `Buy for ${all}` : `Buy ${n} for ${all}`}
        </Button>
        <Button
          look="quiet"
          busy={busy.value === "reserve"}
          off={working}
          onClick={() => void say(reserve(of), "Reserved for you.")}
        >
          Reserve one for {clockText(of.reservation_ttl_ms / 1000)}
        </Button>
      </div>
    </>
  );
}

const headings = { upcoming: "Opens in", active: "Closes in", ended: "Closed" };

export function Counter() {
  const of = sale.value;
  const state = saleState.value;
  if (of === null || state === null)
    return (
      <section class="card counter idle" aria-label="Buy">
        <Badge>In no sale at present</Badge>
        <p>It can be bought in a flash sale. When the next one is announced, it stands here.</p>
        <p>
          <a href="/shop">See what is on sale</a>
        </p>
        {owned.value && <Owned order={owned.value} />}
      </section>
    );
  const reserved = Math.max(0, of.stock - of.sold - of.available);
  return (
    <section class="card counter" aria-label="Buy">
      <div class="counter-head">
        <div class="stack">
          <strong>{of.title}</strong>
          {state === "active" ? (
            <Badge tone={of.available > 0 ? "good" : "plain"}>{leftWords(of)}</Badge>
          ) : (
            <Badge tone={state === "upcoming" ? "held" : "plain"}>
              {state === "upcoming" ? "Not open yet" : "Over"}
            </Badge>
          )}
        </div>
        {state === "ended" ? (
          <p class="soft">
            Closed <Moment at={of.ends_at} />
          </p>
        ) : (
          <Countdown
            to={state === "upcoming" ? of.starts_at : of.ends_at}
            label={headings[state]}
          />
        )}
      </div>
      <Meter of={{ sold: of.sold, stock: of.stock, reserved }} terse />
      {held.value.map((one) => (
        <HeldRow key={one.code} of={one} />
      ))}
      {owned.value && <Owned order={owned.value} />}
      <Acts of={of} />
      <p class="counter-note">
        {count(of.per_user_limit)} a person in this sale.
        {state === "upcoming" && (
          <>
            {" "}
            It opens <Moment at={of.starts_at} />.
          </>
        )}
      </p>
    </section>
  );
}
