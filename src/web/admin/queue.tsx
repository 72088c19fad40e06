/**
 * The queue of a sale, live: how many have joined, been let in, bought and given up, as figures and as
 * a curve since the page opened; and the two controls there are: how many a second, and a pause.
 */
import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Answers } from "../answers.ts";
import { get, send } from "../api.ts";
import { notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import type { QueueNews } from "../live.ts";
import { serverNow } from "../time.tsx";
import { Badge, Button, count, Field } from "../ui.tsx";
import { Chart, Key } from "./chart.tsx";
import { wholeOf } from "./forms.tsx";

type Figures = QueueNews & {
  /** Buyers; null long after the sale, as what follows. */
  readonly bought: number | null;
  readonly holding: number | null;
  readonly given_up: number | null;
};
type Sample = { readonly at: number } & Pick<Figures, "joined" | "admitted_up_to"> & {
    readonly bought: number;
    readonly given_up: number;
  };

const everyMs = 1_000;
const samplesMax = 600;

const figures = signal<Figures | null>(null);
const samples = signal<readonly Sample[]>([]);
const rate = signal("");
const busy = signal(false);

const answers = new Answers();

async function ask(saleId: number): Promise<void> {
  if (document.hidden) return;
  const isTaken = answers.ask();
  try {
    const queue = await get<Figures>(`/api/admin/flash-sales/${saleId}/queue`);
    if (!isTaken()) return;
    if (figures.peek()?.sale_id !== saleId) {
      samples.value = [];
      rate.value = String(queue.admit_per_second);
    }
    figures.value = queue;
    const { joined, admitted_up_to } = queue;
    const [bought, given_up] = [queue.bought ?? 0, queue.given_up ?? 0];
    const sample = { at: serverNow() / 1000, joined, admitted_up_to, bought, given_up };
    samples.value = [...samples.peek().slice(1 - samplesMax), sample];
  } catch {
    // The header says that there is no connection; what is shown stays.
  }
}

/** Whether one has to wait for a sale. */
async function hasQueue(saleId: number): Promise<boolean> {
  const { entry } = await get<{ readonly entry: "open" | "queue" }>(`/sales/${saleId}`);
  return entry === "queue";
}

async function change(saleId: number, body: object, words: string): Promise<void> {
  busy.value = true;
  try {
    await send("PATCH", `/api/admin/flash-sales/${saleId}`, { body, again: true });
    notice(words, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  }
  busy.value = false;
  await ask(saleId);
}

const curve = computed((): [number[], number[], number[], number[], number[]] => {
  const all = samples.value;
  return [
    all.map(({ at }) => at),
    all.map(({ joined }) => joined),
    all.map(({ admitted_up_to }) => admitted_up_to),
    all.map(({ bought }) => bought),
    all.map(({ given_up }) => given_up),
  ];
});

function Controls({ of }: { readonly of: Figures }) {
  const set = () => {
    const wanted = wholeOf(rate.value);
    if (wanted === null) notice("The rate is a whole number from 1.", "bad");
    else
      void change(
        of.sale_id,
        { admit_per_second: wanted },
        `${count(wanted)} a second are let in.`,
      );
  };
  const words = of.paused ? "People are let in again." : "Nobody is let in until you go on.";
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        set();
      }}
    >
      <Field label="Let in a second" value={rate} inputMode="numeric" />
      <Button type="submit" look="quiet" busy={busy.value}>
        Set
      </Button>
      <Button
        look={of.paused ? "strong" : "quiet"}
        onClick={() => void change(of.sale_id, { paused: !of.paused }, words)}
      >
        {of.paused ? "Go on" : "Pause"}
      </Button>
    </form>
  );
}

/** Asks while it is looked at. @returns what ends it */
function follow(saleId: number): () => void {
  let timer: ReturnType<typeof setInterval> | undefined;
  let isGone = false;
  const begin = async (): Promise<void> => {
    if (!(await hasQueue(saleId)) || isGone) return;
    void ask(saleId);
    timer = setInterval(() => void ask(saleId), everyMs);
  };
  begin().catch(() => undefined);
  return () => {
    isGone = true;
    // Of this sale nothing is taken any more.
    answers.void();
    clearInterval(timer);
  };
}

/** Nothing for a sale that everybody may come into. */
export function QueuePanel({ saleId }: { readonly saleId: number }) {
  useEffect(() => follow(saleId), [saleId]);
  const of = figures.value;
  if (of === null || of.sale_id !== saleId) return null;
  const parts = [
    ["Joined", of.joined],
    ["Let in", of.admitted_up_to],
    ["Waiting", of.joined - of.admitted_up_to],
    ["Hold something", of.holding],
    ["Bought", of.bought],
    ["Given up", of.given_up],
  ] as const;
  const told = parts.filter((part): part is [(typeof part)[0], number] => part[1] !== null);
  return (
    <section class="card panel" aria-label="Queue">
      <div class="panel-head">
        <h2>Queue</h2>
        {of.paused ? (
          <Badge tone="held">Paused</Badge>
        ) : (
          <span class="soft num">{count(of.admit_per_second)} a second</span>
        )}
      </div>
      <dl class="meter-figures terse queue-figures">
        {told.map(([title, n]) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>{count(n)}</dd>
          </div>
        ))}
      </dl>
      <Chart
        label={`Queue: ${told.map(([title, n]) => `${title} ${count(n)}`).join(", ")}`}
        curves={[
          { colour: "--free" },
          { colour: "--held", isFilled: true },
          { colour: "--accent" },
          { colour: "--soft", isDashed: true },
        ]}
        data={curve}
        unit={count}
      />
      <p class="panel-note">
        <Key of="free" words="joined" /> <Key of="held" words="let in" />{" "}
        <Key of="accent" words="bought" /> <Key of="soft" words="given up." /> Since this page was
        opened.
      </p>
      <Controls of={of} />
    </section>
  );
}
