/**
 * The waiting room of one sale: where its queue stands, and where this visitor stands in it.
 *
 * All that wait hear the same one figure, up to which rank people are let in, and each page finds its
 * own place from it: nothing that a waiting page asks hangs on who it is. The stream of events says
 * it; where there is none, or it is silent, the public state is asked for. A ticket is asked about
 * only when something about it must have changed: when the draw has been made, when its rank is let
 * in, and while its pass lasts. A million pages learn of the draw at one moment, and ask spread out.
 *
 * What is known stays when no answer comes: a place is in the records, and nobody else gets it.
 */
import { computed, effect, signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { get, send } from "../api.ts";
import { acts } from "../holding/store.ts";
import { hearQueues, line, type QueueNews } from "../live.ts";
import { Problem } from "../problems.ts";
import { asBuyer, buyer as buyerName, user } from "../session.ts";
import { serverNow, steadyNow, tick } from "../time.tsx";
import { forgetTicket, joinKey, keepTicket, ticketChanges, ticketOf } from "./tickets.ts";

export type Queue = QueueNews & {
  /** Hex; null where nothing is announced yet. */
  readonly commitment: string | null;
  /** Null until the draw has been made. */
  readonly seed: string | null;
  readonly drawn: number | null;
  readonly opens_at: string;
};
export type Place = {
  readonly ticket: string;
  readonly entry: string;
  /** In the order of joining. */
  readonly number: number;
  readonly state: "waiting" | "admitted" | "passed" | "closed";
  /** Null until the draw. */
  readonly rank: number | null;
  /** When the pass ends, if nothing is reserved; null while a reservation lives. */
  readonly expires_at: string | null;
  readonly pass_ttl_ms: number | null;
  readonly user_id: string;
};

/** What there is to see. */
export type Phase =
  "unknown" | "outside" | "gathering" | "drawing" | "waiting" | "turn" | "passed" | "closed";

const pollMs = 4_000;
const pollLiveMs = 20_000;
const turnMs = 1_200;
const passMs = 10_000;
/** Pages that learn of a draw together ask spread over so long, by how many there are. */
const spreadMsMax = 8_000;
const spreadMsEach = 0.02;

export class Room {
  readonly saleId: number;
  readonly queue = signal<Queue | null>(null);
  readonly place = signal<Place | null>(null);
  /** The browser works on a challenge. */
  readonly isProving = signal(false);
  readonly isJoining = signal(false);
  /** Why joining it did not do. */
  readonly failed = signal<string | null>(null);
  #queueAskedAt = -Infinity;
  #placeAskedAt = -Infinity;
  /** Not before that the draw's result is asked for. */
  #drawAskAt: number | null = null;
  #asking = false;
  /** The last question about the ticket brought nothing: it is asked again. */
  #isUnanswered = false;
  readonly #queueAnswers = new Answers();
  readonly #placeAnswers = new Answers();
  /** Whose ticket, and which, was asked about last. */
  #whose = "";
  #name: string | undefined;
  /** What the stream has said last. */
  #heard: QueueNews | null = null;

  constructor(saleId: number) {
    this.saleId = saleId;
  }

  readonly opensAt = computed(() => Date.parse(this.queue.value?.opens_at ?? ""));
  readonly hasOpened = computed(() => {
    const queue = this.queue.value;
    return queue !== null && (queue.state !== "gathering" || this.opensAt.value <= tick.value);
  });

  readonly phase = computed((): Phase => {
    const [queue, place] = [this.queue.value, this.place.value];
    if (queue === null) return "unknown";
    if (queue.state === "closed" && place?.state !== "admitted") return "closed";
    if (place === null) return "outside";
    if (place.state === "admitted") return "turn";
    if (place.state !== "waiting") return place.state;
    if (place.rank !== null) return "waiting";
    return this.hasOpened.value ? "drawing" : "gathering";
  });

  /** How many go in up to and with this visitor: 1 is next. Null while there is no rank. */
  readonly ahead = computed((): number | null => {
    const [queue, place] = [this.queue.value, this.place.value];
    if (queue === null || place === null || place.rank === null) return null;
    return Math.max(0, place.rank - queue.admitted_up_to);
  });
  /** Milliseconds until it is about this visitor's turn; null while nobody knows. */
  readonly waitMs = computed((): number | null => {
    const [queue, ahead] = [this.queue.value, this.ahead.value];
    if (queue === null || ahead === null || queue.paused) return null;
    return (ahead / queue.admit_per_second) * 1000;
  });
  /** Whether this visitor may take something now. */
  readonly isIn = computed(() => this.phase.value === "turn");

  // --- Asking ---------------------------------------------------------------------------------

  async askQueue(): Promise<void> {
    this.#queueAskedAt = steadyNow();
    const isTaken = this.#queueAnswers.ask();
    const heard = this.#heard;
    const queue = await get<Queue>(`/sales/${this.saleId}/queue`);
    // What the stream has said meanwhile is newer than a question that took long.
    if (isTaken()) this.queue.value = this.#heard === heard ? queue : { ...queue, ...this.#heard };
  }

  async askPlace(): Promise<void> {
    this.#placeAskedAt = steadyNow();
    const ticket = ticketOf(this.saleId)?.ticket;
    const name = user.peek()?.username;
    // An account may have joined on another device.
    if (ticket === undefined && name === undefined) {
      this.#placeAnswers.void();
      this.#isUnanswered = false;
      this.place.value = null;
      return;
    }
    // Somebody else may have logged in, or there is another ticket: of the former nothing is taken.
    const whose = `${name ?? ""} ${ticket ?? ""}`;
    const isTaken = whose === this.#whose ? this.#placeAnswers.ask() : this.#placeAnswers.askAnew();
    this.#whose = whose;
    if (name !== this.#name) this.place.value = null;
    this.#name = name;
    try {
      const path = `/sales/${this.saleId}/queue/me`;
      const place = await get<Place>(path, ticket === undefined ? {} : { ticket });
      if (!isTaken()) return;
      this.#isUnanswered = false;
      if (ticket === undefined) keepTicket(this.saleId, place, joinKey(this.saleId, "", false));
      this.place.value = place;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.isSilent) {
        this.#isUnanswered = true;
        return;
      }
      if (!isTaken()) return;
      this.#isUnanswered = false;
      // What is forgotten is a change, after which it is asked again: who has none has nothing to forget.
      if (error.code === "ticket_not_found" && ticket !== undefined) forgetTicket(this.saleId);
      this.place.value = null;
    }
  }

  /** Joins, or comes back to the ticket there is. @throws Problem */
  async join(): Promise<void> {
    const anew = this.place.peek()?.state === "passed";
    const userId = buyerName.peek();
    const key = joinKey(this.saleId, userId, anew);
    const path = `/sales/${this.saleId}/queue?user_id=${encodeURIComponent(userId)}`;
    const post = (proof = "") => asBuyer(() => send<Place>("POST", path + proof, { key }));
    const place = await post().catch(async (error: unknown) => {
      if (!(error instanceof Problem && error.code === "challenge_required")) throw error;
      this.isProving.value = true;
      try {
        const { solve } = await import("./challenge.ts");
        return await post(`&altcha=${encodeURIComponent(await solve())}`);
      } finally {
        this.isProving.value = false;
      }
    });
    // Somebody else has logged in meanwhile: whoever joined finds the place again by the same key.
    if (buyerName.peek() !== userId) return;
    this.#placeAnswers.void();
    keepTicket(this.saleId, place, key);
    this.place.value = place;
    await this.askQueue();
  }

  // --- Following ------------------------------------------------------------------------------

  #hear(news: QueueNews): void {
    const queue = this.queue.peek();
    if (news.sale_id !== this.saleId) return;
    this.#heard = news;
    if (queue === null) return;
    this.queue.value = { ...queue, ...news };
    this.#look();
  }

  /** Asks about the ticket when something about it must have changed. */
  #look(): void {
    const [queue, place] = [this.queue.peek(), this.place.peek()];
    if (queue === null || this.#asking) return;
    const since = steadyNow() - this.#placeAskedAt;
    const isDue = this.#isUnanswered && since > pollMs;
    if (isDue || (place !== null && this.#hasChanged(queue, place, since))) this.#askAlone();
  }

  #hasChanged(queue: Queue, place: Place, since: number): boolean {
    return {
      unknown: false,
      outside: false,
      gathering: false,
      drawing: queue.state === "admitting" && since > turnMs && this.#isSpread(queue),
      waiting: this.ahead.peek() === 0 && since > turnMs,
      turn: since > (isOver(place) ? turnMs : passMs),
      passed: false,
      closed: place.state !== "closed" && since > passMs,
    }[this.phase.peek()];
  }

  #askAlone(): void {
    this.#asking = true;
    this.askPlace()
      .catch(() => undefined)
      .finally(() => (this.#asking = false));
  }

  #isSpread({ joined }: Queue): boolean {
    const spread = Math.min(spreadMsMax, joined * spreadMsEach);
    this.#drawAskAt ??= steadyNow() + Math.random() * spread;
    return steadyNow() >= this.#drawAskAt;
  }

  /** Follows until the page goes. */
  follow(): void {
    void quietly(this.askQueue());
    hearQueues((news) => this.#hear(news));
    effect(() => {
      void ticketChanges.value;
      void user.value;
      void acts.value;
      // What is bought or given back changes the pass.
      void quietly(this.askPlace());
    });
    let hiddenAt = 0;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) hiddenAt = serverNow();
      else if (serverNow() - hiddenAt > pollMs) {
        void quietly(this.askQueue());
        if (this.place.peek() !== null) void quietly(this.askPlace());
      }
    });
    setInterval(() => {
      const since = steadyNow() - this.#queueAskedAt;
      const isTurning = this.queue.peek()?.state === "gathering" && this.hasOpened.peek();
      const hasFacts = this.queue.peek()?.state !== "admitting" || this.queue.peek()?.seed !== null;
      const pace = isTurning || !hasFacts ? turnMs : line.peek() === "live" ? pollLiveMs : pollMs;
      if (since > pace * (0.8 + Math.random() * 0.4)) void quietly(this.askQueue());
      this.#look();
    }, 500);
  }
}

/** What brought no answer is asked again. */
const quietly = (work: Promise<void>) => work.catch(() => undefined);
const isOver = ({ expires_at }: Place): boolean =>
  expires_at !== null && Date.parse(expires_at) <= serverNow();

const rooms = new Map<number, Room>();
/** The room of a sale; one a page, which is followed from its first use on. */
export function roomOf(saleId: number): Room {
  const known = rooms.get(saleId);
  if (known !== undefined) return known;
  const room = new Room(saleId);
  rooms.set(saleId, room);
  room.follow();
  return room;
}
