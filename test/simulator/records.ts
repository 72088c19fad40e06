/**
 * The memory twin of the records: the tables of `store/schema.ts` as maps, with what PostgreSQL's
 * constraints refuse, and the lock that elects the writer. Written from the schema and the contract
 * of `store/records.ts`; the same histories are run against both.
 *
 * It fails as it is told to. Everything that a process asks goes through `Line`, which may delay it,
 * fail it before it is done, do it and not tell, or never answer.
 */
import { buyerId, sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type { ArchivedCode, Command, Outcome, SoldUnit } from "../../src/ledger/commands.ts";
import type { CouponFigures } from "../../src/ledger/coupons.ts";
import { requestOf } from "../../src/ledger/decide.ts";
import type {
  BegunTerm,
  Checkpoint,
  EffectiveAttempt,
  RecordedExtension,
  StoredPurchase,
} from "../../src/ledger/restore.ts";
import type {
  NewProductSale,
  ProductSaleChange,
  WrittenSale,
} from "../../src/store/product-sales.ts";
import {
  DeposedError,
  settleAfterMs,
  type Batch,
  type LeaderRecord,
  type Records,
  type Recovered,
  type Term,
} from "../../src/store/records.ts";
import { saleOf, type Item, type NewSale, type StoredSale } from "../../src/store/sales.ts";

/** PostgreSQL would have refused this: a bug in the program. */
export class ConstraintError extends Error {
  override name = "ConstraintError";
}

/** The connection is gone. */
export class CutError extends Error {}

/** What is asked of the records, by what may befall it. */
export type Asked = "commit" | "read" | "write" | "lock";

/** How what a process asks reaches the records, and the answer the process. */
export type Line = {
  carry<T>(asked: Asked, work: () => T): Promise<T>;
  sleep(ms: number): Promise<void>;
};

/** Nothing fails, and nothing takes time. */
export const soundLine: Line = {
  carry: async (_, work) => await Promise.resolve(work()),
  sleep: () => Promise.resolve(),
};

const lockPollMs = 250;
const claimKeyAgeMaxMs = 24 * 3_600_000;

export type AttemptRow = {
  readonly seq: number;
  readonly at: number;
  readonly kind: Command["kind"];
  readonly outcome: string;
  readonly saleId: number | null;
  readonly itemId: number | null;
  readonly buyer: Buyer | null;
  readonly code: string | null;
  readonly key: string | null;
  readonly request: string | null;
  readonly quantity: number | null;
};

export type PurchaseRow = StoredPurchase & {
  readonly saleId: number;
  readonly itemStock: number;
  readonly userLimit: number;
};

export type ClaimRow = {
  readonly seq: number;
  readonly at: number;
  readonly coupon: string;
  readonly buyer: Buyer;
  readonly ordinal: number;
  readonly key: string | null;
};

/** The longest that something may be held from the moment of asking, ms. */
const extensionMsMax = 15 * 60_000;

type SaleRow = {
  readonly id: number;
  readonly kind: "hourly" | "product";
  title: string;
  startsAt: number;
  endsAt: number;
  closed: boolean;
  perUserLimit: number;
  reservationTtlMs: number;
  itemCount: number;
  attempts: number;
  attemptsSeq: number;
  settled: boolean;
  items: readonly Item[];
};

type CouponRow = { -readonly [F in keyof CouponFigures]: CouponFigures[F] };

type Product = { readonly id: number; readonly name: string; deleted: boolean };

/** A session with the lock, or one that had it and has not noticed. */
export class Session {
  readonly epoch: number;
  readonly #lost = Promise.withResolvers<Error>();
  /** Whether what it sends still arrives. */
  isCut = false;
  isLost = false;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  /** Tells the process. */
  lose(reason: Error): void {
    this.isCut = true;
    this.isLost = true;
    this.#lost.resolve(reason);
  }
}

/** Rows that a batch adds, checked before any of them is. */
type Staged = {
  readonly attempts: AttemptRow[];
  readonly purchases: PurchaseRow[];
  readonly claims: ClaimRow[];
  readonly coupons: CouponRow[];
  /** What is left of coupons, by name, at the end of the batch. */
  readonly remaining: Map<string, number>;
  readonly extensions: RecordedExtension[];
  readonly saleEnds: { readonly id: number; readonly endsAt: number; readonly closed: boolean }[];
};

/** What is stored; one for all processes. */
export class MemoryRecords {
  /** By number, from 1. */
  readonly attempts = new Map<number, AttemptRow>();
  readonly purchases = new Map<string, PurchaseRow>();
  readonly coupons = new Map<string, CouponRow>();
  readonly claims = new Map<string, ClaimRow[]>();
  readonly #sales = new Map<number, SaleRow>();
  readonly #purchasesOf = new Map<number, PurchaseRow[]>();
  readonly #effectiveOf = new Map<number, (EffectiveAttempt | RecordedExtension)[]>();
  readonly #given = new Map<string, { of: AttemptRow; released: boolean }>();
  readonly #checkpoints = new Map<number, Checkpoint>();
  /** When each term began, and after which attempt. */
  readonly #terms: BegunTerm[] = [];
  readonly #products = new Map<number, Product>();
  #lastSeq = 0;
  #leader: LeaderRecord | null = null;
  /** Who has the lock. */
  holder: Session | null = null;
  /** Whether what is committed comes from somebody who had it, and has not noticed. */
  isStale = false;
  /** Told of every batch that was committed, and of every sale that was stored or replaced. */
  onCommit: ((batch: Batch) => void) | null = null;
  onSale: ((stored: StoredSale) => void) | null = null;
  /** Told of the time with which a term begins. */
  onRecover: ((now: number) => void) | null = null;

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get epoch(): number {
    return this.#leader?.epoch ?? 0;
  }

  addProduct(id: number): void {
    this.#products.set(id, { id, name: `product ${id}`, deleted: false });
  }

  saleIds(): number[] {
    return [...this.#sales.keys()];
  }

  purchasesOf(saleId: number): readonly PurchaseRow[] {
    return this.#purchasesOf.get(saleId) ?? [];
  }

  /** The records as one process has them. */
  over(line: Line): Records {
    return {
      lead: (announce, signal, onStandby) =>
        this.#lead(line, announce.url ?? "", signal, onStandby),
      findCode: (code) => line.carry("read", () => this.findCode(code)),
      loadClaims: (coupon) => line.carry("read", () => this.loadClaims(coupon)),
      loadSales: (ids) => line.carry("read", () => this.loadSales(ids)),
      findHourly: (startsAt) => line.carry("read", () => this.#findHourly(startsAt)),
      storeSale: (sale, seq) => line.carry("write", () => this.storeSale(sale, seq)),
      saveCheckpoint: (saleId, checkpoint) =>
        line.carry("write", () => this.saveCheckpoint(saleId, checkpoint)),
      insertProductSale: (epoch, sale, seq) =>
        line.carry("write", () => this.insertProductSale(epoch, sale, seq)),
      replaceProductSale: (epoch, present, change, now) =>
        line.carry("write", () => this.replaceProductSale(epoch, present, change, now)),
      deleteProduct: (epoch, id, now) =>
        line.carry("write", () => this.#deleteProduct(epoch, id, now)),
      productSaleIds: () =>
        line.carry("read", () =>
          [...this.#sales.values()].filter(({ kind }) => kind === "product").map(({ id }) => id),
        ),
    };
  }

  async #lead(
    line: Line,
    url: string,
    signal: AbortSignal,
    onStandby: (leader: LeaderRecord | null) => void,
  ): Promise<Term | null> {
    for (;;) {
      if (signal.aborted) return null;
      const session = await line.carry("lock", () => this.#tryLock(url));
      if (session !== null) return this.#term(line, session);
      onStandby(this.#leader);
      await line.sleep(lockPollMs);
    }
  }

  #tryLock(url: string): Session | null {
    if (this.holder !== null) return null;
    const epoch = this.epoch + 1;
    this.#leader = { epoch, url };
    this.holder = new Session(epoch);
    return this.holder;
  }

  #term(line: Line, session: Session): Term {
    const last = { seq: this.#lastSeq, at: this.attempts.get(this.#lastSeq)?.at ?? 0 };
    return {
      epoch: session.epoch,
      lastAt: last.at,
      lost: session.lost,
      recover: (now) => line.carry("read", () => this.recover(now, last)),
      commit: (batch) =>
        line.carry("commit", () => {
          if (session.isCut) throw new CutError("the connection that holds the lock is closed");
          this.isStale = this.holder !== session;
          this.commit(batch);
        }),
      makeRoom: () => line.carry("read", () => {}),
      end: async () => {
        session.isCut = true;
        this.release(session);
        await Promise.resolve();
      },
    };
  }

  release(session: Session): void {
    if (this.holder === session) this.holder = null;
  }

  /** All or nothing. @throws ConstraintError for what PostgreSQL would refuse */
  commit(batch: Batch): void {
    const staged: Staged = {
      attempts: [],
      purchases: [],
      claims: [],
      coupons: [],
      remaining: new Map(),
      extensions: [],
      saleEnds: [],
    };
    let seq = batch.firstSeq;
    batch.commands.forEach((command, index) => {
      const outcome = batch.outcomes[index];
      if (outcome === undefined) throw new Error("a command without an outcome");
      if (outcome.word === "look_up") return;
      stage(staged, seq, batch.at, command, outcome);
      seq += 1;
    });
    this.#checkAttempts(staged);
    this.#checkPurchases(staged);
    this.#checkCoupons(staged);
    this.#checkExtensions(staged);
    this.#apply(staged);
    this.onCommit?.(batch);
  }

  #checkAttempts({ attempts }: Staged): void {
    for (const { seq } of attempts) {
      if (this.attempts.has(seq)) throw new DeposedError(`attempt ${seq} is there already`);
    }
  }

  #checkPurchases({ purchases }: Staged): void {
    const units = new Set<string>();
    const ordinals = new Set<string>();
    const codes = new Set<string>();
    for (const row of purchases) {
      const { saleId, itemId, unit, userOrdinal, buyer, code } = row;
      const sale = this.#sales.get(saleId);
      const stock = sale?.items.find(({ id }) => id === itemId)?.stock;
      if (sale === undefined || stock === undefined || row.itemStock !== stock) {
        throw new ConstraintError("purchases_item_stock");
      }
      if (row.userLimit !== sale.perUserLimit) throw new ConstraintError("purchases_sale_limit");
      if (unit < 1 || unit > stock) throw new ConstraintError("purchases_unit_in_stock");
      if (userOrdinal < 1 || userOrdinal > sale.perUserLimit) {
        throw new ConstraintError("purchases_user_in_limit");
      }
      const stored = this.#purchasesOf.get(saleId) ?? [];
      const isUnit = (other: PurchaseRow) => other.itemId === itemId && other.unit === unit;
      if (stored.some(isUnit)) throw new ConstraintError("purchases_pkey");
      const isOrdinal = (other: PurchaseRow) =>
        other.userOrdinal === userOrdinal && sameBuyer(other.buyer, buyer);
      if (stored.some(isOrdinal)) throw new ConstraintError("purchases_buyer_ordinal_once");
      if (this.purchases.has(code)) throw new ConstraintError("purchases_code_once");
      units.add(`${saleId} ${itemId} ${unit}`);
      ordinals.add(`${saleId} ${userOrdinal} ${buyerId(buyer)}`);
      codes.add(code);
    }
    if (units.size < purchases.length) throw new ConstraintError("purchases_pkey");
    if (ordinals.size < purchases.length) {
      throw new ConstraintError("purchases_buyer_ordinal_once");
    }
    if (codes.size < purchases.length) throw new ConstraintError("purchases_code_once");
  }

  #checkCoupons({ coupons, claims, remaining }: Staged): void {
    const made = new Map(coupons.map((coupon) => [coupon.name, coupon]));
    if (made.size < coupons.length) throw new ConstraintError("coupons_name_once");
    const ids = new Set([...this.coupons.values()].map(({ id }) => id));
    for (const { name, id } of coupons) {
      if (this.coupons.has(name)) throw new ConstraintError("coupons_name_once");
      if (ids.has(id)) throw new ConstraintError("coupons_pkey");
      ids.add(id);
    }
    for (const [name, left] of remaining) {
      const amount = (this.coupons.get(name) ?? made.get(name))?.amount ?? -1;
      if (left < 0 || left > amount) throw new ConstraintError("coupons_remaining");
    }
    const seen = new Set<string>();
    for (const { coupon, ordinal, buyer } of claims) {
      const of = this.coupons.get(coupon) ?? made.get(coupon);
      if (of === undefined) throw new ConstraintError("claims_coupon_amount");
      if (ordinal < 1 || ordinal > of.amount) throw new ConstraintError("claims_in_amount");
      const stored = this.claims.get(coupon) ?? [];
      if (stored.some((other) => other.ordinal === ordinal))
        throw new ConstraintError("claims_pkey");
      if (stored.some((other) => sameBuyer(other.buyer, buyer))) {
        throw new ConstraintError("claims_one_a_buyer");
      }
      for (const name of [`${ordinal} of ${coupon}`, `${buyerId(buyer)} has ${coupon}`]) {
        if (seen.has(name)) throw new ConstraintError("claims_pkey or claims_one_a_buyer");
        seen.add(name);
      }
    }
  }

  #checkExtensions({ extensions }: Staged): void {
    for (const { saleId, at, due } of extensions) {
      if (!this.#sales.has(saleId)) throw new ConstraintError("extensions_sale_id_sales_id_fk");
      if (due <= at || due - at > extensionMsMax) throw new ConstraintError("extensions_in_bounds");
    }
  }

  #apply({ attempts, extensions, purchases, claims, coupons, remaining, saleEnds }: Staged): void {
    for (const row of attempts) {
      this.attempts.set(row.seq, row);
      this.#lastSeq = Math.max(this.#lastSeq, row.seq);
      this.#index(row);
    }
    for (const row of extensions) pushTo(this.#effectiveOf, row.saleId, row);
    for (const row of purchases) {
      this.purchases.set(row.code, row);
      pushTo(this.#purchasesOf, row.saleId, row);
    }
    for (const coupon of coupons) this.coupons.set(coupon.name, coupon);
    for (const row of claims) pushTo(this.claims, row.coupon, row);
    for (const [name, left] of remaining) {
      const coupon = this.coupons.get(name);
      if (coupon !== undefined) coupon.remaining = left;
    }
    for (const { id, endsAt, closed } of saleEnds) {
      const sale = this.#sales.get(id);
      if (sale !== undefined) Object.assign(sale, { endsAt, closed });
    }
  }

  #index(row: AttemptRow): void {
    const { outcome, code, saleId, itemId, buyer, seq, at, key, request, quantity } = row;
    if (outcome !== "reserved" && outcome !== "purchased" && outcome !== "released") return;
    if (code === null || saleId === null || itemId === null || buyer === null) {
      throw new Error(`attempt ${seq} changed something, and does not say what`);
    }
    const effective: EffectiveAttempt = {
      seq,
      at,
      word: outcome,
      saleId,
      itemId,
      buyer,
      code,
      key,
      request,
      quantity,
    };
    pushTo(this.#effectiveOf, saleId, effective);
    if (outcome === "reserved") this.#given.set(code, { of: row, released: false });
    const given = this.#given.get(code);
    if (outcome === "released" && given !== undefined) given.released = true;
  }

  /** What a new term reads. @param last the last attempt, when its lock was taken */
  recover(now: number, last = this.last): Recovered {
    this.onRecover?.(now);
    const over = new Map<number, number>();
    const ids: number[] = [];
    for (const sale of this.#sales.values()) {
      if (sale.endsAt > now - settleAfterMs) {
        sale.settled = false;
        ids.push(sale.id);
        continue;
      }
      over.set(sale.id, sale.itemCount);
      if (sale.settled) continue;
      sale.settled = true;
      sale.attempts += this.#countAttempts(sale, last.seq);
      sale.attemptsSeq = last.seq;
    }
    this.#terms.push({ afterSeq: last.seq, at: now });
    return this.recorded(ids, over, last, true);
  }

  get last(): { readonly seq: number; readonly at: number } {
    return { seq: this.#lastSeq, at: this.attempts.get(this.#lastSeq)?.at ?? 0 };
  }

  /** The records of some sales, with or without their checkpoints; nothing is noted. */
  recorded(
    ids: readonly number[],
    settled: ReadonlyMap<number, number>,
    last: { readonly seq: number; readonly at: number },
    withCheckpoints: boolean,
  ): Recovered {
    const catalogues = this.loadSales(ids);
    const sales = catalogues.map(({ sale }) => {
      const row = this.#sale(sale.id);
      const checkpoint = withCheckpoints ? this.#checkpoints.get(sale.id) : undefined;
      return {
        terms: sale,
        attempts: row.attempts + this.#countAttempts(row, last.seq),
        checkpoint: checkpoint ?? { seq: 0, sold: 0, open: [] },
        purchases: (this.#purchasesOf.get(sale.id) ?? [])
          .toSorted((a, b) => a.seq - b.seq || a.unit - b.unit)
          .map(storedPurchase),
      };
    });
    const effective = sales
      .flatMap(({ terms, checkpoint }) =>
        (this.#effectiveOf.get(terms.id) ?? []).filter(({ seq }) => seq > checkpoint.seq),
      )
      .toSorted((a, b) => a.seq - b.seq);
    const coupons = structuredClone([...this.coupons.values()]);
    const keyedClaims = this.#keyedClaims(last.at);
    return {
      ...last,
      settled,
      sales,
      catalogues,
      terms: this.#termsSince(Math.min(...sales.map(({ checkpoint }) => checkpoint.seq))),
      effective: inPages(effective),
      coupons: inPages(coupons.toSorted((a, b) => a.id - b.id)),
      keyedClaims,
    };
  }

  /** The terms that have begun since an attempt, and the one before. */
  #termsSince(seq: number): readonly BegunTerm[] {
    if (seq === Infinity) return [];
    const first = this.#terms.findLastIndex(({ afterSeq }) => afterSeq < seq);
    return this.#terms.slice(Math.max(first, 0));
  }

  #keyedClaims(now: number): Recovered["keyedClaims"] {
    const found: { key: string; claim: ClaimRow }[] = [];
    for (const claim of [...this.claims.values()].flat()) {
      if (claim.key !== null && claim.at > now - claimKeyAgeMaxMs) {
        found.push({ key: claim.key, claim });
      }
    }
    return found
      .toSorted((a, b) => a.claim.at - b.claim.at || a.claim.seq - b.claim.seq)
      .map(({ key, claim }) => {
        const coupon = this.coupons.get(claim.coupon);
        if (coupon === undefined) throw new Error("a claim of no coupon");
        const { buyer, ordinal, at } = claim;
        return { key, claim: { coupon: { ...coupon }, buyer, ordinal, at } };
      });
  }

  #countAttempts({ id, attemptsSeq }: SaleRow, upTo: number): number {
    let count = 0;
    for (let seq = attemptsSeq + 1; seq <= upTo; seq += 1) {
      if (this.attempts.get(seq)?.saleId === id) count += 1;
    }
    return count;
  }

  findCode(code: string): ArchivedCode | null {
    const given = this.#given.get(code);
    const sold = this.purchases.get(code);
    const of = given?.of ?? sold;
    if (of === undefined || of.itemId === null || of.saleId === null || of.buyer === null) {
      return null;
    }
    return {
      seq: of.seq,
      code,
      saleId: of.saleId,
      itemId: of.itemId,
      buyer: of.buyer,
      reservedAt: of.at,
      key: given?.of.key ?? null,
      request: given?.of.request ?? null,
      released: given?.released ?? false,
      sold: sold === undefined ? null : { seq: sold.seq, at: sold.at },
    };
  }

  loadClaims(coupon: string): ReadonlyMap<string, number> {
    const claims = (this.claims.get(coupon) ?? []).toSorted((a, b) => a.ordinal - b.ordinal);
    return new Map(claims.map(({ buyer, at }) => [buyerId(buyer), at]));
  }

  loadSales(ids: readonly number[]): StoredSale[] {
    return [...this.#sales.values()]
      .filter(({ id }) => ids.includes(id))
      .map((row) => {
        const { id, kind, title, startsAt, endsAt, closed, perUserLimit, reservationTtlMs } = row;
        const head = { id, kind, startsAt, endsAt, closed, perUserLimit, reservationTtlMs };
        const { items, itemCount, attempts, attemptsSeq } = row;
        return { sale: saleOf(head, items, itemCount), title, items, attempts, attemptsSeq };
      });
  }

  #findHourly(startsAt: number): number | null {
    for (const sale of this.#sales.values()) {
      if (sale.kind === "hourly" && sale.startsAt === startsAt) return sale.id;
    }
    return null;
  }

  storeSale(sale: NewSale, seq: number): number {
    const there = sale.kind === "hourly" ? this.#findHourly(sale.startsAt) : null;
    return there ?? this.#insertSale(sale, sale.items, seq);
  }

  #insertSale(sale: Omit<NewSale, "items">, items: readonly Item[], attemptsSeq: number): number {
    const { kind, title, startsAt, endsAt, perUserLimit, reservationTtlMs } = sale;
    if (startsAt >= endsAt) throw new ConstraintError("sales_window");
    const id = this.#sales.size + 1;
    this.#sales.set(id, {
      id,
      kind,
      title,
      startsAt,
      endsAt,
      closed: false,
      perUserLimit,
      reservationTtlMs,
      itemCount: items.length,
      attempts: 0,
      attemptsSeq,
      settled: false,
      items,
    });
    this.onSale?.(this.#stored(id));
    return id;
  }

  saveCheckpoint(
    saleId: number,
    { attempts, settled, ...checkpoint }: Checkpoint & { attempts: number; settled: boolean },
  ): void {
    const sale = this.#sale(saleId);
    if (sale.attemptsSeq > checkpoint.seq || sale.settled) return;
    Object.assign(sale, { attempts, settled, attemptsSeq: checkpoint.seq });
    this.#checkpoints.set(saleId, checkpoint);
  }

  insertProductSale(epoch: number, sale: NewProductSale, seq: number): WrittenSale {
    this.#holdEpoch(epoch);
    const missing = this.#missingIn(sale.items);
    if (missing !== null) return { missing };
    const items = this.#numbered(sale.items, [], 0);
    const id = this.#insertSale({ ...sale, kind: "product" }, items, seq);
    return this.#stored(id);
  }

  replaceProductSale(
    epoch: number,
    { sale: present, items: before }: StoredSale,
    change: ProductSaleChange,
    now: number,
  ): WrittenSale | "sale_has_opened" {
    this.#holdEpoch(epoch);
    const sale = this.#sale(present.id);
    const missing = this.#missingIn(change.items ?? []);
    if (missing !== null) return { missing };
    const isTouched = (this.#effectiveOf.get(sale.id) ?? []).length > 0;
    if (sale.closed || sale.startsAt <= now || isTouched) {
      return "sale_has_opened";
    }
    const given = present.stock.length;
    const items = change.items === null ? before : this.#numbered(change.items, before, given);
    const { title, startsAt, endsAt, perUserLimit, reservationTtlMs } = change;
    const itemCount = Math.max(given, items.at(-1)?.id ?? 0);
    const terms = { title, startsAt, endsAt, perUserLimit, reservationTtlMs, itemCount, items };
    Object.assign(sale, terms);
    const stored = this.#stored(sale.id);
    this.onSale?.(stored);
    return stored;
  }

  #deleteProduct(epoch: number, id: number, now: number) {
    this.#holdEpoch(epoch);
    const product = this.#products.get(id);
    if (product === undefined || product.deleted) return "product_not_found";
    for (const { endsAt, items } of this.#sales.values()) {
      if (endsAt > now && items.some(({ productId }) => productId === id)) return "product_in_sale";
    }
    product.deleted = true;
    return "deleted";
  }

  #numbered(
    announced: NewProductSale["items"],
    present: readonly Item[],
    given: number,
  ): readonly Item[] {
    const numbers = new Map(present.map(({ productId, id }) => [productId, id]));
    let next = given;
    return announced
      .map(({ productId, stock, priceCents }) => {
        const known = numbers.get(productId);
        if (known === undefined) next += 1;
        const name = this.#products.get(productId)?.name ?? "";
        const id = known ?? next;
        return { id, name, pictureSeed: `${productId}`, priceCents, stock, productId };
      })
      .toSorted((a, b) => a.id - b.id);
  }

  #missingIn(items: NewProductSale["items"]): number | null {
    const missing = items
      .map(({ productId }) => productId)
      .filter((id) => this.#products.get(id)?.deleted !== false);
    return missing.length === 0 ? null : Math.min(...missing);
  }

  #holdEpoch(epoch: number): void {
    if (epoch !== this.epoch) throw new DeposedError("another leader has begun its term");
  }

  #stored(id: number): StoredSale {
    const [stored] = this.loadSales([id]);
    if (stored === undefined) throw new Error(`sale ${id} is not stored`);
    return stored;
  }

  #sale(id: number): SaleRow {
    const sale = this.#sales.get(id);
    if (sale === undefined) throw new ConstraintError(`there is no sale ${id}`);
    return sale;
  }
}

/** The rows of an attempt: the words that change something have more than one. */
function stage(
  staged: Staged,
  seq: number,
  at: number,
  command: Command,
  outcome: Exclude<Outcome, { readonly word: "look_up" }>,
): void {
  const nothing = { saleId: null, itemId: null, buyer: null, code: null, key: null };
  const row = { ...nothing, request: null, quantity: null, seq, at, kind: command.kind };
  const attempt = { ...row, outcome: outcome.word };
  switch (command.kind) {
    case "checkout":
      staged.attempts.push({ ...attempt, ...checkoutRow(command, outcome) });
      return;
    case "purchase":
    case "release": {
      const of = "of" in outcome ? outcome.of : null;
      const { code, by } = command;
      const buyer = of?.buyer ?? (by === "merchant" ? null : by);
      const saleId = of?.saleId ?? null;
      staged.attempts.push({ ...attempt, saleId, itemId: of?.itemId ?? null, buyer, code });
      if (outcome.word === "purchased" && "of" in outcome) {
        staged.purchases.push(purchaseRow(outcome.of, seq, at, null));
      }
      return;
    }
    case "extend": {
      const of = "of" in outcome ? outcome.of : null;
      const { saleId = null, itemId = null, buyer = null } = of ?? {};
      const { code } = command;
      staged.attempts.push({ ...attempt, saleId, itemId, buyer, code });
      if (outcome.word === "extended") {
        const { due, of: unit } = outcome;
        staged.extensions.push({ seq, at, word: "extended", saleId: unit.saleId, code, due });
      }
      return;
    }
    case "buy": {
      const { buyer, saleId, itemId, code, key, quantity } = command;
      const units = outcome.word === "purchased" && "units" in outcome ? outcome.units : null;
      const request = key === null ? null : requestOf(command);
      staged.attempts.push({
        ...attempt,
        saleId: saleId === "unknown" ? null : saleId,
        itemId: itemId === "unknown" ? null : itemId,
        buyer,
        code: units === null ? null : code,
        key,
        request,
        quantity,
      });
      units?.forEach((unit, index) => {
        const order = index === 0 && key !== null ? { key, request } : null;
        staged.purchases.push(purchaseRow(unit, seq, at, order));
      });
      return;
    }
    case "change_sale":
      staged.attempts.push({ ...attempt, saleId: command.saleId });
      if (outcome.word === "sale_changed") {
        staged.saleEnds.push({
          id: command.saleId,
          endsAt: outcome.endsAt,
          closed: outcome.closed,
        });
      }
      return;
    case "create_coupon":
      staged.attempts.push(attempt);
      if (outcome.word === "coupon_created") {
        staged.coupons.push({ ...outcome.coupon, createdAt: at });
        staged.remaining.set(outcome.coupon.name, outcome.coupon.remaining);
      }
      return;
    case "claim":
      staged.attempts.push({ ...attempt, buyer: command.buyer, key: command.key });
      if (outcome.word === "claimed") {
        const { buyer, coupon, key } = command;
        staged.claims.push({ seq, at, coupon, buyer, ordinal: outcome.claim.ordinal, key });
        staged.remaining.set(coupon, outcome.claim.coupon.remaining);
      }
      return;
    default:
      command satisfies never;
  }
}

function checkoutRow(
  command: Extract<Command, { readonly kind: "checkout" }>,
  outcome: Exclude<Outcome, { readonly word: "look_up" }>,
): Partial<AttemptRow> {
  const { buyer, item, key } = command;
  if ("reservation" in outcome) {
    const { saleId, itemId, code } = outcome.reservation;
    return { saleId, itemId, code, buyer, key, request: key === null ? null : requestOf(command) };
  }
  const saleId = "saleId" in outcome ? outcome.saleId : null;
  return { saleId, itemId: item === "any" ? null : item, buyer };
}

function purchaseRow(
  unit: SoldUnit,
  seq: number,
  at: number,
  order: { readonly key: string; readonly request: string | null } | null,
): PurchaseRow {
  const { saleId, itemId, buyer, code, userOrdinal, itemStock, userLimit, key, request } = unit;
  return {
    seq,
    at,
    saleId,
    itemId,
    buyer,
    code,
    unit: unit.unit,
    userOrdinal,
    itemStock,
    userLimit,
    key,
    request,
    orderKey: order?.key ?? null,
    orderRequest: order?.request ?? null,
  };
}

const storedPurchase = ({
  saleId: _sale,
  itemStock: _stock,
  userLimit: _limit,
  ...purchase
}: PurchaseRow): StoredPurchase => purchase;

function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [value]);
  else there.push(value);
}

// oxlint-disable-next-line require-await
async function* inPages<T>(rows: readonly T[]): AsyncGenerator<readonly T[]> {
  const pageRows = 64;
  for (let from = 0; from < rows.length; from += pageRows) yield rows.slice(from, from + pageRows);
}
