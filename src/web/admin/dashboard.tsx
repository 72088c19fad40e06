/** The live dashboard: how fast, how far, with what outcome, and whether everything is well. */
import { computed, effect, signal } from "@preact/signals";
import { useId } from "preact/hooks";
import { house } from "../house.ts";
import { serverNow, tick } from "../time.tsx";
import { Badge, count, ErrorState, Skeleton } from "../ui.tsx";
import { Chart, Key } from "./chart.tsx";
import { Fact } from "./facts.tsx";
import { MoneyPart, pace, shareText } from "./money.tsx";
import { nameOf } from "./names.ts";
import { QueuePanel } from "./queue.tsx";
import { CsvLinks } from "./salehead.tsx";
import {
  askAgain,
  askPast,
  failure,
  oldMs,
  type Past,
  samples,
  type Stats,
  stats,
  type StatsSale,
} from "./stats.ts";
import { outcomeOf } from "./words.ts";

const decimals = new Intl.NumberFormat(house.locale, { maximumFractionDigits: 1 });
const rate = (n: number): string => decimals.format(n);
const percent = (of100: number): string => shareText(of100 / 100);
const mebibytes = (bytes: number): string => `${count(Math.round(bytes / 1_048_576))} MiB`;

/** Old answers are called that; what is shown stays. */
const isOld = computed(
  () => stats.value !== null && tick.value - Date.parse(stats.value.now) > oldMs,
);

// --- Is everything well? ----------------------------------------------------------------------

function Facts({ of }: { readonly of: Stats | null }) {
  const blank = <Skeleton width="3em" />;
  if (of === null)
    return (
      <dl class="facts">
        {["Attempts a second", "Attempts", "Leader", "Database", "Reserved", "Waiting"].map(
          (title) => (
            <Fact key={title} title={title} note={"\u00a0"}>
              {blank}
            </Fact>
          ),
        )}
      </dl>
    );
  const { attempts, database, reservations } = of;
  const { last_10s, last_60s } = attempts.per_second;
  return (
    <dl class="facts">
      <Fact title="Attempts a second" note={`${rate(last_60s)} over a minute`}>
        {rate(last_10s)}
      </Fact>
      <Fact title="Attempts" note="since the first">
        {count(attempts.total)}
      </Fact>
      <Fact title="Leader" note={`epoch ${count(of.epoch)}, ${mebibytes(of.memory_bytes)}`}>
        {isOld.value ? <Badge tone="bad">No word</Badge> : <Badge tone="good">Selling</Badge>}
      </Fact>
      <Fact
        title="Database"
        note={
          database.latency_ms === null ? "no answer" : `answers in ${rate(database.latency_ms)} ms`
        }
      >
        {database.state === "up" ? <Badge tone="good">Up</Badge> : <Badge tone="bad">Down</Badge>}
      </Fact>
      <Fact
        title="Reserved"
        note={`${count(reservations.expiring)} end within ${reservations.expiring_within_ms / 1000} s`}
      >
        {count(reservations.live)}
      </Fact>
      <Fact title="Waiting" note="to be decided">
        {count(of.waiting)}
      </Fact>
    </dl>
  );
}

// --- Curves -----------------------------------------------------------------------------------

/** Each minute of the last hour by the records, then each second as this page has seen it. */
const rates = computed<[number[], number[], (number | null)[]]>(() => {
  const live = samples.value;
  const since = live[0]?.at ?? Number.POSITIVE_INFINITY;
  const before = pace.value
    .map((one) => ({ at: Date.parse(one.at) / 1000, rate: one.per_second }))
    .filter(({ at }) => at < since);
  return [
    [...before, ...live].map(({ at }) => at),
    [...before, ...live].map((one) => one.rate),
    [...before.map(() => null), ...live.map((one) => one.rate10)],
  ];
});

const chosenId = signal<number | null>(null);
/** The sale that was chosen; else one that is open, the latest first; else the latest. */
const chosen = computed<StatsSale | null>(() => {
  const all = (stats.value?.sales ?? []).toSorted((a, b) => b.starts_at.localeCompare(a.starts_at));
  return (
    all.find(({ id }) => id === chosenId.value) ??
    all.find(({ status }) => status === "open") ??
    all[0] ??
    null
  );
});
const chosenNow = computed(() => chosen.value?.id ?? null);

/** What the records say of the chosen sale; the page goes on from there with what it sees. */
const past = signal<{ readonly saleId: number; readonly curve: Past } | null>(null);
effect(() => {
  const saleId = chosenNow.value;
  if (saleId === null || past.peek()?.saleId === saleId) return;
  // When it fails, the figures beside it say what is wrong, and the curve grows from here.
  remember(saleId).catch(() => undefined);
});
async function remember(saleId: number): Promise<void> {
  const curve = await askPast(saleId);
  if (chosenNow.peek() === saleId) past.value = { saleId, curve };
}

const sellThrough = computed<[number[], (number | null)[], (number | null)[]]>(() => {
  const sale = chosen.value;
  if (sale === null) return [[], [], []];
  const share = (units: number | undefined) =>
    units === undefined || sale.stock === 0 ? null : (units / sale.stock) * 100;
  const seen = samples.value;
  const opened = Date.parse(sale.starts_at) / 1000;
  const since = seen.find(({ sales }) => sales.has(sale.id))?.at ?? Number.POSITIVE_INFINITY;
  const known = past.value?.saleId === sale.id ? past.value.curve : [];
  const before = known.filter(({ at }) => at < since);
  const live = seen.filter(({ at }) => at >= opened);
  return [
    [...before, ...live].map(({ at }) => at),
    [
      ...before.map(({ sold }) => share(sold)),
      ...live.map(({ sales }) => share(sales.get(sale.id)?.[0])),
    ],
    [...before.map(() => null), ...live.map(({ sales }) => share(sales.get(sale.id)?.[1]))],
  ];
});

function Speed({ of }: { readonly of: Stats | null }) {
  const now = of?.attempts.per_second;
  return (
    <section class="card panel" aria-label="Attempts a second">
      <div class="panel-head">
        <h2>Attempts a second</h2>
        <p class="num panel-figure">{now === undefined ? "–" : rate(now.last_1s)}</p>
      </div>
      <Chart
        label={
          now === undefined
            ? "Attempts a second"
            : `Attempts a second: ${rate(now.last_1s)} now, ${rate(now.last_60s)} over the last minute`
        }
        curves={[
          { colour: "--accent", isFilled: true },
          { colour: "--free", isDashed: true },
        ]}
        data={rates}
        unit={rate}
      />
      <p class="panel-note">
        <i class="key accent" /> each minute of the last hour, each second since this page was
        opened <Key of="free" words="over ten" />
      </p>
    </section>
  );
}

const statusWords = { open: "open", upcoming: "coming", closed: "over" };

function SellThrough({ of }: { readonly of: Stats | null }) {
  const id = useId();
  const sale = chosen.value;
  const share = sale === null || sale.stock === 0 ? 0 : (sale.sold / sale.stock) * 100;
  return (
    <section class="card panel" aria-label="Sell-through">
      <div class="panel-head">
        <h2>Sell-through</h2>
        <p class="num panel-figure">{sale === null ? "–" : percent(share)}</p>
      </div>
      <Chart
        label={
          sale === null
            ? "No sale"
            : `${sale.title}: ${count(sale.sold)} of ${count(sale.stock)} sold, ${percent(share)}`
        }
        curves={[
          { colour: "--accent", isFilled: true },
          { colour: "--held", isDashed: true },
        ]}
        data={sellThrough}
        unit={percent}
        max={100}
      />
      <p class="panel-note">
        <Key of="accent" words="sold" /> <Key of="held" words="sold or reserved" />
        {sale &&
          `. Of ${count(sale.stock)}, ${count(sale.sold)} sold and ${count(sale.reserved)} reserved`}
      </p>
      <div class="panel-sale">
        <label for={id}>Sale</label>
        <select
          id={id}
          value={sale === null ? "" : String(sale.id)}
          onChange={(event) => (chosenId.value = Number(event.currentTarget.value))}
        >
          {of?.sales.map((one) => (
            <option key={one.id} value={String(one.id)}>
              {one.title} ({statusWords[one.status]})
            </option>
          ))}
        </select>
        {sale && <CsvLinks id={sale.id} title={sale.title} />}
      </div>
    </section>
  );
}

// --- Outcomes and reservations ----------------------------------------------------------------

function Outcomes({ of }: { readonly of: Stats | null }) {
  const all = Object.entries(of?.attempts.by_outcome ?? {}).toSorted(([, a], [, b]) => b - a);
  const total = all.reduce((sum, [, n]) => sum + n, 0);
  const most = all[0]?.[1] ?? 1;
  return (
    <section class="card panel" aria-label="Outcomes">
      <h2>Outcomes</h2>
      {of !== null && all.length === 0 && (
        <p class="soft">No attempts since this process started.</p>
      )}
      <ul class="bars">
        {all.map(([word, n]) => {
          const { words, tone } = outcomeOf(word);
          return (
            <li key={word}>
              <span>{words}</span>
              <span class="num">
                {count(n)} <span class="soft">{percent((n / total) * 100)}</span>
              </span>
              <i class={tone} style={{ transform: `scaleX(${n / most})` }} aria-hidden="true" />
            </li>
          );
        })}
      </ul>
      <p class="panel-note">Since this process started.</p>
    </section>
  );
}

function Expiring({ of }: { readonly of: Stats | null }) {
  const next = of?.reservations.next ?? [];
  void tick.value;
  return (
    <section class="card panel" aria-label="Reservations about to expire">
      <h2>About to expire</h2>
      {of !== null && next.length === 0 && (
        <p class="soft">No reservation runs out within ten seconds.</p>
      )}
      <ul class="ending">
        {next.map((one) => (
          <li key={`${one.sale_id} ${one.item_id} ${one.user_id} ${one.expires_at}`}>
            <span class="ending-who">{one.user_id}</span>
            <span class="soft ending-what">{nameOf(one.sale_id, one.item_id)}</span>
            <span class="num">
              {Math.max(0, Math.ceil((Date.parse(one.expires_at) - serverNow()) / 1000))} s
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Dashboard() {
  const of = stats.value;
  if (of === null && failure.value !== null)
    return <ErrorState error={failure.value} again={askAgain} />;
  return (
    <div class="stack">
      <p class="stale" role="status">
        {isOld.value && "No fresh figures at the moment; these are old."}
      </p>
      <MoneyPart />
      <Facts of={of} />
      <div class="panels">
        <Speed of={of} />
        <SellThrough of={of} />
        {chosen.value !== null && <QueuePanel saleId={chosen.value.id} />}
        <Outcomes of={of} />
        <Expiring of={of} />
      </div>
    </div>
  );
}
