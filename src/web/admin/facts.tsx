/** A figure with its title, and a word about it. */
import type { ComponentChildren } from "preact";

/** `text`: is no figure, and is set as text. */
export const Fact = ({
  title,
  children,
  note,
  text = false,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly note?: ComponentChildren;
  readonly text?: boolean;
}) => (
  <div class="fact">
    <dt>{title}</dt>
    <dd class={text ? "fact-text" : undefined}>{children}</dd>
    {note !== undefined && <dd class="fact-note">{note}</dd>}
  </div>
);
