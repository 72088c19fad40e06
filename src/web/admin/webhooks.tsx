/** Webhooks: which addresses are told of what happens, how far each has come, and making one. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { Copied } from "../copy.tsx";
import { Dialog } from "../notice.tsx";
import { Moment } from "../time.tsx";
import { Badge, Button, type Column, count, EmptyState, Field } from "../ui.tsx";
import { FormSheet, hasTexts, readDraft, Wrong } from "./forms.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { addressOf, place } from "./place.ts";
import { eventWords, refreshWebhook, type Webhook, WebhookPage, WebhookState } from "./webhook.tsx";

type Made = Webhook & { readonly secret: string };
type WebhooksPage = { readonly webhooks: readonly Webhook[]; readonly next_after: number | null };

const perPage = 50;
const making = signal(false);
/** Its secret is shown this once. */
const made = signal<Made | null>(null);

const list = paged<Webhook>(async (after) => {
  const from = after === null ? "" : `&after=${after}`;
  const page = await get<WebhooksPage>(`/api/admin/webhooks?limit=${perPage}${from}`);
  return { rows: page.webhooks, next: page.next_after };
});

const columns: readonly Column<Webhook>[] = [
  {
    title: "Address",
    of: ({ id, url }) => (
      <a class="cell-link cell-break" href={addressOf("webhooks", id)}>
        {url}
      </a>
    ),
  },
  { title: "State", of: (row) => <WebhookState of={row} /> },
  {
    title: "Told of",
    of: ({ types }) => (
      <span class="cell-badges">
        {types.map((type) => (
          <Badge key={type}>{type}</Badge>
        ))}
      </span>
    ),
  },
  { title: "Up to event", of: (row) => count(row.delivered_up_to), figures: true },
  { title: "Made", of: (row) => <Moment at={row.created_at} form="zoned" /> },
];

type Draft = { readonly url: string; readonly types: string };
const isDraft = (value: unknown): value is Draft => hasTexts(value, ["url", "types"]);
const blank: Draft = { url: "", types: "order.created order.refunded" };
const draftKey = "webhook new";
const setOf = (text: string): ReadonlySet<string> =>
  new Set(text.split(" ").filter((type) => type !== ""));

async function make(url: string, types: readonly string[]): Promise<void> {
  if (!URL.canParse(url)) throw new Wrong("The address has to be a whole one, such as https://…");
  if (types.length === 0) throw new Wrong("Choose at least one thing to be told of.");
  made.value = await send<Made>("POST", "/api/admin/webhooks", { body: { url, types } });
  void list.again();
}

function WebhookForm() {
  const [{ url, types }] = useState(() => {
    const first = readDraft(draftKey, isDraft) ?? blank;
    return { url: signal(first.url), types: signal(setOf(first.types)) };
  });
  const draft = {
    key: draftKey,
    now: (): Draft => ({ url: url.value, types: [...types.value].join(" ") }),
    reset: () => {
      url.value = blank.url;
      types.value = setOf(blank.types);
    },
  };
  const toggle = (type: string): void => {
    const next = new Set(types.value);
    if (!next.delete(type)) next.add(type);
    types.value = next;
  };
  return (
    <FormSheet
      title="New webhook"
      yes="Make it"
      done="It is told from now on."
      save={() => make(url.value.trim(), [...types.value])}
      close={() => (making.value = false)}
      draft={draft}
    >
      <Field
        label="Address"
        value={url}
        hint="Of your own server. What happens is posted there, signed, in order and at least once."
        maxLength={2048}
        spellcheck={false}
        required
      />
      <fieldset class="choices">
        <legend>Tell it of</legend>
        {Object.entries(eventWords).map(([type, words]) => (
          <label key={type}>
            <input type="checkbox" checked={types.value.has(type)} onChange={() => toggle(type)} />
            <span>
              {words} <code>{type}</code>
            </span>
          </label>
        ))}
      </fieldset>
    </FormSheet>
  );
}

const Secret = ({ of }: { readonly of: Made }) => (
  <Dialog title="Its secret" keeps onClose={() => (made.value = null)}>
    <p>
      <strong>Copy it now.</strong> It is shown this once. With it your server checks that a
      delivery comes from here, as Standard Webhooks describe.
    </p>
    <Copied text={of.secret} label="the secret" />
    <div class="dialog-acts">
      <Button onClick={() => (made.value = null)}>I have it</Button>
    </div>
  </Dialog>
);

const webhookNow = (): number | null => {
  const [id = ""] = place.value.of;
  return /^[1-9]\d{0,9}$/.test(id) ? Number(id) : null;
};

export const refreshWebhooks = (): void =>
  webhookNow() === null ? list.refresh() : refreshWebhook();
export const openWebhooks = (): void => {
  if (webhookNow() === null) void list.again();
};

export function Webhooks() {
  const id = webhookNow();
  if (id !== null) return <WebhookPage key={id} id={id} />;
  return (
    <section class="stack" aria-label="Webhooks">
      <div class="toolbar">
        <p class="soft">
          Your own servers are told of what happens: each event in order, signed, at least once.
        </p>
        <Button onClick={() => (making.value = true)}>New webhook</Button>
      </div>
      <PagedTable
        list={list}
        caption="Webhooks"
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <EmptyState title="Nobody is told" animal={9}>
            <p>Give the address of a server that wants to hear of orders as they come.</p>
          </EmptyState>
        }
      />
      {making.value && <WebhookForm />}
      {made.value !== null && <Secret of={made.value} />}
    </section>
  );
}
