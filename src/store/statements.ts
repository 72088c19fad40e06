/**
 * The statements of the journal: one for each mixture of kinds of rows that a batch has had. There are
 * thousands of mixtures, and whoever buys chooses among them. PostgreSQL keeps a quarter of a megabyte
 * for each that it has prepared, for as long as the session lasts, so that is done for so many alone, of
 * those that come again and again; a flood's is among them in a moment. The others are planned each time.
 */
import { BoundedMap } from "../bounded.ts";

/** Some 35 MB of PostgreSQL's. */
export const preparedMax = 128;
/** One that comes for the so-manieth time is prepared. */
export const preparedUsesMin = 8;
/** Texts that are kept, a few kilobytes each. */
const textsMax = 512;

type Statement = { readonly text: string; uses: number; isPrepared: boolean };

export class Statements {
  readonly #texts = new BoundedMap<string, Statement>(textsMax);
  readonly #prepared = new Map<string, Statement>();
  readonly #make: (names: string) => string;

  /** @param make the statement of a mixture, by the names of its kinds */
  constructor(make: (names: string) => string) {
    this.#make = make;
  }

  /** The statement of a mixture, and whether it is to be prepared. */
  of(names: string): Pick<Statement, "text" | "isPrepared"> {
    const known = this.#prepared.get(names) ?? this.#texts.get(names);
    if (known?.isPrepared === true) return known;
    const statement = known ?? { text: this.#make(names), uses: 0, isPrepared: false };
    if (known === undefined) this.#texts.set(names, statement);
    statement.uses += 1;
    if (statement.uses >= preparedUsesMin && this.#prepared.size < preparedMax) {
      statement.isPrepared = true;
      this.#prepared.set(names, statement);
      this.#texts.delete(names);
    }
    return statement;
  }
}
