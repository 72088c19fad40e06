/** What the administrator's forms have in common: prices and times as text, and a form in a sheet. */
import { effect, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { tabStorage } from "../api.ts";
import { house } from "../house.ts";
import { Dialog, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { Button } from "../ui.tsx";

const { digits } = house;
const minor = 10 ** digits;
/** As the server has it of prices, in minor units, and of whatever is counted. */
const wholeMax = 2_147_483_647;
const priceForm = new RegExp(
  digits === 0 ? "^(\\d{1,10})$" : `^(\\d{1,10})(?:[.,](\\d{1,${digits}}))?$`,
);

/** "12", "12.5" and "12.50" in the currency's minor units; null for what is no price. */
export function centsOf(text: string): number | null {
  const found = priceForm.exec(text.trim());
  if (found === null) return null;
  const cents = Number(found[1]) * minor + Number((found[2] ?? "").padEnd(digits, "0"));
  return cents <= wholeMax ? cents : null;
}
export const priceText = (cents: number): string => (cents / minor).toFixed(digits);
/** What a price looks like that is right. */
export const priceExample = `${priceText(Math.round(12.5 * minor))}, and at most ${priceText(wholeMax)}`;

/** A whole number of at least one; null for what is none. */
export function wholeOf(text: string): number | null {
  const found = /^[1-9]\d{0,9}$/.test(text.trim()) ? Number(text) : null;
  return found !== null && found <= wholeMax ? found : null;
}

/** A moment as an input of the visitor's own time zone takes it: 2030-01-31T12:00. */
export function localText(at: string | number): string {
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
/** RFC 3339; null for what is no moment. */
export function instantOf(local: string): string | null {
  const ms = new Date(local).getTime();
  return local === "" || Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** What is wrong in a form, in words. */
export class Wrong extends Error {}

// --- Drafts -----------------------------------------------------------------------------------

/** What was typed and not saved, as text in this tab: a form that is closed opens with it again. */
export type Draft<T> = {
  readonly key: string;
  /** What stands in the form, for JSON; reads the form's signals. */
  readonly now: () => T;
  /** Puts back what the form began with. */
  readonly reset: () => void;
};
const draftPlace = (key: string): string => `draft.${key}`;

/** Throws nothing away that it does not understand: a draft of another shape is none. */
export function readDraft<T>(key: string, isOne: (value: unknown) => value is T): T | null {
  try {
    const stored: unknown = JSON.parse(tabStorage.get(draftPlace(key)) ?? "null");
    return isOne(stored) ? stored : null;
  } catch {
    return null;
  }
}

/** Whether a value has texts by these names. */
export function hasTexts<K extends string>(
  value: unknown,
  names: readonly K[],
): value is Record<K, string> {
  if (typeof value !== "object" || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return names.every((name) => typeof fields.get(name) === "string");
}

/** Keeps what is typed from now on; `isOld`: the form opened with what was typed before. */
function useDraft<T>(draft: Draft<T>) {
  const place = draftPlace(draft.key);
  const [state] = useState(() => ({
    isOld: signal(tabStorage.get(place) !== null),
    first: JSON.stringify(draft.now()),
  }));
  const { isOld } = state;
  useEffect(
    () =>
      effect(() => {
        const text = JSON.stringify(draft.now());
        tabStorage.set(place, isOld.peek() || text !== state.first ? text : null);
      }),
    [],
  );
  const forget = () => tabStorage.set(place, null);
  const startOver = () => {
    isOld.value = false;
    draft.reset();
    state.first = JSON.stringify(draft.now());
    forget();
  };
  return { isOld, startOver, forget };
}

const Old = ({ startOver }: { readonly startOver: () => void }) => (
  <p class="draft" role="status">
    This is what you typed before and did not save.{" "}
    <Button look="quiet" small onClick={startOver}>
      Start over
    </Button>
  </p>
);

/**
 * A form in a modal sheet. `save` throws `Wrong` or a Problem, which is said above the buttons. What is
 * typed is kept until it is saved or begun anew; only a button or Escape closes the sheet.
 */
export function FormSheet<T>({
  title,
  yes,
  done,
  save,
  close,
  draft,
  look = "strong",
  children,
}: {
  readonly title: string;
  readonly yes: string;
  /** Said once it is saved. */
  readonly done: string;
  readonly save: () => Promise<unknown>;
  readonly close: () => void;
  readonly draft: Draft<T>;
  /** `danger` for what cannot be undone. */
  readonly look?: "strong" | "danger";
  readonly children: ComponentChildren;
}) {
  const { isOld, startOver, forget } = useDraft(draft);
  const [{ busy, wrong }] = useState(() => ({ busy: signal(false), wrong: signal("") }));
  const submit = async () => {
    if (busy.value) return;
    busy.value = true;
    wrong.value = "";
    try {
      await save();
      notice(done, "good");
      close();
      forget();
    } catch (error) {
      wrong.value = error instanceof Wrong ? error.message : sentenceOf(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <Dialog title={title} onClose={close} keeps>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {isOld.value && <Old startOver={startOver} />}
        {children}
        <p class="form-wrong" role="alert">
          {wrong.value}
        </p>
        <div class="dialog-acts">
          <Button look="quiet" onClick={close}>
            Close
          </Button>
          <Button type="submit" look={look} busy={busy.value}>
            {yes}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
