/** One product (`?id=`): its picture, its price, and the counter where it is bought. */
import { titleOf } from "../house.ts";
import { effect } from "@preact/signals";
import { mount } from "../layout.tsx";
import { Problem } from "../problems.ts";
import type { Product } from "../shop/data.ts";
import { askTime } from "../shop/data.ts";
import { EmptyState, ErrorState, LinkButton, money, Skeleton } from "../ui.tsx";
import { Counter, Wait } from "./buy.tsx";
import { follow, found, sale } from "./counter.ts";

function Price({ of }: { readonly of: Product }) {
  const cents = sale.value?.price_cents ?? of.price_cents;
  return (
    <p class="product-price">
      {money(cents)}
      {of.price_cents > cents && (
        <s>
          <span class="sr">instead of </span>
          {money(of.price_cents)}
        </s>
      )}
    </p>
  );
}

const isUnknown = (error: unknown): boolean =>
  error instanceof Problem && (error.status === 404 || error.status === 400);

function Page() {
  const now = found.state.value;
  if (now.is === "failed")
    return (
      <div class="wide product-body">
        {isUnknown(now.error) ? (
          <EmptyState title="No such product" animal={9} whole>
            <p>It may have been taken out of the shop.</p>
            <LinkButton href="/shop">To the shop</LinkButton>
          </EmptyState>
        ) : (
          <ErrorState whole error={now.error} again={() => void found.again()} />
        )}
      </div>
    );
  const of = now.is === "here" ? now.value.product : null;
  return (
    <div class="wide product-body">
      <p>
        <a href="/shop">The shop</a>
      </p>
      <article class="product">
        {of === null ? (
          <span class="product-picture" />
        ) : (
          <img class="product-picture" src={of.image_url} width="600" height="600" alt="" />
        )}
        <div class="product-text">
          <h1>{of?.name ?? <Skeleton width="80%" />}</h1>
          {of === null ? (
            <p class="product-price">
              <Skeleton width="4em" />
            </p>
          ) : (
            <Price of={of} />
          )}
          {of !== null && <Wait />}
          {of === null ? <section class="card counter" /> : <Counter />}
          <p class="product-about">{of?.description}</p>
        </div>
      </article>
    </div>
  );
}

effect(() => {
  const now = found.state.value;
  if (now.is === "here") document.title = titleOf(now.value.product.name);
});
askTime().catch(() => undefined);
follow();
mount(<Page />);
