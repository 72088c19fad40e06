/**
 * Coupons: all of them as tickets, and with `?name=` one of them, to claim.
 *
 * What is left is the server's figure, asked for again while the page is looked at. A coupon can be
 * claimed once a user; who has claimed it is told when.
 */
import { signal } from "@preact/signals";
import { get } from "../api.ts";
import { mount } from "../layout.tsx";
import { notice } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { buyer } from "../session.ts";
import { Moment } from "../time.tsx";
import { Button, count, EmptyState, ErrorState, Field, load, Skeleton } from "../ui.tsx";
import { claim, claimedAt } from "./claim.ts";

type Coupon = {
  readonly id: number;
  readonly name: string;
  readonly amount: number;
  readonly remaining_amount: number;
  readonly created_at: string;
};
type CouponPage = { readonly coupons: readonly Coupon[]; readonly next_after: number | null };

const refreshMs = 3_000;
const perPage = 60;
const herdSize = 12;

const name = new URLSearchParams(location.search).get("name");
const addressOf = (coupon: string) => `/coupons?name=${encodeURIComponent(coupon)}`;

/** The same animal for the same name. */
function animalOf(coupon: string): number {
  let sum = 7;
  for (const letter of coupon) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return sum % herdSize;
}

function Left({ of }: { readonly of: Coupon }) {
  const share = of.amount > 0 ? of.remaining_amount / of.amount : 0;
  return (
    <div class="left">
      <p class="left-figures num">
        {of.remaining_amount === 0 ? (
          <strong>All claimed</strong>
        ) : (
          <>
            <strong>{count(of.remaining_amount)}</strong> of {count(of.amount)} left
          </>
        )}
      </p>
      <div class="left-bar" aria-hidden="true">
        <i style={{ transform: `scaleX(${share})` }} />
      </div>
    </div>
  );
}

// --- All of them ------------------------------------------------------------------------------

const listed = signal<readonly Coupon[]>([]);
const nextAfter = signal<number | null>(0);
const readMore = async (): Promise<void> => {
  const page = await get<CouponPage>(
    `/api/coupons?limit=${perPage}&after=${nextAfter.peek() ?? 0}`,
  );
  listed.value = [...listed.peek(), ...page.coupons];
  nextAfter.value = page.next_after;
};

function List({ list }: { readonly list: ReturnType<typeof load<void>> }) {
  const now = list.state.value;
  const coupons = listed.value;
  return (
    <div class="wide stack loose coupons-body">
      <div class="stack">
        <h1>Coupons</h1>
        <p class="soft">
          One a person, and only as many as there are. When they are gone, they are gone.
        </p>
      </div>
      {now.is === "failed" && <ErrorState error={now.error} again={() => void list.again()} />}
      {now.is === "here" && coupons.length === 0 && (
        <EmptyState title="No coupons at the moment" animal={10}>
          <p>
            Look in again later, or go to <a href="/">the drop</a>.
          </p>
        </EmptyState>
      )}
      <ul class="tickets">
        {now.is === "loading" &&
          Array.from({ length: 6 }, (_, i) => (
            <li key={-i} class="ticket">
              <span class="ticket-stub" />
              <span class="ticket-text">
                <Skeleton width="70%" height="1.4em" />
                <Skeleton width="45%" />
              </span>
            </li>
          ))}
        {coupons.map((coupon) => (
          <li
            key={coupon.id}
            class="ticket"
            data-gone={coupon.remaining_amount === 0 ? "" : undefined}
          >
            <img
              class="ticket-stub"
              src={`/herd/${animalOf(coupon.name)}.svg`}
              width="112"
              height="112"
              alt=""
            />
            <div class="ticket-text">
              <h2>
                <a href={addressOf(coupon.name)}>{coupon.name}</a>
              </h2>
              <Left of={coupon} />
            </div>
          </li>
        ))}
      </ul>
      {now.is === "here" && nextAfter.value !== null && (
        <div class="row">
          <Button look="quiet" onClick={() => void list.again()}>
            Show more
          </Button>
        </div>
      )}
    </div>
  );
}

// --- One of them ------------------------------------------------------------------------------

/** Starts with the buyer's name, and follows it until the visitor writes another one. */
const userField = signal(buyer.peek());
let followed = buyer.peek();
buyer.subscribe((value) => {
  if (userField.peek() === followed) userField.value = value;
  followed = value;
});
const wrong = signal<string | null>(null);
userField.subscribe(() => (wrong.value = null));
const claiming = signal(false);
/** Claimed by a click on this page, not some time before. */
const fresh = signal<string | null>(null);

function One({ of, one }: { readonly of: string; readonly one: ReturnType<typeof load<Coupon>> }) {
  const now = one.state.value;
  if (now.is === "failed") {
    const unknown = now.error instanceof Problem && now.error.code === "coupon_not_found";
    return (
      <div class="wide">
        {unknown ? (
          <EmptyState whole title="No such coupon" animal={10}>
            <p>There is no coupon called “{of}”.</p>
            <a href="/coupons">All coupons</a>
          </EmptyState>
        ) : (
          <ErrorState whole error={now.error} again={() => void one.again()} />
        )}
      </div>
    );
  }
  const coupon = now.is === "here" ? now.value : null;
  return (
    <div class="wide coupons-body stack">
      <p>
        <a href="/coupons">All coupons</a>
      </p>
      <article class="ticket large" data-gone={coupon?.remaining_amount === 0 ? "" : undefined}>
        <img
          class="ticket-stub"
          src={`/herd/${animalOf(of)}.svg`}
          width="320"
          height="320"
          alt=""
        />
        <div class="ticket-text">
          <h1>{of}</h1>
          {coupon ? <Left of={coupon} /> : <Skeleton width="60%" height="52px" />}
          <Claim coupon={coupon} name={of} again={() => void one.again()} />
        </div>
      </article>
    </div>
  );
}

function Claim({
  coupon,
  name: of,
  again,
}: {
  readonly coupon: Coupon | null;
  readonly name: string;
  readonly again: () => void;
}) {
  const id = userField.value.trim();
  const at = claimedAt(of, id);
  const submit = async () => {
    wrong.value = id === "" ? "Say who claims it." : null;
    if (id === "" || claiming.value) return;
    claiming.value = true;
    try {
      const claimed = await claim(of, id);
      fresh.value = claimed ? id : null;
      notice(
        claimed ? `${of} is yours.` : "You have claimed this one already.",
        claimed ? "good" : "plain",
      );
    } catch (error) {
      wrong.value = sentenceOf(error);
    } finally {
      claiming.value = false;
      again();
    }
  };
  const gone = coupon?.remaining_amount === 0;
  return (
    <form
      class="claim"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Field
        label="Claimed by"
        value={userField}
        hint="One a person. Your account, a name or an address."
        error={wrong.value}
        maxLength={255}
        autocomplete="username"
      />
      <div class="claim-end" role="status">
        {at === undefined ? (
          <Button type="submit" busy={claiming.value} off={coupon === null || gone}>
            {gone ? "All claimed" : "Claim it"}
          </Button>
        ) : (
          <p class="claim-done">
            <strong>{fresh.value === id ? "It is yours." : "Claimed already."}</strong>
            <span class="soft">
              {id}, <Moment at={at} />
            </span>
          </p>
        )}
      </div>
    </form>
  );
}

// --- Start ------------------------------------------------------------------------------------

if (name === null) {
  const list = load(readMore);
  mount(<List list={list} />);
} else {
  const one = load(() => get<Coupon>(`/api/coupons/${encodeURIComponent(name)}?claims_limit=0`));
  setInterval(() => {
    const now = one.state.value;
    if (!document.hidden && now.is === "here" && now.value.remaining_amount > 0) void one.again();
  }, refreshMs);
  document.title = `${name} · Stampede`;
  mount(<One of={name} one={one} />);
}
