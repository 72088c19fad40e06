/**
 * A world: two machines that sell over one set of records, an administrator, and callers who abandon,
 * retry, replay, race for the last unit, reuse keys and read at any moment, while commits fail, hang
 * or are made and not told, leaders are deposed and killed, and clocks stand, jump and go back.
 *
 * All of it follows from a seed and a list of steps. A list that fails is made smaller by leaving
 * steps out; each step draws what it needs from dice of its own, so that the others stay what they
 * were. At the end everything is mended, and what is left must sell out.
 */
import type { Buyer, BuyerKind } from "../../src/ledger/buyers.ts";
import { Random } from "../support/random.ts";
import { Administrator, boss } from "./administrator.ts";
import { Auditor } from "./auditor.ts";
import { buyerOf, Callers } from "./callers.ts";
import { codeFrom, dayMs, Draws, products } from "./draws.ts";
import type { KnownSale } from "./history.ts";
import { Loop } from "./loop.ts";
import { Machine, type Mishap, type WorldSettings } from "./machine.ts";
import { owedTo } from "./judge-waiting.ts";
import { sum } from "./lists.ts";
import { MemoryRecords } from "./records.ts";
import type { Step, StepKind } from "./steps.ts";

const names = ["ann", "bob", "cid"];
const kinds: readonly BuyerKind[] = ["guest", "account", "customer"];
/** After everything is mended somebody sells within so long. */
const sellsWithinMs = 45_000;
/** Nobody holds a unit for longer, whatever a clock said; or for the TTL where that is longer. */
const longestExtensionMs = 15 * 60_000;
/** A clock that is off by no more is about right. */
const aboutRightMs = 450;

export class World {
  readonly auditor: Auditor;
  readonly loop: Loop;
  readonly #records = new MemoryRecords();
  readonly #machines: readonly Machine[];
  readonly #settings: WorldSettings;
  readonly #begunAt: number;
  readonly #buyers: readonly Buyer[];
  readonly #draws: Draws;
  readonly #callers: Callers;
  readonly #administrator: Administrator;
  /** Whether no clock was wrong for longer than what goes unnoticed. */
  #areClocksSound = true;
  #checkedUpTo = 0;
  #isMended = false;

  constructor(seed: number) {
    const random = new Random(seed);

    this.loop = new Loop(new Random(random.between(0, 2 ** 31)));
    this.auditor = new Auditor(this.#records);
    const minutes = random.pick([1, 1, 2, 5]) ?? 1;
    this.#settings = {
      schedule: { cron: `*/${minutes} * * * *`, timeZone: "UTC" },
      hourlySale: {
        items: random.between(1, 4),
        unitsPerItem: random.between(1, 3),
        perUserLimit: random.between(1, 3),
        reservationTtlMs: random.pick([2_000, 8_000, 30_000, 120_000, 1_200_000]) ?? 8_000,
        queue: random.chance(0.3)
          ? { admitPerSecond: random.between(1, 3), passTtlMs: random.between(500, 90_000) }
          : undefined,
      },
    };
    this.#begunAt = Date.UTC(2030, 0, 1) + random.between(0, 3_600_000);
    this.#buyers = kinds.flatMap((kind) => names.map((userId) => ({ kind, userId })));
    for (const id of products) this.#records.sales.addProduct(id);
    this.#machines = ["north", "south"].map(
      (name) =>
        new Machine({
          name,
          loop: this.loop,
          random: new Random(random.between(0, 2 ** 31)),
          records: this.#records,
          auditor: this.auditor,
          settings: this.#settings,
          begunAt: this.#begunAt,
          latencyMs: random.pick([0, 2, 20]) ?? 2,
          peers: () => this.#machines,
        }),
    );
    const { loop, auditor } = this;
    const buyers = this.#buyers;
    const draws = new Draws(auditor.history, buyers, () => this.#now);
    const around = { loop, auditor, draws, buyers, machines: this.#machines };
    const callers = new Callers(around);
    this.#draws = draws;
    this.auditor.onOffer = (outcome) => draws.remember(outcome);
    this.#callers = callers;
    this.#administrator = new Administrator(around, this.#records, callers);
    for (const machine of this.#machines) {
      if (random.chance(0.2)) machine.setWallAhead(random.between(-400, 400));
    }
    for (const machine of this.#machines) machine.start();
    this.#wait(2_000);
  }

  /** Sales of which something is recorded. */
  get saleCount(): number {
    return this.#records.sales.ids().length;
  }

  get #complaint(): string | null {
    return this.auditor.complaint;
  }

  /** What is wrong after this step; null when nothing is. */
  take({ waitMs, kind, dice }: Step): string | null {
    this.#wait(waitMs);
    if (this.#complaint === null) this.#do(kind, new Random(dice));
    return this.#complaint;
  }

  #wait(ms: number): void {
    this.loop.runWhile(ms, () => this.#complaint === null);
    this.#callers.checkAnswers();
    this.#checkTime();
  }

  /** Clocks that are wrong for less than a minute change nothing that is told. */
  #checkTime(): void {
    const { last } = this.#records;
    if (last.seq <= this.#checkedUpTo || !this.#areClocksSound) return;
    this.#checkedUpTo = last.seq;
    const off = last.at - this.#begunAt - this.loop.now;
    if (off > 1_000) this.auditor.complain(`attempt ${last.seq} is ${off} ms in the future`);
  }

  #do(kind: StepKind, dice: Random): void {
    switch (kind) {
      case "checkout":
        return this.#callers.ask(this.#draws.checkout(dice), dice);
      case "purchase":
        return this.#callers.ask(this.#draws.purchase(dice), dice);
      case "release":
        return this.#callers.ask(this.#draws.release(dice), dice);
      case "extend":
        return this.#callers.ask(this.#draws.extend(dice), dice);
      case "buy":
        return this.#callers.ask(this.#draws.buy(dice), dice);
      case "wait":
        return this.#callers.ask(this.#draws.wait(dice), dice);
      case "leave":
        return this.#callers.ask(this.#draws.leave(dice), dice);
      case "refund":
        return this.#callers.ask(this.#draws.refund(dice), dice);
      case "join":
        return this.#callers.ask(this.#draws.join(dice), dice);
      case "claim":
        return this.#callers.ask(this.#draws.claim(dice), dice);
      case "repeat":
        return this.#callers.repeat(dice);
      case "rush":
        return this.#callers.rush(dice);
      case "create_coupon":
        return this.#callers.createCoupon(dice);
      case "change_coupon":
        return this.#callers.changeCoupon(dice);
      case "read":
        return this.#callers.read(dice);
      case "announce":
      case "change":
      case "close":
      case "open":
      case "withdraw":
      case "restock":
      case "delete_product":
      case "change_queue":
        return this.#administrator.administer(kind, dice);
      case "restore":
        void this.auditor.restored(this.#timeOfRestore(dice), this.#buyers);
        return this.loop.run(0);
      case "checkpoint":
        return this.#checkpoint(dice);
      case "mishap":
        return this.#mishap(dice);
      case "kill":
        return this.#kill(dice);
      case "stop":
        return this.#stop(dice);
      case "clock":
        return this.#setClock(dice);
      default:
        kind satisfies never;
    }
  }

  /** ms by the clock of whoever leads, or by a right one. */
  get #now(): number {
    const { seq, at } = this.#records.last;
    const run = this.#machines.find(({ leads }) => leads)?.run;
    return run?.clock.now() ?? (seq === 0 ? this.#begunAt + this.loop.now : at);
  }

  // What goes wrong.

  /** Mostly the time that it is; a new leader's clock may be earlier. */
  #timeOfRestore(dice: Random): number {
    return this.#now - (dice.chance(0.8) ? 0 : dice.between(1, 100_000));
  }

  /** Checkpoints are made long before they are due, of any sale. */
  #checkpoint(dice: Random): void {
    const machine = this.#callers.machine(dice);
    const { leader } = machine;
    const saleId = this.#draws.sale(dice)?.id;
    if (leader === null || saleId === undefined || !machine.leads) return;
    void leader.writer
      .read((view) => {
        const checkpoint = view.checkpoint(saleId);
        const attempts = view.totals(saleId)?.attempts ?? 0;
        // What is read is committed: it may be stored at once.
        if (checkpoint === null || view.seq < this.#records.lastSeq) return;
        const stored = structuredClone(checkpoint);
        this.#records.saveCheckpoint(saleId, { ...stored, attempts, settled: false });
      })
      .catch((error: unknown) => this.#callers.failed({ kind: "checkpoint" }, error));
  }

  #mishap(dice: Random): void {
    const at =
      dice.pick(["commit", "commit", "commit", "read", "write", "lock"] as const) ?? "read";
    const ofCommit = ["refused", "unknown", "hang", "deposed", "unnoticed"] as const;
    const others = ["refused", "unknown", "hang"] as const;
    const how: Mishap["how"] = dice.pick(at === "commit" ? ofCommit : others) ?? "refused";
    // A session whose answer is lost is closed, and the lock with it: that is `deposed`.
    const isLock = at === "lock" && how === "unknown";
    const ms = dice.chance(0.5) ? dice.between(1, 500) : dice.between(1, 12_000);
    this.#callers.machine(dice).mishaps.push({ at, how: isLock ? "refused" : how, ms });
  }

  #kill(dice: Random): void {
    const machine = this.#callers.machine(dice);
    machine.kill();
    this.#startLater(machine, dice.between(100, 20_000));
  }

  #stop(dice: Random): void {
    const machine = this.#callers.machine(dice);
    machine.stop();
    this.#startLater(machine, dice.between(10_000, 30_000));
  }

  #startLater(machine: Machine, ms: number): void {
    this.loop.after(ms, () => {
      if (machine.run !== null) return;
      // What it begins with, it takes for right.
      if (Math.abs(machine.wallAheadMs) > aboutRightMs) this.#areClocksSound = false;
      machine.start();
    });
  }

  #setClock(dice: Random): void {
    const machine = dice.pick(this.#machines);
    if (machine === undefined) return;
    const size = dice.pick([5, 300, 10_000, 3 * 3_600_000, 3 * 365 * dayMs]) ?? 5;
    const ms = dice.between(-size, size);
    const isStanding = dice.chance(0.15);
    const right = machine.wallAheadMs;
    // One wrong time after another may be more than a minute of them.
    if (Math.abs(right) > aboutRightMs) this.#areClocksSound = false;
    if (isStanding) machine.standStill();
    else machine.setWallAhead(ms);
    if (dice.chance(0.6) && machine.run !== null) {
      // Set right within a minute, it goes unnoticed, unless somebody starts meanwhile.
      this.loop.after(dice.between(1, 58_000), () => {
        if (this.#isMended) return;
        machine.setWallAhead(right);
      });
    } else {
      this.#areClocksSound = false;
    }
  }

  // The end.

  /** Everything is mended; then somebody sells, and what is left is sold. */
  finish(): string | null {
    this.#isMended = true;
    for (const machine of this.#machines) {
      machine.mishaps.length = 0;
      machine.setWallAhead(0);
      if (machine.run === null) machine.start();
    }
    this.#wait(sellsWithinMs);
    if (this.#complaint !== null) return this.#complaint;
    // A term may end at this moment, with a clock that has stayed where it is.
    for (let tries = 0; tries < 50 && !this.#isLed; tries += 1) this.#wait(100);
    if (!this.#isLed) {
      this.auditor.complain("nobody sells after everything was mended");
    }
    this.#followed();
    this.#unasked();
    this.#sellOut();
    void this.auditor.restored(this.#now, this.#buyers);
    this.loop.run(0);
    return this.#complaint;
  }

  get #isLed(): boolean {
    return this.#machines.some(({ leads }) => leads);
  }

  /** A clock that stays is followed: in the end all are right, and so is the ledger's time. */
  #followed(): void {
    this.#wait(200_000);
    for (const { run, name } of this.#machines) {
      const off = (run?.clock.now() ?? 0) - this.#begunAt - this.loop.now;
      if (run !== null && Math.abs(off) > 1_000) {
        this.auditor.complain(`${name}'s time is still off by ${off} ms`);
      }
    }
  }

  /** What nobody has to ask for is done, though nobody asks for anything. */
  #unasked(): void {
    const { history } = this.auditor;
    const owed = (): string | null =>
      owedTo(history, this.#now) ?? history.lives.owed(history, this.#now);
    for (let tries = 0; tries < 50 && owed() !== null; tries += 1) this.#wait(100);
    const left = owed();
    if (left !== null) this.auditor.complain(`while nobody asks: ${left}`);
  }

  /** With demand a sale sells out, to its last unit and no further. */
  #sellOut(): void {
    const { history } = this.auditor;
    const dice = new Random(1);
    const ttlMs = this.#settings.hourlySale.reservationTtlMs;
    const targets: KnownSale[] = [];
    this.#announceLast();
    this.#wait(2_000);
    // What is held runs out within one TTL, or as it was extended; then every unit is to be had.
    const heldMs = Math.max(0, ...[...history.codes.values()].map(({ due }) => due - this.#now));
    const neededMs = ttlMs + Math.max(ttlMs, Math.min(heldMs, longestExtensionMs)) + 60_000;
    for (const sale of history.sales.values()) {
      if (history.isOpen(sale, this.#now) && sale.endsAt > this.#now + neededMs) targets.push(sale);
    }
    for (const { id } of targets) {
      // Who waits and does not come lets offers lapse, one after another.
      for (const { buyer } of history.waiting.lines(id)) {
        this.#callers.ask({ kind: "waitlist_leave", buyer, sale: id }, dice);
      }
    }
    const end = this.loop.now + neededMs;
    let buyers = 0;
    const isSoldOut = (sale: KnownSale): boolean =>
      history.goneIn(sale.id).length === sum(sale.stock);
    while (this.loop.now < end && this.#complaint === null && !targets.every(isSoldOut)) {
      for (const sale of targets.filter((target) => !isSoldOut(target))) {
        buyers += 1;
        const buyer = buyerOf(buyers);
        const ticket = this.#letIn(sale, buyer, dice);
        const plain = { ...plainCheckout, code: codeFrom(dice), buyer, ticket };
        this.#callers.ask({ ...plain, sale: sale.id }, dice);
        this.#wait(100);
        for (const { code } of this.#draws.codes.filter((one) => one.buyer === buyer).slice(-1)) {
          const wish = { kind: "purchase", expectedPriceCents: null, lookup: null } as const;
          this.#callers.ask({ ...wish, code, by: buyer }, dice);
        }
        this.#wait(100);
      }
    }
    for (const sale of targets) {
      const gone = history.goneIn(sale.id).length;
      const stored = this.#records.purchasesOf(sale.id).filter(({ restocked }) => !restocked);
      if (gone !== sum(sale.stock) || stored.length !== gone) {
        this.auditor.complain(
          `sale ${sale.id} has demand, and sold ${gone} of ${sum(sale.stock)}, ` +
            `stored ${stored.length}`,
        );
      }
      this.auditor.count("sold out");
    }
  }

  /** Has a buyer join, and waits until it is their turn. @returns their ticket; null without a queue */
  #letIn(sale: KnownSale, buyer: Buyer, dice: Random): string | null {
    const { queue } = sale;
    if (queue === null) return null;
    if (!queue.tickets.some((one) => one.buyer.userId.startsWith("late"))) {
      this.#administrator.letIn(sale.id, { admitPerSecond: 1_000, paused: false });
    }
    const ticket = codeFrom(dice);
    this.#callers.ask({ kind: "join", buyer, sale: sale.id, ticket, key: null }, dice);
    this.#wait(400);
    return ticket;
  }

  /** A sale for the end, that there is one. */
  #announceLast(): void {
    const sales = this.#machines.find(({ leads }) => leads)?.leader?.selling.products;
    const startsAt = this.#now;
    const items = [{ productId: 1, stock: 3, priceCents: 100 }];
    const sale = { title: "last", startsAt, endsAt: startsAt + dayMs, perUserLimit: 1, items };
    void sales
      ?.create(sale, boss)
      .catch((error: unknown) => this.#callers.failed({ kind: "announce" }, error));
  }
}

const plainCheckout = {
  kind: "checkout",
  item: "any",
  key: null,
  expectedPriceCents: null,
} as const;
