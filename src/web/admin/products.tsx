/** The products: search, create, edit, delete. */
import { signal, type Signal } from "@preact/signals";
import { useEffect, useId, useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { house } from "../house.ts";
import { confirm, notice } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { productAddress, type Product, type ProductPage } from "../shop/data.ts";
import { Badge, Button, type Column, EmptyState, Field, Money, Picture } from "../ui.tsx";
import {
  centsOf,
  FormSheet,
  hasTexts,
  priceExample,
  priceText,
  readDraft,
  Wrong,
} from "./forms.tsx";
import { paged, PagedTable } from "./paged.tsx";
import { photoBytesMax, photoTypes } from "./photo.ts";

const perPage = 25;
const search = signal("");
/** What the form is open for. */
const editing = signal<Product | "new" | null>(null);

const list = paged<Product>(
  async (after, wanted) => {
    const page = await get<ProductPage>(
      `/api/products?limit=${perPage}&after=${after ?? 0}${wanted}`,
    );
    return { rows: page.products, next: page.next_after };
  },
  () => {
    const q = search.peek().trim();
    return q === "" ? "" : `&q=${encodeURIComponent(q)}`;
  },
);

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
    list.change((rows) => rows.filter(({ id }) => id !== product.id));
    notice(`${product.name} is deleted.`, "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  }
}

type ProductDraft = { readonly name: string; readonly description: string; readonly price: string };
const isProductDraft = (value: unknown): value is ProductDraft =>
  hasTexts(value, ["name", "description", "price"]);

function DescriptionField({ text }: { readonly text: Signal<string> }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>Description</label>
      <textarea
        id={id}
        rows={4}
        maxLength={5000}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
    </div>
  );
}

function ProductForm({ of }: { readonly of: Product | null }) {
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
  const [photo] = useState(() => signal<File | "drawn" | null>(null));
  const save = async () => {
    const cents = centsOf(price.value);
    if (name.value.trim() === "") throw new Wrong("The product needs a name.");
    if (cents === null) throw new Wrong(`The price is a number such as ${priceExample}.`);
    const body = { name: name.value.trim(), description: description.value, price_cents: cents };
    const method = of === null ? "POST" : "PATCH";
    const path = of === null ? "/api/admin/products" : `/api/admin/products/${of.id}`;
    const product = await send<Product>(method, path, { body, again: of !== null });
    await givePhoto(product.id, photo.value);
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
      <Field
        label={`Regular price, in ${house.currency}`}
        value={price}
        inputMode="decimal"
        required
      />
      <DescriptionField text={description} />
      <PhotoField of={of} photo={photo} />
      {of !== null && (
        <p class="field-hint">Sales that were announced keep the name and price they had.</p>
      )}
    </FormSheet>
  );
}

async function givePhoto(product: number, photo: File | "drawn" | null): Promise<void> {
  const path = `/api/admin/products/${product}/image`;
  if (photo === "drawn") return await send("DELETE", path);
  if (photo === null) return;
  if (photo.size > photoBytesMax) throw new Wrong("The picture has more than 5 MB.");
  try {
    await send("PUT", path, { file: photo, again: true });
  } catch (error) {
    const isWrong = error instanceof Problem && error.code === "invalid_request";
    throw isWrong ? new Wrong(`${error.message.replace(/^body/, "The picture")}.`) : error;
  }
}

/** The picture that a product has, and another to be given or the one that is drawn. */
function PhotoField({
  of,
  photo,
}: {
  readonly of: Product | null;
  readonly photo: Signal<File | "drawn" | null>;
}) {
  const id = useId();
  const chosen = photo.value;
  const [shown] = useState(() => signal<string | null>(null));
  useEffect(() => {
    shown.value = null;
    if (!(chosen instanceof File)) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => (shown.value = String(reader.result)));
    reader.readAsDataURL(chosen);
    return () => reader.abort();
  }, [chosen]);
  const isGiven = of?.image_url.includes("?v=") ?? false;
  const drawn = of === null ? null : `/api/products/${of.id}/image.svg`;
  const src = shown.value ?? (chosen === "drawn" ? drawn : (of?.image_url ?? null));
  return (
    <div class="field photo-field">
      <label for={id}>Picture</label>
      <div class="photo-row">
        {src !== null && <Picture key={src} src={src} size={72} />}
        <input
          id={id}
          type="file"
          accept={photoTypes}
          aria-describedby={`${id}-hint`}
          onChange={(event) => (photo.value = event.currentTarget.files?.[0] ?? null)}
        />
        {isGiven && chosen !== "drawn" && (
          <Button look="quiet" small onClick={() => (photo.value = "drawn")}>
            Use the drawn one
          </Button>
        )}
      </div>
      <p class="field-hint" id={`${id}-hint`}>
        PNG, JPEG, WebP or AVIF of at most 5 MB. Without one, a picture is drawn.
      </p>
    </div>
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
