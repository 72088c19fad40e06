/**
 * Answers that many clients are given alike: made and compressed once, sent as often as they
 * are asked for. Compression runs beside the event loop, which has sales to make.
 */
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";

const compress = promisify(gzip);

export type Compressed = {
  readonly plain: Blob;
  readonly gzip: Blob;
  /** The same for both: they are the same answer. */
  readonly entityTag: string;
};

/** @param effort `best` for what is sent for an hour, `fast` for what is made four times a second */
export async function compressed(value: unknown, effort: "best" | "fast"): Promise<Compressed> {
  const plain = Buffer.from(JSON.stringify(value));
  const level = effort === "best" ? constants.Z_BEST_COMPRESSION : constants.Z_DEFAULT_COMPRESSION;
  const packed = await compress(plain, { level });
  const entityTag = `W/"${Bun.hash(plain).toString(36)}"`;
  return { plain: new Blob([plain]), gzip: new Blob([packed]), entityTag };
}

/** 200, or 304 to a client that has it already. */
export function sendCompressed(request: Request, of: Compressed, caching: string): Response {
  const headers = new Headers({
    "Content-Type": "application/json",
    "Cache-Control": caching,
    "X-Content-Type-Options": "nosniff",
    Vary: "Accept-Encoding",
  });
  if (caching !== "no-store") {
    headers.set("ETag", of.entityTag);
    if (namesTag(request.headers.get("If-None-Match"), of.entityTag)) {
      return new Response(null, { status: 304, headers });
    }
  }
  if (!takesGzip(request.headers.get("Accept-Encoding")))
    return new Response(of.plain, { headers });
  headers.set("Content-Encoding", "gzip");
  return new Response(of.gzip, { headers });
}

/** Whether an `If-None-Match` names a tag; weak or strong is the same here (RFC 9110, 13.1.2). */
export function namesTag(header: string | null, entityTag: string): boolean {
  if (header === null) return false;
  const opaque = entityTag.replace("W/", "");
  return header
    .split(",")
    .map((one) => one.trim())
    .some((one) => one === "*" || one.replace("W/", "") === opaque);
}

/** Whether a client that says what it takes leaves gzip out; one that says nothing takes anything. */
export const refusesGzip = (header: string | null): boolean =>
  header !== null && !takesGzip(header);

/** Whether an `Accept-Encoding` allows gzip (RFC 9110, 12.5.3). */
export function takesGzip(header: string | null): boolean {
  let any = false;
  for (const one of (header ?? "").toLowerCase().split(",")) {
    const [coding = "", ...parameters] = one.split(";").map((part) => part.trim());
    const isRefused = parameters.some((part) => /^q=0(?:\.0*)?$/.test(part));
    if (coding === "gzip" || coding === "x-gzip") return !isRefused;
    if (coding === "*") any = !isRefused;
  }
  return any;
}
