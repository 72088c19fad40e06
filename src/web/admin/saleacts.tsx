/**
 * What can be done with a sale: changed, opened now, closed now, withdrawn, given more units. What
 * cannot be undone is asked first, in words that say what will happen.
 */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import type { FlashSale, SaleState } from "../shop/data.ts";
import { SaleMoment, serverNow, zoneText } from "../time.tsx";
import { Button, count, Field } from "../ui.tsx";
import { FormSheet, hasTexts, instantOf, localText, readDraft, wholeOf, Wrong } from "./forms.tsx";
import { addressOf } from "./place.ts";
import type { SoldItem } from "./sale.tsx";
import { askProducts, SaleForm } from "./saleform.tsx";
import type { SaleHead } from "./salehead.tsx";

/** What a form is open for. */
const changing = signal<FlashSale | "open" | null>(null);
export const restocking = signal<SoldItem | null>(null);
const working = signal(false);

const pathOf = (of: SaleHead): string => `/api/admin/flash-sales/${of.id}`;

type Act = {
  readonly title: string;
  readonly text: ComponentChildren;
  readonly yes: string;
  readonly no: string;
  readonly danger?: boolean;
  readonly does: () => Promise<unknown>;
  readonly said: string;
};

/** Asks, does it, and says what came of it. */
export async function carryOut({ does, said, ...asked }: Act): Promise<boolean> {
  if (working.peek() || !(await confirm(asked))) return false;
  working.value = true;
  try {
    await does();
    notice(said, "good");
    return true;
  } catch (error) {
    notice(sentenceOf(error), "bad");
    return false;
  } finally {
    working.value = false;
  }
}

const openNow = (of: SaleHead) =>
  carryOut({
    title: "Open this sale now?",
    text: (
      <>
        “{of.title}” opens at once, not <SaleMoment at={of.starts_at} form="zoned" />: people can
        buy from this moment on, and it cannot be made to come again. It closes when it would have.
      </>
    ),
    yes: "Open it now",
    no: "Let it wait",
    does: () => send("POST", `${pathOf(of)}/open`),
    said: `“${of.title}” is open.`,
  });

const closeNow = (of: SaleHead) =>
  carryOut({
    title: "Close this sale now?",
    text:
      `“${of.title}” ends at once, with ${count(of.available)} left and ` +
      `${count(of.reserved)} reserved: who holds one cannot buy it any more. What is sold stays ` +
      `sold. It cannot be opened again.${of.kind === "hourly" ? " The next drop comes as planned." : ""}`,
    yes: "Close it now",
    no: "Keep it open",
    danger: true,
    does: () => send("POST", `${pathOf(of)}/close`),
    said: `“${of.title}” is closed.`,
  });

async function duplicate(of: SaleHead): Promise<void> {
  const isMade = await carryOut({
    title: "Make a draft of the same items?",
    text: `A draft like “${of.title}” is made, which administrators alone see: change its times and announce it when you like.`,
    yes: "Make the draft",
    no: "Not now",
    does: () => send("POST", `${pathOf(of)}/duplicate`),
    said: "The draft is made: it is the first of the list.",
  });
  if (isMade) location.hash = addressOf("sales");
}

async function withdraw(of: SaleHead): Promise<void> {
  const isGone = await carryOut({
    title: "Withdraw this sale?",
    text:
      `“${of.title}” is taken back before it opens: it vanishes from the shop, and its number is ` +
      "never used again. Its products stay. It does not come back: to sell them, announce another one.",
    yes: "Withdraw it",
    no: "Keep it",
    danger: true,
    does: () => send("DELETE", pathOf(of)),
    said: `“${of.title}” is withdrawn.`,
  });
  if (isGone) location.hash = addressOf("sales");
}

async function change(of: SaleHead, state: SaleState): Promise<void> {
  if (state === "active") {
    changing.value = "open";
    return;
  }
  try {
    const [sale] = await Promise.all([get<FlashSale>(`/api/flash-sales/${of.id}`), askProducts()]);
    changing.value = sale;
  } catch (error) {
    notice(sentenceOf(error), "bad");
  }
}

export function SaleActs({
  of,
  state,
  done,
}: {
  readonly of: SaleHead;
  readonly state: SaleState;
  readonly done: () => void;
}) {
  const off = working.value;
  const act = async (does: (one: SaleHead) => Promise<unknown>): Promise<void> => {
    await does(of);
    done();
  };
  const mayChange = state === "active" || (state === "upcoming" && of.kind === "product");
  return (
    <div class="row">
      {mayChange && (
        <Button look="quiet" off={off} onClick={() => void change(of, state)}>
          {state === "active" ? "Change title or end" : "Change"}
        </Button>
      )}
      {of.kind === "product" && (
        <Button look="quiet" off={off} onClick={() => void duplicate(of)}>
          Duplicate
        </Button>
      )}
      {state === "upcoming" && of.kind === "product" && (
        <>
          <Button look="quiet" off={off} onClick={() => void act(openNow)}>
            Open now
          </Button>
          <Button look="quiet" off={off} onClick={() => void withdraw(of)}>
            Withdraw
          </Button>
        </>
      )}
      {state === "active" && (
        <Button look="quiet" off={off} onClick={() => void act(closeNow)}>
          Close now
        </Button>
      )}
    </div>
  );
}

/** The form that is open, if any. */
export function SaleForms({ of, done }: { readonly of: SaleHead; readonly done: () => void }) {
  const [form, item] = [changing.value, restocking.value];
  const close = () => {
    changing.value = null;
    restocking.value = null;
  };
  const asked = async (): Promise<void> => done();
  if (item !== null) return <RestockForm of={of} item={item} done={done} close={close} />;
  if (form === "open") return <ChangeForm of={of} done={done} close={close} />;
  return form === null ? null : <SaleForm of={form} done={asked} close={close} />;
}

type FormProps = {
  readonly of: SaleHead;
  readonly done: () => void;
  readonly close: () => void;
};

type Change = { readonly title: string; readonly ends: string };
const isChange = (value: unknown): value is Change => hasTexts(value, ["title", "ends"]);

/** An open sale takes another title, and an end that is still to come. */
function ChangeForm({ of, done, close }: FormProps) {
  const key = `open sale ${of.id}`;
  const stored = { title: of.title, ends: localText(of.ends_at) };
  const [{ title, ends }] = useState(() => {
    const first = readDraft(key, isChange) ?? stored;
    return { title: signal(first.title), ends: signal(first.ends) };
  });
  const draft = {
    key,
    now: () => ({ title: title.value, ends: ends.value }),
    reset: () => {
      title.value = stored.title;
      ends.value = stored.ends;
    },
  };
  const save = async () => {
    const to = instantOf(ends.value);
    if (title.value.trim() === "") throw new Wrong("The sale needs a title.");
    if (to === null || Date.parse(to) <= serverNow())
      throw new Wrong("The end has to be still to come. To end it at once, close it.");
    const body = {
      ...(title.value.trim() === of.title ? {} : { title: title.value.trim() }),
      ...(ends.value === stored.ends ? {} : { ends_at: to }),
    };
    if (Object.keys(body).length === 0) throw new Wrong("Nothing is changed.");
    await send("PATCH", pathOf(of), { body, again: true });
    done();
  };
  return (
    <FormSheet
      title="Change an open sale"
      yes="Change it"
      done="It is changed, for everybody who looks."
      save={save}
      close={close}
      draft={draft}
    >
      <p>
        “{of.title}” is open: its title and its end can be changed, and everybody who looks sees it
        at once. What is held beyond the new end lapses with it.
      </p>
      <Field label="Title" value={title} maxLength={255} required />
      <Field
        label="Closes"
        type="datetime-local"
        value={ends}
        hint={`In your own zone: ${zoneText()}.`}
        required
      />
    </FormSheet>
  );
}

const isUnits = (value: unknown): value is { readonly units: string } => hasTexts(value, ["units"]);

function RestockForm({ of, item, done, close }: FormProps & { readonly item: SoldItem }) {
  const key = `units of ${of.id} ${item.id}`;
  const [units] = useState(() => signal(readDraft(key, isUnits)?.units ?? ""));
  const draft = {
    key,
    now: () => ({ units: units.value }),
    reset: () => {
      units.value = "";
    },
  };
  const many = wholeOf(units.value);
  const save = async () => {
    if (many === null) throw new Wrong("How many is a whole number from 1.");
    // Sent once: twice would add them twice.
    await send("POST", `${pathOf(of)}/restock`, { body: { item_id: item.id, units: many } });
    done();
  };
  return (
    <FormSheet
      title={`Add units of ${item.name}`}
      yes={many === null ? "Add them" : `Add ${count(many)}`}
      done="They are on sale."
      save={save}
      close={close}
      draft={draft}
    >
      <Field label="Units to add" value={units} inputMode="numeric" required />
      <p class="effect" role="status">
        {many === null
          ? `It has ${count(item.stock)} now, of which ${count(item.available)} are free.`
          : `Its stock grows from ${count(item.stock)} to ${count(item.stock + many)}, and ${many === 1 ? "the new one is" : "the new ones are"} on sale at once.`}{" "}
        A stock does not shrink again.
      </p>
    </FormSheet>
  );
}
