/**
 * Where a webhook may go. A name is resolved once for each try, what it leads to is checked, and that
 * address is connected to: who owns a name could else have it lead somewhere else in between, into the
 * network that this program is in. Of several addresses the first is taken, and all have to be public.
 */
import { lookup } from "node:dns/promises";
import ipaddr from "ipaddr.js";

/** An address to connect to. */
export type Address = { readonly address: string; readonly family: 4 | 6 };

/** What a name leads to; rejects where nobody knows. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** As the machine resolves names, its own table of hosts included. */
export const resolveName: Resolve = async (name) =>
  (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address);

const urlCharactersMax = 2_048;

/** Public, and a cloud's own service for its machines all the same: Azure's. */
const ownServices = new Set(["168.63.129.16"]);

/** All that is handed out of IPv6; what is outside embeds other addresses, or is of no network. */
const global6 = ipaddr.parseCIDR("2000::/3");

/**
 * Whether an address is one of the internet: not private, loopback, link-local (where clouds tell a
 * machine its secrets), carrier-grade NAT, unique local, multicast, reserved, nor one of IPv6 that
 * stands for such a one.
 */
export function isPublic(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  if (address.range() !== "unicast" || ownServices.has(address.toString())) return false;
  return address.kind() === "ipv4" || address.match(global6);
}

/** The address that a URL's host is itself; null where it is a name. */
function literal({ hostname }: URL): string | null {
  const text = hostname.replace(/^\[(.*)\]$/, "$1");
  return ipaddr.isValid(text) ? text : null;
}

/** A URL that can be a webhook's, as it is stored; or what is wrong with it. */
export function parseTarget(text: string): URL | { readonly complaint: string } {
  if (text.length > urlCharactersMax) return { complaint: "is too long" };
  if (!URL.canParse(text)) return { complaint: "is not a URL" };
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return { complaint: "is neither http nor https" };
  }
  if (url.username !== "" || url.password !== "") return { complaint: "has a name or a password" };
  url.hash = "";
  return url;
}

/** What is said of an address that is none of the internet. */
const isPrivate = "leads to a private address";

/** Names that lead to this machine wherever they are looked up. */
const ownName = /(?:^|\.)localhost\.?$/i;

/**
 * What is wrong with where a URL leads, as far as that is known now; null: nothing. A name that nobody
 * knows yet may be known when something is sent.
 */
export async function complaintOfTarget(url: URL, resolve: Resolve): Promise<string | null> {
  if (ownName.test(url.hostname)) return isPrivate;
  const found = await addressesOf(url, resolve).catch(() => []);
  return found.every(isPublic) ? null : isPrivate;
}

/**
 * The address to connect to.
 * @param mayBePrivate whether it may be any
 * @throws Error for a name that leads nowhere, or where it must not
 */
export async function targetOf(
  url: URL,
  resolve: Resolve,
  mayBePrivate: boolean,
): Promise<Address> {
  const found = await addressesOf(url, resolve);
  const [first] = found;
  if (first === undefined) throw new Error(`${url.hostname} has no address`);
  if (!mayBePrivate && !found.every(isPublic)) throw new Error(`${url.hostname} ${isPrivate}`);
  return { address: first, family: ipaddr.parse(first).kind() === "ipv4" ? 4 : 6 };
}

async function addressesOf(url: URL, resolve: Resolve): Promise<readonly string[]> {
  const own = literal(url);
  return own === null ? await resolve(url.hostname) : [own];
}
