/** The other end of the link: connects to the leader, and makes sure that it is the one it means. */
import { existsSync } from "node:fs";
import type { Socket } from "bun";
import type { LinkAddress } from "./address.ts";
import { Connection, unexpected, type ConnectionEvents } from "./connection.ts";
import { frameTypes, spokenWith, toldBytesMax } from "./frames.ts";
import {
  checkProof,
  helloOf,
  proofOf,
  readHello,
  writeHello,
  type Hello,
  type Introduction,
} from "./handshake.ts";

/** How long one address may take, from the first packet to the last proof. */
const dialMaxMs = 1_500;

type DialOptions = {
  readonly secret: string;
  readonly self: Introduction;
  /** Whom to find there: another process is none, also this one itself. */
  readonly leader: { readonly instance: string | null; readonly epoch: number };
};

type Place = { readonly unix: string } | { readonly hostname: string; readonly port: number };

/** The leader's addresses, the nearest first. */
const placesOf = ({ unix, hosts, port }: LinkAddress): Place[] => [
  ...(unix !== null && existsSync(unix) ? [{ unix }] : []),
  ...hosts.map((hostname) => ({ hostname, port })),
];

/**
 * A connection to the leader. The first of its addresses at which it is found is taken.
 * @param events of the connection, once it is made
 * @throws Error when it is found nowhere
 */
export async function dial(
  address: LinkAddress,
  options: DialOptions,
  events: ConnectionEvents,
): Promise<Connection> {
  const reasons: string[] = [];
  for (const place of placesOf(address)) {
    try {
      return await dialAt(place, options, events);
    } catch (error) {
      const where = "unix" in place ? place.unix : `${place.hostname}:${place.port}`;
      reasons.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`the leader is not found (${reasons.join("; ") || "it listens nowhere"})`);
}

/** @throws Error when it is not the one that is meant */
function found(leading: Hello, leader: DialOptions["leader"]): Hello {
  if (leader.instance !== null && leading.instance !== leader.instance) {
    throw new Error("another process is there");
  }
  if (leading.epoch < leader.epoch) throw new Error("a leader of the past is there");
  return leading;
}

function dialAt(place: Place, options: DialOptions, events: ConnectionEvents): Promise<Connection> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const { secret, leader } = options;
  const asking = helloOf(options.self);
  let leading: Hello | null = null;
  let isMade = false;
  const begin = (socket: Socket<Connection>): void => {
    const connection = new Connection(socket as Socket<unknown>, {
      onFrame: (type, payload) => {
        if (isMade) return events.onFrame(type, payload);
        if (leading === null && type === frameTypes.welcome) {
          leading = readHello(payload);
          checkProof(payload, proofOf(secret, "leads", asking, leading));
          const proof = proofOf(secret, "asks", asking, found(leading, leader));
          connection.send(frameTypes.proof, (to) => to.bytes(proof));
        } else if (leading !== null && type === frameTypes.ready) {
          isMade = true;
          connection.frameBytesMax = toldBytesMax;
          connection.protocol = spokenWith(leading.protocol) ?? connection.protocol;
          clearTimeout(tooLate);
          resolve(connection);
        } else throw unexpected(type);
      },
      onClose: (reason) => {
        clearTimeout(tooLate);
        if (isMade) events.onClose(reason);
        else reject(reason);
      },
    });
    socket.data = connection;
    connection.send(frameTypes.hello, (to) => writeHello(to, asking));
  };
  let opened: Socket<Connection> | null = null;
  const tooLate = setTimeout(() => {
    reject(new Error(`no answer within ${dialMaxMs} ms`));
    opened?.data?.close(new Error("it takes too long"));
  }, dialMaxMs);
  const socket = {
    open(made: Socket<Connection>) {
      opened = made;
      begin(made);
    },
    data: ({ data }: Socket<Connection>, chunk: Buffer) => data?.receive(chunk),
    drain: ({ data }: Socket<Connection>) => data?.drained(),
    close: ({ data }: Socket<Connection>) => data?.close(new Error("the other end has closed it")),
    error: ({ data }: Socket<Connection>, error: Error) => data?.close(error),
    connectError: (_: Socket<Connection>, error: Error) => reject(error),
  };
  Bun.connect<Connection>({ ...place, socket } as Parameters<
    typeof Bun.connect<Connection>
  >[0]).catch((error: unknown) => reject(error));
  return promise;
}
