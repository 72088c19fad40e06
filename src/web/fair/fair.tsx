/** How the draw of a waiting room works, and a check of one in the visitor's own browser (`?sale=`). */
import { signal } from "@preact/signals";
import { mount } from "../layout.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { Badge, Button, count } from "../ui.tsx";
import { type Checked, checkDraw } from "./draw.ts";

const saleId = Number(new URLSearchParams(location.search).get("sale") ?? "");
const isChecking = signal(false);
const done = signal(0);
const checked = signal<Checked | null>(null);
const failed = signal<string | null>(null);

async function check(): Promise<void> {
  isChecking.value = true;
  done.value = 0;
  failed.value = null;
  try {
    checked.value = await checkDraw(saleId, (n) => (done.value = n));
  } catch (error) {
    failed.value =
      error instanceof Problem
        ? sentenceOf(error)
        : "This browser could not check it here. The list and the seed are there for any program.";
  }
  isChecking.value = false;
}

function Findings({ of }: { readonly of: Checked }) {
  const { queue, findings } = of;
  if (findings === null)
    return <p>This sale has not been drawn yet. The promise stands: {queue.commitment}</p>;
  return (
    <dl class="fair-found">
      {findings.map(({ what, isKept }) => (
        <>
          <dt>
            <Badge tone={isKept ? "good" : "bad"}>{isKept ? "Holds" : "Broken"}</Badge>
          </dt>
          <dd>{what}</dd>
        </>
      ))}
      <dt class="soft">Promise</dt>
      <dd>
        <code class="code">{queue.commitment}</code>
      </dd>
      <dt class="soft">Seed</dt>
      <dd>
        <code class="code">{queue.seed}</code>
      </dd>
    </dl>
  );
}

const Check = () => (
  <section class="card fair-check stack" aria-labelledby="check-title">
    <h2 id="check-title">Check it here</h2>
    <p>
      Your browser fetches the list and the seed of sale {saleId}, and draws it once more. It takes
      nobody's word.
    </p>
    <div class="row">
      <Button busy={isChecking.value} onClick={() => void check()}>
        Check the draw
      </Button>
      {isChecking.value && <span class="soft num">{count(done.value)} entries</span>}
    </div>
    <div role="status">
      {failed.value !== null && <p>{failed.value}</p>}
      {checked.value !== null && <Findings of={checked.value} />}
    </div>
    <p class="small-text">
      <a href={`/sales/${saleId}/draw.csv`}>Everybody who was drawn, as a table</a> ·{" "}
      <a href={`/sales/${saleId}/queue`}>Promise and seed</a>
    </p>
  </section>
);

mount(
  <div class="wide fair-body">
    <h1>How the draw is fair</h1>
    <p>
      Where many come for few things, first come means the fastest machine. So whoever is in the
      waiting room before the opening is drawn, and it does not matter when they came. Who comes
      after it follows in the order of coming.
    </p>
    <ol>
      <li>
        When the sale is announced, a seed of 32 random bytes is made and kept secret. Its
        fingerprint (SHA-256), the promise, is public from then on: the seed cannot be exchanged for
        a better one.
      </li>
      <li>
        Whoever joins gets a secret ticket. Its fingerprint is their entry, which is all that others
        ever see of them.
      </li>
      <li>
        At the opening the list of entries is closed, and its fingerprint is taken. Nobody could
        know it before, those who made the seed neither.
      </li>
      <li>
        The fingerprint of seed, list and entry together is each one's lot. The lots in ascending
        order are the ranks.
      </li>
      <li>
        Seed and list are published. Whoever has them can draw again, and finds the same ranks, or
        that somebody cheated.
      </li>
    </ol>
    {Number.isSafeInteger(saleId) && saleId > 0 ? (
      <Check />
    ) : (
      <p class="soft">A sale's waiting room links here, with its own draw to check.</p>
    )}
  </div>,
);
