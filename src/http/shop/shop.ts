/** The shop: its products and their sales, for everybody to see. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { mayDo } from "../../access/identity.ts";
import { BoundedMap } from "../../bounded.ts";
import { itemPicture } from "../../art/pictures.ts";
import { integerMax } from "../../store/integer.ts";
import { hasDemo } from "../../store/demo.ts";
import { findPicture } from "../../store/pictures.ts";
import { findProduct, listProducts, type Product } from "../../store/products.ts";
import {
  lastEndedSale,
  listProductSales,
  saleStates,
  type SaleStateWord,
} from "../../store/product-sales.ts";
import { idIn, idParam, pageOf, pageParams, searchOf, time, timeShape } from "../fields.ts";
import {
  flashSale,
  flashSaleHead,
  FlashSales,
  productFlashSale,
  showDraft,
  type FlashSaleHead,
  type FlashSalesContext,
  type ProductFlashSale,
} from "./flash-sales.ts";
import { productImage } from "../../sales/catalogue.ts";
import { namesTag } from "../compressed.ts";
import type { Drafts } from "./drafts.ts";
import { Fresh } from "../fresh.ts";
import { Invalid, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";

const productsPerPage = 20;
const productsPerPageMax = 100;
const salesPerPage = 10;
const salesPerPageMax = 50;
/** Items of the sales of a page together; one sale may have as many. */
export const pageItemsMax = 1_000;
/** Pictures kept rendered. */
const picturesMax = 500;
/** How long a picture may be kept by whoever has it: the one that a product has, and the one drawn for it. */
const presentSeconds = 60;
const drawnSeconds = 86_400;
/** Pictures that were given, kept as they are sent; a few hundred kilobytes each. */
const photosMax = 100;

export const productShape = z.object({
  id: z.int(),
  name: z.string(),
  description: z.string(),
  image_url: z.string(),
  price_cents: z.int(),
  created_at: timeShape,
  flash_sale: productFlashSale.nullable(),
});
const productPage = z.object({ products: z.array(productShape), next_after: z.int().nullable() });
const salePage = z.object({ flash_sales: z.array(flashSale), next_after: z.int().nullable() });
const status = z.object({
  status: z.enum([...saleStates, "none"]),
  flash_sale: flashSaleHead.nullable(),
  server_time: timeShape,
});
const meta = z.object({ demo: z.boolean(), server_time: timeShape });

type ShopContext = FlashSalesContext & {
  readonly accounts: Accounts;
  readonly drafts: Drafts;
};

export function shopRoutes(sales: FlashSales, context: ShopContext): Route[] {
  const shop = new Shop(sales, context);
  return [...productRoutes(shop), ...saleRoutes(shop)];
}

function productRoutes(shop: Shop): Route[] {
  return [
    {
      path: "/api/products",
      methods: {
        GET: {
          handle: (request) => shop.products(queryOf(request.url)),
          cost: "records",
          summary: "The shop's products, each with the flash sale it is in now or next",
          query: z.object({
            ...pageParams("product", productsPerPageMax),
            q: z.string().optional().describe("Part of a name").meta({ example: "lamp" }),
          }),
          answers: { 200: productPage },
          refusals: ["invalid_request"],
        },
      },
    },
    {
      path: "/api/products/:id",
      methods: {
        GET: {
          handle: (request) => shop.product(request),
          cost: "records",
          summary: "One product",
          path: idParam("The product"),
          answers: { 200: productShape },
          refusals: ["product_not_found"],
        },
      },
    },
    {
      path: "/api/products/:id/image",
      methods: {
        GET: {
          handle: (request) => shop.picture(request),
          cost: "records",
          summary: "A product's picture: what was given (WebP), or else what is drawn (SVG)",
          description: "It stays what it is under an address with its `v`, as a product names it.",
          path: idParam("The product"),
          query: z.object({
            v: z.string().optional().describe("Which picture").meta({ example: "0a1b" }),
          }),
          answers: { 200: z.string(), 304: null },
          mediaType: "image/*",
          refusals: ["product_not_found"],
        },
      },
    },
    {
      path: "/api/products/:id/image.svg",
      methods: {
        GET: {
          handle: (request) => shop.drawnPicture(request),
          cost: "records",
          summary: "The picture that is drawn for a product",
          path: idParam("The product"),
          answers: { 200: z.string() },
          mediaType: "image/svg+xml",
          refusals: ["product_not_found"],
        },
      },
    },
  ];
}

function saleRoutes(shop: Shop): Route[] {
  return [
    {
      path: "/api/flash-sales",
      methods: {
        GET: {
          handle: (request) => shop.sales(request),
          cost: "records",
          summary: "Product sales with their items, newest first",
          description:
            "Administrators, and keys that manage or read, see drafts among the upcoming.",
          query: z.object({
            status: z.enum(saleStates).optional(),
            ...pageParams("sale", salesPerPageMax),
          }),
          answers: { 200: salePage },
          refusals: ["invalid_request"],
        },
      },
    },
    {
      path: "/api/flash-sales/status",
      methods: {
        GET: {
          handle: () => shop.status(),
          summary: "What a countdown needs: the sale that is open, else the next, else the last",
          answers: { 200: status },
          refusals: [],
        },
      },
    },
    {
      path: "/api/flash-sales/:id",
      methods: {
        GET: {
          handle: (request) => shop.sale(request),
          cost: "large",
          summary: "One product sale with its items",
          description: "A draft for administrators, and keys that manage or read, alone.",
          path: idParam("The sale"),
          answers: { 200: flashSale },
          refusals: ["sale_not_found"],
        },
      },
    },
    {
      path: "/api/meta",
      methods: {
        GET: {
          handle: () => shop.meta(),
          summary: "Whether this is a demo, whose accounts have passwords that anybody knows",
          answers: { 200: meta },
          refusals: [],
        },
      },
    },
  ];
}

/** A product as the shop and its administrators see it. */
export function showProduct(
  { id, name, description, picture, priceCents, createdAt }: Product,
  sale: ProductFlashSale | undefined,
) {
  return {
    id,
    name,
    description,
    image_url: picture === null ? productImage(id) : `${productImage(id)}?v=${picture}`,
    price_cents: priceCents,
    created_at: createdAt.toISOString(),
    flash_sale: sale ?? null,
  };
}

class Shop {
  readonly #sales: FlashSales;
  readonly #context: ShopContext;
  readonly #pictures = new BoundedMap<string, string>(picturesMax);
  readonly #photos = new BoundedMap<string, Uint8Array<ArrayBuffer>>(photosMax);
  readonly #lastEnded = new Fresh<FlashSaleHead | null, "last ended">();
  readonly #demo = new Fresh<boolean, "demo">();

  constructor(sales: FlashSales, context: ShopContext) {
    this.#sales = sales;
    this.#context = context;
  }

  async products(query: string): Promise<Response> {
    const page = pageOf(query, { limit: productsPerPage, limitMax: productsPerPageMax });
    if (page instanceof Invalid) return problem("invalid_request", page);
    const search = searchOf(query);
    if (search instanceof Invalid) return problem("invalid_request", search);
    const { limit } = page;
    const after = Math.min(page.after, integerMax);
    const found = await listProducts(this.#context.db, { after, limit: limit + 1, search });
    const shown = found.slice(0, limit);
    const sales = await this.#sales.ofProducts(shown.map(({ id }) => id));
    return json({
      products: shown.map((one) => showProduct(one, sales.get(one.id))),
      next_after: found.length > limit ? (shown.at(-1)?.id ?? null) : null,
    });
  }

  async product(request: BunRequest): Promise<Response> {
    const found = await this.#find(request);
    if (found === null || found.deleted) return problem("product_not_found");
    const sales = await this.#sales.ofProducts([found.id]);
    return json(showProduct(found, sales.get(found.id)));
  }

  /** The picture of a product that was taken out of the shop stays, for who has bought it. */
  async picture(request: BunRequest): Promise<Response> {
    const found = await this.#find(request);
    if (found === null) return problem("product_not_found");
    const { picture } = found;
    const given = picture === null ? null : await this.#given(picture);
    // Somebody may give it one, at the same address.
    if (picture === null || given === null) return this.#draw(found, presentSeconds);
    const entityTag = `"${picture}"`;
    const isLasting = queryValue(queryOf(request.url), "v") === picture;
    const headers = {
      "Content-Type": "image/webp",
      "Cache-Control": isLasting
        ? "public, max-age=31536000, immutable"
        : `public, max-age=${presentSeconds}`,
      ETag: entityTag,
      "Content-Security-Policy": "default-src 'none'",
      "X-Content-Type-Options": "nosniff",
    };
    return namesTag(request.headers.get("If-None-Match"), entityTag)
      ? new Response(null, { status: 304, headers })
      : new Response(given, { headers });
  }

  async #given(digest: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const known = this.#photos.get(digest);
    if (known !== undefined) return known;
    const found = await findPicture(this.#context.db, digest);
    if (found === null) return null;
    this.#photos.set(digest, found.bytes);
    return found.bytes;
  }

  async drawnPicture(request: BunRequest): Promise<Response> {
    const found = await this.#find(request);
    // The name in it may change; what it shows does not.
    return found === null ? problem("product_not_found") : this.#draw(found, drawnSeconds);
  }

  #draw({ pictureSeed, name }: Product, seconds: number): Response {
    const key = `${pictureSeed}\0${name}`;
    let svg = this.#pictures.get(key);
    if (svg === undefined) {
      svg = itemPicture(pictureSeed, name);
      this.#pictures.set(key, svg);
    }
    return new Response(svg, {
      headers: {
        "Content-Type": "image/svg+xml",
        "Cache-Control": `public, max-age=${seconds}`,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
      },
    });
  }

  async sales(request: BunRequest): Promise<Response> {
    const query = queryOf(request.url);
    const bounds = { limit: salesPerPage, limitMax: salesPerPageMax, after: integerMax };
    const page = pageOf(query, bounds);
    if (page instanceof Invalid) return problem("invalid_request", page);
    const wanted = queryValue(query, "status");
    const state = saleStates.find((word) => word === wanted) ?? null;
    if (wanted !== null && state === null) {
      return problem("invalid_request", { detail: `status is none of ${saleStates.join(", ")}` });
    }
    const seesDrafts = (state === null || state === "upcoming") && (await this.#sees(request));
    const { after: before, limit } = page;
    return await this.#salePage(state, { before: Math.min(before, integerMax), limit, seesDrafts });
  }

  async #salePage(
    state: SaleStateWord | null,
    {
      before,
      limit,
      seesDrafts,
    }: { readonly before: number; readonly limit: number; readonly seesDrafts: boolean },
  ): Promise<Response> {
    const { sql, clock, drafts } = this.#context;
    const options = { status: state, before, limit: limit + 1, now: clock() };
    const found = seesDrafts ? await drafts.list(before, limit + 1) : [];
    const draftOf = new Map(found.map((draft) => [draft.sale.id, draft]));
    const ids = [...(await listProductSales(sql, options)), ...draftOf.keys()]
      .toSorted((a, b) => b - a)
      .slice(0, limit + 1);
    const shown = await this.#sales.list(ids.slice(0, limit), pageItemsMax, draftOf);
    const last = shown.at(-1)?.id ?? null;
    return json({
      flash_sales: shown,
      next_after: last === null || last === ids.at(-1) ? null : last,
    });
  }

  async sale(request: BunRequest): Promise<Response> {
    const id = idIn(request, "id");
    const found = id === null ? null : await this.#sales.find(id);
    if (id === null || found !== null) {
      return found === null ? problem("sale_not_found") : json(found);
    }
    const draft = (await this.#sees(request)) ? await this.#context.drafts.shown(id) : null;
    return draft === null ? problem("sale_not_found") : json(showDraft(draft));
  }

  /** Whether somebody sees drafts. */
  async #sees(request: BunRequest): Promise<boolean> {
    const who = await this.#context.accounts.identify(request);
    return who !== "unauthenticated" && (mayDo(who, "manage") || mayDo(who, "read"));
  }

  async status(): Promise<Response> {
    const { clock } = this.#context;
    const present = await this.#sales.present();
    const sale =
      present ?? (await this.#lastEnded.get("last ended", clock(), () => this.#findLastEnded()));
    const server_time = time(clock());
    return json({ status: sale?.status ?? "none", flash_sale: sale, server_time });
  }

  async #findLastEnded(): Promise<FlashSaleHead | null> {
    const { sql, clock } = this.#context;
    const id = await lastEndedSale(sql, clock());
    const found = id === null ? null : await this.#sales.find(id);
    if (found === null) return null;
    const { items: _items, ...head } = found;
    return head;
  }

  async meta(): Promise<Response> {
    const { db, clock } = this.#context;
    const demo = await this.#demo.get("demo", clock(), () => hasDemo(db));
    return json({ demo, server_time: time(clock()) });
  }

  async #find(request: BunRequest): Promise<Product | null> {
    const id = idIn(request, "id");
    return id === null ? null : await findProduct(this.#context.db, id);
  }
}
