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
      const candidate = forwardedFor.slice(comma + 1, end).trim();
      const family = isIP(candidate);
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

/** An IPv4 address that a socket for both families shows as an IPv6 one. */
const unmapped = (address: string): string =>
  address.startsWith("::") ? address.replace(/^::ffff:(?=\d+\.)/i, "") : address;

/**
 * What a limit counts for an address. Whoever has an IPv6 address has the 2^64 beside it too,
 * so they count as one.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const plain = unmapped(address).replace(/%.*$/, "");
  if (isIP(plain) !== 6) return plain;
  const [head = "", tail] = plain.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    // An IPv4 address at the end stands for two groups.
    const after = tail === "" ? 0 : tail.split(":").length + (tail.includes(".") ? 1 : 0);
    while (groups.length + after < 8) groups.push("0");
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
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
