/** Who has changed what: every change of an administrator or a key, the newest first. */
import { get } from "../api.ts";
import { type Column, count, EmptyState, money } from "../ui.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { addressOf } from "./place.ts";
import { Moment, momentText } from "../time.tsx";

type Values = Readonly<Record<string, unknown>>;
type Change = {
  readonly seq: number;
  readonly at: string;
  readonly by: "account" | "key";
  readonly who: string;
  readonly what: string;
  readonly before: Values | null;
  readonly after: Values | null;
};
type ActivityPage = { readonly activity: readonly Change[]; readonly next_after: number | null };

const perPage = 50;

const list = paged<Change>(async (after) => {
  const from = after === null ? "" : `&after=${after}`;
  const page = await get<ActivityPage>(`/api/admin/activity?limit=${perPage}${from}`);
  return { rows: page.activity, next: page.next_after };
});

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
/** "order.refunded" as people say it. */
const whatText = (what: string): string => capital(what.replaceAll(/[._]/g, " "));

/** What a value's name is, as people say it: "price_cents", "user_id". */
const nameText = (name: string): string =>
  name.replace(/_(?:cents|id|at)$/, "").replaceAll("_", " ");

function valueText(name: string, value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number" && name.endsWith("_cents")) return money(value);
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT.*Z$/.test(value))
    return momentText(value, "exact");
  if (Array.isArray(value)) {
    return value.every((one) => typeof one === "string") ? value.join(", ") : count(value.length);
  }
  return typeof value === "string" || typeof value === "number"
    ? String(value)
    : JSON.stringify(value);
}

/** A change of one value; what it was is left out where something was made. */
function Changed({ name, of: { before, after } }: { readonly name: string; readonly of: Change }) {
  const [was, is] = [before?.[name], after?.[name]];
  const isSame = JSON.stringify(was) === JSON.stringify(is);
  const to = after === null ? "gone" : valueText(name, is);
  // Said as a link where there is a page of it.
  const target = name === "order_id" && typeof is === "string" ? addressOf("orders", is) : null;
  return (
    <li>
      <span class="soft">{nameText(name)}</span>{" "}
      {before !== null && name in before && !isSame && (
        <>
          <s>{valueText(name, was)}</s>{" "}
        </>
      )}
      {target === null ? to : <a href={target}>{to}</a>}
    </li>
  );
}

/** The records keep no order: what it is comes first, and a start before its end. */
const firstNames = ["id", "sale_id", "key_id", "order_id", "title", "name", "starts_at", "ends_at"];
const placeOf = (name: string): number => {
  const place = firstNames.indexOf(name);
  return place < 0 ? firstNames.length : place;
};

function Values({ of }: { readonly of: Change }) {
  const found = [...new Set([...Object.keys(of.before ?? {}), ...Object.keys(of.after ?? {})])];
  const names = found.toSorted((a, b) => placeOf(a) - placeOf(b));
  return (
    <ul class="changes">
      {names.map((name) => (
        <Changed key={name} name={name} of={of} />
      ))}
    </ul>
  );
}

const columns: readonly Column<Change>[] = [
  { title: "When", of: (row) => <Moment at={row.at} form="exact" /> },
  {
    title: "Who",
    of: ({ who, by }) => (
      <span class="cell-break">
        <strong>{who}</strong>
        {by === "key" && <span class="soft"> a key</span>}
      </span>
    ),
  },
  { title: "What", of: (row) => whatText(row.what) },
  { title: "From what to what", of: (row) => <Values of={row} /> },
];

export const refreshActivity = list.refresh;
export const openActivity = (): void => void list.again();

export const ActivityPart = () => (
  <section class="stack" aria-label="Activity">
    <p class="soft">
      What administrators and keys have changed. What buyers did is under{" "}
      <a href={addressOf("attempts")}>Attempts</a>.
    </p>
    <PagedTable
      list={list}
      caption="Changes, newest first"
      columns={columns}
      keyOf={(row) => row.seq}
      empty={
        <EmptyState title="Nothing was changed yet" animal={11}>
          <p>Every change of an administrator or a key is listed here, with what it was before.</p>
        </EmptyState>
      }
    />
  </section>
);
