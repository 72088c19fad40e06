/**
 * How product sales are changed, whoever leads: what an administrator asks for goes to the leader as
 * a call, and comes back as what was stored, or why not.
 */
import { z } from "zod";
import type { CurrentWriter } from "../engine/current-writer.ts";
import { madeAs } from "../engine/made.ts";
import type { StoredSale } from "../store/sales.ts";
import type { Actor, Restock } from "../ledger/commands.ts";
import type { Caller } from "../store/activity.ts";
import { actorKinds } from "../store/words.ts";
import type { Catalogue } from "./catalogue.ts";
import type { DraftRef } from "../store/product-sales.ts";
import type {
  AnnouncedSale,
  DoneCall,
  ProductSales,
  Refusal,
  SaleChange,
} from "./product-sales.ts";

const items = z
  .array(z.object({ productId: z.int(), stock: z.int(), priceCents: z.int() }))
  .readonly();
const sale = z.object({
  title: z.string(),
  startsAt: z.number(),
  endsAt: z.number(),
  perUserLimit: z.int(),
  items,
});

const queue = z.object({ admitPerSecond: z.int(), passTtlMs: z.int() });
/** Who calls; and of what was called before, by which attempt it was not done. */
const called = {
  by: z.object({ kind: z.enum(actorKinds), name: z.string() }),
  again: z.int().optional(),
};
const one = { saleId: z.int(), ...called };

const calls = z.discriminatedUnion("call", [
  z.object({
    call: z.literal("create"),
    sale: sale.extend({ queue: queue.optional() }),
    ...called,
    // Who speaks the release before knows of none.
    draft: z.object({ id: z.int(), version: z.int() }).nullable().default(null),
  }),
  z.object({ call: z.literal("change"), ...one, change: sale.partial() }),
  z.object({ call: z.literal("close"), ...one }),
  z.object({ call: z.literal("open"), ...one }),
  z.object({ call: z.literal("withdraw"), ...one }),
  z.object({ call: z.literal("restock"), ...one, itemId: z.int(), units: z.int() }),
  z.object({
    call: z.literal("change_queue"),
    ...one,
    admitPerSecond: z.int().nullable(),
    paused: z.boolean().nullable(),
  }),
  z.object({ call: z.literal("delete_product"), id: z.int(), ...called }),
]);

const queueChange = z.object({
  word: z.enum(["queue_changed", "sale_not_found", "sale_ended", "no_queue", "too_many_changes"]),
});

const deletion = z.enum(["deleted", "product_not_found", "product_in_sale"]);

const withdrawal = z.enum(["withdrawn", "sale_not_found", "sale_opened"]);

const answers = z.discriminatedUnion("word", [
  z.object({ word: z.literal("stored"), saleId: z.int() }),
  z.object({ word: z.literal("product_not_found"), productId: z.int() }),
  z.object({ word: z.literal("invalid_request"), detail: z.string() }),
  z.object({
    word: z.enum([
      "sale_not_found",
      "sale_has_opened",
      "sale_opened",
      "sale_not_open",
      "sale_ended",
      "item_not_found",
      "too_many_units",
      "end_not_later",
      "too_many_sales",
      "draft_changed",
    ]),
  }),
]);

type Call = z.input<typeof calls>;
type MadeCall = z.output<typeof calls>;
type Answer = z.output<typeof answers>;

/**
 * What the leader makes of a call.
 * @param id of the call: what was done of it before is not done again
 * @throws ZodError for what is none
 */
export async function answerCall(sales: ProductSales, body: unknown, id: number): Promise<unknown> {
  const asked = calls.parse(body);
  const done = asked.again === undefined ? null : await sales.doneBefore(id, asked.again);
  return done === null ? await make(sales, asked, { ...asked.by, asked: id }) : again(asked, done);
}

async function make(sales: ProductSales, asked: MadeCall, by: Caller): Promise<unknown> {
  switch (asked.call) {
    case "create":
      return answerOf(await sales.create(asked.sale, by, asked.draft));
    case "change":
      return answerOf(await sales.change(asked.saleId, asked.change, by));
    case "close":
      return answerOf(await sales.close(asked.saleId, by));
    case "open":
      return answerOf(await sales.open(asked.saleId, by));
    case "restock": {
      const { saleId, itemId, units } = asked;
      return answerOf(await sales.restock({ saleId, itemId, units, by }));
    }
    case "withdraw":
      return await sales.withdraw(asked.saleId, by);
    case "change_queue": {
      const { saleId, admitPerSecond, paused } = asked;
      return await sales.changeQueue(saleId, { admitPerSecond, paused, by });
    }
    case "delete_product":
      return await sales.deleteProduct(asked.id, by);
    default:
      return asked satisfies never;
  }
}

/** What was answered, or would have been, made of what was done. */
function again(asked: MadeCall, { word, saleId }: DoneCall): unknown {
  switch (asked.call) {
    case "create":
    case "change":
    case "close":
    case "open":
    case "restock": {
      const isDone = word === "stored" || word === "sale_changed" || word === "restocked";
      return isDone ? { word: "stored", saleId } : { word };
    }
    case "withdraw":
      return word;
    case "change_queue":
      return { word };
    case "delete_product":
      return "deleted";
    default:
      return asked satisfies never;
  }
}

const answerOf = (made: StoredSale | Refusal): Answer =>
  "word" in made ? made : { word: "stored", saleId: made.sale.id };

export class ProductSaleChanges {
  readonly #writer: Pick<CurrentWriter, "call">;
  readonly #catalogue: Catalogue;

  constructor(writer: Pick<CurrentWriter, "call">, catalogue: Catalogue) {
    this.#writer = writer;
    this.#catalogue = catalogue;
  }

  /** @param draft what is announced by it */
  async create(
    announced: AnnouncedSale,
    actor: Actor,
    draft: DraftRef | null = null,
  ): Promise<StoredSale | Refusal> {
    return await this.#ask({ call: "create", sale: announced, by: actor, draft });
  }

  /** Changes whatever may still be changed of a sale. */
  async change(saleId: number, change: SaleChange, actor: Actor): Promise<StoredSale | Refusal> {
    return await this.#ask({ call: "change", saleId, change, by: actor });
  }

  /** Ends an open sale at once. */
  async close(saleId: number, actor: Actor): Promise<StoredSale | Refusal> {
    return await this.#ask({ call: "close", saleId, by: actor });
  }

  /** Opens one that is coming at once. */
  async open(saleId: number, actor: Actor): Promise<StoredSale | Refusal> {
    return await this.#ask({ call: "open", saleId, by: actor });
  }

  /** Adds units of an item to one that is open. */
  async restock({ by: actor, ...restock }: Omit<Restock, "kind">): Promise<StoredSale | Refusal> {
    return await this.#ask({ call: "restock", ...restock, by: actor });
  }

  /** Takes back the announcement of one that has not opened. */
  async withdraw(saleId: number, actor: Actor): Promise<z.output<typeof withdrawal>> {
    const asked: Call = { call: "withdraw", saleId, by: actor };
    const word = withdrawal.parse(await this.#writer.call(asked));
    if (word === "withdrawn") this.#catalogue.changed(saleId, false);
    return word;
  }

  /** Lets the queue of a sale, which may be an hourly one, in at another rate; null: as it is. */
  async changeQueue(
    saleId: number,
    change: { readonly admitPerSecond: number | null; readonly paused: boolean | null },
    actor: Actor,
  ): Promise<z.output<typeof queueChange>["word"]> {
    const asked: Call = { call: "change_queue", saleId, ...change, by: actor };
    return queueChange.parse(await this.#writer.call(asked)).word;
  }

  /** Takes a product out of the shop, unless a sale that is coming or open has it. */
  async deleteProduct(id: number, actor: Actor): Promise<z.output<typeof deletion>> {
    const asked: Call = { call: "delete_product", id, by: actor };
    return deletion.parse(await this.#writer.call(asked));
  }

  async #ask(asked: Call): Promise<StoredSale | Refusal> {
    const answer = answers.parse(await this.#writer.call(asked));
    if (answer.word !== "stored") return answer;
    const shown = await madeAs(() => this.#catalogue.findAnew(answer.saleId));
    return shown === null ? { word: "sale_not_found" } : shown.stored;
  }
}
