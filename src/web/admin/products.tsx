/** The products: search, create, edit, delete. */
import { signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { confirm, notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { productAddress, type Product, type ProductPage } from "../shop/data.ts";
import { Badge, Button, type Column, EmptyState, Field, Money, Picture } from "../ui.tsx";
import { centsOf, FormSheet, hasTexts, priceText, readDraft, Wrong } from "./forms.tsx";
import { paged, PagedTable } from "./paged.tsx";

const perPage = 25;
const search = signal("");
/** What the form is open for. */
const editing = signal<Product | "new" | null>(null);

const list = paged<Product>(async (after) => {
  const q = search.peek().trim();
  const wanted = q === "" ? "" : `&q=${encodeURIComponent(q)}`;
  const page = await get<ProductPage>(
    `/api/products?limit=${perPage}&after=${after ?? 0}${wanted}`,
  );
  return { rows: page.products, next: page.next_after };
});

async function remove(product: Product): Promise<void> {
  const sure = await confirm({
    title: "Delete this product?",
    text: `“${product.name}” leaves the shop for good. What was bought of it stays in the records.`,
    yes: "Delete it",
    danger: true,
  });
  if (!sure) return;
  try {
    await send("DELETE", `/api/admin/products/${product.id}`);
    list.rows.value = list.rows.peek()?.filter(({ id }) => id !== product.id) ?? null;
    notice(`${product.name} is deleted.`, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  }
}

type ProductDraft = { readonly name: string; readonly description: string; readonly price: string };
const isProductDraft = (value: unknown): value is ProductDraft =>
  hasTexts(value, ["name", "description", "price"]);

function ProductForm({ of }: { readonly of: Product | null }) {
  const id = useId();
  const key = `product ${of?.id ?? "new"}`;
  const stored = {
    name: of?.name ?? "",
    description: of?.description ?? "",
    price: of === null ? "" : priceText(of.price_cents),
  };
  const [fields] = useState(() => {
    const first = readDraft(key, isProductDraft) ?? stored;
    return {
      name: signal(first.name),
      description: signal(first.description),
      price: signal(first.price),
    };
  });
  const { name, description, price } = fields;
  const draft = {
    key,
    now: () => ({ name: name.value, description: description.value, price: price.value }),
    reset: () => {
      name.value = stored.name;
      description.value = stored.description;
      price.value = stored.price;
    },
  };
  const save = async () => {
    const cents = centsOf(price.value);
    if (name.value.trim() === "") throw new Wrong("The product needs a name.");
    if (cents === null) throw new Wrong("The price is a number such as 12.50.");
    const body = { name: name.value.trim(), description: description.value, price_cents: cents };
    if (of === null) await send("POST", "/api/admin/products", { body });
    else await send("PATCH", `/api/admin/products/${of.id}`, { body, again: true });
    await list.again();
  };
  return (
    <FormSheet
      title={of === null ? "New product" : "Edit product"}
      yes={of === null ? "Create" : "Save"}
      done={of === null ? "The product is in the shop." : "Saved."}
      save={save}
      draft={draft}
      close={() => (editing.value = null)}
    >
      <Field label="Name" value={name} maxLength={255} required />
      <Field label="Regular price, in dollars" value={price} inputMode="decimal" required />
      <div class="field">
        <label for={id}>Description</label>
        <textarea
          id={id}
          rows={4}
          maxLength={5000}
          value={description.value}
          onInput={(event) => (description.value = event.currentTarget.value)}
        />
      </div>
      {of !== null && (
        <p class="field-hint">Sales that were announced keep the name and price they had.</p>
      )}
    </FormSheet>
  );
}

const columns: readonly Column<Product>[] = [
  {
    title: "Product",
    of: (row) => (
      <span class="cell-name">
        <Picture src={row.image_url} size={44} />
        <a href={productAddress(row.id)}>{row.name}</a>
      </span>
    ),
  },
  { title: "Price", of: (row) => <Money cents={row.price_cents} />, figures: true },
  {
    title: "Sale",
    of: ({ flash_sale }) =>
      flash_sale === null ? (
        <span class="soft">none</span>
      ) : (
        <Badge tone={flash_sale.status === "active" ? "good" : "held"}>{flash_sale.title}</Badge>
      ),
  },
  {
    title: "Actions",
    figures: true,
    of: (row) => (
      <span class="cell-acts">
        <Button look="quiet" small label={`Edit ${row.name}`} onClick={() => (editing.value = row)}>
          Edit
        </Button>
        <Button look="quiet" small label={`Delete ${row.name}`} onClick={() => void remove(row)}>
          Delete
        </Button>
      </span>
    ),
  },
];

export const refreshProducts = list.refresh;
export const openProducts = (): void => void list.again();

export function Products() {
  const form = editing.value;
  return (
    <section class="stack" aria-label="Products">
      <div class="toolbar">
        <form
          class="toolbar-find"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            void list.again();
          }}
        >
          <Field label="Find a product" type="search" value={search} maxLength={100} />
          <Button look="quiet" type="submit">
            Find
          </Button>
        </form>
        <Button onClick={() => (editing.value = "new")}>New product</Button>
      </div>
      <PagedTable
        list={list}
        caption="Products"
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <EmptyState title="No products" animal={8}>
            <p>{search.value === "" ? "Make the first one." : "None of that name."}</p>
          </EmptyState>
        }
      />
      {form !== null && (
        <ProductForm key={form === "new" ? 0 : form.id} of={form === "new" ? null : form} />
      )}
    </section>
  );
}
