/**
 * Coupons: all of them as tickets, each with the button that claims it, and with `?name=` one of them.
 *
 * What is left is the server's figure, asked for again while the page is looked at, also of those that
 * are all claimed: there may be more. A coupon can be claimed once a user; who has claimed it is told when.
 */
import { titleOf } from "../house.ts";
import { signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { act } from "../holding/act.ts";
import { ActButton } from "../holding/buttons.tsx";
import { mount } from "../layout.tsx";
import { Problem } from "../problems.ts";
import { buyer, user } from "../session.ts";
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
/** Of one that is all claimed, and of all of them. */
const refreshIdleMs = 10_000;
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

/** A long name breaks after an underscore, before it does in the middle of a word. */
const breakable = (coupon: string) =>
  coupon.split(/(?<=_)/).flatMap((part, i) => (i === 0 ? [part] : [<wbr key={i} />, part]));

/** As everywhere, what is gone is red, and what is free is not. */
function Left({ of }: { readonly of: Coupon }) {
  const gone = of.amount > 0 ? 1 - of.remaining_amount / of.amount : 1;
  return (
    <div class="left">
      <p class="left-figures num">
        {of.remaining_amount === 0 ? (
          <strong>All {count(of.amount)} claimed</strong>
        ) : (
          <>
            <strong>{count(of.remaining_amount)}</strong> of {count(of.amount)} left
          </>
        )}
      </p>
      <div class="left-bar" aria-hidden="true">
        <i style={{ transform: `scaleX(${gone})` }} />
      </div>
    </div>
  );
}

// --- Claiming ---------------------------------------------------------------------------------

/** For a guest: starts with the browser's name, until the visitor writes another one. */
const guestField = signal(buyer.peek());
const claimant = (): string => (user.value ? user.value.username : guestField.value.trim());
/** Claimed by a click on this page, not some time before. */
const fresh = signal<string | null>(null);

function Claimant() {
  if (user.value)
    return (
      <p class="soft">
        Claimed for <strong>{user.value.username}</strong>.
      </p>
    );
  return (
    <div class="claimant">
      <Field
        label="Claimed by"
        value={guestField}
        hint="One a person. A name or an address of yours; or log in."
        error={guestField.value.trim() === "" ? "Say who claims it." : null}
        maxLength={255}
        autocomplete="username"
      />
    </div>
  );
}

async function claimIt(of: Coupon, again: () => void) {
  const id = claimant();
  try {
    const claimed = await claim(of.name, id);
    fresh.value = claimed ? JSON.stringify([of.name, id]) : null;
    return claimed
      ? ({ text: `${of.name} is yours.`, tone: "good" } as const)
      : ({ text: `${id} has claimed ${of.name} already.`, tone: "plain" } as const);
  } finally {
    again();
  }
}

/** The button, or when it was claimed, in one place. */
function Claim({
  of,
  again,
  small = false,
}: {
  readonly of: Coupon;
  readonly again: () => void;
  readonly small?: boolean;
}) {
  const id = claimant();
  const at = claimedAt(of.name, id);
  const gone = of.remaining_amount === 0;
  return (
    <div class="claim" data-slot tabIndex={-1}>
      {at === undefined ? (
        <ActButton
          subjects={[`coupon ${of.name}`]}
          verb="claim"
          small={small}
          off={gone || id === ""}
          label={`${gone ? "All claimed" : "Claim it"}: ${of.name}`}
          does={() => claimIt(of, again)}
        >
          {gone ? "All claimed" : "Claim it"}
        </ActButton>
      ) : (
        <p class="claim-done">
          <strong>
            {fresh.value === JSON.stringify([of.name, id]) ? "It is yours." : "Claimed already."}
          </strong>{" "}
          <span class="soft">
            {id}, <Moment at={at} />
          </span>
        </p>
      )}
    </div>
  );
}

// --- All of them ------------------------------------------------------------------------------

const listed = signal<readonly Coupon[]>([]);
const nextAfter = signal<number | null>(0);
const readPage = (after: number) => get<CouponPage>(`/api/coupons?limit=${perPage}&after=${after}`);
const answers = new Answers();
const isReadingMore = signal(false);
const readMore = async (): Promise<void> => {
  const isTaken = answers.askAnew();
  isReadingMore.value = true;
  const page = await readPage(nextAfter.peek() ?? 0).finally(() => (isReadingMore.value = false));
  if (!isTaken()) return;
  listed.value = [...listed.peek(), ...page.coupons];
  nextAfter.value = page.next_after;
};

/** As many as are shown, with fresh figures; and what was made since, where all are shown. */
async function readAgain(): Promise<void> {
  // What comes then is fresh, and the list another one.
  if (isReadingMore.peek()) return;
  const isTaken = answers.ask();
  const wanted = listed.peek().length;
  const found: Coupon[] = [];
  let after: number | null = 0;
  while (after !== null && found.length < Math.max(1, wanted)) {
    // oxlint-disable-next-line no-await-in-loop
    const page: CouponPage = await readPage(after);
    found.push(...page.coupons);
    after = page.next_after;
  }
  if (!isTaken()) return;
  listed.value = found;
  nextAfter.value = after;
}
const quietly = (): void => void readAgain().catch(() => undefined);

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
        <Claimant />
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
                <a href={addressOf(coupon.name)}>{breakable(coupon.name)}</a>
              </h2>
              <Left of={coupon} />
              <Claim of={coupon} again={quietly} small />
            </div>
          </li>
        ))}
      </ul>
      {now.is === "here" && nextAfter.value !== null && (
        <div class="row">
          <Button look="quiet" busy={isReadingMore.value} onClick={() => void list.again()}>
            Show more
          </Button>
        </div>
      )}
    </div>
  );
}

// --- One of them ------------------------------------------------------------------------------

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
  const again = () => void one.again();
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
          <h1>{breakable(of)}</h1>
          {coupon ? <Left of={coupon} /> : <Skeleton width="60%" height="52px" />}
          <form
            class="claim-form"
            onSubmit={(event) => {
              event.preventDefault();
              const id = claimant();
              const isOpen = coupon !== null && coupon.remaining_amount > 0;
              if (isOpen && id !== "" && claimedAt(of, id) === undefined)
                void act([`coupon ${of}`], "claim", () => claimIt(coupon, again));
            }}
          >
            <Claimant />
            {coupon && <Claim of={coupon} again={again} />}
          </form>
        </div>
      </article>
    </div>
  );
}

// --- Start ------------------------------------------------------------------------------------

/** Asks again while the page is looked at, at a pace that may change. */
function keepAsking(ask: () => void, paceMs: () => number): void {
  const next = () => {
    setTimeout(() => {
      if (!document.hidden) ask();
      next();
    }, paceMs());
  };
  next();
}

if (name === null) {
  const list = load(readMore);
  keepAsking(quietly, () => refreshIdleMs);
  mount(<List list={list} />);
} else {
  const one = load(() => get<Coupon>(`/api/coupons/${encodeURIComponent(name)}?claims_limit=0`));
  const isLeft = () => {
    const now = one.state.value;
    return now.is === "here" && now.value.remaining_amount > 0;
  };
  keepAsking(
    () => void one.again(),
    () => (isLeft() ? refreshMs : refreshIdleMs),
  );
  document.title = titleOf(name);
  mount(<One of={name} one={one} />);
}
