/**
 * The link of a world's machine. What is sent over it takes its time and arrives in order, until the
 * line is cut: then what was under way arrives or does not, from somewhere on, and either end hears
 * of it in its own time. Who has lost its line makes another and asks again.
 */
import type {
  FollowerLine,
  LeaderEnd,
  LeaderEvents,
  LeaderLine,
  Link,
} from "../../src/link/line.ts";
import type { LeaderRecord } from "../../src/store/records.ts";
import type { Random } from "../support/random.ts";
import type { Auditor } from "./auditor.ts";
import type { Loop } from "./loop.ts";
import { CutError } from "./line.ts";

/** Of all that is sent, so much is the last that was heard. */
const cutChance = 0.01;
/** After so long a line that is cut is noticed. */
const noticedMaxMs = 2_000;

type LinkOptions = {
  readonly loop: Loop;
  readonly random: Random;
  readonly auditor: Auditor;
  readonly latencyMs: number;
  /** Which run of which machine. */
  readonly instance: string;
  readonly isAlive: () => boolean;
  /** The link of the machine of a name, if that runs. */
  readonly peerAt: (name: string) => SimulatedLink | null;
  /** What a mishap is told by. */
  readonly mishapMark: string;
};

export class SimulatedLink implements Link {
  readonly #options: LinkOptions;
  #leading: { readonly epoch: number; readonly end: LeaderEnd } | null = null;
  /** Lines of those who follow, by who they are. */
  readonly #lines = new Map<string, Wire>();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  readonly serve = (leading: { readonly epoch: number; readonly end: LeaderEnd } | null): void => {
    this.#leading = leading;
    if (leading === null) this.cutAll("it leads no more");
  };

  readonly isFollowed = (): boolean => this.#lines.size > 0;

  /** As when the process is gone. */
  cutAll(reason: string): void {
    for (const wire of this.#lines.values()) wire.cut(reason);
    this.#lines.clear();
  }

  readonly dial = async (leader: LeaderRecord, events: LeaderEvents): Promise<LeaderLine> => {
    const { loop, random, latencyMs, peerAt, mishapMark } = this.#options;
    await loop.sleep(random.between(0, latencyMs));
    const peer = peerAt(leader.url);
    const leading = peer === null ? null : peer.#leading;
    if (peer === null || leading === null || leading.epoch !== leader.epoch) {
      throw new CutError(`${mishapMark} nobody leads there`);
    }
    return peer.#accept(this.#options, leading.end, events);
  };

  #accept(follower: LinkOptions, end: LeaderEnd, events: LeaderEvents): LeaderLine {
    const { instance } = follower;
    this.#lines.get(instance)?.closeAtLeader();
    const wire = new Wire(follower, this.#options, end, events);
    this.#lines.set(instance, wire);
    return wire.leaderLine;
  }
}

/** A line between two processes. */
class Wire {
  readonly #follower: LinkOptions;
  readonly #leader: LinkOptions;
  readonly #events: LeaderEvents;
  readonly #down: (() => void)[] = [];
  readonly #up: (() => void)[] = [];
  #isCut = false;
  #isOpenAtLeader = true;
  #isOpenAtFollower = true;
  #leave: () => void = () => {};
  readonly leaderLine: LeaderLine;

  constructor(follower: LinkOptions, leader: LinkOptions, end: LeaderEnd, events: LeaderEvents) {
    this.#follower = follower;
    this.#leader = leader;
    this.#events = events;
    const isOpen = (): boolean => this.#isOpenAtLeader;
    const line: FollowerLine = {
      instance: follower.instance,
      get isOpen() {
        return isOpen();
      },
      answer: (numbers, _, outcomes) =>
        this.#tell(() =>
          outcomes.forEach((outcome, index) => {
            if (outcome !== null) events.onAnswer(numbers[index] ?? 0, outcome);
          }),
        ),
      refuse: (numbers, word) =>
        this.#tell(() => {
          for (const number of numbers) events.onAnswer(number, { word });
        }),
      reply: (number, reply) => this.#tell(() => events.onReply(number, reply)),
      change: (change) => {
        const sent = structuredClone(change);
        this.#tell(() => {
          this.#follower.auditor.count(`told: ${sent.kind}`);
          events.onChange(sent);
        });
      },
      counts: (counts) => this.#tell(() => events.onCounts(structuredClone(counts))),
      close: (reason) => this.cut(reason.message),
    };
    this.leaderLine = {
      ask: (asked) => {
        const sent = structuredClone(asked);
        follower.auditor.count(sent.isAgain ? "asked again" : "asked over the link");
        this.#ask(() => end.onAsked(line, sent));
      },
      call: (number, body) => {
        const sent = structuredClone(body);
        this.#ask(() => end.onCall(line, number, sent));
      },
      counts: (counts) => this.#ask(() => end.onCounts(line, structuredClone(counts))),
      close: () => this.cut("it is followed no more"),
    };
    this.#tell(() => {});
    this.#leave = end.onLine(line);
  }

  /** Nothing that comes from the follower is taken any more. */
  closeAtLeader(): void {
    if (!this.#isOpenAtLeader) return;
    this.#isOpenAtLeader = false;
    this.#leave();
    this.cut("the same process has connected again");
  }

  cut(reason: string): void {
    if (this.#isCut) return;
    this.#isCut = true;
    const { loop, random, auditor, mishapMark } = this.#follower;
    auditor.count("the link was cut");
    for (const way of [this.#down, this.#up]) way.length = random.between(0, way.length);
    loop.after(random.between(0, noticedMaxMs), () => this.closeAtLeader());
    loop.after(random.between(0, noticedMaxMs), () => {
      if (!this.#isOpenAtFollower || !this.#follower.isAlive()) return;
      this.#isOpenAtFollower = false;
      this.#events.onClose(new CutError(`${mishapMark} ${reason}`));
    });
  }

  #tell(what: () => void): void {
    this.#carry(this.#down, this.#follower, () => {
      if (this.#isOpenAtFollower) what();
    });
  }

  #ask(what: () => void): void {
    this.#carry(this.#up, this.#leader, () => {
      if (this.#isOpenAtLeader) what();
    });
  }

  #carry(way: (() => void)[], to: LinkOptions, what: () => void): void {
    if (this.#isCut) return;
    const { loop, random, latencyMs } = this.#follower;
    way.push(what);
    loop.after(random.between(0, latencyMs), () => {
      const next = way.shift();
      if (to.isAlive()) next?.();
    });
    if (random.chance(cutChance)) this.cut("the line was cut");
  }
}
