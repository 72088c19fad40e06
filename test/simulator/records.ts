/**
 * The memory twin of the records: the tables of `store/schema.ts` as maps, with what PostgreSQL's
 * constraints refuse, and the lock that elects the writer. Written from the schema and the contract
 * of `store/records.ts`; the same histories are run against both.
 */
import type { EffectiveAttempt, RecordedChange } from "../../src/ledger/changes.ts";
import type { BegunTerm, Checkpoint } from "../../src/ledger/recorded.ts";
import {
  DeposedError,
  settleAfterMs,
  type Announcement,
  type Batch,
  type LeaderRecord,
  type Records,
  type Standing,
  type Term,
} from "../../src/store/records.ts";
import type { CalledChange, Caller } from "../../src/store/activity.ts";
import type { WrittenSale } from "../../src/store/product-sales.ts";
import { checkStaged, ConstraintError, couponsAfter } from "./constraints.ts";
import { CutError, Session, type Line } from "./line.ts";
import { pushTo } from "./lists.ts";
import { findAsked, findCode, findKey, findRefundable, loadClaims } from "./lookups.ts";
import { countAttempts, notedLives, purchasesSince, recover, recoverSince } from "./recovered.ts";
import {
  nothingStaged,
  stage,
  type AttemptRow,
  type ClaimRow,
  type CouponRow,
  type MilestoneRow,
  type OfferRow,
  type PurchaseRow,
  type RateRow,
  type RefundRow,
  type Staged,
  type TicketRow,
} from "./rows.ts";
import { SaleTable } from "./sales.ts";

/** What is stored; one for all processes. */
export class MemoryRecords {
  /** By number, from 1. */
  readonly attempts = new Map<number, AttemptRow>();
  readonly purchases = new Map<string, PurchaseRow>();
  coupons = new Map<string, CouponRow>();
  readonly claims = new Map<string, ClaimRow[]>();
  readonly sales = new SaleTable();
  /** By sale, in the order of their numbers. */
  readonly tickets = new Map<number, TicketRow[]>();
  readonly rates: RateRow[] = [];
  readonly #purchasesOf = new Map<number, PurchaseRow[]>();
  readonly effectiveOf = new Map<number, RecordedChange[]>();
  readonly refunds: RefundRow[] = [];
  milestones: MilestoneRow[] = [];
  readonly offers: OfferRow[] = [];
  readonly given = new Map<string, { of: AttemptRow; released: boolean }>();
  readonly checkpoints = new Map<number, Checkpoint>();
  /** When each term began, and after which attempt. */
  readonly terms: BegunTerm[] = [];
  /** What was changed by calls, but by an attempt, by their ids. */
  readonly #changes = new Map<number, CalledChange>();
  #lastSeq = 0;
  #leader: LeaderRecord | null = null;
  /** Who has the lock. */
  holder: Session | null = null;
  /** Whether what is committed comes from somebody who had it, and has not noticed. */
  isStale = false;
  /**
   * Attempts of whoever had the lock no more. In PostgreSQL a session that writes has it, and nothing of
   * a term is written once the next has begun.
   */
  readonly #staleSeqs = new Set<number>();
  /** Told of every batch that was committed. */
  onCommit: ((batch: Batch) => void) | null = null;
  /** Told of the time with which a term begins. */
  onRecover: ((now: number) => void) | null = null;

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get epoch(): number {
    return this.#leader?.epoch ?? 0;
  }

  purchasesOf(saleId: number): readonly PurchaseRow[] {
    return this.#purchasesOf.get(saleId) ?? [];
  }

  /** The records as one process has them. */
  over(line: Line): Records {
    const { sales } = this;
    const holding = <T>(epoch: number, work: () => T): Promise<T> =>
      line.carry("write", () => {
        if (epoch !== this.epoch) throw new DeposedError("another leader has begun its term");
        return work();
      });
    return {
      lead: (announce, signal, standing) => this.#lead(line, announce, signal, standing),
      findChange: (asked) => line.carry("read", () => this.#changes.get(asked) ?? null),
      findAsked: (seq, ids) => line.carry("read", () => findAsked(this, seq, ids)),
      isCommitted: (epoch, { seq, at, word }) =>
        line.carry("read", () => {
          const next = this.terms.find((term) => term.epoch > epoch);
          if (next === undefined) return null;
          const made = this.attempts.get(seq);
          const isBefore = next.afterSeq >= seq || this.#staleSeqs.has(seq);
          return isBefore && made?.at === at && made.outcome === word;
        }),
      snapshot: async (use) => await use(await line.carry("read", () => recover(this))),
      snapshotSince: async (from, use) =>
        await use(await line.carry("read", () => recoverSince(this, from))),
      purchases: (ids, since, upTo) =>
        line.carry(
          "read",
          () => new Map(ids.map((id) => [id, purchasesSince(this, id, since, upTo)])),
        ),
      findCode: (code) => line.carry("read", () => findCode(this, code)),
      findKeys: (asked) => line.carry("read", () => asked.map((one) => findKey(this, one))),
      findRefundable: (asked) => line.carry("read", () => findRefundable(this, asked)),
      loadClaims: (coupon) => line.carry("read", () => loadClaims(this, coupon)),
      loadSales: (ids) => line.carry("read", () => sales.load(ids)),
      findDraw: (saleId) => line.carry("read", () => sales.findDraw(saleId)),
      noteDraw: (epoch, saleId, draw) => holding(epoch, () => sales.noteDraw(saleId, draw)),
      findHourly: (startsAt) => line.carry("read", () => sales.findHourly(startsAt)),
      storeSale: (sale, seq) => line.carry("write", () => sales.store(sale, seq)),
      saveCheckpoint: (epoch, saleId, checkpoint) =>
        holding(epoch, () => this.saveCheckpoint(saleId, checkpoint)),
      insertProductSale: (epoch, sale, seq, by) =>
        holding(epoch, () => this.#called(by, () => sales.insertProductSale(sale, seq))),
      replaceProductSale: (epoch, present, change, now, by) =>
        holding(epoch, () => {
          const isTouched = (this.effectiveOf.get(present.sale.id) ?? []).length > 0;
          return this.#called(by, () =>
            sales.replaceProductSale(present, change, { isTouched, now }),
          );
        }),
      deleteProduct: (epoch, id, now, by) =>
        holding(epoch, () => this.#called(by, () => sales.deleteProduct(id, now))),
    };
  }

  /** Notes what is done by a call. */
  #called<T extends WrittenSale | string>({ asked }: Caller, make: () => T): T {
    if (asked === undefined) return make();
    if (this.#changes.has(asked)) throw new ConstraintError("activity_asked_once");
    const made = make();
    if (made === "deleted") this.#changes.set(asked, { saleId: null });
    if (typeof made === "object" && "sale" in made) {
      this.#changes.set(asked, { saleId: made.sale.id });
    }
    return made;
  }

  async #lead(
    line: Line,
    announce: Announcement,
    signal: AbortSignal,
    { mayLead, onStandby }: Standing,
  ): Promise<Term | null> {
    for (;;) {
      if (signal.aborted) return null;
      const session = mayLead() ? await line.carry("lock", () => this.#tryLock(announce)) : null;
      if (session !== null) return this.#term(line, session);
      await onStandby(await line.carry("lock", () => this.#leader));
    }
  }

  #tryLock({ url, instance, link }: Announcement): Session | null {
    if (this.holder !== null) return null;
    const epoch = this.epoch + 1;
    this.#leader = { epoch, url: url ?? "", instance, link };
    this.holder = new Session(epoch);
    return this.holder;
  }

  #term(line: Line, session: Session): Term {
    const last = { seq: this.#lastSeq, at: this.attempts.get(this.#lastSeq)?.at ?? 0 };
    return {
      epoch: session.epoch,
      lastAt: last.at,
      lost: session.lost,
      begin: (now) => line.carry("write", () => this.begin(now, last)),
      recover: () => line.carry("read", () => recover(this, last)),
      recoverSince: (from) => line.carry("read", () => recoverSince(this, from, last)),
      notedLives: (ids) => line.carry("read", () => notedLives(this, ids)),
      commit: (batch) =>
        line.carry("commit", () => {
          if (session.isCut) throw new CutError("the connection that holds the lock is closed");
          // A leader's session has the lock: by the time that another begins there is none of it.
          if (session.epoch < (this.terms.at(-1)?.epoch ?? 0)) {
            throw new DeposedError("another leader has begun its term");
          }
          this.isStale = this.holder !== session;
          const before = this.#lastSeq;
          this.commit(batch);
          if (!this.isStale) return;
          for (let seq = before + 1; seq <= this.#lastSeq; seq += 1) this.#staleSeqs.add(seq);
        }),
      open: () => line.carry("write", () => {}),
      confirm: () => line.carry("lock", () => this.#confirm(session)),
      makeRoom: () => line.carry("read", () => {}),
      noteEnd: () => Promise.resolve(),
      end: async () => {
        session.isCut = true;
        this.release(session);
        await Promise.resolve();
      },
    };
  }

  #confirm(session: Session): void {
    if (session.isCut || this.holder !== session) {
      throw new CutError("the connection that holds the lock is closed");
    }
  }

  release(session: Session): void {
    if (this.holder === session) this.holder = null;
  }

  /** All or nothing. @throws ConstraintError for what PostgreSQL would refuse */
  commit(batch: Batch): void {
    const staged = nothingStaged();
    let seq = batch.firstSeq;
    batch.commands.forEach((command, index) => {
      const outcome = batch.outcomes[index];
      if (outcome === undefined) throw new Error("a command without an outcome");
      if (outcome.word === "look_up") return;
      stage(staged, { seq, at: batch.at, asked: batch.asked[index] ?? null }, command, outcome);
      seq += 1;
    });
    this.#check(staged);
    this.#apply(staged);
    this.onCommit?.(batch);
  }

  #check(staged: Staged): void {
    const { attempts, purchases, refunds, coupons, claims, tickets, milestones, offers } = this;
    const purchasesOf = this.#purchasesOf;
    const sales = this.sales.rows;
    const beside = { coupons, claims, tickets, milestones, offers };
    checkStaged({ attempts, sales, purchases, purchasesOf, refunds, ...beside }, staged);
  }

  #apply(staged: Staged): void {
    const { attempts, extensions, refunds, purchases, claims, coupons } = staged;
    for (const row of staged.tickets) pushTo(this.tickets, row.saleId, row);
    this.rates.push(...staged.rates);
    this.offers.push(...staged.offers);
    for (const row of attempts) {
      this.attempts.set(row.seq, row);
      this.#lastSeq = Math.max(this.#lastSeq, row.seq);
      this.#index(row);
    }
    for (const row of staged.restocks) {
      pushTo(this.effectiveOf, row.saleId, row);
      this.sales.restock(row.saleId, row.itemId, row.units);
    }
    this.milestones.push(...staged.milestones);
    for (const row of extensions) pushTo(this.effectiveOf, row.saleId, row);
    for (const row of refunds) this.#takeBack(row);
    for (const row of purchases) {
      this.purchases.set(row.code, row);
      pushTo(this.#purchasesOf, row.saleId, row);
    }
    this.coupons = couponsAfter(this.coupons, coupons);
    for (const row of claims) pushTo(this.claims, row.coupon, row);
    for (const { id, title, endByHand, ...window } of staged.saleChanges) {
      const sale = this.sales.rows.get(id);
      if (sale === undefined) continue;
      Object.assign(sale, window);
      if (title !== null) sale.title = title;
      if (endByHand) sale.endByHand = true;
    }
    for (const id of staged.withdrawn) {
      this.sales.rows.delete(id);
      this.checkpoints.delete(id);
      this.tickets.delete(id);
      this.milestones = this.milestones.filter(({ saleId }) => saleId !== id);
      this.#withdrawOffers(id);
    }
  }

  #withdrawOffers(id: number): void {
    const kept = this.offers.filter(({ saleId }) => saleId !== id);
    this.offers.splice(0, this.offers.length, ...kept);
  }

  #takeBack(row: RefundRow): void {
    this.refunds.push(row);
    const { seq, at, word, saleId, codes, restocked } = row;
    pushTo(this.effectiveOf, saleId, { seq, at, word, saleId, codes, restocked });
    for (const code of codes) {
      const sold = this.purchases.get(code);
      if (sold !== undefined) Object.assign(sold, { refundedBy: seq, restocked });
    }
  }

  #index(row: AttemptRow): void {
    const { outcome, code, saleId, itemId, buyer, seq, at, key, request, quantity } = row;
    this.#indexWaiting(row);
    if (outcome !== "reserved" && outcome !== "purchased" && outcome !== "released") return;
    if (code === null || saleId === null || itemId === null || buyer === null) {
      throw new Error(`attempt ${seq} changed something, and does not say what`);
    }
    const effective: EffectiveAttempt = {
      seq,
      at,
      word: row.kind === "offer" ? "offered" : outcome,
      saleId,
      itemId,
      buyer,
      code,
      key,
      request,
      quantity,
    };
    pushTo(this.effectiveOf, saleId, effective);
    if (outcome === "reserved") this.given.set(code, { of: row, released: false });
    const given = this.given.get(code);
    if (outcome === "released" && given !== undefined) given.released = true;
  }

  #indexWaiting({ outcome: word, seq, at, saleId, itemId, buyer, code }: AttemptRow): void {
    if (saleId === null || buyer === null) return;
    const of = { seq, at, saleId };
    if (word === "waiting") {
      pushTo(this.effectiveOf, saleId, { ...of, word, buyer, item: itemId ?? "any" });
    } else if (word === "left") pushTo(this.effectiveOf, saleId, { ...of, word, buyer });
    else if (word === "offer_lapsed" && code !== null) {
      pushTo(this.effectiveOf, saleId, { ...of, word, code });
    }
  }

  /** Notes that a term begins. @param last the last attempt, when its lock was taken */
  begin(now: number, last = this.last): void {
    this.onRecover?.(now);
    for (const sale of this.sales.rows.values()) {
      if (sale.endsAt > now - settleAfterMs) sale.settled = false;
      else if (!sale.settled) {
        sale.settled = true;
        sale.attempts += countAttempts(this, sale, last.seq);
        sale.attemptsSeq = last.seq;
      }
    }
    this.terms.push({ epoch: this.epoch, afterSeq: last.seq, at: now });
  }

  get last(): { readonly seq: number; readonly at: number } {
    return { seq: this.#lastSeq, at: this.attempts.get(this.#lastSeq)?.at ?? 0 };
  }

  saveCheckpoint(
    saleId: number,
    { attempts, settled, ...checkpoint }: Checkpoint & { attempts: number; settled: boolean },
  ): void {
    const sale = this.sales.get(saleId);
    if (sale.attemptsSeq > checkpoint.seq || sale.settled) return;
    Object.assign(sale, { attempts, settled, attemptsSeq: checkpoint.seq });
    this.checkpoints.set(saleId, checkpoint);
  }
}
