/**
 * Who is told what happens, and writes to customers: the smallest receiver of webhooks that does it
 * right. It believes only what is signed, answers once it has done what is to be done, and does it once
 * for each `webhook-id`, however often that comes.
 *
 *   STAMPEDE_WEBHOOK=whsec_… bun docs/examples/mailer.ts
 */
import { Webhook } from "standardwebhooks";

export type Mailer = {
  /** What making the webhook has answered, `whsec_…`. */
  readonly secret: string;
  /** Hands a message to your mail server; an error means that it was not taken. */
  readonly send: (customer: string, subject: string) => Promise<void>;
  /** Ids that were done. Keep them with your records: a crash must not forget them. */
  readonly done: { has(id: string): boolean; add(id: string): unknown };
};

type Sent = {
  readonly type: string;
  readonly data: { readonly user_id?: string; readonly order_id?: string };
};

/** What is written to whom; null where nothing is. */
function letter({ type, data }: Sent): string | null {
  switch (type) {
    case "order.created":
      return `Your order ${data.order_id}`;
    case "order.refunded":
      return `Your order ${data.order_id} was taken back`;
    default:
      return null;
  }
}

/** Being done: where the mail server takes long, it comes again before it is. */
type Doing = Map<string, Promise<void>>;

async function doOnce(mailer: Mailer, id: string, sent: Sent): Promise<void> {
  const subject = letter(sent);
  if (subject === null || mailer.done.has(id)) return;
  await mailer.send(sent.data.user_id ?? "", subject);
  mailer.done.add(id);
}

async function receive(mailer: Mailer, doing: Doing, request: Request): Promise<Response> {
  const text = await request.text();
  let sent: Sent;
  try {
    // Over the bytes as they came: parsed and written again they would be others.
    sent = new Webhook(mailer.secret).verify(text, Object.fromEntries(request.headers)) as Sent;
  } catch {
    return new Response("This is not signed by Stampede.", { status: 401 });
  }
  const id = request.headers.get("webhook-id") ?? "";
  const under = doing.get(id) ?? doOnce(mailer, id, sent).finally(() => doing.delete(id));
  doing.set(id, under);
  // Where this fails the answer is 500, and it comes again in a second.
  await under;
  return new Response(null, { status: 204 });
}

export function openMailer(mailer: Mailer, port = 3_001) {
  const doing: Doing = new Map();
  return Bun.serve({
    port,
    hostname: "127.0.0.1",
    development: false,
    fetch: (request) => receive(mailer, doing, request),
    error: () => new Response("It was not taken.", { status: 500 }),
  });
}

if (import.meta.main) {
  const mailer = openMailer({
    secret: process.env["STAMPEDE_WEBHOOK"] ?? "",
    send: (customer, subject) => {
      process.stdout.write(`to ${customer}: ${subject}\n`);
      return Promise.resolve();
    },
    done: new Set<string>(),
  });
  process.stdout.write(`The mailer is at ${mailer.url.href}\n`);
}
