/** Every attempt there was, searched by who, what code, what came of it, which sale and when. */
import { computed, signal } from "@preact/signals";
import { useId } from "preact/hooks";
import { get } from "../api.ts";
import { zoneText } from "../time.tsx";
import { Button, type Column, count, EmptyState, Field } from "../ui.tsx";
import { instantOf } from "./forms.tsx";
import { nameOf } from "./names.ts";
import { paged, PagedTable } from "./paged.tsx";
import { type Attempt, attemptColumns } from "./story.tsx";
import { outcomes } from "./words.ts";

type AttemptPage = {
  readonly attempts: readonly Attempt[];
  readonly scanned: { readonly from_seq: number; readonly to_seq: number } | null;
  readonly next_after: number | null;
};

const perPage = 50;
const by = {
  user: signal(""),
  code: signal(""),
  outcome: signal(""),
  sale: signal(""),
  from: signal(""),
  to: signal(""),
};
/** The oldest attempt that was looked at. */
const lookedTo = signal<number | null>(null);

function wanted(): string {
  const code = by.code.peek().trim();
  const asked = new URLSearchParams();
  const set = (name: string, value: string | null) => {
    if (value !== null && value !== "") asked.set(name, value);
  };
  // The server looks for a code alone.
  if (code !== "") set("code", code);
  else {
    set("user", by.user.peek().trim());
    set("outcome", by.outcome.peek());
    set("sale_id", by.sale.peek().trim());
    set("from", instantOf(by.from.peek()));
    set("to", instantOf(by.to.peek()));
    set("limit", String(perPage));
  }
  return asked.toString();
}

const list = paged<Attempt>(async (after, of) => {
  const from = after === null ? "" : `&after=${after}`;
  const page = await get<AttemptPage>(`/api/admin/attempts?${of}${from}`);
  const shown = () => (lookedTo.value = page.scanned?.from_seq ?? null);
  return { rows: page.attempts, next: page.next_after, shown };
}, wanted);

const columns: readonly Column<Attempt>[] = [
  ...attemptColumns,
  { title: "Who", of: (row) => <span class="cell-break">{row.user_id ?? "–"}</span> },
  {
    title: "Of",
    of: ({ sale_id, item_id, coupon_name, quantity }) =>
      coupon_name ??
      (sale_id === null
        ? "–"
        : `${nameOf(sale_id, item_id)}${quantity !== null && quantity > 1 ? ` × ${quantity}` : ""}`),
  },
  { title: "Code", of: (row) => <code class="cell-code">{row.code ?? "–"}</code> },
];

/** Times may be given as the visitor's own; the code stands alone. */
const codeAlone = computed(() => by.code.value.trim() !== "");

export const openAttempts = (): void => void list.again();

function clear(): void {
  for (const field of Object.values(by)) field.value = "";
  void list.again();
}

export function Attempts() {
  const id = useId();
  const off = codeAlone.value;
  return (
    <section class="stack" aria-label="Attempts">
      <form
        class="search-form"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void list.again();
        }}
      >
        <Field label="User, or its beginning" value={by.user} maxLength={255} disabled={off} />
        <div class="field">
          <label for={id}>Outcome</label>
          <select
            id={id}
            value={by.outcome.value}
            disabled={off}
            onChange={(event) => (by.outcome.value = event.currentTarget.value)}
          >
            <option value="">Any</option>
            {Object.entries(outcomes).map(([word, { words }]) => (
              <option key={word} value={word}>
                {words}
              </option>
            ))}
          </select>
        </div>
        <Field label="Sale number" value={by.sale} inputMode="numeric" disabled={off} />
        <Field label="From (your time)" type="datetime-local" value={by.from} disabled={off} />
        <Field label="Before (your time)" type="datetime-local" value={by.to} disabled={off} />
        <Field label="Code, alone" value={by.code} maxLength={36} spellcheck={false} />
        <div class="row">
          <Button type="submit" busy={list.busy.value}>
            Search
          </Button>
          <Button look="quiet" onClick={clear}>
            Clear
          </Button>
        </div>
      </form>
      <p class="small-text soft">Times are those of your own zone: {zoneText()}.</p>
      <PagedTable
        list={list}
        caption="Attempts, newest first"
        columns={columns}
        keyOf={(row) => row.seq}
        moreWords="Look further back"
        empty={
          <EmptyState title="No such attempt" animal={11}>
            <p>Nothing in the records answers to this.</p>
          </EmptyState>
        }
      />
      <p class="small-text soft num" role="status">
        {list.rows.value !== null &&
          `${count(list.rows.value.length)} shown${lookedTo.value === null ? "" : `, looked back to number ${count(lookedTo.value)}`}.`}
      </p>
    </section>
  );
}
