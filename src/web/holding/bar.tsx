/**
 * The bar: what this visitor holds, of every sale, on every page. One timer, that of the next one to
 * end; buy one or all, give back; what has ended, and why; and what came of the last act.
 *
 * It lies on the window's lower edge and takes a place of its own at the page's end, so that it never
 * lies for good upon anything; how high it is stands in `--bar`, for what sticks above it and for what
 * is scrolled into view.
 */
import { signal } from "@preact/signals";
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { sentenceOf } from "../problems.ts";
import { clockText, Ring } from "../time.tsx";
import { money } from "../ui.tsx";
import { said, type Done, subjectOf } from "./act.ts";
import { ActButton, history, HoldActs } from "./buttons.tsx";
import { buy, ended, endOf, followHoldings, held, type Holding } from "./store.ts";
import { termsOf } from "./terms.ts";
import { followWaits } from "./waits.ts";
import { endWords, isSounding, nearness, secondsLeft, spoken, toggleSound, warn } from "./warn.ts";

/** Of those that have ended, so many are shown. */
const endedMax = 3;
const isOpen = signal(false);

const total = (list: readonly Holding[]): number =>
  list.reduce((sum, { item }) => sum + item.price_cents, 0);

/** One after another, each by its own code: what is refused leaves the others bought. */
async function buyAll(list: readonly Holding[]): Promise<Done> {
  const refused: string[] = [];
  let bought = 0;
  for (const one of list) {
    try {
      // oxlint-disable-next-line no-await-in-loop
      await buy(one);
      bought += 1;
    } catch (error) {
      refused.push(`${one.item.name}: ${sentenceOf(error)}`);
    }
  }
  const words = bought === 1 ? "One is yours." : `${bought} are yours.`;
  return refused.length === 0
    ? { text: `All ${words}`, tone: "good", links: [history] }
    : { text: `${bought > 0 ? `${words} ` : ""}${refused.join(" ")}`, tone: "bad" };
}

const Sound = () => (
  <button
    class="bar-sound"
    type="button"
    aria-pressed={isSounding.value ? "true" : "false"}
    aria-label="Warn by a sound"
    title={isSounding.value ? "Warns by a sound, too" : "Warn by a sound, too"}
    onClick={toggleSound}
  >
    <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
      <path d="M5 9v6h4l5 4V5L9 9Z" fill="currentColor" />
      <path
        d={isSounding.value ? "M17 8q3 4 0 8M19.5 5.5q5 6.5 0 13" : "M17 9l5 6M22 9l-5 6"}
        fill="none"
        stroke="currentColor"
        stroke-width="2"
        stroke-linecap="round"
      />
    </svg>
  </button>
);

const leftWords = (one: Holding): string => `${clockText(secondsLeft(one))} left`;
const endTime = (one: Holding): string => new Date(endOf(one)).toISOString();
const saleWords = (one: Holding): string => {
  const sale = termsOf(one.sale_id);
  return sale === undefined ? "" : sale.kind === "hourly" ? "The drop" : sale.title;
};

function Row({ of, alone = false }: { readonly of: Holding; readonly alone?: boolean }) {
  return (
    <li class="bar-row" data-slot tabIndex={-1}>
      {alone && <Ring to={endTime(of)} totalMs={of.ttl_ms} />}
      <p class="bar-text">
        <strong>{of.item.name}</strong>
        <span class="bar-more num">
          {alone ? "Held for you" : leftWords(of)}
          {of.buyer === "guest" ? "" : " · your account"}
          {saleWords(of) && ` · ${saleWords(of)}`}
        </span>
      </p>
      <div class="bar-acts">
        <HoldActs of={of} small />
        {alone && <Sound />}
      </div>
    </li>
  );
}

function Many({ of }: { readonly of: readonly Holding[] }) {
  const [next] = of;
  if (next === undefined) return null;
  const subjects = of.map(({ sale_id, item }) => subjectOf(sale_id, item.id));
  return (
    <>
      {isOpen.value && (
        <ul class="bar-list" id="bar-list">
          {of.map((one) => (
            <Row key={one.code} of={one} />
          ))}
        </ul>
      )}
      <div class="bar-row" data-slot tabIndex={-1}>
        <Ring to={endTime(next)} totalMs={next.ttl_ms} />
        <p class="bar-text">
          <strong>{of.length} held for you</strong>
          <span class="bar-more num">{next.item.name} ends first</span>
        </p>
        <div class="bar-acts">
          <ActButton
            subjects={subjects}
            verb="buy all"
            small
            label={`Buy all ${money(total(of))}, ${of.length} of them`}
            does={() => buyAll(of)}
          >
            Buy all {money(total(of))}
          </ActButton>
          <button
            class="button quiet small"
            type="button"
            aria-expanded={isOpen.value ? "true" : "false"}
            aria-controls="bar-list"
            onClick={() => (isOpen.value = !isOpen.value)}
          >
            {isOpen.value ? "Fold" : "Show"}
          </button>
          <Sound />
        </div>
      </div>
    </>
  );
}

const Ended = ({ of }: { readonly of: Holding }) => (
  <li class="bar-row ended" data-slot tabIndex={-1}>
    <p class="bar-text">{endWords(of)}</p>
    <div class="bar-acts">
      <HoldActs of={of} late small />
    </div>
  </li>
);

function SaidRow() {
  const words = said.value;
  if (words === null || words.isSeen) return null;
  return (
    <div class={`bar-said ${words.tone}`} data-slot tabIndex={-1}>
      <p>
        {words.text}
        {words.links?.map(({ href, words: of }) => (
          <span key={href}>
            {" "}
            <a href={href}>{of}</a>
          </span>
        ))}
      </p>
      <button type="button" aria-label="Dismiss" onClick={() => (said.value = null)}>
        ×
      </button>
    </div>
  );
}

function Warning() {
  const [next] = held.value;
  if (next === undefined || nearness.value === null) return null;
  return (
    <p class="bar-warning num">
      Only {secondsLeft(next)} s left to buy {next.item.name}.
    </p>
  );
}

function Bar() {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    const box = bar.current;
    if (box === null) return undefined;
    const measure = () =>
      document.documentElement.style.setProperty("--bar", `${box.offsetHeight}px`);
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const live = held.value;
  const over = ended.value.slice(0, endedMax);
  const [only] = live;
  const isEmpty =
    live.length === 0 && over.length === 0 && (said.value?.isSeen ?? said.value === null);
  return (
    <section
      ref={bar}
      class="bar"
      aria-label="What you hold"
      data-near={nearness.value ?? undefined}
      data-empty={isEmpty ? "" : undefined}
    >
      <p class="sr" role="status">
        {spoken}
      </p>
      <p class="sr" role="status">
        {said.value?.text}
      </p>
      {!isEmpty && (
        <div class="wide bar-in">
          <SaidRow />
          {over.length > 0 && (
            <ul class="bar-list">
              {over.map((one) => (
                <Ended key={one.code} of={one} />
              ))}
            </ul>
          )}
          <Warning />
          {live.length === 1 && only !== undefined ? (
            <ul>
              <Row key={only.code} of={only} alone />
            </ul>
          ) : (
            <Many of={live} />
          )}
        </div>
      )}
    </section>
  );
}

/** Shown on every page, by layout.tsx. */
export function mountBar(): void {
  const place = document.getElementById("bar");
  if (place === null) throw new Error("the page has no #bar");
  render(<Bar />, place);
  followHoldings();
  followWaits();
  warn();
}
