/**
 * The servers of a `DATABASE_URL`, which may name several, as libpq's URLs do:
 * `postgres://user:password@one:5432,two:5433/database?target_session_attrs=read-write`. One of them
 * is the primary, and after a failover another is, so it is looked for each time that a connection is
 * made. The driver has a way of its own, which takes a replica for one that can be written to, and
 * goes on asking without a pause while there is none.
 */

/** Where a server listens. */
export type Place = { readonly host: string; readonly port: number };

type Servers = {
  /** A URL for each of them alone. */
  readonly urls: readonly string[];
  /** Whether the primary has to be looked for. */
  readonly isSearched: boolean;
};

/** A server that can be written to. */
export type Found = Place & {
  /** It goes up with each failover. */
  readonly timeline: number;
};

/** What is asked for has to be one that can be written to. */
const attributes: ReadonlySet<string> = new Set(["any", "primary", "read-write"]);
/** How long the others are waited for once one has said that it is the primary. */
const othersWaitMs = 250;
const usualPort = 5432;

/** Null for what is no URL of PostgreSQL, or asks for a server that cannot be written to. */
export function serversOf(url: string): Servers | null {
  const [, scheme, authority, rest] = /^(postgres(?:ql)?:\/\/)([^/?#]*)(.*)$/s.exec(url) ?? [];
  if (scheme === undefined || authority === undefined || rest === undefined) return null;
  const at = authority.lastIndexOf("@") + 1;
  const hosts = authority.slice(at).split(",");
  const urls = hosts.map((host) => `${scheme}${authority.slice(0, at)}${host}${rest}`);
  if (!urls.every((one) => isUrl(one))) return null;
  if (hosts.length > 1 && hosts.includes("")) return null;
  const wanted = new URL(urls[0] ?? "").searchParams.getAll("target_session_attrs");
  if (!wanted.every((attribute) => attributes.has(attribute))) return null;
  const isWanted = wanted.some((attribute) => attribute !== "any");
  return { urls: urls.map(withoutAttributes), isSearched: hosts.length > 1 || isWanted };
}

/** The driver decodes the parts of a URL, and would throw. */
function isUrl(url: string): boolean {
  try {
    return decodeURIComponent(url) !== "" && URL.canParse(url);
  } catch {
    return false;
  }
}

function withoutAttributes(url: string): string {
  if (!url.includes("target_session_attrs")) return url;
  const one = new URL(url);
  one.searchParams.delete("target_session_attrs");
  return one.href;
}

/** Where the server of a URL for one listens. */
export function placeOf(url: string): Place {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || usualPort) };
}

/**
 * The primary among servers that are being asked. Of two that both say so, as while one that was
 * replaced has come back, it is the one that was made last.
 * @param asked rejected for one that is none, with the reason
 * @throws AggregateError with the reasons, in their order, when there is none
 */
export async function primaryAmong(asked: readonly Promise<Found>[]): Promise<Place> {
  const found: Found[] = [];
  const all = Promise.allSettled(asked.map(async (one) => void found.push(await one)));
  await Promise.any(asked);
  await Promise.race([all, Bun.sleep(othersWaitMs)]);
  const [newest] = found.toSorted((a, b) => b.timeline - a.timeline);
  if (newest === undefined) throw new AggregateError([], "nobody was asked");
  return { host: newest.host, port: newest.port };
}
