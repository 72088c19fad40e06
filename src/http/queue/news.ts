/** What there is to say of queues to all who listen: the same few figures, when they have changed. */
import type { LedgerView } from "../../ledger/view.ts";
import { showQueue } from "./queues.ts";

type ShownQueue = ReturnType<typeof showQueue>;

export class QueueNews {
  /** As last said, by sale. */
  #said = new Map<number, ShownQueue>();

  /** Of every queue. */
  all(): readonly ShownQueue[] {
    return [...this.#said.values()];
  }

  /** Of the queues that have changed since this was asked last. */
  since(view: LedgerView): readonly ShownQueue[] {
    const before = this.#said;
    this.#said = new Map();
    const news: ShownQueue[] = [];
    for (const { id } of view.sales()) {
      const figures = view.queue(id);
      // Of what was over before anybody listened there is no news.
      if (figures === null || (figures.state === "closed" && !before.has(id))) continue;
      const shown = showQueue(id, figures);
      this.#said.set(id, shown);
      if (!Bun.deepEquals(before.get(id), shown)) news.push(shown);
    }
    return news;
  }
}
