/**
 * What the hourly sale, the coupons and the operations answer, and what is said of their
 * parameters. Nothing is parsed by these on the way of a request: they are for the API's
 * document, and the tests hold every answer against them.
 */
import { z } from "zod";
import { queueAuditShape } from "./queue-shapes.ts";
import type { Sale } from "../ledger/sale.ts";
import { extensionMsMax } from "../ledger/commands.ts";
import { pageParams, timeShape, whole } from "./fields.ts";
import { textCharactersMax } from "./parse.ts";

const count = z.int().min(0);
const id = z.int().min(1);

/** A name or id, as `parseText` takes it. */
const text = z.string().min(1).max(textCharactersMax);

// Parameters.

export const idempotencyHeader = z.object({
  "Idempotency-Key": z
    .string()
    .max(128)
    .optional()
    .describe(
      "Up to 128 bytes. Remembers a success, not a refusal: the same key from the same user " +
        "gets the same answer again, after a crash too.",
    )
    .meta({ example: "order-4711" }),
});

const ticketText = z
  .string()
  .optional()
  .describe("Where a sale has a queue: a ticket of the same buyer whose turn has come")
  .meta({ example: "0f8fad5b-d9cb-469f-a165-70867728950e" });

/** On the paths where somebody reserves. */
export const ticketHeader = z.object({ "Queue-Ticket": ticketText });
export const ticketQuery = z.object({ ticket: ticketText });

const code = z.uuid().describe("What a checkout returned");

export const checkoutQuery = z.object({
  ticket: ticketText,
  user_id: text
    .optional()
    .describe("Who reserves; an account may leave it out")
    .meta({ example: "ann" }),
  id: z
    .union([z.int().min(1), z.literal("any")])
    .describe("Number of the item in its sale, from 1; `any`: the next free one")
    .meta({ example: "any" }),
  item_id: z
    .union([z.int().min(1), z.literal("any")])
    .optional()
    .describe("Taken where there is no `id`, for clients that call it so"),
  sale_id: id.optional().describe("Without it: the sale that is open on the hourly schedule"),
  expected_price_cents: count
    .optional()
    .describe("What it is believed to cost; where it costs something else, nothing is done"),
});

export const codeQuery = z.object({ code });

/** Reservations on a page; the ledger tells one more at once, which is the next page's. */
export const reservationsPerPageMax = 500;

export const reservationsQuery = z.object({
  user_id: checkoutQuery.shape.user_id
    .optional()
    .describe("A key names the customer; others may leave it out"),
  ...pageParams("reservation", reservationsPerPageMax),
});

export const purchaseQuery = codeQuery.extend({
  expected_price_cents: checkoutQuery.shape.expected_price_cents,
});

export const saleParam = z.object({ sale_id: id.describe("The sale, of either kind") });

export const wholeCatalogueQuery = z.object({
  of: z
    .string()
    .optional()
    .describe("When the sale opens, in milliseconds, and its stock: `START-STOCK`"),
});

export const itemParam = saleParam.extend({ id: id.describe("Number of the item in its sale") });

export const catalogueQuery = (limitMax: number) =>
  z.object({
    after: count.optional().describe("The page after this item").meta({ example: 0 }),
    limit: z.int().min(1).max(limitMax).optional().describe("Items on a page").meta({ example: 2 }),
    available: z.boolean().optional().describe("Only those with a free unit"),
    q: z.string().optional().describe("Part of a name").meta({ example: "a" }),
  });

export const saleListQuery = (limitMax: number) =>
  z.object({
    kind: z.enum(["hourly", "product"]).optional().describe("Without it: both"),
    before: id.optional().describe("Those with a lower id").meta({ example: 1_000 }),
    limit: z.int().min(1).max(limitMax).optional().describe("Sales on a page").meta({ example: 2 }),
  });

export const couponPageQuery = (limitMax: number) =>
  z.object({
    after: count.optional().describe("The page after the coupon of this id").meta({ example: 0 }),
    limit: z.int().min(1).max(limitMax).optional().describe("Coupons on a page"),
  });

export const couponExample = "TEN_PERCENT";

export const couponParam = z.object({
  name: text.describe("Any text, percent-encoded").meta({ example: couponExample }),
});

export const claimantsQuery = (limitMax: number) =>
  z.object({
    claims_after: count.optional().describe("Claims to leave out").meta({ example: 0 }),
    claims_limit: count.max(limitMax).optional().describe("Claims to list"),
  });

export const eventsHeader = z.object({
  "Last-Event-ID": z
    .string()
    .optional()
    .describe("Goes on after this event; browsers send it by themselves")
    .meta({ example: "1-1" }),
});

// The hourly sale.

const soldItem = z
  .object({ id, name: z.string(), image_url: z.string(), price_cents: count })
  .meta({ id: "SoldItem" });

export const buyerShape = z
  .enum(["guest", "account", "customer"])
  .describe("Of what kind the user is; the same name in two kinds is two buyers");

/** What is said beside of what is sold in a product sale. */
const inShop = { flash_sale_id: id.optional(), product_id: id.optional() };

export const reservationShape = z
  .object({
    code: z.uuid(),
    user_id: z.string(),
    buyer: buyerShape,
    sale_id: id,
    item: soldItem,
    expires_at: timeShape.describe("Until then the unit is kept"),
    ...inShop,
  })
  .meta({ id: "Reservation" });

export const reservationList = z.object({
  reservations: z.array(
    reservationShape.extend({
      reserved_at: timeShape,
      offered: z.boolean().describe("Whether it came from a waiting list"),
    }),
  ),
  next_after: z.int().nullable().describe("`after` of the next page; null when this is the last"),
});

export const codeParam = z.object({ code });

export const extensionBody = z.object({
  ms: whole(1, extensionMsMax)
    .describe("For how long from now on, in milliseconds")
    .meta({ example: 300_000 }),
});

export const extensionShape = z.object({
  code: z.uuid(),
  expires_at: timeShape.describe("Until then the unit is kept"),
});

/** An order of a product sale has more. */
export const orderShape = z
  .looseObject({
    message: z.literal("Purchase successful"),
    order_id: z.string(),
    code: z.uuid(),
    user_id: z.string(),
    buyer: buyerShape,
    sale_id: id,
    item: soldItem,
    purchased_at: timeShape,
    ...inShop,
    replayed: z.boolean().describe("Whether it had been bought before, and this is that order"),
    refunded: z.boolean().optional().describe("It was taken back since; left out where it was not"),
  })
  .meta({ id: "Order" });

export const orderStatusShape = z.enum(["paid", "partly_refunded", "refunded"]);

/** An order, as whoever has bought it sees it. */
export const ownOrderShape = z.object({
  order_id: z.string(),
  code: z.uuid(),
  codes: z.array(z.uuid()).describe("One a unit"),
  user_id: z.string(),
  buyer: buyerShape,
  sale_id: id,
  sale_title: z.string(),
  flash_sale_id: id.nullable().describe("Null for what was bought in an hourly sale"),
  flash_sale_title: z.string().nullable(),
  product_id: id.nullable(),
  item: soldItem,
  quantity: id,
  total_cents: count.describe("What was paid"),
  status: orderStatusShape,
  refunded_quantity: count,
  refunded_cents: count,
  purchased_at: timeShape,
});

/** How one gets in, of every sale that is shown. */
export const entryFields = {
  entry: z.enum(["open", "queue"]).describe("`queue`: one after another, with a ticket"),
  admit_per_second: z.int().nullable().describe("As announced; null where all get in at once"),
  pass_ttl_ms: z.int().nullable(),
};

/** As above, of a sale. */
export const showEntry = ({ entry }: Pick<Sale, "entry">) => ({
  entry: entry.kind,
  admit_per_second: entry.kind === "queue" ? entry.admitPerSecond : null,
  pass_ttl_ms: entry.kind === "queue" ? entry.passTtlMs : null,
});

export const saleShape = z
  .object({
    id,
    title: z.string(),
    kind: z.enum(["hourly", "product"]),
    status: z.enum(["upcoming", "open", "closed"]),
    starts_at: timeShape,
    ends_at: timeShape,
    stock: count,
    per_user_limit: id,
    reservation_ttl_ms: id,
    ...entryFields,
    sold: count.describe("Units that somebody owns"),
    refunded: count.describe("Units that were sold and taken back"),
    taken_out: count.describe("Of these, those that are not on sale again"),
    reserved: count,
    available: count,
    attempts: count,
  })
  .meta({ id: "Sale" });

export const saleList = z.object({
  sales: z.array(saleShape),
  next_before: z.int().nullable().describe("`before` of the next page; null on the last"),
});

export const currentShape = z.object({
  now: timeShape,
  current: saleShape.nullable(),
  next: z.object({
    starts_at: timeShape.nullable(),
    id: z.int().nullable().describe("Null until it is made, ten minutes ahead"),
    entry: z.enum(["open", "queue"]).nullable(),
  }),
});

export const itemShape = soldItem
  .extend({ colour: z.string(), stock: id, available: count })
  .meta({ id: "Item" });

export const itemPage = z.object({ items: z.array(itemShape), next_after: z.int().nullable() });

export const wholeCatalogueShape = z
  .object({
    sale_id: id,
    image_url: z
      .string()
      .describe("Of an item, with its number in place of `{id}`")
      .meta({ example: "/sales/1/items/{id}/image.svg" }),
    palette: z.array(z.string()).meta({ example: ["#f2b705"] }),
    names: z.array(z.string()).meta({ example: ["Tom the Mint Zebra"] }),
    price_cents: z.array(count).meta({ example: [3_199] }),
    stock: z
      .array(count)
      .describe("0: there is no item of this number")
      .meta({ example: [1] }),
    colours: z
      .array(count)
      .describe("Each an index into `palette`")
      .meta({ example: [0] }),
  })
  .meta({ id: "Catalogue" });

export const availabilityShape = z
  .object({
    sale_id: id,
    last_event_id: z
      .string()
      .nullable()
      .describe(
        "All that `/events` has said up to this event is in the figures, and nothing after it; " +
          "null of a sale of which it does not speak",
      )
      .meta({ example: "1-42" }),
    sold: count,
    reserved: count,
    available: count,
    free: z
      .array(count)
      .describe("Free units of each item")
      .meta({ example: [1] }),
  })
  .meta({ id: "Availability" });

export const auditShape = z
  .object({
    sale_id: id,
    title: z.string(),
    stock: count,
    sold: count,
    refunded: count.describe(
      "Units that were sold and taken back: with `sold`, all that were sold",
    ),
    per_user_limit: id,
    max_units_one_user: count,
    oversold_items: count,
    users_over_limit: count,
    purchases_without_attempt: count,
    purchases_without_reservation: count,
    purchases_outside_window: count,
    attempts_without_purchase: count,
    duplicate_codes: count,
    units_owned_twice: count,
    refunds_without_attempt: count,
    attempts_without_refund: count,
    refunds_miscounted: count,
    extensions_without_attempt: count,
    attempts_without_extension: count,
    extensions_beyond_bounds: count,
    offers_without_attempt: count,
    attempts_without_offer: count,
    offers_out_of_line: count,
    announcement_altered: count.describe("1 for what is not as announced, or changed since"),
    purchases_altered: count.describe("Figures that the journal has otherwise"),
    queue: queueAuditShape
      .nullable()
      .describe("Of a sale that is let in one after another; null for others"),
    ok: z.boolean().describe("Whether every promise is kept"),
  })
  .meta({ id: "Audit" });

// Coupons.

export const couponShape = z
  .object({
    id,
    name: z.string(),
    amount: id,
    remaining_amount: count,
    created_at: timeShape,
    starts_at: timeShape
      .nullable()
      .describe("From when on it can be claimed; null: from its making on"),
    ends_at: timeShape.nullable().describe("From when on it cannot any more; null: never"),
    disabled: z.boolean().describe("Whatever the time is, it cannot be claimed"),
  })
  .meta({ id: "Coupon" });

export const couponPage = z.object({
  coupons: z.array(couponShape),
  next_after: z.int().nullable(),
});

export const claimedCoupon = couponShape.extend({
  claimed_by: z
    .array(z.string())
    .nullable()
    .describe("Users, in the order of their claims; null for whoever may not see them"),
  next_claims_after: z.int().nullable(),
  my_claim: z
    .object({ claimed_at: timeShape })
    .nullable()
    .optional()
    .describe("A proven buyer's own, where they may not see those of others"),
});

export const claimShape = z.object({
  message: z.string(),
  user_id: z.string(),
  buyer: buyerShape,
  coupon_name: z.string(),
  remaining_amount: count,
  claimed_at: timeShape,
});

// Operations.

export const healthShape = z.object({ status: z.literal("ok") });

export const readyShape = z.object({
  role: z.enum(["leader", "standby"]),
  epoch: id.describe("Grows with every change of the leader"),
  process: z.string().nullable().describe("Which of several that share a port: `FRONTS`"),
  database: z.literal("up"),
  clock: z.object({
    difference_ms: z.int().describe("How much the machine's clock is ahead of the sale's"),
    warning: z.string().nullable(),
  }),
  disk: z.object({
    free_bytes: z.int().nullable().describe("Where PostgreSQL is the program's own"),
    warning: z.string().nullable(),
  }),
});
