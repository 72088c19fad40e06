/** What becomes of what administrators ask for of sales. */
import type { BunRequest } from "bun";
import type { z } from "zod";
import { madeAs } from "../../engine/made.ts";
import { rateChangesMax, type Actor } from "../../ledger/commands.ts";
import type { AnnouncedSale, Refusal } from "../../sales/product-sales.ts";
import type { StoredSale } from "../../store/sales.ts";
import { readBody } from "../body.ts";
import { idIn } from "../fields.ts";
import { json, problem, type ProblemCode } from "../problems.ts";
import { SaleFigures } from "../sale/figures.ts";
import { showDraft, type FlashSales } from "../shop/flash-sales.ts";
import { Drafts, type DraftsContext } from "../shop/drafts.ts";
import { created, type AdministrationContext } from "./products.ts";
import {
  announced,
  changeIn,
  newSale,
  queueIn,
  restockBody,
  saleChange,
  strayIn,
} from "./sale-bodies.ts";

export class SaleAdministration {
  readonly #sales: FlashSales;
  readonly #figures: SaleFigures;
  readonly #drafts: Drafts;
  readonly #context: AdministrationContext;

  constructor(sales: FlashSales, context: AdministrationContext & DraftsContext) {
    this.#sales = sales;
    this.#figures = new SaleFigures(context);
    this.#drafts = new Drafts(context);
    this.#context = context;
  }

  async createSale(request: BunRequest, by: Actor): Promise<Response> {
    const body = await readBody(request, newSale);
    if (body instanceof Response) return body;
    const sale: AnnouncedSale = {
      title: body.title,
      startsAt: body.starts_at,
      endsAt: body.ends_at,
      perUserLimit: body.per_user_limit,
      items: announced(body.items),
      queue: body.entry === "queue" ? queueIn(body) : undefined,
    };
    const stray = body.entry === "open" ? strayIn(body) : null;
    if (stray !== null) return stray;
    if (body.state === "draft")
      return madeDraft(await this.#drafts.make({ ...sale, queue: sale.queue ?? null }, by));
    const made = await this.#context.productSales.create(sale, by);
    if ("word" in made) return refuse(made);
    const { id } = made.sale;
    return created(`/api/flash-sales/${id}`, await madeAs(() => this.#sales.find(id)));
  }

  async changeSale(request: BunRequest, by: Actor): Promise<Response> {
    const body = await readBody(request, saleChange);
    if (body instanceof Response) return body;
    const id = idIn(request, "id");
    if (id === null) return problem("sale_not_found");
    const { admit_per_second: admitPerSecond, paused, state, ...terms } = body;
    const isDraft = (await this.#drafts.find(id)) !== null;
    const drafted = isDraft ? await this.#changeDraft(id, body, by) : null;
    if (drafted !== null) return drafted;
    if (state === "draft") return problem("invalid_request", published);
    const queue =
      admitPerSecond === undefined && paused === undefined ? null : { admitPerSecond, paused };
    const hasTerms = Object.values(terms).some((value) => value !== undefined);
    if (queue !== null && !hasTerms) {
      return (await this.#changeQueue(id, queue, by)) ?? (await this.#queueChanged(id));
    }
    const sale = hasTerms ? null : await this.#sales.find(id);
    if (sale !== null) return json(sale);
    // Refused as a whole: what may refuse the queue's change is known before anything is changed.
    const refused = queue === null ? null : await this.#queueRefusal(id);
    if (refused !== null) return refuse(refused);
    const changed = await this.#context.productSales.change(id, changeIn(body), by);
    if ("word" in changed || queue === null) return await this.#answer(changed);
    return (await madeAs(() => this.#changeQueue(id, queue, by))) ?? (await this.#answer(changed));
  }

  /** Null where it is no draft any more: somebody else has announced it in the meantime. */
  async #changeDraft(
    id: number,
    { paused, state, ...body }: z.output<typeof saleChange>,
    by: Actor,
  ): Promise<Response | null> {
    if (paused !== undefined) {
      return problem("invalid_request", { detail: "paused is of a sale that is announced" });
    }
    const change = { ...changeIn(body), admitPerSecond: body.admit_per_second };
    if (state === "published") {
      const made = await this.#drafts.publish(id, by, change);
      if (!("word" in made)) return await this.#answer(made);
      return made.word === "sale_not_found" ? null : refuse(made);
    }
    const hasMore = Object.values(change).some((value) => value !== undefined);
    const draft = hasMore
      ? await this.#drafts.change(id, change, by)
      : await this.#drafts.shown(id);
    if (draft !== null && !("word" in draft)) return json(showDraft(draft));
    return draft === null || draft.word === "sale_not_found" ? null : refuse(draft);
  }

  async duplicateSale(request: BunRequest, by: Actor): Promise<Response> {
    const id = idIn(request, "id");
    const of =
      id === null ? null : ((await this.#sales.stored(id)) ?? (await this.#drafts.shown(id)));
    return of === null
      ? problem("sale_not_found")
      : madeDraft(await this.#drafts.duplicate(of, by));
  }

  /** Why the rate of a sale's queue cannot be changed, whoever asks; null where it can. */
  async #queueRefusal(id: number): Promise<QueueRefusal | null> {
    const { catalogue, engine } = this.#context;
    const shown = await catalogue.find(id);
    if (shown === null) return { word: "sale_not_found" };
    if (shown.stored.sale.entry.kind === "open") return { word: "no_queue" };
    const changes = await engine.writer.read((view) => view.rateChanges(id).length);
    return changes < rateChangesMax ? null : { word: "too_many_changes" };
  }

  async #changeQueue(
    id: number,
    change: { readonly admitPerSecond: number | undefined; readonly paused: boolean | undefined },
    by: Actor,
  ): Promise<Response | null> {
    const { admitPerSecond = null, paused = null } = change;
    const asked = { admitPerSecond, paused };
    const word = await this.#context.productSales.changeQueue(id, asked, by);
    return word === "queue_changed" ? null : problem(word, details[word] ?? {});
  }

  /** What is shown of a sale whose queue was changed: of an hourly one the queue alone. */
  async #queueChanged(id: number): Promise<Response> {
    return await madeAs(async () => {
      const sale = await this.#sales.find(id);
      return sale === null ? await this.#context.queues.state(id) : json(sale);
    });
  }

  async closeSale(request: BunRequest, by: Actor): Promise<Response> {
    const id = idIn(request, "id");
    if (id === null) return problem("sale_not_found");
    return await this.#answer(await this.#context.productSales.close(id, by), id);
  }

  async restock(request: BunRequest, by: Actor): Promise<Response> {
    const body = await readBody(request, restockBody);
    if (body instanceof Response) return body;
    const saleId = idIn(request, "id");
    if (saleId === null) return problem("sale_not_found");
    const { item_id: itemId, units } = body;
    return await this.#answer(
      await this.#context.productSales.restock({ saleId, itemId, units, by }),
      saleId,
    );
  }

  async openSale(request: BunRequest, by: Actor): Promise<Response> {
    const id = idIn(request, "id");
    if (id === null) return problem("sale_not_found");
    return await this.#answer(await this.#context.productSales.open(id, by), id);
  }

  async withdrawSale(request: BunRequest, by: Actor): Promise<Response> {
    const id = idIn(request, "id");
    if (id !== null && (await this.#drafts.remove(id, by)))
      return new Response(null, { status: 204 });
    const word = id === null ? "sale_not_found" : await this.#context.productSales.withdraw(id, by);
    return word === "withdrawn" ? new Response(null, { status: 204 }) : problem(word);
  }

  /** @param id what was asked for: a draft is not open */
  async #answer(changed: StoredSale | Refusal, id: number | null = null): Promise<Response> {
    if ("word" in changed) {
      const isDraft =
        changed.word === "sale_not_found" && id !== null && (await this.#drafts.find(id)) !== null;
      return isDraft ? problem("sale_not_open", draftDetail) : refuse(changed);
    }
    const { id: saleId, kind } = changed.sale;
    const shown = await madeAs(async () =>
      kind === "product"
        ? await this.#sales.find(saleId)
        : await this.#figures.show(saleId, this.#context.clock()),
    );
    return json(shown);
  }
}

const madeDraft = (made: StoredSale | Refusal): Response =>
  "word" in made ? refuse(made) : created(`/api/flash-sales/${made.sale.id}`, showDraft(made));

const published = {
  detail: "state cannot become draft any more; what is announced can be withdrawn",
} as const;

const draftDetail = { detail: "It is a draft: nobody can buy of it before it is published." };

type QueueRefusal = { readonly word: "sale_not_found" | "no_queue" | "too_many_changes" };

function refuse(refusal: Refusal | QueueRefusal): Response {
  switch (refusal.word) {
    case "draft_changed":
      return problem("overloaded", { retryAfterMs: 1_000 });
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
  too_many_units: { detail: "There may be a million units of an item at most." },
};
