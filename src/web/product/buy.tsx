/** The counter: what can be done with the product now, or why nothing. */
import { signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import { type Done, subjectOf } from "../holding/act.ts";
import { ActButton, HoldActs, linksOf } from "../holding/buttons.tsx";
import { WaitButton } from "../holding/waitbutton.tsx";
import { endWords } from "../holding/warn.ts";
import { loginAddress } from "../login/form.tsx";
import { WaitingRoom } from "../queue/waiting.tsx";
import { user } from "../session.ts";
import {
  calendarAddress,
  isAnnounced,
  isSoldOut,
  leftWords,
  type Order,
  ownedUnits,
  type ProductSale,
  salesOf,
} from "../shop/data.ts";
import { clockText, Countdown, Moment, SaleMoment, whenText } from "../time.tsx";
import { Badge, Button, count, LinkButton, load, Meter, money } from "../ui.tsx";
import {
  allowance,
  boughtUnits,
  buyNow,
  done,
  endedHere,
  heldHere,
  heldUnits,
  isWithdrawn,
  mayReserve,
  owned,
  reserveHere,
  room,
  sale,
  saleState,
} from "./counter.ts";

const units = signal(1);
const unitsMax = (of: ProductSale): number =>
  Math.max(1, Math.min(allowance.value, of.available + heldHere.value.length));
const wanted = (of: ProductSale): number => Math.min(units.value, unitsMax(of));

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

function Held() {
  const [last] = endedHere.value;
  return (
    <>
      {heldHere.value.map((one) => (
        <div key={one.code} class="counter-held" data-slot tabIndex={-1}>
          <p>
            <strong>Held for you</strong> for {money(one.item.price_cents)}
          </p>
          <HoldActs of={one} small />
        </div>
      ))}
      {heldHere.value.length === 0 && last !== undefined && (
        <p class="counter-ended">{endWords(last)}</p>
      )}
    </>
  );
}

const codesOf = ({ codes }: Order): string => codes.join(" ");

const Owned = ({ order }: { readonly order: Order }) => (
  <div class="counter-done" role="status">
    <strong>{ownedUnits(order) === 1 ? "It is yours." : `${ownedUnits(order)} are yours.`}</strong>
    <span class="soft">
      Order {order.order_id}, {money(order.total_cents)}, <Moment at={order.purchased_at} />.{" "}
      <a href="/account">My purchases</a>
    </span>
    <code class="counter-code">{codesOf(order)}</code>
  </div>
);

/** Why nothing can be bought now; null when it can. */
function hindrance(of: ProductSale): string | null {
  if (saleState.value === "upcoming") return null;
  if (saleState.value === "ended") return "This sale is over.";
  if (isSoldOut(of)) return "Sold out: every one is gone.";
  if (allowance.value === 0) return limitWords(of);
  if (room.value !== null && !room.value.isIn.value)
    return "Whoever is let in can buy: wait for your turn in the waiting room.";
  if (heldHere.value.length > 0) return null;
  return of.available === 0 ? "All are held by somebody. One may come free in a moment." : null;
}

function limitWords({ per_user_limit: limit }: ProductSale): string {
  const [own, unpaid] = [boughtUnits.value, heldUnits.value];
  const most = "as many as one person may have in this sale";
  if (own + unpaid < limit) return `You have ${count(limit)}, ${most}.`;
  if (unpaid === 0) return `You have bought ${count(own)}, ${most}.`;
  const has = own === 0 ? "" : `bought ${count(own)}, and `;
  return `You have ${has}${count(unpaid)} held and not paid yet: ${most}. What is held is in the bar below.`;
}

const buy = async (of: ProductSale, n: number): Promise<Done> => {
  const order = await buyNow(of, n);
  const what = n === 1 ? `${order.item.name} is yours.` : `${n} of ${order.item.name} are yours.`;
  const links = linksOf(order.order_id, order.codes[0]);
  return { text: `${what} Order ${order.order_id}.`, tone: "good", links };
};
const reserve = async (of: ProductSale): Promise<Done> => {
  const { item, ttl_ms } = await reserveHere(of);
  const time = clockText(Math.round(ttl_ms / 1000));
  return { text: `${item.name} is held for you for ${time}.`, tone: "good", isSeen: true };
};

/** What was just bought stands where its button was: another one is asked for on purpose. */
function Acts({ of }: { readonly of: ProductSale }) {
  return (
    <div class="counter-acts" data-slot tabIndex={-1} aria-label="What can be done">
      {done.value === null ? <ActsNow of={of} /> : <Another of={of} />}
    </div>
  );
}

/** Where nothing will come free any more, the way on. */
const Why = ({ of, reason }: { readonly of: ProductSale; readonly reason: string }) => (
  <>
    <p role="status">{reason}</p>
    {saleState.value === "active" && of.available === 0 && allowance.value > 0 && (
      <WaitButton saleId={of.id} item={of.item_id} login={loginAddress()} />
    )}
    {(isSoldOut(of) || saleState.value === "ended") && (
      <>
        <Next after={of} />
        <p>
          <a href="/shop">See what else is on sale</a>
        </p>
      </>
    )}
  </>
);

const comingMax = 20;
async function nextSale() {
  const announced = (await salesOf("upcoming", comingMax)).filter(isAnnounced);
  return announced.toSorted((a, b) => a.starts_at.localeCompare(b.starts_at))[0] ?? null;
}

/** What comes next, in the whole shop: asked for once somebody needs to know. */
function Next({ after }: { readonly after: ProductSale }) {
  const [{ state }] = useState(() => load(nextSale));
  const next = state.value.is === "here" ? state.value.value : null;
  if (next === null || next.id === after.id) return null;
  return (
    <p>
      Next in the shop is “{next.title}”, {whenText(next.starts_at)}.{" "}
      <a href={calendarAddress(next.id)} download>
        Put it into your calendar
      </a>
    </p>
  );
}

function Another({ of }: { readonly of: ProductSale }) {
  const reason = hindrance(of);
  if (reason !== null) return <Why of={of} reason={reason} />;
  return (
    <Button look="quiet" onClick={() => (done.value = null)}>
      Buy another
    </Button>
  );
}

function ActsNow({ of }: { readonly of: ProductSale }) {
  if (saleState.value === "upcoming")
    return (
      <>
        {user.value === null && (
          <LinkButton href={loginAddress()} look="quiet">
            Log in ahead of it
          </LinkButton>
        )}
        <Button off>Not open yet</Button>
      </>
    );
  const reason = hindrance(of);
  if (reason !== null) return <Why of={of} reason={reason} />;
  if (user.value === null) return <LinkButton href={loginAddress()}>Log in to buy</LinkButton>;
  const n = wanted(of);
  const subjects = [subjectOf(of.id, of.item_id)];
  const all = money(of.price_cents * n);
  const off = user.value === undefined;
  return (
    <>
      {of.per_user_limit > 1 && <Units of={of} />}
      <ActButton subjects={subjects} verb="buy now" off={off} does={() => buy(of, n)}>
        {n === 1 ? `Buy for ${all}` : `Buy ${n} for ${all}`}
      </ActButton>
      {mayReserve.value && of.available > 0 && (
        <ActButton
          subjects={subjects}
          verb="reserve"
          look="quiet"
          off={off}
          does={() => reserve(of)}
        >
          Reserve one for {clockText(of.reservation_ttl_ms / 1000)}
        </ActButton>
      )}
    </>
  );
}

const headings = { upcoming: "Opens in", active: "Closes in", ended: "Closed" };

export function Counter() {
  const of = sale.value;
  const state = saleState.value;
  if (of === null || state === null)
    return (
      <section class="card counter" aria-label="Buy">
        <Badge>In no sale at present</Badge>
        {isWithdrawn.value && (
          <p role="status">
            The sale that was announced here has been taken back, or this was taken out of it.
          </p>
        )}
        <p>It can be bought in a flash sale. When the next one is announced, it stands here.</p>
        <p>
          <a href="/shop">See what is on sale</a>
        </p>
        {owned.value && <Owned order={owned.value} />}
      </section>
    );
  const { stock, sold, taken_out: takenOut, available } = of;
  const reserved = Math.max(0, stock - sold - takenOut - available);
  return (
    <section class="card counter" id="counter" aria-label="Buy">
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
            Closed <SaleMoment at={of.ends_at} />
          </p>
        ) : (
          <Countdown
            to={state === "upcoming" ? of.starts_at : of.ends_at}
            label={headings[state]}
          />
        )}
      </div>
      <Meter of={{ sold, stock, reserved, available }} terse />
      <Held />
      {owned.value && <Owned order={owned.value} />}
      <Acts of={of} />
      <p class="counter-note">
        {count(of.per_user_limit)} a person in this sale.
        {state === "upcoming" && (
          <>
            {" "}
            It opens <SaleMoment at={of.starts_at} />.{" "}
            <a href={calendarAddress(of.id)} download>
              Put it into your calendar
            </a>
          </>
        )}
      </p>
    </section>
  );
}

/** Where one waits to be let in, for a sale that lets people in one after another. */
export function Wait() {
  const [of, now] = [sale.value, room.value];
  if (of === null || now === null || saleState.value === "ended") return null;
  const isOver = isSoldOut(of);
  return (
    <WaitingRoom
      room={now}
      tells
      scene={{
        login: loginAddress(),
        goods: "#counter",
        next: <a href="/shop">See what else is on sale</a>,
        full: !isOver && user.value && allowance.value === 0 ? limitWords(of) : null,
        isSoldOut: isOver,
      }}
    />
  );
}
