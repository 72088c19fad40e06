/**
 * A machine of a world: its clocks, its way to the records, and the real program's selling parts
 * upon them. It may be killed, stopped and started again; nothing of a killed one does anything more.
 */
import { LedgerClock } from "../../src/engine/clock.ts";
import type { AnnouncedQueue } from "../../src/sales/draws.ts";
import { ProductSaleChanges } from "../../src/sales/product-sale-changes.ts";
import type { SaleEngine } from "../../src/sales/selling.ts";
import { sellingParts } from "../../src/program.ts";
import type { Random } from "../support/random.ts";
import type { Auditor } from "./auditor.ts";
import { codeFrom } from "./draws.ts";
import { SimulatedLink } from "./link.ts";
import type { Loop } from "./loop.ts";
import { ConstraintError } from "./constraints.ts";
import { CutError, Session, type Asked, type Line } from "./line.ts";
import type { MemoryRecords } from "./records.ts";

/** What befalls the next thing that is asked of the records. */
export type Mishap = {
  readonly at: Asked;
  /**
   * `refused`: fails, and was not done. `unknown`: was done, and fails. `hang`: takes long.
   * `deposed`: the session ends before it arrives; `unnoticed`: another process gets the lock, and
   * what this one sends still arrives for a while.
   */
  readonly how: "refused" | "unknown" | "hang" | "deposed" | "unnoticed";
  readonly ms: number;
};

/** PostgreSQL ends the session of a leader that is silent for so long. */
const silenceMaxMs = 5_000;
/** A program that stops goes on answering for so long. */
const graceMs = 400;
const mishapMark = "mishap:";
/** How the program words what a mishap, or an end by order, made it do. */
const expected = [
  // A term that ended while it brought its own sales up to date, with the records away for long.
  "nobody can tell what was decided",
  "was written while the records were read",
  mishapMark,
  "there already",
  "another leader has begun",
  "the machine's clock was set",
  "is closed",
  "the program is stopping",
  "too many",
  "this process does not lead",
  "the leader is not heard of",
  // A draw that is noted of tickets that a replica has not heard of yet: it looks again.
  "are not there",
  // A clock that was set back, or a link that was cut.
  "is on sale again",
];

export type WorldSettings = {
  readonly schedule: { readonly cron: string; readonly timeZone: string };
  readonly hourlySale: {
    readonly items: number;
    readonly unitsPerItem: number;
    readonly perUserLimit: number;
    readonly reservationTtlMs: number;
    readonly queue?: AnnouncedQueue | undefined;
  };
};

export type MachineOptions = {
  readonly name: string;
  readonly loop: Loop;
  readonly random: Random;
  readonly records: MemoryRecords;
  readonly auditor: Auditor;
  readonly settings: WorldSettings;
  /** ms since the Unix epoch when the world began. */
  readonly begunAt: number;
  readonly latencyMs: number;
  /** All machines of the world. */
  readonly peers: () => readonly Machine[];
};

/** The program, from its start to its end. */
type Run = Life & {
  readonly engine: SaleEngine;
  readonly productSales: ProductSaleChanges;
  readonly clock: LedgerClock;
  readonly link: SimulatedLink;
};

type Life = {
  isAlive: boolean;
  /** The last that it was given the lock on. */
  session: Session | null;
};

export class Machine {
  readonly name: string;
  readonly #options: MachineOptions;
  #run: Run | null = null;
  /** What the wall clock is ahead by; while it stands, where. */
  #wallAheadMs = 0;
  #standsAt: number | null = null;
  /** What is to go wrong, in this order. */
  readonly mishaps: Mishap[] = [];
  /** Told when the program is killed. */
  #onKill = new Set<() => void>();

  constructor(options: MachineOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get run(): Run | null {
    return this.#run;
  }

  /** The leader's part, if the program believes that it leads. */
  get leader() {
    const role = this.#run?.engine.role;
    return role?.name === "leader" ? role : null;
  }

  /** Whether it believes so rightly. */
  get leads(): boolean {
    const { holder } = this.#options.records;
    return holder !== null && !holder.isCut && this.leader?.epoch === holder.epoch;
  }

  get wall(): number {
    const { begunAt, loop } = this.#options;
    return this.#standsAt ?? begunAt + loop.now + this.#wallAheadMs;
  }

  get wallAheadMs(): number {
    return this.wall - this.#options.begunAt - this.#options.loop.now;
  }

  setWallAhead(ms: number): void {
    this.#standsAt = null;
    this.#wallAheadMs = ms;
  }

  /** The clock stands, until it is set. */
  standStill(): void {
    this.#standsAt = this.wall;
  }

  start(): void {
    const { loop, records, settings, name, random, auditor, latencyMs, peers } = this.#options;
    const bootedAt = loop.now - random.between(0, 100_000);
    const clock = new LedgerClock({ wall: () => this.wall, monotonic: () => loop.now - bootedAt });
    const instance = Array.from({ length: 8 }, () => random.between(0, 15).toString(16)).join("");
    const run: Life = { isAlive: true, session: null };
    const link = new SimulatedLink({
      loop,
      random,
      auditor,
      latencyMs,
      instance,
      isAlive: () => run.isAlive,
      peerAt: (at) => peers().find((peer) => peer.name === at)?.run?.link ?? null,
      mishapMark,
    });
    const after = (ms: number, what: () => void): void => {
      loop.after(ms, () => {
        if (run.isAlive) what();
      });
    };
    const { engine, catalogue } = sellingParts(records.over(this.#line(run)), settings, {
      ensure: () => Promise.resolve(),
      announce: () => ({ url: name, port: 0, instance, link: name }),
      instance,
      link,
      clock,
      newSeed: () => Uint8Array.from({ length: 32 }, () => random.between(0, 255)).toHex(),
      timers: {
        sleep: (ms) => {
          const { promise, resolve } = Promise.withResolvers<void>();
          // A busy machine wakes late.
          after(ms + random.between(0, Math.floor(ms / 4)), resolve);
          return promise;
        },
        nextTurn: (turn) => after(0, turn),
        monotonic: () => loop.now - bootedAt,
        newCode: () => codeFrom(random),
      },
      log: {
        info: (fields) => {
          if ("from" in fields) auditor.count(`taken over: with ${String(fields.from)}`);
        },
        warn: (fields, message) => this.#heard(run, fields, message),
        error: (fields, message) => this.#heard(run, fields, message),
      },
    });
    const productSales = new ProductSaleChanges(engine.writer, catalogue);
    this.#run = Object.assign(run, { engine, productSales, clock, link });
    auditor.count("start");
    engine.start();
  }

  /** A program says what went wrong: it must have been made to. */
  #heard(run: Life, fields: object, message: string): void {
    if (!run.isAlive || !("reason" in fields)) return;
    const reason = String(fields.reason);
    if (expected.some((words) => reason.includes(words))) return;
    this.#options.auditor.complain(`${this.name} says "${message}": ${reason}`);
  }

  /** `kill -9`: nothing of it does anything more; PostgreSQL notices by itself. */
  kill(): void {
    const { records, loop, random } = this.#options;
    const run = this.#run;
    if (run === null) return;
    const held = run.session;
    this.#end(run);
    if (held === null) return;
    loop.after(random.between(0, 100), () => {
      held.isCut = true;
      records.release(held);
    });
  }

  /** Stops it in order: whoever follows leads, and is asked what still comes. */
  stop(): void {
    const run = this.#run;
    if (run === null) return;
    const { loop } = this.#options;
    const stopped = async (): Promise<void> => {
      await run.engine.depart();
      await loop.sleep(graceMs);
      await run.engine.stop();
      this.#end(run);
    };
    void stopped();
  }

  #end(run: Run): void {
    if (!run.isAlive) return;
    run.isAlive = false;
    run.link.cutAll("its process is gone");
    this.#run = null;
    for (const tell of this.#onKill) tell();
    this.#onKill.clear();
  }

  /** Resolves to undefined when the program is killed before `work` has settled. */
  async untilKilled<T>(work: Promise<T>): Promise<T | undefined> {
    const killed = Promise.withResolvers<undefined>();
    const tell = (): void => killed.resolve(undefined);
    this.#onKill.add(tell);
    try {
      return await Promise.race([work, killed.promise]);
    } finally {
      this.#onKill.delete(tell);
    }
  }

  #line(run: Life): Line {
    const { loop } = this.#options;
    return {
      sleep: async (ms) => {
        await loop.sleep(ms);
        // Of a program that was killed nothing goes on.
        if (!run.isAlive) await Promise.withResolvers<void>().promise;
      },
      carry: (asked, work) => this.#carry(run, asked, work),
    };
  }

  /** To the records and back, each taking its time. */
  #carry<T>(run: Life, asked: Asked, work: () => T): Promise<T> {
    const { loop, random, latencyMs, auditor } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const mishap = this.#mishapOf(asked);
    const how = mishap?.how;
    // What hangs does so on its way there, or on its way back.
    const hangMs = how === "hang" ? (mishap?.ms ?? 0) : 0;
    const isLateThere = hangMs % 2 === 1;
    const tell = (what: () => void): void => {
      const ms = random.between(0, latencyMs) + (isLateThere ? 0 : hangMs);
      loop.after(ms, () => {
        if (run.isAlive) what();
      });
    };
    const arrive = (): void => {
      // What a program sent before it was killed may still be done.
      if (!run.isAlive && (asked !== "commit" || random.chance(0.5))) return;
      if (how === "refused") return tell(() => reject(new CutError(`${mishapMark} refused`)));
      try {
        const made = work();
        if (made instanceof Session) run.session = made;
        if (how === "unknown") tell(() => reject(new CutError(`${mishapMark} unknown`)));
        else tell(() => resolve(made));
      } catch (error) {
        if (error instanceof ConstraintError) {
          auditor.complain(`${this.name}: PostgreSQL refuses ${error.message}`);
        }
        tell(() => reject(error));
      }
    };
    loop.after((isLateThere ? hangMs : 0) + random.between(0, latencyMs), arrive);
    return promise;
  }

  #mishapOf(asked: Asked): Mishap | null {
    const index = this.mishaps.findIndex(({ at }) => at === asked);
    const [mishap] = index < 0 ? [] : this.mishaps.splice(index, 1);
    if (mishap === undefined) return null;
    this.#options.auditor.count(`mishap: ${asked} ${mishap.how}`);
    if (mishap.how === "deposed" || mishap.how === "unnoticed") {
      this.#depose(mishap.how, mishap.ms);
      return null;
    }
    // The heartbeat stands behind what hangs.
    if (asked === "commit" && mishap.how === "hang" && mishap.ms > silenceMaxMs) {
      this.#silent(silenceMaxMs);
    }
    return mishap;
  }

  /** The lock is somebody else's from now on; the program hears of it within `ms`. */
  #depose(how: "deposed" | "unnoticed", ms: number): void {
    const { records, loop } = this.#options;
    const session = records.holder;
    if (session === null || !this.leads) return;
    records.release(session);
    if (how === "deposed") session.isCut = true;
    const reason = new CutError(`${mishapMark} the connection was closed`);
    loop.after(Math.min(ms, silenceMaxMs), () => session.lose(reason));
  }

  #silent(afterMs: number): void {
    const { records, loop } = this.#options;
    const session = records.holder;
    if (session === null || !this.leads) return;
    loop.after(afterMs, () => {
      records.release(session);
      session.lose(new CutError(`${mishapMark} PostgreSQL has not answered`));
    });
  }
}
