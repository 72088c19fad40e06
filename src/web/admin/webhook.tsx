/** One webhook: how its deliveries went, and switching it off and on, sending again, and removing it. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { EventType } from "../../store/feed.ts";
import { get, send } from "../api.ts";
import { Moment } from "../time.tsx";
import { Badge, Button, type Column, count, ErrorState, Field, load, Skeleton } from "../ui.tsx";
import { FormSheet, hasTexts, readDraft, Wrong } from "./forms.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { addressOf } from "./place.ts";
import { carryOut } from "./saleacts.tsx";

export type Webhook = {
  readonly id: number;
  readonly url: string;
  readonly types: readonly string[];
  readonly state: "on" | "off";
  readonly off_why: string | null;
  readonly delivered_up_to: number;
  readonly tries: number;
  readonly failing_since: string | null;
  readonly next_try_at: string | null;
  readonly created_at: string;
};
type Delivery = {
  readonly id: number;
  readonly seq: number;
  readonly type: string;
  readonly at: string;
  readonly delivered: boolean;
  readonly status: number | null;
  readonly ms: number;
  readonly error: string | null;
};
type DeliveryPage = {
  readonly deliveries: readonly Delivery[];
  readonly next_after: number | null;
};

/** What may be told, in words. */
export const eventWords: { readonly [type in EventType]: string } = {
  "order.created": "Somebody bought",
  "order.refunded": "An order was refunded",
  "sale.opened": "A sale opens",
  "sale.sold_out": "A sale is sold out",
  "sale.closed": "A sale is over",
  "reservation.made": "Somebody reserved",
  "reservation.released": "A reservation was given back",
  "coupon.claimed": "A coupon was claimed",
  "waitlist.offered": "Something is offered to who waited",
};

const perPage = 50;
const replaying = signal(false);
let askAgain = (): void => undefined;
export const refreshWebhook = (): void => askAgain();

const pathOf = (id: number): string => `/api/admin/webhooks/${id}`;

export function WebhookState({ of }: { readonly of: Webhook }) {
  const { state, off_why: why, failing_since: since, tries } = of;
  if (state === "off")
    return (
      <span class="cell-end">
        <Badge tone="bad">Off</Badge> {why !== null && <span class="soft">{why}</span>}
      </span>
    );
  return since === null ? (
    <Badge tone="good">On</Badge>
  ) : (
    <span class="cell-end">
      <Badge tone="held">Failing</Badge>{" "}
      <span class="soft">
        {count(tries)} tries since <Moment at={since} form="zoned" />
      </span>
    </span>
  );
}

/** A newer server may know types that this page does not. */
const wordsOf = (type: string): string => new Map(Object.entries(eventWords)).get(type) ?? type;

const columns: readonly Column<Delivery>[] = [
  { title: "Event", of: (row) => count(row.seq), figures: true },
  { title: "What", of: ({ type }) => wordsOf(type) },
  { title: "When", of: (row) => <Moment at={row.at} form="exact" /> },
  {
    title: "Came of it",
    of: ({ delivered, status, error }) => (
      <span class="cell-end">
        <Badge tone={delivered ? "good" : "bad"}>{delivered ? "Delivered" : "Failed"}</Badge>
        <span class="soft cell-break">
          {error ?? (status === null ? "" : `answered ${status}`)}
        </span>
      </span>
    ),
  },
  { title: "Took", of: (row) => `${count(row.ms)} ms`, figures: true },
];

const switchTo = (of: Webhook, state: "on" | "off") =>
  carryOut({
    title: state === "off" ? "Switch it off?" : "Switch it on?",
    text:
      state === "off"
        ? "Nothing is sent until it is on again; then it goes on where it was, and nothing is skipped."
        : "It goes on where it was: what happened meanwhile is sent first, in order.",
    yes: state === "off" ? "Switch off" : "Switch on",
    no: "Leave it",
    does: () => send("PATCH", pathOf(of.id), { body: { state }, again: true }),
    said: state === "off" ? "It is off." : "It is on.",
  });

async function remove(of: Webhook): Promise<void> {
  const isGone = await carryOut({
    title: "Remove this webhook?",
    text: `${of.url} is told of nothing any more, and what is known of its deliveries goes with it. Another one for the same address begins with what happens then.`,
    yes: "Remove it",
    no: "Keep it",
    danger: true,
    does: () => send("DELETE", pathOf(of.id)),
    said: "It is removed.",
  });
  if (isGone) location.hash = addressOf("webhooks");
}

const isAfter = (value: unknown): value is { readonly after: string } => hasTexts(value, ["after"]);

function ReplayForm({ of, done }: { readonly of: Webhook; readonly done: () => void }) {
  const key = `replay ${of.id}`;
  const [after] = useState(() => signal(readDraft(key, isAfter)?.after ?? ""));
  const draft = {
    key,
    now: () => ({ after: after.value }),
    reset: () => {
      after.value = "";
    },
  };
  return (
    <FormSheet
      title="Send events again"
      yes="Send again"
      done="They are being sent again."
      close={() => (replaying.value = false)}
      draft={draft}
      save={async () => {
        if (!/^\d{1,15}$/.test(after.value.trim()))
          throw new Wrong("After which event is a number, or 0 for all.");
        const body = { after: Number(after.value) };
        await send("POST", `${pathOf(of.id)}/replay`, { body, again: true });
        done();
      }}
    >
      <Field label="After event" value={after} inputMode="numeric" required />
      <p class="effect">
        All events after this one that it is told of are sent once more, in order and under the ids
        that they had, and then what follows. A server that keeps the ids counts none twice.
      </p>
    </FormSheet>
  );
}

function Whole({ of, again }: { readonly of: Webhook; readonly again: () => void }) {
  const [deliveries] = useState(() =>
    paged<Delivery>(async (after) => {
      const from = after === null ? "" : `&after=${after}`;
      const page = await get<DeliveryPage>(`${pathOf(of.id)}/deliveries?limit=${perPage}${from}`);
      return { rows: page.deliveries, next: page.next_after };
    }),
  );
  useEffect(() => void deliveries.again(), []);
  // Older ones that somebody has asked for stay where they are.
  useEffect(() => deliveries.refresh(), [of]);
  const act = async (does: (one: Webhook) => Promise<unknown>): Promise<void> => {
    await does(of);
    again();
  };
  return (
    <>
      <div class="toolbar">
        <div>
          <p>
            <WebhookState of={of} />
          </p>
          <p>
            Told of {of.types.join(", ")}, up to event {count(of.delivered_up_to)}.
          </p>
        </div>
        <div class="row">
          <Button look="quiet" onClick={() => (replaying.value = true)}>
            Send again…
          </Button>
          <Button
            look="quiet"
            onClick={() => void act((one) => switchTo(one, one.state === "on" ? "off" : "on"))}
          >
            {of.state === "on" ? "Switch off" : "Switch on"}
          </Button>
          <Button look="quiet" onClick={() => void remove(of)}>
            Remove
          </Button>
        </div>
      </div>
      <h3>Its deliveries</h3>
      <PagedTable
        list={deliveries}
        caption="Tries, newest first"
        columns={columns}
        keyOf={(row) => row.id}
        empty={<p class="soft">Nothing has happened that it is told of.</p>}
      />
      {replaying.value && <ReplayForm of={of} done={again} />}
    </>
  );
}

export function WebhookPage({ id }: { readonly id: number }) {
  const title = useRef<HTMLHeadingElement>(null);
  const [{ state, again }] = useState(() => load(() => get<Webhook>(pathOf(id))));
  useEffect(() => {
    askAgain = () => void again();
    // What led here is gone, and the focus with it.
    title.current?.focus();
    return () => {
      askAgain = () => undefined;
      replaying.value = false;
    };
  }, []);
  const now = state.value;
  return (
    <section class="stack" aria-label={`Webhook ${id}`}>
      <p>
        <a href={addressOf("webhooks")}>All webhooks</a>
      </p>
      <h2 ref={title} tabIndex={-1}>
        {now.is === "here" ? now.value.url : `Webhook ${id}`}
      </h2>
      {now.is === "loading" && <Skeleton height="240px" />}
      {now.is === "failed" && <ErrorState error={now.error} again={() => void again()} />}
      {now.is === "here" && <Whole of={now.value} again={() => void again()} />}
    </section>
  );
}
