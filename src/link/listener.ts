/**
 * The leader's end of the link: where other processes connect. It listens from the start of the
 * process on, and lets in whoever knows the secret while this process leads. A process has one
 * connection: when it makes another, the first is closed.
 */
import { chmodSync, rmSync } from "node:fs";
import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import type { ByteReader } from "./bytes.ts";
import { Connection, unexpected, type ConnectionEvents } from "./connection.ts";
import { askedBytesMax, frameTypes, spokenWith } from "./frames.ts";
import {
  checkProof,
  helloOf,
  proofOf,
  readHello,
  writeHello,
  type Hello,
  type Introduction,
} from "./handshake.ts";

/** Processes that are connected at a time, and connections of which nobody knows yet whose. */
export const peersMax = 64;
export const strangersMax = 32;
/** How long somebody may take to prove who they are. */
const handshakeMaxMs = 2_000;

/** A process that is connected, and has proven to be one. */
export type Peer = { readonly instance: string; readonly connection: Connection };

type ListenerOptions = {
  /** Known to every process on the same database, and to nobody else. */
  readonly secret: string;
  /** Who this process is while it leads; null when it does not. */
  readonly leader: () => Introduction | null;
  /** Told of each process that connects; it says what is done with its frames. */
  readonly onPeer: (peer: Peer) => ConnectionEvents;
  /** Told why somebody was turned away, or a connection ended. */
  readonly onEnd: (reason: string) => void;
};

export class LinkListener {
  readonly #options: ListenerOptions;
  readonly #listeners: (TCPSocketListener<unknown> | UnixSocketListener<unknown>)[] = [];
  readonly #unix: string | null;
  readonly #strangers = new Set<Connection>();
  readonly #peers = new Map<string, Connection>();
  /** Where it listens. */
  readonly port: number;

  /**
   * @param unix path of a socket for processes of this machine; null for none
   * @throws the system's error when it cannot listen there
   */
  constructor(
    options: ListenerOptions,
    where: { readonly unix: string | null; readonly host: string; readonly port: number },
  ) {
    this.#options = options;
    const socket = {
      open: (opened: Socket<Connection>) => this.#open(opened),
      data: ({ data }: Socket<Connection>, chunk: Buffer) => data?.receive(chunk),
      drain: ({ data }: Socket<Connection>) => data?.drained(),
      close: ({ data }: Socket<Connection>) =>
        data?.close(new Error("the other end has closed it")),
      error: ({ data }: Socket<Connection>, error: Error) => data?.close(error),
    };
    const { unix, host, port } = where;
    const tcp = Bun.listen<Connection>({ hostname: host, port, socket });
    this.port = tcp.port;
    this.#listeners.push(tcp as TCPSocketListener<unknown>);
    this.#unix = unix;
    if (unix === null) return;
    const local = Bun.listen<Connection>({ unix, socket });
    this.#listeners.push(local as UnixSocketListener<unknown>);
    chmodSync(unix, 0o600);
  }

  /** Processes that are connected. */
  get peerCount(): number {
    return this.#peers.size;
  }

  /** Closes the connections of a term that is over. */
  closePeers(reason: Error): void {
    for (const connection of this.#peers.values()) connection.close(reason, true);
  }

  stop(): void {
    for (const listener of this.#listeners) listener.stop(true);
    this.closePeers(new Error("the process ends"));
    for (const stranger of this.#strangers) stranger.close(new Error("the process ends"));
    if (this.#unix !== null) rmSync(this.#unix, { force: true });
  }

  #open(socket: Socket<Connection>): void {
    if (this.#strangers.size >= strangersMax || this.#peers.size >= peersMax) {
      this.#options.onEnd("too many connections from other processes");
      socket.end();
      return;
    }
    let events: ConnectionEvents | null = null;
    const handshake = new LeaderHandshake(this.#options, (hello) => {
      this.#strangers.delete(connection);
      this.#peers.get(hello.instance)?.close(new Error("the same process has connected again"));
      this.#peers.set(hello.instance, connection);
      connection.frameBytesMax = askedBytesMax;
      connection.protocol = spokenWith(hello.protocol) ?? connection.protocol;
      connection.send(frameTypes.ready);
      const { instance } = hello;
      events = this.#options.onPeer({ instance, connection });
    });
    const tooLate = setTimeout(
      () => connection.close(new Error("a stranger, who does not say who it is")),
      handshakeMaxMs,
    );
    const connection: Connection = new Connection(socket as Socket<unknown>, {
      onFrame: (type, payload) => {
        if (events !== null) events.onFrame(type, payload);
        else handshake.take(connection, type, payload);
        if (events !== null) clearTimeout(tooLate);
      },
      onClose: (reason) => {
        clearTimeout(tooLate);
        this.#strangers.delete(connection);
        for (const [instance, peer] of this.#peers) {
          if (peer === connection) this.#peers.delete(instance);
        }
        this.#options.onEnd(reason.message);
        events?.onClose(reason);
      },
    });
    this.#strangers.add(connection);
    socket.data = connection;
  }
}

const notLeading = (): Error => new Error("this process does not lead");

/** Hello, welcome, proof; then it is ready. */
class LeaderHandshake {
  readonly #options: ListenerOptions;
  readonly #onProven: (hello: Hello) => void;
  #said: { readonly asking: Hello; readonly leading: Hello } | null = null;

  constructor(options: ListenerOptions, onProven: (hello: Hello) => void) {
    this.#options = options;
    this.#onProven = onProven;
  }

  take(connection: Connection, type: number, payload: ByteReader): void {
    const { secret, leader } = this.#options;
    if (this.#said === null && type === frameTypes.hello) {
      const asking = readHello(payload);
      const who = leader();
      if (who === null) return connection.close(notLeading(), true);
      const leading = helloOf(who);
      this.#said = { asking, leading };
      connection.send(frameTypes.welcome, (to) => {
        writeHello(to, leading);
        to.bytes(proofOf(secret, "leads", asking, leading));
      });
    } else if (this.#said !== null && type === frameTypes.proof) {
      const { asking, leading } = this.#said;
      checkProof(payload, proofOf(secret, "asks", asking, leading));
      if (leader()?.epoch !== leading.epoch) return connection.close(notLeading(), true);
      this.#onProven(asking);
    } else throw unexpected(type);
  }
}
