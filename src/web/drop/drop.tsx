/**
 * The drop: the hourly sale. Countdown and figures, the wall, what is mine, and how to do the same
 * from a terminal. Every state of the sale has its sentence.
 */
import { computed } from "@preact/signals";
import { connection } from "../api.ts";
import { mount } from "../layout.tsx";
import { line } from "../live.ts";
import { buyer } from "../session.ts";
import { clockText, Countdown } from "../time.tsx";
import { count, Meter, Money, Picture } from "../ui.tsx";
import { HoldingActs, TakeAny } from "./acts.tsx";
import { atLimit, boughtCount, earlier, heldCount, type Holding, mine } from "./holdings.ts";
import { Picks, Search } from "./picks.tsx";
import { follow, knownAt, nextStartsAt, sale, soldOut, tileCount, turning } from "./sale.ts";
import { Inspector, Legend, WallView } from "./wallview.tsx";

/** Animals on the lower edge of the panel; drop.html has as many. */
const herdSize = 12;
const hour = new Intl.DateTimeFormat("en", { timeStyle: "medium" });

/** Where the sale stands, and this visitor in it. */
const standing = computed((): string => {
  const open = sale.value;
  if (open === undefined) return "Asking what is on sale.";
  if (turning.value) return "The hour turns. The next herd is being let out.";
  if (open === null) return "No sale is open. Stay here: the wall fills when the next one opens.";
  if (soldOut.value) return "Sold out: the whole herd is gone. The next one comes on time.";
  if (atLimit.value)
    return `You have ${open.per_user_limit}, as many as one person may have in this sale.`;
  if (open.available === 0)
    return "All that is left is in somebody's hands. What is not bought in time comes back.";
  return `One of each, at most ${open.per_user_limit} a person. A reservation holds for ${clockText(Math.round(open.reservation_ttl_ms / 1000))}.`;
});

const lostWords = computed(() => {
  if (connection.value !== "lost" && line.value !== "lost") return "";
  const at = knownAt.value;
  const since = at === null ? "" : ` These figures are from ${hour.format(at)}.`;
  return `Connection lost; trying again.${since} What you hold stays yours.`;
});

function Hero() {
  const open = sale.value;
  const next = nextStartsAt.value;
  return (
    <section class="hero">
      <div class="hero-in wide">
        <div class="hero-what">
          <h1>
            {count(tileCount.value)} paper animals. <em>One hour.</em>
          </h1>
          <p class="hero-state" role="status">
            {standing}
          </p>
        </div>
        <div class="hero-when">
          <Countdown
            to={next}
            label={turning.value ? "Any moment now" : "The next herd comes in"}
          />
        </div>
        <div class="hero-meter">
          <Meter of={open ?? null} />
          <p class="hero-tries num">
            {open ? `${count(open.attempts)} tries this hour` : "\u00a0"}
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

function Mine() {
  const own = mine.value;
  return (
    <section class="mine stack" aria-labelledby="mine-title">
      <div class="row apart">
        <h2 id="mine-title">Yours this hour</h2>
        <p class="soft num">
          {heldCount.value} reserved, {boughtCount.value} bought
        </p>
      </div>
      <ul class="mine-list">
        {own.length === 0 && (
          <li class="mine-none soft">What you reserve waits here until you buy it.</li>
        )}
        {own.toReversed().map((holding) => (
          <Mine1 key={holding.code} holding={holding} />
        ))}
      </ul>
      {earlier.value.length > 0 && (
        <details>
          <summary>From earlier hours: {count(earlier.value.length)}</summary>
          <ul class="mine-list">
            {earlier.value.toReversed().map((holding) => (
              <Mine1 key={holding.code} holding={holding} />
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

const Mine1 = ({ holding }: { readonly holding: Holding }) => (
  <li class="mine-one" data-bought={holding.purchased_at ? "" : undefined}>
    <Picture src={holding.item.image_url} size={72} />
    <div class="mine-text">
      <h3>{holding.item.name}</h3>
      <p class="soft small-text">
        <Money cents={holding.item.price_cents} />
      </p>
    </div>
    <HoldingActs holding={holding} small />
  </li>
);

function Terminal() {
  const at = location.origin;
  const lines = [
    `curl ${at}/sale`,
    `curl -X POST '${at}/checkout?user_id=${encodeURIComponent(buyer.value)}&id=any'`,
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
        <section class="floor" aria-label="The wall">
          <div class="floor-bar">
            <Search />
            <TakeAny />
          </div>
          <WallView />
          <Legend />
          <Inspector />
        </section>
        <Mine />
        <Picks />
        <Terminal />
      </div>
    </>
  );
}

follow();
mount(<Drop />);
