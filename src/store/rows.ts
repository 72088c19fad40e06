/**
 * Rows on their way into a table: their columns are named once, and both the statement and the
 * values go by these names.
 */

/** A value as an element of an array literal. */
export type Element = string | number;

/** A column without a value. */
export const none = "NULL";

export const nullable = (text: string | null): string => (text === null ? none : quote(text));

// Evaluated once a statement: a session that does not hold the leader's lock writes nothing.
const ifLeader = "pg_backend_pid() = $3::int";

type Columns = Readonly<Record<string, string>>;

type InsertedRows<C extends Columns> = {
  readonly into: string;
  /** What travels: PostgreSQL's type of each column. `nth` is for `derived` alone. */
  readonly columns: C;
  /** What follows from what travels: an expression for each further column. */
  readonly derived: Readonly<Record<string, string>>;
};

type UpdatedRows<C extends Columns> = {
  readonly update: string;
  /** The column that the rows are found by. */
  readonly key: keyof C & string;
  readonly columns: C;
  /** What a column becomes, where it is not what travels. */
  readonly becomes?: Readonly<Record<string, string>>;
  /** What else has to be so of a row. */
  readonly also?: string;
};

type DeletedRows<C extends Columns> = {
  readonly delete: string;
  readonly key: keyof C & string;
  readonly columns: C;
};

type Row<C extends Columns> = { readonly [column in keyof C]: Element };

/** A row of a kind, as it is added. */
export type RowOf<K extends { readonly columns: Columns }> = Row<K["columns"]>;

export class Rows<const C extends Columns> {
  readonly #kind: InsertedRows<C> | UpdatedRows<C> | DeletedRows<C>;
  readonly #names: readonly (keyof C & string)[];
  #rows: Row<C>[] = [];

  constructor(kind: InsertedRows<C> | UpdatedRows<C> | DeletedRows<C>) {
    this.#kind = kind;
    this.#names = Object.keys(kind.columns);
  }

  get count(): number {
    return this.#rows.length;
  }

  /** Parameters that its statement takes. */
  get width(): number {
    return this.#names.length;
  }

  add(row: Row<C>): void {
    this.#rows.push(row);
  }

  /** Those that are not to be written after all. */
  remove(isGone: (row: Row<C>) => boolean): void {
    this.#rows = this.#rows.filter((row) => !isGone(row));
  }

  /** The rows as array literals, one a column; there are none afterwards. */
  take(): string[] {
    const rows = this.#rows;
    this.#rows = [];
    return this.#names.map((name) => `{${rows.map((row) => row[name]).join(",")}}`);
  }

  /**
   * Its part of a batch's statement, with its arrays as parameters `$first`, `$first + 1`, …
   * @param after name of a part that has to be done before this one is, for it changes what this
   * one's rows may not be in conflict with; parts are done in no order of themselves
   */
  statement(first: number, after: string | null): string {
    const { columns } = this.#kind;
    const expanded = this.#names.map(
      (name, i) => `unnest($${first + i}::${columns[name]}[]) as ${name}`,
    );
    const rows = `(select ${expanded.join(", ")}) as given`;
    if ("delete" in this.#kind) {
      const { delete: from, key } = this.#kind;
      return `delete from ${from} using ${rows} where ${from}.${key} = given.${key} and ${ifLeader} returning 1`;
    }
    if ("update" in this.#kind) {
      const { update, key, becomes = {}, also = "true" } = this.#kind;
      const set = this.#names
        .filter((name) => name !== key)
        .map((name) => `${name} = ${becomes[name] ?? `given.${name}`}`);
      return `update ${update} set ${set.join(", ")} from ${rows} where ${update}.${key} = given.${key} and ${also} and ${ifLeader} returning 1`;
    }
    const { into, derived } = this.#kind;
    const travelled = this.#names.filter((name) => name !== "nth");
    const targets = [...Object.keys(derived), ...travelled].join(", ");
    const values = [...Object.values(derived), ...travelled].join(", ");
    const isDone = after === null ? "" : ` and (select count(*) from ${after}) >= 0`;
    return `insert into ${into} (${targets}) select ${values} from ${rows} where ${ifLeader}${isDone}`;
  }
}

const plain = /^[A-Za-z0-9_.@:-]+$/;

/** A text as an element of an array literal. NUL must have been refused before. */
export function quote(text: string): string {
  // An unquoted NULL, in any case, would be read as the null value.
  if (plain.test(text) && !(text.length === 4 && text.toUpperCase() === "NULL")) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
