/**
 * The processes that take requests beside the one that leads, as that one has them: it starts them,
 * starts another for one that dies or does nothing any more, and ends them before it ends itself.
 * They notice by themselves when it is gone (`parent.ts`).
 */
import type { Log } from "../engine/engine.ts";
import { errorCode } from "../postgres/client.ts";
import { poll } from "../postgres/poll.ts";
import { sayEveryMs, type FromFront, type FrontStart, type ToFront } from "./messages.ts";

/** `auto` leaves these cores to the ledger and to PostgreSQL. */
const coresOfOthers = 2;
export const frontsMax = 6;

const backoffMinMs = 100;
const backoffMaxMs = 5_000;
/** One that has lived so long did not die of its start. */
const longLifeMs = 10_000;
/**
 * One that has said nothing so many times is killed: the clients that the kernel gives to it wait for
 * nothing. Counted, not measured, because the machine may have stood still for both.
 */
const silencesMax = 8;
/** How long the figures of one may take. */
const figuresMaxMs = 500;
/** How long one that was told to stop may take beside the grace, before it is killed. */
const stopMaxMs = 6_000;
const askEveryMs = 10;

/** How many there are to be. @param cores of this machine */
export const frontCount = (asked: number | "auto", cores: number): number =>
  asked === "auto" ? Math.min(Math.max(cores - coresOfOthers, 0), frontsMax) : asked;

type FrontsOptions = {
  readonly count: number;
  /** What starts one. */
  readonly command: readonly string[];
  readonly start: Omit<FrontStart, "name">;
  /** The figures of this process, as `/metrics` has them. */
  readonly figures: () => Promise<string>;
  /** How long one that was told to stop goes on answering. */
  readonly graceMs: number;
  readonly log: Log;
};

export class Fronts {
  readonly #fronts: readonly Front[];

  constructor(options: FrontsOptions) {
    const allBut = (asking: Front): Promise<string[]> => {
      const others = this.#fronts.filter((front) => front !== asking);
      return Promise.all([options.figures(), ...others.map((front) => front.figures())]);
    };
    this.#fronts = Array.from(
      { length: options.count },
      (_, index) => new Front(`front-${index + 1}`, options, allBut),
    );
  }

  start(): void {
    for (const front of this.#fronts) front.start();
  }

  /** Resolves once every one of them has taken requests. */
  async listening(): Promise<void> {
    await Promise.all(this.#fronts.map((front) => front.listening));
  }

  /** Has them answer what they were asked, and end. Resolves when they have. */
  async stop(): Promise<void> {
    await Promise.all(this.#fronts.map((front) => front.stop()));
  }
}

type Child = Bun.Subprocess<"ignore", "inherit", "inherit">;

/** One of them: the process that it is now, and whoever comes after it. */
class Front {
  readonly listening: Promise<void>;
  readonly #name: string;
  readonly #options: FrontsOptions;
  readonly #others: (front: Front) => Promise<string[]>;
  readonly #asked = new Map<number, (text: string) => void>();
  readonly #hasListened = Promise.withResolvers<void>();
  readonly #stopping = Promise.withResolvers<void>();
  #isStopping = false;
  /** How often it has not said that it is there; null before it has. */
  #silences: number | null = null;
  #askedCount = 0;
  #child: Child | null = null;
  #life: Promise<void> = Promise.resolve();

  constructor(name: string, options: FrontsOptions, others: (front: Front) => Promise<string[]>) {
    this.#name = name;
    this.#options = options;
    this.#others = others;
    this.listening = this.#hasListened.promise;
  }

  start(): void {
    this.#life = this.#live();
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#isStopping = true;
    this.#stopping.resolve();
    this.#send({ kind: "stop" });
    const waitMaxMs = this.#options.graceMs + stopMaxMs;
    const hasEnded = (): true | undefined => (this.#child === null ? true : undefined);
    const ended = await poll({ everyMs: askEveryMs, waitMaxMs }, hasEnded);
    if (ended === undefined) {
      this.#options.log.error({ front: this.#name }, "a front does not end; killing it");
      child?.kill("SIGKILL");
    }
    await this.#life;
  }

  /** Empty when it does not tell them in time. */
  async figures(): Promise<string> {
    this.#askedCount += 1;
    const number = this.#askedCount;
    const { promise, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(() => resolve(""), figuresMaxMs);
    this.#asked.set(number, resolve);
    try {
      return this.#send({ kind: "figures", number }) ? await promise : "";
    } finally {
      clearTimeout(timer);
      this.#asked.delete(number);
    }
  }

  async #live(): Promise<void> {
    const { log } = this.#options;
    let backoffMs = backoffMinMs;
    while (!this.#isStopping) {
      const startedAt = performance.now();
      const child = this.#spawn();
      this.#child = child;
      this.#send({ kind: "start", name: this.#name, ...this.#options.start });
      const watch = setInterval(() => this.#watch(child), sayEveryMs);
      await child.exited;
      clearInterval(watch);
      this.#child = null;
      this.#silences = null;
      if (this.#isStopping) return;
      const { exitCode, signalCode, pid } = child;
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      const how = { front: this.#name, pid, exitCode, signal: signalCode, seconds };
      if (performance.now() - startedAt >= longLifeMs) backoffMs = backoffMinMs;
      log.warn(how, "a front has ended; starting another");
      await Promise.race([Bun.sleep(backoffMs), this.#stopping.promise]);
      backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
    }
  }

  #watch(child: Child): void {
    if (this.#silences === null) return;
    this.#silences += 1;
    if (this.#silences < silencesMax) return;
    const { log } = this.#options;
    log.error({ front: this.#name, pid: child.pid }, "a front does nothing any more; killing it");
    child.kill("SIGKILL");
  }

  #spawn(): Child {
    return Bun.spawn([...this.#options.command], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: FromFront) => void this.#heard(message),
      serialization: "json",
    });
  }

  async #heard(message: FromFront): Promise<void> {
    switch (message.kind) {
      case "here":
        this.#silences = 0;
        return;
      case "listening":
        this.#silences = 0;
        return this.#hasListened.resolve();
      case "figures":
        return this.#asked.get(message.number)?.(message.text);
      case "all figures": {
        const { number } = message;
        this.#send({ kind: "all figures", number, texts: await this.#others(this) });
        return;
      }
      default:
        return message satisfies never;
    }
  }

  /** Tells whether there is somebody to hear it. */
  #send(message: ToFront): boolean {
    try {
      this.#child?.send(message);
      return this.#child !== null;
    } catch (error) {
      // It is ending: that is told, and mended, elsewhere.
      if (!isClosed(error)) throw error;
      return false;
    }
  }
}

const isClosed = (error: unknown): boolean =>
  /^(?:EPIPE|ERR_IPC_CHANNEL_CLOSED|ERR_IPC_DISCONNECTED)$/.test(errorCode(error));
