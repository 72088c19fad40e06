/**
 * What is asked of the leader that is no command of the ledger: an announcement of a sale, and the
 * like. It is done once, however many leaders are asked: one that goes without an answer is followed
 * by the next, which is asked with the same number, and told by which attempt it was not done; what
 * was done has the call's id in the records. Only where nobody can tell in time does it end with
 * `OutcomeUnknownError`.
 */
import { isAway } from "../postgres/client.ts";
import { CommitUnknownError } from "../store/db.ts";
import type { Reply } from "../link/line.ts";
import { OutcomeUnknownError, OverloadedError, UnavailableError } from "./writer.ts";

/** Calls that are under way at a time. */
export const callsMax = 256;
/** How long after a leader could not do it the next is asked. */
const askAgainMs = 100;

/** Whoever leads, as who calls has them. */
export type Callee = {
  /** What is committed, as far as this process has heard. */
  readonly seq: number;
  call(number: number, body: object): void;
};

type PendingCall = { settle: (reply: Reply | Error) => void; readonly cameAt: number };

type CallsOptions = {
  /** Of a call's age, ms: then nobody can tell any more. */
  readonly giveUpMs: number;
  readonly sleep: (ms: number) => Promise<void>;
  /** ms of a clock that only goes on. */
  readonly monotonic: () => number;
};

export class Calls {
  readonly #options: CallsOptions;
  readonly #pending = new Map<number, PendingCall>();

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Calls that are under way. */
  get count(): number {
    return this.#pending.size;
  }

  /**
   * Has it done, and gives what was made of it.
   * @param number of the call, by which it is known again
   * @param reach finds whoever leads, waiting where nobody does; null: for too long
   * @throws UnavailableError when it was not done
   * @throws OverloadedError as above
   * @throws OutcomeUnknownError when nobody can tell
   */
  async make(
    number: number,
    body: object,
    reach: (isAgain: boolean) => Promise<Callee | null>,
  ): Promise<unknown> {
    if (this.#pending.size >= callsMax) throw new OverloadedError("too many changes are under way");
    const { monotonic, sleep, giveUpMs } = this.#options;
    const call: PendingCall = { settle: () => {}, cameAt: monotonic() };
    this.#pending.set(number, call);
    let again: number | null = null;
    try {
      for (;;) {
        const callee = await reach(again !== null);
        if (callee === null) throw again === null ? nobodyLeads() : unknown();
        const { promise, resolve } = Promise.withResolvers<Reply | Error>();
        call.settle = resolve;
        const { seq } = callee;
        callee.call(number, again === null ? body : { ...body, again });
        again ??= seq;
        const reply = await promise;
        if (reply instanceof Error) throw reply;
        if (reply.ok) return reply.body;
        if (reply.word !== "unavailable") throw errorOf(reply.word);
        if (monotonic() - call.cameAt >= giveUpMs) throw unknown();
        await sleep(askAgainMs);
      }
    } finally {
      this.#pending.delete(number);
    }
  }

  /** What the leader says; an error is its own, where this process leads. */
  replied(number: number, reply: Reply | Error): void {
    this.#pending.get(number)?.settle(reply);
  }

  /** Nobody leads any more: whoever does next is asked. */
  leave(): void {
    for (const { settle } of this.#pending.values()) settle({ ok: false, word: "unavailable" });
  }

  giveUpOld(now: number): void {
    for (const { settle, cameAt } of this.#pending.values()) {
      if (now - cameAt >= this.#options.giveUpMs) settle(unknown());
    }
  }
}

/** What who calls is told of an error. */
export function failureOf(error: unknown): "unavailable" | "overloaded" | "failed" {
  const mayBeDone = error instanceof OutcomeUnknownError || error instanceof CommitUnknownError;
  if (mayBeDone || error instanceof UnavailableError || isAway(error)) return "unavailable";
  return error instanceof OverloadedError ? "overloaded" : "failed";
}

export const nobodyLeads = (): Error => new UnavailableError("nobody leads");

export const unknown = (): Error =>
  new OutcomeUnknownError("the leader was lost, and nobody can tell whether it was decided");

function errorOf(word: Exclude<Extract<Reply, { readonly ok: false }>["word"], "unavailable">) {
  switch (word) {
    case "overloaded":
      return new OverloadedError("too many changes are under way");
    case "failed":
      return new Error("the leader has failed; its log says why");
    default:
      return word satisfies never;
  }
}
