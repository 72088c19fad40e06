/**
 * The wall on the page: pointer, touch and keys on the canvas, and the sheet beside it that shows the
 * tile that was picked.
 *
 * Looking and taking are two acts: tiles are small. The mouse previews in a small card that follows it;
 * a click, a tap or the arrow keys pick, and no click on the wall takes anything. The sheet has the
 * button that reserves; with the keys it is Enter. A finger is wider than a tile, so a tap picks the
 * nearest one that is free. The lists offer the same without the wall.
 */
import { computed, effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { storage } from "../api.ts";
import { theme } from "../session.ts";
import { count, money, Picture } from "../ui.tsx";
import { held } from "../holding/store.ts";
import { Acts, hindrance, reserveItem, taken } from "./acts.tsx";
import { boughtByItem, heldByItem, nextWords } from "./holdings.ts";
import { changes, itemOf, loadedItems, sale, soldOut, tileCount, watch } from "./sale.ts";
import { hueOrder } from "./sheets.ts";
import { type Mark, Wall } from "./wall.ts";

export const picked = signal<number | null>(null);
/** Which tiles keep their colour; null: all. */
export const shownOnWall = signal<((id: number) => boolean) | null>(null);
const hovered = signal<{ readonly id: number; readonly x: number; readonly y: number } | null>(
  null,
);
/** How the tiles lie. By colour once all have come. */
const byNumber = signal(storage.get("wall") === "number");
const arranged = computed(() => !byNumber.value && loadedItems.value >= tileCount.value);

function arrangeByNumber(yes: boolean): void {
  byNumber.value = yes;
  storage.set("wall", yes ? "number" : null);
}

/** Said to screen readers when the arrow keys move. */
const said = signal("");

function stateOf(id: number): string {
  const one = heldByItem.value.get(id);
  if (one !== undefined && held.value.includes(one)) return "held for you";
  if (boughtByItem.value.has(id)) return "yours";
  return (itemOf(id)?.available ?? 0) > 0 ? "free" : soldOut.value ? "sold" : "taken";
}
const isMine = (id: number): boolean => {
  const one = heldByItem.peek().get(id);
  return boughtByItem.peek().has(id) || (one !== undefined && held.peek().includes(one));
};

function drive(
  canvas: HTMLCanvasElement,
  marks: HTMLCanvasElement,
): { wall: Wall; stop: () => void } {
  const wall = new Wall(canvas, marks);
  wall.reset(tileCount.peek());
  /** What is mine keeps its colour. */
  const show = (id: number) => {
    const item = itemOf(id);
    if (item === undefined) return;
    const there = item.available > 0 || isMine(id);
    wall.set(id, there ? "free" : "taken", item.colour);
  };
  let owned: readonly number[] = [];
  watch({
    item: show,
    cleared: () => {
      wall.reset(tileCount.peek());
      picked.value = null;
    },
  });
  const stops = [
    effect(() => wall.resize(tileCount.value)),
    effect(() => wall.filter(shownOnWall.value)),
    effect(() =>
      wall.arrange(arranged.value ? (id) => hueOrder(itemOf(id)?.colour ?? "#000") : null),
    ),
    effect(() => {
      const bought = [...boughtByItem.value.keys()].map((id): Mark => ({ id, kind: "bought" }));
      const live = new Set(held.value);
      const holds = [...heldByItem.value]
        .filter(([, one]) => live.has(one))
        .map(([id]): Mark => ({ id, kind: "held" }));
      const own = [...bought, ...holds];
      const before = owned;
      owned = own.map(({ id }) => id);
      for (const id of [...before, ...owned]) show(id);
      const { value: chosen } = picked;
      wall.mark(chosen === null ? own : [...own, { id: chosen, kind: "selected" }]);
    }),
    effect(() => {
      void theme.value;
      // The attribute on <html> is set right after the signal.
      requestAnimationFrame(() => wall.repaint());
    }),
    effect(() => {
      if (taken.value !== null) picked.value = taken.value;
    }),
  ];
  const observer = new ResizeObserver(() => wall.layOut());
  observer.observe(canvas);
  return {
    wall,
    stop: () => {
      observer.disconnect();
      for (const stop of stops) stop();
    },
  };
}

const steps: Readonly<Record<string, (columns: number) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: (columns) => -columns,
  ArrowDown: (columns) => columns,
  PageUp: (columns) => -10 * columns,
  PageDown: (columns) => 10 * columns,
  Home: () => -Infinity,
  End: () => Infinity,
};

function onKey(event: KeyboardEvent, wall: Wall): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    const id = picked.value;
    if (!event.repeat && id !== null && stateOf(id) === "free") reserveItem(id);
    return;
  }
  if (event.key === "Escape") picked.value = null;
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  const id = wall.next(picked.value, step(wall.columns));
  picked.value = id;
  const item = itemOf(id);
  said.value = item ? `${item.name}, ${money(item.price_cents)}, ${stateOf(id)}` : `Item ${id}`;
}

/** How far a fingertip may be off. */
const fingerPixels = 22;

/** A tile that is picked must not lie under the sheet that shows it, nor under the bar. */
function seeTile(wall: Wall, id: number): void {
  requestAnimationFrame(() => {
    const sheet = document.querySelector(".inspector");
    if (sheet === null || getComputedStyle(sheet).position !== "sticky") return;
    const { y } = wall.placeOf(id);
    const { top, height } = sheet.getBoundingClientRect();
    // It cannot stick above the wall's own top: where the wall is lower, it is not yet where it will be.
    const stuck = innerHeight - parseFloat(getComputedStyle(sheet).bottom) - height;
    const over = y + fingerPixels - Math.min(top, stuck);
    if (over > 0) scrollBy({ top: over, behavior: "instant" });
  });
}

export function WallView() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const driven = useRef<Wall | null>(null);
  const isFinger = useRef(false);
  useEffect(() => {
    if (canvas.current === null || marks.current === null) return undefined;
    const { wall, stop } = drive(canvas.current, marks.current);
    driven.current = wall;
    // The bar grows over the sheet; a tile that is not in sight is nothing to scroll to.
    const grown = new ResizeObserver(() => {
      const { value: id } = picked;
      if (id !== null && wall.placeOf(id).y < innerHeight) seeTile(wall, id);
    });
    const bar = document.getElementById("bar");
    if (bar !== null) grown.observe(bar);
    return () => {
      grown.disconnect();
      stop();
    };
  }, []);
  const at = (event: PointerEvent | MouseEvent) =>
    driven.current?.at(event.offsetX, event.offsetY) ?? null;
  return (
    <div class="wall">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-roledescription="wall of items"
        aria-label={`The wall: ${count(tileCount.value)} items. The arrow keys move, Enter reserves. The search has the same items as a list.`}
        onPointerMove={(event) => {
          if (event.pointerType !== "mouse") return;
          const id = at(event);
          hovered.value = id === null ? null : { id, x: event.offsetX, y: event.offsetY };
        }}
        onPointerLeave={() => (hovered.value = null)}
        onPointerDown={(event) => (isFinger.current = event.pointerType === "touch")}
        onClick={(event) => {
          const wall = driven.current;
          if (wall === null) return;
          const { offsetX: x, offsetY: y } = event;
          const id = isFinger.current
            ? wall.near(x, y, fingerPixels, (one) => stateOf(one) !== "taken")
            : wall.at(x, y);
          picked.value = id;
          if (id !== null) seeTile(wall, id);
        }}
        onKeyDown={(event) => driven.current && onKey(event, driven.current)}
      />
      <canvas ref={marks} class="wall-marks" aria-hidden="true" />
      <Preview />
      <p class="sr" aria-live="polite">
        {said}
      </p>
      <p class="wall-word" aria-hidden="true" data-shown={soldOut.value ? "" : undefined}>
        Sold out
      </p>
    </div>
  );
}

/** Follows the mouse. */
function Preview() {
  void changes.value;
  const over = hovered.value;
  const item = over === null ? undefined : itemOf(over.id);
  if (over === null || item === undefined) return null;
  const { x, y } = over;
  return (
    <div
      class="preview"
      aria-hidden="true"
      style={{ transform: `translate(${x}px, ${y}px)` }}
      data-left={x > 420 ? "" : undefined}
      data-up={y > 300 ? "" : undefined}
    >
      <div class="preview-card">
        <Picture key={item.id} src={item.image_url} size={72} />
        <div>
          <p class="preview-name">{item.name}</p>
          <p>
            {money(item.price_cents)} · {stateOf(item.id)}
          </p>
        </div>
      </div>
    </div>
  );
}

/** The sheet beside the wall: what was picked, and what to do with it. */
export function Inspector() {
  void changes.value;
  const id = picked.value;
  const item = id === null ? undefined : itemOf(id);
  return (
    <section
      class="inspector card"
      aria-label="The picked item"
      data-picked={item === undefined ? undefined : ""}
    >
      {item === undefined ? (
        <>
          <img class="picture" src="/herd/3.svg" width="320" height="320" alt="" />
          <div class="inspector-text">
            <h2>{soldOut.value ? "All gone" : sale.value === null ? "Not yet" : "Pick a tile"}</h2>
            <p class="soft small-text">
              {soldOut.value
                ? nextWords("Every one is sold.")
                : sale.value === null
                  ? nextWords("The wall fills when the sale opens.")
                  : (hindrance() ?? "Each one is an animal. A click looks, the button takes.")}
            </p>
          </div>
          <div class="inspector-acts" />
        </>
      ) : (
        <>
          <Picture key={item.id} src={item.image_url} size={320} />
          <div class="inspector-text">
            <h2>{item.name}</h2>
            <p class="soft small-text">
              No. {count(item.id)} · {money(item.price_cents)} · {stateOf(item.id)}
            </p>
          </div>
          <div class="inspector-acts">
            <Acts id={item.id} />
          </div>
        </>
      )}
    </section>
  );
}

/** What the colours mean, and how much of the wall has come. */
export function Legend() {
  const [here, all] = [loadedItems.value, tileCount.value];
  const coming = sale.value !== null && here < all;
  return (
    <p class="legend">
      <span>
        <i /> Free
      </span>
      <span>
        <i class="taken" /> Taken
      </span>
      <span>
        <i class="held" /> Held by you
      </span>
      <span>
        <i class="bought" /> Yours
      </span>
      <span class="legend-coming num">
        {coming ? (
          `Laying out ${count(here)} of ${count(all)}`
        ) : (
          <button class="plain" type="button" onClick={() => arrangeByNumber(!byNumber.value)}>
            {byNumber.value ? "Lay out by colour" : "Lay out by number"}
          </button>
        )}
      </span>
    </p>
  );
}
