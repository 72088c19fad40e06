/** The API keys of servers: which there are, making one, and ending one. */
import { signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { Copied } from "../copy.tsx";
import { confirm, Dialog, notice } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { Moment, serverNow, tick } from "../time.tsx";
import { Badge, Button, type Column, EmptyState, Field } from "../ui.tsx";
import { FormSheet, hasTexts, readDraft, Wrong } from "./forms.tsx";
import { paged, PagedTable } from "./paged.tsx";

type Scope = "sell" | "manage" | "read";
type Key = {
  readonly id: number;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly revoked_at: string | null;
};
type MadeKey = Key & { readonly key: string };
type KeyPage = { readonly keys: readonly Key[]; readonly next_after: number | null };

const scopes: readonly { readonly scope: Scope; readonly may: string; readonly stops: string }[] = [
  {
    scope: "sell",
    may: "Sell: reserve, buy and give back in the name of any customer",
    stops: "reserve, buy or give back for your customers",
  },
  {
    scope: "manage",
    may: "Manage: products, sales and coupons",
    stops: "change products, sales or coupons",
  },
  {
    scope: "read",
    may: "Read: figures, exports, and who bought what",
    stops: "read figures or exports",
  },
];

const lives = [
  { days: "30", words: "30 days" },
  { days: "90", words: "90 days" },
  { days: "365", words: "A year" },
  { days: "", words: "Until it is revoked" },
] as const;
const dayMs = 86_400_000;

const perPage = 50;
const making = signal(false);
/** Its text is shown this once. */
const made = signal<MadeKey | null>(null);
const working = signal<number | null>(null);

const list = paged<Key>(async (after) => {
  const from = after === null ? "" : `&after=${after}`;
  const page = await get<KeyPage>(`/api/admin/keys?limit=${perPage}${from}`);
  return { rows: page.keys, next: page.next_after };
});

const isOver = ({ expires_at: end }: Key): boolean => end !== null && Date.parse(end) <= tick.value;

/** What ends with a key, in words. */
function stopsText({ scopes: granted, last_used_at: used }: Key) {
  const acts = scopes.filter(({ scope }) => granted.includes(scope)).map(({ stops }) => stops);
  return (
    <>
      Whatever uses it is refused within two seconds: it can no longer {acts.join(", nor ")}. It was{" "}
      {used === null ? (
        "never used"
      ) : (
        <>
          last used <Moment at={used} form="zoned" />
        </>
      )}
      . A revoked key does not come back.
    </>
  );
}

async function revoke(key: Key): Promise<void> {
  const sure = await confirm({
    title: `Revoke “${key.name}”?`,
    text: stopsText(key),
    yes: "Revoke it",
    danger: true,
  });
  if (!sure) return;
  working.value = key.id;
  try {
    await send("DELETE", `/api/admin/keys/${key.id}`);
    notice(`${key.name} is revoked.`, "good");
  } catch (error) {
    // Asked twice, the first was carried out.
    const isGone = error instanceof Problem && error.code === "key_not_found";
    notice(sentenceOf(error), isGone ? "plain" : "bad");
  } finally {
    working.value = null;
  }
  await list.again();
}

type KeyDraft = { readonly name: string; readonly scopes: string; readonly days: string };
const isKeyDraft = (value: unknown): value is KeyDraft =>
  hasTexts(value, ["name", "scopes", "days"]);
const blank: KeyDraft = { name: "", scopes: "", days: "90" };
const draftKey = "key new";

/** What stands in the form, begun with what was typed before. */
function keyFields() {
  const first = readDraft(draftKey, isKeyDraft) ?? blank;
  return {
    name: signal(first.name),
    granted: signal<ReadonlySet<string>>(new Set(first.scopes.split(" "))),
    days: signal(first.days),
  };
}
type KeyFields = ReturnType<typeof keyFields>;

const chosenOf = ({ granted }: KeyFields): Scope[] =>
  scopes.map(({ scope }) => scope).filter((scope) => granted.value.has(scope));

async function make(fields: KeyFields): Promise<void> {
  const { name, days } = fields;
  const chosen = chosenOf(fields);
  if (name.value.trim() === "") throw new Wrong("The key needs a name.");
  if (chosen.length === 0) throw new Wrong("Choose at least one thing that it may do.");
  const lifeMs = Number(days.value) * dayMs;
  const ends = lifeMs > 0 ? new Date(serverNow() + lifeMs).toISOString() : null;
  const body = { name: name.value.trim(), scopes: chosen, expires_at: ends };
  made.value = await send<MadeKey>("POST", "/api/admin/keys", { body });
  void list.again();
}

function Choices({ granted }: Pick<KeyFields, "granted">) {
  const toggle = (scope: Scope): void => {
    const next = new Set(granted.value);
    if (!next.delete(scope)) next.add(scope);
    granted.value = next;
  };
  return (
    <fieldset class="choices">
      <legend>It may</legend>
      {scopes.map(({ scope, may }) => (
        <label key={scope}>
          <input
            type="checkbox"
            checked={granted.value.has(scope)}
            onChange={() => toggle(scope)}
          />
          {may}
        </label>
      ))}
    </fieldset>
  );
}

function KeyForm() {
  const id = useId();
  const [fields] = useState(keyFields);
  const { name, granted, days } = fields;
  const draft = {
    key: draftKey,
    now: (): KeyDraft => ({
      name: name.value,
      scopes: chosenOf(fields).join(" "),
      days: days.value,
    }),
    reset: () => {
      name.value = blank.name;
      granted.value = new Set();
      days.value = blank.days;
    },
  };
  return (
    <FormSheet
      title="New API key"
      yes="Make the key"
      done="The key is made."
      save={() => make(fields)}
      draft={draft}
      close={() => (making.value = false)}
    >
      <Field
        label="Name"
        value={name}
        hint="Of the server that uses it: give each its own."
        maxLength={255}
        required
      />
      <Choices granted={granted} />
      <div class="field">
        <label for={id}>It ends after</label>
        <select
          id={id}
          value={days.value}
          onChange={(event) => (days.value = event.currentTarget.value)}
        >
          {lives.map(({ days: value, words }) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </div>
    </FormSheet>
  );
}

const Made = ({ of }: { readonly of: MadeKey }) => (
  <Dialog title={`The key of “${of.name}”`} keeps onClose={() => (made.value = null)}>
    <p>
      <strong>Copy it now.</strong> It is shown this once: only a hash of it is stored.
    </p>
    <Copied text={of.key} label="the key" />
    <p class="soft">
      A server sends it as <code>Authorization: Bearer sk_…</code>. It belongs into no page, no app
      and no repository.
    </p>
    <div class="dialog-acts">
      <Button onClick={() => (made.value = null)}>I have it</Button>
    </div>
  </Dialog>
);

function End({ of }: { readonly of: Key }) {
  const { revoked_at: revoked, expires_at: end } = of;
  if (revoked === null && end === null) return <span class="soft">when revoked</span>;
  return (
    <span class="cell-end">
      {revoked !== null ? <Badge tone="bad">Revoked</Badge> : isOver(of) && <Badge>Over</Badge>}
      <Moment at={revoked ?? end ?? ""} form="zoned" />
    </span>
  );
}

const columns: readonly Column<Key>[] = [
  { title: "Name", of: (row) => <strong class="cell-break">{row.name}</strong> },
  {
    title: "May",
    of: (row) => (
      <span class="cell-badges">
        {row.scopes.map((scope) => (
          <Badge key={scope} tone={scope === "read" ? "plain" : "accent"}>
            {scope}
          </Badge>
        ))}
      </span>
    ),
  },
  { title: "Made", of: (row) => <Moment at={row.created_at} form="zoned" /> },
  {
    title: "Last used",
    of: ({ last_used_at: at }) =>
      at === null ? <span class="soft">never</span> : <Moment at={at} form="zoned" />,
  },
  { title: "Ends", of: (row) => <End of={row} /> },
  {
    title: "Actions",
    figures: true,
    of: (row) =>
      row.revoked_at !== null ? (
        <span class="soft">none</span>
      ) : (
        <span class="cell-acts">
          <Button
            look="quiet"
            small
            off={working.value !== null}
            label={`Revoke ${row.name}`}
            onClick={() => void revoke(row)}
          >
            Revoke
          </Button>
        </span>
      ),
  },
];

export const refreshKeys = list.refresh;
export const openKeys = (): void => void list.again();

export const Keys = () => (
  <section class="stack" aria-label="API keys">
    <div class="toolbar">
      <p class="soft">
        With a key your shop’s server buys, changes and reads without an account. Give each server
        its own, with what it needs and an end.
      </p>
      <Button onClick={() => (making.value = true)}>New key</Button>
    </div>
    <PagedTable
      list={list}
      caption="API keys"
      columns={columns}
      keyOf={(row) => row.id}
      empty={
        <EmptyState title="No keys" animal={9}>
          <p>Make one for the server of your shop.</p>
        </EmptyState>
      }
    />
    {making.value && <KeyForm />}
    {made.value !== null && <Made of={made.value} />}
  </section>
);
