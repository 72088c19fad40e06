/** What the administrator's forms have in common: prices and times as text, and a form in a sheet. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Dialog, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { Button } from "../ui.tsx";

/** "12", "12.5" and "12.50" in minor units; null for what is no price. */
export function centsOf(text: string): number | null {
  const found = /^(\d{1,8})(?:[.,](\d{1,2}))?$/.exec(text.trim());
  if (found === null) return null;
  return Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0"));
}
export const priceText = (cents: number): string => (cents / 100).toFixed(2);

/** A whole number of at least one; null for what is none. */
export function wholeOf(text: string): number | null {
  return /^[1-9]\d{0,6}$/.test(text.trim()) ? Number(text) : null;
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

/** A form in a modal sheet. `save` throws `Wrong` or a Problem, which is said above the buttons. */
export function FormSheet({
  title,
  yes,
  done,
  save,
  close,
  children,
}: {
  readonly title: string;
  readonly yes: string;
  /** Said once it is saved. */
  readonly done: string;
  readonly save: () => Promise<unknown>;
  readonly close: () => void;
  readonly children: ComponentChildren;
}) {
  const [state] = useState(() => ({ busy: signal(false), wrong: signal("") }));
  const { busy, wrong } = state;
  const submit = async () => {
    if (busy.value) return;
    busy.value = true;
    wrong.value = "";
    try {
      await save();
      notice(done, "good");
      close();
    } catch (error) {
      wrong.value = error instanceof Wrong ? error.message : sentenceOf(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <Dialog title={title} onClose={close}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {children}
        <p class="form-wrong" role="alert">
          {wrong.value}
        </p>
        <div class="dialog-acts">
          <Button look="quiet" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" busy={busy.value}>
            {yes}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
