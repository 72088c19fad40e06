/** Buttons of acts: reserve, buy, give back. What stands where the button was is no button at first. */
import type { ComponentChildren } from "preact";
import { receiptAddress } from "../shop/data.ts";
import { serverNow } from "../time.tsx";
import { Button, money } from "../ui.tsx";
import { act, busy, type Done, say, subjectOf } from "./act.ts";
import { buy, dismiss, giveBack, type Holding } from "./store.ts";
import { termsOf } from "./terms.ts";

/** Waits while another act about the same is under way or has just been. */
export function ActButton({
  subjects,
  verb,
  does,
  look,
  small,
  label,
  off = false,
  why,
  children,
}: {
  readonly subjects: readonly string[];
  readonly verb: string;
  readonly does: () => Promise<Done>;
  readonly look?: "strong" | "quiet";
  readonly small?: boolean | undefined;
  readonly label?: string;
  readonly off?: boolean;
  /** Why it cannot be used now: said when it is pressed all the same. */
  readonly why?: string | null;
  readonly children: ComponentChildren;
}) {
  const now = subjects.find((one) => busy.value.has(one));
  const verbNow = now === undefined ? undefined : busy.value.get(now);
  return (
    <Button
      {...(look && { look })}
      {...(small && { small })}
      {...(label !== undefined && { label })}
      busy={verbNow === verb}
      off={off || typeof why === "string"}
      waits={now !== undefined}
      {...(typeof why === "string" && { onOff: () => say(why, "bad") })}
      onClick={() => void act(subjects, verb, does)}
    >
      {children}
    </Button>
  );
}

export const history = { href: "/account", words: "My purchases" };
/** Where an order is to be seen. */
export const linksOf = (order: string, code: string | undefined) => [
  { href: receiptAddress(order, code), words: "Receipt" },
  history,
];

const buyIt = async (one: Holding): Promise<Done> => {
  const { order_id } = await buy(one);
  const links = linksOf(order_id, one.code);
  return { text: `${one.item.name} is yours. Order ${order_id}.`, tone: "good", links };
};

const giveItBack = async (one: Holding): Promise<Done> => {
  await giveBack(one);
  return { text: `${one.item.name} is given back.`, tone: "good" };
};

/** Of one that is held: buy it, or give it back. `late`: its time has run out. */
export function HoldActs({
  of,
  late = false,
  small,
}: {
  readonly of: Holding;
  readonly late?: boolean;
  readonly small?: boolean;
}) {
  const { item, sale_id, code } = of;
  const subjects = [subjectOf(sale_id, item.id)];
  const price = money(item.price_cents);
  if (late) {
    const ends = termsOf(sale_id)?.ends_at;
    const isOver = of.over !== undefined || (ends !== undefined && Date.parse(ends) <= serverNow());
    return (
      <>
        {!isOver && (
          <ActButton
            subjects={subjects}
            verb="buy"
            small={small}
            look="quiet"
            label={`Try to buy ${item.name}`}
            does={() => buyIt(of)}
          >
            Try to buy
          </ActButton>
        )}
        <Button
          look="quiet"
          {...(small && { small })}
          label={`Dismiss ${item.name}`}
          onClick={() => dismiss(code)}
        >
          Dismiss
        </Button>
      </>
    );
  }
  return (
    <>
      <ActButton
        subjects={subjects}
        verb="buy"
        small={small}
        label={`Buy ${price}, ${item.name}`}
        does={() => buyIt(of)}
      >
        Buy {price}
      </ActButton>
      <ActButton
        subjects={subjects}
        verb="release"
        look="quiet"
        small={small}
        label={`Give back ${item.name}`}
        does={() => giveItBack(of)}
      >
        Give back
      </ActButton>
    </>
  );
}
