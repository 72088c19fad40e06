/** What a crowd of arrivals is told and what it tells, and how to send one. */
import { join } from "node:path";
import { z } from "zod";
import { latenciesSchema } from "./latencies.ts";
import type { Child, Owned } from "./owned.ts";
import { BenchError, within } from "./scenario.ts";

export const arrivalsSchema = z.object({
  port: z.int(),
  connections: z.int(),
  pace: z.discriminatedUnion("kind", [
    /** Each connection asks again as soon as it is answered. */
    z.object({ kind: z.literal("flood"), seconds: z.number() }),
    /** So many come each second, whether or not those before them were answered. */
    z.object({ kind: z.literal("steady"), perSecond: z.number(), seconds: z.number() }),
    /** All come at once. */
    z.object({ kind: z.literal("instant"), requests: z.int() }),
  ]),
  /**
   * What each asks for: any item, for one of a million; the next item that is free, for somebody else
   * each time; item after item, likewise; a place in the queue of `sale`.
   */
  asks: z.enum(["random", "free", "items", "place"]),
  /** For whose queue; 0 otherwise. */
  sale: z.int(),
  /** Which item is asked for first, item after item. */
  firstItem: z.int(),
  /** Whether what is reserved is bought, on the same connection. */
  buys: z.boolean(),
  /** Prints a line when so many orders are acknowledged; 0 for never. */
  tellsAt: z.int(),
  /** Who they are: nobody of one name is in another's crowd. */
  name: z.string(),
});
export type Arrivals = z.output<typeof arrivalsSchema>;

/** The same, as the program is told. */
export const crowdSchema = arrivalsSchema.extend({ reportPath: z.string() });

const reportSchema = z.object({
  /** From the first request to the last answer. */
  seconds: z.number(),
  /** Of each answer to a first request, from when it was due. */
  latencies: latenciesSchema,
  /** Of each answer to a purchase, from when it was sent. */
  purchaseLatencies: latenciesSchema,
  /** Answers in each tenth of a second. */
  answersByTenth: z.array(z.int()),
  /** Answers by path and status: `checkout 409`. */
  answers: z.record(z.string(), z.int()),
  /** Of each order that was acknowledged: code, number, item. */
  orders: z.array(z.tuple([z.string(), z.string(), z.int()])),
  /** From the first request to the last of them. */
  lastOrderSeconds: z.number(),
  /** Longest time between two answers; ms. */
  longestSilenceMs: z.number(),
  /** How late the crowd itself sent, of a hundred requests the second latest; ms. */
  lateP99Ms: z.number(),
  /** Requests without an answer. */
  unanswered: z.int(),
  /** Connections that broke. */
  broken: z.int(),
  /** What contradicts the contract. */
  wrong: z.array(z.string()),
});
export type ArrivalReport = z.output<typeof reportSchema> & {
  /** Processor time of the crowd itself. */
  readonly crowdSeconds: number;
};

/** For connecting, and for answers that are late. */
const extraSecondsMax = 60;

export const answersOf = ({ answers }: ArrivalReport): number =>
  Object.values(answers).reduce((sum, count) => sum + count, 0);

/** A crowd under way. */
export class Crowd {
  readonly #child: Child;
  readonly #secondsMax: number;
  readonly #reportPath: string;
  readonly #told = Promise.withResolvers<void>();

  constructor(owned: Owned, arrivals: Arrivals) {
    const program = join(import.meta.dir, "arrivals.ts");
    this.#reportPath = join(owned.folder(), "report.json");
    const told: z.output<typeof crowdSchema> = { ...arrivals, reportPath: this.#reportPath };
    this.#child = owned.spawn([process.execPath, program, JSON.stringify(told)]);
    const { pace } = arrivals;
    this.#secondsMax = (pace.kind === "instant" ? 0 : pace.seconds) + extraSecondsMax;
    this.#told.promise.catch(() => {});
    void this.#read();
  }

  /** Resolves when as many orders are acknowledged as it was to tell. */
  async hasBought(): Promise<void> {
    await within(this.#secondsMax, "buying", this.#told.promise);
  }

  /** Resolves when it is over. @throws BenchError when it does not end, or ends without a report */
  async report(): Promise<ArrivalReport> {
    try {
      const exitCode = await within(this.#secondsMax, "a crowd", this.#child.exited);
      if (exitCode !== 0) throw new BenchError(`a crowd ended with ${exitCode}`);
      const cpu = Number(this.#child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
      const report = reportSchema.parse(await Bun.file(this.#reportPath).json());
      return { ...report, crowdSeconds: cpu };
    } finally {
      this.#child.kill("SIGKILL");
    }
  }

  /** All that it prints is that it has bought. */
  async #read(): Promise<void> {
    for await (const _ of this.#child.stdout) this.#told.resolve();
    this.#told.reject(new BenchError("a crowd ended before it had bought"));
  }
}

/** Of a crowd that asks for anything and buys nothing. */
export const plainArrivals = {
  asks: "random",
  sale: 0,
  firstItem: 1,
  buys: false,
  tellsAt: 0,
  name: "buyer",
} as const satisfies Partial<Arrivals>;

export const arrive = (owned: Owned, arrivals: Arrivals): Promise<ArrivalReport> =>
  new Crowd(owned, arrivals).report();
