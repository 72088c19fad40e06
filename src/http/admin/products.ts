/** What administrators do with the products of the shop. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { madeAs } from "../../engine/made.ts";
import type { Actor } from "../../ledger/commands.ts";
import type { ProductSaleChanges } from "../../sales/product-sale-changes.ts";
import type { Db } from "../../store/db.ts";
import { integerMax } from "../../store/integer.ts";
import { insertProduct, updateProduct } from "../../store/products.ts";
import { readBody, textField } from "../body.ts";
import { withScope } from "../callers.ts";
import { descriptionField, idIn, idParam, whole } from "../fields.ts";
import { json, problem } from "../problems.ts";
import type { Queues } from "../queue/queues.ts";
import type { Route } from "../server.ts";
import type { FlashSales, FlashSalesContext } from "../shop/flash-sales.ts";
import { productShape, showProduct } from "../shop/shop.ts";

export const price = whole(0, integerMax).describe("Minor units");

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

/** Refusals of whatever changes the shop … */
const everyone = ["invalid_request", "unauthenticated", "forbidden", "cross_site"] as const;
/** … and of what the leader decides. */
export const writing = [...everyone, "unavailable", "overloaded"] as const;

export type AdministrationContext = FlashSalesContext & {
  readonly productSales: ProductSaleChanges;
  readonly queues: Queues;
  /** For what is changed. */
  readonly changingDb: Db;
};

export function productRoutes(
  sales: FlashSales,
  accounts: Accounts,
  context: AdministrationContext,
): Route[] {
  const administration = new ProductAdministration(sales, context);
  return [
    {
      path: "/api/admin/products",
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.createProduct(request, by),
          ),
          summary: "Put a product into the shop",
          auth: "admin",
          body: newProduct,
          answers: { 201: productShape },
          sends: ["Location"],
          refusals: [...everyone],
        },
      },
    },
    {
      path: "/api/admin/products/:id",
      methods: {
        PATCH: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.changeProduct(request, by),
          ),
          summary: "Change a product; sales that were announced keep its name and price",
          auth: "admin",
          path: idParam("The product"),
          body: productChange,
          answers: { 200: productShape },
          refusals: [...everyone, "product_not_found"],
        },
        DELETE: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.deleteProduct(request, by),
          ),
          summary: "Take a product out of the shop",
          auth: "admin",
          path: idParam("The product"),
          answers: { 204: null },
          refusals: [...writing, "product_not_found", "product_in_sale"],
        },
      },
    },
  ];
}

class ProductAdministration {
  readonly #sales: FlashSales;
  readonly #context: AdministrationContext;

  constructor(sales: FlashSales, context: AdministrationContext) {
    this.#sales = sales;
    this.#context = context;
  }

  async createProduct(request: BunRequest, by: Actor): Promise<Response> {
    const body = await readBody(request, newProduct);
    if (body instanceof Response) return body;
    const { name, description, price_cents: priceCents } = body;
    const fields = { name, description, priceCents };
    const made = await insertProduct(this.#context.changingDb, fields, crypto.randomUUID(), by);
    return created(`/api/products/${made.id}`, showProduct(made, undefined));
  }

  async changeProduct(request: BunRequest, by: Actor): Promise<Response> {
    const body = await readBody(request, productChange);
    if (body instanceof Response) return body;
    const id = idIn(request, "id");
    const { name, description, price_cents: priceCents } = body;
    const changed =
      id === null
        ? null
        : await updateProduct(this.#context.changingDb, id, { name, description, priceCents }, by);
    if (changed === null) return problem("product_not_found");
    const sales = await madeAs(() => this.#sales.ofProducts([changed.id]));
    return json(showProduct(changed, sales.get(changed.id)));
  }

  async deleteProduct(request: BunRequest, by: Actor): Promise<Response> {
    const id = idIn(request, "id");
    const word =
      id === null ? "product_not_found" : await this.#context.productSales.deleteProduct(id, by);
    return word === "deleted" ? new Response(null, { status: 204 }) : problem(word);
  }
}

/** Something was made, and is there. */
export function created(location: string, body: unknown): Response {
  const response = json(body, 201);
  response.headers.set("Location", location);
  return response;
}
