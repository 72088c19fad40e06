/**
 * PostgreSQL and the memory twin of the records are told the same random histories, decided by a real
 * ledger: what a new term reads of them, what became of every code, who has claimed what and what they
 * refuse are the same. Without it the simulator would prove something of its own records alone.
 */
import { expect, test } from "bun:test";
import type { Sql } from "postgres";
import type { Buyer } from "../../src/ledger/buyers.ts";
import {
  extensionMsMax,
  type Command,
  type Outcome,
  type SoldUnit,
} from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import { databaseRecords } from "../../src/store/database-records.ts";
import { newestMigration } from "../../src/store/migrations.ts";
import type { Batch, Records, Recovered, Term } from "../../src/store/records.ts";
import { MemoryRecords, soundLine } from "../simulator/records.ts";
import { lookInto, migrationsFolder, usePostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const histories = 4;
const stepsOfHistory = 120;
const batchCommandsMax = 12;
const ttlMs = 20_000;
const begunAt = Date.UTC(2030, 0, 1);
const products = [1, 2, 3];
const names = ["TEN", "FREE"];
const buyers: readonly Buyer[] = (["guest", "account", "customer"] as const).flatMap((kind) =>
  ["ann", "bob \u{1f3b5} o'hara"].map((userId) => ({ kind, userId })),
);

/** One of the two, with its term. */
type Side = { readonly records: Records; term: Term };

async function collected<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}

const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, part: unknown) => {
      if (part instanceof Int32Array) return Array.from(part);
      return part instanceof Map ? [...part] : part;
    }),
  );

/** What a term has read, as values that can be compared and read again. */
async function readIn(recovered: Recovered) {
  const [effective, coupons] = [
    await collected(recovered.effective),
    await collected(recovered.coupons),
  ];
  return { plain: plain({ ...recovered, effective, coupons }), effective, coupons };
}

async function* onePage<T>(rows: readonly T[]): AsyncGenerator<readonly T[]> {
  yield await Promise.resolve(rows);
}

class History {
  readonly #dice: Random;
  readonly #sql: Sql;
  readonly #sides: Side[] = [];
  readonly #twin = new MemoryRecords();
  #ledger: Ledger | null = null;
  #now = begunAt;
  readonly codes: string[] = [];
  readonly sold: SoldUnit[] = [];
  /** How often something was refused by both. */
  refusals = 0;

  constructor(seed: number, sql: Sql) {
    this.#dice = new Random(seed);
    this.#sql = sql;
  }

  async begin(url: string): Promise<void> {
    for (const id of products) {
      await this.#sql`
        insert into products (name, picture_seed, price_cents)
        values (${`product ${id}`}, ${String(id)}, 100)`;
      this.#twin.addProduct(id);
    }
    const schema = newestMigration(migrationsFolder);
    const connection = { url };
    const both = [
      databaseRecords({ connection, sql: this.#sql, schema, retentionMs: Infinity }),
      this.#twin.over(soundLine),
    ];
    for (const records of both) this.#sides.push({ records, term: await newTerm(records) });
    await this.#recover();
  }

  async end(): Promise<void> {
    for (const { term } of this.#sides) await term.end();
  }

  get #open(): Ledger {
    if (this.#ledger === null) throw new Error("no term has begun");
    return this.#ledger;
  }

  /** Asks both, and compares what they say. */
  async #both<T>(ask: (side: Side) => Promise<T>): Promise<T> {
    const [one, other] = await inTurn(this.#sides, async (side) => ({ said: await ask(side) }));
    if (one === undefined) throw new Error("nobody was asked");
    expect(other).toEqual(one);
    return one.said;
  }

  /** As above, of what may be refused: then both refuse it. */
  async #tried(ask: (side: Side) => Promise<unknown>): Promise<boolean> {
    const isDone = await this.#both(async (side) => {
      try {
        await ask(side);
        return true;
      } catch {
        return false;
      }
    });
    if (!isDone) this.refusals += 1;
    return isDone;
  }

  async step(): Promise<void> {
    const dice = this.#dice;
    this.#now += dice.between(0, 4_000);
    const kind = dice.between(0, 19);
    if (kind < 11) return await this.#batch(this.#commands());
    if (kind === 11) return await this.#hourly();
    if (kind === 12) return await this.#announce();
    if (kind === 13) return await this.#replace();
    if (kind === 14) return await this.#deleteProduct();
    if (kind === 15) return await this.#checkpoint();
    if (kind === 16) return await this.#again();
    if (kind === 17) return await this.#forge();
    await this.compare();
  }

  view<T>(use: (view: LedgerView) => T): T {
    return use(this.#open.view(this.#now));
  }

  #commands(): Command[] {
    const commands = upTo(this.#dice.between(1, batchCommandsMax)).map(() => this.#command());
    return this.#dice.chance(0.1) ? [...commands, ...this.#ends()] : commands;
  }

  /** A sale's end is moved twice at once. */
  #ends(): Command[] {
    const now = this.#now;
    const open = this.view((view) => view.sales()).filter((sale) => sale.endsAt > now);
    const sale = this.#dice.pick(open.filter(({ startsAt }) => startsAt <= now));
    if (sale === undefined) return [];
    const end = { kind: "change_sale", saleId: sale.id } as const;
    return [
      { ...end, endsAt: sale.endsAt + 1_000 },
      { ...end, endsAt: this.#dice.chance(0.5) ? "now" : sale.endsAt + 2_000 },
    ];
  }

  #command(): Command {
    const dice = this.#dice;
    const sales = this.view((view) => view.sales().map(({ id }) => id));
    const sale = dice.pick(sales) ?? 1;
    const buyer = dice.pick(buyers) ?? { kind: "guest", userId: "ann" };
    const key = dice.chance(0.4) ? `"key" ${dice.between(1, 4)}` : null;
    const item = dice.chance(0.1) ? 3_000_000_000 : dice.between(1, 4);
    const expectedPriceCents = dice.chance(0.2) ? 100 : null;
    const code = this.#code();
    const known = dice.pick(this.codes) ?? code;
    const by = dice.chance(0.6) ? buyer : null;
    const kind = dice.between(0, 13);
    if (kind < 5) {
      return { kind: "checkout", buyer, item, sale, code, key, expectedPriceCents };
    }
    if (kind < 7) return { kind: "purchase", code: known, by, expectedPriceCents, lookup: null };
    if (kind < 8) return { kind: "release", code: known, saleId: null, by, lookup: null };
    if (kind < 10) {
      const quantity = dice.between(1, 2);
      return {
        kind: "buy",
        buyer,
        saleId: sale,
        itemId: item,
        quantity,
        code,
        key,
        expectedPriceCents,
      };
    }
    const coupon = dice.pick(names) ?? "TEN";
    if (kind < 11) return { kind: "create_coupon", coupon, amount: dice.between(1, 4) };
    if (kind < 12) return { kind: "claim", coupon, buyer, key };
    if (kind < 13) {
      const ms = dice.chance(0.2) ? extensionMsMax : dice.between(1, 3 * ttlMs);
      return { kind: "extend", code: known, ms, lookup: null };
    }
    const endsAt = dice.chance(0.5) ? "now" : this.#now + dice.between(1, 100_000);
    return { kind: "change_sale", saleId: sale, endsAt };
  }

  #code(): string {
    const digits = upTo(12).map(() => this.#dice.between(0, 15).toString(16));
    return `00000000-0000-4000-8000-${digits.join("")}`;
  }

  /** Decides, and has both commit it. */
  async #batch(commands: readonly Command[]): Promise<void> {
    const ledger = this.#open;
    const at = ledger.moveOn(this.#now);
    const firstSeq = ledger.seq + 1;
    const outcomes: Outcome[] = [];
    for (const command of commands) {
      const outcome = ledger.decide(command, at);
      outcomes.push(await this.#lookedUp(command, outcome, at));
    }
    // One in which all have to be looked up first has nothing to commit.
    if (ledger.seq < firstSeq) return;
    await this.#both(({ term }) => term.commit({ firstSeq, at, commands, outcomes }));
    for (const outcome of outcomes) this.#remember(outcome);
  }

  /** Of a batch one is looked up in the records only where the batch has not changed them. */
  async #lookedUp(command: Command, outcome: Outcome, at: number): Promise<Outcome> {
    if (outcome.word !== "look_up") return outcome;
    if (command.kind === "claim") {
      const claims = await this.#both(({ records }) => records.loadClaims(command.coupon));
      this.#open.holdClaims(command.coupon, claims);
      return this.#open.decide(command, at);
    }
    return outcome;
  }

  #remember(outcome: Outcome): void {
    if ("reservation" in outcome) this.codes.push(outcome.reservation.code);
    const units =
      outcome.word !== "purchased" ? [] : "units" in outcome ? outcome.units : [outcome.of];
    for (const unit of units) {
      this.codes.push(unit.code);
      this.sold.push(unit);
    }
  }

  async #hourly(): Promise<void> {
    const startsAt = begunAt + Math.floor((this.#now - begunAt) / 60_000) * 60_000;
    const { seq } = this.#open;
    // PostgreSQL's numbers have a gap where one was refused as double.
    if ((await this.#both(({ records }) => records.findHourly(startsAt))) !== null) return;
    const items = upTo(this.#dice.between(1, 3)).map((id) => ({
      id,
      name: `item ${id}`,
      pictureSeed: `seed ${id}`,
      priceCents: 100,
      stock: this.#dice.between(1, 3),
    }));
    const window = { startsAt, endsAt: startsAt + 60_000 };
    const sale = { kind: "hourly" as const, title: "Drop", perUserLimit: 2, ...window, items };
    const id = await this.#both(({ records }) =>
      records.storeSale({ ...sale, reservationTtlMs: ttlMs }, seq),
    );
    const [stored] = await this.#both(({ records }) => records.loadSales([id]));
    if (stored !== undefined) this.#open.addSale(stored.sale, stored.attempts);
  }

  #terms() {
    const dice = this.#dice;
    const startsAt = this.#now + dice.between(-5_000, 10_000);
    return {
      title: "Drop",
      startsAt,
      endsAt: startsAt + dice.between(1_000, 200_000),
      perUserLimit: dice.between(1, 3),
      reservationTtlMs: ttlMs,
      items: products
        .filter(() => dice.chance(0.6))
        .map((productId) => ({ productId, stock: dice.between(1, 3), priceCents: 100 })),
    };
  }

  async #announce(): Promise<void> {
    const terms = this.#terms();
    const { seq } = this.#open;
    const written = await this.#both(({ records, term }) =>
      records.insertProductSale(term.epoch, terms, seq),
    );
    if (!("missing" in written)) this.#open.addSale(written.sale, 0);
    await this.#tried(({ records, term }) => records.insertProductSale(term.epoch - 1, terms, seq));
  }

  async #replace(): Promise<void> {
    const ids = this.view((view) => view.sales())
      .filter(({ kind }) => kind === "product")
      .map(({ id }) => id);
    const id = this.#dice.pick(ids);
    if (id === undefined) return;
    const { items, ...terms } = this.#terms();
    const change = { ...terms, items: this.#dice.chance(0.5) ? items : null };
    const [present] = await this.#both(({ records }) => records.loadSales([id]));
    if (present === undefined || !this.#open.shutSale(id)) return;
    const replaced = await this.#both(({ records, term }) =>
      records.replaceProductSale(term.epoch, present, change, this.#now),
    );
    const isReplaced = replaced !== "sale_has_opened" && !("missing" in replaced);
    this.#open.addSale(isReplaced ? replaced.sale : present.sale, 0);
  }

  async #deleteProduct(): Promise<void> {
    const id = this.#dice.pick(products) ?? 1;
    const word = await this.#both(({ records, term }) =>
      records.deleteProduct(term.epoch, id, this.#now),
    );
    if (word !== "deleted") return;
    // It comes back, for the sales to come.
    await this.#sql`update products set deleted = false where id = ${id}`;
    this.#twin.addProduct(id);
  }

  async #checkpoint(): Promise<void> {
    const id = this.#dice.pick(this.view((view) => view.sales().map((sale) => sale.id)));
    if (id === undefined) return;
    const { checkpoint, attempts } = this.view((view) => ({
      checkpoint: view.checkpoint(id),
      attempts: view.activity(id)?.attempts ?? 0,
    }));
    if (checkpoint === null) return;
    await this.#both(({ records }) =>
      records.saveCheckpoint(id, { ...checkpoint, attempts, settled: false }),
    );
  }

  /** Another term, whose clock may be behind, or so far ahead that sales are settled. */
  async #again(): Promise<void> {
    const steps = [0, 0, -3_000, -40_000, 700_000];
    this.#now += this.#dice.pick(steps) ?? 0;
    for (const side of this.#sides) {
      await side.term.end();
      side.term = await newTerm(side.records);
    }
    await this.#recover();
  }

  async #recover(): Promise<void> {
    await this.#both(({ term }) => Promise.resolve([term.epoch, term.lastAt]));
    const read: Awaited<ReturnType<typeof readIn>>[] = [];
    const found: Recovered[] = [];
    for (const { term } of this.#sides) {
      await term.makeRoom(0, this.#now, 0);
      const recovered = await term.recover(this.#now);
      found.push(recovered);
      read.push(await readIn(recovered));
    }
    expect(read[1]?.plain).toEqual(read[0]?.plain);
    const [recovered] = found;
    const [rows] = read;
    if (recovered === undefined || rows === undefined) throw new Error("nothing was read");
    const { effective, coupons } = rows;
    this.#ledger = await Ledger.restore(
      { ...recovered, effective: onePage(effective), coupons: onePage(coupons) },
      this.#now,
    );
  }

  /** What the ledger would never decide, and the constraints refuse. */
  async #forge(): Promise<void> {
    const dice = this.#dice;
    const unit = this.sold.at(-dice.between(1, 5));
    const firstSeq = this.#open.seq + 1;
    if (unit === undefined) return;
    const other = { ...unit, code: this.#code() };
    const forged: SoldUnit[] = [
      unit,
      { ...other, userOrdinal: unit.userOrdinal + 1 },
      { ...other, unit: unit.unit + 1 },
      { ...other, unit: unit.itemStock + 1, userOrdinal: unit.userLimit },
      { ...other, unit: unit.itemStock, userOrdinal: unit.userLimit + 1 },
      { ...other, unit: 0, userOrdinal: unit.userLimit },
      { ...other, itemStock: unit.itemStock + 1, unit: unit.itemStock + 1 },
      { ...other, userLimit: unit.userLimit + 1, userOrdinal: unit.userLimit + 1 },
      { ...other, itemId: 99 },
    ];
    for (const of of forged) await this.#forgedSale(firstSeq, of, unit);
    await this.#forgedExtensions(firstSeq, unit);
    await this.#forgedClaims(firstSeq);
    // A number that was given already: another writer was there.
    if (this.#open.seq > 0) await this.#forgedSale(this.#open.seq, other, unit);
    await this.compare();
  }

  async #forgedSale(firstSeq: number, of: SoldUnit, { buyer }: SoldUnit): Promise<void> {
    const sell = { kind: "purchase", code: of.code, by: buyer, expectedPriceCents: null } as const;
    const batch: Batch = {
      firstSeq,
      at: this.#now,
      commands: [{ ...sell, lookup: null }],
      outcomes: [{ word: "purchased", of }],
    };
    expect(await this.#tried(({ term }) => term.commit(batch))).toBe(false);
  }

  async #forgedExtensions(firstSeq: number, of: SoldUnit): Promise<void> {
    const extend = { kind: "extend", code: of.code, ms: 1, lookup: null } as const;
    for (const [ms, saleId] of [
      [0, of.saleId],
      [extensionMsMax + 1, of.saleId],
      [1, 999],
    ] as const) {
      const due = this.#now + ms;
      const batch: Batch = {
        firstSeq,
        at: this.#now,
        commands: [extend],
        outcomes: [{ word: "extended", of: { ...of, saleId }, due }],
      };
      expect(await this.#tried(({ term }) => term.commit(batch))).toBe(false);
    }
  }

  async #forgedClaims(firstSeq: number): Promise<void> {
    const coupon = this.view((view) => view.coupon("TEN"));
    if (coupon === null) return;
    const [buyer] = buyers;
    if (buyer === undefined) return;
    const claimed = await this.#both(({ records }) => records.loadClaims("TEN"));
    const at = this.#now;
    const left = coupon.remaining - 1;
    const claims = [
      { ordinal: claimed.size, remaining: left },
      { ordinal: coupon.amount + 1, remaining: left },
      { ordinal: claimed.size + 1, remaining: -1 },
      { ordinal: claimed.size + 1, remaining: coupon.amount + 1 },
      { ordinal: 0, remaining: left },
    ];
    for (const { ordinal, remaining } of claims) {
      const batch: Batch = {
        firstSeq,
        at,
        commands: [{ kind: "claim", coupon: "TEN", buyer, key: null }],
        outcomes: [
          { word: "claimed", claim: { coupon: { ...coupon, remaining }, buyer, ordinal, at } },
        ],
      };
      expect(await this.#tried(({ term }) => term.commit(batch))).toBe(false);
    }
    const made: Batch = {
      firstSeq,
      at,
      commands: [{ kind: "create_coupon", coupon: "TEN", amount: 3 }],
      outcomes: [{ word: "coupon_created", coupon: { ...coupon, id: 77 } }],
    };
    expect(await this.#tried(({ term }) => term.commit(made))).toBe(false);
  }

  /** Every code, every claim, every row of the journal and of what was sold. */
  async compare(): Promise<void> {
    const codes = [...new Set([...this.codes, this.#code()])];
    await this.#both(({ records }) => inTurn(codes, (code) => records.findCode(code)));
    for (const name of names) {
      await this.#both(async ({ records }) => [...(await records.loadClaims(name))]);
    }
    await this.#both(async ({ records }) => (await records.productSaleIds()).toSorted());
    const attempts = await this.#sql`
      select seq::float8 as seq, round(extract(epoch from at) * 1000)::float8 as at, kind, outcome,
             sale_id, item_id, buyer, user_id, code, idempotency_key, request, quantity
      from attempts order by seq`;
    const twins = [...this.#twin.attempts.values()].map((row) => ({
      seq: row.seq,
      at: row.at,
      kind: row.kind,
      outcome: row.outcome,
      sale_id: row.saleId,
      // What no item can be is not stored.
      item_id: (row.itemId ?? 0) > 2_147_483_647 ? null : row.itemId,
      buyer: row.buyer?.kind ?? null,
      user_id: row.buyer?.userId ?? null,
      code: row.code,
      idempotency_key: row.key,
      request: row.request,
      quantity: row.quantity,
    }));
    expect(twins).toEqual(Array.from(attempts) as typeof twins);
  }
}

async function newTerm(records: Records): Promise<Term> {
  const term = await records.lead({ url: "here", port: 0 }, new AbortController().signal, () => {});
  if (term === null) throw new Error("no term has begun");
  return term;
}

let sold = 0;
let refusals = 0;

for (const seed of seeds(histories)) {
  test(`PostgreSQL and its twin say the same of history ${seed}`, async () => {
    const url = await postgres.newRecords();
    const history = new History(seed, lookInto(url));
    await history.begin(url);
    try {
      for (let step = 0; step < stepsOfHistory; step += 1) await history.step();
      await history.compare();
      sold += history.sold.length;
      refusals += history.refusals;
    } finally {
      await history.end();
    }
  });
}

test("something was sold in these histories, and something refused", () => {
  expect(sold).toBeGreaterThan(0);
  expect(refusals).toBeGreaterThan(0);
});
