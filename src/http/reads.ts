/**
 * What reads may take beside buyers. Every GET passes here, whatever it is for, before its handler.
 *
 * - Beside those who buy through this process, whether it leads or not, reads have a share of the one
 *   thread. Each is reckoned at what it was measured to take of it: little, unless the table of routes
 *   says that it is `large` (it sends many entries) or asks the `records` (a page, by an index). What is
 *   more than the share waits: who asks as fast as it is answered is slowed, and who buys is not. Where
 *   nobody buys, nothing waits.
 * - What is `costly` takes PostgreSQL long. One at a time is made, and it rests for longer than it took
 *   where somebody buys through any process: PostgreSQL is one for all. Nothing is made for who has
 *   gone meanwhile. Who administers has turns and places of their own, each other one while anybody else
 *   waits: strangers' audits and those who are told 401 keep nobody from their work.
 * - Of each kind so many wait, or are being made; more are told 503 `overloaded`, and so is who has
 *   waited long: Bun would end their connection without a word.
 */
import { OverloadedError } from "../engine/writer.ts";

/** What a read costs, where that is not little. */
export type ReadCost = "large" | "records" | "costly";

/** What a read is reckoned at, µs of the thread; what PostgreSQL takes of the machine is in it. */
const thread = { small: 50, large: 500, records: 800 } as const;
/** An entry of a long list from the records: what it was measured to take here and in PostgreSQL. */
const entryUs = 2;
/** The part of the thread's time that reads have beside buyers. */
const share = 0.15;
/**
 * A look that comes later than this comes late because the machine is busy: what reads gain by it
 * would be taken from buyers, who had as little of the time. ms
 */
const lookEveryMsMax = 1;
/** What was not used is kept for this long, so that a page's few reads need not wait; µs. */
const savedMax = 5_000;
/** Who bought within this time is there still, even where a commit takes long; ms. */
const buyersStayMs = 250;
/** Beside buyers a costly read is followed by so many times as much rest, and no less than this. */
const restTimes = 3;
export const restMsMin = 20;
/** Who waited for so long for a share of the thread waits no longer; ms, less than Bun's idle time. */
export const waitMsMax = 5_000;
/** Reads that are taken and not answered, by their cost; costly ones in each lane. */
export const readsMax = { small: 8_192, large: 512, records: 512, costly: 16 } as const;

/** Whose turn something costly waits for. */
export type Lane = "anybody" | "administrators";

type Answer = Response | Promise<Response>;

/** Numbers that change with everything that is asked of the ledger. */
type Asked = {
  /** Through this process. */
  readonly here: () => number;
  /** Through any, as far as this one hears of it. */
  readonly anywhere: () => number;
};

export const nobodyBuys: Asked = { here: () => 0, anywhere: () => 0 };

type Waiting = {
  readonly cost: keyof typeof thread;
  readonly since: number;
  readonly start: () => void;
  readonly refuse: (error: Error) => void;
};

export class Reads {
  readonly #buyersHere: BuyersSeen;
  readonly #buyersAnywhere: BuyersSeen;
  readonly #taken = { small: 0, large: 0, records: 0, anybody: 0, administrators: 0 };
  /** What reads may take now, µs; less than nothing after one that took more than there was. */
  #saved: number = savedMax;
  #savedAt = 0;
  readonly #waiting: Waiting[] = [];
  #isScheduled = false;
  /** Costly work that waits for its turn, and whose turn was the last; null: nobody has one. */
  readonly #turns: Readonly<Record<Lane, (() => void)[]>> = { anybody: [], administrators: [] };
  #turnOf: Lane | null = null;

  constructor({ here, anywhere }: Asked) {
    this.#buyersHere = new BuyersSeen(here);
    this.#buyersAnywhere = new BuyersSeen(anywhere);
  }

  /**
   * Has a read answered when there is time for it.
   * @throws OverloadedError when too many wait
   */
  answer(
    request: Request,
    cost: ReadCost | undefined,
    handle: () => Answer,
    lane: Lane = "anybody",
  ): Answer {
    const kind = cost ?? "small";
    const place = kind === "costly" ? lane : kind;
    if (this.#taken[place] >= readsMax[kind]) {
      throw new OverloadedError(`${readsMax[kind]} ${kind} reads are waiting`);
    }
    this.#taken[place] += 1;
    let answered: Answer;
    try {
      answered =
        kind === "costly" ? this.#unlessGone(request, handle, lane) : this.#shared(kind, handle);
    } catch (error) {
      this.#taken[place] -= 1;
      throw error;
    }
    if (answered instanceof Response) this.#taken[place] -= 1;
    else void answered.then(this.#leaves[place], this.#leaves[place]);
    return answered;
  }

  /** As `inTurn`, for who is still there then. */
  async #unlessGone({ signal }: Request, handle: () => Answer, lane: Lane): Promise<Response> {
    return await this.inTurn(() => {
      if (signal.aborted) throw new OverloadedError("the client has gone");
      return handle();
    }, lane);
  }

  /** Has costly work done when that before it is, and has rested. */
  async inTurn<T>(work: () => T | Promise<T>, lane: Lane = "anybody"): Promise<T> {
    await this.#turn(lane);
    const from = performance.now();
    // What was bought before the last look is none of its business.
    this.#areBuyersAnywhere(from);
    try {
      return await work();
    } finally {
      const now = performance.now();
      if (this.#areBuyersAnywhere(now)) {
        setTimeout(() => this.#nextTurn(), Math.max(restMsMin, restTimes * (now - from)));
      } else this.#nextTurn();
    }
  }

  async #turn(lane: Lane): Promise<void> {
    if (this.#turnOf === null) this.#turnOf = lane;
    else await new Promise<void>((resolve) => this.#turns[lane].push(resolve));
  }

  #nextTurn(): void {
    const order: Lane[] = ["administrators", "anybody"];
    if (this.#turnOf === "administrators") order.reverse();
    const lane = order.find((one) => this.#turns[one].length > 0) ?? null;
    this.#turnOf = lane;
    if (lane !== null) this.#turns[lane].shift()?.();
  }

  #areBuyersAnywhere(now: number): boolean {
    const areHere = this.#buyersHere.areThere(now);
    return this.#buyersAnywhere.areThere(now) || areHere;
  }

  /** Reckons a list's entries that were read from the records, beyond a page of them. */
  listed(entries: number): void {
    this.#saved -= entries * entryUs;
  }

  /** Reckons a small read that turned out to be a large one. */
  becameLarge(): void {
    this.#saved -= thread.large;
  }

  readonly #leaves = {
    small: () => void (this.#taken.small -= 1),
    large: () => void (this.#taken.large -= 1),
    records: () => void (this.#taken.records -= 1),
    anybody: () => void (this.#taken.anybody -= 1),
    administrators: () => void (this.#taken.administrators -= 1),
  };

  #shared(cost: keyof typeof thread, handle: () => Answer): Answer {
    const now = performance.now();
    const besideBuyers = this.#buyersHere.areThere(now);
    if (besideBuyers && !this.#isScheduled) {
      this.#gain(now - this.#savedAt, now);
      // From now on there are looks until all is saved again that was.
      this.#schedule();
    }
    if (this.#waiting.length === 0 && (!besideBuyers || this.#saved > 0)) {
      if (besideBuyers) this.#saved -= thread[cost];
      return handle();
    }
    return new Promise<Response>((resolve, reject) => {
      const start = (): void => {
        try {
          resolve(handle());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.#waiting.push({ cost, since: now, start, refuse: reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => {
      this.#isScheduled = false;
      this.#next();
    }, 1);
  }

  /** Starts what there is time for. */
  #next(): void {
    const now = performance.now();
    const besideBuyers = this.#buyersHere.areThere(now);
    this.#gain(Math.min(now - this.#savedAt, lookEveryMsMax), now);
    let left = 0;
    for (const { cost, since, start, refuse } of this.#waiting) {
      const isLate = now - since > waitMsMax;
      if (besideBuyers && this.#saved <= 0 && !isLate) break;
      left += 1;
      if (isLate) refuse(new OverloadedError("buyers leave no time for this read"));
      else {
        if (besideBuyers) this.#saved -= thread[cost];
        start();
      }
    }
    this.#waiting.splice(0, left);
    if (this.#waiting.length > 0 || (besideBuyers && this.#saved < savedMax)) this.#schedule();
  }

  #gain(ms: number, now: number): void {
    this.#saved = Math.min(savedMax, this.#saved + ms * 1_000 * share);
    this.#savedAt = now;
  }
}

class BuyersSeen {
  readonly #asked: () => number;
  #seen = 0;
  #seenAt = -Infinity;

  constructor(asked: () => number) {
    this.#asked = asked;
  }

  areThere(now: number): boolean {
    const asked = this.#asked();
    if (asked !== this.#seen) {
      this.#seen = asked;
      this.#seenAt = now;
    }
    return now - this.#seenAt < buyersStayMs;
  }
}
