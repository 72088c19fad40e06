/**
 * The journal: turns decided commands into rows, and commits a batch of them as one
 * statement, which is one transaction and one flush of PostgreSQL's log.
 *
 * The rows travel as array literals written here by hand: the driver's own encoding of
 * arrays cost three times as much. Each kind of row has its own insert from those arrays,
 * and a batch's statement joins those that it needs, so that a flood of refusals pays for
 * five columns and not for ten. Measured on one core, in processor time of PostgreSQL a row,
 * batches of 128: five arrays 4.1 µs, nine 4.2–5, json_to_recordset 5.5; in the client 1.0,
 * 1.4 and 1.5 µs. The arrays are expanded in a select list: with `from unnest(…)`, which
 * keeps its rows in a tuplestore before anybody reads them, it is 8% more. COPY of the same
 * rows, in binary, would be 6% less, and a second way to write.
 */
import type { Sql } from "postgres";
import type {
  Buy,
  BuyOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  Checkout,
  CheckoutOutcome,
  Claim,
  ClaimOutcome,
  Command,
  CreateCoupon,
  CreateCouponOutcome,
  Outcome,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
} from "../ledger/commands.ts";
import type { Coupon } from "../ledger/coupons.ts";
import { requestOf } from "../ledger/decide.ts";
import type { Reservation, SoldUnit } from "../ledger/state.ts";

/** The session that holds the leader's lock; nothing is written by any other. */
export type WriterSession = { readonly sql: Sql; readonly backendPid: number };

/** The session lost the lock, or another leader has written: this state must not be used. */
export class DeposedError extends Error {}

/**
 * Rows of one kind, a list of elements a column, until they are taken as array literals.
 * `statement` makes their part of a batch's statement from the table of the arrays, whose
 * columns are c1, c2, …; $1 to $3 are as in `commit`.
 */
class Rows {
  count = 0;
  readonly types: readonly string[];
  readonly #statement: (arrays: string) => string;
  #columns: (string | number)[][];

  /** @param types PostgreSQL type of each array's elements */
  constructor(types: readonly string[], statement: (arrays: string) => string) {
    this.types = types;
    this.#statement = statement;
    this.#columns = types.map(() => []);
  }

  /** One row: values already written as elements of an array literal. */
  add(...elements: readonly (string | number)[]): void {
    for (let i = 0; i < elements.length; i += 1) this.#columns[i]?.push(elements[i] ?? "NULL");
    this.count += 1;
  }

  take(): string[] {
    const taken = this.#columns.map((column) => `{${column.join(",")}}`);
    this.#columns = this.types.map(() => []);
    this.count = 0;
    return taken;
  }

  /** Its part of the statement, with its arrays as parameters `$first`, `$first + 1`, … */
  statement(first: number): string {
    const columns = this.types.map((type, i) => `unnest($${first + i}::${type}[]) as c${i + 1}`);
    return this.#statement(`(select ${columns.join(", ")}) as t`);
  }
}

// Evaluated once a statement: a session that does not hold the leader's lock writes nothing.
const ifLeader = "pg_backend_pid() = $3::int";

const insert = (into: string, select: string) => (arrays: string) =>
  `insert into ${into} select ${select} from ${arrays} where ${ifLeader}`;

export class Journal {
  readonly #session: WriterSession;
  readonly #statements = new Map<number, string>();
  #base = 0;
  #rows = 0;

  /** Refused checkouts: most rows of a flood. */
  readonly #refusals = new Rows(
    ["int", "outcome_word", "int", "int", "text"],
    insert(
      "attempts (seq, at, kind, outcome, sale_id, item_id, user_id)",
      "$1::bigint + c1, $2::timestamptz, 'checkout', c2, c3, c4, c5",
    ),
  );
  /** Attempts that have to do with a code. */
  readonly #codes = new Rows(
    ["int", "attempt_kind", "outcome_word", "int", "int", "text", "uuid", "text", "text"],
    insert(
      `attempts (seq, at, kind, outcome, sale_id, item_id, user_id,
                 code, idempotency_key, request)`,
      "$1::bigint + c1, $2::timestamptz, c2, c3, c4, c5, c6, c7, c8, c9",
    ),
  );
  readonly #purchases = new Rows(
    ["int", "int", "int", "int", "int", "text", "int", "int", "uuid"],
    insert(
      `purchases (seq, purchased_at, sale_id, item_id, unit, item_stock,
                  user_id, user_ordinal, user_limit, code)`,
      "$1::bigint + c1, $2::timestamptz, c2, c3, c4, c5, c6, c7, c8, c9",
    ),
  );
  /** Attempts without a reservation before them: bought in one step, and changes of a sale. */
  readonly #direct = new Rows(
    ["int", "attempt_kind", "outcome_word", "int", "int", "text", "uuid", "int"],
    insert(
      "attempts (seq, at, kind, outcome, sale_id, item_id, user_id, code, quantity)",
      "$1::bigint + c1, $2::timestamptz, c2, c3, c4, c5, c6, c7, c8",
    ),
  );
  readonly #salesChanged = new Rows(
    ["int", "timestamptz"],
    (arrays) => `update sales set ends_at = c2 from ${arrays} where id = c1 and ${ifLeader}`,
  );
  /** Attempts that have to do with a coupon. */
  readonly #coupons = new Rows(
    ["int", "attempt_kind", "outcome_word", "text", "text", "text"],
    insert(
      "attempts (seq, at, kind, outcome, user_id, coupon_name, idempotency_key)",
      "$1::bigint + c1, $2::timestamptz, c2, c3, c4, c5, c6",
    ),
  );
  readonly #couponsMade = new Rows(
    ["int", "int", "text", "int", "int"],
    insert(
      "coupons (seq, created_at, id, name, amount, remaining_amount)",
      "$1::bigint + c1, $2::timestamptz, c2, c3, c4, c5",
    ),
  );
  readonly #couponsClaimed = new Rows(
    ["int", "int"],
    (arrays) =>
      `update coupons set remaining_amount = c2 from ${arrays} where id = c1 and ${ifLeader}`,
  );
  readonly #claims = new Rows(
    ["int", "text", "text", "int", "int", "text"],
    insert(
      `claims (seq, claimed_at, user_id, coupon_name, ordinal, coupon_amount, idempotency_key)`,
      "$1::bigint + c1, $2::timestamptz, c2, c3, c4, c5, c6",
    ),
  );
  readonly #kinds = [
    this.#refusals,
    this.#codes,
    this.#purchases,
    this.#direct,
    this.#salesChanged,
    this.#coupons,
    this.#couponsMade,
    this.#couponsClaimed,
    this.#claims,
  ];
  /** Coupons made in this batch, with the offset of the attempt, and others claimed in it. */
  readonly #made = new Map<Coupon, number>();
  readonly #touched = new Set<Coupon>();

  constructor(session: WriterSession) {
    this.#session = session;
  }

  /** Starts a batch whose first attempt has the number `seq`. */
  begin(seq: number): void {
    this.#base = seq;
    this.#rows = 0;
  }

  /** Adds the next attempt of the batch. */
  add(command: Command, outcome: Outcome): void {
    const offset = this.#rows;
    this.#rows += 1;
    // The ledger answers a command with one of its own outcomes.
    switch (command.kind) {
      case "checkout":
        return this.#addCheckout(offset, command, outcome as CheckoutOutcome);
      case "purchase":
      case "release":
        return this.#addCode(offset, command, outcome as PurchaseOutcome | ReleaseOutcome);
      case "buy":
        return this.#addBuy(offset, command, outcome as BuyOutcome);
      case "change_sale":
        return this.#addChangeSale(offset, command, outcome as ChangeSaleOutcome);
      case "create_coupon":
        return this.#addCreateCoupon(offset, command, outcome as CreateCouponOutcome);
      case "claim":
        return this.#addClaim(offset, command, outcome as ClaimOutcome);
      default:
        return command satisfies never;
    }
  }

  /**
   * Commits the batch. When it rejects, nobody knows whether the rows are there.
   * @param at time of every decision in the batch, ms
   * @throws DeposedError when this session does not hold the leader's lock any more
   */
  async commit(at: number): Promise<void> {
    this.#addCouponFigures();
    let shape = 0;
    let lastRows = 0;
    const arrays: string[] = [];
    this.#kinds.forEach((rows, i) => {
      if (rows.count === 0) return;
      shape |= 1 << i;
      lastRows = rows.count;
      arrays.push(...rows.take());
    });
    const { sql, backendPid } = this.#session;
    const parameters = [this.#base, new Date(at).toISOString(), backendPid, ...arrays];
    const { count } = await sql.unsafe(this.#statement(shape), parameters.map(String), {
      prepare: true,
    });
    if (count !== lastRows) {
      throw new DeposedError("the connection that holds the leader's lock was replaced");
    }
  }

  /**
   * The statement for the kinds of rows in `shape`, a bit each: the last kind's, and the
   * others' beside it. A flood is of one kind, and then it is a plain insert.
   */
  #statement(shape: number): string {
    let statement = this.#statements.get(shape);
    if (statement === undefined) {
      let first = 4;
      const parts = this.#kinds.flatMap((rows, i) => {
        if ((shape & (1 << i)) === 0) return [];
        const part = rows.statement(first);
        first += rows.types.length;
        return [part];
      });
      const beside = parts.slice(0, -1).map((part, i) => `w${i} as (${part})`);
      const start = beside.length === 0 ? "" : `with ${beside.join(", ")} `;
      statement = start + (parts.at(-1) ?? "");
      this.#statements.set(shape, statement);
    }
    return statement;
  }

  #addCheckout(offset: number, command: Checkout, outcome: CheckoutOutcome): void {
    const { item, key } = command;
    const userId = quote(command.userId);
    if (!("reservation" in outcome)) {
      const itemId = item === "any" ? "NULL" : storableItem(item);
      this.#refusals.add(offset, outcome.word, outcome.saleId ?? "NULL", itemId, userId);
      return;
    }
    const { saleId, itemId, code } = outcome.reservation;
    this.#codes.add(
      offset,
      "checkout",
      outcome.word,
      saleId,
      itemId,
      userId,
      code,
      key === null ? "NULL" : quote(key),
      key === null ? "NULL" : quote(requestOf(command)),
    );
  }

  #addCode(
    offset: number,
    command: Purchase | Release,
    outcome: PurchaseOutcome | ReleaseOutcome,
  ): void {
    const { word, of } = outcome;
    this.#codes.add(
      offset,
      command.kind,
      word,
      of?.saleId ?? "NULL",
      of?.itemId ?? "NULL",
      of === null ? "NULL" : quote(of.userId),
      command.code,
      "NULL",
      "NULL",
    );
    if (word === "purchased" && of.sold !== null) this.#addSold(offset, of, of.sold);
  }

  #addSold(offset: number, reservation: Reservation, sold: SoldUnit): void {
    const { sale } = reservation.sale;
    this.#purchases.add(
      offset,
      sale.id,
      reservation.itemId,
      sold.unit,
      sale.stock[reservation.itemId - 1] ?? 0,
      quote(reservation.userId),
      sold.userOrdinal,
      sale.perUserLimit,
      reservation.code,
    );
  }

  #addBuy(offset: number, command: Buy, outcome: BuyOutcome): void {
    const { saleId, itemId, userId, code, quantity } = command;
    const sold = outcome.word === "purchased";
    const user = quote(userId);
    const item = storableItem(itemId);
    const storedCode = sold ? code : "NULL";
    this.#direct.add(offset, "buy", outcome.word, saleId, item, user, storedCode, quantity);
    if (!sold) return;
    for (const unit of outcome.units) {
      if (unit.sold !== null) this.#addSold(offset, unit, unit.sold);
    }
  }

  #addChangeSale(offset: number, { saleId }: ChangeSale, outcome: ChangeSaleOutcome): void {
    const { word } = outcome;
    this.#direct.add(offset, "change_sale", word, saleId, "NULL", "NULL", "NULL", "NULL");
    if (word !== "sale_changed") return;
    this.#salesChanged.add(saleId, `"${new Date(outcome.endsAt).toISOString()}"`);
  }

  #addCreateCoupon(offset: number, command: CreateCoupon, outcome: CreateCouponOutcome): void {
    const name = quote(command.coupon);
    this.#coupons.add(offset, "create_coupon", outcome.word, "NULL", name, "NULL");
    if (outcome.word === "coupon_created") this.#made.set(outcome.coupon, offset);
  }

  #addClaim(offset: number, command: Claim, outcome: ClaimOutcome): void {
    const userId = quote(command.userId);
    const name = quote(command.coupon);
    const key = command.key === null ? "NULL" : quote(command.key);
    this.#coupons.add(offset, "claim", outcome.word, userId, name, key);
    if (outcome.word !== "claimed") return;
    const { coupon, ordinal } = outcome.claim;
    this.#claims.add(offset, userId, name, ordinal, coupon.amount, key);
    this.#touched.add(coupon);
  }

  /** A coupon's row gets the figure that it has at the end of the batch, once a batch. */
  #addCouponFigures(): void {
    for (const [coupon, offset] of this.#made) {
      const { id, name, amount, remaining } = coupon;
      this.#couponsMade.add(offset, id, quote(name), amount, remaining);
      // An update in the same statement would not see the row.
      this.#touched.delete(coupon);
    }
    for (const { id, remaining } of this.#touched) this.#couponsClaimed.add(id, remaining);
    this.#made.clear();
    this.#touched.clear();
  }
}

const integerMax = 2_147_483_647;

/** An item number that no sale can have is not storable; the attempt is, without it. */
const storableItem = (item: number): number | string => (item > integerMax ? "NULL" : item);

const plain = /^[A-Za-z0-9_.@:-]+$/;

/** A text as an element of an array literal. NUL must have been refused before. */
export function quote(text: string): string {
  // An unquoted NULL, in any case, would be read as the null value.
  if (plain.test(text) && !(text.length === 4 && text.toUpperCase() === "NULL")) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
