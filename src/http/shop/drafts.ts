/** Sales that nobody has announced, as administrators make, see, change, announce and drop them. */
import { madeAs } from "../../engine/made.ts";
import type { Actor } from "../../ledger/commands.ts";
import type { Refusal } from "../../sales/product-sales.ts";
import type { ProductSaleChanges } from "../../sales/product-sale-changes.ts";
import type { Db } from "../../store/db.ts";
import {
  asSale,
  changeDraft,
  findDraft,
  insertDraft,
  listDrafts,
  removeDraft,
  type Draft,
  type DraftTerms,
} from "../../store/drafts.ts";
import type { StoredSale } from "../../store/sales.ts";

export type DraftsContext = {
  readonly changingDb: Db;
  readonly productSales: ProductSaleChanges;
  /** Of product sales. */
  readonly reservationTtlMs: number;
};

/** What is said of a draft differently; what is missing stays. */
type DraftChange = {
  readonly [F in Exclude<keyof DraftTerms, "queue">]?: DraftTerms[F] | undefined;
} & { readonly admitPerSecond?: number | undefined };

type Refused =
  | Extract<Refusal, { readonly word: "invalid_request" }>
  | { readonly word: "no_queue" | "sale_not_found" };

/** How often a draft is read again that others change at the same time. */
const readingsMax = 5;

export class Drafts {
  readonly #context: DraftsContext;

  constructor(context: DraftsContext) {
    this.#context = context;
  }

  find(id: number): Promise<Draft | null> {
    return findDraft(this.#context.changingDb, id);
  }

  /** A draft as the sale that it would be; null when there is none of that id. */
  async shown(id: number): Promise<StoredSale | null> {
    const draft = await this.find(id);
    return draft === null ? null : await this.asSale(draft);
  }

  /** Newest first, before the one of an id. */
  async list(before: number, limit: number): Promise<StoredSale[]> {
    const found = await listDrafts(this.#context.changingDb, { before, limit });
    return await Promise.all(found.map((draft) => this.asSale(draft)));
  }

  async make(
    terms: DraftTerms,
    by: Actor,
    of: number | null = null,
  ): Promise<StoredSale | Refusal> {
    if (terms.endsAt <= terms.startsAt) return backwards;
    const made = await insertDraft(this.#context.changingDb, terms, by, of);
    return made === null ? { word: "too_many_sales" } : await madeAs(() => this.asSale(made));
  }

  /** A draft of what a sale, or a draft, was announced with and has by now. */
  async duplicate(of: StoredSale, by: Actor): Promise<StoredSale | Refusal> {
    const { sale, title, items } = of;
    const { startsAt, endsAt, perUserLimit, entry } = sale;
    const announced = items.map(({ productId, stock, priceCents }) => ({
      productId: productId ?? 0,
      stock,
      priceCents,
    }));
    const queue =
      entry.kind === "open"
        ? null
        : { admitPerSecond: entry.admitPerSecond, passTtlMs: entry.passTtlMs };
    const terms = { title, startsAt, endsAt, perUserLimit, items: announced, queue };
    return await this.make(terms, by, sale.id);
  }

  async change(id: number, change: DraftChange, by: Actor): Promise<StoredSale | Refused> {
    let refused: Refused = { word: "sale_not_found" };
    const changed = await changeDraft(
      this.#context.changingDb,
      id,
      (before) => {
        const after = changedTo(before, change);
        if (!("word" in after)) return after;
        refused = after;
        return null;
      },
      by,
    );
    return changed === null ? refused : await madeAs(() => this.asSale(changed));
  }

  /**
   * Announces it, changed where a change is asked for: as a whole, or not at all. One whose start has
   * passed opens now.
   */
  async publish(
    id: number,
    by: Actor,
    change: DraftChange = {},
  ): Promise<StoredSale | Refusal | Refused> {
    let made: StoredSale | Refusal = { word: "sale_not_found" };
    for (let reading = 0; reading < readingsMax; reading += 1) {
      // oxlint-disable-next-line no-await-in-loop
      const draft = await this.find(id);
      if (draft === null) return { word: "sale_not_found" };
      const after = changedTo(draft, change);
      if ("word" in after) return after;
      const announced = { ...after, queue: after.queue ?? undefined };
      const { version } = draft;
      // oxlint-disable-next-line no-await-in-loop
      made = await this.#context.productSales.create(announced, by, { id, version });
      if (!("word" in made && made.word === "draft_changed")) return made;
    }
    return made;
  }

  remove(id: number, by: Actor): Promise<boolean> {
    return removeDraft(this.#context.changingDb, id, by);
  }

  asSale(draft: Draft): Promise<StoredSale> {
    const { changingDb, reservationTtlMs } = this.#context;
    return asSale(changingDb, draft, reservationTtlMs);
  }
}

/** What a change makes of a draft, or why it cannot be made. */
function changedTo(
  { title, startsAt, endsAt, perUserLimit, items, queue }: Draft,
  change: DraftChange,
): DraftTerms | Refused {
  const { admitPerSecond } = change;
  if (admitPerSecond !== undefined && queue === null) return { word: "no_queue" };
  const after = {
    title: change.title ?? title,
    startsAt: change.startsAt ?? startsAt,
    endsAt: change.endsAt ?? endsAt,
    perUserLimit: change.perUserLimit ?? perUserLimit,
    items: change.items ?? items,
    queue: queue && { ...queue, admitPerSecond: admitPerSecond ?? queue.admitPerSecond },
  };
  return after.endsAt <= after.startsAt ? backwards : after;
}

const backwards = { word: "invalid_request", detail: "ends_at is not after starts_at" } as const;
