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
};

type Reservation = {
  readonly code: string;
  readonly item: { readonly id: number; readonly price_cents: number };
};

const tokenSeconds = 3_600;
const triesMax = 5;

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

/** Asks Stampede; what is overloaded or away for a moment is asked again, as it says when. */
async function ask<T>(shop: Shop, method: string, path: string, idempotencyKey = ""): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    const headers = {
      Authorization: `Bearer ${shop.key}`,
      ...(idempotencyKey === "" ? {} : { "Idempotency-Key": idempotencyKey }),
    };
    // oxlint-disable-next-line no-await-in-loop
    const answer = await fetch(shop.stampede + path, { method, headers });
    if (answer.status === 204) return undefined as T;
    // oxlint-disable-next-line no-await-in-loop
    const body = await answer.json();
    if (answer.ok) return body as T;
    const isBusy = answer.status === 503 || answer.status === 429;
    if (!isBusy || tries === triesMax) throw new Refused(answer.status, body);
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(body.retry_after_ms ?? 1_000);
  }
}

/** Reserves, takes the money, and confirms; what is not paid is given back. */
async function order(shop: Shop, customer: string, item: string): Promise<object> {
  const query = `user_id=${encodeURIComponent(customer)}&id=${encodeURIComponent(item)}`;
  // One key for one click: whatever is sent again gets the same code.
  const reserved = await ask<Reservation>(shop, "POST", `/checkout?${query}`, crypto.randomUUID());
  const code = encodeURIComponent(reserved.code);
  try {
    await shop.pay(customer, reserved.item.price_cents);
  } catch (error) {
    await ask(shop, "DELETE", `/checkout?code=${code}`);
    throw error;
  }
  // May be sent as often as it takes: the same code is the same order. Refused with 410, the unit
  // has gone to somebody else meanwhile, and the money goes back.
  return await ask<object>(shop, "POST", `/purchase?code=${code}`);
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
      try {
        return Response.json(await order(shop, customer, item));
      } catch (error) {
        return error instanceof Refused
          ? Response.json({ code: error.code, say: error.message }, { status: error.status })
          : Response.json({ code: "not_paid", say: String(error) }, { status: 402 });
      }
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
  });
  process.stdout.write(`The shop is at ${shop.url.href}\n`);
}
