/** What administrators do in the shop: its products, and the sales of them. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { AnnouncedSale, Refusal } from "../../sales/product-sales.ts";
import { integerMax } from "../../store/integer.ts";
import { insertProduct, updateProduct } from "../../store/products.ts";
import type { StoredSale } from "../../store/sales.ts";
import { withScope } from "../callers.ts";
import { readBody, textField } from "../body.ts";
import { descriptionField, idIn, idParam, instant, whole } from "../fields.ts";
import { flashSale, type FlashSales, type FlashSalesContext } from "../shop/flash-sales.ts";
import { json, problem, type ProblemCode } from "../problems.ts";
import type { Route } from "../server.ts";
import { productShape, showProduct } from "../shop/shop.ts";

const itemsMax = 1_000;
const stockMax = 1_000_000;
const perUserLimitMax = 1_000_000;

const price = whole(0, integerMax).describe("Minor units");

const newProduct = z.object({
  name: textField,
  description: descriptionField.default(""),
  price_cents: price,
});

const productChange = z
  .object({
    name: textField.optional(),
    description: descriptionField.optional(),
    price_cents: price.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: "has neither name nor description nor price_cents",
  });

const saleItems = z
  .array(
    z.object(
      {
        product_id: whole(1, integerMax),
        stock: whole(1, stockMax),
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

const newSale = z.object({
  title: textField,
  starts_at: instant,
  ends_at: instant,
  per_user_limit: perUserLimit.default(1),
  items: saleItems,
});

const saleChange = z
  .object({
    title: textField.optional(),
    starts_at: instant.optional(),
    ends_at: instant.optional(),
    per_user_limit: perUserLimit.optional(),
    items: saleItems.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: "has nothing that can be changed",
  });

const everyone = ["invalid_request", "unauthenticated", "forbidden", "cross_site"] as const;
const writing = [...everyone, "unavailable", "overloaded"] as const;

export function adminRoutes(
  sales: FlashSales,
  accounts: Accounts,
  context: FlashSalesContext,
): Route[] {
  const administration = new SaleAdministration(sales, context);
  return [...productRoutes(administration, accounts), ...saleRoutes(administration, accounts)];
}

function productRoutes(administration: SaleAdministration, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/admin/products",
      leaderOnly: true,
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request) => administration.createProduct(request)),
          summary: "Put a product into the shop",
          auth: "admin",
          body: newProduct,
          answers: { 201: productShape },
          sends: ["Location"],
          refusals: everyone,
        },
      },
    },
    {
      path: "/api/admin/products/:id",
      leaderOnly: true,
      methods: {
        PATCH: {
          handle: withScope(accounts, "manage", (request) => administration.changeProduct(request)),
          summary: "Change a product; sales that were announced keep its name and price",
          auth: "admin",
          path: idParam("The product"),
          body: productChange,
          answers: { 200: productShape },
          refusals: [...everyone, "product_not_found"],
        },
        DELETE: {
          handle: withScope(accounts, "manage", (request) => administration.deleteProduct(request)),
          summary: "Take a product out of the shop",
          auth: "admin",
          path: idParam("The product"),
          answers: { 204: null },
          refusals: [...everyone, "product_not_found", "product_in_sale"],
        },
      },
    },
  ];
}

function saleRoutes(administration: SaleAdministration, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/admin/flash-sales",
      leaderOnly: true,
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request) => administration.createSale(request)),
          summary: "Announce a product sale",
          auth: "admin",
          body: newSale,
          answers: { 201: flashSale },
          sends: ["Location"],
          refusals: [...writing, "product_not_found", "too_many_sales"],
        },
      },
    },
    {
      path: "/api/admin/flash-sales/:id",
      leaderOnly: true,
      methods: {
        PATCH: {
          handle: withScope(accounts, "manage", (request) => administration.changeSale(request)),
          summary: "Change a sale: anything before it opens, after that only to a later end",
          auth: "admin",
          path: idParam("The sale"),
          body: saleChange,
          answers: { 200: flashSale },
          refusals: [
            ...writing,
            "sale_not_found",
            "product_not_found",
            "sale_has_opened",
            "sale_ended",
            "end_not_later",
          ],
        },
      },
    },
    {
      path: "/api/admin/flash-sales/:id/close",
      leaderOnly: true,
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request) => administration.closeSale(request)),
          summary: "End an open sale at once",
          auth: "admin",
          path: idParam("The sale"),
          answers: { 200: flashSale },
          refusals: [...writing, "sale_not_found", "sale_not_open", "sale_ended"],
        },
      },
    },
  ];
}

class SaleAdministration {
  readonly #sales: FlashSales;
  readonly #context: FlashSalesContext;

  constructor(sales: FlashSales, context: FlashSalesContext) {
    this.#sales = sales;
    this.#context = context;
  }

  async createProduct(request: BunRequest): Promise<Response> {
    const body = await readBody(request, newProduct);
    if (body instanceof Response) return body;
    const { name, description, price_cents: priceCents } = body;
    const fields = { name, description, priceCents };
    const made = await insertProduct(this.#context.db, fields, crypto.randomUUID());
    return created(`/api/products/${made.id}`, showProduct(made, undefined));
  }

  async changeProduct(request: BunRequest): Promise<Response> {
    const body = await readBody(request, productChange);
    if (body instanceof Response) return body;
    const id = idIn(request, "id");
    const { name, description, price_cents: priceCents } = body;
    const changed =
      id === null
        ? null
        : await updateProduct(this.#context.db, id, { name, description, priceCents });
    if (changed === null) return problem("product_not_found");
    const sales = await this.#sales.ofProducts([changed.id]);
    return json(showProduct(changed, sales.get(changed.id)));
  }

  async deleteProduct(request: BunRequest): Promise<Response> {
    const id = idIn(request, "id");
    const { products } = this.#sales;
    const word = id === null ? "product_not_found" : await products.deleteProduct(id);
    return word === "deleted" ? new Response(null, { status: 204 }) : problem(word);
  }

  async createSale(request: BunRequest): Promise<Response> {
    const body = await readBody(request, newSale);
    if (body instanceof Response) return body;
    const sale: AnnouncedSale = {
      title: body.title,
      startsAt: body.starts_at,
      endsAt: body.ends_at,
      perUserLimit: body.per_user_limit,
      items: announced(body.items),
    };
    const made = await this.#sales.products.create(sale);
    if ("word" in made) return refuse(made);
    const { id } = made.sale;
    return created(`/api/flash-sales/${id}`, await this.#sales.find(id));
  }

  async changeSale(request: BunRequest): Promise<Response> {
    const body = await readBody(request, saleChange);
    if (body instanceof Response) return body;
    const id = idIn(request, "id");
    if (id === null) return problem("sale_not_found");
    const changed = await this.#sales.products.change(id, {
      title: body.title,
      startsAt: body.starts_at,
      endsAt: body.ends_at,
      perUserLimit: body.per_user_limit,
      items: body.items === undefined ? undefined : announced(body.items),
    });
    return await this.#answer(changed);
  }

  async closeSale(request: BunRequest): Promise<Response> {
    const id = idIn(request, "id");
    if (id === null) return problem("sale_not_found");
    return await this.#answer(await this.#sales.products.close(id));
  }

  async #answer(changed: StoredSale | Refusal): Promise<Response> {
    return "word" in changed ? refuse(changed) : json(await this.#sales.find(changed.sale.id));
  }
}

const announced = (items: z.output<typeof saleItems>) =>
  items.map(({ product_id: productId, stock, price_cents: priceCents }) => ({
    productId,
    stock,
    priceCents,
  }));

function refuse(refusal: Refusal): Response {
  switch (refusal.word) {
    case "invalid_request":
      return problem(refusal.word, { detail: refusal.detail });
    case "product_not_found":
      return problem(refusal.word, {
        detail: `There is no product ${refusal.productId} in the shop.`,
      });
    default:
      return problem(refusal.word, details[refusal.word] ?? {});
  }
}

/** In place of sentences that were written for buyers. */
const details: { readonly [word in ProblemCode]?: { readonly detail: string } } = {
  sale_not_open: { detail: "The sale has not opened yet." },
  sale_ended: { detail: "The sale is over." },
};

function created(location: string, body: unknown): Response {
  const response = json(body, 201);
  response.headers.set("Location", location);
  return response;
}
