/**
 * A shop that sells Stampede's stock: the smallest server that does it right. It knows its customers,
 * reserves for them, takes their payment, and confirms. It holds a key with the scope `sell`.
 *
 *   STAMPEDE=http://localhost:8080 STAMPEDE_KEY=sk_… USER_TOKEN_SECRET=… bun docs/examples/shop.ts
 *
 * `POST /order {"item"}` with the header `X-Customer` buys; `GET /token` with it gives the customer's
 * browser a user token, to call Stampede by itself.
 */
import { SignJWT } from "jose";

export type Shop = {
  /** Where Stampede is. */
  readonly stampede: string;
  /** With the scope `sell`. */
  readonly key: string;
  /** As Stampede has it in USER_TOKEN_SECRET. */
  readonly tokenSecret: string;
  /** Takes the money; an error means that nothing was paid. */
  readonly pay: (customer: string, cents: number) => Promise<void>;
  /** Gives it back. */
  readonly payBack: (customer: string, cents: number) => Promise<void>;
};

type Reservation = {
  readonly code: string;
  readonly item: { readonly id: number; readonly price_cents: number };
};

const tokenSeconds = 3_600;
const triesMax = 5;
const answerMsMax = 10_000;

/** What Stampede refuses, in its own words: `code` is for programs, `detail` for people. */
class Refused extends Error {
  readonly code: string;
  readonly status: number;

  constructor(status: number, { code, detail }: { code: string; detail: string }) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}
/** Nobody has said what came of it, or it is away for longer than somebody waits. */
class Unanswered extends Error {}
class NotPaid extends Error {}

type Answer = {
  readonly status: number;
  readonly body?: {
    readonly code: string;
    readonly detail: string;
    readonly retry_after_ms?: number;
  };
};

/** Sends it once; status 0 is no answer. What a proxy says in Stampede's place is no JSON. */
async function once(shop: Shop, method: string, path: string, key: string): Promise<Answer> {
  const headers = {
    Authorization: `Bearer ${shop.key}`,
    ...(key === "" ? {} : { "Idempotency-Key": key }),
  };
  try {
    const signal = AbortSignal.timeout(answerMsMax);
    const answer = await fetch(shop.stampede + path, { method, headers, signal });
    const text = await answer.text();
    return { status: answer.status, ...(text !== "" && { body: JSON.parse(text) }) };
  } catch {
    return { status: 0 };
  }
}

/**
 * Asks Stampede; what gets no answer, and what is overloaded or away, is asked again, as it says when.
 * @throws Refused, or Unanswered after so many tries
 */
async function ask<T>(
  shop: Shop,
  method: string,
  path: string,
  { key = "", tries = triesMax } = {},
): Promise<T> {
  for (let nth = 1; ; nth += 1) {
    // oxlint-disable-next-line no-await-in-loop
    const { status, body } = await once(shop, method, path, key);
    if (status >= 200 && status < 300) return body as T;
    const isOpen = status === 0 || status === 429 || status >= 500;
    if (!isOpen) throw new Refused(status, body ?? { code: "unknown", detail: `${status}` });
    if (nth >= tries) throw new Unanswered(`no answer to ${method} ${path.split("?")[0]}`);
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(body?.retry_after_ms ?? 1_000);
  }
}

/** Reserves, and takes the money; what is not paid is given back. */
async function reserve(shop: Shop, customer: string, item: string): Promise<Reservation> {
  const query = `user_id=${encodeURIComponent(customer)}&id=${encodeURIComponent(item)}`;
  // One key for one click: whatever is sent again gets the same code.
  const key = crypto.randomUUID();
  const reserved = await ask<Reservation>(shop, "POST", `/checkout?${query}`, { key });
  try {
    await shop.pay(customer, reserved.item.price_cents);
  } catch (error) {
    // Where that is not answered it comes free by itself.
    await ask(shop, "DELETE", `/checkout?code=${encodeURIComponent(reserved.code)}`).catch(
      () => {},
    );
    throw new NotPaid(String(error));
  }
  return reserved;
}

/**
 * Confirms what is paid. May be sent as often as it takes: the same code is the same order. Refused, as
 * with 410, the unit has gone to somebody else meanwhile, and the money goes back; without an answer
 * nobody knows yet, and it does not.
 */
async function confirm(
  shop: Shop,
  customer: string,
  { code, item }: Reservation,
  tries = triesMax,
): Promise<object> {
  try {
    return await ask<object>(shop, "POST", `/purchase?code=${encodeURIComponent(code)}`, { tries });
  } catch (error) {
    if (error instanceof Refused) await shop.payBack(customer, item.price_cents);
    throw error;
  }
}

async function order(shop: Shop, customer: string, item: string): Promise<Response> {
  let reserved: Reservation;
  try {
    reserved = await reserve(shop, customer, item);
  } catch (error) {
    if (error instanceof NotPaid) return told(402, "not_paid", error.message);
    if (error instanceof Unanswered) return told(503, "unavailable", "Nothing is paid. Try again.");
    return refused(error);
  }
  try {
    return Response.json(await confirm(shop, customer, reserved));
  } catch (error) {
    if (!(error instanceof Unanswered)) return refused(error);
    // Keep it with your records until then: a crash must not forget it.
    void confirm(shop, customer, reserved, Infinity).catch(() => {});
    return told(202, "not_confirmed_yet", "It is paid, and being confirmed.");
  }
}

const told = (status: number, code: string, say: string): Response =>
  Response.json({ code, say }, { status });
function refused(error: unknown): Response {
  if (!(error instanceof Refused)) throw error;
  return told(error.status, error.code, error.message);
}

/** What a customer's browser shows to Stampede: it proves who they are, for an hour. */
const tokenFor = ({ tokenSecret }: Shop, customer: string): Promise<string> =>
  new SignJWT()
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(customer)
    .setExpirationTime(`${tokenSeconds}s`)
    .sign(new TextEncoder().encode(tokenSecret));

export function openShop(shop: Shop, port = 3_000) {
  return Bun.serve({
    port,
    hostname: "127.0.0.1",
    development: false,
    async fetch(request) {
      // Your shop knows this from its own session.
      const customer = request.headers.get("X-Customer");
      if (customer === null) return new Response("Log in first.", { status: 401 });
      const { pathname } = new URL(request.url);
      if (pathname === "/token") return Response.json({ token: await tokenFor(shop, customer) });
      if (request.method !== "POST" || pathname !== "/order") {
        return new Response("There is nothing here.", { status: 404 });
      }
      const { item } = (await request.json()) as { item: string };
      return await order(shop, customer, item);
    },
  });
}

if (import.meta.main) {
  const { STAMPEDE, STAMPEDE_KEY, USER_TOKEN_SECRET } = process.env;
  const shop = openShop({
    stampede: STAMPEDE ?? "http://localhost:8080",
    key: STAMPEDE_KEY ?? "",
    tokenSecret: USER_TOKEN_SECRET ?? "",
    pay: () => Promise.resolve(),
    payBack: () => Promise.resolve(),
  });
  process.stdout.write(`The shop is at ${shop.url.href}\n`);
}
