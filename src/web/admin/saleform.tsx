/** Announcing a product sale, changing one before it opens, and giving an open one a later end. */
import { type Signal, signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import { get, send } from "../api.ts";
import type { FlashSale, Product, ProductPage } from "../shop/data.ts";
import { serverNow, zoneText } from "../time.tsx";
import { Button, Field } from "../ui.tsx";
import {
  centsOf,
  type Draft,
  FormSheet,
  hasTexts,
  instantOf,
  localText,
  priceText,
  readDraft,
  wholeOf,
  Wrong,
} from "./forms.tsx";

const productsPerPage = 100;
const productsMax = 1_000;
const minuteMs = 60_000;

/** To choose from; asked for when a form opens. */
const products = signal<readonly Product[]>([]);

export async function askProducts(): Promise<void> {
  const found: Product[] = [];
  let after: number | null = 0;
  while (after !== null && found.length < productsMax) {
    const page: ProductPage = await get<ProductPage>(
      `/api/products?limit=${productsPerPage}&after=${after}`,
    );
    found.push(...page.products);
    after = page.next_after;
  }
  products.value = found;
}

type Line = {
  readonly key: number;
  readonly product: Signal<string>;
  readonly stock: Signal<string>;
  readonly price: Signal<string>;
};
let lines = 0;
const lineOf = (product: string, stock: string, price: string): Line => ({
  key: ++lines,
  product: signal(product),
  stock: signal(stock),
  price: signal(price),
});

/** Of a new sale: from the next full quarter of an hour, for an hour. */
function blankTimes(): { readonly starts: string; readonly ends: string } {
  const quarterMs = 15 * minuteMs;
  const starts = Math.ceil((serverNow() + minuteMs) / quarterMs) * quarterMs;
  return { starts: localText(starts), ends: localText(starts + 60 * minuteMs) };
}

type LineDraft = { readonly product: string; readonly stock: string; readonly price: string };
type SaleDraft = {
  readonly title: string;
  readonly starts: string;
  readonly ends: string;
  readonly limit: string;
  readonly items: readonly LineDraft[];
};
const isSaleDraft = (value: unknown): value is SaleDraft =>
  hasTexts(value, ["title", "starts", "ends", "limit"]) &&
  "items" in value &&
  Array.isArray(value.items) &&
  value.items.every((line) => hasTexts(line, ["product", "stock", "price"]));

const blankLine: LineDraft = { product: "", stock: "", price: "" };

/** What the form of a sale begins with. */
function storedOf(of: FlashSale | null): SaleDraft {
  const times =
    of === null ? blankTimes() : { starts: localText(of.starts_at), ends: localText(of.ends_at) };
  const items = of?.items.map((item) => ({
    product: String(item.product_id),
    stock: String(item.stock),
    price: priceText(item.price_cents),
  }));
  const limit = String(of?.per_user_limit ?? 1);
  return { title: of?.title ?? "", ...times, limit, items: items ?? [blankLine] };
}
const linesOf = ({ items }: SaleDraft): readonly Line[] =>
  items.map(({ product, stock, price }) => lineOf(product, stock, price));

const fieldsOf = (draft: SaleDraft) => ({
  title: signal(draft.title),
  starts: signal(draft.starts),
  ends: signal(draft.ends),
  limit: signal(draft.limit),
  items: signal<readonly Line[]>(linesOf(draft)),
});
type Fields = ReturnType<typeof fieldsOf>;

function draftOf(key: string, fields: Fields, stored: SaleDraft): Draft<SaleDraft> {
  const { title, starts, ends, limit, items } = fields;
  return {
    key,
    now: () => ({
      title: title.value,
      starts: starts.value,
      ends: ends.value,
      limit: limit.value,
      items: items.value.map(({ product, stock, price }) => ({
        product: product.value,
        stock: stock.value,
        price: price.value,
      })),
    }),
    reset: () => {
      title.value = stored.title;
      starts.value = stored.starts;
      ends.value = stored.ends;
      limit.value = stored.limit;
      items.value = linesOf(stored);
    },
  };
}

/** An untouched time keeps its seconds, which the input does not show. */
const timeOf = (text: string, before: string | undefined): string | null =>
  before !== undefined && localText(before) === text ? before : instantOf(text);

/** @throws Wrong with the first thing that is wrong */
function bodyOf({ title, starts, ends, limit, items }: Fields, of: FlashSale | null) {
  const [from, to] = [timeOf(starts.value, of?.starts_at), timeOf(ends.value, of?.ends_at)];
  const perUser = wholeOf(limit.value);
  if (title.value.trim() === "") throw new Wrong("The sale needs a title.");
  if (from === null || to === null) throw new Wrong("Say when it opens and when it closes.");
  if (from !== of?.starts_at && Date.parse(from) < serverNow() - minuteMs)
    throw new Wrong("It cannot open in the past: take the present minute, or a later one.");
  if (Date.parse(to) <= serverNow()) throw new Wrong("Its end has passed already.");
  if (Date.parse(from) >= Date.parse(to)) throw new Wrong("It has to close after it opens.");
  if (perUser === null) throw new Wrong("The limit a person is a whole number from 1.");
  return {
    title: title.value.trim(),
    starts_at: from,
    ends_at: to,
    per_user_limit: perUser,
    items: items.value.map((line, i) => {
      const [stock, cents] = [wholeOf(line.stock.value), centsOf(line.price.value)];
      if (line.product.value === "") throw new Wrong(`Line ${i + 1} names no product.`);
      if (stock === null) throw new Wrong(`The stock of line ${i + 1} is a whole number from 1.`);
      if (cents === null) throw new Wrong(`The price of line ${i + 1} is a number such as 12.50.`);
      return { product_id: Number(line.product.value), stock, price_cents: cents };
    }),
  };
}

function LineRow({
  line,
  number,
  remove,
}: {
  readonly line: Line;
  readonly number: number;
  readonly remove: (() => void) | null;
}) {
  const id = useId();
  const choose = (value: string) => {
    line.product.value = value;
    const chosen = products.peek().find((one) => String(one.id) === value);
    if (chosen !== undefined && line.price.peek() === "")
      line.price.value = priceText(chosen.price_cents);
  };
  const isKnown = products.value.some((one) => String(one.id) === line.product.value);
  return (
    <fieldset class="line-row">
      <legend class="sr">Line {number}</legend>
      <div class="field">
        <label for={id}>Product</label>
        <select
          id={id}
          value={line.product.value}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          <option value="">Choose…</option>
          {!isKnown && line.product.value !== "" && (
            <option value={line.product.value}>Product {line.product.value}</option>
          )}
          {products.value.map((one) => (
            <option key={one.id} value={String(one.id)}>
              {one.name}
            </option>
          ))}
        </select>
      </div>
      <Field label="Stock" value={line.stock} inputMode="numeric" />
      <Field label="Price" value={line.price} inputMode="decimal" />
      <Button
        look="quiet"
        small
        off={remove === null}
        label={`Remove line ${number}`}
        onClick={() => remove?.()}
      >
        ×
      </Button>
    </fieldset>
  );
}

type FormProps = { readonly done: () => Promise<void>; readonly close: () => void };

/** A new sale, or one that has not opened yet. */
export function SaleForm({ of, done, close }: FormProps & { readonly of: FlashSale | null }) {
  const key = `sale ${of?.id ?? "new"}`;
  const [{ stored, fields }] = useState(() => {
    const first = storedOf(of);
    return { stored: first, fields: fieldsOf(readDraft(key, isSaleDraft) ?? first) };
  });
  const { items } = fields;
  const save = async () => {
    const body = bodyOf(fields, of);
    if (of === null) await send("POST", "/api/admin/flash-sales", { body });
    else await send("PATCH", `/api/admin/flash-sales/${of.id}`, { body, again: true });
    await done();
  };
  return (
    <FormSheet
      title={of === null ? "New sale" : "Change the sale"}
      yes={of === null ? "Announce" : "Save"}
      done={of === null ? "The sale is announced." : "Saved."}
      save={save}
      close={close}
      draft={draftOf(key, fields, stored)}
    >
      <Field label="Title" value={fields.title} maxLength={255} required />
      <div class="pair">
        <Field label="Opens" type="datetime-local" value={fields.starts} required />
        <Field label="Closes" type="datetime-local" value={fields.ends} required />
      </div>
      <p class="field-hint">Times are those of your own zone: {zoneText()}.</p>
      <Field label="Most a person may have" value={fields.limit} inputMode="numeric" required />
      <h3>Products</h3>
      {items.value.map((line, i) => (
        <LineRow
          key={line.key}
          line={line}
          number={i + 1}
          remove={
            items.value.length === 1
              ? null
              : () => (items.value = items.peek().filter((one) => one !== line))
          }
        />
      ))}
      <div class="row">
        <Button
          look="quiet"
          small
          onClick={() => (items.value = [...items.peek(), lineOf("", "", "")])}
        >
          Add a product
        </Button>
      </div>
    </FormSheet>
  );
}

const isText = (value: unknown): value is { readonly ends: string } => hasTexts(value, ["ends"]);

/** An open sale takes a later end and nothing else. */
export function ExtendForm({ of, done, close }: FormProps & { readonly of: FlashSale }) {
  const key = `end of sale ${of.id}`;
  const stored = localText(of.ends_at);
  const [ends] = useState(() => signal(readDraft(key, isText)?.ends ?? stored));
  const draft = {
    key,
    now: () => ({ ends: ends.value }),
    reset: () => {
      ends.value = stored;
    },
  };
  const save = async () => {
    const to = instantOf(ends.value);
    if (to === null || Date.parse(to) <= Date.parse(of.ends_at))
      throw new Wrong("The new end has to be later than the present one.");
    const body = { ends_at: to };
    await send("PATCH", `/api/admin/flash-sales/${of.id}`, { body, again: true });
    await done();
  };
  return (
    <FormSheet
      title="Extend the sale"
      yes="Extend"
      done="It closes later now."
      save={save}
      close={close}
      draft={draft}
    >
      <p>“{of.title}” is open. Its end can be moved to a later time, and not back again.</p>
      <Field
        label="Closes"
        type="datetime-local"
        value={ends}
        hint={`In your own zone: ${zoneText()}.`}
        required
      />
    </FormSheet>
  );
}
