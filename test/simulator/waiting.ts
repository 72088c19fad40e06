/** Who waits in a sale, by the contract: a list in the order of their places, first come first. */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";

/** Lines of a buyer in a sale. */
export const ownLinesMax = 10;

export type ModelLine = {
  readonly buyer: Buyer;
  readonly item: number | "any";
  /** The attempt that joined it. */
  readonly seq: number;
  readonly at: number;
  readonly offers: number;
  /** The code of what is offered; null while it waits. */
  readonly offer: string | null;
};

export class Waiting {
  readonly #of = new Map<number, ModelLine[]>();

  sales(): readonly number[] {
    return [...this.#of.keys()];
  }

  lines(saleId: number): readonly ModelLine[] {
    return this.#of.get(saleId) ?? [];
  }

  of(saleId: number, buyer: Buyer): readonly ModelLine[] {
    return this.lines(saleId).filter((line) => sameBuyer(line.buyer, buyer));
  }

  /** Those who wait for an item and have no offer, first come first. */
  for(saleId: number, item: number): readonly ModelLine[] {
    return this.lines(saleId).filter(
      (line) => line.offer === null && (line.item === item || line.item === "any"),
    );
  }

  join(saleId: number, line: Pick<ModelLine, "buyer" | "item" | "seq" | "at">): void {
    this.#of.set(saleId, [...this.lines(saleId), { ...line, offers: 0, offer: null }]);
  }

  leave(saleId: number, buyer: Buyer): void {
    this.#keep(saleId, (line) => !sameBuyer(line.buyer, buyer));
  }

  offer(saleId: number, of: ModelLine, code: string): void {
    const offered = { ...of, offers: of.offers + 1, offer: code };
    const lines = this.lines(saleId).map((line) => (line === of ? offered : line));
    this.#of.set(saleId, lines);
  }

  /** Bought, or given back. */
  close(saleId: number, code: string): void {
    this.#keep(saleId, (line) => line.offer !== code);
  }

  /** To the end. */
  lapse(saleId: number, of: ModelLine): void {
    this.#keep(saleId, (line) => line !== of);
    this.#of.set(saleId, [...this.lines(saleId), { ...of, offer: null }]);
  }

  forget(saleId: number): void {
    this.#of.delete(saleId);
  }

  /** How many are before a line for what it waits for. */
  ahead(saleId: number, of: ModelLine): number {
    if (of.offer !== null) return 0;
    const lines = this.lines(saleId);
    return lines
      .slice(0, lines.indexOf(of))
      .filter(({ offer }) => offer === null)
      .filter(({ item }) => of.item === "any" || item === of.item || item === "any").length;
  }

  #keep(saleId: number, isKept: (line: ModelLine) => boolean): void {
    this.#of.set(saleId, this.lines(saleId).filter(isKept));
  }
}
