/** The link over sockets: lines of `line.ts` on connections to other processes. */
import type { LedgerChange } from "../ledger/changes.ts";
import { parseAddress } from "./address.ts";
import type { ByteReader } from "./bytes.ts";
import { readChange, writeChange } from "./changes.ts";
import {
  readCounts,
  readStreams,
  writeCounts,
  writeStreams,
  type Counts,
  type StreamsTold,
} from "./counts.ts";
import { unexpected, type Connection, type ConnectionEvents } from "./connection.ts";
import { dial } from "./dialer.ts";
import { frameTypes, FrameWriter } from "./frames.ts";
import type { Introduction } from "./handshake.ts";
import type { FollowerLine, LeaderEnd, LeaderEvents, LeaderLine, Link } from "./line.ts";
import { LinkListener, type Peer } from "./listener.ts";
import {
  readAnswers,
  readAsked,
  readCall,
  readReply,
  writeAnswers,
  writeAsked,
  writeCall,
  writeRefusals,
  writeReply,
} from "./messages.ts";
import type { LeaderRecord } from "../store/records.ts";

type SocketLinkOptions = {
  /** Known to every process on the same database, and to nobody else. */
  readonly secret: string;
  /** Which process this is. */
  readonly instance: string;
  /** The newest migration that it knows, as drizzle numbers it. */
  readonly schema: number;
  /**
   * Where to listen: a path for processes of this machine, and a host and port for others. Null for a
   * process that never leads.
   */
  readonly listen: {
    readonly unix: string | null;
    readonly host: string;
    readonly port: number;
  } | null;
  /** Told why somebody was turned away, or a connection ended. */
  readonly onEnd: (reason: string) => void;
};

type Leading = { readonly epoch: number; readonly end: LeaderEnd };

export class SocketLink implements Link {
  readonly #options: SocketLinkOptions;
  readonly #listener: LinkListener | null;
  readonly #frames = {
    changes: new SharedFrames(frameTypes.change, writeChange),
    counts: new SharedFrames(frameTypes.counts, writeCounts),
    streams: new SharedFrames(frameTypes.streams, writeStreams),
  };
  #leading: Leading | null = null;

  /** @throws the system's error when it cannot listen there */
  constructor(options: SocketLinkOptions) {
    this.#options = options;
    const { secret, onEnd, listen } = options;
    const leader = (): Introduction | null =>
      this.#leading === null ? null : this.#introduction(this.#leading.epoch);
    const onPeer = (peer: Peer): ConnectionEvents => this.#welcome(peer);
    this.#listener =
      listen === null ? null : new LinkListener({ secret, leader, onPeer, onEnd }, listen);
  }

  /** 0 where it does not listen. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  readonly serve = (leading: Leading | null): void => {
    this.#leading = leading;
    if (leading === null) this.#listener?.closePeers(new Error("this process leads no more"));
  };

  readonly isFollowed = (): boolean => (this.#listener?.peerCount ?? 0) > 0;

  /** @throws Error when the leader is not found */
  readonly dial = async (leader: LeaderRecord, events: LeaderEvents): Promise<LeaderLine> => {
    const address = parseAddress(leader.link);
    if (address === null) throw new Error("the leader does not say where it listens");
    const { secret } = this.#options;
    const self = this.#introduction(leader.epoch);
    const connection = await dial(address, { secret, self, leader }, leaderFrames(events));
    return {
      ask: (asked) => connection.send(frameTypes.commands, (to) => writeAsked(to, asked)),
      call: (number, body) => connection.send(frameTypes.call, (to) => writeCall(to, number, body)),
      counts: (counts) => {
        const { streams } = counts;
        if (hasCounts(counts)) connection.send(frameTypes.counts, (to) => writeCounts(to, counts));
        if (streams === undefined) return;
        connection.send(frameTypes.streams, (to) => writeStreams(to, streams));
      },
      close: (reason) => connection.close(reason),
    };
  };

  stop(): void {
    this.#leading = null;
    this.#listener?.stop();
  }

  #introduction(epoch: number): Introduction {
    const { instance, schema } = this.#options;
    return { instance, epoch, schema };
  }

  #welcome({ instance, connection }: Peer): ConnectionEvents {
    const leading = this.#leading;
    if (leading === null) throw new Error("this process leads no more");
    const { end } = leading;
    const line = new SocketLine(instance, connection, this.#frames);
    const leave = end.onLine(line);
    return {
      onFrame: (type, payload) => {
        if (type === frameTypes.commands) end.onAsked(line, readAsked(payload));
        else if (type === frameTypes.call) {
          const { number, body } = readCall(payload);
          end.onCall(line, number, body);
        } else if (type === frameTypes.counts) end.onCounts(line, readCounts(payload));
        else if (type === frameTypes.streams) end.onCounts(line, streamsAlone(payload));
        else throw unexpected(type);
      },
      onClose: leave,
    };
  }
}

const streamsAlone = (payload: ByteReader): Counts => ({
  buckets: [],
  holdings: [],
  streams: readStreams(payload),
});

/** Streams go by themselves, for not every peer knows of them. */
const hasCounts = ({ buckets, holdings }: Counts): boolean => buckets.length + holdings.length > 0;

const leaderFrames = (events: LeaderEvents): ConnectionEvents => ({
  onFrame(type: number, payload: ByteReader) {
    if (type === frameTypes.answers) readAnswers(payload, events.onAnswer);
    else if (type === frameTypes.change) events.onChange(readChange(payload));
    else if (type === frameTypes.reply) {
      const { number, reply } = readReply(payload);
      events.onReply(number, reply);
    } else if (type === frameTypes.counts) events.onCounts(readCounts(payload));
    else if (type === frameTypes.streams) events.onCounts(streamsAlone(payload));
    else throw unexpected(type);
  },
  onClose: events.onClose,
});

/** What several are told, as frames that are made once for all of them who speak one version. */
class SharedFrames<T> {
  readonly #writer = new FrameWriter();
  readonly #type: number;
  readonly #write: (to: FrameWriter, told: T, version: number) => void;
  /** By the version that is spoken. */
  readonly #last = new Map<number, { readonly told: T; readonly frame: Uint8Array }>();

  constructor(type: number, write: (to: FrameWriter, told: T, version: number) => void) {
    this.#type = type;
    this.#write = write;
  }

  of(told: T, version: number): Uint8Array {
    const last = this.#last.get(version);
    if (last?.told === told) return last.frame;
    this.#writer.begin(this.#type);
    this.#write(this.#writer, told, version);
    const frame = this.#writer.end();
    this.#last.set(version, { told, frame });
    return frame;
  }
}

type ToldFrames = {
  readonly changes: SharedFrames<LedgerChange>;
  readonly counts: SharedFrames<Counts>;
  readonly streams: SharedFrames<StreamsTold>;
};

/** A process that follows, on its connection. */
class SocketLine implements FollowerLine {
  readonly instance: string;
  readonly #connection: Connection;
  readonly #frames: ToldFrames;

  constructor(instance: string, connection: Connection, frames: ToldFrames) {
    this.instance = instance;
    this.#connection = connection;
    this.#frames = frames;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  readonly answer: FollowerLine["answer"] = (numbers, commands, outcomes) => {
    this.#connection.send(frameTypes.answers, (to) =>
      writeAnswers(to, numbers, commands, outcomes, this.#connection.protocol),
    );
  };

  readonly refuse: FollowerLine["refuse"] = (numbers, because) => {
    this.#connection.send(frameTypes.answers, (to) => writeRefusals(to, numbers, because));
  };

  readonly reply: FollowerLine["reply"] = (number, reply) => {
    this.#connection.send(frameTypes.reply, (to) => writeReply(to, number, reply));
  };

  change(change: LedgerChange): void {
    this.#connection.sendFrame(this.#frames.changes.of(change, this.#connection.protocol));
  }

  counts(counts: Counts): void {
    const { protocol } = this.#connection;
    const { streams } = counts;
    if (hasCounts(counts)) this.#connection.sendFrame(this.#frames.counts.of(counts, protocol));
    if (streams === undefined) return;
    this.#connection.sendFrame(this.#frames.streams.of(streams, protocol));
  }

  close(reason: Error): void {
    this.#connection.close(reason, true);
  }
}
