/**
 * The drop: the sale that opens by a schedule, every hour unless another is set. Countdown and figures,
 * the wall, what is mine, and how to do the same from a terminal. Every state of the sale has its
 * sentence, and what is said of its size and time is the sale's own.
 */
import { computed } from "@preact/signals";
import { connection } from "../api.ts";
import { mount } from "../layout.tsx";
import { line } from "../live.ts";
import { held } from "../holding/store.ts";
import { secondsLeft } from "../holding/warn.ts";
import { guest } from "../session.ts";
import {
  clockText,
  Countdown,
  Moment,
  momentText,
  secondsUntil,
  spanText,
  whenText,
} from "../time.tsx";
import { count, Meter, Money, Picture } from "../ui.tsx";
import { TakeAny, WaitForAny } from "./acts.tsx";
import {
  bought,
  boughtCount,
  type Bought,
  followHoldings,
  heldCount,
  limitWords,
  nextWords,
} from "./holdings.ts";
import { areRoomsKnown, Rooms } from "./rooms.tsx";
import { follow, knownAt, nextStartsAt, type Sale, sale, soldOut, turning } from "./sale.ts";
import { Found, Picks, Search, searching } from "./search.tsx";
import { Inspector, Legend, WallView } from "./wallview.tsx";

/** Animals on the lower edge of the panel; drop.html has as many. */
const herdSize = 12;

/** Where the sale stands, and this visitor in it. */
const standing = computed((): string => {
  const open = sale.value;
  if (open === undefined) return "Asking what is on sale.";
  if (turning.value) return "This one is over. The next herd is being let out.";
  if (open === null) return nextWords("No sale is open. Stay here: the wall fills when one opens.");
  if (soldOut.value) return nextWords("Sold out: the whole herd is gone.");
  if (limitWords.value !== null) return limitWords.value;
  if (open.available === 0)
    return "All that is left is in somebody's hands. What is not bought in time comes back.";
  return `${herdWords(open)}, at most ${count(open.per_user_limit)} a person. ${holdWords(open)}`;
});

/** How many there are, and for how long in all. */
function herdWords({ stock, starts_at, ends_at }: Sale): string {
  const time = spanText((Date.parse(ends_at) - Date.parse(starts_at)) / 1000);
  return `${stock === 1 ? "One only" : `${count(stock)} in all`}, on sale for ${time}`;
}

/** A reservation ends with the sale at the latest. */
function holdWords(open: Sale): string {
  const [whole, left] = [
    Math.round(open.reservation_ttl_ms / 1000),
    secondsUntil(Date.parse(open.ends_at)),
  ];
  return left < whole
    ? `A reservation holds until the sale ends, ${clockText(left)} from now.`
    : `A reservation holds for ${clockText(whole)}.`;
}

const lostWords = computed(() => {
  if (connection.value !== "lost" && line.value !== "lost") return "";
  const at = knownAt.value;
  const since = at === null ? "" : ` These figures are from ${momentText(at, "second")}.`;
  const [next] = held.value;
  const time =
    next === undefined
      ? ""
      : ` The time of what you hold runs on: ${next.item.name} ends in ${clockText(secondsLeft(next))}.`;
  return `Connection lost; trying again.${since}${time}`;
});

function Hero() {
  const open = sale.value;
  const next = nextStartsAt.value;
  return (
    <section class="hero">
      <div class="hero-in wide">
        <div class="hero-what">
          <h1>
            Paper animals, <em>while they last.</em>
          </h1>
          <p class="hero-state" role="status">
            {standing}
          </p>
        </div>
        <div class="hero-when">
          <Countdown
            to={next}
            label={
              turning.value
                ? "Any moment now"
                : next === null
                  ? "The next herd comes in"
                  : `Next herd ${whenText(next)}, in`
            }
          />
        </div>
        <div class="hero-meter">
          <Meter of={open ?? null} />
          <p class="hero-tries num">
            {open
              ? `${count(open.attempts)} ${open.attempts === 1 ? "try" : "tries"} so far`
              : "\u00a0"}
          </p>
        </div>
      </div>
      <div class="herd" aria-hidden="true">
        {Array.from({ length: herdSize }, (_, i) => (
          <img key={i} src={`/herd/${i}.svg`} width="132" height="132" alt="" />
        ))}
      </div>
      <p class="hero-lost" role="alert" data-shown={lostWords.value ? "" : undefined}>
        {lostWords}
      </p>
    </section>
  );
}

/** Bought here; what is held is in the bar. */
function Mine() {
  return (
    <section class="mine stack" aria-labelledby="mine-title">
      <div class="row apart">
        <h2 id="mine-title">Yours in this drop</h2>
        <p class="soft num">
          {heldCount.value} reserved, {boughtCount.value} bought
        </p>
      </div>
      <ul class="mine-list">
        {bought.value.length === 0 && (
          <li class="mine-none soft">
            What you reserve waits in a bar at the window's lower edge. What you buy stands here.
          </li>
        )}
        {bought.value.map((order) => (
          <Mine1 key={order.order_id} order={order} />
        ))}
      </ul>
      <p>
        <a href="/account">All that you have bought</a>
      </p>
    </section>
  );
}

const Mine1 = ({ order }: { readonly order: Bought }) => (
  <li class="mine-one">
    <Picture src={order.item.image_url} size={72} />
    <div class="mine-text">
      <h3>{order.item.name}</h3>
      <p class="soft small-text num">
        Order {order.order_id} · <Money cents={order.item.price_cents} /> ·{" "}
        <Moment at={order.purchased_at} form="hour" />
      </p>
      <p class="small-text">
        <code class="code">{order.codes.join(" ")}</code>
      </p>
    </div>
  </li>
);

function Terminal() {
  const at = location.origin;
  const lines = [
    `curl ${at}/sale`,
    `curl -X POST '${at}/checkout?user_id=${encodeURIComponent(guest)}&id=any'`,
    `curl -X POST '${at}/purchase?code=CODE'`,
    `curl -N ${at}/events`,
  ];
  return (
    <section class="stack" aria-labelledby="terminal-title">
      <h2 id="terminal-title">Or from a terminal</h2>
      <pre tabIndex={0}>
        <code>{lines.join("\n")}</code>
      </pre>
    </section>
  );
}

function Drop() {
  return (
    <>
      <Hero />
      <div class="wide stack loose drop-body">
        <Rooms />
        <section
          class="floor"
          id="goods"
          aria-label="The wall"
          data-unplaced={areRoomsKnown.value ? undefined : ""}
        >
          <div class="floor-bar">
            <Search />
            <TakeAny />
          </div>
          <WaitForAny />
          <Found />
          <div class="floor-wall">
            <WallView />
            <Inspector />
          </div>
          <Legend />
        </section>
        <Mine />
        {!searching.value && <Picks />}
        <Terminal />
      </div>
    </>
  );
}

follow();
followHoldings();
mount(<Drop />);
