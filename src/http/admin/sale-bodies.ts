/** What administrators say of product sales. */
import { z } from "zod";
import { admitPerSecondMax, itemUnitsMax } from "../../ledger/commands.ts";
import {
  admitPerSecondUsual,
  passTtlMsMax,
  passTtlMsMin,
  passTtlMsUsual,
} from "../../sales/draws.ts";
import { integerMax } from "../../store/integer.ts";
import { textField } from "../body.ts";
import { instant, whole } from "../fields.ts";
import { problem } from "../problems.ts";
import { price } from "./products.ts";

const itemsMax = 1_000;
const perUserLimitMax = 1_000_000;

const saleItems = z
  .array(
    z.object(
      {
        product_id: whole(1, integerMax),
        stock: whole(1, itemUnitsMax),
        price_cents: price,
      },
      "is not an object",
    ),
    "is not a list",
  )
  .min(1, "is empty")
  .max(itemsMax, `has more than ${itemsMax} entries`)
  .refine((items) => new Set(items.map((item) => item.product_id)).size === items.length, {
    message: "names a product twice",
  });

const perUserLimit = whole(1, perUserLimitMax);

const ratePerSecond = whole(1, admitPerSecondMax);
const passTtl = whole(passTtlMsMin, passTtlMsMax);

const saleState = z
  .enum(["draft", "published"], "is neither draft nor published")
  .describe("A draft is seen by administrators alone, and opens by no clock")
  .meta({ example: "published" });

export const newSale = z.object({
  title: textField,
  starts_at: instant,
  ends_at: instant,
  per_user_limit: perUserLimit.default(1),
  items: saleItems,
  entry: z
    .enum(["open", "queue"], "is neither open nor queue")
    .default("open")
    .meta({ example: "queue" }),
  admit_per_second: ratePerSecond.optional().describe("Of a queue; 200 without"),
  pass_ttl_ms: passTtl.optional().describe("Of a queue; 600000 without"),
  state: saleState.default("published"),
});

export const saleChange = z
  .object({
    title: textField.optional(),
    starts_at: instant.optional(),
    ends_at: instant.optional(),
    per_user_limit: perUserLimit.optional(),
    items: saleItems.optional(),
    admit_per_second: ratePerSecond.optional().describe("Of its queue, at any time"),
    paused: z.boolean("is neither true nor false").optional().describe("Of its queue, as above"),
    state: saleState.optional().describe("`published` announces a draft"),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: "has nothing that can be changed",
  });

export const restockBody = z.object({
  item_id: whole(1, integerMax).describe("Number of the item within the sale"),
  units: whole(1, itemUnitsMax),
});

export const changeIn = (body: z.output<typeof saleChange>) => ({
  title: body.title,
  startsAt: body.starts_at,
  endsAt: body.ends_at,
  perUserLimit: body.per_user_limit,
  items: body.items === undefined ? undefined : announced(body.items),
});

export const queueIn = (body: z.output<typeof newSale>) => ({
  admitPerSecond: body.admit_per_second ?? admitPerSecondUsual,
  passTtlMs: body.pass_ttl_ms ?? passTtlMsUsual,
});

/** What a sale has that everybody gets into at once, and cannot. */
export function strayIn(body: z.output<typeof newSale>): Response | null {
  const stray = (["admit_per_second", "pass_ttl_ms"] as const).find(
    (field) => body[field] !== undefined,
  );
  return stray === undefined
    ? null
    : problem("invalid_request", { detail: `${stray} is of a sale whose entry is queue` });
}

export const announced = (items: z.output<typeof saleItems>) =>
  items.map(({ product_id: productId, stock, price_cents: priceCents }) => ({
    productId,
    stock,
    priceCents,
  }));
