/** The coupons: who makes, changes, stops and removes them, and what is claimed of each. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { Moment, tick, zoneText } from "../time.tsx";
import { Badge, Button, type Column, count, EmptyState, Field } from "../ui.tsx";
import { FormSheet, hasTexts, instantOf, localText, readDraft, wholeOf, Wrong } from "./forms.tsx";
import { paged, PagedTable } from "./paged.tsx";

type Coupon = {
  readonly id: number;
  readonly name: string;
  readonly amount: number;
  readonly remaining_amount: number;
  readonly created_at: string;
  readonly starts_at: string | null;
  readonly ends_at: string | null;
  readonly disabled: boolean;
};
type CouponPage = { readonly coupons: readonly Coupon[]; readonly next_after: number | null };

const perPage = 50;
const editing = signal<Coupon | "new" | null>(null);
const working = signal<number | null>(null);

const list = paged<Coupon>(async (after) => {
  const page = await get<CouponPage>(`/api/coupons?limit=${perPage}&after=${after ?? 0}`);
  return { rows: page.coupons, next: page.next_after };
});

const pathOf = ({ name }: Coupon): string => `/api/coupons/${encodeURIComponent(name)}`;
const claimedOf = ({ amount, remaining_amount: left }: Coupon): number => amount - left;

async function carryOut(of: Coupon, does: () => Promise<unknown>, said: string): Promise<void> {
  working.value = of.id;
  try {
    await does();
    notice(said, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  } finally {
    working.value = null;
  }
  await list.again();
}

async function setDisabled(of: Coupon, disabled: boolean): Promise<void> {
  const sure =
    !disabled ||
    (await confirm({
      title: `Stop “${of.name}”?`,
      text: `Nobody can claim it until you go on. The ${count(claimedOf(of))} that are claimed stay claimed.`,
      yes: "Stop it",
      danger: true,
    }));
  if (!sure) return;
  const body = { disabled };
  const said = disabled ? `${of.name} is stopped.` : `${of.name} can be claimed again.`;
  await carryOut(of, () => send("PATCH", pathOf(of), { body, again: true }), said);
}

async function remove(of: Coupon): Promise<void> {
  const sure = await confirm({
    title: `Delete “${of.name}”?`,
    text: "Nobody has claimed it. It is gone for good, and its name is free for another one.",
    yes: "Delete it",
    danger: true,
  });
  if (sure) await carryOut(of, () => send("DELETE", pathOf(of)), `${of.name} is deleted.`);
}

type Draft = {
  readonly name: string;
  readonly amount: string;
  readonly starts: string;
  readonly ends: string;
};
const isDraft = (value: unknown): value is Draft =>
  hasTexts(value, ["name", "amount", "starts", "ends"]);
const textOf = (at: string | null): string => (at === null ? "" : localText(at));
const storedOf = (of: Coupon | null): Draft => ({
  name: of?.name ?? "",
  amount: String(of?.amount ?? ""),
  starts: textOf(of?.starts_at ?? null),
  ends: textOf(of?.ends_at ?? null),
});

function fieldsOf(of: Coupon | null) {
  const key = `coupon ${of?.id ?? "new"}`;
  const stored = storedOf(of);
  const first = readDraft(key, isDraft) ?? stored;
  const [name, amount] = [signal(first.name), signal(first.amount)];
  const [starts, ends] = [signal(first.starts), signal(first.ends)];
  const now = (): Draft => ({
    name: name.value,
    amount: amount.value,
    starts: starts.value,
    ends: ends.value,
  });
  const reset = () => {
    name.value = stored.name;
    amount.value = stored.amount;
    starts.value = stored.starts;
    ends.value = stored.ends;
  };
  return { name, amount, starts, ends, draft: { key, now, reset } };
}

/** @throws Wrong with the first thing that is wrong, or a Problem */
async function save(of: Coupon | null, { name, amount, starts, ends }: Draft): Promise<void> {
  const many = wholeOf(amount);
  const [from, to] = [instantOf(starts), instantOf(ends)];
  if (name.trim() === "") throw new Wrong("The coupon needs a name.");
  if (many === null) throw new Wrong("How many there are is a whole number from 1.");
  if (of !== null && many < claimedOf(of))
    throw new Wrong(`${count(claimedOf(of))} are claimed already: there cannot be fewer.`);
  if (from !== null && to !== null && from >= to) throw new Wrong("It has to end after it begins.");
  if (of === null) {
    await send("POST", "/api/coupons", { body: { name: name.trim(), amount: many } });
    return;
  }
  const body = { amount: many, starts_at: from, ends_at: to };
  await send("PATCH", pathOf(of), { body, again: true });
}

function CouponForm({ of }: { readonly of: Coupon | null }) {
  const [{ name, amount, starts, ends, draft }] = useState(() => fieldsOf(of));
  return (
    <FormSheet
      title={of === null ? "New coupon" : `Change “${of.name}”`}
      yes={of === null ? "Make it" : "Change it"}
      done={of === null ? "The coupon is there." : "It is changed."}
      save={async () => {
        await save(of, draft.now());
        await list.again();
      }}
      close={() => (editing.value = null)}
      draft={draft}
    >
      {of === null && (
        <Field
          label="Name"
          value={name}
          maxLength={255}
          hint="What people type. It cannot be changed later."
          required
        />
      )}
      <Field
        label="How many there are"
        value={amount}
        inputMode="numeric"
        hint={of === null ? "One a person." : `${count(claimedOf(of))} are claimed.`}
        required
      />
      {of !== null && (
        <div class="pair">
          <Field label="From" type="datetime-local" value={starts} hint="Empty: at once." />
          <Field
            label="Until"
            type="datetime-local"
            value={ends}
            hint={`Empty: for ever. Your time: ${zoneText()}.`}
          />
        </div>
      )}
    </FormSheet>
  );
}

/** Whether it can be claimed now, by the clock. */
function State({ of }: { readonly of: Coupon }) {
  if (of.disabled) return <Badge tone="bad">Stopped</Badge>;
  if (of.starts_at !== null && Date.parse(of.starts_at) > tick.value)
    return <Badge tone="held">Coming</Badge>;
  if (of.ends_at !== null && Date.parse(of.ends_at) <= tick.value) return <Badge>Over</Badge>;
  return of.remaining_amount === 0 ? (
    <Badge tone="accent">All claimed</Badge>
  ) : (
    <Badge tone="good">Can be claimed</Badge>
  );
}

const Time = ({ at, none }: { readonly at: string | null; readonly none: string }) =>
  at === null ? <span class="soft">{none}</span> : <Moment at={at} form="zoned" />;

function Acts({ of }: { readonly of: Coupon }) {
  const off = working.value !== null;
  const isClaimed = claimedOf(of) > 0;
  return (
    <span class="cell-acts">
      <Button
        look="quiet"
        small
        off={off}
        label={`Change ${of.name}`}
        onClick={() => (editing.value = of)}
      >
        Change
      </Button>
      <Button
        look="quiet"
        small
        off={off}
        label={`${of.disabled ? "Go on with" : "Stop"} ${of.name}`}
        onClick={() => void setDisabled(of, !of.disabled)}
      >
        {of.disabled ? "Go on with" : "Stop"}
      </Button>
      {!isClaimed && (
        <Button
          look="quiet"
          small
          off={off}
          label={`Delete ${of.name}`}
          onClick={() => void remove(of)}
        >
          Delete
        </Button>
      )}
    </span>
  );
}

const columns: readonly Column<Coupon>[] = [
  {
    title: "Name",
    of: ({ name }) => (
      <a class="cell-break" href={`/coupons?name=${encodeURIComponent(name)}`}>
        {name}
      </a>
    ),
  },
  { title: "State", of: (row) => <State of={row} /> },
  {
    title: "Claimed",
    of: (row) => `${count(claimedOf(row))} of ${count(row.amount)}`,
    figures: true,
  },
  { title: "From", of: (row) => <Time at={row.starts_at} none="at once" /> },
  { title: "Until", of: (row) => <Time at={row.ends_at} none="for ever" /> },
  {
    title: "Records",
    of: (row) => (
      <a href={`${pathOf(row)}/claims.csv`} download aria-label={`claims.csv of ${row.name}`}>
        claims.csv
      </a>
    ),
  },
  { title: "Actions", of: (row) => <Acts of={row} />, figures: true },
];

export const refreshCoupons = list.refresh;
export const openCoupons = (): void => void list.again();

export function Coupons() {
  const form = editing.value;
  return (
    <section class="stack" aria-label="Coupons">
      <div class="toolbar">
        <p class="soft">A coupon can be claimed once a person, as long as there are any.</p>
        <Button onClick={() => (editing.value = "new")}>New coupon</Button>
      </div>
      <PagedTable
        list={list}
        caption="Coupons"
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <EmptyState title="No coupons" animal={7}>
            <p>Make the first one: a name, and how many there are.</p>
          </EmptyState>
        }
      />
      {form !== null && (
        <CouponForm key={form === "new" ? 0 : form.id} of={form === "new" ? null : form} />
      )}
    </section>
  );
}
