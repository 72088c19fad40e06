/** A text that somebody takes along: shown to be selected, with a button that copies it. */
import { useId } from "preact/hooks";
import { notice } from "./notice.tsx";
import { Button } from "./ui.tsx";

/** The browser's clipboard exists in secure contexts only; there the text is selected, to be copied by hand. */
async function copy(text: string, shown: HTMLElement | null): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.", "good");
  } catch {
    if (shown !== null) getSelection()?.selectAllChildren(shown);
    notice("This browser does not let the page copy it. It is selected: copy it by hand.");
  }
}

export function Copied({ text, label }: { readonly text: string; readonly label: string }) {
  const id = useId();
  return (
    <div class="copied">
      <code id={id} class="copied-text">
        {text}
      </code>
      <Button
        look="quiet"
        small
        label={`Copy ${label}`}
        onClick={() => void copy(text, document.getElementById(id))}
      >
        Copy
      </Button>
    </div>
  );
}
