/** What a visitor sees where no page is: answered with 404. */
import { mount } from "../layout.tsx";
import { EmptyState, LinkButton } from "../ui.tsx";

mount(
  <div class="wide missing">
    <EmptyState title="Nothing here" animal={9} whole>
      <p>There is no page at this address. It may have moved, or never been.</p>
      <LinkButton href="/">To the drop</LinkButton>
    </EmptyState>
  </div>,
);
