/**
 * What was counted of sales that are settled. Nothing of them changes any more, but for what is taken
 * back of their orders: with that all of it is counted anew.
 */
import { BoundedMap } from "../bounded.ts";
import type { SaleEngine } from "../sales/selling.ts";

export class SettledFigures<V> {
  readonly #engine: Pick<SaleEngine, "reader">;
  readonly #max: number;
  #refundedUpTo = 0;
  #known: BoundedMap<number, V>;

  /** @param max sales that are kept */
  constructor(engine: Pick<SaleEngine, "reader">, max: number) {
    this.#engine = engine;
    this.#max = max;
    this.#known = new BoundedMap(max);
  }

  /** By sale. What is put there after something was taken back is not found by others. */
  async known(): Promise<Map<number, V>> {
    const { reader } = this.#engine;
    // While nobody leads nothing is taken back.
    const upTo = await reader?.read((view) => view.refundedUpTo);
    if (upTo !== undefined && upTo !== this.#refundedUpTo) {
      this.#refundedUpTo = upTo;
      this.#known = new BoundedMap(this.#max);
    }
    return this.#known;
  }
}
