/**
 * The sales that the shop's front shows, kept up to date: the figures of what is open every few
 * seconds, everything when a sale opens or ends by the server's clock, and now and then.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { serverNow, steadyNow, tick } from "../time.tsx";
import { askTime, type FlashSale, isAnnounced, salesOf, type SaleState, stateAt } from "./data.ts";

const figuresMs = 3_000;
const everythingMs = 15_000;
/** Between two questions at the moment when a sale turns. */
const turnMs = 1_500;
const endedMax = 5;
const presentMax = 50;

export const sales = signal<readonly FlashSale[] | null>(null);
export const failure = signal<unknown>(null);

/** As buyers see it, whoever looks: without drafts. */
const ask = async (status: SaleState, limit: number): Promise<readonly FlashSale[]> =>
  (await salesOf(status, limit)).filter(isAnnounced);

const answers = new Answers();
let asking = false;
let askedAt = -Infinity;

export async function refresh(): Promise<void> {
  if (asking) return;
  asking = true;
  askedAt = steadyNow();
  const isTaken = answers.ask();
  try {
    const [open, coming, over] = await Promise.all([
      ask("active", presentMax),
      ask("upcoming", presentMax),
      ask("ended", endedMax),
      askTime(),
    ]);
    if (!isTaken()) return;
    batch(() => {
      sales.value = [...open, ...coming, ...over];
      failure.value = null;
    });
  } catch (error) {
    if (sales.peek() === null) failure.value = error;
  } finally {
    asking = false;
  }
}

/** What is open, with fresh figures; the rest stays. Where others are open than was thought, all is asked. */
async function refreshFigures(): Promise<void> {
  const isTaken = answers.ask();
  const open = new Map((await ask("active", presentMax)).map((sale) => [sale.id, sale]));
  if (!isTaken()) return;
  const known = sales.peek() ?? [];
  const thought = known.filter((sale) => stateAt(sale, serverNow()) === "active");
  if (thought.length !== open.size || thought.some(({ id }) => !open.has(id)))
    return await refresh();
  sales.value = known.map((sale) => open.get(sale.id) ?? sale);
}

const byTime = (of: (sale: FlashSale) => string) => (a: FlashSale, b: FlashSale) =>
  of(a).localeCompare(of(b)) || a.id - b.id;

/** By the clock as it is now. Changes when a sale turns, and with the figures. */
const turns = computed(() =>
  (sales.value ?? []).map((sale) => stateAt(sale, tick.value)).join(" "),
);
export const shown = computed(() => {
  void turns.value;
  const all = sales.value ?? [];
  const now = tick.peek();
  const those = (state: SaleState) => all.filter((sale) => stateAt(sale, now) === state);
  return {
    open: those("active").toSorted(byTime((sale) => sale.ends_at)),
    coming: those("upcoming").toSorted(byTime((sale) => sale.starts_at)),
    over: those("ended")
      .toSorted(byTime((sale) => sale.ends_at))
      .toReversed(),
  };
});

/** Asks at once, and from then on. */
export function follow(): void {
  void refresh();
  setInterval(() => {
    if (document.hidden) return;
    if (sales.peek() === null || steadyNow() - askedAt > everythingMs) void refresh();
    // A question without an answer leaves the figures; the header tells of the lost connection.
    else if (shown.peek().open.length > 0) refreshFigures().catch(() => undefined);
  }, figuresMs);
  effect(() => {
    const now = tick.value;
    const differs = sales.value?.some((sale) => sale.status !== stateAt(sale, now)) ?? false;
    if (differs && steadyNow() - askedAt > turnMs) void refresh();
  });
}
