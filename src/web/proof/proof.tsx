/**
 * The proof: a sale's audit for the people who bought in it. The server asks PostgreSQL, not its own
 * memory, and this page says in words what came back, and how to ask oneself.
 *
 * `?sale=` picks the sale; without it, the one that is open, or the last there was.
 */
import { signal } from "@preact/signals";
import { get } from "../api.ts";
import { mount } from "../layout.tsx";
import { Problem } from "../problems.ts";
import { Moment, SaleMoment, serverNow, steadyNow } from "../time.tsx";
import {
  Badge,
  Button,
  count,
  EmptyState,
  ErrorState,
  load,
  Meter,
  Skeleton,
  Table,
} from "../ui.tsx";
import { type Audit, promisesOf } from "./promises.ts";

type Sale = {
  readonly id: number;
  readonly title: string;
  readonly status: "upcoming" | "open" | "closed";
  readonly starts_at: string;
  readonly ends_at: string;
  readonly stock: number;
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
};
type Proof = { readonly sale: Sale; readonly audit: Audit; readonly at: string };

const refreshMs = 5_000;
/** Of a sale that is over: without it named in the address, another one may be open by now. */
const refreshIdleMs = 20_000;
const othersMax = 8;
/** Announced ones are passed over: in this many pages of the list enough others are found. */
const listPagesMax = 3;

const asked = new URLSearchParams(location.search).get("sale");

type SaleList = { readonly sales: readonly Sale[]; readonly next_before: number | null };

async function saleId(): Promise<string> {
  if (asked !== null) return asked;
  const { current } = await get<{ readonly current: Sale | null }>("/sale");
  if (current !== null) return String(current.id);
  const [last] = await latest(() => true, 1);
  return String(last?.id ?? 1);
}

/** The latest sales that have opened and that are `wanted`. */
async function latest(wanted: (sale: Sale) => boolean, max: number): Promise<readonly Sale[]> {
  const found: Sale[] = [];
  let query = "";
  for (let page = 0; page < listPagesMax; page++) {
    const { sales, next_before } = await get<SaleList>(`/sales${query}`);
    found.push(...sales.filter((sale) => sale.status !== "upcoming" && wanted(sale)));
    if (found.length >= max || next_before === null) break;
    query = `?before=${next_before}`;
  }
  return found.slice(0, max);
}

async function readProof(): Promise<Proof> {
  const id = encodeURIComponent(await saleId());
  const [sale, audit] = await Promise.all([
    get<Sale>(`/sales/${id}`),
    get<Audit>(`/sales/${id}/audit`),
  ]);
  return { sale, audit, at: new Date(serverNow()).toISOString() };
}

const { state, again } = load(readProof);
const checking = signal(false);

async function check(): Promise<void> {
  if (checking.value) return;
  checking.value = true;
  await again();
  checking.value = false;
}
let checkedAt = steadyNow();
setInterval(() => {
  const now = state.value;
  const isOpen = now.is === "here" && now.value.sale.status === "open";
  if (document.hidden || steadyNow() - checkedAt < (isOpen ? refreshMs : refreshIdleMs)) return;
  checkedAt = steadyNow();
  void check();
}, 1_000);

/** The latest sales beside this one. */
async function readOthers(): Promise<readonly Sale[]> {
  const here = Number(await saleId());
  return await latest(({ id }) => id !== here, othersMax);
}
const others = load(readOthers);

function Verdict({ proof }: { readonly proof: Proof | null }) {
  const ok = proof?.audit.ok ?? true;
  return (
    <section class="verdict" data-ok={proof ? String(ok) : undefined}>
      <div class="wide verdict-in">
        <img src={`/herd/${ok ? 7 : 8}.svg`} width="220" height="220" alt="" />
        <div class="verdict-text">
          <p class="verdict-of">{proof ? proof.sale.title : "\u00a0"}</p>
          <h1>
            {proof === null ? "Counting." : ok ? "Every promise kept." : "A promise is broken."}
          </h1>
          <p class="verdict-when">
            {proof ? (
              <>
                <SaleMoment at={proof.sale.starts_at} /> to{" "}
                <SaleMoment at={proof.sale.ends_at} form="hour" />
                {proof.sale.status === "open" ? ", still open" : ""}.{" "}
                {proof.sale.attempts >= proof.audit.sold &&
                  `${count(proof.sale.attempts)} attempts on record.`}
              </>
            ) : (
              "Asking the records."
            )}
          </p>
          <Meter
            of={proof && { ...proof.sale, sold: proof.audit.sold, stock: proof.audit.stock }}
          />
        </div>
      </div>
    </section>
  );
}

const Promises = ({ proof }: { readonly proof: Proof | null }) => (
  <section class="stack" aria-labelledby="promises">
    <div class="row apart">
      <h2 id="promises">What was promised, and what is</h2>
      <span class="row">
        <span class="soft small-text num">
          {proof && (
            <>
              Counted at <Moment at={proof.at} form="second" />
            </>
          )}
        </span>
        <Button look="quiet" small busy={checking.value} onClick={() => void check()}>
          Count again
        </Button>
      </span>
    </div>
    <ol class="promises">
      {promisesOf(proof?.audit ?? null).map(({ title, meaning, found, kept }) => {
        const fine = proof === null ? null : kept(proof.audit);
        return (
          <li key={title} class="promise card" data-kept={fine === null ? undefined : String(fine)}>
            <span class="promise-mark" aria-hidden="true" />
            <h3>{title}</h3>
            <p class="promise-found num">
              <span class="sr">{fine === null ? "" : fine ? "Kept: " : "Broken: "}</span>
              {proof === null ? <Skeleton width="8em" /> : found(proof.audit)}
            </p>
            <p class="soft small-text">{meaning}</p>
          </li>
        );
      })}
    </ol>
  </section>
);

function Yourself({ id }: { readonly id: number | string }) {
  return (
    <section class="yourself stack" aria-labelledby="yourself">
      <h2 id="yourself">Do not take our word for it</h2>
      <p class="soft">
        These figures are counted in PostgreSQL, from the records of every attempt and every
        purchase; the program that sells has no say in them. Anybody can ask:
      </p>
      <pre tabIndex={0}>
        <code>curl {`${location.origin}/sales/${id}/audit`}</code>
      </pre>
      <p class="soft">Whoever runs the shop can count without it running at all:</p>
      <pre tabIndex={0}>
        <code>stampede verify --sale {id}</code>
      </pre>
      <p class="soft">
        It ends with an error when anything is off. And the database refuses by itself: a unit that
        is sold has a number from one to the stock, and no number can be taken twice.
      </p>
    </section>
  );
}

function Others() {
  const found = others.state.value;
  return (
    <section class="others stack" aria-labelledby="others">
      <h2 id="others">Other sales</h2>
      {found.is === "failed" && <p class="soft">They could not be read just now.</p>}
      {found.is === "here" && found.value.length === 0 && (
        <p class="soft">This is the first one.</p>
      )}
      {found.is === "here" && found.value.length > 0 && (
        <Table
          caption="Other sales"
          rows={found.value}
          keyOf={({ id }) => id}
          columns={[
            {
              title: "Sale",
              of: ({ id, title }) => <a href={`/proof?sale=${id}`}>{title}</a>,
            },
            { title: "Opened", of: ({ starts_at }) => <SaleMoment at={starts_at} /> },
            {
              title: "Sold",
              figures: true,
              of: ({ sold, stock }) => `${count(sold)} of ${count(stock)}`,
            },
            {
              title: "Now",
              of: ({ status }) =>
                status === "open" ? <Badge tone="good">Open</Badge> : <Badge>Over</Badge>,
            },
          ]}
        />
      )}
    </section>
  );
}

function ProofPage() {
  const now = state.value;
  if (now.is === "failed") {
    const unknown = now.error instanceof Problem && now.error.code === "sale_not_found";
    return (
      <div class="wide">
        {unknown ? (
          <EmptyState whole title="No such sale" animal={7}>
            <p>There is no sale of this number.</p>
            <a href="/proof">The proof of the present one</a>
          </EmptyState>
        ) : (
          <ErrorState whole error={now.error} again={() => void check()} />
        )}
      </div>
    );
  }
  const proof = now.is === "here" ? now.value : null;
  return (
    <>
      <Verdict proof={proof} />
      <div class="wide stack loose proof-body">
        <Promises proof={proof} />
        <div class="proof-more">
          <Yourself id={proof?.sale.id ?? asked ?? "1"} />
          <Others />
        </div>
      </div>
    </>
  );
}

mount(<ProofPage />);
