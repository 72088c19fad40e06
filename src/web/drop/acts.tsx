/**
 * What can be done with an item, as buttons: reserve it, buy it, give it back. One act at a time an
 * item; an act without an answer changes nothing and can be tried again.
 */
import { signal } from "@preact/signals";
import { notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { Ring } from "../time.tsx";
import { Badge, Button, money } from "../ui.tsx";
import {
  atLimit,
  buy,
  drop,
  giveBack,
  type Holding,
  lapsed,
  mineByItem,
  reserve,
} from "./holdings.ts";
import { changes, itemOf, sale, soldOut, turning } from "./sale.ts";

/** What is under way, by item number; 0 stands for "any". */
const busy = signal<ReadonlySet<number>>(new Set());

async function once(id: number, act: () => Promise<string>): Promise<void> {
  if (busy.value.has(id)) return;
  busy.value = new Set(busy.value).add(id);
  try {
    notice(await act(), "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  } finally {
    const left = new Set(busy.value);
    left.delete(id);
    busy.value = left;
  }
}

export const mayReserve = (): boolean =>
  Boolean(sale.value) && !soldOut.value && !atLimit.value && !turning.value;

/** The item that "take any" took, for the wall to show. */
export const taken = signal<number | null>(null);

export const reserveItem = (id: number): Promise<void> =>
  once(id, async () => `${(await reserve(id)).item.name} is reserved for you.`);

export const takeAny = (): Promise<void> =>
  once(0, async () => {
    const { item } = await reserve("any");
    taken.value = item.id;
    return `${item.name} is reserved for you.`;
  });

const buyIt = (holding: Holding) =>
  once(holding.item.id, async () => {
    await buy(holding);
    return `${holding.item.name} is yours.`;
  });

const giveItBack = (holding: Holding) =>
  once(holding.item.id, async () => {
    await giveBack(holding);
    return `${holding.item.name} is free again.`;
  });

export const TakeAny = () => (
  <Button look="quiet" busy={busy.value.has(0)} off={!mayReserve()} onClick={() => void takeAny()}>
    Surprise me
  </Button>
);

/** Of an item in reach: what this visitor can do with it now, or why nothing. */
export function Acts({ id, small = false }: { readonly id: number; readonly small?: boolean }) {
  void changes.value;
  const item = itemOf(id);
  const holding = mineByItem.value.get(id);
  const size = small ? { small } : {};
  if (holding) return <HoldingActs holding={holding} small={small} />;
  if (item === undefined) return <Badge>On its way</Badge>;
  if (item.available === 0) return <Badge>{soldOut.value ? "Sold" : "Taken"}</Badge>;
  return (
    <Button
      {...size}
      look={small ? "quiet" : "strong"}
      busy={busy.value.has(id)}
      off={!mayReserve()}
      label={`Reserve ${money(item.price_cents)}, ${item.name}`}
      onClick={() => void reserveItem(id)}
    >
      Reserve {money(item.price_cents)}
    </Button>
  );
}

/** Of an item that this visitor holds or has bought. */
export function HoldingActs({
  holding,
  small = false,
}: {
  readonly holding: Holding;
  readonly small?: boolean;
}) {
  const { item, code, expires_at, ttl_ms, purchased_at } = holding;
  const size = small ? { small } : {};
  if (purchased_at) return <Badge tone="good">Yours</Badge>;
  const late = lapsed(holding);
  const working = busy.value.has(item.id);
  return (
    <div class="acts">
      {late ? <Badge tone="bad">Ran out</Badge> : <Ring to={expires_at} totalMs={ttl_ms} />}
      <Button
        {...size}
        busy={working}
        label={late ? `Try to buy ${item.name}` : `Buy ${money(item.price_cents)}, ${item.name}`}
        onClick={() => void buyIt(holding)}
      >
        {late ? "Try to buy" : `Buy ${money(item.price_cents)}`}
      </Button>
      <Button
        {...size}
        look="quiet"
        off={working}
        label={`${late ? "Forget" : "Give back"} ${item.name}`}
        onClick={() => (late ? drop(code) : void giveItBack(holding))}
      >
        {late ? "Forget" : "Give back"}
      </Button>
    </div>
  );
}
