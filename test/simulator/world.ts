/**
 * A world: two machines that sell over one set of records, an administrator, and callers who abandon,
 * retry, replay, race for the last unit, reuse keys and read at any moment, while commits fail, hang
 * or are made and not told, leaders are deposed and killed, and clocks stand, jump and go back.
 *
 * All of it follows from a seed and a list of steps. A list that fails is made smaller by leaving
 * steps out; each step draws what it needs from dice of its own, so that the others stay what they
 * were. At the end everything is mended, and what is left must sell out.
 */
import { UnavailableError, OverloadedError } from "../../src/engine/writer.ts";
import type { Buyer, BuyerKind } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  Checkout,
  Claim,
  Command,
  Extend,
  Purchase,
  Release,
} from "../../src/ledger/commands.ts";
import type { Outcome } from "../../src/ledger/commands.ts";
import type { SaleChange } from "../../src/sales/product-sales.ts";
import { Random } from "../support/random.ts";
import { Auditor } from "./auditor.ts";
import { sum, type KnownSale } from "./history.ts";
import { Loop } from "./loop.ts";
import { Machine, type Mishap, type WorldSettings } from "./machine.ts";
import { MemoryRecords } from "./records.ts";

export const stepWeights = {
  checkout: 30,
  purchase: 22,
  release: 7,
  extend: 6,
  buy: 8,
  repeat: 8,
  rush: 3,
  claim: 5,
  create_coupon: 1,
  read: 8,
  announce: 3,
  change: 3,
  close: 1,
  delete_product: 1,
  restore: 3,
  checkpoint: 3,
  mishap: 6,
  kill: 1,
  stop: 1,
  clock: 2,
} as const;

export type StepKind = keyof typeof stepWeights;

export type Step = { readonly waitMs: number; readonly kind: StepKind; readonly dice: number };

const products = [1, 2, 3, 4];
const names = ["ann", "bob", "cid"];
const kinds: readonly BuyerKind[] = ["guest", "account", "customer"];
const couponNames = ["TEN", "FREE"];
/** Whoever asks is answered, or told that nobody knows, within so long. */
const answeredWithinMs = 60_000;
/** After everything is mended somebody sells within so long. */
const sellsWithinMs = 45_000;
const dayMs = 86_400_000;
/** Nobody holds a unit for longer, whatever a clock said. */
const longestHoldMs = 15 * 60_000;
/** A clock that is off by no more is about right. */
const aboutRightMs = 450;

type Op = { readonly op: number; readonly command: Asked; readonly askedAt: number };
type Asked = Checkout | Purchase | Release | Extend | Buy | Claim;

export class World {
  readonly auditor: Auditor;
  readonly loop: Loop;
  readonly #records = new MemoryRecords();
  readonly #machines: readonly Machine[];
  readonly #settings: WorldSettings;
  readonly #begunAt: number;
  readonly #buyers: readonly Buyer[];
  /** What was asked last, for those who ask again. */
  readonly #asked: Asked[] = [];
  /** Codes that somebody has, the youngest last. */
  readonly #codes: { readonly code: string; readonly buyer: Buyer; readonly saleId: number }[] = [];
  readonly #pending = new Map<number, Op>();
  #ops = 0;
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
        reservationTtlMs: random.pick([2_000, 8_000, 30_000, 120_000]) ?? 8_000,
      },
    };
    this.#begunAt = Date.UTC(2030, 0, 1) + random.between(0, 3_600_000);
    this.#buyers = kinds.flatMap((kind) => names.map((userId) => ({ kind, userId })));
    for (const id of products) this.#records.addProduct(id);
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
        }),
    );
    for (const machine of this.#machines) {
      if (random.chance(0.2)) machine.setWallAhead(random.between(-400, 400));
    }
    for (const machine of this.#machines) machine.start();
    this.#wait(2_000);
  }

  /** Sales of which something is recorded. */
  get saleCount(): number {
    return this.#records.saleIds().length;
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
    for (const { op, command, askedAt } of this.#pending.values()) {
      if (this.loop.now - askedAt > answeredWithinMs) {
        this.auditor.complain(`${command.kind} ${op} was asked at ${askedAt} and not answered`);
      }
    }
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
        return this.#ask(this.#drawCheckout(dice), dice);
      case "purchase":
        return this.#ask(this.#drawPurchase(dice), dice);
      case "release":
        return this.#ask(this.#drawRelease(dice), dice);
      case "extend":
        return this.#ask(this.#drawExtend(dice), dice);
      case "buy":
        return this.#ask(this.#drawBuy(dice), dice);
      case "claim":
        return this.#ask(this.#drawClaim(dice), dice);
      case "repeat":
        return this.#repeat(dice);
      case "rush":
        return this.#rush(dice);
      case "create_coupon":
        return this.#createCoupon(dice);
      case "read":
        return this.#read(dice);
      case "announce":
      case "change":
      case "close":
      case "delete_product":
        return this.#administer(kind, dice);
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

  #machine(dice: Random): Machine {
    const leading = this.#machines.filter(({ leader }) => leader !== null);
    const machine = dice.pick(leading) ?? this.#machines[0];
    if (machine === undefined) throw new Error("a world without machines");
    return machine;
  }

  /** ms by the clock of whoever leads, or by a right one. */
  get #now(): number {
    const { seq, at } = this.#records.last;
    const run = this.#machines.find(({ leads }) => leads)?.run;
    return run?.clock.now() ?? (seq === 0 ? this.#begunAt + this.loop.now : at);
  }

  // Callers.

  /** A sale that somebody may ask for, mostly one that is open. */
  #drawSale(dice: Random): KnownSale | null {
    const now = this.#now;
    const { history } = this.auditor;
    const sales = [...history.sales.values()];
    const open = sales.filter((sale) => history.isOpen(sale, now));
    return dice.pick(dice.chance(0.85) && open.length > 0 ? open : sales) ?? null;
  }

  #drawBuyer(dice: Random, sale: KnownSale | null): Buyer {
    const isProductSale = sale?.kind === "product" && dice.chance(0.9);
    const among = this.#buyers.filter(({ kind }) => !isProductSale || kind !== "guest");
    return dice.pick(among) ?? { kind: "guest", userId: "ann" };
  }

  #drawKey(dice: Random): string | null {
    return dice.chance(0.35) ? `key ${dice.between(1, 3)}` : null;
  }

  #drawPrice(dice: Random, sale: KnownSale | null, item: number): number | null {
    if (!dice.chance(0.25)) return null;
    return dice.chance(0.7) ? (sale?.prices[item - 1] ?? 100) : 1;
  }

  #drawItem(dice: Random, sale: KnownSale | null): number {
    return dice.chance(0.03) ? 99 : dice.between(1, Math.max(1, sale?.stock.length ?? 1));
  }

  #drawCheckout(dice: Random): Checkout {
    const sale = this.#drawSale(dice);
    const item = this.#drawItem(dice, sale);
    const isCurrent = sale?.kind === "hourly" && dice.chance(0.5);
    const saleId = dice.chance(0.02) ? "unknown" : (sale?.id ?? 1);
    return {
      kind: "checkout",
      buyer: this.#drawBuyer(dice, sale),
      item: dice.chance(0.3) ? "any" : item,
      sale: isCurrent ? "current" : saleId,
      code: codeFrom(dice),
      key: this.#drawKey(dice),
      expectedPriceCents: this.#drawPrice(dice, sale, item),
    };
  }

  /** A code, mostly of lately, sometimes of long ago or of nobody; and who asks with it. */
  #drawCode(dice: Random) {
    const known = dice.chance(0.7) ? this.#codes.at(-dice.between(1, 6)) : dice.pick(this.#codes);
    if (known === undefined || dice.chance(0.03)) {
      return { code: codeFrom(dice), by: null, saleId: 1 };
    }
    if (dice.chance(0.05))
      return { code: known.code, by: "merchant" as const, saleId: known.saleId };
    const isOwner = dice.chance(0.9);
    if (!isOwner && dice.chance(0.3)) {
      return { code: known.code, by: "merchant" as const, saleId: known.saleId };
    }
    const by = isOwner ? known.buyer : (dice.pick([null, ...this.#buyers]) ?? null);
    return { code: known.code, by: by?.kind === "guest" ? null : by, saleId: known.saleId };
  }

  #drawPurchase(dice: Random): Purchase {
    const { code, by, saleId } = this.#drawCode(dice);
    const sale = this.auditor.history.sales.get(saleId) ?? null;
    const item = this.auditor.history.codes.get(code)?.itemId ?? 1;
    const expectedPriceCents = this.#drawPrice(dice, sale, item);
    return { kind: "purchase", code, by, expectedPriceCents, lookup: null };
  }

  #drawRelease(dice: Random): Release {
    const { code, by, saleId } = this.#drawCode(dice);
    const said = dice.chance(0.6) ? null : dice.chance(0.7) ? saleId : dice.between(1, 4);
    return { kind: "release", code, by, saleId: said, lookup: null };
  }

  /** A merchant's server, while a payment is under way: for a moment, or for as long as may be. */
  #drawExtend(dice: Random): Extend {
    const { code } = this.#drawCode(dice);
    const max = dice.pick([1_000, 10_000, 120_000, 900_000]) ?? 10_000;
    return { kind: "extend", code, ms: dice.between(1, max), lookup: null };
  }

  #drawBuy(dice: Random): Buy {
    const { history } = this.auditor;
    const open = [...history.sales.values()].filter(
      (sale) => sale.kind === "product" && history.isOpen(sale, this.#now),
    );
    const sale = dice.pick(open) ?? this.#drawSale(dice);
    const itemId = this.#drawItem(dice, sale);
    return {
      kind: "buy",
      buyer: this.#drawBuyer(dice, sale),
      saleId: dice.chance(0.03) ? "unknown" : (sale?.id ?? 1),
      itemId: dice.chance(0.03) ? "unknown" : itemId,
      quantity: dice.between(1, 2),
      code: codeFrom(dice),
      key: this.#drawKey(dice),
      expectedPriceCents: this.#drawPrice(dice, sale, itemId),
    };
  }

  #drawClaim(dice: Random): Claim {
    const buyer = this.#drawBuyer(dice, null);
    const coupon = dice.pick([...couponNames, "NONE"]) ?? "NONE";
    return { kind: "claim", coupon, buyer, key: this.#drawKey(dice) };
  }

  /** Asks whoever leads; who gets no answer may ask again, as clients do. */
  #ask(command: Asked, dice: Random, triesLeft = 3): void {
    const machine = this.#machine(dice);
    this.#asked.push(command);
    const wait = (isAnswered: boolean): void => {
      if (isAnswered || triesLeft === 0 || !dice.chance(0.6)) return;
      this.loop.after(dice.between(10, 3_000), () =>
        this.#ask(withNewCode(command, dice), dice, triesLeft - 1),
      );
    };
    void this.#answer(machine, command).then(wait);
  }

  /** Whether an answer came. */
  async #answer(machine: Machine, command: Asked): Promise<boolean> {
    const { leader } = machine;
    if (leader === null) return false;
    const op = (this.#ops += 1);
    const numbered = Object.assign({ ...command }, { op });
    this.#pending.set(op, { op, command, askedAt: this.loop.now });
    try {
      const outcome = await machine.untilKilled(submitTo(leader, numbered));
      if (outcome === undefined) return false;
      this.auditor.answered(op, command.kind, outcome);
      this.#remember(outcome);
      return true;
    } catch (error) {
      this.#failed(command, error);
      return false;
    } finally {
      this.#pending.delete(op);
    }
  }

  /** What is not known is told in these words alone. */
  #failed(command: { readonly kind: string }, error: unknown): void {
    this.auditor.count(`${command.kind}: failed`);
    if (error instanceof UnavailableError || error instanceof OverloadedError) return;
    if (String(error).includes("mishap:")) return;
    this.auditor.complain(`${command.kind} failed with ${String(error)}`);
  }

  #remember(outcome: Outcome): void {
    const units =
      "reservation" in outcome ? [outcome.reservation] : "units" in outcome ? outcome.units : [];
    for (const { code, buyer, saleId } of units) this.#codes.push({ code, buyer, saleId });
  }

  /** What was asked once is asked again. */
  #repeat(dice: Random): void {
    const command = this.#asked.at(-dice.between(1, 8)) ?? dice.pick(this.#asked);
    if (command !== undefined) this.#ask(withNewCode(command, dice), dice);
  }

  /** Many at once for what is nearly gone. */
  #rush(dice: Random): void {
    const sale = this.#drawSale(dice);
    for (let caller = dice.between(3, 70); caller > 0; caller -= 1) {
      const command = this.#drawCheckout(dice);
      this.#ask(sale === null ? command : { ...command, sale: sale.id }, dice);
      if (dice.chance(0.3)) this.#ask(this.#drawPurchase(dice), dice);
    }
  }

  #createCoupon(dice: Random): void {
    const machine = this.#machine(dice);
    const coupon = dice.pick(couponNames) ?? "TEN";
    const command = { kind: "create_coupon", coupon, amount: dice.between(1, 5) } as const;
    const { leader } = machine;
    if (leader === null) return;
    const work = async (): Promise<void> => {
      const op = (this.#ops += 1);
      const outcome = await leader.writer.submit(Object.assign({ ...command }, { op }));
      this.auditor.answered(op, command.kind, outcome);
    };
    void machine.untilKilled(work()).catch((error: unknown) => this.#failed(command, error));
  }

  #read(dice: Random): void {
    const machine = this.#machine(dice);
    const { leader } = machine;
    if (leader === null) return;
    const op = (this.#ops += 1);
    const buyers = this.#buyers.filter(() => dice.chance(0.3));
    const command = { kind: "claim", coupon: "a read", buyer: buyerOf(0), key: null } as const;
    this.#pending.set(op, { op, command, askedAt: this.loop.now });
    void machine
      .untilKilled(leader.writer.read((view) => this.auditor.read(view, buyers, machine.leads)))
      .catch((error: unknown) => this.#failed({ kind: "read" }, error))
      .finally(() => this.#pending.delete(op));
  }

  // The administrator.

  #administer(kind: "announce" | "change" | "close" | "delete_product", dice: Random): void {
    const machine = this.#machine(dice);
    const { leader } = machine;
    if (leader === null) return;
    const sales = leader.selling.products;
    const known = [...this.auditor.history.sales.values()];
    const saleId = dice.pick(known.filter((sale) => sale.kind === "product"))?.id ?? 1;
    // Somebody buys in the same moment.
    if (kind === "close") this.#ask({ ...this.#drawBuy(dice), saleId }, dice);
    const work = async (): Promise<void> => {
      if (kind === "announce") {
        const made = await sales.create(this.#drawAnnouncement(dice));
        this.auditor.count(`announce: ${"word" in made ? made.word : "made"}`);
      } else if (kind === "delete_product") {
        await this.#deleteProduct(machine, dice);
      } else {
        const changed =
          kind === "close"
            ? await sales.close(saleId)
            : await sales.change(saleId, this.#drawChange(dice));
        this.auditor.count(`${kind}: ${"word" in changed ? changed.word : "changed"}`);
        if ("sale" in changed) this.auditor.history.settle(saleId);
      }
    };
    void machine.untilKilled(work()).catch((error: unknown) => this.#failed({ kind }, error));
  }

  async #deleteProduct(machine: Machine, dice: Random): Promise<void> {
    const id = dice.pick(products) ?? 1;
    const before = machine.run?.clock.now() ?? 0;
    const word = await machine.leader?.selling.products.deleteProduct(id);
    this.auditor.count(`delete_product: ${word}`);
    if (word !== "deleted") return;
    const after = machine.run?.clock.now() ?? Infinity;
    for (const sale of this.auditor.history.sales.values()) {
      if (!sale.isSeen || sale.closed || sale.endsAt <= after || before > after) continue;
      if (sale.products.includes(id)) {
        this.auditor.complain(`product ${id} was deleted, and sale ${sale.id} has it`);
      }
    }
    // It is made again, for those to come.
    this.#records.addProduct(id);
  }

  #drawItems(dice: Random) {
    return products
      .filter(() => dice.chance(0.6))
      .map((productId) => {
        const stock = dice.between(1, 4);
        return { productId, stock, priceCents: dice.between(1, 3) * 100 };
      });
  }

  #drawAnnouncement(dice: Random) {
    const startsAt = this.#now + dice.between(-20_000, 60_000);
    const items = this.#drawItems(dice);
    return {
      title: "drop",
      startsAt,
      // Some are still open when a clock that is hours ahead is set right.
      endsAt: startsAt + dice.between(1_000, dice.chance(0.75) ? 400_000 : dayMs),
      perUserLimit: dice.between(1, 4),
      items: items.length === 0 ? [{ productId: 1, stock: 2, priceCents: 100 }] : items,
    };
  }

  #drawChange(dice: Random): SaleChange {
    const { title, startsAt, endsAt, perUserLimit, items } = this.#drawAnnouncement(dice);
    const one = <T>(value: T): T | undefined => (dice.chance(0.5) ? value : undefined);
    if (dice.chance(0.4)) return { endsAt };
    return {
      title: one(title),
      startsAt: one(startsAt),
      endsAt,
      perUserLimit: one(perUserLimit),
      items: one(items),
    };
  }

  // What goes wrong.

  /** Mostly the time that it is; a new leader's clock may be earlier. */
  #timeOfRestore(dice: Random): number {
    return this.#now - (dice.chance(0.8) ? 0 : dice.between(1, 100_000));
  }

  /** Checkpoints are made long before they are due, of any sale. */
  #checkpoint(dice: Random): void {
    const machine = this.#machine(dice);
    const { leader } = machine;
    const saleId = this.#drawSale(dice)?.id;
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
      .catch((error: unknown) => this.#failed({ kind: "checkpoint" }, error));
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
    this.#machine(dice).mishaps.push({ at, how: isLock ? "refused" : how, ms });
  }

  #kill(dice: Random): void {
    const machine = this.#machine(dice);
    machine.kill();
    this.#startLater(machine, dice.between(100, 20_000));
  }

  #stop(dice: Random): void {
    const machine = this.#machine(dice);
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
    const neededMs = ttlMs + Math.max(ttlMs, Math.min(heldMs, longestHoldMs)) + 60_000;
    for (const sale of history.sales.values()) {
      if (history.isOpen(sale, this.#now) && sale.endsAt > this.#now + neededMs) targets.push(sale);
    }
    const end = this.loop.now + neededMs;
    let buyers = 0;
    const isSoldOut = (sale: KnownSale): boolean =>
      history.soldIn(sale.id).length === sum(sale.stock);
    while (this.loop.now < end && this.#complaint === null && !targets.every(isSoldOut)) {
      for (const sale of targets.filter((target) => !isSoldOut(target))) {
        buyers += 1;
        const buyer = buyerOf(buyers);
        this.#ask({ ...plainCheckout, code: codeFrom(dice), buyer, sale: sale.id }, dice);
        this.#wait(100);
        for (const { code } of this.#codes.filter((one) => one.buyer === buyer).slice(-1)) {
          const wish = { kind: "purchase", expectedPriceCents: null, lookup: null } as const;
          this.#ask({ ...wish, code, by: buyer }, dice);
        }
        this.#wait(100);
      }
    }
    for (const sale of targets) {
      const sold = history.soldIn(sale.id).length;
      const stored = this.#records.purchasesOf(sale.id).length;
      if (sold !== sum(sale.stock) || stored !== sold) {
        this.auditor.complain(
          `sale ${sale.id} has demand, and sold ${sold} of ${sum(sale.stock)}, stored ${stored}`,
        );
      }
      this.auditor.count("sold out");
    }
  }

  /** A sale for the end, that there is one. */
  #announceLast(): void {
    const sales = this.#machines.find(({ leads }) => leads)?.leader?.selling.products;
    const startsAt = this.#now;
    const items = [{ productId: 1, stock: 3, priceCents: 100 }];
    const sale = { title: "last", startsAt, endsAt: startsAt + dayMs, perUserLimit: 1, items };
    void sales?.create(sale).catch((error: unknown) => this.#failed({ kind: "announce" }, error));
  }
}

const plainCheckout = {
  kind: "checkout",
  item: "any",
  key: null,
  expectedPriceCents: null,
} as const;

const buyerOf = (n: number): Buyer => ({ kind: "account", userId: `late ${n}` });

/** As the clients of HTTP do it: through what looks up what the ledger does not hold. */
async function submitTo(leader: NonNullable<Machine["leader"]>, command: Asked): Promise<Outcome> {
  const { lookups } = leader.selling;
  switch (command.kind) {
    case "checkout":
    case "buy":
      return await leader.writer.submit<Command>(command);
    case "purchase":
      return await lookups.purchase(command);
    case "release":
      return await lookups.release(command);
    case "extend":
      return await lookups.extend(command);
    case "claim":
      return await lookups.claim(command);
    default:
      return command satisfies never;
  }
}

/** Each time that something is asked a new code is made for it. */
const withNewCode = (command: Asked, dice: Random): Asked =>
  command.kind === "checkout" || command.kind === "buy"
    ? { ...command, code: codeFrom(dice) }
    : command;

/** A code that is not given twice. */
function codeFrom(dice: Random): string {
  const digits = Array.from({ length: 32 }, () => dice.between(0, 15).toString(16)).join("");
  const parts = [8, 12, 16, 20].map((end, index) => digits.slice([0, 8, 12, 16][index], end));
  return [...parts, digits.slice(20)].join("-");
}
