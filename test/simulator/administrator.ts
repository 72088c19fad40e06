/** Who announces sales of products, changes and closes them, and deletes what they are of. */
import type { ProductSaleChanges } from "../../src/sales/product-sale-changes.ts";
import { Random } from "../support/random.ts";
import type { Auditor } from "./auditor.ts";
import type { Around, Callers } from "./callers.ts";
import { products, type Draws } from "./draws.ts";
import type { Machine } from "./machine.ts";
import type { MemoryRecords } from "./records.ts";

type Administered =
  | "announce"
  | "change"
  | "close"
  | "open"
  | "withdraw"
  | "restock"
  | "delete_product"
  | "change_queue";

export const boss = { kind: "account", name: "boss" } as const;

export class Administrator {
  readonly #records: MemoryRecords;
  readonly #auditor: Auditor;
  readonly #callers: Callers;
  readonly #draws: Draws;
  readonly #machines: readonly Machine[];

  constructor(
    around: Pick<Around, "auditor" | "draws" | "machines">,
    records: MemoryRecords,
    callers: Callers,
  ) {
    this.#records = records;
    this.#auditor = around.auditor;
    this.#callers = callers;
    this.#draws = around.draws;
    this.#machines = around.machines;
  }

  administer(kind: Administered, dice: Random): void {
    const machine = dice.chance(0.5) ? this.#callers.machine(dice) : dice.pick(this.#machines);
    const sales = machine?.run?.productSales;
    if (machine === undefined || sales === undefined) return;
    const known = [...this.#auditor.history.sales.values()];
    const announced = known.filter(({ kind: of }) => of === "product");
    // The hourly one is ended and moved by hand, too.
    const saleId = dice.pick(dice.chance(0.9) ? announced : known)?.id ?? 1;
    // Somebody buys in the same moment.
    if (kind === "close") this.#callers.ask({ ...this.#draws.buy(dice), saleId }, dice);
    const work = async (): Promise<void> => {
      if (kind === "announce") {
        const made = await sales.create(this.#draws.announcement(dice), boss);
        this.#auditor.count(`announce: ${"word" in made ? made.word : "made"}`);
      } else if (kind === "delete_product") {
        await this.#deleteProduct(machine, sales, dice);
      } else if (kind === "restock") {
        await this.#restock(sales, dice);
      } else if (kind === "change_queue") {
        const { saleId: of, ...rate } = this.#draws.changeQueue(dice);
        this.#auditor.count(`rate: ${await sales.changeQueue(of, rate, boss)}`);
      } else if (kind === "withdraw") {
        this.#auditor.count(`withdraw: ${await sales.withdraw(saleId, boss)}`);
      } else {
        const changed =
          kind === "change"
            ? await sales.change(saleId, this.#draws.change(dice), boss)
            : await sales[kind](saleId, boss);
        this.#auditor.count(`${kind}: ${"word" in changed ? changed.word : "changed"}`);
        if ("sale" in changed) this.#auditor.history.settle(saleId);
      }
    };
    void machine
      .untilKilled(work())
      .catch((error: unknown) => this.#callers.failed({ kind }, error));
  }

  /** Lets a queue in at a rate. */
  letIn(saleId: number, rate: { readonly admitPerSecond: number; readonly paused: boolean }): void {
    void this.#callers
      .machine(new Random(1))
      .leader?.selling.products.changeQueue(saleId, { ...rate, by: boss })
      .catch((error: unknown) => this.#callers.failed({ kind: "change_queue" }, error));
  }

  /** Of any sale, the hourly one too, mostly of one that is nearly sold out. */
  async #restock(sales: ProductSaleChanges, dice: Random): Promise<void> {
    const saleId = this.#draws.sale(dice)?.id ?? 1;
    const wish = { saleId, itemId: dice.between(1, 4), units: dice.between(1, 2), by: boss };
    const made = await sales.restock(wish);
    this.#auditor.count(`restock: ${"word" in made ? made.word : "done"}`);
  }

  async #deleteProduct(machine: Machine, sales: ProductSaleChanges, dice: Random): Promise<void> {
    const id = dice.pick(products) ?? 1;
    const epoch = machine.leader?.epoch;
    const before = machine.run?.clock.now() ?? 0;
    const word = await sales.deleteProduct(id, boss);
    this.#auditor.count(`delete_product: ${word}`);
    if (word !== "deleted") return;
    // By the time of another machine nothing can be said of it.
    const isOwn = epoch !== undefined && machine.leader?.epoch === epoch;
    const after = isOwn ? (machine.run?.clock.now() ?? Infinity) : Infinity;
    for (const sale of this.#auditor.history.sales.values()) {
      if (!sale.isSeen || sale.closed || sale.endsAt <= after || before > after) continue;
      if (sale.products.includes(id)) {
        this.#auditor.complain(`product ${id} was deleted, and sale ${sale.id} has it`);
      }
    }
    // It is made again, for those to come.
    this.#records.sales.addProduct(id);
  }
}
