/**
 * How many connections there may be, and who gives way when there are too many.
 *
 * Whoever buys finds a descriptor: the last ones, `reserved`, are for them. Streams never have more
 * than `streamsMax`, nor one address more than `streamsPerAddressMax` at all processes together. What is idle or slow may have
 * the rest for as long as there is room (Bun ends both after 10 s); when there is not, those that
 * have been sent nothing for the longest are ended, until there is. A stream is not idle, even if it
 * has nothing to say.
 *
 * Without the kernel's help (see `descriptors.ts`) the connections that have no request under way
 * are ended alone.
 */
import type { Server } from "bun";
import { networkOf, type Clients } from "../access/clients.ts";
import { StreamCounts, streamsPerAddressMax } from "../access/stream-counts.ts";
import type { Log } from "../engine/engine.ts";
import { problem } from "./problems.ts";
import { openDescriptors, raiseDescriptors, Sockets } from "./descriptors.ts";

/** Descriptors that only those get who have something to ask. */
const reservedMax = 1_000;
/** Of a process whose limit nobody can tell. */
const descriptorsAssumed = 1_024;
const watchEveryMs = 100;
/** Ended at a time beyond what is needed, so that not every look has to end some. */
const endedMoreMax = 256;
/** Whoever was sent something since may be about to ask again, or waits for an answer. */
const silentMsMin = 1_000;
/** What the kernel keeps for a client that does not read. */
const sendBufferBytesMax = 128 * 1024;

/** A place for one more stream, to be given back; or the refusal. */
export type StreamPlaces = (
  request: Request,
  server: Server<undefined>,
  /** Ends the stream: its address has too many at all processes together. */
  end: () => void,
) => (() => void) | Response;

type StreamRefusal = "too_many" | "too_many_of_address";

export class Connections {
  readonly descriptorsMax: number;
  /** By their addresses, at other processes too. */
  readonly streams = new StreamCounts();
  readonly #streamPorts = new Map<number, number>();
  #streamCount = 0;
  #timer: Timer | null = null;
  #sockets: Sockets | null = null;

  constructor(descriptorsMax = raiseDescriptors() ?? descriptorsAssumed) {
    this.descriptorsMax = descriptorsMax;
  }

  get reserved(): number {
    return Math.min(reservedMax, Math.floor(this.descriptorsMax / 4));
  }

  /** In all: a quarter of the rest is left to those who are idle between two requests. */
  get streamsMax(): number {
    return Math.floor((this.descriptorsMax - this.reserved) * 0.75);
  }

  /**
   * A place for a stream, to be given back when it ends.
   * @param peerPort of the connection that it goes over
   * @param end ends it, where it turns out that its address has too many
   */
  openStream(address: string, peerPort: number, end: () => void): (() => void) | StreamRefusal {
    if (this.#streamCount >= this.streamsMax) return "too_many";
    const network = networkOf(address);
    const isCounted = !isLoopback(network);
    if (isCounted && this.streams.of(network) >= streamsPerAddressMax) {
      return "too_many_of_address";
    }
    this.#streamCount += 1;
    const closed = isCounted ? this.streams.open(network, end) : null;
    count(this.#streamPorts, peerPort, 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#streamCount -= 1;
      closed?.();
      count(this.#streamPorts, peerPort, -1);
    };
  }

  /** Sees to it that there is room, from now on. */
  watch(server: Pick<Server<undefined>, "port" | "closeIdleConnections">, log: Log): void {
    const { descriptorsMax, reserved, streamsMax } = this;
    log.info({ descriptorsMax, reserved, streamsMax }, "descriptors");
    const sockets = Sockets.of(server.port ?? 0);
    this.#sockets = sockets;
    sockets?.boundSendBuffers(sendBufferBytesMax);
    this.#timer = setInterval(() => {
      const open = openDescriptors();
      if (open === null || open <= descriptorsMax - reserved) return;
      const closed = server.closeIdleConnections();
      const excess = open - closed - (descriptorsMax - reserved);
      const ended =
        excess > 0 && sockets !== null ? this.#endSilent(sockets, excess + endedMoreMax) : 0;
      log.warn({ open, closed, ended }, "connections gave way: descriptors were running out");
    }, watchEveryMs);
    this.#timer.unref();
  }

  /** Takes nobody new, so that all who have connected are answered before the port is closed. */
  takeNobody(): void {
    this.#sockets?.takeNobody();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #endSilent(sockets: Sockets, most: number): number {
    const silent = sockets
      .connections(this.descriptorsMax)
      .filter(
        ({ silentMs, peerPort }) => silentMs >= silentMsMin && !this.#streamPorts.has(peerPort),
      )
      .toSorted((one, other) => other.silentMs - one.silentMs)
      .slice(0, most);
    for (const connection of silent) sockets.end(connection);
    return silent.length;
  }
}

/** Places for streams, by the address of who listens; the refusal where there is none. */
export const placesFor =
  (connections: Connections, clients: Clients): StreamPlaces =>
  (request, server, end) => {
    const peerPort = server.requestIP(request)?.port ?? 0;
    const place = connections.openStream(clients.addressOf(request, server), peerPort, end);
    if (typeof place === "function") return place;
    return place === "too_many"
      ? problem("overloaded", { retryAfterMs: 5_000 })
      : problem("rate_limited", {
          detail: "This address listens to as many streams as one may.",
          retryAfterMs: 15_000,
        });
  };

function count<K>(counts: Map<K, number>, key: K, by: 1 | -1): void {
  const now = (counts.get(key) ?? 0) + by;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
}

/** Whether a network, as limits count it, is this machine itself. */
export const isLoopback = (network: string): boolean =>
  network.startsWith("127.") || network === "::1";
