/**
 * Acts that take or pay something, done once: what a double tap, a held Enter or a hurried second
 * click would do is nothing.
 *
 * An act is about a subject, an item of a sale. While it is under way and for a moment after, no other
 * act about that subject is begun, for what stands in a button's place then means something else.
 * What came of it is said in the bar, and where its button has gone the focus goes to what took its
 * place.
 */
import { signal } from "@preact/signals";
import { sentenceOf } from "../problems.ts";

type Said = {
  readonly text: string;
  readonly tone: "good" | "bad" | "plain";
  /** Where to see more of it. */
  readonly links?: readonly { readonly href: string; readonly words: string }[];
  /** To screen readers alone: others see it. */
  readonly isSeen?: true;
};

/** Said in the bar until something else is, or it is dismissed. */
export const said = signal<Said | null>(null);
export const say = (text: string, tone: Said["tone"] = "plain"): void => {
  said.value = { text, tone };
};

/** A second click of a double one comes within this time. */
const settleMs = 600;

export const subjectOf = (saleId: number, item: number | "any"): string => `${saleId} ${item}`;

/** By subject, the verb that is under way, or null while it settles. */
export const busy = signal<ReadonlyMap<string, string | null>>(new Map());

function set(subjects: readonly string[], verb: string | null | undefined): void {
  const next = new Map(busy.peek());
  for (const one of subjects) {
    if (verb === undefined) next.delete(one);
    else next.set(one, verb);
  }
  busy.value = next;
}

/** What came of an act; other subjects that it was about, as of what "any" took. */
export type Done = Said & { readonly subjects?: readonly string[] };

export async function act(
  subjects: readonly string[],
  verb: string,
  does: () => Promise<Done>,
): Promise<void> {
  if (subjects.some((one) => busy.peek().has(one))) return;
  const slot = document.activeElement?.closest<HTMLElement>("[data-slot]") ?? null;
  let about = subjects;
  set(about, verb);
  try {
    const { subjects: others = [], ...words } = await does();
    about = [...about, ...others];
    said.value = words;
  } catch (error) {
    say(sentenceOf(error), "bad");
  }
  set(about, null);
  setTimeout(() => set(about, undefined), settleMs);
  keepFocus(slot);
}

/** What is removed loses the focus to the page's top; what took its place should have it. */
function keepFocus(slot: HTMLElement | null): void {
  if (slot === null) return;
  requestAnimationFrame(() =>
    setTimeout(() => {
      const now = document.activeElement;
      if (now !== null && now !== document.body) return;
      const next = slot.isConnected
        ? slot
        : document.querySelector<HTMLElement>("#bar [data-slot]");
      next?.focus({ preventScroll: true });
    }),
  );
}
