/**
 * The leader's end of the lines: decides what comes over them, each command once.
 *
 * What comes in one frame is submitted as one, and answered in one: what a command costs beside its
 * decision is reading and writing a few bytes. What has to be looked up in the records is looked up
 * here, and answered by itself. What was sent before is looked for in the records by its id first,
 * when all that was waiting to be decided is committed.
 *
 * When the term ends nothing is answered any more: whoever asked asks the next leader.
 */
import type { Outcome, OutcomeOf } from "../ledger/commands.ts";
import {
  askedId,
  type Asked,
  type FollowerLine,
  type LeaderEnd,
  type Undecided,
} from "../link/line.ts";
import type { LinkedOutcome } from "../link/outcomes.ts";
import type { LinkedCommand } from "../link/words.ts";
import type { AskedAttempt, Records } from "../store/records.ts";
import { messageOf } from "../postgres/client.ts";
import { failureOf } from "./calls.ts";
import { isOf, outcomeOf } from "./decided.ts";
import type { Log } from "./engine.ts";
import type { Feed } from "./feed.ts";
import type { SharedCounts } from "./shared-counts.ts";
import type { Lookup, Lookups } from "./lookups.ts";
import {
  OutcomeUnknownError,
  OverdueError,
  OverloadedError,
  UnavailableError,
  type Writer,
} from "./writer.ts";

export class LinkedCommands {
  readonly #writer: Writer;
  readonly #lookups: Lookups;
  readonly #records: Pick<Records, "findAsked">;

  constructor(writer: Writer, lookups: Lookups, records: Pick<Records, "findAsked">) {
    this.#writer = writer;
    this.#lookups = lookups;
    this.#records = records;
  }

  /** Decides, and answers when it is committed. What goes wrong closes the line. */
  ask(line: FollowerLine, asked: Asked): void {
    this.#ask(line, asked).catch((error: unknown) => {
      line.close(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #ask(line: FollowerLine, asked: Asked): Promise<void> {
    const fresh = asked.isAgain ? await this.#answerDecided(line, asked) : asked;
    const { commands, numbers, patienceMs } = fresh;
    // Who has connected again asks again.
    if (commands.length === 0 || !line.isOpen) return;
    const ids = numbers.map((number) => askedId(line.instance, number));
    let outcomes: readonly Outcome[];
    try {
      outcomes = await this.#writer.submitAll(commands, ids, patienceMs);
    } catch (error) {
      const because = undecidedBy(error);
      if (because !== null) line.refuse(numbers, because);
      return;
    }
    const decided = outcomes.map((outcome) =>
      outcome.word === "look_up" ? null : (outcome as LinkedOutcome),
    );
    line.answer(numbers, commands, decided);
    commands.forEach((command, index) => {
      if (decided[index] !== null) return;
      const needed = outcomes[index] ?? { word: "look_up" };
      void this.#lookUp(line, numbers[index] ?? 0, command as Lookup, needed, patienceMs);
    });
  }

  /** Answers what was decided before, and returns the rest. */
  async #answerDecided(line: FollowerLine, asked: Asked): Promise<Asked> {
    await this.#writer.settled();
    const ids = asked.numbers.map((number) => askedId(line.instance, number));
    const found = await this.#records.findAsked(asked.sinceSeq, ids);
    const byId = new Map(found.map((attempt) => [attempt.asked, attempt]));
    const attempts = asked.commands.map((command, index): AskedAttempt | null => {
      const attempt = byId.get(ids[index] ?? 0);
      return attempt !== undefined && isOf(command, attempt) ? attempt : null;
    });
    const outcomes = await this.#writer.read((view) =>
      asked.commands.map((command, index) => {
        const attempt = attempts[index];
        return attempt == null ? null : outcomeOf(command, attempt, view);
      }),
    );
    line.answer(asked.numbers, asked.commands, outcomes);
    const isLeft = (_: unknown, index: number): boolean => outcomes[index] === null;
    return {
      ...asked,
      numbers: asked.numbers.filter(isLeft),
      commands: asked.commands.filter(isLeft),
    };
  }

  async #lookUp(
    line: FollowerLine,
    number: number,
    asked: Lookup,
    needed: Outcome,
    patienceMs: number,
  ): Promise<void> {
    const ids = [askedId(line.instance, number)];
    try {
      const first = needed as OutcomeOf<Lookup>;
      const outcome = await this.#lookups.lookUp(asked, first, async (command) => {
        if (!line.isOpen) throw new UnavailableError("nobody waits for it");
        const [decided] = await this.#writer.submitAll([command], ids, patienceMs);
        return decided as OutcomeOf<Lookup>;
      });
      line.answer([number], [asked as LinkedCommand], [outcome]);
    } catch (error) {
      const because = undecidedBy(error);
      if (because !== null) line.refuse([number], because);
    }
  }
}

/** What who asked is told of an error; null: nothing, for the term is over, and nobody may know. */
function undecidedBy(error: unknown): Undecided["word"] | null {
  if (error instanceof OverdueError) return "overdue";
  if (error instanceof OverloadedError) return "overloaded";
  const isOver = error instanceof UnavailableError || error instanceof OutcomeUnknownError;
  return isOver ? null : "unavailable";
}

/** What a leader does with those who follow, and with what they ask. */
export const leaderEnd = ({
  feed,
  linked,
  call,
  counts,
  log,
}: {
  readonly feed: Feed;
  readonly linked: LinkedCommands;
  readonly call: (body: unknown, asked: number) => Promise<unknown>;
  readonly counts: SharedCounts;
  readonly log: Log;
}): LeaderEnd => ({
  onLine: (line) => {
    const ends = [feed.subscribe((change) => line.change(change)), counts.followedBy(line)];
    return () => ends.forEach((end) => end());
  },
  onCounts: (line, told) => counts.heardFrom(line, told),
  onAsked: (line, asked) => linked.ask(line, asked),
  onCall: (line, number, body) => {
    call(body, askedId(line.instance, number)).then(
      (done) => line.reply(number, { ok: true, body: done }),
      (error: unknown) => {
        const word = failureOf(error);
        if (word === "failed") log.error({ reason: messageOf(error) }, "a call failed");
        line.reply(number, { ok: false, word });
      },
    );
  },
});
