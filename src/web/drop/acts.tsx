/** What can be done with an item, as buttons, or why nothing. */
import { subjectOf, say, act, type Done } from "../holding/act.ts";
import { ActButton, HoldActs } from "../holding/buttons.tsx";
import { held, type Holding, reserve } from "../holding/store.ts";
import { WaitButton } from "../holding/waitbutton.tsx";
import { endWords } from "../holding/warn.ts";
import { signal } from "@preact/signals";
import { Problem } from "../problems.ts";
import { clockText } from "../time.tsx";
import { Badge, money } from "../ui.tsx";
import { boughtByItem, heldByItem, limitWords, nextWords } from "./holdings.ts";
import { room } from "./rooms.tsx";
import { changes, find, itemOf, sale, setAvailable, soldOut, turning } from "./sale.ts";

/** Why nothing can be reserved now; null when something can. */
export function hindrance(): string | null {
  if (sale.value === undefined) return "Asking what is on sale.";
  if (turning.value) return "This one is over; the next herd is being let out.";
  if (sale.value === null) return nextWords("No sale is open.");
  if (soldOut.value) return nextWords("All are sold.");
  if (room.value !== null && !room.value.isIn.value)
    return "Whoever is let in can take one: wait for your turn in the waiting room.";
  return limitWords.value;
}
/** The item that "Surprise me" took, for the wall to show. */
export const taken = signal<number | null>(null);

const reserved = (one: Holding): Done => ({
  text: `${one.item.name} is held for you for ${clockText(Math.round(one.ttl_ms / 1000))}. Buy it to have it.`,
  tone: "good",
  isSeen: true,
});

async function take(id: number): Promise<Holding> {
  const open = sale.peek();
  if (!open) throw new Problem(409, { code: "sale_not_open" });
  try {
    return await reserve(open.id, id, itemOf(id)?.price_cents);
  } catch (error) {
    const gone = ["item_sold_out", "item_reserved"];
    if (error instanceof Problem && gone.includes(error.code)) setAvailable(id, 0);
    throw error;
  }
}

export function reserveItem(id: number): void {
  const why = hindrance();
  if (why !== null) say(why, "bad");
  else
    void act([subjectOf(sale.peek()?.id ?? 0, id)], "reserve", async () =>
      reserved(await take(id)),
    );
}

/** Others are as quick: so often another one is tried. */
const surprisesMax = 4;

/** Any of the free ones, by chance: not everybody is to run for the same. */
async function surprise(): Promise<Done> {
  for (let tries = 1; ; tries++) {
    const free = find("", true);
    const chosen = free[Math.floor(Math.random() * free.length)];
    try {
      // oxlint-disable-next-line no-await-in-loop
      const one = await (chosen === undefined
        ? reserve(sale.peek()?.id ?? 0, "any")
        : take(chosen.id));
      taken.value = one.item.id;
      return { ...reserved(one), subjects: [subjectOf(one.sale_id, one.item.id)] };
    } catch (error) {
      const gone = ["item_sold_out", "item_reserved"];
      const again = error instanceof Problem && gone.includes(error.code) && tries < surprisesMax;
      if (!again) throw error;
    }
  }
}

export const TakeAny = () => {
  const why = hindrance();
  return (
    <span class="take-any" title={why ?? undefined}>
      <ActButton
        subjects={[subjectOf(sale.value?.id ?? 0, "any")]}
        verb="reserve"
        look="strong"
        why={why}
        does={surprise}
      >
        Surprise me
      </ActButton>
    </span>
  );
};

/** Where none of the drop is free, an account may wait for any. */
export const WaitForAny = () => {
  const open = sale.value;
  if (!open || open.available > 0 || turning.value || limitWords.value !== null) return null;
  return (
    <WaitButton saleId={open.id} item="any" login={`/login?back=${encodeURIComponent("/")}`} />
  );
};

const Why = ({ words }: { readonly words: string }) => <p class="why small-text">{words}</p>;

/** Of an item in reach: what this visitor can do with it now, or why nothing. */
export function Acts({ id, small = false }: { readonly id: number; readonly small?: boolean }) {
  return (
    <div class="acts" data-slot tabIndex={-1} data-small={small ? "" : undefined}>
      <ActsNow id={id} small={small} />
    </div>
  );
}

function ActsNow({ id, small }: { readonly id: number; readonly small: boolean }) {
  void changes.value;
  const item = itemOf(id);
  const one = heldByItem.value.get(id);
  const order = boughtByItem.value.get(id);
  const why = hindrance();
  if (one !== undefined && held.value.includes(one))
    return (
      <>
        <Badge tone="held">Held for you</Badge>
        <span class="acts-held">
          <HoldActs of={one} small={small} />
        </span>
      </>
    );
  if (order !== undefined)
    return (
      <>
        <Badge tone="good">Yours</Badge>
        <a href="/account">Order {order.order_id}</a>
      </>
    );
  if (item === undefined) return <Badge>On its way</Badge>;
  if (item.available === 0) return <Badge>{soldOut.value ? "Sold" : "Taken"}</Badge>;
  return (
    <>
      <ActButton
        subjects={[subjectOf(sale.value?.id ?? 0, id)]}
        verb="reserve"
        small={small}
        look={small ? "quiet" : "strong"}
        why={why}
        label={`Reserve ${money(item.price_cents)}, ${item.name}`}
        does={async () => reserved(await take(id))}
      >
        Reserve {money(item.price_cents)}
      </ActButton>
      {!small && why !== null && <Why words={why} />}
      {!small && one !== undefined && <Why words={endWords(one)} />}
    </>
  );
}
