/** Processes at the two ends of the link, over sockets, and such as do what none of ours would. */
import { afterEach } from "bun:test";
import type { Socket } from "bun";
import { addressText } from "../../src/link/address.ts";
import { ByteReader } from "../../src/link/bytes.ts";
import type { Counts } from "../../src/link/counts.ts";
import { FrameReader, FrameWriter, frameTypes, protocolVersion } from "../../src/link/frames.ts";
import { helloOf, proofOf, readHello, writeHello } from "../../src/link/handshake.ts";
import type { Asked, FollowerLine, LeaderEvents } from "../../src/link/line.ts";
import type { LinkedOutcome } from "../../src/link/outcomes.ts";
import { SocketLink } from "../../src/link/socket-link.ts";
import type { LinkedCommand } from "../../src/link/words.ts";
import type { LeaderRecord } from "../../src/store/records.ts";
import { until } from "../support/wait.ts";

export const secret = "a secret that all processes know";
export const schema = 7;
export const epoch = 3;

const opened: SocketLink[] = [];
afterEach(() => {
  for (const link of opened.splice(0)) link.stop();
});

/** A process with its end of the link, and what it was told of ended connections. */
export function newProcess(of: { readonly secret?: string; readonly unix?: string } = {}) {
  const instance = crypto.randomUUID();
  const said: string[] = [];
  const link = new SocketLink({
    secret: of.secret ?? secret,
    instance,
    schema,
    listen: { unix: of.unix ?? null, host: "127.0.0.1", port: 0 },
    onEnd: (reason) => said.push(reason),
  });
  opened.push(link);
  const record: LeaderRecord = {
    epoch,
    url: "",
    instance,
    link: addressText({ unix: of.unix ?? null, hosts: ["127.0.0.1"], port: link.port }),
  };
  return { link, instance, said, record };
}

/** One that leads, and what came to it. */
export function newLeader(of: { readonly unix?: string } = {}) {
  const made = newProcess(of);
  const lines: FollowerLine[] = [];
  const asked: Asked[] = [];
  const left: FollowerLine[] = [];
  const counts: Counts[] = [];
  made.link.serve({
    epoch,
    end: {
      onLine: (line) => {
        lines.push(line);
        return () => void left.push(line);
      },
      onAsked: (_, what) => void asked.push(what),
      onCounts: (_, told) => void counts.push(told),
      onCall: (line, number, body) =>
        line.reply(number, { ok: true, body: typeof body === "string" ? body.length : [body] }),
    },
  });
  return { ...made, lines, asked, left, counts };
}

/** What a process hears. */
export function newEars() {
  const heard = {
    answers: [] as [number, unknown][],
    changes: [] as unknown[],
    replies: [] as unknown[],
    counts: [] as unknown[],
    closed: null as string | null,
  };
  const events: LeaderEvents = {
    onAnswer: (number, answer) => void heard.answers.push([number, answer]),
    onChange: (change) => void heard.changes.push(change),
    onReply: (_, reply) => void heard.replies.push(reply),
    onCounts: (counts) => void heard.counts.push(counts),
    onClose: (reason) => (heard.closed = reason.message),
  };
  return { heard, events };
}

export const claim: LinkedCommand = {
  kind: "claim",
  coupon: "TEN",
  buyer: { kind: "guest", userId: "Zoë 🎵" },
  key: null,
};
export const asking: Asked = {
  isAgain: false,
  sinceSeq: 12,
  patienceMs: 5_000,
  numbers: [4],
  commands: [claim],
};
export const counted: Counts = {
  buckets: [{ tag: 1, hash: 2 ** 32 - 1, kind: 2, ms: 12.5 }],
  holdings: [{ word: "bought", code: crypto.randomUUID() }],
};
export const notFound: LinkedOutcome = { word: "coupon_not_found" };

export const dialled = (record: LeaderRecord) => newProcess().link.dial(record, newEars().events);

/** A connection that does what no process of ours would. */
export async function rawTo(
  port: number,
  onFrame: (type: number, from: ByteReader) => void = () => {},
) {
  let isClosed = false;
  const frames = new FrameReader((type, payload) => onFrame(type, new ByteReader(payload)));
  frames.bytesMax = 2 ** 30;
  const socket: Socket<undefined> = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_, chunk) => frames.take(chunk),
      close: () => void (isClosed = true),
      error() {},
    },
  });
  const send = (type: number, write: (to: FrameWriter) => void): void => {
    const to = new FrameWriter();
    to.begin(type);
    write(to);
    socket.write(to.end());
  };
  return { socket, send, closed: () => until("the connection's end", () => isClosed) };
}

/** One that knows the secret, and then does as it pleases. @param protocol that it speaks */
export async function intruder(port: number, protocol = protocolVersion) {
  const hello = { ...helloOf({ instance: crypto.randomUUID(), epoch, schema }), protocol };
  const welcomed = Promise.withResolvers<Uint8Array>();
  const types: number[] = [];
  const raw = await rawTo(port, (type, from) => {
    types.push(type);
    if (type === frameTypes.welcome) {
      welcomed.resolve(proofOf(secret, "asks", hello, readHello(from)));
    }
  });
  raw.send(frameTypes.hello, (to) => writeHello(to, hello));
  const proof = await welcomed.promise;
  raw.send(frameTypes.proof, (to) => to.bytes(proof));
  return { ...raw, types };
}
