/**
 * What a page says by itself (`notice`), and what it asks before something that cannot be undone
 * (`confirm`). Both live outside the page's own tree, in #notices, which layout.tsx renders.
 */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./ui.tsx";

type Tone = "plain" | "good" | "bad";
type Notice = { readonly id: number; readonly text: string; readonly tone: Tone };

const noticesMax = 3;
const shownMs = 6_000;
const notices = signal<readonly Notice[]>([]);
let made = 0;

/** Shown for six seconds, or until it is dismissed; read out by screen readers. */
export function notice(text: string, tone: Tone = "plain"): void {
  const id = ++made;
  const others = notices.value.filter((one) => one.text !== text);
  notices.value = [...others, { id, text, tone }].slice(-noticesMax);
  setTimeout(() => dismiss(id), shownMs);
}

const dismiss = (id: number) => {
  notices.value = notices.value.filter((one) => one.id !== id);
};

type Question = {
  readonly title: string;
  readonly text: ComponentChildren;
  /** The words of the button that does it: a verb, not "OK". */
  readonly yes: string;
  readonly no?: string;
  /** For what loses something. */
  readonly danger?: boolean;
};
const question = signal<(Question & { readonly answer: (yes: boolean) => void }) | null>(null);

/** Whether the visitor really wants to. Escape and the way out are "no". */
export function confirm(asked: Question): Promise<boolean> {
  question.value?.answer(false);
  return new Promise((resolve) => {
    const answer = (yes: boolean) => {
      question.value = null;
      resolve(yes);
    };
    question.value = { ...asked, answer };
  });
}

/**
 * A modal sheet: the browser keeps the focus in it and gives it back. A click beside it closes it,
 * unless there is something in it to lose (`keeps`).
 */
export function Dialog({
  title,
  keeps = false,
  onClose,
  children,
}: {
  readonly title: string;
  readonly keeps?: boolean;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    if (shown !== null && !shown.open) shown.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog card"
      aria-label={title}
      onClose={onClose}
      onClick={(event) => {
        // The backdrop belongs to the dialog element itself; everything else lies in its child.
        if (!keeps && event.target === dialog.current) dialog.current?.close();
      }}
    >
      <div class="dialog-body">
        <h2>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** Rendered once a page, by layout.tsx. */
export function Notices() {
  const asked = question.value;
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.showPopover();
    return notices.subscribe(() => {
      // What is shown last lies on top: above a dialog that was opened meanwhile.
      if (document.querySelector("dialog[open]") === null) return;
      list.current?.hidePopover();
      list.current?.showPopover();
    });
  }, []);
  return (
    <>
      <div ref={list} popover="manual" class="notices" role="status" aria-live="polite">
        {notices.value.map(({ id, text, tone }) => (
          <p key={id} class={`notice ${tone}`}>
            <span>{text}</span>
            <button type="button" aria-label="Dismiss" onClick={() => dismiss(id)}>
              ×
            </button>
          </p>
        ))}
      </div>
      {asked && (
        <Dialog title={asked.title} onClose={() => asked.answer(false)}>
          <div class="dialog-text">{asked.text}</div>
          <div class="dialog-acts">
            <Button look="quiet" onClick={() => asked.answer(false)}>
              {asked.no ?? "Keep it"}
            </Button>
            <Button look={asked.danger ? "danger" : "strong"} onClick={() => asked.answer(true)}>
              {asked.yes}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
