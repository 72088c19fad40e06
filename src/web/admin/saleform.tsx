/** Announcing a product sale, and changing one before it opens. */
import { type Signal, signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import { Answers } from "../answers.ts";
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
  priceExample,
  priceText,
  readDraft,
  wholeOf,
  Wrong,
} from "./forms.tsx";

const productsPerPage = 100;
const productsMax = 1_000;
const minuteMs = 60_000;
const passMinutes = 10;

/** To choose from; asked for when a form opens. */
const products = signal<readonly Product[]>([]);

const answers = new Answers();
export async function askProducts(): Promise<void> {
  const isTaken = answers.ask();
  const found: Product[] = [];
  let after: number | null = 0;
  while (after !== null && found.length < productsMax) {
    const page: ProductPage = await get<ProductPage>(
      `/api/products?limit=${productsPerPage}&after=${after}`,
    );
    found.push(...page.products);
    after = page.next_after;
  }
  if (isTaken()) products.value = found;
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
  /** How many a second are let in; nothing: everybody may come in at once. */
  readonly rate: string;
  /** How long a pass lasts, in minutes. */
  readonly pass: string;
  readonly items: readonly LineDraft[];
};
const isSaleDraft = (value: unknown): value is SaleDraft =>
  hasTexts(value, ["title", "starts", "ends", "limit", "rate", "pass"]) &&
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
  const rate = of?.admit_per_second ?? null;
  return {
    title: of?.title ?? "",
    ...times,
    limit,
    rate: rate === null ? "" : String(rate),
    pass: String(Math.round((of?.pass_ttl_ms ?? passMinutes * minuteMs) / minuteMs)),
    items: items ?? [blankLine],
  };
}
const linesOf = ({ items }: SaleDraft): readonly Line[] =>
  items.map(({ product, stock, price }) => lineOf(product, stock, price));

const fieldsOf = (draft: SaleDraft) => ({
  title: signal(draft.title),
  starts: signal(draft.starts),
  ends: signal(draft.ends),
  limit: signal(draft.limit),
  rate: signal(draft.rate),
  pass: signal(draft.pass),
  items: signal<readonly Line[]>(linesOf(draft)),
});
type Fields = ReturnType<typeof fieldsOf>;

function draftOf(key: string, fields: Fields, stored: SaleDraft): Draft<SaleDraft> {
  const { title, starts, ends, limit, rate, pass, items } = fields;
  return {
    key,
    now: () => ({
      title: title.value,
      starts: starts.value,
      ends: ends.value,
      limit: limit.value,
      rate: rate.value,
      pass: pass.value,
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
      rate.value = stored.rate;
      pass.value = stored.pass;
      items.value = linesOf(stored);
    },
  };
}

/** An untouched time keeps its seconds, which the input does not show. */
const timeOf = (text: string, before: string | undefined): string | null =>
  before !== undefined && localText(before) === text ? before : instantOf(text);

/** How people come in. @throws Wrong */
function entryOf({ rate, pass }: Fields, of: FlashSale | null) {
  // That is decided when a sale is announced: its draw is promised from then on.
  if (of !== null) return {};
  if (rate.value.trim() === "") return { entry: "open" };
  const [perSecond, minutes] = [wholeOf(rate.value), wholeOf(pass.value)];
  if (perSecond === null) throw new Wrong("How many are let in a second is a whole number from 1.");
  if (minutes === null) throw new Wrong("A pass lasts a whole number of minutes, from 1.");
  const pass_ttl_ms = minutes * minuteMs;
  return { entry: "queue", admit_per_second: perSecond, pass_ttl_ms };
}

/** @throws Wrong with the first thing that is wrong */
function bodyOf(fields: Fields, of: FlashSale | null) {
  const { title, starts, ends, limit, items } = fields;
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
    ...entryOf(fields, of),
    items: items.value.map((line, i) => {
      const [stock, cents] = [wholeOf(line.stock.value), centsOf(line.price.value)];
      if (line.product.value === "") throw new Wrong(`Line ${i + 1} names no product.`);
      if (stock === null) throw new Wrong(`The stock of line ${i + 1} is a whole number from 1.`);
      if (cents === null)
        throw new Wrong(`The price of line ${i + 1} is a number such as ${priceExample}.`);
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

/** How people come in. */
const Entry = ({ fields }: { readonly fields: Fields }) => (
  <div class="pair">
    <Field
      label="Waiting room: let in a second"
      value={fields.rate}
      inputMode="numeric"
      hint="Empty: everybody may come in at once."
    />
    <Field label="A pass lasts, in minutes" value={fields.pass} inputMode="numeric" />
  </div>
);

const AsDraft = ({ value }: { readonly value: Signal<boolean> }) => (
  <div class="choices">
    <label>
      <input type="checkbox" checked={value.value} onChange={() => (value.value = !value.value)} />
      Keep it as a draft, which administrators alone see
    </label>
  </div>
);

type FormProps = { readonly done: () => Promise<void>; readonly close: () => void };

/** A new sale, or one that has not opened yet. */
export function SaleForm({ of, done, close }: FormProps & { readonly of: FlashSale | null }) {
  const key = `sale ${of?.id ?? "new"}`;
  const [{ stored, fields }] = useState(() => {
    const first = storedOf(of);
    return { stored: first, fields: fieldsOf(readDraft(key, isSaleDraft) ?? first) };
  });
  const { items } = fields;
  const [isDraft] = useState(() => signal(false));
  const save = async () => {
    const body = { ...bodyOf(fields, of), ...(isDraft.value && { state: "draft" }) };
    if (of === null) await send("POST", "/api/admin/flash-sales", { body });
    else await send("PATCH", `/api/admin/flash-sales/${of.id}`, { body, again: true });
    await done();
  };
  return (
    <FormSheet
      title={of === null ? "New sale" : "Change the sale"}
      yes={of === null && !isDraft.value ? "Announce" : "Save"}
      done={of === null && !isDraft.value ? "The sale is announced." : "Saved."}
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
      {of === null && <Entry fields={fields} />}
      {of === null && <AsDraft value={isDraft} />}
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
