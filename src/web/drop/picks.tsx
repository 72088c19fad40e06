/**
 * A few items as a list: what a search finds, or a handful that are free. The same can be done here as
 * on the wall, without it. Nothing moves by itself: what others take meanwhile stays where it is, and
 * says so.
 */
import { effect, signal } from "@preact/signals";
import { Button, Field, Money, Picture, Skeleton } from "../ui.tsx";
import { Acts } from "./acts.tsx";
import { find, fits, itemOf, loadedItems, sale } from "./sale.ts";
import { picked, shownOnWall } from "./wallview.tsx";

const picksMax = 12;

const words = signal("");
const onlyFree = signal(false);
const picks = signal<readonly number[]>([]);

/** Free ones from anywhere on the wall; by chance, so that not everybody is shown the same twelve. */
function someFree(): number[] {
  const free = find("", true, Infinity);
  const some = new Set<number>();
  for (let i = 0; i < picksMax * 3 && some.size < Math.min(picksMax, free.length); i++) {
    const one = free[Math.floor(Math.random() * free.length)];
    if (one) some.add(one.id);
  }
  return [...some].toSorted((a, b) => a - b);
}

function choose(): void {
  const wanted = words.peek().trim().toLowerCase();
  const free = onlyFree.peek();
  picks.value = wanted === "" ? someFree() : find(wanted, free, picksMax).map((item) => item.id);
  shownOnWall.value =
    wanted === "" && !free
      ? null
      : (id) => {
          const item = itemOf(id);
          return item !== undefined && (!free || item.available > 0) && fits(item, wanted);
        };
}

effect(() => {
  void words.value;
  void onlyFree.value;
  choose();
});
// Once there is something to choose from, and again when a new sale has come.
let chosenFor: number | null = null;
effect(() => {
  const id = sale.value?.id ?? null;
  const few = picks.peek().length < picksMax && loadedItems.value <= 1500;
  if (id !== null && loadedItems.value > 0 && (id !== chosenFor || few)) {
    chosenFor = id;
    choose();
  }
  if (id === null && picks.peek().length > 0) picks.value = [];
});

export const Search = () => (
  <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
    <Field
      label="Find an animal"
      type="search"
      value={words}
      placeholder="fox, midnight, 2137"
      autocomplete="off"
    />
  </form>
);

export function Picks() {
  const searching = words.value.trim() !== "";
  const waiting = sale.value === undefined || (sale.value !== null && loadedItems.value === 0);
  return (
    <section class="picks stack" aria-labelledby="picks-title">
      <div class="row apart">
        <h2 id="picks-title">{searching ? "What fits" : "Free at this moment"}</h2>
        <Button look="quiet" small onClick={choose} off={!sale.value || searching}>
          Show others
        </Button>
      </div>
      {!waiting && picks.value.length === 0 && (
        <p class="soft">
          {searching ? "No animal of this sale is called that." : "None is free at the moment."}
        </p>
      )}
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
  const item = itemOf(id);
  if (item === undefined) return null;
  return (
    <li class="pick" data-taken={item.available === 0 ? "" : undefined}>
      <Picture src={item.image_url} size={96} />
      <div class="pick-text">
        <h3>
          <button class="plain" type="button" onClick={() => (picked.value = id)}>
            {item.name}
          </button>
        </h3>
        <p class="soft small-text">
          <Money cents={item.price_cents} />
        </p>
        <Acts id={id} small />
      </div>
    </li>
  );
}
