/**
 * PostgreSQL and the memory twin of the records are told the same histories, decided by a real ledger:
 * what a new term reads of them, what became of codes, claims and what they refuse are the same.
 */
import { expect, test } from "bun:test";
import type { Command, Outcome, Refund } from "../../src/ledger/commands.ts";
import { GapError } from "../../src/ledger/changes.ts";
import { Unasked } from "../../src/engine/unasked.ts";
import { outcomeOf } from "../../src/engine/decided.ts";
import { Replica } from "../../src/ledger/ledger.ts";
import type { Caller } from "../../src/store/activity.ts";
import type { Records, SentAttempt } from "../../src/store/records.ts";
import { dumpOf } from "../support/compare.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { saysTheSame } from "../support/outcomes.ts";
import { seeds } from "../support/random.ts";
import {
  begunAt,
  buyers,
  keys,
  names,
  products,
  readIn,
  readSince,
  ttlMs,
  Twins,
} from "../support/twins.ts";
import { drawCommands } from "../support/twins-commands.ts";
import { forge, noteDraw } from "../support/twins-forged.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const histories = 4;
const stepsOfHistory = 120;

/** The last attempt of what is sent together. */
function lastSentOf(seq: number, at: number, outcomes: readonly Outcome[]): SentAttempt {
  const made = outcomes.findLast((outcome) => outcome.word !== "look_up");
  if (made === undefined) throw new Error("nothing was sent");
  return { seq, at, word: made.word };
}

/** Attempts that offered something, or took it back from who let it lapse. */
let offered = 0;

const boss = { kind: "account", name: "boss" } as const;

class History {
  readonly #twins: Twins;
  /** Outcomes that were made again of what is stored. */
  foundAgain = 0;
  /** Kept current by what is recorded, and how often it was. */
  #replica: Replica | null = null;
  caughtUp = 0;
  /** Units that were taken back. */
  refunded = 0;
  #committed = 0;
  /** Calls with ids. */
  #called = 0;
  /** The last attempts of batches, and what was told of them. */
  readonly #sent: SentAttempt[] = [];
  readonly committedTold = new Set<boolean | null>();
  /** Keys of what was sold. */
  keysFound = 0;

  constructor(twins: Twins) {
    this.#twins = twins;
  }

  async step(): Promise<void> {
    const dice = this.#twins.dice;
    this.#twins.now += dice.between(0, 4_000);
    const kind = dice.between(0, 19);
    if (kind < 11) return await this.#batch(drawCommands(this.#twins));
    if (kind === 11) return await this.#hourly();
    if (kind === 12) return await this.#announce();
    if (kind === 13) return await this.#replace();
    if (kind === 14) return await this.#deleteProduct();
    if (kind === 15) return await this.#checkpoint();
    if (kind === 16) return await this.#twins.again();
    if (kind === 17) await (dice.chance(0.7) ? forge : noteDraw)(this.#twins);
    await this.compare();
  }

  /** Decides, with what is due to be offered, and has both commit it. */
  async #batch(drawn: readonly Command[]): Promise<void> {
    const ledger = this.#twins.open;
    const at = ledger.moveOn(this.#twins.now);
    const firstSeq = ledger.seq + 1;
    this.#committed = ledger.seq;
    const offers = new Unasked(ledger, at, () => this.#twins.code());
    const decided: Outcome[] = [];
    for (const [index, command] of drawn.entries()) {
      offers.offer(index);
      decided.push(await this.#lookedUp(command, ledger.decide(command, at), at));
    }
    offers.offer(drawn.length);
    const batch = { commands: drawn, outcomes: decided, asked: [] };
    const { commands, outcomes } = offers.among(batch);
    offered += commands.length - drawn.length;
    // One in which all have to be looked up first has nothing to commit.
    if (ledger.seq < firstSeq) return;
    // Some of them came over the link.
    const asked: number[] = [];
    for (const [index, { kind }] of commands.entries()) {
      if (kind !== "milestone" && this.#twins.dice.chance(0.5))
        asked[index] = 2 ** 52 + firstSeq * 1_000 + index;
    }
    await this.#twins.both(({ term }) => term.commit({ firstSeq, at, commands, outcomes, asked }));
    await this.#compareAsked(firstSeq, commands, outcomes, asked);
    await this.#compareCommitted(lastSentOf(ledger.seq, at, outcomes));
    for (const outcome of outcomes) this.#remember(outcome);
  }

  /** What came over the link is found again, and says what it was answered. */
  async #compareAsked(
    firstSeq: number,
    commands: readonly Command[],
    outcomes: readonly Outcome[],
    asked: readonly number[],
  ): Promise<void> {
    const ids = asked.filter((id) => id !== undefined);
    const found = await this.#twins.both(async ({ records }) =>
      (await records.findAsked(firstSeq - 1, ids)).toSorted((a, b) => a.seq - b.seq),
    );
    const byId = new Map(found.map((attempt) => [attempt.asked, attempt]));
    for (const [index, command] of commands.entries()) {
      const outcome = outcomes[index];
      const attempt = byId.get(asked[index] ?? 0);
      expect(attempt !== undefined).toBe(asked[index] !== undefined && outcome?.word !== "look_up");
      if (attempt === undefined || command.kind === "milestone") continue;
      if (command.kind === "change_sale" || command.kind === "change_queue") continue;
      if (command.kind === "withdraw" || command.kind === "restock") continue;
      if (command.kind === "offer") continue;
      // Where a ticket stands, and how many are before, is told as of now.
      if (command.kind === "join" || outcome?.word === "not_admitted") continue;
      const again = this.#twins.view((view) => outcomeOf(command, attempt, view));
      expect(outcome !== undefined && saysTheSame(outcome, again)).toBe(true);
      this.foundAgain += 1;
    }
  }

  /** Of what was sent in whichever term both say the same. */
  async #compareCommitted(last: SentAttempt): Promise<void> {
    this.#sent.push(last);
    const sent = this.#twins.dice.pick(this.#sent) ?? last;
    const epoch = this.#twins.dice.between(0, 6);
    const told = await this.#twins.both(({ records }) => records.isCommitted(epoch, sent));
    this.committedTold.add(told);
    const other = { ...sent, at: sent.at + 1 };
    const ofOther = await this.#twins.both(({ records }) => records.isCommitted(epoch, other));
    expect(ofOther).toBe(told === null ? null : false);
  }

  /** Of a batch one is looked up in the records only where the batch has not changed them. */
  async #lookedUp(command: Command, outcome: Outcome, at: number): Promise<Outcome> {
    if (outcome.word !== "look_up") return outcome;
    if (outcome.what === "claims" && command.kind === "claim") {
      const claims = await this.#twins.both(({ records }) => records.loadClaims(command.coupon));
      this.#twins.open.holdClaims(command.coupon, claims);
      return await this.#lookedUp(command, this.#twins.open.decide(command, at), at);
    }
    if (command.kind === "refund") return await this.#refundable(command, outcome, at);
    if (!("key" in command) || command.key === null || command.kind === "join") return outcome;
    const { buyer, key } = command;
    const [found = null] = await this.#twins.both(({ records }) =>
      records.findKeys([{ buyer, key }]),
    );
    // What the batch has sold by the key the ledger knows.
    const lookup = { upTo: this.#twins.open.seq, found };
    return await this.#lookedUp(
      { ...command, lookup },
      this.#twins.open.decide({ ...command, lookup }, at),
      at,
    );
  }

  /** Of a batch one refund alone: what it changes the records do not know yet. */
  async #refundable(command: Refund, outcome: Outcome, at: number): Promise<Outcome> {
    const found = await this.#twins.both(({ records }) => records.findRefundable(command));
    const lookup = { upTo: this.#committed, ...found };
    const decided = this.#twins.open.decide({ ...command, lookup }, at);
    if (decided.word === "refunded") this.refunded += decided.refund.codes.length;
    return decided.word === "look_up" ? outcome : decided;
  }

  #remember(outcome: Outcome): void {
    if ("reservation" in outcome) this.#twins.codes.push(outcome.reservation.code);
    const units =
      outcome.word !== "purchased" ? [] : "units" in outcome ? outcome.units : [outcome.of];
    for (const unit of units) {
      this.#twins.codes.push(unit.code);
      this.#twins.sold.push(unit);
    }
  }

  async #hourly(): Promise<void> {
    const startsAt = begunAt + Math.floor((this.#twins.now - begunAt) / 60_000) * 60_000;
    const { seq } = this.#twins.open;
    // PostgreSQL's numbers have a gap where one was refused as double.
    if ((await this.#twins.both(({ records }) => records.findHourly(startsAt))) !== null) return;
    const items = upTo(this.#twins.dice.between(1, 3)).map((id) => ({
      id,
      name: `item ${id}`,
      pictureSeed: `seed ${id}`,
      priceCents: 100,
      stock: this.#twins.dice.between(1, 3),
    }));
    const window = { startsAt, endsAt: startsAt + 60_000 };
    const sale = { kind: "hourly" as const, title: "Drop", perUserLimit: 2, ...window, items };
    const id = await this.#twins.both(({ records }) =>
      records.storeSale({ ...sale, reservationTtlMs: ttlMs }, seq),
    );
    const [stored] = await this.#twins.both(({ records }) => records.loadSales([id]));
    if (stored !== undefined) this.#twins.open.addSale(stored.sale, stored.attempts);
  }

  #terms() {
    const dice = this.#twins.dice;
    const startsAt = this.#twins.now + dice.between(-5_000, 10_000);
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
    const { dice, open } = this.#twins;
    const seed = dice.between(1, 9).toString().repeat(64);
    const queue = dice.chance(0.4) ? { admitPerSecond: 5, passTtlMs: ttlMs, seed } : undefined;
    const terms = { ...this.#terms(), queue };
    const { seq } = open;
    const by = this.#caller();
    const written = await this.#twins.both(({ records, term }) =>
      records.insertProductSale(term.epoch, terms, seq, by),
    );
    const made = typeof written === "string" || "missing" in written ? null : written;
    if (made !== null) this.#twins.open.addSale(made.sale, 0);
    await this.#compareChange(by, made !== null);
    await this.#twins.tried(({ records, term }) =>
      records.insertProductSale(term.epoch - 1, terms, seq, boss),
    );
  }

  /** Some of it is asked for by calls that have ids. */
  #caller(): Caller {
    return this.#twins.dice.chance(0.7) ? { ...boss, asked: (this.#called += 1) } : boss;
  }

  /** What was done of a call is found again. */
  async #compareChange({ asked = 0 }: Caller, isDone: boolean): Promise<void> {
    const found = await this.#twins.both(({ records }) => records.findChange(asked));
    expect(found !== null).toBe(isDone && asked > 0);
  }

  async #replace(): Promise<void> {
    const ids = this.#twins
      .view((view) => view.sales())
      .filter(({ kind }) => kind === "product")
      .map(({ id }) => id);
    const id = this.#twins.dice.pick(ids);
    if (id === undefined) return;
    const { items, ...terms } = this.#terms();
    const change = { ...terms, items: this.#twins.dice.chance(0.5) ? items : null };
    const [present] = await this.#twins.both(({ records }) => records.loadSales([id]));
    if (present === undefined || !this.#twins.open.shutSale(id)) return;
    const by = this.#caller();
    const replaced = await this.#twins.both(({ records, term }) =>
      records.replaceProductSale(term.epoch, present, change, this.#twins.now, by),
    );
    const isReplaced = replaced !== "sale_has_opened" && !("missing" in replaced);
    await this.#compareChange(by, isReplaced);
    this.#twins.open.addSale(isReplaced ? replaced.sale : present.sale, 0);
  }

  async #deleteProduct(): Promise<void> {
    const id = this.#twins.dice.pick(products) ?? 1;
    const by = this.#caller();
    const word = await this.#twins.both(({ records, term }) =>
      records.deleteProduct(term.epoch, id, this.#twins.now, by),
    );
    await this.#compareChange(by, word === "deleted");
    if (word !== "deleted") return;
    // It comes back, for the sales to come.
    await this.#twins.sql`update products set deleted = false where id = ${id}`;
    this.#twins.memory.sales.addProduct(id);
  }

  async #checkpoint(): Promise<void> {
    const id = this.#twins.dice.pick(
      this.#twins.view((view) => view.sales().map((sale) => sale.id)),
    );
    if (id === undefined) return;
    const { checkpoint, attempts } = this.#twins.view((view) => ({
      checkpoint: view.checkpoint(id),
      attempts: view.activity(id)?.attempts ?? 0,
    }));
    if (checkpoint === null) return;
    await this.#twins.both(({ records, term }) =>
      records.saveCheckpoint(term.epoch, id, { ...checkpoint, attempts, settled: false }),
    );
  }

  /** What a process that stands by reads, from the beginning and from anywhere. */
  async #snapshots(): Promise<void> {
    await this.#twins.both(({ records }) =>
      records.snapshot(async (all) => (await readIn(all)).plain),
    );
    const [one] = this.#twins.sides;
    const from = {
      seq: this.#twins.dice.between(0, this.#twins.open.seq),
      comparedSeq: this.#twins.dice.between(0, this.#twins.open.seq),
      epoch: this.#twins.dice.between(0, one?.term.epoch ?? 0),
      joined: new Map(),
      sales: new Set(
        this.#twins.open
          .view(0)
          .sales()
          .filter(() => this.#twins.dice.chance(0.5))
          .map(({ id }) => id),
      ),
    };
    await this.#twins.both(({ records }) => records.snapshotSince(from, readSince));
    const { comparedSeq, seq } = from;
    await this.#twins.both(async ({ records }) => [
      ...(await records.purchases([...from.sales], comparedSeq, seq)),
    ]);
    if (one === undefined) return;
    this.#replica = await this.#caughtUp(one.records, this.#replica);
    const ledger = this.#twins.open.view(this.#twins.now);
    const replica = this.#replica.view(ledger.now);
    expect(dumpOf(replica)).toEqual(dumpOf(ledger));
    expect(names.map((name) => replica.coupon(name))).toEqual(
      names.map((name) => ledger.coupon(name)),
    );
  }

  async #caughtUp(records: Records, replica: Replica | null): Promise<Replica> {
    if (replica === null) return await records.snapshot((all) => Replica.restore(all));
    try {
      await records.snapshotSince(replica.upTo, (since) => replica.catchUp(since));
      this.caughtUp += 1;
      return replica;
    } catch (error) {
      if (!(error instanceof GapError)) throw error;
      return await this.#caughtUp(records, null);
    }
  }

  /** Every code, every claim, every row of the journal and of what was sold. */
  async compare(): Promise<void> {
    const codes = [...new Set([...this.#twins.codes, this.#twins.code()])];
    await this.#twins.both(({ records }) => inTurn(codes, (code) => records.findCode(code)));
    const asked = [...buyers, { kind: "guest", userId: "nobody" } as const].flatMap((buyer) =>
      [...keys, "never used"].map((key) => ({ buyer, key })),
    );
    const found = await this.#twins.both(({ records }) => records.findKeys(asked));
    this.keysFound += found.filter((one) => one !== null).length;
    for (const name of names) {
      await this.#twins.both(async ({ records }) => [...(await records.loadClaims(name))]);
    }
    await this.#snapshots();
    await this.#twins.compareAttempts();
  }
}

let sold = 0;
let refunded = 0;
let refusals = 0;
let foundAgain = 0;
let caughtUp = 0;
let keysFound = 0;
const committedTold = new Set<boolean | null>();

for (const seed of seeds(histories)) {
  test(`PostgreSQL and its twin say the same of history ${seed}`, async () => {
    const url = await postgres.newRecords();
    const twins = new Twins(seed, lookInto(url));
    await twins.begin(url);
    const history = new History(twins);
    try {
      for (let step = 0; step < stepsOfHistory; step += 1) await history.step();
      await history.compare();
      sold += twins.sold.length;
      refunded += history.refunded;
      refusals += twins.refusals;
      foundAgain += history.foundAgain;
      caughtUp += history.caughtUp;
      keysFound += history.keysFound;
      history.committedTold.forEach((told) => committedTold.add(told));
    } finally {
      await twins.end();
    }
  });
}

test("something was sold in these histories, with a key too, and something refused, and a replica kept current", () => {
  expect(committedTold.size).toBe(3);
  expect(keysFound).toBeGreaterThan(0);
  expect(offered).toBeGreaterThan(0);
  expect(sold).toBeGreaterThan(0);
  expect(refunded).toBeGreaterThan(0);
  expect(refusals).toBeGreaterThan(0);
  expect(foundAgain).toBeGreaterThan(0);
  expect(caughtUp).toBeGreaterThan(histories);
});
