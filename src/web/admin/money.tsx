/**
 * What the sales of the last days brought in, from the records: the same for everybody who looks, and
 * after a reload. And how attempts came over the last hour, for the curve that goes on from there.
 */
import { signal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { house } from "../house.ts";
import { sentenceOf } from "../problems.ts";
import { count, money, Skeleton } from "../ui.tsx";
import { Fact } from "./facts.tsx";

export type SaleMoney = {
  readonly orders: number;
  readonly buyers: number;
  readonly units: number;
  readonly refunded_units: number;
  readonly paid_cents: number;
  readonly refunded_cents: number;
  readonly revenue_cents: number;
  readonly average_order_cents: number | null;
  readonly stock: number;
  readonly sell_through: number | null;
  readonly tries: number;
  readonly conversion: number | null;
};
type AllMoney = SaleMoney & {
  readonly sales: number;
  readonly pace: readonly { readonly at: string; readonly per_second: number }[];
};

const everyMs = 10_000;
const periods = [
  { days: "1", words: "24 hours" },
  { days: "7", words: "7 days" },
] as const;

const days = signal("1");
const figures = signal<AllMoney | null>(null);
const failure = signal<unknown>(null);
/** Attempts a second over the last hour as the records have them, by the end of each minute. */
export const pace = signal<AllMoney["pace"]>([]);
const answers = new Answers();

/** @param isAnew about another span of days */
async function ask(isAnew = false): Promise<void> {
  const isTaken = isAnew ? answers.askAnew() : answers.ask();
  try {
    const found = await get<AllMoney>(`/api/admin/money?days=${days.peek()}`);
    if (!isTaken()) return;
    figures.value = found;
    // What the page has seen since is finer.
    if (pace.peek().length === 0) pace.value = found.pace;
    failure.value = null;
  } catch (error) {
    if (isTaken()) failure.value = error;
  }
}

const shares = new Intl.NumberFormat(house.locale, { style: "percent", maximumFractionDigits: 1 });
export const shareText = (share: number | null): string =>
  share === null ? "–" : shares.format(share);

function Facts({ of }: { readonly of: AllMoney | null }) {
  const blank = <Skeleton width="3em" />;
  const facts = [
    ["Revenue", of && money(of.revenue_cents), of && `${money(of.refunded_cents)} refunded`],
    ["Orders", of && count(of.orders), of && `in ${count(of.sales)} sales`],
    [
      "Average order",
      of && (of.average_order_cents === null ? "–" : money(of.average_order_cents)),
      of && `${count(of.units)} units are owned`,
    ],
    ["Sell-through", of && shareText(of.sell_through), of && `of ${count(of.stock)} units`],
    ["From try to order", of && shareText(of.conversion), of && `${count(of.tries)} tries`],
  ] as const;
  return (
    <dl class="facts">
      {facts.map(([title, value, note]) => (
        <Fact key={title} title={title} note={note ?? "\u00a0"}>
          {value ?? blank}
        </Fact>
      ))}
    </dl>
  );
}

export function MoneyPart() {
  const id = useId();
  useEffect(() => {
    void ask();
    const timer = setInterval(() => {
      if (!document.hidden) void ask();
    }, everyMs);
    return () => clearInterval(timer);
  }, []);
  return (
    <section class="stack" aria-labelledby={`${id}-title`}>
      <div class="row apart">
        <h2 id={`${id}-title`} class="panel-title">
          Money
        </h2>
        <div class="row">
          <label for={id} class="small-text">
            Sales of the last
          </label>
          <select
            id={id}
            class="inline"
            value={days.value}
            onChange={(event) => {
              days.value = event.currentTarget.value;
              void ask(true);
            }}
          >
            {periods.map(({ days: value, words }) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </div>
      </div>
      <Facts of={figures.value} />
      {failure.value !== null && <p role="alert">{sentenceOf(failure.value)}</p>}
    </section>
  );
}
