/** A product as a card, with its price and how many there are left; and the list of all of them. */
import { effect, signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { sentenceOf } from "../problems.ts";
import { SaleMoment } from "../time.tsx";
import {
  Badge,
  Button,
  count,
  EmptyState,
  ErrorState,
  Field,
  money,
  Picture,
  Skeleton,
} from "../ui.tsx";
import {
  type FlashSale,
  isSoldOut,
  leftWords,
  productAddress,
  type Product,
  type ProductPage,
  type SaleItem,
} from "./data.ts";

const perPage = 24;
const searchMs = 250;

const products = signal<readonly Product[] | null>(null);
const nextAfter = signal<number | null>(null);
const failure = signal<unknown>(null);
const busy = signal(false);
const search = signal("");
const answers = new Answers();

/** The price, and the regular one struck through where that is higher. */
const Price = ({
  cents,
  regular,
}: {
  readonly cents: number;
  readonly regular?: number | undefined;
}) => (
  <p class="price">
    {money(cents)}
    {regular !== undefined && regular > cents && (
      <s>
        <span class="sr">instead of </span>
        {money(regular)}
      </s>
    )}
  </p>
);

/** One of a sale's items. */
export function ItemCard({ item, sale }: { readonly item: SaleItem; readonly sale: FlashSale }) {
  const regular = products.value?.find(({ id }) => id === item.product_id)?.price_cents;
  const gone = isSoldOut(item);
  const few = item.available > 0 && item.available <= 5;
  return (
    <li class="card good" data-gone={gone ? "" : undefined}>
      <Picture src={item.image_url} size={300} />
      <div class="good-text">
        <h3>
          <a href={productAddress(item.product_id, sale.id)}>{item.name}</a>
        </h3>
        <Price cents={item.price_cents} regular={regular} />
        <p class="good-left num">
          {sale.status === "upcoming" ? (
            `${count(item.stock)} to be had`
          ) : gone ? (
            <Badge>Sold out</Badge>
          ) : few ? (
            <strong>{leftWords(item)}</strong>
          ) : (
            leftWords(item)
          )}
        </p>
      </div>
    </li>
  );
}

function ProductCard({ of }: { readonly of: Product }) {
  const sale = of.flash_sale;
  const gone = sale?.status === "active" && isSoldOut(sale);
  return (
    <li class="card good" data-gone={gone ? "" : undefined}>
      <Picture src={of.image_url} size={300} />
      <div class="good-text">
        <h3>
          <a href={productAddress(of.id)}>{of.name}</a>
        </h3>
        <Price cents={sale?.price_cents ?? of.price_cents} regular={of.price_cents} />
        <p class="good-left num">
          {sale === null ? (
            "In no sale at present"
          ) : sale.status === "upcoming" ? (
            <span>
              From <SaleMoment at={sale.starts_at} />
            </span>
          ) : (
            <Badge tone={gone ? "plain" : "accent"}>{leftWords(sale)}</Badge>
          )}
        </p>
      </div>
    </li>
  );
}

export const BlankCards = ({ count: many }: { readonly count: number }) => (
  <>
    {Array.from({ length: many }, (_, i) => (
      <li key={-1 - i} class="card good">
        <span class="picture" />
        <div class="good-text">
          <h3>
            <Skeleton width="80%" />
          </h3>
          <p class="price">
            <Skeleton width="40%" />
          </p>
          <p class="good-left">
            <Skeleton width="50%" />
          </p>
        </div>
      </li>
    ))}
  </>
);

async function ask(isMore: boolean): Promise<void> {
  const isTaken = answers.askAnew();
  busy.value = true;
  failure.value = null;
  const after = isMore ? `&after=${nextAfter.peek() ?? 0}` : "";
  const q = search.peek().trim();
  const wanted = q === "" ? "" : `&q=${encodeURIComponent(q)}`;
  try {
    const page = await get<ProductPage>(`/api/products?limit=${perPage}${after}${wanted}`);
    if (!isTaken()) return;
    busy.value = false;
    products.value = [...(isMore ? (products.peek() ?? []) : []), ...page.products];
    nextAfter.value = page.next_after;
  } catch (error) {
    if (!isTaken()) return;
    busy.value = false;
    failure.value = error;
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;
effect(() => {
  void search.value;
  clearTimeout(timer);
  timer = setTimeout(() => void ask(false), products.peek() === null ? 0 : searchMs);
});

/** Every product there is, to search and to page through. */
export function AllProducts() {
  const listed = products.value;
  return (
    <section class="stack" aria-label="All products">
      <div class="finder">
        <h2>Everything we have</h2>
        <Field label="Find a product" type="search" value={search} maxLength={100} />
      </div>
      <p class="sr" role="status">
        {listed !== null && `${count(listed.length)} products shown`}
      </p>
      {listed === null && failure.value !== null ? (
        <ErrorState error={failure.value} again={() => void ask(false)} />
      ) : listed?.length === 0 ? (
        <EmptyState
          title={search.value === "" ? "The shelves are empty" : "Nothing of that name"}
          animal={8}
        >
          <p>{search.value === "" ? "Products will come." : "Try a shorter word."}</p>
        </EmptyState>
      ) : (
        <ul class="goods">
          {listed === null && <BlankCards count={8} />}
          {listed?.map((one) => (
            <ProductCard key={one.id} of={one} />
          ))}
        </ul>
      )}
      {listed !== null && failure.value !== null && <p role="alert">{sentenceOf(failure.value)}</p>}
      {nextAfter.value !== null && (
        <div class="row">
          <Button look="quiet" busy={busy.value} onClick={() => void ask(true)}>
            Show more
          </Button>
        </div>
      )}
    </section>
  );
}
