/**
 * One try to deliver an event: a POST to an address that was checked, with the name that it was asked
 * under in `Host` and in TLS. What is answered beside the status is not read: an answer may be without
 * end. Redirects are not followed: where they lead nobody has checked.
 */
import { Webhook } from "standardwebhooks";
import { messageOf } from "../postgres/client.ts";
import { targetOf, type Address, type Resolve } from "./addresses.ts";

/** Longest that a try may take until its status is there. */
const tryMaxMs = 10_000;

/** What came of a try: a status, or why there was none. */
export type Tried = {
  readonly status: number | null;
  readonly ms: number;
  /** Null where it was answered 2xx. */
  readonly error: string | null;
};

/** An event on its way: the same in every try, and in a replay. */
export type Message = {
  readonly id: string;
  readonly body: string;
};

type SendOptions = {
  readonly resolve: Resolve;
  readonly mayBePrivate: boolean;
  /** ms since the Unix epoch */
  readonly now: () => number;
  readonly version: string;
};

/** Never throws: what goes wrong is what came of it. */
export async function send(
  message: Message,
  to: { readonly url: string; readonly secret: string },
  { resolve, mayBePrivate, now, version }: SendOptions,
  stopping: AbortSignal,
): Promise<Tried> {
  const startedAt = performance.now();
  const ends = AbortSignal.any([stopping, AbortSignal.timeout(tryMaxMs)]);
  const passed = (): number => Math.round(performance.now() - startedAt);
  try {
    const url = new URL(to.url);
    const address = await unless(ends, targetOf(url, resolve, mayBePrivate));
    const at = new Date(now());
    const pinned = addressed(url, address);
    const isNamed = url.protocol === "https:" && pinned.hostname !== url.hostname;
    const response = await fetch(pinned, {
      method: "POST",
      body: message.body,
      redirect: "manual",
      // Of what is not read nothing is unpacked, nor is it complained of in the log.
      decompress: false,
      signal: ends,
      headers: {
        Host: url.host,
        "Content-Type": "application/json",
        "User-Agent": `Stampede/${version}`,
        "webhook-id": message.id,
        "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
        "webhook-signature": new Webhook(to.secret).sign(message.id, at, message.body),
      },
      // The certificate has to be of the name, whatever the address is.
      ...(isNamed && { tls: { serverName: url.hostname } }),
    });
    void response.body?.cancel().catch(() => {});
    const { status, ok } = response;
    return { status, ms: passed(), error: ok ? null : wordsFor(status) };
  } catch (error) {
    const isLate = ends.aborted && !stopping.aborted;
    const why = isLate ? `not answered within ${tryMaxMs / 1000} s` : messageOf(error);
    return { status: null, ms: passed(), error: why.slice(0, errorCharactersMax) };
  }
}

const errorCharactersMax = 200;

const wordsFor = (status: number): string =>
  status >= 300 && status < 400
    ? `answered ${status}: redirects are not followed`
    : `answered ${status}`;

/** The same URL, by an address in place of its name. */
function addressed(url: URL, { address, family }: Address): URL {
  const to = new URL(url);
  to.hostname = family === 6 ? `[${address}]` : address;
  return to;
}

/** A lookup cannot be taken back; who waits for it can go. */
async function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const end = (): void => ended.reject(new Error("given up"));
  signal.addEventListener("abort", end);
  try {
    return await Promise.race([work, ended.promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}
