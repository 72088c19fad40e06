/**
 * The shop's front: the sale that is open, or else the next one, with its items; what comes, what is
 * over, and every product. Countdowns run by the server's clock.
 */
import { signal } from "@preact/signals";
import { mount } from "../layout.tsx";
import { Countdown, SaleMoment, whenText } from "../time.tsx";
import { Badge, Button, count, EmptyState, ErrorState, Meter, Picture } from "../ui.tsx";
import { calendarAddress, type FlashSale, isSoldOut, productAddress } from "./data.ts";
import { AllProducts, BlankCards, ItemCard } from "./goods.tsx";
import { failure, follow, refresh, sales, shown } from "./sales.ts";

const itemsShown = 24;
const picturesShown = 8;

const limitWords = (limit: number): string => (limit === 1 ? "One" : `Up to ${count(limit)}`);

/** With its clock time, what comes after one that is sold out. */
const nextWords = (next: FlashSale | undefined): string =>
  next === undefined ? "" : ` Next is “${next.title}”, ${whenText(next.starts_at)}.`;

/** What the night panel says. */
function stage() {
  if (sales.value === null) {
    const text =
      failure.value === null
        ? "Asking what is on sale."
        : "No word of what is on sale. Asking again.";
    return { word: "Flash sale", title: "The shop", text, of: null };
  }
  const { open, coming, over } = shown.value;
  const [now] = open;
  if (now !== undefined) {
    const text = isSoldOut(now)
      ? `Sold out: every one is gone.${nextWords(coming[0])}`
      : now.available === 0
        ? "All are held by somebody; one may come free in a moment."
        : `${limitWords(now.per_user_limit)} a person, while there are any.`;
    return { word: "Open now", title: now.title, text, of: now };
  }
  const [next] = coming;
  if (next !== undefined) {
    const text = `${count(next.stock)} to be had. ${limitWords(next.per_user_limit)} a person.`;
    return { word: "Opens soon", title: next.title, text, of: next };
  }
  const [last] = over;
  const text =
    last === undefined
      ? "The first flash sale is yet to be announced."
      : `The last one, “${last.title}”, is over: ${count(last.sold)} of ${count(last.stock)} were sold.`;
  return { word: "No sale at the moment", title: "The shop", text, of: null };
}

function Stage() {
  const { word, title, text, of } = stage();
  const isOpen = of !== null && shown.value.open.includes(of);
  const label = of === null ? "The clock" : isOpen ? "Closes in" : "Opens in";
  return (
    <section class="stage">
      <div class="wide stage-in">
        <div class="stage-what">
          <p class="stage-word">{word}</p>
          <h1>{title}</h1>
          <p class="stage-text">
            {text} {of !== null && !isOpen && <Calendar of={of} />}
          </p>
        </div>
        <Countdown to={of === null ? null : isOpen ? of.ends_at : of.starts_at} label={label} />
        <div class="stage-meter">
          <Meter of={of} />
        </div>
      </div>
    </section>
  );
}

const unfolded = signal<ReadonlySet<number>>(new Set());

function Items({ of, title }: { readonly of: FlashSale; readonly title: string }) {
  const isWhole = unfolded.value.has(of.id) || of.items.length <= itemsShown;
  return (
    <section class="stack shop-goods" aria-label={title}>
      <h2>{title}</h2>
      <ul class="goods">
        {of.items.slice(0, isWhole ? undefined : itemsShown).map((item) => (
          <ItemCard key={item.id} item={item} sale={of} />
        ))}
      </ul>
      {!isWhole && (
        <div class="row">
          <Button
            look="quiet"
            onClick={() => (unfolded.value = new Set(unfolded.value).add(of.id))}
          >
            Show all {count(of.items.length)}
          </Button>
        </div>
      )}
    </section>
  );
}

const Calendar = ({ of }: { readonly of: FlashSale }) => (
  <a href={calendarAddress(of.id)} download aria-label={`Put it into your calendar: ${of.title}`}>
    Put it into your calendar
  </a>
);

const Coming = ({ list }: { readonly list: readonly FlashSale[] }) => (
  <section class="stack">
    <h2>Next</h2>
    <ul class="coming">
      {list.map((sale) => (
        <li key={sale.id} class="card show">
          <h3>{sale.title}</h3>
          <Countdown to={sale.starts_at} label="Opens in" />
          <p class="soft">
            <SaleMoment at={sale.starts_at} />, {count(sale.stock)} to be had.{" "}
            <Calendar of={sale} />
          </p>
          <div class="show-row">
            {sale.items.slice(0, picturesShown).map((item) => (
              <a
                key={item.id}
                href={productAddress(item.product_id, sale.id)}
                aria-label={item.name}
              >
                <Picture src={item.image_url} size={64} />
              </a>
            ))}
          </div>
        </li>
      ))}
    </ul>
  </section>
);

const Past = ({ list }: { readonly list: readonly FlashSale[] }) => (
  <section class="stack">
    <h2>Over</h2>
    <ul class="past">
      {list.map((sale) => (
        <li key={sale.id}>
          <strong>{sale.title}</strong>
          {isSoldOut(sale) ? (
            <Badge tone="accent">Sold out</Badge>
          ) : (
            <span class="num">
              {count(sale.sold)} of {count(sale.stock)} sold
            </span>
          )}
          <span class="soft">
            Closed <SaleMoment at={sale.ends_at} />
          </span>
        </li>
      ))}
    </ul>
  </section>
);

function Sales() {
  if (failure.value !== null)
    return <ErrorState error={failure.value} again={() => void refresh()} />;
  if (sales.value === null)
    return (
      <section class="stack shop-goods">
        <h2>In this sale</h2>
        <ul class="goods">
          <BlankCards count={4} />
        </ul>
      </section>
    );
  const { open, coming, over } = shown.value;
  const [first, ...others] = open.length > 0 ? open : coming.slice(0, 1);
  const next = open.length > 0 ? coming : coming.slice(1);
  return (
    <>
      {first === undefined ? (
        <section class="shop-goods">
          <EmptyState title="Nothing in a sale at the moment" animal={9}>
            <p>
              Look at what we have below, or go to <a href="/">the drop</a>.
            </p>
          </EmptyState>
        </section>
      ) : (
        <Items of={first} title={open.length > 0 ? "In this sale" : "In the next sale"} />
      )}
      {others.map((sale) => (
        <Items key={sale.id} of={sale} title={`Also open: ${sale.title}`} />
      ))}
      {next.length > 0 && <Coming list={next} />}
      {over.length > 0 && <Past list={over} />}
    </>
  );
}

const Shop = () => (
  <>
    <Stage />
    <div class="wide stack loose shop-body">
      <Sales />
      <AllProducts />
    </div>
  </>
);

follow();
mount(<Shop />);
