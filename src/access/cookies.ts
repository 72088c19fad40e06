/**
 * The cookies that the program sets. Over TLS their names begin with `__Host-`: a browser takes such
 * a cookie from this very host alone, and not from another one of the same domain; one without the
 * prefix is not believed there.
 */

export const sessionCookie = "stampede_token";
/** See `devices.ts`. */
export const deviceCookie = "stampede_device";

const prefix = "__Host-";

/** Whether a client came over TLS. Whoever lies about it makes only their own cookies useless. */
export const isOverTls = ({ url, headers }: Request): boolean =>
  url.startsWith("https:") ||
  headers.get("X-Forwarded-Proto")?.split(",")[0]?.trim().toLowerCase() === "https";

/** The value of a cookie of ours that a request carries; null without one. */
export function cookieOf(request: Request, name: string): string | null {
  const cookies = request.headers.get("Cookie");
  if (cookies === null || !cookies.includes(name)) return null;
  const wanted = isOverTls(request) ? prefix + name : name;
  for (const pair of cookies.split(";")) {
    const [given = "", value = ""] = pair.trim().split("=", 2);
    if (given === wanted && value !== "") return value;
  }
  return null;
}

/** A `Set-Cookie` that only this host gets back, and no script reads. */
export const setCookie = (
  request: Request,
  name: string,
  value: string,
  maxAgeSeconds: number,
): string =>
  isOverTls(request)
    ? `${prefix}${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax; Secure`
    : `${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
