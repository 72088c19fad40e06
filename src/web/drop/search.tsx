/**
 * Finding an animal: what fits stands right below the field while one types, free ones first, with how
 * many there are and how many can be had. Enter goes to the first. What is asked for is in the address.
 *
 * Where nothing is asked for, a handful that is free at this moment stands below the wall. Nothing in a
 * list moves by itself: what others take meanwhile stays where it is, and says so.
 */
import { computed, effect, signal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import { Button, count, Field, Money, Picture, Skeleton } from "../ui.tsx";
import { Acts } from "./acts.tsx";
import { boughtByItem, heldByItem } from "./holdings.ts";
import {
  changes,
  find,
  fits,
  type Item,
  itemOf,
  loadedItems,
  sale,
  saleId,
  soldOut,
} from "./sale.ts";
import { picked, shownOnWall } from "./wallview.tsx";

const foundAtOnce = 12;
const picksMax = 12;
/** As much of the panel has to be in sight as one types. */
const seenPixelsMin = 220;

const orders = [
  { name: "number", words: "By number" },
  { name: "cheap", words: "Cheapest first" },
  { name: "dear", words: "Dearest first" },
] as const;
type OrderName = (typeof orders)[number]["name"];

const asked = new URLSearchParams(location.search);
const words = signal(asked.get("q") ?? "");
const onlyFree = signal(asked.get("free") === "1");
const order = signal<OrderName>(
  orders.find(({ name }) => name === asked.get("order"))?.name ?? "number",
);
const shownMax = signal(foundAtOnce);
/** Counts what asks for the list to be made anew. */
const made = signal(0);

const wanted = computed(() => words.value.trim().toLowerCase());
export const searching = computed(
  () => wanted.value !== "" || onlyFree.value || order.value !== "number",
);

/** What fits the words, free or not; as it was when the catalogue came. */
const fitting = computed(() => {
  void loadedItems.value;
  void saleId.value;
  return searching.value ? find(wanted.value, false) : [];
});
const freeCount = computed(() => {
  void changes.value;
  return fitting.value.filter(({ available }) => available > 0).length;
});

const byOrder: { readonly [name in OrderName]: (a: Item, b: Item) => number } = {
  number: (a, b) => a.id - b.id,
  cheap: (a, b) => a.price_cents - b.price_cents || a.id - b.id,
  dear: (a, b) => b.price_cents - a.price_cents || a.id - b.id,
};

/** Item numbers, in the order in which they were when it was asked. */
const listed = computed((): readonly number[] => {
  void made.value;
  const mine = boughtByItem.peek();
  const holds = heldByItem.peek();
  const rank = (item: Item) =>
    item.available > 0 ? 0 : holds.has(item.id) || mine.has(item.id) ? 1 : 2;
  return fitting.value
    .filter(({ available }) => !onlyFree.value || available > 0)
    .toSorted((a, b) => rank(a) - rank(b) || byOrder[order.value](a, b))
    .map(({ id }) => id);
});

/** Some that stood among the free ones have gone since. */
const hasChanged = computed(() => {
  void changes.value;
  const gone = listed.value
    .slice(0, shownMax.value)
    .map(
      (id) =>
        itemOf(id)?.available === 0 && !heldByItem.value.has(id) && !boughtByItem.value.has(id),
    );
  return gone.includes(true) && gone.lastIndexOf(false) > gone.indexOf(true);
});

effect(() => {
  const query = new URLSearchParams();
  if (words.value.trim() !== "") query.set("q", words.value.trim());
  if (onlyFree.value) query.set("free", "1");
  if (order.value !== "number") query.set("order", order.value);
  const text = String(query);
  history.replaceState(null, "", text === "" ? location.pathname : `?${text}`);
  shownMax.value = foundAtOnce;
});
effect(() => {
  const [text, free] = [wanted.value, onlyFree.value];
  shownOnWall.value =
    text === "" && !free
      ? null
      : (id) => {
          const item = itemOf(id);
          return item !== undefined && (!free || item.available > 0) && fits(item, text);
        };
});

export function Search() {
  const [id, orderId] = [useId(), useId()];
  const form = useRef<HTMLFormElement>(null);
  const [first] = listed.value;
  return (
    <form
      ref={form}
      class="search"
      role="search"
      onInput={() => seePanel(form.current)}
      onSubmit={(event) => {
        event.preventDefault();
        if (!searching.value || first === undefined) return;
        picked.value = first;
        document.querySelector<HTMLElement>(".found .plain")?.focus();
      }}
    >
      <Field
        label="Find an animal"
        type="search"
        value={words}
        placeholder="fox, midnight, 2137"
        autocomplete="off"
        enterkeyhint="go"
      />
      <label class="check" for={id}>
        <input
          id={id}
          type="checkbox"
          checked={onlyFree.value}
          onChange={(event) => (onlyFree.value = event.currentTarget.checked)}
        />
        Only free
      </label>
      <div class="field">
        <label for={orderId}>Order</label>
        <select
          id={orderId}
          value={order.value}
          onChange={(event) => {
            const name = event.currentTarget.value;
            order.value = orders.find((one) => one.name === name)?.name ?? "number";
          }}
        >
          {orders.map(({ name, words: said }) => (
            <option key={name} value={name}>
              {said}
            </option>
          ))}
        </select>
      </div>
    </form>
  );
}

/** Brings what is found into sight beside the field, when it would lie below the window's edge. */
function seePanel(form: HTMLElement | null): void {
  requestAnimationFrame(() => {
    const floor = form?.closest(".floor");
    const top = document.querySelector(".found")?.getBoundingClientRect().top;
    if (!floor || top === undefined || innerHeight - top > seenPixelsMin) return;
    floor.scrollIntoView({ block: "start", behavior: "instant" });
  });
}

/** "fox": 306, 3 free. */
function foundWords(): string {
  const [all, free] = [fitting.value.length, freeCount.value];
  const what = wanted.value === "" ? "All" : `“${words.value.trim()}”`;
  if (all === 0) return `${what}: none in this sale.`;
  return `${what}: ${count(all)}, ${free === 0 ? "none" : count(free)} free.`;
}

/** Below the field, while something is asked for. */
export function Found() {
  if (!searching.value) return null;
  const waiting = sale.value === undefined || (sale.value !== null && loadedItems.value === 0);
  const shown = listed.value.slice(0, shownMax.value);
  return (
    <section class="found" aria-labelledby="found-title">
      <h2 class="sr" id="found-title">
        What fits
      </h2>
      <div class="row apart">
        <p class="found-count num" role="status">
          {waiting ? "Looking." : foundWords()}
        </p>
        {hasChanged.value && (
          <Button look="quiet" small onClick={() => (made.value += 1)}>
            Free ones first again
          </Button>
        )}
      </div>
      {shown.length > 0 && (
        <ul class="picks-list found-list">
          {shown.map((id) => (
            <Pick key={id} id={id} />
          ))}
          {listed.value.length > shown.length && (
            <li class="found-more">
              <Button look="quiet" small onClick={() => (shownMax.value += 2 * foundAtOnce)}>
                Show more of {count(listed.value.length)}
              </Button>
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

// --- A handful that is free -------------------------------------------------------------------

const picks = signal<readonly number[]>([]);

/** Free ones from anywhere on the wall; by chance, so that not everybody is shown the same twelve. */
function choose(): void {
  const free = find("", true);
  const some = new Set<number>();
  for (let i = 0; i < picksMax * 3 && some.size < Math.min(picksMax, free.length); i++) {
    const one = free[Math.floor(Math.random() * free.length)];
    if (one) some.add(one.id);
  }
  picks.value = [...some].toSorted((a, b) => a - b);
}

// As soon as there is something to choose from; the items of another sale are here after none were.
effect(() => {
  void changes.value;
  if (loadedItems.value === 0 || saleId.value === null) picks.value = [];
  else if (picks.peek().length === 0) choose();
});
/** None of those that are shown is free, or anybody's here. */
const stale = computed(() => {
  void changes.value;
  return !picks.value.some((id) => (itemOf(id)?.available ?? 0) > 0);
});

export function Picks() {
  const waiting = sale.value === undefined || (sale.value !== null && loadedItems.value === 0);
  if (soldOut.value || (!waiting && sale.value === null)) return null;
  return (
    <section class="picks stack" aria-labelledby="picks-title">
      <div class="row apart">
        <h2 id="picks-title">
          {waiting || !stale.value ? "Free at this moment" : "Free a moment ago"}
        </h2>
        <Button look="quiet" small onClick={choose} off={!sale.value}>
          Show others
        </Button>
      </div>
      {!waiting && picks.value.length === 0 && <p class="soft">None is free at the moment.</p>}
      <ul class="picks-list">
        {waiting
          ? Array.from({ length: picksMax }, (_, i) => (
              <li key={-i} class="pick">
                <Skeleton width="96px" height="96px" />
                <span class="pick-text">
                  <Skeleton width="80%" />
                  <Skeleton width="50%" />
                </span>
              </li>
            ))
          : picks.value.map((id) => <Pick key={id} id={id} />)}
      </ul>
    </section>
  );
}

function Pick({ id }: { readonly id: number }) {
  void changes.value;
  const item = itemOf(id);
  if (item === undefined) return null;
  const isMine = heldByItem.value.has(id) || boughtByItem.value.has(id);
  const mine = !isMine ? undefined : boughtByItem.value.has(id) ? "bought" : "held";
  return (
    <li class="pick" data-taken={item.available === 0 && !isMine ? "" : undefined} data-mine={mine}>
      <Picture src={item.image_url} size={96} />
      <div class="pick-text">
        <h3>
          <button class="plain" type="button" onClick={() => (picked.value = id)}>
            {item.name}
          </button>
        </h3>
        <p class="soft small-text num">
          No. {count(id)} · <Money cents={item.price_cents} />
        </p>
        <Acts id={id} small />
      </div>
    </li>
  );
}
