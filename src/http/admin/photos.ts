/** The pictures that administrators give their products. */
import type { BunRequest } from "bun";
import type { Accounts } from "../../access/accounts.ts";
import { madeAnewApart, PhotoError, photoTypeOf, photoTypes } from "../../art/photo-process.ts";
import { madeAs } from "../../engine/made.ts";
import type { Db } from "../../store/db.ts";
import type { Actor } from "../../ledger/commands.ts";
import { setPicture, type StoredPicture } from "../../store/pictures.ts";
import { findProduct } from "../../store/products.ts";
import { readBytes } from "../body.ts";
import { withScope } from "../callers.ts";
import { idIn, idParam } from "../fields.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";
import type { FlashSales } from "../shop/flash-sales.ts";
import { productShape, showProduct } from "../shop/shop.ts";

/** Bytes of a picture as it comes. */
export const photoBytesMax = 5 * 1024 ** 2;
/** Pictures that are read or made anew at a time, one of them made; more are refused. */
const photosAtOnceMax = 4;

type PhotoContext = {
  readonly changingDb: Db;
};

export function photoRoutes(
  sales: FlashSales,
  accounts: Accounts,
  intake: PhotoIntake,
  context: PhotoContext,
): Route[] {
  const photos = new Photos(sales, intake, context);
  const refusals = ["product_not_found", "cross_site"] as const;
  return [
    {
      path: "/api/admin/products/:id/image",
      methods: {
        PUT: {
          handle: withScope(accounts, "manage", (request, _, by) => photos.put(request, by)),
          summary: "Give a product a picture, in place of the one that is drawn",
          description:
            "PNG, JPEG, WebP or AVIF of at most 5 MiB and 50 million pixels. It is made anew as " +
            "WebP of at most 1,200 pixels a side, without what else was in the file.",
          auth: "admin",
          path: idParam("The product"),
          bodyTypes: photoTypes,
          bodyBytesMax: photoBytesMax,
          answers: { 200: productShape },
          refusals: [...refusals, "overloaded"],
        },
        DELETE: {
          handle: withScope(accounts, "manage", (request, _, by) => photos.remove(request, by)),
          summary: "Take a product's picture away: it has the one that is drawn again",
          auth: "admin",
          path: idParam("The product"),
          answers: { 204: null },
          refusals,
        },
      },
    },
  ];
}

/** Pictures as they come: few at a time, each checked by its bytes and made anew. */
export class PhotoIntake {
  readonly #command: readonly string[];
  #count = 0;
  #made: Promise<unknown> = Promise.resolve();

  /** @param command what starts a process that makes one anew */
  constructor(command: readonly string[]) {
    this.#command = command;
  }

  /** Answers a request whose body is a picture: as `use` does, or why it is none. */
  async take(
    request: Request,
    use: (picture: StoredPicture) => Promise<Response>,
  ): Promise<Response> {
    const wanted = (request.headers.get("Content-Type") ?? "").split(";")[0]?.trim().toLowerCase();
    const type = photoTypes.find((one) => one === wanted);
    if (type === undefined) {
      const detail = `The body has to be a picture; send Content-Type: ${photoTypes.join(", ")}.`;
      return problem("unsupported_media_type", { detail });
    }
    if (this.#count >= photosAtOnceMax) return problem("overloaded", { retryAfterMs: 1_000 });
    this.#count += 1;
    try {
      const body = await readBytes(request, { bytesMax: photoBytesMax });
      if (body instanceof Response) return body;
      if (photoTypeOf(body) !== type) throw new PhotoError(`is not ${type}`);
      return await use(await this.#inTurn(body));
    } catch (error) {
      if (!(error instanceof PhotoError)) throw error;
      return problem("invalid_request", { detail: `body ${error.message}` });
    } finally {
      this.#count -= 1;
    }
  }

  /** One after another: each takes a core and much memory for a while. */
  async #inTurn(body: Uint8Array<ArrayBuffer>): Promise<StoredPicture> {
    const made = this.#made.then(() => madeAnewApart(this.#command, body));
    this.#made = made.catch(() => {});
    const bytes = await made;
    return { digest: new Bun.CryptoHasher("sha256").update(bytes).digest("hex"), bytes };
  }
}

class Photos {
  readonly #sales: FlashSales;
  readonly #intake: PhotoIntake;
  readonly #context: PhotoContext;

  constructor(sales: FlashSales, intake: PhotoIntake, context: PhotoContext) {
    this.#sales = sales;
    this.#intake = intake;
    this.#context = context;
  }

  async put(request: BunRequest, by: Actor): Promise<Response> {
    const id = await this.#find(request);
    return id === null
      ? problem("product_not_found")
      : await this.#intake.take(request, (picture) => this.#set(id, picture, by));
  }

  async remove(request: BunRequest, by: Actor): Promise<Response> {
    const id = await this.#find(request);
    const isSet = id !== null && (await setPicture(this.#context.changingDb, id, null, by));
    return isSet ? new Response(null, { status: 204 }) : problem("product_not_found");
  }

  async #set(id: number, picture: StoredPicture, by: Actor): Promise<Response> {
    const { changingDb } = this.#context;
    const isSet = await setPicture(changingDb, id, picture, by);
    if (!isSet) return problem("product_not_found");
    return await madeAs(async () => {
      const product = await findProduct(changingDb, id);
      if (product === null) return problem("product_not_found");
      const sales = await this.#sales.ofProducts([id]);
      return json(showProduct(product, sales.get(id)));
    });
  }

  async #find(request: BunRequest): Promise<number | null> {
    const id = idIn(request, "id");
    const product = id === null ? null : await findProduct(this.#context.changingDb, id);
    return product === null || product.deleted ? null : product.id;
  }
}
