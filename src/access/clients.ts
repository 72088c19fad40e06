/**
 * Who is at the other end of a request: the address that limits count, the host that the
 * client asked for, and whether it came over TLS.
 *
 * The address is the peer's. `X-Forwarded-For` is anybody's to write, so it is read only when
 * the peer is a proxy that the operator has named.
 *
 * `X-Forwarded-Proto` needs no trust: it decides over the Secure flag of a cookie that goes to
 * whoever sent it.
 */
import { BlockList, isIP } from "node:net";
import type { Server } from "bun";
import { isOverTls } from "./cookies.ts";

export type Client = {
  readonly address: string;
  /** Name and port, as the client knows this server. */
  readonly host: string;
  readonly secure: boolean;
};

/** What is needed of a server. */
type Peers = Pick<Server<undefined>, "requestIP">;

/** What is told when a proxy seems to be there that nobody has named. */
export const unnamedProxy =
  "requests come with X-Forwarded-For, as from a proxy: name it in TRUSTED_PROXIES, or all clients " +
  "behind it count as one";

type ClientsOptions = {
  readonly trustedProxies: BlockList;
  /** Told once, when there seems to be a proxy that the operator has not named. */
  readonly onUnnamedProxy?: (address: string) => void;
  /** The one address that can connect, where the server listens on this machine's own alone. */
  readonly onlyPeer?: string | undefined;
};

/** Every so many requests are looked at for a proxy that was not named. */
const proxyLookEvery = 64;

export class Clients {
  readonly #options: ClientsOptions;
  readonly #hasProxies: boolean;
  #isUnnamedProxyTold = false;
  #requests = 0;
  /** The peer that was asked about last: behind a proxy it is always the same. */
  #peer = "";
  #isPeerTrusted = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#hasProxies = options.trustedProxies.rules.length > 0;
  }

  /** The address that limits count: that of `of`, at a tenth of its cost. */
  addressOf(request: Request, server: Peers): string {
    const { headers } = request;
    const peer = this.#peerOf(request, server);
    if (!this.#hasProxies || !this.#isProxy(peer)) {
      this.#lookForProxy(peer, headers);
      return peer;
    }
    return this.#behind(peer, headers.get("X-Forwarded-For"));
  }

  /** Asked of the system for each request, which is a twentieth of what a refused checkout costs. */
  #peerOf(request: Request, server: Peers): string {
    return this.#options.onlyPeer ?? server.requestIP(request)?.address ?? "unknown";
  }

  #isProxy(peer: string): boolean {
    if (peer !== this.#peer) {
      this.#isPeerTrusted = this.#isTrusted(peer, isIP(peer));
      this.#peer = peer;
    }
    return this.#isPeerTrusted;
  }

  #lookForProxy(peer: string, headers: Headers): void {
    this.#requests += 1;
    if (this.#isUnnamedProxyTold || this.#requests % proxyLookEvery !== 1) return;
    if (headers.get("X-Forwarded-For") === null) return;
    this.#isUnnamedProxyTold = true;
    this.#options.onUnnamedProxy?.(peer);
  }

  of(request: Request, server: Peers): Client {
    const { headers } = request;
    const peer = this.#peerOf(request, server);
    const isProxy = this.#isTrusted(peer, isIP(peer));
    return {
      address: isProxy ? this.#behind(peer, headers.get("X-Forwarded-For")) : peer,
      host: (isProxy ? first(headers.get("X-Forwarded-Host")) : null) ?? headers.get("Host") ?? "",
      secure: isOverTls(request),
    };
  }

  /**
   * The last address in the list that is not one of our proxies: they have added the rest. Worked out
   * anew each time, which costs half of what remembering it does: in a flood nearly every address is
   * another one.
   */
  #behind(peer: string, forwardedFor: string | null): string {
    let address = peer;
    if (forwardedFor === null) return address;
    for (let end = forwardedFor.length; end > 0;) {
      const comma = forwardedFor.lastIndexOf(",", end - 1);
      let candidate = forwardedFor.slice(comma + 1, end).trim();
      let family = isIP(candidate);
      if (family === 0) {
        candidate = addressIn(candidate);
        family = isIP(candidate);
      }
      if (family === 0) return address;
      address = candidate;
      // Of the first in the list it is not asked, and most lists have one.
      if (comma < 0 || !this.#isTrusted(candidate, family)) return address;
      end = comma;
    }
    return address;
  }

  /** @param family 4 or 6; 0 for what is no address */
  #isTrusted(address: string, family: number): boolean {
    if (family === 0) return false;
    const plain = unmapped(address);
    const isFour = family === 4 || plain !== address;
    return this.#options.trustedProxies.check(plain, isFour ? "ipv4" : "ipv6");
  }
}

const first = (list: string | null): string | null => {
  const value = list?.split(",")[0]?.trim();
  return value === undefined || value === "" ? null : value;
};

/** Of an address as some proxies write it, with the port that it came from, or in brackets. */
const addressIn = (text: string): string =>
  text.replace(/^(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?$/, "$1$2");

/**
 * An IPv4 address that a socket for both families shows as an IPv6 one, however that is written: as Bun
 * does, in most cases, and of each request it is asked.
 */
function unmapped(address: string): string {
  const usual = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (usual !== undefined || !/^0?[0:]*:ffff:/i.test(address)) return usual ?? address;
  const groups = groupsOf(address);
  if (groups?.findIndex((group) => group !== 0) !== 5 || groups[5] !== 0xffff) return address;
  return [groups[6] ?? 0, groups[7] ?? 0].flatMap((pair) => [pair >> 8, pair & 0xff]).join(".");
}

/** An IPv4 address at the end stands for two groups. */
const asGroups = (_: string, ...quad: string[]): string => {
  const [one = 0, two = 0, three = 0, four = 0] = quad.slice(0, 4).map(Number);
  return `${((one << 8) | two).toString(16)}:${((three << 8) | four).toString(16)}`;
};

/** The eight groups of an IPv6 address; null of what is none. */
function groupsOf(address: string): readonly number[] | null {
  if (isIP(address) !== 6) return null;
  let plain = address;
  if (plain.includes("%")) plain = plain.replace(/%.*$/, "");
  if (plain.includes(".")) plain = plain.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, asGroups);
  const [head = "", tail] = plain.split("::");
  const groups = head === "" ? [] : head.split(":").map(parseHex);
  if (tail === undefined) return groups;
  const after = tail === "" ? [] : tail.split(":").map(parseHex);
  while (groups.length + after.length < 8) groups.push(0);
  return groups.concat(after);
}

const parseHex = (group: string): number => Number.parseInt(group, 16);

/** This machine's own, of those that are written as IPv6. */
const loopback6 = "::1";

/**
 * What a limit counts for an address. Whoever has an IPv6 address has the 2^64 beside it too,
 * so they count as one; all but this machine itself, of which no other is a neighbour.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const plain = unmapped(address);
  const groups = groupsOf(plain);
  if (groups === null) return plain;
  if (groups.findIndex((group) => group !== 0) === 7 && groups[7] === 1) return loopback6;
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(":")}::/64`;
}

/** Addresses and networks, such as `10.0.0.0/8, ::1`; null when one is none. */
export function parseNetworks(text: string): BlockList | null {
  const networks = new BlockList();
  for (const part of text.split(",").map((each) => each.trim())) {
    const [address = "", prefix, ...rest] = part.split("/");
    const family = isIP(address);
    const bits = family === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === 0 || rest.length > 0 || length < 0 || length > bits) return null;
    networks.addSubnet(address, length, family === 4 ? "ipv4" : "ipv6");
  }
  return networks;
}
