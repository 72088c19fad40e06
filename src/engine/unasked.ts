/**
 * What nobody asks for, as the writer has it decided among the commands of a batch, and so as durable
 * as these. Milestones are noted before and after all of them. What is due to those who wait is offered
 * before anything else, and after each command, so that it is free to nobody else.
 */
import type { Command, Outcome } from "../ledger/commands.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Batch } from "../store/records.ts";

type Made = {
  /** The place in the batch of the command that follows. */
  readonly before: number;
  readonly command: Command;
  readonly outcome: Outcome;
};

type Decided = Pick<Batch, "commands" | "outcomes" | "asked">;

type Decides = Pick<Ledger, "milestones" | "saleWithOfferDue" | "decide">;

export class Unasked {
  readonly #ledger: Decides;
  readonly #at: number;
  readonly #newCode: () => string;
  readonly #made: Made[] = [];

  /** @param at when the batch is decided, ms */
  constructor(ledger: Decides, at: number, newCode: () => string) {
    this.#ledger = ledger;
    this.#at = at;
    this.#newCode = newCode;
  }

  /** Notes what has happened to sales. @param before the place in the batch of what follows */
  noteMilestones(before: number): void {
    for (const command of this.#ledger.milestones()) this.#decide(before, command);
  }

  /** Offers all that is due. @param before as above */
  offer(before: number): void {
    const [ledger, at] = [this.#ledger, this.#at];
    let saleId = ledger.saleWithOfferDue(at);
    while (saleId !== null) {
      this.#decide(before, { kind: "offer", saleId, code: this.#newCode() });
      saleId = ledger.saleWithOfferDue(at);
    }
  }

  #decide(before: number, command: Command): void {
    this.#made.push({ before, command, outcome: this.#ledger.decide(command, this.#at) });
  }

  /** A batch with them in their places. */
  among({ commands, outcomes, asked }: Decided): Decided {
    if (this.#made.length === 0) return { commands, outcomes, asked };
    const all = { commands: [] as Batch["commands"][number][], outcomes: [] as Outcome[] };
    const askedOf: number[] = [];
    const made = this.#made.values();
    let next = made.next().value;
    for (let place = 0; place <= commands.length; place += 1) {
      for (; next !== undefined && next.before === place; next = made.next().value) {
        all.commands.push(next.command);
        all.outcomes.push(next.outcome);
      }
      const [command, outcome, id] = [commands[place], outcomes[place], asked[place]];
      if (command === undefined || outcome === undefined) continue;
      if (id !== undefined) askedOf[all.commands.length] = id;
      all.commands.push(command);
      all.outcomes.push(outcome);
    }
    return { ...all, asked: askedOf };
  }
}
