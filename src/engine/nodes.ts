/**
 * The processes that there are: each that does not lead tells the leader about itself once a second,
 * over the link, and whoever wants to know asks the leader. Nothing of it is stored: who has led for
 * less than that may not have heard of everybody.
 */
import { hostname } from "node:os";
import { z } from "zod";
import type { CurrentWriter } from "./current-writer.ts";
import type { Engine } from "./engine.ts";

const tellEveryMs = 1_000;
/** Who has said nothing for so long is gone. */
const goneMs = 3_000;
/** Of more that are told of, nothing is kept. */
export const nodesMax = 128;

const text = z.string().max(300);
const count = z.number().min(0);

const facts = z.object({
  /** An id that it made when it started. */
  instance: text,
  /** Which of a program's processes it is, where there are several. */
  process: text.nullable(),
  role: z.enum(["leader", "standby", "front", "starting"]),
  version: text,
  /** Where other processes find it. */
  url: text,
  machine: text,
  pid: count,
  /** The process that has started a front. */
  parentPid: count.nullable(),
  /** ms since the epoch */
  startedAt: count,
  /** The term that it knows of; 0: none. */
  epoch: count,
  /** As of which of the leader's times it reads; null: it has no replica that is current. */
  readsAsOf: count.nullable(),
  streams: count,
  /** Requests under way. */
  requests: count,
  memoryBytes: count,
});
type Facts = Readonly<z.output<typeof facts>>;

const about = z.object({ call: z.literal("about"), facts });
const asking = z.object({ call: z.literal("nodes") });

const node = facts.omit({ readsAsOf: true }).extend({ lagMs: count.nullable() });
export type Node = Readonly<z.output<typeof node>>;

export type NodesOptions = Pick<Facts, "instance" | "process" | "version"> & {
  readonly isFront: boolean;
  /** Where it takes requests. */
  readonly url: () => string;
  /** The time that a leader tells, ms. */
  readonly clock: () => number;
  readonly load: () => Pick<Facts, "streams" | "requests">;
};

type Asked = z.input<typeof about> | z.input<typeof asking>;

export class Nodes {
  readonly #options: NodesOptions;
  readonly #startedAt = Math.round(Date.now() - process.uptime() * 1000);
  readonly #told = new Map<string, { readonly node: Node; readonly at: number }>();
  #engine: Engine | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  /** Tells whoever leads about this process, from now on. */
  start(engine: Engine): void {
    const { writer } = engine;
    let isTelling = false;
    const hasTold = (): void => {
      isTelling = false;
    };
    this.#engine = engine;
    this.#timer = setInterval(() => {
      if (isTelling || engine.role.name !== "standby" || !writer.isReachable) return;
      isTelling = true;
      // A leader that has just gone hears it not, and one of an earlier release does not know of it.
      const told: Asked = { call: "about", facts: this.#self(engine) };
      writer.call(told).then(hasTold, hasTold);
    }, tellEveryMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** What a leader makes of a call that is about processes; undefined for another one. */
  answer(body: unknown): readonly Node[] | null | undefined {
    const told = about.safeParse(body);
    if (told.success) {
      this.#hear(told.data.facts);
      return null;
    }
    return asking.safeParse(body).success ? this.#list() : undefined;
  }

  /**
   * Every process, as the leader has heard of them, which comes first.
   * @throws UnavailableError when nobody leads
   */
  static async list(writer: Pick<CurrentWriter, "call">): Promise<readonly Node[]> {
    const asked: Asked = { call: "nodes" };
    return z.array(node).parse(await writer.call(asked));
  }

  #self(engine: Engine): Facts {
    const { isFront, url, load, instance, process: name, version } = this.#options;
    const { role } = engine;
    return {
      instance,
      process: name,
      role: role.name === "standby" && isFront ? "front" : role.name,
      version,
      url: url(),
      machine: hostname(),
      pid: process.pid,
      parentPid: isFront ? process.ppid : null,
      startedAt: this.#startedAt,
      epoch: role.epoch ?? 0,
      readsAsOf: role.name === "standby" ? role.replica.readsAsOf : null,
      ...load(),
      memoryBytes: process.memoryUsage.rss(),
    };
  }

  #hear({ readsAsOf, ...known }: Facts): void {
    const now = this.#options.clock();
    this.#forgetGone(now);
    if (this.#told.size >= nodesMax && !this.#told.has(known.instance)) return;
    const lagMs = readsAsOf === null ? null : Math.max(0, Math.round(now - readsAsOf));
    this.#told.set(known.instance, { node: { ...known, lagMs }, at: now });
  }

  #forgetGone(now: number): void {
    for (const [instance, { at }] of this.#told) {
      if (now - at >= goneMs) this.#told.delete(instance);
    }
  }

  #list(): readonly Node[] {
    this.#forgetGone(this.#options.clock());
    const others = Array.from(this.#told.values(), (told) => told.node);
    const sorted = others.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    if (this.#engine === null) return sorted;
    const { readsAsOf: _, ...self } = this.#self(this.#engine);
    return [{ ...self, lagMs: 0 }, ...sorted.filter(({ instance }) => instance !== self.instance)];
  }
}

/** A program's processes stand together, and its fronts after the one that has started them. */
const placeOf = ({ machine, parentPid, pid, process: name }: Node): string =>
  `${machine} ${parentPid ?? pid} ${parentPid === null ? "" : name} ${pid}`;
