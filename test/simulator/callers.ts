/**
 * Those who ask whoever leads, ask again, rush for the last unit and read at any moment. What is
 * not known is told in the words for it, and everybody is told something in time.
 */
import type { CurrentWriter } from "../../src/engine/current-writer.ts";
import { OutcomeUnknownError, OverloadedError, UnavailableError } from "../../src/engine/writer.ts";
import type { Buyer } from "../../src/ledger/buyers.ts";
import type {
  ChangeCoupon,
  CreateCoupon,
  Outcome,
  RemoveCoupon,
} from "../../src/ledger/commands.ts";
import type { Random } from "../support/random.ts";
import type { Auditor } from "./auditor.ts";
import { couponNames, withNewCode, type Asked, type Draws } from "./draws.ts";
import type { Loop } from "./loop.ts";
import type { Machine } from "./machine.ts";

/** Whoever asks is answered, or told that nobody knows, within so long. */
const answeredWithinMs = 60_000;

type Op = { readonly op: number; readonly command: Asked; readonly askedAt: number };

/** What callers need of their world. */
export type Around = {
  readonly loop: Loop;
  readonly auditor: Auditor;
  readonly draws: Draws;
  readonly buyers: readonly Buyer[];
  readonly machines: readonly Machine[];
};

export class Callers {
  readonly #loop: Loop;
  readonly #auditor: Auditor;
  readonly #draws: Draws;
  readonly #buyers: readonly Buyer[];
  readonly #machines: readonly Machine[];
  /** What was asked last, for those who ask again. */
  readonly #asked: Asked[] = [];
  readonly #pending = new Map<number, Op>();
  #ops = 0;

  constructor({ loop, auditor, draws, buyers, machines }: Around) {
    this.#loop = loop;
    this.#auditor = auditor;
    this.#draws = draws;
    this.#buyers = buyers;
    this.#machines = machines;
  }

  /** Complains of those who were left without an answer. */
  checkAnswers(): void {
    for (const { op, command, askedAt } of this.#pending.values()) {
      if (this.#loop.now - askedAt > answeredWithinMs) {
        this.#auditor.complain(`${command.kind} ${op} was asked at ${askedAt} and not answered`);
      }
    }
  }

  /** Mostly one that leads. */
  machine(dice: Random): Machine {
    const leading = this.#machines.filter(({ leader }) => leader !== null);
    const machine = dice.pick(leading) ?? this.#machines[0];
    if (machine === undefined) throw new Error("a world without machines");
    return machine;
  }

  /** Asks whoever leads; who gets no answer may ask again, as clients do. */
  ask(command: Asked, dice: Random, triesLeft = 3): void {
    const machine = this.machine(dice);
    this.#asked.push(command);
    const wait = (isAnswered: boolean): void => {
      if (isAnswered || triesLeft === 0 || !dice.chance(0.6)) return;
      this.#loop.after(dice.between(10, 3_000), () =>
        this.ask(withNewCode(command, dice), dice, triesLeft - 1),
      );
    };
    void this.#answer(machine, command).then(wait);
  }

  /** Whether an answer came. */
  async #answer(machine: Machine, command: Asked): Promise<boolean> {
    const writer = machine.run?.engine.writer;
    if (writer === undefined) return false;
    const op = (this.#ops += 1);
    const numbered = Object.assign({ ...command }, { op });
    this.#pending.set(op, { op, command, askedAt: this.#loop.now });
    try {
      const outcome = await machine.untilKilled(submitTo(writer, numbered));
      if (outcome === undefined) return false;
      this.#auditor.answered(op, command.kind, outcome);
      this.#draws.remember(outcome);
      return true;
    } catch (error) {
      this.failed(command, error);
      return false;
    } finally {
      this.#pending.delete(op);
    }
  }

  /** What is not known is told in these words alone. */
  failed(command: { readonly kind: string }, error: unknown): void {
    this.#auditor.count(`${command.kind}: failed`);
    if (error instanceof UnavailableError || error instanceof OverloadedError) return;
    if (error instanceof OutcomeUnknownError) return;
    if (String(error).includes("mishap:")) return;
    this.#auditor.complain(`${command.kind} failed with ${String(error)}`);
  }

  /** What was asked once is asked again. */
  repeat(dice: Random): void {
    const command = this.#asked.at(-dice.between(1, 8)) ?? dice.pick(this.#asked);
    if (command !== undefined) this.ask(withNewCode(command, dice), dice);
  }

  /** Many at once for what is nearly gone. */
  rush(dice: Random): void {
    const sale = this.#draws.sale(dice);
    for (let caller = dice.between(3, 70); caller > 0; caller -= 1) {
      const command = this.#draws.checkout(dice);
      this.ask(sale === null ? command : { ...command, sale: sale.id }, dice);
      if (dice.chance(0.3)) this.ask(this.#draws.purchase(dice), dice);
    }
  }

  createCoupon(dice: Random): void {
    const coupon = dice.pick(couponNames) ?? "TEN";
    this.#submit({ kind: "create_coupon", coupon, amount: dice.between(1, 5) }, dice);
    // Later on somebody has one.
    if (dice.chance(0.3)) this.#removeCoupon(coupon, dice);
  }

  changeCoupon(dice: Random): void {
    const change = this.#draws.couponChange(dice);
    if (dice.chance(0.8)) return this.#submit(change, dice);
    this.#removeCoupon(change.coupon, dice);
  }

  #removeCoupon(coupon: string, dice: Random): void {
    this.#submit({ kind: "remove_coupon", coupon, by: { kind: "account", name: "boss" } }, dice);
  }

  #submit(command: CreateCoupon | ChangeCoupon | RemoveCoupon, dice: Random): void {
    const machine = this.machine(dice);
    const writer = machine.run?.engine.writer;
    if (writer === undefined) return;
    const work = async (): Promise<void> => {
      const op = (this.#ops += 1);
      const outcome = await writer.submit<CreateCoupon | ChangeCoupon | RemoveCoupon>(
        Object.assign({ ...command }, { op }),
      );
      this.#auditor.answered(op, command.kind, outcome);
    };
    void machine.untilKilled(work()).catch((error: unknown) => this.failed(command, error));
  }

  read(dice: Random): void {
    if (dice.chance(0.5)) return this.#readReplica(dice);
    const machine = this.machine(dice);
    const { leader } = machine;
    if (leader === null) return;
    const op = (this.#ops += 1);
    const buyers = this.#buyers.filter(() => dice.chance(0.3));
    const command = { kind: "claim", coupon: "a read", buyer: buyerOf(0), key: null } as const;
    this.#pending.set(op, { op, command, askedAt: this.#loop.now });
    void machine
      .untilKilled(leader.writer.read((view) => this.#auditor.read(view, buyers, machine.leads)))
      .catch((error: unknown) => this.failed({ kind: "read" }, error))
      .finally(() => this.#pending.delete(op));
  }

  /** Of whoever stands by; where the leader is not heard of, it says so in time. */
  #readReplica(dice: Random): void {
    const buyers = this.#buyers.filter(() => dice.chance(0.3));
    for (const machine of this.#machines) {
      const role = machine.run?.engine.role;
      if (role?.name !== "standby") continue;
      const op = (this.#ops += 1);
      const command = { kind: "claim", coupon: "a read", buyer: buyerOf(0), key: null } as const;
      this.#pending.set(op, { op, command, askedAt: this.#loop.now });
      void machine
        .untilKilled(role.replica.read((view) => this.#auditor.readReplica(view, buyers)))
        .catch((error: unknown) => this.failed({ kind: "read of a replica" }, error))
        .finally(() => this.#pending.delete(op));
    }
  }
}

export const buyerOf = (n: number): Buyer => ({ kind: "account", userId: `late ${n}` });

/** As the clients of HTTP do it: through what looks up what the ledger does not hold. */
const submitTo = (writer: CurrentWriter, command: Asked): Promise<Outcome> =>
  writer.submit<Asked>(command);
